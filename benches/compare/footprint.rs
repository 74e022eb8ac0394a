//! Space that a store occupies: every file in its folder.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::Result;

/// Bytes of a block in `stat`, independent of the file system's own block size.
const STAT_BLOCK_BYTES: u64 = 512;

/// The files of a store at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footprint {
    files: BTreeSet<PathBuf>,
    /// Sum of all lengths, in bytes.
    pub(crate) apparent_bytes: u64,
    /// Bytes on disk of all files.
    pub(crate) occupied_bytes: u64,
}

impl Footprint {
    /// Reads the size of every file in `folder`; a missing folder occupies nothing.
    pub(crate) fn of(folder: &Path) -> Result<Self> {
        let mut footprint = Self::default();
        if folder.exists() {
            footprint.add(folder)?;
        }
        Ok(footprint)
    }

    /// The number of files.
    pub(crate) fn count(&self) -> usize {
        self.files.len()
    }

    /// The number of files whose names are new.
    pub(crate) fn new_files(&self, before: &Self) -> usize {
        self.files.difference(&before.files).count()
    }

    fn add(&mut self, folder: &Path) -> Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let facts = entry.metadata()?;
            self.occupied_bytes += facts.blocks() * STAT_BLOCK_BYTES;
            if facts.is_dir() {
                self.add(&entry.path())?;
            } else {
                self.apparent_bytes += facts.len();
                self.files.insert(entry.path());
            }
        }
        Ok(())
    }
}
