//! Restores states: a whole tree into an empty folder ([`fill`]), or a list of changes into a live one ([`apply`]).
//!
//! This is the only code that writes into a workspace, and so the only code that can destroy data that was never
//! captured. Each invariant is tested:
//!
//! - No symlink is followed, and nothing outside the folder is written: every step uses single names relative to a
//!   handle from [`super::beneath`], and no handle is reused after the kind of a parent may have changed.
//! - A file appears whole or not at all, and is never readable by more people than its recorded mode allows, not even
//!   while it is written: it is created with mode 0600 and gets its exact mode last.
//! - Nothing is overwritten or removed unless it has the kind that the plan saw. Anything else in the way is kept and
//!   reported.
//! - Protected folders (see [`super::protected`]) are never entered, changed or removed, by whatever path: the open
//!   handle identifies the folder.
//! - New paths inherit no ACL, and a value that cannot be set never gives access to more people, see `attributes`.
//! - A path without an action is not touched, and so keeps its modification time.
//! - A path that the system does not allow to change is kept and reported, and the others go on. The restore stops if
//!   going on makes no sense: no space is left, the store is damaged, the device fails.
//! - Names that the file system refuses or confuses with others are found before anything is changed, see `names`.
//! - After an interruption at any point, planning and running the same restore again finishes the work. A killed
//!   process leaves at most one temporary file, with a name of its own pattern
//!   ([`is_temporary_name`](super::temporary_name::is_temporary_name)), and a read-only folder that is writable.
//!
//! Writing beside the workspace and swapping folders by rename is no alternative: the folder is somebody's working
//! directory, holds paths that were never captured, and every file would get a new modification time.

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
pub use attributes::TargetAttributes;
pub use fill::{fill, open_empty};
pub use names::{NameCheck, Names};
pub use temporary::remove_strays;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use folders::Refused;
use rustix::io::Errno;

use crate::format::tree::EntryKind;
use crate::id::Digest;
use crate::path::TreePath;
use crate::progress::{Progress, Silent};
use crate::workspace::protected::Protection;

/// The rights that a folder's owner needs to enter it and write in it. A folder without them has them while it is
/// written.
pub const OWNER_RIGHTS: u16 = 0o700;

/// Options of writing.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// True if written data survives power loss once the call returns. A few changes are synced one by one, if that
    /// takes less time than syncing the whole file system.
    ///
    /// Off by default: after power loss soon afterwards, a written file can be empty or truncated. A caller that
    /// reports the restore as finished should set it.
    pub durable: bool,
    /// Owners, ACLs and other attributes of the written paths. Without them, files belong to the restoring user and
    /// have none.
    pub attributes: Option<&'a TargetAttributes>,
    /// Receives progress events.
    pub progress: &'a dyn Progress,
}

/// One change to a path of a live workspace. Changing the kind of a path takes two: one removes, one creates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The path. The root only gets another mode or other attributes.
    pub path: TreePath,
    /// The change.
    pub task: Task,
    /// The kind of entry: the one that the plan saw, or the one to be created.
    pub kind: EntryKind,
    /// Permission bits that it is to have, without the ACL.
    pub mode: u16,
    /// Length that its content is to have, in bytes.
    pub size: u64,
    /// The content of the file or target of the symlink that it is to have; meaningless for a folder.
    pub id: Digest,
}

/// The change that an [`Action`] makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Removes the entry, if it still has its kind. A folder is removed only when empty.
    Remove,
    /// Creates an entry where the plan saw none: anything there was never captured. An existing folder is used as it
    /// is.
    Create,
    /// Overwrites the file or symlink that the plan saw.
    Replace,
    /// Sets the mode and keeps the content. A file with several hard links is rewritten, because the others would
    /// change too, and may even lie outside the workspace.
    SetMode,
    /// Sets owner, ACL, extended attributes and mode, and keeps the content. A file with several hard links is
    /// rewritten.
    SetAttributes,
}

/// The result of applying a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Files and symlinks written.
    pub written: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Files, folders and symlinks removed; those that were already gone do not count.
    pub removed: u64,
    /// Folders created.
    pub created: u64,
    /// Files and folders whose mode was set, except those written or created.
    pub mode_changed: u64,
    /// Paths whose owner, ACL or extended attributes were set, except those written or created.
    pub attributes_changed: u64,
    /// Paths whose state differs from the actions, in order.
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
    /// Paths that could not be created, or not exactly, in order.
    pub kept: Vec<Kept>,
}

/// A path that was not restored, or not exactly.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kept {
    /// The path.
    pub path: TreePath,
    /// The reason.
    pub reason: KeptReason,
}

/// The reason why a path was not restored, or not exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeptReason {
    /// The folder to be removed has contents that no action removes: excluded, omitted, or new.
    NotEmpty,
    /// It, or a parent, no longer has the kind that the plan saw.
    Changed,
    /// Something that was never captured is in its place.
    Occupied,
    /// A mount point, or in use in a way that forbids removal.
    Busy,
    /// It is, or lies in, a protected folder, such as the store.
    Protected(Protection),
    /// The system refused its mode, or dropped the setuid, setgid or sticky bit; the rest was restored.
    ModeRefused,
    /// Its owner could not be set; the rest was restored, without the rights that only that owner may have.
    OwnerRefused,
    /// Its ACL, or one of its extended attributes, could not be set. Nobody gets more access than with them.
    AttributesRefused,
    /// The system does not permit it.
    Forbidden,
    /// It is on a read-only file system.
    ReadOnly,
    /// The file system refuses its name.
    BadName,
    /// The file system treats its name as that of another path of the same state.
    SameName,
    /// The file system refuses a file of its size.
    TooLarge,
    /// The file system does not support this kind of entry.
    Unsupported,
    /// The system reports an input or output error.
    Failing,
}

/// Most files written by one task: enough to make opening the folder cheap, few enough to keep every core busy.
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
    /// An action on a folder without contents of its own.
    pub fn on_folder(path: TreePath, task: Task, mode: u16) -> Self {
        Self { path, task, kind: EntryKind::Folder, mode, size: 0, id: Digest::default() }
    }

    /// Returns true if it writes a file, symlink or folder.
    pub fn is_write(&self) -> bool {
        matches!(self.task, Task::Create | Task::Replace)
    }

    /// Number of content bytes that it writes.
    fn written_bytes(&self) -> u64 {
        if self.is_write() && self.kind == EntryKind::File { self.size } else { 0 }
    }
}

impl KeptReason {
    /// The reason why one path is kept while the others go on. `None` if the whole restore must stop, because the next
    /// path would fail the same way, or the cause is unknown.
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

    /// Returns true if the path differs from the requested state. A folder that stays only because of contents that
    /// were not captured does not count.
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
            Self::BadName => "the file system refuses its name",
            Self::SameName => "the file system treats its name as that of another path",
            Self::TooLarge => "the file system refuses a file of its size",
            Self::Unsupported => "the file system does not support this kind of entry, for example symlinks",
            Self::Failing => "the system reports an input/output error: the device may be failing",
        })
    }
}

impl Applied {
    fn keep(&mut self, path: &TreePath, reason: impl Into<Option<KeptReason>>) {
        self.kept.extend(reason.into().map(|reason| Kept { path: path.clone(), reason }));
    }

    /// The same result, with the paths that were refused before.
    pub fn with_refused(mut self, refused: &[Kept]) -> Self {
        self.kept.extend_from_slice(refused);
        self.sort_kept();
        self
    }

    /// Sorts the kept paths, with the weightiest reason for each. Contents of a folder that could not be created get
    /// the folder's reason.
    fn sort_kept(&mut self) {
        self.kept.sort();
        let reasons: BTreeMap<TreePath, KeptReason> =
            self.kept.drain(..).map(|kept| (kept.path, kept.reason)).collect();
        self.kept = reasons.iter().map(|(path, reason)| Kept { path: path.clone(), reason: *reason }).collect();
        // The kept parents of the current path that have another reason, innermost last.
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

/// Returns true if opening a folder failed because it, or a parent, is gone or is no folder any more.
fn is_changed(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV)
}

/// The reason for keeping the contents of a folder that cannot be opened; fails if that must stop the restore.
fn kept_because(refused: Refused) -> std::result::Result<KeptReason, Errno> {
    match refused {
        Refused::Protected(place) => Ok(KeptReason::Protected(place)),
        Refused::Failed(e) => KeptReason::of(e).ok_or(e),
    }
}

/// Splits a list into ranges that are worth a task each.
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
