//! An object as a change in one place of its base (store-format.md, chapter 6.2).
//!
//! Most new versions differ from the one before in one place: a line of a file, the size and id of one entry of a tree.
//! As a splice, such a version takes some three bytes more than its new bytes, where a zstd frame takes thirty more,
//! and nothing has to be searched. The length of the end that the two share follows from the length of the object.

use crate::format::{Malformed, Reader, put_uint};

/// The change from `base` to `new`: the length of the beginning that both share, then the bytes of `new` before the end
/// that both share.
pub(super) fn encode(base: &[u8], new: &[u8]) -> Vec<u8> {
    let shortest = base.len().min(new.len());
    let beginning = shared(base.iter().zip(new));
    let end = shared(base.iter().rev().zip(new.iter().rev())).min(shortest - beginning);
    let between = &new[beginning..new.len() - end];
    let mut payload = Vec::with_capacity(between.len() + 5);
    put_uint(&mut payload, beginning as u64);
    payload.extend_from_slice(between);
    payload
}

/// The object of `length_bytes` bytes that results from a change of `base`.
pub(super) fn decode(payload: &[u8], base: &[u8], length_bytes: usize) -> Result<Vec<u8>, Malformed> {
    let mut reader = Reader::new(payload);
    let beginning = reader.length(base.len())?;
    let between = reader.rest();
    let end = length_bytes.checked_sub(beginning + between.len()).filter(|end| *end <= base.len());
    let end = end.ok_or_else(|| Malformed::new("it has another length than its change makes"))?;
    Ok([&base[..beginning], between, &base[base.len() - end..]].concat())
}

fn shared<'a>(pairs: impl Iterator<Item = (&'a u8, &'a u8)>) -> usize {
    pairs.take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn every_change_goes_both_ways() {
        let texts: [&[u8]; 9] =
            [b"", b"a", b"aa", b"aaa", b"aba", b"abba", b"xabba", b"abbax", b"the same but for one word in it"];
        for base in texts {
            for new in texts {
                let payload = encode(base, new);
                assert_eq!(decode(&payload, base, new.len()).as_deref(), Ok(new), "{base:?} {new:?}");
                assert!(payload.len() <= new.len() + 1);
            }
        }
        assert_eq!(encode(b"one word here", b"one other word here").len(), 1 + b"other ".len());
    }

    #[test]
    fn a_change_that_does_not_fit_its_base_is_refused() {
        // P10.
        let base = b"0123456789";
        assert!(decode(&[], base, 10).is_err(), "no length");
        assert!(decode(&[11], base, 11).is_err(), "a beginning longer than the base");
        assert!(decode(&[10, b'x'], base, 10).is_err(), "more than the object");
        assert!(decode(&[0], base, 11).is_err(), "an end longer than the base");
        assert!(decode(&[0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], base, 10).is_err(), "a huge beginning");
        assert_eq!(decode(&[4], base, 14).as_deref(), Ok(&b"01230123456789"[..]), "they may overlap in the base");
    }
}
