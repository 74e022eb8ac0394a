//! The only code that writes into a store folder.
//!
//! [`Disk`] is the one seam under all store I/O. It has three implementations: [`local`] on a real folder; [`overlay`] over
//! another disk, which it leaves as it is, for dry runs; and [`memory`], which remembers what was synced and can fail
//! or lose power at any call, so that tests can try every crash.
//!
//! Names are relative to the store folder, `/` between parts. Nothing is ever read or written through a symlink.
//! Writers follow three rules, which the memory disk checks by losing whatever they forget:
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
use std::ops::Deref;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::error::Result;
pub use replace::{Durability, replace};

/// The reading half of a [`Disk`]: what the packs of a store can be read from, wherever they are.
pub trait Source: Send + Sync + std::fmt::Debug {
    /// Opens a file for reading at any place. A file that is not there is `NotFound`.
    fn open(&self, name: &str) -> Result<Arc<dyn StoredFile>>;

    /// Names in a folder, sorted; none where there is no such folder.
    fn list(&self, folder: &str) -> Result<Vec<String>>;

    /// The path of a file, for messages.
    fn display(&self, name: &str) -> String;
}

/// A folder that holds a store.
pub trait Disk: Source {
    /// The whole file, mapped where the platform can. Only for files that are never cut while in use.
    fn map(&self, name: &str) -> Result<Bytes>;

    /// Creates a folder and those above it, and makes their names durable. One that is there is fine.
    fn create_folder(&self, folder: &str) -> Result<()>;

    /// Writes `bytes` at `offset`, creating the file (mode 0600) where there is none.
    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> Result<()>;

    /// Cuts a file to `length_bytes`.
    fn truncate(&self, name: &str, length_bytes: u64) -> Result<()>;

    /// Makes the bytes of a file durable.
    fn sync(&self, name: &str) -> Result<()>;

    /// Renames a file, replacing what is there.
    fn rename(&self, from: &str, to: &str) -> Result<()>;

    /// Makes the names in a folder durable.
    fn sync_folder(&self, folder: &str) -> Result<()>;

    /// Removes a file; one that is not there is fine.
    fn remove(&self, name: &str) -> Result<()>;

    /// Takes a lock that dies with its holder. Waits, except for [`LockMode::TryExclusive`], which gives `None`.
    fn lock(&self, name: &str, mode: LockMode) -> Result<Option<LockGuard>>;

    /// The file system's own clock: touches the file `lock` and reads its time back. Never the wall clock, which runs
    /// ahead of file times by up to a tick.
    fn file_clock(&self) -> Result<FileClock>;

    /// Sixteen random bytes, for names and nonces.
    fn random(&self) -> [u8; 16];

    /// The store folder and the folders right in it, as the file system knows them; none where there is no file system.
    /// Paths say nothing: bind mounts, symlinks and moves give one folder many.
    fn places(&self) -> Result<Vec<FolderId>>;
}

/// One folder of the operating system, by whichever path it is reached. A bind mount keeps both numbers.
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

/// How a lock is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Together with other shared holders.
    Shared,
    /// Alone.
    Exclusive,
    /// Alone, or not at all.
    TryExclusive,
}

/// Releases its lock when dropped.
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
    /// Takes it out of a stat.
    pub fn of(stat: &rustix::fs::Stat) -> Self {
        Self { inode: stat.st_ino, device: device_of(stat) }
    }

    /// That of an open folder.
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

impl std::fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LockGuard")
    }
}

/// Reads into all of `buffer`; how much there was.
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
pub fn read_all(disk: &dyn Source, name: &str) -> Result<Vec<u8>> {
    read_start(disk, name, u64::MAX)
}

/// Reads a file, or as much of its beginning as is wanted.
pub fn read_start(disk: &dyn Source, name: &str, length_max_bytes: u64) -> Result<Vec<u8>> {
    let file = disk.open(name)?;
    let length = usize::try_from(file.length()?.min(length_max_bytes)).expect("a 64-bit platform");
    let mut bytes = vec![0; length];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}
