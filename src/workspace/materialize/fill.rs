//! Writes a whole tree into an empty or missing folder.
//!
//! One task per folder creates its child folders, writes its first files, and spawns tasks for the other files and for
//! the child folders. Each thread takes the task that it spawned last, and so goes through its part of the tree in
//! order, reading neighbouring objects of the store together. An idle thread takes the oldest task, which is a large
//! part of the tree.
//!
//! A folder is 0700 until its files are written; the task that writes the last one sets its mode. A folder that its
//! owner may not enter would then hide its contents, so its mode is set at the end. So is that of the target, which is
//! closed to others until then. Each running task has one handle open, at any depth.

use std::fs::File;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::Scope;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid};

use super::at::{open_to_owner, set_mode};
use super::attributes::{WantedAttributes, complete_new, complete_symlink, strip};
use super::content::{self, Content};
use super::names::takes_all_names;
use super::{Filled, Kept, KeptReason, OWNER_RIGHTS, Options, pieces};
use crate::disk::local::create_folders;
use crate::error::{Error, ErrorKind, Result, shown};
use crate::format::attributes::Owner;
use crate::format::tree::{Entry, EntryKind};
use crate::id::{BlobId, TreeId};
use crate::limits::{FOLDER_DEPTH_MAX, PATH_LENGTH_MAX_BYTES};
use crate::path::TreePath;
use crate::progress::Event;
use crate::store::Store;
use crate::workspace::beneath::{Root, SYNCS_FILE_SYSTEMS, sync_file_system};
use crate::workspace::folder_id;
use crate::workspace::protected::Protection;
use crate::workspace::version_control;

/// Writes the tree `root_tree` into `target`, an empty or missing folder, and sets its mode to `root_mode`.
///
/// If the folder has contents, or `target` is something else, it fails with `Conflict`; if the tree is larger than a
/// walk may cover, with `Limit`; in both cases nothing is written. After any other error the target stays incomplete,
/// accessible only to its owner.
pub fn fill(store: &Store, root_tree: TreeId, root_mode: u16, target: &Path, options: &Options<'_>) -> Result<Filled> {
    store.check_extent("restore", root_tree)?;
    let root = &open_empty(store, target)?;
    let filling = Filling {
        store,
        root,
        options,
        is_stopped: AtomicBool::new(false),
        first_error: Mutex::default(),
        closed: Mutex::default(),
        filled: Mutex::default(),
        is_plain: takes_all_names(root, store.disk().random())?,
        given: Owner { uid: geteuid().as_raw(), gid: getegid().as_raw() },
    };
    let root_folder = NewFolder { path: TreePath::root(), depth: 0, tree: root_tree, mode: root_mode };
    rayon::scope(|scope| filling.visit(scope, root_folder));
    filling.finish()
}

struct Filling<'a> {
    store: &'a Store,
    root: &'a Root,
    options: &'a Options<'a>,
    /// Set by the first error, so that all tasks end soon.
    is_stopped: AtomicBool,
    first_error: Mutex<Option<Error>>,
    /// Folders whose modes are set at the end.
    closed: Mutex<Vec<(TreePath, u16)>>,
    filled: Mutex<Filled>,
    /// True if the file system takes every name unchanged.
    is_plain: bool,
    /// Owner of a new file.
    given: Owner,
}

/// A new, empty folder.
struct NewFolder {
    path: TreePath,
    depth: usize,
    tree: TreeId,
    mode: u16,
}

/// A folder whose files are being written.
struct Folder {
    path: TreePath,
    mode: u16,
    handle: OwnedFd,
    /// Its files and symlinks.
    entries: Vec<Entry>,
}

impl Filling<'_> {
    fn visit<'s>(&'s self, scope: &Scope<'s>, folder: NewFolder) {
        self.unless_stopped(|| {
            let folder = Arc::new(self.enter(scope, folder)?);
            let mut pieces = pieces(&folder.entries, |entry| entry.size).into_iter();
            let first = pieces.next();
            for piece in pieces.rev() {
                let folder = Arc::clone(&folder);
                scope.spawn(move |_| self.unless_stopped(|| self.write_piece(folder, piece)));
            }
            self.write_piece(folder, first.unwrap_or_default())
        });
    }

    /// Opens a folder, creates its child folders, and spawns a task for each.
    fn enter<'s>(&'s self, scope: &Scope<'s>, folder: NewFolder) -> Result<Folder> {
        let NewFolder { path, depth, tree, mode } = folder;
        if depth > FOLDER_DEPTH_MAX || path.as_bytes().len() > PATH_LENGTH_MAX_BYTES {
            let detail = format!("it is deeper than {FOLDER_DEPTH_MAX} folders or {PATH_LENGTH_MAX_BYTES} bytes");
            return Err(Error::new(ErrorKind::Limit, "restore folder", tree, detail));
        }
        let handle = self.root.folder(&path).map_err(|e| self.failed("open folder", &path, e))?;
        let (mut folders, entries): (Vec<_>, Vec<_>) = self
            .store
            .folder(tree)?
            .into_iter()
            .filter(|entry| self.is_taken(&path, entry))
            .partition(|entry| entry.kind == EntryKind::Folder);
        let mut failed = None;
        folders.retain(|entry| {
            let made = rustix::fs::mkdirat(&handle, &*entry.name, Mode::RWXU);
            match made.and_then(|()| open_to_owner(&handle, &entry.name)) {
                Ok(()) => true,
                Err(e) => {
                    failed = failed.take().or(self.keep("create folder", &path.join(&entry.name), e).err());
                    false
                }
            }
        });
        failed.map_or(Ok(()), Err)?;
        lock(&self.filled).folders += folders.len() as u64;
        for entry in folders.iter().rev() {
            let path = path.join(&entry.name);
            let below = NewFolder { path, depth: depth + 1, tree: TreeId(entry.id), mode: entry.mode };
            scope.spawn(move |scope| self.visit(scope, below));
        }
        Ok(Folder { path, mode, handle, entries })
    }

    fn write_piece(&self, folder: Arc<Folder>, piece: Range<usize>) -> Result<()> {
        let (mut files, mut symlinks, mut bytes) = (0, 0, 0);
        let count = piece.len() as u64;
        for entry in &folder.entries[piece] {
            match entry.kind {
                EntryKind::File => {
                    if self.write_file(&folder, entry)? {
                        files += 1;
                        bytes += entry.size;
                    }
                }
                EntryKind::Symlink => symlinks += u64::from(self.write_symlink(&folder, entry)?),
                EntryKind::Folder => unreachable!("folders were taken out"),
            }
        }
        {
            let mut filled = lock(&self.filled);
            filled.files += files;
            filled.symlinks += symlinks;
            filled.bytes += bytes;
        }
        self.options.progress.event(Event::Advanced { files: count, bytes });
        match Arc::into_inner(folder) {
            Some(folder) => self.leave(folder),
            None => Ok(()),
        }
    }

    /// Writes a file. Returns false if it cannot be created, which is recorded.
    fn write_file(&self, folder: &Folder, entry: &Entry) -> Result<bool> {
        let path = || folder.path.join(&entry.name);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&folder.handle, &*entry.name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => File::from(file),
            Err(e) => return self.keep("write", &path(), e).map(|()| false),
        };
        let content = Content { id: BlobId(entry.id), size: entry.size };
        content::write(self.store, content, &file, &|| self.root.display(&path()))?;
        self.finish_one(&file, &path(), entry.mode).map_err(|e| self.failed("write", &path(), e))?;
        Ok(true)
    }

    /// Sets owner, attributes and mode of a new path.
    fn finish_one(&self, handle: impl AsFd, path: &TreePath, mode: u16) -> rustix::io::Result<()> {
        complete_new(&handle, mode, &self.want(path), self.given).map(|inexact| self.note(path, inexact))?;
        if self.options.durable && !SYNCS_FILE_SYSTEMS {
            rustix::fs::fsync(handle)?;
        }
        Ok(())
    }

    fn want(&self, path: &TreePath) -> WantedAttributes {
        self.options.attributes.map(|wanted| wanted.at(path, || None)).unwrap_or_default()
    }

    /// Writes a symlink. Returns false if it cannot be created, which is recorded.
    fn write_symlink(&self, folder: &Folder, entry: &Entry) -> Result<bool> {
        let target = content::target(self.store, BlobId(entry.id))?;
        let path = folder.path.join(&entry.name);
        if let Err(e) = rustix::fs::symlinkat(&*target, &folder.handle, &*entry.name) {
            return self.keep("write symlink", &path, e).map(|()| false);
        }
        let owner = self.want(&path).owner.filter(|owner| *owner != self.given);
        let given = complete_symlink(&folder.handle, &entry.name, owner);
        self.note(&path, given.map_err(|e| self.failed("set owner of", &path, e))?);
        Ok(true)
    }

    /// Sets the mode of a folder after its last file, or postpones it to the end.
    fn leave(&self, folder: Folder) -> Result<()> {
        if folder.path.is_root() || folder.mode & OWNER_RIGHTS != OWNER_RIGHTS {
            lock(&self.closed).push((folder.path, folder.mode));
            return Ok(());
        }
        self.set_folder_mode(&folder.handle, &folder.path, folder.mode)
    }

    fn set_folder_mode(&self, handle: &OwnedFd, path: &TreePath, mode: u16) -> Result<()> {
        self.finish_one(handle, path, mode).map_err(|e| self.failed("set mode of", path, e))
    }

    /// Sets the postponed modes, deepest first, and adds up the counts.
    fn finish(self) -> Result<Filled> {
        if let Some(error) = lock(&self.first_error).take() {
            return Err(error);
        }
        let mut closed = std::mem::take(&mut *lock(&self.closed));
        closed.sort_unstable_by(|one, other| other.cmp(one));
        for (path, mode) in closed {
            let handle = self.root.folder(&path).map_err(|e| self.failed("open folder", &path, e))?;
            self.set_folder_mode(&handle, &path, mode)?;
        }
        if self.options.durable {
            sync_file_system(self.root.handle()).map_err(|e| self.failed("sync", &TreePath::root(), e))?;
        }
        let mut filled = std::mem::take(&mut *lock(&self.filled));
        filled.kept.sort();
        filled.kept.dedup();
        Ok(filled)
    }

    fn unless_stopped(&self, work: impl FnOnce() -> Result<()>) {
        if self.is_stopped.load(Ordering::Relaxed) {
            return;
        }
        if let Err(error) = work() {
            self.is_stopped.store(true, Ordering::Relaxed);
            lock(&self.first_error).get_or_insert(error);
        }
    }

    /// Returns true if an entry may be created at all: version control folders never are, under any name that opens
    /// one.
    fn is_taken(&self, folder: &TreePath, entry: &Entry) -> bool {
        let is_own = version_control::is_exact(&entry.name, entry.kind == EntryKind::Folder);
        let is_taken = !is_own && (self.is_plain || !version_control::is_alias(&entry.name));
        if !is_taken {
            let reason = KeptReason::Protected(Protection::VersionControl);
            self.note(&folder.join(&entry.name), Some(reason));
        }
        is_taken
    }

    /// Records that a path could not be created; returns an error that must stop everything. Only this code writes
    /// here, so a name that already exists belongs to another path of the same tree.
    fn keep(&self, operation: &str, path: &TreePath, e: Errno) -> Result<()> {
        let reason = match KeptReason::of(e) {
            _ if e == Errno::EXIST => Some(KeptReason::SameName),
            // The folder is open, so the name was refused.
            Some(KeptReason::Changed) => Some(KeptReason::BadName),
            reason => reason,
        };
        self.note(path, reason);
        if reason.is_some() { Ok(()) } else { Err(self.failed(operation, path, e)) }
    }

    fn note(&self, path: &TreePath, reason: Option<KeptReason>) {
        if let Some(reason) = reason {
            lock(&self.filled).kept.push(Kept { path: path.clone(), reason });
        }
    }

    fn failed(&self, operation: &str, path: &TreePath, e: Errno) -> Error {
        Error::io(operation, self.root.display(path), e)
    }
}

/// Opens the target, creating it if missing, and closes it to others. If it is not empty it fails with `Conflict`, if
/// it lies in the store with `Invalid`.
pub fn open_empty(store: &Store, target: &Path) -> Result<Root> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    let refuse = |detail: &str| Error::new(ErrorKind::Conflict, "restore into", shown(target), detail);
    if folder_id::leads_into(target, &store.disk().places()?) {
        let detail = "it is retro's own store, or in it";
        return Err(
            Error::new(ErrorKind::Invalid, "restore into", shown(target), detail).with_hint("name a folder elsewhere")
        );
    }
    if let Some(parent) = target.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create_folders(parent)?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(target) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
        made => made.map_err(|e| Error::io("create folder", target, e))?,
    }
    // The umask may have removed its owner's rights, without which it cannot be opened.
    if let Ok(found) = std::fs::symlink_metadata(target)
        && found.is_dir()
        && found.permissions().mode() & u32::from(OWNER_RIGHTS) != u32::from(OWNER_RIGHTS)
    {
        let mode = std::fs::Permissions::from_mode(OWNER_RIGHTS.into());
        std::fs::set_permissions(target, mode).map_err(|e| Error::io("set mode of", target, e))?;
    }
    let root = Root::open(target).map_err(|error| match error.io_kind() {
        Some(std::io::ErrorKind::NotADirectory) => refuse("it is not a folder"),
        _ => error,
    })?;
    let fail = |e: Errno| Error::io("read folder", target, e);
    for entry in rustix::fs::Dir::read_from(root.handle()).map_err(fail)? {
        if !matches!(entry.map_err(fail)?.file_name().to_bytes(), b"." | b"..") {
            return Err(refuse("the folder is not empty"));
        }
    }
    // After this nothing created in it, at any depth, inherits an ACL.
    strip(root.handle()).map_err(|e| Error::io("remove ACL of", target, e))?;
    set_mode(root.handle(), OWNER_RIGHTS).map_err(|e| Error::io("set mode of", target, e))?;
    Ok(root)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
