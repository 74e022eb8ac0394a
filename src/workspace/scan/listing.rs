//! Listing a folder: its names, sorted, and a stat of each, with no allocation per name.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;

use crate::path::check_name;

/// The names in one folder.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// All names, each with a NUL after it, so that they can be handed to the kernel as they are.
    bytes: Vec<u8>,
    /// Where each name is, sorted by name.
    places: Vec<NamePlace>,
    /// Whether a name was left out because a path cannot have it.
    pub(super) has_unusable_name: bool,
}

/// Where a name is.
#[derive(Clone, Copy, Debug)]
pub(super) struct NamePlace {
    start: usize,
    length: usize,
    /// What the folder says it is, which file systems may not know; only used where a stat fails.
    pub(super) hint: FileType,
}

impl Names {
    /// Replaces what is in here with the names in `folder`, which is read from where its handle stands.
    pub(super) fn read(&mut self, folder: &OwnedFd, buffer: &mut Vec<u8>) -> rustix::io::Result<()> {
        self.bytes.clear();
        self.places.clear();
        self.has_unusable_name = false;
        self.read_unsorted(folder, buffer)?;
        let bytes = &self.bytes;
        let name = |place: &NamePlace| &bytes[place.start..place.start + place.length];
        self.places.sort_unstable_by(|a, b| name(a).cmp(name(b)));
        // A folder that changes while it is listed may give a name twice.
        self.places.dedup_by(|a, b| name(a) == name(b));
        Ok(())
    }

    /// Number of names.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Where they are, sorted by name.
    pub(super) fn places(&self) -> &[NamePlace] {
        &self.places
    }

    /// One name.
    pub(super) fn name(&self, place: &NamePlace) -> &[u8] {
        &self.bytes[place.start..place.start + place.length]
    }

    /// The stat of one name, not following a symlink.
    pub(super) fn stat(&self, folder: &OwnedFd, place: &NamePlace) -> rustix::io::Result<Stat> {
        let name = CStr::from_bytes_with_nul(&self.bytes[place.start..=place.start + place.length]);
        rustix::fs::statat(folder, name.expect("a name ends with the only NUL in it"), AtFlags::SYMLINK_NOFOLLOW)
    }

    #[cfg(target_os = "linux")]
    fn read_unsorted(&mut self, folder: &OwnedFd, buffer: &mut Vec<u8>) -> rustix::io::Result<()> {
        buffer.clear();
        buffer.reserve(BUFFER_LENGTH_BYTES);
        let mut entries = rustix::fs::RawDir::new(folder, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            match entry {
                Err(Errno::INTR) => {}
                entry => {
                    let entry = entry?;
                    self.add(entry.file_name(), entry.file_type());
                }
            }
        }
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    fn read_unsorted(&mut self, folder: &OwnedFd, _buffer: &mut Vec<u8>) -> rustix::io::Result<()> {
        for entry in rustix::fs::Dir::read_from(folder)? {
            match entry {
                Err(Errno::INTR) => {}
                entry => {
                    let entry = entry?;
                    self.add(entry.file_name(), entry.file_type());
                }
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
        self.places.push(NamePlace { start: self.bytes.len(), length: bytes.len(), hint });
        self.bytes.extend_from_slice(name.to_bytes_with_nul());
    }
}

/// Room for some hundred names at a time, what glibc uses.
#[cfg(target_os = "linux")]
const BUFFER_LENGTH_BYTES: usize = 32 << 10;
