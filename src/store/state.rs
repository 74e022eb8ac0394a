//! The state of a store: the fold of all facts, in order.
//!
//! Which workspaces there are and where, their snapshots and heads, tags, pins, and what can be undone. Facts are never
//! changed or removed by new ones; later facts win. A fact about something unknown (its pack was lost) is passed over,
//! so that damage to one thing never hides another.

use std::collections::{BTreeMap, BTreeSet};

use crate::format::facts::{Fact, Restore, RestoreCause};
use crate::id::{SnapshotId, WorkspaceId};
use crate::time::Timestamp;

/// What is true after all facts so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Position of the last commit, from 1; 0 in an empty store.
    pub sequence: u64,
    /// Workspaces by id, without forgotten ones.
    pub workspaces: BTreeMap<WorkspaceId, Workspace>,
    /// Snapshots by name.
    pub tags: BTreeMap<String, SnapshotId>,
    /// Snapshots that gc must keep.
    pub pins: BTreeSet<SnapshotId>,
    /// Snapshots that a repair found to lack something.
    pub incomplete: BTreeSet<SnapshotId>,
}

/// One recorded folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// Its name in the store.
    pub id: WorkspaceId,
    /// Its absolute path, as bytes.
    pub root: Vec<u8>,
    /// When it was registered.
    pub added: Timestamp,
    /// The snapshot it stands at: the last one taken or restored.
    pub head: Option<SnapshotId>,
    /// Its snapshots by step, without forgotten ones.
    pub steps: BTreeMap<u64, SnapshotId>,
    /// The last step number given out, also to snapshots forgotten since.
    pub last_step: u64,
    /// The last snapshot of each run.
    pub runs: BTreeMap<String, SnapshotId>,
    /// Restores that can be undone, oldest first.
    pub undo: Vec<Restore>,
    /// Restores that were undone and can be redone, oldest first.
    pub redo: Vec<Restore>,
    /// A restore that was begun and not ended.
    pub unfinished: Option<Restore>,
}

impl State {
    /// The workspace at this absolute path.
    pub fn workspace_at(&self, root: &[u8]) -> Option<&Workspace> {
        self.workspaces.values().find(|workspace| workspace.root == root)
    }

    /// All snapshots that have a place in a workspace's history.
    pub fn snapshots(&self) -> impl Iterator<Item = (&Workspace, u64, SnapshotId)> {
        self.workspaces
            .values()
            .flat_map(|workspace| workspace.steps.iter().map(move |(step, id)| (workspace, *step, *id)))
    }

    /// Names of a snapshot.
    pub fn tags_of(&self, snapshot: SnapshotId) -> impl Iterator<Item = &str> {
        self.tags.iter().filter(move |(_, id)| **id == snapshot).map(|(name, _)| name.as_str())
    }

    /// Takes in one more fact.
    pub fn apply(&mut self, fact: Fact) {
        match fact {
            Fact::WorkspaceAdded { workspace, root, time } => {
                self.workspaces.entry(workspace).or_insert_with(|| Workspace::new(workspace, root, time));
            }
            Fact::WorkspaceMoved { workspace, root, .. } => self.update(workspace, |found| found.root = root),
            Fact::WorkspaceForgotten { workspace, .. } => {
                self.workspaces.remove(&workspace);
            }
            Fact::SnapshotTaken { workspace, snapshot, step, run } => self.update(workspace, |found| {
                found.steps.insert(step, snapshot);
                found.last_step = found.last_step.max(step);
                found.runs.insert(run, snapshot);
                found.head = Some(snapshot);
            }),
            Fact::RestoreBegun(restore) => self.update(restore.workspace, |found| found.unfinished = Some(restore)),
            Fact::RestoreEnded { workspace, .. } => self.update(workspace, Workspace::end_restore),
            Fact::Tagged { name, snapshot: Some(snapshot), .. } => {
                self.tags.insert(name, snapshot);
            }
            Fact::Tagged { name, snapshot: None, .. } => {
                self.tags.remove(&name);
            }
            Fact::Pinned { snapshot, pinned, .. } => {
                if pinned {
                    self.pins.insert(snapshot);
                } else {
                    self.pins.remove(&snapshot);
                }
            }
            Fact::SnapshotForgotten { snapshot, .. } => self.forget(snapshot),
            Fact::SnapshotIncomplete { snapshot, incomplete, .. } => {
                if incomplete {
                    self.incomplete.insert(snapshot);
                } else {
                    self.incomplete.remove(&snapshot);
                }
            }
        }
    }

    fn update(&mut self, workspace: WorkspaceId, change: impl FnOnce(&mut Workspace)) {
        if let Some(found) = self.workspaces.get_mut(&workspace) {
            change(found);
        }
    }

    fn forget(&mut self, snapshot: SnapshotId) {
        for workspace in self.workspaces.values_mut() {
            workspace.steps.retain(|_, id| *id != snapshot);
            workspace.runs.retain(|_, id| *id != snapshot);
        }
        self.tags.retain(|_, id| *id != snapshot);
        self.pins.remove(&snapshot);
        self.incomplete.remove(&snapshot);
    }
}

impl Workspace {
    fn new(id: WorkspaceId, root: Vec<u8>, added: Timestamp) -> Self {
        Self {
            id,
            root,
            added,
            head: None,
            steps: BTreeMap::new(),
            last_step: 0,
            runs: BTreeMap::new(),
            undo: Vec::new(),
            redo: Vec::new(),
            unfinished: None,
        }
    }

    /// The step of one of its snapshots.
    pub fn step_of(&self, snapshot: SnapshotId) -> Option<u64> {
        self.steps.iter().find(|(_, id)| **id == snapshot).map(|(step, _)| *step)
    }

    /// The state before the restore that was cut off; none when there is none, or it was not recorded.
    pub fn before_unfinished(&self) -> Option<SnapshotId> {
        let unfinished = self.unfinished.as_ref()?;
        match unfinished.cause {
            RestoreCause::Abort => Some(unfinished.target),
            RestoreCause::Restore | RestoreCause::Undo | RestoreCause::Redo => unfinished.before,
        }
    }

    /// Ends the unfinished restore. A restore of some paths leaves the head where it was: the next snapshot follows it.
    fn end_restore(&mut self) {
        let Some(restore) = self.unfinished.take() else { return };
        if restore.paths.is_empty() {
            self.head = Some(restore.target);
        }
        match restore.cause {
            RestoreCause::Restore => {
                self.redo.clear();
                self.undo.push(restore);
            }
            RestoreCause::Undo => {
                if let Some(undone) = self.undo.pop() {
                    self.redo.push(undone);
                }
            }
            RestoreCause::Redo => {
                self.redo.pop();
                self.undo.push(restore);
            }
            RestoreCause::Abort => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::State;
    use crate::format::facts::{Fact, Restore, RestoreCause};
    use crate::id::{Digest, SnapshotId, WorkspaceId};
    use crate::time::Timestamp;

    const WORKSPACE: WorkspaceId = WorkspaceId([1; 16]);

    fn snapshot(number: u8) -> SnapshotId {
        SnapshotId(Digest::of(&[number]))
    }

    fn restore(state: &mut State, cause: RestoreCause, target: u8) {
        let (workspace, time) = (WORKSPACE, Timestamp(0));
        let before = state.workspaces[&WORKSPACE].head;
        let begun = Restore { workspace, before, target: snapshot(target), paths: Vec::new(), cause, time };
        state.apply(Fact::RestoreBegun(begun));
        state.apply(Fact::RestoreEnded { workspace, time });
    }

    /// J4.
    #[test]
    fn what_can_be_undone_and_redone_follows_from_causes() {
        let mut state = State::default();
        state.apply(Fact::WorkspaceAdded { workspace: WORKSPACE, root: b"/w".to_vec(), time: Timestamp(0) });
        let steps = [
            (RestoreCause::Restore, 1, 1, 0),
            (RestoreCause::Restore, 2, 2, 0),
            (RestoreCause::Abort, 3, 2, 0),
            (RestoreCause::Undo, 1, 1, 1),
            (RestoreCause::Abort, 3, 1, 1),
            (RestoreCause::Redo, 2, 2, 0),
            (RestoreCause::Undo, 1, 1, 1),
            (RestoreCause::Restore, 4, 2, 0),
        ];
        for (at, (cause, target, undo, redo)) in steps.into_iter().enumerate() {
            restore(&mut state, cause, target);
            let found = &state.workspaces[&WORKSPACE];
            assert_eq!((found.undo.len(), found.redo.len(), found.head), (undo, redo, Some(snapshot(target))), "{at}");
            assert_eq!((&found.unfinished, found.before_unfinished()), (&None, None));
        }
    }
}
