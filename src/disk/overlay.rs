//! A disk over another one, for dry runs: it reads from the disk below, and keeps its own changes elsewhere.
//!
//! A dry run is the real run on an overlay, so it reports exactly the changes of the real run. Changed files are
//! temporary files that are unlinked as soon as they are open: a process that dies leaves nothing, and memory does not
//! grow with the length of the files.
//!
//! Invariants: the disk below never changes. Nobody else sees the changes, so every lock is granted. The caller sees to
//! it that others do not change the files below meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{Mode, OFlags};

use super::local::LocalFile;
use super::{
    Bytes, Disk, FileClock, FolderId, LockGuard, LockMode, Source, StoredFile, folder_of, read_all, read_pieces,
};
use crate::error::{Error, ErrorKind, Result};
use crate::id::to_hex;

/// A disk over another one.
#[derive(Debug)]
pub struct Overlay {
    below: Arc<dyn Disk>,
    scratch: PathBuf,
    names: Mutex<BTreeMap<String, Held>>,
}

/// The file of a name, where it is not the same as below.
#[derive(Clone, Debug)]
enum Held {
    /// A file of the disk below, under another name.
    Below(Arc<dyn StoredFile>),
    Written(Arc<LocalFile>),
    Removed,
}

impl Overlay {
    /// An overlay that keeps its changes in the folder `scratch`.
    pub fn new(below: Arc<dyn Disk>, scratch: &Path) -> Self {
        Self { below, scratch: scratch.to_owned(), names: Mutex::default() }
    }

    fn names(&self) -> MutexGuard<'_, BTreeMap<String, Held>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn missing(&self, operation: &str, name: &str) -> Error {
        Error::io(operation, Path::new(&self.display(name)), std::io::Error::from(std::io::ErrorKind::NotFound))
    }

    /// Makes an empty file.
    fn scratch(&self, name: &str) -> Result<Arc<LocalFile>> {
        let path = self.scratch.join(format!("retro-{}", to_hex(&self.below.random())));
        let fail = |e| Error::io("create temporary file", &path, e);
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR).map_err(fail)?;
        rustix::fs::unlink(&path).map_err(fail)?;
        Ok(Arc::new(LocalFile { file: file.into(), path: PathBuf::from(self.display(name)) }))
    }

    fn held_of(&self, name: &str) -> Option<Held> {
        Self::held(&self.names(), name)
    }

    /// The changed file of a name; `None` where it is as below.
    fn held(names: &BTreeMap<String, Held>, name: &str) -> Option<Held> {
        if let Some(held) = names.get(name) {
            return Some(held.clone());
        }
        // A file in a removed folder is removed as well.
        let mut folder = folder_of(name);
        while !folder.is_empty() {
            if names.contains_key(folder) {
                return Some(Held::Removed);
            }
            folder = folder_of(folder);
        }
        None
    }

    /// The file to write to, with the bytes that the name has already.
    fn written(&self, name: &str, operation: &str, is_created: bool) -> Result<Arc<LocalFile>> {
        let mut names = self.names();
        let from = match Self::held(&names, name) {
            Some(Held::Written(file)) => return Ok(file),
            Some(Held::Below(file)) => Some(file),
            Some(Held::Removed) => None,
            None => match self.below.open(name) {
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                file => Some(file?),
            },
        };
        if from.is_none() && !is_created {
            return Err(self.missing(operation, name));
        }
        let file = self.scratch(name)?;
        if let Some(from) = from {
            read_pieces(&*from, 0..u64::MAX, |at, piece| write(&file, at, piece))?;
        }
        names.insert(name.to_owned(), Held::Written(Arc::clone(&file)));
        Ok(file)
    }
}

impl Source for Overlay {
    fn open(&self, name: &str) -> Result<Arc<dyn StoredFile>> {
        match self.held_of(name) {
            Some(Held::Below(file)) => Ok(file),
            Some(Held::Written(file)) => Ok(file),
            Some(Held::Removed) => Err(self.missing("open", name)),
            None => self.below.open(name),
        }
    }

    fn list(&self, folder: &str) -> Result<Vec<String>> {
        let names = self.names();
        let is_as_below = folder.is_empty() || Self::held(&names, folder).is_none();
        let below = if is_as_below { self.below.list(folder)? } else { Vec::new() };
        let mut found: BTreeSet<String> = below.into_iter().collect();
        let start = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        for (name, held) in names.range(start.clone()..).take_while(|(name, _)| name.starts_with(&start)) {
            let rest = &name[start.len()..];
            match (rest.split_once('/'), held) {
                (None, Held::Removed) => drop(found.remove(rest)),
                (Some(_), Held::Removed) => {}
                (Some((first, _)), _) => drop(found.insert(first.to_owned())),
                (None, _) => drop(found.insert(rest.to_owned())),
            }
        }
        Ok(found.into_iter().collect())
    }

    fn display(&self, name: &str) -> String {
        self.below.display(name)
    }
}

impl Disk for Overlay {
    fn map(&self, name: &str) -> Result<Bytes> {
        match self.held_of(name) {
            None => self.below.map(name),
            Some(_) => read_all(self, name).map(Bytes::owned),
        }
    }

    /// Files need no folders here. A file in the place of the folder is an error, as it is below.
    fn create_folder(&self, folder: &str) -> Result<()> {
        match self.held_of(folder) {
            None => self.below.list(folder).map(drop),
            Some(_) => Ok(()),
        }
    }

    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> Result<()> {
        write(&*self.written(name, "write", true)?, offset, bytes)
    }

    fn truncate(&self, name: &str, length_bytes: u64) -> Result<()> {
        let file = self.written(name, "cut", false)?;
        file.file.set_len(length_bytes).map_err(|e| Error::io("cut a temporary copy of", &file.path, e))
    }

    fn sync(&self, name: &str) -> Result<()> {
        self.open(name).map(drop)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let mut names = self.names();
        let held = match Self::held(&names, from) {
            Some(Held::Removed) => return Err(self.missing("rename", from)),
            Some(held) => held,
            None => match self.below.open(from) {
                // It is not a file. Nobody opens it under its new name either.
                Err(error) if error.kind() == ErrorKind::Corrupt => Held::Written(self.scratch(to)?),
                file => Held::Below(file?),
            },
        };
        names.insert(from.to_owned(), Held::Removed);
        names.insert(to.to_owned(), held);
        Ok(())
    }

    fn sync_folder(&self, _folder: &str) -> Result<()> {
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.names().insert(name.to_owned(), Held::Removed);
        Ok(())
    }

    fn lock(&self, name: &str, _mode: LockMode) -> Result<Option<LockGuard>> {
        if self.open(name).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            self.written(name, "lock", true)?;
        }
        Ok(Some(LockGuard(Box::new(()))))
    }

    fn file_clock(&self) -> Result<FileClock> {
        let touched = self.scratch("lock")?;
        let found = touched.file.metadata().map_err(|e| Error::io("read the file clock in", &self.scratch, e))?;
        Ok(FileClock { device: found.dev(), time_ns: found.mtime() * 1_000_000_000 + found.mtime_nsec() })
    }

    fn random(&self) -> [u8; 16] {
        self.below.random()
    }

    fn places(&self) -> Result<Vec<FolderId>> {
        self.below.places()
    }
}

fn write(file: &LocalFile, offset: u64, bytes: &[u8]) -> Result<()> {
    file.file.write_all_at(bytes, offset).map_err(|e| Error::io("write a temporary copy of", &file.path, e))
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryDisk;
    use super::*;

    fn over(files: &[(&str, &[u8])]) -> (MemoryDisk, tempfile::TempDir, Overlay) {
        let below = MemoryDisk::new(1);
        for (name, bytes) in files {
            below.create_folder(folder_of(name)).unwrap();
            below.write(name, 0, bytes).unwrap();
        }
        let scratch = tempfile::tempdir().unwrap();
        let overlay = Overlay::new(Arc::new(below.clone()), scratch.path());
        (below, scratch, overlay)
    }

    #[test]
    fn changes_are_read_back_and_leave_the_disk_below_unchanged() {
        let (below, scratch, overlay) = over(&[("packs/1", b"one"), ("packs/2", b"two")]);
        overlay.write("packs/1", 3, b" and more").unwrap();
        overlay.truncate("packs/2", 1).unwrap();
        overlay.write("packs/3", 0, b"three").unwrap();
        assert_eq!(read_all(&overlay, "packs/1").unwrap(), b"one and more");
        assert_eq!(&*overlay.map("packs/2").unwrap(), b"t");
        assert_eq!(overlay.list("packs").unwrap(), ["1", "2", "3"]);
        assert_eq!(read_all(&below, "packs/1").unwrap(), b"one");
        assert_eq!(read_all(&below, "packs/2").unwrap(), b"two");
        assert_eq!(below.list("packs").unwrap(), ["1", "2"]);
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    }

    #[test]
    fn names_follow_renames_and_removals() {
        let (below, _scratch, overlay) = over(&[("packs/1", b"one"), ("packs/2", b"two")]);
        overlay.rename("packs/1", "quarantine/1").unwrap();
        overlay.remove("packs/2").unwrap();
        overlay.remove("packs/none").unwrap();
        for gone in ["packs/1", "packs/2"] {
            assert_eq!(overlay.open(gone).unwrap_err().kind(), ErrorKind::NotFound);
            assert_eq!(overlay.truncate(gone, 0).unwrap_err().kind(), ErrorKind::NotFound);
            assert_eq!(overlay.rename(gone, "packs/3").unwrap_err().kind(), ErrorKind::NotFound);
        }
        assert!(overlay.list("packs").unwrap().is_empty());
        assert_eq!(overlay.list("").unwrap(), ["packs", "quarantine"]);
        overlay.write("quarantine/1", 0, b"O").unwrap();
        assert_eq!(read_all(&overlay, "quarantine/1").unwrap(), b"One");
        overlay.write("packs/2", 0, b"new").unwrap();
        assert_eq!(read_all(&overlay, "packs/2").unwrap(), b"new");
        assert_eq!(below.list("packs").unwrap(), ["1", "2"]);
        assert!(below.list("quarantine").unwrap().is_empty());
    }

    /// The files of a removed folder are removed as well.
    #[test]
    fn files_of_a_removed_folder_are_gone() {
        let (_below, _scratch, overlay) = over(&[("workspaces/a/stat", b"s")]);
        overlay.rename("workspaces/a/stat", "quarantine/stat").unwrap();
        overlay.names().insert("workspaces/a".to_owned(), Held::Removed);
        assert!(overlay.open("workspaces/a/lock").is_err());
        overlay.create_folder("workspaces/a").unwrap();
        overlay.write("workspaces/a/lock", 0, b"").unwrap();
        assert_eq!(overlay.list("workspaces").unwrap(), ["a"]);
        assert_eq!(overlay.list("workspaces/a").unwrap(), ["lock"]);
    }
}
