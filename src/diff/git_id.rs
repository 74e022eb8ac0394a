//! Git's ids of contents: SHA-1 over `blob LENGTH`, a NUL and the bytes.
//!
//! Patches name both sides by them in their `index` lines. Without such a line git cannot apply a binary patch, cannot
//! fall back to a three-way merge, and takes a header that only names two paths for no header at all.

use sha1dc::Hasher;

use crate::error::Result;
use crate::id::to_hex;

/// The id that git gives to a content in a repository with SHA-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GitBlobId([u8; 20]);

impl GitBlobId {
    /// The id in place of a side that does not exist.
    pub(super) const NONE: Self = Self([0; 20]);

    /// The id of a content that `copy` passes on in pieces. Git refuses contents made to collide; a patch only names
    /// them, so they are accepted here.
    pub(super) fn of(
        length_bytes: u64,
        copy: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>,
    ) -> Result<Self> {
        let mut hasher = Hasher::new();
        hasher.update(format!("blob {length_bytes}\0").as_bytes());
        copy(&mut |piece| {
            hasher.update(piece);
            Ok(())
        })?;
        Ok(Self(hasher.finalize().unwrap_or_else(|collision| collision.digest()).to_bytes()))
    }

    /// The first `digit_count` hex digits, at most 40.
    pub(super) fn digits(&self, digit_count: usize) -> String {
        let mut text = to_hex(&self.0);
        text.truncate(digit_count);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::GitBlobId;

    #[test]
    fn ids_are_those_of_git() {
        let of = |content: &[u8]| GitBlobId::of(content.len() as u64, |put| put(content)).unwrap().digits(40);
        assert_eq!(of(b""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        assert_eq!(of(b"what is up, doc?"), "bd9dbf5aae1a3862dd1526723246b20206e5fc37");
        assert_eq!(GitBlobId::NONE.digits(10), "0000000000");
    }
}
