//! Where the workspace's own git repository stands, looked up at every snapshot.
//!
//! Only references are read: no configuration, no object, no index. Opening the whole repository would cost several
//! times what the answer costs, and a snapshot must not wait for it. Nothing is written, git is never run, and a
//! repository that cannot be read is the same as none: a snapshot is never refused because of somebody else's files.
//!
//! Only the repository of the workspace's root counts, not one further up or further down: its state is that of these
//! files. A linked worktree and a submodule, whose `.git` is a file that names a folder elsewhere, are followed there.

use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::format::snapshot::GitState;

/// Longest file that only names another folder, in bytes.
const POINTER_LENGTH_MAX_BYTES: u64 = 8 << 10;

/// HEAD of the repository whose working tree `root` is; `None` where there is none, or none that can be read.
#[cfg(feature = "git")]
pub fn git_state(root: &Path) -> Option<GitState> {
    let folder = git_folder(root)?;
    lookup::head(&folder)
}

/// This build knows nothing of git.
#[cfg(not(feature = "git"))]
pub fn git_state(_: &Path) -> Option<GitState> {
    None
}

/// The folder that a working tree's `.git` is, or names.
pub(super) fn git_folder(root: &Path) -> Option<PathBuf> {
    let dot_git = root.join(".git");
    let facts = std::fs::metadata(&dot_git).ok()?;
    if facts.is_dir() {
        return Some(dot_git);
    }
    let pointer = read_pointer(&dot_git)?;
    pointed_at(root, pointer.strip_prefix(b"gitdir:")?)
}

/// The folder that a repository shares with other working trees: the same, unless it says otherwise.
pub(super) fn shared_folder(git_folder: &Path) -> Option<PathBuf> {
    match read_pointer(&git_folder.join("commondir")) {
        Some(pointer) => pointed_at(git_folder, &pointer),
        None => Some(git_folder.to_owned()),
    }
}

fn pointed_at(base: &Path, pointer: &[u8]) -> Option<PathBuf> {
    let path = std::ffi::OsStr::from_bytes(pointer.trim_ascii());
    (!path.is_empty()).then(|| base.join(path))
}

/// A short regular file's bytes. Never waits: a pipe is opened without blocking and turned down.
pub(super) fn read_pointer(path: &Path) -> Option<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = std::fs::File::from(rustix::fs::open(path, flags, Mode::empty()).ok()?);
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(POINTER_LENGTH_MAX_BYTES).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(feature = "git")]
mod lookup {
    use std::path::Path;

    use gix::hash::Kind;
    use gix::refs::{Category, Target};

    use crate::format::snapshot::GitState;
    use crate::limits::LABEL_LENGTH_MAX_BYTES;

    /// Symbolic references followed from HEAD to a commit. Git itself stops at five.
    const HOPS_MAX: usize = 5;

    pub(super) fn head(folder: &Path) -> Option<GitState> {
        let shared = super::shared_folder(folder)?;
        // A pipe in the place of a file would make the reader wait forever.
        if !is_file(&folder.join("HEAD")) || !is_file_or_missing(&shared.join("packed-refs")) {
            return None;
        }
        let store = gix::refs::file::Store::for_linked_worktree(folder.to_owned(), shared.clone(), Kind::Sha1);
        let mut target = store.find_loose("HEAD").ok()?.target;
        let mut branch = None;
        for _ in 0..=HOPS_MAX {
            let name = match target {
                Target::Object(commit) => return Some(GitState { head: Some(commit.to_string()), branch }),
                Target::Symbolic(name) => name,
            };
            if branch.is_none() {
                branch = short_name(&name);
            }
            let path = name.to_path().ok()?;
            if !is_file_or_missing(&folder.join(path)) || !is_file_or_missing(&shared.join(path)) {
                return None;
            }
            match store.try_find(name.as_ref()).ok()? {
                Some(found) => target = found.target,
                None => return branch.map(|branch| GitState { head: None, branch: Some(branch) }),
            }
        }
        None
    }

    /// The name of a branch as people say it; `None` for other references, and for names no snapshot can hold.
    fn short_name(name: &gix::refs::FullName) -> Option<String> {
        let (category, short) = name.category_and_short_name()?;
        // Repositories that keep references in another format have this in HEAD, for programs that do not know it.
        let is_stub = short == ".invalid";
        let text = std::str::from_utf8(short).ok()?;
        (category == Category::LocalBranch && !is_stub && text.len() <= LABEL_LENGTH_MAX_BYTES).then(|| text.to_owned())
    }

    fn is_file(path: &Path) -> bool {
        std::fs::metadata(path).is_ok_and(|facts| facts.is_file())
    }

    /// A folder is as good as missing: `feature` is one where `feature/x` is a branch.
    fn is_file_or_missing(path: &Path) -> bool {
        std::fs::metadata(path).map_or(true, |facts| facts.is_file() || facts.is_dir())
    }
}

#[cfg(test)]
mod tests;
