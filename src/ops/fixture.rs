//! Histories in a real store, written without a live folder, for tests of what reads them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::record::ingest;
use crate::disk::local::LocalDisk;
use crate::format::attributes::{Owner, encode_list};
use crate::format::facts::Fact;
use crate::format::pack::ObjectKind;
use crate::format::snapshot::{self, Attachment, Cause, ChangeCounts, Snapshot, history_digest};
use crate::format::tree::{self, Entry, EntryKind};
use crate::id::{Digest, SnapshotId, TreeId, WorkspaceId};
use crate::path::TreePath;
use crate::store::{Batch, Final, NewObject, Store};
use crate::time::Timestamp;

/// A store with one workspace, in a folder of its own.
pub(super) struct Bench {
    pub(super) store: Store,
    pub(super) workspace: WorkspaceId,
    _folder: tempfile::TempDir,
}

/// The thing at a path.
#[derive(Clone)]
pub(super) enum Thing {
    File(u16, Vec<u8>),
    Folder(u16),
    Symlink(Vec<u8>),
}

/// The files of a workspace. Folders on the way to a path have mode 0755 unless they are listed.
pub(super) type Files = BTreeMap<TreePath, Thing>;

/// Everything of a step but its files.
#[derive(Clone)]
pub(super) struct About {
    pub(super) parent: Option<SnapshotId>,
    pub(super) run: &'static str,
    pub(super) message: &'static str,
    pub(super) event: &'static [u8],
    pub(super) time: Timestamp,
    pub(super) times: Vec<(TreePath, Timestamp)>,
    pub(super) root_mode: u16,
    pub(super) root_owner: Option<Owner>,
    /// Sets, encoded.
    pub(super) attributes: Vec<(TreePath, Box<[u8]>)>,
}

impl Default for About {
    fn default() -> Self {
        let time = Timestamp::from_seconds(1_700_000_000);
        Self {
            parent: None,
            run: "main",
            message: "",
            event: b"",
            time,
            times: Vec::new(),
            root_mode: 0o755,
            root_owner: None,
            attributes: Vec::new(),
        }
    }
}

pub(super) fn path(bytes: impl AsRef<[u8]>) -> TreePath {
    TreePath::new(bytes.as_ref()).unwrap()
}

pub(super) fn file(mode: u16, bytes: impl AsRef<[u8]>) -> Thing {
    Thing::File(mode, bytes.as_ref().to_vec())
}

/// Bytes that do not compress.
pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut out = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}

impl Bench {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = LocalDisk::create(folder.path()).unwrap();
        let store = Store::open_or_create(Arc::new(disk)).unwrap();
        let workspace = WorkspaceId([7; 16]);
        let added = Fact::WorkspaceAdded { workspace, root: b"/w".to_vec(), time: Timestamp(0) };
        store.record(|_| Ok(vec![added])).unwrap();
        Self { store, workspace, _folder: folder }
    }

    /// Records a step.
    pub(super) fn take(&self, files: &Files, about: &About) -> SnapshotId {
        let mut batch = self.store.batch();
        let (root, _) = put_folder(&mut batch, files, &TreePath::root());
        self.record(&mut batch, TreeId(root), about)
    }

    /// Records a step with one file, however deep.
    pub(super) fn take_deep(&self, path: &str, bytes: &[u8]) -> SnapshotId {
        let mut batch = self.store.batch();
        let mut below = (EntryKind::File, 0o644, ingest::any(&mut batch, bytes.to_vec(), None).unwrap().0);
        for name in path.split('/').rev() {
            let (kind, mode, id) = below;
            let entry = Entry { name: name.as_bytes().into(), kind, mode, size: bytes.len() as u64, id };
            below = (EntryKind::Folder, 0o755, put_entries(&mut batch, &[entry]).0);
        }
        self.record(&mut batch, TreeId(below.2), &About::default())
    }

    fn record(&self, batch: &mut Batch<'_>, root: TreeId, about: &About) -> SnapshotId {
        let parent = about.parent.map(|id| self.store.snapshot(id).unwrap().history);
        let step = self.store.state().workspaces[&self.workspace].last_step + 1;
        let times = ingest::attachment(batch, snapshot::encode_times(&about.times), None).unwrap();
        let snapshot = Snapshot {
            root,
            root_mode: about.root_mode,
            root_owner: about.root_owner,
            parents: about.parent.into_iter().collect(),
            history: history_digest(parent, root),
            workspace: self.workspace,
            run: Some(about.run.to_owned()),
            step,
            time: about.time,
            cause: Cause::Step,
            message: about.message.to_owned(),
            changes: ChangeCounts::default(),
            event: ingest::attachment(batch, about.event.to_vec(), None).unwrap(),
            times,
            omitted: Attachment::Empty,
            attributes: ingest::attachment(batch, encode_list(&about.attributes), None).unwrap(),
            excluded: Attachment::Empty,
            rules: ingest::any(batch, b".git/\n".to_vec(), None).unwrap(),
            dropped: None,
            git: None,
        };
        let bytes = snapshot::encode(&snapshot);
        let id = snapshot::snapshot_id(&bytes);
        let (run, cause) = (Some(about.run.to_owned()), Cause::Step);
        let taken = Fact::SnapshotTaken { workspace: self.workspace, snapshot: id, step, run, cause };
        let object = NewObject { kind: ObjectKind::Snapshot, id: id.0, bytes, previous: None };
        batch.record(|_| Ok(Final { objects: vec![object], facts: vec![taken] })).unwrap();
        id
    }

    /// Records steps one after another.
    pub(super) fn line(&self, steps: &[Files]) -> Vec<SnapshotId> {
        let mut ids: Vec<SnapshotId> = Vec::new();
        for files in steps {
            let seconds = 1_700_000_000 + i64::try_from(ids.len()).unwrap() * 60;
            let time = Timestamp(Timestamp::from_seconds(seconds).0 + 123_456_789);
            ids.push(self.take(files, &About { parent: ids.last().copied(), time, ..About::default() }));
        }
        ids
    }
}

fn put_folder(batch: &mut Batch<'_>, files: &Files, folder: &TreePath) -> (Digest, u64) {
    let mut entries: BTreeMap<Vec<u8>, Entry> = BTreeMap::new();
    for (path, thing) in files {
        if path == folder || !path.is_within(folder) {
            continue;
        }
        let name = path.names().nth(folder.depth()).unwrap().to_vec();
        let here = folder.join(&name);
        let entry = match thing {
            Thing::File(mode, bytes) if here == *path => {
                let id = ingest::any(batch, bytes.clone(), None).unwrap().0;
                (EntryKind::File, *mode, bytes.len() as u64, id)
            }
            Thing::Symlink(target) if here == *path => {
                let id = ingest::any(batch, target.clone(), None).unwrap().0;
                (EntryKind::Symlink, 0, target.len() as u64, id)
            }
            _ if entries.contains_key(&name) => continue,
            _ => {
                let mode = match files.get(&here) {
                    Some(Thing::Folder(mode)) => *mode,
                    _ => 0o755,
                };
                let (id, size) = put_folder(batch, files, &here);
                (EntryKind::Folder, mode, size, id)
            }
        };
        let (kind, mode, size, id) = entry;
        entries.insert(name.clone(), Entry { name: name.into(), kind, mode, size, id });
    }
    put_entries(batch, &entries.into_values().collect::<Vec<_>>())
}

fn put_entries(batch: &mut Batch<'_>, entries: &[Entry]) -> (Digest, u64) {
    let encoded = tree::encode(entries);
    let (id, size) = (encoded.id().0, encoded.size);
    let objects = encoded.objects.into_iter().map(|(id, bytes)| NewObject {
        kind: ObjectKind::Tree,
        id: id.0,
        bytes,
        previous: None,
    });
    batch.add(objects.collect()).unwrap();
    (id, size)
}
