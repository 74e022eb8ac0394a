//! The primitive encodings (store-format.md, chapter 1): little-endian integers, variable-length integers, byte
//! strings.
//!
//! The variable-length integer is bincode's, so that the structures of `compact` share it with all others: one byte
//! below 251; else 251, 252 or 253 followed by 2, 4 or 8 bytes.

use super::{Malformed, VERSION, checksum};

const TWO_BYTES: u8 = 251;
const FOUR_BYTES: u8 = 252;
const EIGHT_BYTES: u8 = 253;

/// Appends `value` in its shortest form.
pub fn put_uint(out: &mut Vec<u8>, value: u64) {
    if let Ok(byte) = u8::try_from(value)
        && byte < TWO_BYTES
    {
        out.push(byte);
    } else if let Ok(short) = u16::try_from(value) {
        out.push(TWO_BYTES);
        out.extend_from_slice(&short.to_le_bytes());
    } else if let Ok(word) = u32::try_from(value) {
        out.push(FOUR_BYTES);
        out.extend_from_slice(&word.to_le_bytes());
    } else {
        out.push(EIGHT_BYTES);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// Appends the length of `bytes` and the bytes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_uint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The first bytes of a file: its magic and the version of the format.
pub(super) fn file_start(magic: [u8; 8], capacity: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(capacity);
    out.extend_from_slice(&magic);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out
}

/// Appends the checksum of `out[start..]`.
pub(super) fn put_checksum(out: &mut Vec<u8>, start: usize) {
    let sum = checksum(&[&out[start..]]);
    out.extend_from_slice(&sum.to_le_bytes());
}

/// Checks a header of `length_bytes` bytes, which begins as [`file_start`] wrote it and ends with its checksum. Returns
/// a reader of the bytes between, and of the checksum. `file` names the file in errors: `a pack`.
pub(super) fn check_header<'a>(
    bytes: &'a [u8],
    magic: [u8; 8],
    length_bytes: usize,
    file: &str,
) -> Result<Reader<'a>, Malformed> {
    let mut reader = Reader::new(bytes);
    if reader.array()? != magic {
        return Err(Malformed::new(format!("it does not begin like {file}")));
    }
    let header = Reader::new(bytes).take(length_bytes)?;
    let (checked, sum) = header.split_at(length_bytes - 4);
    if checksum(&[checked]).to_le_bytes() != sum {
        return Err(Malformed::new("the header does not match its checksum"));
    }
    let mut reader = Reader::new(&header[magic.len()..]);
    match reader.u32()? {
        VERSION => Ok(reader),
        version => Err(Malformed::newer(u64::from(version))),
    }
}

/// Reads values from the front of a slice.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The bytes not yet read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `length_bytes` bytes.
    pub fn take(&mut self, length_bytes: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length_bytes).ok_or(TOO_SHORT)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(TOO_SHORT)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    /// Two bytes, little-endian.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// Four bytes, little-endian.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Eight bytes, little-endian.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Eight bytes, little-endian, two's complement.
    pub fn i64(&mut self) -> Result<i64, Malformed> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    /// A variable-length integer, refused unless in its shortest form.
    pub fn uint(&mut self) -> Result<u64, Malformed> {
        let (value, least) = match self.u8()? {
            TWO_BYTES => (u64::from(self.u16()?), u64::from(TWO_BYTES)),
            FOUR_BYTES => (u64::from(self.u32()?), 1 << 16),
            EIGHT_BYTES => (self.u64()?, 1 << 32),
            byte if byte < TWO_BYTES => (u64::from(byte), 0),
            _ => return Err(Malformed::new("an integer has an unknown width")),
        };
        if value < least {
            return Err(Malformed::new("an integer is not in its shortest form"));
        }
        Ok(value)
    }

    /// A variable-length integer of at most `max`.
    pub fn length(&mut self, max: usize) -> Result<usize, Malformed> {
        let value = self.uint()?;
        usize::try_from(value)
            .ok()
            .filter(|&length| length <= max)
            .ok_or_else(|| Malformed::new(format!("a length of {value} is over the limit of {max}")))
    }

    /// A variable-length count of items of at least `item_length_min_bytes` each; fails if they exceed the remaining
    /// bytes.
    pub fn count(&mut self, max: usize, item_length_min_bytes: usize) -> Result<usize, Malformed> {
        let count = self.length(max)?;
        if count.saturating_mul(item_length_min_bytes) > self.rest.len() {
            return Err(TOO_SHORT);
        }
        Ok(count)
    }

    /// A length of at most `max`, and that many bytes.
    pub fn bytes(&mut self, max: usize) -> Result<&'a [u8], Malformed> {
        let length = self.length(max)?;
        self.take(length)
    }

    /// Fails if bytes are left.
    pub fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed::new("bytes follow the end")) }
    }
}

const TOO_SHORT: Malformed = Malformed { detail: std::borrow::Cow::Borrowed("ends too early"), is_newer: false };

#[cfg(test)]
mod tests {
    use super::{Reader, put_uint};

    #[test]
    fn integers_have_one_form() {
        for value in [0, 1, 250, 251, 65_535, 65_536, u64::from(u32::MAX), 1 << 32, u64::MAX] {
            let mut bytes = Vec::new();
            put_uint(&mut bytes, value);
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.uint(), Ok(value));
            assert!(reader.finish().is_ok());
        }
        for long in
            [&[251, 250, 0][..], &[252, 255, 255, 0, 0], &[253, 255, 255, 255, 255, 0, 0, 0, 0], &[254], &[255], &[]]
        {
            assert!(Reader::new(long).uint().is_err(), "{long:?}");
        }
    }

    #[test]
    fn counts_are_checked_against_the_remaining_bytes() {
        assert!(Reader::new(&[3, 0, 0, 0]).count(10, 1).is_ok());
        assert!(Reader::new(&[3, 0, 0]).count(10, 1).is_err());
        assert!(Reader::new(&[3, 0, 0, 0]).count(2, 1).is_err());
    }
}
