//! Temporary folders that go away whatever was put into them.
//!
//! The usual recursive removal fails on folders without owner rights, and runs out of descriptors on folders thousands
//! deep. This one never goes deeper than one level: what is in a folder is removed or, if it is a folder, moved up.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A new folder in the system's temporary folder, removed when dropped.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::Builder::new().prefix("retro-test-").tempdir().expect("temporary folders can be made").keep())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A path in it; nothing is created.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.0)
            && !std::thread::panicking()
        {
            panic!("remove {}: {error}", self.0.display());
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
fn remove(top: &Path) -> std::io::Result<()> {
    let mut left = vec![top.to_owned()];
    let mut moved = 0;
    let mut emptied = Vec::new();
    while let Some(folder) = left.pop() {
        std::fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            if folder == top && emptied.iter().chain(&left).any(|other| *other == entry.path()) {
                continue;
            }
            if !entry.file_type()?.is_dir() {
                std::fs::remove_file(entry.path())?;
                continue;
            }
            // A folder that cannot be written in cannot be moved either: its `..` would change.
            std::fs::set_permissions(entry.path(), Permissions::from_mode(0o700))?;
            let place = top.join(format!(".moved-up-{moved}"));
            moved += 1;
            std::fs::rename(entry.path(), &place)?;
            left.push(place);
        }
        emptied.push(folder);
    }
    emptied.iter().rev().try_for_each(std::fs::remove_dir)
}
