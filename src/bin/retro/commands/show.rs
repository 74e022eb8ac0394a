//! `retro show`: one step, its changes and its facts.

use retrograde::{Result, Shown, show, step_changes, wire};

use retrograde::detail::change_counts as counts;

use crate::args::Show;
use crate::context::Context;
use crate::views::{changes, event, excluded, human, steps};

pub(super) fn run(context: &mut Context, arguments: &Show) -> Result<()> {
    let opened = context.open()?;
    let id = opened.resolve_step(&arguments.rev, "retro show @")?;
    if arguments.event {
        return print_event(context, &show(&opened.store, id)?);
    }
    let around: Vec<_> = opened.store.snapshot(id)?.parents.first().copied().into_iter().chain([id]).collect();
    let selection = opened.selection(&arguments.paths.all(), &around)?;
    opened.expect_somewhere(&selection, &around, "show")?;
    let comparison = step_changes(&opened.store, id, &selection)?;
    let mut shown = show(&opened.store, id)?;
    if !selection.is_everything() {
        shown.changes = counts(&comparison.changes);
    }
    if context.out.is_json {
        let changes = changes::json(&comparison, arguments.detail)?;
        return context.out.json(&wire::Shown::new(&shown, changes));
    }
    let palette = context.out.palette;
    context.out.line(format_args!("{}", steps::title(&shown, &palette)))?;
    changes::print(&mut context.out, &comparison, arguments.detail, changes::Default::Names)?;
    context.out.line(format_args!(""))?;
    context.out.lines(steps::facts(&shown, opened.workspace_if_any(), context.now, &palette))?;
    if !shown.omitted.is_empty() {
        let count = human::count(shown.omitted.len() as u64, "path");
        context.out.line(format_args!("omitted   {count}"))?;
        context.out.lines(shown.omitted.iter().map(|omission| format!("  {}", excluded::omission(omission))))?;
    }
    calls(context, &shown)
}

/// Prints only the event of the step, and those of the calls that followed it.
fn print_event(context: &mut Context, shown: &Shown) -> Result<()> {
    let out = &mut context.out;
    let of_calls = shown.calls.iter().map(|call| &call.event);
    let events: Vec<&Vec<u8>> = [&shown.event].into_iter().chain(of_calls).filter(|event| !event.is_empty()).collect();
    if events.is_empty() {
        out.note(format_args!("s{} has no event", shown.snapshot.step));
    }
    for event in events {
        if out.is_json || !out.is_terminal {
            let event = wire::Event::of(event).expect("empty ones are passed over");
            out.line(format_args!("{}", event.text()))?;
        } else {
            out.lines(event::pretty(event).iter().map(|line| human::printable(line)))?;
        }
    }
    Ok(())
}

/// Lists the newest calls that followed the step and changed nothing.
fn calls(context: &mut Context, shown: &Shown) -> Result<()> {
    if shown.call_count == 0 {
        return Ok(());
    }
    let count = human::count(shown.call_count, "call");
    context.out.line(format_args!("calls     {count} that followed changed nothing"))?;
    let skipped = shown.calls.len().saturating_sub(CALLS_MAX);
    if shown.call_count > (shown.calls.len() - skipped) as u64 {
        context.out.line(format_args!("  ... the last {}:", human::count(CALLS_MAX as u64, "call")))?;
    }
    for call in &shown.calls[skipped..] {
        let text = event::summary(&call.event, CALL_WIDTH_MAX).unwrap_or_default();
        context.out.line(format_args!("{}", format!("  {}  {text}", call.time.local()).trim_end()))?;
    }
    Ok(())
}

/// The most calls that are listed.
const CALLS_MAX: usize = 20;

/// The longest text of a call, in characters.
const CALL_WIDTH_MAX: usize = 72;
