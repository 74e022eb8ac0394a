//! The first stage of a restore: the folder as it is, with everything that may be written over.

use std::collections::BTreeSet;

use super::Context;
use super::choice::{Choice, Wish};
use super::plan::plan;
use super::unseen::Unseen;
use crate::error::Result;
use crate::id::BlobId;
use crate::ops::record::capture::{Around, CaptureOptions, Captured, capture_around};
use crate::path::TreePath;
use crate::store::{Batch, Workspace};
use crate::workspace::scan::EarlierAt;

/// Captures the folder, into `batch` where the state before is to be kept. Then everything that is about to be lost is
/// sure to be as it was captured.
pub(super) fn look(context: &Context<'_>, choice: &Choice, mut batch: Option<&mut Batch<'_>>) -> Result<Captured> {
    let Context { store, workspace, root, .. } = context;
    let targets = choice.wishes().filter_map(|wish| store.snapshot(wish.target).ok()).map(|target| target.root);
    // What the head has is captured though the rules leave it out since: else it would look deleted.
    let head = workspace.head.and_then(|head| store.snapshot(head).ok()).map(|head| head.root);
    let around =
        Around { kept: [head, None], earlier: None, targets: targets.collect(), paths: choice.paths().to_vec() };
    let mut captured = capture(context, workspace, around, batch.as_deref_mut())?;
    if let Some(batch) = batch {
        let lost = lost(context, choice, &captured);
        captured.confirm(store, root, batch, &lost)?;
    }
    Ok(captured)
}

/// Captures the folder around a restore. No cap stops it, and what the newest snapshot left out is left out again,
/// unless one of the states has it.
pub(super) fn capture(
    context: &Context<'_>,
    workspace: &Workspace,
    around: Around<'_>,
    batch: Option<&mut Batch<'_>>,
) -> Result<Captured> {
    let Context { store, root, options, .. } = context;
    let config = options.config.without_stops();
    let unseen = Unseen::of(store, workspace, root);
    let unseen = unseen.as_ref().map(|unseen| |path: &[u8], is_folder: bool| unseen.at(path, is_folder));
    let around = Around { earlier: unseen.as_ref().map(|unseen| unseen as &EarlierAt<'_>), ..around };
    let capture_options = CaptureOptions::new(&config, options.home, options.progress);
    capture_around(store, workspace.id, root, &capture_options, &around, batch)
}

/// The contents that may be lost, whichever state is gone to. One that cannot be gone to takes nothing away.
fn lost(context: &Context<'_>, choice: &Choice, captured: &Captured) -> Vec<(TreePath, BlobId)> {
    let Context { store, root, .. } = context;
    let plan_for = |wish: &Wish| plan(store, root, captured, &*store.snapshot(wish.target)?, None, &wish.paths);
    let plans = choice.wishes().filter_map(|wish| plan_for(wish).ok());
    let lost: BTreeSet<(TreePath, BlobId)> = plans.flat_map(|plan| plan.lost).collect();
    lost.into_iter().collect()
}
