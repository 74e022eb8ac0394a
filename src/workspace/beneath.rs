//! Handles of folders in a workspace, opened without ever following a symlink.
//!
//! Code that reads or writes in a workspace opens the folder here and works relative to its handle by single names. If
//! a symlink replaces a folder at any moment, opening fails; it never leads outside. On Linux the kernel enforces this
//! (`openat2` with `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS`); elsewhere each name is opened with `O_NOFOLLOW` from the
//! handle before it. Paths too long for one system call are opened in parts.
//!
//! The kernel looks up every name of a path. Opening each of thousands of nested folders from the root would take time
//! quadratic in the depth. For a deep path, some handles on the way are therefore kept for the next path. They are
//! dropped after a few hundred openings, and whenever something on the way is removed. If opening from a kept handle
//! fails, the path is opened from the root. Short paths are always opened from the root.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::folder_id;
use super::protected::{ProtectedFolders, Protection};
use crate::disk::FolderId;
use crate::error::{Error, Result};
use crate::path::{TreePath, equal_length};

/// The root folder of a workspace, or of a folder being filled.
#[derive(Debug)]
pub struct Root {
    handle: OwnedFd,
    path: PathBuf,
    protected: RwLock<Arc<ProtectedFolders>>,
    way: Mutex<Way>,
}

/// Handles on the way to the deep folder that was opened last.
#[derive(Debug, Default)]
struct Way {
    path: TreePath,
    /// Offsets in the path, ascending, each with the handle of the folder before it; [`NAMES_APART`] names apart.
    handles: Vec<(usize, OwnedFd)>,
    /// Number of folders opened since the first handle was kept.
    use_count: usize,
}

/// Longest path that is always opened from the root, in bytes.
const SHORT_MAX_BYTES: usize = 512;

/// Number of names between two kept handles. The deepest possible path keeps 128 of them.
const NAMES_APART: usize = 64;

/// Number of folders opened before the handles are dropped, so that a folder that was moved away is soon noticed.
const USES_MAX: usize = 256;

/// Longest path in one system call, in bytes, with room for the last name.
const PART_MAX_BYTES: usize = 2_048;

impl Root {
    /// Opens the folder at `path`, which may itself be reached through symlinks.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = rustix::fs::open(path, flags, Mode::empty()).map_err(|e| Error::io("open folder", path, e))?;
        Ok(Self { handle, path: path.to_owned(), protected: RwLock::default(), way: Mutex::default() })
    }

    /// The same root with these folders protected.
    pub fn with_protected(self, protected: ProtectedFolders) -> Self {
        Self { protected: RwLock::new(Arc::new(protected)), ..self }
    }

    /// The protected folders in it.
    pub fn protected(&self) -> Arc<ProtectedFolders> {
        Arc::clone(&self.protected.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Protects these folders too, after a scan found what they are.
    pub fn protect(&self, folders: impl IntoIterator<Item = FolderId>, protection: Protection) {
        let mut protected = self.protected.write().unwrap_or_else(PoisonError::into_inner);
        let protected = Arc::make_mut(&mut protected);
        folders.into_iter().for_each(|folder| protected.add(folder, protection));
    }

    /// Returns true if its path still leads to this folder, not to another that replaced it.
    pub fn is_in_place(&self) -> bool {
        FolderId::of_open(&self.handle).is_ok_and(|here| folder_id::identity(&self.path) == Some(here))
    }

    /// Returns true if there is an entry at `path` in it.
    pub fn has(&self, path: &TreePath) -> bool {
        let (Some(parent), Some(name)) = (path.parent(), path.name()) else { return true };
        let look = |folder: OwnedFd| rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
        self.folder(&parent).is_ok_and(look)
    }

    /// The handle of the root folder.
    pub fn handle(&self) -> &OwnedFd {
        &self.handle
    }

    /// The path by which it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The absolute path of `path` in it, for messages.
    pub fn display(&self, path: &TreePath) -> PathBuf {
        if path.is_root() { self.path.clone() } else { self.path.join(path.to_os_path()) }
    }

    /// Opens a folder in it for reading and for relative work.
    pub fn folder(&self, path: &TreePath) -> rustix::io::Result<OwnedFd> {
        if path.as_bytes().len() <= SHORT_MAX_BYTES {
            return open_in_parts(&self.handle, path.as_bytes());
        }
        let mut way = self.way();
        let opened = way.open(&self.handle, path);
        if opened.is_ok() || way.handles.is_empty() {
            return opened;
        }
        // A kept handle may be of a folder that was removed.
        *way = Way::default();
        way.open(&self.handle, path)
    }

    /// Drops the handles on the way to deep folders, because their paths may lead to other folders from now on.
    pub fn forget_way(&self) {
        *self.way() = Way::default();
    }

    /// As [`Self::forget_way`], for handles of folders below `path` only.
    pub fn forget_below(&self, path: &TreePath) {
        self.way().cut(path.as_bytes());
    }

    fn way(&self) -> MutexGuard<'_, Way> {
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Way {
    fn open(&mut self, root: &OwnedFd, path: &TreePath) -> rustix::io::Result<OwnedFd> {
        if self.use_count >= USES_MAX {
            *self = Self::default();
        }
        self.use_count += 1;
        let bytes = path.as_bytes();
        let equal = equal_length(self.path.as_bytes(), bytes);
        if equal < bytes.len() {
            // Drop the handles that are not on the new path.
            self.handles.retain(|(end, _)| *end <= equal);
            self.path = path.clone();
        }
        let mut used = self.handles.partition_point(|(end, _)| *end <= bytes.len());
        loop {
            let (start, from) = match used.checked_sub(1).map(|last| &self.handles[last]) {
                Some((end, handle)) => (*end, handle),
                None => (0, root),
            };
            let rest = &bytes[start..];
            let mut slashes = rest.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
            let Some(slash) = slashes.nth(NAMES_APART - 1) else { return open_in_parts(from, rest) };
            let handle = open_in_parts(from, &rest[..slash])?;
            self.handles.insert(used, (start + slash + 1, handle));
            used += 1;
        }
    }

    fn cut(&mut self, path: &[u8]) {
        let is_on_it = self.path.as_bytes().strip_prefix(path).is_some_and(|rest| matches!(rest, [] | [b'/', ..]));
        if is_on_it {
            self.handles.retain(|(end, _)| *end <= path.len());
        }
    }
}

/// Opens a folder by a relative path of any length; an empty path reopens `from`.
fn open_in_parts(from: &OwnedFd, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    let (part, mut rest) = first_part(path);
    let mut handle = open_folder(from, if part.is_empty() { b"." } else { part })?;
    while !rest.is_empty() {
        let (part, after) = first_part(rest);
        handle = open_folder(&handle, part)?;
        rest = after;
    }
    Ok(handle)
}

/// Splits a path at the last slash within the longest part; a single name is never split.
fn first_part(path: &[u8]) -> (&[u8], &[u8]) {
    if path.len() <= PART_MAX_BYTES {
        return (path, &[]);
    }
    let slash = path[..PART_MAX_BYTES].iter().rposition(|&byte| byte == b'/');
    let slash = slash.expect("names are shorter than a part");
    (&path[..slash], &path[slash + 1..])
}

/// Flags for opening a folder to list it, never through a symlink.
pub(super) const FOLDER_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

/// Opens a folder by a relative path, following no symlink in any part of it.
pub fn open_folder(from: &OwnedFd, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    #[cfg(all(target_os = "linux", not(feature = "portable")))]
    {
        use rustix::fs::ResolveFlags;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match rustix::fs::openat2(from, path, FOLDER_FLAGS, Mode::empty(), resolve) {
            // Old container runtimes refuse unknown system calls with EPERM.
            Err(Errno::NOSYS | Errno::PERM) => {}
            opened => return opened,
        }
    }
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

/// True if [`sync_file_system`] waits until everything is durable. Elsewhere each file and folder is synced on its own.
pub const SYNCS_FILE_SYSTEMS: bool = cfg!(all(target_os = "linux", not(feature = "portable")));

/// Makes everything on the file system of `handle` durable: cheaper than one call for each of many changes.
#[cfg(all(target_os = "linux", not(feature = "portable")))]
pub fn sync_file_system(handle: impl AsFd) -> rustix::io::Result<()> {
    rustix::fs::syncfs(handle)
}

/// Begins to make everything durable; the system may return before it is done.
#[cfg(any(not(target_os = "linux"), feature = "portable"))]
pub fn sync_file_system(_: impl AsFd) -> rustix::io::Result<()> {
    rustix::fs::sync();
    Ok(())
}

#[cfg(test)]
mod tests {
    use rustix::fs::Mode;

    use super::{NAMES_APART, Root, USES_MAX, open_folder_by_names, open_in_parts};
    use crate::disk::FolderId;
    use crate::path::TreePath;

    /// The kernel gets only some names at a time, from a handle on the way, at any depth.
    #[test]
    fn deep_folders_are_opened_from_handles_on_the_way_to_them() {
        const DEPTH: usize = 500;
        let inside = tempfile::tempdir().unwrap();
        let root = Root::open(inside.path()).unwrap();
        let make = || {
            let mut paths = vec![TreePath::root()];
            for depth in 1..=DEPTH {
                let parent = root.folder(&paths[depth - 1]).unwrap();
                rustix::fs::mkdirat(&parent, "folder", Mode::RWXU).unwrap();
                paths.push(paths[depth - 1].join(b"folder"));
            }
            paths
        };
        let paths = make();
        let kept = || root.way().handles.iter().map(|(end, _)| end / b"folder/".len()).collect::<Vec<_>>();
        let expected: Vec<usize> = (1..=DEPTH / NAMES_APART).map(|part| part * NAMES_APART).collect();
        assert_eq!(kept(), expected[..expected.len() - usize::from(DEPTH.is_multiple_of(NAMES_APART))]);
        let from_root = |path: &TreePath| FolderId::of_open(open_in_parts(root.handle(), path.as_bytes()).unwrap());
        for path in paths.iter().rev().chain(&paths) {
            let opened = FolderId::of_open(root.folder(path).unwrap()).unwrap();
            assert_eq!(opened, from_root(path).unwrap(), "{path}");
            assert!(root.way().use_count <= USES_MAX);
        }
        root.forget_below(&paths[2 * NAMES_APART]);
        assert_eq!(kept(), [NAMES_APART]);
        assert!(root.folder(&paths[DEPTH]).is_ok() && kept().len() > 1);

        // Another folder replaces one on the way: the handles lead to a removed folder.
        std::fs::remove_dir_all(inside.path().join("folder")).unwrap();
        let again = make();
        assert_eq!(FolderId::of_open(root.folder(&again[DEPTH]).unwrap()).unwrap(), from_root(&again[DEPTH]).unwrap());
    }

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
