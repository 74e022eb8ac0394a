//! Results of going back: `restore`, `undo`, `redo`, and `restore --into`.

use std::path::Path as StdPath;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{Cause, Id, Mode, Path, Place, Time, Version, all, text, words};
use crate::format::facts::Restore;
use crate::format::tree::EntryKind;
use crate::id::SnapshotId;
use crate::ops::back::RestoreOutcome;
use crate::workspace::materialize::{
    Action as Planned, Filled as FilledFolder, Kept as KeptPath, KeptReason as Reason, Task,
};

/// A change of the folder to a past state. One object, also for several undos at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Restored {
    /// The version of the JSON shapes.
    pub version: Version,
    /// The snapshot that it restores.
    pub target: Id,
    /// Its number in the workspace.
    pub target_step: u64,
    /// The snapshot of the state before; null if none was taken.
    pub before: Option<Id>,
    /// Its number in the workspace.
    pub before_step: Option<u64>,
    /// The state of the folder now: the target, or another snapshot if only some paths were restored or some were kept.
    /// Null for `--dry-run`, and for paths with `--no-safety-snapshot`.
    pub state: Option<Id>,
    /// Its number in the workspace.
    pub state_step: Option<u64>,
    /// The kind of change.
    pub cause: Cause,
    /// False for `--dry-run`.
    pub applied: bool,
    /// The changes, in order of path.
    pub actions: Vec<Action>,
    /// Files and symlinks written.
    pub written: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Folders created.
    pub created: u64,
    /// Paths removed.
    pub removed: u64,
    /// Paths of which only the permission bits were set.
    pub mode_changed: u64,
    /// Paths of which owner, ACL or extended attributes were set.
    pub attributes_changed: u64,
    /// False, with exit code 1, if the folder, or the requested paths, are not as the step has them. Folders that stay
    /// only for unrecorded files in them (`not-empty`) do not count.
    pub exact: bool,
    /// Paths that are not as the step has them.
    pub kept: Vec<Kept>,
    /// The time it took, in milliseconds.
    pub millis: u64,
    /// Warnings, one sentence each.
    pub warnings: Vec<String>,
}

impl Restored {
    /// The result of a restore, with the time it took and its warnings.
    pub fn new(outcome: &RestoreOutcome, millis: u64, warnings: Vec<String>) -> Self {
        let applied = outcome.applied.clone().unwrap_or_default();
        Self {
            version: Version,
            target: Id::of(outcome.target),
            target_step: outcome.target_step,
            before: outcome.before.map(Id::of),
            before_step: outcome.before_step,
            state: outcome.state.map(Id::of),
            state_step: outcome.state_step,
            cause: outcome.cause.into(),
            applied: outcome.applied.is_some(),
            actions: all(&outcome.plan),
            written: applied.written,
            bytes: applied.bytes,
            created: applied.created,
            removed: applied.removed,
            mode_changed: applied.mode_changed,
            attributes_changed: applied.attributes_changed,
            exact: outcome.is_exact(),
            kept: all(outcome.kept()),
            millis,
            warnings,
        }
    }
}

/// A change of one path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Action {
    /// The action.
    pub action: ActionWord,
    /// Its path.
    #[serde(flatten)]
    pub path: Path,
    /// Its permission bits, if they are set.
    pub mode: Option<Mode>,
    /// Its size in bytes, if a file is written.
    pub size: Option<u64>,
}

impl From<&Planned> for Action {
    fn from(action: &Planned) -> Self {
        let word = ActionWord::from(action);
        let sets_mode = matches!(word, ActionWord::Write | ActionWord::Create | ActionWord::Mode);
        let mode = sets_mode.then(|| Mode::from(action.mode));
        let size = (word == ActionWord::Write).then_some(action.size);
        Self { action: word, path: (&action.path).into(), mode, size }
    }
}

words! {
    /// An action on a path.
    ActionWord from &Planned {
        /// Writes a file.
        Write "write" = Planned { task: Task::Create | Task::Replace, kind: EntryKind::File, .. },
        /// Makes a symlink.
        Link "link" = Planned { task: Task::Create | Task::Replace, kind: EntryKind::Symlink, .. },
        /// Creates a folder.
        Create "create" = Planned { task: Task::Create | Task::Replace, kind: EntryKind::Folder, .. },
        /// Removes it.
        Remove "remove" = Planned { task: Task::Remove, .. },
        /// Sets the permission bits.
        Mode "mode" = Planned { task: Task::SetMode, .. },
        /// Sets owner, ACL and extended attributes.
        Attributes "attributes" = Planned { task: Task::SetAttributes, .. },
    }
}

/// A path that is not as the step has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Kept {
    /// Its path.
    #[serde(flatten)]
    pub path: Path,
    /// The reason.
    pub reason: KeptReason,
    /// The kind of folder, if the reason is `protected`.
    pub place: Option<Place>,
    /// The reason in words.
    pub detail: String,
}

impl From<&KeptPath> for Kept {
    fn from(kept: &KeptPath) -> Self {
        let place = match kept.reason {
            Reason::Protected(place) => Some(place.into()),
            _ => None,
        };
        Self { path: (&kept.path).into(), reason: kept.reason.into(), place, detail: kept.reason.to_string() }
    }
}

words! {
    /// The reason why a path is not as the step has it.
    KeptReason from Reason {
        /// The folder holds something that was never recorded.
        NotEmpty "not-empty" = Reason::NotEmpty,
        /// It changed while the restore ran.
        Changed "changed" = Reason::Changed,
        /// Something that was never recorded is in its place.
        Occupied "occupied" = Reason::Occupied,
        /// It is a mount point, or in use.
        Busy "busy" = Reason::Busy,
        /// It is, or is in, a folder that is never changed.
        Protected "protected" = Reason::Protected(_),
        /// The system refused some of its permission bits.
        ModeRefused "mode-refused" = Reason::ModeRefused,
        /// Its owner could not be set.
        OwnerRefused "owner-refused" = Reason::OwnerRefused,
        /// Its ACL or an extended attribute could not be set.
        AttributesRefused "attributes-refused" = Reason::AttributesRefused,
        /// The system does not permit it.
        Forbidden "forbidden" = Reason::Forbidden,
        /// Its file system is read-only.
        ReadOnly "read-only" = Reason::ReadOnly,
        /// The file system refuses its name.
        BadName "bad-name" = Reason::BadName,
        /// The file system treats its name as that of another path, for example because it ignores case.
        SameName "same-name" = Reason::SameName,
        /// The file system refuses a file of its size.
        TooLarge "too-large" = Reason::TooLarge,
        /// The file system does not support this kind of entry.
        Unsupported "unsupported" = Reason::Unsupported,
        /// The system reports an input or output error for it.
        Failing "failing" = Reason::Failing,
    }
}

/// An interrupted restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unfinished {
    /// The snapshot that it restores.
    pub target: Id,
    /// The snapshot of the state before; null if none was taken.
    pub before: Option<Id>,
    /// The kind of change.
    pub cause: Cause,
    /// The paths that it restores; empty if it restores all of them.
    pub paths: Vec<Path>,
    /// The time at which it began.
    pub time: Time,
}

impl From<&Restore> for Unfinished {
    fn from(restore: &Restore) -> Self {
        Self {
            target: Id::of(restore.target),
            before: restore.before.map(Id::of),
            cause: restore.cause.into(),
            paths: restore.paths.iter().map(|path| Path::of_bytes(path)).collect(),
            time: restore.time.into(),
        }
    }
}

/// A step written into another folder. One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Filled {
    /// The version of the JSON shapes.
    pub version: Version,
    /// The snapshot.
    pub target: Id,
    /// The folder.
    pub into: String,
    /// The bytes of a path that is not UTF-8, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into_base64: Option<String>,
    /// Files written.
    pub files: u64,
    /// Folders created.
    pub folders: u64,
    /// Symlinks made.
    pub symlinks: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Paths that are not as the step has them. If there are any, the exit code is 1.
    pub kept: Vec<Kept>,
    /// The time it took, in milliseconds.
    pub millis: u64,
}

impl Filled {
    /// The result of `restore_into`, and the folder.
    pub fn new(filled: &FilledFolder, target: SnapshotId, into: &StdPath, millis: u64) -> Self {
        let (into, into_base64) = text(into.as_os_str().as_encoded_bytes());
        Self {
            version: Version,
            target: Id::of(target),
            into,
            into_base64,
            files: filled.files,
            folders: filled.folders,
            symlinks: filled.symlinks,
            bytes: filled.bytes,
            kept: all(&filled.kept),
            millis,
        }
    }
}
