//! A store in memory that can fail, die and lose power: support for tests.
//!
//! [`MemoryDisk`] behaves like [`LocalDisk`](super::local::LocalDisk) on a POSIX file system and keeps a log of every
//! change. From the log it makes other disks: the one that a killed process leaves ([`MemoryDisk::killed_after`]), and
//! every state, or a sample of them, that a power loss may leave ([`MemoryDisk::power_losses`]). A test runs an
//! operation once. Then it checks the store on all of these disks, for every change that the operation made.
//!
//! ```text
//! start (durable) -- log of changes --> live
//!        |  killed_after(n)      the first n changes, none synced by dying: a later power loss may still undo them
//!        '- power_losses(n)      the first n changes, minus what was not synced, in every legal combination
//! ```
//!
//! Invariants:
//! - Nothing depends on the clock or on chance: same seed, same calls, same bytes, same losses.
//! - Bytes and names that were not synced are lost in some state. Those that were synced are in every state.
//! - Disks made from a log share no lock and no later change with it.
//!
//! After a failed sync of a file its bytes stay in doubt for ever, as on Linux, where the pages then count as clean.
//! After a failed sync of a folder its names stay in doubt until a sync succeeds.

mod content;
mod fault;
mod log;
mod power;

#[cfg(test)]
mod tests;

pub use fault::{Fault, FaultKind};

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::{Bytes, Disk, FileClock, FolderId, LockGuard, LockMode, Source, StoredFile, folder_of};
use crate::error::{Error, Result};
use log::{Change, FileNumber, Image};
use power::Unsettled;

/// A simulated disk. Clones are the same disk, as seen by another process.
#[derive(Clone)]
pub struct MemoryDisk(Arc<Shared>);

/// A disk after a power loss.
#[derive(Debug)]
pub struct PowerLoss {
    /// The disk. Everything on it is durable.
    pub disk: MemoryDisk,
    /// The lost changes in words, for messages.
    pub lost: String,
}

struct Shared {
    world: Mutex<World>,
    unlocked: Condvar,
}

struct World {
    seed: u64,
    /// The durable state when the log began.
    start: Image,
    log: Vec<Change>,
    /// The state that processes see: `start` after all changes of the log.
    live: Image,
    file_count: FileNumber,
    random_count: u64,
    clock_ticks: i64,
    call_count: u64,
    fault: Option<ArmedFault>,
    locks: BTreeMap<FileNumber, LockState>,
}

struct ArmedFault {
    fault: Fault,
    since_call: u64,
    strike_count: u64,
}

#[derive(Clone, Copy)]
enum LockState {
    Shared(usize),
    Exclusive,
}

#[derive(Debug)]
struct MemoryFile {
    disk: MemoryDisk,
    file: FileNumber,
    name: String,
}

struct HeldLock {
    disk: MemoryDisk,
    file: FileNumber,
}

/// The path of the simulated folder, for messages.
const ROOT: &str = "/memory";

/// The time that the file clock moves on at each look, in nanoseconds: the tick of a common kernel.
const CLOCK_TICK_NS: i64 = 4_000_000;

impl MemoryDisk {
    /// An empty disk. `seed` decides on its random bytes.
    pub fn new(seed: u64) -> Self {
        Self::from_image(seed, Image::default(), None)
    }

    /// Number of changes since the disk was made or settled. One call can make two: it creates a file and writes to it.
    pub fn change_count(&self) -> usize {
        self.world().log.len()
    }

    /// Number of calls so far, with those that only read.
    pub fn call_count(&self) -> u64 {
        self.world().call_count
    }

    /// The change with this number in words, for messages.
    pub fn describe_change(&self, number: usize) -> String {
        self.world().log.get(number).map_or_else(|| "the end".to_owned(), ToString::to_string)
    }

    /// Makes everything durable and forgets the changes that led there.
    pub fn settle(&self) {
        let mut world = self.world();
        world.start = world.live.clone();
        world.start.drop_nameless();
        world.log.clear();
    }

    /// Sets the fault of later calls; `None` for no fault.
    pub fn set_fault(&self, fault: Option<Fault>) {
        let mut world = self.world();
        let since_call = world.call_count;
        world.fault = fault.map(|fault| ArmedFault { fault, since_call, strike_count: 0 });
    }

    /// The number of calls that the fault set last has made fail.
    pub fn strike_count(&self) -> u64 {
        self.world().fault.as_ref().map_or(0, |armed| armed.strike_count)
    }

    /// The disk after a process was killed that had made `changes` changes. The machine goes on, so nothing is lost
    /// yet.
    pub fn killed_after(&self, changes: usize) -> Self {
        let world = self.world();
        let fork = Self::from_image(world.seed, world.start.clone(), Some(&world));
        let mut forked = fork.world();
        forked.log = world.log[..changes].to_vec();
        world.log[..changes].iter().for_each(|change| forked.live.apply(change));
        drop(forked);
        fork
    }

    /// The disk after a process was killed half-way through the change with this number; `None` unless that is a write
    /// of more than one byte.
    pub fn killed_during(&self, change: usize) -> Option<Self> {
        let half = match self.world().log.get(change)? {
            Change::Write { name, file, offset, bytes } if bytes.len() > 1 => {
                let bytes = bytes[..bytes.len() / 2].into();
                Change::Write { name: name.clone(), file: *file, offset: *offset, bytes }
            }
            _ => return None,
        };
        let fork = self.killed_after(change);
        fork.world().change(half);
        Some(fork)
    }

    /// The disks that a power loss after the first `changes` changes may leave: all legal states that `power` lists, or
    /// `count_max` of them: first those with a single loss if they fit, then some drawn with `seed`.
    pub fn power_losses(&self, changes: usize, seed: u64, count_max: usize) -> Vec<PowerLoss> {
        let world = self.world();
        let unsettled = Unsettled::after(&world.start, &world.log[..changes]);
        let outcomes = unsettled.outcomes(seed, count_max);
        let left = |outcome| PowerLoss {
            disk: Self::from_image(world.seed, unsettled.image(outcome), Some(&world)),
            lost: unsettled.describe(outcome),
        };
        outcomes.iter().map(left).collect()
    }

    /// The number of states that [`power_losses`](Self::power_losses) lists, and the number of those with a single
    /// loss, which come first in any sample. States that look the same count each.
    pub fn power_loss_counts(&self, changes: usize) -> (usize, usize) {
        let world = self.world();
        Unsettled::after(&world.start, &world.log[..changes]).outcome_counts()
    }

    /// A disk with a durable `image`. It continues the counts of `origin`, so that no random bytes come twice.
    fn from_image(seed: u64, image: Image, origin: Option<&World>) -> Self {
        let world = World {
            seed,
            start: image.clone(),
            log: Vec::new(),
            live: image,
            file_count: origin.map_or(0, |origin| origin.file_count),
            random_count: origin.map_or(0, |origin| origin.random_count),
            clock_ticks: origin.map_or(0, |origin| origin.clock_ticks),
            call_count: 0,
            fault: None,
            locks: BTreeMap::new(),
        };
        Self(Arc::new(Shared { world: Mutex::new(world), unlocked: Condvar::new() }))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    /// Counts a call. Returns the kind of its failure, if it fails.
    fn strike(&mut self, needs_room: bool) -> Option<FaultKind> {
        let call = self.call_count;
        self.call_count += 1;
        let armed = self.fault.as_mut()?;
        let Fault { at_call, kind, is_lasting } = armed.fault;
        let number = call - armed.since_call;
        let strikes = number == at_call || (is_lasting && number > at_call);
        if !strikes || !kind.strikes(needs_room) {
            return None;
        }
        armed.strike_count += 1;
        Some(kind)
    }

    /// Counts a call that changes nothing if it fails.
    fn admit(&mut self, operation: &str, name: &str, needs_room: bool) -> Result<()> {
        assert!(is_plain(name), "a store names its files relative to itself: {name:?}");
        match self.strike(needs_room) {
            Some(kind) => Err(kind.error(operation, &path(name))),
            None => Ok(()),
        }
    }

    fn change(&mut self, change: Change) {
        self.live.apply(&change);
        self.log.push(change);
    }

    fn find(&self, operation: &str, name: &str) -> Result<FileNumber> {
        match self.live.names.get(name) {
            Some(file) => Ok(*file),
            None if self.live.has_folder(name) => Err(Error::io(operation, path(name), Errno::ISDIR)),
            None => Err(Error::io(operation, path(name), Errno::NOENT)),
        }
    }

    fn find_or_create(&mut self, operation: &str, name: &str) -> Result<FileNumber> {
        match self.find(operation, name) {
            Err(error) if error.io_kind() == Some(std::io::ErrorKind::NotFound) => {
                if !self.live.has_folder(folder_of(name)) {
                    return Err(error);
                }
                let file = self.file_count;
                self.file_count += 1;
                self.change(Change::Create { name: name.to_owned(), file });
                Ok(file)
            }
            found => found,
        }
    }
}

impl Source for MemoryDisk {
    fn open(&self, name: &str) -> Result<Arc<dyn StoredFile>> {
        let mut world = self.world();
        world.admit("open", name, false)?;
        let file = world.find("open", name)?;
        Ok(Arc::new(MemoryFile { disk: self.clone(), file, name: name.to_owned() }))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>> {
        let mut world = self.world();
        world.admit("list", folder, false)?;
        Ok(world.live.list(folder))
    }

    fn display(&self, name: &str) -> String {
        crate::error::shown(&path(name))
    }
}

impl Disk for MemoryDisk {
    fn map(&self, name: &str) -> Result<Bytes> {
        let mut world = self.world();
        world.admit("map", name, false)?;
        let file = world.find("map", name)?;
        Ok(Bytes::owned(world.live.file_mut(file).to_vec()))
    }

    fn create_folder(&self, folder: &str) -> Result<()> {
        let mut world = self.world();
        world.admit("create folder", folder, true)?;
        let ends = folder.match_indices('/').map(|(slash, _)| slash).chain([folder.len()]);
        for folder in ends.map(|end| &folder[..end]) {
            if !world.live.has_folder(folder) {
                world.change(Change::CreateFolder { folder: folder.to_owned() });
            }
        }
        Ok(())
    }

    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> Result<()> {
        assert!(is_plain(name), "a store names its files relative to itself: {name:?}");
        let mut world = self.world();
        let struck = world.strike(true);
        if let Some(kind) = struck.filter(|kind| *kind != FaultKind::ShortWrite) {
            return Err(kind.error("write", &path(name)));
        }
        let file = world.find_or_create("write", name)?;
        let written = if struck.is_some() { &bytes[..bytes.len() / 2] } else { bytes };
        if !written.is_empty() {
            let name = name.to_owned();
            world.change(Change::Write { name, file, offset: length(offset), bytes: written.into() });
        }
        struck.map_or(Ok(()), |kind| Err(kind.error("write", &path(name))))
    }

    fn truncate(&self, name: &str, length_bytes: u64) -> Result<()> {
        let mut world = self.world();
        world.admit("cut", name, false)?;
        let file = world.find("cut", name)?;
        world.change(Change::Truncate { name: name.to_owned(), file, length_bytes: length(length_bytes) });
        Ok(())
    }

    fn sync(&self, name: &str) -> Result<()> {
        let mut world = self.world();
        let file = world.find("sync", name)?;
        let admitted = world.admit("sync", name, true);
        let name = name.to_owned();
        world.change(match admitted {
            Ok(()) => Change::Sync { name, file },
            Err(_) => Change::SyncFailed { name, file },
        });
        admitted
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let mut world = self.world();
        world.admit("rename to", to, true)?;
        let file = world.find("rename to", from)?;
        if !world.live.has_folder(folder_of(to)) {
            return Err(Error::io("rename to", path(to), Errno::NOENT));
        }
        world.change(Change::Rename { from: from.to_owned(), to: to.to_owned(), file });
        Ok(())
    }

    fn sync_folder(&self, folder: &str) -> Result<()> {
        let mut world = self.world();
        world.admit("sync folder", folder, true)?;
        if !world.live.has_folder(folder) {
            return Err(Error::io("sync folder", path(folder), Errno::NOENT));
        }
        world.change(Change::SyncFolder { folder: folder.to_owned() });
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        let mut world = self.world();
        world.admit("remove", name, false)?;
        if world.live.names.contains_key(name) {
            world.change(Change::Remove { name: name.to_owned() });
        }
        Ok(())
    }

    fn lock(&self, name: &str, mode: LockMode) -> Result<Option<LockGuard>> {
        let mut world = self.world();
        let needs_room = !world.live.names.contains_key(name);
        world.admit("lock", name, needs_room)?;
        loop {
            // After a wait, the name may be another file's.
            let file = world.find_or_create("lock", name)?;
            let taken = match (world.locks.get(&file), mode) {
                (None, LockMode::Shared) => Some(LockState::Shared(1)),
                (None, LockMode::Exclusive | LockMode::TryExclusive) => Some(LockState::Exclusive),
                (Some(LockState::Shared(count)), LockMode::Shared) => Some(LockState::Shared(count + 1)),
                (Some(_), LockMode::TryExclusive) => return Ok(None),
                (Some(_), LockMode::Shared | LockMode::Exclusive) => None,
            };
            if let Some(state) = taken {
                world.locks.insert(file, state);
                return Ok(Some(LockGuard(Box::new(HeldLock { disk: self.clone(), file }))));
            }
            world = self.0.unlocked.wait(world).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn file_clock(&self) -> Result<FileClock> {
        let mut world = self.world();
        world.admit("read the file clock with", "lock", false)?;
        world.find_or_create("touch", "lock")?;
        world.clock_ticks += 1;
        Ok(FileClock { device: 1, time_ns: world.clock_ticks * CLOCK_TICK_NS })
    }

    fn random(&self) -> [u8; 16] {
        let mut world = self.world();
        world.random_count += 1;
        let drawn = [world.seed.to_le_bytes(), world.random_count.to_le_bytes()].concat();
        crate::id::Digest::of(&drawn).prefix()
    }

    fn places(&self) -> Result<Vec<FolderId>> {
        Ok(Vec::new())
    }
}

impl StoredFile for MemoryFile {
    fn length(&self) -> Result<u64> {
        let mut world = self.disk.world();
        world.admit("look at", &self.name, false)?;
        Ok(world.live.file_mut(self.file).length_bytes() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let mut world = self.disk.world();
        world.admit("read", &self.name, false)?;
        Ok(world.live.file_mut(self.file).read_at(length(offset), buffer))
    }
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        let mut world = self.disk.world();
        match world.locks.get_mut(&self.file) {
            Some(LockState::Shared(count)) if *count > 1 => *count -= 1,
            _ => drop(world.locks.remove(&self.file)),
        }
        drop(world);
        self.disk.0.unlocked.notify_all();
    }
}

impl std::fmt::Debug for MemoryDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let world = self.world();
        write!(f, "MemoryDisk({} files, {} changes)", world.live.names.len(), world.log.len())
    }
}

fn path(name: &str) -> std::path::PathBuf {
    if name.is_empty() { Path::new(ROOT).to_owned() } else { Path::new(ROOT).join(name) }
}

fn length(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a 64-bit platform")
}

/// True if the text of a name stays inside the store.
fn is_plain(name: &str) -> bool {
    name.is_empty() || name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}
