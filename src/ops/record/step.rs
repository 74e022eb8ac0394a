//! A captured folder, compared with the snapshot at the end of its history.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::add_snapshot::{About, Added, Content, HistoryEnd, add_snapshot};
use super::capture::{CaptureOptions, Captured, capture};
use super::{dropped, ingest};
use crate::diff::{Change, TreeDiffOptions, counts, trees};
use crate::error::{Error, ErrorKind, Result};
use crate::format::attributes::decode_list;
use crate::format::facts::Fact;
use crate::format::path_list::paths_fit;
use crate::format::snapshot::{Attachment, Dropped, Omission, Snapshot, encode_omitted, encode_times};
use crate::format::tree::EntryKind;
use crate::id::SnapshotId;
use crate::limits::PATH_LIST_LENGTH_MAX_BYTES;
use crate::ops::look::attributed::{AttributedTree, add_changes};
use crate::path::TreePath;
use crate::store::{Batch, State, Store, Workspace};
use crate::time::Timestamp;
use crate::workspace::beneath::Root;

/// A capture, and the differences from the head.
#[derive(Debug)]
pub(in crate::ops) struct Step {
    pub(in crate::ops) captured: Captured,
    /// The snapshot that it is compared with.
    pub(in crate::ops) head: Option<(SnapshotId, Arc<Snapshot>)>,
    pub(super) changes: Vec<Change>,
    /// Deleted paths that are still there: the rules exclude them now.
    pub(super) newly_dropped: BTreeSet<TreePath>,
    /// All paths that are excluded now although the head or an earlier snapshot has them.
    pub(super) dropped: Option<Dropped>,
    /// True if the settings differ from those of the head.
    pub(super) has_other_settings: bool,
}

/// Captures the folder of a workspace and compares it with its head. The workspace's lock is held where `batch` is
/// given.
pub(super) fn look(
    store: &Store,
    workspace: &Workspace,
    root: &Root,
    options: &CaptureOptions<'_>,
    batch: Option<&mut Batch<'_>>,
) -> Result<Step> {
    compared(store, workspace, root, capture(store, workspace.id, root, options, batch)?)
}

/// Compares a capture with the head. A head that a repair could not bring back must not stop the recording: the step is
/// then compared with nothing.
pub(in crate::ops) fn compared(store: &Store, workspace: &Workspace, root: &Root, captured: Captured) -> Result<Step> {
    let is_lost = |error: &Error| {
        let is_marked = workspace.head.is_some_and(|head| store.state().incomplete.contains(&head));
        is_marked && is_corrupt(error)
    };
    let head = match workspace.head.map(|id| store.snapshot(id).map(|head| (id, head))).transpose() {
        Err(error) if is_lost(&error) => None,
        head => head?,
    };
    let compare = |before| {
        let load = |id| captured.load(store, id);
        trees(&load, before, Some(captured.root), &TreeDiffOptions::default())
    };
    let mut changes = match compare(head.as_ref().map(|(_, head)| head.root)) {
        Err(error) if is_lost(&error) => compare(None)?,
        changes => changes?,
    };
    let Some((id, found)) = &head else {
        let newly_dropped = dropped::newly_dropped(root, &captured, &changes);
        return Ok(Step { captured, head, changes, newly_dropped, dropped: None, has_other_settings: false });
    };
    // Damaged attributes and settings of the head count as different, and are recorded anew.
    match add_attribute_changes(store, found, &captured, &mut changes) {
        Err(error) if is_corrupt(&error) => {}
        added => added?,
    }
    let newly_dropped = dropped::newly_dropped(root, &captured, &changes);
    let dropped = dropped::dropped(store, root, &captured, (*id, found), &newly_dropped)?;
    let has_other_settings = match dropped::has_other_settings(store, found, &captured) {
        Err(error) if is_corrupt(&error) => true,
        differ => differ?,
    };
    Ok(Step { captured, head, changes, newly_dropped, dropped, has_other_settings })
}

fn is_corrupt(error: &Error) -> bool {
    error.kind() == ErrorKind::Corrupt
}

/// Adds the paths of which only the attributes differ from the head. None do if the attributes of the head are unknown,
/// as in an imported history.
fn add_attribute_changes(store: &Store, head: &Snapshot, captured: &Captured, changes: &mut Vec<Change>) -> Result<()> {
    if captured.has_attributes_of(head) {
        return Ok(());
    }
    let (old, new) = (AttributedTree::of(store, head)?, captured.attributed_tree());
    add_changes(changes, &|id| captured.load(store, id), &old, &new, &[])
}

impl Step {
    /// Returns true if the folder differs from its head.
    pub(in crate::ops) fn differs(&self) -> bool {
        self.head.as_ref().is_none_or(|(_, head)| !self.captured.is_at(head))
    }

    /// Records it as a snapshot that follows the head, together with the facts that `more` gives for it.
    pub(in crate::ops) fn record(
        &self,
        batch: &mut Batch<'_>,
        workspace: &Workspace,
        about: About,
        more: impl FnOnce(&State, SnapshotId) -> Vec<Fact>,
    ) -> Result<Added> {
        let content = self.content(batch)?;
        let end = HistoryEnd { workspace: workspace.id, head: workspace.head, parent: self.head.clone() };
        add_snapshot(batch, end, content, about, more)
    }

    fn content(&self, batch: &mut Batch<'_>) -> Result<Content> {
        let captured = &self.captured;
        let head = self.head.as_ref().map(|(_, head)| &**head);
        let mut changes = counts(&self.changes);
        let is_root_counted = self.changes.iter().any(|change| change.path.is_root());
        if !is_root_counted && head.is_some_and(|head| head.root_mode != captured.root_mode) {
            changes.modified += 1;
        }
        let excluded_before = head.and_then(|head| head.excluded.blob());
        Ok(Content {
            root: captured.root,
            root_mode: captured.root_mode,
            root_owner: Some(captured.root_owner),
            changes,
            times: ingest::attachment(batch, self.times(), None)?,
            omitted: ingest::attachment(batch, list_of_omitted(&captured.omitted)?, None)?,
            attributes: attached_attributes(batch, captured, head)?,
            excluded: ingest::attachment(batch, captured.excluded_list.clone(), excluded_before)?,
            dropped: self.dropped,
            rules: ingest::any(batch, captured.rules.text().as_bytes().to_vec(), None)?,
        })
    }

    /// The modification times of the files that changed, as a list; empty if there are too many to list. They help a
    /// reader, and nothing depends on them.
    fn times(&self) -> Vec<u8> {
        let is_file = |change: &&Change| change.new.is_some_and(|side| side.kind != EntryKind::Folder);
        let time = |change: &Change| Some((change.path.clone(), self.captured.modified(&change.path)?));
        let times: Vec<(TreePath, Timestamp)> = self.changes.iter().filter(is_file).filter_map(time).collect();
        let list = encode_times(&times);
        if paths_fit(times.iter().map(|(path, _)| path), &list) { list } else { Vec::new() }
    }
}

/// The attributes of all paths. A long list is stored as the difference from that of the head.
fn attached_attributes(batch: &mut Batch<'_>, captured: &Captured, head: Option<&Snapshot>) -> Result<Attachment> {
    let list = captured.attributes.clone();
    if list.len() > PATH_LIST_LENGTH_MAX_BYTES || decode_list(&list).is_err() {
        let detail =
            "more than a snapshot can list: too many paths have owners, ACLs or extended attributes of their own";
        return Err(Error::new(ErrorKind::Limit, "record step", "attributes", detail)
            .with_hint("exclude the folders they are in, in retro.toml"));
    }
    ingest::attachment(batch, list, head.and_then(|head| head.attributes.blob()))
}

fn list_of_omitted(omitted: &[Omission]) -> Result<Vec<u8>> {
    let list = encode_omitted(omitted);
    if paths_fit(omitted.iter().map(|omission| &omission.path), &list) {
        return Ok(list);
    }
    let detail = format!("{} paths cannot be captured, more than a snapshot can list", omitted.len());
    Err(Error::new(ErrorKind::Limit, "record step", "omitted paths", detail)
        .with_hint("exclude the folders they are in, in retro.toml"))
}
