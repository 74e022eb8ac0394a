//! The folder of a workspace: opened, with the protected folders in it, and locked against other processes.

use std::path::Path;

use super::register::root_of;
use crate::disk::{Disk, LockGuard, LockMode};
use crate::error::{Error, ErrorKind, Result, shown};
use crate::id::WorkspaceId;
use crate::store::{Store, Workspace};
use crate::workspace::beneath::Root;
use crate::workspace::folder_id;
use crate::workspace::git_folders;
use crate::workspace::protected::{ProtectedFolders, Protection};

/// Opens the root folder of a workspace, and finds the protected folders in it: the store's own, other workspaces, the
/// git folders that the root's `.git` names, and, if they are met by another path, the home folder, the root of the
/// file system and the workspace itself.
///
/// A folder that is the store, or lies in it, is `Invalid`, whatever its path is.
pub fn open_root(store: &Store, workspace: &Workspace, home: Option<&Path>) -> Result<Root> {
    let root = Root::open(&root_of(workspace)).map_err(|error| match error.kind() {
        ErrorKind::NotFound => error.with_hint("if the folder has moved, tell the store with `retro workspace move`"),
        _ => error,
    })?;
    let own = store.disk().places()?;
    if folder_id::is_within(root.handle(), &own) {
        let detail = "it is retro's own store, or in it";
        return Err(Error::new(ErrorKind::Invalid, "open workspace", shown(root.path()), detail)
            .with_hint("a mount may have put the store there; `retro workspace list` shows the recorded folders"));
    }
    let mut around =
        ProtectedFolders::around(root.handle(), &own, home).map_err(|e| Error::io("look at", root.path(), e))?;
    for other in store.state().workspaces.values().filter(|other| other.id != workspace.id) {
        let path = root_of(other);
        let inside = path.starts_with(root.path()).then(|| folder_id::identity(&path)).flatten();
        inside.into_iter().for_each(|folder| around.add(folder, Protection::Workspace));
    }
    git_folders::known_at(&root).into_iter().for_each(|folder| around.add(folder, Protection::VersionControl));
    Ok(root.with_protected(around))
}

/// Takes the lock of a workspace: one process at a time records or restores it. The kernel releases it when the process
/// ends, however it ends.
pub fn lock_workspace(store: &Store, workspace: WorkspaceId) -> Result<LockGuard> {
    let folder = format!("workspaces/{workspace}");
    store.disk().create_folder(&folder)?;
    let guard = store.disk().lock(&format!("{folder}/lock"), LockMode::Exclusive)?;
    Ok(guard.expect("only a try comes back without a lock"))
}

/// Returns true if a process records or restores a workspace right now.
pub fn is_in_use(disk: &dyn Disk, workspace: WorkspaceId) -> bool {
    let name = format!("workspaces/{workspace}/lock");
    // Taking the lock would create its file.
    disk.open(&name).is_ok() && matches!(disk.lock(&name, LockMode::TryExclusive), Ok(None))
}
