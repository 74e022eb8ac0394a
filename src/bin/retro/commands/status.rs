//! `retro status`: the recorded folder, its changes since the last step, and the excluded paths.

use retrograde::{Result, Status, status, wire};

use retrograde::detail::{Omission, git_state, shown};

use retrograde::workspaces::root_of;

use super::snap::add_notice;
use crate::context::{Context, Opened};
use crate::views::color::Palette;
use crate::views::{changes, excluded, human, progress, read, steps, warnings};

/// The most lines of each list, so that a long one does not push the others off the screen.
const LINES_MAX: usize = 20;

/// The width of the list of rules, in characters.
const RULES_WIDTH_MAX: usize = 80;

pub(super) fn run(context: &mut Context) -> Result<()> {
    let opened = context.open()?;
    let config = context.workspace_config(&opened)?;
    let progress = progress::reporter(&context.out);
    let budget_bytes = context.store_config(&opened).retention.budget_bytes;
    let mut found = status(&opened.store, opened.workspace()?.id, &opened.capture(&config, &*progress))?;
    add_notice(&mut found.git_notices, git_state(&root_of(&found.workspace)).1);
    drop(progress);
    if context.out.is_json {
        let warnings = context.out.take_warnings();
        return context.out.json(&wire::Status::new(&found, &opened.store_root, budget_bytes, warnings));
    }
    let settings = Settings { budget_bytes, gitignore: config.capture.gitignore };
    context.out.lines(lines(context, &found, &opened, &settings, &context.out.palette))
}

/// The settings that the status shows.
struct Settings {
    budget_bytes: Option<u64>,
    gitignore: bool,
}

fn lines(context: &Context, status: &Status, opened: &Opened, settings: &Settings, palette: &Palette) -> Vec<String> {
    let mut lines = Vec::new();
    let title = palette.title;
    let mut fact = |name: &str, text: String| lines.push(format!("{title}{name:<9}{title:#}  {text}"));
    let workspace = &status.workspace;
    fact("workspace", format!("{}  ({})", shown(&root_of(workspace)), workspace.id.short()));
    let budget = match settings.budget_bytes {
        Some(budget) => format!("{} of {}", human::size(status.store_bytes), human::size(budget)),
        None => human::size(status.store_bytes),
    };
    fact("store", format!("{}  ({budget})", shown(&opened.store_root)));
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
    let mut excluded = excluded::names(&status.excluded, LINES_MAX);
    if status.unselected_count > 0 {
        excluded.push(format!("{} that `only` does not name", human::count(status.unselected_count, "file")));
    }
    if !excluded.is_empty() {
        fact("excluded", excluded.join(", "));
    }
    for notice in &status.git_notices {
        fact("git", warnings::git(notice, settings.gitignore));
    }
    // Paths that are excluded since the last step are listed with the changes.
    if let Some(dropped) = status.dropped.as_ref().filter(|_| status.newly_dropped == 0) {
        let paths = excluded::dropped(dropped, Some(workspace));
        fact("dropped", format!("{paths}: excluded by the rules, no longer recorded"));
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
        text.push_str("  (incomplete; `retro verify` lists the lost paths)");
    }
    if status.workspace.last_step != head.step {
        text.push_str(&format!("  (restored; the newest step is s{})", status.workspace.last_step));
    }
    text
}

/// The file systems on which an unchanged size and time do not mean unchanged content.
fn weak(status: &Status) -> String {
    let name = |name: &'static str| if name.is_empty() { "an unknown file system" } else { name };
    let places = status.weak.iter().map(|place| format!("{} ({})", name(place.file_system), place.path));
    format!("do not show every change on {}", human::first(LINES_MAX, places, "").join(", "))
}

fn omitted(omitted: &[Omission], palette: &Palette) -> Vec<String> {
    if omitted.is_empty() {
        return Vec::new();
    }
    let warning = palette.warning;
    let count = human::count(omitted.len() as u64, "path");
    let mut lines = vec![format!("{warning}omitted{warning:#}    {count} that cannot be recorded, or not exactly")];
    let paths = omitted.iter().map(excluded::omission);
    lines.extend(human::first(LINES_MAX, paths, "").into_iter().map(|line| format!("  {line}")));
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
    let note = excluded::changed_rules(status.rules_changed, status.newly_dropped);
    lines.extend(note.map(|text| format!("  note: {text}")));
    lines
}

/// The rules that exclude by name, without the sign that each has in the text form of the rules.
fn rules(status: &Status) -> Vec<&str> {
    let excludes = status.rules.lines().filter(|line| !line.starts_with(OTHER_SIGNS));
    excludes.map(|line| SIGNS.iter().find_map(|sign| line.strip_prefix(sign)).unwrap_or(line)).collect()
}

/// The signs of rules that exclude a path by its name alone.
const SIGNS: [&str; 2] = ["! ", "- "];

/// The signs of `only` rules, and of rules that exclude a path because of a file beside it or in it.
const OTHER_SIGNS: [char; 2] = ['&', '*'];
