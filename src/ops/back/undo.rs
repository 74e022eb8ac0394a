//! Undo and redo: back and forth between the states that the folder went through (see `store::timeline`).
//!
//! ```text
//! s1 -- s2 -- s3 .. edits      undo   -> s3, and the edits are s4
//!                              undo   -> s2
//!                              redo   -> s3, redo -> s4: each to the state that the undo left
//!                              undo 3 from the edits -> s1; one redo leads back to them
//! ```
//!
//! A change is anything that makes the folder differ from the state before: edits that are not recorded yet, a step, a
//! restore, or an undo. Snapshots that changed nothing are skipped. Several changes are undone by one restore, to the
//! state before the first of them; if there are fewer, nothing is done. A restore that was cut off is the last change,
//! and undoing it aborts it.

use std::num::NonZeroU64;

use super::choice::{Before, Choice, Wish};
use super::{RestoreOptions, RestoreOutcome, go_back, lock, unfinished};
use crate::error::{Error, ErrorKind, Result};
use crate::format::attributes::Owner;
use crate::format::facts::RestoreCause;
use crate::format::snapshot::Attachment;
use crate::id::{SnapshotId, TreeId, WorkspaceId};
use crate::ops::record::register::expect;
use crate::store::{Store, Workspace};

/// The hint for a state that neither undo nor redo leads to.
const OTHER_WAY: &str = "`retro log` lists the steps; `retro restore REV` goes to any of them";

/// Takes the last `count` changes of a workspace back. `NotFound` if there are fewer; then nothing is done.
pub fn undo(
    store: &Store,
    workspace: WorkspaceId,
    count: NonZeroU64,
    options: &RestoreOptions<'_>,
) -> Result<RestoreOutcome> {
    let count = count.get();
    let (_lock, state) = lock(store, workspace, options)?;
    let found = expect(&state, workspace)?;
    let choice = match (&found.unfinished, count) {
        (Some(_), 1) => Choice::known(unfinished::aborting(found)?),
        (Some(_), _) => Choice::known(undo_beyond_unfinished(store, found, count)?),
        (None, _) => undo_changes(store, found, count)?,
    };
    go_back(store, found, &choice, options)
}

/// Takes the last `count` undos of a workspace back: goes to the state that the first of them left. `NotFound` if there
/// are fewer; then nothing is done.
pub fn redo(
    store: &Store,
    workspace: WorkspaceId,
    count: NonZeroU64,
    options: &RestoreOptions<'_>,
) -> Result<RestoreOutcome> {
    let count = count.get();
    let (_lock, state) = lock(store, workspace, options)?;
    let found = expect(&state, workspace)?;
    let mut undone = found.timeline.undone();
    let available = undone.len() as u64;
    let last = usize::try_from(count - 1).ok().and_then(|last| undone.nth(last));
    let target = last.ok_or_else(|| too_few("redo", available, count))?;
    let before = unfinished::superseded(found, &[])?;
    let wish = Wish { target, cause: RestoreCause::Redo { count }, before, paths: Vec::new() };
    go_back(store, found, &Choice::known(wish), options)
}

/// Takes `count` changes back. Edits that are not recorded yet are the last of them; only the capture finds them.
fn undo_changes<'a>(store: &'a Store, workspace: &'a Workspace, count: u64) -> Result<Choice<'a>> {
    let Some(stands) = workspace.stands() else {
        let detail = "nothing of it is recorded yet";
        return Err(Error::new(ErrorKind::NotFound, "nothing to undo in", "this folder", detail)
            .with_hint("`retro snap` records it"));
    };
    Ok(Choice::by_edits(stands, move |is_edited| {
        undo_to(store, workspace, stands, count, u64::from(is_edited), Before::Now)
    }))
}

/// Takes back the restore that was cut off, and `count - 1` changes before it.
fn undo_beyond_unfinished(store: &Store, workspace: &Workspace, count: u64) -> Result<Wish> {
    let before = unfinished::superseded(workspace, &[])?;
    let stands = workspace.stands().ok_or_else(|| too_few("undo", 1, count))?;
    undo_to(store, workspace, stands, count, 1, before)
}

/// Goes to the state before the last `count` changes, of which the last `unrecorded` are not recorded.
fn undo_to(
    store: &Store,
    workspace: &Workspace,
    stands: SnapshotId,
    count: u64,
    unrecorded: u64,
    before: Before,
) -> Result<Wish> {
    let (states, target) = earlier(store, workspace, stands, count - unrecorded)
        .map_err(|available| too_few("undo", available + unrecorded, count))?;
    let target = target.ok_or_else(|| {
        let detail = "the state before the last restore was not recorded";
        Error::new(ErrorKind::NotFound, "undo in", "this folder", detail).with_hint(OTHER_WAY)
    })?;
    Ok(Wish { target, cause: RestoreCause::Undo { count: states }, before, paths: Vec::new() })
}

/// The state before the last `count` recorded changes, and the number of states to go back. The state is `None` if it
/// was not recorded. If there are fewer changes, the error is their number.
fn earlier(
    store: &Store,
    workspace: &Workspace,
    stands: SnapshotId,
    count: u64,
) -> std::result::Result<(u64, Option<SnapshotId>), u64> {
    // A state that cannot be read differs from every other: going there fails, going past it need not.
    let content = |state: Option<SnapshotId>| -> Option<(TreeId, u16, Option<Owner>, Attachment)> {
        let snapshot = store.snapshot(state?).ok()?;
        Some((snapshot.root, snapshot.root_mode, snapshot.root_owner, snapshot.attributes.clone()))
    };
    if count == 0 {
        return Ok((0, Some(stands)));
    }
    let mut newer = content(Some(stands));
    let mut changes = 0;
    for (states, state) in (1..).zip(workspace.timeline.backwards().skip(1)) {
        let here = content(state);
        changes += u64::from(here.is_none() || here != newer);
        newer = here;
        if changes == count {
            return Ok((states, state));
        }
    }
    Err(changes)
}

fn too_few(word: &str, available: u64, wanted: u64) -> Error {
    let (operation, detail) = match (available, word) {
        (0, "undo") => ("nothing to undo in".to_owned(), "it is as it was when it was first recorded".to_owned()),
        (0, _) => ("nothing to redo in".to_owned(), "nothing was undone since it last changed".to_owned()),
        _ => {
            let things = if word == "undo" { "change" } else { "undo" };
            let plural = if available == 1 { "" } else { "s" };
            let detail = format!("only {available} {things}{plural} can be taken back; nothing was done");
            (format!("{word} {wanted} in"), detail)
        }
    };
    Error::new(ErrorKind::NotFound, &operation, "this folder", detail).with_hint(OTHER_WAY)
}
