//! The folder in which a repository is made, within the folder that it is for.
//!
//! ```text
//! FOLDER/.retro-part/             locked by its writer, unlike one that an interrupted export left
//! FOLDER/.retro-part/retro-export the mark of an export: a folder without it is not touched
//! FOLDER/.retro-part/repository/  the repository, until it is complete
//! ```
//!
//! Then the parts of the repository are moved up, HEAD last: without it, no tool takes a folder for a repository.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata, Permissions, TryLockError};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::disk::local::create_folders;
use crate::error::{Error, ErrorKind, Result, shown};
use crate::workspace::beneath::sync_file_system;

/// The name of the folder within.
const NAME: &str = ".retro-part";

/// Its content: the mark that an export made it, and the repository.
const MARK: &str = "retro-export";
const REPOSITORY: &str = "repository";

/// The parts of a repository that are moved up before HEAD.
const PARTS: [&str; 9] =
    ["branches", "config", "description", "hooks", "info", "objects", "packed-refs", "refs", "logs"];

/// The folder within, locked.
pub(super) struct Part {
    folder: PathBuf,
    path: PathBuf,
    repository: PathBuf,
    _lock: File,
}

impl Part {
    /// Makes it, and the folder around it if that is missing. The folder must be empty but for the remains of an
    /// interrupted export.
    pub(super) fn begin(folder: &Path) -> Result<Self> {
        create_folders(folder)?;
        let path = folder.join(NAME);
        if left_in(folder)?.is_empty() {
            // A snapshot may hold files that only their owner can read; files of a repository are readable by all.
            let private = std::fs::set_permissions(folder, Permissions::from_mode(0o700));
            private.map_err(|e| Error::io("set mode of", folder, e))?;
            match std::fs::create_dir(&path) {
                // Another export was faster.
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                made => made.map_err(|e| Error::io("create folder", &path, e))?,
            }
        }
        let lock = File::open(&path).map_err(|e| Error::io("open", &path, e))?;
        Self::take(folder, path, lock)
    }

    /// Takes over the folder within, which is open as `lock`, and removes the remains of an interrupted export.
    fn take(folder: &Path, path: PathBuf, lock: File) -> Result<Self> {
        let busy = || Error::new(ErrorKind::Exists, "export to", shown(folder), "another export is writing there");
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => busy(),
            TryLockError::Error(e) => Error::io("lock", &path, e),
        })?;
        // The export that held the lock until now may have finished: then the folder is its repository.
        let locked = lock.metadata().map_err(|e| Error::io("look at", &path, e))?;
        let is_same = |named: Metadata| (named.dev(), named.ino()) == (locked.dev(), locked.ino());
        if !path.symlink_metadata().is_ok_and(is_same) {
            return Err(busy());
        }
        // Only an empty folder is removed: this export may have made it.
        let left = left_in(folder).inspect_err(|_| drop(std::fs::remove_dir(&path)))?;
        let (mark, repository) = (path.join(MARK), path.join(REPOSITORY));
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::open(&mark, flags, Mode::from(0o600)).map_err(|e| Error::io("create", &mark, e))?;
        let part = Self { folder: folder.to_owned(), path, repository, _lock: lock };
        left.iter().filter(|name| *name != NAME).try_for_each(|name| clear(&folder.join(name)))?;
        clear(&part.repository)?;
        std::fs::create_dir(&part.repository).map_err(|e| Error::io("create folder", &part.repository, e))?;
        Ok(part)
    }

    /// The folder for the repository, empty at first.
    pub(super) fn repository(&self) -> &Path {
        &self.repository
    }

    /// Moves the repository up.
    pub(super) fn publish(self) -> Result<()> {
        // Everything in it is on disk before the first part has its name.
        let written = File::open(&self.repository).and_then(|folder| Ok(sync_file_system(folder)?));
        written.map_err(|e| Error::io("sync", &self.repository, e))?;
        let mut names = names(&self.repository)?;
        names.sort_by_key(|name| name == "HEAD");
        for name in names {
            let to = self.folder.join(&name);
            rustix::fs::rename(self.repository.join(&name), &to).map_err(|e| Error::io("rename to", &to, e))?;
        }
        clear(&self.path)?;
        let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
        synced.map_err(|e| Error::io("sync folder", &self.folder, e))
    }
}

impl Drop for Part {
    /// Removes an unfinished repository. If that fails, the next export removes it.
    fn drop(&mut self) {
        drop(clear(&self.path));
    }
}

/// The remains of an interrupted export in a folder; an error if there is anything else.
fn left_in(folder: &Path) -> Result<Vec<OsString>> {
    let left = names(folder)?;
    let path = folder.join(NAME);
    let is_there = path.symlink_metadata().is_ok_and(|found| found.is_dir());
    let within = if is_there { names(&path)? } else { Vec::new() };
    // An export that was killed before it made the mark made nothing else.
    let is_marked = within.iter().any(|name| name == MARK);
    let is_part = is_there && within.iter().all(|name| is_marked && (name == MARK || name == REPOSITORY));
    let is_ours = |name: &OsStr| is_part && (name == NAME || is_marked && PARTS.iter().any(|part| name == *part));
    if left.iter().all(|name| is_ours(name)) {
        return Ok(left);
    }
    Err(Error::new(ErrorKind::Exists, "export to", shown(folder), "the folder is not empty")
        .with_hint("name a new folder, or an empty one"))
}

fn names(folder: &Path) -> Result<Vec<OsString>> {
    let fail = |e| Error::io("read folder", folder, e);
    let entries = std::fs::read_dir(folder).map_err(fail)?;
    entries.map(|entry| entry.map(|entry| entry.file_name()).map_err(fail)).collect()
}

/// Removes a file or folder that an export wrote.
#[expect(clippy::disallowed_methods, reason = "only what an export made in a folder of its own is removed")]
fn clear(path: &Path) -> Result<()> {
    let is_folder = match path.symlink_metadata() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(|e| Error::io("look at", path, e))?.is_dir(),
    };
    let removed = if is_folder { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    removed.map_err(|e| Error::io("remove", path, e))
}

#[cfg(test)]
mod tests;
