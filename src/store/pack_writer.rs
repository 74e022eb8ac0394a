//! Writing packs: all code that lays out their headers, records and transactions, syncs them and names them.
//!
//! ```text
//! append_transaction   writes records and their trailer at the end of the active pack
//! PackWriter           writes a new pack under `tmp/`, and gives it its number when it is complete
//! ```
//!
//! Invariant: bytes are durable before a name leads to them, and the name is durable before a writer returns.

use std::ops::Range;

use super::pack::{index_name, pack_name};
use super::recover::{Window, entries_of, record_at, trailer_at};
use crate::disk::{Disk, Durability, LockGuard, LockMode, StoredFile, replace};
use crate::error::{Error, ErrorKind, Result};
use crate::format::index::{self, IndexEntry};
use crate::format::pack::{PackHeader, decode_record, encode_header, put_trailer};
use crate::id::StoreId;
use crate::limits::PACK_LENGTH_MAX_BYTES;

/// A new pack under `tmp/`, which only its writer uses. Its lock shows others that the writer is alive. It is removed
/// unless it is published.
#[derive(Debug)]
pub(super) struct PackWriter<'a> {
    disk: &'a dyn Disk,
    store: StoreId,
    name: String,
    nonce: [u8; 16],
    length_bytes: u64,
    /// The records of the open transaction.
    records: Vec<u8>,
    entries: Vec<IndexEntry>,
    last_sequence: u64,
    is_published: bool,
    _alive: Option<LockGuard>,
}

/// Bytes of transactions that are written at once.
const PIECE_BYTES: usize = 1 << 20;

impl<'a> PackWriter<'a> {
    /// Starts a pack.
    pub(super) fn create(disk: &'a dyn Disk, store: StoreId) -> Result<Self> {
        disk.create_folder("tmp")?;
        let nonce = disk.random();
        let name = format!("tmp/{}.pack", StoreId(nonce));
        let header = encode_header(&PackHeader { store, nonce });
        let mut writer = Self {
            disk,
            store,
            nonce,
            length_bytes: 0,
            records: Vec::new(),
            entries: Vec::new(),
            last_sequence: 0,
            is_published: false,
            _alive: disk.lock(&name, LockMode::Exclusive)?,
            name,
        };
        writer.write(&header)?;
        Ok(writer)
    }

    /// Its length so far, in bytes, without the open transaction.
    pub(super) fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    /// Adds records to the open transaction.
    pub(super) fn push(&mut self, records: &[u8]) {
        self.records.extend_from_slice(records);
    }

    /// Copies a record of another pack to the open transaction.
    pub(super) fn push_from(&mut self, from: &dyn StoredFile, range: &Range<u64>) -> Result<()> {
        let start = self.records.len();
        let length = usize::try_from(range.end - range.start).expect("packs are shorter than 4 GiB");
        self.records.resize(start + length, 0);
        let read = from.read_at(range.start, &mut self.records[start..])?;
        let is_there =
            || decode_record(&self.records[start..]).is_ok_and(|found| found.record_length_bytes() == length);
        if read == length && is_there() { Ok(()) } else { Err(self.changed(range.start)) }
    }

    /// Length of the records of the open transaction, in bytes.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.records.len()
    }

    /// Ends the open transaction, and returns its length in bytes. Writes nothing if it has neither records nor facts.
    pub(super) fn end_transaction(&mut self, sequence: u64, facts: &[u8]) -> Result<u64> {
        if self.records.is_empty() && sequence == 0 {
            return Ok(0);
        }
        let mut transaction = std::mem::take(&mut self.records);
        self.expect_room(transaction.len() + facts.len())?;
        self.entries.extend(record_entries(&transaction, self.length_bytes));
        put_trailer(&mut transaction, self.store, 0, sequence, facts);
        self.last_sequence = self.last_sequence.max(sequence);
        self.write(&transaction)?;
        Ok(transaction.len() as u64)
    }

    /// Copies whole transactions of another pack.
    pub(super) fn copy_transactions(&mut self, from: &dyn StoredFile, range: &Range<u64>) -> Result<()> {
        self.expect_room(usize::try_from(range.end - range.start).expect("packs are shorter than 4 GiB"))?;
        let mut window = Window::new(from, self.store, range.end);
        let mut piece = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let end = if let Some(header) = record_at(&mut window, at)? {
                self.entries.extend(entries_of(&header, self.length_bytes + piece.len() as u64));
                at + header.record_length_bytes() as u64
            } else if let Some(transaction) = trailer_at(&mut window, at)? {
                self.last_sequence = self.last_sequence.max(transaction.sequence);
                transaction.end
            } else {
                return Err(self.changed(at));
            };
            piece.extend_from_slice(window.get(at, usize::try_from(end - at).expect("packs are shorter than 4 GiB"))?);
            if piece.len() >= PIECE_BYTES {
                self.write(&piece)?;
                piece.clear();
            }
            at = end;
        }
        self.write(&piece)
    }

    /// Gives the pack a number that no pack has, durably. Returns its length, in bytes. The caller holds the store's
    /// lock.
    pub(super) fn publish(self, number: u32) -> Result<u64> {
        self.disk.create_folder("packs")?;
        // A rename replaces the file that has the name, and a pack would be lost.
        let name = pack_name(number);
        match self.disk.open(&name) {
            Err(error) if error.kind() == ErrorKind::NotFound => self.publish_over(number),
            Err(error) => Err(error),
            Ok(_) => {
                let detail = "there is a file of this name";
                Err(Error::new(ErrorKind::Conflict, "create pack", self.disk.display(&name), detail))
            }
        }
    }

    /// Gives the pack a number, durably, and replaces the pack that has it. Returns its length, in bytes. The caller
    /// holds the store's lock.
    pub(super) fn publish_over(mut self, number: u32) -> Result<u64> {
        assert!(self.records.is_empty(), "its last transaction was ended");
        self.entries.sort_unstable();
        let index = index::encode(self.store, self.nonce, self.length_bytes, self.last_sequence, &self.entries);
        self.disk.sync(&self.name)?;
        // The process that created the store may have died before the name of `FORMAT` was durable. Without that file
        // this pack would belong to no store.
        self.disk.sync_folder("")?;
        self.disk.rename(&self.name, &pack_name(number))?;
        self.is_published = true;
        self.disk.sync_folder("packs")?;
        write_index(self.disk, number, &index)?;
        Ok(self.length_bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.disk.write(&self.name, self.length_bytes, bytes)?;
        self.length_bytes += bytes.len() as u64;
        Ok(())
    }

    fn expect_room(&self, more_bytes: usize) -> Result<()> {
        if self.length_bytes + more_bytes as u64 <= PACK_LENGTH_MAX_BYTES {
            return Ok(());
        }
        let detail = format!("it would be longer than {PACK_LENGTH_MAX_BYTES} bytes");
        Err(Error::new(ErrorKind::Limit, "write pack", self.disk.display(&self.name), detail))
    }

    fn changed(&self, at: u64) -> Error {
        let detail = format!("the pack that is copied has changed at offset {at}");
        Error::corrupt("write pack", self.disk.display(&self.name), detail)
    }
}

impl Drop for PackWriter<'_> {
    /// Removes a pack that was not published. If that fails, the next writer removes it.
    fn drop(&mut self) {
        if !self.is_published {
            drop(self.disk.remove(&self.name));
        }
    }
}

/// Appends records and their trailer to a pack that ends at `end`, and syncs it. Returns the new end. If that fails,
/// the pack is cut back to `end`; if that fails too, the next writer cuts the torn tail.
pub(super) fn append_transaction(
    disk: &dyn Disk,
    store: StoreId,
    (number, end): (u32, u64),
    records: &[u8],
    (sequence, facts): (u64, &[u8]),
) -> Result<u64> {
    let name = pack_name(number);
    let mut transaction = records.to_vec();
    put_trailer(&mut transaction, store, 0, sequence, facts);
    let written = disk.write(&name, end, &transaction).and_then(|()| disk.sync(&name));
    if written.is_err() {
        drop(disk.truncate(&name, end).and_then(|()| disk.sync(&name)));
    }
    written.map(|()| end + transaction.len() as u64)
}

/// Writes a whole pack index. Its name is not made durable, because an index can be made again.
pub(super) fn write_index(disk: &dyn Disk, number: u32, bytes: &[u8]) -> Result<()> {
    replace(disk, &index_name(number), Durability::Whole, |temporary| disk.write(temporary, 0, bytes))
}

/// Index entries of the objects of records that begin at `start` in their pack.
pub(super) fn record_entries(records: &[u8], start: u64) -> Vec<IndexEntry> {
    let mut entries = Vec::new();
    let mut at = 0;
    while at < records.len() {
        let header = decode_record(&records[at..]).expect("a record written a moment ago");
        entries.extend(entries_of(&header, start + at as u64));
        at += header.record_length_bytes();
    }
    entries
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::PackWriter;
    use crate::disk::memory::MemoryDisk;
    use crate::disk::{Source, read_all};
    use crate::error::ErrorKind;
    use crate::format::facts::Fact;
    use crate::format::pack::{ObjectKind, PACK_HEADER_LENGTH_BYTES};
    use crate::id::{Digest, SnapshotId};
    use crate::store::{Final, NewObject, Store};
    use crate::time::Timestamp;

    /// A store of three transactions, in one pack.
    fn store() -> (MemoryDisk, Store) {
        let disk = MemoryDisk::new(1);
        let store = Store::open_or_create(Arc::new(disk.clone())).unwrap();
        for number in 0..3_u8 {
            let mut batch = store.batch();
            let content = |length| vec![number; length];
            let new =
                |bytes: Vec<u8>| NewObject { kind: ObjectKind::Content, id: Digest::of(&bytes), bytes, previous: None };
            batch.add(vec![new(content(10)), new(content(20))]).unwrap();
            let snapshot = SnapshotId(Digest::of(&[number]));
            let fact = Fact::Pinned { snapshot, pinned: true, time: Timestamp(0) };
            batch.record(|_| Ok(Final { objects: Vec::new(), facts: vec![fact] })).unwrap();
        }
        (disk, store)
    }

    #[test]
    fn a_copied_pack_is_the_same_but_for_its_nonce_and_has_a_right_index() {
        let (disk, store) = store();
        let old = read_all(&disk, "packs/000001.pack").unwrap();
        let mut writer = PackWriter::create(&disk, store.id()).unwrap();
        let range = PACK_HEADER_LENGTH_BYTES as u64..old.len() as u64;
        writer.copy_transactions(&*disk.open("packs/000001.pack").unwrap(), &range).unwrap();
        assert_eq!(writer.publish(2).unwrap(), old.len() as u64);
        let new = read_all(&disk, "packs/000002.pack").unwrap();
        assert!(new != old && new[PACK_HEADER_LENGTH_BYTES..] == old[PACK_HEADER_LENGTH_BYTES..]);
        assert!(disk.list("tmp").unwrap().is_empty());
        let fresh = Store::open(Arc::new(disk.clone())).unwrap();
        let pack = fresh.view().packs.last().cloned().unwrap();
        assert!(pack.index.is_saved() && pack.index.end() == old.len() as u64);
        assert!(pack.index.has_facts_only_up_to(3) && !pack.index.has_facts_only_up_to(2));
        assert_eq!((pack.index.entries().len(), pack.index.entries()), (6, pack.reread().unwrap().index.entries()));
    }

    #[test]
    fn a_pack_takes_no_name_that_is_taken_and_leaves_nothing() {
        let (disk, store) = store();
        let old = read_all(&disk, "packs/000001.pack").unwrap();
        let mut writer = PackWriter::create(&disk, store.id()).unwrap();
        let file = disk.open("packs/000001.pack").unwrap();
        // No record begins here.
        assert_eq!(writer.copy_transactions(&*file, &(50..60)).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(writer.push_from(&*file, &(48..50)).unwrap_err().kind(), ErrorKind::Corrupt);
        let writer = PackWriter::create(&disk, store.id()).unwrap();
        assert_eq!(writer.publish(1).unwrap_err().kind(), ErrorKind::Conflict);
        assert!(read_all(&disk, "packs/000001.pack").unwrap() == old);
    }

    /// An offset in an index has 32 bits.
    #[test]
    fn a_pack_that_would_be_too_long_is_refused() {
        let (disk, store) = store();
        let mut writer = PackWriter::create(&disk, store.id()).unwrap();
        writer.length_bytes = crate::limits::PACK_LENGTH_MAX_BYTES - 1;
        let file = disk.open("packs/000001.pack").unwrap();
        assert_eq!(writer.copy_transactions(&*file, &(48..60)).unwrap_err().kind(), ErrorKind::Limit);
        writer.push(b"a record");
        assert_eq!(writer.end_transaction(0, &[]).unwrap_err().kind(), ErrorKind::Limit);
    }
}
