//! Folders of git's that are not called `.git`.
//!
//! A `.git` that is a file or a symlink names the folder which git keeps everything in, and that folder may say that it
//! shares most of it with another one. Either may lie in the workspace under any name (`git init --separate-git-dir`), and
//! a part of a git folder may be mounted there. A restore that wrote there would take commits away. So these folders are
//! [`Place::VersionControl`](super::places::Place), known by device and inode.
//!
//! A `.git` file is anybody's to write. It counts only where it names what git would take for a repository, and never for
//! a folder that the `.git` itself lies in: else a line of text could keep a whole workspace from being recorded.
//!
//! Going up from a mounted folder leads past the git folder that it is a part of. So mounts are asked which path of their
//! file system they show.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::beneath::Root;
use super::git_head::{git_folder, shared_folder};
use super::version_control::NAMES;
use super::{mounts, places};
use crate::disk::FolderId;

/// A folder that a `.git` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFolder {
    /// Which it is.
    pub id: FolderId,
    /// Where it is, symlinks resolved.
    path: PathBuf,
}

impl NamedFolder {
    /// Whether a walk from `root` comes to it: it lies there, and not in a folder that is left out by its name.
    pub fn is_walked(&self, root: &Path) -> bool {
        let Ok(root) = std::fs::canonicalize(root) else { return true };
        self.path.strip_prefix(root).is_ok_and(|below| !has_own_name(below))
    }
}

/// The folders of git's that the `.git` of a folder names; none where that is a folder itself.
pub fn named_in(folder: &Path) -> Vec<NamedFolder> {
    let is_link = std::fs::symlink_metadata(folder.join(".git")).is_ok_and(|found| !found.is_dir());
    let (true, Ok(Some(own)), Some(opened)) = (is_link, git_folder(folder), places::open(folder)) else {
        return Vec::new();
    };
    let Some(shared) = shared_folder(&own).filter(|shared| is_repository(&own, shared)) else { return Vec::new() };
    let known = |path: PathBuf| {
        let path = std::fs::canonicalize(path).ok()?;
        Some(NamedFolder { id: places::identity(&path)?, path })
    };
    let mut named: Vec<NamedFolder> = [own, shared].into_iter().filter_map(known).collect();
    named.dedup();
    named.retain(|named| !places::is_within(&opened, &[named.id]));
    named
}

/// Folders in a workspace that are git's, as far as its root and what is mounted in it tell.
pub fn known_at(root: &Root) -> Vec<FolderId> {
    let named = named_in(root.path());
    let paths: Vec<&Path> = named.iter().map(|folder| folder.path.as_path()).collect();
    // A workspace that somebody keeps in such a folder is all of that kind.
    let is_shown = |shown: &Path| !has_own_name(root.path()) && has_own_name(shown);
    let mounted = mounts::showing(root, &paths, &is_shown).into_iter();
    let mounted = mounted.filter_map(|path| FolderId::of_open(root.folder(&path).ok()?).ok());
    named.iter().map(|folder| folder.id).chain(mounted).collect()
}

/// Whether git would take this for a repository.
fn is_repository(own: &Path, shared: &Path) -> bool {
    std::fs::symlink_metadata(own.join("HEAD")).is_ok()
        && shared.join("objects").is_dir()
        && shared.join("refs").is_dir()
}

/// Whether a folder of version control is part of a path, by its name.
fn has_own_name(path: &Path) -> bool {
    path.components().any(|part| NAMES.contains(&part.as_os_str().as_bytes()))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a fixture is neither store nor workspace")]
mod tests {
    use std::path::Path;

    use super::named_in;

    #[test]
    fn only_repositories_count_and_none_around_the_folder() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |path: &str| scratch.path().join(path);
        let write = |path: &str, text: &str| std::fs::write(at(path), text).unwrap();
        let make = |path: &str| {
            ["objects", "refs"].iter().for_each(|part| std::fs::create_dir_all(at(path).join(part)).unwrap());
            write(&format!("{path}/HEAD"), "ref: refs/heads/main\n");
        };
        make("work/meta");
        std::fs::create_dir_all(at("work/meta/worktrees/x")).unwrap();
        write("work/meta/worktrees/x/HEAD", "ref: refs/heads/x\n");
        write("work/meta/worktrees/x/commondir", "../..\n");
        std::fs::create_dir_all(at("work/src")).unwrap();
        let named = |folder: &str, text: &str| -> Vec<String> {
            write(&format!("{folder}/.git"), text);
            let top = std::fs::canonicalize(scratch.path()).unwrap();
            let below = |path: &Path| path.strip_prefix(&top).unwrap().to_string_lossy().into_owned();
            named_in(&at(folder)).iter().map(|folder| below(&folder.path)).collect()
        };
        assert_eq!(named("work", "gitdir: meta\n"), ["work/meta"]);
        assert_eq!(named("work/src", "gitdir: ../meta/worktrees/x"), ["work/meta/worktrees/x", "work/meta"]);
        for other in ["", "gitdir: none", "gitdir: ../src", "gitdir: .", "meta"] {
            assert!(named("work/src", other).is_empty(), "{other:?}");
        }
        // A repository that the folder is in.
        make("work");
        assert!(named("work/src", "gitdir: ..").is_empty() && named("work", "gitdir: .").is_empty());
        std::fs::remove_file(at("work/src/.git")).unwrap();
        std::os::unix::fs::symlink("../meta", at("work/src/.git")).unwrap();
        assert_eq!(named_in(&at("work/src")).len(), 1, "a symlink");
    }
}
