//! The end of a restore: which recorded state the folder is in now.
//!
//! A whole restore that left nothing alone made the folder its target. After any other one the folder is looked at
//! again, and what it is becomes a snapshot in the same transaction that says that the restore has ended. So the state
//! can be gone back to, and nobody takes what was restored for an edit of somebody's.

use super::Context;
use super::choice::Wish;
use super::look::capture;
use crate::error::Result;
use crate::format::facts::{Fact, RestoreCause};
use crate::format::snapshot::{Cause, Snapshot};
use crate::id::SnapshotId;
use crate::limits::MESSAGE_LENGTH_MAX_BYTES;
use crate::ops::record::add_snapshot::About;
use crate::ops::record::capture::Around;
use crate::ops::record::register::expect;
use crate::ops::record::step::{Step, compared};
use crate::path::TreePath;

/// Paths named in the message of the snapshot.
const PATHS_NAMED_MAX: usize = 3;

/// Says that the restore has ended, and returns the state it left the folder in. Without a safety snapshot nobody wants
/// one afterwards: then a restore of some paths is one more edit that is not recorded yet.
pub(super) fn arrive(
    context: &Context<'_>,
    wish: &Wish,
    target: &Snapshot,
    is_whole: bool,
) -> Result<Option<SnapshotId>> {
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
    // The rules may be those of before the restore; what it put back is there, whatever they say of it, and so is the
    // rest of what was there before, if only some paths were put back.
    let head = found.head.filter(|_| !wish.paths.is_empty()).and_then(|head| store.snapshot(head).ok());
    let around = Around { kept: [Some(target.root), head.map(|head| head.root)], ..Around::default() };
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

/// The snapshot that the folder equals: the target, or the head.
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
