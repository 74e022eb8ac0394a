//! The stat cache: the state of each folder of a workspace at its last capture (store-format.md, appendix B).
//!
//! ```text
//! header  block*  table  group*
//! table = sorted (hash of the key, position of the block)    group = magic  length  block*  checksum
//! block = checksum  key  counts  tree, size, device  entries of fixed length  names
//! ```
//!
//! A block contains a hash of its folder's path as key, not the path itself: in folders nested a thousand deep the
//! paths would be longer than everything else, and nothing reads them here.
//!
//! Blocks are looked up in place. A group holds the folders that one capture changed, each as a block of only the
//! entries that differ, so that one edit in a folder of 50,000 files appends a few hundred bytes. A block says that a
//! list has a certain tree id, which is true regardless of the rest of the file. The tree ids of child folders in a
//! list agree with the blocks of those folders only after a whole group. One checksum therefore covers the group and
//! the checksum before it, so that a group is valid only after the one that it was written after.
//!
//! Unlike the rest of `format`, nothing here is the only copy of anything: damage just means that the state is unknown.

mod block;

pub use block::{Block, CachedEntry, Extent, FolderFacts, Line, Proof, block_length_bytes, decode_block, put_block};

use super::attributes::Owner;
use super::bytes::{check_header, file_start, put_checksum};
use super::{Malformed, Reader, checksum};
use crate::id::{Digest, StoreId, WorkspaceId};

/// First bytes of a stat cache.
pub const CACHE_MAGIC: [u8; 8] = *b"\xd7RETSTAT";
/// First bytes of a group.
pub const CACHE_GROUP_MAGIC: [u8; 4] = *b"\xd7CHG";
/// Length of the header, in bytes.
pub const CACHE_HEADER_LENGTH_BYTES: usize = 8 + 4 + 16 + 16 + 4 + 4 + 8 + 8 + 8 + 8 + 4 + 4 + 4;
/// Length of one position (entry) in the table, in bytes.
pub const BLOCK_POSITION_LENGTH_BYTES: usize = 8 + 8 + 4;
const GROUP_HEADER_LENGTH_BYTES: usize = 4 + 8;

/// The header of a stat cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheHeader {
    /// The store it belongs to.
    pub store: StoreId,
    /// The workspace it describes.
    pub workspace: WorkspaceId,
    /// Owner of the root folder, and of every entry without an owner in its attributes.
    pub root_owner: Owner,
    /// The store's generation. All objects named here were in the store then, and gc has deleted nothing since.
    pub generation: u64,
    /// Random, chosen at each full write, so that two caches are never confused.
    pub nonce: u64,
    /// Number of files at the last full write.
    pub file_count: u64,
    /// Offset of the table in the file, in bytes.
    pub table_offset: u64,
    /// Number of positions in the table.
    pub folder_count: u32,
    /// CRC-32 of the table.
    pub table_checksum: u32,
}

/// The key of a folder's block: the first 16 bytes of the BLAKE3 hash of its path, which nobody can make collide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathKey(pub [u8; 16]);

/// The position of a folder's block in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockPosition {
    /// See [`PathKey::hash`].
    pub hash: u64,
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// Its length, in bytes.
    pub length: u32,
}

/// A group with a valid checksum.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    /// Its blocks, one after another; see [`block_length_bytes`].
    pub blocks: &'a [u8],
    /// Its checksum, which the next group continues.
    pub checksum: u32,
    /// Its length, in bytes.
    pub length_bytes: usize,
}

impl Group<'_> {
    /// Offset of its blocks in the file, given the offset of the group, in bytes.
    pub fn blocks_start(&self, start: usize) -> usize {
        start + GROUP_HEADER_LENGTH_BYTES
    }
}

impl PathKey {
    /// The key of a path.
    pub fn of(path: &[u8]) -> Self {
        Self(Digest::of(path).0.first_chunk().copied().expect("a digest is longer than 16 bytes"))
    }

    /// The sort key of the table: the first eight bytes of the key. Nobody can make many of them equal.
    pub fn hash(self) -> u64 {
        u64::from_le_bytes(self.0.first_chunk().copied().expect("a key is longer than 8 bytes"))
    }
}

/// Encodes the header.
pub fn encode_header(header: &CacheHeader) -> Vec<u8> {
    let mut out = file_start(CACHE_MAGIC, CACHE_HEADER_LENGTH_BYTES);
    out.extend_from_slice(&header.store.0);
    out.extend_from_slice(&header.workspace.0);
    out.extend_from_slice(&header.root_owner.uid.to_le_bytes());
    out.extend_from_slice(&header.root_owner.gid.to_le_bytes());
    out.extend_from_slice(&header.generation.to_le_bytes());
    out.extend_from_slice(&header.nonce.to_le_bytes());
    out.extend_from_slice(&header.file_count.to_le_bytes());
    out.extend_from_slice(&header.table_offset.to_le_bytes());
    out.extend_from_slice(&header.folder_count.to_le_bytes());
    out.extend_from_slice(&header.table_checksum.to_le_bytes());
    put_checksum(&mut out, 0);
    out
}

/// Decodes the header. Also returns its checksum, which the first group continues.
pub fn decode_header(bytes: &[u8]) -> Result<(CacheHeader, u32), Malformed> {
    let mut reader = check_header(bytes, CACHE_MAGIC, CACHE_HEADER_LENGTH_BYTES, "a stat cache")?;
    let header = CacheHeader {
        store: StoreId(reader.array()?),
        workspace: WorkspaceId(reader.array()?),
        root_owner: Owner { uid: reader.u32()?, gid: reader.u32()? },
        generation: reader.u64()?,
        nonce: reader.u64()?,
        file_count: reader.u64()?,
        table_offset: reader.u64()?,
        folder_count: reader.u32()?,
        table_checksum: reader.u32()?,
    };
    Ok((header, reader.u32()?))
}

/// Encodes the table; `positions` must be sorted.
pub fn encode_table(positions: &[BlockPosition]) -> Vec<u8> {
    assert!(positions.is_sorted(), "a table is sorted");
    let mut out = Vec::with_capacity(positions.len() * BLOCK_POSITION_LENGTH_BYTES);
    for position in positions {
        out.extend_from_slice(&position.hash.to_le_bytes());
        out.extend_from_slice(&position.offset.to_le_bytes());
        out.extend_from_slice(&position.length.to_le_bytes());
    }
    out
}

/// The table, if it is complete and matches its checksum.
pub fn table<'a>(header: &CacheHeader, bytes: &'a [u8]) -> Option<&'a [[u8; BLOCK_POSITION_LENGTH_BYTES]]> {
    let start = usize::try_from(header.table_offset).ok()?;
    let length = (header.folder_count as usize).checked_mul(BLOCK_POSITION_LENGTH_BYTES)?;
    let body = bytes.get(start..start.checked_add(length)?)?;
    (checksum(&[body]) == header.table_checksum).then_some(body.as_chunks().0)
}

/// The positions in the table with this hash; more than one only by chance.
pub fn positions_of(table: &[[u8; BLOCK_POSITION_LENGTH_BYTES]], hash: u64) -> impl Iterator<Item = BlockPosition> {
    let first = table.partition_point(|position| decode_position(position).hash < hash);
    table[first..].iter().map(decode_position).take_while(move |position| position.hash == hash)
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

/// The group at the start of `bytes`, if it is intact and follows the one with checksum `before`.
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

fn decode_position(bytes: &[u8; BLOCK_POSITION_LENGTH_BYTES]) -> BlockPosition {
    let word = |at: usize| bytes[at..at + 8].first_chunk().copied().expect("eight bytes were cut out");
    BlockPosition {
        hash: u64::from_le_bytes(word(0)),
        offset: u64::from_le_bytes(word(8)),
        length: u32::from_le_bytes(bytes[16..].first_chunk().copied().expect("four bytes are left")),
    }
}

#[cfg(test)]
mod tests;
