//! One small file added to a wide folder.

use super::{Bench, thousands, write};
use crate::Result;
use crate::race::{Entrant, Rules, enter, race};
use crate::recorder::Recorder;
use crate::report::{Bound, Sheet};
use crate::rng::Rng;
use crate::text;
use crate::tools::Tool;

const FILES: u64 = 50_000;
const ROUNDS: usize = 10;
const SLOW_ROUNDS_MAX: usize = 3;
const FILE_BYTES: usize = 200;

pub(crate) fn measure(bench: &Bench) -> Result<Sheet> {
    let mut sheet = Sheet::new(
        "One small file added to a wide folder",
        &["A new file of 200 bytes in each round, between the others by name."],
    );
    let files = usize::try_from(FILES / bench.args.scale().divisor)?;
    let label = thousands(files);
    bench.progress(&format!("a folder of {label} files"));
    let (workspace, under) = (bench.folder("workspace")?, bench.folder("stores")?);
    let wide = bench.folder("workspace/wide")?;
    let mut rng = Rng::new(FILES);
    let mut add = |number: usize| write(&wide.join(name(number)), &text::text(&mut rng, FILE_BYTES));
    (0..files).try_for_each(&mut add)?;
    let tools = bench.tools(|tool| !tool.is_variant());
    let rounds_max = |tool: Tool| if tool.is_slow() { SLOW_ROUNDS_MAX } else { usize::MAX };
    let mut entrants = enter(&tools, &workspace, &under, &bench.surroundings, rounds_max)?;
    for recorder in entrants.iter().filter_map(Entrant::recorder) {
        recorder.snap()?;
    }
    entrants.push(Entrant::floor());
    let rules =
        Rules { rounds: if bench.args.quick { 3 } else { ROUNDS }, timed: true, weighed: true, must_grow: true };
    let outcome = race(&entrants, &workspace, &bench.surroundings, rules, |round| add(files + round))?;
    entrants.into_iter().filter_map(Entrant::into_recorder).try_for_each(Recorder::delete)?;
    std::fs::remove_dir_all(&workspace)?;

    let growth = outcome.growth_row(format!("growth, one more file in {label}"));
    sheet.claim_retro(&growth, Bound::AtMost(20_000.0));
    sheet.push(growth);
    sheet.push(outcome.files_row(format!("files created, one more file in {label}")));
    sheet.push(outcome.time_row(format!("time, one more file in {label}")));
    Ok(sheet)
}

/// Names in another order than their numbers, so that a new one falls anywhere.
fn name(number: usize) -> String {
    format!("{:08x}_{number}.txt", Rng::part(1, number).next() >> 32)
}
