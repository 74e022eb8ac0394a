//! Requirements of store-format.md that a store on a real folder must keep, each cited by its id.

#![expect(clippy::disallowed_methods, reason = "tests forge and damage files of their own")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use retrograde::disk::{Disk, LockMode, local::LocalDisk};
use retrograde::error::ErrorKind;
use retrograde::format::facts::{self, Fact};
use retrograde::format::journal;
use retrograde::format::pack::{
    Encoding, Link, Member, ObjectKind, PACK_HEADER_LENGTH_BYTES, PackHeader, decode_record, decode_trailer,
    encode_header, put_record, put_trailer,
};
use retrograde::format::snapshot::history_digest;
use retrograde::format::tree::{Child, Entry, EntryKind, encode, tree_id};
use retrograde::id::{BlobId, Digest, StoreId, TreeId, WorkspaceId};
use retrograde::limits::{DELTA_DEPTH_MAX, INDEX_BEHIND_MAX_BYTES};
use retrograde::store::{Final, NewObject, Store};
use retrograde::time::Timestamp;

use crate::support::recorder::{Recorder, open_store};
use crate::support::scratch::Scratch;

fn pack(scratch: &Scratch) -> PathBuf {
    scratch.join("store/packs/000001.pack")
}

fn content(bytes: &[u8]) -> NewObject {
    NewObject { kind: ObjectKind::Content, id: Digest::of(bytes), bytes: bytes.to_vec(), previous: None }
}

fn fact(number: u64) -> Fact {
    let snapshot = retrograde::id::SnapshotId(Digest::of(&number.to_le_bytes()));
    Fact::Pinned { snapshot, pinned: true, time: Timestamp(0) }
}

fn transact(store: &Store, objects: Vec<NewObject>, number: u64) {
    let mut batch = store.batch();
    batch.add(objects).unwrap();
    batch.record(|_| Ok(Final { objects: Vec::new(), facts: vec![fact(number)] })).unwrap();
}

fn forge(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

/// A store whose only pack holds these records in one transaction.
fn forged(scratch: &Scratch, records: &[u8]) -> Store {
    let store = open_store(&scratch.join("store"));
    let mut bytes = encode_header(&PackHeader { store: store.id(), nonce: [7; 16] });
    let start = bytes.len();
    bytes.extend_from_slice(records);
    put_trailer(&mut bytes, store.id(), start, 1, &facts::encode(&[fact(1)]));
    forge(&pack(scratch), &bytes);
    open_store(&scratch.join("store"))
}

fn member(kind: ObjectKind, length: usize, id: Digest) -> Member {
    Member { kind, raw_length_bytes: u32::try_from(length).unwrap(), prefix: id.prefix() }
}

/// I1: bytes that do not match the id asked for are refused, for every kind of object.
#[test]
fn i1_wrong_bytes_are_refused() {
    let scratch = Scratch::new();
    let id = Digest::of(b"what it claims to be");
    let mut records = Vec::new();
    for kind in [ObjectKind::Content, ObjectKind::Tree, ObjectKind::Snapshot] {
        put_record(&mut records, &Encoding::Raw, &[member(kind, 3, id)], b"lie");
    }
    let store = forged(&scratch, &records);
    for kind in [ObjectKind::Content, ObjectKind::Tree, ObjectKind::Snapshot] {
        let error = store.object(kind, &id).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(&id.to_string()), "{error}");
    }
}

/// I2: chunks that are right one by one but do not add up to the file are refused.
#[test]
fn i2_chunks_must_add_up() {
    use retrograde::format::chunk_list::{self, ChunkRef};
    let scratch = Scratch::new();
    let chunk =
        |bytes: &[u8]| ChunkRef { id: BlobId(Digest::of(bytes)), length_bytes: u32::try_from(bytes.len()).unwrap() };
    let list = chunk_list::encode(&[chunk(b"two"), chunk(b"one")]);
    let id = Digest::of(b"onetwo");
    let mut records = Vec::new();
    for bytes in [b"one", b"two"] {
        put_record(&mut records, &Encoding::Raw, &[member(ObjectKind::Content, 3, Digest::of(bytes))], bytes);
    }
    put_record(&mut records, &Encoding::Raw, &[member(ObjectKind::ChunkList, list.len(), id)], &list);
    let store = forged(&scratch, &records);
    let error = store.read_blob(BlobId(id), 100).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("add up"), "{error}");
}

/// I3: the history digest of a snapshot follows from its first parent's and its root.
#[test]
fn i3_history_digests_chain() {
    let recorder = Recorder::new();
    let mut before = None;
    for step in 0..3 {
        recorder.write("f", format!("{step}").as_bytes());
        let snapshot = recorder.store.snapshot(recorder.snap().snapshot).unwrap();
        assert_eq!(snapshot.history, history_digest(before, snapshot.root));
        before = Some(snapshot.history);
    }
}

/// T2: a folder is split exactly where its names say, so equal folders have equal ids whatever their history.
#[test]
fn t2_equal_folders_have_equal_ids() {
    let recorder = Recorder::new();
    for number in 0..3_000 {
        recorder.write(&format!("d/{number}"), b"");
    }
    recorder.snap();
    for number in 3_000..3_100 {
        recorder.write(&format!("d/{number}"), b"");
        recorder.snap();
    }
    let grown = recorder.snap().tree;
    std::fs::remove_dir_all(recorder.store_root().join("workspaces")).unwrap();
    assert_eq!(recorder.snap().tree, grown);
    let entries = recorder.store.folder(TreeId(recorder.store.folder(grown).unwrap()[0].id)).unwrap();
    assert_eq!(encode(&entries).id().0, recorder.store.folder(grown).unwrap()[0].id);
}

/// T3: lists of a split folder on the wrong level, or out of order, are refused.
#[test]
fn t3_split_folders_are_checked() {
    let entry = |name: &str| Entry {
        name: name.as_bytes().into(),
        kind: EntryKind::File,
        mode: 0,
        size: 0,
        id: Digest::of(b""),
    };
    let leaf = |names: &[&str]| encode(&names.iter().map(|name| entry(name)).collect::<Vec<_>>()).objects.remove(0);
    let (first, second) = (leaf(&["a", "c"]), leaf(&["b"]));
    let node = |level: u8, children: &[(&str, TreeId)]| {
        let mut out = vec![level, u8::try_from(children.len()).unwrap()];
        for (name, id) in children {
            let child = Child { first_name: name.as_bytes().into(), entry_count: 1, size: 0, id: *id };
            out.extend([1, 0, u8::try_from(child.first_name.len()).unwrap()]);
            out.extend_from_slice(&child.first_name);
            out.extend_from_slice(&child.id.0.0);
        }
        (tree_id(&out), out)
    };
    let out_of_order = node(1, &[("a", first.0), ("b", second.0)]);
    let wrong_level = node(2, &[("a", first.0)]);
    let mut records = Vec::new();
    for (id, bytes) in [&first, &second, &out_of_order, &wrong_level] {
        put_record(&mut records, &Encoding::Raw, &[member(ObjectKind::Tree, bytes.len(), id.0)], bytes);
    }
    let scratch = Scratch::new();
    let store = forged(&scratch, &records);
    assert_eq!(store.folder(first.0).unwrap().len(), 2);
    for id in [out_of_order.0, wrong_level.0] {
        assert_eq!(store.folder(id).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

/// P1: a pack that is not the last one never changes.
#[test]
fn p1_only_the_last_pack_grows() {
    let scratch = Scratch::new();
    let store = open_store(&scratch.join("store"));
    transact(&store, vec![content(b"small")], 1);
    let noise = |seed: u8| {
        let mut out = vec![0; 1 << 20];
        blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut out);
        out
    };
    transact(&store, (0..6).map(|seed| content(&noise(seed))).collect(), 2);
    let before = std::fs::read(pack(&scratch)).unwrap();
    transact(&store, vec![content(b"more")], 3);
    assert_eq!(std::fs::read(pack(&scratch)).unwrap(), before);
    assert!(scratch.join("store/packs/000002.pack").exists());
}

/// P2: a chain of deltas that is too long, or comes back to itself, is refused and never followed for ever.
#[test]
fn p2_endless_chains_are_refused() {
    let mut records = Vec::new();
    let ids: Vec<Digest> = (0..=DELTA_DEPTH_MAX + 3).map(|number| Digest::of(&number.to_le_bytes())).collect();
    for (at, id) in ids.iter().enumerate() {
        let base = ids[(at + 1) % ids.len()].prefix();
        let encoding = Encoding::Delta(Link { base, generation: 1 });
        put_record(&mut records, &encoding, &[member(ObjectKind::Content, 5, *id)], b"delta");
    }
    let scratch = Scratch::new();
    let error = forged(&scratch, &records).object(ObjectKind::Content, &ids[0]).unwrap_err();
    assert!(error.to_string().contains("too long"), "{error}");
}

/// P3: a frame that decodes to more than its record says is refused, whatever it would have grown to.
#[test]
fn p3_bombs_run_out_of_room() {
    let scratch = Scratch::new();
    let store = open_store(&scratch.join("store"));
    transact(&store, vec![content(&vec![0; 1 << 20])], 1);
    let bytes = std::fs::read(pack(&scratch)).unwrap();
    let record = decode_record(&bytes[PACK_HEADER_LENGTH_BYTES..]).unwrap();
    let payload = &bytes[PACK_HEADER_LENGTH_BYTES + record.header_length_bytes..][..record.stored_length_bytes];
    let id = Digest::of(b"small");
    let mut records = Vec::new();
    put_record(&mut records, &Encoding::Zstd, &[member(ObjectKind::Content, 5, id)], payload);
    let other = Scratch::new();
    assert_eq!(forged(&other, &records).object(ObjectKind::Content, &id).unwrap_err().kind(), ErrorKind::Corrupt);
}

/// P5 and W2 are tried at every call by `crash.rs`; this is the reader's side: it sees nothing of a transaction
/// without its trailer.
#[test]
fn p5_w2_a_transaction_without_its_trailer_is_not_there() {
    let scratch = Scratch::new();
    let store = open_store(&scratch.join("store"));
    transact(&store, vec![content(b"one")], 1);
    let good = std::fs::read(pack(&scratch)).unwrap();
    let mut torn = good.clone();
    put_record(&mut torn, &Encoding::Raw, &[member(ObjectKind::Content, 3, Digest::of(b"two"))], b"two");
    forge(&pack(&scratch), &torn);
    let reader = open_store(&scratch.join("store"));
    assert!(!reader.contains(ObjectKind::Content, &Digest::of(b"two")));
    assert!(reader.contains(ObjectKind::Content, &Digest::of(b"one")));
}

/// P6: records outside an intact transaction are used when their own checksum is right.
/// P7: a torn tail is cut by the next writer, damage in the middle is not.
#[test]
fn p6_p7_damage_is_kept_and_a_torn_tail_is_cut() {
    let scratch = Scratch::new();
    let store = open_store(&scratch.join("store"));
    transact(&store, vec![content(&[b'a'; 3_000]), content(b"b")], 1);
    let first_end = std::fs::read(pack(&scratch)).unwrap().len();
    transact(&store, vec![content(b"later")], 2);
    let mut bytes = std::fs::read(pack(&scratch)).unwrap();
    // The hash of the first transaction is hit: its records are outside an intact transaction now.
    bytes[first_end - 1] ^= 1;
    let damaged_length = bytes.len();
    bytes.extend_from_slice(b"torn tail");
    forge(&pack(&scratch), &bytes);
    for cache in ["journal", "packs/000001.idx"] {
        std::fs::remove_file(scratch.join("store").join(cache)).unwrap();
    }
    let reader = open_store(&scratch.join("store"));
    for object in [&b"b"[..], b"later", &[b'a'; 3_000]] {
        assert!(reader.object(ObjectKind::Content, &Digest::of(object)).is_ok());
    }
    transact(&reader, vec![content(b"after")], 3);
    let after = std::fs::read(pack(&scratch)).unwrap();
    assert_eq!(after[..damaged_length], bytes[..damaged_length]);
    assert!(decode_record(&after[damaged_length..]).is_ok(), "the next transaction begins where the torn tail began");
}

/// P8: what a cache covers is damage and no torn tail, and is not cut; nor is anything in a pack that is not the last.
#[test]
fn p8_a_whole_transaction_is_never_cut() {
    let scratch = Scratch::new();
    let store = open_store(&scratch.join("store"));
    transact(&store, vec![content(b"one")], 1);
    transact(&store, vec![content(&[b'2'; 2_000]), content(b"two")], 2);
    let good = std::fs::read(pack(&scratch)).unwrap();
    let mut damaged = good.clone();
    let end = damaged.len();
    damaged[end - 3] ^= 0xff;
    forge(&pack(&scratch), &damaged);
    std::fs::remove_file(scratch.join("store/packs/000001.idx")).unwrap();
    // The journal knows where the last transaction ends.
    let reader = open_store(&scratch.join("store"));
    assert!(reader.object(ObjectKind::Content, &Digest::of(b"two")).is_ok());
    assert_eq!(reader.state().pins.len(), 2);
    transact(&reader, vec![content(b"three")], 3);
    assert!(std::fs::read(pack(&scratch)).unwrap().starts_with(&damaged));
    // Without journal, nothing but a later pack tells.
    forge(&pack(&scratch), &damaged);
    let header = encode_header(&PackHeader { store: store.id(), nonce: [3; 16] });
    forge(&scratch.join("store/packs/000002.pack"), &header);
    for cache in ["journal", "packs/000001.idx"] {
        std::fs::remove_file(scratch.join("store").join(cache)).unwrap();
    }
    let reader = open_store(&scratch.join("store"));
    assert!(reader.object(ObjectKind::Content, &Digest::of(b"two")).is_ok());
    transact(&reader, vec![content(b"four")], 4);
    assert!(std::fs::read(pack(&scratch)).unwrap() == damaged);
}

/// P9: a new pack never takes the number of a file that is there, or of one that the journal knows.
#[test]
fn p9_no_pack_is_replaced() {
    let scratch = Scratch::new();
    let store = open_store(&scratch.join("store"));
    transact(&store, vec![content(b"one")], 1);
    let other = Scratch::new();
    let foreign = open_store(&other.join("store"));
    transact(&foreign, vec![content(b"theirs")], 1);
    let theirs = std::fs::read(other.join("store/packs/000001.pack")).unwrap();
    forge(&scratch.join("store/packs/000002.pack"), &theirs);
    transact(&open_store(&scratch.join("store")), vec![content(b"two")], 2);
    assert!(std::fs::read(scratch.join("store/packs/000002.pack")).unwrap() == theirs);
    assert!(scratch.join("store/packs/000003.pack").exists());
    std::fs::remove_file(scratch.join("store/packs/000003.pack")).unwrap();
    transact(&open_store(&scratch.join("store")), vec![content(b"three")], 3);
    assert!(scratch.join("store/packs/000004.pack").exists());
    // A pack whose header is damaged is read, and not appended to.
    let path = scratch.join("store/packs/000004.pack");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[3] ^= 1;
    forge(&path, &bytes);
    let reader = open_store(&scratch.join("store"));
    assert!(reader.object(ObjectKind::Content, &Digest::of(b"three")).is_ok());
    transact(&reader, vec![content(b"four")], 4);
    assert!(std::fs::read(&path).unwrap() == bytes);
    assert!(scratch.join("store/packs/000005.pack").exists());
}

/// J4: a snapshot that is incomplete keeps its place in history.
#[test]
fn j4_incomplete_snapshots_stay() {
    let recorder = Recorder::new();
    recorder.write("f", b"1");
    let snapshot = recorder.snap().snapshot;
    let mark = |incomplete| Fact::SnapshotIncomplete { snapshot, incomplete, time: Timestamp(0) };
    let marked = recorder.store.record(|_| Ok(vec![mark(true)])).unwrap().state;
    assert!(marked.incomplete.contains(&snapshot));
    assert_eq!(marked.workspaces[&recorder.workspace].steps[&1], snapshot);
    assert_eq!(facts::decode(&facts::encode(&[mark(true)])), Ok(vec![mark(true)]));
    assert_eq!(facts::encode(&[mark(true)])[..2], [1, 9]);
    let whole = recorder.store.record(|_| Ok(vec![mark(false)])).unwrap().state;
    assert!(whole.incomplete.is_empty());
}

/// W9: where there are packs and no file that names the store, or one that names another, no store is created.
#[test]
fn w9_packs_without_their_format_are_no_place_for_a_store() {
    let scratch = Scratch::new();
    let store = open_store(&scratch.join("store"));
    transact(&store, vec![content(b"one")], 1);
    let format = scratch.join("store/FORMAT");
    let other = Scratch::new();
    open_store(&other.join("store"));
    let theirs = std::fs::read(other.join("store/FORMAT")).unwrap();
    for bytes in [None, Some(&theirs[..]), Some(b""), Some(b"retrograde store\nversion 1\nid 00\n")] {
        match bytes {
            Some(bytes) => forge(&format, bytes),
            None => std::fs::remove_file(&format).unwrap(),
        }
        let disk = Arc::new(LocalDisk::open(&scratch.join("store")).unwrap());
        let error = Store::open_or_create(disk).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.hint().is_some_and(|hint| hint.contains("retro repair")), "{error}");
        assert_eq!(std::fs::read(&format).ok().as_deref(), bytes);
    }
}

/// J1: facts about an unknown workspace have no effect.
#[test]
fn j1_facts_about_an_unknown_workspace_have_no_effect() {
    let scratch = Scratch::new();
    let store = open_store(&scratch.join("store"));
    let workspace = WorkspaceId([9; 16]);
    let snapshot = retrograde::id::SnapshotId(Digest::of(b""));
    let cause = retrograde::format::snapshot::Cause::Step;
    let taken = Fact::SnapshotTaken { workspace, snapshot, step: 1, run: Some("main".to_owned()), cause };
    store.record(|_| Ok(vec![taken, Fact::WorkspaceForgotten { workspace, time: Timestamp(0) }])).unwrap();
    assert_eq!(open_store(&scratch.join("store")).state().workspaces.len(), 0);
}

/// J7: of two workspaces at one path the one that was put there last counts, whatever their ids are.
#[test]
fn j7_the_later_workspace_at_a_path_counts() {
    let scratch = Scratch::new();
    let store = open_store(&scratch.join("store"));
    let (low, high, time) = (WorkspaceId([1; 16]), WorkspaceId([2; 16]), Timestamp(0));
    let added = |workspace, root: &[u8]| Fact::WorkspaceAdded { workspace, root: root.to_vec(), time };
    let record = |fact: Fact| store.record(|_| Ok(vec![fact])).unwrap().state.workspace_at(b"/w").map(|found| found.id);
    assert_eq!(record(added(high, b"/w")), Some(high));
    assert_eq!(record(added(low, b"/w")), Some(low));
    assert_eq!(record(Fact::WorkspaceMoved { workspace: high, root: b"/w".to_vec(), time }), Some(high));
    assert_eq!(record(Fact::WorkspaceMoved { workspace: high, root: b"/x".to_vec(), time }), Some(low));
    drop(store);
    assert_eq!(open_store(&scratch.join("store")).state().workspace_at(b"/w").map(|found| found.id), Some(low));
}

/// J3: what the journal lacks is read from the packs, and who writes it next leaves nothing out.
#[test]
fn j3_a_short_journal_is_completed() {
    let scratch = Scratch::new();
    let store = open_store(&scratch.join("store"));
    // So much that the journal is written.
    let long = |number: u64| {
        let mut bytes = vec![0; usize::try_from(INDEX_BEHIND_MAX_BYTES).unwrap()];
        blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut bytes);
        vec![content(&bytes)]
    };
    (1..=5).for_each(|number| transact(&store, long(number), number));
    let journal = scratch.join("store/journal");
    let sequences = || {
        let bytes = std::fs::read(&journal).unwrap();
        let found = journal::decode(&bytes, store.id()).unwrap();
        found.groups.iter().map(|group| group.sequence).collect::<Vec<_>>()
    };
    assert_eq!(sequences(), [1, 2, 3, 4, 5]);
    let whole = std::fs::read(&journal).unwrap();
    forge(&journal, &whole[..whole.len() / 2]);
    assert!(sequences().len() < 5);
    let reader = open_store(&scratch.join("store"));
    assert_eq!(reader.state().pins.len(), 5);
    transact(&reader, Vec::new(), 6);
    transact(&reader, long(7), 7);
    assert_eq!(sequences(), [1, 2, 3, 4, 5, 6, 7]);
}

/// W3: files of dead writers go, those of living ones stay.
#[test]
fn w3_strays_of_dead_writers_are_removed() {
    let scratch = Scratch::new();
    let store = open_store(&scratch.join("store"));
    forge(&scratch.join("store/tmp/dead.pack"), b"left behind");
    forge(&scratch.join("store/tmp/living.pack"), b"in use");
    let other = LocalDisk::open(&scratch.join("store")).unwrap();
    let _alive = other.lock("tmp/living.pack", LockMode::Exclusive).unwrap();
    transact(&store, Vec::new(), 1);
    assert!(!scratch.join("store/tmp/dead.pack").exists());
    assert!(scratch.join("store/tmp/living.pack").exists());
}

/// W5: nobody else may look into a store.
#[test]
fn w5_a_store_is_private() {
    let recorder = Recorder::new();
    recorder.write("f", b"secret");
    recorder.snap();
    let mut todo = vec![recorder.store_root()];
    let mut seen = 0;
    while let Some(path) = todo.pop() {
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        let wanted = if metadata.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(metadata.permissions().mode() & 0o7777, wanted, "{}", path.display());
        seen += 1;
        if metadata.is_dir() {
            todo.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    assert!(seen >= 10);
}

/// V1: a store of a newer version is refused, and not taken for damage.
#[test]
fn v1_newer_stores_are_refused() {
    let scratch = Scratch::new();
    open_store(&scratch.join("store"));
    let format = scratch.join("store/FORMAT");
    let text = std::fs::read_to_string(&format).unwrap();
    forge(&format, text.replace("version 1", "version 2").as_bytes());
    let disk = Arc::new(LocalDisk::open(&scratch.join("store")).unwrap());
    assert_eq!(Store::open(disk).unwrap_err().kind(), ErrorKind::Unsupported);
}

/// X1: an index of another pack or store, or one that covers more than the pack, is ignored.
#[test]
fn x1_foreign_indexes_are_ignored() {
    let scratch = Scratch::new();
    let store = open_store(&scratch.join("store"));
    transact(&store, vec![content(b"mine")], 1);
    let other = Scratch::new();
    let foreign = open_store(&other.join("store"));
    transact(&foreign, vec![content(b"theirs")], 1);
    let index = scratch.join("store/packs/000001.idx");
    let good = std::fs::read(&index).unwrap();
    forge(&index, &std::fs::read(other.join("store/packs/000001.idx")).unwrap());
    let reader = open_store(&scratch.join("store"));
    assert!(reader.contains(ObjectKind::Content, &Digest::of(b"mine")));
    assert!(!reader.contains(ObjectKind::Content, &Digest::of(b"theirs")));
    forge(&index, &good);
    let bytes = std::fs::read(pack(&scratch)).unwrap();
    let record = decode_record(&bytes[PACK_HEADER_LENGTH_BYTES..]).unwrap();
    assert!(decode_trailer(&bytes[PACK_HEADER_LENGTH_BYTES + record.record_length_bytes()..]).is_ok());
    forge(&pack(&scratch), &bytes[..PACK_HEADER_LENGTH_BYTES]);
    let reader = open_store(&scratch.join("store"));
    assert!(!reader.contains(ObjectKind::Content, &Digest::of(b"mine")), "the index covers more than there is");
    assert_eq!(reader.id(), StoreId(store.id().0));
}
