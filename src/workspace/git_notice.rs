//! Files of git's that could not be followed, so that a person hears of it.
//!
//! Nothing of git's is a reason not to record a step. But where an index, a list or a reference cannot be read, the step
//! holds more than it should, or less, or does not say where git stood; and silence would look as if all were well.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// A file of git's that could not be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitNotice {
    /// The file, or the folder that has none.
    pub file: PathBuf,
    /// The purpose of the file.
    pub part: GitPart,
    /// Why it could not be followed.
    pub problem: GitProblem,
}

/// The purpose of a file of git.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GitPart {
    /// The way from a working tree to its repository.
    Repository,
    /// The repository's own configuration.
    Settings,
    /// The paths that git tracks.
    Index,
    /// Patterns of what git ignores.
    List,
    /// The commit and the branch that are checked out.
    Head,
}

/// Why a file of git's could not be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GitProblem {
    /// The system refused to read it.
    Unreadable(std::io::ErrorKind),
    /// It is a folder, a pipe or the like.
    NotAFile,
    /// It is longer than this.
    TooLong {
        /// The most that is read, in bytes.
        length_max_bytes: u64,
    },
    /// It is not what git writes; this is the first that is wrong.
    Malformed(&'static str),
    /// It is in a form that is not known here.
    Unsupported(String),
    /// It names a file or folder that is not there.
    Dangling(PathBuf),
    /// It names a file by a path that is not absolute.
    Relative(PathBuf),
    /// The working tree of the repository is another folder (`core.worktree`).
    OtherTree(PathBuf),
}

/// The notices of one look at a folder, from all its threads.
#[derive(Clone, Debug, Default)]
pub struct GitNotices(Arc<Mutex<Vec<GitNotice>>>);

impl GitPart {
    /// Its name, in one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Repository => "repository",
            Self::Settings => "settings",
            Self::Index => "index",
            Self::List => "list",
            Self::Head => "head",
        }
    }
}

impl GitProblem {
    /// The problem that an error of the system is.
    pub fn io(error: impl Into<std::io::Error>) -> Self {
        Self::Unreadable(error.into().kind())
    }
}

impl GitNotices {
    /// Adds one.
    pub fn add(&self, file: impl Into<PathBuf>, part: GitPart, problem: GitProblem) {
        let notice = GitNotice { file: file.into(), part, problem };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(notice);
    }

    /// Takes all out, each once, by file.
    pub fn take(&self) -> Vec<GitNotice> {
        let mut notices = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        notices.sort_by(|one, other| (&one.file, one.part).cmp(&(&other.file, other.part)));
        notices.dedup();
        notices
    }
}
