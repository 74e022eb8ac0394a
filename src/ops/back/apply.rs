//! The fifth stage of a restore: the plan is carried out, and the state that it led to is recorded.

use super::arrive::arrive;
use super::decide::Decided;
use super::{Context, unfinished, wanted};
use crate::error::{Error, ErrorKind, Result, shown};
use crate::id::SnapshotId;
use crate::workspace::beneath::Root;
use crate::workspace::materialize::{self, Applied, Kept, Options};

/// Writes and removes what was decided, and records the end of the restore. Returns what came of the plan, and the
/// state that the folder is in.
pub(super) fn apply(
    context: &Context<'_>,
    decided: &Decided,
    refused: &[Kept],
) -> Result<(Applied, Option<SnapshotId>)> {
    let Context { store, root, options, .. } = context;
    let Decided { step, wish, target, plan, was_left_out } = decided;
    let attributes = wanted::in_place(store, target, step.captured.root_owner)?;
    // Power loss cannot part what a restore writes from what a store in memory says.
    let durable = !store.disk().places()?.is_empty();
    let how = Options { durable, attributes: Some(&attributes), progress: options.progress };
    let applied =
        materialize::apply(store, root, &plan.actions, &how).map_err(|e| e.with_hint(unfinished::WAYS_OUT))?;
    let applied = applied.with_refused(refused);
    expect_in_place(root)?;
    let is_whole = wish.paths.is_empty() && !plan.protects && !was_left_out && applied.kept.is_empty();
    let state = arrive(context, wish, target, is_whole)?;
    Ok((applied, state))
}

/// The folder that was written into must still be the one that its path leads to: somebody may have renamed it and put
/// another in its place, and then nothing of this restore is where they look for it.
fn expect_in_place(root: &Root) -> Result<()> {
    if root.is_in_place() {
        return Ok(());
    }
    let detail = "another folder took its place meanwhile: the restore went into the one that was there before";
    Err(Error::new(ErrorKind::Conflict, "restore", shown(root.path()), detail).with_hint(
        "put the right folder back, then `retro restore --continue` finishes it; `retro workspace move` tells the store \
         that a folder has moved",
    ))
}
