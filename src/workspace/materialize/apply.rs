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
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::at::{Found, change_mode_at, found, found_at, open_to_owner, set_new_mode};
use super::attributes::{Given, Want, complete, complete_symlink, of, strip};
use super::content::{self, Content};
use super::folders::{Folders, Refused};
use super::temporary::{Temporary, TemporaryNames};
use super::{Action, Applied, KeptReason, Options, kept_because, pieces};
use crate::disk::FolderId;
use crate::error::{Error, ErrorKind, Result};
use crate::format::attributes::Attributes;
use crate::format::tree::Kind;
use crate::id::BlobId;
use crate::path::TreePath;
use crate::progress::Event;
use crate::store::Store;
use crate::workspace::attributes::owner_of;
use crate::workspace::beneath::{Root, open_folder, sync_file_system};
use crate::workspace::places::Place;

/// Applies `actions` to the workspace at `root`; their order does not matter.
///
/// A path that is in the way, or may not be changed, is kept and reported. An error of the store, or one that the next
/// path would meet too, stops the restore. Every file is then either old or new, and read-only folders have their modes
/// back.
pub fn apply(store: &Store, root: &Root, actions: &[Action], options: &Options<'_>) -> Result<Applied> {
    refuse_root(actions)?;
    let names = TemporaryNames::new(store.disk().random());
    let syncs_each = options.durable && actions.len() <= SYNC_EACH_MAX;
    let folders = Folders::new(root, options.attributes);
    let applying = Applying { store, folders, options, names, syncs_each };
    let mut applied = Applied::default();
    let outcome = applying.run(actions, &mut applied);
    let settled = applying.folders.settle(&mut applied, syncs_each);
    let synced = if options.durable && !syncs_each { applying.folders.sync() } else { Ok(()) };
    outcome.and(settled).and(synced).map_err(|error| match error.hint() {
        None => error.with_hint("when the cause is gone, run the same restore again: it does the rest"),
        Some(_) => error,
    })?;
    applied.settle();
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

/// A path to be written.
struct Target<'a> {
    path: &'a TreePath,
    kind: Kind,
    replaces: bool,
}

impl Applying<'_> {
    fn run(&self, actions: &[Action], applied: &mut Applied) -> Result<()> {
        let mut removals = Vec::new();
        let mut created = Vec::new();
        let mut changed = Vec::new();
        let mut modes = Vec::new();
        let mut attributes = Vec::new();
        for action in actions {
            match action {
                Action::Remove { path, kind } => removals.push((path, *kind)),
                Action::CreateFolder { path, mode } => created.push((path, *mode)),
                Action::SetFolderMode { path, mode } => modes.push((path, *mode)),
                Action::SetAttributes { path, kind: Kind::Folder, mode, .. } => attributes.push((path, *mode)),
                Action::WriteFile { .. }
                | Action::WriteSymlink { .. }
                | Action::SetFileMode { .. }
                | Action::SetAttributes { .. } => changed.push(action),
            }
        }
        removals.sort_unstable_by(|one, other| other.0.cmp(one.0));
        created.sort_unstable_by(|one, other| one.0.cmp(other.0));
        changed.sort_unstable_by_key(|action| (folder_part(action.path()), action.path().as_bytes()));
        self.remove(&removals, applied)?;
        self.create(&created, applied)?;
        let written = self.change(&changed)?;
        *applied = std::mem::take(applied).and(written);
        modes.iter().for_each(|(path, mode)| self.folders.ask(path, *mode));
        attributes.iter().for_each(|(path, mode)| self.folders.ask_attributes(path, *mode));
        Ok(())
    }

    fn remove(&self, removals: &[(&TreePath, Kind)], applied: &mut Applied) -> Result<()> {
        for siblings in removals.chunk_by(|one, other| folder_part(one.0) == folder_part(other.0)) {
            let path = siblings[0].0.parent().expect("the root was refused");
            let folder = match self.folders.reach_writable(&path) {
                // If the folder is gone, so are its contents.
                Err(Refused::Failed(Errno::NOENT)) => continue,
                Err(refused) => {
                    let reason = kept_because(refused).map_err(|e| self.failed("open folder", &path, e))?;
                    siblings.iter().for_each(|(path, _)| applied.keep(path, reason));
                    continue;
                }
                Ok(handle) => self.folder(path, handle)?,
            };
            for (path, kind) in siblings {
                self.remove_one(&folder, path, *kind, applied)?;
            }
            self.sync_folder(&folder)?;
        }
        Ok(())
    }

    fn remove_one(&self, folder: &Folder, path: &TreePath, kind: Kind, applied: &mut Applied) -> Result<()> {
        let name = name_of(path);
        match found_at(&folder.handle, name) {
            Err(e) => return self.keep(applied, "look at", path, e),
            Ok(Found::Nothing) => return Ok(()),
            Ok(Found::Entry(now)) if now == kind => {}
            Ok(Found::Entry(_) | Found::Special) => {
                applied.keep(path, KeptReason::Changed);
                return Ok(());
            }
        }
        if let Some(place) = self.place_at(folder, path, kind)? {
            applied.keep(path, KeptReason::Protected(place));
            return Ok(());
        }
        let flags = if kind == Kind::Folder { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        match rustix::fs::unlinkat(&folder.handle, name, flags) {
            Ok(()) => {
                applied.removed += 1;
                if kind == Kind::Folder {
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

    fn create(&self, created: &[(&TreePath, u16)], applied: &mut Applied) -> Result<()> {
        for siblings in created.chunk_by(|one, other| folder_part(one.0) == folder_part(other.0)) {
            let path = siblings[0].0.parent().expect("the root was refused");
            let folder = match self.folders.reach_writable(&path) {
                Err(refused) => {
                    let reason = kept_because(refused).map_err(|e| self.failed("open folder", &path, e))?;
                    siblings.iter().for_each(|(path, _)| applied.keep(path, reason));
                    continue;
                }
                Ok(handle) => self.folder(path, handle)?,
            };
            for (path, mode) in siblings {
                self.create_one(&folder, path, *mode, applied)?;
            }
            self.sync_folder(&folder)?;
        }
        Ok(())
    }

    fn create_one(&self, folder: &Folder, path: &TreePath, mode: u16, applied: &mut Applied) -> Result<()> {
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
                self.folders.created(path, mode);
            }
            Err(Errno::EXIST) => match found_at(&folder.handle, name) {
                Err(e) => return self.keep(applied, "look at", path, e),
                Ok(Found::Entry(Kind::Folder)) => {
                    if let Some(place) = self.place_at(folder, path, Kind::Folder)? {
                        applied.keep(path, KeptReason::Protected(place));
                    }
                }
                Ok(_) => applied.keep(path, KeptReason::Occupied),
            },
            Err(e) => return self.keep(applied, "create folder", path, e),
        }
        Ok(())
    }

    /// Writes files and symlinks and sets modes of files, a few of one folder at a time.
    fn change(&self, actions: &[&Action]) -> Result<Applied> {
        let (mut files, mut bytes) = (0, 0_u64);
        for action in actions {
            files += 1;
            bytes = bytes.saturating_add(action.size());
        }
        self.options.progress.event(Event::Planned { files, bytes });
        let folders = actions.chunk_by(|one, other| folder_part(one.path()) == folder_part(other.path()));
        let tasks: Vec<&[&Action]> = folders
            .flat_map(|folder| pieces(folder, |action| action.size()).into_iter().map(|range| &folder[range]))
            .collect();
        tasks
            .par_iter()
            .map(|piece| self.change_piece(piece))
            .try_reduce(Applied::default, |one, other| Ok(one.and(other)))
    }

    fn change_piece(&self, actions: &[&Action]) -> Result<Applied> {
        let mut applied = Applied::default();
        let path = actions[0].path().parent().expect("the root was refused");
        let is_write = |action: &&Action| !matches!(action, Action::SetFileMode { .. } | Action::SetAttributes { .. });
        let opened = match actions.iter().any(is_write) {
            true => self.folders.reach_writable(&path),
            false => self.folders.reach(&path),
        };
        let folder = match opened {
            Err(refused) => {
                let reason = kept_because(refused).map_err(|e| self.failed("open folder", &path, e))?;
                actions.iter().for_each(|action| applied.keep(action.path(), reason));
                return Ok(applied);
            }
            Ok(handle) => self.folder(path, handle)?,
        };
        let mut bytes = 0_u64;
        for action in actions {
            match action {
                Action::WriteFile { path, mode, size, id, replaces } => {
                    let target = Target { path, kind: Kind::File, replaces: *replaces };
                    self.write_file(&folder, &target, *mode, Content { id: *id, size: *size }, &mut applied)?;
                }
                Action::WriteSymlink { path, id, replaces } => {
                    let target = Target { path, kind: Kind::Symlink, replaces: *replaces };
                    self.write_symlink(&folder, &target, *id, &mut applied)?;
                }
                Action::SetFileMode { path, mode, size, id } => {
                    self.set_file_mode(&folder, path, *mode, Content { id: *id, size: *size }, &mut applied)?;
                }
                Action::SetAttributes { path, kind, mode, size, id } => {
                    let target = Target { path, kind: *kind, replaces: true };
                    self.set_attributes(&folder, &target, *mode, Content { id: *id, size: *size }, &mut applied)?;
                }
                _ => unreachable!("only what is written in a folder is put into pieces"),
            }
            // Only after success: the size of a path that was kept is not checked, and may be wrong.
            bytes = bytes.saturating_add(action.size());
        }
        self.sync_folder(&folder)?;
        self.options.progress.event(Event::Done { files: actions.len() as u64, bytes });
        Ok(applied)
    }

    fn write_file(
        &self,
        folder: &Folder,
        target: &Target<'_>,
        mode: u16,
        content: Content,
        applied: &mut Applied,
    ) -> Result<()> {
        if !self.expect_free(folder, target, applied)? {
            return Ok(());
        }
        let fail = |e: Errno| self.failed("write", target.path, e);
        let display = || self.folders.root().display(target.path);
        let want = self.want(folder, target);
        let (temporary, inexact) = loop {
            let draft = match self.names.draft(&folder.handle) {
                Err(e) => return self.keep(applied, "write", target.path, e),
                Ok(draft) => draft,
            };
            if folder.given.inherits {
                strip(&draft.file).map_err(fail)?;
            }
            match content::write(self.store, content, &draft.file, &display) {
                Err(error) if error.io_kind() == Some(std::io::ErrorKind::FileTooLarge) => {
                    applied.keep(target.path, KeptReason::TooLarge);
                    return Ok(());
                }
                written => written?,
            }
            let inexact = match want.is_plain(folder.given.owner) {
                true => (!set_new_mode(&draft.file, mode).map_err(fail)?).then_some(KeptReason::ModeRefused),
                false => complete(&draft.file, mode, &want).map_err(fail)?,
            };
            if self.syncs_each {
                draft.file.sync_all().map_err(|e| Error::io("sync", display(), e))?;
            }
            match self.names.name(draft) {
                Err(e) => return self.keep(applied, "write", target.path, e),
                Ok(Some(temporary)) => break (temporary, inexact),
                Ok(None) => {}
            }
        };
        if self.place(folder, target, temporary, applied)? {
            applied.bytes += content.size;
            if let Some(reason) = inexact {
                applied.keep(target.path, reason);
            }
        }
        Ok(())
    }

    fn write_symlink(&self, folder: &Folder, target: &Target<'_>, id: BlobId, applied: &mut Applied) -> Result<()> {
        if !self.expect_free(folder, target, applied)? {
            return Ok(());
        }
        let leads_to = content::target(self.store, id)?;
        let create = |name: &str| rustix::fs::symlinkat(&*leads_to, &folder.handle, name);
        let (temporary, ()) = match self.names.make(&folder.handle, create) {
            Err(e) => return self.keep(applied, "write symlink", target.path, e),
            Ok(made) => made,
        };
        let owner = self.want(folder, target).owner.filter(|owner| *owner != folder.given.owner);
        let is_given = match owner {
            Some(owner) => complete_symlink(&folder.handle, temporary.name(), owner)
                .map_err(|e| self.failed("set owner of", target.path, e))?,
            None => true,
        };
        if self.place(folder, target, temporary, applied)? && !is_given {
            applied.keep(target.path, KeptReason::OwnerRefused);
        }
        Ok(())
    }

    /// Sets owner, attributes and mode of an existing path.
    fn set_attributes(
        &self,
        folder: &Folder,
        target: &Target<'_>,
        mode: u16,
        content: Content,
        applied: &mut Applied,
    ) -> Result<()> {
        let (path, name) = (target.path, name_of(target.path));
        let fail = |e: Errno| self.failed("set attributes of", path, e);
        if found_at(&folder.handle, name).map_err(fail)? != Found::Entry(target.kind) {
            applied.keep(path, KeptReason::Changed);
            return Ok(());
        }
        let want = self.options.attributes.map(|wanted| wanted.here(path)).unwrap_or_default();
        let inexact = if target.kind == Kind::Symlink {
            let given = want.owner.map_or(Ok(true), |owner| complete_symlink(&folder.handle, name, owner));
            (!given.map_err(fail)?).then_some(KeptReason::OwnerRefused)
        } else {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            let file = match rustix::fs::openat(&folder.handle, name, flags, Mode::empty()) {
                Err(Errno::ACCESS) => {
                    applied.keep(path, KeptReason::AttributesRefused);
                    return Ok(());
                }
                opened => opened.map_err(fail)?,
            };
            let stat = rustix::fs::fstat(&file).map_err(fail)?;
            if found(&stat) != Found::Entry(Kind::File) {
                applied.keep(path, KeptReason::Changed);
                return Ok(());
            }
            if stat.st_nlink > 1 {
                self.folders
                    .loosen(&folder.handle, &folder.path)
                    .map_err(|e| self.failed("write in", &folder.path, e))?;
                return self.write_file(folder, target, mode, content, applied);
            }
            complete(&file, mode, &want).map_err(fail)?
        };
        applied.attributes_changed += 1;
        if let Some(reason) = inexact {
            applied.keep(path, reason);
        }
        Ok(())
    }

    /// The owner and attributes for a path that is written. If the snapshot does not know them, those of the replaced
    /// file are kept.
    fn want(&self, folder: &Folder, target: &Target<'_>) -> Want {
        let in_place = || {
            let name = name_of(target.path);
            if target.kind == Kind::Symlink {
                let stat = rustix::fs::statat(&folder.handle, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
                return Some(Attributes { owner: Some(owner_of(&stat)), values: Vec::new() });
            }
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            of(rustix::fs::openat(&folder.handle, name, flags, Mode::empty()).ok()?)
        };
        let wanted = self.options.attributes;
        wanted.map(|wanted| wanted.at(target.path, || in_place().filter(|_| target.replaces))).unwrap_or_default()
    }

    fn folder(&self, path: TreePath, handle: OwnedFd) -> Result<Folder> {
        let given = Given::in_folder(&handle).map_err(|e| self.failed("look at", &path, e))?;
        Ok(Folder { path, handle, given })
    }

    fn set_file_mode(
        &self,
        folder: &Folder,
        path: &TreePath,
        mode: u16,
        content: Content,
        applied: &mut Applied,
    ) -> Result<()> {
        let mut has_other_names = false;
        let changed = change_mode_at(&folder.handle, name_of(path), |stat| {
            let is_file = found(stat) == Found::Entry(Kind::File);
            has_other_names = is_file && stat.st_nlink > 1;
            (is_file && !has_other_names).then_some(mode)
        });
        match changed {
            Ok(None) if has_other_names => {
                if let Err(e) = self.folders.loosen(&folder.handle, &folder.path) {
                    return self.keep(applied, "write in", path, e);
                }
                let target = Target { path, kind: Kind::File, replaces: true };
                return self.write_file(folder, &target, mode, content, applied);
            }
            Ok(None) | Err(Errno::NOENT) => applied.keep(path, KeptReason::Changed),
            Ok(Some(is_exact)) => {
                applied.mode_changed += 1;
                if !is_exact {
                    applied.keep(path, KeptReason::ModeRefused);
                }
                self.sync_mode(folder, path)?;
            }
            Err(e) => return self.keep(applied, "set mode of", path, e),
        }
        Ok(())
    }

    /// Returns true if a path may be written; otherwise records why not.
    fn expect_free(&self, folder: &Folder, target: &Target<'_>, applied: &mut Applied) -> Result<bool> {
        Ok(self.rename_flags(folder, target, applied)?.is_some())
    }

    /// The flags of the rename to a path; `None` if it may not be written, which is recorded.
    fn rename_flags(&self, folder: &Folder, target: &Target<'_>, applied: &mut Applied) -> Result<Option<RenameFlags>> {
        let reason = match found_at(&folder.handle, name_of(target.path)) {
            Err(e) => return self.keep(applied, "look at", target.path, e).map(|()| None),
            Ok(Found::Nothing) => return Ok(Some(RenameFlags::NOREPLACE)),
            Ok(Found::Entry(kind)) if target.replaces && kind == target.kind => return Ok(Some(RenameFlags::empty())),
            Ok(_) if target.replaces => KeptReason::Changed,
            Ok(_) => KeptReason::Occupied,
        };
        applied.keep(target.path, reason);
        Ok(None)
    }

    /// Renames a finished temporary file to its path. Returns `false` if something else was created there meanwhile.
    fn place(
        &self,
        folder: &Folder,
        target: &Target<'_>,
        temporary: Temporary<'_>,
        applied: &mut Applied,
    ) -> Result<bool> {
        let name = name_of(target.path);
        let Some(flags) = self.rename_flags(folder, target, applied)? else { return Ok(false) };
        match temporary.rename(name, flags) {
            Ok(()) => {
                applied.written += 1;
                Ok(true)
            }
            Err(Errno::EXIST | Errno::ISDIR | Errno::NOTEMPTY) => {
                let reason = if target.replaces { KeptReason::Changed } else { KeptReason::Occupied };
                applied.keep(target.path, reason);
                Ok(false)
            }
            Err(e) => self.keep(applied, "rename to", target.path, e).map(|()| false),
        }
    }

    /// The reason why the folder at a path is protected; `None` if there is none, or it is not protected.
    fn place_at(&self, folder: &Folder, path: &TreePath, kind: Kind) -> Result<Option<Place>> {
        if kind != Kind::Folder {
            return Ok(None);
        }
        match rustix::fs::statat(&folder.handle, name_of(path), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(self.folders.root().places().at(FolderId::of(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(self.failed("look at", path, e)),
        }
    }

    fn sync_folder(&self, folder: &Folder) -> Result<()> {
        if self.syncs_each {
            rustix::fs::fsync(&folder.handle).map_err(|e| self.failed("sync folder", &folder.path, e))?;
        }
        Ok(())
    }

    /// Makes the mode of a file durable; if the file may not be opened, its whole file system is synced.
    fn sync_mode(&self, folder: &Folder, path: &TreePath) -> Result<()> {
        if !self.syncs_each {
            return Ok(());
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let synced = match rustix::fs::openat(&folder.handle, name_of(path), flags, Mode::empty()) {
            Ok(file) => rustix::fs::fsync(file),
            Err(_) => sync_file_system(&folder.handle),
        };
        synced.map_err(|e| self.failed("sync", path, e))
    }

    /// Records that a path is kept because of an error; returns an error that must stop the restore.
    fn keep(&self, applied: &mut Applied, operation: &str, path: &TreePath, e: Errno) -> Result<()> {
        match KeptReason::of(e) {
            Some(reason) => {
                applied.keep(path, reason);
                Ok(())
            }
            None => Err(self.failed(operation, path, e)),
        }
    }

    fn failed(&self, operation: &str, path: &TreePath, e: Errno) -> Error {
        Error::io(operation, self.folders.root().display(path), e)
    }
}

/// A restore neither creates nor removes the root folder; only its mode and attributes are part of a state.
fn refuse_root(actions: &[Action]) -> Result<()> {
    let is_refused = |action: &Action| {
        action.path().is_root()
            && !matches!(action, Action::SetFolderMode { .. } | Action::SetAttributes { kind: Kind::Folder, .. })
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

fn name_of(path: &TreePath) -> &[u8] {
    path.name().expect("the root was refused")
}

/// The path of the parent folder, without a copy.
fn folder_part(path: &TreePath) -> &[u8] {
    let length = path.as_bytes().len() - path.name().map_or(0, <[u8]>::len);
    &path.as_bytes()[..length]
}
