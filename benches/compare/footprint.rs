//! What a store occupies: every file in its folder, whatever it is for.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::Result;

/// Bytes of a disk block as `stat` counts them, whatever the file system's own size is.
const STAT_BLOCK_BYTES: u64 = 512;

/// The files of a store at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footprint {
    files: BTreeSet<PathBuf>,
    /// Sum of all lengths, in bytes.
    pub(crate) apparent_bytes: u64,
    /// What the disk gives up for them, in bytes.
    pub(crate) occupied_bytes: u64,
}

impl Footprint {
    /// Looks at every file in `folder`; one that is not there yet occupies nothing.
    pub(crate) fn of(folder: &Path) -> Result<Self> {
        let mut footprint = Self::default();
        if folder.exists() {
            footprint.add(folder)?;
        }
        Ok(footprint)
    }

    /// How many files there are.
    pub(crate) fn count(&self) -> usize {
        self.files.len()
    }

    /// Files whose names were not there before.
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
