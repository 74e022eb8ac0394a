//! Single names in an open folder: their kind and mode.
//!
//! Nothing here follows a symlink. A mode is changed through a handle on the file whose kind was checked, never through
//! its name again, so that a symlink swapped in between cannot redirect the change.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, Stat};
use rustix::io::{Errno, Result};

use crate::format::tree::{EntryKind, MODE_MASK};
use crate::workspace::stat::{kind_and_mode, permissions};

/// Flags for opening a file to look at it: never through a symlink, never waiting for a FIFO.
pub(super) const READ_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// The kind of entry that a name refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// No entry.
    Nothing,
    /// An entry that can be captured.
    Entry(EntryKind),
    /// A FIFO, socket or device, which is never captured.
    Special,
}

/// The kind of entry `name` in `folder`.
pub(super) fn found_at(folder: &OwnedFd, name: &[u8]) -> Result<Found> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(found(&stat)),
        Err(Errno::NOENT) => Ok(Found::Nothing),
        Err(e) => Err(e),
    }
}

/// The kind of entry of a stat.
pub(super) fn found(stat: &Stat) -> Found {
    kind_and_mode(stat).map_or(Found::Special, |(kind, _)| Found::Entry(kind))
}

/// Gives the owner of a new folder the rights that the umask may have removed.
pub(super) fn open_to_owner(folder: &OwnedFd, name: &[u8]) -> Result<()> {
    let missing = |stat: &Stat| found(stat) == Found::Entry(EntryKind::Folder) && permissions(stat) & 0o700 != 0o700;
    let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if missing(&stat) {
        change_mode_at(folder, name, |stat| missing(stat).then_some(0o700))?;
    }
    Ok(())
}

/// Sets the mode of an open file or folder. Returns `false` if it has another mode afterwards: the system may drop the
/// three special bits, and not every file system has permission bits.
pub(super) fn set_mode(handle: impl AsFd, mode: u16) -> Result<bool> {
    rustix::fs::fchmod(&handle, to_mode(mode))?;
    Ok(permissions(&rustix::fs::fstat(&handle)?) == mode)
}

/// As [`set_mode`], for a new file, on a file system that may refuse the mode.
pub(super) fn set_new_mode(handle: impl AsFd, mode: u16) -> Result<bool> {
    match set_mode(&handle, mode) {
        Err(Errno::PERM | Errno::OPNOTSUPP) => Ok(false),
        set => set,
    }
}

/// Passes the stat of `name` to `decide` and sets the mode that it returns, if any; returns the result of [`set_mode`].
///
/// Needs no right to read it.
#[cfg(all(target_os = "linux", not(feature = "portable")))]
pub(super) fn change_mode_at(
    folder: &OwnedFd,
    name: &[u8],
    decide: impl FnOnce(&Stat) -> Option<u16>,
) -> Result<Option<bool>> {
    use std::os::fd::AsRawFd;
    let held = rustix::fs::openat(folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let stat = rustix::fs::fstat(&held)?;
    let Some(mode) = decide(&stat) else { return Ok(None) };
    // `fchmod` refuses such a handle. The C library does the same; newer kernels have a system call for it.
    match rustix::fs::chmod(format!("/proc/self/fd/{}", held.as_raw_fd()), to_mode(mode)) {
        Ok(()) => Ok(Some(permissions(&rustix::fs::fstat(&held)?) == mode)),
        // Without /proc, a readable file can still be changed.
        Err(Errno::NOENT) => change_readable_at(folder, name, &stat, mode),
        Err(e) => Err(e),
    }
}

/// Passes the stat of `name` to `decide` and sets the mode that it returns, if any; returns the result of [`set_mode`].
///
/// Needs no right to read it.
#[cfg(any(not(target_os = "linux"), feature = "portable"))]
pub(super) fn change_mode_at(
    folder: &OwnedFd,
    name: &[u8],
    decide: impl FnOnce(&Stat) -> Option<u16>,
) -> Result<Option<bool>> {
    let look = || rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
    let stat = look()?;
    let Some(mode) = decide(&stat) else { return Ok(None) };
    match rustix::fs::chmodat(folder, name, to_mode(mode), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(()) => Ok(Some(permissions(&look()?) == mode)),
        // Some systems, Linux among them, have no such call that follows no symlink.
        Err(Errno::OPNOTSUPP) => change_readable_at(folder, name, &stat, mode),
        Err(e) => Err(e),
    }
}

/// Changes the mode of what `stat` was read of, if that can be opened to be read and is still at `name`.
fn change_readable_at(folder: &OwnedFd, name: &[u8], stat: &Stat, mode: u16) -> Result<Option<bool>> {
    let opened = rustix::fs::openat(folder, name, READ_FLAGS, Mode::empty())?;
    let now = rustix::fs::fstat(&opened)?;
    let is_same = (now.st_dev, now.st_ino) == (stat.st_dev, stat.st_ino);
    if is_same { set_mode(&opened, mode).map(Some) } else { Ok(None) }
}

fn to_mode(mode: u16) -> Mode {
    Mode::from_raw_mode((mode & MODE_MASK).into())
}
