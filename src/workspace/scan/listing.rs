//! Lists a folder: its sorted names and a stat of each, without an allocation per name.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;

use crate::path::check_name;

/// The names in one folder.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// All names, each with a NUL after it, so that they can be passed to the kernel directly.
    bytes: Vec<u8>,
    /// The position of each name, sorted by name.
    listed: Vec<ListedName>,
    /// True if a name was skipped because no path can contain it.
    pub(super) has_unusable_name: bool,
}

/// The position of a name in [`Names`].
#[derive(Clone, Copy, Debug)]
pub(super) struct ListedName {
    start: usize,
    length: usize,
    /// The kind that the folder reports, which may be unknown; used only if a stat fails.
    pub(super) hint: FileType,
}

impl Names {
    /// Replaces the contents by the names in `folder`, read from the current position of its handle.
    pub(super) fn read(&mut self, folder: &OwnedFd, buffer: &mut Vec<u8>) -> rustix::io::Result<()> {
        self.bytes.clear();
        self.listed.clear();
        self.has_unusable_name = false;
        self.read_unsorted(folder, buffer)?;
        let bytes = &self.bytes;
        let name = |listed: &ListedName| &bytes[listed.start..listed.start + listed.length];
        self.listed.sort_unstable_by(|a, b| name(a).cmp(name(b)));
        // A folder that changes while it is listed may return a name twice.
        self.listed.dedup_by(|a, b| name(a) == name(b));
        Ok(())
    }

    /// Number of names.
    pub(super) fn len(&self) -> usize {
        self.listed.len()
    }

    /// The positions, sorted by name.
    pub(super) fn listed(&self) -> &[ListedName] {
        &self.listed
    }

    /// The name at a position.
    pub(super) fn name(&self, listed: &ListedName) -> &[u8] {
        &self.bytes[listed.start..listed.start + listed.length]
    }

    /// The stat of a name, without following a symlink.
    pub(super) fn stat(&self, folder: &OwnedFd, listed: &ListedName) -> rustix::io::Result<Stat> {
        let name = CStr::from_bytes_with_nul(&self.bytes[listed.start..=listed.start + listed.length]);
        rustix::fs::statat(folder, name.expect("a name ends with the only NUL in it"), AtFlags::SYMLINK_NOFOLLOW)
    }

    #[cfg_attr(
        any(not(target_os = "linux"), feature = "portable"),
        expect(clippy::while_let_on_iterator, reason = "on Linux it is none")
    )]
    fn read_unsorted(&mut self, folder: &OwnedFd, buffer: &mut Vec<u8>) -> rustix::io::Result<()> {
        buffer.clear();
        buffer.reserve(BUFFER_LENGTH_BYTES);
        #[cfg(all(target_os = "linux", not(feature = "portable")))]
        let mut entries = rustix::fs::RawDir::new(folder, buffer.spare_capacity_mut());
        #[cfg(any(not(target_os = "linux"), feature = "portable"))]
        let mut entries = rustix::fs::Dir::read_from(folder)?;
        while let Some(entry) = entries.next() {
            match entry {
                Err(Errno::INTR) => {}
                Err(e) => return Err(e),
                Ok(entry) => self.add(entry.file_name(), entry.file_type()),
            }
        }
        Ok(())
    }

    fn add(&mut self, name: &CStr, hint: FileType) {
        let bytes = name.to_bytes();
        if matches!(bytes, b"." | b"..") {
            return;
        }
        if check_name(bytes).is_err() {
            self.has_unusable_name = true;
            return;
        }
        self.listed.push(ListedName { start: self.bytes.len(), length: bytes.len(), hint });
        self.bytes.extend_from_slice(name.to_bytes_with_nul());
    }
}

/// Room for some hundred names at a time, as in glibc.
const BUFFER_LENGTH_BYTES: usize = 32 << 10;
