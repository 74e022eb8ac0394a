//! A store as a process sees it at one moment: its packs with their indexes, and the state that its facts add up to.
//!
//! A view never changes; [`View::load`] makes a new one. It reads the journal and the indexes, and the parts of the
//! packs that these do not cover: after a crash, or because a writer is between its transaction and its caches. So a
//! view is right whatever caches are missing, and a reader never needs a lock.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::file::highest_number;
use super::journal::{Extent, JOURNAL, Journal, JournalEnd};
use super::pack::{Pack, pack_name, pack_number};
use super::recover::{FIRST_TRANSACTION_OFFSET, RecoveredTransaction};
use super::state::{Fold, State};
use crate::disk::Disk;
use crate::error::{Error, ErrorKind, Result};
use crate::format::facts;
use crate::format::index::IndexEntry;
use crate::format::journal::JournalGroup;
use crate::format::pack::{ObjectKind, PACK_NONCE_OFFSET_BYTES};
use crate::id::{SnapshotId, StoreId};
use crate::limits::{INDEX_BEHIND_MAX_BYTES, PACK_NUMBER_MAX};

/// A store at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    /// The packs, in ascending order of number.
    pub(super) packs: Vec<Arc<Pack>>,
    pub(super) state: Arc<State>,
    /// The extent of the journal.
    pub(super) journal: JournalEnd,
    /// Bytes of packs that the journal and the indexes do not cover: every view reads them.
    pub(super) uncovered_bytes: u64,
    /// The end of the last pack, which tells if others have written since.
    pub(super) tip: Option<Tip>,
    /// Transactions that the journal lacks, each with the number of its pack.
    pub(super) unjournaled: Vec<(u32, RecoveredTransaction)>,
    /// Packs that could not be opened, and damaged ranges of others.
    pub(super) damaged: Arc<Vec<Error>>,
    /// The number for the next new pack, above those of all packs and indexes and of the packs that the journal names.
    pub(super) next_number: u32,
    /// All steps of all workspaces, made when they are first asked for.
    pub(super) steps: OnceLock<HashSet<SnapshotId>>,
}

/// The end of a pack, with the last bytes before it: they are the hash of a transaction, so no other end has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tip {
    number: u32,
    nonce: [u8; 16],
    end: u64,
    bytes: [u8; 16],
}

impl View {
    /// Reads a store as it is now.
    pub(super) fn load(disk: &dyn Disk, store: StoreId) -> Result<Self> {
        let mut fold = Fold::default();
        // The journal is read before the packs are listed, so that transactions in between are found in the packs.
        let see = |group: &JournalGroup<'_>, facts| fold.transaction(group.sequence, facts);
        let journal = Journal::read(disk, store, Extent::Used, see)?.end;
        let mut packs = Vec::new();
        let mut damaged = Vec::new();
        let mut uncovered_bytes = 0;
        let mut transactions: BTreeMap<u64, (u32, RecoveredTransaction)> = BTreeMap::new();
        let names = disk.list("packs")?;
        let numbers: Vec<u32> = names.iter().filter_map(|name| pack_number(name)).collect();
        // A number over the limit is of no pack.
        let named = Some(journal.pack).filter(|number| *number <= PACK_NUMBER_MAX);
        let last_number = numbers.last().copied().max(named).unwrap_or(0);
        for number in numbers {
            match open_pack(disk, store, number, last_number, journal, fold.state.sequence) {
                Ok(Opened { pack, transactions: found, damage, read_bytes }) => {
                    packs.push(Arc::new(pack));
                    uncovered_bytes += read_bytes;
                    // Of two with the same number the first counts, as in an inspection.
                    for transaction in found {
                        transactions.entry(transaction.sequence).or_insert((number, transaction));
                    }
                    damaged.extend(damage);
                }
                Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) => {
                    damaged.push(error);
                }
                // A repair has moved it to quarantine since it was listed.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let mut unjournaled = Vec::new();
        for (sequence, (number, transaction)) in transactions {
            if sequence > fold.state.sequence {
                let facts = facts::decode(&transaction.facts).unwrap_or_else(|malformed| {
                    damaged.push(malformed.during("read transaction", format!("{sequence} in pack {number}")));
                    Vec::new()
                });
                fold.transaction(sequence, facts);
                unjournaled.push((number, transaction));
            }
        }
        let tip = packs.last().and_then(|pack| Tip::of(disk, pack.number).ok());
        let next_number = last_number.max(highest_number(&names)).saturating_add(1);
        let (state, damaged, steps) = (Arc::new(fold.state), Arc::new(damaged), OnceLock::new());
        Ok(Self { packs, state, journal, uncovered_bytes, tip, unjournaled, damaged, next_number, steps })
    }

    /// True if packs and journal have not changed since. Indexes may have changed, but add nothing.
    pub(super) fn is_current(&self, disk: &dyn Disk) -> bool {
        let journal_length = || disk.open(JOURNAL).and_then(|file| file.length()).unwrap_or(0);
        let is_last = || disk.open(&pack_name(self.next_number)).is_err_and(|e| e.kind() == ErrorKind::NotFound);
        let (Some(last), Some(tip)) = (self.packs.last(), self.tip) else { return false };
        self.damaged.is_empty()
            && (tip.nonce, tip.end) == (last.nonce, last.index.end())
            && Tip::of(disk, last.number).is_ok_and(|now| now == tip)
            && journal_length() == self.journal.length_bytes
            && is_last()
    }

    /// True if indexes should be written: one is missing, or every view has to read much of the packs.
    pub(super) fn is_far_behind(&self) -> bool {
        let is_missing = |pack: &Arc<Pack>| !pack.has_bad_header && pack.index.append_at().is_none();
        self.uncovered_bytes > INDEX_BEHIND_MAX_BYTES || self.packs.iter().any(is_missing)
    }

    /// This view after one more transaction in its active pack, which the journal has too.
    pub(super) fn after(
        &self,
        disk: &dyn Disk,
        state: State,
        transaction: &RecoveredTransaction,
        journal: JournalEnd,
    ) -> Result<Self> {
        let mut packs = self.packs.clone();
        let mut active = Pack::clone(packs.pop().as_ref().expect("a transaction was appended to it"));
        let uncovered_bytes = self.uncovered_bytes + transaction.end.saturating_sub(active.index.end());
        active.index.extend(&transaction.entries, transaction.end);
        active.settled_end = transaction.end;
        let tip = Some(Tip::of(disk, active.number)?);
        packs.push(Arc::new(active));
        let (state, damaged, next_number) = (Arc::new(state), Arc::clone(&self.damaged), self.next_number);
        Ok(Self { packs, state, journal, uncovered_bytes, tip, damaged, next_number, ..Self::default() })
    }

    /// The number for the next new pack; `Limit` where none is left.
    pub(super) fn expect_next_number(&self, disk: &dyn Disk) -> Result<u32> {
        if self.next_number <= PACK_NUMBER_MAX {
            return Ok(self.next_number);
        }
        Err(Error::new(ErrorKind::Limit, "add pack to", disk.display(""), "no number is left for it"))
    }

    /// The pack that writers append to: the one with the highest number. None if its header is damaged or it is about
    /// to be removed.
    pub(super) fn active(&self) -> Option<&Arc<Pack>> {
        let is_last = |pack: &Pack| pack.number.saturating_add(1) == self.next_number;
        self.packs.last().filter(|pack| is_last(pack) && !pack.has_bad_header && !self.is_condemned(pack))
    }

    /// True if a pack is about to be removed.
    pub(super) fn is_condemned(&self, pack: &Pack) -> bool {
        self.state.condemned.contains(&pack.nonce)
    }

    /// The newest pack that has an object, and its index entry.
    pub(super) fn find(&self, prefix: &[u8; 16], kinds: &[ObjectKind]) -> Option<(&Arc<Pack>, IndexEntry)> {
        self.packs.iter().rev().find_map(|pack| pack.index.find(prefix, kinds).map(|entry| (pack, entry)))
    }

    /// As [`Self::find`], for readers, which compare the object with its id. An object that is nowhere else may be in a
    /// damaged record.
    pub(super) fn find_to_read(&self, prefix: &[u8; 16], kinds: &[ObjectKind]) -> Option<(&Arc<Pack>, IndexEntry)> {
        let broken = |pack: &Pack| {
            let first = pack.broken.partition_point(|entry| entry.prefix < *prefix);
            let equal = pack.broken[first..].iter().take_while(|entry| entry.prefix == *prefix);
            equal.copied().find(|entry| kinds.contains(&entry.kind))
        };
        let in_damage = || self.packs.iter().rev().find_map(|pack| Some((pack, broken(pack)?)));
        self.find(prefix, kinds).or_else(in_damage)
    }
}

/// An open pack, with the facts and damage that were found while it was opened.
struct Opened {
    /// The pack, with an index that covers all of it.
    pack: Pack,
    /// The transactions with facts that the journal lacks.
    transactions: Vec<RecoveredTransaction>,
    damage: Vec<Error>,
    /// Bytes that the journal and the index did not cover.
    read_bytes: u64,
}

/// Opens a pack, and completes its index from the pack itself.
fn open_pack(
    disk: &dyn Disk,
    store: StoreId,
    number: u32,
    last_number: u32,
    journal: JournalEnd,
    sequence: u64,
) -> Result<Opened> {
    let mut pack = Pack::open(disk, store, number)?;
    let indexed = pack.index.end();
    let journaled = match number.cmp(&journal.pack) {
        std::cmp::Ordering::Less => u64::MAX,
        std::cmp::Ordering::Equal => journal.pack_end,
        // A pack that a large batch has published before its end has no facts, and need not be read.
        std::cmp::Ordering::Greater if pack.index.has_facts_only_up_to(sequence) => indexed,
        std::cmp::Ordering::Greater => FIRST_TRANSACTION_OFFSET,
    };
    let length = pack.file.length()?;
    pack.settled_end = pack.settled_end.max(journaled.min(length));
    // A pack that is shorter than in the journal was cut. Transactions that were appended since end before that offset.
    let was_cut = number == journal.pack && journaled > length;
    let journaled = if was_cut { FIRST_TRANSACTION_OFFSET } else { journaled };
    let damaged = |detail: String| Error::corrupt("read pack", disk.display(&pack_name(number)), detail);
    let mut damage = Vec::new();
    if pack.has_bad_header {
        damage.push(damaged("its header is damaged".to_owned()));
    }
    let start = indexed.min(journaled).max(FIRST_TRANSACTION_OFFSET);
    if start >= length {
        return Ok(Opened { pack, transactions: Vec::new(), damage, read_bytes: 0 });
    }
    // A writer that begins a new pack leaves no torn tail in the one before.
    let known_end = if number < last_number { length } else { pack.settled_end };
    let found = pack.recover(start, known_end, true)?;
    pack.take_in(&found, indexed);
    pack.has_unproven_tail = found.tail.is_some();
    for range in &found.damaged {
        let Range { start, end } = range.place;
        damage.push(damaged(format!("{} bytes from offset {start} are damaged", end - start)));
    }
    let is_new = |transaction: &RecoveredTransaction| transaction.sequence > 0 && transaction.end > journaled;
    let transactions = found.transactions.into_iter().filter(is_new).collect();
    // A pack with a damaged header has no index, and is read at every open.
    let read_bytes = if pack.has_bad_header { 0 } else { length - start };
    Ok(Opened { pack, transactions, damage, read_bytes })
}

impl Tip {
    /// The end of the pack that has this number now: a repair may have replaced the pack.
    fn of(disk: &dyn Disk, number: u32) -> Result<Self> {
        let file = disk.open(&pack_name(number))?;
        let (mut nonce, mut bytes) = ([0; 16], [0; 16]);
        file.read_at(PACK_NONCE_OFFSET_BYTES, &mut nonce)?;
        let end = file.length()?;
        file.read_at(end.saturating_sub(16), &mut bytes)?;
        Ok(Self { number, nonce, end, bytes })
    }
}
