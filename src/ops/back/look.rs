//! The first stage of a restore: captures the folder with everything that may be overwritten, and chooses the state to
//! go to.
//!
//! The folder is captured once, but for two rare cases: a file that would be lost has another content than the stat
//! cache says, or a path that the rules exclude was captured only for the sake of a state that is not chosen.

use super::Context;
use super::choice::{Choice, Wish};
use super::plan::plan;
use super::unseen::Unseen;
use crate::error::Result;
use crate::id::BlobId;
use crate::ops::record::capture::{Around, CaptureOptions, Captured, capture_around, changed};
use crate::path::TreePath;
use crate::store::{Batch, Workspace};
use crate::workspace::scan::EarlierAt;

/// Captures the folder, into `batch` if the state before is to be kept. Everything that the restore takes away is then
/// sure to be as it was captured.
pub(super) fn look(
    context: &Context<'_>,
    choice: &Choice<'_>,
    mut batch: Option<&mut Batch<'_>>,
) -> Result<(Captured, Wish)> {
    let Context { store, workspace, root, .. } = context;
    let wishes = choice.wishes();
    let targets = wishes.iter().filter_map(|wish| store.snapshot(wish.target).ok()).map(|target| target.root);
    // Paths of the head are captured even if the rules exclude them since: otherwise they would look deleted.
    let head = workspace.head.and_then(|head| store.snapshot(head).ok()).map(|head| head.root);
    let paths = wishes.first().map_or_else(Vec::new, |wish| wish.paths.clone());
    let mut around =
        Around { kept: head.into_iter().collect(), targets: targets.collect(), paths, ..Around::default() };
    let mut captured = capture(context, workspace, &around, batch.as_deref_mut())?;
    let mut wish = choice.choose(context, &captured)?;
    if batch.is_some() {
        let mut lost = lost(context, &captured, &wish)?;
        for other in wishes.iter().filter(|other| other.target != wish.target) {
            lost.extend(self::lost(context, &captured, other).unwrap_or_default());
        }
        around.changed = changed(root, &lost)?;
    }
    if !around.changed.is_empty() {
        captured = capture(context, workspace, &around, batch.as_deref_mut())?;
        wish = choice.choose(context, &captured)?;
    }
    let target = store.snapshot(wish.target)?.root;
    if !captured.is_around(store, target) {
        captured = capture(context, workspace, &Around { targets: vec![target], ..around }, batch)?;
    }
    Ok((captured, wish))
}

/// The contents that going to a state takes away.
fn lost(context: &Context<'_>, captured: &Captured, wish: &Wish) -> Result<Vec<(TreePath, BlobId)>> {
    let target = context.store.snapshot(wish.target)?;
    Ok(plan(context.store, &context.root, captured, &target, None, &wish.paths)?.lost)
}

/// Captures the folder around a restore. No limit stops it, and a path that the newest snapshot excluded is excluded
/// again, unless one of the states has it.
pub(super) fn capture(
    context: &Context<'_>,
    workspace: &Workspace,
    around: &Around<'_>,
    batch: Option<&mut Batch<'_>>,
) -> Result<Captured> {
    let Context { store, root, options, .. } = context;
    let config = options.config.without_stops();
    let unseen = Unseen::of(store, workspace, root);
    let unseen = unseen.as_ref().map(|unseen| |path: &[u8], is_folder: bool| unseen.at(path, is_folder));
    let around = Around { earlier: unseen.as_ref().map(|unseen| unseen as &EarlierAt<'_>), ..around.clone() };
    let capture_options = CaptureOptions::new(&config, options.home, options.progress);
    capture_around(store, workspace.id, root, &capture_options, &around, batch)
}
