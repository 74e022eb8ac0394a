//! The first pass: things in the place of a file or folder, and the file that names the store.

use std::sync::Arc;

use super::{Action, Round};
use crate::disk::Disk;
use crate::error::Result;
use crate::store::file::StoreFile;
use crate::store::inspect::obstacles;
use crate::store::repair::{lock, put_file_aside, write_format};

/// Moves things in the place of a file or folder to quarantine. This comes first, because some of them keep the store
/// from being locked.
pub(super) fn clear(disk: &Arc<dyn Disk>) -> Result<Vec<Action>> {
    let obstacles = obstacles(&**disk)?;
    let guard = lock(&**disk)?;
    let files = obstacles.iter().flat_map(|problem| &problem.file);
    files.into_iter().try_for_each(|file| put_file_aside(&**disk, file, &guard))?;
    Ok(obstacles.into_iter().map(Action::PutAside).collect())
}

/// Writes the file that names the store, if it is missing or wrong.
pub(super) fn write(round: &mut Round<'_>) -> Result<Vec<Action>> {
    let mut problems = round.inspection.problems.iter();
    let Some(problem) = problems.find(|problem| problem.file == Some(StoreFile::Format)) else { return Ok(Vec::new()) };
    write_format(&**round.disk, round.inspection.reader.id(), round.guard())?;
    Ok(vec![Action::WriteFormat(problem.clone())])
}
