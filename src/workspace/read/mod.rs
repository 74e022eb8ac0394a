//! Reading files that other processes write at the same time.
//!
//! A file is opened by its name in a folder handle, never through a symlink and never waiting for a FIFO that took its
//! place. It is read, never mapped: a mapped file that somebody cuts kills the reader. Its stat is taken before and
//! after; if they are equal and as many bytes came as the stat says, the bytes are what the file held at that stat.
//! Otherwise it is read again, and after some attempts the bytes last seen are handed over as torn.
//!
//! Invariant: the stat returned is the one that the bytes were read under, not the one that the scan saw. A file that
//! changed since the scan is thereby recorded as it is now, and the cache never pairs bytes with a stat of others.
//! Whether that stat proves anything later is for [`super::stat::RacyRule`] to say.

mod quiet;

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use super::attributes::{self, Values};
use super::beneath::Root;
use super::filesystem::FileSystem;
use super::refusal::Refusal;
use super::stat::{FileStat, allocated_bytes, permissions};
use crate::error::{Error, Result};
use crate::format::snapshot::Reason;
use crate::limits::CAPTURE_RETRIES_MAX;
use crate::path::TreePath;

/// An open folder of a workspace.
#[derive(Debug)]
pub struct Folder<'r> {
    handle: OwnedFd,
    root: &'r Root,
    path: TreePath,
}

/// Something that was read, or the reason why this path alone is left out. Errors that concern more than the path are
/// [`Error`]s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// Here it is.
    Read(T),
    /// It is omitted.
    Omitted(Reason),
}

/// Questions about a file beside its content and stat. Each costs some system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Beside {
    /// Nothing: it counts as open for writing, and as without attributes.
    Nothing,
    /// True if somebody has it open for writing.
    Writers,
    /// That, and its ACLs and extended attributes.
    Attributes,
}

/// A file that was opened for reading.
#[derive(Debug)]
pub enum OpenedFile {
    /// All of it.
    Whole(WholeFile),
    /// Too long to be held in memory; nothing has been read yet.
    Large(LargeFile),
}

/// A file in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeFile {
    /// Its content.
    pub bytes: Vec<u8>,
    /// Its stat while it was read.
    pub stat: FileStat,
    /// Its permission bits.
    pub mode: u16,
    /// Its ACLs and extended attributes.
    pub attributes: Values,
    /// It kept changing: the bytes may never have been its content at any one moment. The stat proves nothing then.
    pub is_torn: bool,
    /// Nobody had it open for writing when its reading began.
    pub is_quiet: bool,
}

/// A long file, read piece by piece from the start.
#[derive(Debug)]
pub struct LargeFile {
    file: File,
    stat: FileStat,
    length_bytes: u64,
    is_quiet: bool,
    /// Fewer bytes are on disk than it is long, and the file system says where.
    may_have_holes: bool,
    /// The last answer of [`Self::next_data`], and from where it was asked.
    data: (u64, u64),
}

/// What can be said of a long file once all of it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LargeEnd {
    /// Bytes that were read.
    pub length_bytes: u64,
    /// Its stat; when torn, the one at the end.
    pub stat: FileStat,
    /// Its permission bits.
    pub mode: u16,
    /// Its ACLs and extended attributes.
    pub attributes: Values,
    /// It changed while it was read.
    pub is_torn: bool,
    /// Nobody had it open for writing when its reading began.
    pub is_quiet: bool,
}

impl<'r> Folder<'r> {
    /// Opens a folder of a workspace.
    pub fn open(root: &'r Root, path: &TreePath) -> Result<Outcome<Self>> {
        match root.folder(path) {
            Ok(handle) => Ok(Outcome::Read(Self { handle, root, path: path.clone() })),
            Err(errno) => omit_or_fail(errno, || Error::io("open folder", root.display(path), errno)),
        }
    }

    fn refusal<T>(&self, name: &[u8], errno: Errno) -> Result<Outcome<T>> {
        omit_or_fail(errno, || Error::io("read file", self.root.display(&self.path.join(name)), errno))
    }
}

/// Reads a file of up to `whole_max_bytes`; a longer one is opened.
pub fn read_file(
    folder: &Folder<'_>,
    name: &[u8],
    whole_max_bytes: usize,
    beside: Beside,
) -> Result<Outcome<OpenedFile>> {
    let mut attempt = 0;
    loop {
        match read_once(folder, name, whole_max_bytes, beside) {
            Ok(OpenedFile::Whole(file)) if file.is_torn && attempt < CAPTURE_RETRIES_MAX => attempt += 1,
            Ok(opened) => return Ok(Outcome::Read(opened)),
            Err(Attempt::Refused(errno)) => return folder.refusal(name, errno),
            Err(Attempt::Omitted(reason)) => return Ok(Outcome::Omitted(reason)),
        }
    }
}

/// Reads the ACLs and extended attributes of a folder in a folder; `None` where it cannot be opened, or is not one any
/// more.
pub fn read_folder_attributes(folder: &Folder<'_>, name: &[u8]) -> Option<Values> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = rustix::fs::openat(&folder.handle, name, flags, Mode::empty()).ok()?;
    Some(attributes::read(&handle))
}

/// Reads where a symlink points to. Its stat is the scan's: if the link was replaced since, that stat is gone for good.
pub fn read_symlink(folder: &Folder<'_>, name: &[u8]) -> Result<Outcome<Vec<u8>>> {
    match rustix::fs::readlinkat(&folder.handle, name, Vec::new()) {
        Ok(target) => Ok(Outcome::Read(target.into_bytes())),
        // Something else took the place of the link.
        Err(Errno::INVAL) => Ok(Outcome::Omitted(Reason::Vanished)),
        Err(errno) => folder.refusal(name, errno),
    }
}

impl LargeFile {
    /// Its length when it was opened, in bytes: a hint.
    pub fn expected_length_bytes(&self) -> u64 {
        self.stat.size
    }

    /// Appends up to `length_max_bytes` to `buffer`, and says how many; fewer only at the end of the file, of a hole, or
    /// where the system gives fewer. Holes are not read.
    pub fn read_piece(&mut self, buffer: &mut Vec<u8>, length_max_bytes: usize) -> Result<Outcome<usize>> {
        let at = self.length_bytes;
        let length = buffer.len();
        let hole_end = if at < self.stat.size { self.next_data(at).min(self.stat.size) } else { at };
        let count = match usize::try_from(hole_end - at).unwrap_or(usize::MAX).min(length_max_bytes) {
            0 => {
                buffer.resize(length + length_max_bytes, 0);
                let read = read_some(&self.file, &mut buffer[length..], at);
                buffer.truncate(length + read.unwrap_or(0));
                match read {
                    Some(count) => count,
                    None => return Ok(Outcome::Omitted(Reason::ReadError)),
                }
            }
            zeros => {
                buffer.resize(length + zeros, 0);
                zeros
            }
        };
        self.length_bytes += count as u64;
        Ok(Outcome::Read(count))
    }

    /// Where the next bytes are that do not lie in a hole, at `offset` or after it; the end of time where there are none.
    /// Where the file system cannot say, all bytes count.
    pub fn next_data(&mut self, offset: u64) -> u64 {
        if !self.may_have_holes {
            return offset;
        }
        let (asked, answer) = self.data;
        if !(asked..=answer).contains(&offset) {
            let answer = match rustix::fs::seek(&self.file, rustix::fs::SeekFrom::Data(offset)) {
                Ok(data) => data,
                Err(Errno::NXIO) => u64::MAX,
                Err(_) => offset,
            };
            self.data = (offset, answer);
        }
        self.data.1.max(offset)
    }

    /// Fills the buffer from a place in the file; `None` where the file ends before, or cannot be read.
    pub fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Option<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, offset).ok()
    }

    /// Whether nobody had it open for writing when it was opened.
    pub fn is_quiet(&self) -> bool {
        self.is_quiet
    }

    /// Its stat now, if it is the one that it had when it was opened.
    pub fn stat_now(&self) -> Option<FileStat> {
        let now = rustix::fs::fstat(&self.file).ok().map(|stat| FileStat::of(&stat));
        now.filter(|stat| *stat == self.stat)
    }

    /// Tells whether the file stayed as it was. To be called when all of it has been read.
    pub fn finish(self) -> Result<Outcome<LargeEnd>> {
        let attributes = attributes::read(&self.file);
        let Ok(after) = rustix::fs::fstat(&self.file) else {
            return Ok(Outcome::Omitted(Reason::ReadError));
        };
        let stat = FileStat::of(&after);
        let is_torn = stat != self.stat || self.length_bytes != stat.size;
        let (length_bytes, mode, is_quiet) = (self.length_bytes, permissions(&after), self.is_quiet);
        Ok(Outcome::Read(LargeEnd { length_bytes, stat, mode, attributes, is_torn, is_quiet }))
    }
}

/// Why one attempt gave no bytes.
enum Attempt {
    Refused(Errno),
    Omitted(Reason),
}

impl From<Errno> for Attempt {
    fn from(errno: Errno) -> Self {
        Self::Refused(errno)
    }
}

fn read_once(
    folder: &Folder<'_>,
    name: &[u8],
    whole_max_bytes: usize,
    beside: Beside,
) -> std::result::Result<OpenedFile, Attempt> {
    let file = open(folder, name)?;
    let before = rustix::fs::fstat(&file)?;
    match FileType::from_raw_mode(before.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory | FileType::Symlink => return Err(Attempt::Omitted(Reason::Vanished)),
        _ => return Err(Attempt::Omitted(Reason::Special)),
    }
    let stat = FileStat::of(&before);
    let is_quiet = beside >= Beside::Writers && quiet::is_quiet(&file);
    let Some(length) = usize::try_from(stat.size).ok().filter(|length| *length <= whole_max_bytes) else {
        let may_have_holes = allocated_bytes(&before) < stat.size && FileSystem::of(&file).tells_holes();
        return Ok(OpenedFile::Large(LargeFile {
            file,
            stat,
            length_bytes: 0,
            is_quiet,
            may_have_holes,
            data: (u64::MAX, 0),
        }));
    };
    let mut bytes = Vec::with_capacity(length + 1);
    // One byte more than there should be, so that a file that has grown is noticed.
    let read = (&file).take(length as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    let attributes = if beside == Beside::Attributes { attributes::read(&file) } else { Values::default() };
    let after = rustix::fs::fstat(&file)?;
    let mode = permissions(&after);
    let after = FileStat::of(&after);
    let is_torn = after != stat;
    if !is_torn && bytes.len() != length {
        // The stat is a made-up one, as in /proc: no bytes read here can be believed to be all there is.
        return Err(Attempt::Omitted(Reason::ReadError));
    }
    Ok(OpenedFile::Whole(WholeFile { bytes, stat: after, mode, attributes, is_torn, is_quiet }))
}

/// Opens for reading, without leaving a trace in the access time where the system allows that.
fn open(folder: &Folder<'_>, name: &[u8]) -> rustix::io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let open = |flags| match rustix::fs::openat(&folder.handle, name, flags, Mode::empty()) {
        Err(Errno::INTR) => rustix::fs::openat(&folder.handle, name, flags, Mode::empty()),
        opened => opened,
    };
    #[cfg(target_os = "linux")]
    match open(flags | OFlags::NOATIME) {
        // Only the owner of a file may ask for it.
        Err(Errno::PERM) => {}
        opened => return opened.map(File::from),
    }
    open(flags).map(File::from)
}

/// Reads what one call gives at a place in a file; `None` where it fails.
fn read_some(file: &File, buffer: &mut [u8], offset: u64) -> Option<usize> {
    loop {
        match std::os::unix::fs::FileExt::read_at(file, buffer, offset) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            read => return read.ok(),
        }
    }
}

fn omit_or_fail<T>(errno: Errno, error: impl FnOnce() -> Error) -> Result<Outcome<T>> {
    match Refusal::of(errno) {
        Refusal::Omit(reason) => Ok(Outcome::Omitted(reason)),
        Refusal::Fail(_) => Err(error()),
    }
}

#[cfg(test)]
mod tests;
