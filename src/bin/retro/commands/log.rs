//! `retro log`: the steps, newest first.

use retrograde::error::Result;
use retrograde::history::lanes::{self, Prefixes, Style};
use retrograde::ops::log::{Log as Listed, LogEntry, LogOptions, log};
use retrograde::ops::show;

use crate::args::Log;
use crate::context::{Context, Opened};
use crate::exit;
use crate::views::changes;
use crate::views::color::Palette;
use crate::views::json::{self, Object};
use crate::views::steps::{self, Columns};

/// Steps shown on a terminal where nobody said how many: the newest stand at the top, and must not scroll away.
const TERMINAL_COUNT: u64 = 30;

pub(super) fn run(context: &mut Context, arguments: Log) -> Result<u8> {
    let opened = context.open()?;
    context.warn_of_unfinished(&opened);
    let default = (context.out.is_terminal && !context.out.is_json).then_some(TERMINAL_COUNT);
    let count_max = match arguments.count {
        Some(0) => None,
        Some(count) => Some(count),
        None => default,
    };
    let snapshots = arguments.range.as_deref().map(|range| opened.resolve_range(range)).transpose()?;
    let listed = log(
        &opened.store,
        &LogOptions {
            workspace: opened.workspace()?.id,
            snapshots,
            run: arguments.run.clone(),
            paths: opened.tree_paths(&arguments.paths)?,
            count_max,
        },
    )?;
    if context.out.is_json {
        for entry in &listed.entries {
            context.out.line(format_args!("{}", json::step(Object::new(), entry).finish()))?;
        }
    } else {
        print(context, &opened, &listed, &arguments)?;
    }
    if listed.is_cut && arguments.count.is_none() {
        context.out.note(format_args!("the last {TERMINAL_COUNT} steps; -n 0 lists all"));
    }
    // Everything that could be read was printed; the first failure decides how to exit. What a repair has found to be lost
    // is known, and no failure any more.
    let is_known = |id: &_| opened.state.incomplete.contains(id);
    let (known, unreadable): (Vec<_>, Vec<_>) = listed.unreadable.into_iter().partition(|(id, _)| is_known(id));
    known.iter().for_each(|(id, _)| context.out.warning(format_args!("snapshot {}: it is lost", id.short())));
    let mut unreadable = unreadable.into_iter().map(|(_, error)| error);
    let first = unreadable.next();
    unreadable.for_each(|error| context.out.warning(format_args!("{error}")));
    first.map_or(Ok(exit::DONE), Err)
}

fn print(context: &mut Context, opened: &Opened, listed: &Listed, arguments: &Log) -> Result<()> {
    let palette = context.out.palette;
    let columns = Columns::fitting(&listed.entries);
    let mut prefixes = prefixes(&listed.entries, arguments.graph, &palette).into_iter();
    for entry in &listed.entries {
        let mut lines = vec![columns.line(entry, &palette)];
        if arguments.stat {
            let comparison = show::changes(&opened.store, entry.id, &opened.tree_paths(&arguments.paths)?)?;
            let load = |change: &_| comparison.contents(change);
            if !comparison.changes.is_empty() {
                let stat = changes::stat(&comparison.changes, &palette, &load)?;
                lines.extend(stat.into_iter().map(|line| format!("      {line}")));
            }
        }
        let prefix = prefixes.next().expect("every step has a prefix");
        for (at, line) in lines.iter().enumerate() {
            let before = match (at, &prefix.link) {
                (0, _) => &prefix.node,
                (1, Some(link)) => link,
                _ => &prefix.rest,
            };
            context.out.line(format_args!("{before}{line}"))?;
        }
        if let Some(link) = prefix.link.as_ref().filter(|_| lines.len() == 1) {
            context.out.line(format_args!("{}", link.trim_end()))?;
        }
    }
    Ok(())
}

/// What stands before each step: the graph, or the mark of where the workspace stands.
fn prefixes(entries: &[LogEntry], is_graph: bool, palette: &Palette) -> Vec<Prefixes> {
    if !is_graph {
        let plain = |entry| Prefixes { node: steps::mark(entry, palette), link: None, rest: String::new() };
        return entries.iter().map(plain).collect();
    }
    let family: Vec<_> = entries.iter().map(|entry| (entry.id, entry.snapshot.parents.clone())).collect();
    let rows = lanes::layout(&family);
    let symbol = |entry: &LogEntry| if entry.is_head { '@' } else { '○' };
    rows.iter().zip(entries).map(|(row, entry)| lanes::render(row, Style::Unicode, symbol(entry))).collect()
}
