//! Steps for people: one line in a list, or all facts of one.

use retrograde::{LogEntry, Shown, Snapshot, SnapshotId, Timestamp, Workspace};

use retrograde::detail::Cause;

use super::color::Palette;
use super::{event, excluded, human};

/// The longest text in a list of steps, in characters.
const TEXT_WIDTH_MAX: usize = 72;

/// The part of a step that a list shows: a few hundred bytes of what may be megabytes.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: SnapshotId,
    pub(crate) parents: Vec<SnapshotId>,
    pub(crate) is_head: bool,
    step: u64,
    time: Timestamp,
    run: Option<String>,
    counts: String,
    text: String,
    marks: Vec<String>,
    call_count: u64,
}

impl Row {
    pub(crate) fn of(entry: &LogEntry) -> Self {
        let snapshot = &entry.snapshot;
        let tags = entry.tags.iter().map(|tag| human::label(tag));
        let mark = |is_set: bool, word: &str| is_set.then(|| word.to_owned());
        let dropped = snapshot.dropped.filter(|dropped| dropped.is_new);
        let dropped = dropped.map(|dropped| format!("excludes {}", human::count(dropped.count, "recorded path")));
        let own_marks = [dropped, mark(entry.is_pinned, "pinned"), mark(entry.is_incomplete, "incomplete")];
        Self {
            id: entry.id,
            parents: snapshot.parents.clone(),
            is_head: entry.is_head,
            step: snapshot.step,
            time: snapshot.time,
            run: snapshot.run.clone(),
            counts: human::counts(&entry.changes),
            text: headline(snapshot, &entry.event),
            call_count: entry.call_count,
            marks: tags.chain(own_marks.into_iter().flatten()).collect(),
        }
    }
}

/// The widths of the columns of a list of steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
    step: usize,
    run: usize,
    counts: usize,
}

impl Columns {
    /// Fits the columns to the rows.
    pub(crate) fn fitting(rows: &[Row]) -> Self {
        let widest = |width: &dyn Fn(&Row) -> usize| rows.iter().map(width).max().unwrap_or(0);
        // If all rows with a run have the same one, the column is left out. (Snapshots taken before and after restores
        // have none.)
        let mut runs = rows.iter().filter_map(|row| row.run.as_ref());
        let first = runs.next();
        let run = match runs.all(|run| Some(run) == first) {
            true => 0,
            false => widest(&|row| row.run.as_ref().map_or(0, |run| run.chars().count())).min(16),
        };
        Self { step: widest(&|row| row.step.to_string().len()) + 1, run, counts: widest(&|row| row.counts.len()) }
    }

    /// One step on one line, without the `@` of the current step.
    pub(crate) fn line(&self, row: &Row, palette: &Palette) -> String {
        let (name, dim) = (self.name(row, palette), palette.dim);
        let (time, counts, width) = (row.time.local(), &row.counts, self.counts);
        let mut line = format!("{name}  {dim}{time}{dim:#}  {counts:<width$}");
        if self.run > 0 {
            let run = human::one_line(row.run.as_deref().unwrap_or_default(), self.run);
            line.push_str(&format!("  {run:<width$}", width = self.run));
        }
        line.push_str(&text_and_marks(row, palette));
        line.trim_end().to_owned()
    }

    /// One step in short: its name, text and marks.
    pub(crate) fn short_line(&self, row: &Row, palette: &Palette) -> String {
        format!("{}{}", self.name(row, palette), text_and_marks(row, palette)).trim_end().to_owned()
    }

    fn name(&self, row: &Row, palette: &Palette) -> String {
        let (style, step, width) = (palette.id, format!("s{}", row.step), self.step);
        format!("{style}{step:<width$}  {}{style:#}", row.id.short())
    }
}

/// The text of a step, the calls that followed it, and its marks.
fn text_and_marks(row: &Row, palette: &Palette) -> String {
    let text = if row.text.is_empty() { String::new() } else { format!("  {}", row.text) };
    let (style, dim) = (palette.head, palette.dim);
    let calls = match row.call_count {
        0 => String::new(),
        count => format!("  {dim}({} changed nothing){dim:#}", human::count(count, "later call")),
    };
    let marks = row.marks.join(", ");
    let marks = if marks.is_empty() { marks } else { format!("  {style}[{marks}]{style:#}") };
    format!("{text}{calls}{marks}")
}

/// A step in a few words: the first line of its message, else its event in short, else why the snapshot was taken. May
/// be empty.
pub(crate) fn headline(snapshot: &Snapshot, event: &[u8]) -> String {
    let first_line = snapshot.message.lines().map(str::trim).find(|line| !line.is_empty());
    if let Some(line) = first_line {
        return human::one_line(line, TEXT_WIDTH_MAX);
    }
    let by_event = event::summary(event, TEXT_WIDTH_MAX);
    by_event.unwrap_or_else(|| match snapshot.cause {
        Cause::Step => String::new(),
        Cause::BeforeRestore => "before a restore".to_owned(),
        Cause::Import => "imported".to_owned(),
        Cause::AfterRestore => "after a restore".to_owned(),
    })
}

/// Step, if it is one, and short id, coloured: `s12 3f2a91c0`.
pub(crate) fn name(step: impl Into<Option<u64>>, id: SnapshotId, palette: &Palette) -> String {
    let style = palette.id;
    let step = step.into().map(|step| format!("s{step} ")).unwrap_or_default();
    format!("{style}{step}{}{style:#}", id.short())
}

/// The step of a snapshot in a workspace and its short id, or the id alone if it is no step there.
pub(crate) fn name_in(workspace: Option<&Workspace>, id: SnapshotId, palette: &Palette) -> String {
    name(workspace.and_then(|workspace| workspace.step_of(id)), id, palette)
}

/// A step on one line: number, id, numbers of changed paths, and a few words.
pub(crate) fn title(shown: &Shown, palette: &Palette) -> String {
    let snapshot = &shown.snapshot;
    let name = name(snapshot.step, shown.id, palette);
    format!("{name}  {}  {}", human::counts(&shown.changes), headline(snapshot, &shown.event)).trim_end().to_owned()
}

/// The facts of a step beside its title, one on each line.
pub(crate) fn facts(shown: &Shown, workspace: Option<&Workspace>, now: Timestamp, palette: &Palette) -> Vec<String> {
    let snapshot = &shown.snapshot;
    let mut lines = Vec::new();
    let mut fact = |name: &str, text: &str| lines.push(format!("{name:<8}  {text}"));
    fact("id", &shown.id.to_string());
    fact("time", &format!("{}  ({})", snapshot.time.local(), snapshot.time.ago(now)));
    if let Some(run) = &snapshot.run {
        fact("run", &human::label(run));
    }
    for parent in &snapshot.parents {
        fact("parent", &name_in(workspace, *parent, palette));
    }
    if !shown.tags.is_empty() {
        fact("tags", &shown.tags.iter().map(|tag| human::label(tag)).collect::<Vec<_>>().join(", "));
    }
    if shown.is_pinned {
        fact("pinned", "yes");
    }
    if shown.is_incomplete {
        fact("damage", "parts are lost; `retro verify` lists them");
    }
    let dropped = snapshot.dropped.as_ref().map(|dropped| excluded::dropped(dropped, workspace));
    match (shown.rules_changed, dropped) {
        (false, None) => {}
        (true, None) => fact("rules", "changed"),
        (true, Some(paths)) => fact("rules", &format!("changed; exclude {paths}")),
        (false, Some(paths)) => fact("rules", &format!("exclude {paths}")),
    }
    if let Some(git) = &snapshot.git {
        let head = git.head.as_deref().unwrap_or("no commit yet");
        let branch = git.branch.as_deref().map_or_else(|| "detached".to_owned(), |branch| format!("on {branch}"));
        fact("git", &human::label(&format!("{head}  ({branch})")));
    }
    if !shown.event.is_empty() {
        let event = event::summary(&shown.event, TEXT_WIDTH_MAX).unwrap_or_else(|| "one JSON object".to_owned());
        fact("event", &format!("{event}  (`--event` prints it)"));
    }
    let message = human::printable(snapshot.message.trim_end());
    if message.trim() != headline(snapshot, b"") {
        lines.push(String::new());
        lines.extend(message.lines().map(|line| format!("    {line}")));
    }
    lines
}

/// The `@` before the current step in a list without a graph; blanks before others.
pub(crate) fn head_sign(row: &Row, palette: &Palette) -> String {
    let style = palette.head;
    if row.is_head { format!("{style}@{style:#} ") } else { "  ".to_owned() }
}
