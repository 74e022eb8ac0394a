//! Histories for tests, in memory and in a real store.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::disk::local::LocalDisk;
use crate::error::Result;
use crate::format::facts::Fact;
use crate::format::pack::ObjectKind;
use crate::format::snapshot::{self, Attachment, Cause, ChangeCounts, Snapshot};
use crate::id::{BlobId, Digest, SnapshotId, TreeId, WorkspaceId};
use crate::store::{Final, NewObject, State, Store};
use crate::time::Timestamp;

/// A history in memory: snapshots and the facts about them.
#[derive(Default)]
pub(super) struct Past {
    pub(super) snapshots: BTreeMap<SnapshotId, Arc<Snapshot>>,
    pub(super) state: State,
    facts: Vec<Fact>,
}

impl Past {
    /// Registers a workspace.
    pub(super) fn workspace(&mut self, number: u8) -> WorkspaceId {
        let workspace = WorkspaceId([number; 16]);
        let root = format!("/w/{number}").into_bytes();
        self.apply(Fact::WorkspaceAdded { workspace, root, time: Timestamp(0) });
        workspace
    }

    /// Records a snapshot at `seconds`.
    pub(super) fn take(
        &mut self,
        workspace: WorkspaceId,
        run: &str,
        parents: &[SnapshotId],
        seconds: i64,
    ) -> SnapshotId {
        let step = self.state.workspaces[&workspace].last_step + 1;
        let snapshot = Snapshot {
            root: TreeId(Digest::of(&step.to_le_bytes())),
            root_mode: 0o755,
            root_owner: None,
            parents: parents.to_vec(),
            history: Digest::default(),
            workspace,
            run: Some(run.to_owned()),
            step,
            time: Timestamp::from_seconds(seconds),
            cause: Cause::Step,
            message: String::new(),
            changes: ChangeCounts::default(),
            event: Attachment::Empty,
            times: Attachment::Empty,
            omitted: Attachment::Empty,
            attributes: Attachment::Empty,
            excluded: Attachment::Empty,
            rules: BlobId(Digest::of(b"")),
            dropped: None,
            git: None,
        };
        let id = snapshot::snapshot_id(&snapshot::encode(&snapshot));
        self.snapshots.insert(id, Arc::new(snapshot));
        let (run, cause) = (Some(run.to_owned()), Cause::Step);
        self.apply(Fact::SnapshotTaken { workspace, snapshot: id, step, run, cause });
        id
    }

    /// Records `count` snapshots, one after another, a minute apart from second 60.
    pub(super) fn line(&mut self, workspace: WorkspaceId, run: &str, count: i64) -> Vec<SnapshotId> {
        let mut ids: Vec<SnapshotId> = Vec::new();
        for number in 1..=count {
            let parents: Vec<SnapshotId> = ids.last().copied().into_iter().collect();
            ids.push(self.take(workspace, run, &parents, number * 60));
        }
        ids
    }

    /// Writes everything into a store, except the snapshots in `lost`.
    pub(super) fn store(&self, folder: &std::path::Path, lost: &[SnapshotId]) -> Store {
        let store = Store::open_or_create(Arc::new(LocalDisk::create(folder).unwrap())).unwrap();
        let object = |(id, snapshot): (&SnapshotId, &Arc<Snapshot>)| {
            let bytes = snapshot::encode(snapshot);
            NewObject { kind: ObjectKind::Snapshot, id: id.0, bytes, previous: None }
        };
        let kept = self.snapshots.iter().filter(|(id, _)| !lost.contains(id));
        let mut batch = store.batch();
        batch.add(kept.map(object).collect()).unwrap();
        batch.record(|_| Ok(Final { objects: Vec::new(), facts: self.facts.clone() })).unwrap();
        drop(batch);
        store
    }

    /// Adds a fact to the state.
    pub(super) fn apply(&mut self, fact: Fact) {
        self.facts.push(fact.clone());
        self.state.apply(fact);
    }

    /// Reads a snapshot; `None` if it is absent.
    pub(super) fn load(&self, id: SnapshotId) -> Result<Option<Arc<Snapshot>>> {
        Ok(self.snapshots.get(&id).cloned())
    }
}
