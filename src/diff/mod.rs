//! Differences between two trees, and between two texts.
//!
//! Pure but for the loading of trees and contents, which callers hand in: nothing here knows a workspace or a terminal.
//!
//! ```text
//! tree    two tree ids    -> Change list, in order of paths; cost follows the change
//! selection                which paths are meant
//! rename  Change list     -> Change list with pairs of deleted and added files joined
//! lines   two contents    -> ranges of lines that differ
//! text    two contents    -> hunks with context, counts, hunks applied
//! patch   one Change      -> bytes that `git apply` and `patch` take
//! git_id  one content     -> git's id of it
//! ```
//!
//! Invariants of a [`Change`] list: paths ascend (the order of [`TreePath`]), each at most once; `old` and `new` are
//! `None` exactly where the kind says so. Folders have no content of their own, so a folder is never `Modified`: what
//! changed below it is listed instead.

pub mod git_id;
pub mod lines;
pub mod patch;
pub mod rename;
pub mod selection;
pub mod text;
pub mod tree;

mod filter;
mod folder;
mod quote;

use crate::format::snapshot::ChangeCounts;
use crate::format::tree::{Entry, Kind};
use crate::id::{BlobId, Digest};
use crate::path::TreePath;

pub use tree::{TreeDiffOptions, trees};

/// One path that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where; for a rename, where it is now.
    pub path: TreePath,
    /// What happened to it.
    pub kind: ChangeKind,
    /// What it was; `None` when it was added.
    pub old: Option<Side>,
    /// What it is; `None` when it was deleted.
    pub new: Option<Side>,
    /// Where it was before a rename; `None` for everything else.
    pub old_path: Option<TreePath>,
    /// Whether its owner, ACL or extended attributes differ. Trees do not have them: whoever compares snapshots says so.
    pub attributes_changed: bool,
}

/// What happened to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// Only the new tree has it.
    Added,
    /// Other content of a file, or other target of a symlink; the mode may differ too.
    Modified,
    /// Only the old tree has it.
    Deleted,
    /// It became something else: file, folder or symlink. What is below the folder is listed on its own.
    Type,
    /// Other permission bits, and no other content; for a folder, whatever happened below it.
    Mode,
    /// Another owner, ACL or extended attribute, and nothing else.
    Attributes,
    /// It was somewhere else; content and mode may differ too. Only [`rename::detect`] makes these.
    Renamed,
}

/// What a path is in one of the two trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// File, folder or symlink.
    pub kind: Kind,
    /// Permission bits; 0 for symlinks.
    pub mode: u16,
    /// Bytes of content; the sum below a folder.
    pub size: u64,
    /// Content of a file, target of a symlink, or tree of a folder.
    pub id: Digest,
}

impl Change {
    /// Whether both sides have the same content: it only moved, or has another mode.
    pub fn is_same_content(&self) -> bool {
        self.old.zip(self.new).is_some_and(|(old, new)| old.kind == new.kind && old.id == new.id)
    }
}

/// Counts changes the way a snapshot records them. A rename is one path more and one path less, so that the numbers do
/// not depend on whether renames were looked for.
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
    /// The word used in machine-readable output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Modified => "modified",
            Self::Deleted => "deleted",
            Self::Type => "type",
            Self::Mode => "mode",
            Self::Attributes => "attributes",
            Self::Renamed => "renamed",
        }
    }

    /// The letter of git's `--name-status`, which tells neither a mode nor an attribute from content.
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
    /// The content of a file, or the target of a symlink.
    pub fn blob(&self) -> Option<BlobId> {
        (self.kind != Kind::Folder).then_some(BlobId(self.id))
    }
}

impl From<&Entry> for Side {
    fn from(entry: &Entry) -> Self {
        Self { kind: entry.kind, mode: entry.mode, size: entry.size, id: entry.id }
    }
}

#[cfg(test)]
mod tests;
