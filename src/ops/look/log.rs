//! The history of a workspace, newest first.
//!
//! Without a range, every step of the workspace is listed, also those before a restore or undo. Paths choose the steps
//! that changed them, and then only changes of these paths are counted. A snapshot that cannot be read does not hide
//! the others; it is reported beside them.
//!
//! Steps are passed on one by one, each with its event: a history may have any number of them, and events may be long.

use std::collections::HashMap;
use std::sync::Arc;

use super::show::{event, plain_changes};
use crate::diff::counts;
use crate::diff::selection::Selection;
use crate::error::{Error, Result};
use crate::format::snapshot::{ChangeCounts, Snapshot};
use crate::id::{SnapshotId, WorkspaceId};
use crate::ops::record::register::expect;
use crate::store::Store;
use crate::time::Timestamp;

/// The snapshots to list.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Only these, oldest first; `None` for every step of the workspace.
    pub snapshots: Option<Vec<SnapshotId>>,
    /// Only steps of this run.
    pub run: Option<String>,
    /// Only steps that changed one of these paths, or something below.
    pub selection: Selection,
    /// Only steps taken then or later.
    pub since: Option<Timestamp>,
    /// Only steps taken then or before.
    pub until: Option<Timestamp>,
    /// At most this many.
    pub count_max: Option<u64>,
}

/// Facts about the list as a whole.
#[derive(Debug, Default)]
pub struct Log {
    /// Steps passed on.
    pub count: u64,
    /// Steps that could not be read, newest first.
    pub unreadable: Vec<(SnapshotId, Error)>,
    /// True if [`LogOptions::count_max`] was reached before the last step.
    pub is_cut: bool,
    /// Steps that were not looked at for that reason.
    pub older: u64,
    /// For each name and pattern of the selection, true if a step that was looked at changed a path that it selects.
    pub is_met: Vec<bool>,
}

/// One snapshot.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// Its id.
    pub id: SnapshotId,
    /// The snapshot.
    pub snapshot: Arc<Snapshot>,
    /// JSON facts of the step as they were given; empty if there are none.
    pub event: Vec<u8>,
    /// The number of calls that followed it and changed nothing.
    pub call_count: u64,
    /// The number of paths that it changed, within the selection.
    pub changes: ChangeCounts,
    /// Its tags, in order.
    pub tags: Vec<String>,
    /// True if gc must keep it.
    pub is_pinned: bool,
    /// True if it is the head of the workspace.
    pub is_head: bool,
    /// True if a repair found that parts of it are lost.
    pub is_incomplete: bool,
}

/// Passes snapshots to `see`, newest first.
pub fn log(store: &Store, options: &LogOptions, see: &mut dyn FnMut(LogEntry) -> Result<()>) -> Result<Log> {
    let state = store.state();
    let workspace = expect(&state, options.workspace)?;
    let candidates: Vec<SnapshotId> = match &options.snapshots {
        Some(snapshots) => snapshots.iter().rev().copied().collect(),
        None => workspace.steps.values().rev().copied().collect(),
    };
    let mut names: HashMap<SnapshotId, Vec<String>> = HashMap::new();
    for (name, id) in &workspace.tags {
        names.entry(*id).or_default().push(name.clone());
    }
    let mut log = Log { is_met: vec![false; options.selection.count()], ..Log::default() };
    let count = candidates.len();
    for (index, id) in candidates.into_iter().enumerate() {
        let (snapshot, changes) = match select(store, id, options, &mut log.is_met) {
            Ok(Some(selected)) => selected,
            Ok(None) => continue,
            Err(error) => {
                log.unreadable.push((id, error));
                continue;
            }
        };
        if options.count_max.is_some_and(|most| log.count >= most) {
            log.is_cut = true;
            log.older = (count - index) as u64;
            break;
        }
        match event(store, &snapshot) {
            Err(error) => log.unreadable.push((id, error)),
            Ok(event) => {
                log.count += 1;
                let tags = names.get(&id).cloned().unwrap_or_default();
                let (is_pinned, is_head) = (state.pins.contains(&id), workspace.head == Some(id));
                let is_incomplete = state.incomplete.contains(&id);
                let call_count = state.noted.get(&id).map_or(0, |noted| noted.count);
                see(LogEntry { id, snapshot, event, call_count, changes, tags, is_pinned, is_head, is_incomplete })?;
            }
        }
    }
    Ok(log)
}

/// Reads a snapshot and counts its changes, if the options choose it.
fn select(
    store: &Store,
    id: SnapshotId,
    options: &LogOptions,
    is_met: &mut [bool],
) -> Result<Option<(Arc<Snapshot>, ChangeCounts)>> {
    let snapshot = store.snapshot(id)?;
    let is_of_run = options.run.as_ref().is_none_or(|run| snapshot.run.as_ref() == Some(run));
    let is_in_time = options.since.is_none_or(|since| snapshot.time >= since)
        && options.until.is_none_or(|until| snapshot.time <= until);
    if !is_of_run || !is_in_time {
        return Ok(None);
    }
    if options.selection.is_everything() {
        let changes = snapshot.changes;
        return Ok(Some((snapshot, changes)));
    }
    let changes = plain_changes(store, id, &options.selection)?;
    changes.iter().for_each(|change| options.selection.mark(&change.path, is_met));
    Ok((!changes.is_empty()).then(|| (snapshot, counts(&changes))))
}

#[cfg(test)]
mod tests;
