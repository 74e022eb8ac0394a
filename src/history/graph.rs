//! Walks from a snapshot to its ancestors.
//!
//! Every walk ends: an id is a hash over the ids of the parents, so no cycle can be stored. A walk also visits no
//! snapshot twice, so that a store that claims a cycle cannot make it loop.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::format::snapshot::Snapshot;
use crate::id::SnapshotId;
use crate::store::{Store, Workspace};

/// One snapshot of a walk.
pub type Visit = Result<(SnapshotId, Arc<Snapshot>)>;

/// Reads a snapshot; `None` where history begins because the snapshot was forgotten and deleted.
pub(super) type Load<'a> = dyn Fn(SnapshotId) -> Result<Option<Arc<Snapshot>>> + 'a;

/// The snapshot `from`, its first parent, that one's first parent, and so on. Ends after the first error.
pub fn first_parents(store: &Store, from: SnapshotId) -> impl Iterator<Item = Visit> + use<'_> {
    walk_first_parents(move |id| read(store, id), from)
}

/// All snapshots of a workspace, the last step first. A parent has a smaller step than its child.
pub fn newest_first<'a>(store: &'a Store, workspace: &'a Workspace) -> impl DoubleEndedIterator<Item = Visit> + 'a {
    workspace.steps.values().rev().map(|&id| Ok((id, store.snapshot(id)?)))
}

/// Reads a snapshot. History begins where the store does not know it. If a workspace lists it as a step, it is lost.
pub(super) fn read(store: &Store, id: SnapshotId) -> Result<Option<Arc<Snapshot>>> {
    match store.snapshot(id) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

pub(super) fn walk_first_parents(
    load: impl Fn(SnapshotId) -> Result<Option<Arc<Snapshot>>>,
    from: SnapshotId,
) -> impl Iterator<Item = Visit> {
    let mut next = Some(from);
    let mut visited = BTreeSet::new();
    std::iter::from_fn(move || {
        let id = next.take().filter(|id| visited.insert(*id))?;
        match load(id) {
            Ok(Some(snapshot)) => {
                next = snapshot.parents.first().copied();
                Some(Ok((id, snapshot)))
            }
            Ok(None) if id == from => Some(Err(gone(id))),
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        }
    })
}

fn gone(id: SnapshotId) -> Error {
    Error::new(ErrorKind::NotFound, "read snapshot", id, "it was forgotten, or never taken")
}

#[cfg(test)]
mod tests;
