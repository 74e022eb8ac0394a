//! The state of a store: the fold of all facts, in order.
//!
//! Which workspaces there are and where, their snapshots and heads, tags, pins, and what can be undone. Facts are never
//! changed or removed by new ones; later facts win. A fact about something unknown (its pack was lost) is passed over,
//! so that damage to one thing never hides another.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::timeline::Timeline;
use crate::format::facts::{Fact, Restore, RestoreCause};
use crate::format::snapshot::Cause;
use crate::id::{BlobId, SnapshotId, WorkspaceId};
use crate::limits::NOTED_EVENTS_MAX;
use crate::time::Timestamp;

/// What is true after all facts so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Position of the last commit, from 1; 0 in an empty store.
    pub sequence: u64,
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
    /// Position of the commit before the one that put it there.
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

/// A state in the making, of all facts there are. From the first fact on that forgets a snapshot it remembers where each
/// has a place, so that as many such facts as there are snapshots take no longer than any others.
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

impl Fold {
    /// Takes in one more fact, as [`State::apply`] does.
    pub(super) fn apply(&mut self, fact: Fact) {
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
            let Some(found) = live_or_forgotten(workspaces, forgotten, *workspace) else { continue };
            match place {
                Place::Step(_, step) => take_place(&mut found.steps, &step, snapshot),
                Place::Run(_, run) => take_place(&mut found.runs, &run, snapshot),
                Place::Tag(_, tag) => take_place(&mut found.tags, &tag, snapshot),
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
            Fact::EventNoted { workspace, snapshot, event, run, time } => {
                if self.workspaces.contains_key(&workspace) {
                    Arc::make_mut(self.noted.entry(snapshot).or_default()).add(event, &run, time);
                }
            }
            Fact::SnapshotLost { prefix, lost, .. } => {
                if lost {
                    self.lost.insert(prefix);
                } else {
                    self.lost.remove(&prefix);
                }
            }
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
mod tests {
    use super::{Fold, NOTED_EVENTS_MAX, State};
    use crate::format::facts::{Fact, Restore, RestoreCause};
    use crate::format::snapshot::Cause;
    use crate::id::{BlobId, Digest, SnapshotId, WorkspaceId};
    use crate::time::Timestamp;

    const WORKSPACE: WorkspaceId = WorkspaceId([1; 16]);

    fn snapshot(number: u8) -> SnapshotId {
        SnapshotId(Digest::of(&[number]))
    }

    fn restore(state: &mut State, cause: RestoreCause, target: u8) {
        let (workspace, time) = (WORKSPACE, Timestamp(0));
        let before = state.workspaces[&WORKSPACE].head;
        let target = snapshot(target);
        let begun = Restore { workspace, before, target, paths: Vec::new(), cause, time };
        state.apply(Fact::RestoreBegun(begun));
        state.apply(Fact::RestoreEnded { workspace, state: Some(target), time });
    }

    fn added() -> State {
        let mut state = State::default();
        state.apply(Fact::WorkspaceAdded { workspace: WORKSPACE, root: b"/w".to_vec(), time: Timestamp(0) });
        state
    }

    fn take(state: &mut State, number: u8, cause: Cause) {
        let step = state.workspaces[&WORKSPACE].last_step + 1;
        let (workspace, snapshot) = (WORKSPACE, snapshot(number));
        state.apply(Fact::SnapshotTaken { workspace, snapshot, step, run: None, cause });
    }

    /// The states that undo leads back over, the current one first, and those that redo leads to.
    fn around(state: &State) -> (Vec<Option<u8>>, Vec<u8>) {
        let number = |id: SnapshotId| (0..=u8::MAX).find(|number| snapshot(*number) == id).unwrap();
        let timeline = &state.workspaces[&WORKSPACE].timeline;
        (timeline.backwards().map(|state| state.map(number)).collect(), timeline.undone().map(number).collect())
    }

    #[track_caller]
    fn expect(state: &State, back: &[u8], again: &[u8]) {
        let back: Vec<Option<u8>> = back.iter().map(|number| Some(*number)).collect();
        assert_eq!(around(state), (back, again.to_vec()));
        let found = &state.workspaces[&WORKSPACE];
        assert_eq!((&found.unfinished, found.before_unfinished()), (&None, None));
        assert_eq!(found.stands(), found.head);
    }

    const fn undo(count: u64) -> RestoreCause {
        RestoreCause::Undo { count }
    }

    const fn redo(count: u64) -> RestoreCause {
        RestoreCause::Redo { count }
    }

    /// J5.
    #[test]
    fn what_can_be_undone_and_redone_follows_from_causes() {
        let mut state = added();
        (1..=3).for_each(|number| take(&mut state, number, Cause::Step));
        expect(&state, &[3, 2, 1], &[]);
        restore(&mut state, RestoreCause::Restore, 1);
        expect(&state, &[1, 3, 2, 1], &[]);
        restore(&mut state, RestoreCause::Abort, 1);
        expect(&state, &[1, 3, 2, 1], &[]);
        restore(&mut state, undo(1), 3);
        restore(&mut state, undo(2), 1);
        expect(&state, &[1], &[3, 1]);
        restore(&mut state, redo(1), 3);
        expect(&state, &[3, 2, 1], &[1]);
        restore(&mut state, undo(2), 1);
        restore(&mut state, redo(2), 1);
        expect(&state, &[1, 3, 2, 1], &[]);
        restore(&mut state, undo(1), 3);
        take(&mut state, 4, Cause::Step);
        expect(&state, &[4, 3, 2, 1], &[]);
    }

    /// J5: edits that an undo or a redo finds do not take the redos away.
    #[test]
    fn edits_found_by_an_undo_or_redo_are_one_more_state() {
        let mut state = added();
        (1..=3).for_each(|number| take(&mut state, number, Cause::Step));
        restore(&mut state, undo(1), 2);
        take(&mut state, 4, Cause::BeforeRestore);
        restore(&mut state, undo(1), 2);
        expect(&state, &[2, 1], &[4, 3]);
        take(&mut state, 5, Cause::BeforeRestore);
        restore(&mut state, redo(1), 4);
        expect(&state, &[4, 5, 2, 1], &[3]);
        restore(&mut state, redo(1), 3);
        expect(&state, &[3, 4, 5, 2, 1], &[]);
    }

    /// J5: a state that was not recorded has its place, and what is taken while a restore is unfinished has none.
    #[test]
    fn unrecorded_and_half_way_states() {
        let mut state = added();
        (1..=2).for_each(|number| take(&mut state, number, Cause::Step));
        let (workspace, time) = (WORKSPACE, Timestamp(0));
        let begin = |before: Option<u8>, target: u8| {
            let (before, target) = (before.map(snapshot), snapshot(target));
            let cause = RestoreCause::Restore;
            Fact::RestoreBegun(Restore { workspace, before, target, paths: Vec::new(), cause, time })
        };
        state.apply(begin(None, 1));
        state.apply(Fact::RestoreEnded { workspace, state: Some(snapshot(1)), time });
        assert_eq!(around(&state), (vec![Some(1), None, Some(2), Some(1)], vec![]));
        state.apply(begin(Some(1), 2));
        take(&mut state, 5, Cause::Step);
        assert_eq!(state.workspaces[&WORKSPACE].head, Some(snapshot(5)));
        restore(&mut state, RestoreCause::Abort, 1);
        assert_eq!(around(&state), (vec![Some(1), None, Some(2), Some(1)], vec![]));
        state.apply(begin(None, 2));
        state.apply(Fact::RestoreEnded { workspace, state: None, time });
        assert_eq!(around(&state).0[0], Some(1), "some paths were restored, which nobody recorded");
    }

    /// An import moves the head and not the folder; the next step comes after what the folder was.
    #[test]
    fn imports_are_no_states_of_the_folder() {
        let mut state = added();
        take(&mut state, 1, Cause::Import);
        take(&mut state, 2, Cause::Import);
        let stands = |state: &State| state.workspaces[&WORKSPACE].stands();
        assert_eq!((around(&state), stands(&state)), ((vec![], vec![]), Some(snapshot(2))));
        take(&mut state, 3, Cause::Step);
        expect(&state, &[3, 2], &[]);
        take(&mut state, 4, Cause::Import);
        assert_eq!((around(&state).0, stands(&state)), (vec![Some(3), Some(2)], Some(snapshot(3))));
    }

    /// J9: what is put aside keeps all it has, takes in tags, and comes back as it was.
    #[test]
    fn a_forgotten_workspace_comes_back_as_it_was() {
        let mut state = added();
        let (workspace, time) = (WORKSPACE, Timestamp(0));
        (1..=3).for_each(|number| take(&mut state, number, Cause::Step));
        restore(&mut state, undo(1), 2);
        let tagged = |name: &str, number| {
            let (name, snapshot) = (name.to_owned(), Some(snapshot(number)));
            Fact::Tagged { workspace, name, snapshot, time }
        };
        state.apply(tagged("one", 1));
        let before = state.workspaces[&WORKSPACE].clone();
        state.apply(Fact::WorkspaceForgotten { workspace, time });
        assert!(state.workspaces.is_empty() && state.tags().next().is_none());
        let (run, cause) = (None, Cause::Step);
        state.apply(Fact::SnapshotTaken { workspace, snapshot: snapshot(4), step: 4, run, cause });
        state.apply(tagged("two", 2));
        state.apply(Fact::SnapshotForgotten { snapshot: snapshot(1), time });
        state.sequence = 7;
        state.apply(Fact::WorkspaceRecalled { workspace, time });
        let found = &state.workspaces[&WORKSPACE];
        assert_eq!((found.head, &found.timeline, found.placed_after), (before.head, &before.timeline, 7));
        assert_eq!(found.steps.keys().copied().collect::<Vec<_>>(), [2, 3]);
        assert_eq!(found.tags.keys().map(String::as_str).collect::<Vec<_>>(), ["two"]);
        assert!(state.forgotten.is_empty());
    }

    /// Any history of facts keeps the fold in bounds.
    #[test]
    fn senseless_histories_do_no_harm() {
        let mut state = added();
        for round in 0..200_u8 {
            let cause = match round % 5 {
                0 => undo(u64::MAX),
                1 => redo(u64::MAX),
                2 => redo(0),
                3 => undo(0),
                _ => RestoreCause::Restore,
            };
            if round % 3 == 0 {
                take(
                    &mut state,
                    round,
                    [Cause::Step, Cause::BeforeRestore, Cause::AfterRestore][usize::from(round % 7) % 3],
                );
            }
            restore(&mut state, cause, round.wrapping_mul(7));
            assert!(around(&state).0.len() <= 2 * usize::from(round) + 3);
        }
    }

    /// Facts about few things, so that they meet: the same ones for the same seed.
    fn facts(seed: u64) -> Vec<Fact> {
        let mut random = vec![0; 4_000];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut random);
        let time = Timestamp(0);
        let fact = |bytes: &[u8]| {
            let workspace = WorkspaceId([bytes[1] % 2; 16]);
            let snapshot = SnapshotId(Digest::of(&[bytes[2] % 5]));
            let name = (bytes[3] % 3).to_string();
            match bytes[0] % 11 {
                0 => Fact::WorkspaceAdded { workspace, root: b"/w".to_vec(), time },
                1 if bytes[3].is_multiple_of(8) => Fact::WorkspaceForgotten { workspace, time },
                1 => Fact::WorkspaceRecalled { workspace, time },
                2 => Fact::Tagged { workspace, name, snapshot: (bytes[1] > 50).then_some(snapshot), time },
                3 => Fact::Pinned { snapshot, pinned: bytes[1] > 50, time },
                4 | 5 => Fact::SnapshotForgotten { snapshot, time },
                6 => Fact::EventNoted { workspace, snapshot, event: BlobId(snapshot.0), run: name, time },
                _ => {
                    let (step, run, cause) = (u64::from(bytes[3] % 6), Some(name), Cause::Step);
                    Fact::SnapshotTaken { workspace, snapshot, step, run, cause }
                }
            }
        };
        random.chunks_exact(4).map(fact).collect()
    }

    /// J8.
    #[test]
    fn of_calls_that_changed_nothing_the_newest_are_kept() {
        let mut state = State::default();
        let noted = |number: u64| Fact::EventNoted {
            workspace: WORKSPACE,
            snapshot: snapshot(1),
            event: BlobId(Digest::of(&number.to_le_bytes())),
            run: "main".to_owned(),
            time: Timestamp(0),
        };
        state.apply(noted(0));
        assert!(state.noted.is_empty(), "the workspace is unknown");
        state.apply(Fact::WorkspaceAdded { workspace: WORKSPACE, root: b"/w".to_vec(), time: Timestamp(0) });
        let most = NOTED_EVENTS_MAX as u64;
        (0..=most).for_each(|number| state.apply(noted(number)));
        let found = &state.noted[&snapshot(1)];
        assert_eq!((found.count, found.newest.len()), (most + 1, NOTED_EVENTS_MAX));
        assert_eq!(found.newest.front().map(|first| first.event), Some(BlobId(Digest::of(&1_u64.to_le_bytes()))));
        state.apply(Fact::SnapshotForgotten { snapshot: snapshot(1), time: Timestamp(0) });
        assert!(state.noted.is_empty());
    }

    #[test]
    fn all_facts_at_once_come_to_the_same_as_one_by_one() {
        let mut workspaces = 0;
        for seed in 0..50 {
            let (mut state, mut fold) = (State::default(), Fold::default());
            for fact in facts(seed) {
                state.apply(fact.clone());
                fold.apply(fact);
                assert_eq!(fold.state, state);
            }
            workspaces += state.workspaces.len();
        }
        assert!(workspaces > 20);
    }
}
