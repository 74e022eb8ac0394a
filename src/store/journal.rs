//! The journal: the facts of all transactions in order, so that opening a store need not read its packs
//! (store-format.md, chapter 8.2).
//!
//! Readers believe it up to the first group that is not intact. It may be of any length behind that, a sparse file of
//! terabytes too, and every verb reads it: so it is read only as far as it makes sense.

use std::collections::BTreeMap;

use crate::disk::{Disk, StoredFile, read_start};
use crate::error::{ErrorKind, Result};
use crate::format::facts::{self, Fact};
use crate::format::journal::{self, GROUP_LENGTH_MAX_BYTES, JournalGroup};
use crate::id::StoreId;
use crate::limits::JOURNAL_LENGTH_MAX_BYTES;

/// Name of the file.
pub(super) const JOURNAL: &str = "journal";

/// The part of the packs that the journal covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct JournalPlace {
    /// The last pack that it names, and how far.
    pub(super) pack: u32,
    pub(super) pack_end: u64,
    /// Length of the intact part of the file; 0 where there is none.
    pub(super) length_bytes: u64,
}

/// A journal that was read.
#[derive(Debug, Default)]
pub(super) struct Journal {
    bytes: Vec<u8>,
    /// The part of it that is believed.
    pub(super) place: JournalPlace,
    /// The reason why it is not believed to its end; none where it is.
    pub(super) unused: Option<Unused>,
}

/// The reason why a journal, or the rest of one, is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unused {
    /// There is none.
    Missing,
    /// It is damaged or of another store; in words.
    Because(String),
}

/// The part of the file to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// As much as is believed, and some more.
    Believed,
    /// All of it, up to the limit.
    All,
}

impl Journal {
    /// Reads the journal and hands over each transaction that it is believed on, in order. One that is missing or
    /// useless is as good as empty; one of a newer version is `Unsupported`.
    pub(super) fn read(
        disk: &dyn Disk,
        store: StoreId,
        extent: Extent,
        mut see: impl FnMut(&JournalGroup<'_>, Vec<Fact>),
    ) -> Result<Self> {
        let useless = |bytes, why| Ok(Self { bytes, unused: Some(why), ..Self::default() });
        let read = match extent {
            Extent::Believed => disk.open(JOURNAL).and_then(|file| read_believed(&*file, store)),
            Extent::All => read_start(disk, JOURNAL, JOURNAL_LENGTH_MAX_BYTES),
        };
        let bytes = match read {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return useless(Vec::new(), Unused::Missing);
            }
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                return useless(Vec::new(), Unused::Because(error.to_string()));
            }
            bytes => bytes?,
        };
        let decoded = match journal::decode(&bytes, store) {
            Err(malformed) if malformed.is_newer() => {
                return Err(malformed.during("read journal", disk.display(JOURNAL)));
            }
            Err(malformed) => return useless(bytes, Unused::Because(malformed.to_string())),
            Ok(decoded) => decoded,
        };
        let mut place = JournalPlace { length_bytes: decoded.length_bytes as u64, ..JournalPlace::default() };
        for (index, group) in decoded.groups.iter().enumerate() {
            // A group that passes its checksum and yet has no facts is of a newer or a broken program. The packs are
            // asked instead, from there on.
            let Ok(facts) = facts::decode(group.facts) else {
                place.length_bytes = length_bytes(store, &decoded.groups[..index]);
                break;
            };
            see(group, facts);
            (place.pack, place.pack_end) = (group.pack, group.pack_end);
        }
        let rest = bytes.len() as u64 - place.length_bytes;
        let why = || Unused::Because(format!("{rest} bytes from offset {} on are damaged", place.length_bytes));
        Ok(Self { bytes, place, unused: (rest > 0).then(why) })
    }

    /// True if the file has bytes that are not believed.
    pub(super) fn has_rest(&self) -> bool {
        self.bytes.len() as u64 > self.place.length_bytes
    }

    /// Facts of intact groups behind the first that is not, by sequence, as far as the file was read.
    pub(super) fn salvaged(&self) -> BTreeMap<u64, Vec<Fact>> {
        let believed = usize::try_from(self.place.length_bytes).expect("it was read into memory");
        if believed == 0 {
            return BTreeMap::new();
        }
        let groups = journal::salvage(&self.bytes, believed);
        groups.iter().filter_map(|group| Some((group.sequence, facts::decode(group.facts).ok()?))).collect()
    }
}

/// Appends a group to the journal, after its header where it has none; returns how far the journal goes now.
pub(super) fn append_to_journal(
    disk: &dyn Disk,
    store: StoreId,
    place: JournalPlace,
    group: &JournalGroup<'_>,
) -> Result<JournalPlace> {
    let mut bytes = Vec::new();
    if place.length_bytes == 0 {
        bytes = journal::encode_header(store);
    }
    journal::put_group(&mut bytes, group);
    disk.write(JOURNAL, place.length_bytes, &bytes)?;
    let length_bytes = place.length_bytes + bytes.len() as u64;
    Ok(JournalPlace { pack: group.pack, pack_end: group.pack_end, length_bytes })
}

/// The length of a journal of these groups, in bytes.
fn length_bytes(store: StoreId, groups: &[JournalGroup<'_>]) -> u64 {
    let mut bytes = journal::encode_header(store);
    groups.iter().for_each(|group| journal::put_group(&mut bytes, group));
    bytes.len() as u64
}

/// Bytes read at first, and so many times as many each time that all of them made sense.
const FIRST_READ_BYTES: u64 = 4 << 20;
const GROWTH: u64 = 4;

/// The bytes of the journal from its start to the last intact group that follows its header, and some more.
fn read_believed(file: &dyn StoredFile, store: StoreId) -> Result<Vec<u8>> {
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

    use super::{Extent, FIRST_READ_BYTES, GROWTH, JOURNAL, Journal, read_believed};
    use crate::disk::memory::MemoryDisk;
    use crate::disk::{Disk, StoredFile};
    use crate::error::Result;
    use crate::format::facts::{self, Fact};
    use crate::format::journal::{self, JournalGroup};
    use crate::id::{Digest, SnapshotId, StoreId};
    use crate::time::Timestamp;

    /// A file that begins with some bytes, has zeros behind them, and counts what is read of it.
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
    fn no_more_of_a_journal_is_read_than_makes_sense() {
        let store = StoreId([1; 16]);
        let mut start = journal::encode_header(store);
        let facts = vec![0; 1 << 20];
        for sequence in 1..=10 {
            journal::put_group(&mut start, &JournalGroup { sequence, pack: 1, pack_end: sequence, facts: &facts });
        }
        let length = start.len() as u64;
        for (length, most) in [(length, length), (1 << 40, GROWTH * FIRST_READ_BYTES), (length + 7, length + 7)] {
            let file = Sparse { start: start.clone(), length, read: AtomicU64::new(0) };
            let bytes = read_believed(&file, store).unwrap();
            assert_eq!(journal::decode(&bytes, store).unwrap().groups.len(), 10);
            assert!(file.read.into_inner() <= most, "{length}");
        }
        let file = Sparse { start: Vec::new(), length: 1 << 40, read: AtomicU64::new(0) };
        read_believed(&file, store).unwrap();
        assert_eq!(file.read.into_inner(), FIRST_READ_BYTES);
    }

    /// J2: the packs are asked from there on.
    #[test]
    fn a_group_without_facts_ends_the_journal_and_those_behind_it_are_salvaged() {
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
        for extent in [Extent::Believed, Extent::All] {
            let mut seen = Vec::new();
            let see = |group: &JournalGroup<'_>, facts| seen.push((group.sequence, facts));
            let journal = Journal::read(&disk, store, extent, see).unwrap();
            assert_eq!(seen, [(1, vec![fact.clone()]), (2, vec![fact.clone()])]);
            let place = journal.place;
            assert_eq!((place.pack, place.pack_end, place.length_bytes), (7, 200, ends[1]));
            assert!(journal.has_rest() && journal.unused.is_some());
            assert_eq!(journal.salvaged().into_iter().collect::<Vec<_>>(), [(4, vec![fact.clone()])]);
        }
    }
}
