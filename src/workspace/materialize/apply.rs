//! Applies a list of changes to a live workspace, in an order that makes each of them possible.
//!
//! ```text
//! removals        deepest first, so that a folder is empty when it is removed
//! new folders     outermost first, closed to others until the end
//! files, links    in parallel: written without a name, given their mode, and renamed, see `temporary`
//! folder modes    deepest first, see `folders`
//! ```
//!
//! Each path is checked right before it is overwritten or removed. A new path is created only while nothing is there,
//! which the kernel checks (`RENAME_NOREPLACE`). Between the check and the rename of a path to be overwritten, another
//! process can still create a file there and lose it. A symlink created there is replaced, not followed.

use std::os::fd::OwnedFd;

use rayon::prelude::*;
use rustix::fs::{AtFlags, Mode, RenameFlags};
use rustix::io::Errno;

use super::at::{Found, READ_FLAGS, change_mode_at, found, found_at, open_to_owner};
use super::attributes::{Given, WantedAttributes, complete, complete_new, complete_symlink, of, strip};
use super::content::{self, Content};
use super::folders::{Folders, Reason, Refused};
use super::temporary::{Temporary, TemporaryNames};
use super::{Action, Applied, KeptReason, Options, Task, kept_because, pieces};
use crate::disk::FolderId;
use crate::error::{Error, ErrorKind, Result};
use crate::format::attributes::Attributes;
use crate::format::tree::EntryKind;
use crate::id::BlobId;
use crate::path::TreePath;
use crate::progress::Event;
use crate::store::Store;
use crate::workspace::attributes::owner_of;
use crate::workspace::beneath::{Root, SYNCS_FILE_SYSTEMS, open_folder, sync_file_system};
use crate::workspace::protected::Protection;

/// Applies `actions` to the workspace at `root`; their order does not matter.
///
/// A path that is in the way, or may not be changed, is kept and reported. An error of the store, or one that the next
/// path would meet too, stops the restore. Every file is then either old or new, and read-only folders have their modes
/// back.
pub fn apply(store: &Store, root: &Root, actions: &[Action], options: &Options<'_>) -> Result<Applied> {
    refuse_root(actions)?;
    let names = TemporaryNames::new(store.disk().random());
    let syncs_each = options.durable && (actions.len() <= SYNC_EACH_MAX || !SYNCS_FILE_SYSTEMS);
    let folders = Folders::new(root, options.attributes);
    let applying = Applying { store, folders, options, names, syncs_each };
    let mut applied = Applied::default();
    let outcome = applying.run(actions, &mut applied);
    let modes_set = applying.folders.set_modes(&mut applied, syncs_each);
    let synced = if options.durable && !syncs_each { applying.folders.sync() } else { Ok(()) };
    outcome.and(modes_set).and(synced).map_err(|error| match error.hint() {
        None => error.with_hint("when the cause is gone, run the same restore again: it does the rest"),
        Some(_) => error,
    })?;
    applied.sort_kept();
    Ok(applied)
}

/// Number of changes up to which each is synced on its own: two calls for each, and one for each folder. For more
/// changes, syncing the whole file system takes less time.
const SYNC_EACH_MAX: usize = 4;

struct Applying<'a> {
    store: &'a Store,
    folders: Folders<'a>,
    options: &'a Options<'a>,
    names: TemporaryNames,
    /// True if each change is synced on its own.
    syncs_each: bool,
}

/// An open folder and its path.
struct Folder {
    path: TreePath,
    handle: OwnedFd,
    /// Owner and ACL of a new file in it.
    given: Given,
}

impl Applying<'_> {
    fn run(&self, actions: &[Action], applied: &mut Applied) -> Result<()> {
        let (mut removed, mut created, mut changed) = (Vec::new(), Vec::new(), Vec::new());
        for action in actions {
            match (action.task, action.kind) {
                (Task::Remove, _) => removed.push(action),
                (Task::SetMode | Task::SetAttributes, EntryKind::Folder) => {}
                (_, EntryKind::Folder) => created.push(action),
                _ => changed.push(action),
            }
        }
        removed.sort_unstable_by(|one, other| other.path.cmp(&one.path));
        created.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        changed.sort_unstable_by_key(|action| (folder_part(&action.path), action.path.as_bytes()));
        for siblings in removed.chunk_by(are_siblings) {
            self.in_folder(siblings, applied, &mut |folder, action, applied| self.remove(folder, action, applied))?;
        }
        for siblings in created.chunk_by(are_siblings) {
            self.in_folder(siblings, applied, &mut |folder, action, applied| self.create(folder, action, applied))?;
        }
        let written = self.change_all(&changed)?;
        *applied = std::mem::take(applied).and(written);
        for Action { path, task, mode, .. } in actions.iter().filter(|action| action.kind == EntryKind::Folder) {
            match task {
                Task::SetMode => self.folders.set_at_end(path, *mode, Reason::Mode),
                Task::SetAttributes => self.folders.set_at_end(path, *mode, Reason::Attributes),
                _ => {}
            }
        }
        Ok(())
    }

    /// Opens the folder of `siblings` and passes each of them on. If the folder cannot be opened, they are kept.
    fn in_folder(
        &self,
        siblings: &[&Action],
        applied: &mut Applied,
        perform: &mut dyn FnMut(&Folder, &Action, &mut Applied) -> Result<()>,
    ) -> Result<()> {
        let path = siblings[0].path.parent().expect("the root was refused");
        let is_change = |action: &&Action| matches!(action.task, Task::SetMode | Task::SetAttributes);
        let opened = match siblings.iter().all(is_change) {
            true => self.folders.reach(&path),
            false => self.folders.reach_writable(&path),
        };
        let handle = match opened {
            // If the folder is gone, so are its contents.
            Err(Refused::Failed(Errno::NOENT)) if siblings[0].task == Task::Remove => return Ok(()),
            Err(refused) => {
                let reason = kept_because(refused).map_err(|e| self.failed("open folder", &path, e))?;
                siblings.iter().for_each(|action| applied.keep(&action.path, reason));
                return Ok(());
            }
            Ok(handle) => handle,
        };
        let given = Given::in_folder(&handle).map_err(|e| self.failed("look at", &path, e))?;
        let folder = Folder { path, handle, given };
        siblings.iter().try_for_each(|action| perform(&folder, action, applied))?;
        if self.syncs_each {
            rustix::fs::fsync(&folder.handle).map_err(|e| self.failed("sync folder", &folder.path, e))?;
        }
        Ok(())
    }

    fn remove(&self, folder: &Folder, action: &Action, applied: &mut Applied) -> Result<()> {
        let Action { path, kind, .. } = action;
        let name = name_of(path);
        match found_at(&folder.handle, name) {
            Err(e) => return self.keep(applied, "look at", path, e),
            Ok(Found::Nothing) => return Ok(()),
            Ok(Found::Entry(now)) if now == *kind => {}
            Ok(Found::Entry(_) | Found::Special) => {
                applied.keep(path, KeptReason::Changed);
                return Ok(());
            }
        }
        if let Some(protection) = self.protection_at(folder, path, *kind)? {
            applied.keep(path, KeptReason::Protected(protection));
            return Ok(());
        }
        let flags = if *kind == EntryKind::Folder { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        match rustix::fs::unlinkat(&folder.handle, name, flags) {
            Ok(()) => {
                applied.removed += 1;
                if *kind == EntryKind::Folder {
                    self.folders.removed(path);
                }
            }
            Err(Errno::NOENT) => {}
            Err(Errno::NOTEMPTY | Errno::EXIST) => applied.keep(path, KeptReason::NotEmpty),
            Err(Errno::NOTDIR | Errno::ISDIR) => applied.keep(path, KeptReason::Changed),
            Err(e) => return self.keep(applied, "remove", path, e),
        }
        Ok(())
    }

    /// Creates a folder.
    fn create(&self, folder: &Folder, action: &Action, applied: &mut Applied) -> Result<()> {
        let path = &action.path;
        let name = name_of(path);
        let made = rustix::fs::mkdirat(&folder.handle, name, Mode::RWXU)
            .and_then(|()| open_to_owner(&folder.handle, name))
            .and_then(|()| match folder.given.inherits {
                true => strip(open_folder(&folder.handle, name)?),
                false => Ok(()),
            });
        match made {
            Ok(()) => {
                applied.created += 1;
                self.folders.set_at_end(path, action.mode, Reason::Created);
            }
            Err(Errno::EXIST) => match found_at(&folder.handle, name) {
                Err(e) => return self.keep(applied, "look at", path, e),
                Ok(Found::Entry(EntryKind::Folder)) => {
                    applied.keep(path, self.protection_at(folder, path, EntryKind::Folder)?.map(KeptReason::Protected));
                }
                Ok(_) => applied.keep(path, KeptReason::Occupied),
            },
            Err(e) => return self.keep(applied, "create folder", path, e),
        }
        Ok(())
    }

    /// Writes files and symlinks and sets modes and attributes of files, a few of one folder at a time.
    fn change_all(&self, actions: &[&Action]) -> Result<Applied> {
        let bytes = actions.iter().fold(0, |sum: u64, action| sum.saturating_add(action.written_bytes()));
        self.options.progress.event(Event::Planned { files: actions.len() as u64, bytes });
        let tasks: Vec<&[&Action]> = actions
            .chunk_by(are_siblings)
            .flat_map(|folder| pieces(folder, |action| action.written_bytes()).into_iter().map(|range| &folder[range]))
            .collect();
        tasks
            .par_iter()
            .map(|piece| self.change_piece(piece))
            .try_reduce(Applied::default, |one, other| Ok(one.and(other)))
    }

    fn change_piece(&self, actions: &[&Action]) -> Result<Applied> {
        let mut applied = Applied::default();
        let mut bytes = 0_u64;
        self.in_folder(actions, &mut applied, &mut |folder, action, applied| {
            match (action.task, action.kind) {
                (Task::SetMode, _) => self.set_file_mode(folder, action, applied)?,
                (Task::SetAttributes, _) => self.set_attributes(folder, action, applied)?,
                (_, EntryKind::Symlink) => self.write_symlink(folder, action, applied)?,
                _ => self.write_file(folder, action, applied)?,
            }
            // Only after success: the size of a path that was kept is not checked, and may be wrong.
            bytes = bytes.saturating_add(action.written_bytes());
            Ok(())
        })?;
        self.options.progress.event(Event::Advanced { files: actions.len() as u64, bytes });
        Ok(applied)
    }

    fn write_file(&self, folder: &Folder, action: &Action, applied: &mut Applied) -> Result<()> {
        let path = &action.path;
        if self.rename_flags(folder, action, applied)?.is_none() {
            return Ok(());
        }
        let fail = |e: Errno| self.failed("write", path, e);
        let display = || self.folders.root().display(path);
        let content = Content { id: BlobId(action.id), size: action.size };
        let want = self.want(folder, action);
        let (temporary, inexact) = loop {
            let draft = match self.names.draft(&folder.handle) {
                Err(e) => return self.keep(applied, "write", path, e),
                Ok(draft) => draft,
            };
            if folder.given.inherits {
                strip(&draft.file).map_err(fail)?;
            }
            match content::write(self.store, content, &draft.file, &display) {
                Err(error) if error.io_kind() == Some(std::io::ErrorKind::FileTooLarge) => {
                    applied.keep(path, KeptReason::TooLarge);
                    return Ok(());
                }
                written => written?,
            }
            let inexact = complete_new(&draft.file, action.mode, &want, folder.given.owner).map_err(fail)?;
            if self.syncs_each {
                draft.file.sync_all().map_err(|e| Error::io("sync", display(), e))?;
            }
            match self.names.name(draft) {
                Err(e) => return self.keep(applied, "write", path, e),
                Ok(Some(temporary)) => break (temporary, inexact),
                Ok(None) => {}
            }
        };
        if self.place(folder, action, temporary, applied)? {
            applied.bytes += content.size;
            applied.keep(path, inexact);
        }
        Ok(())
    }

    fn write_symlink(&self, folder: &Folder, action: &Action, applied: &mut Applied) -> Result<()> {
        let path = &action.path;
        if self.rename_flags(folder, action, applied)?.is_none() {
            return Ok(());
        }
        let leads_to = content::target(self.store, BlobId(action.id))?;
        let create = |name: &str| rustix::fs::symlinkat(&*leads_to, &folder.handle, name);
        let (temporary, ()) = match self.names.make(&folder.handle, create) {
            Err(e) => return self.keep(applied, "write symlink", path, e),
            Ok(made) => made,
        };
        let owner = self.want(folder, action).owner.filter(|owner| *owner != folder.given.owner);
        let inexact = complete_symlink(&folder.handle, temporary.name(), owner);
        let inexact = inexact.map_err(|e| self.failed("set owner of", path, e))?;
        if self.place(folder, action, temporary, applied)? {
            applied.keep(path, inexact);
        }
        Ok(())
    }

    /// Sets owner, attributes and mode of an existing path.
    fn set_attributes(&self, folder: &Folder, action: &Action, applied: &mut Applied) -> Result<()> {
        let (path, name) = (&action.path, name_of(&action.path));
        let fail = |e: Errno| self.failed("set attributes of", path, e);
        if found_at(&folder.handle, name).map_err(fail)? != Found::Entry(action.kind) {
            applied.keep(path, KeptReason::Changed);
            return Ok(());
        }
        let want = self.options.attributes.map(|wanted| wanted.here(path)).unwrap_or_default();
        let inexact = if action.kind == EntryKind::Symlink {
            complete_symlink(&folder.handle, name, want.owner).map_err(fail)?
        } else {
            let file = match rustix::fs::openat(&folder.handle, name, READ_FLAGS, Mode::empty()) {
                Err(Errno::ACCESS) => {
                    applied.keep(path, KeptReason::AttributesRefused);
                    return Ok(());
                }
                opened => opened.map_err(fail)?,
            };
            let stat = rustix::fs::fstat(&file).map_err(fail)?;
            if found(&stat) != Found::Entry(EntryKind::File) {
                applied.keep(path, KeptReason::Changed);
                return Ok(());
            }
            if stat.st_nlink > 1 {
                self.folders
                    .loosen(&folder.handle, &folder.path)
                    .map_err(|e| self.failed("write in", &folder.path, e))?;
                return self.write_file(folder, action, applied);
            }
            complete(&file, action.mode, &want).map_err(fail)?
        };
        applied.attributes_changed += 1;
        applied.keep(path, inexact);
        Ok(())
    }

    /// The owner and attributes for a path that is written. If the snapshot does not know them, those of the replaced
    /// file are kept.
    fn want(&self, folder: &Folder, action: &Action) -> WantedAttributes {
        let in_place = || {
            let name = name_of(&action.path);
            if action.kind == EntryKind::Symlink {
                let stat = rustix::fs::statat(&folder.handle, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
                return Some(Attributes { owner: Some(owner_of(&stat)), values: Vec::new() });
            }
            of(rustix::fs::openat(&folder.handle, name, READ_FLAGS, Mode::empty()).ok()?)
        };
        let replaced = || in_place().filter(|_| action.task != Task::Create);
        self.options.attributes.map(|wanted| wanted.at(&action.path, replaced)).unwrap_or_default()
    }

    fn set_file_mode(&self, folder: &Folder, action: &Action, applied: &mut Applied) -> Result<()> {
        let path = &action.path;
        let mut has_other_names = false;
        let changed = change_mode_at(&folder.handle, name_of(path), |stat| {
            let is_file = found(stat) == Found::Entry(EntryKind::File);
            has_other_names = is_file && stat.st_nlink > 1;
            (is_file && !has_other_names).then_some(action.mode)
        });
        match changed {
            Ok(None) if has_other_names => {
                if let Err(e) = self.folders.loosen(&folder.handle, &folder.path) {
                    return self.keep(applied, "write in", path, e);
                }
                return self.write_file(folder, action, applied);
            }
            Ok(None) | Err(Errno::NOENT) => applied.keep(path, KeptReason::Changed),
            Ok(Some(is_exact)) => {
                applied.mode_changed += 1;
                applied.keep(path, (!is_exact).then_some(KeptReason::ModeRefused));
                self.sync_mode(folder, path)?;
            }
            Err(e) => return self.keep(applied, "set mode of", path, e),
        }
        Ok(())
    }

    /// The flags of the rename to a path; `None` if it may not be written, which is recorded.
    fn rename_flags(&self, folder: &Folder, action: &Action, applied: &mut Applied) -> Result<Option<RenameFlags>> {
        let replaces = action.task != Task::Create;
        match found_at(&folder.handle, name_of(&action.path)) {
            Err(e) => return self.keep(applied, "look at", &action.path, e).map(|()| None),
            Ok(Found::Nothing) => return Ok(Some(RenameFlags::NOREPLACE)),
            Ok(Found::Entry(kind)) if replaces && kind == action.kind => return Ok(Some(RenameFlags::empty())),
            Ok(_) => applied.keep(&action.path, in_the_way(action)),
        }
        Ok(None)
    }

    /// Renames a finished temporary file to its path. Returns `false` if something else was created there meanwhile.
    fn place(&self, folder: &Folder, action: &Action, temporary: Temporary<'_>, applied: &mut Applied) -> Result<bool> {
        let Some(flags) = self.rename_flags(folder, action, applied)? else { return Ok(false) };
        match temporary.rename(name_of(&action.path), flags) {
            Ok(()) => {
                applied.written += 1;
                return Ok(true);
            }
            Err(Errno::EXIST | Errno::ISDIR | Errno::NOTEMPTY) => applied.keep(&action.path, in_the_way(action)),
            Err(e) => self.keep(applied, "rename to", &action.path, e)?,
        }
        Ok(false)
    }

    /// The reason why the folder at a path is protected; `None` if there is none, or it is not protected.
    fn protection_at(&self, folder: &Folder, path: &TreePath, kind: EntryKind) -> Result<Option<Protection>> {
        if kind != EntryKind::Folder {
            return Ok(None);
        }
        match rustix::fs::statat(&folder.handle, name_of(path), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(self.folders.root().protected().at(FolderId::of(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(self.failed("look at", path, e)),
        }
    }

    /// Makes the mode of a file durable; if the file may not be opened, its whole file system is synced.
    fn sync_mode(&self, folder: &Folder, path: &TreePath) -> Result<()> {
        if !self.syncs_each {
            return Ok(());
        }
        let synced = match rustix::fs::openat(&folder.handle, name_of(path), READ_FLAGS, Mode::empty()) {
            Ok(file) => rustix::fs::fsync(file),
            Err(_) => sync_file_system(&folder.handle),
        };
        synced.map_err(|e| self.failed("sync", path, e))
    }

    /// Records that a path is kept because of an error; returns an error that must stop the restore.
    fn keep(&self, applied: &mut Applied, operation: &str, path: &TreePath, e: Errno) -> Result<()> {
        applied.keep(path, KeptReason::of(e).ok_or_else(|| self.failed(operation, path, e))?);
        Ok(())
    }

    fn failed(&self, operation: &str, path: &TreePath, e: Errno) -> Error {
        Error::io(operation, self.folders.root().display(path), e)
    }
}

/// A restore neither creates nor removes the root folder; only its mode and attributes are part of a state.
fn refuse_root(actions: &[Action]) -> Result<()> {
    let is_refused = |action: &Action| {
        action.path.is_root()
            && !(action.kind == EntryKind::Folder && matches!(action.task, Task::SetMode | Task::SetAttributes))
    };
    match actions.iter().any(is_refused) {
        true => Err(Error::new(
            ErrorKind::Invalid,
            "restore",
            "the root folder",
            "only its mode and its attributes can be set",
        )),
        false => Ok(()),
    }
}

/// The reason why a path with an unexpected entry is kept.
fn in_the_way(action: &Action) -> KeptReason {
    if action.task == Task::Create { KeptReason::Occupied } else { KeptReason::Changed }
}

fn are_siblings(one: &&Action, other: &&Action) -> bool {
    folder_part(&one.path) == folder_part(&other.path)
}

fn name_of(path: &TreePath) -> &[u8] {
    path.name().expect("the root was refused")
}

/// The path of the parent folder, without a copy.
fn folder_part(path: &TreePath) -> &[u8] {
    let length = path.as_bytes().len() - path.name().map_or(0, <[u8]>::len);
    &path.as_bytes()[..length]
}
