//! Names that a file system does not take unchanged: finds them before anything is changed.
//!
//! Most file systems take every name but `.` and `..`. Some treat `A` as `a`, or one encoding of an accent as another,
//! or refuse `a:b`. A restore there could write one file of a step over another, or through `.GIT` into `.git`. There
//! is no list of file systems here: names are tried, with empty files in a temporary folder that is removed at once.
//! File systems that are known to be plain, nearly all, are not tried.
//!
//! ```text
//! folder with new names --> known to be plain?         yes: done
//!                           tried names that differ?  yes: done, for the whole file system
//!                           each doubtful name tried: taken, same as another, refused
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::temporary::{TemporaryNames, remove_trial};
use super::{Action, Kept, KeptReason, Task, is_changed};
use crate::disk::FolderId;
use crate::error::{Error, Result};
use crate::format::tree::EntryKind;
use crate::path::TreePath;
use crate::workspace::beneath::{FOLDER_FLAGS, Root};
use crate::workspace::filesystem::FileSystem;
use crate::workspace::protected::Protection;
use crate::workspace::version_control;

/// The names in a folder, according to a state.
pub type Names = Vec<Box<[u8]>>;

/// Checks new names in a workspace, and remembers the results for its file systems.
pub struct NameCheck<'a> {
    root: &'a Root,
    /// Temporary names for trials; `None` if nothing may be written.
    trial: Option<TemporaryNames>,
    /// By device: true if the file system takes every name unchanged.
    known: BTreeMap<u64, bool>,
}

/// An open folder and, if the requested folder is missing, the topmost missing one.
struct Nearest {
    handle: OwnedFd,
    missing: Option<TreePath>,
}

/// Names that an ordinary file system takes and distinguishes.
const DISTINCT: [&[u8]; 4] = [b"a", b"A", "\u{e9}".as_bytes(), "e\u{301}".as_bytes()];
const ODD: [&[u8]; 4] = [b"a:b", b"a?\x01", b"a. ", b"\xff"];

impl<'a> NameCheck<'a> {
    /// A check of names in `root`. Without `random` nothing is written, and doubtful names are judged by their letters.
    pub fn new(root: &'a Root, random: Option<[u8; 16]>) -> Self {
        Self { root, trial: random.map(TemporaryNames::new), known: BTreeMap::new() }
    }

    /// The actions that are impossible because of their names, with the reasons. `wanted` returns the names that a
    /// folder is to have.
    ///
    /// Paths in a version control folder are always refused.
    pub fn refuse(&mut self, actions: &[Action], wanted: &dyn Fn(&TreePath) -> Result<Names>) -> Result<Vec<Kept>> {
        let mut kept = BTreeSet::new();
        let mut new: BTreeMap<TreePath, BTreeSet<&[u8]>> = BTreeMap::new();
        for action in actions {
            if let Some(path) = version_control_above(action) {
                kept.insert(Kept { path, reason: KeptReason::Protected(Protection::VersionControl) });
            } else if let (true, Some(parent), Some(name)) =
                (action.task == Task::Create, action.path.parent(), action.path.name())
            {
                new.entry(parent).or_default().insert(name);
            }
        }
        // Folders come before their children: everything in a missing folder has the same nearest existing one.
        let mut nearest: Option<Nearest> = None;
        for (folder, names) in new {
            let is_known = nearest.as_ref().and_then(|nearest| nearest.missing.as_ref());
            if !is_known.is_some_and(|missing| folder.is_within(missing)) {
                nearest = self.nearest(&folder)?;
            }
            let Some(Nearest { handle, .. }) = &nearest else { continue };
            if self.is_plain(handle, &folder)? {
                continue;
            }
            let refused = self.refused_in(handle, &folder, &names, &wanted(&folder)?)?;
            kept.extend(refused.into_iter().map(|(name, reason)| Kept { path: folder.join(name), reason }));
        }
        Ok(kept.into_iter().collect())
    }

    /// The folder or, if it is missing, its nearest existing parent.
    fn nearest(&self, folder: &TreePath) -> Result<Option<Nearest>> {
        let mut missing = None;
        for path in std::iter::successors(Some(folder.clone()), TreePath::parent) {
            match self.root.folder(&path) {
                Ok(handle) => return Ok(Some(Nearest { handle, missing })),
                Err(e) if is_changed(e) => missing = Some(path),
                // A folder that may not be read is left to the restore itself.
                Err(Errno::ACCESS) => return Ok(None),
                Err(e) => return Err(self.failed(&path, e)),
            }
        }
        Ok(None)
    }

    /// Returns true if an open folder takes every name unchanged.
    fn is_plain(&mut self, handle: &OwnedFd, path: &TreePath) -> Result<bool> {
        if is_plain_kind(handle) {
            return Ok(true);
        }
        let device = FolderId::of_open(handle).map_err(|e| self.failed(path, e))?.device;
        if let Some(is_plain) = self.known.get(&device) {
            return Ok(*is_plain);
        }
        let is_plain = match &self.trial {
            None => false,
            Some(trial) => {
                let tried = try_names(trial, handle, DISTINCT.into_iter().chain(ODD), &[]);
                match tried {
                    // If nothing can be created, nothing is overwritten: the restore itself will report it.
                    Err(e) if KeptReason::of(e).is_some() => return Ok(true),
                    tried => tried.map_err(|e| self.failed(path, e))?.is_empty(),
                }
            }
        };
        self.known.insert(device, is_plain);
        Ok(is_plain)
    }

    /// The new names that a folder does not take.
    fn refused_in<'n>(
        &self,
        handle: &OwnedFd,
        path: &TreePath,
        names: &BTreeSet<&'n [u8]>,
        wanted: &[Box<[u8]>],
    ) -> Result<Vec<(&'n [u8], KeptReason)>> {
        let key = |name: &[u8]| version_control::fold(&String::from_utf8_lossy(name));
        let mut by_key: BTreeMap<String, u32> = BTreeMap::new();
        wanted.iter().for_each(|name| *by_key.entry(key(name)).or_default() += 1);
        let is_doubtful = |name: &[u8]| {
            by_key.get(&key(name)).is_some_and(|count| *count > 1) || version_control::is_alias(name) || is_odd(name)
        };
        let asked: Vec<&'n [u8]> = names.iter().copied().filter(|name| is_doubtful(name)).collect();
        let beside: Vec<&[u8]> =
            wanted.iter().map(|name| &**name).filter(|name| is_doubtful(name) && !names.contains(name)).collect();
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        match &self.trial {
            Some(trial) => {
                let tried = try_names(trial, handle, asked.iter().copied(), &beside);
                let tried = tried.map_err(|e| self.failed(path, e))?;
                Ok(tried.into_iter().map(|(index, reason)| (asked[index], reason)).collect())
            }
            None => Ok(judged(&asked, &beside, key)),
        }
    }

    fn failed(&self, path: &TreePath, e: Errno) -> Error {
        Error::io("try names in", self.root.display(path), e)
    }
}

/// Returns true if an empty folder takes every name unchanged.
pub(super) fn takes_all_names(root: &Root, random: [u8; 16]) -> Result<bool> {
    NameCheck::new(root, Some(random)).is_plain(root.handle(), &TreePath::root())
}

/// Refused names without a trial: judged by their letters, perhaps more than necessary.
fn judged<'n>(asked: &[&'n [u8]], beside: &[&[u8]], key: impl Fn(&[u8]) -> String) -> Vec<(&'n [u8], KeptReason)> {
    let mut taken: BTreeSet<String> = beside.iter().map(|name| key(name)).collect();
    let judge = |name: &'n [u8]| {
        let is_free = taken.insert(key(name));
        if version_control::is_alias(name) {
            Some((name, KeptReason::Protected(Protection::VersionControl)))
        } else {
            (!is_free).then_some((name, KeptReason::SameName))
        }
    };
    asked.iter().copied().filter_map(judge).collect()
}

/// Tries names in a new folder in `folder`, next to others and the version control folders. Returns the index of each
/// name that is not taken, with the reason.
fn try_names<'n>(
    trial: &TemporaryNames,
    folder: &OwnedFd,
    names: impl Iterator<Item = &'n [u8]>,
    beside: &[&[u8]],
) -> rustix::io::Result<Vec<(usize, KeptReason)>> {
    let (temporary, ()) = trial.make(folder, |name| rustix::fs::mkdirat(folder, name, Mode::RWXU))?;
    let place = rustix::fs::openat(folder, temporary.name(), FOLDER_FLAGS, Mode::empty());
    let refused = place.and_then(|place| tried_in(&place, names, beside));
    remove_trial(folder, temporary.name())?;
    refused
}

fn tried_in<'n>(
    place: &OwnedFd,
    names: impl Iterator<Item = &'n [u8]>,
    beside: &[&[u8]],
) -> rustix::io::Result<Vec<(usize, KeptReason)>> {
    let mut refused = Vec::new();
    for name in version_control::NAMES {
        create(place, name)?;
    }
    for name in beside {
        // These names exist already; an error for one of them does not matter.
        create(place, name).ok();
    }
    for (index, name) in names.enumerate() {
        match create(place, name) {
            Ok(()) => {}
            Err(Errno::EXIST) if opens_version_control(place, name)? => {
                refused.push((index, KeptReason::Protected(Protection::VersionControl)));
            }
            Err(Errno::EXIST) => refused.push((index, KeptReason::SameName)),
            Err(e) => refused.push((index, KeptReason::of(e).map_or(Err(e), |_| Ok(KeptReason::BadName))?)),
        }
    }
    Ok(refused)
}

/// Returns true if a name opens one of the version control folders in a trial folder.
fn opens_version_control(place: &OwnedFd, name: &[u8]) -> rustix::io::Result<bool> {
    let look = |name: &[u8]| rustix::fs::statat(place, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| FolderId::of(&stat));
    let found = look(name)?;
    for own in version_control::NAMES {
        if look(own)? == found {
            return Ok(true);
        }
    }
    Ok(false)
}

fn create(place: &OwnedFd, name: &[u8]) -> rustix::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(place, name, flags, Mode::RUSR | Mode::WUSR).map(drop)
}

/// The path of the version control folder that an action changes, or in which its path lies.
fn version_control_above(action: &Action) -> Option<TreePath> {
    let path = &action.path;
    // A quick test, because nearly no path contains one.
    if !path.as_bytes().windows(3).any(|part| matches!(part, b".gi" | b".hg" | b".jj" | b".sv")) {
        return None;
    }
    let depth = path.depth();
    let mut above = TreePath::root();
    for (index, name) in path.names().enumerate() {
        above = above.join(name);
        if version_control::is_exact(name, index + 1 < depth || action.kind == EntryKind::Folder) {
            return Some(above);
        }
    }
    None
}

/// Returns true if some file system may refuse this name or change it.
fn is_odd(name: &[u8]) -> bool {
    let is_odd_byte =
        |byte: &u8| matches!(byte, 0..=31 | 127.. | b'"' | b'*' | b':' | b'<' | b'>' | b'?' | b'\\' | b'|');
    let stem = name.split(|&byte| byte == b'.').next().unwrap_or_default();
    let is_device = matches!(stem.len(), 3 | 4) && is_device_name(stem);
    name.iter().any(is_odd_byte) || name.ends_with(b".") || name.ends_with(b" ") || is_device || name.len() > 60
}

/// Returns true for names of devices in DOS and its successors.
fn is_device_name(stem: &[u8]) -> bool {
    let stem = stem.to_ascii_lowercase();
    matches!(&*stem, b"con" | b"prn" | b"aux" | b"nul")
        || (stem.len() == 4 && (stem.starts_with(b"com") || stem.starts_with(b"lpt")) && stem[3].is_ascii_digit())
}

/// Returns true if this kind of file system takes every name unchanged; false if that has to be tried.
fn is_plain_kind(handle: &OwnedFd) -> bool {
    match FileSystem::of(handle).name {
        // These never fold names.
        "btrfs" | "overlay" => true,
        // A folder that folds names has a flag, `FS_CASEFOLD_FL`.
        #[cfg(all(target_os = "linux", not(feature = "portable")))]
        "ext4" | "f2fs" | "tmpfs" => {
            !rustix::fs::ioctl_getflags(handle).is_ok_and(|flags| flags.bits() & 0x4000_0000 != 0)
        }
        _ => false,
    }
}
