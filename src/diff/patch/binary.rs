//! Contents that are not text, as git writes them in patches.
//!
//! ```text
//! GIT binary patch
//! literal 1234          makes the new content; the number is its length, or that of the delta
//! zcmV...               zlib in base 85, up to 52 bytes a line, the first letter is their count
//!
//! delta 17              makes the old content, so that the patch can be reversed
//! ...
//! ```
//!
//! A content is written as a delta against the other side where that is shorter. Contents too long for memory are
//! compressed as a stream, without a delta.

use zlib_rs::{Deflate, DeflateFlush, Status};

use super::delta::delta;
use super::{Content, Put};
use crate::error::{Error, Result};
use crate::limits::PATCH_DELTA_MAX_BYTES;

/// Appends the patch between two contents; the content of a side that does not exist is empty.
pub(super) fn put_binary(put: &mut Put<'_>, old: &Content<'_>, new: &Content<'_>) -> Result<()> {
    put(b"GIT binary patch\n")?;
    put_half(put, old, new)?;
    put_half(put, new, old)
}

/// Appends the part that makes `new`.
fn put_half(put: &mut Put<'_>, old: &Content<'_>, new: &Content<'_>) -> Result<()> {
    let content = match (old, new) {
        (_, Content::Long { length_bytes, copy }) => {
            put(format!("literal {length_bytes}\n").as_bytes())?;
            let mut lines = Lines::new(put);
            let mut deflater = Deflater::new();
            let mut left = *length_bytes;
            let wrong = || Error::corrupt("write patch", "a long file", "its content has not the recorded length");
            copy(&mut |piece| {
                left = left.checked_sub(piece.len() as u64).ok_or_else(wrong)?;
                deflater.push(piece, &mut |bytes| lines.push(bytes))
            })?;
            if left > 0 {
                return Err(wrong());
            }
            deflater.finish(&mut |bytes| lines.push(bytes))?;
            return lines.finish();
        }
        (_, Content::Whole(new)) => new,
    };
    let literal = deflated(content)?;
    let against = match old {
        Content::Whole(old) if !old.is_empty() && !content.is_empty() && is_worth_a_delta(old, content) => Some(old),
        _ => None,
    };
    let delta = against.map(|old| delta(old, content));
    let packed = delta.as_ref().map(|delta| deflated(delta)).transpose()?;
    let (word, length, bytes) = match (delta, packed) {
        (Some(delta), Some(packed)) if packed.len() < literal.len() => ("delta", delta.len(), packed),
        _ => ("literal", content.len(), literal),
    };
    put(format!("{word} {length}\n").as_bytes())?;
    let mut lines = Lines::new(put);
    lines.push(&bytes)?;
    lines.finish()
}

/// Returns true if both contents are short enough for memory, and for git, which keeps lengths and offsets in 32 bits.
fn is_worth_a_delta(old: &[u8], new: &[u8]) -> bool {
    old.len().max(new.len()) as u64 <= PATCH_DELTA_MAX_BYTES
}

fn deflated(content: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(64 + content.len() / 2);
    let mut take = |bytes: &[u8]| {
        out.extend_from_slice(bytes);
        Ok(())
    };
    let mut deflater = Deflater::new();
    deflater.push(content, &mut take)?;
    deflater.finish(&mut take)?;
    Ok(out)
}

/// A zlib stream, piece by piece.
struct Deflater {
    deflate: Deflate,
    buffer: Vec<u8>,
}

/// Git's default level.
const LEVEL: i32 = 6;
const WINDOW_BITS: u8 = 15;
const BUFFER_BYTES: usize = 32 << 10;

impl Deflater {
    fn new() -> Self {
        Self { deflate: Deflate::new(LEVEL, true, WINDOW_BITS), buffer: vec![0; BUFFER_BYTES] }
    }

    fn push(&mut self, mut bytes: &[u8], take: &mut Put<'_>) -> Result<()> {
        while !bytes.is_empty() {
            bytes = &bytes[self.step(bytes, DeflateFlush::NoFlush, take)?.0..];
        }
        Ok(())
    }

    fn finish(mut self, take: &mut Put<'_>) -> Result<()> {
        while self.step(&[], DeflateFlush::Finish, take)?.1 != Status::StreamEnd {}
        Ok(())
    }

    /// Compresses as much as fits the buffer; returns the number of bytes consumed.
    fn step(&mut self, bytes: &[u8], flush: DeflateFlush, take: &mut Put<'_>) -> Result<(usize, Status)> {
        let before = (self.deflate.total_in(), self.deflate.total_out());
        let status = self.deflate.compress(bytes, &mut self.buffer, flush);
        let status = status.expect("the level and the window are ones that zlib knows");
        let taken = |after: u64, before: u64| usize::try_from(after - before).expect("no more than the buffer holds");
        take(&self.buffer[..taken(self.deflate.total_out(), before.1)])?;
        Ok((taken(self.deflate.total_in(), before.0), status))
    }
}

/// Writes bytes as lines of base 85, with an empty line at the end.
struct Lines<'a, 'b> {
    put: &'a mut Put<'b>,
    pending: Vec<u8>,
}

/// Bytes in a line.
const LINE_BYTES: usize = 52;

impl<'a, 'b> Lines<'a, 'b> {
    fn new(put: &'a mut Put<'b>) -> Self {
        Self { put, pending: Vec::new() }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.pending.extend_from_slice(bytes);
        let whole = self.pending.len() / LINE_BYTES * LINE_BYTES;
        self.put_lines(whole)
    }

    fn finish(mut self) -> Result<()> {
        self.put_lines(self.pending.len())?;
        (self.put)(b"\n")
    }

    fn put_lines(&mut self, length: usize) -> Result<()> {
        let mut text = Vec::with_capacity(length / 4 * 5 + length / LINE_BYTES * 2 + 8);
        for line in self.pending[..length].chunks(LINE_BYTES) {
            text.push(length_letter(line.len()));
            line.chunks(4).for_each(|four| text.extend_from_slice(&base85(four)));
            text.push(b'\n');
        }
        self.pending.drain(..length);
        (self.put)(&text)
    }
}

/// `A` to `Z` for 1 to 26, `a` to `z` for 27 to 52.
fn length_letter(length: usize) -> u8 {
    let number = u8::try_from(length).expect("at most 52");
    if number <= 26 { b'A' + number - 1 } else { b'a' + number - 27 }
}

/// Up to four bytes, big-endian and filled up with zeros, as five digits.
fn base85(four: &[u8]) -> [u8; 5] {
    let mut number = (0..4).fold(0_u32, |sum, at| sum << 8 | u32::from(four.get(at).copied().unwrap_or(0)));
    let mut digits = [0; 5];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(number % 85) as usize];
        number /= 85;
    }
    digits
}

const DIGITS: &[u8; 85] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
