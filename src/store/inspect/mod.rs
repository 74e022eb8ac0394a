//! What is physically in a store, found from the packs alone: whatever the caches say, and whatever is damaged.
//!
//! ```text
//! identity   which store this is, where FORMAT does not say
//! caches     indexes and journal compared with what the packs hold
//! history    snapshots that were taken and have no name any more
//! packs      every pack read from end to end, and what is readable of it
//! objects    every object decoded and compared with its id
//! obstacles  things in the place of a file or folder of the store
//! problem    all that may be wrong, as data
//! ```
//!
//! An [`Inspection`] holds a store to read from that was put together from the packs: it never looks at a cache, and
//! shows what was there when it was made. What is recorded meanwhile is not in it: journal first, then the list of
//! packs, then the packs, so that all that its facts name is in them.
//!
//! A torn tail is no damage: it is what a killed writer leaves. A cache that readers notice to be unusable costs time
//! and never data; one that they would believe, and that is wrong, is a problem.

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
use super::file::StoreFile;
use super::journal::JournalPlace;
use super::pack::{Pack, highest_number, pack_number};
use super::recover::{DamagedRange, RecoveredTransaction};
use super::state::fold;
use super::view::View;
use crate::disk::{Disk, LockGuard};
use crate::error::{ErrorKind, Result};
use crate::format::facts::{self, Fact};
use crate::format::index::IndexEntry;
use crate::format::pack::ObjectKey;
pub use history::{RECOVERED, taken};
pub use objects::{BadObject, Checked, check_objects};
pub use obstacles::obstacles;
use packs::Known;
pub use problem::{CacheProblem, Damage, DamagedObject, Note, Problem, ProblemKind};

/// A store as its packs have it, and everything that is wrong with it.
#[derive(Debug)]
pub struct Inspection {
    /// The store as the packs have it, to read from: without the objects of damaged records that cannot be read.
    pub reader: Reader,
    /// The same with these objects. It reads what a [`Store`](super::Store) reads, which compares all bytes with their
    /// ids.
    pub lenient_reader: Reader,
    /// The problems, file by file. Those of objects are found by [`check_objects`].
    pub problems: Vec<Problem>,
    /// Remarks that are no problems.
    pub notes: Vec<Note>,
    /// Packs of this store, in ascending order of number.
    pub packs: Vec<InspectedPack>,
    /// The facts of all transactions, by number: first the packs are asked, then the journal. A transaction whose facts
    /// cannot be read has none.
    pub facts: BTreeMap<u64, Vec<Fact>>,
    /// The numbers of transactions that only the journal has. Their objects are lost.
    pub only_in_journal: BTreeSet<u64>,
    /// Facts of transactions that have the number of another one, which counts. Such a pack was lost, other
    /// transactions took the numbers, and it came back.
    pub conflicting: Vec<Fact>,
    /// The last number that two transactions of packs have.
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
    /// Intact transactions: the bytes of each, and its number.
    pub batches: Vec<(Range<u64>, u64)>,
    /// Bytes outside of them, but for the torn tail.
    pub damaged: Vec<DamagedRange>,
    /// The bytes at the end that a killed writer left.
    pub torn: Option<Range<u64>>,
    /// The same, where a whole transaction is in them that does not match its hash.
    pub tail: Option<DamagedRange>,
    /// Objects in damaged records that are still readable: their bytes match their ids.
    pub rescued: Vec<IndexEntry>,
    /// The journal knows it to have been longer.
    was_longer: bool,
    /// Objects that its index has in damaged bytes or beyond the end, with their offsets.
    pub lost: Vec<(ObjectKey, u64)>,
    /// Its transactions by number, with their places. Not those without facts.
    transactions: Vec<RecoveredTransaction>,
}

/// How closely to look at packs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Every transaction is compared with its hash.
    Hashes,
    /// A transaction counts when its records and its end follow each other.
    Frames,
}

/// Looks at every pack. `Unsupported` where a newer version has written, `NotFound` where there is no store.
///
/// The guard of the store's lock is passed by a caller who holds it.
pub fn inspect(disk: &Arc<dyn Disk>, depth: Depth, lock: Option<&LockGuard>) -> Result<Inspection> {
    let (id, problem) = identity::identify(&**disk)?;
    let mut problems: Vec<Problem> = obstacles(&**disk)?;
    problems.extend(problem.map(|kind| Problem::of(StoreFile::Format, kind)));
    let journal = caches::read_journal(&**disk, id)?;
    let names = pack_files(&**disk)?;
    let numbers: Vec<u32> = names.iter().filter_map(|name| pack_number(name)).collect();
    let last_number = numbers.last().copied().unwrap_or(0).max(journal.file.place.pack);
    let known = Known { last_number, place: journal.file.place, depth, is_locked: lock.is_some() };
    let mut reads = packs::read_packs(&**disk, id, &numbers, &known, &mut problems)?;
    let mut found = caches::compare_indexes(&**disk, &mut reads);
    let (orphans, lost_with_packs) = caches::orphans(&**disk, id, &names, &reads);
    found.extend(orphans);
    let packs::Transactions { counting, mut conflicting, last_conflict, mut notes } = packs::transactions(&reads);
    let last_now = || caches::read_journal(&**disk, id).map(|journal| journal.last_sequence());
    found.extend(caches::compare_journal(&journal, &counting, last_now)?);
    conflicting.extend(journal.conflicting(&counting));
    let mut unreadable = Vec::new();
    let mut all = decoded(&counting, &mut unreadable);
    let from_journal = journal.facts().filter(|(sequence, _)| !counting.contains_key(sequence));
    let from_journal: BTreeMap<u64, Vec<Fact>> = from_journal.collect();
    let only_in_journal: BTreeSet<u64> = from_journal.keys().copied().collect();
    all.extend(from_journal);
    let (mut packs, view): (Vec<InspectedPack>, Vec<Arc<Pack>>) =
        reads.into_iter().map(|read| (read.facts, Arc::new(read.pack))).unzip();
    let view = View {
        packs: view,
        state: Arc::new(fold(&all)),
        journal: JournalPlace::default(),
        unjournaled: Vec::new(),
        uncovered_bytes: 0,
        tip: None,
        damaged: Arc::default(),
        next_number: last_number.max(highest_number(&names)).saturating_add(1),
        steps: std::sync::OnceLock::new(),
    };
    let lenient_reader = Reader::new(Arc::clone(disk), id, view);
    let reader = lenient_reader.without(&packs::rescue(&lenient_reader, &mut packs)?);
    problems.extend(packs.iter().flat_map(InspectedPack::problems));
    problems.extend(unreadable);
    problems.extend(gaps(all.keys().copied()).into_iter().map(ProblemKind::LostTransactions).map(Problem::of_history));
    let (wrong, stale): (Vec<_>, Vec<_>) = found.into_iter().partition(|(_, problem)| problem.is_believed());
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
        journal_has_rest: journal.file.has_rest(),
    };
    inspection.add_problems_of_history();
    inspection.problems.extend(wrong.into_iter().map(of_cache));
    Ok(inspection)
}

/// The facts of transactions, by number; none of those that cannot be read.
fn decoded(
    counting: &BTreeMap<u64, (u32, RecoveredTransaction)>,
    unreadable: &mut Vec<Problem>,
) -> BTreeMap<u64, Vec<Fact>> {
    let mut all = BTreeMap::new();
    for (sequence, (pack, transaction)) in counting {
        let facts = facts::decode(&transaction.facts).unwrap_or_else(|malformed| {
            let reason = malformed.to_string();
            unreadable.push(Problem::at(*pack, transaction.end, ProblemKind::BadFacts(reason)));
            Vec::new()
        });
        all.insert(*sequence, facts);
    }
    all
}

/// Names of files among the packs; none where no folder is in their place.
fn pack_files(disk: &dyn Disk) -> Result<Vec<String>> {
    match disk.list("packs") {
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(Vec::new()),
        names => names,
    }
}

impl Inspection {
    /// Number of objects in all packs, each copy counted.
    pub fn object_count(&self) -> u64 {
        self.reader.view().packs.iter().map(|pack| pack.index.tail_count() as u64).sum()
    }

    /// The facts of a transaction as a pack has them; none where it has no such transaction.
    pub(super) fn encoded_facts(&self, pack: u32, sequence: u64) -> Vec<u8> {
        let pack = self.packs.iter().find(|found| found.number == pack);
        let found = pack.and_then(|pack| pack.transactions.iter().find(|one| one.sequence == sequence));
        found.map(|found| found.facts.clone()).unwrap_or_default()
    }

    /// The numbers of transactions that no file has.
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

/// Numbers from 1 up to the highest that are missing. A hostile sequence must not make them many.
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
