//! The file `journal`: a copy of the facts of all transactions, in order (store-format.md, chapter 8).
//!
//! A group is appended after its transaction is durable, and not synced. After a power loss, the missing facts are read
//! again from the packs, starting at the pack and offset that the last group names. Losing the journal loses nothing,
//! and an intact one is a second copy of the facts of every transaction.

use super::bytes::{check_header, file_start, put_checksum};
use super::{Malformed, Reader, checksum, put_bytes, put_uint};
use crate::id::StoreId;
use crate::limits::FACTS_LENGTH_MAX_BYTES;

/// First bytes of the file.
pub const JOURNAL_MAGIC: [u8; 8] = *b"\xd7RETJRNL";
/// First bytes of a group.
pub const JOURNAL_GROUP_MAGIC: [u8; 4] = *b"\xd7JRN";
/// Length of the header, in bytes.
pub const JOURNAL_HEADER_LENGTH_BYTES: usize = 8 + 4 + 16 + 4;

/// Longest group, in bytes: its facts and some numbers.
pub const GROUP_LENGTH_MAX_BYTES: usize = FACTS_LENGTH_MAX_BYTES + 64;

/// The facts of one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalGroup<'a> {
    /// Position in the order of all transactions, from 1.
    pub sequence: u64,
    /// Number of the pack that holds the transaction.
    pub pack: u32,
    /// Offset of the end of the transaction in that pack, in bytes.
    pub pack_end: u64,
    /// The encoded facts.
    pub facts: &'a [u8],
}

/// The groups of a journal up to the first that is not intact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journal<'a> {
    /// The groups in ascending order of sequence.
    pub groups: Vec<JournalGroup<'a>>,
    /// Length of the header and the intact groups, in bytes. Anything after them may be overwritten.
    pub length_bytes: usize,
}

/// Encodes the header.
pub fn encode_header(store: StoreId) -> Vec<u8> {
    let mut out = file_start(JOURNAL_MAGIC, JOURNAL_HEADER_LENGTH_BYTES);
    out.extend_from_slice(&store.0);
    put_checksum(&mut out, 0);
    out
}

/// Appends a group.
pub fn put_group(out: &mut Vec<u8>, group: &JournalGroup<'_>) {
    let start = out.len();
    out.extend_from_slice(&JOURNAL_GROUP_MAGIC);
    put_uint(out, group.sequence);
    put_uint(out, u64::from(group.pack));
    put_uint(out, group.pack_end);
    put_bytes(out, group.facts);
    put_checksum(out, start);
}

/// Decodes the header: the store that the journal belongs to.
pub fn decode_header(bytes: &[u8]) -> Result<StoreId, Malformed> {
    let mut reader = check_header(bytes, JOURNAL_MAGIC, JOURNAL_HEADER_LENGTH_BYTES, "a journal")?;
    Ok(StoreId(reader.array()?))
}

/// Decodes a journal. A damaged header makes the whole file useless; a damaged group ends it.
pub fn decode(bytes: &[u8], store: StoreId) -> Result<Journal<'_>, Malformed> {
    let found = decode_header(bytes)?;
    if found != store {
        return Err(Malformed::new(format!("it belongs to store {found}")));
    }
    let mut journal = Journal { groups: Vec::new(), length_bytes: JOURNAL_HEADER_LENGTH_BYTES };
    let mut last = 0;
    while let Some((group, length)) = decode_group(&bytes[journal.length_bytes..]) {
        if group.sequence <= last {
            break;
        }
        last = group.sequence;
        journal.groups.push(group);
        journal.length_bytes += length;
    }
    Ok(journal)
}

/// Intact groups at and after `start`, the end of what [`decode`] reads; for repair. All bytes are read at most twice.
pub fn salvage(bytes: &[u8], start: usize) -> Vec<JournalGroup<'_>> {
    let mut found = Vec::new();
    let mut at = start;
    let mut waste = bytes.len();
    while let Some(next) = bytes.get(at..).and_then(|rest| find(rest, &JOURNAL_GROUP_MAGIC)) {
        at += next;
        // A possible group is read up to its checksum, valid or not.
        let claimed = claimed_length(&bytes[at..]);
        if claimed > waste {
            break;
        }
        match decode_group(&bytes[at..]) {
            Some((group, length)) => {
                found.push(group);
                at += length;
            }
            None => {
                waste -= claimed;
                at += JOURNAL_GROUP_MAGIC.len();
            }
        }
    }
    found
}

/// Length of a possible group by its own numbers, in bytes, as far as it is present.
fn claimed_length(bytes: &[u8]) -> usize {
    let mut reader = Reader::new(&bytes[JOURNAL_GROUP_MAGIC.len()..]);
    let has_numbers = (0..3).all(|_| reader.uint().is_ok());
    if has_numbers && reader.bytes(FACTS_LENGTH_MAX_BYTES).is_ok() {
        bytes.len() - reader.rest().len()
    } else {
        JOURNAL_GROUP_MAGIC.len()
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn decode_group(bytes: &[u8]) -> Option<(JournalGroup<'_>, usize)> {
    let mut reader = Reader::new(bytes);
    if reader.array().ok()? != JOURNAL_GROUP_MAGIC {
        return None;
    }
    let sequence = reader.uint().ok()?;
    let pack = u32::try_from(reader.uint().ok()?).ok()?;
    let pack_end = reader.uint().ok()?;
    let facts = reader.bytes(FACTS_LENGTH_MAX_BYTES).ok()?;
    let checked = bytes.len() - reader.rest().len();
    if reader.u32().ok()? != checksum(&[&bytes[..checked]]) {
        return None;
    }
    Some((JournalGroup { sequence, pack, pack_end, facts }, checked + 4))
}
