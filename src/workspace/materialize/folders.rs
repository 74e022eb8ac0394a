//! The folders of a live workspace while changes are applied: opens them, makes read-only ones writable, sets their
//! modes.
//!
//! A folder that its owner may not write, list or enter gets these rights while changes are applied. One list holds
//! these folders, the created ones, and those that are to get another mode. [`Folders::set_modes`] processes it deepest
//! first, because a folder that cannot be entered hides everything below it. It is called at the end, whether the
//! changes succeeded or not.
//!
//! Protected folders are never opened, see [`crate::workspace::protected`].
//!
//! Rights are added only where needed: when opening fails, and to folders in which something is written. Other users'
//! folders stay as they are, and the system decides.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::at::{Found, change_mode_at, found, set_mode};
use super::attributes::{TargetAttributes, complete, with_mask};
use super::{Applied, KeptReason, OWNER_RIGHTS, kept_because};
use crate::disk::FolderId;
use crate::error::Error;
use crate::format::tree::EntryKind;
use crate::path::TreePath;
use crate::workspace::beneath::{Root, open_folder, sync_file_system};
use crate::workspace::protected::Protection;
use crate::workspace::stat::permissions;

/// The folders of one workspace.
#[derive(Debug)]
pub(super) struct Folders<'a> {
    root: &'a Root,
    at_end: Mutex<BTreeMap<TreePath, AtEnd>>,
    /// Folders that were checked and are not protected.
    free: Mutex<BTreeSet<TreePath>>,
    attributes: Option<&'a TargetAttributes>,
    /// Device number of the root.
    device: u64,
    /// One handle for each other file system, for syncing it.
    devices: Mutex<BTreeMap<u64, OwnedFd>>,
}

/// The version control folders, relative to a folder beside them.
const VERSION_CONTROL_BESIDE: [&str; 4] = ["../.git", "../.hg", "../.jj", "../.svn"];

/// The reason why a folder is not opened.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refused {
    /// It is protected, or lies in a protected folder.
    Protected(Protection),
    /// The system refused.
    Failed(Errno),
}

/// The final mode of a folder, and the reason why it is set at the end.
#[derive(Clone, Copy, Debug)]
struct AtEnd {
    mode: u16,
    reason: Reason,
}

/// The reason why the mode of a folder is set at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// Its owner got rights that were missing.
    Loosened,
    /// It is new.
    Created,
    /// It is to get another mode.
    Mode,
    /// It is to get other attributes, and its mode.
    Attributes,
}

impl From<Errno> for Refused {
    fn from(errno: Errno) -> Self {
        Self::Failed(errno)
    }
}

impl<'a> Folders<'a> {
    pub(super) fn new(root: &'a Root, attributes: Option<&'a TargetAttributes>) -> Self {
        let device = FolderId::of_open(root.handle()).map_or(0, |root| root.device);
        let (at_end, free, devices) = (Mutex::default(), Mutex::default(), Mutex::default());
        root.forget_way();
        Self { root, at_end, free, attributes, device, devices }
    }

    pub(super) fn root(&self) -> &'a Root {
        self.root
    }

    /// Opens a folder for reading.
    pub(super) fn reach(&self, path: &TreePath) -> Result<OwnedFd, Refused> {
        let handle = match self.root.folder(path) {
            Err(Errno::ACCESS) => {
                self.open_the_way(path)?;
                self.root.folder(path)?
            }
            opened => opened?,
        };
        self.expect_free(path, &handle)?;
        Ok(handle)
    }

    /// Opens a folder for changing its contents.
    pub(super) fn reach_writable(&self, path: &TreePath) -> Result<OwnedFd, Refused> {
        let handle = self.reach(path)?;
        self.loosen(&handle, path)?;
        Ok(handle)
    }

    /// Checks that an open folder and its parents are not protected. The folder itself is checked each time, its
    /// parents once.
    fn expect_free(&self, path: &TreePath, handle: &OwnedFd) -> Result<(), Refused> {
        if path.is_root() {
            return Ok(());
        }
        self.expect_none(handle)?;
        let mut unknown = Vec::new();
        let mut nearest = path.parent().expect("it is not the root");
        {
            let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            while !nearest.is_root() && !free.contains(&nearest) {
                unknown.push(nearest.name().expect("it is not the root").to_vec());
                nearest = nearest.parent().expect("it is not the root");
            }
        }
        let mut above = match unknown.is_empty() {
            true => None,
            false => Some(self.root.folder(&nearest)?),
        };
        while let (Some(folder), Some(name)) = (&above, unknown.pop()) {
            let next = open_folder(folder, &name)?;
            self.expect_none(&next)?;
            nearest = nearest.join(&name);
            self.note_free(nearest.clone());
            above = Some(next);
        }
        self.note_free(path.clone());
        Ok(())
    }

    fn expect_none(&self, handle: &OwnedFd) -> Result<(), Refused> {
        let own = FolderId::of_open(handle)?;
        if let Some(protection) = self.root.protected().at(own) {
            return Err(Refused::Protected(protection));
        }
        // Checks whether it is one of these in its parent, under whatever name it was opened.
        for name in VERSION_CONTROL_BESIDE {
            match rustix::fs::statat(handle, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if FolderId::of(&stat) == own => return Err(Refused::Protected(Protection::VersionControl)),
                _ => {}
            }
        }
        self.note_device(own.device, handle)?;
        Ok(())
    }

    /// Makes all changes durable, on every file system that has any.
    pub(super) fn sync(&self) -> crate::error::Result<()> {
        let fail = |e: Errno| Error::io("sync", self.root.path(), e);
        sync_file_system(self.root.handle()).map_err(fail)?;
        let devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        devices.values().try_for_each(sync_file_system).map_err(fail)
    }

    fn note_device(&self, device: u64, handle: &OwnedFd) -> rustix::io::Result<()> {
        if device == self.device {
            return Ok(());
        }
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        if let std::collections::btree_map::Entry::Vacant(place) = devices.entry(device) {
            place.insert(rustix::io::fcntl_dupfd_cloexec(handle, 0)?);
        }
        Ok(())
    }

    fn note_free(&self, path: TreePath) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
    }

    /// Makes an open folder writable for its owner.
    pub(super) fn loosen(&self, handle: &OwnedFd, path: &TreePath) -> rustix::io::Result<()> {
        // The list is locked first, so that a thread that finds the folder writable also finds its true mode recorded.
        let mut at_end = self.at_end();
        let mode = permissions(&rustix::fs::fstat(handle)?);
        if mode & OWNER_RIGHTS == OWNER_RIGHTS {
            return Ok(());
        }
        match set_mode(handle, mode | OWNER_RIGHTS) {
            Ok(_) => {
                at_end.entry(path.clone()).or_insert(AtEnd { mode, reason: Reason::Loosened });
                Ok(())
            }
            Err(Errno::PERM) => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Records the final mode of a folder.
    pub(super) fn set_at_end(&self, path: &TreePath, mode: u16, reason: Reason) {
        self.at_end().insert(path.clone(), AtEnd { mode, reason });
    }

    /// Sets the mode and attributes of a folder; returns the reason if something could not be set.
    fn finish(&self, path: &TreePath, at_end: AtEnd, syncs: bool) -> Result<Option<KeptReason>, Refused> {
        let handle = self.reach(path)?;
        let mode = at_end.mode;
        let inexact = match at_end.reason {
            Reason::Created | Reason::Attributes => {
                let want = self.attributes.map(|wanted| wanted.here(path)).unwrap_or_default();
                complete(&handle, mode, &want)?
            }
            Reason::Loosened => (!set_mode(&handle, mode)?).then_some(KeptReason::ModeRefused),
            Reason::Mode => (!set_mode(&handle, with_mask(&handle, mode)?)?).then_some(KeptReason::ModeRefused),
        };
        if syncs {
            rustix::fs::fsync(&handle)?;
        }
        Ok(inexact)
    }

    /// Records that a folder was removed.
    pub(super) fn removed(&self, path: &TreePath) {
        self.root.forget_below(path);
        self.at_end().remove(path);
    }

    /// Sets the mode of every folder in the list. Continues after an error, and returns the first.
    pub(super) fn set_modes(&self, applied: &mut Applied, syncs: bool) -> crate::error::Result<()> {
        let mut first_error = None;
        loop {
            // A path sorts after its parents, and opening it can add only these to the list.
            let Some((path, at_end)) = self.at_end().pop_last() else {
                break;
            };
            let finished = self.finish(&path, at_end, syncs);
            self.at_end().remove(&path);
            match finished {
                Ok(reason) => {
                    applied.mode_changed += u64::from(at_end.reason == Reason::Mode);
                    applied.attributes_changed += u64::from(at_end.reason == Reason::Attributes);
                    applied.keep(&path, reason);
                }
                Err(refused) => match kept_because(refused) {
                    Ok(_) if at_end.reason == Reason::Loosened => {}
                    Ok(reason) => applied.keep(&path, Some(reason)),
                    Err(e) => {
                        first_error.get_or_insert_with(|| Error::io("set mode of", self.root.display(&path), e));
                    }
                },
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Gives the owner all rights to the folders on the way to `path`, and to itself, from the root downwards.
    fn open_the_way(&self, path: &TreePath) -> rustix::io::Result<()> {
        let mut folder = TreePath::root();
        self.loosen(self.root.handle(), &folder)?;
        let mut handle = self.root.folder(&folder)?;
        for name in path.names() {
            folder = folder.join(name);
            self.loosen_at(&handle, name, &folder)?;
            handle = open_folder(&handle, name)?;
        }
        Ok(())
    }

    /// As [`Self::loosen`], for a folder that cannot be opened yet.
    fn loosen_at(&self, parent: &OwnedFd, name: &[u8], path: &TreePath) -> rustix::io::Result<()> {
        let mut at_end = self.at_end();
        let mut before = None;
        let changed = change_mode_at(parent, name, |stat| {
            let mode = permissions(stat);
            let is_free = self.root.protected().at(FolderId::of(stat)).is_none();
            let is_folder = found(stat) == Found::Entry(EntryKind::Folder);
            let is_tight = is_folder && is_free && mode & OWNER_RIGHTS != OWNER_RIGHTS;
            before = is_tight.then_some(mode);
            before.map(|mode| mode | OWNER_RIGHTS)
        });
        match (changed, before) {
            (Ok(Some(_)), Some(mode)) => {
                at_end.entry(path.clone()).or_insert(AtEnd { mode, reason: Reason::Loosened });
                Ok(())
            }
            (Ok(_) | Err(Errno::PERM), _) => Ok(()),
            (Err(e), _) => Err(e),
        }
    }

    fn at_end(&self) -> std::sync::MutexGuard<'_, BTreeMap<TreePath, AtEnd>> {
        self.at_end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
