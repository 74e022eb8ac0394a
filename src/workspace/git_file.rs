//! Reads git's files, any of which may have been replaced by something else.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::git_notice::GitProblem;

/// The content of a regular file of at most this length; `None` if there is none. Never waits: a pipe is opened without
/// blocking and refused.
pub(super) fn read(path: &Path, length_max_bytes: u64) -> Result<Option<Vec<u8>>, GitProblem> {
    read_at(&CWD, path, OFlags::empty(), length_max_bytes)
}

/// As [`read`], from an open folder and with `extra` flags. A symlink that must not be followed counts as absent.
pub(super) fn read_at(
    from: &impl AsFd,
    path: &Path,
    extra: OFlags,
    length_max_bytes: u64,
) -> Result<Option<Vec<u8>>, GitProblem> {
    let Some(file) = open_at(from, path, extra)? else { return Ok(None) };
    let length_bytes = file.metadata().map_err(GitProblem::io)?.len();
    let mut bytes = Vec::new();
    // The file may grow while it is read.
    if length_bytes <= length_max_bytes {
        file.take(length_max_bytes + 1).read_to_end(&mut bytes).map_err(GitProblem::io)?;
    }
    if length_bytes.max(bytes.len() as u64) > length_max_bytes {
        return Err(GitProblem::TooLong { length_max_bytes });
    }
    Ok(Some(bytes))
}

/// The first `count` bytes of a regular file, or all if it is shorter; `None` if they cannot be read.
pub(super) fn read_begin(path: &Path, count: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    open_at(&CWD, path, OFlags::empty()).ok()??.take(count as u64).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn open_at(from: &impl AsFd, path: &Path, extra: OFlags) -> Result<Option<File>, GitProblem> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | extra;
    let file = match rustix::fs::openat(from, path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(Errno::LOOP) if extra.contains(OFlags::NOFOLLOW) => return Ok(None),
        // A socket, or a pipe without a reader.
        Err(Errno::NXIO) => return Err(GitProblem::NotAFile),
        Err(errno) => return Err(GitProblem::io(errno)),
    };
    if !file.metadata().map_err(GitProblem::io)?.is_file() {
        return Err(GitProblem::NotAFile);
    }
    Ok(Some(file))
}
