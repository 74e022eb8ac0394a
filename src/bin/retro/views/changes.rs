//! Lists of changed paths, also with the numbers of changed lines.

use anstyle::Style;
use retrograde::detail::{EntryKind, LineCounts, Side, is_comparable, line_counts as counts};
use retrograde::{Change, ChangeKind, Comparison, Result, wire};

use super::color::Palette;
use super::{human, patch};
use crate::args::Detail;
use crate::output::Output;

/// One change on one line: a letter for its kind, the path, and details.
pub(crate) fn name_status(change: &Change, palette: &Palette) -> String {
    let style = style_of(change.kind, palette);
    let letter = change.kind.letter();
    let detail = match (&change.old, &change.new) {
        (Some(old), Some(new)) if change.kind == ChangeKind::Mode => {
            format!("  mode {:04o} -> {:04o}", old.mode, new.mode)
        }
        (Some(old), Some(new)) if change.kind == ChangeKind::Type => {
            format!("  {} -> {}", kind_word(old), kind_word(new))
        }
        _ => String::new(),
    };
    let attributes = if change.attributes_changed { "  attributes" } else { "" };
    format!("{style}{letter}{style:#}  {}{detail}{attributes}", shown_path(change))
}

/// The first `count_max` changes, one on each line.
pub(crate) fn names(changes: &[Change], palette: &Palette, count_max: usize) -> Vec<String> {
    human::first(count_max, changes.iter().map(|change| name_status(change, palette)), "")
}

/// Changes with the numbers of lines that each inserts and deletes, one on each line, and the sums.
fn stat(comparison: &Comparison<'_>, palette: &Palette) -> Result<Vec<String>> {
    let rows = comparison.changes.iter().map(|change| Ok((shown_with_fate(change), amount(change, comparison)?)));
    let rows: Vec<(String, Amount)> = rows.collect::<Result<_>>()?;
    let name_width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let most = rows.iter().map(|(_, amount)| amount.lines()).max().unwrap_or(0);
    let number_width = most.to_string().len().max(3);
    let mut lines = Vec::with_capacity(rows.len() + 1);
    let (mut inserted_total, mut deleted_total) = (0, 0);
    for (name, amount) in &rows {
        let shown = match amount {
            Amount::Lines(LineCounts { inserted, deleted }) => {
                inserted_total += inserted;
                deleted_total += deleted;
                let (plus, minus) = bar(*inserted, *deleted, most);
                let (added, removed) = (palette.added, palette.deleted);
                let sum = inserted + deleted;
                format!("{sum:>number_width$} {added}{plus}{added:#}{removed}{minus}{removed:#}")
            }
            Amount::Other(text) => format!("{:>number_width$} {text}", "-"),
        };
        lines.push(format!("{name:<name_width$} | {}", shown.trim_end()));
    }
    let paths = human::count(rows.len() as u64, "path");
    let (inserted, deleted) = (human::count(inserted_total, "line"), human::number(deleted_total));
    lines.push(format!("{paths} changed, {inserted} inserted, {deleted} deleted"));
    Ok(lines)
}

/// Prints changes in the requested detail, or else in the detail of `default`.
pub(crate) fn print(out: &mut Output, comparison: &Comparison<'_>, detail: Detail, default: Default) -> Result<()> {
    if out.is_json {
        return json(comparison, detail)?.iter().try_for_each(|change| out.json(change));
    }
    if detail.wants_patch() || (default == Default::Patch && !detail.is_any()) {
        return patch::print(out, comparison, &detail.patch_options());
    }
    out.lines(lines(comparison, detail, &out.palette)?)
}

/// Changes without their content: with numbers of lines, as paths only, or as paths and kinds of change.
pub(crate) fn lines(comparison: &Comparison<'_>, detail: Detail, palette: &Palette) -> Result<Vec<String>> {
    let changes = &comparison.changes;
    if detail.stat {
        return if changes.is_empty() { Ok(Vec::new()) } else { stat(comparison, palette) };
    }
    Ok(if detail.name_only { changes.iter().map(path_now).collect() } else { names(changes, palette, usize::MAX) })
}

/// Changes in JSON, with the numbers of lines if `--stat` asks for them.
pub(crate) fn json(comparison: &Comparison<'_>, detail: Detail) -> Result<Vec<wire::Change>> {
    let one = |change: &Change| {
        let lines = detail.stat.then(|| Ok(amount(change, comparison)?.counted(change))).transpose()?;
        Ok(wire::Change::new(change, lines))
    };
    comparison.changes.iter().map(one).collect()
}

/// The detail in which changes are printed unless an option is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Default {
    /// The changed lines.
    Patch,
    /// Paths and kinds of change.
    Names,
}

/// The style of a kind of change.
pub(crate) fn style_of(kind: ChangeKind, palette: &Palette) -> Style {
    match kind {
        ChangeKind::Added => palette.added,
        ChangeKind::Deleted => palette.deleted,
        ChangeKind::Modified | ChangeKind::Mode | ChangeKind::Attributes | ChangeKind::Type | ChangeKind::Renamed => {
            palette.modified
        }
    }
}

/// The amount of change in one path.
enum Amount {
    Lines(LineCounts),
    Other(String),
}

impl Amount {
    /// The amount in JSON; `None` if there are no lines to count.
    fn counted(&self, change: &Change) -> Option<LineCounts> {
        match self {
            Self::Lines(counts) => Some(*counts),
            Self::Other(_) => change.is_same_content().then(LineCounts::default),
        }
    }

    fn lines(&self) -> u64 {
        match self {
            Self::Lines(counts) => counts.inserted + counts.deleted,
            Self::Other(_) => 0,
        }
    }
}

/// The width of the longest row of plus and minus signs.
const BAR_WIDTH: u64 = 40;

fn amount(change: &Change, comparison: &Comparison<'_>) -> Result<Amount> {
    let is_folder = |side: &Option<Side>| side.is_some_and(|side| side.kind == EntryKind::Folder);
    if change.kind == ChangeKind::Attributes {
        return Ok(Amount::Other("attributes".to_owned()));
    }
    if is_folder(&change.old) || is_folder(&change.new) {
        return Ok(Amount::Other("folder".to_owned()));
    }
    if let (Some(old), Some(new)) = (&change.old, &change.new) {
        if old.kind != new.kind {
            return Ok(Amount::Other(format!("{} -> {}", kind_word(old), kind_word(new))));
        }
        if old.id == new.id {
            let mode = format!("mode {:04o} -> {:04o}", old.mode, new.mode);
            return Ok(Amount::Other(if old.mode == new.mode { "moved".to_owned() } else { mode }));
        }
    }
    let (old, new) = comparison.contents(change)?;
    let as_text = |side: &Option<Side>, content: Option<Vec<u8>>| match side {
        None => Some(Vec::new()),
        Some(_) => content.filter(|content| is_comparable(content)),
    };
    Ok(match (as_text(&change.old, old), as_text(&change.new, new)) {
        (Some(old), Some(new)) => Amount::Lines(counts(&old, &new)),
        _ => {
            let size = |side: &Option<Side>| human::size(side.map_or(0, |side| side.size));
            Amount::Other(format!("{} -> {}", size(&change.old), size(&change.new)))
        }
    })
}

/// Plus and minus signs, in proportion to the change with the most lines. A side with any lines gets at least one sign.
fn bar(inserted: u64, deleted: u64, most: u64) -> (String, String) {
    let scaled = |lines: u64| match lines {
        0 => 0,
        _ if most <= BAR_WIDTH => lines,
        _ => (lines.saturating_mul(BAR_WIDTH) / most).max(1),
    };
    let signs = |sign: &str, lines| sign.repeat(usize::try_from(scaled(lines)).unwrap_or(0));
    (signs("+", inserted), signs("-", deleted))
}

/// A path, marked if it is new or deleted: the number of lines does not tell a deleted file from an emptied one.
fn shown_with_fate(change: &Change) -> String {
    let fate = match change.kind {
        ChangeKind::Added => " (new)",
        ChangeKind::Deleted => " (deleted)",
        _ => "",
    };
    format!("{}{fate}", shown_path(change))
}

fn shown_path(change: &Change) -> String {
    match &change.old_path {
        Some(old) => format!("{old} -> {}", change.path),
        None => path_now(change),
    }
}

fn path_now(change: &Change) -> String {
    let is_folder = change.new.or(change.old).is_some_and(|side| side.kind == EntryKind::Folder);
    format!("{}{}", change.path, if is_folder { "/" } else { "" })
}

fn kind_word(side: &Side) -> &'static str {
    wire::Kind::from(side.kind).word()
}
