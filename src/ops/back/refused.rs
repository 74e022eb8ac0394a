//! Paths that a restore cannot or must not change, found before it changes anything: paths in folders of version
//! control and in others that are left alone, names that the file system does not keep apart, and what is in a mount
//! that was not there at the step.

use std::collections::BTreeSet;

use super::plan::Plan;
use crate::error::{Error, Result};
use crate::format::snapshot::Snapshot;
use crate::format::tree::Kind;
use crate::id::TreeId;
use crate::limits::RULES_LENGTH_MAX_BYTES;
use crate::ops::look::ls::find_with;
use crate::path::TreePath;
use crate::store::Store;
use crate::workspace::beneath::Root;
use crate::workspace::materialize::{Kept, KeptReason, NameCheck, Names};
use crate::workspace::mounts;
use crate::workspace::places::Place;
use crate::workspace::rules::Rules;

/// Takes what cannot be done out of a plan, and returns it with the reasons, in order of path. A dry run tries no
/// names.
pub(super) fn refuse(
    store: &Store,
    root: &Root,
    target: &Snapshot,
    plan: &mut Plan,
    dry_run: bool,
) -> Result<Vec<Kept>> {
    let mut kept = later_mounts(store, root, target, plan)?;
    take_out(plan, &kept);
    kept.append(&mut plan.bound);
    let mut check = NameCheck::new(root, (!dry_run).then(|| store.disk().random()));
    let refused = check.refuse(&plan.actions, &|folder| names_in(store, target.root, folder))?;
    take_out(plan, &refused);
    kept.extend(refused);
    kept.sort();
    kept.dedup();
    Ok(kept)
}

/// Mounts that were not there at the step, and in which something would change.
fn later_mounts(store: &Store, root: &Root, target: &Snapshot, plan: &Plan) -> Result<Vec<Kept>> {
    let now = mounts::below(root);
    if now.is_empty() {
        return Ok(Vec::new());
    }
    let text = store.read_blob(target.rules, RULES_LENGTH_MAX_BYTES)?;
    let text = String::from_utf8(text).map_err(|_| Error::corrupt("read", target.rules, "it is not text"))?;
    let rules = Rules::parse(&text)?;
    let is_later = |mount: &TreePath| {
        rules.mounts().binary_search(mount).is_err() && plan.actions.iter().any(|action| action.path().is_within(mount))
    };
    let later = now.into_iter().filter(is_later);
    Ok(later.map(|path| Kept { path, reason: KeptReason::Protected(Place::Mount) }).collect())
}

fn take_out(plan: &mut Plan, kept: &[Kept]) {
    if kept.is_empty() {
        return;
    }
    // Without those that lie in another, the last one before a path is the only one that it can lie in.
    let refused: BTreeSet<&TreePath> = kept.iter().map(|kept| &kept.path).collect();
    let mut outermost: Vec<&TreePath> = Vec::new();
    for path in refused {
        if !outermost.last().is_some_and(|last| path.is_within(last)) {
            outermost.push(path);
        }
    }
    let is_left = |path: &TreePath| {
        let before = outermost.partition_point(|refused| *refused <= path);
        !before.checked_sub(1).is_some_and(|last| path.is_within(outermost[last]))
    };
    plan.actions.retain(|action| is_left(action.path()));
    plan.lost.retain(|(path, _)| is_left(path));
}

/// The names that a folder has in a tree; none where there is no such folder.
fn names_in(store: &Store, root: TreeId, folder: &TreePath) -> Result<Names> {
    let tree = match folder.is_root() {
        true => Some(root),
        false => find_with(&|id| store.tree(id), root, folder)?
            .filter(|entry| entry.kind == Kind::Folder)
            .map(|entry| TreeId(entry.id)),
    };
    let entries = tree.map_or(Ok(Vec::new()), |tree| store.folder(tree))?;
    Ok(entries.into_iter().map(|entry| entry.name).collect())
}
