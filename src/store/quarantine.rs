//! Files put aside: nothing that was in a store is deleted because a program could not make sense of it.
//!
//! A file that is put aside gets a name that nothing in `quarantine/` has, and keeps its bytes. Nobody reads it again
//! but people.

use std::ops::Range;

use crate::disk::{Disk, Durability, StoredFile, replace};
use crate::error::{Error, ErrorKind, Result};
use crate::id::to_hex;

use super::pack::{Pack, pack_name};

/// The folder.
pub(super) const FOLDER: &str = "quarantine";

/// Bytes copied at once.
const PIECE_BYTES: usize = 1 << 20;

/// Moves a file into quarantine, durably, and returns its new name. The store's lock is held.
pub(super) fn put_aside(disk: &dyn Disk, name: &str) -> Result<String> {
    if name == FOLDER {
        // It gets another name first, because it is where it is to go.
        let between = format!("{FOLDER}.{}", to_hex(&disk.random()));
        disk.rename(FOLDER, &between)?;
        return put_aside(disk, &between);
    }
    disk.create_folder(FOLDER)?;
    let target = unused_name(disk, last_part(name))?;
    disk.rename(name, &target)?;
    // The new name comes first: between the two the file may have both, but never none.
    disk.sync_folder(FOLDER)?;
    disk.sync_folder(crate::disk::folder_of(name))?;
    Ok(target)
}

/// Puts aside what stands in the place of a file and is none.
pub(super) fn make_way(disk: &dyn Disk, name: &str) -> Result<()> {
    let is_none = disk.open(name).is_err_and(|error| error.kind() == ErrorKind::Corrupt);
    if is_none { put_aside(disk, name).map(drop) } else { Ok(()) }
}

/// Copies a file into quarantine, durably, and returns its name there. A copy that an interrupted repair has left is
/// used. The store's lock is held.
pub(super) fn put_copy_aside(disk: &dyn Disk, name: &str) -> Result<String> {
    let file = disk.open(name)?;
    let length = file.length()?;
    disk.create_folder(FOLDER)?;
    let wanted = hash(&*file, length)?;
    for other in disk.list(FOLDER)? {
        let other = format!("{FOLDER}/{other}");
        let there = match disk.open(&other) {
            // What is no file was put aside because of that.
            Err(error) if error.kind() == ErrorKind::Corrupt => continue,
            there => there?,
        };
        if there.length()? == length && hash(&*there, length)? == wanted {
            return Ok(other);
        }
    }
    copy(disk, &*file, 0, length, last_part(name))
}

/// Copies what is about to be cut off a pack. A trailer is in it, so it may be damage and not the work of a dead
/// writer.
pub(super) fn keep_tail(disk: &dyn Disk, pack: &Pack, end: u64) -> Result<()> {
    disk.create_folder(FOLDER)?;
    let name = format!("{}.tail", last_part(&pack_name(pack.number)));
    copy(disk, &*pack.file, end, pack.file.length()?, &name).map(drop)
}

fn copy(disk: &dyn Disk, file: &dyn StoredFile, start: u64, end: u64, name: &str) -> Result<String> {
    let target = unused_name(disk, name)?;
    replace(disk, &target, Durability::Durable, |temporary| copy_bytes(disk, file, start..end, temporary))?;
    Ok(target)
}

/// Copies bytes of a file, as far as they are there, to the start of another one.
pub(super) fn copy_bytes(disk: &dyn Disk, file: &dyn StoredFile, place: Range<u64>, to: &str) -> Result<()> {
    let mut at = place.start;
    while at < place.end {
        let piece = read_piece(file, at, place.end)?;
        if piece.is_empty() {
            break;
        }
        disk.write(to, at - place.start, &piece)?;
        at += piece.len() as u64;
    }
    Ok(())
}

/// The next bytes of a file before `end`, a piece of them; none where there are no more.
fn read_piece(file: &dyn StoredFile, at: u64, end: u64) -> Result<Vec<u8>> {
    let most = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX).min(PIECE_BYTES);
    let mut piece = vec![0; most];
    let read = file.read_at(at, &mut piece)?;
    piece.truncate(read);
    Ok(piece)
}

fn hash(file: &dyn StoredFile, length: u64) -> Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    let mut at = 0;
    while at < length {
        let piece = read_piece(file, at, length)?;
        if piece.is_empty() {
            break;
        }
        hasher.update(&piece);
        at += piece.len() as u64;
    }
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
