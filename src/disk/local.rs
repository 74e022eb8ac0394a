//! A store in a real folder.
//!
//! Every file is opened relative to a handle of the store folder and never through a symlink, so that a crafted store
//! cannot lead outside it. A FIFO in the place of a file does not make the program wait. Folders have mode 0700 and
//! files 0600 whatever the umask. Locks are `flock`s: the kernel releases them when their holder dies, so none is ever
//! stale. Root gives new files to the owner of the store folder: one `sudo` must not lock them out.

use std::fs::{File, Permissions, TryLockError};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_NOW};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use super::wait::{self, LockWait, LockWatch};
use super::{Bytes, Disk, FileClock, FolderId, Holder, LockGuard, LockMode, Source, StoredFile, folder_of};
use crate::error::{Error, ErrorKind, Result};

/// A folder of the operating system.
pub struct LocalDisk {
    root: PathBuf,
    handle: OwnedFd,
    watch: Option<Box<LockWatch>>,
    /// The owner of new files, if that is not the user who runs this: root writes into the store of somebody else.
    owner: Option<Owner>,
}

/// A user and a group.
#[derive(Clone, Copy, Debug)]
struct Owner {
    user: Uid,
    group: Gid,
}

/// An open file, and the path for messages.
#[derive(Debug)]
pub(super) struct LocalFile {
    pub(super) file: File,
    pub(super) path: PathBuf,
}

const FOLDER_MODE: Mode = Mode::RWXU;
const ASIDE_HINT: &str = "`retro repair` puts aside what is there";
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// A folder and those above it, as far as they are missing, from the top down.
fn missing_folders(path: &Path) -> Vec<&Path> {
    let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let mut missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    missing.reverse();
    missing
}

/// Creates a folder and those above it with the modes that the umask leaves; their owner can always enter them.
pub fn create_folders(path: &Path) -> Result<()> {
    for folder in missing_folders(path) {
        let fail = |e: std::io::Error| Error::io("create folder", folder, e);
        match std::fs::create_dir(folder) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && folder.is_dir() => continue,
            made => made.map_err(fail)?,
        }
        let mode = std::fs::metadata(folder).map_err(fail)?.permissions().mode();
        if mode & 0o700 != 0o700 {
            std::fs::set_permissions(folder, Permissions::from_mode(mode | 0o700)).map_err(fail)?;
        }
    }
    Ok(())
}

/// Gives a folder that root has created the owner of its parent folder.
fn give_to_owner_of_parent(folder: &Path) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let fail = |e: Errno| Error::io("set owner of", folder, e);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let made = rustix::fs::open(folder, flags, Mode::empty()).map_err(fail)?;
    let above = rustix::fs::openat(&made, "..", flags, Mode::empty()).map_err(fail)?;
    Owner::give(Owner::of(&above).map_err(fail)?, &made).map_err(fail)
}

impl Owner {
    /// The owner of an open folder, if that is another user and new files can be given to them.
    fn of(folder: &OwnedFd) -> rustix::io::Result<Option<Self>> {
        let me = rustix::process::geteuid();
        if !me.is_root() {
            return Ok(None);
        }
        let found = rustix::fs::fstat(folder)?;
        let owner = Self { user: Uid::from_raw(found.st_uid), group: Gid::from_raw(found.st_gid) };
        Ok((owner.user != me).then_some(owner))
    }

    /// Gives an open file or folder to its owner. A file system without owners leaves it as it is.
    fn give(owner: Option<Self>, to_give: impl AsFd) -> rustix::io::Result<()> {
        let Some(Self { user, group }) = owner else { return Ok(()) };
        match rustix::fs::fchown(to_give, Some(user), Some(group)) {
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            given => given,
        }
    }
}

impl LocalDisk {
    /// Opens a folder that is there.
    pub fn open(root: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = rustix::fs::open(root, flags, Mode::empty()).map_err(|e| Error::io("open store", root, e))?;
        let owner = Owner::of(&handle).map_err(|e| Error::io("open store", root, e))?;
        Ok(Self { root: root.to_owned(), handle, owner, watch: None })
    }

    /// Reports waits for locks that take long to `watch`.
    #[must_use]
    pub fn watched(self, watch: impl Fn(LockWait) + Send + Sync + 'static) -> Self {
        Self { watch: Some(Box::new(watch)), ..self }
    }

    /// Creates the folder (mode 0700), and those above it, where they are missing; then opens it.
    pub fn create(root: &Path) -> Result<Self> {
        if !root.is_dir() {
            let parent = root.parent().filter(|parent| !parent.as_os_str().is_empty());
            let missing = missing_folders(root);
            if let Some(parent) = parent {
                create_folders(parent)?;
            }
            let fail = |e: std::io::Error| Error::io("create store folder", root, e);
            match std::fs::DirBuilder::new().mode(0o700).create(root) {
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                made => {
                    made.and_then(|()| std::fs::set_permissions(root, Permissions::from_mode(0o700))).map_err(fail)?
                }
            }
            for folder in missing {
                give_to_owner_of_parent(folder)?;
            }
            if let Some(parent) = parent {
                let folder = File::open(parent).map_err(|e| Error::io("open folder", parent, e))?;
                folder.sync_all().map_err(|e| Error::io("sync folder", parent, e))?;
            }
        }
        Self::open(root)
    }

    /// The path of the folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Opens a file that belongs to the store: a regular one.
    fn open_file(&self, name: &str, flags: OFlags, operation: &str) -> Result<File> {
        let wrong = |detail| Error::corrupt(operation, self.display(name), detail).with_hint(ASIDE_HINT);
        let fd = open_beneath(&self.handle, name, flags | OFlags::CLOEXEC | OFlags::NONBLOCK);
        let file = fd.map(File::from).map_err(|e| match e {
            Errno::LOOP => wrong("a symlink leads to it, and there are none in a store"),
            Errno::ISDIR | Errno::NXIO => wrong("it is not a regular file"),
            e => Error::io(operation, self.path(name), e),
        })?;
        if file.metadata().map_err(|e| Error::io(operation, self.path(name), e))?.is_file() {
            return Ok(file);
        }
        Err(wrong("it is not a regular file"))
    }

    /// As [`Self::open_file`]; creates the file with mode 0600 where it is missing, whatever the umask.
    fn open_or_create(&self, name: &str, flags: OFlags, operation: &str) -> Result<File> {
        let fail = |e: Errno| Error::io(operation, self.path(name), e);
        loop {
            match self.open_file(name, flags, operation) {
                Err(error) if error.io_kind() == Some(std::io::ErrorKind::NotFound) => {}
                opened => return opened,
            }
            let made = flags | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            match open_beneath(&self.handle, name, made) {
                // Another process created it in the meantime.
                Err(Errno::EXIST) => {}
                made => {
                    let file = made.map_err(fail)?;
                    rustix::fs::fchmod(&file, FILE_MODE).map_err(fail)?;
                    Owner::give(self.owner, &file).map_err(fail)?;
                    return Ok(file.into());
                }
            }
        }
    }

    /// The folder that a name is in, opened without following symlinks, and the last part of the name.
    fn parent<'n>(&self, name: &'n str, operation: &str) -> Result<(File, &'n str)> {
        let folder = self.open_folder(folder_of(name), operation)?;
        Ok((folder, name.rsplit_once('/').map_or(name, |(_, last)| last)))
    }

    fn open_folder(&self, folder: &str, operation: &str) -> Result<File> {
        let name = if folder.is_empty() { "." } else { folder };
        let fd = open_beneath(&self.handle, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC);
        fd.map(File::from).map_err(|e| match e {
            Errno::LOOP | Errno::NOTDIR => {
                Error::corrupt(operation, self.display(folder), "it is not a folder").with_hint(ASIDE_HINT)
            }
            e => Error::io(operation, self.path(folder), e),
        })
    }
}

impl std::fmt::Debug for LocalDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalDisk").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Source for LocalDisk {
    fn open(&self, name: &str) -> Result<Arc<dyn StoredFile>> {
        let file = self.open_file(name, OFlags::RDONLY, "open")?;
        Ok(Arc::new(LocalFile { file, path: self.path(name) }))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>> {
        let handle = match self.open_folder(folder, "list") {
            Err(error) if error.io_kind() == Some(std::io::ErrorKind::NotFound) => return Ok(Vec::new()),
            handle => handle?,
        };
        let fail = |e: Errno| Error::io("list", self.path(folder), e);
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&handle).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            match entry.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => names.push(name.to_owned()),
            }
        }
        names.sort();
        Ok(names)
    }

    fn display(&self, name: &str) -> String {
        crate::error::shown(&self.path(name))
    }
}

impl Disk for LocalDisk {
    fn map(&self, name: &str) -> Result<Bytes> {
        let file = self.open_file(name, OFlags::RDONLY, "open")?;
        if file.metadata().map_err(|e| Error::io("look at", self.path(name), e))?.len() == 0 {
            return Ok(Bytes::owned(Vec::new()));
        }
        #[expect(unsafe_code, reason = "caches are replaced by rename or appended to, never cut or written in place")]
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(|e| Error::io("map", self.path(name), e))?;
        Ok(Bytes(Holder::Mapped(map)))
    }

    fn create_folder(&self, folder: &str) -> Result<()> {
        let (parent, name) = match self.parent(folder, "create folder") {
            Err(error) if error.kind() == ErrorKind::NotFound && !folder_of(folder).is_empty() => {
                self.create_folder(folder_of(folder))?;
                self.parent(folder, "create folder")?
            }
            parent => parent?,
        };
        let fail = |e: Errno| Error::io("create folder", self.path(folder), e);
        match rustix::fs::mkdirat(&parent, name, FOLDER_MODE) {
            Err(Errno::EXIST) => Ok(()),
            made => {
                made.map_err(fail)?;
                rustix::fs::chmodat(&parent, name, FOLDER_MODE, AtFlags::empty()).map_err(fail)?;
                if self.owner.is_some() {
                    let made = self.open_folder(folder, "create folder")?;
                    Owner::give(self.owner, &made).map_err(fail)?;
                }
                parent.sync_all().map_err(|e| Error::io("sync folder", self.path(folder_of(folder)), e))
            }
        }
    }

    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> Result<()> {
        let file = self.open_or_create(name, OFlags::WRONLY, "write")?;
        file.write_all_at(bytes, offset).map_err(|e| Error::io("write", self.path(name), e))
    }

    fn truncate(&self, name: &str, length_bytes: u64) -> Result<()> {
        let file = self.open_file(name, OFlags::WRONLY, "cut")?;
        file.set_len(length_bytes).map_err(|e| Error::io("cut", self.path(name), e))
    }

    fn sync(&self, name: &str) -> Result<()> {
        let file = self.open_file(name, OFlags::RDONLY, "sync")?;
        file.sync_data().map_err(|e| Error::io("sync", self.path(name), e))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let (from_folder, from) = self.parent(from, "rename")?;
        let (to_folder, last) = self.parent(to, "rename to")?;
        rustix::fs::renameat(&from_folder, from, &to_folder, last).map_err(|e| Error::io("rename to", self.path(to), e))
    }

    fn sync_folder(&self, folder: &str) -> Result<()> {
        let handle = self.open_folder(folder, "sync folder")?;
        handle.sync_all().map_err(|e| Error::io("sync folder", self.path(folder), e))
    }

    fn remove(&self, name: &str) -> Result<()> {
        let (folder, last) = match self.parent(name, "remove") {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            parent => parent?,
        };
        match rustix::fs::unlinkat(&folder, last, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            done => done.map_err(|e| Error::io("remove", self.path(name), e)),
        }
    }

    fn lock(&self, name: &str, mode: LockMode) -> Result<Option<LockGuard>> {
        let fail = |e: std::io::Error| Error::io("lock", self.path(name), e);
        loop {
            let file = self.open_or_create(name, OFlags::RDWR, "lock")?;
            match mode {
                LockMode::Shared | LockMode::Exclusive => {
                    let is_shared = mode == LockMode::Shared;
                    wait::lock(&file, is_shared, &self.display(name), self.watch.as_deref()).map_err(fail)?;
                }
                LockMode::TryExclusive => match file.try_lock() {
                    Err(TryLockError::WouldBlock) => return Ok(None),
                    Err(TryLockError::Error(e)) => return Err(fail(e)),
                    Ok(()) => {}
                },
            }
            // Another process may have taken the file for a stray and removed it before it was locked. A lock on a file
            // without a name excludes nobody.
            let locked = FolderId::of_open(&file).map_err(|e| fail(e.into()))?;
            match rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(named) if FolderId::of(&named) == locked => return Ok(Some(LockGuard(Box::new(file)))),
                Ok(_) | Err(Errno::NOENT) => {}
                Err(e) => return Err(fail(e.into())),
            }
        }
    }

    fn file_clock(&self) -> Result<FileClock> {
        let name = "lock";
        let fail = |e: std::io::Error| Error::io("read the file clock with", self.path(name), e);
        let file = self.open_or_create(name, OFlags::RDWR, "touch")?;
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let touched = rustix::fs::futimens(file.as_fd(), &Timestamps { last_access: now, last_modification: now });
        touched.map_err(|e| fail(e.into()))?;
        let found = file.metadata().map_err(fail)?;
        Ok(FileClock { device: found.dev(), time_ns: found.mtime() * 1_000_000_000 + found.mtime_nsec() })
    }

    fn random(&self) -> [u8; 16] {
        let mut bytes = [0_u8; 16];
        let mut filled = 0;
        while filled < bytes.len() {
            let read = rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty());
            match read {
                Ok(count) => filled += count,
                Err(Errno::INTR) => {}
                Err(_) => unreachable!("the kernel has random bytes once it has booted"),
            }
        }
        bytes
    }

    fn places(&self) -> Result<Vec<FolderId>> {
        let fail = |e: Errno| Error::io("look at", &self.root, e);
        let mut places = vec![FolderId::of_open(&self.handle).map_err(fail)?];
        for name in self.list("")? {
            match rustix::fs::statat(&self.handle, &*name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::Directory => {
                    places.push(FolderId::of(&found));
                }
                Ok(_) | Err(Errno::NOENT) => {}
                Err(e) => return Err(fail(e)),
            }
        }
        Ok(places)
    }
}

impl StoredFile for LocalFile {
    fn length(&self) -> Result<u64> {
        self.file.metadata().map(|found| found.len()).map_err(|e| Error::io("look at", &self.path, e))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        super::read_full(&self.file, offset, buffer).map_err(|e| Error::io("read", &self.path, e))
    }
}

/// Opens a name below the store folder, following no symlink in any part of it.
#[cfg(all(target_os = "linux", not(feature = "portable")))]
fn open_beneath(folder: &OwnedFd, name: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::ResolveFlags;
    let mode = if flags.contains(OFlags::CREATE) { FILE_MODE } else { Mode::empty() };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match rustix::fs::openat2(folder, name, flags, mode, resolve) {
        // Old container runtimes answer unknown system calls with EPERM.
        Err(Errno::NOSYS | Errno::PERM) => open_by_names(folder, name, flags),
        opened => opened,
    }
}

/// Opens a name below the store folder, following no symlink in any part of it.
#[cfg(any(not(target_os = "linux"), feature = "portable"))]
fn open_beneath(folder: &OwnedFd, name: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    open_by_names(folder, name, flags)
}

/// As `open_beneath`, one part of the name after another, for systems without `openat2`.
fn open_by_names(folder: &OwnedFd, name: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let Some((above, last)) = name.rsplit_once('/') else {
        return rustix::fs::openat(folder, name, flags | OFlags::NOFOLLOW, FILE_MODE);
    };
    let between = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut handle = rustix::fs::openat(folder, ".", between, Mode::empty())?;
    for part in above.split('/') {
        handle = rustix::fs::openat(&handle, part, between, Mode::empty())?;
    }
    rustix::fs::openat(&handle, last, flags | OFlags::NOFOLLOW, FILE_MODE)
}
