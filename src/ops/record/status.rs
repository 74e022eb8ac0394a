//! The state of a workspace, compared with its head.

use std::sync::Arc;

use super::capture::CaptureOptions;
use super::folder::open_root;
use super::register::expect;
use super::step::look;
use crate::diff::Change;
use crate::error::Result;
use crate::format::snapshot::{Dropped, Omission, Snapshot};
use crate::format::turn::ReadSummary;
use crate::id::{SnapshotId, WorkspaceId};
use crate::store::{Store, Workspace};
use crate::workspace::git_notice::GitNotice;
use crate::workspace::rules::Exclusion;
use crate::workspace::scan::{CaptureCounts, Class, ProtectedFolder, WeakFolder};
use crate::workspace::turn;

/// The state of a workspace.
#[derive(Clone, Debug)]
pub struct Status {
    /// The workspace as the store has it.
    pub workspace: Workspace,
    /// The head of its history.
    pub head: Option<(SnapshotId, Arc<Snapshot>)>,
    /// The differences from the head.
    pub changes: Vec<Change>,
    /// Number of deleted paths that are still there: the rules exclude them now.
    pub newly_dropped: u64,
    /// True if the settings differ from those of the head.
    pub rules_changed: bool,
    /// Paths that are excluded now although an earlier step has them.
    pub dropped: Option<Dropped>,
    /// Paths that a snapshot taken now would not hold, or not exactly.
    pub omitted: Vec<Omission>,
    /// The excluded paths.
    pub excluded: Vec<Exclusion>,
    /// Number of files that `only` does not select, without those in excluded folders.
    pub unselected_count: u64,
    /// Excluded folders that are protected regardless of the rules.
    pub protected: Vec<ProtectedFolder>,
    /// Git's files that could not be used.
    pub git_notices: Vec<GitNotice>,
    /// The exclude list in force, one rule a line.
    pub rules: String,
    /// Numbers of files, folders and bytes.
    pub counts: CaptureCounts,
    /// The files that were read for this, and why.
    pub read: ReadSummary,
    /// The files that the last step read, if they were many bytes.
    pub read_last: ReadSummary,
    /// Folders at which file systems begin on which changes may leave no trace in the times of a file.
    pub weak: Vec<WeakFolder>,
    /// Number of steps within which every file is read again.
    pub reread_steps: u64,
    /// Bytes of all packs of the store.
    pub store_bytes: u64,
    /// Damage met while opening the store.
    pub damage: Vec<String>,
}

/// Captures a workspace without storing anything. Needs no lock.
pub fn status(store: &Store, workspace: WorkspaceId, options: &CaptureOptions<'_>) -> Result<Status> {
    let state = store.state();
    let found = expect(&state, workspace)?;
    let root = open_root(store, found, options.home)?;
    let step = look(store, found, &root, options, None)?;
    let class = if step.captured.weak.iter().any(|place| place.path.is_root()) { Class::Weak } else { Class::Settled };
    let reread_steps = class.steps_for(step.captured.counts.files, step.captured.counts.bytes);
    Ok(Status {
        workspace: found.clone(),
        head: step.head,
        changes: step.changes,
        newly_dropped: step.newly_dropped.len() as u64,
        rules_changed: step.has_other_settings,
        dropped: step.dropped,
        omitted: step.captured.omitted,
        excluded: step.captured.excluded,
        unselected_count: step.captured.unselected_count,
        protected: step.captured.protected,
        git_notices: step.captured.git_notices,
        rules: step.captured.rules.text().to_owned(),
        counts: step.captured.counts,
        read: step.captured.read,
        read_last: turn::load(store.disk(), workspace).read,
        weak: step.captured.weak,
        reread_steps,
        store_bytes: store.pack_bytes()?,
        damage: store.damage(),
    })
}
