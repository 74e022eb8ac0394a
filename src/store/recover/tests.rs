//! Tests of reading packs without an index, on files in memory.

use super::{Recovered, Window, recover};
use crate::disk::StoredFile;
use crate::error::Result;
use crate::format::pack::{Encoding, Member, ObjectKind, put_record, put_trailer};
use crate::id::{Digest, StoreId};
use std::sync::atomic::{AtomicU64, Ordering};

const STORE: StoreId = StoreId([5; 16]);

/// A file in memory that counts the bytes read from it.
#[derive(Debug)]
struct Held(Vec<u8>, AtomicU64);

impl StoredFile for Held {
    fn length(&self) -> Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let rest = &self.0[usize::try_from(offset).unwrap().min(self.0.len())..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.1.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

fn read(bytes: &[u8], known_end: u64) -> Recovered {
    read_counted(bytes, known_end).0
}

fn read_counted(bytes: &[u8], known_end: u64) -> (Recovered, u64) {
    let file = Held(bytes.to_vec(), AtomicU64::new(0));
    let found = recover(&mut Window::new(&file, STORE, bytes.len() as u64), 0, known_end, true).unwrap();
    (found, file.1.into_inner())
}

fn record(out: &mut Vec<u8>, content: &[u8]) {
    let raw_length_bytes = u32::try_from(content.len()).unwrap();
    let member = Member { kind: ObjectKind::Content, raw_length_bytes, prefix: Digest::of(content).prefix() };
    put_record(out, &Encoding::Raw, &[member], content);
}

fn batch(out: &mut Vec<u8>, sequence: u64, contents: &[&[u8]]) {
    let start = out.len();
    contents.iter().for_each(|content| record(out, content));
    put_trailer(out, STORE, start, sequence, b"facts");
}

fn salvaged(found: &Recovered) -> usize {
    found.damaged.iter().map(|range| range.salvaged.len()).sum()
}

#[test]
fn every_torn_tail_leaves_the_transactions_before_it() {
    let mut bytes = Vec::new();
    batch(&mut bytes, 1, &[b"one", b"two"]);
    let first = bytes.len();
    batch(&mut bytes, 2, &[b"three"]);
    for cut in first..bytes.len() {
        let found = read(&bytes[..cut], 0);
        assert_eq!(found.transactions.len(), 1, "{cut}");
        assert_eq!((found.end, found.damaged.len()), (first as u64, 0));
    }
    let whole = read(&bytes, 0);
    assert_eq!(whole.transactions.iter().map(|transaction| transaction.sequence).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(whole.transactions[0].entries.len(), 2);
    assert_eq!((whole.transactions[1].start, whole.end), (first as u64, bytes.len() as u64));
}

#[test]
fn damage_in_the_middle_costs_only_the_record_it_hits() {
    let mut bytes = Vec::new();
    batch(&mut bytes, 1, &[b"one", b"two", b"three"]);
    let first = bytes.len();
    batch(&mut bytes, 2, &[b"four"]);
    for hit in 0..first {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[hit] ^= 1 << bit;
            let found = read(&damaged, 0);
            assert_eq!(
                found.transactions.iter().map(|transaction| transaction.sequence).collect::<Vec<_>>(),
                [2],
                "{hit}"
            );
            assert_eq!(found.damaged.len(), 1, "{hit}");
            assert_eq!(found.damaged[0].place, 0..first as u64, "{hit}");
            assert!(salvaged(&found) >= 2, "{hit}");
            assert_eq!(found.end, bytes.len() as u64);
        }
    }
}

#[test]
fn a_range_of_zeros_costs_the_transactions_that_it_covers() {
    let mut bytes = Vec::new();
    (1..20).for_each(|number: u64| batch(&mut bytes, number, &[&number.to_le_bytes(), &[7; 100]]));
    for start in (0..bytes.len() - 600).step_by(13) {
        let mut damaged = bytes.clone();
        damaged[start..start + 300].fill(0);
        let found = read(&damaged, 0);
        // A batch is some 210 bytes long: 300 bytes touch at most three.
        assert!(found.transactions.len() >= 16, "{start}: {}", found.transactions.len());
        assert_eq!(found.transactions.last().unwrap().sequence, 19);
    }
}

#[test]
fn what_was_known_as_recorded_is_no_torn_tail() {
    let mut bytes = Vec::new();
    batch(&mut bytes, 1, &[b"one"]);
    let first = bytes.len();
    batch(&mut bytes, 2, &[b"two", b"three"]);
    let known_end = bytes.len() as u64;
    record(&mut bytes, b"torn");
    bytes[first + 45] ^= 1;
    let torn = read(&bytes, 0);
    assert_eq!((torn.end, torn.damaged.len()), (first as u64, 0));
    assert_eq!(torn.tail.map(|tail| (tail.place.start, tail.salvaged.len())), Some((first as u64, 2)));
    let found = read(&bytes, known_end);
    assert_eq!((found.end, found.damaged.len(), salvaged(&found)), (known_end, 1, 1));
    assert_eq!(found.damaged[0].unproven[0].sequence, 2);
    assert_eq!(found.damaged[0].broken.len(), 1);
}

/// P12: content may be a pack. A search of a damaged range must not find transactions of another store.
#[test]
fn batches_inside_content_are_not_ours() {
    let mut inner = Vec::new();
    record(&mut inner, b"theirs");
    put_trailer(&mut inner, StoreId([6; 16]), 0, 99, b"facts");
    let mut bytes = Vec::new();
    batch(&mut bytes, 1, &[&inner, b"one"]);
    let first = bytes.len();
    batch(&mut bytes, 2, &[&inner]);
    for hit in [4, 40, 60, first - 20, first - 1] {
        let mut damaged = bytes.clone();
        damaged[hit] ^= 0x10;
        let found = read(&damaged, 0);
        let sequences: Vec<u64> = found.transactions.iter().map(|transaction| transaction.sequence).collect();
        assert_eq!(sequences, [2], "hit at {hit}");
    }
}

/// Fake transactions that each claim everything before them as their batch: checking each would be quadratic.
#[test]
fn a_hostile_pack_costs_a_small_multiple_of_its_length() {
    let mut fakes = Vec::new();
    while fakes.len() < 8 << 20 {
        record(&mut fakes, b"x");
        let mut transaction = Vec::new();
        put_trailer(&mut transaction, STORE, 0, 0, b"");
        // The length of the batch is the second integer: five bytes of 32 bits hold any.
        let claimed = u32::try_from(fakes.len().max(65_536)).unwrap().to_le_bytes();
        fakes.extend([&transaction[..5], &[252], &claimed, &[0], &[0; 16]].concat());
    }
    let mut nested = Vec::new();
    for _ in 0..20_000 {
        nested.extend_from_slice(b"\xd7REC\x01\xfc\xff\xff\x0f\x00\x01\x01\xfc\xff\xff\x0f\x00");
        nested.extend_from_slice(&[9; 20]);
    }
    nested.resize(4 << 20, 0);
    let mut malformed = b"\xd7COM\xff".repeat(200_000);
    malformed.extend(b"\xd7COM\x01\x01\xfc\xff\xff\x0f\x00".repeat(100_000));
    for bytes in [fakes, nested, malformed] {
        let (found, read_bytes) = read_counted(&bytes, 0);
        assert_eq!(found.transactions.len(), 0);
        assert!(read_bytes < 20 * bytes.len() as u64, "{read_bytes} of {}", bytes.len());
    }
}
