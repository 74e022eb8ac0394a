//! Repairs that are interrupted: whatever was done of one, the next one finishes it, and nothing that the first would
//! have kept is lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use retrograde::disk::memory::{Fault, FaultKind, MemoryDisk};
use retrograde::disk::{Disk, Source, read_all};
use retrograde::error::Result;
use retrograde::format::facts::Fact;
use retrograde::format::pack::ObjectKind;
use retrograde::format::snapshot::{self, Cause, Snapshot, snapshot_id};
use retrograde::id::{Digest, SnapshotId, WorkspaceId};
use retrograde::limits::INDEX_BEHIND_MAX_BYTES;
use retrograde::ops::check::repair::{RepairOptions, RepairOutcome, repair};
use retrograde::ops::check::verify::{Finding, Level};
use retrograde::progress::Silent;
use retrograde::store::{NewObject, State, Store, for_each_object};
use retrograde::time::Timestamp;

use super::harness::{content, level, tag, transact, verify_on};
use super::moments::Moments;
use super::step;
use crate::support::depth::{AtLeast, pick, turns};
use crate::support::rng::noise;
use crate::support::snapshot::plain_snapshot;

/// The contents of a store: its state, and its objects.
type Kept = (State, BTreeMap<(ObjectKind, [u8; 16]), Vec<u8>>);

#[test]
fn correcting_a_flipped_bit() {
    try_repair("correcting a flipped bit", AtLeast::new(130, 350), |disk| flip(disk, "packs/000001.pack", 900));
}

#[test]
fn writing_a_pack_anew() {
    try_repair("writing a pack anew", AtLeast::new(600, 3_400), |disk| {
        overwrite(disk, "packs/000001.pack", 400, &[0; 700])
    });
}

#[test]
fn writing_a_pack_anew_without_caches() {
    try_repair("writing a pack anew without caches", AtLeast::new(590, 3_400), |disk| {
        overwrite(disk, "packs/000001.pack", 400, &[0; 700]);
        disk.remove("journal").unwrap();
        disk.remove("packs/000001.idx").unwrap();
    });
}

#[test]
fn quarantining_a_file_of_another_store() {
    try_repair("quarantining a file", AtLeast::new(110, 300), |disk| {
        let other = MemoryDisk::new(2);
        let store = Store::open_or_create(Arc::new(other.clone())).unwrap();
        transact(&store, vec![content(b"theirs", None)], vec![tag(1)]).unwrap();
        disk.write("packs/000002.pack", 0, &read_all(&other, "packs/000001.pack").unwrap()).unwrap();
    });
}

#[test]
fn writing_format_and_facts_again() {
    try_repair("writing FORMAT and facts again", AtLeast::new(390, 1_700), |disk| {
        disk.remove("FORMAT").unwrap();
        let length = read_all(disk, "packs/000001.pack").unwrap().len() as u64;
        disk.truncate("packs/000001.pack", length - 500).unwrap();
    });
}

/// A second pack tells another history: the snapshot of its conflicting transaction gets a tag, in a workspace that is
/// added for it, and one that cannot be read is recorded as lost.
#[test]
fn naming_snapshots_of_conflicting_transactions() {
    try_repair("naming snapshots of conflicting transactions", AtLeast::new(280, 1_100), |disk| {
        let other = disk.killed_after(disk.change_count());
        let store = Store::open(Arc::new(other.clone())).unwrap();
        let bytes = snapshot::encode(&theirs());
        let (workspace, time) = (theirs().workspace, Timestamp(0));
        let there = snapshot_id(&bytes);
        let object = NewObject { kind: ObjectKind::Snapshot, id: there.0, bytes, previous: None };
        let mut facts = vec![Fact::WorkspaceAdded { workspace, root: b"/w".to_vec(), time }];
        for (step, snapshot) in (1..).zip([there, SnapshotId(Digest::of(b"lost"))]) {
            facts.push(Fact::SnapshotTaken { workspace, snapshot, step, run: None, cause: Cause::Step });
        }
        transact(&store, vec![object], facts).unwrap();
        drop(store);
        let store = Store::open(Arc::new(disk.clone())).unwrap();
        transact(&store, vec![content(b"ours", None)], vec![tag(101)]).unwrap();
        disk.write("packs/000002.pack", 0, &read_all(&other, "packs/000001.pack").unwrap()).unwrap();
    });
}

fn theirs() -> Snapshot {
    plain_snapshot(WorkspaceId([4; 16]))
}

/// The index still knows half of the id of a snapshot whose record and transaction are gone.
#[test]
fn recording_snapshots_as_lost() {
    try_repair("recording snapshots as lost", AtLeast::new(360, 1_500), |disk| {
        let store = Store::open(Arc::new(disk.clone())).unwrap();
        let from = read_all(disk, "packs/000001.pack").unwrap().len();
        let long = noise(9, usize::try_from(INDEX_BEHIND_MAX_BYTES).unwrap());
        transact(&store, vec![lost_snapshot(), content(&long, None)], vec![tag(102)]).unwrap();
        let length = read_all(disk, "packs/000001.pack").unwrap().len();
        overwrite(disk, "packs/000001.pack", from, &vec![0; length - from]);
        disk.remove("journal").unwrap();
    });
}

/// A step was taken twice, and neither snapshot can be read: the first is recorded as lost.
#[test]
fn recording_unnamed_snapshots_that_are_lost() {
    try_repair("recording unnamed snapshots", AtLeast::new(280, 1_100), |disk| {
        let store = Store::open(Arc::new(disk.clone())).unwrap();
        let (workspace, time) = (WorkspaceId([3; 16]), Timestamp(0));
        let added = Fact::WorkspaceAdded { workspace, root: b"/w".to_vec(), time };
        transact(&store, Vec::new(), vec![added]).unwrap();
        for number in 1..=2_u8 {
            let (snapshot, run) = (SnapshotId(Digest::of(&[number])), Some("main".to_owned()));
            let taken = Fact::SnapshotTaken { workspace, snapshot, step: 1, run, cause: Cause::Step };
            transact(&store, Vec::new(), vec![taken]).unwrap();
        }
    });
}

fn lost_snapshot() -> NewObject {
    let bytes = b"a snapshot that nobody will read".to_vec();
    NewObject { kind: ObjectKind::Snapshot, id: Digest::of(&bytes), bytes, previous: None }
}

pub(super) fn flip(disk: &MemoryDisk, name: &str, at: usize) {
    let bytes = read_all(disk, name).unwrap();
    overwrite(disk, name, at, &[bytes[at] ^ 4]);
}

pub(super) fn overwrite(disk: &MemoryDisk, name: &str, at: usize, bytes: &[u8]) {
    disk.write(name, at as u64, bytes).unwrap();
}

/// A store of eight transactions, damaged afterwards; all durable.
pub(super) fn prepare(inflict: impl Fn(&MemoryDisk)) -> MemoryDisk {
    let prepared = MemoryDisk::new(1);
    let store = Store::open_or_create(Arc::new(prepared.clone())).unwrap();
    for number in 0..4 {
        transact(&store, step(number), vec![tag(number)]).unwrap();
        transact(&store, vec![content(&noise(number + 50, 400), None)], vec![tag(number + 10)]).unwrap();
    }
    drop(store);
    inflict(&prepared);
    prepared.settle();
    prepared
}

/// Interrupts a repair after every change, and half-way through every write, and lets every call fail. It also
/// keeps facts that were in no intact transaction (R4).
fn try_repair(name: &str, states_min: AtLeast, inflict: impl Fn(&MemoryDisk)) {
    let prepared = prepare(inflict);
    let finished = prepared.killed_after(0);
    let outcome = run(&finished).unwrap();
    assert!(!outcome.actions.is_empty() && damage(&finished, Level::Full).is_empty(), "{name}: {outcome:?}");
    let wanted = kept(&finished);
    let (mut count, mut moments) = (0, Moments::default());
    let mut go_on = |disk: &MemoryDisk, what: &dyn Fn() -> String| {
        run(disk).unwrap_or_else(|error| panic!("{name}: {}: {error}", what()));
        let findings = damage(disk, level(count));
        assert!(findings.is_empty(), "{name}: {}: {findings:?}", what());
        let found = kept(disk);
        assert!(found.0 == wanted.0, "{name}: {}: another state", what());
        let lost = wanted.1.iter().find(|(key, bytes)| found.1.get(*key) != Some(*bytes));
        assert!(lost.is_none(), "{name}: {}: lost {:?}", what(), lost.map(|(key, _)| key));
        assert!(disk.list("tmp").unwrap().len() <= 1, "{name}: {}: strays", what());
        let again = run(disk).unwrap();
        assert!(again.actions.is_empty(), "{name}: {}: again {:?}", what(), again.actions);
        count += 1;
    };
    for changes in 0..=finished.change_count() {
        for loss in moments.power_losses(&finished, changes, pick(4, 12)) {
            let before = finished.describe_change(changes);
            go_on(&loss.disk, &|| format!("power loss before {before}: {}", loss.lost));
        }
        for disk in [Some(finished.killed_after(changes)), finished.killed_during(changes)].into_iter().flatten() {
            go_on(&disk, &|| format!("kill before {}", finished.describe_change(changes)));
        }
    }
    let kinds = [FaultKind::Io, FaultKind::NoSpace, FaultKind::ShortWrite];
    for (turn, kind) in kinds.into_iter().enumerate() {
        for at_call in turns(turn, kinds.len()) {
            let disk = prepared.killed_after(0);
            let fault = Fault { at_call, kind, is_lasting: false };
            disk.set_fault(Some(fault));
            let done = run(&disk);
            if disk.call_count() <= at_call {
                break;
            }
            let struck = disk.strike_count() > 0;
            disk.set_fault(None);
            if let Err(error) = &done {
                assert!(error.to_string().contains("/memory"), "{name}: {fault:?}: {error:?}");
            }
            if struck {
                go_on(&disk, &|| format!("{fault:?}"));
            }
        }
    }
    states_min.require(&format!("{name}: {moments}"), count);
}

/// Findings that a repair should not leave: all but what it gave up and marked.
fn damage(disk: &MemoryDisk, level: Level) -> Vec<Finding> {
    verify_on(disk, level).unwrap().into_iter().filter(|finding| !finding.is_marked).collect()
}

pub(super) fn run(disk: &MemoryDisk) -> Result<RepairOutcome> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    repair(&shared, &RepairOptions { dry_run: None, now: Timestamp(9), progress: &Silent })
}

fn kept(disk: &MemoryDisk) -> Kept {
    let store = Store::open(Arc::new(disk.clone())).unwrap();
    let mut names = Vec::new();
    for_each_object(&store.reader(), |object| names.push((object.kind, object.prefix))).unwrap();
    let objects = names.into_iter().map(|key| (key, store.object_with(key.0, key.1).unwrap().1.to_vec()));
    let mut state = (*store.state()).clone();
    // A repair lists these snapshots only because the tests name snapshots that never existed.
    state.incomplete.clear();
    state.sequence = 0;
    (state, objects.collect())
}
