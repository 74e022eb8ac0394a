//! Writing a snapshot, or some paths of it, into a folder elsewhere. No workspace changes.

use std::collections::BTreeSet;
use std::path::Path;

use super::plan::actions_of;
use super::preflight::expect_whole;
use crate::diff::{TreeDiffOptions, trees};
use crate::error::Result;
use crate::format::snapshot::Snapshot;
use crate::id::SnapshotId;
use crate::ops::look::attributed::Attributed;
use crate::ops::look::ls;
use crate::ops::share::elsewhere::expect_no_store;
use crate::path::TreePath;
use crate::store::Store;
use crate::workspace::attributes::may_give_away;
use crate::workspace::materialize::{self, Action, Filled, Options, TargetAttributes, Task, apply};

/// Writes a snapshot, or some paths of it, into an empty or new folder.
pub fn restore_into(
    store: &Store,
    snapshot: SnapshotId,
    paths: &[TreePath],
    folder: &Path,
    options: &Options<'_>,
) -> Result<Filled> {
    expect_no_store(store, "restore into", folder)?;
    let found = store.snapshot(snapshot)?;
    expect_whole(store, snapshot, paths)?;
    let wanted = wanted(store, &found)?;
    let options = &Options { attributes: Some(&wanted), ..*options };
    if paths.is_empty() {
        return materialize::fill(store, found.root, found.root_mode, folder, options);
    }
    let changes =
        trees(&|id| store.tree(id), None, Some(found.root), &TreeDiffOptions { folders: true, paths: paths.to_vec() })?;
    let mut actions = folders_above(store, snapshot, paths)?;
    actions.extend(changes.iter().flat_map(actions_of));
    actions.push(Action::on_folder(TreePath::root(), Task::SetAttributes, found.root_mode));
    let applied = apply(store, &materialize::open_empty(store, folder)?, &actions, options)?;
    Ok(Filled {
        files: applied.written,
        folders: applied.created,
        symlinks: 0,
        bytes: applied.bytes,
        kept: applied.kept,
    })
}

/// Owners and attributes for a new folder. Whoever may not give files away owns them, but for those that had an owner
/// of their own.
pub(super) fn wanted(store: &Store, target: &Snapshot) -> Result<TargetAttributes> {
    let known = Attributed::of(store, target)?;
    let owner = known.root_owner.filter(|_| may_give_away());
    Ok(TargetAttributes { owner, is_known: known.is_known(), list: known.list, partial: BTreeSet::new() })
}

/// The folders in which `paths` lie, outermost first; `NotFound` for a path that the snapshot does not have.
fn folders_above(store: &Store, snapshot: SnapshotId, paths: &[TreePath]) -> Result<Vec<Action>> {
    let mut above = BTreeSet::new();
    for path in paths {
        ls::entry_at(store, snapshot, path)?;
        above.extend(std::iter::successors(path.parent(), TreePath::parent).filter(|folder| !folder.is_root()));
    }
    let is_above = |folder: &TreePath| !paths.iter().any(|path| folder.is_within(path));
    above
        .into_iter()
        .filter(is_above)
        .map(|path| ls::entry_at(store, snapshot, &path).map(|entry| Action::on_folder(path, Task::Create, entry.mode)))
        .collect()
}
