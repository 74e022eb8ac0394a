//! Folders of a workspace as handles, reached without ever following a symlink.
//!
//! Whoever reads or writes in a workspace opens the folder here and works relative to its handle by single names. A
//! symlink swapped in at any moment makes the opening fail; it can never lead outside. On Linux the kernel enforces it
//! (`openat2` with `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS`); elsewhere each name is opened with `O_NOFOLLOW` from the
//! handle before it. Paths longer than one system call takes are opened in stretches. No handle of a folder above is
//! kept, so depth costs no descriptors.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::places::{self, Places};
use crate::disk::FolderId;
use crate::error::{Error, Result};
use crate::path::TreePath;

/// The root folder of a live workspace, or of a folder being filled.
#[derive(Debug)]
pub struct Root {
    handle: OwnedFd,
    path: PathBuf,
    places: Places,
}

/// Longest path given to one system call, in bytes, with room for the last name.
const STRETCH_MAX_BYTES: usize = 2_048;

impl Root {
    /// Opens the folder at `path`, which may itself be reached through symlinks.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = rustix::fs::open(path, flags, Mode::empty()).map_err(|e| Error::io("open folder", path, e))?;
        Ok(Self { handle, path: path.to_owned(), places: Places::default() })
    }

    /// The same folder, in which these folders are left alone.
    pub fn sparing(self, places: Places) -> Self {
        Self { places, ..self }
    }

    /// The folders in it that are left alone.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Whether its path still leads to this folder, and not to another one that came into its place.
    pub fn is_in_place(&self) -> bool {
        FolderId::of_open(&self.handle).is_ok_and(|here| places::identity(&self.path) == Some(here))
    }

    /// Whether there is anything at a path in it.
    pub fn has(&self, path: &TreePath) -> bool {
        let (Some(parent), Some(name)) = (path.parent(), path.name()) else { return true };
        let look = |folder: OwnedFd| rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
        self.folder(&parent).is_ok_and(look)
    }

    /// Its handle.
    pub fn handle(&self) -> &OwnedFd {
        &self.handle
    }

    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The absolute path of something in it, for messages.
    pub fn display(&self, path: &TreePath) -> PathBuf {
        if path.is_root() { self.path.clone() } else { self.path.join(path.to_os_path()) }
    }

    /// Opens a folder below it for reading and for relative work.
    pub fn folder(&self, path: &TreePath) -> rustix::io::Result<OwnedFd> {
        let mut handle = open_folder(&self.handle, b".")?;
        let mut rest = path.as_bytes();
        while !rest.is_empty() {
            let (stretch, after) = first_stretch(rest);
            handle = open_folder(&handle, stretch)?;
            rest = after;
        }
        Ok(handle)
    }
}

/// Cuts a path at the last slash within the longest stretch; a single name is never cut.
fn first_stretch(path: &[u8]) -> (&[u8], &[u8]) {
    if path.len() <= STRETCH_MAX_BYTES {
        return (path, &[]);
    }
    let slash = path[..STRETCH_MAX_BYTES].iter().rposition(|&byte| byte == b'/');
    let slash = slash.expect("names are shorter than a stretch");
    (&path[..slash], &path[slash + 1..])
}

const FOLDER_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

/// Opens a folder by a relative path, following no symlink in any part of it.
#[cfg(target_os = "linux")]
pub fn open_folder(from: &OwnedFd, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::ResolveFlags;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match rustix::fs::openat2(from, path, FOLDER_FLAGS, Mode::empty(), resolve) {
        // Old container runtimes refuse system calls that they do not know with EPERM.
        Err(Errno::NOSYS | Errno::PERM) => open_folder_by_names(from, path),
        opened => opened,
    }
}

/// Opens a folder by a relative path, following no symlink in any part of it.
#[cfg(not(target_os = "linux"))]
pub fn open_folder(from: &OwnedFd, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    open_folder_by_names(from, path)
}

fn open_folder_by_names(from: &OwnedFd, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    let mut handle = rustix::fs::openat(from, ".", FOLDER_FLAGS, Mode::empty())?;
    for name in path.split(|&byte| byte == b'/') {
        if name == b".." {
            return Err(Errno::XDEV);
        }
        handle = rustix::fs::openat(&handle, name, FOLDER_FLAGS, Mode::empty())?;
    }
    Ok(handle)
}

/// Makes everything on the file system of `handle` durable: cheaper than one call for each of many changes.
#[cfg(target_os = "linux")]
pub fn sync_file_system(handle: impl AsFd) -> rustix::io::Result<()> {
    rustix::fs::syncfs(handle)
}

/// Makes everything durable.
#[cfg(not(target_os = "linux"))]
pub fn sync_file_system(_: impl AsFd) -> rustix::io::Result<()> {
    rustix::fs::sync();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Root, open_folder_by_names};
    use crate::path::TreePath;

    #[test]
    fn symlinks_are_never_followed() {
        let outside = tempfile::tempdir().unwrap();
        let inside = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(inside.path().join("a/b")).unwrap();
        std::os::unix::fs::symlink(outside.path(), inside.path().join("a/out")).unwrap();
        std::os::unix::fs::symlink("b", inside.path().join("a/in")).unwrap();
        let root = Root::open(inside.path()).unwrap();
        let path = |text: &str| TreePath::new(text.as_bytes()).unwrap();
        assert!(root.folder(&path("a/b")).is_ok());
        assert!(root.folder(&TreePath::root()).is_ok());
        for link in ["a/out", "a/in"] {
            assert!(root.folder(&path(link)).is_err());
            assert!(open_folder_by_names(root.handle(), link.as_bytes()).is_err());
        }
        assert!(open_folder_by_names(root.handle(), b"a/b").is_ok());
    }
}
