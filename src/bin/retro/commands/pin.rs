//! `retro pin`: keep a step whatever the storage budget.

use retrograde::{Result, pin, wire};

use crate::context::Context;
use crate::views::steps;

pub(super) fn run(context: &mut Context, rev: &str, is_pinned: bool) -> Result<()> {
    let opened = context.open()?;
    let snapshot = opened.resolve(rev)?;
    let has_changed = pin(&opened.store, snapshot, is_pinned, context.now)?;
    let shown = steps::name_in(opened.workspace_if_any(), snapshot, &context.out.palette);
    let text = match (is_pinned, has_changed) {
        (true, true) => "is kept from now on",
        (true, false) => "is kept already",
        (false, true) => "may be forgotten from now on",
        (false, false) => "was not pinned",
    };
    context.out.done(&wire::Pinned::new(snapshot, is_pinned, has_changed), format_args!("{shown} {text}"))
}
