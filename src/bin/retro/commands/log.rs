//! `retro log`: list the steps, newest first.

use crate::views::graph::{self, Prefixes};
use retrograde::{Error, ErrorKind, Log as Listed, LogEntry, LogOptions, Result, Timestamp, log, step_changes, wire};

use crate::args::Log;
use crate::context::{Context, Opened};
use crate::paths::nearest;
use crate::views::color::Palette;
use crate::views::steps::{self, Columns, Row};
use crate::views::{changes, human, patch};

/// The default number of steps on a terminal. The newest steps stand at the top, and must not scroll away.
const TERMINAL_COUNT: u64 = 30;

pub(super) fn run(context: &mut Context, arguments: &Log) -> Result<()> {
    let opened = context.open()?;
    let options = options(context, &opened, arguments)?;
    let detail = arguments.detail;
    let mut rows = Vec::new();
    let listed = log(&opened.store, &options, &mut |entry| {
        if context.out.is_json {
            return context.out.json(&json(&opened, &options, arguments, &entry)?);
        }
        rows.push(Row::of(&entry));
        Ok(())
    })?;
    let columns = Columns::fitting(&rows);
    let mut prefixes = prefixes(&rows, arguments.graph, &context.out.palette).into_iter();
    for row in &rows {
        let palette = context.out.palette;
        let line = if arguments.oneline { columns.short_line(row, &palette) } else { columns.line(row, &palette) };
        let mut lines = vec![line];
        let comparison =
            if detail.is_any() { Some(step_changes(&opened.store, row.id, &options.selection)?) } else { None };
        if let Some(comparison) = comparison.as_ref().filter(|_| !detail.wants_patch()) {
            let changed = changes::lines(comparison, detail, &palette)?;
            lines.extend(changed.into_iter().map(|line| format!("      {line}")));
        }
        print(context, &lines, &prefixes.next().expect("every step has a prefix"))?;
        if let Some(comparison) = comparison.filter(|comparison| detail.wants_patch() && !comparison.changes.is_empty())
        {
            context.out.line(format_args!(""))?;
            patch::print(&mut context.out, &comparison, &detail.patch_options())?;
            context.out.line(format_args!(""))?;
        }
    }
    // Notes stand below the list.
    context.out.finish()?;
    note_unlisted(context, &opened, arguments, &options, &listed)?;
    let known = listed.unreadable.iter().filter(|(id, _)| opened.state.incomplete.contains(id));
    known.for_each(|(id, _)| context.out.warning(format_args!("snapshot {}: it is lost", id.short())));
    opened.report_unreadable(&context.out, listed.unreadable)
}

/// The options of the list. A run that does not exist is an error, as a step or a tag would be.
fn options(context: &Context, opened: &Opened, arguments: &Log) -> Result<LogOptions> {
    let workspace = opened.workspace()?;
    let range =
        |range: &str| opened.resolve_range(range).map_err(|error| opened.explained(error, range, "retro log --"));
    let snapshots = arguments.range.as_deref().map(range).transpose()?;
    if let Some(run) = arguments.run.as_ref().filter(|run| !workspace.runs.contains_key(*run)) {
        let detail = "the workspace has no run of that name";
        let error = Error::new(ErrorKind::NotFound, "find run", human::label(run), detail);
        return Err(match nearest(run, workspace.runs.keys().cloned()) {
            Some(name) => {
                error.with_hint(format!("did you mean `{}`? `retro runs` lists the runs", human::label(&name)))
            }
            None => error.with_hint("`retro runs` lists the runs"),
        });
    }
    let head: Vec<_> = workspace.head.into_iter().collect();
    Ok(LogOptions {
        workspace: workspace.id,
        snapshots,
        run: arguments.run.clone(),
        selection: opened.selection(&arguments.paths.all(), &head)?,
        since: arguments.since.as_deref().map(|text| time(text, "since", context.now)).transpose()?,
        until: arguments.until.as_deref().map(|text| time(text, "until", context.now)).transpose()?,
        count_max: match arguments.count {
            Some(0) => None,
            Some(count) => Some(count),
            None => (context.out.is_terminal && !context.out.is_json).then_some(TERMINAL_COUNT),
        },
    })
}

/// Reads a time in the forms of `@{..}`, with or without `@{` and `}`.
fn time(text: &str, option: &str, now: Timestamp) -> Result<Timestamp> {
    let inner = text.strip_prefix("@{").and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
    Timestamp::parse(inner, now).ok_or_else(|| {
        Error::new(ErrorKind::Invalid, &format!("read --{option}"), human::label(text), "it is not a time")
            .with_hint("write '10 minutes ago', yesterday, '2026-11-20 10:30' or 2026-11-20T10:30:00Z")
    })
}

/// A step in JSON, with its changes if an option asks for them.
fn json(opened: &Opened, options: &LogOptions, arguments: &Log, entry: &LogEntry) -> Result<wire::Step> {
    let changes = match arguments.detail.is_any() {
        true => Some(changes::json(&step_changes(&opened.store, entry.id, &options.selection)?, arguments.detail)?),
        false => None,
    };
    Ok(wire::Step::new(entry, changes))
}

fn print(context: &mut Context, lines: &[String], prefix: &Prefixes) -> Result<()> {
    for (at, line) in lines.iter().enumerate() {
        let before = match (at, &prefix.link) {
            (0, _) => &prefix.node,
            (1, Some(link)) => link,
            _ => &prefix.rest,
        };
        context.out.line(format_args!("{before}{line}"))?;
    }
    match prefix.link.as_ref().filter(|_| lines.len() == 1) {
        Some(link) => context.out.line(format_args!("{}", link.trim_end())),
        None => Ok(()),
    }
}

/// Notes the number of older steps that are not listed, and the paths that no step has changed. If nothing is listed, a
/// path that does not exist is an error: most likely it is mistyped.
fn note_unlisted(
    context: &Context,
    opened: &Opened,
    arguments: &Log,
    options: &LogOptions,
    listed: &Listed,
) -> Result<()> {
    if listed.is_cut {
        if arguments.count.is_none() {
            let is_filtered = options.run.is_some() || options.since.is_some() || !options.selection.is_everything();
            let older = human::count(listed.older, "older step");
            let more = if is_filtered { "there are older steps".to_owned() } else { older };
            context.out.note(format_args!("{more}: -n 0 lists all"));
        }
        return Ok(());
    }
    let selection = &options.selection;
    let unmet = || (0..selection.count()).filter(|&index| !listed.is_met[index]);
    if listed.count == 0 && listed.unreadable.is_empty() {
        let head: Vec<_> = opened.workspace()?.head.into_iter().collect();
        for index in unmet() {
            let path = selection.paths().get(index);
            if path.is_none_or(|path| opened.has(path, &head).unwrap_or(true)) {
                continue;
            }
            let detail = "none of these steps changed it, and the folder has no such path";
            let error = Error::new(ErrorKind::NotFound, "list steps of", selection.shown(index), detail);
            return Err(match path.and_then(|path| opened.like(path, &head)) {
                Some(other) => error.with_hint(format!("did you mean `{other}`?")),
                None => error.with_hint("`retro log --name-status` lists the paths that each step changed"),
            });
        }
    }
    unmet().for_each(|index| context.out.note(format_args!("no step changed {}", selection.shown(index))));
    let has_filter = options.run.is_some() || options.since.is_some() || options.until.is_some();
    if listed.count == 0 && listed.unreadable.is_empty() && selection.is_everything() {
        let nothing = if has_filter || options.snapshots.is_some() {
            "no step matches"
        } else {
            "no step is recorded yet; `retro snap` takes the first"
        };
        context.out.note(format_args!("{nothing}"));
    }
    Ok(())
}

/// The text before each step: the graph, or the mark of the current step.
fn prefixes(rows: &[Row], is_graph: bool, palette: &Palette) -> Vec<Prefixes> {
    if !is_graph {
        let plain = |row| Prefixes { node: steps::head_sign(row, palette), link: None, rest: String::new() };
        return rows.iter().map(plain).collect();
    }
    let family: Vec<_> = rows.iter().map(|row| (row.id, row.parents.clone())).collect();
    let drawn = graph::layout(&family);
    let symbol = |row: &Row| if row.is_head { '@' } else { '○' };
    drawn.iter().zip(rows).map(|(lines, row)| graph::render(lines, symbol(row))).collect()
}
