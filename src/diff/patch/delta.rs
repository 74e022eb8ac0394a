//! Git's deltas: a content as copies from another content and inserted bytes.
//!
//! ```text
//! delta   length of old, length of new (7 bits a byte, low bits first, high bit: more follow) | instruction ...
//! copy    1 o o o o s s s | offset bytes marked by o | size bytes marked by s, low first; size 0 means 64 KiB
//! insert  0 n n n n n n n | n bytes, n from 1
//! ```
//!
//! (gitformat-pack(5).) The old content is cut into blocks. A rolling hash searches the new content for them at every
//! position, as in rsync; a block that is found is extended in both directions. Git's own search makes deltas some per
//! cent smaller and takes ten times as long.

use std::collections::HashMap;

/// A delta that makes `new` of `old`.
pub(super) fn delta(old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_length(&mut out, old.len());
    put_length(&mut out, new.len());
    let blocks = blocks_of(old);
    // Bytes from here on are not yet covered by a copy.
    let mut pending = 0;
    let mut at = 0;
    let mut window = new.get(..BLOCK_BYTES).map(Rolling::new);
    while let Some(hash) = window.as_mut() {
        let found = blocks.get(&hash.value()).filter(|start| old[**start..].starts_with(&new[at..at + BLOCK_BYTES]));
        let Some(&start) = found else {
            let Some(&next) = new.get(at + BLOCK_BYTES) else { break };
            hash.roll(new[at], next);
            at += 1;
            continue;
        };
        let back = common_end(&old[..start], &new[pending..at]);
        let forward = common_start(&old[start..], &new[at..]);
        put_insert(&mut out, &new[pending..at - back]);
        put_copy(&mut out, start - back, back + forward);
        at += forward;
        pending = at;
        window = new.get(at..at + BLOCK_BYTES).map(Rolling::new);
    }
    put_insert(&mut out, &new[pending..]);
    out
}

/// Bytes in a block. Shorter blocks find more matches; each costs a copy instruction of up to 7 bytes.
const BLOCK_BYTES: usize = 16;

/// Most bytes of one copy instruction.
const COPY_MAX_BYTES: usize = 0x1_0000;

/// Most bytes of one insert instruction.
const INSERT_MAX_BYTES: usize = 127;

/// Offsets of the blocks of the old content, by hash. Of equal hashes the first counts.
fn blocks_of(old: &[u8]) -> HashMap<u32, usize> {
    let mut blocks = HashMap::with_capacity(old.len() / BLOCK_BYTES);
    for (number, block) in old.chunks_exact(BLOCK_BYTES).enumerate() {
        blocks.entry(Rolling::new(block).value()).or_insert(number * BLOCK_BYTES);
    }
    blocks
}

/// A rolling hash: the sum of a block's bytes, each times a power of the base, so that the window can move by one byte.
struct Rolling(u32);

/// Odd, so that no bit of a byte is lost, with bits spread over the word.
const BASE: u32 = 0x0801_0835;

/// The base to the power of the block's length: the factor of the byte that leaves the window.
const LEAVING: u32 = BASE.wrapping_pow(16);

impl Rolling {
    fn new(block: &[u8]) -> Self {
        Self(block.iter().fold(0, |sum: u32, &byte| sum.wrapping_mul(BASE).wrapping_add(u32::from(byte) + 1)))
    }

    fn roll(&mut self, leaving: u8, entering: u8) {
        let moved = self.0.wrapping_mul(BASE).wrapping_add(u32::from(entering) + 1);
        self.0 = moved.wrapping_sub(LEAVING.wrapping_mul(u32::from(leaving) + 1));
    }

    fn value(&self) -> u32 {
        self.0
    }
}

fn common_start(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

fn common_end(a: &[u8], b: &[u8]) -> usize {
    a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count()
}

fn put_length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        out.push(low_byte(length) | 0x80);
        length >>= 7;
    }
    out.push(low_byte(length));
}

fn put_insert(out: &mut Vec<u8>, bytes: &[u8]) {
    for piece in bytes.chunks(INSERT_MAX_BYTES) {
        out.push(low_byte(piece.len()));
        out.extend_from_slice(piece);
    }
}

fn put_copy(out: &mut Vec<u8>, mut offset: usize, mut length: usize) {
    while length > 0 {
        let size = length.min(COPY_MAX_BYTES);
        let at = out.len();
        out.push(0x80);
        let mut put = |first_bit: u8, byte_count: u8, value: usize| {
            for number in 0..byte_count {
                let byte = low_byte(value >> (8 * number));
                if byte != 0 {
                    out[at] |= 1 << (first_bit + number);
                    out.push(byte);
                }
            }
        };
        put(0, 4, offset);
        put(4, 2, if size == COPY_MAX_BYTES { 0 } else { size });
        offset += size;
        length -= size;
    }
}

fn low_byte(value: usize) -> u8 {
    u8::try_from(value & 0xff).expect("8 bits")
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::{Rolling, delta};

    /// Applies a delta as git does (patch-delta.c).
    fn applied(old: &[u8], delta: &[u8]) -> Vec<u8> {
        let mut bytes = delta.iter().copied();
        let mut length = || {
            let (mut value, mut shift) = (0_usize, 0);
            loop {
                let byte = bytes.next().unwrap();
                value |= usize::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    return value;
                }
            }
        };
        assert_eq!(length(), old.len());
        let new_length = length();
        let mut out = Vec::new();
        while let Some(code) = bytes.next() {
            if code & 0x80 == 0 {
                assert!(code > 0);
                out.extend(bytes.by_ref().take(usize::from(code)));
                continue;
            }
            let mut number = |bits: std::ops::Range<u32>| {
                bits.clone()
                    .filter(|bit| code & (1 << bit) != 0)
                    .fold(0, |value, bit| value | usize::from(bytes.next().unwrap()) << (8 * (bit - bits.start)))
            };
            let (offset, size) = (number(0..4), number(4..7));
            let size = if size == 0 { 0x1_0000 } else { size };
            out.extend_from_slice(&old[offset..offset + size]);
        }
        assert_eq!(out.len(), new_length);
        out
    }

    #[test]
    fn long_copies_are_divided_and_edits_are_small() {
        let old: Vec<u8> =
            (0..300_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let mut new = old.clone();
        new.splice(700_000..700_010, *b"something else");
        new.extend_from_slice(b"and an end");
        let made = delta(&old, &new);
        assert_eq!(applied(&old, &made), new);
        assert!(made.len() < 250, "{}", made.len());
        assert_eq!(applied(&old, &delta(&old, &old)), old);
        assert_eq!(applied(b"", &delta(b"", &old)), old);
        assert_eq!(applied(&old, &delta(&old, b"")), b"");
    }

    #[test]
    fn a_window_that_moves_on_is_the_window_there() {
        let bytes: Vec<u8> = (0..100_u32).map(|number| u8::try_from(number * 37 % 251).unwrap()).collect();
        let mut rolling = Rolling::new(&bytes[..16]);
        for at in 0..84 {
            assert_eq!(rolling.value(), Rolling::new(&bytes[at..at + 16]).value());
            rolling.roll(bytes[at], bytes.get(at + 16).copied().unwrap_or(0));
        }
    }

    proptest! {
        #[test]
        fn a_delta_makes_the_new_content(
            old in vec(0..3_u8, 0..400),
            edits in vec((0..400_usize, 0..60_usize, vec(any::<u8>(), 0..200)), 0..4),
        ) {
            let mut new = old.clone();
            for (at, gone, put) in edits {
                let at = at.min(new.len());
                let end = (at + gone).min(new.len());
                new.splice(at..end, put);
            }
            prop_assert_eq!(applied(&old, &delta(&old, &new)), new);
        }
    }
}
