//! What a process sees of a store at one moment: its packs with their indexes, and the state its facts add up to.
//!
//! A view is never changed; [`View::load`] makes a new one. Loading reads `journal` and the indexes, and then, straight
//! from the packs, whatever those do not cover: after a crash, or because a writer is between its commit and its caches.
//! So a view is right with any of the caches missing, and a reader never needs a lock.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::pack::{Pack, pack_name, pack_number};
use super::recover::RecoveredCommit;
use super::state::State;
use crate::disk::{Disk, read_all};
use crate::error::{Error, ErrorKind, Result};
use crate::format::facts;
use crate::format::index::IndexEntry;
use crate::format::journal::{self, JournalMark};
use crate::format::pack::{ObjectKind, PACK_HEADER_LENGTH_BYTES};
use crate::id::StoreId;
use crate::limits::CACHES_BEHIND_MAX_BYTES;

/// Name of the journal.
pub(super) const JOURNAL: &str = "journal";

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
    /// Commits read from packs because the journal lacks them, with the pack each is in.
    pub(super) unjournaled: Vec<(u32, RecoveredCommit)>,
    /// Packs that could not be opened: damage, which hides their objects but nothing else.
    pub(super) damaged: Arc<Vec<Error>>,
}

/// How far the journal goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct JournalPlace {
    /// The last pack it knows, and how far.
    pub(super) pack: u32,
    pub(super) pack_end: u64,
    /// How far it says that a pack is durable.
    pub(super) mark: JournalMark,
    /// Length of the file's intact part; 0 where there is none.
    pub(super) length_bytes: u64,
}

/// The end of the last pack, and the bytes before it: the hash of a commit, which no other end of the same length has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tip {
    number: u32,
    end: u64,
    bytes: [u8; 16],
}

impl View {
    /// Reads a store as it is now.
    pub(super) fn load(disk: &dyn Disk, store: StoreId) -> Result<Self> {
        let mut state = State::default();
        // The journal is read before the packs are listed: what is committed in between is in the packs, and found.
        let place = read_journal(disk, store, &mut state)?;
        let mut packs = Vec::new();
        let mut damaged = Vec::new();
        let mut uncovered_bytes = 0;
        let mut commits: BTreeMap<u64, (u32, RecoveredCommit)> = BTreeMap::new();
        for number in disk.list("packs")?.iter().filter_map(|name| pack_number(name)) {
            match open_pack(disk, store, number, place, state.sequence) {
                Ok((pack, found, read_bytes)) => {
                    packs.push(Arc::new(pack));
                    uncovered_bytes += read_bytes;
                    commits.extend(found.into_iter().map(|commit| (commit.sequence, (number, commit))));
                }
                Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) => {
                    damaged.push(error)
                }
                Err(error) => return Err(error),
            }
        }
        let mut unjournaled = Vec::new();
        for (sequence, (number, commit)) in commits {
            if sequence > state.sequence {
                match facts::decode(&commit.facts) {
                    Ok(facts) => facts.into_iter().for_each(|fact| state.apply(fact)),
                    Err(e) => damaged.push(e.during("read commit", format!("{sequence} in pack {number}"))),
                }
                state.sequence = sequence;
                unjournaled.push((number, commit));
            }
        }
        let tip = packs.last().and_then(|pack| Tip::of(pack).ok());
        let (state, damaged) = (Arc::new(state), Arc::new(damaged));
        Ok(Self { packs, state, journal: place, uncovered_bytes, tip, unjournaled, damaged })
    }

    /// Whether the packs are still as they were seen here; then so is all the rest but the caches, which add nothing.
    pub(super) fn is_current(&self, disk: &dyn Disk) -> bool {
        let is_last = || disk.open(&pack_name(self.next_number())).is_err_and(|e| e.kind() == ErrorKind::NotFound);
        let Some(last) = self.packs.last() else { return false };
        self.damaged.is_empty()
            && self.tip.is_some()
            && last.file.length().is_ok_and(|length| length == last.index.end())
            && Tip::of(last).ok() == self.tip
            && is_last()
    }

    /// Whether journal and indexes are to be written: one is missing, or they leave much of the packs to be read at every
    /// open.
    pub(super) fn is_far_behind(&self) -> bool {
        let is_missing = |pack: &Arc<Pack>| pack.index.append_at().is_none();
        let lacks_journal = self.journal.length_bytes == 0 && !self.unjournaled.is_empty();
        self.uncovered_bytes > CACHES_BEHIND_MAX_BYTES || lacks_journal || self.packs.iter().any(is_missing)
    }

    /// This view after one more commit to its active pack, whose objects are known to be durable.
    pub(super) fn after(&self, state: State, commit: RecoveredCommit) -> Result<Self> {
        let mut packs = self.packs.clone();
        let mut active = Pack::clone(packs.pop().as_ref().expect("a commit was appended to it"));
        let uncovered_bytes = self.uncovered_bytes + commit.end.saturating_sub(active.index.end());
        active.index.extend(&commit.entries, commit.end);
        active.settled_end = commit.end;
        let mark = JournalMark { pack: active.number, pack_end: commit.end };
        let tip = Some(Tip::of(&active)?);
        let mut unjournaled = self.unjournaled.clone();
        unjournaled.push((active.number, commit));
        packs.push(Arc::new(active));
        Ok(Self {
            packs,
            state: Arc::new(state),
            journal: JournalPlace { mark, ..self.journal },
            uncovered_bytes,
            tip,
            unjournaled,
            damaged: Arc::clone(&self.damaged),
        })
    }

    /// The pack that is appended to: the one with the highest number.
    pub(super) fn active(&self) -> Option<&Arc<Pack>> {
        self.packs.last()
    }

    /// The number for the next new pack.
    pub(super) fn next_number(&self) -> u32 {
        self.active().map_or(1, |pack| pack.number + 1)
    }

    /// Where an object is, newest pack first.
    pub(super) fn find(&self, prefix: &[u8; 16], kinds: &[ObjectKind]) -> Option<(&Arc<Pack>, IndexEntry)> {
        self.packs.iter().rev().find_map(|pack| pack.index.find(prefix, kinds).map(|entry| (pack, entry)))
    }
}

/// Folds the journal into `state`. A journal that is missing or useless is as good as empty.
fn read_journal(disk: &dyn Disk, store: StoreId, state: &mut State) -> Result<JournalPlace> {
    let bytes = match read_all(disk, JOURNAL) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(JournalPlace::default()),
        bytes => bytes?,
    };
    let journal = match journal::decode(&bytes, store) {
        Err(malformed) if malformed.is_newer() => {
            return Err(malformed.during("read journal", disk.display(JOURNAL)));
        }
        Err(_) => return Ok(JournalPlace::default()),
        Ok(journal) => journal,
    };
    let mark = journal.mark.unwrap_or_default();
    let mut place = JournalPlace { mark, ..JournalPlace::default() };
    let mut all_facts = Vec::with_capacity(journal.groups.len());
    for group in &journal.groups {
        // A group that passes its checksum and yet has no facts was written by a newer or a broken program. The packs
        // are asked instead, from the start.
        let Ok(facts) = facts::decode(group.facts) else { return Ok(JournalPlace::default()) };
        all_facts.push(facts);
    }
    for (group, facts) in journal.groups.iter().zip(all_facts) {
        facts.into_iter().for_each(|fact| state.apply(fact));
        state.sequence = group.sequence;
        place = JournalPlace { pack: group.pack, pack_end: group.pack_end, ..place };
    }
    Ok(JournalPlace { length_bytes: journal.length_bytes as u64, ..place })
}

/// Opens a pack, completes its index from the pack itself, and returns the commits with facts that the journal lacks, and
/// how many bytes had to be read for it.
fn open_pack(
    disk: &dyn Disk,
    store: StoreId,
    number: u32,
    place: JournalPlace,
    sequence: u64,
) -> Result<(Pack, Vec<RecoveredCommit>, u64)> {
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
    let marked = if place.mark.pack == number { place.mark.pack_end } else { 0 };
    pack.settled_end = indexed.max(journaled.max(marked).min(length));
    let start = indexed.min(journaled).max(first);
    if start >= length {
        return Ok((pack, Vec::new(), 0));
    }
    let found = pack.recover_from(disk, start)?;
    for commit in &found.commits {
        if commit.end > indexed {
            pack.index.extend(&commit.entries, commit.end);
        }
    }
    pack.index.extend(&found.salvaged, indexed);
    let is_new = |commit: &RecoveredCommit| commit.sequence > 0 && commit.end > journaled;
    Ok((pack, found.commits.into_iter().filter(is_new).collect(), length - start))
}

impl Tip {
    fn of(pack: &Pack) -> Result<Self> {
        let (end, mut bytes) = (pack.index.end(), [0; 16]);
        pack.file.read_at(end.saturating_sub(16), &mut bytes)?;
        Ok(Self { number: pack.number, end, bytes })
    }
}
