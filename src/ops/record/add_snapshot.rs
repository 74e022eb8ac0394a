//! Adding a snapshot to the history of a workspace. This is the only place that builds, numbers and records one:
//! `snap`, restores, undo and imports all come here.
//!
//! The number is given inside the transaction, under the store's lock, so that two processes never give the same one.
//! The transaction fails if the head of the workspace is not the one that the snapshot was made against.

use std::sync::Arc;

use super::ingest;
use super::register::expect;
use crate::error::{Error, ErrorKind, Result};
use crate::format::attributes::Owner;
use crate::format::facts::Fact;
use crate::format::pack::ObjectKind;
use crate::format::snapshot::{
    self, Attachment, Cause, ChangeCounts, Dropped, GitState, Snapshot, history_digest, snapshot_id,
};
use crate::id::{BlobId, SnapshotId, TreeId, WorkspaceId};
use crate::store::{Batch, Final, NewObject, State, Workspace};
use crate::time::Timestamp;

/// The end of a workspace's history, which a new snapshot follows.
#[derive(Clone)]
pub(in crate::ops) struct HistoryEnd {
    /// The workspace that it is a step of.
    pub(in crate::ops) workspace: WorkspaceId,
    /// The head of the workspace when the snapshot was made. It must still be the head when the snapshot is recorded.
    pub(in crate::ops) head: Option<SnapshotId>,
    /// The snapshot that it follows.
    pub(in crate::ops) parent: Option<(SnapshotId, Arc<Snapshot>)>,
}

/// The state that a snapshot holds. All its objects are in the batch or in the store.
pub(in crate::ops) struct Content {
    pub(in crate::ops) root: TreeId,
    pub(in crate::ops) root_mode: u16,
    pub(in crate::ops) root_owner: Option<Owner>,
    pub(in crate::ops) changes: ChangeCounts,
    pub(in crate::ops) times: Attachment,
    pub(in crate::ops) omitted: Attachment,
    pub(in crate::ops) attributes: Attachment,
    pub(in crate::ops) excluded: Attachment,
    pub(in crate::ops) dropped: Option<Dropped>,
    pub(in crate::ops) rules: BlobId,
}

/// Facts about a snapshot that are not in the files.
#[derive(Clone)]
pub(in crate::ops) struct About {
    pub(in crate::ops) cause: Cause,
    pub(in crate::ops) message: String,
    /// Its run; `None` for a snapshot around a restore.
    pub(in crate::ops) run: Option<String>,
    /// The event of the step; empty if there is none.
    pub(in crate::ops) event: Vec<u8>,
    pub(in crate::ops) git: Option<GitState>,
    pub(in crate::ops) time: Timestamp,
}

/// A snapshot that was recorded.
#[derive(Debug)]
pub(in crate::ops) struct Added {
    pub(in crate::ops) id: SnapshotId,
    pub(in crate::ops) snapshot: Snapshot,
    /// Bytes that the store's packs grew by.
    pub(in crate::ops) stored_bytes: u64,
}

impl About {
    /// About a snapshot around a restore. It belongs to no run, because it is no agent's step.
    pub(in crate::ops) fn of_restore(cause: Cause, message: String, time: Timestamp) -> Self {
        Self { cause, message, run: None, event: Vec::new(), git: None, time }
    }
}

/// Records a snapshot together with the facts that `more` gives for it, all in one transaction with what is in `batch`.
pub(in crate::ops) fn add_snapshot(
    batch: &mut Batch<'_>,
    end: HistoryEnd,
    content: Content,
    about: About,
    more: impl FnOnce(&State, SnapshotId) -> Vec<Fact>,
) -> Result<Added> {
    let HistoryEnd { workspace, head, parent } = end;
    let Content { root, root_mode, root_owner, changes, times, omitted, attributes, excluded, dropped, rules } =
        content;
    let About { cause, message, run, event, git, time } = about;
    let mut snapshot = Snapshot {
        root,
        root_mode,
        root_owner,
        parents: parent.iter().map(|(id, _)| *id).collect(),
        history: history_digest(parent.map(|(_, parent)| parent.history), root),
        workspace,
        run,
        // The transaction sets it.
        step: 0,
        time,
        cause,
        message,
        changes,
        event: ingest::attachment(batch, event, None)?,
        times,
        omitted,
        attributes,
        excluded,
        rules,
        dropped,
        git,
    };
    let mut id = None;
    let recorded = batch.record(|state| {
        snapshot.step = next_step(expect_head(state, workspace, head)?)?;
        let (taken, object) = encoded(&snapshot)?;
        id = Some(taken);
        let facts = std::iter::once(taken_fact(taken, &snapshot)).chain(more(state, taken)).collect();
        Ok(Final { objects: vec![object], facts })
    })?;
    let id = id.expect("a transaction that succeeded has decided");
    Ok(Added { id, snapshot, stored_bytes: recorded.stored_bytes })
}

/// A snapshot as an object of the store. One that could not be read back is an error.
pub(super) fn encoded(snapshot: &Snapshot) -> Result<(SnapshotId, NewObject)> {
    let bytes = snapshot::encode(snapshot);
    snapshot::decode(&bytes).map_err(|e| e.during("record step", snapshot.step))?;
    let id = snapshot_id(&bytes);
    let previous = snapshot.parents.first().map(|parent| parent.0);
    Ok((id, NewObject { kind: ObjectKind::Snapshot, id: id.0, bytes, previous }))
}

/// The fact that makes a snapshot a step of its workspace, and the head.
pub(in crate::ops) fn taken_fact(id: SnapshotId, snapshot: &Snapshot) -> Fact {
    Fact::SnapshotTaken {
        workspace: snapshot.workspace,
        snapshot: id,
        step: snapshot.step,
        run: snapshot.run.clone(),
        cause: snapshot.cause,
    }
}

/// The workspace, if its head is still this one.
pub(super) fn expect_head(state: &State, workspace: WorkspaceId, head: Option<SnapshotId>) -> Result<&Workspace> {
    let now = expect(state, workspace)?;
    if now.head == head {
        return Ok(now);
    }
    Err(Error::new(ErrorKind::Conflict, "record step in", workspace, "its head moved meanwhile")
        .with_hint("run it again"))
}

/// The number of the step that follows.
pub(super) fn next_step(workspace: &Workspace) -> Result<u64> {
    workspace.last_step.checked_add(1).ok_or_else(|| {
        Error::new(ErrorKind::Limit, "record step in", workspace.id, "no number is left for another step")
            .with_hint("`retro workspace forget` lets the folder begin anew")
    })
}
