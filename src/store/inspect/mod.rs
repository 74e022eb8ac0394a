//! The true contents of a store, read from the packs alone, whatever its caches have, and all damage.
//!
//! ```text
//! identity   the id of the store, where FORMAT does not have it
//! caches     indexes and journal, compared with the packs
//! history    snapshots that were taken and have no name any more
//! packs      every pack read from end to end, and its readable objects
//! objects    every object decoded and compared with its id
//! obstacles  things in the place of a file or folder of the store
//! problem    every kind of problem, as data
//! ```
//!
//! An [`Inspection`] has a reader of the packs, which never uses a cache. It shows the store as it was when it was
//! made, without later transactions: it reads the journal, then lists the packs, then reads them, so that all objects
//! that its facts name are there.
//!
//! A torn tail is not damage: a killed writer leaves one. A cache that readers see to be unusable costs only time; a
//! wrong cache that they would use is a problem.

mod caches;
mod history;
mod identity;
mod objects;
mod obstacles;
mod packs;
mod problem;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use super::Reader;
use super::file::{StoreFile, highest_number};
use super::pack::{Pack, pack_number};
use super::recover::{DamagedRange, RecoveredTransaction};
use super::state::fold;
use super::view::View;
use crate::disk::{Disk, LockGuard};
use crate::error::{Result, unless_corrupt};
use crate::format::facts::{self, Fact};
use crate::format::index::IndexEntry;
use crate::format::pack::ObjectKey;
pub use history::{RECOVERED, taken};
pub use objects::{BadObject, Checked, check_objects};
pub use obstacles::obstacles;
use packs::Known;
pub use problem::{CacheProblem, Damage, DamagedObject, Note, Problem, ProblemKind};

/// A store as its packs have it, and its problems.
#[derive(Debug)]
pub struct Inspection {
    /// A reader of the packs, without the unreadable objects of damaged records.
    pub reader: Reader,
    /// A reader with these objects. It reads the same as a [`Store`](super::Store), which compares all bytes with their
    /// ids.
    pub lenient_reader: Reader,
    /// The problems, file by file. Those of objects are found by [`check_objects`].
    pub problems: Vec<Problem>,
    /// Remarks that are no problems.
    pub notes: Vec<Note>,
    /// Packs of this store, in ascending order of number.
    pub packs: Vec<InspectedPack>,
    /// The facts of all transactions, by number: from the packs, then from the journal. A transaction with unreadable
    /// facts has none.
    pub facts: BTreeMap<u64, Vec<Fact>>,
    /// The numbers of transactions that only the journal has. Their objects are lost.
    pub only_in_journal: BTreeSet<u64>,
    /// Facts of transactions that do not count, because an earlier one has the same number. This happens when a pack is
    /// lost, others take its numbers, and it comes back.
    pub conflicting: Vec<Fact>,
    /// The last number that two transactions in packs have.
    pub last_conflict: Option<u64>,
    /// Snapshots in indexes whose packs are missing or have been replaced, by the first half of their ids.
    pub lost_with_packs: BTreeSet<[u8; 16]>,
    /// The journal has bytes that readers do not use.
    pub journal_has_rest: bool,
}

/// One pack.
#[derive(Clone, Debug)]
pub struct InspectedPack {
    /// Its number.
    pub number: u32,
    /// Its length, in bytes.
    pub length_bytes: u64,
    /// Its header is damaged.
    pub has_bad_header: bool,
    /// Its intact transactions, without their objects.
    pub transactions: Vec<RecoveredTransaction>,
    /// The other bytes, except the torn tail.
    pub damaged: Vec<DamagedRange>,
    /// The bytes at the end that a killed writer left.
    pub torn: Option<Range<u64>>,
    /// The same bytes, if a transaction is in them that does not match its hash.
    pub tail: Option<DamagedRange>,
    /// Objects in damaged records that are still readable: their bytes match their ids.
    pub rescued: Vec<IndexEntry>,
    /// It was longer, by the journal.
    was_longer: bool,
    /// Objects that its index lists in damaged ranges or beyond the end, with their offsets.
    pub lost: Vec<(ObjectKey, u64)>,
}

/// Transactions with facts by number, each with the number of its pack.
type ByNumber = BTreeMap<u64, (u32, RecoveredTransaction)>;

/// The depth of an inspection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Every transaction is compared with its hash.
    Hashes,
    /// A transaction counts if its records and its trailer follow each other.
    Frames,
}

/// Inspects a store. `Unsupported` if a newer version has written to it, `NotFound` if there is no store. A caller that
/// holds the store's lock passes its guard.
pub fn inspect(disk: &Arc<dyn Disk>, depth: Depth, lock: Option<&LockGuard>) -> Result<Inspection> {
    let (id, problem) = identity::identify(&**disk)?;
    let mut problems: Vec<Problem> = obstacles(&**disk)?;
    problems.extend(problem.map(|kind| Problem::of(StoreFile::Format, kind)));
    let (journal, mut groups) = caches::read_journal(&**disk, id)?;
    let names = pack_files(&**disk)?;
    let numbers: Vec<u32> = names.iter().filter_map(|name| pack_number(name)).collect();
    let last_number = numbers.last().copied().unwrap_or(0).max(journal.end.pack);
    let known = Known { last_number, journal: journal.end, depth, is_locked: lock.is_some() };
    let mut reads = packs::read_packs(&**disk, id, &numbers, &known, &mut problems)?;
    let mut found = caches::compare_indexes(&**disk, &mut reads);
    let (orphans, lost_with_packs) = caches::orphans(&**disk, id, &names, &reads);
    found.extend(orphans);
    let packs::Transactions { counting, mut conflicting, mut notes } = packs::transactions(&reads);
    let last_conflict = conflicting.iter().map(|transaction| transaction.sequence).max();
    let last_now = || caches::read_journal(&**disk, id).map(|(_, groups)| caches::last_number(&groups));
    found.extend(caches::compare_journal(&journal, &groups, &counting, last_now)?);
    let (mut all, mut unreadable) = (BTreeMap::new(), Vec::new());
    for (sequence, (pack, transaction)) in &counting {
        let facts = facts::decode(&transaction.facts).unwrap_or_else(|malformed| {
            unreadable.push(Problem::at(*pack, transaction.end, ProblemKind::BadFacts(malformed.to_string())));
            Vec::new()
        });
        all.insert(*sequence, facts);
        let of_journal = groups.remove(sequence).map(|(_, group)| group);
        conflicting.extend(of_journal.filter(|group| group.facts != transaction.facts));
    }
    let decoded = |transaction: &RecoveredTransaction| facts::decode(&transaction.facts).unwrap_or_default();
    let conflicting = conflicting.iter().flat_map(decoded).collect();
    // The journal may also have transactions after damage, where readers do not look.
    let mut from_journal = journal.salvaged();
    from_journal.extend(groups.iter().map(|(sequence, (_, group))| (*sequence, decoded(group))));
    from_journal.retain(|sequence, _| !counting.contains_key(sequence));
    let only_in_journal: BTreeSet<u64> = from_journal.keys().copied().collect();
    all.extend(from_journal);
    let (mut packs, view): (Vec<InspectedPack>, Vec<Arc<Pack>>) =
        reads.into_iter().map(|read| (read.facts, Arc::new(read.pack))).unzip();
    let view = View {
        packs: view,
        state: Arc::new(fold(&all)),
        next_number: last_number.max(highest_number(&names)).saturating_add(1),
        ..View::default()
    };
    let lenient_reader = Reader::new(Arc::clone(disk), id, view);
    let reader = lenient_reader.without(&packs::rescue(&lenient_reader, &mut packs)?);
    problems.extend(packs.iter().flat_map(InspectedPack::problems));
    problems.extend(unreadable);
    problems.extend(gaps(all.keys().copied()).into_iter().map(ProblemKind::LostTransactions).map(Problem::of_history));
    let (wrong, stale): (Vec<_>, Vec<_>) = found.into_iter().partition(|(_, problem)| problem.is_used());
    let of_cache = |(file, problem)| Problem::of(file, ProblemKind::Cache(problem));
    notes.splice(0..0, stale.into_iter().map(of_cache).map(Note::Cache));
    notes.extend(gaps(numbers.iter().map(|number| u64::from(*number))).into_iter().map(Note::NoPacks));
    let torn = |pack: &InspectedPack| Some(Note::TornTail(pack.number, pack.torn.clone()?, pack.tail.is_some()));
    notes.extend(packs.iter().filter_map(torn));
    let mut inspection = Inspection {
        reader,
        lenient_reader,
        problems,
        notes,
        packs,
        facts: all,
        only_in_journal,
        conflicting,
        last_conflict,
        lost_with_packs,
        journal_has_rest: journal.has_rest(),
    };
    inspection.add_problems_of_history();
    inspection.problems.extend(wrong.into_iter().map(of_cache));
    Ok(inspection)
}

/// The names of files in the folder of packs; none if it is not a folder.
fn pack_files(disk: &dyn Disk) -> Result<Vec<String>> {
    Ok(unless_corrupt(disk.list("packs"))?.unwrap_or_default())
}

impl Inspection {
    /// The number of objects in all packs. Each copy counts.
    pub fn object_count(&self) -> u64 {
        self.reader.view().packs.iter().map(|pack| pack.index.tail_count() as u64).sum()
    }

    /// The numbers of transactions that are in no file.
    pub fn lost_transactions(&self) -> impl Iterator<Item = &RangeInclusive<u64>> {
        self.problems.iter().filter_map(|problem| match &problem.kind {
            ProblemKind::LostTransactions(gap) => Some(gap),
            _ => None,
        })
    }

    /// Caches that differ from the packs.
    pub fn caches(&self) -> impl Iterator<Item = &Problem> {
        let stale = self.notes.iter().filter_map(|note| match note {
            Note::Cache(problem) => Some(problem),
            _ => None,
        });
        self.problems.iter().filter(|problem| matches!(problem.kind, ProblemKind::Cache(_))).chain(stale)
    }
}

impl InspectedPack {
    fn problems(&self) -> Vec<Problem> {
        let mut kinds = Vec::new();
        if self.has_bad_header {
            kinds.push(ProblemKind::Header);
        }
        if self.was_longer || self.lost.iter().any(|(_, offset)| *offset >= self.length_bytes) {
            kinds.push(ProblemKind::Cut(self.length_bytes));
        }
        let ranges = self.damaged.iter().map(|damaged| {
            let (readable, unreadable) = (damaged.salvaged.len() as u64, damaged.broken.len() as u64);
            let length_bytes = damaged.place.end - damaged.place.start;
            let kind = ProblemKind::DamagedRange { length_bytes, readable, unreadable };
            Problem::at(self.number, damaged.place.start, kind)
        });
        kinds.into_iter().map(|kind| Problem::of(StoreFile::Pack(self.number), kind)).chain(ranges).collect()
    }
}

/// The missing numbers from 1 up to the highest, as ranges: a hostile store may have very high numbers.
fn gaps(numbers: impl Iterator<Item = u64>) -> Vec<RangeInclusive<u64>> {
    let mut gaps = Vec::new();
    let mut next = 1;
    for number in numbers {
        if number > next {
            gaps.push(next..=number - 1);
        }
        next = number.saturating_add(1);
    }
    gaps
}
