//! Compares the list of a folder with the one in the stat cache.

use super::listing::{ListedName, Names};
use super::turn::{Class, Picker};
use super::{EntryState, ReadReason, Reread, ScannedEntry, ScannedFolder};
use crate::disk::FileClock;
use crate::format::attributes::Owner;
use crate::format::tree::EntryKind;
use crate::path::TreePath;
use crate::workspace::cache::{CachedEntry, CachedFolder};
use crate::workspace::filesystem::FileSystem;
use crate::workspace::stat::{FileStat, Likeness};

/// A name that is captured, with its current stat.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) listed: ListedName,
    pub(super) kind: EntryKind,
    pub(super) mode: u16,
    pub(super) stat: FileStat,
    /// Bytes on disk.
    pub(super) allocated_bytes: u64,
}

/// The list of one folder, sorted by name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listing<'a> {
    pub(super) path: &'a TreePath,
    pub(super) names: &'a Names,
    pub(super) found: &'a [Found],
    pub(super) device: u64,
    pub(super) file_system: FileSystem,
    pub(super) clock: FileClock,
    /// The rank of the folder, see [`super::turn::rank_of`].
    pub(super) rank: u64,
}

/// Further results of comparing a folder.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// Files that may be read again although their stats are equal.
    pub(super) rereads: Vec<Reread>,
    /// Number of files whose stat is trusted, by class.
    pub(super) trusted: [u64; 3],
    /// Number of files that kept their inode numbers on a file system that may renumber them.
    pub(super) same_inodes: u64,
}

impl Found {
    fn scanned(&self, name: &[u8], attributes: Option<Box<[u8]>>, state: EntryState) -> ScannedEntry {
        ScannedEntry { name: name.into(), kind: self.kind, mode: self.mode, stat: self.stat, attributes, state }
    }
}

/// A folder as cached, with nothing to be read: used when one of its entries turns out to differ.
pub fn unchanged_folder(cached: &CachedFolder<'_>) -> ScannedFolder {
    let device = cached.facts().device;
    let entry = |entry: CachedEntry<'_>| {
        let state = match entry.kind {
            EntryKind::Folder => EntryState::Folder { previous: Some(entry.id) },
            EntryKind::File | EntryKind::Symlink => EntryState::Known { id: entry.id, proof: entry.proof },
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

/// Returns true if a list that was compared with the cached one does not differ from it.
pub(super) fn is_unchanged(folder: &ScannedFolder, cached: &CachedFolder<'_>) -> bool {
    let known = unchanged_folder(cached);
    let is_same = |(one, other): (&ScannedEntry, &ScannedEntry)| {
        let parts = |entry: &ScannedEntry| (entry.kind, entry.mode, entry.state);
        one.name == other.name && parts(one) == parts(other) && one.attributes == other.attributes
    };
    folder.device == known.device
        && folder.entries.len() == known.entries.len()
        && folder.entries.iter().zip(&known.entries).all(is_same)
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
    ) -> ScannedFolder {
        let mut before = cached.into_iter().flat_map(CachedFolder::entries).peekable();
        let is_same_device = cached.is_some_and(|cached| cached.facts().device == self.device);
        let mut entries = Vec::with_capacity(self.found.len());
        for found in self.found {
            let name = self.names.name(&found.listed);
            while before.next_if(|entry| entry.name < name).is_some() {}
            let entry = before.next_if(|entry| entry.name == name);
            let likeness = entry.map_or(Likeness::Changed, |entry| self.likeness(found, &entry, is_same_device));
            if let Some(entry) = entry.filter(|_| likeness.is_trusted()) {
                self.pick(found, &entry, picker, compared);
            }
            let attributes = entry.filter(|_| likeness.is_trusted()).map(|entry| entry.attributes.into());
            entries.push(found.scanned(name, attributes, state_of(found, entry, likeness)));
        }
        ScannedFolder { entries, device: self.device }
    }

    fn likeness(&self, found: &Found, entry: &CachedEntry<'_>, is_same_device: bool) -> Likeness {
        if found.kind != entry.kind || found.mode != entry.mode || self.names.name(&found.listed) != entry.name {
            return Likeness::Changed;
        }
        let may_renumber = !self.file_system.keeps_inodes;
        if found.kind == EntryKind::Folder {
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
        if found.kind != EntryKind::File || found.stat.size == 0 {
            return;
        }
        if !self.file_system.keeps_inodes && found.stat.inode == entry.inode {
            compared.same_inodes += 1;
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
        let cost_bytes = self.file_system.allocated_bytes(found.stat.size, found.allocated_bytes);
        let (folder, entry) = (self.path.clone(), found.scanned(entry.name, None, state));
        compared.rereads.push(Reread { folder, entry, cost_bytes, class, rank, is_due });
    }
}

/// The knowledge about the content of an entry, given its cached entry and how they compare.
fn state_of(found: &Found, entry: Option<CachedEntry<'_>>, likeness: Likeness) -> EntryState {
    let before = entry.filter(|entry| entry.kind == found.kind);
    let previous = before.map(|entry| entry.id);
    let read = |reason| EntryState::Read { previous, reason };
    match (found.kind, before, likeness) {
        (EntryKind::Folder, ..) => EntryState::Folder { previous },
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
