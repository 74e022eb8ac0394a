//! The index of a repository for a build that knows nothing of git: it cannot be read.

use std::path::Path;

use gix_glob::pattern::Case;

/// There is none.
#[derive(Debug)]
pub(super) enum GitIndex {}

impl GitIndex {
    /// Cannot read it.
    pub(super) fn read(_: &Path, _: Case, _: bool) -> Option<Self> {
        None
    }

    /// There is nothing to ask.
    pub(super) fn has(&self, _: &[u8], _: bool) -> bool {
        match *self {}
    }
}
