//! Retrograde: a flight recorder for the folders that AI agents work in.
//!
//! The library records a folder as a *snapshot* at every step of an agent, compares snapshots, and puts the folder back
//! to any of them. The program `retro` is a thin shell around it.
//!
//! ```
//! use std::fs;
//! use std::num::NonZeroU64;
//! use retrograde::{
//!     CompareWith, Config, Guard, RestoreOptions, Selection, SnapOptions, Store, Timestamp, compare, register,
//!     restore_into, snap, undo,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let place = tempfile::tempdir()?;
//! # let (project, store_folder) = (place.path().join("project"), place.path().join("store"));
//! # fs::create_dir(&project)?;
//! // A store keeps the snapshots of any number of folders. It is never recorded itself, wherever it lies.
//! let store = Store::open_or_create_at(&store_folder)?;
//! let (workspace, _) = register(&store, &project, &Guard::default(), Timestamp::now())?;
//!
//! let config = Config::default();
//! let options = || SnapOptions::new(&config, Timestamp::now());
//! fs::write(project.join("notes.txt"), "one\n")?;
//! let before = snap(&store, workspace, &options())?.snapshot;
//! fs::write(project.join("notes.txt"), "one\ntwo\n")?;
//! let after = snap(&store, workspace, &options())?.snapshot;
//!
//! let everything = Selection::default();
//! let (old, new) = (CompareWith::Snapshot(before), CompareWith::Snapshot(after));
//! let comparison = compare(&store, &old, &new, &everything)?;
//! assert_eq!(comparison.changes[0].path.to_string(), "notes.txt");
//!
//! // Elsewhere, beside the folder ...
//! let elsewhere = place.path().join("before");
//! restore_into(&store, before, &[], &elsewhere, &Default::default())?;
//! assert_eq!(fs::read_to_string(elsewhere.join("notes.txt"))?, "one\n");
//!
//! // ... or in place: the last step is taken back. `redo` would bring it again.
//! undo(&store, workspace, NonZeroU64::MIN, &RestoreOptions::new(&config, Timestamp::now()))?;
//! assert_eq!(fs::read_to_string(project.join("notes.txt"))?, "one\n");
//! # Ok(())
//! # }
//! ```
//!
//! # Which function for what
//!
//! ```text
//! record a folder     register, snap; settings reads its retro.toml, which Config::default() does not
//! look at steps       log, show, step_changes, compare, ls, cat, runs, stats; status compares with the folder
//! name a snapshot     resolve, resolve_range: "s12", "@~2", "HEAD", a tag, an id, "run:NAME", "@{10 minutes ago}"
//! go back             restore, undo, redo; restore_into writes elsewhere
//! finish a restore    Workspace::unfinished says that one was interrupted; resume_restore, abort_restore
//! keep                tag, delete_tag, pin
//! check a store       verify, repair, with a detail::LocalDisk on the store's folder
//! exchange            share: git repositories and tar files
//! move, join, forget  workspaces
//! JSON                wire
//! ```
//!
//! Threads may share a [`Store`]. [`Store::state`] has the workspaces, their steps and heads as of the last
//! [`Store::refresh`] or operation. Hints of errors are for users of the program: they name its commands.
//!
//! # The code map
//!
//! ```text
//! floor 12  src/bin/retro   arguments, output, the environment: the only code that knows a terminal
//! floor 10  wire            the versioned JSON shapes
//! floor 6   ops             one file per operation, in the groups of `--help`: record look back keep share check
//! floor 5   history         names of snapshots, walks of their graph
//!           diff            trees and texts compared
//!           workspace       the live folder: scan, stat cache, rules, reading, materialize
//! floor 4   store           objects in packs, facts in transactions
//! floor 3   format          bytes <-> values, one file per chapter of store-format.md
//!           chunker         cuts large files into chunks
//!           disk            the only code that writes into a store folder
//! floor 2   error, progress
//! floor 1   id, path
//! floor 0   limits, time
//! ```
//!
//! A module imports only from floors below its own; `tests/it/floors.rs` holds the whole table and checks it. The
//! modules are private; this page and [`share`], [`workspaces`], [`wire`] and [`detail`] list the public names.
//! `store-format.md` specifies the bytes of a store.
//!
//! # How a snapshot is taken
//!
//! `ops::record::snap` asks `workspace::scan` for the differences from the stat cache and reads those files. It passes
//! their bytes to a `store::Batch` (hash, delta or frame, compress), builds the trees of changed folders from the
//! bottom up, and records a transaction: one append to a pack, one `fdatasync`. `ops::back` captures the folder,
//! records it, compares trees, and lets `workspace::materialize` write only the differences.
//!
//! # How damage is handled
//!
//! `store::recover` reads packs without pack indexes, from record to record. `store::inspect` shows a store as its
//! packs have it, regardless of its caches. `ops::check::verify` walks from snapshots to contents and lists the steps
//! and paths that need damaged objects. `ops::check::repair` corrects flipped bits (`store::heal`), rewrites packs
//! (`store::repair`), searches live folders for lost contents, and marks the snapshots that stay incomplete.
//!
//! # What is deliberately absent
//!
//! - `format` does no I/O, and allocates no more than a small multiple of its input.
//! - `store` knows no workspace, and `workspace` no history; they meet in `ops`.
//! - Nothing below the binary prints, exits, reads the environment or parses arguments.
//! - Nothing but `time` reads the clock; time and randomness are arguments: same input, same bytes.
//! - Nothing but `disk` writes store files; `workspace` writes only outside the store.
//! - The store's own folder is not an option: the store knows it by device and inode, so nobody can forget to name it.
//! - git is never run, and `.git` is never touched.

#![cfg_attr(
    not(feature = "internals"),
    allow(
        unused_imports,
        unreachable_pub,
        reason = "modules export all that their neighbours and the tests use; this page exports a part of it"
    )
)]

// The modules are private. Fuzz targets and the tests that need the inside see them through the feature `internals`.
#[cfg(not(feature = "internals"))]
mod chunker;
#[cfg(not(feature = "internals"))]
mod diff;
#[cfg(not(feature = "internals"))]
mod disk;
#[cfg(not(feature = "internals"))]
mod error;
#[cfg(not(feature = "internals"))]
mod format;
#[cfg(not(feature = "internals"))]
mod history;
#[cfg(not(feature = "internals"))]
mod id;
#[cfg(not(feature = "internals"))]
mod limits;
#[cfg(not(feature = "internals"))]
mod ops;
#[cfg(not(feature = "internals"))]
mod path;
#[cfg(not(feature = "internals"))]
mod progress;
#[cfg(not(feature = "internals"))]
mod store;
#[cfg(not(feature = "internals"))]
mod time;
#[cfg(not(feature = "internals"))]
mod workspace;

pub mod wire;

#[cfg(feature = "internals")]
pub mod chunker;
#[cfg(feature = "internals")]
pub mod diff;
#[cfg(feature = "internals")]
pub mod disk;
#[cfg(feature = "internals")]
pub mod error;
#[cfg(feature = "internals")]
pub mod format;
#[cfg(feature = "internals")]
pub mod history;
#[cfg(feature = "internals")]
pub mod id;
#[cfg(feature = "internals")]
pub mod limits;
#[cfg(feature = "internals")]
pub mod ops;
#[cfg(feature = "internals")]
pub mod path;
#[cfg(feature = "internals")]
pub mod progress;
#[cfg(feature = "internals")]
pub mod store;
#[cfg(feature = "internals")]
pub mod time;
#[cfg(feature = "internals")]
pub mod workspace;

pub use crate::diff::selection::Selection;
pub use crate::diff::{Change, ChangeKind};
pub use crate::error::{Error, ErrorKind, Result};
pub use crate::format::snapshot::Snapshot;
pub use crate::history::revision::{Context as RevisionContext, resolve, resolve_range};
pub use crate::id::{SnapshotId, WorkspaceId};
pub use crate::ops::back::{
    RestoreOptions, RestoreOutcome, abort as abort_restore, redo, restore, restore_into, resume as resume_restore, undo,
};
pub use crate::ops::check::repair::{RepairOptions, RepairOutcome, repair};
pub use crate::ops::check::verify::{Finding, Level as VerifyLevel, VerifyOptions, VerifyOutcome, verify};
pub use crate::ops::keep::tag::{delete_tag, pin, tag};
pub use crate::ops::look::cat::cat;
pub use crate::ops::look::compare::{Comparison, Other as CompareWith, compare};
pub use crate::ops::look::log::{Log, LogEntry, LogOptions, log};
pub use crate::ops::look::ls::{LsOptions, ls};
pub use crate::ops::look::runs::{Run, Runs, runs};
pub use crate::ops::look::show::{Shown, changes as step_changes, show};
pub use crate::ops::look::stats::{Stats, stats};
pub use crate::ops::record::capture::CaptureOptions;
pub use crate::ops::record::register::{Guard, register};
pub use crate::ops::record::settings::{Settings, settings};
pub use crate::ops::record::snap::{SnapOptions, SnapOutcome, snap};
pub use crate::ops::record::status::{Status, status};
pub use crate::path::TreePath;
pub use crate::progress::{Event as ProgressEvent, Progress};
pub use crate::store::{Store, Workspace};
pub use crate::time::Timestamp;
pub use crate::workspace::config::Config;

/// Recorded folders: found by path or id, moved, joined, forgotten and recalled. [`register`] adds one.
pub mod workspaces {
    pub use crate::ops::record::folder::is_in_use;
    pub use crate::ops::record::join::join as join_workspaces;
    pub use crate::ops::record::register::{
        Forgetting, Recognised, expect_workspace, forget_workspace, forgetting, move_workspace, named_forgotten,
        named_workspace, recall_workspace, recognise, replaced_by_other, resolve_folder, root_of, workspace_of,
    };
}

/// Recordings as git repositories and tar files, and git histories as recordings. The part for git needs the feature
/// `git`.
pub mod share {
    pub use crate::ops::share::elsewhere::expect_no_store;
    #[cfg(feature = "git")]
    pub use crate::ops::share::export_git::{ExportGitOptions, ExportedGit, SkippedPath, export_git};
    pub use crate::ops::share::export_tar::{ExportTarOptions, Exported as TarExport, export_tar};
    #[cfg(feature = "git")]
    pub use crate::ops::share::import_git::{
        Commits as GitCommits, ImportGitOptions, Imported as GitImport, RefusedEntry, Skipped as SkippedCommit,
        Source as GitSource, import_git,
    };
}

/// Parts of options and outcomes, and helpers for programs that show them to people: rarely named.
pub mod detail {
    pub use crate::diff::patch::PatchOptions;
    pub use crate::diff::selection::Pattern;
    pub use crate::diff::text::{LineCounts, counts as line_counts, is_comparable};
    pub use crate::diff::{Side, counts as change_counts};
    pub use crate::disk::Disk;
    pub use crate::disk::local::LocalDisk;
    pub use crate::disk::wait::{LockHolder, LockWait};
    pub use crate::error::shown;
    pub use crate::format::attributes::{AttributeList, Attributes, Name as AttributeName, Owner};
    pub use crate::format::facts::{FolderIdentity, Restore as UnfinishedRestore, RestoreCause};
    pub use crate::format::pack::{ObjectKey, ObjectKind};
    pub use crate::format::snapshot::{
        Attachment, Cause, ChangeCounts, Dropped, GitState, Omission, Reason as OmissionReason,
    };
    pub use crate::format::tree::{Entry, EntryKind};
    pub use crate::format::turn::{LargestRead, ReadCount, ReadReason, ReadSummary};
    pub use crate::history::revision::{Range as RevisionRange, check_tag_name, is_in_full, is_range, split_path};
    pub use crate::id::{BlobId, Digest, StoreId, TreeId};
    pub use crate::limits::{EVENT_LENGTH_MAX_BYTES, READ_NOTABLE_BYTES};
    pub use crate::ops::check::repair::{Action as RepairAction, Left as RepairLeft, Source as RecoverySource};
    pub use crate::ops::check::verify::{Affected, Part as AffectedPart};
    pub use crate::ops::keep::forget::{ForgetOptions, forget};
    pub use crate::ops::look::ls::{entry_at, find as find_entry};
    pub use crate::ops::look::select::selected;
    pub use crate::ops::look::show::{Call, event as step_event};
    pub use crate::ops::look::stats::{PathTotals, Totals};
    pub use crate::ops::record::said::{
        Part as TextPart, Repair as TextRepair, UNPARSED_KEY, compact as compact_event,
    };
    pub use crate::ops::record::snap::RUN_DEFAULT;
    pub use crate::path::{PathProblem, escaped};
    pub use crate::progress::Silent;
    pub use crate::store::file::StoreFile;
    pub use crate::store::inspect::{CacheProblem, Damage, DamagedObject, Note, Problem, ProblemKind};
    pub use crate::store::state::{Forgotten, Noted, NotedEvent, State};
    pub use crate::store::timeline::Timeline;
    pub use crate::time::Stopwatch;
    pub use crate::workspace::config::store::{Retention, STORE_CONFIG_NAME, StoreConfig, load as load_store_config};
    pub use crate::workspace::config::{Capture, Notice as ConfigNotice, load_file as load_config_file};
    pub use crate::workspace::git_head::git_state;
    pub use crate::workspace::git_notice::{GitNotice, GitPart, GitProblem};
    pub use crate::workspace::materialize::TargetAttributes;
    pub use crate::workspace::materialize::{
        Action as RestoreAction, Applied, Filled, Kept, KeptReason, Options as FillOptions, Task as RestoreTask,
    };
    pub use crate::workspace::protected::Protection;
    pub use crate::workspace::rules::{Caps, Exclusion, ExclusionReason, RuleOptions};
    pub use crate::workspace::scan::{CaptureCounts, ProtectedFolder, ScanLimits, WeakFolder};
}
