//! The state of a store: workspaces with their snapshots, heads, tags and undos, and pins.
//!
//! It is the result of all facts, in order. Later facts win; none changes or removes an earlier one. A fact about
//! something unknown (its pack was lost) has no effect, so that damage to one thing never hides another.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::timeline::Timeline;
use crate::format::facts::{Fact, FolderIdentity, Restore, RestoreCause};
use crate::format::snapshot::Cause;
use crate::id::{BlobId, SnapshotId, WorkspaceId};
use crate::limits::NOTED_EVENTS_MAX;
use crate::time::Timestamp;

/// The state after all facts so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The number of the last transaction; 0 in an empty store.
    pub sequence: u64,
    /// The generation of the store: it is raised before packs are removed. A stat cache of another generation is not
    /// used.
    pub generation: u64,
    /// Packs that are about to be removed, by nonce. For writers their objects are missing.
    pub condemned: BTreeSet<[u8; 16]>,
    /// Workspaces by id, without forgotten workspaces.
    pub workspaces: BTreeMap<WorkspaceId, Workspace>,
    /// Workspaces that were forgotten and can be recalled.
    pub forgotten: BTreeMap<WorkspaceId, Forgotten>,
    /// Snapshots that gc must keep.
    pub pins: BTreeSet<SnapshotId>,
    /// Snapshots that a repair found to lack something.
    pub incomplete: BTreeSet<SnapshotId>,
    /// Lost snapshots whose workspace is unknown, by the first half of their ids.
    pub lost: BTreeSet<[u8; 16]>,
    /// Events of calls that changed nothing, by the snapshot that they followed. Copies of a state share the lists,
    /// because a state is copied at each transaction and most calls change nothing.
    pub noted: BTreeMap<SnapshotId, Arc<Noted>>,
}

/// Calls that followed a snapshot and changed nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// The number of calls.
    pub count: u64,
    /// The newest events, up to a limit, in order.
    pub newest: VecDeque<NotedEvent>,
}

/// A call that changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotedEvent {
    /// Its event.
    pub event: BlobId,
    /// Its run.
    pub run: Arc<str>,
    /// The time at which it was recorded.
    pub time: Timestamp,
}

/// One recorded folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Its absolute path, as bytes.
    pub root: Vec<u8>,
    /// The folder at this path at the last look.
    pub folder: Option<FolderIdentity>,
    /// The last other folder at this path before. It may have been moved.
    pub folder_before: Option<FolderIdentity>,
    /// The number of the transaction before the one that gave it this path.
    pub placed_after: u64,
    /// The time at which it was registered.
    pub added: Timestamp,
    /// The last snapshot that was taken or restored.
    pub head: Option<SnapshotId>,
    /// Its snapshots by step, without forgotten snapshots.
    pub steps: BTreeMap<u64, SnapshotId>,
    /// The last step number, which a forgotten snapshot may have.
    pub last_step: u64,
    /// The last snapshot of each run.
    pub runs: BTreeMap<String, SnapshotId>,
    /// Its tags: snapshots by name.
    pub tags: BTreeMap<String, SnapshotId>,
    /// The states of the folder that undo and redo lead to.
    pub timeline: Timeline,
    /// A restore that was begun and not ended.
    pub unfinished: Option<Restore>,
}

/// A workspace that was forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// The workspace at that time.
    pub workspace: Workspace,
    /// The time at which it was forgotten.
    pub time: Timestamp,
}

/// A state that is made of all facts. From the first forgotten snapshot on it has an index of the names of each
/// snapshot, so that forgetting every snapshot takes no longer than other facts.
#[derive(Debug, Default)]
pub(super) struct Fold {
    /// The state so far.
    pub(super) state: State,
    names: Option<Names>,
}

/// The names that snapshots have, or had.
type Names = HashMap<SnapshotId, Vec<SnapshotName>>;

/// A name of a snapshot in a workspace.
#[derive(Debug)]
enum SnapshotName {
    Step(WorkspaceId, u64),
    Run(WorkspaceId, String),
    Tag(WorkspaceId, String),
}

/// The state after these transactions, given in the order of their numbers.
pub(super) fn fold<'f>(transactions: impl IntoIterator<Item = (&'f u64, &'f Vec<Fact>)>) -> State {
    let mut fold = Fold::default();
    transactions.into_iter().for_each(|(sequence, facts)| fold.transaction(*sequence, facts.clone()));
    fold.state
}

impl Fold {
    /// Continues from a state.
    pub(super) fn of(state: State) -> Self {
        Self { state, names: None }
    }

    /// Applies the facts of the next transaction.
    pub(super) fn transaction(&mut self, sequence: u64, facts: Vec<Fact>) {
        facts.into_iter().for_each(|fact| self.apply(fact));
        self.state.sequence = sequence;
    }

    /// Applies one more fact, as [`State::apply`] does.
    fn apply(&mut self, fact: Fact) {
        if let Fact::SnapshotForgotten { snapshot, .. } = &fact {
            return self.forget(*snapshot);
        }
        if let Some(names) = &mut self.names {
            match &fact {
                Fact::SnapshotTaken { workspace, snapshot, step, run, .. } => {
                    let known = names.entry(*snapshot).or_default();
                    known.push(SnapshotName::Step(*workspace, *step));
                    known.extend(run.clone().map(|run| SnapshotName::Run(*workspace, run)));
                }
                Fact::Tagged { workspace, name, snapshot: Some(snapshot), .. } => {
                    names.entry(*snapshot).or_default().push(SnapshotName::Tag(*workspace, name.clone()));
                }
                _ => {}
            }
        }
        self.state.apply(fact);
    }

    fn forget(&mut self, snapshot: SnapshotId) {
        let names = self.names.get_or_insert_with(|| self.state.names());
        let names = names.remove(&snapshot).unwrap_or_default();
        self.state.forget(snapshot, &names);
    }
}

/// A workspace, live or forgotten.
fn live_or_forgotten<'s>(
    workspaces: &'s mut BTreeMap<WorkspaceId, Workspace>,
    forgotten: &'s mut BTreeMap<WorkspaceId, Forgotten>,
    id: WorkspaceId,
) -> Option<&'s mut Workspace> {
    match workspaces.get_mut(&id) {
        Some(found) => Some(found),
        None => forgotten.get_mut(&id).map(|forgotten| &mut forgotten.workspace),
    }
}

/// Adds a key to a set, or removes it.
fn mark<K: Ord>(set: &mut BTreeSet<K>, key: K, is_in: bool) {
    if is_in {
        set.insert(key);
    } else {
        set.remove(&key);
    }
}

/// Removes a name, unless another snapshot has it by now.
fn remove_name<K: Ord>(names: &mut BTreeMap<K, SnapshotId>, name: &K, snapshot: SnapshotId) {
    if names.get(name) == Some(&snapshot) {
        names.remove(name);
    }
}

impl State {
    /// The workspace at this absolute path; of several the one that got the path last.
    pub fn workspace_at(&self, root: &[u8]) -> Option<&Workspace> {
        let here = self.workspaces.values().filter(|workspace| workspace.root == root);
        here.max_by_key(|workspace| (workspace.placed_after, workspace.id))
    }

    /// All workspaces, with those that were forgotten.
    pub fn all_workspaces(&self) -> impl Iterator<Item = &Workspace> + Clone {
        self.workspaces.values().chain(self.forgotten.values().map(|forgotten| &forgotten.workspace))
    }

    /// A workspace, live or forgotten.
    pub fn live_or_forgotten(&self, id: WorkspaceId) -> Option<&Workspace> {
        let forgotten = || self.forgotten.get(&id).map(|forgotten| &forgotten.workspace);
        self.workspaces.get(&id).or_else(forgotten)
    }

    /// The steps of all workspaces.
    pub fn snapshots(&self) -> impl Iterator<Item = (&Workspace, u64, SnapshotId)> {
        self.workspaces
            .values()
            .flat_map(|workspace| workspace.steps.iter().map(move |(step, id)| (workspace, *step, *id)))
    }

    /// All tags: the workspace that each belongs to, its name, the snapshot.
    pub fn tags(&self) -> impl Iterator<Item = (&Workspace, &str, SnapshotId)> {
        self.workspaces
            .values()
            .flat_map(|workspace| workspace.tags.iter().map(move |(name, id)| (workspace, name.as_str(), *id)))
    }

    /// The tags of a snapshot, in all workspaces.
    pub fn tags_of(&self, snapshot: SnapshotId) -> impl Iterator<Item = &str> {
        self.tags().filter(move |(_, _, id)| *id == snapshot).map(|(_, name, _)| name)
    }

    /// Applies one more fact.
    pub fn apply(&mut self, fact: Fact) {
        match fact {
            Fact::WorkspaceAdded { workspace, root, time } => {
                let placed_after = self.sequence;
                let new = || Workspace { placed_after, ..Workspace::new(workspace, root, time) };
                self.workspaces.entry(workspace).or_insert_with(new);
            }
            Fact::WorkspaceMoved { workspace, root, .. } => {
                let placed_after = self.sequence;
                self.update(workspace, |found| (found.root, found.placed_after) = (root, placed_after));
            }
            Fact::FolderSeen { workspace, folder, .. } => self.update(workspace, |found| found.see(folder)),
            Fact::WorkspaceForgotten { workspace, time } => {
                if let Some(workspace) = self.workspaces.remove(&workspace) {
                    self.forgotten.insert(workspace.id, Forgotten { workspace, time });
                }
            }
            Fact::WorkspaceRecalled { workspace, .. } => {
                if let Some(Forgotten { workspace, .. }) = self.forgotten.remove(&workspace) {
                    let placed_after = self.sequence;
                    self.workspaces.entry(workspace.id).or_insert(Workspace { placed_after, ..workspace });
                }
            }
            Fact::SnapshotTaken { workspace, snapshot, step, run, cause } => self.update(workspace, |found| {
                found.steps.insert(step, snapshot);
                found.last_step = found.last_step.max(step);
                if let Some(run) = run {
                    found.runs.insert(run, snapshot);
                }
                found.take(snapshot, cause);
            }),
            Fact::RestoreBegun(restore) => self.update(restore.workspace, |found| found.unfinished = Some(restore)),
            Fact::RestoreEnded { workspace, state, .. } => {
                self.update(workspace, |found| found.end_restore(state));
            }
            Fact::Tagged { workspace, name, snapshot, .. } => {
                if let Some(found) = live_or_forgotten(&mut self.workspaces, &mut self.forgotten, workspace) {
                    match snapshot {
                        Some(snapshot) => drop(found.tags.insert(name, snapshot)),
                        None => drop(found.tags.remove(&name)),
                    }
                }
            }
            Fact::Pinned { snapshot, pinned, .. } => mark(&mut self.pins, snapshot, pinned),
            Fact::SnapshotForgotten { snapshot, .. } => {
                let names = self.names().remove(&snapshot).unwrap_or_default();
                self.forget(snapshot, &names);
            }
            Fact::GenerationBegun { generation, condemned, .. } => {
                if generation > self.generation {
                    (self.generation, self.condemned) = (generation, condemned.into_iter().collect());
                }
            }
            Fact::SnapshotIncomplete { snapshot, incomplete, .. } => mark(&mut self.incomplete, snapshot, incomplete),
            Fact::EventNoted { workspace, snapshot, event, run, time } => {
                if self.workspaces.contains_key(&workspace) {
                    Arc::make_mut(self.noted.entry(snapshot).or_default()).add(event, &run, time);
                }
            }
            Fact::SnapshotLost { prefix, lost, .. } => mark(&mut self.lost, prefix, lost),
        }
    }

    /// The names of all snapshots.
    fn names(&self) -> Names {
        let mut names = Names::new();
        let mut put = |snapshot: &SnapshotId, name| names.entry(*snapshot).or_default().push(name);
        for Workspace { id, steps, runs, tags, .. } in self.all_workspaces() {
            steps.iter().for_each(|(step, snapshot)| put(snapshot, SnapshotName::Step(*id, *step)));
            runs.iter().for_each(|(run, snapshot)| put(snapshot, SnapshotName::Run(*id, run.clone())));
            tags.iter().for_each(|(tag, snapshot)| put(snapshot, SnapshotName::Tag(*id, tag.clone())));
        }
        names
    }

    fn update(&mut self, workspace: WorkspaceId, change: impl FnOnce(&mut Workspace)) {
        if let Some(found) = self.workspaces.get_mut(&workspace) {
            change(found);
        }
    }

    /// Forgets a snapshot that has at most these names.
    fn forget(&mut self, snapshot: SnapshotId, names: &[SnapshotName]) {
        for name in names {
            let (SnapshotName::Step(id, _) | SnapshotName::Run(id, _) | SnapshotName::Tag(id, _)) = name;
            // A workspace that was forgotten and added again under the same id is both.
            let forgotten = self.forgotten.get_mut(id).map(|forgotten| &mut forgotten.workspace);
            for found in self.workspaces.get_mut(id).into_iter().chain(forgotten) {
                match name {
                    SnapshotName::Step(_, step) => remove_name(&mut found.steps, step, snapshot),
                    SnapshotName::Run(_, run) => remove_name(&mut found.runs, run, snapshot),
                    SnapshotName::Tag(_, tag) => remove_name(&mut found.tags, tag, snapshot),
                }
            }
        }
        self.pins.remove(&snapshot);
        self.incomplete.remove(&snapshot);
        self.noted.remove(&snapshot);
    }
}

impl Noted {
    fn add(&mut self, event: BlobId, run: &str, time: Timestamp) {
        self.count += 1;
        let same = self.newest.back().map(|last| &last.run).filter(|last| ***last == *run);
        let run = same.map_or_else(|| run.into(), Arc::clone);
        self.newest.push_back(NotedEvent { event, run, time });
        if self.newest.len() > NOTED_EVENTS_MAX {
            self.newest.pop_front();
        }
    }
}

impl Workspace {
    fn new(id: WorkspaceId, root: Vec<u8>, added: Timestamp) -> Self {
        Self {
            id,
            root,
            folder: None,
            folder_before: None,
            placed_after: 0,
            added,
            head: None,
            steps: BTreeMap::new(),
            last_step: 0,
            runs: BTreeMap::new(),
            tags: BTreeMap::new(),
            timeline: Timeline::default(),
            unfinished: None,
        }
    }

    /// Sets the folder that is at the path now.
    fn see(&mut self, folder: FolderIdentity) {
        let before = self.folder.replace(folder).filter(|before| !before.is_same(&folder));
        self.folder_before = before.or(self.folder_before);
    }

    /// The step of one of its snapshots.
    pub fn step_of(&self, snapshot: SnapshotId) -> Option<u64> {
        self.steps.iter().find(|(_, id)| **id == snapshot).map(|(step, _)| *step)
    }

    /// The state before an unfinished restore; none if there is none, or it was not recorded.
    pub fn before_unfinished(&self) -> Option<SnapshotId> {
        let unfinished = self.unfinished.as_ref()?;
        match unfinished.cause {
            RestoreCause::Abort => Some(unfinished.target),
            RestoreCause::Restore | RestoreCause::Undo { .. } | RestoreCause::Redo { .. } => unfinished.before,
        }
    }

    /// The state of the folder, as far as it is recorded. An import changes the head and not the folder.
    pub fn stands(&self) -> Option<SnapshotId> {
        self.timeline.current().or(self.head)
    }

    /// Makes a new snapshot the head. A snapshot that is taken during an unfinished restore is no state for undo: the
    /// folder is half-way between two states.
    fn take(&mut self, snapshot: SnapshotId, cause: Cause) {
        let before = self.head.replace(snapshot);
        if self.unfinished.is_some() {
            return;
        }
        match cause {
            Cause::Import => return,
            Cause::Step => self.timeline.forget_undone(),
            Cause::BeforeRestore | Cause::AfterRestore => {}
        }
        if self.timeline.current().is_none()
            && let Some(before) = before
        {
            self.timeline.push(Some(before));
        }
        self.timeline.push(Some(snapshot));
    }

    /// Ends the unfinished restore, which has left the folder in `state`.
    fn end_restore(&mut self, state: Option<SnapshotId>) {
        let Some(restore) = self.unfinished.take() else { return };
        self.head = state.or(self.head);
        match restore.cause {
            RestoreCause::Restore => {
                self.timeline.forget_undone();
                if state.is_some() {
                    self.timeline.push(restore.before);
                    self.timeline.push(state);
                }
            }
            RestoreCause::Undo { count } => self.timeline.go_back(count, restore.before, state),
            RestoreCause::Redo { count } => self.timeline.go_again(count, restore.before, state),
            RestoreCause::Abort if restore.paths.is_empty() => {
                state.into_iter().for_each(|state| self.timeline.correct(state));
            }
            RestoreCause::Abort => self.timeline.push(state.or(self.timeline.current())),
        }
    }
}

#[cfg(test)]
mod tests;
