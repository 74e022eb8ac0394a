//! What is physically in a store, found from the packs alone: whatever the caches say, and whatever is damaged.
//!
//! ```text
//! identity   which store this is, where FORMAT does not say
//! caches     indexes and journal compared with what the packs hold
//! history    what facts say that does not fit together
//! packs      every pack read from end to end, and what can be had of it
//! objects    every object decoded and compared with its id
//! obstacles  what stands where a file or folder of the store should be
//! ```
//!
//! An [`Inspection`] holds a [`Reader`] over a view that was put together from the packs: it never looks at a cache, and shows
//! what was there when it was made. What is committed meanwhile is not in it: journal first, then the list of packs,
//! then the packs, so that all that its facts name is in them.
//!
//! A torn tail is no damage: it is what a killed writer leaves. A cache that readers notice to be unusable costs time and
//! never data; one that they would believe, and that is wrong, is trouble.

mod caches;
mod history;
mod identity;
mod objects;
mod obstacles;
mod packs;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use super::Reader;
use super::pack::{Pack, highest_number, pack_name, pack_number};
use super::recover::{RecoveredCommit, Stretch};
use super::state::{Fold, State};
use super::view::{JournalPlace, View};
use crate::disk::{Disk, LockGuard};
use crate::error::{ErrorKind, Result};
use crate::format::facts::{self, Fact};
use crate::format::index::IndexEntry;
use crate::format::pack::ObjectKind;
pub use history::{RECOVERED, Taken};
pub use objects::{BadObject, Checked, check_objects};
pub use obstacles::obstacles;
use packs::Known;

/// Everything found.
#[derive(Debug)]
pub struct Inspection {
    /// The store as the packs have it, to read from: without the objects of damaged records that cannot be read.
    pub reader: Reader,
    /// The same with these objects. It reads what a [`Store`](super::Store) reads, which compares all bytes with their ids.
    pub lenient_reader: Reader,
    /// Why the file that names the store cannot be used.
    pub format_trouble: Option<String>,
    /// What stands where the store needs a file or folder, and is none, and what it is.
    pub obstacles: Vec<(String, String)>,
    /// Packs of this store, in ascending order of number.
    pub packs: Vec<InspectedPack>,
    /// Files that are no packs of this store though they have the name of one, and why.
    pub unusable: Vec<(String, String)>,
    /// Caches that would be believed and are wrong, and what is wrong.
    pub wrong_caches: Vec<(String, String)>,
    /// Caches that are missing, behind, or seen to be unusable, and what they are. The next writer makes them again.
    pub stale_caches: Vec<(String, String)>,
    /// Snapshots that indexes of packs know of that are missing or in whose place something else is, by the first half of
    /// their ids.
    pub lost_with_packs: BTreeSet<[u8; 16]>,
    /// Commits that only the journal has, by sequence. What came with them is lost.
    pub journal_only: BTreeMap<u64, Vec<Fact>>,
    /// Bytes of the journal say nothing to readers.
    pub journal_has_rest: bool,
    /// What the journal says of commits of which the packs say something else.
    pub journal_overruled: Vec<Fact>,
    /// Sequences of commits that nothing has.
    pub lost_sequences: Vec<RangeInclusive<u64>>,
    /// Commits whose facts cannot be read, or that contradict another of the same sequence: pack, end, what is wrong.
    pub wrong_commits: Vec<(String, u64, String)>,
    /// What is worth saying and no trouble.
    pub notes: Vec<String>,
}

/// One pack.
#[derive(Clone, Debug)]
pub struct InspectedPack {
    /// Its number.
    pub number: u32,
    /// Its name within the store.
    pub file: String,
    /// Its length, in bytes.
    pub length_bytes: u64,
    /// Its header is damaged.
    pub is_headless: bool,
    /// Intact batches: where each begins and ends, and its sequence.
    pub batches: Vec<(Range<u64>, u64)>,
    /// Bytes outside of them, but for the torn tail.
    pub damaged: Vec<Stretch>,
    /// What a killed writer left at the end.
    pub torn: Option<Range<u64>>,
    /// The same, where a commit is in it that does not match its hash.
    pub tail: Option<Stretch>,
    /// Objects in damaged records that can be read all the same: their bytes match their ids.
    pub rescued: Vec<IndexEntry>,
    /// Some cache knows it to have been this long, in bytes.
    pub known_length_bytes: Option<u64>,
    /// Objects that its index knows in what is damaged or was cut off, with their places.
    pub lost: Vec<(ObjectKind, [u8; 16], u64)>,
    /// Where commits end that contradict another of the same sequence, which counts.
    pub overruled: BTreeSet<u64>,
    /// Its commits by sequence, with their places. Not those without facts.
    commits: Vec<RecoveredCommit>,
}

/// How closely to look at packs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Every batch is compared with its hash.
    Hashes,
    /// A batch counts when its records and its commit follow each other.
    Frames,
}

/// Looks at every pack. `Unsupported` where a newer version has written, `NotFound` where there is no store.
///
/// Whoever holds the store's lock shows it.
pub fn inspect(disk: &Arc<dyn Disk>, depth: Depth, lock: Option<&LockGuard>) -> Result<Inspection> {
    let identity::Identity { id, trouble } = identity::identify(&**disk)?;
    let journal = caches::read_journal(&**disk, id)?;
    let names = pack_files(&**disk)?;
    let numbers: Vec<u32> = names.iter().filter_map(|name| pack_number(name)).collect();
    let last_number = numbers.last().copied().unwrap_or(0).max(journal.place.pack);
    let known = Known { last_number, place: journal.place, depth, is_locked: lock.is_some() };
    let (mut reads, unusable) = packs::read_packs(&**disk, id, &numbers, &known)?;
    let mut notes = Vec::new();
    let mut stale_caches = Vec::new();
    let mut lost_with_packs = BTreeSet::new();
    let mut wrong_caches = caches::compare_indexes(&**disk, &mut reads, &mut stale_caches)?;
    wrong_caches.extend(caches::orphans(&**disk, id, &names, &reads, &mut lost_with_packs));
    let mut wrong_commits = Vec::new();
    let commits = packs::commits_of(&mut reads, &mut wrong_commits);
    let last_now = || caches::read_journal(&**disk, id).map(|journal| journal.last_sequence());
    wrong_caches.extend(caches::compare_journal(&journal, &commits, last_now, &mut stale_caches)?);
    let mut all = decoded(&commits, &mut wrong_commits);
    let mut journal_only = journal.salvaged.clone();
    journal_only.extend(journal.groups.iter().map(|(sequence, group)| (*sequence, group.facts.clone())));
    journal_only.retain(|sequence, _| !commits.contains_key(sequence));
    all.extend(journal_only.clone());
    let journal_overruled = journal.overruled(&commits);
    let lost_sequences = gaps(all.keys().copied());
    let stale = stale_caches.iter();
    notes.extend(
        stale.map(|(file, why)| format!("{file}: {why}; what it lacks is read from the packs, and written again")),
    );
    notes.extend(numbers_missing(&numbers));
    let (packs, view): (Vec<InspectedPack>, Vec<Arc<Pack>>) =
        reads.into_iter().map(|read| (read.facts, Arc::new(read.pack))).unzip();
    notes.extend(packs.iter().filter_map(InspectedPack::torn_note));
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
    let mut packs = packs;
    let unreadable = packs::rescue(&lenient_reader, &mut packs)?;
    Ok(Inspection {
        reader: lenient_reader.without(&unreadable),
        lenient_reader,
        format_trouble: trouble,
        obstacles: obstacles(&**disk)?,
        packs,
        unusable,
        wrong_caches,
        stale_caches,
        lost_with_packs,
        journal_only,
        journal_has_rest: journal.has_rest,
        journal_overruled,
        lost_sequences,
        wrong_commits,
        notes,
    })
}

/// The facts of commits, by sequence; none of those that cannot be read.
fn decoded(
    commits: &BTreeMap<u64, (u32, RecoveredCommit)>,
    wrong: &mut Vec<(String, u64, String)>,
) -> BTreeMap<u64, Vec<Fact>> {
    let mut all = BTreeMap::new();
    for (sequence, (number, commit)) in commits {
        let facts = facts::decode(&commit.facts).unwrap_or_else(|problem| {
            wrong.push((pack_name(*number), commit.end, problem.to_string()));
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

    /// The facts of a commit as a pack has them; none where it has no such commit.
    pub(super) fn encoded_facts(&self, file: &str, sequence: u64) -> Vec<u8> {
        let pack = self.packs.iter().find(|pack| pack.file == file);
        let commit = pack.and_then(|pack| pack.commits.iter().find(|commit| commit.sequence == sequence));
        commit.map(|commit| commit.facts.clone()).unwrap_or_default()
    }

    /// The state of the store with more facts.
    pub fn state_with(&self, more: &BTreeMap<u64, Vec<Fact>>) -> State {
        let mut all = self.facts();
        all.extend(more.clone());
        fold(&all)
    }

    /// Every fact that is known, by the sequence of its commit; nothing of a commit whose facts cannot be read.
    pub fn facts(&self) -> BTreeMap<u64, Vec<Fact>> {
        let mut all = self.journal_only.clone();
        for commit in self.packs.iter().flat_map(|pack| &pack.commits) {
            all.entry(commit.sequence).or_insert_with(|| facts::decode(&commit.facts).unwrap_or_default());
        }
        all
    }

    /// Facts of commits that are overruled by another of the same sequence.
    pub fn overruled_facts(&self) -> Vec<Fact> {
        let overruled = |pack: &'_ InspectedPack| {
            let commits = pack.commits.iter().filter(|commit| pack.overruled.contains(&commit.end));
            commits.flat_map(|commit| facts::decode(&commit.facts).unwrap_or_default()).collect::<Vec<Fact>>()
        };
        self.packs.iter().flat_map(overruled).chain(self.journal_overruled.iter().cloned()).collect()
    }
}

impl InspectedPack {
    /// The highest sequence of a commit that is overruled.
    fn last_overruled(&self) -> Option<u64> {
        let overruled = self.commits.iter().filter(|commit| self.overruled.contains(&commit.end));
        overruled.map(|commit| commit.sequence).max()
    }

    fn torn_note(&self) -> Option<String> {
        let Range { start, end } = self.torn.clone()?;
        let (file, length) = (&self.file, end - start);
        let why = match self.tail {
            None => "were never committed; the next snapshot cuts them",
            Some(_) => {
                "are a batch that does not match its hash: its writer died, or it is damaged; `retro repair` keeps what \
                 can be read of it"
            }
        };
        Some(format!("{file}: {length} bytes from offset {start} {why}"))
    }
}

fn fold(all: &BTreeMap<u64, Vec<Fact>>) -> State {
    let mut fold = Fold::default();
    for (sequence, facts) in all {
        facts.iter().cloned().for_each(|fact| fold.apply(fact));
        fold.state.sequence = *sequence;
    }
    fold.state
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

fn numbers_missing(numbers: &[u32]) -> Vec<String> {
    let gaps = gaps(numbers.iter().map(|number| u64::from(*number)));
    let shown = |gap: &RangeInclusive<u64>| {
        let (first, last) = (gap.start(), gap.end());
        if first == last {
            format!("there is no pack {first}")
        } else {
            format!("there are no packs {first} to {last}")
        }
    };
    gaps.iter().map(|gap| format!("{}; what it held is listed where it is missed", shown(gap))).collect()
}
