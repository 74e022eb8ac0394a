//! `retro undo` and `retro redo`: back and forth between the states that the folder went through.

use std::num::NonZeroU64;

use retrograde::{RestoreOptions, RestoreOutcome, Result, Store, WorkspaceId};

use super::restore::{options, print, way_back};
use crate::args::{Repeated, Rewriting};
use crate::context::Context;
use crate::exit;
use crate::views::progress;

pub(super) fn undo(context: &mut Context, count: Repeated, how: Rewriting) -> Result<u8> {
    walk(context, count, how, retrograde::undo)
}

pub(super) fn redo(context: &mut Context, count: Repeated, how: Rewriting) -> Result<u8> {
    walk(context, count, how, retrograde::redo)
}

type Walk = fn(&Store, WorkspaceId, NonZeroU64, &RestoreOptions<'_>) -> Result<RestoreOutcome>;

fn walk(context: &mut Context, count: Repeated, how: Rewriting, walk: Walk) -> Result<u8> {
    let mut opened = context.open_quietly()?;
    let workspace = opened.workspace()?;
    let id = workspace.id;
    let config = context.workspace_config(&opened)?;
    let progress = progress::reporter(&context.out);
    let count = NonZeroU64::new(count.count).expect("the arguments take no 0");
    let outcome = walk(&opened.store, id, count, &options(context, &opened, how, &config, &*progress))?;
    drop(progress);
    opened.refresh();
    print(context, &opened, &outcome, how)?;
    way_back(context, &opened, &outcome)?;
    Ok(if outcome.is_exact() { exit::DONE } else { exit::NO })
}
