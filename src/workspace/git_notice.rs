//! Notices about git's files that could not be used.
//!
//! No file of git's prevents recording a step. But if an index, a list or a reference cannot be read, the step holds
//! more or less than it should, or lacks git's position. A notice tells the user.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// A file of git, such as its index, that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitNotice {
    /// The file, or the folder that lacks it.
    pub file: PathBuf,
    /// The purpose of the file.
    pub part: GitPart,
    /// The reason why it could not be used.
    pub problem: GitProblem,
}

/// The purpose of a file of git.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GitPart {
    /// The link from a working tree to its repository.
    Repository,
    /// The repository's own configuration.
    Settings,
    /// The paths that git tracks.
    Index,
    /// Patterns that git ignores.
    List,
    /// The commit and the branch that are checked out.
    Head,
}

/// The reason why a file of git's could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GitProblem {
    /// The operating system refused to read it.
    Unreadable(std::io::ErrorKind),
    /// It is no regular file.
    NotAFile,
    /// It is too long.
    TooLong {
        /// Most bytes that are read.
        length_max_bytes: u64,
    },
    /// Git would not have written it; the text names the first fault.
    Malformed(&'static str),
    /// It has an unknown form.
    Unsupported(String),
    /// It names a missing file or folder.
    Dangling(PathBuf),
    /// It names a file by a relative path where an absolute one is needed.
    Relative(PathBuf),
    /// The repository's working tree is another folder (`core.worktree`).
    OtherTree(PathBuf),
}

/// The notices from all threads of one scan.
#[derive(Clone, Debug, Default)]
pub struct GitNotices(Arc<Mutex<Vec<GitNotice>>>);

impl GitProblem {
    /// Converts an error of the operating system.
    pub fn io(error: impl Into<std::io::Error>) -> Self {
        Self::Unreadable(error.into().kind())
    }
}

impl GitNotices {
    /// Adds a notice.
    pub fn add(&self, file: impl Into<PathBuf>, part: GitPart, problem: GitProblem) {
        let notice = GitNotice { file: file.into(), part, problem };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(notice);
    }

    /// Removes and returns all notices, each once, ordered by file.
    pub fn take(&self) -> Vec<GitNotice> {
        let mut notices = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        notices.sort_by(|one, other| (&one.file, one.part).cmp(&(&other.file, other.part)));
        notices.dedup();
        notices
    }
}
