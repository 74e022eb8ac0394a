//! Encoders and decoders: the code behind store-format.md, one file per chapter.
//!
//! Nothing here does I/O. Every decoder is strict (`F1` in store-format.md): an unknown tag, a trailing byte, a wrong
//! order or an integer that is not in its shortest form is [`Malformed`]. So a value has exactly one encoding, and an
//! id names exactly one sequence of bytes.
//!
//! No decoder takes more memory than a multiple of its input (`F3`): lengths are checked against the available bytes
//! before memory is reserved. A decoder holds at most the length of the input times the second column, plus the third.
//! The third column covers messages, the memory that serde reserves before it has seen the elements of a list, and
//! paths that share their beginnings. `tests/it/decoder_limits.rs` measures it.
//!
//! | decoder | times | and |
//! |---|---|---|
//! | tree | 3 | 4 KiB |
//! | chunk list | 2 | 4 KiB |
//! | snapshot | 5 | 3 MiB |
//! | omitted paths | 12 | 129 MiB |
//! | excluded paths | 12 | 129 MiB |
//! | times | 12 | 129 MiB |
//! | attributes | 14 | 129 MiB |
//! | facts | 48 | 3 MiB |
//! | record | 2 | 4 KiB |
//! | trailer | 1 | 4 KiB |
//! | index | 4 | 4 KiB |
//! | journal | 10 | 4 KiB |
//! | stat cache | 1 | 4 KiB |
//! | turn | 2 | 4 KiB |
//! | FORMAT | 2 | 4 KiB |
//!
//! The record and the kind limit the length of an object decoded from a frame or a delta, regardless of the frame
//! (`P3`); `store::payload` enforces that.

pub mod attributes;
mod bytes;
pub mod cache;
pub mod chunk_list;
mod compact;
pub mod facts;
pub mod header;
pub mod index;
pub mod journal;
pub mod pack;
pub mod path_list;
pub mod snapshot;
pub mod tree;
pub mod turn;

pub use bytes::{Reader, put_bytes, put_uint};

use std::borrow::Cow;
use std::fmt;

/// Version of the whole format: the only one that this code writes and reads.
pub const VERSION: u32 = 1;

/// The reason why bytes cannot be decoded. The caller, which knows the file and the object, turns it into an error.
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

    /// Valid as far as it can be decoded, but of an unknown newer version.
    pub fn newer(version: u64) -> Self {
        Self { detail: format!("format version {version} is newer than this program").into(), is_newer: true }
    }

    /// True if a newer program could read the bytes.
    pub fn is_newer(&self) -> bool {
        self.is_newer
    }

    /// Converts into an error of `operation` on `object`.
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

/// CRC-32 (IEEE) of the concatenated parts. It protects headers, records and caches against accidental damage.
pub fn checksum(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}
