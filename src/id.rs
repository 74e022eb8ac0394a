//! Typed names of objects: 32-byte BLAKE3 digests, their hex, and prefixes as people type them.
//!
//! A [`Digest`] is raw hash output; an id is typed. A [`BlobId`] is the plain BLAKE3 hash of the content, as `b3sum
//! FILE` prints it. A [`TreeId`] and a [`SnapshotId`] are BLAKE3 in `derive_key` mode, so that no file content can have
//! the id of a tree or a snapshot (store-format.md, chapter 2). `format` knows the context of each kind; this module
//! only holds the types.

use std::fmt;

/// Length of a digest, in bytes.
pub const DIGEST_LENGTH_BYTES: usize = 32;

/// Raw output of BLAKE3.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Digest(pub [u8; DIGEST_LENGTH_BYTES]);

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub struct $name(pub Digest);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.short())
            }
        }
    };
}

typed_id! {
    /// The id of one file's content, or of one chunk of it: BLAKE3 of the bytes.
    BlobId
}
typed_id! {
    /// The id of one folder's sorted list.
    TreeId
}
typed_id! {
    /// The id of one snapshot.
    SnapshotId
}

/// The id of a store: random, chosen at its creation, so that a file of another store is recognised.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct StoreId(pub [u8; 16]);

/// The id of a workspace: chosen when it is registered, and kept when the folder moves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct WorkspaceId(pub [u8; 16]);

/// The first digits of an id, as a person types them: 4 to 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HexPrefix {
    low: Digest,
    high: Digest,
}

impl Digest {
    /// Hashes `bytes` with plain BLAKE3.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The first eight hex digits, for people.
    pub fn short(&self) -> String {
        to_hex(&self.0[..4])
    }

    /// The first 16 bytes, as a pack index keeps them.
    pub fn prefix(&self) -> [u8; 16] {
        self.0.first_chunk().copied().expect("a digest is longer than 16 bytes")
    }

    /// Reads 64 hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        from_hex(text).map(Self)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.short())
    }
}

impl StoreId {
    /// Reads 32 hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        from_hex(text).map(Self)
    }
}

impl WorkspaceId {
    /// Reads 32 hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        from_hex(text).map(Self)
    }

    /// The first eight hex digits, for people.
    pub fn short(&self) -> String {
        to_hex(&self.0[..4])
    }
}

impl SnapshotId {
    /// The first eight hex digits, for people.
    pub fn short(&self) -> String {
        self.0.short()
    }
}

macro_rules! hex_text {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&to_hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    )*};
}

hex_text!(StoreId, WorkspaceId);

impl HexPrefix {
    /// Fewest digits a person must type.
    pub const DIGITS_MIN: usize = 4;

    /// Reads 4 to 64 hex digits of either case; anything else is no prefix.
    pub fn parse(text: &str) -> Option<Self> {
        if !(Self::DIGITS_MIN..=2 * DIGEST_LENGTH_BYTES).contains(&text.len()) {
            return None;
        }
        let filled = |fill: char| {
            let digits: String = text.chars().chain(std::iter::repeat(fill)).take(2 * DIGEST_LENGTH_BYTES).collect();
            Digest::parse(&digits)
        };
        Some(Self { low: filled('0')?, high: filled('f')? })
    }

    /// Returns true if `digest` begins with these digits.
    pub fn matches(&self, digest: &Digest) -> bool {
        (self.low..=self.high).contains(digest)
    }
}

/// Two hex digits per byte, lower case.
pub fn to_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).expect("a nibble is below 16");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Digest, HexPrefix, StoreId};

    #[test]
    fn hex_goes_both_ways() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string(), "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        assert_eq!(Digest::parse("6437"), None);
        assert_eq!(StoreId::parse("000102030405060708090a0b0c0d0e0g"), None);
    }

    #[test]
    fn prefixes_match_what_they_begin() {
        let digest = Digest::of(b"abc");
        for text in ["6437", "6437B3", "6437b3ac3", &digest.to_string()] {
            assert!(HexPrefix::parse(text).is_some_and(|prefix| prefix.matches(&digest)), "{text}");
        }
        assert!(!HexPrefix::parse("6438").is_some_and(|prefix| prefix.matches(&digest)));
        assert_eq!(HexPrefix::parse("643"), None);
        assert_eq!(HexPrefix::parse("643x"), None);
    }
}
