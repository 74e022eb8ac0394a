//! One snapshot: its facts, and how it differs from the one before.

use std::sync::Arc;

use super::attributed::{Attributed, AttributedTree, add_changes};
use super::compare::{Comparison, Other, compare};
use crate::diff::selection::Selection;
use crate::diff::{self, Change, TreeDiffOptions};
use crate::error::{ErrorKind, Result};
use crate::format::snapshot::{ChangeCounts, Omission, Snapshot, decode_excluded, decode_omitted};
use crate::history::graph::first_parents;
use crate::id::SnapshotId;
use crate::limits::{EVENT_LENGTH_MAX_BYTES, PATH_LIST_LENGTH_MAX_BYTES, RULES_LENGTH_MAX_BYTES};
use crate::ops::record::dropped::changed_settings;
use crate::ops::record::ingest::attached;
use crate::path::TreePath;
use crate::store::{NotedEvent, Store};
use crate::time::Timestamp;

/// A snapshot and all that is known about it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its id.
    pub id: SnapshotId,
    /// The snapshot.
    pub snapshot: Arc<Snapshot>,
    /// JSON facts of the step as they were given; empty when there are none.
    pub event: Vec<u8>,
    /// Calls that followed it and changed nothing: how many, and the events of the newest.
    pub call_count: u64,
    /// See [`Self::call_count`].
    pub calls: Vec<Call>,
    /// How many paths it changed, all of them.
    pub changes: ChangeCounts,
    /// What it does not hold, or not exactly.
    pub omitted: Vec<Omission>,
    /// Paths that were excluded for another reason than their path, with everything in them.
    pub excluded: Vec<TreePath>,
    /// True if it was taken with other settings than its first parent.
    pub rules_changed: bool,
    /// The exclude list that was in force.
    pub rules: String,
    /// Its names, in order.
    pub tags: Vec<String>,
    /// Whether gc must keep it.
    pub is_pinned: bool,
    /// Whether a repair found that parts of it are lost.
    pub is_incomplete: bool,
}

/// A call that changed nothing.
#[derive(Clone, Debug)]
pub struct Call {
    /// When its event was noted.
    pub time: Timestamp,
    /// Its run.
    pub run: String,
    /// Its event; empty where it cannot be read.
    pub event: Vec<u8>,
}

/// Reads a snapshot.
pub fn show(store: &Store, id: SnapshotId) -> Result<Shown> {
    let state = store.state();
    let snapshot = store.snapshot(id)?;
    let omitted = attached(store, &snapshot.omitted, PATH_LIST_LENGTH_MAX_BYTES as u64)?;
    let omitted = decode_omitted(&omitted).map_err(|e| e.during("read omitted paths of snapshot", id))?;
    let excluded = attached(store, &snapshot.excluded, PATH_LIST_LENGTH_MAX_BYTES as u64)?;
    let excluded = decode_excluded(&excluded).map_err(|e| e.during("read excluded paths of snapshot", id))?;
    let parent = snapshot.parents.first().map(|parent| store.snapshot(*parent));
    // A parent that is lost or gone says nothing of this snapshot.
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
        omitted,
        excluded,
        rules_changed,
        rules: String::from_utf8_lossy(&rules).into_owned(),
        tags: state.tags_of(id).map(ToOwned::to_owned).collect(),
        is_pinned: state.pins.contains(&id),
        is_incomplete: state.incomplete.contains(&id),
        snapshot,
    })
}

/// How a snapshot differs from its first parent, or from nothing where history begins; renames are joined.
pub fn changes<'a>(store: &'a Store, id: SnapshotId, selection: &Selection) -> Result<Comparison<'a>> {
    let parent = parent_of(store, id)?;
    let old = parent.map_or(Other::Nothing, |(parent, _)| Other::Snapshot(parent));
    compare(store, &old, &Other::Snapshot(id), selection)
}

/// As [`changes`], with a rename as one path deleted and another added: no content is read.
pub(super) fn plain_changes(store: &Store, id: SnapshotId, selection: &Selection) -> Result<Vec<Change>> {
    let parent = parent_of(store, id)?.map(|(_, parent)| parent);
    let snapshot = store.snapshot(id)?;
    let options = TreeDiffOptions { folders: false, paths: selection.limits() };
    let mut changes = diff::trees(store, parent.as_ref().map(|parent| parent.root), Some(snapshot.root), &options)?;
    let is_same =
        |parent: &Snapshot| parent.root_owner == snapshot.root_owner && parent.attributes == snapshot.attributes;
    if let Some(parent) = parent.filter(|parent| !is_same(parent)) {
        let (before, now) = (Attributed::of(store, &parent)?, Attributed::of(store, &snapshot)?);
        let old = AttributedTree { root: parent.root, root_mode: parent.root_mode, attributed: &before };
        let new = AttributedTree { root: snapshot.root, root_mode: snapshot.root_mode, attributed: &now };
        add_changes(&mut changes, &|id| store.tree(id), &old, &new, &options.paths)?;
    }
    if selection.has_patterns() {
        changes.retain(|change| selection.concerns(change));
    }
    Ok(changes)
}

/// JSON facts of a step; empty when there are none.
pub fn event(store: &Store, snapshot: &Snapshot) -> Result<Vec<u8>> {
    attached(store, &snapshot.event, EVENT_LENGTH_MAX_BYTES as u64)
}

/// A call with its event. One whose event is damaged is a call all the same.
fn call(store: &Store, noted: &NotedEvent) -> Result<Call> {
    let event = match store.read_blob(noted.event, EVENT_LENGTH_MAX_BYTES as u64) {
        Err(error) if error.kind() == ErrorKind::Corrupt => Vec::new(),
        event => event?,
    };
    Ok(Call { time: noted.time, run: noted.run.to_string(), event })
}

/// The first parent, if there is one and it was not forgotten and deleted.
fn parent_of(store: &Store, id: SnapshotId) -> Result<Option<(SnapshotId, Arc<Snapshot>)>> {
    first_parents(store, id).nth(1).transpose()
}
