//! `retro status`: what is recorded, what changed since, and what is left out.

use retrograde::detail::{Omission, git_state, root_of};
use retrograde::{Result, Status, status, wire};

use super::snap::add_notice;
use crate::context::{Context, Opened};
use crate::exit;
use crate::views::color::Palette;
use crate::views::{changes, human, left_out, progress, read, steps, warnings};

/// Lines of each list; a step touches a few files, and a list of hundreds hides what stands above it.
const LINES_MAX: usize = 20;

/// Width of the list of rules, in characters.
const RULES_WIDTH_MAX: usize = 80;

pub(super) fn run(context: &mut Context) -> Result<u8> {
    let opened = context.open()?;
    let config = context.workspace_config(&opened)?;
    let progress = progress::reporter(&context.out);
    let budget_bytes = context.store_config(&opened).retention.budget_bytes;
    let mut found = status(&opened.store, opened.workspace()?.id, &opened.capture(&config, &*progress))?;
    add_notice(&mut found.git_notices, git_state(&root_of(&found.workspace)).1);
    drop(progress);
    if context.out.is_json {
        let warnings = context.out.take_warnings();
        context.out.json(&wire::Status::new(&found, &opened.store_root, budget_bytes, warnings))?;
    } else {
        let palette = context.out.palette;
        for line in
            lines(context, &found, &opened, &Settings { budget_bytes, gitignore: config.capture.gitignore }, &palette)
        {
            context.out.line(format_args!("{line}"))?;
        }
    }
    Ok(exit::DONE)
}

/// The settings that are shown.
struct Settings {
    budget_bytes: Option<u64>,
    gitignore: bool,
}

fn lines(context: &Context, status: &Status, opened: &Opened, settings: &Settings, palette: &Palette) -> Vec<String> {
    let mut lines = Vec::new();
    let title = palette.title;
    let mut fact = |name: &str, text: String| lines.push(format!("{title}{name:<9}{title:#}  {text}"));
    let workspace = &status.workspace;
    fact("workspace", format!("{}  ({})", human::path(&root_of(workspace)), workspace.id.short()));
    let budget = match settings.budget_bytes {
        Some(budget) => format!("{} of {}", human::size(status.store_bytes), human::size(budget)),
        None => human::size(status.store_bytes),
    };
    fact("store", format!("{}  ({budget})", human::path(&opened.store_root)));
    fact("last step", last_step(context, status, opened, palette));
    fact("content", {
        let counts = &status.counts;
        format!("{}, {}", human::count(counts.files, "file"), human::size(counts.bytes))
    });
    let mut rules = human::wrapped(rules(status), RULES_WIDTH_MAX).into_iter();
    fact("excludes", rules.next().unwrap_or_default());
    rules.for_each(|line| fact("", line));
    let by_evidence = status.rules.lines().filter_map(|line| line.strip_prefix("* "));
    by_evidence.for_each(|rule| fact("", rule.to_owned()));
    let only: Vec<&str> = status.rules.lines().filter_map(|line| line.strip_prefix("& ")).collect();
    let only = human::wrapped(only, RULES_WIDTH_MAX).into_iter().filter(|line| !line.is_empty());
    for (line, name) in only.zip(std::iter::once("only").chain(std::iter::repeat(""))) {
        fact(name, line);
    }
    let mut left_out = left_out::names(&status.excluded, LINES_MAX);
    left_out.extend(left_out::unselected(status.unselected_count));
    if !left_out.is_empty() {
        fact("left out", left_out.join(", "));
    }
    for notice in &status.git_notices {
        fact("git", warnings::git(notice, settings.gitignore));
    }
    // What is left out since the last step stands among the changes.
    if let Some(dropped) = status.dropped.as_ref().filter(|_| status.left_out == 0) {
        let paths = left_out::dropped(dropped, Some(workspace));
        fact("dropped", format!("{paths} are not recorded any more: the rules leave them out"));
    }
    if let Some(read) = read::sentence(&status.read_last) {
        fact("read", format!("the last step read {read}"));
    }
    if !status.weak.is_empty() {
        fact("times", format!("{}: every file is read again within {} steps", weak(status), status.reread_steps));
    }
    lines.extend(omitted(&status.omitted, palette));
    lines.extend(changed(status, palette));
    lines
}

fn last_step(context: &Context, status: &Status, opened: &Opened, palette: &Palette) -> String {
    let Some((id, head)) = &status.head else { return "none yet; `retro snap` takes one".to_owned() };
    let name = steps::name(head.step, *id, palette);
    let mut text = format!("{name}  {}", head.time.ago(context.now));
    let headline = steps::headline(head, head.event.inline().unwrap_or_default());
    if !headline.is_empty() {
        text.push_str(&format!("  {headline}"));
    }
    if opened.state.incomplete.contains(id) {
        text.push_str("  (incomplete; `retro verify` lists what is lost)");
    }
    if status.workspace.last_step != head.step {
        text.push_str(&format!("  (restored; s{} was taken last)", status.workspace.last_step));
    }
    text
}

/// The file systems on which an unchanged size and time do not mean unchanged content.
fn weak(status: &Status) -> String {
    let name = |name: &'static str| if name.is_empty() { "an unknown file system" } else { name };
    let places = status.weak.iter().map(|place| format!("{} ({})", name(place.file_system), place.path));
    format!("do not show every change on {}", shortened(places.collect(), ", "))
}

fn omitted(omitted: &[Omission], palette: &Palette) -> Vec<String> {
    if omitted.is_empty() {
        return Vec::new();
    }
    let warning = palette.warning;
    let count = human::count(omitted.len() as u64, "path");
    let mut lines = vec![format!("{warning}omitted{warning:#}    {count} cannot be captured, or not exactly")];
    let shown = omitted.iter().take(LINES_MAX);
    lines.extend(shown.map(|omission| format!("  {:<10}  {}", omission.reason.word(), omission.path)));
    lines.extend(more(omitted.len()));
    lines
}

fn changed(status: &Status, palette: &Palette) -> Vec<String> {
    let title = palette.title;
    let since =
        status.head.as_ref().map_or_else(|| "in the folder".to_owned(), |(_, head)| format!("since s{}", head.step));
    let count = human::count(status.changes.len() as u64, "path");
    let text = if status.changes.is_empty() { "nothing".to_owned() } else { count };
    let mut lines = vec![format!("{title}changed{title:#}    {text} {since}")];
    let names = changes::names(&status.changes, palette, LINES_MAX);
    lines.extend(names.into_iter().map(|name| format!("  {name}")));
    lines.extend(human::still_there(status.rules_changed, status.left_out).map(|text| format!("  note: {text}")));
    lines
}

fn more(length: usize) -> Option<String> {
    let more = length.checked_sub(LINES_MAX).filter(|more| *more > 0)?;
    Some(format!("  ... and {} more", human::number(more as u64)))
}

fn shortened(mut texts: Vec<String>, separator: &str) -> String {
    let more = texts.len().saturating_sub(LINES_MAX);
    texts.truncate(LINES_MAX);
    if more > 0 {
        texts.push(format!("... and {} more", human::number(more as u64)));
    }
    texts.join(separator)
}

/// The exclude list, a rule each, without the signs that the text form of the rules has.
fn rules(status: &Status) -> Vec<&str> {
    let excludes = status.rules.lines().filter(|line| !line.starts_with(OTHER_SIGNS));
    excludes.map(|line| SIGNS.iter().find_map(|sign| line.strip_prefix(sign)).unwrap_or(line)).collect()
}

/// Signs of rules that leave something out by its name, whatever else is there.
const SIGNS: [&str; 2] = ["! ", "- "];

/// Signs of what is captured all the same or alone, and of what is left out for the sake of something beside or in it.
const OTHER_SIGNS: [char; 2] = ['&', '*'];
