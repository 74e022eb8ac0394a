//! Reads a pack from some place on, without an index: what a crash left unindexed, or a whole pack whose index is gone.
//!
//! A batch counts when its commit is intact. Where it is not, the rest is searched for a later intact commit: if there is
//! one, the bytes before it are *damage*, of which every record with a right checksum is still used; if there is none,
//! they are a *torn tail*, the remains of a batch that was never acknowledged. Only a torn tail is ever cut.

use crate::format::index::IndexEntry;
use crate::format::pack::{
    COMMIT_MAGIC, RECORD_MAGIC, RecordHeader, commit_is_intact, decode_commit, decode_record, record_is_intact,
};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Recovered {
    /// Commits, in order.
    pub(super) commits: Vec<RecoveredCommit>,
    /// Objects outside any intact batch, before the last commit.
    pub(super) salvaged: Vec<IndexEntry>,
    /// Stretches of the pack that are damaged, as start and end.
    pub(super) damaged: Vec<(u64, u64)>,
    /// Where the last intact commit ends: what follows is a torn tail.
    pub(super) end: u64,
}

/// One intact batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RecoveredCommit {
    /// Position in the order of commits; 0 without facts.
    pub(super) sequence: u64,
    /// The encoded facts.
    pub(super) facts: Vec<u8>,
    /// Where it ends in the pack.
    pub(super) end: u64,
    /// Its objects.
    pub(super) entries: Vec<IndexEntry>,
}

/// Reads the batches in `bytes`, which begin at `start` in the pack.
pub(super) fn recover(bytes: &[u8], start: u64) -> Recovered {
    let mut found = Recovered { end: start, ..Recovered::default() };
    let mut at = 0;
    while at < bytes.len() {
        match next_commit(bytes, at) {
            Some((batch_start, end)) => {
                if batch_start > at {
                    found.damaged.push((start + at as u64, start + batch_start as u64));
                    found.salvaged.extend(records(&bytes[at..batch_start], start + at as u64));
                }
                found.commits.push(read_batch(&bytes[batch_start..end], start + batch_start as u64));
                found.end = start + end as u64;
                at = end;
            }
            None => break,
        }
    }
    found
}

/// All records in `bytes` with a right checksum, wherever they are.
pub(super) fn records(bytes: &[u8], start: u64) -> Vec<IndexEntry> {
    let mut entries = Vec::new();
    let mut at = 0;
    while let Some(offset) = find(&bytes[at..], &RECORD_MAGIC) {
        at += offset;
        match decode_record(&bytes[at..]) {
            Ok(header) if record_is_intact(&header, &bytes[at..]) => {
                entries.extend(entries_of(&header, start + at as u64));
                at += header.record_length_bytes();
            }
            _ => at += 1,
        }
    }
    entries
}

/// Index entries of a record that begins at `offset` in its pack.
pub(super) fn entries_of(header: &RecordHeader, offset: u64) -> impl Iterator<Item = IndexEntry> {
    let offset = u32::try_from(offset).expect("packs are shorter than 4 GiB");
    header.members.iter().zip(0..).map(move |(member, place)| IndexEntry {
        prefix: member.prefix,
        offset,
        member: place,
        kind: member.kind,
    })
}

/// Start and end of the next intact batch at or after `at`.
fn next_commit(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let straight = walk_batch(bytes, at);
    if let Some(end) = straight {
        return Some((at, end));
    }
    let mut from = at;
    while let Some(offset) = find(&bytes[from..], &COMMIT_MAGIC) {
        let commit_at = from + offset;
        from = commit_at + 1;
        let Ok(commit) = decode_commit(&bytes[commit_at..]) else { continue };
        let length = usize::try_from(commit.batch_length_bytes).ok();
        let Some(batch_start) = length.and_then(|length| commit_at.checked_sub(length)) else { continue };
        let end = commit_at + commit.length_bytes;
        if batch_start >= at && commit_is_intact(&bytes[batch_start..end]) {
            return Some((batch_start, end));
        }
    }
    None
}

/// End of the batch that begins at `at`, found by going from record to record.
fn walk_batch(bytes: &[u8], at: usize) -> Option<usize> {
    let mut here = at;
    loop {
        let rest = bytes.get(here..)?;
        if let Ok(commit) = decode_commit(rest) {
            let end = here + commit.length_bytes;
            let fits = commit.batch_length_bytes == (here - at) as u64;
            return (fits && commit_is_intact(&bytes[at..end])).then_some(end);
        }
        here += decode_record(rest).ok()?.record_length_bytes();
    }
}

/// Takes apart a batch whose commit is intact.
fn read_batch(batch: &[u8], start: u64) -> RecoveredCommit {
    let mut entries = Vec::new();
    let mut at = 0;
    while let Ok(header) = decode_record(&batch[at..]) {
        entries.extend(entries_of(&header, start + at as u64));
        at += header.record_length_bytes();
    }
    let commit = decode_commit(&batch[at..]);
    let (sequence, facts) = commit.map(|commit| (commit.sequence, commit.facts.to_vec())).unwrap_or_default();
    RecoveredCommit { sequence, facts, end: start + batch.len() as u64, entries }
}

fn find(bytes: &[u8], magic: &[u8; 4]) -> Option<usize> {
    bytes.windows(magic.len()).position(|window| window == magic)
}

#[cfg(test)]
mod tests {
    use super::recover;
    use crate::format::pack::{Encoding, Member, ObjectKind, put_commit, put_record};
    use crate::id::Digest;

    fn batch(out: &mut Vec<u8>, sequence: u64, contents: &[&[u8]]) {
        let start = out.len();
        for content in contents {
            let raw_length_bytes = u32::try_from(content.len()).unwrap();
            let member = Member { kind: ObjectKind::Content, raw_length_bytes, prefix: Digest::of(content).prefix() };
            put_record(out, &Encoding::Raw, &[member], content);
        }
        put_commit(out, start, sequence, b"facts");
    }

    #[test]
    fn every_torn_tail_leaves_the_commits_before_it() {
        let mut bytes = Vec::new();
        batch(&mut bytes, 1, &[b"one", b"two"]);
        let first = bytes.len();
        batch(&mut bytes, 2, &[b"three"]);
        for cut in first..bytes.len() {
            let found = recover(&bytes[..cut], 100);
            assert_eq!(found.commits.len(), 1, "{cut}");
            assert_eq!((found.end, found.damaged.len()), (100 + first as u64, 0));
        }
        let whole = recover(&bytes, 100);
        assert_eq!(whole.commits.iter().map(|commit| commit.sequence).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(whole.commits[0].entries.len(), 2);
        assert_eq!(whole.end, 100 + bytes.len() as u64);
    }

    #[test]
    fn damage_in_the_middle_costs_only_the_record_it_hits() {
        let mut bytes = Vec::new();
        batch(&mut bytes, 1, &[b"one", b"two", b"three"]);
        let first = bytes.len();
        batch(&mut bytes, 2, &[b"four"]);
        for hit in 0..first {
            let mut hurt = bytes.clone();
            hurt[hit] ^= 0x10;
            let found = recover(&hurt, 0);
            assert_eq!(found.commits.last().map(|commit| commit.sequence), Some(2), "{hit}");
            assert_eq!(found.damaged, [(0, first as u64)], "{hit}");
            assert!(found.salvaged.len() >= 2, "{hit}");
            assert_eq!(found.end, bytes.len() as u64);
        }
    }
}
