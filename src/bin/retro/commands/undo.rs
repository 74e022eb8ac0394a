//! `retro undo` and `retro redo`: back and forth between the states around restores.

use retrograde::error::Result;
use retrograde::ops::restore;

use super::restore::{options, print, way_back};
use crate::args::Rewriting;
use crate::context::Context;
use crate::exit;
use crate::views::progress;

pub(super) fn undo(context: &mut Context, count: u64, how: Rewriting) -> Result<u8> {
    walk(context, count, how, restore::undo)
}

pub(super) fn redo(context: &mut Context, how: Rewriting) -> Result<u8> {
    walk(context, 1, how, restore::redo)
}

type Walk = fn(
    &retrograde::store::Store,
    retrograde::id::WorkspaceId,
    usize,
    &restore::RestoreOptions<'_>,
) -> Result<Vec<restore::RestoreOutcome>>;

fn walk(context: &mut Context, count: u64, how: Rewriting, walk: Walk) -> Result<u8> {
    let mut opened = context.open_quietly()?;
    let workspace = opened.workspace()?;
    let id = workspace.id;
    let config = context.workspace_config(&opened)?;
    let progress = progress::reporter(&context.out);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let outcomes = walk(&opened.store, id, count, &options(context, &opened, how, &config, &*progress))?;
    drop(progress);
    opened.refresh();
    outcomes.iter().try_for_each(|outcome| print(context, &opened, outcome, how))?;
    outcomes.last().map_or(Ok(()), |last| way_back(context, &opened, last))?;
    Ok(exit::DONE)
}
