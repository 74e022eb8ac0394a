//! Tests of the store on a real folder; crashes are tried on the memory disk in `tests/it/crash.rs`.

#![expect(clippy::disallowed_methods, reason = "tests damage files of their own")]

use std::sync::Arc;

use super::{Final, NewObject, Store};
use crate::disk::local::LocalDisk;
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

fn tag(number: u64) -> Fact {
    let snapshot = crate::id::SnapshotId(Digest::of(&number.to_le_bytes()));
    Fact::Tagged { name: format!("t{number}"), snapshot: Some(snapshot), time: Timestamp(0) }
}

fn commit(store: &Store, objects: Vec<NewObject>, number: u64) -> u64 {
    let mut batch = store.batch();
    batch.add(objects).unwrap();
    let committed = batch.commit(|_| Ok(Final { objects: Vec::new(), facts: vec![tag(number)] })).unwrap();
    committed.stored_bytes
}

#[test]
fn what_is_committed_is_read_back_by_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let contents: Vec<Vec<u8>> = (0..200).map(|seed| noise(seed, 10 + 37 * usize::try_from(seed).unwrap())).collect();
    commit(&store, contents.iter().map(|bytes| content(bytes, None)).collect(), 1);
    for bytes in &contents {
        for reader in [&store, &open(folder.path())] {
            assert_eq!(*reader.object(ObjectKind::Content, &Digest::of(bytes)).unwrap(), bytes[..]);
        }
    }
    assert_eq!(open(folder.path()).state().tags.len(), 1);
    assert!(store.object(ObjectKind::Content, &Digest::of(b"never")).is_err());
}

#[test]
fn equal_content_is_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let bytes = noise(1, 100_000);
    assert!(commit(&store, vec![content(&bytes, None), content(&bytes, None)], 1) < 101_000);
    assert!(commit(&open(folder.path()), vec![content(&bytes, None)], 2) < 200);
}

#[test]
fn a_long_chain_of_versions_is_small_and_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut bytes = noise(7, 30_000);
    let mut versions = vec![bytes.clone()];
    commit(&store, vec![content(&bytes, None)], 0);
    let mut grown = 0;
    for step in 1..=1_100_u64 {
        let previous = Digest::of(&bytes);
        let at = usize::try_from(step * 7_919 % 30_000).unwrap();
        bytes[at] ^= 0x55;
        versions.push(bytes.clone());
        grown += commit(&store, vec![content(&bytes, Some(previous))], step);
    }
    assert!(grown < 1_100 * 250 + 60_000, "{grown}");
    let fresh = open(folder.path());
    for version in &versions {
        assert_eq!(*fresh.object(ObjectKind::Content, &Digest::of(version)).unwrap(), version[..]);
    }
}

/// P11: a snapshot names the one before, whose id stands in no bytes that a delta could copy it from but the base's own.
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
        commit(&store, vec![object.clone()], number);
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
                batch.commit(|_| Ok(Final { objects: Vec::new(), facts: vec![tag(1)] })).unwrap();
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
        commit(&store, vec![content(&noise(number, 500), None)], number);
    }
    let before = store.state();
    for lost in [&["journal"][..], &["packs/000001.idx"], &["journal", "packs/000001.idx"]] {
        for name in lost {
            std::fs::remove_file(folder.path().join(name)).unwrap();
        }
        let reader = open(folder.path());
        assert_eq!(
            (&reader.state().tags, reader.state().sequence >= before.sequence),
            (&before.tags, true),
            "{lost:?}"
        );
        assert!(reader.object(ObjectKind::Content, &Digest::of(&noise(3, 500))).is_ok());
        reader.record(|_| Ok(vec![tag(0)])).unwrap();
        assert!(lost.iter().all(|name| folder.path().join(name).exists()), "{lost:?}");
        assert_eq!(open(folder.path()).state().tags, before.tags);
    }
}

#[test]
fn a_torn_tail_is_cut_by_the_next_writer_and_ignored_by_readers() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    commit(&store, vec![content(b"one", None)], 1);
    let pack = folder.path().join("packs/000001.pack");
    let good = std::fs::read(&pack).unwrap();
    let mut torn = good.clone();
    torn.extend_from_slice(&good[48..good.len() - 5]);
    std::fs::write(&pack, &torn).unwrap();
    assert_eq!(open(folder.path()).state().sequence, 1);
    commit(&open(folder.path()), vec![content(b"two", None)], 2);
    let fresh = open(folder.path());
    assert_eq!(fresh.state().sequence, 2);
    assert_eq!(*fresh.object(ObjectKind::Content, &Digest::of(b"two")).unwrap(), *b"two");
    assert!(std::fs::read(&pack).unwrap().starts_with(&good));
}

#[test]
fn many_threads_commit_at_once_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path());
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let folder = folder.path();
            scope.spawn(move || {
                let store = open(folder);
                for number in 0..20 {
                    let number = thread * 100 + number;
                    commit(&store, vec![content(&noise(number, 300), None)], number);
                }
            });
        }
    });
    let store = open(folder.path());
    assert_eq!((store.state().sequence, store.state().tags.len()), (160, 160));
    assert!((0..20).all(|number| store.contains(ObjectKind::Content, &Digest::of(&noise(number, 300)))));
}

#[test]
fn a_flipped_bit_is_an_error_that_names_the_object() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let bytes = noise(1, 2_000);
    commit(&store, vec![content(&bytes, None)], 1);
    let pack = folder.path().join("packs/000001.pack");
    let good = std::fs::read(&pack).unwrap();
    for at in (48..good.len() - 40).step_by(97) {
        let mut hurt = good.clone();
        hurt[at] ^= 4;
        std::fs::write(&pack, &hurt).unwrap();
        match open(folder.path()).object(ObjectKind::Content, &Digest::of(&bytes)) {
            Ok(read) => assert_eq!(*read, bytes[..]),
            Err(error) => assert!(error.to_string().contains("content"), "{error}"),
        }
    }
}
