//! The changes of a simulated disk, and the state that they add up to.
//!
//! A file has a number, as an inode has, and names lead to it. A name may come to lead to another file, and an open
//! file stays the same when its name is removed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::content::Content;
use crate::disk::folder_of;

/// The number of a file, whatever its name.
pub(super) type FileNumber = u64;

/// One call that changed something, or that made earlier changes durable.
#[derive(Clone, Debug)]
pub(super) enum Change {
    CreateFolder { folder: String },
    Create { name: String, file: FileNumber },
    Write { name: String, file: FileNumber, offset: usize, bytes: Arc<[u8]> },
    Truncate { name: String, file: FileNumber, length_bytes: usize },
    Sync { name: String, file: FileNumber },
    SyncFailed { name: String, file: FileNumber },
    Rename { from: String, to: String, file: FileNumber },
    Remove { name: String },
    SyncFolder { folder: String },
}

/// Folders, names and files at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    pub(super) folders: BTreeSet<String>,
    pub(super) names: BTreeMap<String, FileNumber>,
    pub(super) files: BTreeMap<FileNumber, Content>,
}

impl Image {
    /// Applies one change.
    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::CreateFolder { folder } => {
                self.folders.insert(folder.clone());
            }
            Change::Create { name, file } => {
                self.names.insert(name.clone(), *file);
                self.files.insert(*file, Content::default());
            }
            Change::Write { file, offset, bytes, .. } => self.file_mut(*file).write_at(*offset, bytes),
            Change::Truncate { file, length_bytes, .. } => self.file_mut(*file).set_length(*length_bytes),
            Change::Rename { from, to, file } => {
                self.names.remove(from);
                self.names.insert(to.clone(), *file);
            }
            Change::Remove { name } => {
                self.names.remove(name);
            }
            Change::Sync { .. } | Change::SyncFailed { .. } | Change::SyncFolder { .. } => {}
        }
    }

    /// The file with this number.
    pub(super) fn file_mut(&mut self, file: FileNumber) -> &mut Content {
        self.files.get_mut(&file).expect("a file is created before it is changed")
    }

    /// True if there is such a folder; the root always exists.
    pub(super) fn has_folder(&self, folder: &str) -> bool {
        folder.is_empty() || self.folders.contains(folder)
    }

    /// The names in a folder.
    pub(super) fn list(&self, folder: &str) -> Vec<String> {
        let within = self.names.keys().chain(&self.folders).filter(|name| folder_of(name) == folder);
        let mut names: Vec<String> =
            within.map(|name| name.rsplit_once('/').map_or(&**name, |(_, last)| last).to_owned()).collect();
        names.sort();
        names
    }

    /// Drops files that no name leads to.
    pub(super) fn drop_nameless(&mut self) {
        let named: BTreeSet<FileNumber> = self.names.values().copied().collect();
        self.files.retain(|file, _| named.contains(file));
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateFolder { folder } => write!(f, "create folder {folder}"),
            Self::Create { name, .. } => write!(f, "create {name}"),
            Self::Write { name, offset, bytes, .. } => write!(f, "write {name} {offset}..{}", offset + bytes.len()),
            Self::Truncate { name, length_bytes, .. } => write!(f, "cut {name} to {length_bytes}"),
            Self::Sync { name, .. } => write!(f, "sync {name}"),
            Self::SyncFailed { name, .. } => write!(f, "failed sync {name}"),
            Self::Rename { from, to, .. } => write!(f, "rename {from} to {to}"),
            Self::Remove { name } => write!(f, "remove {name}"),
            Self::SyncFolder { folder } => write!(f, "sync folder {folder}/"),
        }
    }
}
