//! One pack in use: its file, its index, and reading a record from it.
//!
//! Packs are read with `pread`, not mapped: a bad sector or a file cut by somebody else is then an error, where a map
//! would kill the process.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::headers::RecordKey;
use super::index::PackIndex;
use super::recover::{Recovered, Window, recover};
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
    /// Its header is damaged: its transactions are used, but it has no index and is not appended to.
    pub(super) has_bad_header: bool,
    pub(super) file: Arc<dyn StoredFile>,
    pub(super) index: PackIndex,
    /// Objects in records whose checksum is wrong, sorted. Some of a frame may be whole: they are read where there is
    /// no other copy, and to writers they are missing.
    pub(super) broken: Vec<IndexEntry>,
    /// What would be cut as a torn tail has a trailer in it: it may be damage.
    pub(super) has_doubtful_tail: bool,
    /// Up to here the pack is known to be durable, because a cache covers it or says so.
    pub(super) settled_end: u64,
}

/// A record's header, and its bytes from the header on, as far as they were read.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) header: Arc<RecordHeader>,
    pub(super) bytes: Vec<u8>,
}

/// Bytes read at first: most records are shorter.
const FIRST_READ_BYTES: usize = 4 << 10;

impl Record {
    /// The payload; only of a record that was completed.
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

/// The highest number that a pack, or the index of one that is lost, has among these names; 0 where there is none.
pub(super) fn highest_number(names: &[String]) -> u32 {
    let number = |name: &String| match name.strip_suffix(".idx") {
        Some(stem) => pack_number(&format!("{stem}.pack")),
        None => pack_number(name),
    };
    names.iter().filter_map(number).max().unwrap_or(0)
}

impl Pack {
    /// Opens a pack and whatever index it has.
    pub(super) fn open(disk: &dyn Disk, store: StoreId, number: u32) -> Result<Self> {
        let name = pack_name(number);
        let file = disk.open(&name)?;
        let mut header = [0; PACK_HEADER_LENGTH_BYTES];
        let read = file.read_at(0, &mut header)?;
        let shown = || disk.display(&name);
        let header = match decode_header(&header[..read]) {
            Err(e) if !e.is_newer() => return Ok(Self::with_bad_header(store, number, file)),
            header => header.map_err(|e| e.during("open pack", shown()))?,
        };
        if header.store != store {
            let detail = format!("it belongs to store {}", header.store);
            return Err(Error::corrupt("open pack", shown(), detail));
        }
        // The index first: of a pack that grows meanwhile it then covers less than there is, and never seems to know of
        // more.
        let index = disk.map(&index_name(number)).ok();
        let length = file.length()?;
        // An index that cannot be read is as good as none.
        let index = index.filter(|bytes| (bytes.len() as u64) / INDEX_LENGTH_FACTOR <= length);
        let index = index.and_then(|bytes| PackIndex::open(bytes, store, header.nonce));
        // An index that covers more than there is was right once: the pack was cut, and all that is left was recorded.
        let settled_end = index.as_ref().map_or(PACK_HEADER_LENGTH_BYTES as u64, |index| index.end().min(length));
        let index = index.filter(|index| index.end() <= length);
        let index = index.unwrap_or_else(|| PackIndex::empty(PACK_HEADER_LENGTH_BYTES as u64));
        let nonce = header.nonce;
        let broken = Vec::new();
        Ok(Self {
            number,
            store,
            nonce,
            has_bad_header: false,
            file,
            index,
            broken,
            has_doubtful_tail: false,
            settled_end,
        })
    }

    fn with_bad_header(store: StoreId, number: u32, file: Arc<dyn StoredFile>) -> Self {
        let settled_end = PACK_HEADER_LENGTH_BYTES as u64;
        let index = PackIndex::empty(settled_end);
        let (nonce, broken) = ([0; 16], Vec::new());
        Self { number, store, nonce, has_bad_header: true, file, index, broken, has_doubtful_tail: false, settled_end }
    }

    /// Reads the transactions from `start` to the end of the file. What lies before `known_end` was recorded.
    pub(super) fn recover_from(&self, start: u64, known_end: u64) -> Result<Recovered> {
        self.recover_with(start, known_end, true)
    }

    /// The same, if wanted without comparing transactions with their hashes.
    pub(super) fn recover_with(&self, start: u64, known_end: u64, checks_hashes: bool) -> Result<Recovered> {
        // What lies beyond the limit no writer has written.
        let length = self.file.length()?.min(PACK_LENGTH_MAX_BYTES);
        recover(&mut Window::new(&*self.file, self.store, length), start, known_end, checks_hashes)
    }

    /// The same pack, its index made from its own bytes.
    pub(super) fn reread(&self) -> Result<Self> {
        let start = PACK_HEADER_LENGTH_BYTES as u64;
        let found = self.recover_from(start, self.index.end())?;
        let mut pack = self.without_index();
        pack.take_in(&found, start);
        Ok(pack)
    }

    /// Adds what was read from the pack itself, as [`PackIndex::take_in`] does, and what is damaged in it.
    pub(super) fn take_in(&mut self, found: &Recovered, known: u64) {
        self.index.take_in(found, known);
        self.broken.extend(found.damaged.iter().flat_map(|damaged| &damaged.broken));
        self.broken.sort_unstable();
    }

    /// The same pack, with an index of nothing.
    pub(super) fn without_index(&self) -> Self {
        Self {
            number: self.number,
            store: self.store,
            nonce: self.nonce,
            has_bad_header: self.has_bad_header,
            file: Arc::clone(&self.file),
            index: PackIndex::empty(PACK_HEADER_LENGTH_BYTES as u64),
            broken: Vec::new(),
            has_doubtful_tail: self.has_doubtful_tail,
            settled_end: self.settled_end,
        }
    }

    /// The same pack, with an index that lacks these objects.
    pub(super) fn without(&self, objects: &BTreeSet<ObjectKey>) -> Self {
        let mut entries = self.index.entries();
        entries.retain(|entry| !objects.contains(&entry.key()));
        let mut pack = self.without_index();
        pack.index.extend(&entries, self.index.end());
        pack
    }

    /// Names a record of this pack among those of all packs that were ever opened.
    pub(super) fn record_key(&self, offset: u32) -> RecordKey {
        RecordKey { pack: self.number, nonce: self.nonce, offset }
    }

    /// Whether there should be an index file that says more than the one that is there.
    pub(super) fn lacks_index(&self) -> bool {
        !self.has_bad_header && !self.index.is_saved()
    }

    /// Whether all that is known of the pack is durable, its name included.
    pub(super) fn is_settled(&self) -> bool {
        self.settled_end >= self.index.end() && self.index.append_at().is_some()
    }

    /// The index file for all that is known of the pack. One that is damaged is not copied: what it lacks would be lost
    /// under a checksum that is right again.
    pub(super) fn encode_index(&self, store: StoreId, last_sequence: u64) -> Result<Vec<u8>> {
        if self.index.is_intact() {
            return Ok(self.index.encode(store, self.nonce, last_sequence));
        }
        Ok(self.reread()?.index.encode(store, self.nonce, last_sequence))
    }

    /// The bytes between two places that are both in the pack.
    pub(super) fn read(&self, start: u64, end: u64) -> Result<Vec<u8>> {
        let length = usize::try_from(end - start).expect("packs are shorter than 4 GiB");
        self.read_up_to(start, length)
    }

    /// Reads the header of the record at `offset`, and with it what came along of the payload.
    pub(super) fn read_header(&self, disk: &dyn Disk, offset: u64) -> Result<Record> {
        let (header, bytes) = self.read_start(disk, offset)?;
        Ok(Record { header: Arc::new(header), bytes })
    }

    /// Completes a record whose header was read, its payload not yet checked.
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

    /// The header of the record at `offset`, and the bytes that were read to get it.
    fn read_start(&self, disk: &dyn Disk, offset: u64) -> Result<(RecordHeader, Vec<u8>)> {
        let mut bytes = self.read_up_to(offset, FIRST_READ_BYTES)?;
        let mut header = decode_record(&bytes);
        if header.is_err() && bytes.len() == FIRST_READ_BYTES {
            bytes = self.read_up_to(offset, HEADER_LENGTH_MAX_BYTES)?;
            header = decode_record(&bytes);
        }
        Ok((header.map_err(|e| self.malformed(disk, offset, e))?, bytes))
    }

    fn malformed(&self, disk: &dyn Disk, offset: u64, malformed: Malformed) -> Error {
        let place = format!("{} at offset {offset}", disk.display(&pack_name(self.number)));
        malformed.during("read pack", place)
    }

    fn read_up_to(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let read = self.file.read_at(offset, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}
