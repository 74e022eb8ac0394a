//! Pack indexes: the position of each object in a pack (store-format.md, chapter 8).
//!
//! ```text
//! header  sorted entries  group*
//! group = magic  count  end of the pack it covers  entries  checksum
//! ```
//!
//! The sorted part is searched in place by interpolation, because ids are uniform. A group is appended for later
//! transactions, so that a small snapshot never rewrites the file. Everything here can be rebuilt from the pack.

use super::bytes::{check_header, file_start, put_checksum};
use super::pack::{ObjectKey, ObjectKind};
use super::{Malformed, Reader, checksum};
use crate::id::StoreId;

/// First bytes of a pack index.
pub const INDEX_MAGIC: [u8; 8] = *b"\xd7RETINDX";
/// First bytes of a group.
pub const GROUP_MAGIC: [u8; 4] = *b"\xd7GRP";
/// Length of the header, in bytes.
pub const INDEX_HEADER_LENGTH_BYTES: usize = 8 + 4 + 4 + 16 + 16 + 8 + 8 + 4 + 4;
/// Length of one entry, in bytes.
pub const INDEX_ENTRY_LENGTH_BYTES: usize = 16 + 4 + 2 + 1 + 1;

const GROUP_HEADER_LENGTH_BYTES: usize = 4 + 4 + 8;

/// The header of a pack index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexHeader {
    /// The store it belongs to.
    pub store: StoreId,
    /// The nonce of its pack.
    pub pack_nonce: [u8; 16],
    /// End of the part of the pack that the sorted entries cover, in bytes.
    pub sorted_end: u64,
    /// Highest sequence of a transaction in that part. A reader whose journal has it need not search that part for
    /// facts.
    pub last_sequence: u64,
    /// Number of sorted entries.
    pub count: u32,
    /// CRC-32 of the sorted entries.
    pub entries_checksum: u32,
}

/// The place of an object in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IndexEntry {
    /// First 16 bytes of its id.
    pub prefix: [u8; 16],
    /// Offset of its record in the pack, in bytes.
    pub offset: u32,
    /// Its index among the members of the record.
    pub member: u16,
    /// The kind of the object.
    pub kind: ObjectKind,
}

impl IndexEntry {
    /// The key of the object.
    pub fn key(&self) -> ObjectKey {
        ObjectKey { kind: self.kind, prefix: self.prefix }
    }
}

/// The decoded unsorted part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// Entries of all groups, in order.
    pub entries: Vec<IndexEntry>,
    /// End of the part of the pack that the last group covers, in bytes; `None` without groups.
    pub end: Option<u64>,
    /// Length of the intact groups, in bytes. Anything after them may be overwritten.
    pub length_bytes: usize,
}

/// Encodes a pack index without groups. `entries` must be sorted.
pub fn encode(
    store: StoreId,
    pack_nonce: [u8; 16],
    sorted_end: u64,
    last_sequence: u64,
    entries: &[IndexEntry],
) -> Vec<u8> {
    assert!(entries.is_sorted(), "an index is sorted");
    let mut body = Vec::with_capacity(entries.len() * INDEX_ENTRY_LENGTH_BYTES);
    entries.iter().for_each(|entry| put_entry(&mut body, entry));
    let count = u32::try_from(entries.len()).expect("a pack of 2 GiB has fewer than 2^32 objects");
    let mut out = file_start(INDEX_MAGIC, INDEX_HEADER_LENGTH_BYTES + body.len());
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&store.0);
    out.extend_from_slice(&pack_nonce);
    out.extend_from_slice(&sorted_end.to_le_bytes());
    out.extend_from_slice(&last_sequence.to_le_bytes());
    out.extend_from_slice(&checksum(&[&body]).to_le_bytes());
    put_checksum(&mut out, 0);
    out.extend_from_slice(&body);
    out
}

/// Decodes the header and checks that all sorted entries are present; [`entries_are_intact`] checks their content.
pub fn decode_header(bytes: &[u8]) -> Result<IndexHeader, Malformed> {
    let mut reader = check_header(bytes, INDEX_MAGIC, INDEX_HEADER_LENGTH_BYTES, "an index")?;
    let count = reader.u32()?;
    let header = IndexHeader {
        store: StoreId(reader.array()?),
        pack_nonce: reader.array()?,
        sorted_end: reader.u64()?,
        last_sequence: reader.u64()?,
        count,
        entries_checksum: reader.u32()?,
    };
    Reader::new(&bytes[INDEX_HEADER_LENGTH_BYTES..]).take(sorted_length_bytes(&header))?;
    Ok(header)
}

/// True if the sorted entries match their checksum and are in order.
pub fn entries_are_intact(header: &IndexHeader, bytes: &[u8]) -> bool {
    let Some(body) = bytes[INDEX_HEADER_LENGTH_BYTES..].get(..sorted_length_bytes(header)) else { return false };
    let (entries, _) = body.as_chunks::<INDEX_ENTRY_LENGTH_BYTES>();
    checksum(&[body]) == header.entries_checksum && entries.is_sorted_by(|a, b| a[..16] <= b[..16])
}

/// The sorted entry at `position`, if it exists and is valid.
pub fn entry_at(header: &IndexHeader, bytes: &[u8], position: usize) -> Option<IndexEntry> {
    if position >= header.count as usize {
        return None;
    }
    let start = INDEX_HEADER_LENGTH_BYTES + position * INDEX_ENTRY_LENGTH_BYTES;
    decode_entry(&mut Reader::new(bytes.get(start..start + INDEX_ENTRY_LENGTH_BYTES)?)).ok()
}

/// Position of the first sorted entry that is not below `prefix`.
///
/// It interpolates first, because ids are uniform: a few probes where a binary search takes twenty. A table that is not
/// uniform (hostile or damaged) ends in a binary search, so the number of probes is always logarithmic.
pub fn lower_bound(header: &IndexHeader, bytes: &[u8], prefix: &[u8; 16]) -> usize {
    let entries = &bytes[INDEX_HEADER_LENGTH_BYTES..][..sorted_length_bytes(header)];
    let (entries, _) = entries.as_chunks::<INDEX_ENTRY_LENGTH_BYTES>();
    let lead = |bytes: &[u8]| bytes[..4].iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
    let (mut low, mut high) = (0, entries.len());
    for _ in 0..INTERPOLATION_STEPS {
        if high - low < 8 {
            break;
        }
        let (first, last) = (lead(&entries[low]), lead(&entries[high - 1]));
        let wanted = lead(prefix);
        let span = last.saturating_sub(first).max(1);
        let guess = (high - low - 1) as u64 * wanted.saturating_sub(first).min(span) / span;
        let middle = low + usize::try_from(guess).expect("no more than the number of entries");
        if entries[middle][..16] < prefix[..] {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low + entries[low..high].partition_point(|entry| entry[..16] < prefix[..])
}

/// Appends a group that covers the pack up to `end`.
pub fn put_group(out: &mut Vec<u8>, end: u64, entries: &[IndexEntry]) {
    let start = out.len();
    let count = u32::try_from(entries.len()).expect("a transaction has fewer than 2^32 objects");
    out.extend_from_slice(&GROUP_MAGIC);
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&end.to_le_bytes());
    entries.iter().for_each(|entry| put_entry(out, entry));
    put_checksum(out, start);
}

/// Decodes the groups after the sorted entries, up to the first that is not intact.
pub fn decode_tail(header: &IndexHeader, bytes: &[u8]) -> Tail {
    let start = INDEX_HEADER_LENGTH_BYTES + sorted_length_bytes(header);
    let mut tail = Tail::default();
    let mut rest = bytes.get(start..).unwrap_or_default();
    let mut end = header.sorted_end;
    while let Some((entries, group_end, length)) = decode_group(rest) {
        if group_end < end {
            break;
        }
        end = group_end;
        tail.entries.extend(entries);
        tail.end = Some(end);
        tail.length_bytes += length;
        rest = &rest[length..];
    }
    tail
}

/// Length of the sorted entries, in bytes.
pub fn sorted_length_bytes(header: &IndexHeader) -> usize {
    header.count as usize * INDEX_ENTRY_LENGTH_BYTES
}

const INTERPOLATION_STEPS: usize = 4;

fn put_entry(out: &mut Vec<u8>, entry: &IndexEntry) {
    out.extend_from_slice(&entry.prefix);
    out.extend_from_slice(&entry.offset.to_le_bytes());
    out.extend_from_slice(&entry.member.to_le_bytes());
    out.push(entry.kind.code());
    out.push(0);
}

fn decode_entry(reader: &mut Reader<'_>) -> Result<IndexEntry, Malformed> {
    let entry = IndexEntry {
        prefix: reader.array()?,
        offset: reader.u32()?,
        member: reader.u16()?,
        kind: ObjectKind::from_code(reader.u8()?)?,
    };
    if reader.u8()? != 0 {
        return Err(Malformed::new("an index entry has a reserved byte set"));
    }
    Ok(entry)
}

fn decode_group(bytes: &[u8]) -> Option<(Vec<IndexEntry>, u64, usize)> {
    let mut reader = Reader::new(bytes);
    if reader.array().ok()? != GROUP_MAGIC {
        return None;
    }
    let count = reader.u32().ok()? as usize;
    let end = reader.u64().ok()?;
    let length = count.checked_mul(INDEX_ENTRY_LENGTH_BYTES)?;
    let body = reader.take(length).ok()?;
    if reader.u32().ok()? != checksum(&[&bytes[..GROUP_HEADER_LENGTH_BYTES + length]]) {
        return None;
    }
    let mut body = Reader::new(body);
    let entries = (0..count).map(|_| decode_entry(&mut body)).collect::<Result<_, _>>().ok()?;
    Some((entries, end, GROUP_HEADER_LENGTH_BYTES + length + 4))
}
