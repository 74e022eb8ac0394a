//! What has to be done to turn the live folder into a past state, decided before anything is.

use super::RestoreOptions;
use super::above::plan_above;
use super::spared::Spared;
use crate::diff::{Change, ChangeKind, Side, TreeDiffOptions, tree::trees_with};
use crate::error::Result;
use crate::format::snapshot::Snapshot;
use crate::format::tree::Kind;
use crate::id::BlobId;
use crate::ops::capture::Captured;
use crate::path::TreePath;
use crate::store::Store;
use crate::workspace::beneath::Root;
use crate::workspace::materialize::Action;

/// What turns the live folder into the target, and what it takes away.
#[derive(Default)]
pub(super) struct Plan {
    /// What has to be done.
    pub(super) actions: Vec<Action>,
    /// Contents that are there now and are not any more when it is done.
    pub(super) doomed: Vec<(TreePath, BlobId)>,
}

/// Decides on it. `before` is the state before a restore that was cut off, where this one ends that.
pub(super) fn plan(
    store: &Store,
    root: &Root,
    now: &Captured,
    target: &Snapshot,
    before: Option<&Snapshot>,
    options: &RestoreOptions<'_>,
) -> Result<Plan> {
    let load = |id| now.load(store, id);
    let diff_options = TreeDiffOptions { folders: true, paths: options.paths.clone() };
    let changes = trees_with(&load, Some(now.root), Some(target.root), &diff_options)?;
    let mut spared = Spared::of(store, target, root)?;
    let mut plan = Plan::default();
    for change in &changes {
        if !spared.holds(change)? {
            plan.actions.extend(actions_of(change));
            plan.doomed.extend(doomed(change));
        }
    }
    let above = plan_above(store, now, target, before, &plan.actions, options)?;
    plan.actions.extend(above);
    // In order of path, as they were but for those above.
    plan.actions.sort_by(|one, other| one.path().cmp(other.path()));
    if options.paths.is_empty() && now.root_mode != target.root_mode {
        plan.actions.insert(0, Action::SetFolderMode { path: TreePath::root(), mode: target.root_mode });
    }
    Ok(plan)
}

/// The content that one change takes away.
fn doomed(change: &Change) -> Option<(TreePath, BlobId)> {
    let old = change.old.as_ref().filter(|old| old.kind != Kind::Folder && change.kind != ChangeKind::Mode)?;
    Some((change.path.clone(), BlobId(old.id)))
}

/// What one change takes.
pub(super) fn actions_of(change: &Change) -> Vec<Action> {
    let path = || change.path.clone();
    let remove = |old: &Side| Action::Remove { path: path(), kind: old.kind };
    match (change.kind, &change.old, &change.new) {
        (ChangeKind::Mode, _, Some(new)) if new.kind == Kind::Folder => {
            vec![Action::SetFolderMode { path: path(), mode: new.mode }]
        }
        (ChangeKind::Mode, _, Some(new)) => {
            vec![Action::SetFileMode { path: path(), mode: new.mode, size: new.size, id: BlobId(new.id) }]
        }
        (_, Some(old), Some(new)) if old.kind == new.kind => vec![create(path(), new, true)],
        (_, Some(old), Some(new)) => vec![remove(old), create(path(), new, false)],
        (_, Some(old), None) => vec![remove(old)],
        (_, None, Some(new)) => vec![create(path(), new, false)],
        (_, None, None) => Vec::new(),
    }
}

fn create(path: TreePath, new: &Side, replaces: bool) -> Action {
    match new.kind {
        Kind::Folder => Action::CreateFolder { path, mode: new.mode },
        Kind::Symlink => Action::WriteSymlink { path, id: BlobId(new.id), replaces },
        Kind::File => Action::WriteFile { path, mode: new.mode, size: new.size, id: BlobId(new.id), replaces },
    }
}
