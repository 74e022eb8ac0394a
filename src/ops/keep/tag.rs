//! Tags and pins of snapshots.

use crate::error::{Error, ErrorKind, Result};
use crate::format::facts::Fact;
use crate::history::revision::check_tag_name;
use crate::id::{SnapshotId, WorkspaceId};
use crate::ops::record::register::expect;
use crate::path::escaped;
use crate::store::{Store, Workspace};
use crate::time::Timestamp;

/// Gives a snapshot a tag in a workspace. A tag of another snapshot is moved only with `force`.
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
    store.record(|state| match tagged(expect(state, workspace)?, name, snapshot, force, now) {
        Err(error) if error.kind() == ErrorKind::Exists => Err(error.with_hint("--force moves it")),
        fact => Ok(fact?.into_iter().collect()),
    })?;
    Ok(())
}

/// The fact that gives a snapshot a tag; `None` if it has the tag already. `Invalid` for a malformed name, and `Exists`
/// if another snapshot has the tag and it is not moved by `force`.
pub(in crate::ops) fn tagged(
    workspace: &Workspace,
    name: &str,
    snapshot: SnapshotId,
    force: bool,
    now: Timestamp,
) -> Result<Option<Fact>> {
    check_tag_name(name)?;
    match workspace.tags.get(name) {
        Some(taken) if *taken == snapshot => Ok(None),
        Some(taken) if !force => {
            let detail = format!("it names snapshot {} already", taken.short());
            Err(Error::new(ErrorKind::Exists, "tag", escaped(name.as_bytes()), detail))
        }
        _ => {
            let (workspace, name) = (workspace.id, name.to_owned());
            Ok(Some(Fact::Tagged { workspace, name, snapshot: Some(snapshot), time: now }))
        }
    }
}

/// Deletes a tag of a workspace.
pub fn delete_tag(store: &Store, workspace: WorkspaceId, name: &str, now: Timestamp) -> Result<()> {
    store.record(|state| match expect(state, workspace)?.tags.get(name) {
        Some(_) => Ok(vec![Fact::Tagged { workspace, name: name.to_owned(), snapshot: None, time: now }]),
        None => Err(Error::new(ErrorKind::NotFound, "delete tag", escaped(name.as_bytes()), "there is no such tag")),
    })?;
    Ok(())
}

/// Pins a snapshot, so that gc keeps it, or takes the pin away. Returns true if anything changed.
pub fn pin(store: &Store, snapshot: SnapshotId, pinned: bool, now: Timestamp) -> Result<bool> {
    store.snapshot(snapshot)?;
    let mut changed = false;
    store.record(|state| {
        changed = state.pins.contains(&snapshot) != pinned;
        Ok(if changed { vec![Fact::Pinned { snapshot, pinned, time: now }] } else { Vec::new() })
    })?;
    Ok(changed)
}
