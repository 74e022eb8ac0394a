//! The runs of a workspace: which sessions recorded here, when, and how much each changed.
//!
//! Derived from the steps, not stored. Snapshots that a restore takes for itself belong to no run. A step that cannot
//! be read does not hide the others; it is reported beside them.

use std::collections::HashMap;
use std::sync::Arc;

use super::show::event;
use crate::error::{Error, ErrorKind, Result};
use crate::format::snapshot::{ChangeCounts, Snapshot};
use crate::history::graph::newest_first;
use crate::id::{SnapshotId, WorkspaceId};
use crate::store::Store;

/// One run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its name.
    pub name: String,
    /// Steps of it.
    pub count: u64,
    /// Its first step.
    pub first: (SnapshotId, Arc<Snapshot>),
    /// Its last step.
    pub last: (SnapshotId, Arc<Snapshot>),
    /// What all its steps changed, added up.
    pub changes: ChangeCounts,
    /// JSON facts of its last step; empty when there are none.
    pub event: Vec<u8>,
    /// Whether the workspace stands at a step of it.
    pub has_head: bool,
}

/// What was found.
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
    let missing = || Error::new(ErrorKind::NotFound, "find workspace", workspace, "it is not in the store");
    let workspace = state.workspaces.get(&workspace).ok_or_else(missing)?;
    let mut found = Runs::default();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (&id, visit) in workspace.steps.values().rev().zip(newest_first(store, workspace)) {
        let snapshot = match visit {
            Ok((_, snapshot)) => snapshot,
            Err(error) => {
                found.unreadable.push((id, error));
                continue;
            }
        };
        let Some(name) = run_of(&snapshot) else { continue };
        let place = *places.entry(name.to_owned()).or_insert_with(|| {
            found.runs.push(Run {
                name: name.to_owned(),
                count: 0,
                first: (id, Arc::clone(&snapshot)),
                last: (id, Arc::clone(&snapshot)),
                changes: ChangeCounts::default(),
                event: Vec::new(),
                has_head: false,
            });
            found.runs.len() - 1
        });
        found.runs[place].take(id, snapshot, workspace.head);
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
    /// Takes in the next older step.
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

/// The run that a step belongs to, if it belongs to one.
fn run_of(snapshot: &Snapshot) -> Option<&str> {
    snapshot.run.as_deref()
}
