//! Single flipped bits, found and turned back.
//!
//! CRC-32 is linear: the effect of one flipped bit depends on its place alone, and differs from place to place in
//! anything shorter than half a gigabyte. So the wrong checksum of a record tells which bit was flipped, if it was one.
//! In a trailer, and in the bytes that lead from one record to the next, every bit is tried: there are few.
//!
//! Invariant: a bit is turned back only where the whole transaction then matches its BLAKE3 hash, or the header of a
//! pack its checksum and the store. Damage of more than single bits is left as it is.

use std::collections::BTreeMap;

use super::inspect::{InspectedPack, Inspection};
use super::pack::pack_name;
use crate::error::Result;
use crate::format::pack::{
    PACK_HEADER_LENGTH_BYTES, RECORD_MAGIC, TRAILER_MAGIC, decode_header, decode_record, decode_trailer,
    record_is_intact, transaction_hash, transaction_hasher, transaction_is_intact,
};
use crate::id::StoreId;
use crate::limits::HEAL_LENGTH_MAX_BYTES;

/// Bits to be turned back, by the number of the pack: the offset of the byte in it, and the bit.
pub type Flips = BTreeMap<u32, Vec<(u64, u8)>>;

/// Finds single flipped bits in the damaged ranges of an inspection.
pub fn find_flips(inspection: &Inspection) -> Result<Flips> {
    let mut flips = Flips::new();
    for pack in &inspection.packs {
        let found = flips_of(inspection, pack)?;
        if !found.is_empty() {
            flips.insert(pack.number, found);
        }
    }
    Ok(flips)
}

fn flips_of(inspection: &Inspection, pack: &InspectedPack) -> Result<Vec<(u64, u8)>> {
    let file = inspection.reader.disk().open(&pack_name(pack.number))?;
    let store = inspection.reader.id();
    let mut flips = Vec::new();
    if pack.has_bad_header {
        let mut header = [0; PACK_HEADER_LENGTH_BYTES];
        if file.read_at(0, &mut header)? == header.len() {
            let is_right = |bytes: &[u8]| decode_header(bytes).is_ok_and(|header| header.store == store);
            flips
                .extend(try_bits(&mut header, 0..PACK_HEADER_LENGTH_BYTES, is_right).map(|(at, bit)| (at as u64, bit)));
        }
    }
    for range in pack.damaged.iter().chain(&pack.tail) {
        let length = range.place.end - range.place.start;
        if length > HEAL_LENGTH_MAX_BYTES {
            continue;
        }
        let mut bytes = vec![0; usize::try_from(length).expect("limited above")];
        let read = file.read_at(range.place.start, &mut bytes)?;
        bytes.truncate(read);
        let proven = turn_back(store, &mut bytes).into_iter();
        flips.extend(proven.map(|(at, bit)| (range.place.start + at as u64, bit)));
    }
    Ok(flips)
}

/// Turns flipped bits back, in one transaction after the other, as long as one leads to the next. Returns the bits that
/// are proven by the hash of their transaction.
fn turn_back(store: StoreId, bytes: &mut [u8]) -> Vec<(usize, u8)> {
    let (mut flips, mut unproven) = (Vec::new(), Vec::new());
    let (mut start, mut at) = (0, 0);
    while at < bytes.len() {
        let Some(part) = part_at(store, bytes, start, at) else {
            let reach = at..bytes.len().min(at + LEAD_BYTES);
            let is_right = |bytes: &[u8]| part_at(store, bytes, start, at).is_some_and(|part| part.is_intact);
            let found = try_bits(bytes, reach, is_right);
            if found.is_none() {
                break;
            }
            unproven.extend(found);
            continue;
        };
        let end = part.end;
        if part.is_trailer {
            let found = if part.is_intact { None } else { try_trailer(store, bytes, start, at, end) };
            if part.is_intact || found.is_some() {
                flips.append(&mut unproven);
                flips.extend(found);
            }
            unproven.clear();
            start = end;
        } else if !part.is_intact {
            unproven.extend(heal_record(&mut bytes[at..end]).map(|(place, bit)| (at + place, bit)));
        }
        at = end;
    }
    flips
}

/// Bytes at the start of a record or trailer that lead to the next one.
const LEAD_BYTES: usize = 96;

/// A record, or the trailer of a transaction.
struct Part {
    end: usize,
    is_trailer: bool,
    /// It matches its checksum, or its whole transaction the hash.
    is_intact: bool,
}

/// The record or trailer at `at` of a transaction that begins at `start`; `None` unless it is intact or another one
/// begins at its end.
fn part_at(store: StoreId, bytes: &[u8], start: usize, at: usize) -> Option<Part> {
    let rest = &bytes[at..];
    let part = if let Ok(header) = decode_record(rest) {
        let is_intact = record_is_intact(&header, rest);
        Part { end: at.checked_add(header.record_length_bytes())?, is_trailer: false, is_intact }
    } else {
        let trailer = decode_trailer(rest).ok().filter(|found| found.records_length_bytes == (at - start) as u64)?;
        let end = at + trailer.length_bytes;
        Part { end, is_trailer: true, is_intact: transaction_is_intact(store, &bytes[start..end]) }
    };
    let after = bytes.get(part.end..)?;
    let begins = after.is_empty() || after.starts_with(&RECORD_MAGIC) || after.starts_with(&TRAILER_MAGIC);
    (begins || part.is_intact).then_some(part)
}

/// Turns one bit after the other until `is_right`. If it never is, all bits are as before.
fn try_bits(bytes: &mut [u8], reach: std::ops::Range<usize>, is_right: impl Fn(&[u8]) -> bool) -> Option<(usize, u8)> {
    for at in reach {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            if is_right(bytes) {
                return Some((at, bit));
            }
            bytes[at] ^= 1 << bit;
        }
    }
    None
}

/// Finds the flipped bit of a trailer at `at` whose transaction begins at `start`, by its hash.
fn try_trailer(store: StoreId, bytes: &mut [u8], start: usize, at: usize, end: usize) -> Option<(usize, u8)> {
    if end - at > TRAILER_TRIED_MAX_BYTES {
        return None;
    }
    let mut records = transaction_hasher(store);
    records.update(&bytes[start..at]);
    let mut trailer = bytes[at..end].to_vec();
    let hashed = trailer.len() - 16;
    let length = trailer.len();
    let found = try_bits(&mut trailer, 0..length, |trailer| {
        transaction_hash(records.clone().update(&trailer[..hashed])) == trailer[hashed..]
    });
    let (place, bit) = found?;
    bytes[at + place] ^= 1 << bit;
    Some((at + place, bit))
}

/// Trailers longer than this are not tried bit by bit: it would take the square of the length.
const TRAILER_TRIED_MAX_BYTES: usize = 8 << 10;

/// Finds the flipped bit of a record by its checksum, and turns it back.
fn heal_record(record: &mut [u8]) -> Option<(usize, u8)> {
    let header = decode_record(record).ok()?;
    let sum_at = header.header_length_bytes - 4;
    let found = crate::format::checksum(&[&record[..sum_at], &record[sum_at + 4..]]);
    let mut syndrome = found ^ header.checksum;
    let flip = if syndrome.is_power_of_two() {
        // The bit is in the checksum itself.
        let bit = syndrome.trailing_zeros();
        (sum_at + (bit / 8) as usize, bit % 8)
    } else {
        let mut at = record.len();
        loop {
            at -= 1;
            // The checksum does not cover itself.
            if at == sum_at + 3 {
                at = sum_at.checked_sub(1)?;
            }
            (0..8).for_each(|_| syndrome = before(syndrome));
            if syndrome.is_power_of_two() && syndrome < 256 {
                break (at, syndrome.trailing_zeros());
            }
            if at == 0 {
                return None;
            }
        }
    };
    let (at, bit) = (flip.0, u8::try_from(flip.1).expect("a bit of a byte"));
    record[at] ^= 1 << bit;
    Some((at, bit))
}

/// One step of CRC-32 (reflected, polynomial edb88320) backwards.
fn before(sum: u32) -> u32 {
    if sum >> 31 == 1 { (sum ^ 0xedb8_8320) << 1 | 1 } else { sum << 1 }
}

#[cfg(test)]
mod tests {
    use super::turn_back;
    use crate::format::pack::{Encoding, Member, ObjectKind, put_record, put_trailer};
    use crate::id::{Digest, StoreId};

    const STORE: StoreId = StoreId([5; 16]);

    fn transactions() -> Vec<u8> {
        let mut bytes = Vec::new();
        for sequence in 1..4_u64 {
            let start = bytes.len();
            for content in [&[7; 300][..], &sequence.to_le_bytes()] {
                let raw_length_bytes = u32::try_from(content.len()).unwrap();
                let prefix = Digest::of(content).prefix();
                let member = Member { kind: ObjectKind::Content, raw_length_bytes, prefix };
                put_record(&mut bytes, &Encoding::Raw, &[member], content);
            }
            put_trailer(&mut bytes, STORE, start, sequence, b"what became true");
        }
        bytes
    }

    #[test]
    fn every_single_bit_is_turned_back() {
        let good = transactions();
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut damaged = good.clone();
                damaged[at] ^= 1 << bit;
                let flips = turn_back(STORE, &mut damaged);
                assert!(damaged == good, "{at} {bit}: {flips:?}");
                assert_eq!(flips, [(at, bit)]);
            }
        }
    }

    #[test]
    fn one_bit_in_each_record_is_turned_back_and_more_are_not() {
        let good = transactions();
        let second = good[5..].windows(4).position(|four| four == b"\xd7REC").unwrap() + 5;
        let mut damaged = good.clone();
        damaged[100] ^= 4;
        damaged[second + 50] ^= 32;
        assert_eq!(turn_back(STORE, &mut damaged), [(100, 2), (second + 50, 5)]);
        assert!(damaged == good);
        let mut damaged = good.clone();
        damaged[100] ^= 0x55;
        turn_back(STORE, &mut damaged);
        assert!(damaged != good);
    }
}
