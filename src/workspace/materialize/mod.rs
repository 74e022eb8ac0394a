//! Putting states back: a whole tree into an empty folder ([`fill`]), or a list of changes into a live one ([`apply`]).
//!
//! This is the only code that writes into a workspace, and so the only code that can destroy what was never captured.
//! Invariants, each held by a test:
//!
//! - No symlink is followed and nothing outside the folder is written: every step works by single names relative to a
//!   handle from [`super::beneath`], and no handle is used again after the kind of a path above it may have changed.
//! - A file appears whole or not at all, and is never readable by more people than its recorded mode allows, not even
//!   while it is written: it is created with mode 0600 and gets its exact mode last.
//! - Nothing is overwritten or removed unless it is of the kind the plan saw. What is in the way is kept and reported.
//! - Folders that are left alone (see [`super::places`]) are never entered, changed or removed, by whatever path they are
//!   met: which folder it is, is asked of the handle that is worked with.
//! - Nothing new has an ACL that it inherited, and what cannot be set never lets more people in, see `attributes`.
//! - What no action names is not touched, and so keeps its modification time.
//! - A path that the system does not let it change is kept and reported, and the others go on. It stops where going on makes
//!   no sense: no space is left, the store is damaged, the device fails.
//! - Names that the file system takes for others, or not at all, are found before anything is changed, see `names`.
//! - Stopped at any point, the same restore planned anew finishes the work. All a killed process leaves behind is one
//!   temporary file at most, with a name of its own pattern ([`is_temporary_name`](super::temporary_name::is_temporary_name)), and a read-only folder that can be
//!   written.
//!
//! Why not write beside the workspace and swap folders by rename: the folder is somebody's working directory, holds
//! paths that were never captured, and every file would get a new modification time.

mod apply;
mod at;
mod attributes;
mod content;
mod fill;
mod folders;
mod names;
mod temporary;

#[cfg(test)]
mod tests;

pub use apply::apply;
pub use attributes::Wanted;
pub use fill::{fill, open_empty};
pub use names::{NameCheck, Names};
pub use temporary::remove_strays;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use folders::Refused;
use rustix::io::Errno;

use crate::format::tree::Kind;
use crate::id::BlobId;
use crate::path::TreePath;
use crate::progress::{Progress, Silent};
use crate::workspace::places::Place;

/// What its owner needs to reach and write what is in a folder; one that lacks some of it has it while it is written into.
pub const OWNER_RIGHTS: u16 = 0o700;

/// How to write.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// True if what was written survives power loss once the call returns. A few changes are synced one by one, where
    /// that takes less than syncing all that anybody wrote to the file system.
    ///
    /// Off by default: power loss soon after can leave a file that was written empty or cut short. A caller that says
    /// that the restore is over wants it on.
    pub durable: bool,
    /// Owners, ACLs and other attributes of what is written. Without, files belong to whoever writes them and have none.
    pub attributes: Option<&'a Wanted>,
    /// Who wants to know about files and bytes as they are done.
    pub progress: &'a dyn Progress,
}

/// One change to a live workspace. A path changes its kind by a [`Action::Remove`] and another action for the same path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Removes what is there, if it is still of this kind. A folder goes only when nothing is left in it.
    Remove {
        /// Where; not the root.
        path: TreePath,
        /// What the plan saw there.
        kind: Kind,
    },
    /// Creates a folder. One that is there already is used as it is.
    CreateFolder {
        /// Where; not the root.
        path: TreePath,
        /// Its mode once everything is written.
        mode: u16,
    },
    /// Writes a file.
    WriteFile {
        /// Where; not the root.
        path: TreePath,
        /// Its permission bits.
        mode: u16,
        /// Length of its content, in bytes.
        size: u64,
        /// Its content.
        id: BlobId,
        /// Whether the plan saw a file there, which may be overwritten. Otherwise whatever is there was never captured.
        replaces: bool,
    },
    /// Writes a symlink.
    WriteSymlink {
        /// Where; not the root.
        path: TreePath,
        /// Its target.
        id: BlobId,
        /// Whether the plan saw a symlink there, which may be overwritten. Otherwise whatever is there was never captured.
        replaces: bool,
    },
    /// Sets the mode of a file whose content stays. A file that has other names is written anew, because they would
    /// change with it, and may even lie outside the workspace.
    SetFileMode {
        /// Where; not the root.
        path: TreePath,
        /// Its permission bits.
        mode: u16,
        /// Length of the content it has, in bytes.
        size: u64,
        /// The content it has.
        id: BlobId,
    },
    /// Sets owner, ACL, extended attributes and mode of something whose content stays. A file that has other names is
    /// written anew, as above.
    SetAttributes {
        /// Where; the root too.
        path: TreePath,
        /// What the plan saw there.
        kind: Kind,
        /// Its permission bits, as they are without the ACL.
        mode: u16,
        /// Length of the content it has, in bytes.
        size: u64,
        /// The content it has; without meaning for a folder.
        id: BlobId,
    },
    /// Sets the mode of a folder that stays.
    SetFolderMode {
        /// Where; the root too.
        path: TreePath,
        /// Its permission bits.
        mode: u16,
    },
}

/// The result of applying a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Files and symlinks written.
    pub written: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files, folders and symlinks removed; what was gone already is not counted.
    pub removed: u64,
    /// Folders created.
    pub created: u64,
    /// Files and folders whose mode was set and that were not written or created.
    pub mode_changed: u64,
    /// Paths whose owner, ACL or extended attributes were set, and that were not written or created.
    pub attributes_changed: u64,
    /// What is not as the actions wanted it, in order of path.
    pub kept: Vec<Kept>,
}

/// The result of filling a new folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// Files written.
    pub files: u64,
    /// Folders created, without the target itself.
    pub folders: u64,
    /// Symlinks written.
    pub symlinks: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Paths that could not be made, or not exactly, in order.
    pub kept: Vec<Kept>,
}

/// A path that was left as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kept {
    /// Which.
    pub path: TreePath,
    /// Why.
    pub reason: KeptReason,
}

/// Why a path was left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeptReason {
    /// The folder to be removed holds something no action removes: excluded, omitted, or new.
    NotEmpty,
    /// It, or a folder above it, is not of the kind it had when the plan was made.
    Changed,
    /// Something that was never captured is in its place.
    Occupied,
    /// A mount point, or in use in a way that forbids removal.
    Busy,
    /// It is, or lies in, a folder that is left alone: the store first of all.
    Protected(Place),
    /// The system did not take its mode, or dropped the setuid, setgid or sticky bit; the rest is as wanted.
    ModeRefused,
    /// Its owner could not be set; the rest is as wanted, but for what only that owner may be trusted with.
    OwnerRefused,
    /// Its ACL, or one of its extended attributes, could not be set. Nobody has more of it than with them.
    AttributesRefused,
    /// The system does not permit it.
    Forbidden,
    /// It is on a read-only file system.
    ReadOnly,
    /// The file system does not take its name.
    BadName,
    /// The file system takes its name for that of another path of the same state.
    SameName,
    /// The file system does not take a file of its size.
    TooLarge,
    /// The file system cannot hold such a thing at all.
    Unsupported,
    /// The system reports an input or output error for it.
    Failing,
}

/// Most files written by one task. Enough to make opening the folder cheap, few enough to keep every core busy.
const PIECE_FILES_MAX: usize = 128;

/// Bytes after which a task ends: a few frames of the store, so that neighbours in a frame are mostly read together.
const PIECE_BYTES: u64 = 1 << 20;

impl Default for Options<'_> {
    fn default() -> Self {
        Self { durable: false, attributes: None, progress: &Silent }
    }
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("durable", &self.durable).finish_non_exhaustive()
    }
}

impl Action {
    /// What it changes.
    pub fn path(&self) -> &TreePath {
        match self {
            Self::Remove { path, .. }
            | Self::CreateFolder { path, .. }
            | Self::WriteFile { path, .. }
            | Self::WriteSymlink { path, .. }
            | Self::SetFileMode { path, .. }
            | Self::SetAttributes { path, .. }
            | Self::SetFolderMode { path, .. } => path,
        }
    }

    /// The kind of the path it changes.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Remove { kind, .. } | Self::SetAttributes { kind, .. } => *kind,
            Self::CreateFolder { .. } | Self::SetFolderMode { .. } => Kind::Folder,
            Self::WriteFile { .. } | Self::SetFileMode { .. } => Kind::File,
            Self::WriteSymlink { .. } => Kind::Symlink,
        }
    }

    /// Returns whether it puts something where the plan saw nothing.
    pub fn is_new(&self) -> bool {
        match self {
            Self::CreateFolder { .. } => true,
            Self::WriteFile { replaces, .. } | Self::WriteSymlink { replaces, .. } => !replaces,
            Self::Remove { .. }
            | Self::SetFileMode { .. }
            | Self::SetFolderMode { .. }
            | Self::SetAttributes { .. } => false,
        }
    }

    /// Bytes of content it writes.
    pub fn size(&self) -> u64 {
        match self {
            Self::WriteFile { size, .. } => *size,
            _ => 0,
        }
    }
}

impl KeptReason {
    /// The reason why one path is kept and the others go on; `None` where the whole restore has to stop, because the next
    /// path would fail the same way, or nothing is known of what went wrong.
    pub fn of(errno: Errno) -> Option<Self> {
        match errno {
            errno if is_changed(errno) => Some(Self::Changed),
            Errno::PERM | Errno::ACCESS => Some(Self::Forbidden),
            Errno::ROFS => Some(Self::ReadOnly),
            Errno::BUSY | Errno::TXTBSY => Some(Self::Busy),
            Errno::INVAL | Errno::ILSEQ | Errno::NAMETOOLONG => Some(Self::BadName),
            Errno::FBIG => Some(Self::TooLarge),
            Errno::NOSYS | Errno::OPNOTSUPP => Some(Self::Unsupported),
            Errno::IO => Some(Self::Failing),
            _ => None,
        }
    }

    /// Returns whether the folder is not what was asked for because of it. A folder that cannot go only because of what
    /// nobody captured in it is no reason.
    pub fn is_difference(self) -> bool {
        self != Self::NotEmpty
    }
}

impl fmt::Display for KeptReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotEmpty => "the folder is not empty",
            Self::Changed => "it changed while the restore was running",
            Self::Occupied => "something that was not captured is in its place",
            Self::Busy => "it is a mount point or in use",
            Self::Protected(place) => return write!(f, "it is, or lies in, {}", place.text()),
            Self::ModeRefused => "the system did not accept its permission bits",
            Self::OwnerRefused => "its owner could not be set: only root may give files away",
            Self::AttributesRefused => "its ACL or extended attributes could not be set here",
            Self::Forbidden => "the system does not permit it: it may be immutable, or belong to somebody else",
            Self::ReadOnly => "it is on a read-only file system",
            Self::BadName => "the file system does not take its name",
            Self::SameName => "the file system takes its name for that of another path",
            Self::TooLarge => "the file system does not take a file of its size",
            Self::Unsupported => "the file system has no such things, symlinks for example",
            Self::Failing => "the system reports an input/output error: the device may be failing",
        })
    }
}

impl Applied {
    fn keep(&mut self, path: &TreePath, reason: KeptReason) {
        self.kept.push(Kept { path: path.clone(), reason });
    }

    /// The same, and what was refused before.
    pub fn with_refused(mut self, refused: &[Kept]) -> Self {
        self.kept.extend_from_slice(refused);
        self.settle();
        self
    }

    /// Sorts what was kept, with one reason for each path, the weightiest. What is in a folder that could not be made is kept for the same reason as the folder.
    fn settle(&mut self) {
        self.kept.sort();
        let reasons: BTreeMap<TreePath, KeptReason> =
            self.kept.drain(..).map(|kept| (kept.path, kept.reason)).collect();
        self.kept = reasons.iter().map(|(path, reason)| Kept { path: path.clone(), reason: *reason }).collect();
        // The paths around the one at hand that were kept for another reason, innermost last.
        let mut around: Vec<(&TreePath, KeptReason)> = Vec::new();
        for (kept, (path, reason)) in self.kept.iter_mut().zip(&reasons) {
            while around.pop_if(|(folder, _)| !path.is_within(folder)).is_some() {}
            if *reason != KeptReason::Changed {
                around.push((path, *reason));
            } else if let Some((_, cause)) = around.last().filter(|(_, cause)| cause.is_difference()) {
                kept.reason = *cause;
            }
        }
    }

    fn and(mut self, other: Self) -> Self {
        self.written += other.written;
        self.bytes += other.bytes;
        self.removed += other.removed;
        self.created += other.created;
        self.mode_changed += other.mode_changed;
        self.attributes_changed += other.attributes_changed;
        self.kept.extend(other.kept);
        self
    }
}

/// Whether opening a folder failed because it, or one above it, is gone or is no folder any more.
fn is_changed(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV)
}

/// Why what lies in a folder that cannot be opened is kept; none where that is an error.
fn kept_because(refused: Refused) -> std::result::Result<KeptReason, Errno> {
    match refused {
        Refused::Protected(place) => Ok(KeptReason::Protected(place)),
        Refused::Failed(e) => KeptReason::of(e).ok_or(e),
    }
}

/// Cuts a list into stretches that are worth a task each.
fn pieces<T>(items: &[T], size: impl Fn(&T) -> u64) -> Vec<Range<usize>> {
    let mut cuts = Vec::new();
    let (mut start, mut bytes) = (0, 0_u64);
    for (index, item) in items.iter().enumerate() {
        bytes = bytes.saturating_add(size(item));
        if bytes >= PIECE_BYTES || index + 1 - start == PIECE_FILES_MAX || index + 1 == items.len() {
            cuts.push(start..index + 1);
            (start, bytes) = (index + 1, 0);
        }
    }
    cuts
}
