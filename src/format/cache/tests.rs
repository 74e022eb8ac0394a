//! Tests of the encoding of the stat cache: what is written reads back, and nothing else decodes.

use super::block::{Block, CachedEntry, Extent, FolderFacts, Line, Proof};
use super::{
    BlockPosition, CACHE_HEADER_LENGTH_BYTES, CacheHeader, PathKey, block_length_bytes, decode_block, decode_group,
    decode_header, encode_group, encode_header, encode_table, positions_of, put_block, table,
};
use crate::format::attributes::Owner;
use crate::format::tree::EntryKind;
use crate::format::{Malformed, checksum};
use crate::id::{Digest, StoreId, TreeId, WorkspaceId};

const FACTS: FolderFacts =
    FolderFacts { tree: TreeId(Digest([7; 32])), size: 1 << 40, device: 66_306, has_attributes: true };

fn lines() -> [Line<'static>; 4] {
    let entry = |name, kind, mode| CachedEntry {
        name,
        kind,
        mode,
        proof: if mode == 0 { Proof::Racy } else { Proof::Recent },
        is_on_other_device: kind == EntryKind::File,
        size: u64::MAX,
        mtime_ns: -1,
        ctime_ns: i64::MAX,
        inode: 1 << 63,
        id: Digest::of(name),
        attributes: if mode == 0o755 { b"\x01\x00\x00\x00" } else { b"" },
        has_attributes_below: kind == EntryKind::Folder,
    };
    [
        Line::Entry(entry(b"\x01", EntryKind::File, 0o7777)),
        Line::Gone(b"gone"),
        Line::Entry(entry(b"link", EntryKind::Symlink, 0)),
        Line::Entry(entry(b"sub\xff", EntryKind::Folder, 0o755)),
    ]
}

fn block(extent: Extent, lines: &[Line<'static>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_block(&mut bytes, PathKey::of(b"a/b"), extent, &FACTS, lines.iter().copied()).unwrap();
    bytes
}

/// Changes a byte and corrects the checksum, which no accident does.
fn with(bytes: &[u8], at: usize, byte: u8) -> Result<Block<'static>, Malformed> {
    let mut bytes = bytes.to_vec();
    bytes[at] = byte;
    let sum = checksum(&[&bytes[4..]]);
    bytes[..4].copy_from_slice(&sum.to_le_bytes());
    decode_block(bytes.leak())
}

#[test]
fn a_block_reads_back_as_it_was_written() {
    let bytes = block(Extent::Difference, &lines());
    let read = decode_block(&bytes).unwrap();
    assert_eq!((read.extent, read.facts, read.key), (Extent::Difference, FACTS, PathKey::of(b"a/b")));
    assert!(read.lines().eq(lines()));
    assert_eq!((read.position(b"link"), read.position(b"lin"), read.position(b"z")), (Some(2), None, None));
    assert_eq!(block_length_bytes(&[&bytes[..], b"more"].concat()), Some(bytes.len()));
    assert_eq!(block_length_bytes(&bytes[..bytes.len() - 1]), None);
    assert!(decode_block(&block(Extent::Whole, &[])).unwrap().line_count() == 0);
}

#[test]
fn a_block_that_no_writer_made_is_refused() {
    let bytes = block(Extent::Difference, &lines());
    for length in 0..bytes.len() {
        assert!(decode_block(&bytes[..length]).is_err(), "cut at {length}");
    }
    let entries_start = bytes.len() - 4 * 72 - b"\x01gonelinksub\xff\0\x01\x00\x00\x00".len();
    assert!(with(&bytes, 4, 3).is_ok(), "the helper itself, and any key");
    assert!(with(&bytes, 20, 5).is_err(), "number of lines");
    assert!(with(&bytes, 24, 1).is_err(), "length of the names");
    assert!(with(&bytes, 28, 4).is_err(), "extent");
    assert!(with(&bytes, 28, 0).is_err(), "a whole folder has no lines about what is gone");
    assert!(with(&bytes, entries_start, 99).is_err(), "order of the ends of names");
    assert!(with(&bytes, entries_start + 6, 4).is_err(), "kind");
    assert!(with(&bytes, entries_start + 7, 64).is_err(), "flags");
    assert!(with(&bytes, entries_start + 7, 16).is_err(), "attributes that are not there");
}

#[test]
fn groups_follow_only_the_one_they_were_written_after() {
    let blocks = block(Extent::Difference, &lines());
    let first = encode_group(1, &blocks);
    let group = decode_group(1, &[&first[..], b"rest"].concat()).map(|group| (group.length_bytes, group.checksum));
    let (length, sum) = group.unwrap();
    assert_eq!(length, first.len());
    assert_eq!(decode_group(1, &first).unwrap().blocks, blocks);
    assert_eq!(first[decode_group(1, &first).unwrap().blocks_start(0)..][..blocks.len()], blocks);
    let second = encode_group(sum, &blocks);
    assert!(decode_group(sum, &second).is_some());
    assert!(decode_group(2, &first).is_none() && decode_group(1, &second).is_none());
    for length in 0..first.len() {
        assert!(decode_group(1, &first[..length]).is_none(), "cut at {length}");
    }
    let mut huge = first;
    huge[4..12].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(decode_group(1, &huge).is_none());
}

#[test]
fn the_header_and_the_table_are_checked() {
    let mut positions: Vec<BlockPosition> = (0..100)
        .map(|number: u64| BlockPosition {
            hash: PathKey::of(&number.to_le_bytes()).hash(),
            offset: number << 32,
            length: u32::MAX,
        })
        .collect();
    positions.push(BlockPosition { offset: 1, ..positions[40] });
    positions.sort_unstable();
    let body = encode_table(&positions);
    let header = CacheHeader {
        store: StoreId([1; 16]),
        workspace: WorkspaceId([2; 16]),
        root_owner: Owner { uid: 1, gid: u32::MAX },
        generation: 3,
        nonce: 4,
        file_count: 5,
        table_offset: CACHE_HEADER_LENGTH_BYTES as u64,
        folder_count: 101,
        table_checksum: checksum(&[&body]),
    };
    let mut file = encode_header(&header);
    file.extend_from_slice(&body);
    assert_eq!(decode_header(&file).unwrap().0, header);
    let read = table(&header, &file).unwrap();
    for position in &positions {
        assert!(positions_of(read, position.hash).any(|found| found == *position));
    }
    let twice = PathKey::of(&40_u64.to_le_bytes()).hash();
    assert_eq!(positions_of(read, twice).count(), 2);
    assert_eq!(positions_of(read, twice.wrapping_add(1)).count(), 0);

    for at in 0..file.len() {
        let mut bytes = file.clone();
        bytes[at] ^= 1;
        let header = decode_header(&bytes).ok().map(|(header, _)| header);
        assert!(header.is_none_or(|header| table(&header, &bytes).is_none()), "byte {at}");
    }
    for table_offset in [u64::MAX, u64::MAX - 100, file.len() as u64] {
        assert!(table(&CacheHeader { table_offset, ..header }, &file).is_none());
    }
    let mut newer = file;
    newer[8] = 2;
    let sum = checksum(&[&newer[..CACHE_HEADER_LENGTH_BYTES - 4]]);
    newer[CACHE_HEADER_LENGTH_BYTES - 4..CACHE_HEADER_LENGTH_BYTES].copy_from_slice(&sum.to_le_bytes());
    assert!(decode_header(&newer).is_err_and(|malformed| malformed.is_newer()));
}
