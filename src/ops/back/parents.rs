//! The folders above the paths of a restore. Nobody asked to restore them, and yet they must exist before anything can
//! be written in them, and keep their modes.
//!
//! - A folder that only the target has is created. If something else is in its place, the restore is refused.
//! - A folder that the target does not have is removed with the last thing in it, so that undoing a restore that
//!   created it leaves nothing behind.
//! - A folder that a killed restore left writable gets its mode back from the restore that finishes it or goes back.

use std::collections::BTreeSet;

use crate::diff::{TreeDiffOptions, trees};
use crate::error::{Error, ErrorKind, Result};
use crate::format::snapshot::Snapshot;
use crate::format::tree::EntryKind;
use crate::id::TreeId;
use crate::ops::look::ls::find_with;
use crate::ops::record::capture::Captured;
use crate::path::TreePath;
use crate::store::Store;
use crate::workspace::materialize::{Action, OWNER_RIGHTS, Task};

/// The actions on the folders above, in addition to `actions`. `before` is the state before a restore that was cut off,
/// if this one finishes it or goes back from it.
pub(super) fn plan_parents(
    store: &Store,
    now: &Captured,
    target: &Snapshot,
    before: Option<&Snapshot>,
    actions: &[Action],
    paths: &[TreePath],
) -> Result<Vec<Action>> {
    let above = paths.iter().flat_map(|path| std::iter::successors(path.parent(), TreePath::parent));
    let above: BTreeSet<TreePath> = above.filter(|path| !path.is_root()).collect();
    let is_asked_for = |folder: &TreePath| paths.iter().any(|path| folder.is_within(path));
    let is_write = |action: &&Action| action.task != Task::Remove;
    let mut removed: BTreeSet<TreePath> =
        actions.iter().filter(|action| !is_write(action)).map(|action| action.path.clone()).collect();
    let mut found = Vec::new();
    let load = |id| now.load(store, id);
    // Innermost first, so that the folders in a folder are decided before it.
    for path in above.iter().rev().filter(|path| !is_asked_for(path)) {
        let live = find_with(&load, now.root, path)?;
        let wanted = find_with(&load, target.root, path)?.filter(|entry| entry.kind == EntryKind::Folder);
        let is_needed = || actions.iter().filter(is_write).any(|action| action.path.is_within(path));
        match (live, wanted) {
            (None, Some(wanted)) if is_needed() => {
                found.push(Action::on_folder(path.clone(), Task::Create, wanted.mode));
            }
            (Some(live), Some(_)) if live.kind != EntryKind::Folder && is_needed() => {
                let detail = "there is no folder where it has to be written, but something else";
                return Err(Error::new(ErrorKind::Conflict, "restore in", path, detail)
                    .with_hint(format!("`retro restore REV -- {path}` puts back all that belongs there")));
            }
            (Some(live), None) if live.kind == EntryKind::Folder && is_emptied(store, now, path, &removed)? => {
                removed.insert(path.clone());
                found.push(Action::on_folder(path.clone(), Task::Remove, live.mode));
            }
            (Some(live), _) if live.kind == EntryKind::Folder => {
                let was = before.map(|before| find_with(&load, before.root, path)).transpose()?.flatten();
                found.extend(was.and_then(|was| tightened(path, live.mode, was.mode)));
            }
            _ => {}
        }
    }
    if !paths.is_empty() {
        found.extend(before.and_then(|before| tightened(&TreePath::root(), now.root_mode, before.root_mode)));
    }
    Ok(found)
}

/// Returns true if everything in a folder is removed.
fn is_emptied(store: &Store, now: &Captured, folder: &TreePath, removed: &BTreeSet<TreePath>) -> Result<bool> {
    if !removed.iter().any(|path| path.is_within(folder)) {
        return Ok(false);
    }
    let load = |id: TreeId| now.load(store, id);
    let below = TreeDiffOptions { folders: true, paths: vec![folder.clone()] };
    let all = trees(&load, Some(now.root), None, &below)?;
    Ok(all.iter().all(|change| change.path == *folder || removed.contains(&change.path)))
}

/// Gives a folder its former mode back if its mode differs only by the rights that a restore needs.
fn tightened(path: &TreePath, live: u16, was: u16) -> Option<Action> {
    let is_loosened = live != was && live == was | OWNER_RIGHTS;
    is_loosened.then(|| Action::on_folder(path.clone(), Task::SetMode, was))
}
