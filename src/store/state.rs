//! The state of a store: the fold of all facts, in order.
//!
//! Which workspaces there are and where, their snapshots and heads, tags, pins, and what can be undone. Facts are never
//! changed or removed by new ones; later facts win. A fact about something unknown (its pack was lost) is passed over,
//! so that damage to one thing never hides another.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::timeline::Timeline;
use crate::format::facts::{Fact, FolderIdentity, Restore, RestoreCause};
use crate::format::snapshot::Cause;
use crate::id::{BlobId, SnapshotId, WorkspaceId};
use crate::limits::NOTED_EVENTS_MAX;
use crate::time::Timestamp;

/// What is true after all facts so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Position of the last transaction, from 1; 0 in an empty store.
    pub sequence: u64,
    /// The generation of the store: it is raised before packs are removed. A stat cache of another one is not believed.
    pub generation: u64,
    /// Packs that are about to be removed, by nonce. Their objects count as absent where a writer looks for one.
    pub condemned: BTreeSet<[u8; 16]>,
    /// Workspaces by id, without forgotten ones.
    pub workspaces: BTreeMap<WorkspaceId, Workspace>,
    /// Workspaces that were forgotten and can be recalled.
    pub forgotten: BTreeMap<WorkspaceId, Forgotten>,
    /// Snapshots that gc must keep.
    pub pins: BTreeSet<SnapshotId>,
    /// Snapshots that a repair found to lack something.
    pub incomplete: BTreeSet<SnapshotId>,
    /// Snapshots that a repair gave up without knowing whose they were, by the first half of their ids.
    pub lost: BTreeSet<[u8; 16]>,
    /// Events of calls that changed nothing, by the snapshot that they followed. A state is copied at each transaction,
    /// and most calls change nothing: copies share the lists.
    pub noted: BTreeMap<SnapshotId, Arc<Noted>>,
}

/// Calls that followed a snapshot and changed nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// How many there were.
    pub count: u64,
    /// The newest of them, up to a limit, in order.
    pub newest: VecDeque<NotedEvent>,
}

/// A call that changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotedEvent {
    /// Its event.
    pub event: BlobId,
    /// Its run.
    pub run: Arc<str>,
    /// When it was noted.
    pub time: Timestamp,
}

/// One recorded folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// Its name in the store.
    pub id: WorkspaceId,
    /// Its absolute path, as bytes.
    pub root: Vec<u8>,
    /// The folder that was there when it was last looked at.
    pub folder: Option<FolderIdentity>,
    /// The last folder that was there before, and was another one. It may have been moved away.
    pub folder_before: Option<FolderIdentity>,
    /// Position of the transaction before the one that put it there.
    pub placed_after: u64,
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
    /// The workspace as it was.
    pub workspace: Workspace,
    /// When it was forgotten.
    pub time: Timestamp,
}

/// A state in the making, of all facts there are. From the first fact on that forgets a snapshot it remembers where
/// each has a place, so that as many such facts as there are snapshots take no longer than any others.
#[derive(Debug, Default)]
pub(super) struct Fold {
    /// What is true so far.
    pub(super) state: State,
    places: Option<HashMap<SnapshotId, Vec<Place>>>,
}

/// Where a snapshot has, or had, a place.
#[derive(Debug)]
enum Place {
    Step(WorkspaceId, u64),
    Run(WorkspaceId, String),
    Tag(WorkspaceId, String),
}

/// The state that these transactions come to, given in the order of their sequences.
pub(super) fn fold<'f>(transactions: impl IntoIterator<Item = (&'f u64, &'f Vec<Fact>)>) -> State {
    let mut fold = Fold::default();
    transactions.into_iter().for_each(|(sequence, facts)| fold.transaction(*sequence, facts.clone()));
    fold.state
}

impl Fold {
    /// Takes in the facts of the transaction that comes next.
    pub(super) fn transaction(&mut self, sequence: u64, facts: Vec<Fact>) {
        facts.into_iter().for_each(|fact| self.apply(fact));
        self.state.sequence = sequence;
    }

    /// Takes in one more fact, as [`State::apply`] does.
    fn apply(&mut self, fact: Fact) {
        if let Fact::SnapshotForgotten { snapshot, .. } = &fact {
            return self.forget(*snapshot);
        }
        if let Some(places) = &mut self.places {
            match &fact {
                Fact::SnapshotTaken { workspace, snapshot, step, run, .. } => {
                    let known = places.entry(*snapshot).or_default();
                    known.push(Place::Step(*workspace, *step));
                    known.extend(run.clone().map(|run| Place::Run(*workspace, run)));
                }
                Fact::Tagged { workspace, name, snapshot: Some(snapshot), .. } => {
                    places.entry(*snapshot).or_default().push(Place::Tag(*workspace, name.clone()));
                }
                _ => {}
            }
        }
        self.state.apply(fact);
    }

    /// As [`State::forget`]. Another snapshot may have taken a place since.
    fn forget(&mut self, snapshot: SnapshotId) {
        let places = self.places.get_or_insert_with(|| self.state.places());
        let State { workspaces, forgotten, pins, incomplete, noted, .. } = &mut self.state;
        for place in places.remove(&snapshot).unwrap_or_default() {
            let (Place::Step(workspace, _) | Place::Run(workspace, _) | Place::Tag(workspace, _)) = &place;
            // One that was forgotten and added again under the same id is both.
            let aside = forgotten.get_mut(workspace).map(|forgotten| &mut forgotten.workspace);
            for found in workspaces.get_mut(workspace).into_iter().chain(aside) {
                match &place {
                    Place::Step(_, step) => take_place(&mut found.steps, step, snapshot),
                    Place::Run(_, run) => take_place(&mut found.runs, run, snapshot),
                    Place::Tag(_, tag) => take_place(&mut found.tags, tag, snapshot),
                }
            }
        }
        pins.remove(&snapshot);
        incomplete.remove(&snapshot);
        noted.remove(&snapshot);
    }
}

/// A workspace, also one that was forgotten.
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

/// Puts a key into a set, or takes it out.
fn mark<K: Ord>(set: &mut BTreeSet<K>, key: K, is_in: bool) {
    if is_in {
        set.insert(key);
    } else {
        set.remove(&key);
    }
}

fn take_place<K: Ord>(places: &mut BTreeMap<K, SnapshotId>, at: &K, snapshot: SnapshotId) {
    if places.get(at) == Some(&snapshot) {
        places.remove(at);
    }
}

impl State {
    /// The workspace at this absolute path; of several the one that was put there last.
    pub fn workspace_at(&self, root: &[u8]) -> Option<&Workspace> {
        let here = self.workspaces.values().filter(|workspace| workspace.root == root);
        here.max_by_key(|workspace| (workspace.placed_after, workspace.id))
    }

    /// All snapshots that have a place in a workspace's history.
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

    /// Names of a snapshot, in whatever workspaces.
    pub fn tags_of(&self, snapshot: SnapshotId) -> impl Iterator<Item = &str> {
        self.tags().filter(move |(_, _, id)| *id == snapshot).map(|(_, name, _)| name)
    }

    /// Takes in one more fact.
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
            Fact::SnapshotForgotten { snapshot, .. } => self.forget(snapshot),
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

    fn places(&self) -> HashMap<SnapshotId, Vec<Place>> {
        let mut places: HashMap<SnapshotId, Vec<Place>> = HashMap::new();
        let mut put = |snapshot: SnapshotId, place| places.entry(snapshot).or_default().push(place);
        let aside = self.forgotten.values().map(|forgotten| &forgotten.workspace);
        for workspace in self.workspaces.values().chain(aside) {
            let id = &workspace.id;
            workspace.steps.iter().for_each(|(step, snapshot)| put(*snapshot, Place::Step(*id, *step)));
            workspace.runs.iter().for_each(|(run, snapshot)| put(*snapshot, Place::Run(*id, run.clone())));
            workspace.tags.iter().for_each(|(tag, snapshot)| put(*snapshot, Place::Tag(*id, tag.clone())));
        }
        places
    }

    fn update(&mut self, workspace: WorkspaceId, change: impl FnOnce(&mut Workspace)) {
        if let Some(found) = self.workspaces.get_mut(&workspace) {
            change(found);
        }
    }

    fn forget(&mut self, snapshot: SnapshotId) {
        let aside = self.forgotten.values_mut().map(|forgotten| &mut forgotten.workspace);
        for workspace in self.workspaces.values_mut().chain(aside) {
            workspace.steps.retain(|_, id| *id != snapshot);
            workspace.runs.retain(|_, id| *id != snapshot);
            workspace.tags.retain(|_, id| *id != snapshot);
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

    /// The folder that is there now.
    fn see(&mut self, folder: FolderIdentity) {
        let before = self.folder.replace(folder).filter(|before| !before.is_same(&folder));
        self.folder_before = before.or(self.folder_before);
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
            RestoreCause::Restore | RestoreCause::Undo { .. } | RestoreCause::Redo { .. } => unfinished.before,
        }
    }

    /// The state that the folder is in as far as it is recorded. An import moves the head, and leaves the folder.
    pub fn stands(&self) -> Option<SnapshotId> {
        self.timeline.current().or(self.head)
    }

    /// A snapshot was taken: it is the head. What is taken while a restore is unfinished is a step, and no state to go
    /// back to: the folder is half-way between two.
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

    /// Ends the unfinished restore, which left the folder in `state`.
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
