//! A restore that was cut off: finishing it, and going back from it.
//!
//! ```text
//!            restore begun -- killed --> unfinished --+-- resume: the same restore ---> as if never cut off
//!                                                     +-- abort: back to before it ---> as if never begun
//!                                                     +-- a restore of the same paths takes its place
//! ```
//!
//! Invariants: each of the three captures the folder first, so that work done meanwhile is in history. Undoing leads to
//! the state before the *first* begin; the half-way states in between are steps like any other. After an abort, the
//! same changes can be undone and redone as before the restore. An abort that is cut off is itself unfinished: resuming
//! and aborting it are the same.

use super::choice::{Before, Choice, Wish};
use super::{RestoreOptions, RestoreOutcome, go_back, lock};
use crate::error::{Error, ErrorKind, Result};
use crate::format::facts::{Restore, RestoreCause};
use crate::id::WorkspaceId;
use crate::ops::record::register::expect;
use crate::path::TreePath;
use crate::store::{Store, Workspace};

/// The hint for a restore that was cut off.
pub(super) const WAYS_OUT: &str =
    "`retro restore --continue` finishes it, `retro restore --abort` goes back to the state before it";

/// Runs a restore that was cut off to its end: the same target, the same paths. The paths of the options are ignored.
pub fn resume(store: &Store, workspace: WorkspaceId, options: &RestoreOptions<'_>) -> Result<RestoreOutcome> {
    let (_lock, state) = lock(store, workspace, options)?;
    let found = expect(&state, workspace)?;
    let past = unfinished_in(found, "continue")?;
    let before = Before::As(past.before);
    let wish = Wish { target: past.target, cause: past.cause, before, paths: paths_of(past) };
    go_back(store, found, &Choice::known(wish), options)
}

/// Puts the workspace back to the state before a restore that was cut off, and ends that restore as if it had never
/// begun. `NotFound` if that state was not recorded.
pub fn abort(store: &Store, workspace: WorkspaceId, options: &RestoreOptions<'_>) -> Result<RestoreOutcome> {
    let (_lock, state) = lock(store, workspace, options)?;
    let found = expect(&state, workspace)?;
    go_back(store, found, &Choice::known(aborting(found)?), options)
}

/// The way back from a restore that was cut off.
pub(super) fn aborting(workspace: &Workspace) -> Result<Wish> {
    let past = unfinished_in(workspace, "abort")?;
    let target = workspace.before_unfinished().ok_or_else(|| {
        let detail = "it was made without a safety snapshot, so that nobody knows the state before it";
        Error::new(ErrorKind::NotFound, "abort restore in", workspace.id.short(), detail)
            .with_hint("`retro restore --continue` finishes it; `retro restore REV` goes to another step")
    })?;
    Ok(Wish { target, cause: RestoreCause::Abort, before: Before::Now, paths: paths_of(past) })
}

/// The state that undoing a new restore of `paths` leads to. The new restore replaces one that was cut off if it covers
/// all its paths. Otherwise it is refused: it would leave a folder that is half one state and half another.
pub(super) fn superseded(workspace: &Workspace, paths: &[TreePath]) -> Result<Before> {
    let Some(past) = &workspace.unfinished else { return Ok(Before::Now) };
    let earlier = paths_of(past);
    let is_within = |path: &TreePath| paths.iter().any(|wider| path.is_within(wider));
    if !paths.is_empty() && (earlier.is_empty() || !earlier.iter().all(is_within)) {
        let detail = format!("the restore of {} was cut off, and these are not all of its paths", past.target.short());
        return Err(Error::new(ErrorKind::Conflict, "restore in", workspace.id.short(), detail).with_hint(WAYS_OUT));
    }
    Ok(workspace.before_unfinished().map_or(Before::Now, |before| Before::As(Some(before))))
}

/// The paths of a restore.
fn paths_of(restore: &Restore) -> Vec<TreePath> {
    restore.paths.iter().filter_map(|path| TreePath::new(path).ok()).collect()
}

fn unfinished_in<'w>(workspace: &'w Workspace, word: &str) -> Result<&'w Restore> {
    workspace.unfinished.as_ref().ok_or_else(|| {
        let operation = format!("{word} restore in");
        Error::new(ErrorKind::NotFound, &operation, workspace.id.short(), "none was cut off")
            .with_hint("`retro restore REV` begins one; `retro undo` takes the last one back")
    })
}
