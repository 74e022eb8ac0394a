//! The journal: the facts of all transactions in order, so that opening a store need not read its packs
//! (store-format.md, chapter 8.2).
//!
//! Readers use it up to the first group that is not intact. The file may be of any length after that, for example a
//! sparse file of terabytes, and every verb reads it. So it is read only up to the last intact group and some more.

use std::collections::BTreeMap;

use crate::disk::{Disk, StoredFile, read_start};
use crate::error::{ErrorKind, Result};
use crate::format::facts::{self, Fact};
use crate::format::journal::{self, GROUP_LENGTH_MAX_BYTES, JournalGroup};
use crate::id::StoreId;
use crate::limits::JOURNAL_LENGTH_MAX_BYTES;

/// Name of the file.
pub(super) const JOURNAL: &str = "journal";

/// The end of the intact groups of a journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct JournalEnd {
    /// The number of the pack that the last group names.
    pub(super) pack: u32,
    /// The offset in that pack up to which the journal has its transactions.
    pub(super) pack_end: u64,
    /// Length of the intact part of the file, in bytes; 0 where there is none.
    pub(super) length_bytes: u64,
}

/// A journal that was read.
#[derive(Debug, Default)]
pub(super) struct Journal {
    bytes: Vec<u8>,
    /// The end of its intact groups.
    pub(super) end: JournalEnd,
    /// The reason why the rest of it is not used; none where there is no rest.
    pub(super) unused: Option<Unused>,
}

/// The reason why a journal, or the rest of one, is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unused {
    /// There is none.
    Missing,
    /// It is damaged or of another store, as this text says.
    Because(String),
}

/// The part of the file to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// The part that readers use, and some more.
    Used,
    /// All of it, up to the limit.
    All,
}

impl Journal {
    /// Reads the journal, and calls `see` with each intact group and its facts, in order. A missing or unusable journal
    /// counts as empty; one of a newer version is `Unsupported`.
    pub(super) fn read(
        disk: &dyn Disk,
        store: StoreId,
        extent: Extent,
        mut see: impl FnMut(&JournalGroup<'_>, Vec<Fact>),
    ) -> Result<Self> {
        let unused = |bytes, why| Ok(Self { bytes, unused: Some(why), ..Self::default() });
        let read = match extent {
            Extent::Used => disk.open(JOURNAL).and_then(|file| read_used(&*file, store)),
            Extent::All => read_start(disk, JOURNAL, JOURNAL_LENGTH_MAX_BYTES),
        };
        let bytes = match read {
            Err(e) if e.kind() == ErrorKind::NotFound => return unused(Vec::new(), Unused::Missing),
            Err(e) if e.kind() == ErrorKind::Corrupt => return unused(Vec::new(), Unused::Because(e.to_string())),
            bytes => bytes?,
        };
        let decoded = match journal::decode(&bytes, store) {
            Err(malformed) if malformed.is_newer() => {
                return Err(malformed.during("read journal", disk.display(JOURNAL)));
            }
            Err(malformed) => return unused(bytes, Unused::Because(malformed.to_string())),
            Ok(decoded) => decoded,
        };
        let mut end = JournalEnd { length_bytes: decoded.length_bytes as u64, ..JournalEnd::default() };
        for (index, group) in decoded.groups.iter().enumerate() {
            // A group with a right checksum and unknown facts is of a newer or a broken program. From there on the
            // packs are read instead.
            let Ok(facts) = facts::decode(group.facts) else {
                end.length_bytes = length_bytes(store, &decoded.groups[..index]);
                break;
            };
            see(group, facts);
            (end.pack, end.pack_end) = (group.pack, group.pack_end);
        }
        let rest = bytes.len() as u64 - end.length_bytes;
        let why = || Unused::Because(format!("{rest} bytes from offset {} on are damaged", end.length_bytes));
        Ok(Self { bytes, end, unused: (rest > 0).then(why) })
    }

    /// True if the file has bytes after its intact groups.
    pub(super) fn has_rest(&self) -> bool {
        self.bytes.len() as u64 > self.end.length_bytes
    }

    /// Facts of intact groups after the first that is not intact, by sequence.
    pub(super) fn salvaged(&self) -> BTreeMap<u64, Vec<Fact>> {
        let used = usize::try_from(self.end.length_bytes).expect("it was read into memory");
        if used == 0 {
            return BTreeMap::new();
        }
        let groups = journal::salvage(&self.bytes, used);
        groups.iter().filter_map(|group| Some((group.sequence, facts::decode(group.facts).ok()?))).collect()
    }
}

/// Appends a group to the journal, with a header before the first one. Returns the new end of the journal.
pub(super) fn append_to_journal(
    disk: &dyn Disk,
    store: StoreId,
    end: JournalEnd,
    group: &JournalGroup<'_>,
) -> Result<JournalEnd> {
    let mut bytes = Vec::new();
    if end.length_bytes == 0 {
        bytes = journal::encode_header(store);
    }
    journal::put_group(&mut bytes, group);
    disk.write(JOURNAL, end.length_bytes, &bytes)?;
    let length_bytes = end.length_bytes + bytes.len() as u64;
    Ok(JournalEnd { pack: group.pack, pack_end: group.pack_end, length_bytes })
}

/// The length of a journal of these groups, in bytes.
fn length_bytes(store: StoreId, groups: &[JournalGroup<'_>]) -> u64 {
    let mut bytes = journal::encode_header(store);
    groups.iter().for_each(|group| journal::put_group(&mut bytes, group));
    bytes.len() as u64
}

/// Bytes read at first, and the factor by which more is read while all of it is intact.
const FIRST_READ_BYTES: u64 = 4 << 20;
const GROWTH: u64 = 4;

/// The bytes of the journal up to the last intact group that follows its header, and some more.
fn read_used(file: &dyn StoredFile, store: StoreId) -> Result<Vec<u8>> {
    let all = file.length()?.min(JOURNAL_LENGTH_MAX_BYTES);
    let mut wanted = all.min(FIRST_READ_BYTES);
    let mut bytes = Vec::new();
    loop {
        let have = bytes.len();
        bytes.resize(usize::try_from(wanted).expect("a 64-bit platform"), 0);
        let read = file.read_at(have as u64, &mut bytes[have..])?;
        bytes.truncate(have + read);
        if wanted == all || (bytes.len() as u64) < wanted {
            return Ok(bytes);
        }
        let intact = journal::decode(&bytes, store).map_or(0, |journal| journal.length_bytes);
        if bytes.len() - intact >= GROUP_LENGTH_MAX_BYTES {
            return Ok(bytes);
        }
        wanted = all.min(wanted * GROWTH);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{Extent, FIRST_READ_BYTES, GROWTH, JOURNAL, Journal, read_used};
    use crate::disk::memory::MemoryDisk;
    use crate::disk::{Disk, StoredFile};
    use crate::error::Result;
    use crate::format::facts::{self, Fact};
    use crate::format::journal::{self, JournalGroup};
    use crate::id::{Digest, SnapshotId, StoreId};
    use crate::time::Timestamp;

    /// A file of some bytes and zeros after them, which counts the bytes that are read.
    #[derive(Debug)]
    struct Sparse {
        start: Vec<u8>,
        length: u64,
        read: AtomicU64,
    }

    impl StoredFile for Sparse {
        fn length(&self) -> Result<u64> {
            Ok(self.length)
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
            let count = usize::try_from(self.length - offset).unwrap().min(buffer.len());
            self.read.fetch_add(count as u64, Ordering::Relaxed);
            buffer[..count].fill(0);
            let rest = self.start.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
            let there = rest.len().min(count);
            buffer[..there].copy_from_slice(&rest[..there]);
            Ok(count)
        }
    }

    #[test]
    fn no_more_of_a_journal_is_read_than_its_intact_groups_need() {
        let store = StoreId([1; 16]);
        let mut start = journal::encode_header(store);
        let facts = vec![0; 1 << 20];
        for sequence in 1..=10 {
            journal::put_group(&mut start, &JournalGroup { sequence, pack: 1, pack_end: sequence, facts: &facts });
        }
        let length = start.len() as u64;
        for (length, most) in [(length, length), (1 << 40, GROWTH * FIRST_READ_BYTES), (length + 7, length + 7)] {
            let file = Sparse { start: start.clone(), length, read: AtomicU64::new(0) };
            let bytes = read_used(&file, store).unwrap();
            assert_eq!(journal::decode(&bytes, store).unwrap().groups.len(), 10);
            assert!(file.read.into_inner() <= most, "{length}");
        }
        let file = Sparse { start: Vec::new(), length: 1 << 40, read: AtomicU64::new(0) };
        read_used(&file, store).unwrap();
        assert_eq!(file.read.into_inner(), FIRST_READ_BYTES);
    }

    /// J2: the packs are read from there on.
    #[test]
    fn a_group_without_facts_ends_the_journal_and_later_ones_are_salvaged() {
        let store = StoreId([1; 16]);
        let fact = Fact::Pinned { snapshot: SnapshotId(Digest::of(b"")), pinned: true, time: Timestamp(0) };
        let good = facts::encode(std::slice::from_ref(&fact));
        let mut bytes = journal::encode_header(store);
        let mut ends = Vec::new();
        for sequence in 1..=4 {
            let facts = if sequence == 3 { &[0xff; 40] } else { &good[..] };
            let pack_end = 100 * sequence;
            journal::put_group(&mut bytes, &JournalGroup { sequence, pack: 7, pack_end, facts });
            ends.push(bytes.len() as u64);
        }
        let disk = MemoryDisk::new(1);
        disk.write(JOURNAL, 0, &bytes).unwrap();
        for extent in [Extent::Used, Extent::All] {
            let mut seen = Vec::new();
            let see = |group: &JournalGroup<'_>, facts| seen.push((group.sequence, facts));
            let journal = Journal::read(&disk, store, extent, see).unwrap();
            assert_eq!(seen, [(1, vec![fact.clone()]), (2, vec![fact.clone()])]);
            let end = journal.end;
            assert_eq!((end.pack, end.pack_end, end.length_bytes), (7, 200, ends[1]));
            assert!(journal.has_rest() && journal.unused.is_some());
            assert_eq!(journal.salvaged().into_iter().collect::<Vec<_>>(), [(4, vec![fact.clone()])]);
        }
    }
}
