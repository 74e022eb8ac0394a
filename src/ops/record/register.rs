//! The folders that a store records: registering, finding, listing, moving and forgetting workspaces.

use std::collections::BTreeSet;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result, shown};
use crate::format::facts::{Fact, FolderIdentity};
use crate::id::{Digest, SnapshotId, WorkspaceId};
use crate::limits::NAMES_BESIDE_MAX;
use crate::path::escaped;
use crate::store::state::Forgotten;
use crate::store::{State, Store, Workspace};
use crate::time::Timestamp;
use crate::workspace::folder_id;

/// The checks of a folder before it is recorded.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// The user's home folder, which is refused.
    pub home: Option<PathBuf>,
    /// True if only the store's own folder is refused.
    pub force: bool,
}

/// The absolute path of a folder, symlinks resolved.
pub fn resolve_folder(path: &Path) -> Result<PathBuf> {
    let resolved = std::fs::canonicalize(path).map_err(|e| Error::io("find folder", path, e))?;
    if resolved.is_dir() {
        Ok(resolved)
    } else {
        Err(Error::new(ErrorKind::Invalid, "record", shown(path), "it is not a folder"))
    }
}

/// The workspace that `folder` is, or is in; the innermost one.
///
/// The root of the file system, the home folder and the folders above it count only for `folder` itself, and not for
/// folders below them. They are recorded only if somebody insists, or in a store from somebody else, and a restore in a
/// project folder must not change everything around it.
pub fn workspace_of<'a>(state: &'a State, folder: &Path, home: Option<&Path>) -> Option<&'a Workspace> {
    let is_wide = |folder: &Path| folder.parent().is_none() || home.is_some_and(|home| home.starts_with(folder));
    let mut around = folder.ancestors().filter(|ancestor| *ancestor == folder || !is_wide(ancestor));
    around.find_map(|ancestor| state.workspace_at(ancestor.as_os_str().as_bytes()))
}

/// The workspace that `folder` is in, or an error that says what to do. See [`workspace_of`].
pub fn expect_workspace(state: &State, folder: &Path, home: Option<&Path>) -> Result<WorkspaceId> {
    let found = workspace_of(state, folder, home).map(|workspace| workspace.id);
    found.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "find workspace of", shown(folder), "no recorded folder contains it")
            .with_hint("`retro snap` records this folder; `retro workspace list` shows the recorded ones")
    })
}

/// A recorded folder that was found at a path which is not the recorded one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recognised {
    /// The recorded path leads to the same folder: a bind mount, or a link.
    Same(WorkspaceId),
    /// It was moved here.
    Moved(WorkspaceId),
}

/// The workspace whose folder was this one when it was last seen, whatever its path was.
///
/// A folder that was moved to another file system has another inode number. A git working tree is then known by git's
/// own log. A copy has the same log, so this counts only if the recorded path does not lead to that working tree any
/// more.
pub fn recognise(state: &State, folder: &Path) -> Option<Recognised> {
    let here = identity_of(folder)?;
    let newest = |is_here: &dyn Fn(&Workspace, &FolderIdentity) -> bool| {
        let is_here = |found: &&Workspace| found.folder.is_some_and(|known| is_here(found, &known));
        state.workspaces.values().filter(is_here).max_by_key(|found| (found.placed_after, found.id))
    };
    if let Some(found) = newest(&|_, known| known.is_same(&here)) {
        let is_still_there = folder_id::identity(&root_of(found)) == folder_id::identity(folder);
        return Some(if is_still_there { Recognised::Same(found.id) } else { Recognised::Moved(found.id) });
    }
    // Another folder took the recorded path, and the history continued with that one.
    let is_before =
        |found: &Workspace, _: &FolderIdentity| found.folder_before.is_some_and(|before| before.is_same(&here));
    if let Some(found) = newest(&is_before) {
        return Some(Recognised::Moved(found.id));
    }
    let is_tree = |known: &FolderIdentity| known.git.is_some() && known.git == here.git;
    let is_left = |found: &Workspace| !identity_of(&root_of(found)).is_some_and(|there| is_tree(&there));
    newest(&|found, known| is_tree(known) && is_left(found)).map(|found| Recognised::Moved(found.id))
}

/// The folder that was recorded as this workspace, if another one is in its place. It is searched beside that, where
/// renaming usually leaves it.
pub fn replaced_by_other(workspace: &Workspace) -> Option<PathBuf> {
    let (recorded, root) = (workspace.folder?, root_of(workspace));
    if folder_id::identity(&root)?.inode == recorded.inode {
        return None;
    }
    let beside = std::fs::read_dir(root.parent()?).ok()?.take(NAMES_BESIDE_MAX).filter_map(std::result::Result::ok);
    let mut beside = beside.filter(|entry| entry.ino() == recorded.inode).map(|entry| entry.path());
    beside.find(|path| identity_of(path).is_some_and(|there| there.is_same(&recorded)))
}

/// The identity of a folder, as far as the operating system and git know it.
fn identity_of(folder: &Path) -> Option<FolderIdentity> {
    folder_id::folder_identity(&folder_id::open(folder)?, folder)
}

/// The fact that a workspace's folder has this identity.
pub(super) fn seen(workspace: WorkspaceId, folder: &Path, time: Timestamp) -> Option<Fact> {
    identity_of(folder).map(|folder| Fact::FolderSeen { workspace, folder, time })
}

/// The workspace of this id, if it is still recorded.
pub(in crate::ops) fn expect(state: &State, workspace: WorkspaceId) -> Result<&Workspace> {
    state.workspaces.get(&workspace).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "find workspace", workspace, "it is not recorded in this store")
            .with_hint("`retro workspace list` shows the recorded ones")
    })
}

/// The path of a workspace's folder.
pub fn root_of(workspace: &Workspace) -> PathBuf {
    PathBuf::from(std::ffi::OsString::from_vec(workspace.root.clone()))
}

/// Registers a folder as a workspace. Returns its id, and true if it was not registered before.
///
/// `NotFound` if there is no such folder; `Invalid` for the store's own folder, and for the wide folders that the guard
/// refuses.
pub fn register(store: &Store, folder: &Path, guard: &Guard, now: Timestamp) -> Result<(WorkspaceId, bool)> {
    let folder = &resolve_outside(store, folder, guard)?;
    let root = folder.as_os_str().as_bytes();
    if let Some(found) = store.state().workspace_at(root) {
        return Ok((found.id, false));
    }
    check(store, folder, guard)?;
    let id = WorkspaceId(Digest::of(&[&store.disk().random()[..], root].concat()).prefix());
    let mut is_new = true;
    let recorded = store.record(|state| {
        is_new = state.workspace_at(root).is_none();
        let added = Fact::WorkspaceAdded { workspace: id, root: root.to_vec(), time: now };
        let facts = std::iter::once(added).chain(seen(id, folder, now));
        Ok(if is_new { facts.collect() } else { Vec::new() })
    })?;
    let found = recorded.state.workspace_at(root).expect("it was added, or was there already");
    Ok((found.id, is_new))
}

/// Records that a workspace's folder is now at `folder`.
///
/// The same folders are refused as in [`register`]. `NotFound` if the store has no such workspace, and `Exists` if the
/// folder is recorded as another one.
pub fn move_workspace(
    store: &Store,
    workspace: WorkspaceId,
    folder: &Path,
    guard: &Guard,
    now: Timestamp,
) -> Result<()> {
    let state = store.state();
    let known = expect(&state, workspace)?;
    let folder = &resolve_outside(store, folder, guard)?;
    let root = folder.as_os_str().as_bytes().to_vec();
    if known.root != root {
        check(store, folder, guard)?;
    }
    store.record(|state| {
        expect(state, workspace)?;
        if let Some(other) = state.workspace_at(&root)
            && other.id != workspace
        {
            let detail = format!("it is recorded as workspace {} already", other.id.short());
            return Err(Error::new(ErrorKind::Exists, "move workspace to", shown(folder), detail).with_hint(format!(
                "`retro workspace move --join {} DIR` puts the steps of {} after those of {}",
                workspace.short(),
                other.id.short(),
                workspace.short(),
            )));
        }
        let moved = Fact::WorkspaceMoved { workspace, root, time: now };
        Ok(std::iter::once(moved).chain(seen(workspace, folder, now)).collect())
    })?;
    Ok(())
}

/// The losses when a workspace is forgotten, and the names that still lead to its snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forgetting {
    /// Its steps.
    pub steps: u64,
    /// Its runs.
    pub runs: u64,
    /// Its tags.
    pub tags: Vec<String>,
    /// The last snapshot. Its full id still opens it, as the others' ids open them.
    pub last: Option<SnapshotId>,
    /// Its snapshots that are pinned.
    pub pinned: Vec<SnapshotId>,
    /// Tags of other workspaces that name one of its snapshots, as revisions.
    pub tagged_elsewhere: Vec<String>,
}

/// The effects that [`forget_workspace`] would have.
pub fn forgetting(state: &State, workspace: WorkspaceId) -> Result<Forgetting> {
    let found = expect(state, workspace)?;
    let steps: BTreeSet<SnapshotId> = found.steps.values().copied().collect();
    let elsewhere = state.tags().filter(|(other, _, id)| other.id != workspace && steps.contains(id));
    Ok(Forgetting {
        steps: steps.len() as u64,
        runs: found.runs.len() as u64,
        tags: found.tags.keys().cloned().collect(),
        last: found.steps.values().next_back().copied(),
        pinned: steps.intersection(&state.pins).copied().collect(),
        tagged_elsewhere: elsewhere.map(|(other, name, _)| format!("{}/{name}", other.id.short())).collect(),
    })
}

/// Forgets a workspace: its snapshots lose their place in history, and its tags go with it. Nothing in its folder is
/// touched, and nothing in the store: [`recall_workspace`] undoes it.
pub fn forget_workspace(store: &Store, workspace: WorkspaceId, now: Timestamp) -> Result<Forgetting> {
    let mut forgotten = Forgetting::default();
    store.record(|state| {
        forgotten = forgetting(state, workspace)?;
        Ok(vec![Fact::WorkspaceForgotten { workspace, time: now }])
    })?;
    Ok(forgotten)
}

/// Records a forgotten workspace again, with its history as it was. `Exists` where its folder was recorded anew since.
pub fn recall_workspace(store: &Store, workspace: WorkspaceId, now: Timestamp) -> Result<()> {
    store.record(|state| {
        let Some(Forgotten { workspace: found, .. }) = state.forgotten.get(&workspace) else {
            let detail = "it was not forgotten";
            return Err(Error::new(ErrorKind::NotFound, "recall workspace", workspace, detail));
        };
        if let Some(other) = state.workspace_at(&found.root) {
            let (folder, other) = (escaped(&found.root), other.id.short());
            let detail = format!("{folder} was recorded again since, as workspace {other}");
            return Err(Error::new(ErrorKind::Exists, "recall workspace", workspace.short(), detail)
                .with_hint(format!("`retro workspace forget {other}` first; that can be undone too")));
        }
        Ok(vec![Fact::WorkspaceRecalled { workspace, time: now }])
    })?;
    Ok(())
}

/// The forgotten workspace a person means: by the digits of its id, or by its path, without symlinks. Of several at one
/// path it is the one that was forgotten last.
pub fn named_forgotten(state: &State, name: &str, path: &Path) -> Result<WorkspaceId> {
    let root = path.as_os_str().as_bytes();
    let at_path = state.forgotten.values().filter(|forgotten| forgotten.workspace.root == root);
    if let Some(found) = at_path.max_by_key(|forgotten| (forgotten.time, forgotten.workspace.id)) {
        return Ok(found.workspace.id);
    }
    by_id(state.forgotten.keys(), name)?.ok_or_else(|| {
        let newest = state.forgotten.values().rev().take(8).map(|Forgotten { workspace, .. }| workspace);
        let known: Vec<String> =
            newest.map(|workspace| format!("{} {}", workspace.id.short(), escaped(&workspace.root))).collect();
        let hint = match known.is_empty() {
            true => "no workspace of this store is forgotten".to_owned(),
            false => format!("forgotten are: {}", known.join(", ")),
        };
        let detail = "no forgotten folder has this path or id";
        Error::new(ErrorKind::NotFound, "find workspace", escaped(name.as_bytes()), detail).with_hint(hint)
    })
}

/// The workspace a person means: by the digits of its id, or by its path.
pub fn named_workspace(state: &State, name: &str) -> Result<WorkspaceId> {
    let absolute = std::path::absolute(name).map_err(|e| Error::io("find folder", name, e))?;
    let resolved = std::fs::canonicalize(&absolute).unwrap_or(absolute);
    if let Some(found) = state.workspace_at(resolved.as_os_str().as_bytes()) {
        return Ok(found.id);
    }
    by_id(state.workspaces.keys(), name)?.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "find workspace", name, "no recorded folder has this path or id")
            .with_hint("`retro workspace list` shows the recorded ones")
    })
}

/// The only one of these ids that begins with the given digits, at least four.
fn by_id<'a>(ids: impl Iterator<Item = &'a WorkspaceId>, digits: &str) -> Result<Option<WorkspaceId>> {
    let is_meant = |id: &&WorkspaceId| digits.len() >= 4 && id.to_string().starts_with(&digits.to_lowercase());
    let mut found = ids.filter(is_meant);
    match (found.next(), found.next()) {
        (Some(_), Some(_)) => {
            Err(Error::new(ErrorKind::Invalid, "find workspace", digits, "several ids begin like this"))
        }
        (found, _) => Ok(found.copied()),
    }
}

/// The absolute path of a folder, symlinks resolved. A path in the store is refused as such, also if nothing is there.
fn resolve_outside(store: &Store, folder: &Path, guard: &Guard) -> Result<PathBuf> {
    resolve_folder(folder).or_else(|error| check(store, folder, guard).and(Err(error)))
}

/// Refuses folders that nobody means to record, by their device and inode and not by their paths.
fn check(store: &Store, folder: &Path, guard: &Guard) -> Result<()> {
    let refuse = |what: &str, hint: &str| {
        Err(Error::new(ErrorKind::Invalid, "record", shown(folder), format!("it is {what}")).with_hint(hint))
    };
    if folder_id::leads_into(folder, &store.disk().places()?) {
        return refuse("retro's own store, or a folder in it", "name a project folder with -C");
    }
    if guard.force {
        return Ok(());
    }
    let insist = "name a project folder with -C, or insist with --force";
    let here = folder_id::identity(folder);
    let is_at = |path: &Path| here.is_some() && folder_id::identity(path) == here;
    if is_at(Path::new("/")) {
        refuse("the root of the file system", insist)
    } else if guard.home.as_deref().is_some_and(is_at) {
        refuse("your home folder", insist)
    } else if guard.home.as_deref().is_some_and(|home| home.ancestors().any(is_at)) {
        refuse("a folder that your home folder is in", insist)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::workspace_of;
    use crate::format::facts::Fact;
    use crate::id::WorkspaceId;
    use crate::store::State;
    use crate::time::Timestamp;

    #[test]
    fn wide_folders_are_workspaces_for_whoever_is_right_there() {
        let mut state = State::default();
        let roots = ["/", "/home", "/home/me", "/home/me/project", "/srv/../etc", "/srv/"];
        for (number, root) in (0..).zip(roots) {
            let root = root.as_bytes().to_vec();
            state.apply(Fact::WorkspaceAdded { workspace: WorkspaceId([number; 16]), root, time: Timestamp(0) });
        }
        let found = |folder: &str| {
            let workspace = workspace_of(&state, Path::new(folder), Some(Path::new("/home/me")));
            workspace.map(|workspace| String::from_utf8(workspace.root.clone()).unwrap())
        };
        assert_eq!(found("/home/me/project/src").as_deref(), Some("/home/me/project"));
        for folder in ["/", "/home", "/home/me", "/home/me/project"] {
            assert_eq!(found(folder).as_deref(), Some(folder), "whoever is right there means it");
        }
        for folder in ["/home/me/other", "/home/you", "/etc", "/srv", "/srv/x"] {
            assert_eq!(found(folder), None, "{folder}");
        }
    }
}
