//! Tests of comparing trees in a real store.

use std::sync::Arc;

use super::rename::{RenameOptions, detect};
use super::{ChangeKind, Side, TreeDiffOptions, counts, trees};
use crate::disk::local::LocalDisk;
use crate::error::Result;
use crate::format::facts::Fact;
use crate::format::pack::ObjectKind;
use crate::format::snapshot::ChangeCounts;
use crate::format::tree::{self, Entry, EntryKind};
use crate::id::{Digest, TreeId, WorkspaceId};
use crate::store::{Final, NewObject, Store};
use crate::time::Timestamp;

/// Stores a folder of files, and their contents unless `without` names them.
fn put(store: &Store, files: &[(&str, &[u8])], without: &[&str]) -> TreeId {
    let entry = |(name, content): &(&str, &[u8])| Entry {
        name: name.as_bytes().into(),
        kind: EntryKind::File,
        mode: 0o644,
        size: content.len() as u64,
        id: Digest::of(content),
    };
    let mut objects: Vec<NewObject> = Vec::new();
    for (name, content) in files {
        if !without.contains(name) {
            let (id, bytes) = (Digest::of(content), content.to_vec());
            objects.push(NewObject { kind: ObjectKind::Content, id, bytes, previous: None });
        }
    }
    let folder = tree::encode(&files.iter().map(entry).collect::<Vec<_>>());
    let root = folder.id();
    for (id, bytes) in folder.objects {
        objects.push(NewObject { kind: ObjectKind::Tree, id: id.0, bytes, previous: None });
    }
    let mut batch = store.batch();
    batch.add(objects).unwrap();
    let added = Fact::WorkspaceAdded { workspace: WorkspaceId([1; 16]), root: b"/w".to_vec(), time: Timestamp(0) };
    batch.record(|_| Ok(Final { objects: Vec::new(), facts: vec![added] })).unwrap();
    root
}

fn read(store: &Store, side: &Side) -> Result<Option<Vec<u8>>> {
    side.blob().map(|blob| store.read_blob(blob, side.size)).transpose()
}

#[test]
fn trees_and_contents_are_read_from_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_or_create(Arc::new(LocalDisk::create(folder.path()).unwrap())).unwrap();
    let old = put(&store, &[("gone", b"1\n2\n3\n4\n5\n"), ("kept", b"same")], &[]);
    let new = put(&store, &[("kept", b"same"), ("moved", b"1\n2\n3\n4\nfive\n")], &[]);
    let changes = trees(&|id| store.tree(id), Some(old), Some(new), &TreeDiffOptions::default()).unwrap();
    assert_eq!(counts(&changes), ChangeCounts { added: 1, modified: 0, deleted: 1 });
    let joined = detect(changes.clone(), &RenameOptions::default(), &mut |side| read(&store, side)).unwrap();
    assert_eq!((joined.len(), joined[0].kind), (1, ChangeKind::Renamed));
    assert_eq!(counts(&joined), counts(&changes));
}

#[test]
fn content_that_is_missing_is_an_error_and_not_a_difference() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_or_create(Arc::new(LocalDisk::create(folder.path()).unwrap())).unwrap();
    let old = put(&store, &[("gone", b"1\n2\n")], &["gone"]);
    let new = put(&store, &[("moved", b"1\n3\n")], &[]);
    let changes = trees(&|id| store.tree(id), Some(old), Some(new), &TreeDiffOptions::default()).unwrap();
    assert!(detect(changes, &RenameOptions::default(), &mut |side| read(&store, side)).is_err());
}
