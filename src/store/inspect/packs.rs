//! Reading every pack from its first byte to its last, and what can be read of it though it is damaged.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::{Depth, InspectedPack, Note, Problem, ProblemKind};
use crate::disk::{Disk, LockMode, StoredFile};
use crate::error::{ErrorKind, Result};
use crate::format::facts::{self, Fact};
use crate::format::pack::{ObjectKey, PACK_HEADER_LENGTH_BYTES};
use crate::id::StoreId;
use crate::limits::{INDEX_LENGTH_FACTOR, PACK_LENGTH_MAX_BYTES};
use crate::store::file::StoreFile;
use crate::store::index::PackIndex;
use crate::store::journal::JournalPlace;
use crate::store::pack::{Pack, index_name};
use crate::store::recover::{Recovered, RecoveredTransaction};
use crate::store::{LOCK, Reader};

/// A pack that was read from its first byte to its last.
pub(super) struct Read {
    pub(super) facts: InspectedPack,
    /// Knows its objects from its own bytes.
    pub(super) pack: Pack,
    /// What its index file says.
    pub(super) saved: PackIndex,
    /// How long the pack was before that was read, in bytes.
    pub(super) length_before_bytes: u64,
}

/// What is known before packs are read.
pub(super) struct Known {
    pub(super) last_number: u32,
    pub(super) place: JournalPlace,
    pub(super) depth: Depth,
    pub(super) is_locked: bool,
}

/// Reads packs, on every core. Files that are no packs of this store are problems.
pub(super) fn read_packs(
    disk: &dyn Disk,
    id: StoreId,
    numbers: &[u32],
    known: &Known,
    problems: &mut Vec<Problem>,
) -> Result<Vec<Read>> {
    let read: Vec<(u32, Result<Read>)> =
        numbers.par_iter().map(|number| (*number, read_pack(disk, id, *number, known))).collect();
    let mut reads = Vec::new();
    for (pack, read) in read {
        match read {
            Ok(read) => reads.push(read),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                problems.push(Problem::of(StoreFile::Pack(pack), ProblemKind::NotAPack(error.to_string())));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(reads)
}

/// Reads one pack. Where it seems damaged and may still grow, it is read once more while nobody writes: a writer that
/// cut a torn tail meanwhile leaves a reader with half of one and half of the other.
fn read_pack(disk: &dyn Disk, id: StoreId, number: u32, known: &Known) -> Result<Read> {
    let read = read_pack_once(disk, id, number, known)?;
    if number < known.last_number || known.is_locked || read.facts.damaged.is_empty() {
        return Ok(read);
    }
    // A store that cannot be locked cannot be written by us, and perhaps by nobody.
    let _guard = disk.lock(LOCK, LockMode::Shared).ok();
    read_pack_once(disk, id, number, known)
}

fn read_pack_once(disk: &dyn Disk, id: StoreId, number: u32, known: &Known) -> Result<Read> {
    let mut pack = Pack::open(disk, id, number)?;
    let first = PACK_HEADER_LENGTH_BYTES as u64;
    let length_before_bytes = pack.file.length()?;
    // Also one that covers more than there is: it knows what was cut off. Before the length, as when a pack is opened.
    let saved = match disk.map(&index_name(number)) {
        Ok(bytes) => PackIndex::open(bytes, id, pack.nonce),
        // A repair writes it anew, and it may be all that knows of something: what the system refuses now it may give
        // later.
        Err(error)
            if known.is_locked
                && !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt)
                && may_be_index(disk, number, &*pack.file)? =>
        {
            return Err(error.with_hint("try again; if it stays so, move the file away: it can be made again"));
        }
        Err(_) => None,
    };
    let saved = saved.unwrap_or_else(|| PackIndex::empty(first));
    let length = pack.file.length()?;
    let scanned = length.min(PACK_LENGTH_MAX_BYTES);
    let journaled = if number == known.place.pack { known.place.pack_end } else { first };
    let settled = saved.end().max(pack.settled_end).max(journaled);
    let known_end = if number < known.last_number { scanned } else { settled.min(scanned) };
    let found = pack.recover_with(first, known_end, known.depth == Depth::Hashes)?;
    pack.index = PackIndex::empty(first);
    pack.index.take_in(&found, first);
    for damaged in found.damaged.iter().chain(&found.tail) {
        // Whether they can be read is found out when all packs are there: `rescue`.
        pack.index.extend(&damaged.broken, damaged.place.start);
    }
    if let Some(tail) = &found.tail {
        pack.index.extend(&tail.salvaged, tail.place.start);
    }
    let torn = (found.end < length && length > first).then_some(found.end..length);
    let has_bad_header = pack.has_bad_header;
    let Recovered { transactions, damaged, tail, .. } = found;
    let batches = transactions.iter().map(|one| (one.start..one.end, one.sequence)).collect();
    let mut transactions = transactions;
    transactions.retain(|one| one.sequence > 0);
    transactions.iter_mut().for_each(|one| one.entries = Vec::new());
    let facts = InspectedPack {
        number,
        length_bytes: length,
        has_bad_header,
        batches,
        damaged,
        torn,
        tail,
        rescued: Vec::new(),
        was_longer: journaled > length,
        lost: Vec::new(),
        transactions,
    };
    Ok(Read { facts, pack, saved, length_before_bytes })
}

/// Whether the index file of a pack is one that a reader looks at, by its length.
fn may_be_index(disk: &dyn Disk, number: u32, pack: &dyn StoredFile) -> Result<bool> {
    Ok(disk.open(&index_name(number))?.length()? / INDEX_LENGTH_FACTOR <= pack.length()?)
}

/// The transactions of all packs.
#[derive(Default)]
pub(super) struct Transactions {
    /// Those with facts, by number, with the pack of each: of two with one number the first, as for readers.
    pub(super) counting: BTreeMap<u64, (u32, RecoveredTransaction)>,
    /// Facts of the others, where they differ.
    pub(super) conflicting: Vec<Fact>,
    /// The last number that two of them have.
    pub(super) last_conflict: Option<u64>,
    pub(super) notes: Vec<Note>,
}

/// Puts the transactions of packs in order.
pub(super) fn transactions(reads: &[Read]) -> Transactions {
    let mut found = Transactions::default();
    for read in reads {
        let mut conflicts = 0;
        for transaction in &read.facts.transactions {
            let (_, first) =
                found.counting.entry(transaction.sequence).or_insert_with(|| (read.facts.number, transaction.clone()));
            if first.facts != transaction.facts {
                conflicts += 1;
                found.conflicting.extend(facts::decode(&transaction.facts).unwrap_or_default());
                found.last_conflict = found.last_conflict.max(Some(transaction.sequence));
            }
        }
        if conflicts > 0 {
            found.notes.push(Note::Conflicting(read.facts.number, conflicts));
        }
    }
    found
}

/// Sorts out which objects of damaged records are still readable. Returns the others.
pub(super) fn rescue(reader: &Reader, packs: &mut [InspectedPack]) -> Result<BTreeSet<ObjectKey>> {
    let mut unreadable = BTreeSet::new();
    for pack in packs.iter_mut() {
        for range in pack.damaged.iter_mut().chain(&mut pack.tail) {
            for entry in std::mem::take(&mut range.broken) {
                if reader.is_readable(entry.key())? {
                    pack.rescued.push(entry);
                } else {
                    unreadable.insert(entry.key());
                    range.broken.push(entry);
                }
            }
        }
    }
    Ok(unreadable)
}
