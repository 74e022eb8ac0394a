//! What is in a snapshot: listing its folders, and finding one path.
//!
//! Entries are handed over one by one in the order of paths, so memory follows the depth and the widest folder, not the
//! size of the snapshot. The walk keeps its own stack: folders may be deeper than a thread's stack would allow.

use std::vec;

use crate::error::{Error, ErrorKind, Result};
use crate::format::tree::{Entry, Kind};
use crate::id::{SnapshotId, TreeId};
use crate::limits::FOLDER_DEPTH_MAX;
use crate::path::{TreePath, escaped};
use crate::store::{FolderCursor, LoadTree, Store};

/// What to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LsOptions {
    /// A folder, whose entries are listed, or anything else, which is listed itself.
    pub path: TreePath,
    /// Whether what is in the folders is listed too.
    pub is_recursive: bool,
}

/// Takes one entry and its path.
pub type See<'a> = dyn FnMut(&TreePath, &Entry) -> Result<()> + 'a;

/// Lists a path of a snapshot; `NotFound` where the snapshot has no such path.
pub fn ls(store: &Store, snapshot: SnapshotId, options: &LsOptions, see: &mut See<'_>) -> Result<()> {
    let root = store.snapshot(snapshot)?.root;
    let folder = if options.path.is_root() {
        root
    } else {
        let entry = expect(store, snapshot, &options.path)?;
        match entry.tree() {
            Some(tree) => tree,
            None => return see(&options.path, &entry),
        }
    };
    if options.is_recursive {
        store.check_extent("list", folder)?;
    }
    let mut path = options.path.as_bytes().to_vec();
    let mut levels = vec![Level { path_length_bytes: path.len(), entries: store.folder(folder)?.into_iter() }];
    while let Some(level) = levels.last_mut() {
        path.truncate(level.path_length_bytes);
        let Some(entry) = level.entries.next() else {
            levels.pop();
            continue;
        };
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(&entry.name);
        let full =
            TreePath::new(&path).map_err(|problem| Error::new(ErrorKind::Limit, "list", escaped(&path), problem))?;
        see(&full, &entry)?;
        if let Some(tree) = entry.tree().filter(|_| options.is_recursive) {
            if levels.len() > FOLDER_DEPTH_MAX {
                let detail = format!("folders are more than {FOLDER_DEPTH_MAX} deep");
                return Err(Error::new(ErrorKind::Limit, "list", "a snapshot", detail));
            }
            levels.push(Level { path_length_bytes: path.len(), entries: store.folder(tree)?.into_iter() });
        }
    }
    Ok(())
}

/// The entry at `path` of a snapshot, or `NotFound`. The root has none.
pub fn expect(store: &Store, snapshot: SnapshotId, path: &TreePath) -> Result<Entry> {
    let found = find(store, store.snapshot(snapshot)?.root, path)?;
    found.ok_or_else(|| {
        let detail = format!("snapshot {} has no such path", snapshot.short());
        Error::new(ErrorKind::NotFound, "find", path, detail)
            .with_hint("`retro ls -r REV` lists its paths, `retro log -- PATH` the steps that changed one")
    })
}

/// The entry at `path` below the folder `root`. Of a split folder only the lists on the way are read.
pub fn find(store: &Store, root: TreeId, path: &TreePath) -> Result<Option<Entry>> {
    find_with(&|id| store.tree(id), root, path)
}

/// The same, with lists from elsewhere.
pub fn find_with(load: &LoadTree<'_>, root: TreeId, path: &TreePath) -> Result<Option<Entry>> {
    let mut folder = root;
    let mut names = path.names().peekable();
    while let Some(name) = names.next() {
        let Some(entry) = FolderCursor::new(load, folder)?.find(name)? else { return Ok(None) };
        match (names.peek(), entry.tree()) {
            (None, _) => return Ok(Some(entry)),
            (Some(_), Some(tree)) => folder = tree,
            (Some(_), None) => return Ok(None),
        }
    }
    Ok(None)
}

/// The word for a kind in output: `file`, `folder`, `symlink`.
pub fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Folder => "folder",
        Kind::Symlink => "symlink",
    }
}

/// One folder on the way down, and what is still to be listed of it.
struct Level {
    path_length_bytes: usize,
    entries: vec::IntoIter<Entry>,
}

#[cfg(test)]
mod tests;
