//! The results of facts: undo and redo, forgotten workspaces, events, and all facts at once.

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

/// J5: a state that was not recorded has its place. A snapshot that is taken during an unfinished restore has none.
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

/// J9: a forgotten workspace keeps its contents, takes tags, and comes back unchanged.
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

/// G1.
#[test]
fn only_a_higher_generation_counts_and_names_other_packs() {
    let mut state = State::default();
    let mut begin = |generation, packs: &[u8]| {
        let condemned = packs.iter().map(|pack| [*pack; 16]).collect();
        state.apply(Fact::GenerationBegun { generation, condemned, time: Timestamp(0) });
        (state.generation, state.condemned.iter().map(|nonce| nonce[0]).collect::<Vec<u8>>())
    };
    assert_eq!(begin(0, &[9]), (0, vec![]));
    assert_eq!(begin(2, &[1, 2]), (2, vec![1, 2]));
    assert_eq!(begin(2, &[3]), (2, vec![1, 2]));
    assert_eq!(begin(1, &[]), (2, vec![1, 2]));
    assert_eq!(begin(5, &[4]), (5, vec![4]));
}
