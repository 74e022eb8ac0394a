//! Time of a step: without a change, and with three changed files.

use std::fs;

use super::{Bench, Workspace, write};
use crate::Result;
use crate::args::Tree;
use crate::race::{Entrant, Rules, enter as enter_tools, race};
use crate::report::{Bound, Row, Series, Sheet, Unit};
use crate::rng::Rng;
use crate::text;
use crate::tools::Tool;

/// Largest workspace, in files, in which slow peers take part, and git with automatic collection.
const SLOW_FILES_MAX: usize = 20_000;

/// Rounds in which slow peers take part.
const SLOW_ROUNDS_MAX: usize = 3;

/// Files changed in a step.
pub(crate) const CHANGED_FILES: usize = 3;

pub(crate) fn sheet() -> Sheet {
    Sheet::new(
        "Step",
        &[
            "From the start of the process to its end, warm caches; git: `add -A` and `commit -q`.",
            "floor: a process that lists every folder and reads every stat on all cores, and does nothing else;",
            "synced: it then appends 1,000 bytes to a file and syncs it. git (synced): `core.fsync=all`.",
        ],
    )
}

/// Enters all tools that a workspace of this size allows, with a first snapshot in each store. Records their memory.
pub(crate) fn enter(bench: &Bench, workspace: &Workspace, size: Tree, memory: &mut Sheet) -> Result<Vec<Entrant>> {
    bench.progress(&format!("entering tools for {}", workspace.label));
    let tools = bench.tools(|tool| size.files <= SLOW_FILES_MAX || !(tool.is_slow() || tool.is_variant()));
    let rounds_max = |tool: Tool| if tool.is_slow() { SLOW_ROUNDS_MAX } else { usize::MAX };
    let under = bench.folder("stores")?;
    let mut entrants = enter_tools(&tools, &workspace.root, &under, &bench.surroundings, rounds_max)?;
    let scratch = bench.folder("scratch")?;
    let mut first = Row::new(format!("first snapshot of {}", workspace.label), Unit::Bytes);
    let mut again = Row::new(format!("unchanged, {}", workspace.label), Unit::Bytes);
    for recorder in entrants.iter().filter_map(Entrant::recorder) {
        let (_, first_bytes) = recorder.snap_measured(&scratch)?;
        let (_, again_bytes) = recorder.snap_measured(&scratch)?;
        first = first.with(recorder.tool.column(), Series::one(first_bytes as f64));
        again = again.with(recorder.tool.column(), Series::one(again_bytes as f64));
    }
    super::memory::note(memory, [first, again]);
    entrants.push(Entrant::floor());
    Ok(entrants)
}

/// Deletes the stores.
pub(crate) fn leave(entrants: Vec<Entrant>) -> Result<()> {
    entrants.into_iter().filter_map(Entrant::into_recorder).try_for_each(crate::recorder::Recorder::delete)
}

pub(crate) fn measure(
    bench: &Bench,
    workspace: &Workspace,
    size: Tree,
    entrants: &[Entrant],
    sheet: &mut Sheet,
) -> Result<()> {
    let Workspace { root, label, .. } = workspace;
    let rules = Rules { rounds: size.rounds, timed: true, weighed: false, must_grow: false };
    bench.progress(&format!("steps without a change, {label}"));
    let unchanged = race(entrants, root, &bench.surroundings, rules, |_| Ok(()))?;
    let unchanged = unchanged.time_row(format!("unchanged, {label}"));
    bench.progress(&format!("steps of {CHANGED_FILES} files, {label}"));
    let mut rng = Rng::new(size.files as u64);
    let rules = Rules { weighed: true, must_grow: true, ..rules };
    let changed = race(entrants, root, &bench.surroundings, rules, |_| change(workspace, &mut rng).map(drop))?;
    for row in [unchanged, changed.time_row(format!("{CHANGED_FILES} files changed, {label}"))] {
        sheet.claim_ratio(&row, "retro", "floor", Bound::AtMost(1.5));
        sheet.claim_ratio(&row, "git", "retro", Bound::AtLeast(6.0));
        sheet.claim_ratio(&row, "jj", "retro", Bound::AtLeast(8.0));
        sheet.push(row);
    }
    let files = changed.files_row(format!("files created for {CHANGED_FILES} changed, {label}"));
    sheet.claim_retro(&files, Bound::AtMost(0.0));
    sheet.push(files);
    sheet.push(changed.growth_row(format!("store growth for {CHANGED_FILES} changed, {label}")));
    Ok(())
}

/// Edits some files, and returns their previous contents.
pub(crate) fn change(workspace: &Workspace, rng: &mut Rng) -> Result<Vec<(std::path::PathBuf, Vec<u8>)>> {
    let mut before = Vec::with_capacity(CHANGED_FILES);
    while before.len() < CHANGED_FILES {
        let path = workspace.path(rng.below(workspace.paths.len()));
        if before.iter().any(|(known, _)| *known == path) {
            continue;
        }
        let mut content = fs::read(&path)?;
        before.push((path.clone(), content.clone()));
        text::edit(rng, &mut content);
        write(&path, &content)?;
    }
    Ok(before)
}
