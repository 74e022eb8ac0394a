//! Whether all that a restore writes is there, found out before it changes the first path.
//!
//! Where an object was lost, a restore that stopped half-way would be worse than one that says so at once. Of a snapshot
//! that repair has marked incomplete, every content is read; of any other, it is looked up.

use crate::error::{Error, Result};
use crate::id::SnapshotId;
use crate::ops::ls::{self, LsOptions};
use crate::path::TreePath;
use crate::store::Store;
use crate::workspace::materialize::Action;

/// For a restore in place.
pub(super) fn expect_contents(store: &Store, target: SnapshotId, plan: &[Action]) -> Result<()> {
    let is_marked = store.state().incomplete.contains(&target);
    for action in plan {
        let (Action::WriteFile { path, id, .. } | Action::WriteSymlink { path, id, .. }) = action else { continue };
        if is_marked || !store.contains_blob(*id) {
            store.copy_blob(*id, &mut |_| Ok(())).map_err(|error| lost(target, path, error))?;
        }
    }
    Ok(())
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

fn lost(target: SnapshotId, path: &TreePath, error: Error) -> Error {
    let short = target.short();
    let hint = format!(
        "`retro restore {short} -- PATH` puts back what is whole; `retro verify` lists what is lost, `retro repair` \
         brings back what it can"
    );
    error.during(&format!("restore {short}"), path).with_hint(hint)
}
