//! Every crash of everything a store does (W1 to W4 in store-format.md).
//!
//! One scenario is one function here; `harness` interrupts it after every change, with every legal loss, and with every
//! call failing. A new operation gets a scenario by doing its work in a [`Session::act`], one act for each transaction.
//!
//! P5, W1, W2, W8 of store-format.md are tried here at every call.

mod crossing;
mod harness;
mod moments;
mod operations;
mod repair;
mod repair_rules;
mod shape;

use std::sync::Arc;

use harness::{ALL_FAULTS, FEW_FAULTS, Scenario, Session, content, interrupt, tag, transact};
use retrograde::disk::memory::{Fault, FaultKind, MemoryDisk};
use retrograde::disk::{Disk, read_all};
use retrograde::error::Result;
use retrograde::format::index::{
    INDEX_ENTRY_LENGTH_BYTES, INDEX_HEADER_LENGTH_BYTES, decode_header, entries_are_intact,
};
use retrograde::format::pack::ObjectKind;
use retrograde::format::tree::{self, Entry, EntryKind};
use retrograde::id::Digest;
use retrograde::limits::{
    BATCH_INLINE_MAX_BYTES, INDEX_BEHIND_MAX_BYTES, INDEX_TAIL_ENTRIES_MAX, PACK_SEAL_ABOVE_BYTES,
};
use retrograde::store::{Final, NewObject, Store};

use crate::support::depth::AtLeast;
use crate::support::rng::noise;

const SMALL: Scenario = Scenario {
    name: "",
    prepare: two_transactions,
    run: |_| Ok(()),
    states_per_change_max: (40, 300),
    states_min: AtLeast::new(0, 0),
    faults: ALL_FAULTS,
};

#[test]
fn creating_a_store() {
    try_all(&Scenario {
        name: "creating a store",
        prepare: |_| Ok(()),
        run: |session| {
            session.open()?;
            session.act(|store| transact(store, vec![content(b"one", None)], vec![tag(1)]))
        },
        states_min: AtLeast::new(1_000, 4_900),
        ..SMALL
    });
}

#[test]
fn the_first_transaction_makes_pack_index_and_journal() {
    try_all(&Scenario {
        name: "the first transaction",
        prepare: Session::open,
        run: |session| session.act(|store| transact(store, step(1), vec![tag(1)])),
        states_min: AtLeast::new(630, 3_200),
        ..SMALL
    });
}

#[test]
fn a_small_transaction() {
    try_all(&Scenario {
        name: "a small transaction",
        run: |session| session.act(|store| transact(store, step(2), vec![tag(2)])),
        states_min: AtLeast::new(300, 2_200),
        ..SMALL
    });
}

#[test]
fn a_transaction_that_brings_the_caches_up() {
    // Journal and index get a group each at the first, at the second nothing, and at the third again.
    try_all(&Scenario {
        name: "a transaction that brings the caches up",
        run: |session| {
            session.act(|store| transact(store, [step(2), vec![long(2)]].concat(), vec![tag(2)]))?;
            session.act(|store| transact(store, step(3), vec![tag(3)]))?;
            session.act(|store| transact(store, [step(4), vec![long(4)]].concat(), vec![tag(4)]))
        },
        states_min: AtLeast::new(1_700, 10_600),
        ..SMALL
    });
}

#[test]
fn several_transactions_that_rest_on_each_other() {
    try_all(&Scenario {
        name: "several transactions",
        run: |session| {
            (2..6).try_for_each(|number| session.act(|store| transact(store, step(number), vec![tag(number)])))
        },
        states_min: AtLeast::new(1_500, 8_100),
        ..SMALL
    });
}

#[test]
fn facts_alone() {
    try_all(&Scenario {
        name: "facts alone",
        run: |session| {
            session.act(|store| store.record(|_| Ok(vec![tag(2)])).map(drop))?;
            session.act(|store| store.record(|_| Ok(vec![tag(3), tag(4)])).map(drop))
        },
        states_min: AtLeast::new(580, 3_700),
        ..SMALL
    });
}

#[test]
fn a_transaction_without_journal_or_index() {
    try_all(&Scenario {
        name: "a transaction without caches",
        prepare: |session| {
            two_transactions(session)?;
            session.disk().remove("journal")?;
            session.disk().remove("packs/000001.idx")
        },
        run: |session| session.act(|store| transact(store, step(2), vec![tag(2)])),
        states_min: AtLeast::new(1_300, 8_400),
        ..SMALL
    });
}

#[test]
fn cutting_a_torn_tail() {
    try_all(&Scenario {
        name: "cutting a torn tail",
        prepare: |session| {
            two_transactions(session)?;
            let pack = read_all(session.disk(), "packs/000001.pack")?;
            session.disk().write("packs/000001.pack", pack.len() as u64, &pack[48..pack.len() - 9])
        },
        run: |session| session.act(|store| transact(store, step(2), vec![tag(2)])),
        states_min: AtLeast::new(550, 3_800),
        ..SMALL
    });
}

#[test]
fn sorting_in_an_index_whose_tail_has_grown_too_long() {
    // The first index is sorted from the start; the second transaction fills the tail to the brim, the third flows
    // over.
    try_all(&Scenario {
        name: "sorting in an index",
        prepare: |session| {
            two_transactions(session)?;
            session.act(|store| transact_many(store, 1_000, INDEX_TAIL_ENTRIES_MAX as u64))
        },
        run: |session| {
            session.act(|store| transact(store, vec![long(2)], vec![tag(3)]))?;
            session.act(|store| transact(store, step(2), vec![tag(2)]))
        },
        states_per_change_max: (6, 20),
        states_min: AtLeast::new(370, 2_900),
        faults: FEW_FAULTS,
    });
}

#[test]
fn a_transaction_with_a_pack_of_its_own() {
    try_all(&Scenario {
        name: "a transaction with a pack of its own",
        run: |session| {
            session.act(|store| transact(store, large(BATCH_INLINE_MAX_BYTES as u64 + (2 << 20)), vec![tag(2)]))?;
            session.act(|store| transact(store, step(2), vec![tag(3)]))
        },
        states_per_change_max: (4, 12),
        states_min: AtLeast::new(530, 4_000),
        faults: FEW_FAULTS,
        ..SMALL
    });
}

#[test]
fn a_transaction_that_is_abandoned() {
    try_all(&Scenario {
        name: "a transaction that is abandoned",
        run: |session| session.act(|store| store.batch().add(large(BATCH_INLINE_MAX_BYTES as u64 + (2 << 20)))),
        states_per_change_max: (4, 12),
        states_min: AtLeast::new(130, 780),
        faults: FEW_FAULTS,
        ..SMALL
    });
}

#[test]
fn a_full_pack_is_followed_by_a_new_one() {
    try_all(&Scenario {
        name: "a new pack after a full one",
        prepare: |session| {
            two_transactions(session)?;
            // The first fills a pack of its own almost to the brim, the second is appended to it.
            session.act(|store| transact(store, large(PACK_SEAL_ABOVE_BYTES - (1 << 20)), vec![tag(2)]))?;
            session.act(|store| transact(store, vec![content(&noise(1_000, 1 << 20), None)], vec![tag(3)]))
        },
        run: |session| {
            (4..6).try_for_each(|number| session.act(|store| transact(store, step(number), vec![tag(number)])))
        },
        states_min: AtLeast::new(1_300, 9_500),
        ..SMALL
    });
}

/// W2: where appending fails, the pack is cut back. And once the pack is synced, no cache that cannot be written turns
/// success into failure.
#[test]
fn a_failed_transaction_leaves_no_trace_and_a_failed_cache_fails_no_transaction() {
    for kind in FaultKind::ALL {
        let mut outcomes = Vec::new();
        for at_call in 0.. {
            let disk = MemoryDisk::new(1);
            let store = Store::open_or_create(Arc::new(disk.clone())).unwrap();
            transact(&store, step(0), vec![tag(0)]).unwrap();
            let objects = [step(1), vec![long(1)]].concat();
            let before = read_all(&disk, "packs/000001.pack").unwrap();
            let state = store.state();
            disk.set_fault(Some(Fault { at_call, kind, is_lasting: false }));
            let recorded = transact(&store, objects, vec![tag(1)]);
            let struck = disk.strike_count() > 0;
            if disk.call_count() <= at_call {
                break;
            }
            disk.set_fault(None);
            if recorded.is_err() {
                assert!(read_all(&disk, "packs/000001.pack").unwrap() == before, "{kind:?} at {at_call}");
                assert_eq!(Store::open_or_create(Arc::new(disk)).unwrap().state(), state, "{kind:?} at {at_call}");
            }
            if struck {
                outcomes.push(recorded.is_ok());
            }
        }
        // Calls that read for the sake of a delta may fail without harm; after the sync, all may.
        let last_failure = outcomes.iter().rposition(|is_ok| !is_ok);
        let forgiven = outcomes.len() - 1 - last_failure.expect("some calls cannot be done without");
        assert!(forgiven >= 2, "{kind:?}: journal and index are written after the transaction is true: {outcomes:?}");
    }
}

#[test]
fn a_damaged_index_is_never_written_again_as_if_it_were_whole() {
    let disk = MemoryDisk::new(1);
    let store = Store::open_or_create(Arc::new(disk.clone())).unwrap();
    let objects = [step(0), step(1)].concat();
    transact(&store, step(0), vec![tag(0)]).unwrap();
    let index = read_all(&disk, "packs/000001.idx").unwrap();
    transact(&store, [step(1), vec![long(1)]].concat(), vec![tag(1)]).unwrap();
    // One sorted entry is lost, and so is the group of the second transaction. The next transaction is too large for a
    // group, so the index is written anew.
    disk.write("packs/000001.idx", INDEX_HEADER_LENGTH_BYTES as u64, &[0; INDEX_ENTRY_LENGTH_BYTES]).unwrap();
    disk.truncate("packs/000001.idx", index.len() as u64).unwrap();
    transact_many(&store, 1_000, INDEX_TAIL_ENTRIES_MAX as u64).unwrap();
    let index = read_all(&disk, "packs/000001.idx").unwrap();
    assert!(entries_are_intact(&decode_header(&index).unwrap(), &index));
    let store = Store::open_or_create(Arc::new(disk)).unwrap();
    assert!(objects.iter().all(|object| store.contains(object.kind, &object.id)));
}

#[test]
fn a_transaction_that_lost_objects_is_never_recorded() {
    let large = large(BATCH_INLINE_MAX_BYTES as u64 + (2 << 20));
    let disk = MemoryDisk::new(1);
    let store = Store::open_or_create(Arc::new(disk.clone())).unwrap();
    for at_call in 0.. {
        let mut batch = store.batch();
        disk.set_fault(Some(Fault { at_call, kind: FaultKind::NoSpace, is_lasting: false }));
        let added = batch.add(large.clone());
        let struck = disk.strike_count() > 0;
        disk.set_fault(None);
        let recorded = batch.record(|_| Ok(Final { objects: Vec::new(), facts: vec![tag(at_call)] }));
        assert_eq!(added.is_ok(), recorded.is_ok(), "call {at_call}");
        if !struck {
            break;
        }
        assert!(added.is_err() && store.state().pins.is_empty(), "call {at_call}");
    }
    assert_eq!(store.state().pins.len(), 1);
}

/// Interrupts a scenario in enough ways.
fn try_all(scenario: &Scenario) {
    let (state_count, moments) = interrupt(scenario);
    scenario.states_min.require(&format!("{}: {moments}", scenario.name), state_count);
}

/// A store with two transactions.
fn two_transactions(session: &mut Session) -> Result<()> {
    session.open()?;
    (0..2).try_for_each(|number| session.act(|store| transact(store, step(number), vec![tag(number)])))
}

/// The objects that one step of an agent stores: a file in its next version, a new file, and the tree of both.
fn step(number: u64) -> Vec<NewObject> {
    let version = |number: u64| [noise(0, 2_000), number.to_le_bytes().to_vec()].concat();
    let edited = version(number);
    let new = noise(number + 1, 300);
    let entry = |name: &[u8], bytes: &[u8]| Entry {
        name: name.into(),
        kind: EntryKind::File,
        mode: 0o644,
        size: bytes.len() as u64,
        id: Digest::of(bytes),
    };
    let folder = tree::encode(&[entry(b"edited", &edited), entry(b"new", &new)]);
    let trees = folder.objects.into_iter();
    let trees = trees.map(|(id, bytes)| NewObject { kind: ObjectKind::Tree, id: id.0, bytes, previous: None });
    let previous = number.checked_sub(1).map(|before| Digest::of(&version(before)));
    trees.chain([content(&edited, previous), content(&new, None)]).collect()
}

/// A content so long that its transaction also writes the journal and the index.
fn long(number: u64) -> NewObject {
    content(&noise(1_000 + number, usize::try_from(INDEX_BEHIND_MAX_BYTES).unwrap()), None)
}

/// Incompressible contents of 1 MiB each.
fn large(length_bytes: u64) -> Vec<NewObject> {
    (0..length_bytes >> 20).map(|number| content(&noise(number, 1 << 20), None)).collect()
}

/// Records many small contents in one transaction.
fn transact_many(store: &Store, first: u64, count: u64) -> Result<()> {
    let objects = (first..first + count).map(|number| content(&noise(number, 20), None)).collect();
    transact(store, objects, vec![tag(first)])
}
