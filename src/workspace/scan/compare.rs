//! Comparing the list of a folder with the one in the stat cache.

use super::listing::{NamePlace, Names};
use super::{EntryState, ScannedEntry, ScannedFolder};
use crate::format::attributes::Owner;
use crate::format::tree::Kind;
use crate::limits::{REHASH_BYTES, REHASH_FILES};
use crate::workspace::cache::{CachedEntry, CachedFolder};
use crate::workspace::stat::FileStat;

/// A name that is captured, as the file system has it now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) place: NamePlace,
    pub(super) kind: Kind,
    pub(super) mode: u16,
    pub(super) stat: FileStat,
}

/// The list of one folder, sorted by name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listing<'a> {
    pub(super) names: &'a Names,
    pub(super) found: &'a [Found],
    pub(super) device: u64,
}

/// A folder whose list differs from the cached one.
#[derive(Debug)]
pub(super) struct Differing {
    pub(super) folder: ScannedFolder,
    /// Number of entries that are just as the cache has them.
    pub(super) same_count: usize,
    /// Number of entries in the cache; `None` if the folder is not known.
    pub(super) cached_count: Option<usize>,
}

/// A file hashed again though its stat is equal.
#[derive(Debug)]
pub(super) struct Pick {
    /// Orders the picks, so that which are taken does not depend on the order of the walk.
    pub(super) rank: u64,
    pub(super) entry: ScannedEntry,
}

/// Chooses files to hash again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picker {
    seed: u64,
    /// Files that rank below this are picked.
    bound: u64,
}

impl Differing {
    /// Whether it does not differ after all, now that an entry was taken out.
    pub(super) fn is_same(&self) -> bool {
        self.same_count == self.folder.entries.len() && self.cached_count == Some(self.same_count)
    }
}

/// A folder as the cache has it, nothing to be read: for when one of its entries turns out to differ after all.
pub fn unchanged_folder(cached: &CachedFolder<'_>) -> ScannedFolder {
    let device = cached.facts().device;
    let entry = |entry: CachedEntry<'_>| {
        let state = match entry.kind {
            Kind::Folder => EntryState::Folder { previous: Some(entry.id) },
            Kind::File | Kind::Symlink => EntryState::Known(entry.id),
        };
        ScannedEntry {
            name: entry.name.into(),
            kind: entry.kind,
            mode: entry.mode,
            stat: stat_of(&entry, device),
            attributes: Some(entry.attributes.into()),
            state,
        }
    };
    ScannedFolder { entries: cached.entries().map(entry).collect(), device }
}

impl Listing<'_> {
    /// Whether every name, kind, mode and stat is as the cache has it.
    pub(super) fn is_same(&self, cached: &CachedFolder<'_>) -> bool {
        let mut before = cached.entries();
        cached.facts().device == self.device
            && self.found.iter().all(|found| before.next().is_some_and(|entry| self.is_same_entry(found, &entry)))
            && before.next().is_none()
    }

    /// The entries, each with what is known about its content.
    pub(super) fn against(&self, cached: Option<&CachedFolder<'_>>) -> Differing {
        let mut before = cached.into_iter().flat_map(CachedFolder::entries).peekable();
        let is_same_device = cached.is_some_and(|cached| cached.facts().device == self.device);
        let (mut same_count, mut cached_count) = (0, 0);
        let mut entries = Vec::with_capacity(self.found.len());
        for found in self.found {
            let name = self.names.name(&found.place);
            while before.next_if(|entry| entry.name < name).is_some() {
                cached_count += 1;
            }
            let entry = before.next_if(|entry| entry.name == name);
            let is_same = is_same_device && entry.is_some_and(|entry| self.is_same_entry(found, &entry));
            cached_count += usize::from(entry.is_some());
            same_count += usize::from(is_same);
            let previous = entry.filter(|entry| entry.kind == found.kind).map(|entry| entry.id);
            let state = match (found.kind, previous) {
                (Kind::Folder, previous) => EntryState::Folder { previous },
                (_, Some(id)) if is_same => EntryState::Known(id),
                (_, previous) => EntryState::Read { previous },
            };
            entries.push(ScannedEntry {
                name: name.into(),
                kind: found.kind,
                mode: found.mode,
                stat: found.stat,
                attributes: entry.filter(|_| is_same).map(|entry| entry.attributes.into()),
                state,
            });
        }
        cached_count += before.count();
        Differing {
            folder: ScannedFolder { entries, device: self.device },
            same_count,
            cached_count: cached.map(|_| cached_count),
        }
    }

    /// Files of an unchanged folder to be hashed again.
    pub(super) fn picks(&self, cached: &CachedFolder<'_>, picker: Picker) -> Vec<Pick> {
        let files = self.found.iter().filter(|found| found.kind == Kind::File);
        let picked = files.filter_map(|found| Some((picker.rank(&found.stat)?, found)));
        let pick = |(rank, found): (u64, &Found)| {
            let name = self.names.name(&found.place);
            let previous = cached.find(name).map(|entry| entry.id);
            let entry = ScannedEntry {
                name: name.into(),
                kind: Kind::File,
                mode: found.mode,
                stat: found.stat,
                attributes: None,
                state: EntryState::Read { previous },
            };
            Pick { rank, entry }
        };
        picked.map(pick).collect()
    }

    fn is_same_entry(&self, found: &Found, entry: &CachedEntry<'_>) -> bool {
        found.kind == entry.kind
            && found.mode == entry.mode
            && self.names.name(&found.place) == entry.name
            && match found.kind {
                Kind::Folder => found.stat.has_attributes_of(entry),
                Kind::File | Kind::Symlink => found.stat.is_that_of(entry, self.device),
            }
    }
}

impl Picker {
    /// Picks about twice [`REHASH_FILES`] of `file_count` files, so that after sorting there are enough to take.
    pub(super) fn new(seed: u64, file_count: u64) -> Self {
        Self { seed, bound: (u64::MAX / file_count.max(1)).saturating_mul(2 * REHASH_FILES as u64) }
    }

    /// The rank of a file that is picked. A file above [`REHASH_BYTES`] is picked as much more rarely as it is larger,
    /// so that large files are looked at too, and the mean number of bytes stays bounded.
    pub(super) fn rank(&self, stat: &FileStat) -> Option<u64> {
        let rank = scramble(self.seed ^ scramble(stat.inode));
        let bound = if stat.size <= REHASH_BYTES { self.bound } else { self.bound / stat.size.div_ceil(REHASH_BYTES) };
        (rank <= bound && stat.size > 0).then_some(rank)
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): spreads nearby inode numbers over all of 64 bits.
fn scramble(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The stat that an entry was cached with. A device that is not the folder's is only known to be another one.
fn stat_of(entry: &CachedEntry<'_>, folder_device: u64) -> FileStat {
    FileStat {
        size: entry.size,
        mtime_ns: entry.mtime_ns,
        ctime_ns: entry.ctime_ns,
        inode: entry.inode,
        device: if entry.is_on_other_device { !folder_device } else { folder_device },
        // It is among the attributes.
        owner: Owner::default(),
    }
}
