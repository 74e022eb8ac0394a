//! `retro show`: one step, what it changed and its facts.

use retrograde::LogEntry;
use retrograde::Result;
use retrograde::Shown;
use retrograde::detail::change_counts as counts;
use retrograde::detail::step_changes;
use retrograde::show;

use crate::args::Show;
use crate::context::Context;
use crate::exit;
use crate::views::json::{self, Object};
use crate::views::{changes, event, human, steps};

pub(super) fn run(context: &mut Context, arguments: &Show) -> Result<u8> {
    let opened = context.open()?;
    let id = opened.resolve_step(&arguments.rev, "retro show @")?;
    if arguments.event {
        return print_event(context, &show(&opened.store, id)?);
    }
    let paths = [&arguments.more[..], &arguments.paths].concat();
    let around: Vec<_> = opened.store.snapshot(id)?.parents.first().copied().into_iter().chain([id]).collect();
    let selection = opened.selection(&paths, &around)?;
    opened.expect_somewhere(&selection, &around, "show")?;
    let comparison = step_changes(&opened.store, id, &selection)?;
    let mut shown = show(&opened.store, id)?;
    if !selection.is_everything() {
        shown.changes = counts(&comparison.changes);
    }
    if context.out.is_json {
        let changes = changes::shapes(&comparison, arguments.detail)?;
        let object = shape(shown, changes).finish();
        context.out.line(format_args!("{object}"))?;
        return Ok(exit::DONE);
    }
    let palette = context.out.palette;
    context.out.line(format_args!("{}", steps::title(&shown, &palette)))?;
    changes::print(&mut context.out, &comparison, arguments.detail, changes::Default::Names)?;
    context.out.line(format_args!(""))?;
    for line in steps::facts(&shown, opened.workspace_if_any(), context.now, &palette) {
        context.out.line(format_args!("{line}"))?;
    }
    if !shown.omitted.is_empty() {
        let count = human::count(shown.omitted.len() as u64, "path");
        context.out.line(format_args!("omitted   {count}"))?;
        for omission in &shown.omitted {
            context.out.line(format_args!("  {:<10}  {}", omission.reason.word(), omission.path))?;
        }
    }
    calls(context, &shown)?;
    Ok(exit::DONE)
}

/// Prints what the agent said about the step, and nothing else.
fn print_event(context: &mut Context, shown: &Shown) -> Result<u8> {
    let out = &mut context.out;
    let of_calls = shown.calls.iter().map(|call| &call.event);
    let events: Vec<&Vec<u8>> = [&shown.event].into_iter().chain(of_calls).filter(|event| !event.is_empty()).collect();
    if events.is_empty() {
        out.note(format_args!("s{} has no event", shown.snapshot.step));
    }
    for event in events {
        if out.is_json || !out.is_terminal {
            out.line(format_args!("{}", event::line(event).unwrap_or_default()))?;
        } else {
            let lines = event::pretty(event);
            lines.iter().try_for_each(|line| out.line(format_args!("{}", human::printable(line))))?;
        }
    }
    Ok(exit::DONE)
}

/// Lists the calls that followed the step and changed nothing, the newest of them.
fn calls(context: &mut Context, shown: &Shown) -> Result<()> {
    if shown.call_count == 0 {
        return Ok(());
    }
    let count = human::count(shown.call_count, "call");
    context.out.line(format_args!("calls     {count} followed, and changed nothing"))?;
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
fn shape(shown: Shown, changes: Vec<Object>) -> Object {
    let git = shown.snapshot.git.as_ref();
    let git = git.map(|git| Object::new().field("head", &git.head).field("branch", &git.branch));
    let rules: Vec<String> = shown.rules.lines().map(ToOwned::to_owned).collect();
    let workspace = shown.snapshot.workspace;
    let calls: Vec<Object> = shown.calls.iter().map(json::call).collect();
    let call_count = shown.call_count;
    let (left_out, rules_changed) = (shown.left_out, shown.rules_changed);
    let (omitted, is_pinned, is_incomplete) = (shown.omitted, shown.is_pinned, shown.is_incomplete);
    let (id, snapshot, event, tags, changed) = (shown.id, shown.snapshot, shown.event, shown.tags, shown.changes);
    let entry =
        LogEntry { id, snapshot, event, call_count, changes: changed, tags, is_pinned, is_head: false, is_incomplete };
    json::step(Object::versioned(), &entry)
        .field("workspace", workspace.to_string())
        .field("pinned", is_pinned)
        .object("git", git)
        .field("rules", rules)
        .field("rules_changed", rules_changed)
        .list("left_out", left_out.iter().map(|path| Object::new().path(path)))
        .list("calls", calls)
        .list("omitted", omitted.iter().map(json::omission))
        .list("changes", changes)
}
