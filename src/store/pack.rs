//! An open pack: its file, its index, and reading a record from it.
//!
//! Packs are read with `pread`, not mapped: a bad sector, or a file that another program has cut, is then an error.
//! With a map it would kill the process.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::index::PackIndex;
use super::recover::{FIRST_TRANSACTION_OFFSET, Recovered, Window, recover};
use crate::disk::{Disk, StoredFile};
use crate::error::{Error, Result};
use crate::format::Malformed;
use crate::format::index::IndexEntry;
use crate::format::pack::{
    HEADER_LENGTH_MAX_BYTES, ObjectKey, PACK_HEADER_LENGTH_BYTES, RecordHeader, decode_header, decode_record,
};
use crate::id::StoreId;
use crate::limits::{INDEX_LENGTH_FACTOR, PACK_LENGTH_MAX_BYTES, PACK_NUMBER_MAX};

/// A pack that is part of the store.
#[derive(Clone, Debug)]
pub(super) struct Pack {
    pub(super) number: u32,
    pub(super) store: StoreId,
    pub(super) nonce: [u8; 16],
    /// Its header is damaged. Its transactions are used, but it has no index and is not appended to.
    pub(super) has_bad_header: bool,
    pub(super) file: Arc<dyn StoredFile>,
    pub(super) index: PackIndex,
    /// Objects in records whose checksum is wrong, sorted. Some objects of a frame may be whole: readers read them if
    /// there is no other copy. For writers they are missing.
    pub(super) broken: Vec<IndexEntry>,
    /// Its torn tail has a trailer in it, and may be damage.
    pub(super) has_unproven_tail: bool,
    /// The pack is known to be durable up to this offset, because the journal or the index covers it.
    pub(super) settled_end: u64,
}

/// The header of a record, and the bytes of the record as far as they were read.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) header: Arc<RecordHeader>,
    pub(super) bytes: Vec<u8>,
}

/// A record in a pack that this process has opened. The nonce tells a pack from one that a repair put in its place. The
/// number tells packs with damaged headers apart, which have no nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RecordKey {
    pack: u32,
    nonce: [u8; 16],
    offset: u32,
}

/// Bytes read at first: most records are shorter.
const FIRST_READ_BYTES: usize = 4 << 10;

impl Record {
    /// The payload of a record that was read with [`Pack::read_payload`].
    pub(super) fn payload(&self) -> &[u8] {
        &self.bytes[self.header.header_length_bytes..]
    }
}

/// File name of a pack.
pub(super) fn pack_name(number: u32) -> String {
    format!("packs/{number:06}.pack")
}

/// File name of a pack's index.
pub(super) fn index_name(number: u32) -> String {
    format!("packs/{number:06}.idx")
}

/// Number of a pack, from its file name within `packs/`.
pub(super) fn pack_number(name: &str) -> Option<u32> {
    let number = name.strip_suffix(".pack")?.parse().ok()?;
    let is_number = (1..=PACK_NUMBER_MAX).contains(&number);
    (is_number && pack_name(number).strip_prefix("packs/") == Some(name)).then_some(number)
}

impl Pack {
    /// Opens a pack and its index, if it has a valid one.
    pub(super) fn open(disk: &dyn Disk, store: StoreId, number: u32) -> Result<Self> {
        let name = pack_name(number);
        let mut pack = Self {
            number,
            store,
            nonce: [0; 16],
            has_bad_header: true,
            file: disk.open(&name)?,
            index: PackIndex::empty(),
            broken: Vec::new(),
            has_unproven_tail: false,
            settled_end: FIRST_TRANSACTION_OFFSET,
        };
        let mut header = [0; PACK_HEADER_LENGTH_BYTES];
        let read = pack.file.read_at(0, &mut header)?;
        let header = match decode_header(&header[..read]) {
            Err(e) if !e.is_newer() => return Ok(pack),
            header => header.map_err(|e| e.during("open pack", disk.display(&name)))?,
        };
        if header.store != store {
            let detail = format!("it belongs to store {}", header.store);
            return Err(Error::corrupt("open pack", disk.display(&name), detail));
        }
        (pack.nonce, pack.has_bad_header) = (header.nonce, false);
        // The index is read before the length of the pack: of a pack that grows it then covers less than there is, and
        // never more. An index that cannot be read counts as missing.
        let index = disk.map(&index_name(number)).ok();
        let length = pack.file.length()?;
        let index = index.filter(|bytes| (bytes.len() as u64) / INDEX_LENGTH_FACTOR <= length);
        if let Some(index) = index.and_then(|bytes| PackIndex::open(bytes, store, header.nonce)) {
            // An index that covers more than the pack was right once: the pack was cut, and all bytes that are left are
            // recorded.
            pack.settled_end = index.end().min(length);
            if index.end() <= length {
                pack.index = index;
            }
        }
        Ok(pack)
    }

    /// Reads the transactions from `start` to the end of the file, as [`recover`] does.
    pub(super) fn recover(&self, start: u64, known_end: u64, checks_hashes: bool) -> Result<Recovered> {
        // No writer writes beyond the limit.
        let length = self.file.length()?.min(PACK_LENGTH_MAX_BYTES);
        recover(&mut Window::new(&*self.file, self.store, length), start, known_end, checks_hashes)
    }

    /// The same pack, with an index made from its own bytes.
    pub(super) fn reread(&self) -> Result<Self> {
        let found = self.recover(FIRST_TRANSACTION_OFFSET, self.index.end(), true)?;
        let mut pack = self.without_index();
        pack.take_in(&found, FIRST_TRANSACTION_OFFSET);
        Ok(pack)
    }

    /// Adds the objects that were read from the pack itself, as [`PackIndex::take_in`] does, and the damaged ones.
    pub(super) fn take_in(&mut self, found: &Recovered, known: u64) {
        self.index.take_in(found, known);
        self.broken.extend(found.damaged.iter().flat_map(|damaged| &damaged.broken));
        self.broken.sort_unstable();
    }

    /// The same pack, with an empty index.
    fn without_index(&self) -> Self {
        Self { index: PackIndex::empty(), broken: Vec::new(), ..self.clone() }
    }

    /// The same pack, with an index that lacks these objects.
    pub(super) fn without(&self, objects: &BTreeSet<ObjectKey>) -> Self {
        let mut entries = self.index.entries();
        entries.retain(|entry| !objects.contains(&entry.key()));
        let mut pack = self.without_index();
        pack.index.extend(&entries, self.index.end());
        pack
    }

    /// The key of a record of this pack.
    pub(super) fn record_key(&self, offset: u32) -> RecordKey {
        RecordKey { pack: self.number, nonce: self.nonce, offset }
    }

    /// True if the index file of the pack is missing or incomplete.
    pub(super) fn lacks_index(&self) -> bool {
        !self.has_bad_header && !self.index.is_saved()
    }

    /// True if the pack is known to be durable, and its name.
    pub(super) fn is_settled(&self) -> bool {
        self.settled_end >= self.index.end() && self.index.append_at().is_some()
    }

    /// The index file for all known objects of the pack. A damaged index is not copied: the objects that it lacks would
    /// be missing under a right checksum.
    pub(super) fn encode_index(&self, last_sequence: u64) -> Result<Vec<u8>> {
        let encode = |pack: &Self| pack.index.encode(self.store, self.nonce, last_sequence);
        if self.index.is_intact() { Ok(encode(self)) } else { Ok(encode(&self.reread()?)) }
    }

    /// Reads the header of the record at `offset`, and the beginning of the payload.
    pub(super) fn read_header(&self, disk: &dyn Disk, offset: u64) -> Result<Record> {
        let mut bytes = self.read(offset, FIRST_READ_BYTES)?;
        let mut header = decode_record(&bytes);
        if header.is_err() && bytes.len() == FIRST_READ_BYTES {
            bytes = self.read(offset, HEADER_LENGTH_MAX_BYTES)?;
            header = decode_record(&bytes);
        }
        let header = header.map_err(|e| self.malformed(disk, offset, e))?;
        Ok(Record { header: Arc::new(header), bytes })
    }

    /// Reads the rest of a record whose header was read. Its checksum is not checked.
    pub(super) fn read_payload(&self, disk: &dyn Disk, offset: u64, record: &mut Record) -> Result<()> {
        let length = record.header.record_length_bytes();
        let have = record.bytes.len();
        if have < length {
            let too_long = || self.malformed(disk, offset, Malformed::new("a record ends past the pack"));
            if self.file.length()?.saturating_sub(offset) < length as u64 {
                return Err(too_long());
            }
            record.bytes.resize(length, 0);
            if have + self.file.read_at(offset + have as u64, &mut record.bytes[have..])? < length {
                return Err(too_long());
            }
        }
        record.bytes.truncate(length);
        Ok(())
    }

    fn malformed(&self, disk: &dyn Disk, offset: u64, malformed: Malformed) -> Error {
        let place = format!("{} at offset {offset}", disk.display(&pack_name(self.number)));
        malformed.during("read pack", place)
    }

    /// The `length` bytes from `offset` on, or fewer at the end of the file.
    pub(super) fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let read = self.file.read_at(offset, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}
