//! What ignoring needs of a repository: where it begins, two settings, its own lists, and what its index tracks.
//!
//! The index is read when something is ignored for the first time, and not at all where nothing is. It is read, not
//! mapped: a mapped file that somebody cuts kills the reader.

use std::borrow::Cow;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use gix_glob::pattern::Case;
use rustix::fs::{CWD, Mode, OFlags};

use super::Level;
use crate::limits::IGNORE_FILE_LENGTH_MAX_BYTES;
use crate::path::TreePath;
use crate::workspace::git_head;
use crate::workspace::git_index::GitIndex;

/// A repository, or the lack of one.
#[derive(Debug)]
pub(super) struct Repository {
    pub(super) case: Case,
    /// Where its files are on disk, and what git keeps of it; none where there is no repository.
    place: Option<Place>,
    tracked: OnceLock<Tracked>,
    /// What leads from its root to the workspace's, with a slash at the end.
    prefix: Vec<u8>,
    /// Bytes of a path in the workspace that lead to its root, with the slash.
    skip: usize,
    excludes_file: Option<PathBuf>,
    /// Its ids are 32 bytes long.
    is_sha256: bool,
}

#[derive(Debug)]
struct Place {
    root: PathBuf,
    git_folder: PathBuf,
    shared: PathBuf,
}

/// What the index has.
#[derive(Debug)]
enum Tracked {
    /// There is no index.
    Nothing,
    /// It cannot be read.
    Unknown,
    Index(Box<GitIndex>),
}

/// The folder in which a repository keeps one for each of its other working trees.
const WORKTREES: &str = concat!("work", "trees");

impl Place {
    /// Whether the folder is a working tree of this repository that was moved together with it: both still name the
    /// old places, which differ from where they are by the same way.
    fn has_moved_tree(&self, folder: &Path, git_folder: &Path) -> bool {
        let (Some(name), Some(old_root)) = (git_folder.file_name(), git_folder.ancestors().nth(3)) else {
            return false;
        };
        let back = git_head::read_pointer(&self.shared.join(WORKTREES).join(name).join("gitdir"));
        let Some(back) = back.map(|bytes| PathBuf::from(std::ffi::OsStr::from_bytes(bytes.trim_ascii()))) else {
            return false;
        };
        let was = back.parent().and_then(|tree| tree.strip_prefix(old_root).ok());
        was.is_some() && was == folder.strip_prefix(&self.root).ok() && !git_folder.exists()
    }
}

impl Repository {
    /// For folders in no repository.
    pub(super) fn none() -> Arc<Self> {
        let (tracked, case) = (OnceLock::from(Tracked::Nothing), Case::Sensitive);
        Arc::new(Self {
            case,
            place: None,
            tracked,
            prefix: Vec::new(),
            skip: 0,
            excludes_file: None,
            is_sha256: false,
        })
    }

    /// The repository whose root is the folder `root`, which is at `path` in the workspace.
    pub(super) fn open(root: &Path, path: &TreePath) -> Option<Arc<Self>> {
        let skip = if path.is_root() { 0 } else { path.as_bytes().len() + 1 };
        Some(Arc::new(Self::at(root, Vec::new(), skip)?))
    }

    fn at(root: &Path, prefix: Vec<u8>, skip: usize) -> Option<Self> {
        let (git_folder, shared) = git_folders(root)?;
        let Settings { case, excludes_file, is_sha256 } = settings(&shared);
        let place = Some(Place { root: root.to_owned(), git_folder, shared });
        Some(Self { case, place, tracked: OnceLock::new(), prefix, skip, excludes_file, is_sha256 })
    }

    /// The lists that lie in no folder of it.
    pub(super) fn own_lists(&self) -> Option<Arc<Level>> {
        let place = self.place.as_ref()?;
        let files = [self.excludes_file.clone(), Some(place.shared.join("info/exclude"))];
        files.into_iter().flatten().fold(None, |above, file| match read_file(&file, IGNORE_FILE_LENGTH_MAX_BYTES) {
            Some(bytes) => Some(Level::new(&bytes, 0, above)),
            None => above,
        })
    }

    /// A path in the workspace as a path in the repository.
    pub(super) fn path_of<'p>(&self, path: &'p [u8]) -> Cow<'p, [u8]> {
        let path = path.get(self.skip..).unwrap_or_default();
        if self.prefix.is_empty() { Cow::Borrowed(path) } else { Cow::Owned([&self.prefix[..], path].concat()) }
    }

    /// Bytes of the path that leads from its root to a folder on disk below it, with the slash.
    pub(super) fn length_within(&self, folder: &Path) -> usize {
        let root = self.place.as_ref().map(|place| place.root.as_path());
        let within = root.and_then(|root| folder.strip_prefix(root).ok()).map(|within| within.as_os_str().len());
        within.filter(|length| *length > 0).map_or(0, |length| length + 1)
    }

    /// Whether the index has a file, or something in a folder; `otherwise` where it cannot be read.
    pub(super) fn tracks(&self, path: &[u8], is_folder: bool, otherwise: bool) -> bool {
        match self.tracked.get_or_init(|| self.read_index()) {
            Tracked::Nothing => false,
            Tracked::Unknown => otherwise,
            Tracked::Index(index) => index.has(path, is_folder),
        }
    }

    /// Whether the folder is another working tree of this repository: its `.git` is a file that names a folder in
    /// `worktrees` of the folder that they share. A submodule's names one in `modules`.
    pub(super) fn has_tree(&self, folder: &Path) -> bool {
        let Some(place) = &self.place else { return false };
        let other =
            git_head::git_folder(folder).filter(|other| other.parent().is_some_and(|at| at.ends_with(WORKTREES)));
        let Some(other) = other else { return false };
        let identity = |path: &Path| std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
        let own = identity(&place.shared);
        let shared = git_head::shared_folder(&other).and_then(|shared| identity(&shared));
        own.is_some() && own == shared || place.has_moved_tree(folder, &other)
    }

    fn read_index(&self) -> Tracked {
        let Some(place) = &self.place else { return Tracked::Nothing };
        let file = place.git_folder.join("index");
        if std::fs::symlink_metadata(&file).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound) {
            return Tracked::Nothing;
        }
        GitIndex::read(&file, self.case, self.is_sha256)
            .map_or(Tracked::Unknown, |index| Tracked::Index(Box::new(index)))
    }
}

/// The repository further up that `root` is in, and its folders from the outermost down to the one that `root` is in.
///
/// Like git, this does not look beyond the file system.
pub(super) fn around(root: &Path) -> Option<(Arc<Repository>, Vec<PathBuf>)> {
    let device = std::fs::metadata(root).ok()?.dev();
    // A root that is a repository itself begins anew when it is entered.
    let mut folders = Vec::new();
    for folder in root.ancestors().skip(1) {
        if std::fs::metadata(folder).ok()?.dev() != device {
            return None;
        }
        folders.push(folder.to_owned());
        let mut prefix = root.strip_prefix(folder).ok()?.as_os_str().as_bytes().to_vec();
        prefix.push(b'/');
        if let Some(found) = Repository::at(folder, prefix, 0) {
            folders.reverse();
            return Some((Arc::new(found), folders));
        }
    }
    None
}

/// The folder that git keeps for a working tree, and the one that it shares with other working trees.
fn git_folders(root: &Path) -> Option<(PathBuf, PathBuf)> {
    let git_folder = git_head::git_folder(root)?;
    let shared = git_head::shared_folder(&git_folder)?;
    // What is called `.git` and is no repository changes nothing for git either.
    let is_one = git_folder.join("HEAD").is_file() && shared.join("objects").is_dir() && shared.join("refs").is_dir();
    is_one.then_some((git_folder, shared))
}

/// What counts of a repository's own configuration.
struct Settings {
    case: Case,
    excludes_file: Option<PathBuf>,
    is_sha256: bool,
}

/// `core.ignoreCase`, `core.excludesFile` and `extensions.objectFormat` of the repository's own configuration.
#[cfg(feature = "git")]
fn settings(shared: &Path) -> Settings {
    use gix::config::File;
    let bytes = read_file(&shared.join("config"), IGNORE_FILE_LENGTH_MAX_BYTES).unwrap_or_default();
    let config = File::try_from(gix::bstr::BStr::new(&bytes)).unwrap_or_default();
    let case = match config.boolean("core.ignoreCase") {
        Ok(Some(true)) => Case::Fold,
        _ => Case::Sensitive,
    };
    let file = config.string("core.excludesFile").map(|path| PathBuf::from(std::ffi::OsStr::from_bytes(&path)));
    let is_sha256 = config.string("extensions.objectFormat").is_some_and(|format| **format == *b"sha256");
    Settings { case, excludes_file: file.filter(|file| file.is_absolute()), is_sha256 }
}

#[cfg(not(feature = "git"))]
fn settings(_: &Path) -> Settings {
    Settings { case: Case::Sensitive, excludes_file: None, is_sha256: false }
}

fn read_file(path: &Path, length_max_bytes: u64) -> Option<Vec<u8>> {
    read_file_at(&CWD, path, OFlags::empty(), length_max_bytes)
}

/// A regular file of at most this length. Never waits: a pipe is opened without blocking and turned down.
pub(super) fn read_file_at(from: &impl AsFd, path: &Path, extra: OFlags, length_max_bytes: u64) -> Option<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | extra;
    let file = std::fs::File::from(rustix::fs::openat(from, path, flags, Mode::empty()).ok()?);
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(length_max_bytes + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= length_max_bytes).then_some(bytes)
}
