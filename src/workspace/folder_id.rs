//! Identifies folders by device and inode, taken from open handles.
//!
//! A path does not identify a folder: a bind mount, a symlink or a move gives one folder many paths, and a relative
//! path means another folder in another process. A bind mount keeps device and inode.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::disk::FolderId;
use crate::format::facts::FolderIdentity;
use crate::time::Timestamp;
use crate::workspace::git_head::git_identity;

/// Most folders to go up: file systems limit paths to 4,096 bytes.
const STEPS_UP_MAX: usize = 4_096;

/// An open folder and its parents, innermost first, with their identities.
///
/// It goes up from the handle and so depends on no path; it stops where that is not permitted.
pub fn upwards(folder: impl AsFd) -> impl Iterator<Item = (FolderId, OwnedFd)> {
    let known = |handle: OwnedFd| Some((FolderId::of_open(&handle).ok()?, handle));
    let mut next = rustix::fs::openat(folder, ".", FLAGS, Mode::empty()).ok().and_then(known);
    let step = move || {
        let (here, handle) = next.take()?;
        let above = rustix::fs::openat(&handle, "..", FLAGS, Mode::empty()).ok().and_then(known);
        next = above.filter(|(above, _)| *above != here);
        Some((here, handle))
    };
    std::iter::from_fn(step).take(STEPS_UP_MAX)
}

/// Returns true if an open folder is one of `folders`, or lies in one at any depth. Returns false where going up is not
/// permitted.
pub fn is_within(folder: impl AsFd, folders: &[FolderId]) -> bool {
    upwards(folder).any(|(here, _)| folders.contains(&here))
}

/// Opens the folder at a path, or its nearest existing parent.
pub fn nearest(path: &Path) -> Option<OwnedFd> {
    let above = path.ancestors().map(|above| if above.as_os_str().is_empty() { Path::new(".") } else { above });
    above.into_iter().find_map(open)
}

/// Returns true if a path, or its nearest existing parent, is one of `folders` or lies in one.
pub fn leads_into(path: &Path, folders: &[FolderId]) -> bool {
    nearest(path).is_some_and(|nearest| is_within(&nearest, folders))
}

/// The identity of the folder at a path, through symlinks; `None` if there is no folder.
pub fn identity(path: &Path) -> Option<FolderId> {
    open(path).and_then(|folder| FolderId::of_open(&folder).ok())
}

/// The identity of the folder at `path`, with its time of creation if the file system keeps it, and git's identity if
/// it is a working tree.
pub fn folder_identity(folder: &OwnedFd, path: &Path) -> Option<FolderIdentity> {
    let facts = std::fs::File::from(folder.try_clone().ok()?).metadata().ok()?;
    let made = facts.created().ok().and_then(|made| made.duration_since(std::time::UNIX_EPOCH).ok());
    let made = made.and_then(|made| i64::try_from(made.as_nanos()).ok()).filter(|made| *made > 0).map(Timestamp);
    Some(FolderIdentity { device: facts.dev(), inode: facts.ino(), made, git: git_identity(path) })
}

/// Flags sufficient to identify a folder and to go up from it; they need no permission to read it.
#[cfg(all(target_os = "linux", not(feature = "portable")))]
const FLAGS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Flags sufficient to identify a folder and to go up from it.
#[cfg(any(not(target_os = "linux"), feature = "portable"))]
const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens the folder at a path; `None` if there is none.
pub fn open(path: &Path) -> Option<OwnedFd> {
    rustix::fs::open(path, FLAGS, Mode::empty()).ok()
}

#[cfg(test)]
mod tests {
    use super::{identity, is_within, open};

    #[test]
    fn going_up_finds_every_folder_above() {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(scratch.path().join("a/b/c")).unwrap();
        let id = |path: &str| identity(&scratch.path().join(path)).unwrap();
        let deep = open(&scratch.path().join("a/b/c")).unwrap();
        assert!(is_within(&deep, &[id("a/b/c")]) && is_within(&deep, &[id("a")]));
        assert!(is_within(&deep, &[identity(std::path::Path::new("/")).unwrap()]));
        assert!(!is_within(open(&scratch.path().join("a")).unwrap(), &[id("a/b")]));
    }
}
