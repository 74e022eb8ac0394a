//! The third stage of a restore: all that it writes is whole, and all that it takes away is kept whole. This is found
//! out before it changes the first path.
//!
//! If an object is damaged, a restore that stopped half-way would be worse than one that says so at once. And what
//! is in the folder may be all that is left of a content whose stored copy has been damaged since: a snapshot does not
//! store again what is there by its id. So both are read, on every core.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::Mutex;

use rayon::prelude::*;

use super::decide::Decided;
use super::{Context, refused};
use crate::error::{Error, ErrorKind, Result};
use crate::format::pack::ObjectKind;
use crate::id::{BlobId, SnapshotId};
use crate::ops::look::ls::{self, LsOptions};
use crate::path::TreePath;
use crate::store::{Batch, Store};
use crate::workspace::materialize::{Action, Kept};

/// Takes what cannot or must not be done out of the plan, and returns it with the reasons, in order of path. Then makes
/// sure of the contents, those that the plan writes and those that are lost: an error leaves everything as it was.
pub(super) fn preflight(context: &Context<'_>, decided: &mut Decided, batch: &Batch<'_>) -> Result<Vec<Kept>> {
    let Context { store, root, options, .. } = context;
    let Decided { target, plan, wish, .. } = decided;
    let refused = refused::refuse(store, root, target, plan, options.dry_run)?;
    expect_contents(store, wish.target, &plan.actions)?;
    if options.safety {
        expect_kept(store, batch, &plan.lost)?;
    }
    Ok(refused)
}

/// Reads what a restore in place writes.
fn expect_contents(store: &Store, target: SnapshotId, plan: &[Action]) -> Result<()> {
    let written = plan.iter().filter_map(|action| match action {
        Action::WriteFile { path, id, .. } | Action::WriteSymlink { path, id, .. } => Some((path, *id)),
        _ => None,
    });
    expect_readable(store, written).map_err(|(path, error)| lost(target, path, error))
}

/// Reads what a restore in place takes away, as far as `batch`, the snapshot of it, found it stored already.
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

/// For a snapshot, or some paths of it, that is written elsewhere.
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
