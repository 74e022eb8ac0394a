//! States as plain maps: stored, compared with a folder, and turned into a list of changes.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use super::scratch::Scratch;
use super::walker::{Node, Nodes, What, handle_path, open_below, walk};
use crate::disk::local::LocalDisk;
use crate::format::chunk_list::{self, ChunkRef};
use crate::format::facts::Fact;
use crate::format::pack::ObjectKind;
use crate::format::tree::{self, Entry, EntryKind};
use crate::id::{BlobId, Digest, SnapshotId, TreeId};
use crate::path::TreePath;
use crate::store::{Final, NewObject, Store};
use crate::time::Timestamp;
use crate::workspace::materialize::{Action, Task};

/// The entries below a folder, by path, including every folder on the way.
pub(super) type Model = BTreeMap<Vec<u8>, Item>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    File(Vec<u8>, u16),
    Folder(u16),
    Symlink(Vec<u8>),
}

impl Item {
    pub(super) fn kind(&self) -> EntryKind {
        match self {
            Self::File(..) => EntryKind::File,
            Self::Folder(_) => EntryKind::Folder,
            Self::Symlink(_) => EntryKind::Symlink,
        }
    }
}

/// A model of UTF-8 paths.
pub(super) fn model<const N: usize>(items: [(&str, Item); N]) -> Model {
    items.into_iter().map(|(path, item)| (path.as_bytes().to_vec(), item)).collect()
}

pub(super) fn file(content: &str, mode: u16) -> Item {
    Item::File(content.as_bytes().to_vec(), mode)
}

pub(super) fn link(target: &str) -> Item {
    Item::Symlink(target.as_bytes().to_vec())
}

/// A temporary store.
pub(super) struct Stock {
    _scratch: Scratch,
    pub(super) store: Store,
}

impl Stock {
    pub(super) fn new() -> Self {
        let scratch = Scratch::new();
        let store = Store::open_or_create(Arc::new(LocalDisk::create(&scratch.join("store")).unwrap())).unwrap();
        Self { _scratch: scratch, store }
    }

    /// Stores a state and everything in it.
    pub(super) fn put(&self, model: &Model) -> TreeId {
        let mut objects = Vec::new();
        let mut folders: BTreeMap<&[u8], Vec<Entry>> = BTreeMap::new();
        let mut paths: Vec<&Vec<u8>> = model.keys().collect();
        paths.sort_by_key(|path| std::cmp::Reverse(path.split(|&byte| byte == b'/').count()));
        for path in paths {
            let cut = path.iter().rposition(|&byte| byte == b'/');
            let name = &path[cut.map_or(0, |at| at + 1)..];
            let (mode, size, id) = match &model[path] {
                Item::File(content, mode) => (*mode, content.len() as u64, blob(content, &mut objects)),
                Item::Symlink(target) => (0, target.len() as u64, blob(target, &mut objects)),
                Item::Folder(mode) => {
                    let (id, size) = folder(folders.remove(&path[..]).unwrap_or_default(), &mut objects);
                    (*mode, size, id)
                }
            };
            let entry = Entry { name: name.into(), kind: model[path].kind(), mode, size, id };
            folders.entry(&path[..cut.unwrap_or(0)]).or_default().push(entry);
        }
        let (root, _) = folder(folders.remove(&b""[..]).unwrap_or_default(), &mut objects);
        assert!(folders.is_empty(), "every folder on the way is in the model");
        self.put_objects(objects);
        TreeId(root)
    }

    /// Stores the tree of one folder with the given entries.
    pub(super) fn put_entries(&self, entries: &[Entry]) -> TreeId {
        let mut objects = Vec::new();
        let (id, _) = folder(entries.to_vec(), &mut objects);
        self.put_objects(objects);
        TreeId(id)
    }

    /// Stores content.
    pub(super) fn put_blob(&self, content: &[u8]) -> BlobId {
        let mut objects = Vec::new();
        let id = blob(content, &mut objects);
        self.put_objects(objects);
        BlobId(id)
    }

    fn put_objects(&self, objects: Vec<NewObject>) {
        let mut batch = self.store.batch();
        batch.add(objects).unwrap();
        let snapshot = SnapshotId(Digest::default());
        let facts = vec![Fact::Pinned { snapshot, pinned: true, time: Timestamp(0) }];
        batch.record(|_| Ok(Final { objects: Vec::new(), facts })).unwrap();
    }
}

fn blob(content: &[u8], objects: &mut Vec<NewObject>) -> Digest {
    let id = Digest::of(content);
    let object = |kind, id, bytes: &[u8]| NewObject { kind, id, bytes: bytes.to_vec(), previous: None };
    if content.len() <= 1 << 20 {
        objects.push(object(ObjectKind::Content, id, content));
        return id;
    }
    let mut chunks = Vec::new();
    for chunk in content.chunks(200_001) {
        let length_bytes = u32::try_from(chunk.len()).unwrap();
        chunks.push(ChunkRef { id: BlobId(Digest::of(chunk)), length_bytes });
        objects.push(object(ObjectKind::Content, Digest::of(chunk), chunk));
    }
    objects.push(object(ObjectKind::ChunkList, id, &chunk_list::encode(&chunks)));
    id
}

fn folder(mut entries: Vec<Entry>, objects: &mut Vec<NewObject>) -> (Digest, u64) {
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    let encoded = tree::encode(&entries);
    let id = encoded.id().0;
    for (id, bytes) in encoded.objects {
        objects.push(NewObject { kind: ObjectKind::Tree, id: id.0, bytes, previous: None });
    }
    (id, encoded.size)
}

/// The state that the walker finds after this user restored one.
pub(super) fn visible(model: &Model, root_mode: u16) -> Nodes {
    let is_root = rustix::process::geteuid().is_root();
    let lacks = |mode: u16, right: u16| !is_root && mode & right == 0;
    let mut nodes = Nodes::new();
    nodes.insert(Vec::new(), Node { what: What::Folder { is_readable: true }, mode: root_mode.into() });
    for (path, item) in model {
        let above = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| &path[..at]);
        let is_hidden =
            |above: &[u8]| matches!(model[above], Item::Folder(mode) if lacks(mode, 0o400) || lacks(mode, 0o100));
        if above.into_iter().any(is_hidden) {
            continue;
        }
        let (what, mode) = match item {
            Item::File(content, mode) => {
                let hash = (!lacks(*mode, 0o400)).then(|| Digest::of(content).0);
                (What::File(content.len() as u64, hash), *mode)
            }
            Item::Folder(mode) => (What::Folder { is_readable: !lacks(*mode, 0o400) }, *mode),
            Item::Symlink(target) => (What::Symlink(target.clone()), 0),
        };
        nodes.insert(path.clone(), Node { what, mode: mode.into() });
    }
    nodes
}

/// The state that the walker finds, without names in folders that can be listed but not entered.
pub(super) fn walk_visible(top: &Path) -> Nodes {
    let mut nodes = walk(top);
    nodes.retain(|_, node| node.mode != u32::MAX);
    nodes
}

/// The state of a folder as a recorder sees it: without special files and unreadable ones.
pub(super) fn record(top: &Path) -> Model {
    let root = std::fs::File::open(top).unwrap();
    let mut model = Model::new();
    for (path, node) in walk_visible(top) {
        let mode = u16::try_from(node.mode).unwrap();
        let item = match node.what {
            What::File(_, None) | What::Special => continue,
            What::File(..) => {
                let cut = path.iter().rposition(|&byte| byte == b'/');
                let folder = open_below(&root, &path[..cut.unwrap_or(0)]).unwrap();
                let name = std::ffi::OsStr::from_bytes(&path[cut.map_or(0, |at| at + 1)..]);
                Item::File(std::fs::read(handle_path(&folder).join(name)).unwrap(), mode)
            }
            What::Folder { .. } => Item::Folder(mode),
            What::Symlink(target) => Item::Symlink(target),
        };
        model.insert(path, item);
    }
    model.remove(&b""[..]);
    model
}

/// The changes from a folder's state to another.
pub(super) fn plan(live: &Nodes, target: &Model) -> Vec<Action> {
    let mut actions = Vec::new();
    for (bytes, node) in live.iter().filter(|(path, _)| !path.is_empty()) {
        let path = TreePath::new(bytes).unwrap();
        let (kind, is_same) = match (&node.what, target.get(bytes)) {
            (What::File(_, hash), item) => {
                (EntryKind::File, matches!(item, Some(Item::File(content, _)) if Some(Digest::of(content).0) == *hash))
            }
            (What::Folder { .. }, _) => (EntryKind::Folder, true),
            (What::Symlink(found), item) => {
                (EntryKind::Symlink, matches!(item, Some(Item::Symlink(to)) if to == found))
            }
            (What::Special, _) => continue,
        };
        let is_same_mode = |mode: u16| u32::from(mode) == node.mode;
        match target.get(bytes) {
            Some(item) if item.kind() != kind => {
                actions.push(Action { kind, ..Action::on_folder(path.clone(), Task::Remove, 0) });
                actions.push(action(path, Task::Create, item));
            }
            None => actions.push(Action { kind, ..Action::on_folder(path, Task::Remove, 0) }),
            Some(item) if !is_same => actions.push(action(path, Task::Replace, item)),
            Some(item @ (Item::Folder(mode) | Item::File(_, mode))) if !is_same_mode(*mode) => {
                actions.push(action(path, Task::SetMode, item));
            }
            Some(_) => {}
        }
    }
    for (bytes, item) in target.iter().filter(|(path, _)| !live.contains_key(*path)) {
        actions.push(action(TreePath::new(bytes).unwrap(), Task::Create, item));
    }
    actions
}

fn action(path: TreePath, task: Task, item: &Item) -> Action {
    let (mode, content) = match item {
        Item::File(content, mode) => (*mode, &content[..]),
        Item::Folder(mode) => (*mode, &[][..]),
        Item::Symlink(target) => (0, &target[..]),
    };
    Action { path, task, kind: item.kind(), mode, size: content.len() as u64, id: Digest::of(content) }
}

/// Creates a folder with these entries, without the code under test.
#[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
pub(super) fn build(top: &Path, model: &Model) {
    let place = |path: &Vec<u8>| top.join(std::ffi::OsStr::from_bytes(path));
    for (path, item) in model {
        match item {
            Item::File(content, mode) => {
                std::fs::write(place(path), content).unwrap();
                std::fs::set_permissions(place(path), Permissions::from_mode((*mode).into())).unwrap();
            }
            Item::Folder(_) => std::fs::create_dir(place(path)).unwrap(),
            Item::Symlink(target) => {
                std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(target), place(path)).unwrap();
            }
        }
    }
    for (path, item) in model.iter().rev() {
        if let Item::Folder(mode) = item {
            std::fs::set_permissions(place(path), Permissions::from_mode((*mode).into())).unwrap();
        }
    }
}
