//! The only code that writes into a store folder.
//!
//! All store I/O goes through the trait [`Disk`]. It has three implementations: [`local`] on a real folder; [`overlay`]
//! over another disk, which it does not change, for dry runs; and [`memory`], which knows what was synced and can fail
//! or lose power at any call, so that tests can try every crash.
//!
//! Names are relative to the store folder, `/` between parts. Nothing is ever read or written through a symlink.
//! Writers follow three rules. The memory disk checks them: it loses all that a writer did not make durable.
//!
//! - bytes are durable after [`Disk::sync`] of their file, names after [`Disk::sync_folder`] of their folder;
//! - a file that must appear whole is written under `tmp/`, synced, renamed, and its folder synced: [`replace`];
//! - caches (indexes, journal, stat caches) may be lost at any moment: they carry checksums, and can be made again.

pub mod local;
#[cfg(any(test, feature = "internals"))]
pub mod memory;
pub mod overlay;
mod replace;
pub mod wait;

use std::fs::File;
use std::ops::{Deref, Range};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::error::Result;
pub use replace::{Durability, replace};

/// The part of a [`Disk`] that reads. A store that is somewhere else, such as on a server, will have no more.
pub trait Source: Send + Sync + std::fmt::Debug {
    /// Opens a file for reading. `NotFound` where there is none.
    fn open(&self, name: &str) -> Result<Arc<dyn StoredFile>>;

    /// The names in a folder, sorted; none where there is no such folder.
    fn list(&self, folder: &str) -> Result<Vec<String>>;

    /// The path of a file, for messages.
    fn display(&self, name: &str) -> String;
}

/// A folder that holds a store.
pub trait Disk: Source {
    /// The whole file, mapped where the platform can. Only for files that are never cut while in use.
    fn map(&self, name: &str) -> Result<Bytes>;

    /// Creates a folder and those above it where they are missing, and makes their names durable.
    fn create_folder(&self, folder: &str) -> Result<()>;

    /// Writes `bytes` at `offset`, creating the file (mode 0600) where there is none.
    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> Result<()>;

    /// Cuts a file to `length_bytes`.
    fn truncate(&self, name: &str, length_bytes: u64) -> Result<()>;

    /// Makes the bytes of a file durable.
    fn sync(&self, name: &str) -> Result<()>;

    /// Renames a file, and replaces the file that has the new name.
    fn rename(&self, from: &str, to: &str) -> Result<()>;

    /// Makes the names in a folder durable.
    fn sync_folder(&self, folder: &str) -> Result<()>;

    /// Removes a file, if it is there.
    fn remove(&self, name: &str) -> Result<()>;

    /// Takes a lock that ends with its holder. Waits for it, except with `TryExclusive`: `None` where another holds it.
    fn lock(&self, name: &str, mode: LockMode) -> Result<Option<LockGuard>>;

    /// The time by the file system's clock: touches the file `lock` and reads its modification time. The wall clock is
    /// ahead of file times by up to a tick.
    fn file_clock(&self) -> Result<FileClock>;

    /// Sixteen random bytes, for names and nonces.
    fn random(&self) -> [u8; 16];

    /// The ids of the store folder and of the folders in it; none where there is no file system. Paths cannot replace
    /// them: bind mounts, symlinks and moves give one folder many paths.
    fn places(&self) -> Result<Vec<FolderId>>;
}

/// The id of a folder of the operating system, whatever its path. A bind mount keeps both numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderId {
    /// Inode number.
    pub inode: u64,
    /// Device number of its file system.
    pub device: u64,
}

/// An open file.
pub trait StoredFile: Send + Sync + std::fmt::Debug {
    /// Length now, in bytes.
    fn length(&self) -> Result<u64>;

    /// Reads into all of `buffer` from `offset`, and returns how much was there: less only at the end of the file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize>;
}

/// Bytes of a whole file, owned or mapped.
#[derive(Debug)]
pub struct Bytes(Holder);

#[derive(Debug)]
enum Holder {
    Owned(Vec<u8>),
    Mapped(memmap2::Mmap),
}

/// The kind of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Together with other shared holders.
    Shared,
    /// Alone.
    Exclusive,
    /// Alone, and without waiting.
    TryExclusive,
}

/// Releases its lock when dropped.
#[derive(Debug)]
pub struct LockGuard(#[expect(dead_code, reason = "held for its drop")] Box<dyn std::any::Any + Send + Sync>);

/// A moment on the clock of the store's file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileClock {
    /// Device number of the file system.
    pub device: u64,
    /// Modification time given to a file touched now, in nanoseconds since 1970.
    pub time_ns: i64,
}

impl FolderId {
    /// The folder that a stat is of.
    pub fn of(stat: &rustix::fs::Stat) -> Self {
        Self { inode: stat.st_ino, device: device_of(stat) }
    }

    /// The id of an open folder.
    pub fn of_open(folder: impl AsFd) -> rustix::io::Result<Self> {
        Ok(Self::of(&rustix::fs::fstat(folder)?))
    }
}

/// The device number.
#[cfg(target_os = "linux")]
fn device_of(stat: &rustix::fs::Stat) -> u64 {
    stat.st_dev
}

/// The device number, which is a signed 32-bit number here.
#[cfg(not(target_os = "linux"))]
fn device_of(stat: &rustix::fs::Stat) -> u64 {
    u64::from(stat.st_dev.cast_unsigned())
}

impl Bytes {
    /// Bytes in memory.
    pub fn owned(bytes: Vec<u8>) -> Self {
        Self(Holder::Owned(bytes))
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Holder::Owned(bytes) => bytes,
            Holder::Mapped(map) => map,
        }
    }
}

/// Reads into all of `buffer`. Returns the number of bytes read, which is less only at the end of the file.
fn read_full(file: &File, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(count) => read += count,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(read)
}

/// The folder part of a name; empty for a file at the top.
pub fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Reads a whole file.
pub fn read_all(disk: &dyn Disk, name: &str) -> Result<Vec<u8>> {
    read_start(disk, name, u64::MAX)
}

/// Reads the first bytes of a file, up to a limit.
pub fn read_start(disk: &dyn Disk, name: &str, length_max_bytes: u64) -> Result<Vec<u8>> {
    let file = disk.open(name)?;
    let length = usize::try_from(file.length()?.min(length_max_bytes)).expect("a 64-bit platform");
    let mut bytes = vec![0; length];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Bytes of a piece of a file.
const PIECE_BYTES: u64 = 1 << 20;

/// Reads a range of a file, as far as it is there, and calls `take` with each piece and its offset.
pub fn read_pieces(
    file: &dyn StoredFile,
    range: Range<u64>,
    mut take: impl FnMut(u64, &[u8]) -> Result<()>,
) -> Result<()> {
    let mut at = range.start;
    let mut piece = Vec::new();
    while at < range.end {
        piece.resize(usize::try_from(PIECE_BYTES.min(range.end - at)).expect("a 64-bit platform"), 0);
        let read = file.read_at(at, &mut piece)?;
        if read == 0 {
            break;
        }
        take(at, &piece[..read])?;
        at += read as u64;
    }
    Ok(())
}
