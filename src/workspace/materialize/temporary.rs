//! Temporary files in a workspace: names them, renames them to their paths, and removes leftovers.
//!
//! A file is written in its final folder, because only a rename within a file system is atomic. It has no name until it
//! is complete (`O_TMPFILE`), if the file system supports that, and only one temporary name is in use at a time. So a
//! killed process leaves at most one file, however many threads write. The name is recognisable
//! ([`is_temporary_name`]): capture skips it, and the next restore removes it.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::at::{Found, found, found_at};
use super::is_changed;
use crate::error::{Error, Result};
use crate::format::tree::EntryKind;
use crate::path::TreePath;
use crate::workspace::beneath::{FOLDER_FLAGS, Root};
use crate::workspace::temporary_name::{is_temporary_name, temporary_name};

/// Most names tried for one temporary file. A killed restore may have left a few; more is an attack.
const ATTEMPTS_MAX: usize = 64;

/// Removes temporary files of killed restores from these folders, and returns their number.
///
/// The caller ensures that no other restore is writing into the workspace. Folders that are missing, or that cannot be
/// opened without following a symlink, are skipped.
pub fn remove_strays<'a>(root: &Root, folders: impl IntoIterator<Item = &'a TreePath>) -> Result<u64> {
    let mut removed = 0;
    for path in folders {
        let fail = |e: Errno| Error::io("remove temporary files in", root.display(path), e);
        let handle = match root.folder(path) {
            Err(e) if is_changed(e) => continue,
            handle => handle.map_err(fail)?,
        };
        let mut strays = Vec::new();
        for entry in Dir::read_from(&handle).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_bytes();
            if is_temporary_name(name) {
                strays.push(name.to_owned());
            }
        }
        for name in strays {
            let done = match found_at(&handle, &name).map_err(fail)? {
                Found::Entry(EntryKind::File | EntryKind::Symlink) => {
                    rustix::fs::unlinkat(&handle, &*name, AtFlags::empty())
                }
                Found::Entry(EntryKind::Folder) => remove_trial(&handle, &name),
                Found::Nothing | Found::Special => continue,
            };
            match done {
                Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => {}
                done => done.map(|()| removed += 1).map_err(fail)?,
            }
        }
    }
    Ok(removed)
}

/// Removes a folder in which names were tried: only its empty files, and then the folder if it is empty.
pub(super) fn remove_trial(folder: &OwnedFd, name: &[u8]) -> rustix::io::Result<()> {
    let trial = rustix::fs::openat(folder, name, FOLDER_FLAGS, Mode::empty())?;
    let mut empty = Vec::new();
    for entry in Dir::read_from(&trial)? {
        let entry = entry?;
        let file = rustix::fs::statat(&trial, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
        if found(&file) == Found::Entry(EntryKind::File) && file.st_size == 0 {
            empty.push(entry.file_name().to_owned());
        }
    }
    for name in empty {
        rustix::fs::unlinkat(&trial, &*name, AtFlags::empty())?;
    }
    rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)
}

/// Hands out temporary names, each once, and one at a time.
#[derive(Debug)]
pub(super) struct TemporaryNames {
    next: AtomicU32,
    /// Held while a name is in use.
    in_use: Mutex<()>,
    /// Cleared when the file system turns out not to support files without a name.
    can_be_nameless: AtomicBool,
}

/// A file being written.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) file: File,
    folder: &'a OwnedFd,
    /// Its name, if it needs one from the beginning.
    temporary: Option<Temporary<'a>>,
}

/// A file with a temporary name; dropping it removes the file unless it was renamed.
#[derive(Debug)]
pub(super) struct Temporary<'a> {
    folder: &'a OwnedFd,
    name: String,
    is_placed: bool,
    _in_use: MutexGuard<'a, ()>,
}

impl TemporaryNames {
    /// Starts at a random name, so that two restores hardly ever collide.
    pub(super) fn new(random: [u8; 16]) -> Self {
        let first = *random.first_chunk().expect("16 bytes are more than 4");
        let next = AtomicU32::new(u32::from_le_bytes(first));
        // A file without a name gets one through its entry in /proc.
        let has_entries =
            cfg!(all(target_os = "linux", not(feature = "portable"))) && std::path::Path::new("/proc/self/fd").is_dir();
        Self { next, in_use: Mutex::default(), can_be_nameless: AtomicBool::new(has_entries) }
    }

    /// Creates a new, empty file that only its owner can read.
    pub(super) fn draft<'a>(&'a self, folder: &'a OwnedFd) -> rustix::io::Result<Draft<'a>> {
        let mode = Mode::RUSR | Mode::WUSR;
        #[cfg(all(target_os = "linux", not(feature = "portable")))]
        if self.can_be_nameless.load(Ordering::Relaxed) {
            match rustix::fs::openat(folder, ".", OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC, mode) {
                // Not supported by this file system; other causes show up below.
                Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => {
                    self.can_be_nameless.store(false, Ordering::Relaxed);
                }
                file => return Ok(Draft { file: file?.into(), folder, temporary: None }),
            }
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (temporary, file) = self.make(folder, |name| rustix::fs::openat(folder, name, flags, mode))?;
        Ok(Draft { file: file.into(), folder, temporary: Some(temporary) })
    }

    /// Gives a complete file a temporary name. `None` if the file system cannot do that: the file must then be written
    /// again, with a name from the beginning.
    pub(super) fn name<'a>(&'a self, draft: Draft<'a>) -> rustix::io::Result<Option<Temporary<'a>>> {
        if draft.temporary.is_some() {
            return Ok(draft.temporary);
        }
        let entry = format!("/proc/self/fd/{}", draft.file.as_raw_fd());
        let link = |name: &str| rustix::fs::linkat(CWD, &*entry, draft.folder, name, AtFlags::SYMLINK_FOLLOW);
        match self.make(draft.folder, link) {
            Err(Errno::PERM | Errno::ACCESS | Errno::NOENT | Errno::OPNOTSUPP | Errno::XDEV | Errno::NOSYS) => {
                self.can_be_nameless.store(false, Ordering::Relaxed);
                Ok(None)
            }
            named => named.map(|(temporary, ())| Some(temporary)),
        }
    }

    /// Creates an entry in `folder` under an unused name. `create` fails with `EXIST` if a name is used.
    pub(super) fn make<'a, T>(
        &'a self,
        folder: &'a OwnedFd,
        create: impl Fn(&str) -> rustix::io::Result<T>,
    ) -> rustix::io::Result<(Temporary<'a>, T)> {
        let in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..ATTEMPTS_MAX {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let name = temporary_name(number);
            match create(&name) {
                Err(Errno::EXIST) => {}
                made => {
                    return made.map(|made| (Temporary { folder, name, is_placed: false, _in_use: in_use }, made));
                }
            }
        }
        Err(Errno::EXIST)
    }
}

impl Temporary<'_> {
    /// The temporary name.
    pub(super) fn name(&self) -> &[u8] {
        self.name.as_bytes()
    }

    /// Renames it to `name` in the same folder. On a file system without exclusive renames it uses a plain one.
    pub(super) fn rename(mut self, name: &[u8], flags: RenameFlags) -> rustix::io::Result<()> {
        match rustix::fs::renameat_with(self.folder, &*self.name, self.folder, name, flags) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                rustix::fs::renameat(self.folder, &*self.name, self.folder, name)?;
            }
            done => done?,
        }
        self.is_placed = true;
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.is_placed {
            // The original error is reported; a file that cannot be removed is left for the next restore.
            rustix::fs::unlinkat(self.folder, &*self.name, AtFlags::empty()).ok();
        }
    }
}
