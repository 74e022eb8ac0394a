//! Protected folders: never captured and never written into, by whatever path they are reached.
//!
//! They are identified as in [`super::folder_id`]. Scan excludes such a folder, and materialize refuses to enter, fill,
//! change or remove it.

use std::os::fd::OwnedFd;
use std::path::Path;

use super::folder_id::{is_within, open};
use crate::disk::FolderId;

/// The reason why a folder is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protection {
    /// The store, or a folder in it.
    Store,
    /// The workspace itself, mounted again inside itself.
    Itself,
    /// The root of the file system.
    System,
    /// The user's home folder.
    Home,
    /// Another recorded folder.
    Workspace,
    /// A version control folder, under any name.
    VersionControl,
    /// Another working tree of the repository around it.
    WorkingTree,
    /// A mount that the step did not have.
    Mount,
    /// A folder on another file system than the workspace, if these are excluded.
    OtherFileSystem,
}

/// The protected folders of one workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProtectedFolders(Vec<(FolderId, Protection)>);

impl Protection {
    /// A description for messages: `it is retro's own store`.
    pub fn text(self) -> &'static str {
        match self {
            Self::Store => "retro's own store",
            Self::Itself => "the recorded folder itself, mounted inside itself",
            Self::System => "the root of the file system",
            Self::Home => "the home folder",
            Self::Workspace => "another recorded folder",
            Self::VersionControl => "a folder of version control",
            Self::WorkingTree => "another working tree of the repository",
            Self::Mount => "a mount that the step did not have",
            Self::OtherFileSystem => "on another file system",
        }
    }
}

impl ProtectedFolders {
    /// The protected folders of the workspace with root folder `root`: the folders of the store, the root itself if it
    /// is mounted inside itself, the root of the file system, and the home folder unless it lies in the workspace.
    pub fn around(root: &OwnedFd, store: &[FolderId], home: Option<&Path>) -> rustix::io::Result<Self> {
        let own = FolderId::of_open(root)?;
        let mut protected = Self(store.iter().map(|folder| (*folder, Protection::Store)).collect());
        protected.0.push((own, Protection::Itself));
        protected
            .0
            .extend(open(Path::new("/")).and_then(|top| Some((FolderId::of_open(&top).ok()?, Protection::System))));
        if let Some(home) = home.and_then(open)
            && !is_within(&home, &[own])
        {
            protected.0.push((FolderId::of_open(&home)?, Protection::Home));
        }
        protected.sort();
        Ok(protected)
    }

    /// Adds a folder.
    pub fn add(&mut self, folder: FolderId, protection: Protection) {
        self.0.push((folder, protection));
        self.sort();
    }

    /// The reason why this folder is protected; `None` if it is not.
    pub fn at(&self, folder: FolderId) -> Option<Protection> {
        let at = self.0.binary_search_by_key(&folder, |(known, _)| *known).ok()?;
        Some(self.0[at].1)
    }

    fn sort(&mut self) {
        // Of several reasons for one folder the first counts.
        self.0.sort_unstable();
        self.0.dedup_by_key(|(folder, _)| *folder);
    }
}

#[cfg(test)]
mod tests {
    use super::{FolderId, ProtectedFolders, Protection, open};
    use crate::workspace::folder_id::identity;

    #[test]
    fn folders_are_known_whatever_the_path() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |path: &str| scratch.path().join(path);
        std::fs::create_dir_all(at("work/in")).unwrap();
        std::fs::create_dir_all(at("home/work")).unwrap();
        std::os::unix::fs::symlink("home", at("link")).unwrap();
        let id = |path: &str| identity(&at(path)).unwrap();
        let root = open(&at("work")).unwrap();
        let protected = ProtectedFolders::around(&root, &[id("work/in")], Some(&at("link"))).unwrap();
        assert_eq!(protected.at(id("work/in")), Some(Protection::Store));
        assert_eq!(protected.at(id("work")), Some(Protection::Itself));
        assert_eq!(protected.at(id("home")), Some(Protection::Home));
        assert_eq!(protected.at(identity(std::path::Path::new("/")).unwrap()), Some(Protection::System));
        assert_eq!(protected.at(id("home/work")), None);
        // A home inside the workspace is a folder like any other.
        let wide = open(scratch.path()).unwrap();
        let protected = ProtectedFolders::around(&wide, &[], Some(&at("home"))).unwrap();
        assert_eq!(protected.at(id("home")), None);
        let top = open(std::path::Path::new("/")).unwrap();
        let top_id = FolderId::of_open(&top).unwrap();
        assert_eq!(
            ProtectedFolders::around(&top, &[top_id], None).unwrap().at(top_id),
            Some(Protection::Store),
            "the first reason"
        );
    }
}
