//! The third stage of a restore: refuses paths that cannot or must not be changed, and reads every content that the
//! restore writes or takes away, before the first path changes.
//!
//! Refused are paths in folders of version control and in other protected folders, names that the file system does not
//! keep apart, and paths in a mount that was not there at the step.
//!
//! A restore that met a damaged object half-way would be worse than one that says so at once. And the file in the
//! folder may be the last copy of a content whose stored copy has been damaged since: a snapshot does not store again
//! what is there by its id. So both are read, on all cores.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::Mutex;

use rayon::prelude::*;

use super::Context;
use super::decide::Decided;
use super::plan::Plan;
use crate::error::{Error, ErrorKind, Result};
use crate::format::pack::ObjectKind;
use crate::format::snapshot::Snapshot;
use crate::format::tree::EntryKind;
use crate::id::{BlobId, SnapshotId, TreeId};
use crate::ops::look::ls::{self, LsOptions, find_with};
use crate::ops::record::attached::rules_of;
use crate::path::{Subtrees, TreePath};
use crate::store::{Batch, Store};
use crate::workspace::beneath::Root;
use crate::workspace::materialize::{Action, Kept, KeptReason, NameCheck, Names};
use crate::workspace::mounts;
use crate::workspace::protected::Protection;
use crate::workspace::rules::Rules;

/// Takes refused paths out of the plan, and returns them with the reasons, in order of path. Then reads the contents.
/// An error leaves everything as it was.
pub(super) fn preflight(context: &Context<'_>, decided: &mut Decided, batch: &Batch<'_>) -> Result<Vec<Kept>> {
    let Context { store, options, .. } = context;
    let Decided { target, plan, wish, .. } = decided;
    let refused = refuse(context, target, plan)?;
    expect_contents(store, wish.target, &plan.actions)?;
    if options.safety {
        expect_kept(store, batch, &plan.lost)?;
    }
    Ok(refused)
}

fn refuse(context: &Context<'_>, target: &Snapshot, plan: &mut Plan) -> Result<Vec<Kept>> {
    let Context { store, root, options, .. } = context;
    let mut kept = later_mounts(store, root, target, plan)?;
    take_out(plan, &kept);
    kept.append(&mut plan.bound);
    // A dry run tries no names.
    let mut check = NameCheck::new(root, (!options.dry_run).then(|| store.disk().random()));
    let refused = check.refuse(&plan.actions, &|folder| names_in(store, target.root, folder))?;
    take_out(plan, &refused);
    kept.extend(refused);
    kept.sort();
    kept.dedup();
    Ok(kept)
}

/// Mounts that were not there at the step, and in which the plan changes something.
fn later_mounts(store: &Store, root: &Root, target: &Snapshot, plan: &Plan) -> Result<Vec<Kept>> {
    let now = mounts::below(root, || mounts::crossings(root, plan.actions.iter().map(|action| &action.path)));
    if now.is_empty() {
        return Ok(Vec::new());
    }
    let rules = Rules::parse(&rules_of(store, target)?)?;
    let is_later = |mount: &TreePath| {
        rules.mounts().binary_search(mount).is_err() && plan.actions.iter().any(|action| action.path.is_within(mount))
    };
    let later = now.into_iter().filter(is_later);
    Ok(later.map(|path| Kept { path, reason: KeptReason::Protected(Protection::Mount) }).collect())
}

fn take_out(plan: &mut Plan, kept: &[Kept]) {
    let refused = Subtrees::new(kept.iter().map(|kept| kept.path.clone()));
    plan.actions.retain(|action| !refused.contain(&action.path));
    plan.lost.retain(|(path, _)| !refused.contain(path));
}

/// The names in a folder of a tree; none if there is no such folder.
fn names_in(store: &Store, root: TreeId, folder: &TreePath) -> Result<Names> {
    let tree = match folder.is_root() {
        true => Some(root),
        false => find_with(&|id| store.tree(id), root, folder)?.and_then(|entry| entry.tree()),
    };
    let entries = tree.map_or(Ok(Vec::new()), |tree| store.folder(tree))?;
    Ok(entries.into_iter().map(|entry| entry.name).collect())
}

/// Reads what a restore in place writes.
fn expect_contents(store: &Store, target: SnapshotId, plan: &[Action]) -> Result<()> {
    let is_content = |action: &&Action| action.is_write() && action.kind != EntryKind::Folder;
    let written = plan.iter().filter(is_content).map(|action| (&action.path, BlobId(action.id)));
    expect_readable(store, written).map_err(|(path, error)| lost(target, path, error))
}

/// Reads what a restore in place takes away, as far as `batch`, its snapshot, found it stored already.
fn expect_kept(store: &Store, batch: &Batch<'_>, lost: &[(TreePath, BlobId)]) -> Result<()> {
    batch.reused_chunks().par_iter().try_for_each(|prefix| {
        store.object_with(ObjectKind::Content, *prefix).map(drop).map_err(|error| not_kept("a long file", error))
    })?;
    let stored = lost.iter().filter(|(_, id)| store.contains_blob(*id)).map(|(path, id)| (path, *id));
    expect_readable(store, stored).map_err(|(path, error)| not_kept(path, error))
}

/// Reads every content and every chunk once, however often it occurs: a hostile store may name one a billion times.
fn expect_readable<'a>(
    store: &Store,
    wanted: impl Iterator<Item = (&'a TreePath, BlobId)>,
) -> std::result::Result<(), (&'a TreePath, Error)> {
    let blobs: BTreeMap<BlobId, &TreePath> = wanted.map(|(path, id)| (id, path)).collect();
    let seen = Mutex::new(BTreeSet::new());
    let read = |id: BlobId| -> Result<()> {
        let Some(mut chunks) = store.chunks(id)? else { return Ok(()) };
        {
            let mut seen = seen.lock().expect("nobody panics with the lock");
            chunks.retain(|chunk| seen.insert(chunk.id));
        }
        chunks.par_iter().try_for_each(|chunk| store.object(ObjectKind::Content, &chunk.id.0).map(drop))
    };
    blobs.par_iter().try_for_each(|(id, path)| read(*id).map_err(|error| (*path, error)))
}

/// Reads a snapshot that is known to be incomplete, or some paths of it, before it is written elsewhere.
pub(super) fn expect_whole(store: &Store, snapshot: SnapshotId, paths: &[TreePath]) -> Result<()> {
    if !store.state().incomplete.contains(&snapshot) {
        return Ok(());
    }
    let all = [TreePath::root()];
    for path in if paths.is_empty() { &all } else { paths } {
        let options = LsOptions { path: path.clone(), is_recursive: true };
        ls::ls(store, snapshot, &options, &mut |path, entry| {
            let Some(blob) = entry.blob() else { return Ok(()) };
            store.copy_blob(blob, &mut |_| Ok(())).map(drop).map_err(|error| lost(snapshot, path, error))
        })?;
    }
    Ok(())
}

fn not_kept(what: impl Display, error: Error) -> Error {
    if error.kind() != ErrorKind::Corrupt {
        return error;
    }
    error.during("keep what is there before restoring over", what).with_hint(
        "its stored copy is damaged, so nothing was changed; `retro repair` takes it from the folder again, \
         `--no-safety-snapshot` gives it up",
    )
}

fn lost(target: SnapshotId, path: &TreePath, error: Error) -> Error {
    let short = target.short();
    let hint = format!(
        "`retro restore {short} -- PATH` puts back what is whole; `retro verify` lists what is lost, `retro repair` \
         brings back what it can"
    );
    error.during(&format!("restore {short}"), path).with_hint(hint)
}
