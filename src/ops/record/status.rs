//! How a workspace stands against its head.

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

/// What there is to know.
#[derive(Clone, Debug)]
pub struct Status {
    /// The workspace as the store has it.
    pub workspace: Workspace,
    /// The snapshot it stands at.
    pub head: Option<(SnapshotId, Arc<Snapshot>)>,
    /// What differs from it now.
    pub changes: Vec<Change>,
    /// Of the deleted paths, those that are still there: the rules leave them out now.
    pub left_out: u64,
    /// True if the settings are others than those of the head.
    pub rules_changed: bool,
    /// Paths that are left out though an earlier step has them.
    pub dropped: Option<Dropped>,
    /// What a snapshot taken now would not hold, or not exactly.
    pub omitted: Vec<Omission>,
    /// What is left out, as met now.
    pub excluded: Vec<Exclusion>,
    /// Files that are left out because `only` does not name them; not those in folders that are.
    pub unselected_count: u64,
    /// Of that, folders that are left alone whatever the rules say.
    pub protected: Vec<ProtectedFolder>,
    /// Files of git's that could not be followed.
    pub git_notices: Vec<GitNotice>,
    /// The exclude list in force, one rule a line.
    pub rules: String,
    /// How much there is.
    pub counts: CaptureCounts,
    /// What was read to find this out, and why.
    pub read: ReadSummary,
    /// What the last step read, if that was much.
    pub read_last: ReadSummary,
    /// Where file systems begin on which changes may leave no trace in the times of a file.
    pub weak: Vec<WeakFolder>,
    /// Every file is read again within so many steps.
    pub reread_steps: u64,
    /// Bytes of all packs of the store.
    pub store_bytes: u64,
    /// Damage met while opening the store.
    pub damage: Vec<String>,
}

/// Looks at a workspace. Writes nothing, and needs no lock.
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
        left_out: step.left_out.len() as u64,
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
