//! Reading files that other processes write at the same time.
//!
//! A file is opened by its name relative to a folder handle, never through a symlink, and never waiting for a FIFO that
//! replaced it. It is read, not mapped: truncating a mapped file kills the reader. Its stat is taken before and after.
//! If both are equal and the number of bytes matches, the bytes are the content at that stat. Otherwise it is read
//! again, and after some attempts the last bytes are returned as torn.
//!
//! Invariant: the returned stat is the one under which the bytes were read, not the scan's. A file that changed since
//! the scan is therefore recorded as it is now, and the stat cache never pairs bytes with the stat of others.
//! [`super::stat::RacyRule`] decides what that stat proves later.

mod quiet;

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use super::attributes::{self, Values};
use super::beneath::{FOLDER_FLAGS, Root};
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

/// The result of reading one path, or the reason why it is omitted. Errors that concern more than the path are
/// [`Error`]s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// The path was read.
    Read(T),
    /// The path is omitted.
    Omitted(Reason),
}

/// Facts about a file to read besides content and stat. Each costs some system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Beside {
    /// None: the file counts as open for writing, and as without attributes.
    Nothing,
    /// Processes that have the file open for writing.
    Writers,
    /// The same, and the ACLs and extended attributes.
    Attributes,
}

/// A file that was opened for reading.
#[derive(Debug)]
pub enum OpenedFile {
    /// All of the file.
    Whole(WholeFile),
    /// A file too long for memory, of which nothing has been read yet.
    Large(LargeFile),
}

/// A file in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeFile {
    /// Its content.
    pub bytes: Vec<u8>,
    /// The facts about it after it was read.
    pub facts: FileFacts,
}

/// A long file, read in pieces from the start.
#[derive(Debug)]
pub struct LargeFile {
    file: File,
    stat: FileStat,
    length_bytes: u64,
    is_quiet: bool,
    /// True if fewer bytes are on disk than its length, and the file system reports holes.
    may_have_holes: bool,
    /// The last offset for which [`Self::next_data`] was computed, and its result.
    data: (u64, u64),
}

/// The facts about a file after all of it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// Number of bytes read.
    pub length_bytes: u64,
    /// Its stat; if torn, the one at the end.
    pub stat: FileStat,
    /// Its permission bits.
    pub mode: u16,
    /// Its ACLs and extended attributes.
    pub attributes: Values,
    /// True if it kept changing: the bytes may never have been its content at any one moment, and the stat proves
    /// nothing.
    pub is_torn: bool,
    /// True if no process had it open for writing when its reading began.
    pub is_quiet: bool,
}

impl<'r> Folder<'r> {
    /// Opens a folder of a workspace.
    pub fn open(root: &'r Root, path: &TreePath) -> Result<Outcome<Self>> {
        match root.folder(path) {
            Ok(handle) => Ok(Outcome::Read(Self { handle, root, path: path.clone() })),
            Err(errno) => omit_or_fail(errno.into(), |e| Error::io("open folder", root.display(path), e)),
        }
    }

    fn refusal<T>(&self, name: &[u8], refusal: Refusal) -> Result<Outcome<T>> {
        omit_or_fail(refusal, |e| Error::io("read file", self.root.display(&self.path.join(name)), e))
    }
}

/// Reads a file of up to `whole_max_bytes`; opens a longer one.
pub fn read_file(
    folder: &Folder<'_>,
    name: &[u8],
    whole_max_bytes: usize,
    beside: Beside,
) -> Result<Outcome<OpenedFile>> {
    let mut attempt = 0;
    loop {
        match read_once(folder, name, whole_max_bytes, beside) {
            Ok(OpenedFile::Whole(file)) if file.facts.is_torn && attempt < CAPTURE_RETRIES_MAX => attempt += 1,
            Ok(opened) => return Ok(Outcome::Read(opened)),
            Err(refusal) => return folder.refusal(name, refusal),
        }
    }
}

/// Reads the ACLs and extended attributes of a child folder; `None` if it cannot be opened, or is no folder any more.
pub fn read_folder_attributes(folder: &Folder<'_>, name: &[u8]) -> Option<Values> {
    let handle = rustix::fs::openat(&folder.handle, name, FOLDER_FLAGS, Mode::empty()).ok()?;
    Some(attributes::read(&handle))
}

/// Reads the target of a symlink. Its stat is the scan's: if the link was replaced since, the next scan sees another
/// stat.
pub fn read_symlink(folder: &Folder<'_>, name: &[u8]) -> Result<Outcome<Vec<u8>>> {
    match rustix::fs::readlinkat(&folder.handle, name, Vec::new()) {
        Ok(target) => Ok(Outcome::Read(target.into_bytes())),
        // The link was replaced by something else.
        Err(Errno::INVAL) => Ok(Outcome::Omitted(Reason::Vanished)),
        Err(errno) => folder.refusal(name, errno.into()),
    }
}

impl LargeFile {
    /// Its length when it was opened, in bytes: an estimate.
    pub fn expected_length_bytes(&self) -> u64 {
        self.stat.size
    }

    /// Appends up to `length_max_bytes` to `buffer` and returns the number. It is smaller only at the end of the file
    /// or of a hole, or if the system returns fewer. Holes are not read.
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

    /// Offset of the next byte at or after `offset` that is not in a hole; the maximum if there is none. If the file
    /// system cannot report holes, every byte counts.
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

    /// Fills the buffer from an offset in the file; `None` if the file ends before, or cannot be read.
    pub fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Option<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, offset).ok()
    }

    /// Returns true if no process had it open for writing when it was opened.
    pub fn is_quiet(&self) -> bool {
        self.is_quiet
    }

    /// Its current stat, if it is equal to the one at opening.
    pub fn stat_now(&self) -> Option<FileStat> {
        let now = rustix::fs::fstat(&self.file).ok().map(|stat| FileStat::of(&stat));
        now.filter(|stat| *stat == self.stat)
    }

    /// Checks whether the file stayed the same. Call it after all of it has been read.
    pub fn finish(self) -> Result<Outcome<FileFacts>> {
        let attributes = attributes::read(&self.file);
        let Ok(after) = rustix::fs::fstat(&self.file) else {
            return Ok(Outcome::Omitted(Reason::ReadError));
        };
        let stat = FileStat::of(&after);
        let is_torn = stat != self.stat || self.length_bytes != stat.size;
        let (length_bytes, mode, is_quiet) = (self.length_bytes, permissions(&after), self.is_quiet);
        Ok(Outcome::Read(FileFacts { length_bytes, stat, mode, attributes, is_torn, is_quiet }))
    }
}

fn read_once(
    folder: &Folder<'_>,
    name: &[u8],
    whole_max_bytes: usize,
    beside: Beside,
) -> std::result::Result<OpenedFile, Refusal> {
    let file = open(folder, name)?;
    let before = rustix::fs::fstat(&file)?;
    match FileType::from_raw_mode(before.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory | FileType::Symlink => return Err(Refusal::Omit(Reason::Vanished)),
        _ => return Err(Refusal::Omit(Reason::Special)),
    }
    let stat = FileStat::of(&before);
    let is_quiet = beside >= Beside::Writers && quiet::is_quiet(&file);
    let Some(length) = usize::try_from(stat.size).ok().filter(|length| *length <= whole_max_bytes) else {
        let may_have_holes = allocated_bytes(&before) < stat.size && FileSystem::of(&file).reports_holes();
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
    // One byte more than expected, to notice a file that has grown.
    let read = (&file).take(length as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    let attributes = if beside == Beside::Attributes { attributes::read(&file) } else { Values::default() };
    let after = rustix::fs::fstat(&file)?;
    let mode = permissions(&after);
    let after = FileStat::of(&after);
    let is_torn = after != stat;
    if !is_torn && bytes.len() != length {
        // The stat is invented, as in /proc: the bytes read may not be all.
        return Err(Refusal::Omit(Reason::ReadError));
    }
    let facts = FileFacts { length_bytes: bytes.len() as u64, stat: after, mode, attributes, is_torn, is_quiet };
    Ok(OpenedFile::Whole(WholeFile { bytes, facts }))
}

/// Opens for reading, without changing the access time if the system allows that.
fn open(folder: &Folder<'_>, name: &[u8]) -> rustix::io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let open = |flags| match rustix::fs::openat(&folder.handle, name, flags, Mode::empty()) {
        Err(Errno::INTR) => rustix::fs::openat(&folder.handle, name, flags, Mode::empty()),
        opened => opened,
    };
    #[cfg(all(target_os = "linux", not(feature = "portable")))]
    match open(flags | OFlags::NOATIME) {
        // Only the owner of a file may set this flag.
        Err(Errno::PERM) => {}
        opened => return opened.map(File::from),
    }
    open(flags).map(File::from)
}

/// Reads the bytes of one system call at an offset; `None` if it fails.
fn read_some(file: &File, buffer: &mut [u8], offset: u64) -> Option<usize> {
    loop {
        match std::os::unix::fs::FileExt::read_at(file, buffer, offset) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            read => return read.ok(),
        }
    }
}

fn omit_or_fail<T>(refusal: Refusal, error: impl FnOnce(Errno) -> Error) -> Result<Outcome<T>> {
    match refusal {
        Refusal::Omit(reason) => Ok(Outcome::Omitted(reason)),
        Refusal::Fail(errno) => Err(error(errno)),
    }
}

#[cfg(test)]
mod tests;
