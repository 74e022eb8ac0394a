//! What the payload of a record decodes to, and how it is made (store-format.md, chapters 6.1 to 6.3).
//!
//! Invariants: a payload comes to exactly the bytes that its record states, or it is refused (P3, P10); and decoding
//! holds no more than these bytes, however the payload lies: a frame is decoded straight into them, without a window
//! beside it.

use super::{codec, splice};
use crate::format::Malformed;
use crate::format::pack::Encoding;

/// The `length_bytes` bytes that a payload makes of `base`, which only a delta or a splice has.
pub fn decode(encoding: &Encoding, payload: &[u8], base: &[u8], length_bytes: usize) -> Result<Vec<u8>, Malformed> {
    match encoding {
        Encoding::Raw if payload.len() == length_bytes => Ok(payload.to_vec()),
        Encoding::Raw => Err(Malformed::new("it has another length than its record says")),
        Encoding::Zstd => codec::decompress(payload, length_bytes),
        Encoding::Delta(_) => codec::decompress_with_prefix(payload, base, length_bytes),
        Encoding::Splice(_) => splice::decode(payload, base, length_bytes),
    }
}

/// The payload that [`decode`] makes `bytes` of again. `level` is that of zstd.
#[cfg(any(test, feature = "internals"))]
pub fn encode(encoding: &Encoding, bytes: &[u8], base: &[u8], level: i32) -> Vec<u8> {
    match encoding {
        Encoding::Raw => bytes.to_vec(),
        Encoding::Zstd => codec::compress(bytes, level),
        Encoding::Delta(_) => codec::compress_with_prefix(bytes, base, level),
        Encoding::Splice(_) => splice::encode(base, bytes),
    }
}
