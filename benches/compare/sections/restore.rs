//! Restoring: in place to the step before, and whole into an empty folder.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::latency::{CHANGED_FILES, change};
use super::{Bench, Workspace};
use crate::Result;
use crate::args::Tree;
use crate::floor::PASSED_OVER;
use crate::footprint::Footprint;
use crate::race::{Entrant, flush};
use crate::recorder::Recorder;
use crate::report::{Bound, Row, Series, Sheet, Unit};
use crate::rng::Rng;
use crate::tools::Tool;

/// Largest workspace, in files, in which every peer takes part; a slow one rewrites every file.
const SLOW_FILES_MAX: usize = 5_000;

/// Rounds in which a slow peer takes part.
const SLOW_ROUNDS_MAX: usize = 1;

/// Column of a snapshot of retro that finds no change, taken in the same rounds.
const UNCHANGED: &str = "retro snap";

pub(crate) fn in_place_sheet() -> Sheet {
    Sheet::new(
        "Restore in place, the step before",
        &[
            "Three files were changed in one step; `git reset --hard` goes back without keeping anything,",
            "`retro restore` takes a snapshot first. The contents are checked after each.",
        ],
    )
}

pub(crate) fn full_sheet() -> Sheet {
    Sheet::new(
        "Restore into an empty folder",
        &["cp: `cp -r` of the live folder; git: `checkout -f` with an index of its own."],
    )
}

pub(crate) fn measure_in_place(
    bench: &Bench,
    workspace: &Workspace,
    size: Tree,
    entrants: &[Entrant],
    sheet: &mut Sheet,
) -> Result<()> {
    bench.progress(&format!("restores in place, {}", workspace.label));
    let mut rng = Rng::new(size.files as u64 ^ 0x7265_7374);
    let mut recorders: Vec<_> = entrants.iter().filter_map(Entrant::recorder).collect();
    recorders
        .retain(|recorder| !recorder.tool.is_variant() && (!recorder.tool.is_slow() || size.files <= SLOW_FILES_MAX));
    // One change for all, so that each tool has its own snapshot of the state to return to.
    change(workspace, &mut rng)?;
    let base = |recorder: &&Recorder| recorder.revision(&recorder.snap()?);
    let bases = recorders.iter().map(base).collect::<Result<Vec<_>>>()?;
    let mut series = vec![Series::default(); recorders.len()];
    let mut unchanged = Series::default();
    for round in 0..size.rounds {
        for turn in 0..recorders.len() {
            let at = (turn + round) % recorders.len();
            let recorder = recorders[at];
            if recorder.tool.is_slow() && round >= SLOW_ROUNDS_MAX {
                continue;
            }
            let before = change(workspace, &mut rng)?;
            recorder.snap()?;
            flush(&workspace.root)?;
            let elapsed = recorder.restore(&bases[at])?;
            series[at].set(round, milliseconds(elapsed));
            for (path, content) in before {
                if fs::read(&path)? != content {
                    return Err(format!("restore in place, {}: a file is not as before", recorder.tool.column()).into());
                }
            }
            if recorder.tool == Tool::Retro {
                flush(&workspace.root)?;
                unchanged.set(round, milliseconds(recorder.snap()?.elapsed));
            }
        }
    }
    let columns = recorders.iter().map(|recorder| recorder.tool.column()).zip(series);
    let name = format!("{CHANGED_FILES} files, {}", workspace.label);
    let row = Row::new(name, Unit::Milliseconds).with_all(columns).with(UNCHANGED, unchanged);
    let mut claimed = row.clone();
    claimed.name = format!("restore in place, {}", row.name);
    sheet.claim_ratio(&claimed, "retro", UNCHANGED, Bound::AtMost(2.0));
    sheet.push(row);
    Ok(())
}

/// A tool or program that fills an empty folder.
enum Filler<'a> {
    Copy,
    Tool(&'a Recorder, String),
}

pub(crate) fn measure_full(
    bench: &Bench,
    workspace: &Workspace,
    rounds: usize,
    entrants: &[Entrant],
    sheet: &mut Sheet,
) -> Result<()> {
    if rounds == 0 {
        return Ok(());
    }
    bench.progress(&format!("full restores, {}", workspace.label));
    change(workspace, &mut Rng::new(0x6675_6c6c))?;
    let mut fillers = vec![Filler::Copy];
    for recorder in entrants.iter().filter_map(Entrant::recorder) {
        let sits_out = recorder.tool.is_slow() && workspace.paths.len() > SLOW_FILES_MAX;
        // jj's store knows each workspace, so a second one cannot replace the first.
        if !recorder.tool.is_variant() && recorder.tool != Tool::Jj && !sits_out {
            fillers.push(Filler::Tool(recorder, recorder.revision(&recorder.snap()?)?));
        }
    }
    let mut series = vec![Series::default(); fillers.len()];
    for round in 0..rounds {
        for turn in 0..fillers.len() {
            let at = (turn + round) % fillers.len();
            if fillers[at].is_slow() && round >= SLOW_ROUNDS_MAX {
                continue;
            }
            let target = bench.folder("target")?;
            flush(&target)?;
            series[at].set(round, milliseconds(fillers[at].fill(bench, workspace, &target)?));
            let written = Footprint::of(&target)?.count();
            if written != workspace.paths.len() {
                return Err(format!("restore into a folder, {}: {written} files", fillers[at].column()).into());
            }
            fs::remove_dir_all(&target)?;
        }
    }
    let columns = fillers.iter().map(Filler::column).zip(series);
    let row = Row::new(workspace.label.clone(), Unit::Milliseconds).with_all(columns);
    let mut claimed = row.clone();
    claimed.name = format!("full restore, {}", row.name);
    sheet.claim_ratio(&claimed, "retro", "cp", Bound::AtMost(1.3));
    sheet.claim_ratio(&claimed, "retro", "git", Bound::AtMost(1.0));
    sheet.push(row);
    Ok(())
}

impl Filler<'_> {
    fn column(&self) -> &'static str {
        match self {
            Self::Copy => "cp",
            Self::Tool(recorder, _) => recorder.tool.column(),
        }
    }

    fn is_slow(&self) -> bool {
        matches!(self, Self::Tool(recorder, _) if recorder.tool.is_slow())
    }

    fn fill(&self, bench: &Bench, workspace: &Workspace, target: &Path) -> Result<Duration> {
        match self {
            Self::Tool(recorder, revision) => recorder.restore_into(revision, target),
            Self::Copy => {
                let entries = fs::read_dir(&workspace.root)?.collect::<std::io::Result<Vec<_>>>()?;
                let names = entries.iter().map(fs::DirEntry::file_name).filter(|name| name != PASSED_OVER);
                let call = bench.surroundings.call("cp", &workspace.root).arg("-r").args(names);
                Ok(call.arg(target).run()?.elapsed)
            }
        }
    }
}

fn milliseconds(elapsed: Duration) -> f64 {
    elapsed.as_secs_f64() * 1e3
}
