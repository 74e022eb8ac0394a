//! Quarantine: a store never deletes a file because a program could not make sense of it.
//!
//! A file that is moved there gets a name that no other file in `quarantine/` has, and keeps its bytes. Only people
//! read it again.

use std::ops::Range;

use crate::disk::{Disk, Durability, StoredFile, read_pieces, replace};
use crate::error::{Error, ErrorKind, Result, unless_corrupt};
use crate::id::to_hex;

use super::pack::{Pack, pack_name};

/// The name of the folder.
pub(super) const FOLDER: &str = "quarantine";

/// Moves a file into quarantine, durably, and returns its new name. The caller holds the store's lock.
pub(super) fn put_aside(disk: &dyn Disk, name: &str) -> Result<String> {
    if name == FOLDER {
        // It has the name of the folder, so it gets another one first.
        let between = format!("{FOLDER}.{}", to_hex(&disk.random()));
        disk.rename(FOLDER, &between)?;
        return put_aside(disk, &between);
    }
    disk.create_folder(FOLDER)?;
    let target = unused_name(disk, last_part(name))?;
    disk.rename(name, &target)?;
    // The new name is synced first: in between, the file may have both names, but never none.
    disk.sync_folder(FOLDER)?;
    disk.sync_folder(crate::disk::folder_of(name))?;
    Ok(target)
}

/// Moves a thing that is not a file out of the place of one.
pub(super) fn make_way(disk: &dyn Disk, name: &str) -> Result<()> {
    let is_none = disk.open(name).is_err_and(|error| error.kind() == ErrorKind::Corrupt);
    if is_none { put_aside(disk, name).map(drop) } else { Ok(()) }
}

/// Copies a file into quarantine, durably, and returns its name there. A copy that an interrupted repair has left is
/// used. The caller holds the store's lock.
pub(super) fn put_copy_aside(disk: &dyn Disk, name: &str) -> Result<String> {
    let file = disk.open(name)?;
    let length = file.length()?;
    disk.create_folder(FOLDER)?;
    let wanted = hash(&*file, length)?;
    for other in disk.list(FOLDER)? {
        let other = format!("{FOLDER}/{other}");
        // A folder may have been moved there as well.
        let Some(there) = unless_corrupt(disk.open(&other))? else { continue };
        if there.length()? == length && hash(&*there, length)? == wanted {
            return Ok(other);
        }
    }
    copy(disk, &*file, 0..length, last_part(name))
}

/// Copies the torn tail of a pack that is about to be cut. A trailer is in it, so it may be damage instead of the
/// remains of a dead writer.
pub(super) fn keep_tail(disk: &dyn Disk, pack: &Pack, end: u64) -> Result<()> {
    disk.create_folder(FOLDER)?;
    let name = format!("{}.tail", last_part(&pack_name(pack.number)));
    copy(disk, &*pack.file, end..pack.file.length()?, &name).map(drop)
}

fn copy(disk: &dyn Disk, file: &dyn StoredFile, range: Range<u64>, name: &str) -> Result<String> {
    let target = unused_name(disk, name)?;
    replace(disk, &target, Durability::Durable, |temporary| copy_bytes(disk, file, range, temporary))?;
    Ok(target)
}

/// Copies a range of a file, as far as it is there, to the start of another one.
pub(super) fn copy_bytes(disk: &dyn Disk, file: &dyn StoredFile, range: Range<u64>, to: &str) -> Result<()> {
    let start = range.start;
    read_pieces(file, range, |at, piece| disk.write(to, at - start, piece))
}

fn hash(file: &dyn StoredFile, length: u64) -> Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    read_pieces(file, 0..length, |_, piece| {
        hasher.update(piece);
        Ok(())
    })?;
    Ok(hasher.finalize())
}

fn unused_name(disk: &dyn Disk, name: &str) -> Result<String> {
    let taken = disk.list(FOLDER)?;
    let numbered = (2_u32..).map(|number| format!("{name}.{number}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    let free = names.find(|name| !taken.contains(name));
    let none = || Error::new(ErrorKind::Limit, "move into", disk.display(FOLDER), "no name is left");
    free.map(|name| format!("{FOLDER}/{name}")).ok_or_else(none)
}

fn last_part(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, last)| last)
}
