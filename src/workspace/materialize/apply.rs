//! A list of changes to a live workspace, in an order that makes each of them possible.
//!
//! ```text
//! removals        deepest first, so that folders are empty when their turn comes
//! new folders     outermost first, closed to others until the end
//! files, links    in parallel: written without a name, given their mode, and put into place, see `temporary`
//! folder modes    deepest first, see `folders`
//! ```
//!
//! What is at a path is looked at right before it is overwritten or removed. A new path is taken only while nothing is
//! there, which the kernel checks (`RENAME_NOREPLACE`); between the look and the rename of a path that is to be
//! overwritten, another process can still put something there and lose it. A symlink put there is replaced, not
//! followed.

use std::os::fd::OwnedFd;

use rayon::prelude::*;
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::at::{Found, change_mode_at, found, found_at, open_to_owner, set_mode};
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
use crate::workspace::beneath::{Root, open_folder};
use crate::workspace::places::Place;

/// Changes the workspace at `root` as `actions` say; their order does not matter.
///
/// What is in the way is kept and reported. The first error of the system or the store stops it, with every file
/// either as it was or as it is to be, and the modes of read-only folders put back.
pub fn apply(store: &Store, root: &Root, actions: &[Action], options: &Options<'_>) -> Result<Applied> {
    refuse_root(actions)?;
    let names = TemporaryNames::new(store.disk().random());
    let applying = Applying { store, folders: Folders::new(root, options.attributes), options, names };
    let mut applied = Applied::default();
    let outcome = applying.run(actions, &mut applied);
    let settled = applying.folders.settle(&mut applied);
    outcome.and(settled).map_err(|error| match error.hint() {
        None => error.with_hint("once the cause is gone, run the same restore again: it does what is left to do"),
        Some(_) => error,
    })?;
    applied.kept.sort();
    Ok(applied)
}

struct Applying<'a> {
    store: &'a Store,
    folders: Folders<'a>,
    options: &'a Options<'a>,
    names: TemporaryNames,
}

/// An open folder and where it is.
struct Folder {
    path: TreePath,
    handle: OwnedFd,
    /// What a new file in it has by itself.
    given: Given,
}

/// What is written at one path.
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
                // Where the folder is gone, so is what was in it.
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
        match found_at(&folder.handle, name).map_err(|e| self.failed("look at", path, e))? {
            Found::Nothing => return Ok(()),
            Found::Entry(now) if now == kind => {}
            Found::Entry(_) | Found::Special => {
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
                self.folders.removed(path);
            }
            Err(Errno::NOENT) => {}
            Err(Errno::NOTEMPTY | Errno::EXIST) => applied.keep(path, KeptReason::NotEmpty),
            Err(Errno::BUSY) => applied.keep(path, KeptReason::Busy),
            Err(Errno::NOTDIR | Errno::ISDIR) => applied.keep(path, KeptReason::Changed),
            Err(e) => return Err(self.failed("remove", path, e)),
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
                match rustix::fs::mkdirat(&folder.handle, name_of(path), Mode::RWXU) {
                    Ok(()) => {
                        open_to_owner(&folder.handle, name_of(path))
                            .and_then(|()| match folder.given.inherits {
                                true => strip(open_folder(&folder.handle, name_of(path))?),
                                false => Ok(()),
                            })
                            .map_err(|e| self.failed("set mode of", path, e))?;
                        applied.created += 1;
                        self.folders.created(path, *mode);
                    }
                    Err(Errno::EXIST) => {
                        let found = found_at(&folder.handle, name_of(path));
                        if found.map_err(|e| self.failed("look at", path, e))? != Found::Entry(Kind::Folder) {
                            applied.keep(path, KeptReason::Occupied);
                        } else if let Some(place) = self.place_at(&folder, path, Kind::Folder)? {
                            applied.keep(path, KeptReason::Protected(place));
                        }
                    }
                    Err(e) => return Err(self.failed("create folder", path, e)),
                }
            }
            self.sync_folder(&folder)?;
        }
        Ok(())
    }

    /// Writes files and symlinks, and sets modes of files, a few of one folder at a time.
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
            // What was kept was not measured, and its size may be a lie.
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
        if let Err(reason) = self.is_free(folder, target)? {
            applied.keep(target.path, reason);
            return Ok(());
        }
        let fail = |e: Errno| self.failed("write", target.path, e);
        let display = || self.folders.root().display(target.path);
        let want = self.want(folder, target);
        let (temporary, inexact) = loop {
            let draft = self.names.draft(&folder.handle).map_err(fail)?;
            if folder.given.inherits {
                strip(&draft.file).map_err(fail)?;
            }
            content::write(self.store, content, &draft.file, &display)?;
            let inexact = match want.is_plain(folder.given.owner) {
                true => (!set_mode(&draft.file, mode).map_err(fail)?).then_some(KeptReason::ModeRefused),
                false => complete(&draft.file, mode, &want).map_err(fail)?,
            };
            if self.options.durable {
                draft.file.sync_data().map_err(|e| Error::io("sync", display(), e))?;
            }
            if let Some(temporary) = self.names.name(draft).map_err(fail)? {
                break (temporary, inexact);
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
        if let Err(reason) = self.is_free(folder, target)? {
            applied.keep(target.path, reason);
            return Ok(());
        }
        let leads_to = content::target(self.store, id)?;
        let create = |name: &str| rustix::fs::symlinkat(&*leads_to, &folder.handle, name);
        let temporary = self.names.make(&folder.handle, create);
        let (temporary, ()) = temporary.map_err(|e| self.failed("write symlink", target.path, e))?;
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

    /// Gives what stays its owner, its attributes and its mode.
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

    /// What is to be at a path that is written. Where the snapshot does not know, what is in its place says it.
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
                self.folders
                    .loosen(&folder.handle, &folder.path)
                    .map_err(|e| self.failed("write in", &folder.path, e))?;
                let target = Target { path, kind: Kind::File, replaces: true };
                return self.write_file(folder, &target, mode, content, applied);
            }
            Ok(None) | Err(Errno::NOENT) => applied.keep(path, KeptReason::Changed),
            Ok(Some(is_exact)) => {
                applied.mode_changed += 1;
                if !is_exact {
                    applied.keep(path, KeptReason::ModeRefused);
                }
            }
            Err(e) => return Err(self.failed("set mode of", path, e)),
        }
        Ok(())
    }

    /// Whether something may be written at a path, and how its rename has to treat what is there.
    fn is_free(&self, folder: &Folder, target: &Target<'_>) -> Result<std::result::Result<RenameFlags, KeptReason>> {
        let found =
            found_at(&folder.handle, name_of(target.path)).map_err(|e| self.failed("look at", target.path, e))?;
        Ok(match found {
            Found::Nothing => Ok(RenameFlags::NOREPLACE),
            Found::Entry(kind) if target.replaces && kind == target.kind => Ok(RenameFlags::empty()),
            _ if target.replaces => Err(KeptReason::Changed),
            _ => Err(KeptReason::Occupied),
        })
    }

    /// Gives a finished temporary file its name. `false` when something else came to be there meanwhile.
    fn place(
        &self,
        folder: &Folder,
        target: &Target<'_>,
        temporary: Temporary<'_>,
        applied: &mut Applied,
    ) -> Result<bool> {
        let name = name_of(target.path);
        let renamed = match self.is_free(folder, target)? {
            Ok(flags) => temporary.rename(name, flags),
            Err(reason) => {
                applied.keep(target.path, reason);
                return Ok(false);
            }
        };
        match renamed {
            Ok(()) => {
                applied.written += 1;
                Ok(true)
            }
            Err(Errno::EXIST | Errno::ISDIR | Errno::NOTEMPTY) => {
                let reason = if target.replaces { KeptReason::Changed } else { KeptReason::Occupied };
                applied.keep(target.path, reason);
                Ok(false)
            }
            Err(e) => Err(self.failed("put into place", target.path, e)),
        }
    }

    /// Why the folder at a path is left alone, if there is one and it is.
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
        if self.options.durable {
            rustix::fs::fsync(&folder.handle).map_err(|e| self.failed("sync folder", &folder.path, e))?;
        }
        Ok(())
    }

    fn failed(&self, operation: &str, path: &TreePath, e: Errno) -> Error {
        Error::io(operation, self.folders.root().display(path), e)
    }
}

/// The root folder is neither made nor removed by a restore; only its mode is part of a state.
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

/// The path of the folder something is in, without making a copy of it.
fn folder_part(path: &TreePath) -> &[u8] {
    let length = path.as_bytes().len() - path.name().map_or(0, <[u8]>::len);
    &path.as_bytes()[..length]
}
