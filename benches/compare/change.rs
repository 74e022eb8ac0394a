//! Changes of a folder as data: the contents of histories, and applying them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::Result;

/// The new state of one path.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// A regular file with this content.
    File { path: PathBuf, content: Vec<u8>, is_executable: bool },
    /// A symlink to this target.
    Link { path: PathBuf, target: Vec<u8> },
    /// Removed, as are parents that become empty.
    Gone { path: PathBuf },
}

/// States of one folder, one after another.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) name: String,
    /// The first state.
    pub(crate) base: Vec<Change>,
    /// The changes of each later commit.
    pub(crate) commits: Vec<Vec<Change>>,
}

impl Change {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::File { path, .. } | Self::Link { path, .. } | Self::Gone { path } => path,
        }
    }

    /// Applies the change in the folder `root`.
    #[expect(clippy::disallowed_methods, reason = "the bench changes the workspaces that it measures")]
    pub(crate) fn apply(&self, root: &Path) -> Result<()> {
        let path = root.join(self.path());
        let failed = |error| format!("change {}: {error}", self.path().display());
        if let (Some(folder), false) = (path.parent(), matches!(self, Self::Gone { .. })) {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        match self {
            Self::File { content, is_executable, .. } => {
                // Written through a symlink, the content would go to its target.
                if path.is_symlink() {
                    fs::remove_file(&path).map_err(failed)?;
                }
                fs::write(&path, content).map_err(failed)?;
                let mode = if *is_executable { 0o755 } else { 0o644 };
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(failed)?;
            }
            Self::Link { target, .. } => {
                if path.is_symlink() || path.exists() {
                    fs::remove_file(&path).map_err(failed)?;
                }
                symlink(OsStr::from_bytes(target), &path).map_err(failed)?;
            }
            Self::Gone { .. } => {
                fs::remove_file(&path).map_err(failed)?;
                let above = path.ancestors().skip(1).take_while(|folder| *folder != root);
                above.map_while(|folder| fs::remove_dir(folder).ok()).for_each(drop);
            }
        }
        Ok(())
    }
}

impl History {
    /// The same history with one step for each changed path, at most `count_max`.
    ///
    /// Deletions come first in each commit, so that a folder can replace a file.
    pub(crate) fn path_steps(&self, count_max: usize) -> Vec<Vec<Change>> {
        self.commits.iter().flatten().take(count_max).map(|change| vec![change.clone()]).collect()
    }
}
