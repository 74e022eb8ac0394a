//! The check that an export or a restore elsewhere writes into no store, the open one or any other.
//!
//! Files in a store's folder would be taken for a part of it, or block one. The open store is recognised by device and
//! inode. Another store, or the open one under another device or inode (an overlay, a FUSE mount), is recognised by the
//! file `FORMAT` in a parent folder. Parents are those of the opened folder, not the names in its path.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::error::{Error, ErrorKind, Result, shown};
use crate::format::header;
use crate::store::Store;
use crate::workspace::folder_id;

/// Longest `FORMAT` read, in bytes; a valid one has 76.
const FORMAT_LENGTH_MAX_BYTES: u64 = 4 << 10;

/// Refuses, as `Invalid`, to write to a path that is in the folder of a store, or that is one.
pub fn expect_no_store(store: &Store, operation: &str, path: &Path) -> Result<()> {
    let own = store.disk().places()?;
    let is_in_store = |nearest: OwnedFd| {
        let mut above = folder_id::upwards(nearest);
        above.any(|(here, folder)| own.contains(&here) || is_store(&folder))
    };
    if folder_id::nearest(path).is_some_and(is_in_store) {
        return Err(Error::new(ErrorKind::Invalid, operation, shown(path), "it is in the folder of a store")
            .with_hint("name a folder outside of every store"));
    }
    Ok(())
}

fn is_store(folder: &impl AsFd) -> bool {
    // A FIFO of that name must not block.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::openat(folder, "FORMAT", flags, Mode::empty()) else { return false };
    let file = std::fs::File::from(file);
    let is_file = file.metadata().is_ok_and(|found| found.is_file());
    let mut bytes = Vec::new();
    is_file
        && file.take(FORMAT_LENGTH_MAX_BYTES).read_to_end(&mut bytes).is_ok()
        && header::decode(&bytes).map_or_else(|malformed| malformed.is_newer(), |_| true)
}

#[cfg(test)]
mod tests;
