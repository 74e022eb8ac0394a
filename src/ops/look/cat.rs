//! The content of one path of a snapshot.

use super::ls;
use crate::error::{Error, ErrorKind, Result};
use crate::id::SnapshotId;
use crate::path::TreePath;
use crate::store::Store;

/// Passes the content of a file, or the target path of a symlink, to `take` in pieces of at most 1 MiB, and returns its
/// length in bytes. Each piece is checked before it is passed on. Symlinks are not followed: their targets may lie
/// outside the snapshot.
pub fn cat(
    store: &Store,
    snapshot: SnapshotId,
    path: &TreePath,
    take: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<u64> {
    let folder_error = || {
        Error::new(ErrorKind::Invalid, "print", path, "it is a folder")
            .with_hint(format!("`retro ls {} {path}` lists it", snapshot.short()))
    };
    if path.is_root() {
        return Err(folder_error());
    }
    let entry = ls::entry_at(store, snapshot, path)?;
    store.copy_blob(entry.blob().ok_or_else(folder_error)?, take)
}

#[cfg(test)]
mod tests;
