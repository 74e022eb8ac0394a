//! Dropped paths: recorded before, still in the folder, and excluded now.
//!
//! One line in `retro.toml` or one `CACHEDIR.TAG`, written by the agent, is enough to stop the recording of a folder.
//! The step in which this happens reports it, and every snapshot after it carries the count on ([`Dropped`]), until the
//! paths are recorded again. The paths are counted anew only if something changed that decides on exclusion, against
//! the last snapshot before the first of these changes.

use std::collections::BTreeSet;

use super::attached::rules_of;
use super::capture::Captured;
use crate::diff::{Change, ChangeKind, TreeDiffOptions, trees};
use crate::error::{ErrorKind, Result};
use crate::format::snapshot::{Dropped, Snapshot};
use crate::id::{BlobId, Digest, SnapshotId};
use crate::ops::look::attributed::is_attached;
use crate::path::TreePath;
use crate::store::Store;
use crate::workspace::beneath::Root;
use crate::workspace::rules;

/// Deleted paths of `changes` that are still there, and excluded.
pub(super) fn newly_dropped(root: &Root, captured: &Captured, changes: &[Change]) -> BTreeSet<TreePath> {
    let is_excluded = |path: &&TreePath| captured.excludes(path, false);
    let deleted = changes.iter().filter(|change| change.kind == ChangeKind::Deleted).map(|change| &change.path);
    deleted.filter(is_excluded).filter(|path| root.has(path)).cloned().collect()
}

/// The dropped paths of a snapshot of `captured`. `newly` are the paths of `head` that are excluded now.
pub(super) fn dropped(
    store: &Store,
    root: &Root,
    captured: &Captured,
    (id, head): (SnapshotId, &Snapshot),
    newly: &BTreeSet<TreePath>,
) -> Result<Option<Dropped>> {
    let carried = head.dropped.map(|before| Dropped { is_new: false, ..before });
    let decides_the_same = is_rules(head, captured) && is_attached(&head.excluded, &captured.excluded_list);
    if decides_the_same && newly.is_empty() {
        return Ok(carried);
    }
    let (base, count) = match head.dropped.map(|before| newly_dropped_since(store, root, captured, before.base)) {
        // If the snapshot is lost or forgotten, counting begins again with this step.
        Some(Err(error)) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound) => (id, newly.len()),
        Some(earlier) => (head.dropped.map_or(id, |before| before.base), earlier?.union(newly).count()),
        None => (id, newly.len()),
    };
    let found = Dropped { base, count: count as u64, is_new: false };
    let is_new = carried != Some(found);
    Ok((count > 0).then_some(Dropped { is_new, ..found }))
}

/// Returns true if the settings differ from those of `head`. Unknown settings, as in an imported history, do not
/// differ.
pub(super) fn has_other_settings(store: &Store, head: &Snapshot, captured: &Captured) -> Result<bool> {
    Ok(!is_rules(head, captured) && differ(&rules_of(store, head)?, captured.rules.text()))
}

/// Returns true if a snapshot was taken with other settings than its parent.
pub(in crate::ops) fn changed_settings(store: &Store, snapshot: &Snapshot, parent: &Snapshot) -> Result<bool> {
    Ok(snapshot.rules != parent.rules && differ(&rules_of(store, parent)?, &rules_of(store, snapshot)?))
}

fn is_rules(head: &Snapshot, captured: &Captured) -> bool {
    head.rules == BlobId(Digest::of(captured.rules.text().as_bytes()))
}

fn differ(before: &str, now: &str) -> bool {
    !before.is_empty() && !now.is_empty() && !rules::settings_of(before).eq(rules::settings_of(now))
}

fn newly_dropped_since(
    store: &Store,
    root: &Root,
    captured: &Captured,
    base: SnapshotId,
) -> Result<BTreeSet<TreePath>> {
    let before = store.snapshot(base)?.root;
    let load = |id| captured.load(store, id);
    let changes = trees(&load, Some(before), Some(captured.root), &TreeDiffOptions::default())?;
    Ok(newly_dropped(root, captured, &changes))
}
