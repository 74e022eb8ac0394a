//! `retro stats`: the contents of the store, and the space they take.

use std::path::Path;

use retrograde::{Result, Stats, stats, wire};

use retrograde::detail::{ObjectKind, PathTotals, shown};

use crate::context::Context;
use crate::views::human;

pub(super) fn run(context: &mut Context) -> Result<()> {
    let opened = context.open()?;
    let found = stats(&opened.store)?;
    if context.out.is_json {
        return context.out.json(&wire::Stats::from(&found));
    }
    context.out.lines(lines(&found, &opened.store_root))
}

fn lines(stats: &Stats, store: &Path) -> Vec<String> {
    let snapshots = human::count(stats.snapshots, "snapshot");
    let workspaces = human::count(stats.workspaces, "workspace");
    let (tags, pins) = (human::count(stats.tags, "tag"), human::count(stats.pins, "pin"));
    let packs = human::count(stats.packs, "pack");
    let mut lines = vec![
        format!("store      {}  ({})", shown(store), human::size(stats.store_bytes)),
        format!("history    {snapshots} of {workspaces}, {tags}, {pins}"),
        format!("recorded   {} in all snapshots together", human::size(stats.recorded_bytes)),
        format!("packs      {packs}, {}", human::size(stats.pack_bytes)),
        String::new(),
        format!("{:<12}  {:>10}  {:>8}  {:>8}", "objects", "number", "content", "stored"),
    ];
    let kinds = stats.kinds.iter().map(|(kind, totals)| (kind.word(), *totals));
    for (word, totals) in kinds.chain(stats.encodings) {
        let number = human::number(totals.objects);
        let (raw, stored) = (human::size(totals.raw_bytes), human::size(totals.stored_bytes));
        lines.push(format!("{word:<12}  {number:>10}  {raw:>8}  {stored:>8}"));
    }
    lines.push(String::new());
    lines.extend(shares(stats));
    if !stats.largest.is_empty() {
        lines.push(String::new());
        lines.push(format!("{:>8}  {:>8}  {:>8}  largest paths", "versions", "content", "stored"));
    }
    for PathTotals { path, totals, .. } in &stats.largest {
        let (raw, stored) = (human::size(totals.raw_bytes), human::size(totals.stored_bytes));
        lines.push(format!("{:>8}  {raw:>8}  {stored:>8}  {path}", human::number(totals.objects)));
    }
    lines.extend(stats.damage.iter().map(|damage| format!("damaged    {}", human::label(damage))));
    lines
}

/// The savings by storing equal content once, and by deltas and compression.
fn shares(stats: &Stats) -> [String; 2] {
    let content = stats.kinds.get(&ObjectKind::Content).map_or(0, |totals| totals.raw_bytes);
    let delta = stats.encodings[2].1;
    let objects: u64 = stats.kinds.values().map(|totals| totals.objects).sum();
    let less = |from: u64, to: u64| from.saturating_sub(to).saturating_mul(100).checked_div(from).unwrap_or(0);
    let recorded = human::size(stats.recorded_bytes);
    [
        format!(
            "dedup      {recorded} in all snapshots is {} of distinct content and step details: {} % saved",
            human::size(content),
            less(stats.recorded_bytes, content)
        ),
        format!(
            "deltas     {} of {} objects, {} stored as {}: {} % saved",
            human::number(delta.objects),
            human::number(objects),
            human::size(delta.raw_bytes),
            human::size(delta.stored_bytes),
            less(delta.raw_bytes, delta.stored_bytes)
        ),
    ]
}
