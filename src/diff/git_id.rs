//! Git's ids of contents: SHA-1 over `blob LENGTH`, a NUL and the bytes.
//!
//! Patches name both sides by them in their `index` lines. Without such a line git cannot apply a binary patch, cannot
//! fall back to a three-way merge, and takes a header that only names two paths for no header at all.

use std::fmt;

use sha1dc::Hasher;

use super::patch::Content;
use crate::error::Result;

/// The id that git gives to a content in a repository with SHA-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GitBlobId([u8; 20]);

impl GitBlobId {
    /// The id in place of a side that does not exist.
    pub(super) const NONE: Self = Self([0; 20]);

    /// The id of a content. Git refuses contents made to collide; a patch only names them, so they are accepted here.
    pub(super) fn of(content: &Content<'_>) -> Result<Self> {
        let mut hasher = Hasher::new();
        hasher.update(format!("blob {}\0", content.length_bytes()).as_bytes());
        content.copy(&mut |piece| {
            hasher.update(piece);
            Ok(())
        })?;
        Ok(Self(hasher.finalize().unwrap_or_else(|collision| collision.digest()).to_bytes()))
    }

    /// The first `digit_count` hex digits, at most 40.
    pub(super) fn digits(&self, digit_count: usize) -> String {
        let mut text = self.to_string();
        text.truncate(digit_count);
        text
    }
}

impl fmt::Display for GitBlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Content, GitBlobId};

    #[test]
    fn ids_are_those_of_git() {
        let of = |content: &[u8]| GitBlobId::of(&Content::Whole(content.to_vec())).unwrap().to_string();
        assert_eq!(of(b""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        assert_eq!(of(b"what is up, doc?"), "bd9dbf5aae1a3862dd1526723246b20206e5fc37");
        assert_eq!(GitBlobId::NONE.digits(10), "0000000000");
    }
}
