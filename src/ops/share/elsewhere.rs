//! Folders that nothing is written into: those of a store, this one or any other.
//!
//! Files that an export or a restore elsewhere leaves in a store's folder would be taken for a part of it, or stand in
//! the way of one. The open store is known by device and inode. Any other, and this one where a file system shows its
//! folders as other ones (an overlay, a FUSE mount), is known by the file `FORMAT` in a folder above; above is where
//! the open folder lies, not what stands in its path.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::error::{Error, ErrorKind, Result, shown};
use crate::format::header;
use crate::store::Store;
use crate::workspace::places;

/// Longest `FORMAT` read, in bytes; ours has 76.
const FORMAT_LENGTH_MAX_BYTES: u64 = 4 << 10;

/// Refuses, as `Invalid`, to write to a path that is in the folder of a store, or that is one.
pub fn expect_no_store(store: &Store, operation: &str, path: &Path) -> Result<()> {
    let own = store.disk().places()?;
    let is_in_store = |nearest: OwnedFd| {
        let mut above = places::upwards(nearest);
        above.any(|(here, folder)| own.contains(&here) || is_store(&folder))
    };
    if places::nearest(path).is_some_and(is_in_store) {
        return Err(Error::new(ErrorKind::Invalid, operation, shown(path), "it is in the folder of a store")
            .with_hint("name a folder outside of every store"));
    }
    Ok(())
}

fn is_store(folder: &impl AsFd) -> bool {
    // A FIFO of that name must not keep anybody waiting.
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
mod tests {
    use std::sync::Arc;

    use super::expect_no_store;
    use crate::disk::local::LocalDisk;
    use crate::store::Store;

    #[test]
    fn every_store_is_recognised_and_nothing_else() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        let make = |name: &str| Store::open_or_create(Arc::new(LocalDisk::create(&at(name)).unwrap())).unwrap();
        let (store, _other) = (make("own"), make("other"));
        std::fs::create_dir(at("plain")).unwrap();
        let refused = |name: &str| expect_no_store(&store, "write", &at(name)).is_err();
        assert!(["own", "own/out", "own/packs/x/y", "other", "other/out", "other/tmp/x"].into_iter().all(refused));
        assert!(!["plain", "plain/out", "new/out"].into_iter().any(refused));
        let newer = b"retrograde store\nversion 9\nwhatever";
        std::io::Write::write_all(&mut std::fs::File::create_new(at("plain/FORMAT")).unwrap(), newer).unwrap();
        assert!(refused("plain/out"));
    }
}
