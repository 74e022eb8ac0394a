//! Blocks of a stat cache: one folder each, looked up in place.
//!
//! Invariants of a decoded block: the ends of names ascend strictly and fill the names, every kind is known, and a
//! block of a whole folder has no line for a deleted name. Reading a line therefore never fails.

use super::super::tree::{EntryKind, MODE_MASK};
use super::super::{Malformed, Reader, checksum};
use super::PathKey;
use crate::id::{Digest, TreeId};

/// Length of one line without its name, in bytes.
const LINE_LENGTH_BYTES: usize = 4 + 2 + 1 + 1 + 4 * 8 + 32;

const BLOCK_HEADER_LENGTH_BYTES: usize = 4 + 16 + 4 + 4 + 4 + 32 + 8 + 8;
const KIND_GONE: u8 = 0;
const FLAG_RACY: u8 = 1;
const FLAG_OTHER_DEVICE: u8 = 2;
const FLAG_AHEAD: u8 = 4;
const FLAG_RECENT: u8 = 8;
const FLAG_ATTRIBUTES: u8 = 16;
const FLAG_ATTRIBUTES_BELOW: u8 = 32;
const FLAGS: u8 = FLAG_RACY | FLAG_AHEAD | FLAG_RECENT | FLAG_OTHER_DEVICE | FLAG_ATTRIBUTES | FLAG_ATTRIBUTES_BELOW;
const BIT_DIFFERENCE: u32 = 1;
const BIT_ATTRIBUTES: u32 = 2;

/// The part of its folder that a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All entries.
    Whole,
    /// Only the entries that differ from earlier blocks of the same folder.
    Difference,
}

/// Facts about a whole folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FolderFacts {
    /// The id of its tree.
    pub tree: TreeId,
    /// Sum of the sizes below it, in bytes.
    pub size: u64,
    /// Device number of its file system.
    pub device: u64,
    /// True if anything in it or below it has attributes.
    pub has_attributes: bool,
}

/// The stat cache's entry for one name in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachedEntry<'a> {
    /// Name within the folder.
    pub name: &'a [u8],
    /// The kind of the entry.
    pub kind: EntryKind,
    /// Permission bits of the stat, in which an ACL shows its mask for the group; 0 for symlinks.
    pub mode: u16,
    /// The strength of the proof that equal stats mean equal content.
    pub proof: Proof,
    /// True if it is on another file system than its folder, as a file that is a mount point.
    pub is_on_other_device: bool,
    /// Length of content or target in bytes; for a folder, the sum of all below it.
    pub size: u64,
    /// Modification time in nanoseconds since 1970; 0 for folders.
    pub mtime_ns: i64,
    /// Change time in nanoseconds since 1970.
    pub ctime_ns: i64,
    /// Inode number.
    pub inode: u64,
    /// Id of the content, target or tree.
    pub id: Digest,
    /// Its own attributes, encoded by [`crate::format::attributes::encode_set`]; empty if it has none.
    pub attributes: &'a [u8],
    /// True if anything in this folder or below it has attributes.
    pub has_attributes_below: bool,
}

/// The strength of the proof that equal stats mean equal content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proof {
    /// No proof: the content may have changed within one tick of the clock.
    Racy,
    /// A proof as long as the times are ahead of the clock, because a change would get an earlier time.
    Ahead,
    /// A proof against all changes except through a memory map: the file was read soon after it had changed, and
    /// somebody may have had it open for writing.
    Recent,
    /// A full proof, as far as the file system is reliable.
    Settled,
}

/// A line of a block: an entry, or a name that was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// An existing name.
    Entry(CachedEntry<'a>),
    /// A deleted name.
    Gone(&'a [u8]),
}

/// A block with a valid checksum.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// The part of the folder that it holds.
    pub extent: Extent,
    /// The folder as a whole.
    pub facts: FolderFacts,
    /// The key of the folder.
    pub key: PathKey,
    entries: &'a [[u8; LINE_LENGTH_BYTES]],
    names: &'a [u8],
}

impl<'a> Line<'a> {
    /// The name of the line.
    pub fn name(&self) -> &'a [u8] {
        match self {
            Self::Entry(entry) => entry.name,
            Self::Gone(name) => name,
        }
    }
}

impl<'a> Block<'a> {
    /// Number of lines.
    pub fn line_count(&self) -> usize {
        self.entries.len()
    }

    /// The line at `index`, which must be below [`Self::line_count`].
    pub fn line(&self, index: usize) -> Line<'a> {
        let start = index.checked_sub(1).map_or(0, |before| name_end(&self.entries[before]));
        let entry = &self.entries[index];
        let (name, attributes) = split_name(&self.names[start..name_end(entry)], entry);
        let Some(kind) = EntryKind::from_code(entry[6]) else { return Line::Gone(name) };
        let word = |at: usize| entry[at..at + 8].first_chunk().copied().expect("eight bytes were cut out");
        Line::Entry(CachedEntry {
            name,
            kind,
            mode: u16::from_le_bytes([entry[4], entry[5]]) & MODE_MASK,
            proof: proof_of(entry[7]),
            is_on_other_device: entry[7] & FLAG_OTHER_DEVICE != 0,
            size: u64::from_le_bytes(word(8)),
            mtime_ns: i64::from_le_bytes(word(16)),
            ctime_ns: i64::from_le_bytes(word(24)),
            inode: u64::from_le_bytes(word(32)),
            id: Digest(entry[40..].first_chunk().copied().expect("an id ends the entry")),
            attributes,
            has_attributes_below: entry[7] & FLAG_ATTRIBUTES_BELOW != 0,
        })
    }

    /// Index of the line for `name`.
    pub fn position(&self, name: &[u8]) -> Option<usize> {
        let (mut low, mut high) = (0, self.line_count());
        while low < high {
            let middle = low.midpoint(high);
            match self.line(middle).name().cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// All lines, ascending by name.
    pub fn lines(self) -> impl Iterator<Item = Line<'a>> {
        (0..self.line_count()).map(move |index| self.line(index))
    }
}

/// Appends a block. `lines` must ascend strictly by name. Fails if the folder has more than 4 GiB of names and stats.
pub fn put_block<'a>(
    out: &mut Vec<u8>,
    key: PathKey,
    extent: Extent,
    facts: &FolderFacts,
    lines: impl Iterator<Item = Line<'a>>,
) -> Result<(), Malformed> {
    let start = out.len();
    out.extend_from_slice(&[0; BLOCK_HEADER_LENGTH_BYTES]);
    let (mut count, mut names) = (0_usize, Vec::new());
    for line in lines {
        names.extend_from_slice(line.name());
        if let Line::Entry(CachedEntry { attributes, .. }) = line
            && !attributes.is_empty()
        {
            names.push(0);
            names.extend_from_slice(attributes);
        }
        put_line(out, &line, short(names.len())?);
        count += 1;
    }
    out.extend_from_slice(&names);
    short(out.len() - start)?;
    let mut header = Vec::with_capacity(BLOCK_HEADER_LENGTH_BYTES);
    header.extend_from_slice(&[0; 4]);
    header.extend_from_slice(&key.0);
    header.extend_from_slice(&short(count)?.to_le_bytes());
    header.extend_from_slice(&short(names.len())?.to_le_bytes());
    let difference = if extent == Extent::Difference { BIT_DIFFERENCE } else { 0 };
    let attributes = if facts.has_attributes { BIT_ATTRIBUTES } else { 0 };
    header.extend_from_slice(&(difference | attributes).to_le_bytes());
    header.extend_from_slice(&facts.tree.0.0);
    header.extend_from_slice(&facts.size.to_le_bytes());
    header.extend_from_slice(&facts.device.to_le_bytes());
    out[start..start + BLOCK_HEADER_LENGTH_BYTES].copy_from_slice(&header);
    let sum = checksum(&[&out[start + 4..]]);
    out[start..start + 4].copy_from_slice(&sum.to_le_bytes());
    Ok(())
}

/// Decodes a block that fills `bytes`.
pub fn decode_block(bytes: &[u8]) -> Result<Block<'_>, Malformed> {
    let mut reader = Reader::new(bytes);
    if reader.u32()? != checksum(&[reader.rest()]) {
        return Err(Malformed::new("a block does not match its checksum"));
    }
    let key = PathKey(reader.array()?);
    let count = reader.u32()? as usize;
    let names_length = reader.u32()? as usize;
    let bits = reader.u32()?;
    if bits & !(BIT_DIFFERENCE | BIT_ATTRIBUTES) != 0 {
        return Err(Malformed::new("a block has unknown flags"));
    }
    let extent = if bits & BIT_DIFFERENCE != 0 { Extent::Difference } else { Extent::Whole };
    let facts = FolderFacts {
        tree: TreeId(Digest(reader.array()?)),
        size: reader.u64()?,
        device: reader.u64()?,
        has_attributes: bits & BIT_ATTRIBUTES != 0,
    };
    let entries = reader.take(count.saturating_mul(LINE_LENGTH_BYTES))?.as_chunks().0;
    let names = reader.take(names_length)?;
    reader.finish()?;
    let ends_ascend = entries.is_sorted_by(|a, b| name_end(a) < name_end(b));
    if !ends_ascend || entries.last().map_or(0, name_end) != names_length {
        return Err(Malformed::new("the names of a block do not fill their space"));
    }
    let is_known =
        |code: u8| EntryKind::from_code(code).is_some() || (code == KIND_GONE && extent == Extent::Difference);
    if !entries.iter().all(|entry| is_known(entry[6]) && entry[7] & !FLAGS == 0) {
        return Err(Malformed::new("a line of a block has an unknown kind or flag"));
    }
    // Lines are found by binary search: in a block out of order, a line could be both found and missed.
    let (mut start, mut last) = (0, &[][..]);
    for entry in entries {
        let (name, attributes) = split_name(&names[start..name_end(entry)], entry);
        if (entry[7] & FLAG_ATTRIBUTES != 0) == attributes.is_empty() {
            return Err(Malformed::new("a line of a block lacks attributes, or has some without their flag"));
        }
        if last >= name {
            return Err(Malformed::new("the names of a block are empty, out of order or repeated"));
        }
        (start, last) = (name_end(entry), name);
    }
    Ok(Block { extent, facts, key, entries, names })
}

/// The length of the block at the start of `bytes`, in bytes, according to its own counts.
pub fn block_length_bytes(bytes: &[u8]) -> Option<usize> {
    let mut reader = Reader::new(bytes);
    reader.u32().ok()?;
    reader.array::<16>().ok()?;
    let count = reader.u32().ok()? as usize;
    let names_length = reader.u32().ok()? as usize;
    let entries_length = count.checked_mul(LINE_LENGTH_BYTES)?;
    let length = BLOCK_HEADER_LENGTH_BYTES.checked_add(entries_length)?;
    length.checked_add(names_length).filter(|&length| length <= bytes.len())
}

fn put_line(out: &mut Vec<u8>, line: &Line<'_>, name_end: u32) {
    out.extend_from_slice(&name_end.to_le_bytes());
    let Line::Entry(entry) = line else {
        out.extend_from_slice(&[0; LINE_LENGTH_BYTES - 4]);
        return;
    };
    out.extend_from_slice(&entry.mode.to_le_bytes());
    out.push(entry.kind as u8);
    let proof = match entry.proof {
        Proof::Racy => FLAG_RACY,
        Proof::Ahead => FLAG_AHEAD,
        Proof::Recent => FLAG_RECENT,
        Proof::Settled => 0,
    };
    let other = if entry.is_on_other_device { FLAG_OTHER_DEVICE } else { 0 };
    let own = if entry.attributes.is_empty() { 0 } else { FLAG_ATTRIBUTES };
    let below = if entry.has_attributes_below { FLAG_ATTRIBUTES_BELOW } else { 0 };
    out.push(proof | other | own | below);
    out.extend_from_slice(&entry.size.to_le_bytes());
    out.extend_from_slice(&entry.mtime_ns.to_le_bytes());
    out.extend_from_slice(&entry.ctime_ns.to_le_bytes());
    out.extend_from_slice(&entry.inode.to_le_bytes());
    out.extend_from_slice(&entry.id.0);
}

/// Splits a name from its attributes, which follow after a NUL if the flag is set.
fn split_name<'a>(bytes: &'a [u8], entry: &[u8; LINE_LENGTH_BYTES]) -> (&'a [u8], &'a [u8]) {
    if entry[7] & FLAG_ATTRIBUTES == 0 {
        return (bytes, &[]);
    }
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    (&bytes[..end], bytes.get(end + 1..).unwrap_or_default())
}

/// The proof that the flags encode; of several, the weakest.
fn proof_of(flags: u8) -> Proof {
    let flagged = [(FLAG_RACY, Proof::Racy), (FLAG_AHEAD, Proof::Ahead), (FLAG_RECENT, Proof::Recent)];
    let least = flagged.into_iter().find(|(flag, _)| flags & flag != 0);
    least.map_or(Proof::Settled, |(_, proof)| proof)
}

fn name_end(entry: &[u8; LINE_LENGTH_BYTES]) -> usize {
    u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]) as usize
}

fn short(length: usize) -> Result<u32, Malformed> {
    u32::try_from(length).map_err(|_| Malformed::new("a folder is too large for the stat cache"))
}
