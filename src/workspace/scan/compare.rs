//! Compares the list of a folder with the one in the stat cache.

use super::listing::{NamePlace, Names};
use super::turn::{Class, Picker};
use super::{EntryState, ReadReason, ScannedEntry, ScannedFolder};
use crate::disk::FileClock;
use crate::format::attributes::Owner;
use crate::format::tree::Kind;
use crate::workspace::cache::{CachedEntry, CachedFolder};
use crate::workspace::filesystem::FileSystem;
use crate::workspace::stat::{FileStat, Likeness};

/// A name that is captured, with its current stat.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) place: NamePlace,
    pub(super) kind: Kind,
    pub(super) mode: u16,
    pub(super) stat: FileStat,
    /// Bytes on disk.
    pub(super) allocated_bytes: u64,
}

/// The list of one folder, sorted by name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listing<'a> {
    pub(super) names: &'a Names,
    pub(super) found: &'a [Found],
    pub(super) device: u64,
    pub(super) file_system: FileSystem,
    pub(super) clock: FileClock,
    /// The rank of the folder, see [`super::turn::rank_of`].
    pub(super) rank: u64,
}

/// A folder whose list differs from the cached one.
#[derive(Debug)]
pub(super) struct Differing {
    pub(super) folder: ScannedFolder,
    /// Number of entries that are equal to the cached ones.
    pub(super) same_count: usize,
    /// Number of entries in the cache; `None` if the folder is unknown.
    pub(super) cached_count: Option<usize>,
}

/// A file that may be read again although its stat is equal.
#[derive(Debug)]
pub(super) struct Pick {
    pub(super) class: Class,
    pub(super) rank: u64,
    pub(super) entry: ScannedEntry,
    pub(super) allocated_bytes: u64,
    /// True if a restore needs it to be proved.
    pub(super) is_due: bool,
}

/// Further results of comparing a folder.
#[derive(Debug, Default)]
pub(super) struct Compared {
    pub(super) picks: Vec<Pick>,
    /// Number of files whose stat is trusted, by class.
    pub(super) trusted: [u64; 3],
    /// Number of files that kept their inode numbers on a file system that may renumber them.
    pub(super) kept_numbers: u64,
}

impl Differing {
    /// Returns true if it does not differ any more, after an entry was removed.
    pub(super) fn is_same(&self) -> bool {
        self.same_count == self.folder.entries.len() && self.cached_count == Some(self.same_count)
    }
}

/// A folder as cached, with nothing to be read: used when one of its entries turns out to differ.
pub fn unchanged_folder(cached: &CachedFolder<'_>) -> ScannedFolder {
    let device = cached.facts().device;
    let entry = |entry: CachedEntry<'_>| {
        let state = match entry.kind {
            Kind::Folder => EntryState::Folder { previous: Some(entry.id) },
            Kind::File | Kind::Symlink => EntryState::Known { id: entry.id, proof: entry.proof },
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
    /// Returns true if every name, kind, mode and stat is as cached. `compared` is valid only then.
    pub(super) fn is_same(&self, cached: &CachedFolder<'_>, picker: &Picker<'_>, compared: &mut Compared) -> bool {
        let mut before = cached.entries();
        let is_same = |found: &Found| {
            let Some(entry) = before.next() else { return false };
            let likeness = self.likeness(found, &entry, true);
            if likeness == Likeness::Same {
                self.pick(found, &entry, picker, compared);
            }
            likeness == Likeness::Same
        };
        cached.facts().device == self.device && self.found.iter().all(is_same) && before.next().is_none()
    }

    /// The entries, each with the knowledge about its content.
    pub(super) fn against(
        &self,
        cached: Option<&CachedFolder<'_>>,
        picker: &Picker<'_>,
        compared: &mut Compared,
    ) -> Differing {
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
            let likeness = entry.map_or(Likeness::Changed, |entry| self.likeness(found, &entry, is_same_device));
            cached_count += usize::from(entry.is_some());
            same_count += usize::from(likeness == Likeness::Same);
            if let Some(entry) = entry.filter(|_| likeness.is_trusted()) {
                self.pick(found, &entry, picker, compared);
            }
            entries.push(ScannedEntry {
                name: name.into(),
                kind: found.kind,
                mode: found.mode,
                stat: found.stat,
                attributes: entry.filter(|_| likeness.is_trusted()).map(|entry| entry.attributes.into()),
                state: state_of(found, entry, likeness),
            });
        }
        cached_count += before.count();
        Differing {
            folder: ScannedFolder { entries, device: self.device },
            same_count,
            cached_count: cached.filter(|_| is_same_device).map(|_| cached_count),
        }
    }

    fn likeness(&self, found: &Found, entry: &CachedEntry<'_>, is_same_device: bool) -> Likeness {
        if found.kind != entry.kind || found.mode != entry.mode || self.names.name(&found.place) != entry.name {
            return Likeness::Changed;
        }
        let may_renumber = !self.file_system.keeps_inodes;
        if found.kind == Kind::Folder {
            // A folder's contents are proved by its own list, and only its attributes by its stat.
            let is_same = (is_same_device || may_renumber) && found.stat.has_attributes_of(entry);
            return if is_same { Likeness::Same } else { Likeness::Changed };
        }
        match found.stat.likeness(entry, self.device, self.clock) {
            Likeness::Same if is_same_device => Likeness::Same,
            Likeness::Same | Likeness::Renumbered if may_renumber => Likeness::Renumbered,
            Likeness::Racy => Likeness::Racy,
            _ => Likeness::Changed,
        }
    }

    /// Counts a file whose stat is trusted, and picks it if it is to be read again. Empty files cannot change
    /// unnoticed.
    fn pick(&self, found: &Found, entry: &CachedEntry<'_>, picker: &Picker<'_>, compared: &mut Compared) {
        if found.kind != Kind::File || found.stat.size == 0 {
            return;
        }
        if !self.file_system.keeps_inodes && found.stat.inode == entry.inode {
            compared.kept_numbers += 1;
        }
        let is_weak = !self.file_system.is_sound || found.stat.device != self.device;
        let class = Class::of(entry.proof, is_weak);
        compared.trusted[class.index()] += 1;
        let rank = super::turn::rank_of(self.rank, entry.name);
        let is_due = picker.is_due(class, entry.name);
        if !is_due && !picker.is_in_turn(class, rank) {
            return;
        }
        let state = EntryState::Read { previous: Some(entry.id), reason: ReadReason::Turn };
        let scanned = ScannedEntry {
            name: entry.name.into(),
            kind: found.kind,
            mode: found.mode,
            stat: found.stat,
            attributes: None,
            state,
        };
        let allocated_bytes = self.file_system.allocated_bytes(found.stat.size, found.allocated_bytes);
        compared.picks.push(Pick { class, rank, entry: scanned, allocated_bytes, is_due });
    }
}

/// The knowledge about the content of an entry, given its cached entry and how they compare.
fn state_of(found: &Found, entry: Option<CachedEntry<'_>>, likeness: Likeness) -> EntryState {
    let before = entry.filter(|entry| entry.kind == found.kind);
    let previous = before.map(|entry| entry.id);
    let read = |reason| EntryState::Read { previous, reason };
    match (found.kind, before, likeness) {
        (Kind::Folder, ..) => EntryState::Folder { previous },
        (_, Some(entry), Likeness::Same) => EntryState::Known { id: entry.id, proof: entry.proof },
        (_, Some(entry), Likeness::Renumbered) => EntryState::Renumbered { id: entry.id },
        (_, Some(_), Likeness::Racy) => read(ReadReason::Racy),
        (_, Some(_), Likeness::Changed) => read(ReadReason::Changed),
        (_, None, _) => read(ReadReason::New),
    }
}

/// The stat of a cached entry. If its device is not the folder's, only that fact is known.
fn stat_of(entry: &CachedEntry<'_>, folder_device: u64) -> FileStat {
    FileStat {
        size: entry.size,
        mtime_ns: entry.mtime_ns,
        ctime_ns: entry.ctime_ns,
        inode: entry.inode,
        device: if entry.is_on_other_device { !folder_device } else { folder_device },
        // The owner is stored among the attributes.
        owner: Owner::default(),
    }
}
