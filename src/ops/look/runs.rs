//! The runs of a workspace: the sessions that recorded here, with their times and the sums of their changes.
//!
//! Runs are derived from the steps, not stored. Snapshots around a restore belong to no run. A step that cannot be read
//! does not hide the others; it is reported beside them.

use std::collections::HashMap;
use std::sync::Arc;

use super::show::event;
use crate::error::{Error, Result};
use crate::format::snapshot::{ChangeCounts, Snapshot};
use crate::history::graph::newest_first;
use crate::id::{SnapshotId, WorkspaceId};
use crate::ops::record::register::expect;
use crate::store::Store;

/// One run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its name.
    pub name: String,
    /// The number of its steps.
    pub count: u64,
    /// Its first step.
    pub first: (SnapshotId, Arc<Snapshot>),
    /// Its last step.
    pub last: (SnapshotId, Arc<Snapshot>),
    /// The total changes of its steps.
    pub changes: ChangeCounts,
    /// JSON facts of its last step; empty if there are none.
    pub event: Vec<u8>,
    /// True if the head of the workspace is a step of it.
    pub has_head: bool,
}

/// The runs of a workspace.
#[derive(Debug, Default)]
pub struct Runs {
    /// The runs; the one with the newest step comes first.
    pub runs: Vec<Run>,
    /// Steps and events that could not be read, newest first.
    pub unreadable: Vec<(SnapshotId, Error)>,
}

/// Lists the runs of a workspace.
pub fn runs(store: &Store, workspace: WorkspaceId) -> Result<Runs> {
    let state = store.state();
    let workspace = expect(&state, workspace)?;
    let mut found = Runs::default();
    let mut indexes: HashMap<String, usize> = HashMap::new();
    for (&id, visit) in workspace.steps.values().rev().zip(newest_first(store, workspace)) {
        let snapshot = match visit {
            Ok((_, snapshot)) => snapshot,
            Err(error) => {
                found.unreadable.push((id, error));
                continue;
            }
        };
        let Some(name) = &snapshot.run else { continue };
        let index = *indexes.entry(name.clone()).or_insert_with(|| {
            found.runs.push(Run {
                name: name.clone(),
                count: 0,
                first: (id, Arc::clone(&snapshot)),
                last: (id, Arc::clone(&snapshot)),
                changes: ChangeCounts::default(),
                event: Vec::new(),
                has_head: false,
            });
            found.runs.len() - 1
        });
        found.runs[index].take(id, snapshot, workspace.head);
    }
    for run in &mut found.runs {
        match event(store, &run.last.1) {
            Ok(event) => run.event = event,
            Err(error) => found.unreadable.push((run.last.0, error)),
        }
    }
    Ok(found)
}

impl Run {
    /// Counts the next older step.
    fn take(&mut self, id: SnapshotId, snapshot: Arc<Snapshot>, head: Option<SnapshotId>) {
        self.count += 1;
        self.has_head |= head == Some(id);
        let ChangeCounts { added, modified, deleted } = &mut self.changes;
        *added = added.saturating_add(snapshot.changes.added);
        *modified = modified.saturating_add(snapshot.changes.modified);
        *deleted = deleted.saturating_add(snapshot.changes.deleted);
        self.first = (id, snapshot);
    }
}
