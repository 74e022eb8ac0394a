//! Indexes and journal, compared with what the packs hold.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::packs::Read;
use crate::disk::{Disk, read_start};
use crate::error::{ErrorKind, Result};
use crate::format::facts::{self, Fact};
use crate::format::index::IndexEntry;
use crate::format::pack::{ObjectKind, PACK_HEADER_LENGTH_BYTES};
use crate::format::{index, journal};
use crate::id::StoreId;
use crate::limits::{INDEX_BEHIND_MAX_BYTES, JOURNAL_LENGTH_MAX_BYTES};
use crate::store::index::PackIndex;
use crate::store::pack::{index_name, pack_number};
use crate::store::recover::RecoveredCommit;
use crate::store::view::{JOURNAL, JournalPlace};

/// The journal as far as it is intact.
pub(super) struct Journal {
    /// By sequence.
    pub(super) groups: BTreeMap<u64, Group>,
    pub(super) place: JournalPlace,
    /// Facts of intact groups behind the first that is not, by sequence. Readers do not see them.
    pub(super) salvaged: BTreeMap<u64, Vec<Fact>>,
    /// Bytes of it say nothing to readers.
    pub(super) has_rest: bool,
    /// Why it ends where it does, if that is not the end of the file.
    note: Option<String>,
}

/// The copy of a commit's facts.
pub(super) struct Group {
    pub(super) facts: Vec<Fact>,
    encoded: Vec<u8>,
    pack: u32,
    pack_end: u64,
}

pub(super) fn read_journal(disk: &dyn Disk, store: StoreId) -> Result<Journal> {
    let mut journal = Journal {
        groups: BTreeMap::new(),
        place: JournalPlace::default(),
        salvaged: BTreeMap::new(),
        has_rest: false,
        note: None,
    };
    let bytes = match read_start(disk, JOURNAL, JOURNAL_LENGTH_MAX_BYTES) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            journal.note = Some("there is none".to_owned());
            return Ok(journal);
        }
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            journal.note = Some(format!("it is not used: {error}"));
            return Ok(journal);
        }
        bytes => bytes?,
    };
    let decoded = match journal::decode(&bytes, store) {
        Err(malformed) if malformed.is_newer() => return Err(malformed.during("read journal", disk.display(JOURNAL))),
        Err(malformed) => {
            journal.note = Some(format!("it is not used: {malformed}"));
            journal.has_rest = true;
            return Ok(journal);
        }
        Ok(decoded) => decoded,
    };
    journal.has_rest = decoded.length_bytes < bytes.len();
    let salvaged = journal::salvage(&bytes, decoded.length_bytes);
    journal
        .salvaged
        .extend(salvaged.iter().filter_map(|group| Some((group.sequence, facts::decode(group.facts).ok()?))));
    for group in &decoded.groups {
        let Ok(facts) = facts::decode(group.facts) else {
            journal.note = Some(format!("it is not used: the facts of commit {} cannot be read", group.sequence));
            journal.groups.clear();
            return Ok(journal);
        };
        let (pack, pack_end) = (group.pack, group.pack_end);
        journal.groups.insert(group.sequence, Group { facts, encoded: group.facts.to_vec(), pack, pack_end });
    }
    if let Some(last) = decoded.groups.last() {
        journal.place = JournalPlace { pack: last.pack, pack_end: last.pack_end, length_bytes: 0 };
    }
    if decoded.length_bytes < bytes.len() {
        let rest = bytes.len() - decoded.length_bytes;
        journal.note = Some(format!("{rest} bytes from offset {} are not used", decoded.length_bytes));
    }
    Ok(journal)
}

impl Journal {
    /// The facts of commits that have others in the packs.
    pub(super) fn overruled(&self, commits: &BTreeMap<u64, (u32, RecoveredCommit)>) -> Vec<Fact> {
        let differs = |sequence: &u64, group: &Group| {
            commits.get(sequence).is_some_and(|(_, commit)| commit.facts != group.encoded)
        };
        let groups = self.groups.iter().filter(|(sequence, group)| differs(sequence, group));
        groups.flat_map(|(_, group)| group.facts.clone()).collect()
    }

    /// The last commit that it knows of; 0 where it knows none.
    pub(super) fn last_sequence(&self) -> u64 {
        self.groups.keys().next_back().copied().unwrap_or(0)
    }
}

/// Says where the journal contradicts the packs. It was read before them, so what was committed in between is not in it:
/// `last_now` tells the last commit that it has by now.
pub(super) fn compare_journal(
    journal: &Journal,
    commits: &BTreeMap<u64, (u32, RecoveredCommit)>,
    last_now: impl FnOnce() -> Result<u64>,
    stale: &mut Vec<(String, String)>,
) -> Result<Vec<(String, String)>> {
    let mut wrong = Vec::new();
    let found = |(sequence, group)| Some((group, commits.get(sequence)?));
    let pairs: Vec<(&Group, &(u32, RecoveredCommit))> = journal.groups.iter().filter_map(found).collect();
    let others = pairs.iter().filter(|(group, (_, commit))| commit.facts != group.encoded).count();
    let elsewhere = pairs.iter().filter(|(group, (pack, commit))| (group.pack, group.pack_end) != (*pack, commit.end));
    let elsewhere = elsewhere.count();
    if others > 0 {
        wrong.push((JOURNAL.to_owned(), format!("it has other facts than the packs for {others} commits")));
    } else if elsewhere > 0 {
        wrong.push((JOURNAL.to_owned(), format!("it has {elsewhere} commits in other places than the packs")));
    }
    let last = journal.last_sequence();
    let after = |last: u64| commits.range((Bound::Excluded(last), Bound::Unbounded)).count();
    let mut behind = after(last);
    if behind > 0 {
        behind = after(last_now()?.max(last));
    }
    let within = commits.range(..=last).filter(|(sequence, _)| !journal.groups.contains_key(sequence)).count();
    if within > 0 {
        wrong.push((JOURNAL.to_owned(), format!("it passes over {within} commits that the packs have")));
    }
    if let Some(note) = &journal.note
        && !(commits.is_empty() && behind == 0)
    {
        stale.push((JOURNAL.to_owned(), note.clone()));
    } else if behind > 0 {
        let commits = if behind == 1 { "commit" } else { "commits" };
        stale.push((JOURNAL.to_owned(), format!("it lacks the last {behind} {commits}")));
    }
    Ok(wrong)
}

/// Says where indexes contradict their packs and which are of no use, and notes in the packs what only the indexes know.
pub(super) fn compare_indexes(
    disk: &dyn Disk,
    reads: &mut [Read],
    stale: &mut Vec<(String, String)>,
) -> Result<Vec<(String, String)>> {
    let mut wrong = Vec::new();
    for read in reads.iter_mut() {
        let name = index_name(read.facts.number);
        if let Some(detail) = compare_index(read) {
            wrong.push((name, detail));
            continue;
        }
        let is_there = read.saved.append_at().is_some();
        // What was committed since the index was read is not in it.
        let owed_end = read.pack.index.end().min(read.length_before_bytes);
        if !is_there && !read.facts.is_headless {
            let what = match disk.open(&name) {
                Err(error) if error.kind() == ErrorKind::NotFound => "there is none",
                _ => "it is not used, because it is damaged or of another pack",
            };
            stale.push((name, what.to_owned()));
        } else if is_there && read.saved.end() + INDEX_BEHIND_MAX_BYTES < owed_end {
            stale.push((name, format!("it covers the pack up to offset {} only", read.saved.end())));
        }
    }
    Ok(wrong)
}

/// Indexes whose packs are missing. Of those, and of indexes of packs in whose place something else is, the snapshots that
/// they know of.
pub(super) fn orphans(
    disk: &dyn Disk,
    store: StoreId,
    names: &[String],
    reads: &[Read],
    snapshots: &mut BTreeSet<[u8; 16]>,
) -> Vec<(String, String)> {
    let packs: BTreeSet<&str> = names.iter().filter_map(|name| name.strip_suffix(".pack")).collect();
    let read: BTreeSet<[u8; 16]> = reads.iter().map(|read| read.pack.nonce).collect();
    let mut wrong = Vec::new();
    for name in names {
        let Some(stem) = name.strip_suffix(".idx") else { continue };
        if pack_number(&format!("{stem}.pack")).is_none() {
            continue;
        }
        let name = format!("packs/{name}");
        if let Ok(bytes) = disk.map(&name)
            && let Ok(header) = index::decode_header(&bytes)
            && !read.contains(&header.pack_nonce)
            && let Some(found) = PackIndex::open(bytes, store, header.pack_nonce)
            && found.is_intact()
        {
            let entries = found.entries().into_iter().filter(|entry| entry.kind == ObjectKind::Snapshot);
            snapshots.extend(entries.map(|entry| entry.prefix));
        }
        if !packs.contains(stem) {
            wrong.push((name, "its pack is missing".to_owned()));
        }
    }
    wrong
}

/// What a reader would believe of an index though it is wrong.
fn compare_index(read: &mut Read) -> Option<String> {
    if !read.saved.is_intact() {
        return Some("its entries do not match their checksum".to_owned());
    }
    let end = read.saved.end();
    let found: BTreeSet<IndexEntry> = read.pack.index.entries().into_iter().collect();
    let saved: BTreeSet<IndexEntry> = read.saved.entries().into_iter().collect();
    let offset = |entry: &IndexEntry| u64::from(entry.offset);
    let mut astray = 0;
    for entry in saved.difference(&found) {
        let is_damaged = read.facts.damaged.iter().any(|stretch| stretch.place.contains(&offset(entry)));
        if is_damaged || offset(entry) >= read.facts.length_bytes {
            read.facts.lost.push((entry.kind, entry.prefix, offset(entry)));
        } else {
            astray += 1;
            // It may be all that still knows of a snapshot.
            if entry.kind == ObjectKind::Snapshot {
                read.facts.lost.push((entry.kind, entry.prefix, offset(entry)));
            }
        }
    }
    let lacking = found.difference(&saved).filter(|entry| offset(entry) < end).count();
    let covers_any = end > PACK_HEADER_LENGTH_BYTES as u64;
    if astray > 0 {
        Some(format!("{astray} of its entries lead to nothing"))
    } else if lacking > 0 && covers_any {
        Some(format!("it lacks {lacking} objects of the part of the pack that it covers"))
    } else {
        None
    }
}
