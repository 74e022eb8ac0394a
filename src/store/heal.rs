//! Single flipped bits, found and turned back.
//!
//! CRC-32 is linear: what one flipped bit does to it depends on the place alone, and differs from place to place in
//! anything shorter than half a gigabyte. So a record whose checksum is wrong tells which bit it was, if it was one. A
//! flip in a trailer, or in what leads from one record to the next, is tried out: there are few such bits.
//!
//! Invariant: a bit is turned back only where the whole transaction then matches its BLAKE3 hash, or the header of a
//! pack its checksum and the store. What was more than single bits is left as it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::inspect::{InspectedPack, Inspection};
use super::pack::pack_name;
use crate::disk::StoredFile;
use crate::error::Result;
use crate::format::pack::{
    PACK_HEADER_LENGTH_BYTES, RECORD_MAGIC, TRAILER_MAGIC, decode_header, decode_record, decode_trailer,
    record_is_intact, transaction_hash, transaction_hasher, transaction_is_intact,
};
use crate::id::StoreId;
use crate::limits::HEAL_LENGTH_MAX_BYTES;

/// Bits to be turned back, by the number of the pack: where in it, and which bit of the byte.
pub type Flips = BTreeMap<u32, Vec<(u64, u8)>>;

/// Finds single flipped bits in what an inspection found damaged.
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

/// A file as it is with some bits turned back.
#[derive(Debug)]
pub(super) struct Healed {
    pub(super) file: Arc<dyn StoredFile>,
    pub(super) flips: Vec<(u64, u8)>,
}

impl StoredFile for Healed {
    fn length(&self) -> Result<u64> {
        self.file.length()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let read = self.file.read_at(offset, buffer)?;
        for (at, bit) in &self.flips {
            let place = at.checked_sub(offset).and_then(|place| usize::try_from(place).ok());
            if let Some(byte) = place.and_then(|place| buffer[..read].get_mut(place)) {
                *byte ^= 1 << bit;
            }
        }
        Ok(read)
    }
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

/// Turns back what seem to be flipped bits, from one transaction to the next, as far as one leads to the next. Returns
/// those that are proven by the hash of their transaction.
fn turn_back(store: StoreId, bytes: &mut [u8]) -> Vec<(usize, u8)> {
    let (mut flips, mut unproven) = (Vec::new(), Vec::new());
    let (mut start, mut at) = (0, 0);
    while at < bytes.len() {
        let Some((end, is_trailer)) = next_place(store, bytes, start, at) else {
            let reach = at..bytes.len().min(at + LEAD_BYTES);
            let found = try_bits(bytes, reach, |bytes| leads_on(store, bytes, start, at));
            if found.is_none() {
                break;
            }
            unproven.extend(found);
            continue;
        };
        if is_trailer {
            if !transaction_is_intact(store, &bytes[start..end]) {
                unproven.extend(try_trailer(store, bytes, start, at, end));
            }
            if transaction_is_intact(store, &bytes[start..end]) {
                flips.append(&mut unproven);
            }
            unproven.clear();
            start = end;
        } else {
            unproven.extend(heal_record(&mut bytes[at..end]).map(|(place, bit)| (at + place, bit)));
        }
        at = end;
    }
    flips
}

/// Bytes at the start of a record or trailer in which a flip leads astray.
const LEAD_BYTES: usize = 96;

/// Where what begins at `at` ends, if something begins there and after it; whether it is a trailer.
fn next_place(store: StoreId, bytes: &[u8], start: usize, at: usize) -> Option<(usize, bool)> {
    let rest = &bytes[at..];
    let (length, is_trailer) = match decode_record(rest) {
        Ok(header) => (header.record_length_bytes(), false),
        Err(_) => {
            let trailer = decode_trailer(rest).ok()?;
            (trailer.records_length_bytes == (at - start) as u64).then_some((trailer.length_bytes, true))?
        }
    };
    let end = at.checked_add(length)?;
    let after = bytes.get(end..)?;
    let begins = after.is_empty() || after.starts_with(&RECORD_MAGIC) || after.starts_with(&TRAILER_MAGIC);
    let is_intact = || match is_trailer {
        true => transaction_is_intact(store, &bytes[start..end]),
        false => decode_record(rest).is_ok_and(|header| record_is_intact(&header, rest)),
    };
    (begins || is_intact()).then_some((end, is_trailer))
}

/// The same, and what begins there is as it was written.
fn leads_on(store: StoreId, bytes: &[u8], start: usize, at: usize) -> bool {
    match next_place(store, bytes, start, at) {
        Some((end, true)) => transaction_is_intact(store, &bytes[start..end]),
        Some((_, false)) => decode_record(&bytes[at..]).is_ok_and(|header| record_is_intact(&header, &bytes[at..])),
        None => false,
    }
}

/// Turns one bit after the other until `is_right`; all are as before if none is.
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
    if record_is_intact(&header, record) {
        return None;
    }
    let sum_at = header.header_length_bytes - 4;
    let found = crate::format::checksum(&[&record[..sum_at], &record[sum_at + 4..]]);
    let mut syndrome = found ^ header.checksum;
    let flip = if syndrome.is_power_of_two() {
        // The checksum itself was hit.
        let bit = syndrome.trailing_zeros();
        (sum_at + (bit / 8) as usize, bit % 8)
    } else {
        let mut at = record.len();
        loop {
            at -= 1;
            // The checksum is not part of what it is made of.
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
