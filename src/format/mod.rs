//! Bytes to values and back: the code behind store-format.md, one file per chapter.
//!
//! Pure: nothing here reads or writes a file. Every decoder is strict (`F1` in store-format.md): an unknown tag, a
//! trailing byte, a wrong order or an integer that is not in its shortest form is [`Malformed`], so a value has exactly
//! one encoding and an id names exactly one sequence of bytes. No decoder allocates more than a small multiple of its
//! input: lengths are checked against the bytes that are really there before anything is reserved.

mod bytes;
pub mod cache;
pub mod chunk_list;
mod compact;
pub mod facts;
pub mod header;
pub mod index;
pub mod journal;
pub mod pack;
pub mod snapshot;
pub mod tree;

pub use bytes::{Reader, put_bytes, put_uint};

use std::borrow::Cow;
use std::fmt;

/// Version of the whole format; the one this code writes and the only one it reads.
pub const VERSION: u32 = 1;

/// Why bytes are not what they should be. The caller, who knows the file and the object, makes an error of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    detail: Cow<'static, str>,
    is_newer: bool,
}

impl Malformed {
    /// Damaged or hostile bytes.
    pub fn new(detail: impl Into<Cow<'static, str>>) -> Self {
        Self { detail: detail.into(), is_newer: false }
    }

    /// Well-formed as far as can be told, but of a version this code does not know.
    pub fn newer(version: u64) -> Self {
        Self { detail: format!("format version {version} is newer than this program").into(), is_newer: true }
    }

    /// Whether a newer program could read it.
    pub fn is_newer(&self) -> bool {
        self.is_newer
    }

    /// As an error of `operation` on `object`.
    pub fn during(self, operation: &str, object: impl fmt::Display) -> crate::error::Error {
        use crate::error::{Error, ErrorKind};
        let kind = if self.is_newer { ErrorKind::Unsupported } else { ErrorKind::Corrupt };
        Error::new(kind, operation, object, self.detail)
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// CRC-32 (IEEE) of the parts, one after another: what protects headers, records and caches against accidents.
pub fn checksum(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}
