//! Reading every pack from its first byte to its last, and the readable objects of damaged records.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::{ByNumber, Depth, InspectedPack, Note, Problem, ProblemKind};
use crate::disk::{Disk, LockMode, StoredFile};
use crate::error::{ErrorKind, Result};
use crate::format::pack::ObjectKey;
use crate::id::StoreId;
use crate::limits::{INDEX_LENGTH_FACTOR, PACK_LENGTH_MAX_BYTES};
use crate::store::file::StoreFile;
use crate::store::index::PackIndex;
use crate::store::journal::JournalEnd;
use crate::store::pack::{Pack, index_name};
use crate::store::recover::{FIRST_TRANSACTION_OFFSET, Recovered, RecoveredTransaction};
use crate::store::{LOCK, Reader};

/// A pack that was read from its first byte to its last.
pub(super) struct Read {
    pub(super) facts: InspectedPack,
    /// The pack, with an index made from its own bytes.
    pub(super) pack: Pack,
    /// The index in its file.
    pub(super) saved: PackIndex,
    /// The length of the pack before the index file was read, in bytes.
    pub(super) length_before_bytes: u64,
}

/// The facts that are known before packs are read.
pub(super) struct Known {
    pub(super) last_number: u32,
    pub(super) journal: JournalEnd,
    pub(super) depth: Depth,
    pub(super) is_locked: bool,
}

/// Reads packs on every core. Files that are not packs of this store are problems.
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

/// Reads one pack. If it seems damaged and may still grow, it is read again while nobody writes: a writer may have cut
/// a torn tail while it was read.
fn read_pack(disk: &dyn Disk, id: StoreId, number: u32, known: &Known) -> Result<Read> {
    let read = read_pack_once(disk, id, number, known)?;
    if number < known.last_number || known.is_locked || read.facts.damaged.is_empty() {
        return Ok(read);
    }
    // If the store cannot be locked, probably nobody can write.
    let _guard = disk.lock(LOCK, LockMode::Shared).ok();
    read_pack_once(disk, id, number, known)
}

fn read_pack_once(disk: &dyn Disk, id: StoreId, number: u32, known: &Known) -> Result<Read> {
    let mut pack = Pack::open(disk, id, number)?;
    let length_before_bytes = pack.file.length()?;
    // An index that covers more than the pack has is used too: it knows the objects that were cut off. It is read
    // before the length, as when a pack is opened.
    let saved = match disk.map(&index_name(number)) {
        Ok(bytes) => PackIndex::open(bytes, id, pack.nonce),
        // A repair replaces the index, and it may be the only trace of an object. An error of the system may be
        // temporary.
        Err(error)
            if known.is_locked
                && !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt)
                && may_be_index(disk, number, &*pack.file)? =>
        {
            return Err(error.with_hint("try again; if it stays so, move the file away: it can be made again"));
        }
        Err(_) => None,
    };
    let saved = saved.unwrap_or_else(PackIndex::empty);
    let length = pack.file.length()?;
    let scanned = length.min(PACK_LENGTH_MAX_BYTES);
    let journaled = if number == known.journal.pack { known.journal.pack_end } else { FIRST_TRANSACTION_OFFSET };
    let settled = saved.end().max(pack.settled_end).max(journaled);
    let known_end = if number < known.last_number { scanned } else { settled.min(scanned) };
    let found = pack.recover(FIRST_TRANSACTION_OFFSET, known_end, known.depth == Depth::Hashes)?;
    pack.index = PackIndex::empty();
    pack.index.take_in(&found, FIRST_TRANSACTION_OFFSET);
    for damaged in found.damaged.iter().chain(&found.tail) {
        // `rescue` finds out which of them are readable, once all packs are there.
        pack.index.extend(&damaged.broken, damaged.place.start);
    }
    if let Some(tail) = &found.tail {
        pack.index.extend(&tail.salvaged, tail.place.start);
    }
    let Recovered { mut transactions, damaged, tail, end } = found;
    transactions.iter_mut().for_each(|transaction| transaction.entries = Vec::new());
    let facts = InspectedPack {
        number,
        length_bytes: length,
        has_bad_header: pack.has_bad_header,
        transactions,
        damaged,
        torn: (end < length && length > FIRST_TRANSACTION_OFFSET).then_some(end..length),
        tail,
        rescued: Vec::new(),
        was_longer: journaled > length,
        lost: Vec::new(),
    };
    Ok(Read { facts, pack, saved, length_before_bytes })
}

/// True if a reader would read the index file of a pack, by its length.
fn may_be_index(disk: &dyn Disk, number: u32, pack: &dyn StoredFile) -> Result<bool> {
    Ok(disk.open(&index_name(number))?.length()? / INDEX_LENGTH_FACTOR <= pack.length()?)
}

/// The transactions of all packs.
#[derive(Default)]
pub(super) struct Transactions {
    /// Those with facts: of two with the same number the first, as for readers.
    pub(super) counting: ByNumber,
    /// The others, where their facts differ.
    pub(super) conflicting: Vec<RecoveredTransaction>,
    pub(super) notes: Vec<Note>,
}

/// Puts the transactions of packs in order.
pub(super) fn transactions(reads: &[Read]) -> Transactions {
    let mut found = Transactions::default();
    for read in reads {
        let before = found.conflicting.len();
        for transaction in read.facts.transactions.iter().filter(|one| one.sequence > 0) {
            let new = || (read.facts.number, transaction.clone());
            let (_, first) = found.counting.entry(transaction.sequence).or_insert_with(new);
            if first.facts != transaction.facts {
                found.conflicting.push(transaction.clone());
            }
        }
        let conflicts = (found.conflicting.len() - before) as u64;
        if conflicts > 0 {
            found.notes.push(Note::Conflicting(read.facts.number, conflicts));
        }
    }
    found
}

/// Moves the readable objects of damaged records to `rescued`. Returns the others.
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
