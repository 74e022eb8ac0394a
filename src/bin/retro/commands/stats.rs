//! `retro stats`: what the store holds and what it costs.

use retrograde::detail::{ObjectKind, PathTotals};
use retrograde::{Result, Stats, stats, wire};

use crate::context::Context;
use crate::exit;
use crate::views::human;

pub(super) fn run(context: &mut Context) -> Result<u8> {
    let opened = context.open()?;
    let found = stats(&opened.store)?;
    if context.out.is_json {
        context.out.json(&wire::Stats::from(&found))?;
        return Ok(exit::DONE);
    }
    let store = human::path(&opened.store_root);
    context.out.line(format_args!("store      {store}  ({})", human::size(found.store_bytes)))?;
    for line in lines(&found) {
        context.out.line(format_args!("{line}"))?;
    }
    Ok(exit::DONE)
}

fn lines(stats: &Stats) -> Vec<String> {
    let snapshots = human::count(stats.snapshots, "snapshot");
    let workspaces = human::count(stats.workspaces, "workspace");
    let (tags, pins) = (human::count(stats.tags, "tag"), human::count(stats.pins, "pin"));
    let packs = human::count(stats.packs, "pack");
    let mut lines = vec![
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

/// What keeping equal content once, and what deltas and compression save.
fn shares(stats: &Stats) -> [String; 2] {
    let content: u64 =
        [ObjectKind::Content].iter().filter_map(|kind| stats.kinds.get(kind)).map(|one| one.raw_bytes).sum();
    let delta = stats.encodings[2].1;
    let objects: u64 = stats.kinds.values().map(|totals| totals.objects).sum();
    let less = |from: u64, to: u64| {
        let saved = from.saturating_sub(to);
        saved.saturating_mul(100).checked_div(from).unwrap_or(0)
    };
    let recorded = human::size(stats.recorded_bytes);
    [
        format!(
            "dedup      {recorded} recorded is {} of content: {} % saved",
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
