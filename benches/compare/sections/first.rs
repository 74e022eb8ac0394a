//! The first snapshot of a folder, into a new store each time.

use super::{Bench, Workspace};
use crate::Result;
use crate::race::flush;
use crate::recorder::Recorder;
use crate::report::{Bound, Row, Series, Sheet, Unit};

/// Rounds in which slow peers take part.
const SLOW_ROUNDS_MAX: usize = 1;

pub(crate) fn sheet() -> Sheet {
    Sheet::new(
        "First snapshot",
        &["A new store each time. For peers an empty one is made first, untimed; retro creates its own, timed."],
    )
}

pub(crate) fn measure(bench: &Bench, workspace: &Workspace, rounds: usize, sheet: &mut Sheet) -> Result<()> {
    bench.progress(&format!("first snapshots of {}", workspace.label));
    let under = bench.folder("first")?;
    let mut order = bench.tools(|tool| !tool.is_variant());
    let mut times = vec![Series::default(); order.len()];
    let columns = order.clone();
    for round in 0..rounds {
        for &tool in order.iter().filter(|tool| round < SLOW_ROUNDS_MAX || !tool.is_slow()) {
            let recorder = Recorder::create(tool, &bench.surroundings, &workspace.root, &under)?;
            flush(&under)?;
            let taken = recorder.snap()?;
            let column = columns.iter().position(|&known| known == tool).expect("the order holds the same tools");
            times[column].set(round, taken.elapsed.as_secs_f64() * 1e3);
            recorder.delete()?;
        }
        if !order.is_empty() {
            order.rotate_left(1);
        }
    }
    let row = Row::new(workspace.label.clone(), Unit::Milliseconds);
    let row = row.with_all(columns.iter().map(|tool| tool.column()).zip(times));
    let mut claimed = row.clone();
    claimed.name = format!("first snapshot of {}", row.name);
    sheet.claim_ratio(&claimed, "git", "retro", Bound::AtLeast(3.0));
    sheet.push(row);
    Ok(())
}
