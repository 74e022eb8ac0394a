//! Indexes and journal, compared with what the packs hold.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::CacheProblem;
use super::packs::Read;
use crate::disk::Disk;
use crate::error::{ErrorKind, Result};
use crate::format::facts::Fact;
use crate::format::index::{self, IndexEntry};
use crate::format::journal::JournalGroup;
use crate::format::pack::{ObjectKey, ObjectKind, PACK_HEADER_LENGTH_BYTES};
use crate::id::StoreId;
use crate::limits::INDEX_BEHIND_MAX_BYTES;
use crate::store::file::StoreFile;
use crate::store::index::PackIndex;
use crate::store::journal::{Extent, Journal, Unused};
use crate::store::pack::{index_name, pack_number};
use crate::store::recover::RecoveredTransaction;

/// The journal, to be compared.
pub(super) struct Copies {
    /// Each transaction that readers take from it, by sequence.
    groups: BTreeMap<u64, Group>,
    pub(super) file: Journal,
}

/// The copy of a transaction's facts.
struct Group {
    facts: Vec<Fact>,
    encoded: Vec<u8>,
    pack: u32,
    pack_end: u64,
}

pub(super) fn read_journal(disk: &dyn Disk, store: StoreId) -> Result<Copies> {
    let mut groups = BTreeMap::new();
    let file = Journal::read(disk, store, Extent::All, |group, facts| {
        let JournalGroup { sequence, pack, pack_end, facts: encoded } = *group;
        groups.insert(sequence, Group { facts, encoded: encoded.to_vec(), pack, pack_end });
    })?;
    Ok(Copies { groups, file })
}

impl Copies {
    /// The facts of transactions that have others in the packs.
    pub(super) fn conflicting(&self, counting: &BTreeMap<u64, (u32, RecoveredTransaction)>) -> Vec<Fact> {
        let differs = |sequence: &u64, group: &Group| {
            counting.get(sequence).is_some_and(|(_, transaction)| transaction.facts != group.encoded)
        };
        let groups = self.groups.iter().filter(|(sequence, group)| differs(sequence, group));
        groups.flat_map(|(_, group)| group.facts.clone()).collect()
    }

    /// All that it knows, by sequence; also what is behind damage, where readers do not look.
    pub(super) fn facts(&self) -> impl Iterator<Item = (u64, Vec<Fact>)> {
        let intact = self.groups.iter().map(|(sequence, group)| (*sequence, group.facts.clone()));
        self.file.salvaged().into_iter().chain(intact)
    }

    /// The last transaction that it knows of; 0 where it knows none.
    pub(super) fn last_sequence(&self) -> u64 {
        self.groups.keys().next_back().copied().unwrap_or(0)
    }
}

/// Differences between the journal and the packs. It was read before them, so what was recorded in between is not in
/// it: `last_now` tells the last transaction that it has by now.
pub(super) fn compare_journal(
    journal: &Copies,
    transactions: &BTreeMap<u64, (u32, RecoveredTransaction)>,
    last_now: impl FnOnce() -> Result<u64>,
) -> Result<Option<(StoreFile, CacheProblem)>> {
    let agrees = |(sequence, group): (&u64, &Group)| {
        let transaction = transactions.get(sequence);
        transaction.is_none_or(|(pack, transaction)| {
            transaction.facts == group.encoded && (group.pack, group.pack_end) == (*pack, transaction.end)
        })
    };
    let others = journal.groups.iter().filter(|group| !agrees(*group)).count();
    let last = journal.last_sequence();
    let within = transactions.range(..=last).filter(|(sequence, _)| !journal.groups.contains_key(sequence)).count();
    let is_after = |last: u64| transactions.range((Bound::Excluded(last), Bound::Unbounded)).next().is_some();
    let is_behind = is_after(last) && is_after(last_now()?.max(last));
    let unused = journal.file.unused.as_ref().map(|unused| match unused {
        Unused::Missing => CacheProblem::Missing,
        Unused::Because(reason) => CacheProblem::Unusable(Some(reason.clone())),
    });
    let problem = match unused {
        _ if others + within > 0 => Some(CacheProblem::Differs((others + within) as u64)),
        Some(problem) if is_behind || !transactions.is_empty() => Some(problem),
        _ => is_behind.then_some(CacheProblem::Behind),
    };
    Ok(problem.map(|problem| (StoreFile::Journal, problem)))
}

/// Differences between indexes and their packs. Notes in the packs what only the indexes know.
pub(super) fn compare_indexes(disk: &dyn Disk, reads: &mut [Read]) -> Vec<(StoreFile, CacheProblem)> {
    let mut found = Vec::new();
    for read in reads.iter_mut() {
        let number = read.facts.number;
        let is_there = read.saved.append_at().is_some();
        // What was recorded since the index was read is not in it.
        let owed_end = read.pack.index.end().min(read.length_before_bytes);
        let problem = compare_index(read).or_else(|| {
            if !is_there && !read.facts.has_bad_header {
                let missing = disk.open(&index_name(number)).is_err_and(|error| error.kind() == ErrorKind::NotFound);
                Some(if missing { CacheProblem::Missing } else { CacheProblem::Unusable(None) })
            } else {
                let is_behind = is_there && read.saved.end() + INDEX_BEHIND_MAX_BYTES < owed_end;
                is_behind.then_some(CacheProblem::Behind)
            }
        });
        found.extend(problem.map(|problem| (StoreFile::Index(number), problem)));
    }
    found
}

/// Indexes whose packs are missing. Of those, and of indexes of packs in whose place something else is, the snapshots
/// that they know of.
pub(super) fn orphans(
    disk: &dyn Disk,
    store: StoreId,
    names: &[String],
    reads: &[Read],
) -> (Vec<(StoreFile, CacheProblem)>, BTreeSet<[u8; 16]>) {
    let packs: BTreeSet<u32> = names.iter().filter_map(|name| pack_number(name)).collect();
    let read: BTreeSet<[u8; 16]> = reads.iter().map(|read| read.pack.nonce).collect();
    let (mut orphans, mut snapshots) = (Vec::new(), BTreeSet::new());
    for name in names {
        let name = format!("packs/{name}");
        let StoreFile::Index(number) = StoreFile::at(&name) else { continue };
        if let Ok(bytes) = disk.map(&name)
            && let Ok(header) = index::decode_header(&bytes)
            && !read.contains(&header.pack_nonce)
            && let Some(found) = PackIndex::open(bytes, store, header.pack_nonce)
            && found.is_intact()
        {
            let entries = found.entries().into_iter().filter(|entry| entry.kind == ObjectKind::Snapshot);
            snapshots.extend(entries.map(|entry| entry.prefix));
        }
        if !packs.contains(&number) {
            orphans.push((StoreFile::Index(number), CacheProblem::NoPack));
        }
    }
    (orphans, snapshots)
}

/// The error of an index that readers would believe.
fn compare_index(read: &mut Read) -> Option<CacheProblem> {
    if !read.saved.is_intact() {
        return Some(CacheProblem::Checksum);
    }
    let end = read.saved.end();
    let found: BTreeSet<IndexEntry> = read.pack.index.entries().into_iter().collect();
    let saved: BTreeSet<IndexEntry> = read.saved.entries().into_iter().collect();
    let offset = |entry: &IndexEntry| u64::from(entry.offset);
    let mut astray = 0;
    for entry in saved.difference(&found) {
        let is_damaged = read.facts.damaged.iter().any(|damaged| damaged.place.contains(&offset(entry)));
        let is_lost = is_damaged || offset(entry) >= read.facts.length_bytes;
        astray += u64::from(!is_lost);
        // One that leads astray may be all that still knows of a snapshot.
        if is_lost || entry.kind == ObjectKind::Snapshot {
            let key = ObjectKey { kind: entry.kind, prefix: entry.prefix };
            read.facts.lost.push((key, offset(entry)));
        }
    }
    let lacking = found.difference(&saved).filter(|entry| offset(entry) < end).count() as u64;
    let covers_any = end > PACK_HEADER_LENGTH_BYTES as u64;
    let differences = astray + if covers_any { lacking } else { 0 };
    (differences > 0).then_some(CacheProblem::Differs(differences))
}
