//! One snapshot: its facts, and its differences from the one before.

use std::sync::Arc;

use super::compare::{Comparison, Other, State, compare, differences};
use crate::diff::Change;
use crate::diff::selection::Selection;
use crate::error::{ErrorKind, Result};
use crate::format::snapshot::{ChangeCounts, Omission, Snapshot};
use crate::history::graph::first_parents;
use crate::id::SnapshotId;
use crate::limits::{EVENT_LENGTH_MAX_BYTES, RULES_LENGTH_MAX_BYTES};
use crate::ops::record::attached::{attached, excluded_of, omitted_of};
use crate::ops::record::dropped::changed_settings;
use crate::path::TreePath;
use crate::store::{NotedEvent, Store};
use crate::time::Timestamp;

/// A snapshot and everything known about it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its id.
    pub id: SnapshotId,
    /// The snapshot.
    pub snapshot: Arc<Snapshot>,
    /// JSON facts of the step as they were given; empty if there are none.
    pub event: Vec<u8>,
    /// The number of calls that followed it and changed nothing.
    pub call_count: u64,
    /// The newest of these calls.
    pub calls: Vec<Call>,
    /// The number of paths that it changed.
    pub changes: ChangeCounts,
    /// Paths that it does not hold, or not exactly.
    pub omitted: Vec<Omission>,
    /// Paths that were excluded for another reason than their path, with everything in them.
    pub excluded: Vec<TreePath>,
    /// True if it was taken with other settings than its first parent.
    pub rules_changed: bool,
    /// The exclude list that was in force.
    pub rules: String,
    /// Its tags, in order.
    pub tags: Vec<String>,
    /// True if gc must keep it.
    pub is_pinned: bool,
    /// True if a repair found that parts of it are lost.
    pub is_incomplete: bool,
}

/// A call that changed nothing.
#[derive(Clone, Debug)]
pub struct Call {
    /// The time at which its event was noted.
    pub time: Timestamp,
    /// Its run.
    pub run: String,
    /// Its event; empty if it cannot be read.
    pub event: Vec<u8>,
}

/// Reads a snapshot.
pub fn show(store: &Store, id: SnapshotId) -> Result<Shown> {
    let state = store.state();
    let snapshot = store.snapshot(id)?;
    let parent = snapshot.parents.first().map(|parent| store.snapshot(*parent));
    // A parent that is lost or was deleted says nothing about this snapshot.
    let rules_changed = match parent.map(|parent| changed_settings(store, &snapshot, &*parent?)) {
        None => false,
        Some(Err(error)) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound) => false,
        Some(changed) => changed?,
    };
    let rules = store.read_blob(snapshot.rules, RULES_LENGTH_MAX_BYTES)?;
    let noted = state.noted.get(&id).cloned().unwrap_or_default();
    Ok(Shown {
        id,
        call_count: noted.count,
        calls: noted.newest.iter().map(|noted| call(store, noted)).collect::<Result<_>>()?,
        event: event(store, &snapshot)?,
        changes: snapshot.changes,
        omitted: omitted_of(store, &snapshot)?,
        excluded: excluded_of(store, &snapshot)?,
        rules_changed,
        rules: String::from_utf8_lossy(&rules).into_owned(),
        tags: state.tags_of(id).map(ToOwned::to_owned).collect(),
        is_pinned: state.pins.contains(&id),
        is_incomplete: state.incomplete.contains(&id),
        snapshot,
    })
}

/// The differences of a snapshot from its first parent, with renames. The first snapshot of a history, and one whose
/// parent was forgotten and deleted, differs from the empty folder.
pub fn changes<'a>(store: &'a Store, id: SnapshotId, selection: &Selection) -> Result<Comparison<'a>> {
    let parent = first_parents(store, id).nth(1).transpose()?;
    let old = parent.map_or(Other::Nothing, |(parent, _)| Other::Snapshot(parent));
    compare(store, &old, &Other::Snapshot(id), selection)
}

/// The same, with a rename as one path deleted and another added: no content is read.
pub(super) fn plain_changes(store: &Store, id: SnapshotId, selection: &Selection) -> Result<Vec<Change>> {
    let parent = first_parents(store, id).nth(1).transpose()?;
    let old = parent.map_or(State::Nothing, |(_, parent)| State::Snapshot(parent));
    differences(store, &old, &State::Snapshot(store.snapshot(id)?), selection)
}

/// JSON facts of a step; empty if there are none.
pub fn event(store: &Store, snapshot: &Snapshot) -> Result<Vec<u8>> {
    attached(store, &snapshot.event, EVENT_LENGTH_MAX_BYTES as u64)
}

/// A call with its event. A damaged event is left empty: the call still counts.
fn call(store: &Store, noted: &NotedEvent) -> Result<Call> {
    let event = match store.read_blob(noted.event, EVENT_LENGTH_MAX_BYTES as u64) {
        Err(error) if error.kind() == ErrorKind::Corrupt => Vec::new(),
        event => event?,
    };
    Ok(Call { time: noted.time, run: noted.run.to_string(), event })
}
