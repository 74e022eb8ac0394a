//! Growth of a store for a step that changes one file.

use super::Bench;
use crate::Result;
use crate::change::{Change, History};
use crate::footprint::Footprint;
use crate::import::{Packing, packed_bytes};
use crate::race::{Entrant, Rules, enter, race};
use crate::report::{Bound, Row, Series, Sheet, Unit};
use crate::tools::Tool;

/// Steps of git with loose objects; a median is stable long before.
const GIT_STEPS_MAX: usize = 200;

pub(crate) fn sheet() -> Sheet {
    Sheet::new(
        "Store growth per one-file step",
        &[
            "The last first-parent commits, with each changed path as a step. Growth counts all bytes of all files in",
            "the store folder (objects, trees, snapshots, indexes, caches), after minus before; nothing is collected.",
            "git: loose objects. git (repacked): `repack -adf` of all steps minus that of the first state, per step.",
            "Peers take part in the first steps only.",
        ],
    )
}

pub(crate) fn measure(bench: &Bench, history: &History, sheet: &mut Sheet) -> Result<()> {
    let scale = bench.args.scale();
    let steps = history.path_steps(scale.path_steps_max);
    bench.progress(&format!("{}: {} one-file steps", history.name, steps.len()));
    let (workspace, under) = (bench.folder("workspace")?, bench.folder("stores")?);
    history.base.iter().try_for_each(|change| change.apply(&workspace))?;
    let tools = bench.tools(|tool| !tool.is_variant());
    let rounds_max = |tool| match tool {
        Tool::Retro => usize::MAX,
        Tool::Git => GIT_STEPS_MAX,
        _ => scale.peer_steps_max,
    };
    let entrants = enter(&tools, &workspace, &under, &bench.surroundings, rounds_max)?;
    let mut first = Row::new(format!("{}: first state, {} files", history.name, history.base.len()), Unit::Bytes);
    for recorder in entrants.iter().filter_map(Entrant::recorder) {
        recorder.snap()?;
        let bytes = Footprint::of(recorder.store())?.apparent_bytes as f64;
        first = first.with(recorder.tool.column(), Series::one(bytes));
    }
    // A real history may change paths that an exclude list or a `.gitignore` matches.
    let rules = Rules { rounds: steps.len(), timed: false, weighed: true, must_grow: false };
    let apply = |round: usize| steps[round].iter().try_for_each(|change: &Change| change.apply(&workspace));
    let outcome = race(&entrants, &workspace, &bench.surroundings, rules, apply)?;
    entrants.into_iter().filter_map(Entrant::into_recorder).try_for_each(crate::recorder::Recorder::delete)?;
    std::fs::remove_dir_all(&workspace)?;

    let name = |what: &str| format!("{}: {what} of {} steps", history.name, steps.len());
    let means = |columns: &crate::race::Columns| {
        columns.iter().map(|(column, series)| (*column, Series::one(series.mean()))).collect::<Vec<_>>()
    };
    let median = outcome.growth_row(name("median"));
    let mut mean = Row::new(name("mean"), Unit::Bytes).with_all(means(&outcome.grown_bytes));
    if bench.has(Tool::Git) && !steps.is_empty() {
        let scratch = bench.folder("scratch")?;
        let packed = |steps| packed_bytes(&history.base, steps, &[Packing::Default], &bench.surroundings, &scratch);
        let grown = packed(&steps)?[0] - packed(&[])?[0];
        mean = mean.with("git (repacked)", Series::one(grown / steps.len() as f64));
    }
    if !bench.args.repos.is_empty() {
        sheet.claim_retro(&median, Bound::AtMost(900.0));
    }
    sheet.push(first);
    sheet.push(median);
    sheet.push(mean);
    sheet.push(Row::new(name("mean on disk"), Unit::Bytes).with_all(means(&outcome.occupied_bytes)));
    sheet.push(Row::new(name("mean of new files"), Unit::Files).with_all(means(&outcome.new_files)));
    Ok(())
}
