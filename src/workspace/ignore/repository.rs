//! The parts of a repository that ignoring needs: its root, some settings, its own lists, and the paths in its index.
//!
//! The index is read when something is ignored for the first time. It is read, not mapped: truncating a mapped file
//! kills the reader.

use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use gix_glob::pattern::Case;

use super::Level;
use crate::limits::IGNORE_FILE_LENGTH_MAX_BYTES;
use crate::path::TreePath;
use crate::workspace::git_index::GitIndex;
use crate::workspace::git_notice::{GitNotices, GitPart, GitProblem};
use crate::workspace::{folder_id, git_file, git_head};

/// A repository, or none.
#[derive(Debug)]
pub(super) struct Repository {
    /// Its folders on disk; `None` without a repository.
    location: Option<Location>,
    tracked: OnceLock<Tracked>,
    /// Path from its root to the workspace's root, with a slash at the end.
    prefix: Vec<u8>,
    /// Length of the path from the workspace's root to its root, with the slash, in bytes.
    skip: usize,
    settings: Settings,
    /// Receives notices of files that could not be read.
    notices: GitNotices,
}

#[derive(Debug)]
struct Location {
    root: PathBuf,
    git_folder: PathBuf,
    shared: PathBuf,
}

/// The tracked paths.
#[derive(Debug)]
enum Tracked {
    /// There is no index.
    Nothing,
    /// The index cannot be read.
    Unknown,
    Index(Box<GitIndex>),
}

/// The folder in which a repository keeps a folder for each linked working tree.
const OTHER_TREES: &str = concat!("work", "trees");

impl Location {
    /// Returns true if the folder is a working tree of this repository that was moved together with it: both still
    /// record their old paths, which lie relative to each other as the new ones do.
    fn has_moved_tree(&self, folder: &Path, git_folder: &Path) -> bool {
        let (Some(name), Some(old_root)) = (git_folder.file_name(), git_folder.ancestors().nth(3)) else {
            return false;
        };
        let back = git_head::read_pointer(&self.shared.join(OTHER_TREES).join(name).join("gitdir"));
        let Some(back) = back.map(|bytes| PathBuf::from(std::ffi::OsStr::from_bytes(bytes.trim_ascii()))) else {
            return false;
        };
        let was = back.parent().and_then(|tree| tree.strip_prefix(old_root).ok());
        was.is_some() && was == folder.strip_prefix(&self.root).ok() && !git_folder.exists()
    }
}

impl Repository {
    /// The value for folders in no repository.
    pub(super) fn none(notices: &GitNotices) -> Arc<Self> {
        let (tracked, settings, notices) = (OnceLock::from(Tracked::Nothing), Settings::default(), notices.clone());
        Arc::new(Self { location: None, tracked, prefix: Vec::new(), skip: 0, settings, notices })
    }

    /// The repository whose root is the folder `root`, at `path` in the workspace.
    pub(super) fn open(root: &Path, path: &TreePath, notices: &GitNotices) -> Option<Arc<Self>> {
        let skip = if path.is_root() { 0 } else { path.as_bytes().len() + 1 };
        Some(Arc::new(Self::at(root, Vec::new(), skip, notices)?))
    }

    fn at(root: &Path, prefix: Vec<u8>, skip: usize, notices: &GitNotices) -> Option<Self> {
        let (git_folder, shared) = git_folders(root, notices)?;
        let settings = Settings::of(&git_folder, &shared, notices);
        let tracked = OnceLock::new();
        if let Some(tree) = settings.tree.clone().filter(|tree| folder_id::identity(tree) != folder_id::identity(root))
        {
            // The index belongs to another folder.
            notices.add(&git_folder, GitPart::Index, GitProblem::OtherTree(tree));
            tracked.set(Tracked::Unknown).expect("the cell is new");
        }
        let location = Some(Location { root: root.to_owned(), git_folder, shared });
        Some(Self { location, tracked, prefix, skip, settings, notices: notices.clone() })
    }

    /// The case sensitivity of names.
    pub(super) fn case(&self) -> Case {
        self.settings.case
    }

    /// The receiver of notices.
    pub(super) fn notices(&self) -> &GitNotices {
        &self.notices
    }

    /// The lists that lie in none of its working folders: `core.excludesFile` and `info/exclude`.
    pub(super) fn own_lists(&self) -> Option<Arc<Level>> {
        let location = self.location.as_ref()?;
        let files = [self.settings.excludes_file.clone(), Some(location.shared.join("info/exclude"))];
        files.into_iter().flatten().fold(None, |above, file| {
            match git_file::read(&file, IGNORE_FILE_LENGTH_MAX_BYTES) {
                Ok(Some(bytes)) => Some(Level::new(&bytes, 0, above)),
                Ok(None) => above,
                Err(problem) => {
                    self.notices.add(file, GitPart::List, problem);
                    above
                }
            }
        })
    }

    /// Converts a path in the workspace into a path in the repository.
    pub(super) fn path_of<'p>(&self, path: &'p [u8]) -> Cow<'p, [u8]> {
        let path = path.get(self.skip..).unwrap_or_default();
        if self.prefix.is_empty() { Cow::Borrowed(path) } else { Cow::Owned([&self.prefix[..], path].concat()) }
    }

    /// Length of the path from its root to a folder on disk below it, with the slash, in bytes.
    pub(super) fn length_within(&self, folder: &Path) -> usize {
        let root = self.location.as_ref().map(|location| location.root.as_path());
        let within = root.and_then(|root| folder.strip_prefix(root).ok()).map(|within| within.as_os_str().len());
        within.filter(|length| *length > 0).map_or(0, |length| length + 1)
    }

    /// Returns true if the index has a file, or something in a folder; `otherwise` if that is unknown.
    pub(super) fn tracks(&self, path: &[u8], is_folder: bool, otherwise: bool) -> bool {
        match self.tracked.get_or_init(|| self.read_index()) {
            Tracked::Nothing => false,
            Tracked::Unknown => otherwise,
            Tracked::Index(index) => index.has(path, is_folder).unwrap_or(otherwise),
        }
    }

    /// Returns true if the folder is a linked working tree of this repository: its `.git` is a file that names a folder
    /// in `worktrees` of the shared folder. A submodule's names one in `modules`.
    pub(super) fn has_tree(&self, folder: &Path) -> bool {
        let Some(location) = &self.location else { return false };
        let other = git_head::named_folder(folder).ok().flatten();
        let other = other.filter(|other| other.parent().is_some_and(|at| at.ends_with(OTHER_TREES)));
        let Some(other) = other else { return false };
        let own = folder_id::identity(&location.shared);
        let shared = git_head::shared_folder(&other).and_then(|shared| folder_id::identity(&shared));
        own.is_some() && own == shared || location.has_moved_tree(folder, &other)
    }

    fn read_index(&self) -> Tracked {
        let Some(location) = &self.location else { return Tracked::Nothing };
        let file = location.git_folder.join("index");
        match GitIndex::read(&file, self.settings.case, self.settings.id_length_bytes) {
            Ok(Some(index)) => Tracked::Index(Box::new(index)),
            Ok(None) => Tracked::Nothing,
            Err(problem) => {
                self.notices.add(file, GitPart::Index, problem);
                Tracked::Unknown
            }
        }
    }
}

/// The repository that contains `root`, and the folders from its root down to the parent of `root`.
///
/// Like git, this does not look beyond the file system.
pub(super) fn around(root: &Path, notices: &GitNotices) -> Option<(Arc<Repository>, Vec<PathBuf>)> {
    let device = std::fs::metadata(root).ok()?.dev();
    // If `root` itself is a repository's root, entering it begins a new chain.
    let mut folders = Vec::new();
    for folder in root.ancestors().skip(1) {
        if std::fs::metadata(folder).ok()?.dev() != device {
            return None;
        }
        folders.push(folder.to_owned());
        let mut prefix = root.strip_prefix(folder).ok()?.as_os_str().as_bytes().to_vec();
        prefix.push(b'/');
        if let Some(found) = Repository::at(folder, prefix, 0, notices) {
            folders.reverse();
            return Some((Arc::new(found), folders));
        }
    }
    None
}

/// The git folder of a working tree, and the one that it shares with other working trees.
fn git_folders(root: &Path, notices: &GitNotices) -> Option<(PathBuf, PathBuf)> {
    let git_folder = match git_head::git_folder(root) {
        Ok(git_folder) => git_folder?,
        Err(problem) => {
            notices.add(root.join(".git"), GitPart::Repository, problem);
            return None;
        }
    };
    let shared = git_head::shared_folder(&git_folder)?;
    if !shared.is_dir() {
        notices.add(git_folder.join("commondir"), GitPart::Repository, GitProblem::Dangling(shared));
        return None;
    }
    // For git too, a `.git` that is no repository changes nothing.
    git_head::is_repository(&git_folder, &shared).then_some((git_folder, shared))
}

/// The settings of a repository that are used.
#[derive(Debug)]
struct Settings {
    case: Case,
    excludes_file: Option<PathBuf>,
    /// Length of its ids in bytes; `None` if unknown.
    id_length_bytes: Option<usize>,
    /// Its working tree, if configured.
    tree: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { case: Case::Sensitive, excludes_file: None, id_length_bytes: None, tree: None }
    }
}

#[cfg(not(feature = "git"))]
impl Settings {
    /// The default: this build cannot read settings.
    fn of(_: &Path, _: &Path, _: &GitNotices) -> Self {
        Self::default()
    }
}

#[cfg(feature = "git")]
impl Settings {
    /// `core.ignoreCase`, `core.excludesFile`, `core.worktree` and `extensions.objectFormat` from the repository's own
    /// configuration, and from that of one working tree if it has any.
    fn of(git_folder: &Path, shared: &Path, notices: &GitNotices) -> Self {
        use crate::workspace::git_index::{SHA1_LENGTH_BYTES, SHA256_LENGTH_BYTES};
        let file = shared.join("config");
        let Some(common) = config(&file, notices) else { return Self::default() };
        let has_own = matches!(common.boolean(concat!("extensions.work", "treeConfig")), Ok(Some(true)));
        let own = if has_own { config(&git_folder.join(concat!("config.work", "tree")), notices) } else { None };
        let own = own.unwrap_or_default();
        let path = |found: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(found));
        let ignores_case = [&own, &common].iter().find_map(|config| config.boolean("core.ignoreCase").ok()?);
        // `core.worktree` does not apply to a linked working tree.
        let common_tree = common.string(concat!("core.work", "tree")).filter(|_| git_folder == shared);
        let tree = own.string(concat!("core.work", "tree")).or(common_tree).map(|tree| git_folder.join(path(&tree)));
        let listed = own.string("core.excludesFile").or_else(|| common.string("core.excludesFile"));
        let excludes_file = listed.map(|listed| path(&listed)).filter(|listed| !listed.as_os_str().is_empty());
        let excludes_file = excludes_file.filter(|listed| {
            if listed.is_relative() {
                notices.add(&file, GitPart::List, GitProblem::Relative(listed.clone()));
            }
            listed.is_absolute()
        });
        let format = common.string("extensions.objectFormat");
        let id_length_bytes = match format.as_deref().map(|format| &**format) {
            None | Some(b"sha1") => Some(SHA1_LENGTH_BYTES),
            Some(b"sha256") => Some(SHA256_LENGTH_BYTES),
            Some(_) => None,
        };
        let case = if ignores_case == Some(true) { Case::Fold } else { Case::Sensitive };
        Self { case, excludes_file, id_length_bytes, tree }
    }
}

/// Reads a configuration file; empty if it is missing.
#[cfg(feature = "git")]
fn config(file: &Path, notices: &GitNotices) -> Option<gix::config::File> {
    let read = git_file::read(file, IGNORE_FILE_LENGTH_MAX_BYTES).and_then(|bytes| {
        let metadata = gix::config::file::Metadata::default();
        let bytes = bytes.unwrap_or_default();
        gix::config::File::from_bytes_no_includes(&bytes, metadata, Default::default())
            .map_err(|_| GitProblem::Malformed("it is not a configuration file"))
    });
    read.map_err(|problem| notices.add(file, GitPart::Settings, problem)).ok()
}
