//! What a process sees of a store at one moment: its packs with their indexes, and the state its facts add up to.
//!
//! A view is never changed; [`View::load`] makes a new one. Loading reads `journal` and the indexes, and then, straight
//! from the packs, whatever those do not cover: after a crash, or because a writer is between its transact and its
//! caches. So a view is right with any of the caches missing, and a reader never needs a lock.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::journal::{Extent, JOURNAL, Journal, JournalPlace};
use super::pack::{Pack, highest_number, pack_name, pack_number};
use super::recover::RecoveredTransaction;
use super::state::{Fold, State};
use crate::disk::Disk;
use crate::error::{Error, ErrorKind, Result};
use crate::format::facts;
use crate::format::index::IndexEntry;
use crate::format::journal::JournalGroup;
use crate::format::pack::{ObjectKind, PACK_HEADER_LENGTH_BYTES, PACK_NONCE_OFFSET_BYTES};
use crate::id::{SnapshotId, StoreId};
use crate::limits::{INDEX_BEHIND_MAX_BYTES, PACK_NUMBER_MAX};

/// A store at one moment.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// In ascending order of number.
    pub(super) packs: Vec<Arc<Pack>>,
    pub(super) state: Arc<State>,
    pub(super) journal: JournalPlace,
    /// Bytes of packs that the caches do not cover: every view reads them.
    pub(super) uncovered_bytes: u64,
    /// What tells whether the packs are still as they were seen here.
    pub(super) tip: Option<Tip>,
    /// Transactions read from packs because the journal lacks them, with the pack each is in.
    pub(super) unjournaled: Vec<(u32, RecoveredTransaction)>,
    /// Packs that could not be opened, and damage met in others: it hides what it hits but nothing else.
    pub(super) damaged: Arc<Vec<Error>>,
    /// The number for the next new pack: above that of every file that is there, whatever it holds, and of every pack
    /// that the journal knows.
    pub(super) next_number: u32,
    /// All steps of all workspaces, once somebody has asked.
    pub(super) steps: OnceLock<HashSet<SnapshotId>>,
}

/// The end of the last pack, and the bytes before it: the hash of a transaction, which no other end of the same length
/// has.
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
        // The journal is read before the packs are listed: what is recorded in between is in the packs, and found.
        let see = |group: &JournalGroup<'_>, facts| fold.transaction(group.sequence, facts);
        let place = Journal::read(disk, store, Extent::Believed, see)?.place;
        let mut packs = Vec::new();
        let mut damaged = Vec::new();
        let mut uncovered_bytes = 0;
        let mut transactions: BTreeMap<u64, (u32, RecoveredTransaction)> = BTreeMap::new();
        let names = disk.list("packs")?;
        let numbers: Vec<u32> = names.iter().filter_map(|name| pack_number(name)).collect();
        // A journal that names a pack such as no pack can be called says nothing.
        let named = Some(place.pack).filter(|number| *number <= PACK_NUMBER_MAX);
        let last_number = numbers.last().copied().max(named).unwrap_or(0);
        for number in numbers {
            match open_pack(disk, store, number, last_number, place, fold.state.sequence) {
                Ok(Opened { pack, transactions: found, damage, read_bytes }) => {
                    packs.push(Arc::new(pack));
                    uncovered_bytes += read_bytes;
                    // Of two that claim one sequence the first counts, as it does for a check.
                    for transaction in found {
                        transactions.entry(transaction.sequence).or_insert((number, transaction));
                    }
                    damaged.extend(damage);
                }
                Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) => {
                    damaged.push(error);
                }
                // A repair has just put it aside. One that is lost was not listed.
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
        let (state, damaged) = (Arc::new(fold.state), Arc::new(damaged));
        Ok(Self {
            packs,
            state,
            journal: place,
            uncovered_bytes,
            tip,
            unjournaled,
            damaged,
            next_number,
            steps: OnceLock::new(),
        })
    }

    /// Whether packs and journal are still as they were seen here; then so is all the rest but the indexes, which add
    /// nothing.
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

    /// Whether indexes are to be written: one is missing, or they leave much of the packs to be read at every open.
    pub(super) fn is_far_behind(&self) -> bool {
        let is_missing = |pack: &Arc<Pack>| !pack.has_bad_header && pack.index.append_at().is_none();
        self.uncovered_bytes > INDEX_BEHIND_MAX_BYTES || self.packs.iter().any(is_missing)
    }

    /// This view after one more transaction to its active pack, which the journal has up to `journal`.
    pub(super) fn after(
        &self,
        disk: &dyn Disk,
        state: State,
        transaction: &RecoveredTransaction,
        journal: JournalPlace,
    ) -> Result<Self> {
        let mut packs = self.packs.clone();
        let mut active = Pack::clone(packs.pop().as_ref().expect("a transaction was appended to it"));
        let uncovered_bytes = self.uncovered_bytes + transaction.end.saturating_sub(active.index.end());
        active.index.extend(&transaction.entries, transaction.end);
        active.settled_end = transaction.end;
        let tip = Some(Tip::of(disk, active.number)?);
        packs.push(Arc::new(active));
        Ok(Self {
            packs,
            state: Arc::new(state),
            journal,
            uncovered_bytes,
            tip,
            unjournaled: Vec::new(),
            damaged: Arc::clone(&self.damaged),
            next_number: self.next_number,
            steps: OnceLock::new(),
        })
    }

    /// The number for the next new pack; `Limit` where none is left.
    pub(super) fn expect_next_number(&self, disk: &dyn Disk) -> Result<u32> {
        self.expect_number(disk, 0)
    }

    /// The number for a new pack after `others`.
    pub(super) fn expect_number(&self, disk: &dyn Disk, others: u32) -> Result<u32> {
        let none_left = || Error::new(ErrorKind::Limit, "add pack to", disk.display(""), "no number is left for it");
        let number = self.next_number.checked_add(others);
        number.filter(|number| *number <= PACK_NUMBER_MAX).ok_or_else(none_left)
    }

    /// The pack that is appended to: the one with the highest number, unless that cannot be trusted.
    pub(super) fn active(&self) -> Option<&Arc<Pack>> {
        let is_last = |pack: &Pack| pack.number.saturating_add(1) == self.next_number;
        self.packs.last().filter(|pack| is_last(pack) && !pack.has_bad_header && !self.is_condemned(pack))
    }

    /// Returns true if a pack is about to be removed.
    pub(super) fn is_condemned(&self, pack: &Pack) -> bool {
        self.state.condemned.contains(&pack.nonce)
    }

    /// Where an object is, newest pack first.
    pub(super) fn find(&self, prefix: &[u8; 16], kinds: &[ObjectKind]) -> Option<(&Arc<Pack>, IndexEntry)> {
        self.packs.iter().rev().find_map(|pack| pack.index.find(prefix, kinds).map(|entry| (pack, entry)))
    }

    /// The same, and where it is nowhere else, in a damaged record, of which some may be whole: for readers, who
    /// compare it with its id.
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

/// A pack, and what had to be read of it.
struct Opened {
    /// With an index that covers all of it.
    pack: Pack,
    /// The transactions with facts that the journal lacks.
    transactions: Vec<RecoveredTransaction>,
    /// Damage that was met.
    damage: Vec<Error>,
    /// Bytes that the caches did not cover.
    read_bytes: u64,
}

/// Opens a pack, and completes its index from the pack itself.
fn open_pack(
    disk: &dyn Disk,
    store: StoreId,
    number: u32,
    last_number: u32,
    place: JournalPlace,
    sequence: u64,
) -> Result<Opened> {
    let mut pack = Pack::open(disk, store, number)?;
    let first = PACK_HEADER_LENGTH_BYTES as u64;
    let indexed = pack.index.end();
    let journaled = match number.cmp(&place.pack) {
        std::cmp::Ordering::Less => u64::MAX,
        std::cmp::Ordering::Equal => place.pack_end,
        // A pack that a large batch published on its way has no facts, and is not read only to find that out.
        std::cmp::Ordering::Greater if pack.index.has_facts_only_up_to(sequence) => indexed,
        std::cmp::Ordering::Greater => first,
    };
    let length = pack.file.length()?;
    pack.settled_end = pack.settled_end.max(journaled.min(length));
    // A pack that is shorter than the journal knows it was cut: what is appended now ends before that place, and
    // counts.
    let journaled = if number == place.pack && journaled > length { first } else { journaled };
    let damaged = |detail: String| Error::corrupt("read pack", disk.display(&pack_name(number)), detail);
    let mut damage = Vec::new();
    if pack.has_bad_header {
        damage.push(damaged("its header is damaged".to_owned()));
    }
    let start = indexed.min(journaled).max(first);
    if start >= length {
        return Ok(Opened { pack, transactions: Vec::new(), damage, read_bytes: 0 });
    }
    // Whoever makes a new pack leaves no torn tail in the one before.
    let known_end = if number < last_number { length } else { pack.settled_end };
    let found = pack.recover_from(start, known_end)?;
    pack.take_in(&found, indexed);
    pack.has_doubtful_tail = found.tail.is_some();
    for range in &found.damaged {
        let Range { start, end } = range.place;
        damage.push(damaged(format!("{} bytes from offset {start} are damaged", end - start)));
    }
    let is_new = |transaction: &RecoveredTransaction| transaction.sequence > 0 && transaction.end > journaled;
    let transactions = found.transactions.into_iter().filter(is_new).collect();
    // A pack whose header is damaged has no index, and is read at every open.
    let read_bytes = if pack.has_bad_header { 0 } else { length - start };
    Ok(Opened { pack, transactions, damage, read_bytes })
}

impl Tip {
    /// Of the pack that has this number now: a repair may put another in its place.
    fn of(disk: &dyn Disk, number: u32) -> Result<Self> {
        let file = disk.open(&pack_name(number))?;
        let (mut nonce, mut bytes) = ([0; 16], [0; 16]);
        file.read_at(PACK_NONCE_OFFSET_BYTES, &mut nonce)?;
        let end = file.length()?;
        file.read_at(end.saturating_sub(16), &mut bytes)?;
        Ok(Self { number, nonce, end, bytes })
    }
}
