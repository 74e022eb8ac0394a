//! Differences between two trees, and between two texts.
//!
//! It loads trees and contents only through callbacks of the caller; it knows neither a workspace nor a terminal.
//!
//! ```text
//! tree    two tree ids    -> Change list, in order of paths; the cost grows with the change, not with the tree
//! selection  paths, patterns -> the set of paths to compare
//! rename  Change list     -> Change list with pairs of deleted and added files joined
//! lines   two contents    -> ranges of lines that differ
//! text    two contents    -> hunks with context, counts
//! patch   one Change      -> bytes that `git apply` and `patch` take
//! git_id  one content     -> git's id of it
//! ```
//!
//! Invariants of a [`Change`] list: paths ascend (the order of [`TreePath`]), each at most once; `old` is `None`
//! exactly for `Added`, `new` exactly for `Deleted`. A folder has no content of its own, so it is never `Modified`: the
//! changed paths below it are listed instead.

pub mod lines;
pub mod patch;
pub mod rename;
pub mod selection;
pub mod text;
pub mod tree;

mod filter;
mod folder;
mod git_id;
mod quote;

use crate::format::snapshot::ChangeCounts;
use crate::format::tree::{Entry, EntryKind};
use crate::id::{BlobId, Digest};
use crate::path::TreePath;

pub use tree::{TreeDiffOptions, trees};

/// One path that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The path; for a rename, the new one.
    pub path: TreePath,
    /// The kind of change.
    pub kind: ChangeKind,
    /// The old side; `None` when the path was added.
    pub old: Option<Side>,
    /// The new side; `None` when the path was deleted.
    pub new: Option<Side>,
    /// The path before a rename; `None` for every other kind.
    pub old_path: Option<TreePath>,
    /// True if the owner, ACL or extended attributes differ. Trees do not hold these: the caller that compares
    /// snapshots sets it.
    pub attributes_changed: bool,
}

/// The kind of change to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// Only the new tree has it.
    Added,
    /// A file with other content, or a symlink with another target; the mode may differ too.
    Modified,
    /// Only the old tree has it.
    Deleted,
    /// A file, folder or symlink became another of these. Paths below a folder are listed on their own.
    Type,
    /// Only the permission bits differ. Paths below a folder may have changed too; they are listed on their own.
    Mode,
    /// Another owner, ACL or extended attribute, and nothing else.
    Attributes,
    /// The path changed; content and mode may differ too. Only the detection of renames makes these.
    Renamed,
}

/// One path in one of the two trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// File, folder or symlink.
    pub kind: EntryKind,
    /// Permission bits; 0 for symlinks.
    pub mode: u16,
    /// Length of the content in bytes; for a folder, the sum of all below it.
    pub size: u64,
    /// Content of a file, target of a symlink, or tree of a folder.
    pub id: Digest,
}

impl Change {
    /// Returns true if both sides have the same content, so that only the path, mode or attributes changed.
    pub fn is_same_content(&self) -> bool {
        self.old.zip(self.new).is_some_and(|(old, new)| old.kind == new.kind && old.id == new.id)
    }
}

/// Counts changes in the way that snapshots store the counts. A rename counts as one added and one deleted path, so
/// that the numbers do not depend on rename detection.
pub fn counts(changes: &[Change]) -> ChangeCounts {
    let mut counts = ChangeCounts::default();
    for change in changes {
        match change.kind {
            ChangeKind::Added => counts.added += 1,
            ChangeKind::Deleted => counts.deleted += 1,
            ChangeKind::Modified | ChangeKind::Type | ChangeKind::Mode | ChangeKind::Attributes => {
                counts.modified += 1;
            }
            ChangeKind::Renamed => {
                counts.added += 1;
                counts.deleted += 1;
            }
        }
    }
    counts
}

impl ChangeKind {
    /// The letter of git's `--name-status`. As there, a changed mode is `M`; so are changed attributes, which git does
    /// not know.
    pub fn letter(self) -> char {
        match self {
            Self::Added => 'A',
            Self::Modified | Self::Mode | Self::Attributes => 'M',
            Self::Deleted => 'D',
            Self::Type => 'T',
            Self::Renamed => 'R',
        }
    }
}

impl Side {
    /// The id of a file's content or a symlink's target; `None` for a folder.
    pub fn blob(&self) -> Option<BlobId> {
        (self.kind != EntryKind::Folder).then_some(BlobId(self.id))
    }
}

impl From<&Entry> for Side {
    fn from(entry: &Entry) -> Self {
        Self { kind: entry.kind, mode: entry.mode, size: entry.size, id: entry.id }
    }
}

#[cfg(test)]
mod tests;
