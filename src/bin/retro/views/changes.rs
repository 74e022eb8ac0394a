//! Lists of changed paths: which, and by how many lines.

use anstyle::Style;
use retrograde::detail::{Kind, LineCounts, Side, is_comparable, line_counts as counts};
use retrograde::{Change, ChangeKind, Comparison, Result, wire};

use super::color::Palette;
use super::{human, patch};
use crate::args::Detail;
use crate::output::Output;

/// One change on one line: the letter of what happened, the path, and what the letter does not say.
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

/// Changes one a line, at most `count_max` of them and then how many more there are.
pub(crate) fn names(changes: &[Change], palette: &Palette, count_max: usize) -> Vec<String> {
    let mut lines: Vec<String> = changes.iter().take(count_max).map(|change| name_status(change, palette)).collect();
    if let Some(more) = changes.len().checked_sub(count_max).filter(|more| *more > 0) {
        lines.push(format!("... and {} more", human::number(more as u64)));
    }
    lines
}

/// Changes with the number of lines that each inserts and deletes, one a line, and their sums.
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
            Amount::Lines { inserted, deleted } => {
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

/// Prints changes as asked for: patches, lines counted, or names where nothing was asked for and `default` says so.
pub(crate) fn print(out: &mut Output, comparison: &Comparison<'_>, detail: Detail, default: Default) -> Result<()> {
    if out.is_json {
        return shapes(comparison, detail)?.iter().try_for_each(|shape| out.json(shape));
    }
    if detail.wants_patch() || (default == Default::Patch && !detail.is_any()) {
        return patch::print(out, comparison, &detail.patch_options());
    }
    let lines = lines(comparison, detail, &out.palette)?;
    lines.iter().try_for_each(|line| out.line(format_args!("{line}")))
}

/// Changes without their content: lines counted, paths, or paths and what happened to them.
pub(crate) fn lines(comparison: &Comparison<'_>, detail: Detail, palette: &Palette) -> Result<Vec<String>> {
    let changes = &comparison.changes;
    if detail.stat {
        return if changes.is_empty() { Ok(Vec::new()) } else { stat(comparison, palette) };
    }
    Ok(if detail.name_only { changes.iter().map(path_now).collect() } else { names(changes, palette, usize::MAX) })
}

/// Changes in JSON; with the lines of each where lines were asked for.
pub(crate) fn shapes(comparison: &Comparison<'_>, detail: Detail) -> Result<Vec<wire::Change>> {
    let shape = |change: &Change| {
        let lines = match detail.stat {
            true => Some(amount(change, comparison)?.counted(change)),
            false => None,
        };
        Ok(wire::Change::new(change, lines))
    };
    comparison.changes.iter().map(shape).collect()
}

/// What is printed where no option says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Default {
    /// The lines that changed.
    Patch,
    /// Paths.
    Names,
}

/// The style for what happened to a path.
pub(crate) fn style_of(kind: ChangeKind, palette: &Palette) -> Style {
    match kind {
        ChangeKind::Added => palette.added,
        ChangeKind::Deleted => palette.deleted,
        ChangeKind::Modified | ChangeKind::Mode | ChangeKind::Attributes | ChangeKind::Type | ChangeKind::Renamed => {
            palette.modified
        }
    }
}

/// What changed within one path.
enum Amount {
    Lines { inserted: u64, deleted: u64 },
    Other(String),
}

impl Amount {
    /// The same for programs; `None` where there are no lines to count.
    fn counted(&self, change: &Change) -> Option<LineCounts> {
        match self {
            Self::Lines { inserted, deleted } => Some(LineCounts { inserted: *inserted, deleted: *deleted }),
            Self::Other(_) => change.is_same_content().then(LineCounts::default),
        }
    }

    fn lines(&self) -> u64 {
        match self {
            Self::Lines { inserted, deleted } => inserted + deleted,
            Self::Other(_) => 0,
        }
    }
}

/// Width of the longest row of plus and minus signs.
const BAR_WIDTH: u64 = 40;

fn amount(change: &Change, comparison: &Comparison<'_>) -> Result<Amount> {
    let is_folder = |side: &Option<Side>| side.is_some_and(|side| side.kind == Kind::Folder);
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
        (Some(old), Some(new)) => {
            let lines = counts(&old, &new);
            Amount::Lines { inserted: lines.inserted, deleted: lines.deleted }
        }
        _ => {
            let size = |side: &Option<Side>| human::size(side.map_or(0, |side| side.size));
            Amount::Other(format!("{} -> {}", size(&change.old), size(&change.new)))
        }
    })
}

/// Plus and minus signs, in proportion to the change with the most lines; a side that has any gets at least one.
fn bar(inserted: u64, deleted: u64, most: u64) -> (String, String) {
    let scaled = |lines: u64| match lines {
        0 => 0,
        _ if most <= BAR_WIDTH => lines,
        _ => (lines.saturating_mul(BAR_WIDTH) / most).max(1),
    };
    let signs = |sign: &str, lines| sign.repeat(usize::try_from(scaled(lines)).unwrap_or(0));
    (signs("+", inserted), signs("-", deleted))
}

/// A path, and whether it is new or gone: a deleted file has as many deleted lines as an emptied one.
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
    let is_folder = change.new.or(change.old).is_some_and(|side| side.kind == Kind::Folder);
    format!("{}{}", change.path, if is_folder { "/" } else { "" })
}

fn kind_word(side: &Side) -> &'static str {
    retrograde::detail::kind_word(side.kind)
}
