//! Protected folders: never captured and never written into, by whatever path they are reached.
//!
//! A path does not identify a folder: a bind mount, a symlink or a move gives one folder many paths, and a relative
//! path means another folder in another process. Protected folders are therefore identified by device and inode, taken
//! from open handles; a bind mount keeps both. Scan excludes such a folder, and materialize refuses to enter, fill,
//! change or remove it.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::disk::FolderId;
use crate::format::facts::FolderIdentity;
use crate::time::Timestamp;
use crate::workspace::git_head::git_identity;

/// The reason why a folder is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
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
pub struct Places(Vec<(FolderId, Place)>);

/// Most folders to go up: file systems limit paths to 4,096 bytes.
const STEPS_UP_MAX: usize = 4_096;

impl Place {
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

    /// Its name in machine-readable output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Itself => "itself",
            Self::System => "system",
            Self::Home => "home",
            Self::Workspace => "workspace",
            Self::VersionControl => "version-control",
            Self::WorkingTree => "working-tree",
            Self::Mount => "mount",
            Self::OtherFileSystem => "file-system",
        }
    }
}

impl Places {
    /// The protected folders of the workspace with root folder `root`: the folders of the store, the root itself if it
    /// is mounted inside itself, the root of the file system, and the home folder unless it lies in the workspace.
    pub fn around(root: &OwnedFd, store: &[FolderId], home: Option<&Path>) -> rustix::io::Result<Self> {
        let own = FolderId::of_open(root)?;
        let mut places = Self(store.iter().map(|folder| (*folder, Place::Store)).collect());
        places.0.push((own, Place::Itself));
        places.0.extend(open(Path::new("/")).and_then(|top| Some((FolderId::of_open(&top).ok()?, Place::System))));
        if let Some(home) = home.and_then(open)
            && !is_within(&home, &[own])
        {
            places.0.push((FolderId::of_open(&home)?, Place::Home));
        }
        places.sort();
        Ok(places)
    }

    /// Adds a folder.
    pub fn add(&mut self, folder: FolderId, place: Place) {
        self.0.push((folder, place));
        self.sort();
    }

    /// The reason why this folder is protected; `None` if it is not.
    pub fn at(&self, folder: FolderId) -> Option<Place> {
        let at = self.0.binary_search_by_key(&folder, |(known, _)| *known).ok()?;
        Some(self.0[at].1)
    }

    fn sort(&mut self) {
        // Of several reasons for one folder the first counts.
        self.0.sort_unstable();
        self.0.dedup_by_key(|(folder, _)| *folder);
    }
}

/// An open folder and its parents, innermost first, with their identities.
///
/// It goes up from the handle and so depends on no path; it stops where that is not permitted.
pub fn upwards(folder: impl AsFd) -> impl Iterator<Item = (FolderId, OwnedFd)> {
    let known = |handle: OwnedFd| Some((FolderId::of_open(&handle).ok()?, handle));
    let mut next = rustix::fs::openat(folder, ".", FLAGS, Mode::empty()).ok().and_then(known);
    let step = move || {
        let (here, handle) = next.take()?;
        let above = rustix::fs::openat(&handle, "..", FLAGS, Mode::empty()).ok().and_then(known);
        next = above.filter(|(above, _)| *above != here);
        Some((here, handle))
    };
    std::iter::from_fn(step).take(STEPS_UP_MAX)
}

/// Returns true if an open folder is one of `folders`, or lies in one at any depth. Returns false where going up is not
/// permitted.
pub fn is_within(folder: impl AsFd, folders: &[FolderId]) -> bool {
    upwards(folder).any(|(here, _)| folders.contains(&here))
}

/// Opens the folder at a path, or its nearest existing parent.
pub fn nearest(path: &Path) -> Option<OwnedFd> {
    let above = path.ancestors().map(|above| if above.as_os_str().is_empty() { Path::new(".") } else { above });
    above.into_iter().find_map(open)
}

/// Returns true if a path, or its nearest existing parent, is one of `folders` or lies in one.
pub fn leads_into(path: &Path, folders: &[FolderId]) -> bool {
    nearest(path).is_some_and(|nearest| is_within(&nearest, folders))
}

/// The identity of the folder at a path, through symlinks; `None` if there is no folder.
pub fn identity(path: &Path) -> Option<FolderId> {
    open(path).and_then(|folder| FolderId::of_open(&folder).ok())
}

/// The identity of the folder at `path`, with its time of creation if the file system keeps it, and git's identity if
/// it is a working tree.
pub fn folder_identity(folder: &OwnedFd, path: &Path) -> Option<FolderIdentity> {
    let facts = std::fs::File::from(folder.try_clone().ok()?).metadata().ok()?;
    let made = facts.created().ok().and_then(|made| made.duration_since(std::time::UNIX_EPOCH).ok());
    let made = made.and_then(|made| i64::try_from(made.as_nanos()).ok()).filter(|made| *made > 0).map(Timestamp);
    Some(FolderIdentity { device: facts.dev(), inode: facts.ino(), made, git: git_identity(path) })
}

/// Flags sufficient to identify a folder and to go up from it; they need no permission to read it.
#[cfg(all(target_os = "linux", not(feature = "portable")))]
const FLAGS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Flags sufficient to identify a folder and to go up from it.
#[cfg(any(not(target_os = "linux"), feature = "portable"))]
const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens the folder at a path; `None` if there is none.
pub fn open(path: &Path) -> Option<OwnedFd> {
    rustix::fs::open(path, FLAGS, Mode::empty()).ok()
}

#[cfg(test)]
mod tests {
    use super::{FolderId, Place, Places, identity, is_within, open};

    #[test]
    fn folders_are_known_whatever_the_path() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |path: &str| scratch.path().join(path);
        std::fs::create_dir_all(at("work/in")).unwrap();
        std::fs::create_dir_all(at("home/work")).unwrap();
        std::os::unix::fs::symlink("home", at("link")).unwrap();
        let id = |path: &str| identity(&at(path)).unwrap();
        let root = open(&at("work")).unwrap();
        let places = Places::around(&root, &[id("work/in")], Some(&at("link"))).unwrap();
        assert_eq!(places.at(id("work/in")), Some(Place::Store));
        assert_eq!(places.at(id("work")), Some(Place::Itself));
        assert_eq!(places.at(id("home")), Some(Place::Home));
        assert_eq!(places.at(identity(std::path::Path::new("/")).unwrap()), Some(Place::System));
        assert_eq!(places.at(id("home/work")), None);
        // A home inside the workspace is a folder like any other.
        let wide = open(scratch.path()).unwrap();
        let places = Places::around(&wide, &[], Some(&at("home"))).unwrap();
        assert_eq!(places.at(id("home")), None);
        let top = open(std::path::Path::new("/")).unwrap();
        let top_id = FolderId::of_open(&top).unwrap();
        assert_eq!(Places::around(&top, &[top_id], None).unwrap().at(top_id), Some(Place::Store), "the first reason");
    }

    #[test]
    fn going_up_finds_every_folder_above() {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(scratch.path().join("a/b/c")).unwrap();
        let id = |path: &str| identity(&scratch.path().join(path)).unwrap();
        let deep = open(&scratch.path().join("a/b/c")).unwrap();
        assert!(is_within(&deep, &[id("a/b/c")]) && is_within(&deep, &[id("a")]));
        assert!(is_within(&deep, &[identity(std::path::Path::new("/")).unwrap()]));
        assert!(!is_within(open(&scratch.path().join("a")).unwrap(), &[id("a/b")]));
    }
}
