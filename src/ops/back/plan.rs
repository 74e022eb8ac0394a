//! The plan of a restore: all changes that turn the live folder into a past state, decided before the first is made.

use std::collections::BTreeMap;

use super::parents::plan_parents;
use super::protected::Protected;
use crate::diff::{Change, ChangeKind, Side, TreeDiffOptions, trees};
use crate::error::Result;
use crate::format::snapshot::Snapshot;
use crate::format::tree::EntryKind;
use crate::id::BlobId;
use crate::ops::look::attributed::{AttributedTree, add_changes};
use crate::ops::record::capture::Captured;
use crate::path::TreePath;
use crate::store::{LoadTree, Store};
use crate::workspace::attributes::may_give_away;
use crate::workspace::beneath::Root;
use crate::workspace::materialize::{Action, Kept, KeptReason, Task};
use crate::workspace::protected::Protection;
use crate::workspace::stat::permissions;

/// The changes that turn the live folder into the target, and the contents that they take away.
#[derive(Default)]
pub(super) struct Plan {
    /// The changes.
    pub(super) actions: Vec<Action>,
    /// Contents that are in the folder now and will not be afterwards.
    pub(super) lost: Vec<(TreePath, BlobId)>,
    /// True if paths that the target does not have are left alone, so that the folder will not be exactly the target.
    pub(super) protects: bool,
    /// Protected folders in which the target has something that may not be written there. In order of path.
    pub(super) bound: Vec<Kept>,
}

/// Plans for `paths` and everything below them, or for all if there are none. `before` is the state before a restore
/// that was cut off, if this one ends that.
pub(super) fn plan(
    store: &Store,
    root: &Root,
    now: &Captured,
    target: &Snapshot,
    before: Option<&Snapshot>,
    paths: &[TreePath],
) -> Result<Plan> {
    let load = |id| now.load(store, id);
    let diff_options = TreeDiffOptions { folders: true, paths: paths.to_vec() };
    let mut changes = trees(&load, Some(now.root), Some(target.root), &diff_options)?;
    let (old, new) = (now.attributed_tree(), AttributedTree::of(store, target)?);
    add_changes(&mut changes, &load, &old, &new, paths)?;
    if may_give_away() {
        changes = with_all_of_the_root_owner(changes, &load, &old, &new, paths)?;
    }
    // In order of path, and none of them inside another.
    let bound: Vec<(&TreePath, Protection)> =
        now.excluded.iter().filter_map(|one| Some((&one.path, one.why.binding()?))).collect();
    let mut protected = Protected::of(store, target, root)?;
    let mut plan = Plan::default();
    for change in &changes {
        let next = bound.partition_point(|(path, _)| **path <= change.path);
        let last = next.checked_sub(1).map(|last| bound[last]);
        if let Some((path, place)) = last.filter(|(path, _)| change.path.is_within(path)) {
            plan.protects = true;
            let kept = Kept { path: path.clone(), reason: KeptReason::Protected(place) };
            let differs = change.new.as_ref().is_some_and(|new| !is_same_folder(root, &kept.path, &change.path, new));
            if differs && plan.bound.last() != Some(&kept) {
                plan.bound.push(kept);
            }
        } else if protected.holds(change)? {
            plan.protects = true;
        } else {
            plan.actions.extend(actions_of(change));
            plan.lost.extend(content_lost(change));
        }
    }
    let above = plan_parents(store, now, target, before, &plan.actions, paths)?;
    plan.actions.extend(above);
    // The folders above belong between the others, in order of path.
    plan.actions.sort_by(|one, other| one.path.cmp(&other.path));
    let is_root_set = plan.actions.first().is_some_and(|action| action.path.is_root());
    if paths.is_empty() && now.root_mode != target.root_mode && !is_root_set {
        plan.actions.insert(0, Action::on_folder(TreePath::root(), Task::SetMode, target.root_mode));
    }
    Ok(plan)
}

/// Returns true if a path is itself the protected folder, and as the target has it: a folder of that mode.
fn is_same_folder(root: &Root, bound: &TreePath, path: &TreePath, new: &Side) -> bool {
    let mode = || rustix::fs::fstat(root.folder(path).ok()?).ok().map(|found| permissions(&found));
    bound == path && new.kind == EntryKind::Folder && mode() == Some(new.mode)
}

/// Adds the paths whose owner changes with that of the root folder. A snapshot stores no owner for them, so none of
/// them differs by itself.
fn with_all_of_the_root_owner(
    changes: Vec<Change>,
    load: &LoadTree<'_>,
    old: &AttributedTree,
    new: &AttributedTree,
    paths: &[TreePath],
) -> Result<Vec<Change>> {
    let owners = (old.attributed.root_owner, new.attributed.root_owner);
    if !matches!(owners, (Some(before), Some(after)) if before != after) {
        return Ok(changes);
    }
    let is_relative =
        |tree: &AttributedTree, path: &TreePath| tree.attributed.get(path).is_none_or(|found| found.owner.is_none());
    let all = TreeDiffOptions { folders: true, paths: paths.to_vec() };
    let mut known: BTreeMap<TreePath, Change> =
        changes.into_iter().map(|change| (change.path.clone(), change)).collect();
    for change in trees(load, None, Some(new.root), &all)? {
        if !is_relative(old, &change.path) || !is_relative(new, &change.path) {
            continue;
        }
        match known.get_mut(&change.path) {
            Some(found) => found.attributes_changed |= found.old.is_some() && found.new.is_some(),
            None => {
                let change =
                    Change { kind: ChangeKind::Attributes, old: change.new, attributes_changed: true, ..change };
                known.insert(change.path.clone(), change);
            }
        }
    }
    Ok(known.into_values().collect())
}

/// The content that one change takes away.
fn content_lost(change: &Change) -> Option<(TreePath, BlobId)> {
    let stays = matches!(change.kind, ChangeKind::Mode | ChangeKind::Attributes);
    let old = change.old.as_ref().filter(|old| old.kind != EntryKind::Folder && !stays)?;
    Some((change.path.clone(), BlobId(old.id)))
}

/// The actions for one change.
pub(super) fn actions_of(change: &Change) -> Vec<Action> {
    let to = |task: Task, side: &Side| {
        let Side { kind, mode, size, id } = *side;
        Action { path: change.path.clone(), task, kind, mode, size, id }
    };
    match (change.kind, &change.old, &change.new) {
        (ChangeKind::Attributes, _, Some(new)) => vec![to(Task::SetAttributes, new)],
        (ChangeKind::Mode, _, Some(new)) if change.attributes_changed => vec![to(Task::SetAttributes, new)],
        (ChangeKind::Mode, _, Some(new)) => vec![to(Task::SetMode, new)],
        (_, Some(old), Some(new)) if old.kind == new.kind => vec![to(Task::Replace, new)],
        (_, Some(old), Some(new)) => vec![to(Task::Remove, old), to(Task::Create, new)],
        (_, Some(old), None) => vec![to(Task::Remove, old)],
        (_, None, Some(new)) => vec![to(Task::Create, new)],
        (_, None, None) => Vec::new(),
    }
}
