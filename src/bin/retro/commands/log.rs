//! `retro log`: the steps, newest first.

use retrograde::error::Result;
use retrograde::history::lanes::{self, Prefixes, Style};
use retrograde::ops::log::{LogOptions, log};
use retrograde::ops::show;

use crate::args::Log;
use crate::context::{Context, Opened};
use crate::exit;
use crate::views::changes;
use crate::views::color::Palette;
use crate::views::json::{self, Object};
use crate::views::steps::{self, Columns, Row};

/// Steps shown on a terminal where nobody said how many: the newest stand at the top, and must not scroll away.
const TERMINAL_COUNT: u64 = 30;

pub(super) fn run(context: &mut Context, arguments: Log) -> Result<u8> {
    let opened = context.open()?;
    let default = (context.out.is_terminal && !context.out.is_json).then_some(TERMINAL_COUNT);
    let count_max = match arguments.count {
        Some(0) => None,
        Some(count) => Some(count),
        None => default,
    };
    let snapshots = arguments.range.as_deref().map(|range| opened.resolve_range(range)).transpose()?;
    let options = LogOptions {
        workspace: opened.workspace()?.id,
        snapshots,
        run: arguments.run.clone(),
        paths: opened.tree_paths(&arguments.paths)?,
        count_max,
    };
    let mut rows = Vec::new();
    let listed = log(&opened.store, &options, &mut |entry| {
        if context.out.is_json {
            return context.out.line(format_args!("{}", json::step(Object::new(), &entry).finish()));
        }
        rows.push(Row::of(&entry));
        Ok(())
    })?;
    print(context, &opened, &rows, &arguments)?;
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

fn print(context: &mut Context, opened: &Opened, rows: &[Row], arguments: &Log) -> Result<()> {
    let palette = context.out.palette;
    let columns = Columns::fitting(rows);
    let mut prefixes = prefixes(rows, arguments.graph, &palette).into_iter();
    for row in rows {
        let mut lines = vec![columns.line(row, &palette)];
        if arguments.stat {
            let comparison = show::changes(&opened.store, row.id, &opened.tree_paths(&arguments.paths)?)?;
            if !comparison.changes.is_empty() {
                let stat = changes::stat(&comparison, &palette)?;
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
fn prefixes(rows: &[Row], is_graph: bool, palette: &Palette) -> Vec<Prefixes> {
    if !is_graph {
        let plain = |row| Prefixes { node: steps::mark(row, palette), link: None, rest: String::new() };
        return rows.iter().map(plain).collect();
    }
    let family: Vec<_> = rows.iter().map(|row| (row.id, row.parents.clone())).collect();
    let drawn = lanes::layout(&family);
    let symbol = |row: &Row| if row.is_head { '@' } else { '○' };
    drawn.iter().zip(rows).map(|(lines, row)| lanes::render(lines, Style::Unicode, symbol(row))).collect()
}
