//! Tests of the store on a real folder; crashes are tried on the memory disk in `tests/it/crash.rs`.

#![expect(clippy::disallowed_methods, reason = "tests damage files of their own")]

use std::sync::Arc;

use super::{Final, NewObject, Store};
use crate::disk::local::LocalDisk;
use crate::error::ErrorKind;
use crate::format::facts::Fact;
use crate::format::pack::ObjectKind;
use crate::format::snapshot::snapshot_id;
use crate::id::{BlobId, Digest};
use crate::time::Timestamp;

fn open(folder: &std::path::Path) -> Store {
    Store::open_or_create(Arc::new(LocalDisk::create(folder).unwrap())).unwrap()
}

fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut out = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}

fn content(bytes: &[u8], previous: Option<Digest>) -> NewObject {
    NewObject { kind: ObjectKind::Content, id: Digest::of(bytes), bytes: bytes.to_vec(), previous }
}

fn fact(number: u64) -> Fact {
    let snapshot = crate::id::SnapshotId(Digest::of(&number.to_le_bytes()));
    Fact::Pinned { snapshot, pinned: true, time: Timestamp(0) }
}

fn transact(store: &Store, objects: Vec<NewObject>, number: u64) -> u64 {
    let mut batch = store.batch();
    batch.add(objects).unwrap();
    let recorded = batch.record(|_| Ok(Final { objects: Vec::new(), facts: vec![fact(number)] })).unwrap();
    recorded.stored_bytes
}

#[test]
fn what_is_recorded_is_read_back_by_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let contents: Vec<Vec<u8>> = (0..200).map(|seed| noise(seed, 10 + 37 * usize::try_from(seed).unwrap())).collect();
    transact(&store, contents.iter().map(|bytes| content(bytes, None)).collect(), 1);
    for bytes in &contents {
        for reader in [&store, &open(folder.path())] {
            assert_eq!(*reader.object(ObjectKind::Content, &Digest::of(bytes)).unwrap(), bytes[..]);
        }
    }
    assert_eq!(open(folder.path()).state().pins.len(), 1);
    assert!(store.object(ObjectKind::Content, &Digest::of(b"never")).is_err());
}

/// No reader takes them for a transaction.
#[test]
fn facts_over_the_limit_are_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    transact(&store, Vec::new(), 1);
    let facts = |count: u64| -> Vec<Fact> { (0..count).map(fact).collect() };
    let size = store.pack_bytes().unwrap();
    let error = store.record(|_| Ok(facts(40_000))).unwrap_err();
    assert_eq!((error.kind(), store.pack_bytes().unwrap()), (crate::error::ErrorKind::Limit, size));
    store.record(|_| Ok(facts(20_000))).unwrap();
    assert_eq!(open(folder.path()).state().pins.len(), 20_000);
}

/// Facts that no reader accepts would be lost, and every later opening would report them.
#[test]
fn facts_that_no_reader_accepts_are_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    transact(&store, Vec::new(), 1);
    let workspace = crate::id::WorkspaceId([1; 16]);
    for root in [&b"relative"[..], b"", b"/with\0zero"] {
        let moved = Fact::WorkspaceMoved { workspace, root: root.to_vec(), time: Timestamp(0) };
        let error = store.record(|_| Ok(vec![moved])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    let reopened = open(folder.path());
    assert_eq!((reopened.state().sequence, reopened.damage().len()), (1, 0));
}

#[test]
fn equal_content_is_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let bytes = noise(1, 100_000);
    assert!(transact(&store, vec![content(&bytes, None), content(&bytes, None)], 1) < 101_000);
    assert!(transact(&open(folder.path()), vec![content(&bytes, None)], 2) < 200);
}

#[test]
fn a_long_chain_of_versions_is_small_and_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut bytes = noise(7, 30_000);
    let mut versions = vec![bytes.clone()];
    transact(&store, vec![content(&bytes, None)], 0);
    let mut grown = 0;
    for step in 1..=1_100_u64 {
        let previous = Digest::of(&bytes);
        let at = usize::try_from(step * 7_919 % 30_000).unwrap();
        bytes[at] ^= 0x55;
        versions.push(bytes.clone());
        grown += transact(&store, vec![content(&bytes, Some(previous))], step);
    }
    assert!(grown < 1_100 * 250 + 60_000, "{grown}");
    let fresh = open(folder.path());
    for version in &versions {
        assert_eq!(*fresh.object(ObjectKind::Content, &Digest::of(version)).unwrap(), version[..]);
    }
}

/// P11: a snapshot names the one before, whose id stands in no bytes that a delta could copy it from but the base's
/// own.
#[test]
fn the_id_of_the_snapshot_before_takes_no_place() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let object =
        |bytes: Vec<u8>, previous| NewObject { kind: ObjectKind::Snapshot, id: snapshot_id(&bytes).0, bytes, previous };
    let first = object(noise(1, 500), None);
    let second = object([&first.bytes[..], &first.id.0].concat(), Some(first.id));
    let third = object([&first.bytes[..], &noise(2, 32)].concat(), Some(first.id));
    let mut grown = Vec::new();
    for (object, number) in [(&first, 0), (&second, 1), (&third, 2)] {
        let before = store.pack_bytes().unwrap();
        transact(&store, vec![object.clone()], number);
        grown.push(store.pack_bytes().unwrap() - before);
    }
    assert!(grown[1] + 32 <= grown[2], "{grown:?}");
    let fresh = open(folder.path());
    for object in [first, second, third] {
        assert_eq!(*fresh.object(ObjectKind::Snapshot, &object.id).unwrap(), object.bytes);
    }
}

#[test]
fn a_batch_larger_than_memory_allows_goes_into_packs_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let ids: Vec<Digest> = (0..90)
        .collect::<Vec<u64>>()
        .chunks(10)
        .scan(store.batch(), |batch, seeds| {
            let objects: Vec<NewObject> = seeds.iter().map(|&seed| content(&noise(seed, 1 << 20), None)).collect();
            let ids: Vec<Digest> = objects.iter().map(|object| object.id).collect();
            batch.add(objects).unwrap();
            if seeds.contains(&89) {
                batch.record(|_| Ok(Final { objects: Vec::new(), facts: vec![fact(1)] })).unwrap();
            }
            Some(ids)
        })
        .flatten()
        .collect();
    let fresh = open(folder.path());
    assert_eq!(fresh.state().sequence, 1);
    for id in ids {
        assert_eq!(fresh.read_blob(BlobId(id), 1 << 20).unwrap().len(), 1 << 20);
    }
    assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn journal_and_indexes_are_only_caches() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in 0..20 {
        transact(&store, vec![content(&noise(number, 500), None)], number);
    }
    let before = store.state();
    for lost in [&["journal"][..], &["packs/000001.idx"], &["journal", "packs/000001.idx"]] {
        for name in lost {
            std::fs::remove_file(folder.path().join(name)).unwrap();
        }
        let reader = open(folder.path());
        assert_eq!(
            (&reader.state().pins, reader.state().sequence >= before.sequence),
            (&before.pins, true),
            "{lost:?}"
        );
        assert!(reader.object(ObjectKind::Content, &Digest::of(&noise(3, 500))).is_ok());
        reader.record(|_| Ok(vec![fact(0)])).unwrap();
        assert!(lost.iter().all(|name| folder.path().join(name).exists()), "{lost:?}");
        assert_eq!(open(folder.path()).state().pins, before.pins);
    }
}

#[test]
fn a_torn_tail_is_cut_by_the_next_writer_and_ignored_by_readers() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    transact(&store, vec![content(b"one", None)], 1);
    let pack = folder.path().join("packs/000001.pack");
    let good = std::fs::read(&pack).unwrap();
    let mut torn = good.clone();
    torn.extend_from_slice(&good[48..good.len() - 5]);
    std::fs::write(&pack, &torn).unwrap();
    assert_eq!(open(folder.path()).state().sequence, 1);
    transact(&open(folder.path()), vec![content(b"two", None)], 2);
    let fresh = open(folder.path());
    assert_eq!(fresh.state().sequence, 2);
    assert_eq!(*fresh.object(ObjectKind::Content, &Digest::of(b"two")).unwrap(), *b"two");
    assert!(std::fs::read(&pack).unwrap().starts_with(&good));
}

#[test]
fn many_threads_transaction_at_once_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path());
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let folder = folder.path();
            scope.spawn(move || {
                let store = open(folder);
                for number in 0..20 {
                    let number = thread * 100 + number;
                    transact(&store, vec![content(&noise(number, 300), None)], number);
                }
            });
        }
    });
    let store = open(folder.path());
    assert_eq!((store.state().sequence, store.state().pins.len()), (160, 160));
    assert!((0..20).all(|number| store.contains(ObjectKind::Content, &Digest::of(&noise(number, 300)))));
}

#[test]
fn a_flipped_bit_is_an_error_that_names_the_object() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let bytes = noise(1, 2_000);
    transact(&store, vec![content(&bytes, None)], 1);
    let pack = folder.path().join("packs/000001.pack");
    let good = std::fs::read(&pack).unwrap();
    for at in (48..good.len() - 40).step_by(97) {
        let mut damaged = good.clone();
        damaged[at] ^= 4;
        std::fs::write(&pack, &damaged).unwrap();
        match open(folder.path()).object(ObjectKind::Content, &Digest::of(&bytes)) {
            Ok(read) => assert_eq!(*read, bytes[..]),
            Err(error) => assert!(error.to_string().contains("content"), "{error}"),
        }
    }
}

/// Overwrites these bytes in the only pack.
fn damage(folder: &std::path::Path, bytes: &[u8]) {
    let pack = folder.join("packs/000001.pack");
    let mut held = std::fs::read(&pack).unwrap();
    let at = held.windows(bytes.len()).position(|window| window == bytes).expect("it is stored as it is");
    held[at..at + bytes.len()].fill(0);
    std::fs::write(&pack, held).unwrap();
}

/// P14: deltas of a damaged version would be lost with it.
#[test]
fn new_versions_do_not_rest_on_damaged_ones() {
    let folder = tempfile::tempdir().unwrap();
    // Long enough that the index is written, and says that it is there.
    let mut bytes = noise(3, 60_000);
    transact(&open(folder.path()), vec![content(&bytes, None)], 1);
    damage(folder.path(), &bytes[100..140]);
    let before = Digest::of(&bytes);
    bytes[30_000] ^= 1;
    let store = open(folder.path());
    assert!(store.contains(ObjectKind::Content, &before));
    assert!(transact(&store, vec![content(&bytes, Some(before))], 2) > 60_000, "it is stored whole");
    assert_eq!(*open(folder.path()).object(ObjectKind::Content, &Digest::of(&bytes)).unwrap(), bytes[..]);
}

/// P13: a damaged frame may hold whole objects.
#[test]
fn what_is_whole_in_a_damaged_frame_is_read_and_stored_again() {
    let folder = tempfile::tempdir().unwrap();
    let (hit, intact) = (noise(4, 500), noise(5, 500));
    // The first transaction of a pack is in its index, the next ones are read from the pack.
    transact(&open(folder.path()), vec![content(&noise(6, 100), None)], 1);
    transact(&open(folder.path()), vec![content(&hit, None), content(&intact, None)], 2);
    transact(&open(folder.path()), vec![content(&noise(7, 100), None)], 3);
    damage(folder.path(), &hit[100..140]);
    let store = open(folder.path());
    assert!(!store.damage().is_empty());
    assert!(store.object(ObjectKind::Content, &Digest::of(&hit)).is_err());
    assert_eq!(*store.object(ObjectKind::Content, &Digest::of(&intact)).unwrap(), intact[..]);
    for bytes in [&hit, &intact] {
        assert!(!store.contains(ObjectKind::Content, &Digest::of(bytes)), "to writers it is missing");
        transact(&store, vec![content(bytes, None)], 4);
        assert_eq!(*open(folder.path()).object(ObjectKind::Content, &Digest::of(bytes)).unwrap(), bytes[..]);
    }
}

/// J6: a pack that was copied within the store: of two transactions that claim one place, every reader believes the
/// same one.
#[test]
fn a_second_copy_of_a_pack_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for number in 1..4 {
        transact(&open(folder.path()), vec![content(&noise(number, 100), None)], number);
    }
    let pack = |number: u32| folder.path().join(format!("packs/{number:06}.pack"));
    let batches = std::fs::read(pack(1)).unwrap();
    std::fs::write(pack(1), [&batches[..], &batches[48..]].concat()).unwrap();
    std::fs::copy(pack(1), pack(2)).unwrap();
    for cache in ["journal", "packs/000001.idx"] {
        std::fs::remove_file(folder.path().join(cache)).unwrap();
    }
    let disk: Arc<dyn crate::disk::Disk> = Arc::new(LocalDisk::open(folder.path()).unwrap());
    for number in 4..6 {
        transact(&open(folder.path()), vec![content(&noise(number, 100), None)], number);
        let inspection = super::inspect::inspect(&disk, super::inspect::Depth::Hashes, None).unwrap();
        assert_eq!(inspection.problems, []);
        assert_eq!(*inspection.reader.state(), *open(folder.path()).state());
        assert_eq!(inspection.reader.state().sequence, number);
    }
}

/// A record is known by its pack, also where the header of that is damaged and its nonce with it.
#[test]
fn packs_with_damaged_headers_are_distinguished() {
    let folder = tempfile::tempdir().unwrap();
    let contents = |seed: u64| (0..40).map(move |number| noise(100 * seed + number, 50)).collect::<Vec<_>>();
    for seed in 1..3 {
        let (first, folder) = (folder.path().join("1/FORMAT"), folder.path().join(seed.to_string()));
        if seed > 1 {
            std::fs::create_dir(&folder).unwrap();
            std::fs::copy(first, folder.join("FORMAT")).unwrap();
        }
        transact(&open(&folder), contents(seed).iter().map(|bytes| content(bytes, None)).collect(), seed);
    }
    let pack = |store: u64, number: u64| folder.path().join(format!("{store}/packs/{number:06}.pack"));
    std::fs::copy(pack(2, 1), pack(1, 2)).unwrap();
    for number in 1..3 {
        let mut bytes = std::fs::read(pack(1, number)).unwrap();
        bytes[..48].fill(0);
        std::fs::write(pack(1, number), bytes).unwrap();
    }
    let store = open(&folder.path().join("1"));
    for bytes in contents(1).iter().chain(&contents(2)) {
        assert_eq!(*store.object(ObjectKind::Content, &Digest::of(bytes)).unwrap(), bytes[..]);
    }
}

/// Begins a generation in which these packs, by number, are about to be removed.
fn condemn(store: &Store, generation: u64, packs: &[u32]) {
    let view = store.view();
    let condemned = view.packs.iter().filter(|pack| packs.contains(&pack.number)).map(|pack| pack.nonce).collect();
    store.record(|_| Ok(vec![Fact::GenerationBegun { generation, condemned, time: Timestamp(0) }])).unwrap();
}

/// G2.
#[test]
fn writers_do_not_rely_on_packs_that_are_about_to_be_removed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut bytes = noise(1, 50_000);
    transact(&store, vec![content(&bytes, None)], 1);
    condemn(&store, 1, &[1]);
    assert!(store.contains(ObjectKind::Content, &Digest::of(&bytes)), "it can still be read");
    // The next version is not a delta of the old pack, and the same content is stored again, in another pack.
    let before = Digest::of(&bytes);
    bytes[7] ^= 1;
    let old_length = std::fs::metadata(folder.path().join("packs/000001.pack")).unwrap().len();
    assert!(transact(&store, vec![content(&bytes, Some(before))], 2) > 50_000);
    bytes[7] ^= 1;
    assert!(transact(&open(folder.path()), vec![content(&bytes, None)], 3) > 50_000);
    assert_eq!(std::fs::metadata(folder.path().join("packs/000001.pack")).unwrap().len(), old_length);
    assert!(
        transact(&open(folder.path()), vec![content(&bytes, None)], 4) < 200,
        "it is there twice, and that is enough"
    );
    for cache in ["journal", "packs/000001.idx", "packs/000002.idx"] {
        drop(std::fs::remove_file(folder.path().join(cache)));
    }
    std::fs::remove_file(folder.path().join("packs/000001.pack")).unwrap();
    let after = open(folder.path());
    assert_eq!(*after.object(ObjectKind::Content, &before).unwrap(), bytes[..]);
}

/// G3.
#[test]
fn nothing_is_written_that_was_chosen_in_an_earlier_generation() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let bytes = noise(1, 500);
    transact(&store, vec![content(&bytes, None)], 1);
    let mut batch = store.batch();
    batch.add(vec![content(&bytes, None)]).unwrap();
    condemn(&open(folder.path()), 1, &[1]);
    let error = batch.record(|_| Ok(Final { objects: Vec::new(), facts: vec![fact(2)] })).unwrap_err();
    assert_eq!(error.kind(), crate::error::ErrorKind::Conflict);
    assert!(transact(&store, vec![content(&bytes, None)], 2) > 500);
}
