//! What `.gitignore` files leave out, where `[capture] gitignore = true` asks for it: what git itself would ignore.
//!
//! ```text
//! core.excludesFile <- .git/info/exclude <- .gitignore of the root <- .. of a folder in it <- ..   one repository
//!        asked last                                                        asked first
//! ```
//!
//! The lists in force in a folder are a chain that a walk hands from task to task, so that no state is
//! shared. Within a level the last pattern that matches decides, between levels the deepest; a folder that is ignored is
//! not entered, so that nothing in it can be brought back, unless the repository's index has something below it. Then
//! it is entered for what is tracked, and for nothing else. A nested repository begins a chain of its own, with its own
//! index: git takes it for opaque, we capture it.
//!
//! Three things are not as in git, because a recorder must not depend on who runs it, and because it exists to lose
//! nothing. The user's own settings and those of the system are not read: `core.excludesFile` and `core.ignoreCase` count
//! in the repository's own configuration only, without the files that it includes, and only as an absolute path. The
//! root of a workspace is captured even where a repository further up ignores it; its lists count for what is in it. And
//! wherever something cannot be read the answer is to capture: a list is then empty, an index that cannot be read
//! tracks everything. Each such file is noted ([`GitNotices`]).
//!
//! Invariants: nothing is written, git is never run. A path is asked about only after the folder that it is in.

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

/// Name of the files.
pub const IGNORE_NAME: &[u8] = b".gitignore";

/// Name of what makes a folder the root of a repository. Git never asks whether it is ignored.
pub const GIT_NAME: &[u8] = b".git";

/// The lists in force in one folder.
#[derive(Clone, Debug)]
pub struct Lists {
    repository: Arc<Repository>,
    nearest: Option<Arc<Level>>,
    /// The folder is ignored itself, and entered only for what the repository tracks in it.
    is_ignored: bool,
    /// Only what the repository tracks counts, and none of its lists.
    only_tracks: bool,
}

/// What becomes of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is captured.
    Captured,
    /// It is left out, with all that is in it.
    Ignored,
    /// An ignored folder with something tracked below it.
    Entered,
}

/// What a folder has that changes the lists in force in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marks {
    /// Something called `.git`.
    pub has_git: bool,
    /// And that is a file, as in a linked working tree and in a submodule.
    pub has_git_file: bool,
    /// And that is no folder: a file, or a symlink, which git follows.
    pub has_git_link: bool,
    /// A file that marks a Python environment.
    pub has_environment_mark: bool,
    /// A file that may mark a cache.
    pub has_cache_mark: bool,
    /// A file called `.gitignore`; a symlink is none.
    pub has_list: bool,
}

impl Marks {
    /// For a folder that is not known to lack any: it is looked for both.
    const ALL: Self = Self {
        has_git: true,
        has_list: true,
        has_git_file: false,
        has_git_link: false,
        has_environment_mark: false,
        has_cache_mark: false,
    };
}

/// One list.
#[derive(Debug)]
struct Level {
    /// In the order of the file.
    patterns: Vec<Pattern>,
    /// Bytes of a path in the repository that lead to the folder of the list, with the slash.
    base_length: usize,
    above: Option<Arc<Level>>,
}

impl Lists {
    /// The lists in force around the root of a workspace: those of the repository further up that it is in, if any.
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

    /// The tracked paths of the repository whose root is the folder at `path`; `None` if it is the root of none.
    pub fn tracked_at(root: &Root, path: &TreePath, notices: &GitNotices) -> Option<Arc<Self>> {
        let repository = Repository::open(&root.display(path), path, notices)?;
        Some(Arc::new(Self { is_ignored: true, only_tracks: true, ..Self::of(repository, None) }))
    }

    /// The tracked paths of the repository around a workspace root; empty if there is none.
    pub fn tracked_around(root: &Path, notices: &GitNotices) -> Arc<Self> {
        let around = repository::around(root, notices);
        let repository = around.map_or_else(|| Repository::none(notices), |(repository, _)| repository);
        Arc::new(Self { is_ignored: true, only_tracks: true, ..Self::of(repository, None) })
    }

    /// Returns whether the folder is entered only for what the repository tracks in it.
    pub fn is_entered(&self) -> bool {
        self.is_ignored
    }

    /// Returns whether none of the repository's lists counts, only what it tracks.
    pub fn only_tracks(&self) -> bool {
        self.only_tracks
    }

    /// Returns whether `folder` is a linked working tree of the repository that `self` is of.
    pub fn is_other_tree(&self, folder: &Path) -> bool {
        self.repository.has_tree(folder)
    }

    /// Returns whether the repository tracks a path, as far as its index can be read.
    pub fn tracks(&self, path: &[u8], is_folder: bool) -> bool {
        self.repository.tracks(&self.repository.path_of(path), is_folder, false)
    }

    /// The lists in force in a folder, where `self` is those around it.
    pub fn enter(self: &Arc<Self>, root: &Root, path: &TreePath, handle: &OwnedFd, marks: Marks) -> Arc<Self> {
        let mut found = Arc::clone(self);
        if self.only_tracks {
            // What is in a repository of its own is no matter of the one around it.
            let is_ignored = self.is_ignored && !marks.has_git;
            return if is_ignored == self.is_ignored { found } else { self.within(is_ignored) };
        }
        if marks.has_git
            && let Some(repository) = Repository::open(&root.display(path), path, self.repository.notices())
        {
            let own = repository.own_lists();
            found = Arc::new(Self::of(repository, own));
        }
        // Git does not read lists in an ignored folder: nothing in it can be brought back.
        if marks.has_list
            && !found.is_ignored
            && let Some(bytes) = read_list(handle, &root.display(path), self.repository.notices())
        {
            found = found.with(path, &bytes);
        }
        found
    }

    /// The same, for one folder that is not being listed. A folder that cannot be opened changes nothing.
    pub fn enter_at(self: &Arc<Self>, root: &Root, path: &TreePath) -> Arc<Self> {
        root.folder(path).map_or_else(|_| Arc::clone(self), |handle| self.enter(root, path, &handle, Marks::ALL))
    }

    /// The lists in force in a folder but for its own ignore file.
    pub fn enter_git_at(self: &Arc<Self>, root: &Root, path: &TreePath) -> Arc<Self> {
        let marks = Marks { has_list: false, ..Marks::ALL };
        root.folder(path).map_or_else(|_| Arc::clone(self), |handle| self.enter(root, path, &handle, marks))
    }

    /// These lists and one more, which the folder at `path` has.
    pub fn with(&self, path: &TreePath, list: &[u8]) -> Arc<Self> {
        let within = self.repository.path_of(path.as_bytes());
        let base_length = if within.is_empty() { 0 } else { within.len() + usize::from(!within.ends_with(b"/")) };
        let nearest = Some(Level::new(list, base_length, self.nearest.clone()));
        Arc::new(Self { nearest, ..self.clone() })
    }

    /// These lists in an ignored folder that is entered all the same, or in one that is captured though they ignore it.
    pub fn within(self: &Arc<Self>, is_ignored: bool) -> Arc<Self> {
        if self.is_ignored == is_ignored { Arc::clone(self) } else { Arc::new(Self { is_ignored, ..(**self).clone() }) }
    }

    /// What becomes of a name in the folder; `path` leads to it from the workspace root.
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

    /// Whether the lists name it, tracked or not.
    pub fn names(&self, path: &[u8], is_folder: bool) -> bool {
        self.is_ignored || self.matches(&self.repository.path_of(path), is_folder)
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

/// The list of a folder, which is at `path`. Git does not follow a symlink in its place since 2.32, and neither does anything
/// here.
fn read_list(folder: &impl AsFd, path: &Path, notices: &GitNotices) -> Option<Vec<u8>> {
    let name = Path::new(".gitignore");
    let read = git_file::read_at(folder, name, OFlags::NOFOLLOW, IGNORE_FILE_LENGTH_MAX_BYTES);
    read.unwrap_or_else(|problem| {
        // For git, too, a folder or a pipe of that name is no list.
        if problem != GitProblem::NotAFile {
            notices.add(path.join(name), GitPart::List, problem);
        }
        None
    })
}

#[cfg(test)]
mod tests;
