//! Excludes the files that git ignores, if `[capture] gitignore = true` is set.
//!
//! ```text
//! core.excludesFile <- .git/info/exclude <- .gitignore of the root <- .. of a folder in it <- ..   one repository
//!        asked last                                                        asked first
//! ```
//!
//! The lists that apply in a folder are a chain, passed from task to task, so that no state is shared. Within a list
//! the last matching pattern decides, between lists the deepest. An ignored folder is not entered, and nothing in it
//! can be included again, unless the repository's index has something below it: then it is entered for the tracked
//! files only. A nested repository begins a new chain with its own index: git treats it as opaque, the recorder
//! captures it.
//!
//! Three things differ from git, because a recorder must not depend on who runs it, and must not lose anything. The
//! settings of the user and of the system are not read: `core.excludesFile` and `core.ignoreCase` are taken only from
//! the repository's own configuration, without included files, and only as an absolute path. The root of a workspace is
//! captured even if a repository above it ignores it; that repository's lists apply to its contents. If a file cannot
//! be read, the answer is to capture: a list is then empty, and an index tracks everything. Each such file is reported
//! ([`GitNotices`]).
//!
//! Invariants: nothing is written, and git is never run. A path is checked only after its folder.

mod pattern;
mod repository;

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::OFlags;

use super::beneath::Root;
use super::git_file;
use super::git_notice::{GitNotices, GitPart, GitProblem};
use crate::limits::IGNORE_FILE_LENGTH_MAX_BYTES;
use crate::path::TreePath;
use pattern::Pattern;
use repository::Repository;

/// Name of the ignore files.
pub const IGNORE_NAME: &[u8] = b".gitignore";

/// Name of the entry that makes a folder the root of a repository. Git never ignores it.
pub const GIT_NAME: &[u8] = b".git";

/// The ignore lists that apply in one folder.
#[derive(Clone, Debug)]
pub struct Lists {
    repository: Arc<Repository>,
    nearest: Option<Arc<Level>>,
    /// True if the folder itself is ignored, and entered only for tracked files.
    is_ignored: bool,
    /// True if none of the lists applies, only the index.
    only_tracks: bool,
}

/// The decision about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is captured.
    Captured,
    /// It is excluded, with everything in it.
    Ignored,
    /// It is an ignored folder with tracked files below it.
    Entered,
}

/// The entries of a folder that change which lists or rules apply in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marks {
    /// It has an entry named `.git`.
    pub has_git: bool,
    /// That entry is a file, as in a linked working tree or a submodule.
    pub has_git_file: bool,
    /// That entry is a file or a symlink, which git follows.
    pub has_git_link: bool,
    /// A file that marks a Python environment.
    pub has_environment_mark: bool,
    /// A file that may mark a cache.
    pub has_cache_mark: bool,
    /// It has a regular file named `.gitignore`.
    pub has_list: bool,
}

/// One list.
#[derive(Debug)]
struct Level {
    /// The patterns, in the order of the file.
    patterns: Vec<Pattern>,
    /// Length of the path from the repository's root to the folder of the list, with the slash, in bytes.
    base_length: usize,
    above: Option<Arc<Level>>,
}

impl Lists {
    /// The lists that apply around the root of a workspace: those of a repository that contains it, if any.
    pub fn around(root: &Path, notices: &GitNotices) -> Arc<Self> {
        let Some((repository, folders)) = repository::around(root, notices) else {
            return Arc::new(Self::of(Repository::none(notices), None));
        };
        let mut nearest = repository.own_lists();
        for folder in folders {
            let handle = rustix::fs::open(&folder, FOLDER_FLAGS, rustix::fs::Mode::empty());
            if let Some(list) = handle.ok().and_then(|handle| read_list(&handle, &folder, notices)) {
                nearest = Some(Level::new(&list, repository.length_within(&folder), nearest));
            }
        }
        Arc::new(Self::of(repository, nearest))
    }

    /// The tracked paths of the repository whose root is the folder at `path`; `None` if it is not a repository's root.
    pub fn tracked_at(root: &Root, path: &TreePath, notices: &GitNotices) -> Option<Arc<Self>> {
        let repository = Repository::open(&root.display(path), path, notices)?;
        Some(Self::tracking(repository))
    }

    /// The tracked paths of the repository around a workspace root; empty if there is none.
    pub fn tracked_around(root: &Path, notices: &GitNotices) -> Arc<Self> {
        let around = repository::around(root, notices);
        let repository = around.map_or_else(|| Repository::none(notices), |(repository, _)| repository);
        Self::tracking(repository)
    }

    /// Returns true if the folder is entered only for tracked files.
    pub fn is_entered(&self) -> bool {
        self.is_ignored
    }

    /// Returns true if none of the lists applies, only the index.
    pub fn only_tracks(&self) -> bool {
        self.only_tracks
    }

    /// Returns true if `folder` is a linked working tree of the same repository.
    pub fn is_other_tree(&self, folder: &Path) -> bool {
        self.repository.has_tree(folder)
    }

    /// Returns true if the repository tracks a path, as far as its index can be read.
    pub fn tracks(&self, path: &[u8], is_folder: bool) -> bool {
        self.repository.tracks(&self.repository.path_of(path), is_folder, false)
    }

    /// The lists that apply in a folder, if `self` applies around it.
    pub fn enter(self: &Arc<Self>, root: &Root, path: &TreePath, handle: &OwnedFd, marks: Marks) -> Arc<Self> {
        let mut found = Arc::clone(self);
        if self.only_tracks {
            // The repository around it does not track the contents of a nested one.
            let is_ignored = self.is_ignored && !marks.has_git;
            return if is_ignored == self.is_ignored { found } else { self.within(is_ignored) };
        }
        if marks.has_git
            && let Some(repository) = Repository::open(&root.display(path), path, self.repository.notices())
        {
            let own = repository.own_lists();
            found = Arc::new(Self::of(repository, own));
        }
        // Git does not read lists in an ignored folder: nothing in it can be included again.
        if marks.has_list
            && !found.is_ignored
            && let Some(bytes) = read_list(handle, &root.display(path), self.repository.notices())
        {
            found = found.with(path, &bytes);
        }
        found
    }

    /// As [`Self::enter`], for a folder that is not being listed, with its own ignore file if `has_list`. If it cannot
    /// be opened, nothing changes.
    pub fn enter_at(self: &Arc<Self>, root: &Root, path: &TreePath, has_list: bool) -> Arc<Self> {
        let marks = Marks { has_git: true, has_list, ..Marks::default() };
        root.folder(path).map_or_else(|_| Arc::clone(self), |handle| self.enter(root, path, &handle, marks))
    }

    /// These lists and one more, of the folder at `path`.
    pub fn with(&self, path: &TreePath, list: &[u8]) -> Arc<Self> {
        let within = self.repository.path_of(path.as_bytes());
        let base_length = if within.is_empty() { 0 } else { within.len() + usize::from(!within.ends_with(b"/")) };
        let nearest = Some(Level::new(list, base_length, self.nearest.clone()));
        Arc::new(Self { nearest, ..self.clone() })
    }

    /// The same lists with another value of `is_ignored`: for an ignored folder that is entered, or one that is
    /// captured although ignored.
    pub fn within(self: &Arc<Self>, is_ignored: bool) -> Arc<Self> {
        if self.is_ignored == is_ignored { Arc::clone(self) } else { Arc::new(Self { is_ignored, ..(**self).clone() }) }
    }

    /// The decision about a name in the folder; `path` is its path from the workspace root.
    pub fn verdict(&self, path: &[u8], is_folder: bool) -> Verdict {
        let path = self.repository.path_of(path);
        if !self.is_ignored && !self.matches(&path, is_folder) {
            return Verdict::Captured;
        }
        match self.repository.tracks(&path, is_folder, !self.only_tracks) {
            false => Verdict::Ignored,
            true if is_folder => Verdict::Entered,
            true => Verdict::Captured,
        }
    }

    /// Returns true if the lists match it, tracked or not.
    pub fn names(&self, path: &[u8], is_folder: bool) -> bool {
        self.is_ignored || self.matches(&self.repository.path_of(path), is_folder)
    }

    fn tracking(repository: Arc<Repository>) -> Arc<Self> {
        Arc::new(Self { is_ignored: true, only_tracks: true, ..Self::of(repository, None) })
    }

    fn of(repository: Arc<Repository>, nearest: Option<Arc<Level>>) -> Self {
        Self { repository, nearest, is_ignored: false, only_tracks: false }
    }

    fn matches(&self, path: &[u8], is_folder: bool) -> bool {
        let name = path.iter().rposition(|&byte| byte == b'/').map_or(path, |slash| &path[slash + 1..]);
        let levels = std::iter::successors(self.nearest.as_deref(), |level| level.above.as_deref());
        let mut verdicts = levels.filter_map(|level| {
            let path = &path[level.base_length..];
            level.patterns.iter().rev().find(|pattern| pattern.matches(path, name, is_folder, self.repository.case()))
        });
        verdicts.next().is_some_and(|pattern| !pattern.is_negative())
    }
}

impl Level {
    fn new(list: &[u8], base_length: usize, above: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self { patterns: pattern::parse(list), base_length, above })
    }
}

const FOLDER_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Reads the list of a folder, whose path is `path`. Like git since 2.32, it does not follow a symlink.
fn read_list(folder: &impl AsFd, path: &Path, notices: &GitNotices) -> Option<Vec<u8>> {
    let name = Path::new(".gitignore");
    let read = git_file::read_at(folder, name, OFlags::NOFOLLOW, IGNORE_FILE_LENGTH_MAX_BYTES);
    read.unwrap_or_else(|problem| {
        // For git too, a folder or a pipe of that name is no list.
        if problem != GitProblem::NotAFile {
            notices.add(path.join(name), GitPart::List, problem);
        }
        None
    })
}

#[cfg(test)]
mod tests;
