//! A report as Markdown for people, and as JSON for programs.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::Result;
use crate::facts::Facts;
use crate::report::{Bound, Claim, Report, Row, Sheet, Unit};

/// Columns in the order of display; others follow in their own order.
const ORDER: [&str; 11] = [
    "floor",
    "floor (walk only)",
    "floor (synced)",
    "cp",
    "retro",
    "git",
    "git (auto gc)",
    "git (synced)",
    "jj",
    "restic",
    "rustic",
];

/// Columns that are no peer.
const LIMITS: [&str; 4] = ["floor", "floor (walk only)", "floor (synced)", "cp"];

/// The limits whose ratio to retro is shown: those that targets name.
const LIMITS_SHOWN: [&str; 2] = ["floor", "cp"];

/// The report for people.
pub(crate) fn markdown(report: &Report) -> String {
    let mut out = String::new();
    line(&mut out, &format!("# Measured {}\n", report.facts.date.split('T').next().unwrap_or_default()));
    if report.quick {
        line(&mut out, "A quick run: it shows that the bench works. Its numbers are no measurement.\n");
    }
    facts(&mut out, &report.facts, report.minutes);
    if !report.quick {
        claims(&mut out, report);
    }
    for sheet in report.sheets.iter().filter(|sheet| !sheet.rows.is_empty()) {
        table(&mut out, sheet);
    }
    out
}

/// Writes the Markdown to `out`, and the JSON beside it.
#[expect(clippy::disallowed_methods, reason = "the bench writes its own report")]
pub(crate) fn write(report: &Report, text: &str, out: &Path) -> Result<()> {
    let failed = |error: std::io::Error| format!("write report {}: {error}", out.display());
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(out, text).map_err(failed)?;
    fs::write(out.with_extension("json"), serde_json::to_vec_pretty(report)?).map_err(failed)?;
    crate::say(&format!("report written to {}", out.display()));
    Ok(())
}

fn facts(out: &mut String, facts: &Facts, minutes: f64) {
    let Facts { commit, processor, cores, memory, kernel, file_system, load, tools, .. } = facts;
    line(out, &format!("- commit {commit}; the run took {minutes:.0} minutes; load when it began: {load}"));
    line(out, &format!("- {processor}, {cores} cores, {memory} of memory, Linux {kernel}, {file_system}"));
    for (tool, version) in tools {
        line(out, &format!("- {tool}: {version}"));
    }
    line(out, "\nTimes are medians; ratios are of medians over the rounds in which both took part.\n");
}

fn claims(out: &mut String, report: &Report) {
    let mut rows = report.sheets.iter().flat_map(|sheet| &sheet.claims).peekable();
    if rows.peek().is_none() {
        return;
    }
    line(out, "## Targets\n\n| target | measured | bound | |\n|---|--:|--:|---|");
    for Claim { text, value, bound, unit, is_met } in rows {
        let bound = match *bound {
            Bound::AtMost(most) => format!("<= {}", shown(most, *unit)),
            Bound::AtLeast(least) => format!(">= {}", shown(least, *unit)),
        };
        let verdict = if *is_met { "met" } else { "**missed**" };
        line(out, &format!("| {text} | {} | {bound} | {verdict} |", shown(*value, *unit)));
    }
    out.push('\n');
}

fn table(out: &mut String, sheet: &Sheet) {
    line(out, &format!("## {}\n", sheet.title));
    for note in &sheet.notes {
        line(out, note);
    }
    let columns = columns(sheet);
    let times = sheet.rows.iter().any(|row| ratios(row).is_some());
    let last = if times { " ratio |" } else { "" };
    line(out, &format!("\n| | {} |{last}", columns.join(" | ")));
    line(out, &format!("|---|{}{}", "--:|".repeat(columns.len()), if times { "---|" } else { "" }));
    for row in &sheet.rows {
        let cells = columns.iter().map(|column| cell(row, column)).collect::<Vec<_>>();
        let ratios = if times { format!(" {} |", ratios(row).unwrap_or_default()) } else { String::new() };
        line(out, &format!("| {} | {} |{ratios}", row.name, cells.join(" | ")));
    }
    out.push('\n');
}

fn columns(sheet: &Sheet) -> Vec<&str> {
    let mut columns: Vec<&str> = Vec::new();
    for cell in sheet.rows.iter().flat_map(|row| &row.cells) {
        if !columns.contains(&cell.column.as_str()) {
            columns.push(&cell.column);
        }
    }
    columns.sort_by_key(|column| ORDER.iter().position(|known| known == column).unwrap_or(ORDER.len()));
    columns
}

fn cell(row: &Row, column: &str) -> String {
    row.series(column).map_or_else(|| "-".to_owned(), |series| shown(series.median(), row.unit))
}

/// The ratio of retro to the limits, and of the peers to retro; only for times, because sizes speak for themselves.
fn ratios(row: &Row) -> Option<String> {
    if row.unit != Unit::Milliseconds {
        return None;
    }
    let mut parts = Vec::new();
    for limit in LIMITS_SHOWN {
        if let Some(ratio) = row.ratio("retro", limit) {
            parts.push(format!("{} {limit}", shown(ratio, Unit::Times)));
        }
    }
    let peers = row.cells.iter().map(|cell| cell.column.as_str());
    for peer in peers.filter(|column| *column != "retro" && !column.starts_with("retro ") && !LIMITS.contains(column)) {
        if let Some(ratio) = row.ratio(peer, "retro") {
            parts.push(format!("{peer} {}", shown(ratio, Unit::Times)));
        }
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn shown(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Milliseconds if value < 9.95 => format!("{value:.2} ms"),
        Unit::Milliseconds if value < 99.5 => format!("{value:.1} ms"),
        Unit::Milliseconds if value < 9_950.0 => format!("{value:.0} ms"),
        Unit::Milliseconds => format!("{:.1} s", value / 1e3),
        Unit::Bytes if value.abs() < 1e4 => format!("{value:.0} B"),
        Unit::Bytes if value.abs() < 1e6 => format!("{:.1} kB", value / 1e3),
        Unit::Bytes if value.abs() < 1e9 => format!("{:.2} MB", value / 1e6),
        Unit::Bytes => format!("{:.2} GB", value / 1e9),
        Unit::Files => format!("{value:.1}"),
        Unit::Times if value < 9.995 => format!("{value:.2}x"),
        Unit::Times if value < 99.5 => format!("{value:.1}x"),
        Unit::Times => format!("{value:.0}x"),
    }
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("a string takes all that is written");
}
