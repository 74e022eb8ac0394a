//! `retro show`: one step, its facts and what it changed.

use retrograde::error::Result;
use retrograde::ops::log::LogEntry;
use retrograde::ops::show;

use crate::args::Show;
use crate::context::Context;
use crate::exit;
use crate::views::json::{self, Object};
use crate::views::{changes, event, human, steps};

pub(super) fn run(context: &mut Context, arguments: &Show) -> Result<u8> {
    let opened = context.open()?;
    let id = opened.resolve(&arguments.rev)?;
    let shown = show::show(&opened.store, id)?;
    let comparison = show::changes(&opened.store, id, &opened.tree_paths(&arguments.paths)?)?;
    if context.out.is_json {
        let object = shape(shown, &comparison.changes).finish();
        context.out.line(format_args!("{object}"))?;
        return Ok(exit::DONE);
    }
    let palette = context.out.palette;
    for line in steps::facts(&shown, opened.workspace_if_any(), context.now, &palette) {
        context.out.line(format_args!("{line}"))?;
    }
    if !shown.omitted.is_empty() {
        let count = human::count(shown.omitted.len() as u64, "path");
        context.out.line(format_args!("\nomitted   {count}"))?;
        for omission in &shown.omitted {
            context.out.line(format_args!("  {:<10}  {}", omission.reason.word(), omission.path))?;
        }
    }
    calls(context, &shown)?;
    if !comparison.changes.is_empty() {
        context.out.line(format_args!(""))?;
    }
    changes::print(&mut context.out, &comparison, arguments.detail, changes::Default::Names)?;
    Ok(exit::DONE)
}

/// Lists the calls that followed the step and changed nothing, the newest of them.
fn calls(context: &mut Context, shown: &show::Shown) -> Result<()> {
    if shown.call_count == 0 {
        return Ok(());
    }
    let count = human::count(shown.call_count, "call");
    context.out.line(format_args!("\ncalls     {count} followed, and changed nothing"))?;
    let skipped = shown.calls.len().saturating_sub(CALLS_MAX);
    if shown.call_count > (shown.calls.len() - skipped) as u64 {
        context.out.line(format_args!("  ... the last {}:", human::count(CALLS_MAX as u64, "call")))?;
    }
    for call in &shown.calls[skipped..] {
        let said = event::summary(&call.event, CALL_WIDTH_MAX).unwrap_or_default();
        context.out.line(format_args!("{}", format!("  {}  {said}", call.time.local()).trim_end()))?;
    }
    Ok(())
}

/// Calls shown to people.
const CALLS_MAX: usize = 20;

/// Longest text of a call, in characters.
const CALL_WIDTH_MAX: usize = 72;

/// A step as `log` lists it, and what only `show` knows.
fn shape(shown: show::Shown, changes: &[retrograde::diff::Change]) -> Object {
    let git = shown.snapshot.git.as_ref();
    let git = git.map(|git| Object::new().field("head", &git.head).field("branch", &git.branch));
    let rules: Vec<String> = shown.rules.lines().map(ToOwned::to_owned).collect();
    let workspace = shown.snapshot.workspace;
    let calls: Vec<Object> = shown.calls.iter().map(json::call).collect();
    let call_count = shown.call_count;
    let (omitted, is_pinned, is_incomplete) = (shown.omitted, shown.is_pinned, shown.is_incomplete);
    let (id, snapshot, event, tags) = (shown.id, shown.snapshot, shown.event, shown.tags);
    let entry = LogEntry { id, snapshot, event, call_count, tags, is_pinned, is_head: false, is_incomplete };
    json::step(Object::versioned(), &entry)
        .field("workspace", workspace.to_string())
        .field("pinned", is_pinned)
        .object("git", git)
        .field("rules", rules)
        .list("calls", calls)
        .list("omitted", omitted.iter().map(json::omission))
        .list("changes", changes.iter().map(json::change))
}
