//! The content of one path of a snapshot.

use super::ls;
use crate::error::{Error, ErrorKind, Result};
use crate::id::SnapshotId;
use crate::path::TreePath;
use crate::store::Store;

/// Passes the content of a file, or the target of a symlink, to `take` in pieces of at most 1 MiB, each checked against
/// its id. Symlinks are not followed, because their targets are not part of the snapshot. Returns the length in bytes.
pub fn cat(
    store: &Store,
    snapshot: SnapshotId,
    path: &TreePath,
    take: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<u64> {
    let is_folder = || {
        Error::new(ErrorKind::Invalid, "print", path, "it is a folder")
            .with_hint(format!("`retro ls {} {path}` lists it", snapshot.short()))
    };
    if path.is_root() {
        return Err(is_folder());
    }
    let entry = ls::expect(store, snapshot, path)?;
    store.copy_blob(entry.blob().ok_or_else(is_folder)?, take)
}

#[cfg(test)]
mod tests;
