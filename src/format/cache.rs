//! The stat cache: what each folder of a workspace looked like when it was last captured (store-format.md, chapter 10).
//!
//! ```text
//! header  block*  table  group*
//! table = sorted (hash of the path, place of the block)      group = magic  length  block*  checksum
//! block = checksum  counts  tree, size, device  path  entries of fixed length  names
//! ```
//!
//! Blocks are looked up in place. A group holds the folders that one capture changed, each as a block with only the
//! entries that differ, so that one edit in a folder of 50,000 files appends a few hundred bytes. A block says: "this
//! list has this tree id"; that is true by itself, whatever else the file holds. That the ids of child folders in a
//! list agree with the blocks of those folders is only true after a whole group: hence one checksum over all of it,
//! which also covers the checksum before, so that a group can never follow another one than it was written after.
//!
//! Unlike everything else in `format`, nothing here is the only copy of anything: any damage means "not known".

use super::tree::{Kind, MODE_MASK};
use super::{Malformed, Reader, VERSION, checksum};
use crate::id::{Digest, StoreId, TreeId, WorkspaceId};

/// First bytes of a stat cache.
pub const CACHE_MAGIC: [u8; 8] = *b"\xd7RETSTAT";
/// First bytes of a group.
pub const CACHE_GROUP_MAGIC: [u8; 4] = *b"\xd7CHG";
/// Length of the header, in bytes.
pub const CACHE_HEADER_LENGTH_BYTES: usize = 8 + 4 + 16 + 16 + 8 + 8 + 8 + 8 + 4 + 4 + 4;
/// Length of one place in the table, in bytes.
pub const PLACE_LENGTH_BYTES: usize = 8 + 8 + 4;
/// Length of one entry without its name, in bytes.
pub const CACHE_ENTRY_LENGTH_BYTES: usize = 4 + 2 + 1 + 1 + 4 * 8 + 32;

const BLOCK_HEADER_LENGTH_BYTES: usize = 4 + 4 + 4 + 4 + 4 + 32 + 8 + 8;
const GROUP_HEADER_LENGTH_BYTES: usize = 4 + 8;
const KIND_GONE: u8 = 0;
const KIND_FILE: u8 = 1;
const KIND_FOLDER: u8 = 2;
const KIND_SYMLINK: u8 = 3;
const FLAG_RACY: u8 = 1;
const FLAG_OTHER_DEVICE: u8 = 2;

/// What a stat cache begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheHeader {
    /// The store it belongs to.
    pub store: StoreId,
    /// The workspace it describes.
    pub workspace: WorkspaceId,
    /// The store's generation: objects named here were in the store then, and gc has deleted nothing since.
    pub generation: u64,
    /// Chosen at random when it was written whole, so that no two are ever taken for each other.
    pub nonce: u64,
    /// Number of files when it was written whole.
    pub file_count: u64,
    /// Where the table begins.
    pub table_offset: u64,
    /// Number of places in the table.
    pub folder_count: u32,
    /// CRC-32 of the table.
    pub table_checksum: u32,
}

/// Where the block of a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// See [`path_hash`].
    pub hash: u64,
    /// Where it begins in the file.
    pub offset: u64,
    /// Its length, in bytes.
    pub length: u32,
}

/// What a block holds of its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All entries.
    Whole,
    /// Entries that differ from what earlier blocks of the same folder say.
    Difference,
}

/// What a block says about its folder as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FolderFacts {
    /// The id of its tree.
    pub tree: TreeId,
    /// Sum of the sizes below it, in bytes.
    pub size: u64,
    /// Device number of its file system.
    pub device: u64,
}

/// One name in a folder as the stat cache has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachedEntry<'a> {
    /// Name within the folder.
    pub name: &'a [u8],
    /// What it is.
    pub kind: Kind,
    /// Permission bits; 0 for symlinks.
    pub mode: u16,
    /// The stat may be equal though the content is not: never trusted.
    pub is_racy: bool,
    /// It is on another file system than its folder, as a file that is a mount point is.
    pub is_on_other_device: bool,
    /// Bytes of content or target; the sum below a folder.
    pub size: u64,
    /// Modification time in nanoseconds since 1970; 0 for folders, as the two after it.
    pub mtime_ns: i64,
    /// Change time in nanoseconds since 1970.
    pub ctime_ns: i64,
    /// Inode number.
    pub inode: u64,
    /// Content, target or tree.
    pub id: Digest,
}

/// A line of a block: an entry, or the news that there is none of this name any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// It is there.
    Entry(CachedEntry<'a>),
    /// It is gone.
    Gone(&'a [u8]),
}

/// A block that was checked against its checksum.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// What it holds.
    pub extent: Extent,
    /// The folder as a whole.
    pub facts: FolderFacts,
    /// The path of the folder.
    pub path: &'a [u8],
    entries: &'a [[u8; CACHE_ENTRY_LENGTH_BYTES]],
    names: &'a [u8],
}

/// A group that was checked against its checksum.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    /// Its blocks, one after another: see [`block_length_bytes`].
    pub blocks: &'a [u8],
    /// Its checksum, which the next group continues.
    pub checksum: u32,
    /// Its length, in bytes.
    pub length_bytes: usize,
}

impl<'a> Line<'a> {
    /// The name it is about.
    pub fn name(&self) -> &'a [u8] {
        match self {
            Self::Entry(entry) => entry.name,
            Self::Gone(name) => name,
        }
    }
}

impl<'a> Block<'a> {
    /// Number of lines.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no lines.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The line at `index`, which must be below [`Self::len`].
    pub fn line(&self, index: usize) -> Line<'a> {
        let start = index.checked_sub(1).map_or(0, |before| name_end(&self.entries[before]));
        let entry = &self.entries[index];
        let name = &self.names[start..name_end(entry)];
        let kind = match entry[6] {
            KIND_FILE => Kind::File,
            KIND_FOLDER => Kind::Folder,
            KIND_SYMLINK => Kind::Symlink,
            _ => return Line::Gone(name),
        };
        let word = |at: usize| entry[at..at + 8].first_chunk().copied().expect("eight bytes were cut out");
        Line::Entry(CachedEntry {
            name,
            kind,
            mode: u16::from_le_bytes([entry[4], entry[5]]) & MODE_MASK,
            is_racy: entry[7] & FLAG_RACY != 0,
            is_on_other_device: entry[7] & FLAG_OTHER_DEVICE != 0,
            size: u64::from_le_bytes(word(8)),
            mtime_ns: i64::from_le_bytes(word(16)),
            ctime_ns: i64::from_le_bytes(word(24)),
            inode: u64::from_le_bytes(word(32)),
            id: Digest(entry[40..].first_chunk().copied().expect("an id ends the entry")),
        })
    }

    /// Where the line about `name` is.
    pub fn position(&self, name: &[u8]) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
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
        (0..self.len()).map(move |index| self.line(index))
    }
}

impl Group<'_> {
    /// Where its blocks begin in the file, given where it begins.
    pub fn blocks_start(&self, start: usize) -> usize {
        start + GROUP_HEADER_LENGTH_BYTES
    }
}

/// What the table is sorted by: the first eight bytes of the BLAKE3 hash of a path, so that nobody can make many equal.
pub fn path_hash(path: &[u8]) -> u64 {
    u64::from_le_bytes(Digest::of(path).0.first_chunk().copied().expect("a digest is longer than 8 bytes"))
}

/// Encodes the header.
pub fn encode_header(header: &CacheHeader) -> Vec<u8> {
    let mut out = Vec::with_capacity(CACHE_HEADER_LENGTH_BYTES);
    out.extend_from_slice(&CACHE_MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&header.store.0);
    out.extend_from_slice(&header.workspace.0);
    out.extend_from_slice(&header.generation.to_le_bytes());
    out.extend_from_slice(&header.nonce.to_le_bytes());
    out.extend_from_slice(&header.file_count.to_le_bytes());
    out.extend_from_slice(&header.table_offset.to_le_bytes());
    out.extend_from_slice(&header.folder_count.to_le_bytes());
    out.extend_from_slice(&header.table_checksum.to_le_bytes());
    let sum = checksum(&[&out]);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

/// Decodes the header, and gives its checksum, which the first group continues.
pub fn decode_header(bytes: &[u8]) -> Result<(CacheHeader, u32), Malformed> {
    let mut reader = Reader::new(bytes);
    if reader.array()? != CACHE_MAGIC {
        return Err(Malformed::new("it does not begin like a stat cache"));
    }
    let version = reader.u32()?;
    let header = CacheHeader {
        store: StoreId(reader.array()?),
        workspace: WorkspaceId(reader.array()?),
        generation: reader.u64()?,
        nonce: reader.u64()?,
        file_count: reader.u64()?,
        table_offset: reader.u64()?,
        folder_count: reader.u32()?,
        table_checksum: reader.u32()?,
    };
    let sum = reader.u32()?;
    if sum != checksum(&[&bytes[..CACHE_HEADER_LENGTH_BYTES - 4]]) {
        return Err(Malformed::new("the header does not match its checksum"));
    }
    if version != VERSION {
        return Err(Malformed::newer(u64::from(version)));
    }
    Ok((header, sum))
}

/// Encodes the table; `places` must be sorted.
pub fn encode_table(places: &[Place]) -> Vec<u8> {
    assert!(places.is_sorted(), "a table is sorted");
    let mut out = Vec::with_capacity(places.len() * PLACE_LENGTH_BYTES);
    for place in places {
        out.extend_from_slice(&place.hash.to_le_bytes());
        out.extend_from_slice(&place.offset.to_le_bytes());
        out.extend_from_slice(&place.length.to_le_bytes());
    }
    out
}

/// The table, if it is all there and matches its checksum.
pub fn table<'a>(header: &CacheHeader, bytes: &'a [u8]) -> Option<&'a [[u8; PLACE_LENGTH_BYTES]]> {
    let start = usize::try_from(header.table_offset).ok()?;
    let length = (header.folder_count as usize).checked_mul(PLACE_LENGTH_BYTES)?;
    let body = bytes.get(start..start.checked_add(length)?)?;
    (checksum(&[body]) == header.table_checksum).then(|| body.as_chunks().0)
}

/// The places in the table that have this hash; more than one only by accident.
pub fn places_of(table: &[[u8; PLACE_LENGTH_BYTES]], hash: u64) -> impl Iterator<Item = Place> {
    let first = table.partition_point(|place| decode_place(place).hash < hash);
    table[first..].iter().map(decode_place).take_while(move |place| place.hash == hash)
}

/// Appends a block. `lines` must ascend strictly by name. A folder of more than 4 GiB of names and stats is not kept.
pub fn put_block<'a>(
    out: &mut Vec<u8>,
    path: &[u8],
    extent: Extent,
    facts: &FolderFacts,
    lines: impl Iterator<Item = Line<'a>>,
) -> Result<(), Malformed> {
    let start = out.len();
    out.extend_from_slice(&[0; BLOCK_HEADER_LENGTH_BYTES]);
    out.extend_from_slice(path);
    let (mut count, mut names) = (0_usize, Vec::new());
    for line in lines {
        names.extend_from_slice(line.name());
        put_line(out, &line, short(names.len())?);
        count += 1;
    }
    out.extend_from_slice(&names);
    short(out.len() - start)?;
    let mut header = Vec::with_capacity(BLOCK_HEADER_LENGTH_BYTES);
    header.extend_from_slice(&[0; 4]);
    header.extend_from_slice(&short(path.len())?.to_le_bytes());
    header.extend_from_slice(&short(count)?.to_le_bytes());
    header.extend_from_slice(&short(names.len())?.to_le_bytes());
    header.extend_from_slice(&u32::from(extent == Extent::Difference).to_le_bytes());
    header.extend_from_slice(&facts.tree.0.0);
    header.extend_from_slice(&facts.size.to_le_bytes());
    header.extend_from_slice(&facts.device.to_le_bytes());
    out[start..start + BLOCK_HEADER_LENGTH_BYTES].copy_from_slice(&header);
    let sum = checksum(&[&out[start + 4..]]);
    out[start..start + 4].copy_from_slice(&sum.to_le_bytes());
    Ok(())
}

/// Decodes the block that takes all of `bytes`.
pub fn decode_block(bytes: &[u8]) -> Result<Block<'_>, Malformed> {
    let mut reader = Reader::new(bytes);
    if reader.u32()? != checksum(&[reader.rest()]) {
        return Err(Malformed::new("a block does not match its checksum"));
    }
    let path_length = reader.u32()? as usize;
    let count = reader.u32()? as usize;
    let names_length = reader.u32()? as usize;
    let extent = match reader.u32()? {
        0 => Extent::Whole,
        1 => Extent::Difference,
        _ => return Err(Malformed::new("a block is of an unknown extent")),
    };
    let facts =
        FolderFacts { tree: TreeId(Digest(reader.array()?)), size: reader.u64()?, device: reader.u64()? };
    let path = reader.take(path_length)?;
    let entries = reader.take(count.saturating_mul(CACHE_ENTRY_LENGTH_BYTES))?.as_chunks().0;
    let names = reader.take(names_length)?;
    reader.finish()?;
    let ends_ascend = entries.is_sorted_by(|a, b| name_end(a) < name_end(b));
    if !ends_ascend || entries.last().map_or(0, name_end) != names_length {
        return Err(Malformed::new("the names of a block do not fill their place"));
    }
    let least = if extent == Extent::Whole { KIND_FILE } else { KIND_GONE };
    if !entries.iter().all(|entry| (least..=KIND_SYMLINK).contains(&entry[6])) {
        return Err(Malformed::new("a line of a block is of an unknown kind"));
    }
    Ok(Block { extent, facts, path, entries, names })
}

/// The length of the block that `bytes` begin with, as far as its own counts say.
pub fn block_length_bytes(bytes: &[u8]) -> Option<usize> {
    let mut reader = Reader::new(bytes);
    reader.u32().ok()?;
    let path_length = reader.u32().ok()? as usize;
    let count = reader.u32().ok()? as usize;
    let names_length = reader.u32().ok()? as usize;
    let entries_length = count.checked_mul(CACHE_ENTRY_LENGTH_BYTES)?;
    let length = BLOCK_HEADER_LENGTH_BYTES.checked_add(path_length)?.checked_add(entries_length)?;
    length.checked_add(names_length).filter(|&length| length <= bytes.len())
}

/// Encodes a group of blocks that follows the group or header with checksum `before`.
pub fn encode_group(before: u32, blocks: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(GROUP_HEADER_LENGTH_BYTES + blocks.len() + 4);
    out.extend_from_slice(&CACHE_GROUP_MAGIC);
    out.extend_from_slice(&(blocks.len() as u64).to_le_bytes());
    out.extend_from_slice(blocks);
    let sum = checksum(&[&before.to_le_bytes(), &out]);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

/// The group that `bytes` begin with, if it is intact and follows the one with checksum `before`.
pub fn decode_group(before: u32, bytes: &[u8]) -> Option<Group<'_>> {
    let mut reader = Reader::new(bytes);
    if reader.array().ok()? != CACHE_GROUP_MAGIC {
        return None;
    }
    let length = usize::try_from(reader.u64().ok()?).ok()?;
    let blocks = reader.take(length).ok()?;
    let sum = reader.u32().ok()?;
    let covered = &bytes[..GROUP_HEADER_LENGTH_BYTES + length];
    let is_intact = sum == checksum(&[&before.to_le_bytes(), covered]);
    is_intact.then_some(Group { blocks, checksum: sum, length_bytes: covered.len() + 4 })
}

fn put_line(out: &mut Vec<u8>, line: &Line<'_>, name_end: u32) {
    out.extend_from_slice(&name_end.to_le_bytes());
    let Line::Entry(entry) = line else {
        out.extend_from_slice(&[0; CACHE_ENTRY_LENGTH_BYTES - 4]);
        return;
    };
    out.extend_from_slice(&entry.mode.to_le_bytes());
    out.push(match entry.kind {
        Kind::File => KIND_FILE,
        Kind::Folder => KIND_FOLDER,
        Kind::Symlink => KIND_SYMLINK,
    });
    let racy = if entry.is_racy { FLAG_RACY } else { 0 };
    let other = if entry.is_on_other_device { FLAG_OTHER_DEVICE } else { 0 };
    out.push(racy | other);
    out.extend_from_slice(&entry.size.to_le_bytes());
    out.extend_from_slice(&entry.mtime_ns.to_le_bytes());
    out.extend_from_slice(&entry.ctime_ns.to_le_bytes());
    out.extend_from_slice(&entry.inode.to_le_bytes());
    out.extend_from_slice(&entry.id.0);
}

fn decode_place(bytes: &[u8; PLACE_LENGTH_BYTES]) -> Place {
    let word = |at: usize| bytes[at..at + 8].first_chunk().copied().expect("eight bytes were cut out");
    Place {
        hash: u64::from_le_bytes(word(0)),
        offset: u64::from_le_bytes(word(8)),
        length: u32::from_le_bytes(bytes[16..].first_chunk().copied().expect("four bytes are left")),
    }
}

fn name_end(entry: &[u8; CACHE_ENTRY_LENGTH_BYTES]) -> usize {
    u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]) as usize
}

fn short(length: usize) -> Result<u32, Malformed> {
    u32::try_from(length).map_err(|_| Malformed::new("a folder is too large for the stat cache"))
}
