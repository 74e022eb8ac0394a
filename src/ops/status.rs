//! How a workspace stands against its head.

use std::sync::Arc;

use super::capture::{CaptureOptions, open_root};
use super::snap::{expect, look};
use crate::diff::Change;
use crate::error::Result;
use crate::format::snapshot::{Omission, Snapshot};
use crate::id::{SnapshotId, WorkspaceId};
use crate::path::TreePath;
use crate::store::{Store, Workspace};
use crate::workspace::scan::{CaptureCounts, Protected};

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
    /// What a snapshot taken now would not hold, or not exactly.
    pub omitted: Vec<Omission>,
    /// What is left out, as met now.
    pub excluded: Vec<TreePath>,
    /// Of that, folders that are left alone whatever the rules say.
    pub protected: Vec<Protected>,
    /// The exclude list in force, one rule a line.
    pub rules: String,
    /// How much there is.
    pub counts: CaptureCounts,
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
    let (changes, left_out) = (step.changes().to_vec(), step.left_out());
    Ok(Status {
        workspace: found.clone(),
        head: step.head,
        changes,
        left_out,
        omitted: step.captured.omitted,
        excluded: step.captured.excluded,
        protected: step.captured.protected,
        rules: step.captured.rules.text().to_owned(),
        counts: step.captured.counts,
        store_bytes: store.pack_bytes()?,
        damage: store.damage(),
    })
}
