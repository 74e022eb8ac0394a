//! The fifth stage of a restore: the plan is carried out, and the state that it led to is recorded.
//!
//! A restore of everything that left nothing alone made the folder its target. After any other one the folder is
//! captured again, and becomes a snapshot in the same transaction that ends the restore. So this state can be gone back
//! to, and nobody takes what was restored for an edit.

use super::choice::Wish;
use super::decide::Decided;
use super::look::capture;
use super::{Context, into, unfinished};
use crate::error::{Error, ErrorKind, Result, shown};
use crate::format::attributes::Owner;
use crate::format::facts::{Fact, RestoreCause};
use crate::format::snapshot::{Cause, Reason, Snapshot};
use crate::id::SnapshotId;
use crate::limits::MESSAGE_LENGTH_MAX_BYTES;
use crate::ops::record::add_snapshot::About;
use crate::ops::record::attached::omitted_of;
use crate::ops::record::capture::Around;
use crate::ops::record::register::expect;
use crate::ops::record::step::{Step, compared};
use crate::path::TreePath;
use crate::store::Store;
use crate::workspace::attributes::may_give_away;
use crate::workspace::beneath::Root;
use crate::workspace::materialize::{self, Applied, Kept, Options, TargetAttributes};

/// Number of paths that the message of the snapshot names.
const PATHS_NAMED_MAX: usize = 3;

/// Carries the plan out, and records the end of the restore. Returns the outcome, and the state that the folder is in.
pub(super) fn apply(
    context: &Context<'_>,
    decided: &Decided,
    refused: &[Kept],
) -> Result<(Applied, Option<SnapshotId>)> {
    let Context { store, root, options, .. } = context;
    let Decided { step, wish, target, plan, writes_excluded } = decided;
    let attributes = wanted(store, target, step.captured.root_owner)?;
    // A store in memory does not survive a power loss, so there is nothing to keep in step with it.
    let durable = !store.disk().places()?.is_empty();
    let how = Options { durable, attributes: Some(&attributes), progress: options.progress };
    let applied =
        materialize::apply(store, root, &plan.actions, &how).map_err(|e| e.with_hint(unfinished::WAYS_OUT))?;
    let applied = applied.with_refused(refused);
    expect_in_place(root)?;
    let is_whole = wish.paths.is_empty() && !plan.protects && !writes_excluded && applied.kept.is_empty();
    let state = end(context, wish, target, is_whole)?;
    Ok((applied, state))
}

/// Owners and attributes for a live folder whose root belongs to `live`. Whoever may give files away gives each its
/// owner. For anybody else, files of the root folder's owner then become files of its owner now.
fn wanted(store: &Store, target: &Snapshot, live: Owner) -> Result<TargetAttributes> {
    let owner = if may_give_away() { target.root_owner.unwrap_or(live) } else { live };
    let partial = omitted_of(store, target)?.into_iter().filter(|one| one.reason == Reason::Attributes);
    let partial = partial.map(|one| one.path).collect();
    Ok(TargetAttributes { owner: Some(owner), partial, ..into::wanted(store, target)? })
}

/// `Conflict` if the path of the folder leads to another folder now: somebody may have renamed the folder and put
/// another in its place, and then nothing of this restore is where they look for it.
fn expect_in_place(root: &Root) -> Result<()> {
    if root.is_in_place() {
        return Ok(());
    }
    let detail = "another folder took its place meanwhile: the restore went into the one that was there before";
    Err(Error::new(ErrorKind::Conflict, "restore", shown(root.path()), detail).with_hint(
        "put the right folder back, then `retro restore --continue` finishes it; `retro workspace move` tells the \
         store that a folder has moved",
    ))
}

/// Records that the restore has ended, and returns the state that the folder is in. Without a safety snapshot nobody
/// wants one afterwards: a restore of some paths is then one more edit that is not recorded yet.
fn end(context: &Context<'_>, wish: &Wish, target: &Snapshot, is_whole: bool) -> Result<Option<SnapshotId>> {
    let Context { store, root, options, .. } = context;
    let workspace = context.workspace.id;
    let ended = |state| vec![Fact::RestoreEnded { workspace, state, time: options.now }];
    if is_whole || !options.safety {
        let state = wish.paths.is_empty().then_some(wish.target);
        store.record(|_| Ok(ended(state)))?;
        return Ok(state);
    }
    let state = store.state();
    let found = expect(&state, workspace)?;
    let mut batch = store.batch();
    // The paths that were put back are captured even if the rules exclude them, and so is the rest of the head if only
    // some paths were put back.
    let head = found.head.filter(|_| !wish.paths.is_empty()).and_then(|head| store.snapshot(head).ok());
    let around =
        Around { kept: [target.root].into_iter().chain(head.map(|head| head.root)).collect(), ..Around::default() };
    let captured = capture(context, found, &around, Some(&mut batch))?;
    let step = compared(store, found, root, captured)?;
    let state = match recorded_already(&step, wish, target) {
        Some(known) => {
            store.record(|_| Ok(ended(Some(known))))?;
            known
        }
        None => {
            let about = About::of_restore(Cause::AfterRestore, message(wish, target), options.now);
            step.record(&mut batch, found, about, |_, taken| ended(Some(taken)))?.id
        }
    };
    step.captured.remember(store);
    Ok(Some(state))
}

/// The recorded snapshot that the folder equals: the target, or the head.
fn recorded_already(step: &Step, wish: &Wish, target: &Snapshot) -> Option<SnapshotId> {
    if step.captured.is_at(target) {
        return Some(wish.target);
    }
    step.head.as_ref().filter(|_| !step.differs()).map(|(id, _)| *id)
}

fn message(wish: &Wish, target: &Snapshot) -> String {
    let step = target.step;
    let word = if wish.cause == RestoreCause::Abort { "put back" } else { "restored" };
    if wish.paths.is_empty() {
        return format!("{word} s{step}, except for what was left alone");
    }
    let mut names: Vec<String> = wish.paths.iter().take(PATHS_NAMED_MAX).map(TreePath::to_string).collect();
    if let Some(more) = wish.paths.len().checked_sub(PATHS_NAMED_MAX).filter(|more| *more > 0) {
        names.push(format!("{more} more"));
    }
    let message = format!("{word} {} from s{step}", names.join(", "));
    if message.len() > MESSAGE_LENGTH_MAX_BYTES { format!("{word} paths from s{step}") } else { message }
}
