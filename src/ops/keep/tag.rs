//! Names and keep-marks of snapshots.

use crate::error::{Error, ErrorKind, Result};
use crate::format::facts::Fact;
use crate::history::revision::check_tag_name;
use crate::id::{SnapshotId, WorkspaceId};
use crate::ops::record::register::expect;
use crate::path::escaped;
use crate::store::{Store, Workspace};
use crate::time::Timestamp;

/// Gives a snapshot a name in a workspace. A name that another snapshot has there is moved only with `force`.
pub fn tag(
    store: &Store,
    workspace: WorkspaceId,
    name: &str,
    snapshot: SnapshotId,
    force: bool,
    now: Timestamp,
) -> Result<()> {
    check_tag_name(name)?;
    store.snapshot(snapshot)?;
    store.record(|state| match tagged(expect(state, workspace)?, name, snapshot, now) {
        Err(error) if error.kind() == ErrorKind::Exists && force => {
            Ok(vec![Fact::Tagged { workspace, name: name.to_owned(), snapshot: Some(snapshot), time: now }])
        }
        Err(error) if error.kind() == ErrorKind::Exists => Err(error.with_hint("--force moves it")),
        fact => Ok(fact?.into_iter().collect()),
    })?;
    Ok(())
}

/// The fact that gives a snapshot a name; none where it has the name already. A name that is none is `Invalid`, one
/// that another snapshot has is `Exists`.
pub(in crate::ops) fn tagged(
    workspace: &Workspace,
    name: &str,
    snapshot: SnapshotId,
    now: Timestamp,
) -> Result<Option<Fact>> {
    check_tag_name(name)?;
    match workspace.tags.get(name) {
        Some(taken) if *taken == snapshot => Ok(None),
        Some(taken) => {
            let detail = format!("it names snapshot {} already", taken.short());
            Err(Error::new(ErrorKind::Exists, "tag", escaped(name.as_bytes()), detail))
        }
        None => {
            let (workspace, name) = (workspace.id, name.to_owned());
            Ok(Some(Fact::Tagged { workspace, name, snapshot: Some(snapshot), time: now }))
        }
    }
}

/// Takes a name away from a workspace.
pub fn delete_tag(store: &Store, workspace: WorkspaceId, name: &str, now: Timestamp) -> Result<()> {
    store.record(|state| match expect(state, workspace)?.tags.get(name) {
        Some(_) => Ok(vec![Fact::Tagged { workspace, name: name.to_owned(), snapshot: None, time: now }]),
        None => Err(Error::new(ErrorKind::NotFound, "delete tag", escaped(name.as_bytes()), "there is no such tag")),
    })?;
    Ok(())
}

/// Marks a snapshot to be kept by gc, or takes the mark away. Says whether anything changed.
pub fn pin(store: &Store, snapshot: SnapshotId, pinned: bool, now: Timestamp) -> Result<bool> {
    store.snapshot(snapshot)?;
    let mut changed = false;
    store.record(|state| {
        changed = state.pins.contains(&snapshot) != pinned;
        Ok(if changed { vec![Fact::Pinned { snapshot, pinned, time: now }] } else { Vec::new() })
    })?;
    Ok(changed)
}
