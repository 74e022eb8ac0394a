//! Reading a pack from some offset on without its index: the part that a crash left out of the index, or the whole
//! pack.
//!
//! A transaction counts if it matches its hash. Where one does not, the reading goes on at the next record or trailer.
//! If a later transaction is intact, the bytes before it are a *damaged range*: every record in it with a right
//! checksum is still used. If there is none, they are a *torn tail*, the remains of a transaction that was never
//! acknowledged. Only a torn tail is ever cut. Bytes that a cache knows as recorded are never a torn tail.
//!
//! ```text
//! transaction  [ record  #broken#  record  broken trailer ]  transaction  record  rec
//!              '----- damaged range: 2 records salvaged --'               '- torn --'
//! ```
//!
//! As long as records follow each other, no payload is searched: content may hold a pack of another store. In a damaged
//! range payloads are searched, and the hash tells the transactions of the store, because its id is part of the hash.
//! The file is read through a window, so memory does not depend on its length. Each byte is hashed once with success.
//! The cost of failing checks is limited in all, because a hostile pack can claim a hundred thousand long transactions
//! that overlap (`RECOVERY_WASTE_FACTOR`).

use std::ops::Range;

use crate::disk::{StoredFile, read_pieces};
use crate::error::Result;
use crate::format::Reader;
use crate::format::facts;
use crate::format::index::IndexEntry;
use crate::format::pack::{
    HEADER_LENGTH_MAX_BYTES, PACK_HEADER_LENGTH_BYTES, RECORD_MAGIC, RecordHeader, TRAILER_MAGIC, decode_record,
    decode_trailer, record_is_intact, transaction_hash, transaction_hasher, transaction_is_intact,
};
use crate::id::StoreId;
use crate::limits::{FACTS_LENGTH_MAX_BYTES, FRAME_MEMBER_COUNT_MAX, RECOVERY_WASTE_FACTOR, RECOVERY_WASTE_MIN_BYTES};

/// The contents of a pack from some offset on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Recovered {
    /// Intact transactions, in order.
    pub(super) transactions: Vec<RecoveredTransaction>,
    /// Damaged ranges, in order.
    pub(super) damaged: Vec<DamagedRange>,
    /// The end of the last intact transaction, or of the bytes that are known as recorded. A torn tail follows.
    pub(super) end: u64,
    /// The torn tail, if a trailer is in it: its writer died before it was complete, or it is damaged.
    pub(super) tail: Option<DamagedRange>,
}

/// A transaction of a pack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveredTransaction {
    /// Its number in the order of transactions; 0 without facts.
    pub sequence: u64,
    /// The encoded facts.
    pub facts: Vec<u8>,
    /// The offset of its first record in the pack, by the length in its trailer.
    pub start: u64,
    /// The offset of its end.
    pub end: u64,
    /// Its objects, if it is intact.
    pub entries: Vec<IndexEntry>,
}

impl RecoveredTransaction {
    /// The encoded facts as a journal has them: none instead of facts that cannot be decoded. The journal covers the
    /// transaction then, and is not taken for damaged itself.
    pub(super) fn journal_facts(&self) -> &[u8] {
        if facts::decode(&self.facts).is_ok() { &self.facts } else { &facts::NONE }
    }
}

/// Bytes outside any intact transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DamagedRange {
    /// The range in the pack.
    pub place: Range<u64>,
    /// The ranges of records whose checksum is right.
    pub records: Vec<Range<u64>>,
    /// The objects in them.
    pub salvaged: Vec<IndexEntry>,
    /// Objects in records whose header can be read and whose checksum is wrong.
    pub broken: Vec<IndexEntry>,
    /// Transactions that do not match their hash, as their trailers describe them. Nothing proves their facts.
    pub unproven: Vec<RecoveredTransaction>,
}

/// A file of which a part is in memory.
pub(super) struct Window<'a> {
    file: &'a dyn StoredFile,
    store: StoreId,
    at: u64,
    bytes: Vec<u8>,
    end: u64,
    /// Bytes that may still be read to decode long headers and trailers.
    far_left: u64,
}

/// Offset of the first transaction in every pack.
pub(super) const FIRST_TRANSACTION_OFFSET: u64 = PACK_HEADER_LENGTH_BYTES as u64;

/// Bytes that a window holds.
const WINDOW_BYTES: usize = 256 << 10;

/// The cost in bytes of each place where a record or trailer seems to begin and does not.
const LOOK_COST_BYTES: u64 = 4 << 10;

/// Reads the transactions from `start` to the end of the window. Bytes before `known_end` are known as recorded, and
/// never a torn tail. Without `checks_hashes`, a transaction that ends by `known_end` counts if its records and its
/// trailer follow each other; a later one may be half written, so its hash is checked.
pub(super) fn recover(pack: &mut Window<'_>, start: u64, known_end: u64, checks_hashes: bool) -> Result<Recovered> {
    let length = pack.end.saturating_sub(start);
    let waste_left = length.saturating_mul(RECOVERY_WASTE_FACTOR).saturating_add(RECOVERY_WASTE_MIN_BYTES);
    let found = Recovered { end: start, ..Recovered::default() };
    let believed_end = if checks_hashes { 0 } else { known_end };
    let mut scan = Scan { found, open: Open::at(start), waste_left, believed_end };
    let mut at = start;
    while at < pack.end {
        pack.far_left = scan.waste_left;
        at = match scan.step(pack, at)? {
            Some(next) => next,
            None => match scan.search(pack, at)? {
                Some(next) => next,
                None => break,
            },
        };
    }
    let known_end = known_end.min(pack.end);
    if scan.open.start < known_end {
        scan.open.forget_after(known_end);
        scan.close_damage(pack, known_end)?;
        scan.found.end = known_end;
    } else if !scan.open.unproven.is_empty() {
        scan.close_damage(pack, pack.end)?;
        scan.found.tail = scan.found.damaged.pop();
    }
    Ok(scan.found)
}

/// Index entries of the objects of a record at `offset` in its pack.
pub(super) fn entries_of(header: &RecordHeader, offset: u64) -> impl Iterator<Item = IndexEntry> {
    let offset = u32::try_from(offset).expect("packs are shorter than 4 GiB");
    header.members.iter().zip(0..).map(move |(member, place)| IndexEntry {
        prefix: member.prefix,
        offset,
        member: place,
        kind: member.kind,
    })
}

/// The header of the record at `at`, if one begins there and ends within the file.
pub(super) fn record_at(pack: &mut Window<'_>, at: u64) -> Result<Option<RecordHeader>> {
    let bytes = pack.get(at, FIRST_LOOK_BYTES)?;
    if !bytes.starts_with(&RECORD_MAGIC) {
        return Ok(None);
    }
    let header = match decode_record(bytes) {
        // A header with many members may be longer than the first bytes.
        Err(_) if third_integer(bytes).is_some_and(|count| (100..=MEMBERS_MAX).contains(&count)) => {
            decode_record(pack.get_far(at, HEADER_LENGTH_MAX_BYTES)?)
        }
        header => header,
    };
    Ok(header.ok().filter(|header| header.record_length_bytes() as u64 <= pack.end - at))
}

/// True if the record at `at` matches its checksum.
pub(super) fn is_intact_at(pack: &mut Window<'_>, at: u64, header: &RecordHeader) -> Result<bool> {
    Ok(record_is_intact(header, pack.get(at, header.record_length_bytes())?))
}

/// The transaction whose trailer is at `at`, if one begins there and ends within the file; its hash is not checked.
pub(super) fn trailer_at(pack: &mut Window<'_>, at: u64) -> Result<Option<RecoveredTransaction>> {
    let bytes = pack.get(at, FIRST_LOOK_BYTES)?;
    if !bytes.starts_with(&TRAILER_MAGIC) {
        return Ok(None);
    }
    let trailer = match decode_trailer(bytes) {
        Err(_) if third_integer(bytes).is_some_and(|facts| (3_000..=FACTS_MAX_BYTES).contains(&facts)) => {
            decode_trailer(pack.get_far(at, TRAILER_LENGTH_MAX_BYTES)?)
        }
        trailer => trailer,
    };
    Ok(trailer.ok().map(|trailer| RecoveredTransaction {
        sequence: trailer.sequence,
        facts: trailer.facts.to_vec(),
        // None begins at 0, where the header of the pack is.
        start: at.saturating_sub(trailer.records_length_bytes),
        end: at + trailer.length_bytes as u64,
        entries: Vec::new(),
    }))
}

const MEMBERS_MAX: u64 = FRAME_MEMBER_COUNT_MAX as u64;
const FACTS_MAX_BYTES: u64 = FACTS_LENGTH_MAX_BYTES as u64;

/// The third integer after a magic: the number of members of a record, or the length of the facts in a trailer.
fn third_integer(bytes: &[u8]) -> Option<u64> {
    let mut reader = Reader::new(bytes.get(RECORD_MAGIC.len()..)?);
    reader.uint().ok()?;
    reader.uint().ok()?;
    reader.uint().ok()
}

const FIRST_LOOK_BYTES: usize = 4 << 10;

struct Scan {
    found: Recovered,
    open: Open,
    waste_left: u64,
    /// Transactions that end by this offset count without their hash.
    believed_end: u64,
}

/// The records and trailers since the last intact transaction.
#[derive(Default)]
struct Open {
    start: u64,
    /// The range of each record, and the index of its first entry.
    records: Vec<(Range<u64>, usize)>,
    entries: Vec<IndexEntry>,
    unproven: Vec<RecoveredTransaction>,
}

impl Scan {
    /// Reads the record or trailer at `at`. Returns the offset of its end; `None` where none begins.
    fn step(&mut self, pack: &mut Window<'_>, at: u64) -> Result<Option<u64>> {
        if let Some(header) = record_at(pack, at)? {
            let end = at + header.record_length_bytes() as u64;
            if pack.something_begins(end)? || self.afford(end - at, |_| is_intact_at(pack, at, &header))? {
                self.open.records.push((at..end, self.open.entries.len()));
                self.open.entries.extend(entries_of(&header, at));
                return Ok(Some(end));
            }
            return Ok(None);
        }
        let Some(transaction) = trailer_at(pack, at)? else { return Ok(None) };
        let RecoveredTransaction { start, end, .. } = transaction;
        let is_believed = end <= self.believed_end && start == self.open.start && self.open.is_framed(at);
        if self.open.has_boundary(start, at)
            && (is_believed || self.afford(end - start, |_| pack.transaction_is_intact(start, end))?)
        {
            self.close_transaction(pack, transaction)?;
        } else if pack.something_begins(end)? {
            self.open.unproven.push(transaction);
        } else {
            return Ok(None);
        }
        Ok(Some(end))
    }

    /// The offset after `at` at which a record or trailer may begin. The search adds to the waste.
    fn search(&mut self, pack: &mut Window<'_>, at: u64) -> Result<Option<u64>> {
        self.waste_left = self.waste_left.min(pack.far_left).saturating_sub(LOOK_COST_BYTES);
        pack.find_magic(at + 1)
    }

    /// Makes a check that reads `bytes`, unless failing checks have cost too much. A failing check adds to the waste.
    fn afford(&mut self, bytes: u64, check: impl FnOnce(&mut Self) -> Result<bool>) -> Result<bool> {
        if self.waste_left == 0 {
            return Ok(false);
        }
        let is_intact = check(self)?;
        if !is_intact {
            self.waste_left = self.waste_left.saturating_sub(bytes.saturating_add(LOOK_COST_BYTES));
        }
        Ok(is_intact)
    }

    /// Adds an intact transaction. The open records before it are a damaged range.
    fn close_transaction(&mut self, pack: &mut Window<'_>, mut transaction: RecoveredTransaction) -> Result<()> {
        let start = transaction.start;
        let first = self.open.records.partition_point(|(place, _)| place.start < start);
        let first_entry = self.open.records.get(first).map_or(self.open.entries.len(), |(_, entry)| *entry);
        transaction.entries = self.open.entries.split_off(first_entry);
        self.open.records.truncate(first);
        if self.open.start < start {
            self.close_damage(pack, start)?;
        }
        self.open = Open::at(transaction.end);
        self.found.end = transaction.end;
        self.found.transactions.push(transaction);
        Ok(())
    }

    /// Adds the open records up to `end` as a damaged range: those with a right checksum, and the broken ones.
    fn close_damage(&mut self, pack: &mut Window<'_>, end: u64) -> Result<()> {
        // Each record is read once more. They do not overlap, so that needs no limit.
        pack.far_left = u64::MAX;
        let open = std::mem::take(&mut self.open);
        let mut range = DamagedRange { place: open.start..end, unproven: open.unproven, ..DamagedRange::default() };
        for (number, (place, first)) in open.records.iter().enumerate() {
            let last = open.records.get(number + 1).map_or(open.entries.len(), |(_, next)| *next);
            let is_intact = match record_at(pack, place.start)? {
                Some(header) => is_intact_at(pack, place.start, &header)?,
                None => false,
            };
            if is_intact {
                range.records.push(place.clone());
                range.salvaged.extend_from_slice(&open.entries[*first..last]);
            } else {
                range.broken.extend_from_slice(&open.entries[*first..last]);
            }
        }
        self.found.damaged.push(range);
        Ok(())
    }
}

impl Open {
    fn at(start: u64) -> Self {
        Self { start, ..Self::default() }
    }

    /// True if a transaction whose trailer is at `trailer_at` may begin at `start`.
    fn has_boundary(&self, start: u64, trailer_at: u64) -> bool {
        let is_record = || self.records.binary_search_by_key(&start, |(place, _)| place.start).is_ok();
        start >= self.start && (start == self.start || start == trailer_at || is_record())
    }

    /// True if the records fill the whole range up to a trailer at `trailer_at`.
    fn is_framed(&self, trailer_at: u64) -> bool {
        let filled: u64 = self.records.iter().map(|(place, _)| place.end - place.start).sum();
        self.start + filled == trailer_at
    }

    /// Drops the records and trailers that do not end by `end`.
    fn forget_after(&mut self, end: u64) {
        let kept = self.records.partition_point(|(place, _)| place.end <= end);
        if let Some((_, first)) = self.records.get(kept) {
            self.entries.truncate(*first);
        }
        self.records.truncate(kept);
        self.unproven.retain(|transaction| transaction.end <= end);
    }
}

/// The longest trailer: magic, three integers, facts, hash.
const TRAILER_LENGTH_MAX_BYTES: usize = 4 + 3 * 9 + FACTS_LENGTH_MAX_BYTES + 16;

impl<'a> Window<'a> {
    /// A window on a pack of `store` that ends at `end`.
    pub(super) fn new(file: &'a dyn StoredFile, store: StoreId, end: u64) -> Self {
        Self { file, store, at: 0, bytes: Vec::new(), end, far_left: u64::MAX }
    }

    /// The `length` bytes from `offset` on, or fewer at the end of the file.
    pub(super) fn get(&mut self, offset: u64, length: usize) -> Result<&[u8]> {
        let wanted_end = offset.saturating_add(length as u64).min(self.end);
        if offset < self.at || wanted_end > self.at + self.bytes.len() as u64 {
            let left = self.end.saturating_sub(offset);
            let wanted = usize::try_from(left).map_or(usize::MAX, |left| left).min(length.max(WINDOW_BYTES));
            self.bytes.resize(wanted, 0);
            let read = self.file.read_at(offset, &mut self.bytes)?;
            self.bytes.truncate(read);
            self.at = offset;
        }
        let start = usize::try_from(offset - self.at).expect("the window is in memory").min(self.bytes.len());
        let end = start.saturating_add(length).min(self.bytes.len());
        Ok(&self.bytes[start..end])
    }

    /// As [`Self::get`] for long headers and trailers; no bytes once such reads have cost too much.
    fn get_far(&mut self, offset: u64, length: usize) -> Result<&[u8]> {
        if self.far_left == 0 {
            return Ok(&[]);
        }
        self.far_left = self.far_left.saturating_sub(length as u64);
        self.get(offset, length)
    }

    /// True if a record or a trailer seems to begin at `at`, or the file ends there. The window does not move.
    fn something_begins(&mut self, at: u64) -> Result<bool> {
        let mut four = [0; RECORD_MAGIC.len()];
        match self.held(at, at.saturating_add(four.len() as u64)) {
            Some(bytes) => four.copy_from_slice(bytes),
            None => drop(self.file.read_at(at, &mut four)?),
        }
        Ok(at == self.end || four == RECORD_MAGIC || four == TRAILER_MAGIC)
    }

    /// The bytes of a range, if all of them are in memory.
    fn held(&self, start: u64, end: u64) -> Option<&[u8]> {
        let first = usize::try_from(start.checked_sub(self.at)?).ok()?;
        let last = usize::try_from(end.checked_sub(self.at)?).ok()?;
        self.bytes.get(first..last)
    }

    /// The next offset at which a record or trailer seems to begin.
    fn find_magic(&mut self, from: u64) -> Result<Option<u64>> {
        let mut at = from;
        loop {
            let bytes = self.get(at, FIRST_LOOK_BYTES)?;
            if bytes.len() < RECORD_MAGIC.len() {
                return Ok(None);
            }
            if bytes.contains(&RECORD_MAGIC[0]) {
                let mut fours = bytes.windows(RECORD_MAGIC.len());
                if let Some(found) = fours.position(|four| four == RECORD_MAGIC || four == TRAILER_MAGIC) {
                    return Ok(Some(at + found as u64));
                }
            }
            at += (bytes.len() + 1 - RECORD_MAGIC.len()) as u64;
        }
    }

    /// True if the transaction from `start` to `end` matches the hash at its end.
    fn transaction_is_intact(&mut self, start: u64, end: u64) -> Result<bool> {
        if let Some(held) = self.held(start, end) {
            return Ok(transaction_is_intact(self.store, held));
        }
        let mut hasher = transaction_hasher(self.store);
        let mut wanted = [0; 16];
        let hashed_end = end - wanted.len() as u64;
        read_pieces(self.file, start..hashed_end, |_, piece| {
            hasher.update(piece);
            Ok(())
        })?;
        Ok(self.file.read_at(hashed_end, &mut wanted)? == wanted.len() && transaction_hash(&hasher) == wanted)
    }
}

#[cfg(test)]
mod tests;
