//! Indexes and journal, compared with the packs.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::packs::Read;
use super::{ByNumber, CacheProblem};
use crate::disk::Disk;
use crate::error::{ErrorKind, Result};
use crate::format::index::{self, IndexEntry};
use crate::format::pack::ObjectKind;
use crate::id::StoreId;
use crate::limits::INDEX_BEHIND_MAX_BYTES;
use crate::store::file::StoreFile;
use crate::store::index::PackIndex;
use crate::store::journal::{Extent, Journal, Unused};
use crate::store::pack::{index_name, pack_number};
use crate::store::recover::{FIRST_TRANSACTION_OFFSET, RecoveredTransaction};

/// The journal, and the transactions that readers take from it, without their objects.
pub(super) fn read_journal(disk: &dyn Disk, store: StoreId) -> Result<(Journal, ByNumber)> {
    let mut groups = ByNumber::new();
    let journal = Journal::read(disk, store, Extent::All, |group, _| {
        let (sequence, end, facts) = (group.sequence, group.pack_end, group.facts.to_vec());
        groups.insert(sequence, (group.pack, RecoveredTransaction { sequence, end, facts, ..Default::default() }));
    })?;
    Ok((journal, groups))
}

/// The difference between the journal and the packs. The journal was read first, so it lacks transactions that were
/// recorded in between: `last_now` returns the number of its present last one.
pub(super) fn compare_journal(
    journal: &Journal,
    groups: &ByNumber,
    transactions: &ByNumber,
    last_now: impl FnOnce() -> Result<u64>,
) -> Result<Option<(StoreFile, CacheProblem)>> {
    let agrees = |(sequence, (group_pack, group)): (&u64, &(u32, RecoveredTransaction))| {
        transactions.get(sequence).is_none_or(|(pack, found)| {
            (group_pack, group.end, &group.facts[..]) == (pack, found.end, found.journal_facts())
        })
    };
    let others = groups.iter().filter(|group| !agrees(*group)).count();
    let last = last_number(groups);
    let within = transactions.range(..=last).filter(|(sequence, _)| !groups.contains_key(sequence)).count();
    let is_after = |last: u64| transactions.range((Bound::Excluded(last), Bound::Unbounded)).next().is_some();
    let is_behind = is_after(last) && is_after(last_now()?.max(last));
    let unused = journal.unused.as_ref().map(|unused| match unused {
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

/// The number of the last transaction; 0 where there is none.
pub(super) fn last_number(transactions: &ByNumber) -> u64 {
    transactions.keys().next_back().copied().unwrap_or(0)
}

/// Differences between indexes and their packs. Objects that only the indexes have are added to the packs as lost.
pub(super) fn compare_indexes(disk: &dyn Disk, reads: &mut [Read]) -> Vec<(StoreFile, CacheProblem)> {
    let mut found = Vec::new();
    for read in reads.iter_mut() {
        let number = read.facts.number;
        let is_there = read.saved.append_at().is_some();
        // The index lacks transactions that were recorded since it was read.
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

/// Indexes whose packs are missing, and the snapshots in them and in indexes whose packs have been replaced.
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

/// The error of an index that readers would use.
fn compare_index(read: &mut Read) -> Option<CacheProblem> {
    if !read.saved.is_intact() {
        return Some(CacheProblem::Checksum);
    }
    let end = read.saved.end();
    let found: BTreeSet<IndexEntry> = read.pack.index.entries().into_iter().collect();
    let saved: BTreeSet<IndexEntry> = read.saved.entries().into_iter().collect();
    let offset = |entry: &IndexEntry| u64::from(entry.offset);
    let mut wrong = 0;
    for entry in saved.difference(&found) {
        let is_damaged = read.facts.damaged.iter().any(|damaged| damaged.place.contains(&offset(entry)));
        let is_lost = is_damaged || offset(entry) >= read.facts.length_bytes;
        wrong += u64::from(!is_lost);
        // A wrong entry may be the only trace of a snapshot.
        if is_lost || entry.kind == ObjectKind::Snapshot {
            read.facts.lost.push((entry.key(), offset(entry)));
        }
    }
    let lacking = found.difference(&saved).filter(|entry| offset(entry) < end).count() as u64;
    let covers_any = end > FIRST_TRANSACTION_OFFSET;
    let differences = wrong + if covers_any { lacking } else { 0 };
    (differences > 0).then_some(CacheProblem::Differs(differences))
}
