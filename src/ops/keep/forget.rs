//! Forgetting snapshots: they are no steps any more, and gc may delete the objects that nothing else needs.
//!
//! Nothing is deleted here. The head of a workspace is never forgotten, because the folder is in that state. A snapshot
//! with a tag or a pin is forgotten only by force.

use crate::error::{Error, ErrorKind, Result};
use crate::format::facts::Fact;
use crate::id::SnapshotId;
use crate::store::{State, Store, Workspace};
use crate::time::Timestamp;

/// Options of forgetting a snapshot.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ForgetOptions {
    /// True if protected snapshots are forgotten, too, with their tags and pins.
    pub is_forced: bool,
    /// The time that is recorded.
    pub now: Timestamp,
}

impl ForgetOptions {
    /// Forgets snapshots that no tag or pin protects.
    pub fn new(now: Timestamp) -> Self {
        Self { is_forced: false, now }
    }
}

/// Takes snapshots out of history, all of them or none. `NotFound` for one that is no step, `Conflict` for one that is
/// protected.
pub fn forget(store: &Store, snapshots: &[SnapshotId], options: &ForgetOptions) -> Result<()> {
    store.record(|state| {
        snapshots.iter().try_for_each(|snapshot| expect_unprotected(state, *snapshot, options.is_forced))?;
        let fact = |snapshot: &SnapshotId| Fact::SnapshotForgotten { snapshot: *snapshot, time: options.now };
        Ok(snapshots.iter().map(fact).collect())
    })?;
    Ok(())
}

fn expect_unprotected(state: &State, snapshot: SnapshotId, is_forced: bool) -> Result<()> {
    let refuse = |kind, detail: String| Err(Error::new(kind, "forget snapshot", snapshot.short(), detail));
    // A forgotten workspace can be recalled.
    let aside = state.forgotten.values().map(|forgotten| &forgotten.workspace);
    let workspaces: Vec<&Workspace> = state.workspaces.values().chain(aside).collect();
    let is_needed = |workspace: &&&Workspace| {
        let unfinished = workspace.unfinished.as_ref().map(|restore| [restore.before, Some(restore.target)]);
        let states = [workspace.head, workspace.stands()].into_iter().chain(unfinished.into_iter().flatten());
        states.flatten().any(|needed| needed == snapshot)
    };
    if let Some(workspace) = workspaces.iter().find(is_needed) {
        let root = crate::path::escaped(&workspace.root);
        return refuse(ErrorKind::Conflict, format!("the folder {root} is in this state"));
    }
    if !is_forced && state.pins.contains(&snapshot) {
        return refuse(ErrorKind::Conflict, "it is pinned".to_owned());
    }
    let mut tags = workspaces.iter().flat_map(|workspace| &workspace.tags);
    if let Some((tag, _)) = tags.find(|(_, tagged)| !is_forced && **tagged == snapshot) {
        return refuse(ErrorKind::Conflict, format!("it has the tag {}", crate::path::escaped(tag.as_bytes())));
    }
    let has_place = workspaces
        .iter()
        .any(|workspace| workspace.steps.values().chain(workspace.tags.values()).any(|placed| *placed == snapshot));
    if has_place || state.pins.contains(&snapshot) {
        return Ok(());
    }
    refuse(ErrorKind::NotFound, "no workspace has it as a step".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{ForgetOptions, forget};
    use crate::disk::memory::MemoryDisk;
    use crate::error::ErrorKind;
    use crate::format::facts::Fact;
    use crate::format::snapshot::Cause;
    use crate::id::{Digest, SnapshotId, WorkspaceId};
    use crate::store::Store;
    use crate::time::Timestamp;

    const TIME: Timestamp = Timestamp(7);

    fn snapshot(number: u8) -> SnapshotId {
        SnapshotId(Digest::of(&[number]))
    }

    /// Six steps of one workspace; the second is pinned, the third and the fourth have a tag.
    fn store(disk: &MemoryDisk) -> Store {
        let store = Store::open_or_create(Arc::new(disk.clone())).unwrap();
        let (workspace, time) = (WorkspaceId([1; 16]), TIME);
        let taken = |step: u8| {
            let (snapshot, step) = (snapshot(step), u64::from(step));
            Fact::SnapshotTaken { workspace, snapshot, step, run: None, cause: Cause::Step }
        };
        let tag = |number: u8| {
            let (name, snapshot) = (format!("t{number}"), Some(snapshot(number)));
            Fact::Tagged { workspace, name, snapshot, time }
        };
        let mut facts = vec![Fact::WorkspaceAdded { workspace, root: b"/w".to_vec(), time }];
        facts.extend((1..=6).map(taken));
        facts.extend([Fact::Pinned { snapshot: snapshot(2), pinned: true, time }, tag(3), tag(4)]);
        store.record(|_| Ok(facts)).unwrap();
        store
    }

    fn steps(store: &Store) -> Vec<u64> {
        store.state().snapshots().map(|(_, step, _)| step).collect()
    }

    #[test]
    fn the_head_and_what_is_protected_stay_and_the_rest_is_forgotten_at_once() {
        let disk = MemoryDisk::new(1);
        let store = store(&disk);
        let options = ForgetOptions::new(TIME);
        for (number, kind, why) in [
            (6, ErrorKind::Conflict, "the folder /w is in this state"),
            (2, ErrorKind::Conflict, "it is pinned"),
            (3, ErrorKind::Conflict, "it has the tag t3"),
            (9, ErrorKind::NotFound, "no workspace has it as a step"),
        ] {
            let error = forget(&store, &[snapshot(1), snapshot(number)], &options).unwrap_err();
            assert!(error.kind() == kind && error.to_string().ends_with(why), "{error}");
        }
        assert_eq!(steps(&store), [1, 2, 3, 4, 5, 6]);
        forget(&store, &[snapshot(1), snapshot(5)], &options).unwrap();
        let forced = ForgetOptions { is_forced: true, ..options };
        forget(&store, &[snapshot(2), snapshot(3)], &forced).unwrap();
        assert_eq!(forget(&store, &[snapshot(6)], &forced).unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(forget(&store, &[snapshot(1)], &forced).unwrap_err().kind(), ErrorKind::NotFound);
        for store in [store, Store::open(Arc::new(disk.clone())).unwrap()] {
            assert_eq!(steps(&store), [4, 6]);
            assert!(store.state().pins.is_empty() && store.state().tags().count() == 1);
        }
    }
}
