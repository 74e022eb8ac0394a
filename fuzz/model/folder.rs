//! The live folder, and edits in it.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use retrograde::format::tree::EntryKind;
use retrograde::id::{BlobId, TreeId};
use retrograde::store::Store;
use retrograde::workspace::temporary_name::{is_temporary_name, temporary_name};

use super::{Choices, World};

/// An entry of the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    File(Vec<u8>, u32),
    Folder(u32),
    Symlink(String),
}

/// All paths of a folder with their entries.
pub(super) type Tree = BTreeMap<String, Node>;

pub(super) const TOP: [&str; 4] = ["a", "b", "dir", "z"];
const BELOW: [&str; 3] = ["x", "y", "deep"];

impl World {
    fn path(choices: &mut Choices<'_>) -> String {
        let top = TOP[choices.below(TOP.len())];
        match choices.below(BELOW.len() + 2) {
            at if at < BELOW.len() => format!("{top}/{}", BELOW[at]),
            at if at == BELOW.len() => format!("{top}/deep/er"),
            _ => top.to_owned(),
        }
    }

    /// Writes something at a path, replacing any existing entry.
    pub(super) fn write(&mut self, choices: &mut Choices<'_>) {
        let path = Self::path(choices);
        let node = match choices.below(8) {
            0 => Node::Folder(0o755),
            1 => Node::Symlink(["x", "../z", "/nowhere"][choices.below(3)].to_owned()),
            2 => Node::File(content(choices.below(256), 5_000), 0o600),
            3 => Node::File(content(choices.below(3), 70_000), 0o644),
            _ => {
                // A version similar to the one before, as after an edit.
                let mut text = match self.model.now.get(&path) {
                    Some(Node::File(content, _)) => content.clone(),
                    _ => content(7, 3_000),
                };
                let at = choices.below(256).min(text.len());
                text.splice(at..at, format!("edit {}", choices.below(256)).into_bytes());
                Node::File(text, 0o644)
            }
        };
        self.clear(&path);
        for (at, _) in path.match_indices('/') {
            let above = &path[..at];
            if !matches!(self.model.now.get(above), Some(Node::Folder(_))) {
                self.clear(above);
                self.put(above, Node::Folder(0o755));
            }
        }
        self.put(&path, node);
    }

    pub(super) fn remove(&mut self, choices: &mut Choices<'_>) {
        let path = Self::path(choices);
        self.clear(&path);
    }

    pub(super) fn change_mode(&mut self, choices: &mut Choices<'_>) {
        let path = Self::path(choices);
        let mode = [0o755, 0o700, 0o644, 0o600][choices.below(4)];
        match self.model.now.get_mut(&path) {
            Some(Node::File(_, old)) => *old = mode,
            Some(Node::Folder(old)) => *old = mode | 0o700,
            Some(Node::Symlink(_)) | None => return,
        }
        let mode = if matches!(self.model.now[&path], Node::Folder(_)) { mode | 0o700 } else { mode };
        std::fs::set_permissions(self.folder.join(path), PermissionsExt::from_mode(mode)).expect("it is ours");
    }

    /// Removes a path and everything below it, in the folder and in the model.
    #[allow(clippy::disallowed_methods, reason = "the folder is the test's own")]
    fn clear(&mut self, path: &str) {
        match self.model.now.get(path) {
            None => return,
            Some(Node::Folder(_)) => std::fs::remove_dir_all(self.folder.join(path)).expect("it is ours"),
            Some(_) => std::fs::remove_file(self.folder.join(path)).expect("it is ours"),
        }
        self.model.now.retain(|other, _| !is_within(other, path));
    }

    #[allow(clippy::disallowed_methods, reason = "the folder is the test's own")]
    fn put(&mut self, path: &str, node: Node) {
        let place = self.folder.join(path);
        match &node {
            Node::File(content, _) => std::fs::write(&place, content).expect("it is ours"),
            Node::Folder(_) => std::fs::create_dir(&place).expect("it is ours"),
            Node::Symlink(target) => symlink(target, &place).expect("it is ours"),
        }
        if let Node::File(_, mode) | Node::Folder(mode) = node {
            std::fs::set_permissions(&place, PermissionsExt::from_mode(mode)).expect("it is ours");
        }
        self.model.now.insert(path.to_owned(), node);
    }

    /// Turns the folder into `wanted`, touching only the differences.
    pub(super) fn lay_out(&mut self, wanted: &Tree) {
        self.changes_to(wanted, 0).into_iter().for_each(|(path, node)| self.change(&path, node));
        assert_eq!(self.model.now, *wanted);
    }

    /// Turns the folder into the state that a killed restore to `wanted` leaves: some of its changes, in its order, and
    /// perhaps a temporary file.
    pub(super) fn lay_out_half(&mut self, wanted: &Tree, choices: &mut Choices<'_>) {
        let changes = self.changes_to(wanted, choices.below(256));
        let done = choices.below(changes.len() + 1);
        changes.into_iter().take(done).for_each(|(path, node)| self.change(&path, node));
        if choices.below(2) == 0 {
            let folders = self.model.now.iter().filter(|(_, node)| matches!(node, Node::Folder(_)));
            let folder = folders.map(|(path, _)| path.as_str()).nth(choices.below(4)).unwrap_or_default();
            let stray = self.folder.join(join(
                folder,
                &temporary_name(u32::try_from(self.clock % 1_000_000).expect("small and positive")),
            ));
            #[allow(clippy::disallowed_methods, reason = "the folder is the test's own")]
            std::fs::write(&stray, b"half of a fi").expect("it is ours");
            self.strays.push(stray);
        }
    }

    /// The changes by which a restore reaches `wanted`. It removes, deepest first; creates folders, closed to others;
    /// writes files and symlinks, in any order, here starting at another one for each `turn`; and sets the modes of
    /// folders.
    fn changes_to(&self, wanted: &Tree, turn: usize) -> Vec<(String, Option<Node>)> {
        let now = &self.model.now;
        let is_folder = |tree: &Tree, path: &str| matches!(tree.get(path), Some(Node::Folder(_)));
        let stays = |path: &str| wanted.contains_key(path) && is_folder(now, path) == is_folder(wanted, path);
        let removed = now.keys().rev().filter(|path| !stays(path)).map(|path| (path.clone(), None));
        let new = wanted.keys().filter(|path| is_folder(wanted, path) && !is_folder(now, path));
        let created = new.map(|path| (path.clone(), Some(Node::Folder(0o700))));
        let differs = |path: &str, node: &Node| now.get(path) != Some(node);
        let as_wanted = |(path, node): (&String, &Node)| (path.clone(), Some(node.clone()));
        let is_written = |(path, node): &(&String, &Node)| !is_folder(wanted, path) && differs(path, node);
        let mut written: Vec<_> = wanted.iter().filter(is_written).map(as_wanted).collect();
        let turn = turn % written.len().max(1);
        written.rotate_left(turn);
        let has_other_mode = |(path, node): &(&String, &Node)| is_folder(wanted, path) && differs(path, node);
        let modes = wanted.iter().filter(has_other_mode).map(as_wanted);
        removed.chain(created).chain(written).chain(modes).collect()
    }

    fn change(&mut self, path: &str, node: Option<Node>) {
        match node {
            Some(Node::Folder(mode)) if matches!(self.model.now.get(path), Some(Node::Folder(_))) => {
                std::fs::set_permissions(self.folder.join(path), PermissionsExt::from_mode(mode)).expect("it is ours");
                self.model.now.insert(path.to_owned(), Node::Folder(mode));
            }
            Some(node) => {
                self.clear(path);
                self.put(path, node);
            }
            None => self.clear(path),
        }
    }
}

/// Bytes that compress a little, different for each seed.
fn content(seed: usize, length: usize) -> Vec<u8> {
    let word = |number: usize| (seed * 31 + number * number % 97) % 26;
    (0..length).map(|number| b"abcdefghijklmnopqrstuvwxyz"[word(number / 3)]).collect()
}

pub(super) fn is_within(path: &str, top: &str) -> bool {
    path == top || path.strip_prefix(top).is_some_and(|rest| rest.starts_with('/'))
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// Lists a folder without the library, skipping temporary files of killed restores.
pub(super) fn list(root: &Path, folder: &str, found: &mut Tree) {
    for entry in std::fs::read_dir(root.join(folder)).expect("it can be listed") {
        let entry = entry.expect("it can be listed");
        let name = entry.file_name();
        if is_temporary_name(name.as_bytes()) {
            continue;
        }
        let path = join(folder, name.to_str().expect("names are text"));
        let facts = std::fs::symlink_metadata(entry.path()).expect("it is there");
        let mode = facts.permissions().mode() & 0o7777;
        if facts.is_dir() {
            found.insert(path.clone(), Node::Folder(mode));
            list(root, &path, found);
        } else if facts.is_symlink() {
            let target = std::fs::read_link(entry.path()).expect("it is a symlink");
            found.insert(path, Node::Symlink(target.to_str().expect("targets are text").to_owned()));
        } else {
            found.insert(path, Node::File(std::fs::read(entry.path()).expect("it can be read"), mode));
        }
    }
}

/// Reads the contents of a tree in the store.
pub(super) fn read(store: &Store, tree: TreeId, folder: &str, found: &mut Tree) {
    for entry in store.folder(tree).expect("it was acknowledged") {
        let path = join(folder, std::str::from_utf8(&entry.name).expect("names are text"));
        let content = || store.read_blob(BlobId(entry.id), 1 << 20).expect("it was acknowledged");
        let mode = u32::from(entry.mode);
        match entry.kind {
            EntryKind::Folder => {
                found.insert(path.clone(), Node::Folder(mode));
                read(store, TreeId(entry.id), &path, found);
            }
            EntryKind::File => drop(found.insert(path, Node::File(content(), mode))),
            EntryKind::Symlink => {
                drop(found.insert(path, Node::Symlink(String::from_utf8(content()).expect("targets are text"))))
            }
        }
    }
}
