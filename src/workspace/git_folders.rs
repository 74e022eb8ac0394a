//! Git's folders that are not named `.git`.
//!
//! A `.git` that is a file or a symlink names the folder that holds git's data, and that folder may share most of it
//! with another one. Either may lie in the workspace under any name (`git init --separate-git-dir`), and a part of a
//! git folder may be mounted there. A restore that wrote there would lose git commits. These folders are therefore
//! [`Protection::VersionControl`](super::protected::Protection), identified by device and inode.
//!
//! Anybody can write a `.git` file. It counts only if it names what git would accept as a repository, and never for a
//! folder that contains the `.git` itself: otherwise a line of text could keep a whole workspace from being recorded.
//!
//! The parents of a mounted folder do not include the git folder that it is a part of. Mounts are therefore matched by
//! the path that they show on their file system.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::beneath::Root;
use super::git_head::{git_folder, is_repository, shared_folder};
use super::version_control::NAMES;
use super::{folder_id, mounts};
use crate::disk::FolderId;

/// A folder that a `.git` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFolder {
    /// Its device and inode.
    pub id: FolderId,
    /// Its path, symlinks resolved.
    path: PathBuf,
}

impl NamedFolder {
    /// Returns true if a walk from `root` enters it: it lies there, and in no folder that is excluded by its name.
    pub fn is_walked(&self, root: &Path) -> bool {
        let Ok(root) = std::fs::canonicalize(root) else { return true };
        self.path.strip_prefix(root).is_ok_and(|below| !has_own_name(below))
    }
}

/// The git folders that the `.git` of a folder names; empty if that is a folder itself.
pub fn named_in(folder: &Path) -> Vec<NamedFolder> {
    let is_link = std::fs::symlink_metadata(folder.join(".git")).is_ok_and(|found| !found.is_dir());
    let (true, Ok(Some(own)), Some(opened)) = (is_link, git_folder(folder), folder_id::open(folder)) else {
        return Vec::new();
    };
    let Some(shared) = shared_folder(&own).filter(|shared| is_repository(&own, shared)) else { return Vec::new() };
    let known = |path: PathBuf| {
        let path = std::fs::canonicalize(path).ok()?;
        Some(NamedFolder { id: folder_id::identity(&path)?, path })
    };
    let mut named: Vec<NamedFolder> = [own, shared].into_iter().filter_map(known).collect();
    named.dedup();
    named.retain(|named| !folder_id::is_within(&opened, &[named.id]));
    named
}

/// The git folders in a workspace, as far as its root and the mounts in it show them.
pub fn known_at(root: &Root) -> Vec<FolderId> {
    let named = named_in(root.path());
    let paths: Vec<&Path> = named.iter().map(|folder| folder.path.as_path()).collect();
    // A workspace inside a version control folder would match as a whole.
    let is_shown = |shown: &Path| !has_own_name(root.path()) && has_own_name(shown);
    let mounted = mounts::showing(root, &paths, &is_shown).into_iter();
    let mounted = mounted.filter_map(|path| FolderId::of_open(root.folder(&path).ok()?).ok());
    named.iter().map(|folder| folder.id).chain(mounted).collect()
}

/// Returns true if a name in the path is that of a version control folder.
fn has_own_name(path: &Path) -> bool {
    path.components().any(|part| NAMES.contains(&part.as_os_str().as_bytes()))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a fixture is neither store nor workspace")]
mod tests;
