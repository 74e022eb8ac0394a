//! The paths of a snapshot: listing its folders, and finding one path.
//!
//! Entries are passed on one by one in the order of paths, so memory follows the depth and the widest folder, not the
//! size of the snapshot. The walk keeps its own stack, because folders may be deeper than a thread's stack allows.

use crate::error::{Error, ErrorKind, Result};
use crate::format::tree::Entry;
use crate::id::{SnapshotId, TreeId};
use crate::path::{TreePath, escaped};
use crate::store::{FolderCursor, LoadTree, Store};

/// The part of a snapshot to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LsOptions {
    /// A folder, whose entries are listed, or a file or symlink, which is listed itself.
    pub path: TreePath,
    /// True to list everything below the folder.
    pub is_recursive: bool,
}

/// Takes one entry and its path.
pub type See<'a> = dyn FnMut(&TreePath, &Entry) -> Result<()> + 'a;

/// Lists a path of a snapshot; `NotFound` if the snapshot has no such path.
pub fn ls(store: &Store, snapshot: SnapshotId, options: &LsOptions, see: &mut See<'_>) -> Result<()> {
    let root = store.snapshot(snapshot)?.root;
    let folder = if options.path.is_root() {
        root
    } else {
        let entry = entry_at(store, snapshot, &options.path)?;
        match entry.tree() {
            Some(tree) => tree,
            None => return see(&options.path, &entry),
        }
    };
    if options.is_recursive {
        store.check_extent("list", folder)?;
    }
    walk(store, folder, &options.path, &mut |path, entry| see(path, entry).map(|()| options.is_recursive))
}

/// Passes each entry of the folder `top`, which is at `path`, to `see`, and enters the folders for which that returns
/// true. The caller has checked their extent.
pub(in crate::ops) fn walk(
    store: &Store,
    top: TreeId,
    path: &TreePath,
    see: &mut dyn FnMut(&TreePath, &Entry) -> Result<bool>,
) -> Result<()> {
    let mut path = path.as_bytes().to_vec();
    // For each folder from `top` down: the length of its path, and its entries that are not listed yet.
    let mut levels = vec![(path.len(), store.folder(top)?.into_iter())];
    while let Some((length_bytes, entries)) = levels.last_mut() {
        path.truncate(*length_bytes);
        let Some(entry) = entries.next() else {
            levels.pop();
            continue;
        };
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(&entry.name);
        let full = TreePath::new(&path).map_err(|e| Error::new(ErrorKind::Limit, "list", escaped(&path), e))?;
        if see(&full, &entry)?
            && let Some(tree) = entry.tree()
        {
            levels.push((path.len(), store.folder(tree)?.into_iter()));
        }
    }
    Ok(())
}

/// The entry at `path` of a snapshot, or `NotFound`. The root has none.
pub fn entry_at(store: &Store, snapshot: SnapshotId, path: &TreePath) -> Result<Entry> {
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

/// The same, with lists that `load` reads.
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

#[cfg(test)]
mod tests;
