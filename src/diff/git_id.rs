//! Git's ids of contents: SHA-1 over `blob LENGTH`, a NUL and the bytes.
//!
//! Patches name both sides by them in their `index` lines. Without such a line git cannot apply a binary patch, cannot
//! fall back to a three-way merge, and takes a header that only names two paths for no header at all.

use std::fmt;

use sha1dc::Hasher;

/// The id that git gives to a content in a repository with SHA-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GitBlobId([u8; 20]);

impl GitBlobId {
    /// The id in place of a side that does not exist.
    pub const NONE: Self = Self([0; 20]);

    /// The id of a content in memory.
    pub fn of(content: &[u8]) -> Self {
        let mut hasher = GitBlobHasher::new(content.len() as u64);
        hasher.update(content);
        hasher.finish()
    }

    /// The first `digit_count` hex digits, at most 40.
    pub fn digits(&self, digit_count: usize) -> String {
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

/// Hashes a content piece by piece.
#[derive(Debug)]
pub struct GitBlobHasher(Hasher);

impl GitBlobHasher {
    /// Begins a content of `length_bytes` bytes.
    pub fn new(length_bytes: u64) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(format!("blob {length_bytes}\0").as_bytes());
        Self(hasher)
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The id of the whole content. Git refuses contents made to collide; a patch only names them, so they are accepted
    /// here.
    pub fn finish(self) -> GitBlobId {
        GitBlobId(self.0.finalize().unwrap_or_else(|collision| collision.digest()).to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::GitBlobId;

    #[test]
    fn ids_are_those_of_git() {
        assert_eq!(GitBlobId::of(b"").to_string(), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        assert_eq!(GitBlobId::of(b"what is up, doc?").to_string(), "bd9dbf5aae1a3862dd1526723246b20206e5fc37");
        assert_eq!(GitBlobId::NONE.digits(10), "0000000000");
    }
}
