//! `retro pin`: steps that are kept whatever the budget.

use retrograde::{Result, pin, wire};

use crate::context::Context;
use crate::exit;
use crate::views::steps;

pub(super) fn run(context: &mut Context, rev: &str, is_pinned: bool) -> Result<u8> {
    let opened = context.open()?;
    let snapshot = opened.resolve(rev)?;
    let has_changed = pin(&opened.store, snapshot, is_pinned, context.now)?;
    if context.out.is_json {
        context.out.json(&wire::Pinned::new(snapshot, is_pinned, has_changed))?;
        return Ok(exit::DONE);
    }
    let shown = steps::name_in(opened.workspace_if_any(), snapshot, &context.out.palette);
    let text = match (is_pinned, has_changed) {
        (true, true) => "is kept from now on",
        (true, false) => "is kept already",
        (false, true) => "may be forgotten from now on",
        (false, false) => "was not pinned",
    };
    context.out.summary(format_args!("{shown} {text}"))?;
    Ok(exit::DONE)
}
