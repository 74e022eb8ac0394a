//! `retro runs`: the agent sessions (runs) of the workspace, the one with the newest step first.

use retrograde::{Result, Run, runs, wire};

use crate::context::Context;
use crate::views::{event, human, steps};

pub(super) fn run(context: &mut Context) -> Result<()> {
    let opened = context.open()?;
    let found = runs(&opened.store, opened.workspace()?.id)?;
    if context.out.is_json {
        for run in &found.runs {
            context.out.json(&wire::Run::new(run, event::agent(&run.event)))?;
        }
    } else {
        print(context, &found.runs)?;
        if found.runs.is_empty() && found.unreadable.is_empty() {
            context.out.note(format_args!("no step is recorded here yet"));
        }
    }
    opened.report_unreadable(&context.out, found.unreadable)
}

fn print(context: &mut Context, runs: &[Run]) -> Result<()> {
    let palette = context.out.palette;
    let span = |run: &Run| match (run.first.1.step, run.last.1.step) {
        (first, last) if first == last => format!("s{first}"),
        (first, last) => format!("s{first}..s{last}"),
    };
    let widest = |text: &dyn Fn(&Run) -> String| runs.iter().map(|run| text(run).chars().count()).max().unwrap_or(0);
    let name = |run: &Run| human::one_line(&human::label(&run.name), NAME_WIDTH_MAX);
    let count = |run: &Run| human::count(run.count, "step");
    let counts = |run: &Run| human::counts(&run.changes);
    let (name_width, count_width) = (widest(&name), widest(&count));
    let (span_width, counts_width) = (widest(&span), widest(&counts));
    for run in runs {
        let (id, dim, head) = (palette.id, palette.dim, palette.head);
        let mark = if run.has_head { format!("{head}@{head:#} ") } else { "  ".to_owned() };
        let (first, last) = (run.first.1.time.local(), run.last.1.time.local());
        let line = format!(
            "{mark}{:<name_width$}  {:>count_width$}  {id}{:<span_width$}{id:#}  {dim}{first} - {last}{dim:#}  \
             {:<counts_width$}  {}",
            name(run),
            count(run),
            span(run),
            counts(run),
            text(run),
        );
        context.out.line(format_args!("{}", line.trim_end()))?;
    }
    Ok(())
}

/// The longest name of a run in the list, in characters.
const NAME_WIDTH_MAX: usize = 40;

/// The agent, and the headline of its last step.
fn text(run: &Run) -> String {
    let did = steps::headline(&run.last.1, &run.event);
    match event::agent(&run.event) {
        Some(agent) if did.is_empty() || did == agent => agent,
        Some(agent) => format!("{agent}: {did}"),
        None => did,
    }
}
