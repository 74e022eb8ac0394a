//! Results of recording: `init`, `snap`, `status`.

use std::path::Path as StdPath;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::back::Unfinished;
use super::step::{Change, Dropped};
use super::value::{Counts, Id, Omitted, Path, Place, Time, Version, WorkspaceFolder, all, text, words};
use crate::format::turn::{ReadReason, ReadSummary};
use crate::id::WorkspaceId;
use crate::ops::record::snap::SnapOutcome;
use crate::ops::record::status::Status as Found;
use crate::workspace::git_notice::{GitNotice, GitPart as Part, GitProblem as Problem};
use crate::workspace::protected::Protection as Where;
use crate::workspace::rules::{Exclusion, ExclusionReason as Why};
use crate::workspace::scan::{ProtectedFolder as FoundFolder, WeakFolder};

/// A registered folder. One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Registered {
    /// The version of the JSON shapes.
    pub version: Version,
    /// The workspace and its folder.
    #[serde(flatten)]
    pub folder: WorkspaceFolder,
    /// The folder of the store.
    pub store: String,
    /// The bytes of a path that is not UTF-8, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_base64: Option<String>,
    /// False if it was registered already.
    pub new: bool,
}

impl Registered {
    /// The result of `register`.
    pub fn new(workspace: WorkspaceId, root: &StdPath, store: &StdPath, new: bool) -> Self {
        let folder = WorkspaceFolder::of(workspace, root.as_os_str().as_encoded_bytes());
        let (store, store_base64) = text(store.as_os_str().as_encoded_bytes());
        Self { version: Version, folder, store, store_base64, new }
    }
}

/// A snapshot that was taken. One object. With `"recorded": false` nothing has changed, and the other keys describe the
/// last step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Snapped {
    /// The version of the JSON shapes.
    pub version: Version,
    /// The snapshot.
    pub snapshot: Id,
    /// Its number in the workspace.
    pub step: u64,
    /// Its root tree.
    pub tree: Id,
    /// The snapshots it follows.
    pub parents: Vec<Id>,
    /// Its agent session.
    pub run: Option<String>,
    /// False if nothing had changed.
    pub recorded: bool,
    /// True if nothing had changed and the event was kept with the step.
    pub event_kept: bool,
    /// Numbers of changed paths.
    #[serde(flatten)]
    pub changed: Counts,
    /// The number of deleted paths that are still in the folder, because the rules exclude them now.
    pub newly_dropped: u64,
    /// True if the settings are not those of the step before.
    pub rules_changed: bool,
    /// Paths that an earlier snapshot has and the rules exclude now; null if there are none.
    pub dropped: Option<Dropped>,
    /// Paths that could not be recorded, or not exactly, and the reasons.
    pub omitted: Vec<Omitted>,
    /// Files of git, such as its index, that could not be used.
    pub git_unread: Vec<GitUnread>,
    /// The files that were read, by reason.
    pub read: Read,
    /// The growth of the store, in bytes.
    pub stored_bytes: u64,
    /// An interrupted restore; null if there is none.
    pub unfinished_restore: Option<Unfinished>,
    /// The time it took, in milliseconds.
    pub millis: u64,
    /// Warnings, one sentence each.
    pub warnings: Vec<String>,
}

impl Snapped {
    /// The result of `snap`, with the time it took and its warnings.
    pub fn new(outcome: &SnapOutcome, millis: u64, warnings: Vec<String>) -> Self {
        Self {
            version: Version,
            snapshot: Id::of(outcome.snapshot),
            step: outcome.step,
            tree: Id::of(outcome.tree),
            parents: outcome.parents.iter().map(Id::of).collect(),
            run: outcome.run.clone(),
            recorded: outcome.recorded,
            event_kept: outcome.noted,
            changed: (&outcome.changes).into(),
            newly_dropped: outcome.newly_dropped,
            rules_changed: outcome.rules_changed,
            dropped: outcome.dropped.as_ref().map(Dropped::from),
            omitted: all(&outcome.omitted),
            git_unread: all(&outcome.git_notices),
            read: (&outcome.read).into(),
            stored_bytes: outcome.stored_bytes,
            unfinished_restore: outcome.unfinished.as_ref().map(Unfinished::from),
            millis,
            warnings,
        }
    }
}

/// The state of the folder against its last step. One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The version of the JSON shapes.
    pub version: Version,
    /// The workspace and its folder.
    #[serde(flatten)]
    pub folder: WorkspaceFolder,
    /// The folder of the store.
    pub store: String,
    /// The bytes of a path that is not UTF-8, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_base64: Option<String>,
    /// The step at which the folder stands; null if none is recorded.
    pub head: Option<Head>,
    /// The number of the step taken last.
    pub last_step: u64,
    /// The differences from the head.
    pub changes: Vec<Change>,
    /// The number of deleted paths that are still in the folder, because the rules exclude them now.
    pub newly_dropped: u64,
    /// True if the settings are not those of the head.
    pub rules_changed: bool,
    /// Paths that an earlier snapshot has and the rules exclude now; null if there are none.
    pub dropped: Option<Dropped>,
    /// Paths that could not be recorded, or not exactly, and the reasons.
    pub omitted: Vec<Omitted>,
    /// Paths that the rules exclude, and the reasons.
    pub excluded: Vec<Excluded>,
    /// The number of files that `only` does not name, outside of the folders in `excluded`.
    pub unselected: u64,
    /// Folders that are never recorded or changed, whatever the rules.
    pub protected: Vec<ProtectedFolder>,
    /// Files of git, such as its index, that could not be used.
    pub git_unread: Vec<GitUnread>,
    /// The rules in force, as in `show`.
    pub rules: Vec<String>,
    /// The number of files that a step taken now would hold.
    pub files: u64,
    /// The number of its folders.
    pub folders: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// The files read for this status, by reason.
    pub read: Read,
    /// The files that the last step read, by reason; all zero if it read less than 64 MiB.
    pub read_last: Read,
    /// The roots of file systems that do not show every change in the times of files.
    pub weak_times: Vec<WeakTimes>,
    /// Every file is read again within this many steps.
    pub reread_steps: u64,
    /// Bytes of the store.
    pub store_bytes: u64,
    /// An interrupted restore; null if there is none.
    pub unfinished_restore: Option<Unfinished>,
    /// Damage found while opening the store.
    pub damage: Vec<String>,
    /// The storage budget in bytes; null if none is set.
    pub budget_bytes: Option<u64>,
    /// Warnings, one sentence each.
    pub warnings: Vec<String>,
}

impl Status {
    /// The result of `status`, with the folder and the budget of the store.
    pub fn new(status: &Found, store: &StdPath, budget_bytes: Option<u64>, warnings: Vec<String>) -> Self {
        let workspace = &status.workspace;
        let (store, store_base64) = text(store.as_os_str().as_encoded_bytes());
        Self {
            version: Version,
            folder: workspace.into(),
            store,
            store_base64,
            head: status.head.as_ref().map(|(id, head)| Head {
                snapshot: Id::of(id),
                step: head.step,
                tree: Id::of(head.root),
                time: head.time.into(),
                run: head.run.clone(),
                message: head.message.clone(),
            }),
            last_step: workspace.last_step,
            changes: all(&status.changes),
            newly_dropped: status.newly_dropped,
            rules_changed: status.rules_changed,
            dropped: status.dropped.as_ref().map(Dropped::from),
            omitted: all(&status.omitted),
            excluded: all(&status.excluded),
            unselected: status.unselected_count,
            protected: all(&status.protected),
            git_unread: all(&status.git_notices),
            rules: status.rules.lines().map(ToOwned::to_owned).collect(),
            files: status.counts.files,
            folders: status.counts.folders,
            bytes: status.counts.bytes,
            read: (&status.read).into(),
            read_last: (&status.read_last).into(),
            weak_times: all(&status.weak),
            reread_steps: status.reread_steps,
            store_bytes: status.store_bytes,
            unfinished_restore: workspace.unfinished.as_ref().map(Unfinished::from),
            damage: status.damage.clone(),
            budget_bytes,
            warnings,
        }
    }
}

/// The step at which a folder stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Head {
    /// The snapshot.
    pub snapshot: Id,
    /// Its number in the workspace.
    pub step: u64,
    /// Its root tree.
    pub tree: Id,
    /// The time at which it was taken.
    pub time: Time,
    /// Its agent session.
    pub run: Option<String>,
    /// The message given with it.
    pub message: String,
}

/// Files that were read, by reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Read {
    /// Files that are new.
    pub new: ReadCount,
    /// Files that changed.
    pub changed: ReadCount,
    /// Files whose size and times do not prove that they are unchanged.
    pub unproven: ReadCount,
    /// Unchanged files that are read again in turn.
    pub reread: ReadCount,
    /// The largest file read; null if none was read.
    pub largest: Option<LargestRead>,
}

impl From<&ReadSummary> for Read {
    fn from(read: &ReadSummary) -> Self {
        let count = |reason| {
            let count = read.count(reason);
            ReadCount { files: count.files, bytes: count.bytes }
        };
        let largest = read.largest.as_ref().map(|largest| LargestRead {
            path: Path::of_bytes(&largest.path),
            bytes: largest.bytes,
            reason: largest.reason.into(),
        });
        Self {
            new: count(ReadReason::New),
            changed: count(ReadReason::Changed),
            unproven: count(ReadReason::Racy),
            reread: count(ReadReason::Turn),
            largest,
        }
    }
}

/// Files read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReadCount {
    /// Number of files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The largest file read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LargestRead {
    /// Its path.
    #[serde(flatten)]
    pub path: Path,
    /// Its bytes.
    pub bytes: u64,
    /// The reason for reading it.
    pub reason: ReadWord,
}

words! {
    /// The reason why a file was read.
    ReadWord from ReadReason {
        /// It is new.
        New "new" = ReadReason::New,
        /// It changed.
        Changed "changed" = ReadReason::Changed,
        /// Its size and times do not prove that it is unchanged.
        Unproven "unproven" = ReadReason::Racy,
        /// It is unchanged and read again in turn.
        Reread "reread" = ReadReason::Turn,
    }
}

/// A path that the rules exclude.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Excluded {
    /// Its path.
    #[serde(flatten)]
    pub path: Path,
    /// The reason.
    pub reason: ExcludedReason,
    /// The file beside it or in it that decides.
    pub evidence: Option<String>,
}

impl From<&Exclusion> for Excluded {
    fn from(one: &Exclusion) -> Self {
        let evidence = match one.why {
            Why::Beside(file) | Why::Marked(file) => Some(file.to_owned()),
            _ => None,
        };
        Self { path: (&one.path).into(), reason: one.why.into(), evidence }
    }
}

words! {
    /// The reason why a path is excluded.
    ExcludedReason from Why {
        /// It belongs to a version-control system.
        VersionControl "version-control" = Why::VersionControl | Why::Protected(Where::VersionControl),
        /// The settings exclude it.
        Setting "setting" = Why::Setting,
        /// A built-in rule names it.
        BuiltIn "built-in" = Why::BuiltIn,
        /// A tool can make it again from the file beside it.
        Beside "beside" = Why::Beside(_),
        /// A file in it says that it is a cache.
        Marked "marked" = Why::Marked(_),
        /// `only` does not name it.
        Only "only" = Why::Unselected,
        /// git ignores it.
        Ignored "ignored" = Why::Ignored,
        /// It is in an excluded folder of which only some paths are recorded.
        Rest "rest" = Why::Rest,
        /// An earlier step excluded it, and only the rules have changed since.
        Earlier "earlier" = Why::Earlier,
        /// It is another working tree of the repository.
        WorkingTree "working-tree" = Why::WorkingTree | Why::Protected(Where::WorkingTree),
        /// It is the store.
        Store "store" = Why::Protected(Where::Store),
        /// It is the workspace, mounted in itself.
        Itself "itself" = Why::Protected(Where::Itself),
        /// It is the root of the file system.
        System "system" = Why::Protected(Where::System),
        /// It is the home folder.
        Home "home" = Why::Protected(Where::Home),
        /// It is another recorded folder.
        Workspace "workspace" = Why::Protected(Where::Workspace),
        /// It was mounted after the step.
        Mount "mount" = Why::Protected(Where::Mount),
        /// It is on another file system.
        FileSystem "file-system" = Why::Protected(Where::OtherFileSystem),
    }
}

/// A folder that is never recorded or changed, whatever the rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProtectedFolder {
    /// Its path.
    #[serde(flatten)]
    pub path: Path,
    /// The kind of folder.
    pub place: Place,
}

impl From<&FoundFolder> for ProtectedFolder {
    fn from(found: &FoundFolder) -> Self {
        Self { path: (&found.path).into(), place: found.protection.into() }
    }
}

/// A file of git, such as its index, that could not be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GitUnread {
    /// The kind of file.
    pub part: GitPart,
    /// Its path.
    pub file: String,
    /// The bytes of a path that is not UTF-8, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_base64: Option<String>,
    /// The problem with it.
    pub problem: GitProblem,
    /// Details of the problem: the form, the named path, or the damaged part.
    pub detail: Option<String>,
}

impl From<&GitNotice> for GitUnread {
    fn from(notice: &GitNotice) -> Self {
        let (file, file_base64) = text(notice.file.as_os_str().as_encoded_bytes());
        let detail = match &notice.problem {
            Problem::Unreadable(kind) => Some(kind.to_string()),
            Problem::NotAFile => None,
            Problem::TooLong { length_max_bytes } => Some(format!("over {length_max_bytes} bytes")),
            Problem::Malformed(detail) => Some((*detail).to_owned()),
            Problem::Unsupported(form) => Some(form.clone()),
            Problem::Dangling(path) | Problem::Relative(path) | Problem::OtherTree(path) => {
                Some(path.display().to_string())
            }
        };
        Self { part: notice.part.into(), file, file_base64, problem: (&notice.problem).into(), detail }
    }
}

words! {
    /// A kind of file of a git repository.
    GitPart from Part {
        /// The link from a working tree to its repository.
        Repository "repository" = Part::Repository,
        /// The repository's configuration.
        Settings "settings" = Part::Settings,
        /// The list of paths that git tracks.
        Index "index" = Part::Index,
        /// A list of files that git ignores.
        List "list" = Part::List,
        /// The commit and branch that are checked out.
        Head "head" = Part::Head,
    }
}

words! {
    /// The reason why a file of git could not be used.
    GitProblem from &Problem {
        /// The system refused to read it.
        Unreadable "unreadable" = Problem::Unreadable(_),
        /// It is a folder, a pipe or the like.
        NotAFile "not-a-file" = Problem::NotAFile,
        /// It is too long to be read.
        TooLong "too-long" = Problem::TooLong { .. },
        /// It is not what git writes.
        Damaged "damaged" = Problem::Malformed(_),
        /// Its form is not supported.
        Unsupported "unsupported" = Problem::Unsupported(_),
        /// It names a path that does not exist.
        Dangling "dangling" = Problem::Dangling(_),
        /// It names a path that is not absolute.
        Relative "relative" = Problem::Relative(_),
        /// It belongs to another folder.
        OtherTree "other-tree" = Problem::OtherTree(_),
    }
}

/// The root of a file system that does not show every change in the times of files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WeakTimes {
    /// Its path.
    #[serde(flatten)]
    pub path: Path,
    /// The name of the file system; empty if it is not known.
    pub file_system: String,
}

impl From<&WeakFolder> for WeakTimes {
    fn from(weak: &WeakFolder) -> Self {
        Self { path: (&weak.path).into(), file_system: weak.file_system.to_owned() }
    }
}
