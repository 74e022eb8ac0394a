//! The state and the identity of the workspace's own git repository, read at every snapshot.
//!
//! Only references and the kind of ids are read: no object, no index. Opening the whole repository would cost several
//! times as much, and a snapshot must not wait for it. Nothing is written, and git is never run. A repository that
//! cannot be read is reported and otherwise treated as absent: files of another program never prevent a snapshot.
//!
//! Only the repository of the workspace's root counts, not one above or below it: its state is that of these files. For
//! a linked worktree or a submodule, whose `.git` is a file that names a folder elsewhere, that folder is read.
//!
//! A working tree that moved, even to another file system, is identified by the beginning of its `HEAD` log: git writes
//! the time, author and commit into the first line. A copy has the same line; no other clone has. The first commit of
//! the history would be that of all clones.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::git_file;
use super::git_notice::{GitNotice, GitProblem};
use crate::format::snapshot::GitState;
use crate::id::Digest;

/// Longest file that only names another folder, in bytes.
const POINTER_LENGTH_MAX_BYTES: u64 = 8 << 10;

/// The HEAD of the repository whose working tree is `root`; `None` without a repository, or if it cannot be read. The
/// notice then says why.
#[cfg(feature = "git")]
pub fn git_state(root: &Path) -> (Option<GitState>, Option<GitNotice>) {
    use super::git_notice::GitPart;
    let noted = |file: PathBuf, part, problem| (None, Some(GitNotice { file, part, problem }));
    match git_folder(root) {
        Ok(None) => (None, None),
        Err(problem) => noted(root.join(".git"), GitPart::Repository, problem),
        Ok(Some(folder)) => match lookup::head(&folder) {
            Ok(state) => (state, None),
            Err(problem) => noted(folder.join("HEAD"), GitPart::Head, problem),
        },
    }
}

/// Without the feature `git` nothing is known of repositories.
#[cfg(not(feature = "git"))]
pub fn git_state(_: &Path) -> (Option<GitState>, Option<GitNotice>) {
    (None, None)
}

/// The identity of a working tree, independent of its path: a copy has the same, every other clone another one. `None`
/// if git keeps no log of its checkouts.
pub fn git_identity(root: &Path) -> Option<[u8; 16]> {
    const LOG_LENGTH_MAX_BYTES: usize = 4 << 10;
    let log = git_folder(root).ok()??.join("logs/HEAD");
    let begin = git_file::read_begin(&log, LOG_LENGTH_MAX_BYTES)?;
    let end = begin.iter().position(|byte| *byte == b'\n')?;
    Some(Digest::of(&begin[..end]).prefix())
}

/// The folder that the `.git` of a working tree is, or names; `None` if there is no `.git` that git would use.
pub(super) fn git_folder(root: &Path) -> Result<Option<PathBuf>, GitProblem> {
    match named_folder(root)? {
        Some(folder) if !folder.is_dir() => Err(GitProblem::Dangling(folder)),
        folder => Ok(folder),
    }
}

/// As [`git_folder`], but the folder need not exist.
pub(super) fn named_folder(root: &Path) -> Result<Option<PathBuf>, GitProblem> {
    let dot_git = root.join(".git");
    match std::fs::metadata(&dot_git) {
        Ok(facts) if facts.is_dir() => return Ok(Some(dot_git)),
        Ok(facts) if facts.is_file() => {}
        _ => return Ok(None),
    }
    let Some(pointer) = git_file::read(&dot_git, POINTER_LENGTH_MAX_BYTES)? else { return Ok(None) };
    let folder = pointer.strip_prefix(b"gitdir:").and_then(|pointer| pointed_at(root, pointer));
    folder.map(Some).ok_or(GitProblem::Malformed("it names no folder"))
}

/// Returns true if git would accept a folder, and the one that it shares, as a repository.
pub(super) fn is_repository(own: &Path, shared: &Path) -> bool {
    std::fs::symlink_metadata(own.join("HEAD")).is_ok_and(|found| !found.is_dir())
        && shared.join("objects").is_dir()
        && shared.join("refs").is_dir()
}

/// The folder that a repository shares with other working trees; the repository itself unless `commondir` names
/// another.
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

/// The content of a short regular file, if there is one.
pub(super) fn read_pointer(path: &Path) -> Option<Vec<u8>> {
    git_file::read(path, POINTER_LENGTH_MAX_BYTES).ok().flatten()
}

#[cfg(feature = "git")]
mod lookup {
    use std::path::Path;

    use gix::hash::Kind;
    use gix::refs::{Category, Target};

    use super::GitProblem;
    use crate::format::snapshot::GitState;
    use crate::limits::{IGNORE_FILE_LENGTH_MAX_BYTES, LABEL_LENGTH_MAX_BYTES};
    use crate::workspace::git_file;

    /// Most symbolic references followed from HEAD to a commit. Git itself stops at five.
    const HOPS_MAX: usize = 5;

    /// Longest `HEAD`, in bytes; a name is at most as long as a path.
    const HEAD_LENGTH_MAX_BYTES: u64 = 8 << 10;

    const MALFORMED: GitProblem = GitProblem::Malformed("it leads to no commit and to no branch");

    /// The commit and branch of `HEAD`; none if the folder is no repository.
    pub(super) fn head(folder: &Path) -> Result<Option<GitState>, GitProblem> {
        let shared = super::shared_folder(folder).ok_or(GitProblem::Malformed("`commondir` names no folder"))?;
        let Some(head) = git_file::read(&folder.join("HEAD"), HEAD_LENGTH_MAX_BYTES)? else {
            // An empty folder named `.git` is no repository for git either.
            let is_one = shared.join("objects").is_dir();
            return if is_one { Err(GitProblem::Malformed("it is missing")) } else { Ok(None) };
        };
        if head.trim_ascii_end() == b"ref: refs/heads/.invalid" {
            return Err(GitProblem::Unsupported("reftable".to_owned()));
        }
        // A pipe in place of a file would make the reader wait forever.
        if !is_file_or_missing(&shared.join("packed-refs")) {
            return Err(GitProblem::NotAFile);
        }
        let store = gix::refs::file::Store::for_linked_worktree(folder.to_owned(), shared.clone(), kind(&shared));
        let mut target = store.find_loose("HEAD").map_err(|_| MALFORMED)?.target;
        let mut branch = None;
        for _ in 0..=HOPS_MAX {
            let name = match target {
                Target::Object(commit) => return Ok(Some(GitState { head: Some(commit.to_string()), branch })),
                Target::Symbolic(name) => name,
            };
            if branch.is_none() {
                branch = short_name(&name);
            }
            let path = name.to_path().map_err(|_| MALFORMED)?;
            if !is_file_or_missing(&folder.join(path)) || !is_file_or_missing(&shared.join(path)) {
                return Err(MALFORMED);
            }
            match store.try_find(name.as_ref()).map_err(|_| MALFORMED)? {
                Some(found) => target = found.target,
                None => {
                    return branch.map(|branch| Some(GitState { head: None, branch: Some(branch) })).ok_or(MALFORMED);
                }
            }
        }
        Err(GitProblem::Malformed("it leads in a circle"))
    }

    /// The kind of ids of a repository, according to its settings. Settings are parsed only if they name the extension,
    /// which few do.
    fn kind(shared: &Path) -> Kind {
        let settings =
            git_file::read(&shared.join("config"), IGNORE_FILE_LENGTH_MAX_BYTES).ok().flatten().unwrap_or_default();
        if !settings.to_ascii_lowercase().windows(12).any(|word| word == b"objectformat") {
            return Kind::Sha1;
        }
        let settings = gix::config::File::try_from(gix::bstr::BStr::new(&settings)).unwrap_or_default();
        let format = settings.string("extensions.objectFormat");
        if format.is_some_and(|format| **format == *b"sha256") { Kind::Sha256 } else { Kind::Sha1 }
    }

    /// The short name of a branch; `None` for other references, and for names that no snapshot can hold.
    fn short_name(name: &gix::refs::FullName) -> Option<String> {
        let (category, short) = name.category_and_short_name()?;
        let text = std::str::from_utf8(short).ok()?;
        (category == Category::LocalBranch && text.len() <= LABEL_LENGTH_MAX_BYTES).then(|| text.to_owned())
    }

    /// A folder counts as missing: `feature` is a folder if there is a branch `feature/x`.
    fn is_file_or_missing(path: &Path) -> bool {
        std::fs::metadata(path).map_or(true, |facts| facts.is_file() || facts.is_dir())
    }
}

#[cfg(test)]
mod tests;
