//! Reads a pack from some place on, without an index: what a crash left unindexed, or a whole pack whose index is gone.
//!
//! A transaction counts when it matches its hash. Where it does not, the reading goes on at the next record or trailer:
//! if a later transaction is intact, the bytes before it are *damage*, of which every record with a right checksum is
//! still used; if there is none, they are a *torn tail*, the remains of a transaction that was never acknowledged. Only
//! a torn tail is ever cut, so what a cache has known as recorded is never taken for one.
//!
//! ```text
//! transaction  [ record  #broken#  record  broken trailer ]  transaction  record  rec
//!              '---- damage: two records are salvaged ---'               '- torn -'
//! ```
//!
//! As long as records follow each other, nothing is looked for inside a payload: content may hold a pack of another
//! store, and its transactions are not ours; where damage makes them be looked at all the same, their hash tells,
//! because the store is part of it. The file is read through a window, so memory does not depend on its length. Each
//! byte is hashed at most once to a success; what failing checks may cost in all is limited, because a hostile pack can
//! claim a hundred thousand long transactions that begin in each other (`RECOVERY_WASTE_FACTOR`).

use std::ops::Range;

use crate::disk::StoredFile;
use crate::error::Result;
use crate::format::Reader;
use crate::format::index::IndexEntry;
use crate::format::pack::{
    HEADER_LENGTH_MAX_BYTES, RECORD_MAGIC, RecordHeader, TRAILER_MAGIC, decode_record, decode_trailer,
    record_is_intact, transaction_hash, transaction_hasher,
};
use crate::id::StoreId;
use crate::limits::{FACTS_LENGTH_MAX_BYTES, FRAME_MEMBER_COUNT_MAX, RECOVERY_WASTE_FACTOR, RECOVERY_WASTE_MIN_BYTES};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Recovered {
    /// Transactions, in order.
    pub(super) transactions: Vec<RecoveredTransaction>,
    /// Damaged ranges of the pack, in order.
    pub(super) damaged: Vec<DamagedRange>,
    /// Where the last intact transaction ends, or what was known as recorded: what follows is a torn tail.
    pub(super) end: u64,
    /// The torn tail, where a trailer is in it: its writer died before all of it was written, or it is damaged.
    pub(super) tail: Option<DamagedRange>,
}

/// One intact transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RecoveredTransaction {
    /// Position in the order of transactions; 0 without facts.
    pub(super) sequence: u64,
    /// The encoded facts.
    pub(super) facts: Vec<u8>,
    /// Where its first record begins in the pack.
    pub(super) start: u64,
    /// Where it ends.
    pub(super) end: u64,
    /// Its objects.
    pub(super) entries: Vec<IndexEntry>,
}

/// Bytes outside any intact transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DamagedRange {
    /// Where it begins, and where what follows begins.
    pub place: Range<u64>,
    /// Places of records whose checksum is right.
    pub records: Vec<Range<u64>>,
    /// The objects in them.
    pub salvaged: Vec<IndexEntry>,
    /// Objects in records whose header can be read and whose checksum is wrong.
    pub broken: Vec<IndexEntry>,
    /// Transactions that are not intact, as they stand there.
    pub doubtful: Vec<DoubtfulTransaction>,
}

/// A transaction that does not match its hash. Nothing proves its facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoubtfulTransaction {
    /// Position in the order of transactions.
    pub sequence: u64,
    /// The encoded facts.
    pub facts: Vec<u8>,
    /// Where it ends in the pack.
    pub end: u64,
}

/// A file seen through a piece of it that is in memory.
pub(super) struct Window<'a> {
    file: &'a dyn StoredFile,
    store: StoreId,
    at: u64,
    bytes: Vec<u8>,
    end: u64,
    /// Bytes that may still be read to see all of something that may be long.
    far_left: u64,
}

/// Bytes read at once.
const WINDOW_BYTES: usize = 256 << 10;

/// What looking at a place where something seems to begin, and does not, counts for.
const LOOK_COST_BYTES: u64 = 4 << 10;

/// Reads the transactions from `start` to the end of what `pack` shows. What lies before `known_end` was recorded, and
/// is not a torn tail whatever it looks like. Without `checks_hashes`, a transaction up to there counts when all of it
/// follows each other; what lies beyond may be half written, and only its hash tells.
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
    } else if !scan.open.doubtful.is_empty() {
        scan.close_damage(pack, pack.end)?;
        scan.found.tail = scan.found.damaged.pop();
    }
    Ok(scan.found)
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

/// The header of the record at `at`, if one begins there and ends within the file.
pub(super) fn record_at(pack: &mut Window<'_>, at: u64) -> Result<Option<RecordHeader>> {
    let bytes = pack.get(at, FIRST_LOOK_BYTES)?;
    if !bytes.starts_with(&RECORD_MAGIC) {
        return Ok(None);
    }
    let header = match decode_record(bytes) {
        // A header with many members may be longer than the first look.
        Err(_) if third_integer(bytes).is_some_and(|count| (100..=MEMBERS_MAX).contains(&count)) => {
            decode_record(pack.get_far(at, HEADER_LENGTH_MAX_BYTES)?)
        }
        header => header,
    };
    Ok(header.ok().filter(|header| header.record_length_bytes() as u64 <= pack.end - at))
}

/// Whether the record at `at` matches its checksum.
pub(super) fn is_intact_at(pack: &mut Window<'_>, at: u64, header: &RecordHeader) -> Result<bool> {
    Ok(record_is_intact(header, pack.get(at, header.record_length_bytes())?))
}

/// A trailer, of a transaction that may or may not be intact.
struct TrailerAt {
    sequence: u64,
    records_length_bytes: u64,
    facts: Vec<u8>,
    end: u64,
}

/// The trailer at `at`, if one begins there and ends within the file.
fn trailer_at(pack: &mut Window<'_>, at: u64) -> Result<Option<TrailerAt>> {
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
    Ok(trailer.ok().map(|trailer| TrailerAt {
        sequence: trailer.sequence,
        records_length_bytes: trailer.records_length_bytes,
        facts: trailer.facts.to_vec(),
        end: at + trailer.length_bytes as u64,
    }))
}

/// The end of the transaction whose trailer is at `at`, and its sequence.
pub(super) fn transaction_end(pack: &mut Window<'_>, at: u64) -> Result<Option<(u64, u64)>> {
    Ok(trailer_at(pack, at)?.map(|trailer| (trailer.end, trailer.sequence)))
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
    /// A transaction that ends here or before counts without its hash.
    believed_end: u64,
}

/// What was met since the last intact transaction.
#[derive(Default)]
struct Open {
    start: u64,
    /// Place of each record, and where its entries begin.
    records: Vec<(Range<u64>, usize)>,
    entries: Vec<IndexEntry>,
    doubtful: Vec<DoubtfulTransaction>,
}

impl Scan {
    /// Takes in what begins at `at`, and returns where it ends; `None` where nothing begins there.
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
        let Some(TrailerAt { sequence, records_length_bytes, facts, end }) = trailer_at(pack, at)? else {
            return Ok(None);
        };
        let start = at.checked_sub(records_length_bytes).filter(|start| self.open.has_boundary(*start, at));
        let is_framed = || start == Some(self.open.start) && self.open.is_framed(at);
        let is_believed = end <= self.believed_end && is_framed();
        if let Some(start) = start
            && (is_believed || self.afford(end - start, |_| pack.transaction_is_intact(start, end))?)
        {
            self.close_transaction(
                pack,
                start,
                RecoveredTransaction { sequence, facts, start, end, entries: Vec::new() },
            )?;
            return Ok(Some(end));
        }
        if !pack.something_begins(end)? {
            return Ok(None);
        }
        self.open.doubtful.push(DoubtfulTransaction { sequence, facts, end });
        Ok(Some(end))
    }

    /// Nothing begins at `at`: where something may begin next. What was looked at in vain counts.
    fn search(&mut self, pack: &mut Window<'_>, at: u64) -> Result<Option<u64>> {
        self.waste_left = self.waste_left.min(pack.far_left).saturating_sub(LOOK_COST_BYTES);
        pack.find_magic(at + 1)
    }

    /// Makes a check that reads so many bytes, unless too much was spent on failing ones.
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

    /// A transaction that begins at `start` is intact: what was met before it is damage.
    fn close_transaction(
        &mut self,
        pack: &mut Window<'_>,
        start: u64,
        mut transaction: RecoveredTransaction,
    ) -> Result<()> {
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

    /// What was met, up to `end`, is damage: sorts its records into good and broken ones.
    fn close_damage(&mut self, pack: &mut Window<'_>, end: u64) -> Result<()> {
        // Each record is looked at once more, as far as it goes: they do not overlap.
        pack.far_left = u64::MAX;
        let open = std::mem::take(&mut self.open);
        let mut range = DamagedRange { place: open.start..end, doubtful: open.doubtful, ..DamagedRange::default() };
        for (number, (place, first)) in open.records.iter().enumerate() {
            let last = open.records.get(number + 1).map_or(open.entries.len(), |(_, next)| *next);
            let header = record_at(pack, place.start)?;
            let is_intact = match &header {
                Some(header) => is_intact_at(pack, place.start, header)?,
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

    /// Whether a transaction whose trailer is at `trailer_at` may begin at `start`.
    fn has_boundary(&self, start: u64, trailer_at: u64) -> bool {
        let is_record = || self.records.binary_search_by_key(&start, |(place, _)| place.start).is_ok();
        start >= self.start && (start == self.start || start == trailer_at || is_record())
    }

    /// Whether the records fill all of the space up to a trailer at `trailer_at`.
    fn is_framed(&self, trailer_at: u64) -> bool {
        let filled: u64 = self.records.iter().map(|(place, _)| place.end - place.start).sum();
        self.start + filled == trailer_at
    }

    /// Drops what does not end by `end`.
    fn forget_after(&mut self, end: u64) {
        let kept = self.records.partition_point(|(place, _)| place.end <= end);
        if let Some((_, first)) = self.records.get(kept) {
            self.entries.truncate(*first);
        }
        self.records.truncate(kept);
        self.doubtful.retain(|transaction| transaction.end <= end);
    }
}

/// The longest trailer: magic, three integers, facts, hash.
const TRAILER_LENGTH_MAX_BYTES: usize = 4 + 3 * 9 + FACTS_LENGTH_MAX_BYTES + 16;

impl<'a> Window<'a> {
    /// Looks at `file` up to `end`, for transactions of `store`.
    pub(super) fn new(file: &'a dyn StoredFile, store: StoreId, end: u64) -> Self {
        Self { file, store, at: 0, bytes: Vec::new(), end, far_left: u64::MAX }
    }

    /// The bytes from `offset` on: `length` of them, or as many as there are.
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

    /// The same for something long, while there is something left of what such looks may cost.
    fn get_far(&mut self, offset: u64, length: usize) -> Result<&[u8]> {
        if self.far_left == 0 {
            return Ok(&[]);
        }
        self.far_left = self.far_left.saturating_sub(length as u64);
        self.get(offset, length)
    }

    /// Returns true if a record or a trailer begins at `at`, or the file ends there. Looking far ahead leaves the
    /// window where it is.
    fn something_begins(&mut self, at: u64) -> Result<bool> {
        let mut four = [0; RECORD_MAGIC.len()];
        match self.held(at, at.saturating_add(four.len() as u64)) {
            Some(bytes) => four.copy_from_slice(bytes),
            None => drop(self.file.read_at(at, &mut four)?),
        }
        Ok(at == self.end || four == RECORD_MAGIC || four == TRAILER_MAGIC)
    }

    /// Bytes that are in memory, all of them or none.
    fn held(&self, start: u64, end: u64) -> Option<&[u8]> {
        let first = usize::try_from(start.checked_sub(self.at)?).ok()?;
        let last = usize::try_from(end.checked_sub(self.at)?).ok()?;
        self.bytes.get(first..last)
    }

    /// Where the next record or trailer seems to begin.
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

    /// Whether the transaction from its first record at `start` to the end of its trailer matches the hash at its end.
    fn transaction_is_intact(&mut self, start: u64, end: u64) -> Result<bool> {
        let Some(hashed_end) = end.checked_sub(16).filter(|hashed_end| *hashed_end > start) else { return Ok(false) };
        let mut hasher = transaction_hasher(self.store);
        if let Some(transaction) = self.held(start, end) {
            let (hashed, wanted) = transaction.split_at(transaction.len() - 16);
            return Ok(transaction_hash(hasher.update(hashed)) == *wanted);
        }
        let mut at = start;
        let mut piece = vec![0; WINDOW_BYTES];
        while at < hashed_end {
            let most = usize::try_from(hashed_end - at).unwrap_or(usize::MAX).min(WINDOW_BYTES);
            let read = self.file.read_at(at, &mut piece[..most])?;
            if read == 0 {
                return Ok(false);
            }
            hasher.update(&piece[..read]);
            at += read as u64;
        }
        let mut wanted = [0; 16];
        Ok(self.file.read_at(hashed_end, &mut wanted)? == 16 && transaction_hash(&hasher) == wanted)
    }
}

#[cfg(test)]
mod tests;
