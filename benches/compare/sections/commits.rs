//! Space that a whole history occupies, with each commit as a step.

use super::Bench;
use crate::Result;
use crate::change::History;
use crate::footprint::Footprint;
use crate::import::{Packing, packed_bytes};
use crate::recorder::Recorder;
use crate::report::{Bound, Row, Series, Sheet, Unit};
use crate::tools::Tool;

const GIT_PACK: &str = "git (repacked)";
const GIT_AGGRESSIVE: &str = "git gc --aggressive";
const RETRO_COMPACT: &str = "retro gc --level 19";

pub(crate) fn sheet() -> Sheet {
    Sheet::new(
        "Store after whole commits",
        &[
            "The first state and every later commit as one step each. retro: the whole store folder after all steps.",
            "git: packs and their indexes after `repack -adf`, and after `gc --aggressive`.",
        ],
    )
}

pub(crate) fn measure(bench: &Bench, history: &History, sheet: &mut Sheet) -> Result<()> {
    let name = format!("{}: {} commits", history.name, history.commits.len());
    bench.progress(&name);
    let mut row = Row::new(name, Unit::Bytes);
    if bench.has(Tool::Retro) {
        let (workspace, under) = (bench.folder("workspace")?, bench.folder("stores")?);
        let recorder = Recorder::create(Tool::Retro, &bench.surroundings, &workspace, &under)?;
        for changes in std::iter::once(&history.base).chain(&history.commits) {
            changes.iter().try_for_each(|change| change.apply(&workspace))?;
            recorder.snap()?;
        }
        let bytes = || -> Result<f64> { Ok(Footprint::of(recorder.store())?.apparent_bytes as f64) };
        row = row.with("retro", Series::one(bytes()?));
        if recorder.compact().is_some() {
            row = row.with(RETRO_COMPACT, Series::one(bytes()?));
        }
        recorder.delete()?;
        std::fs::remove_dir_all(&workspace)?;
    }
    if bench.has(Tool::Git) {
        let (packings, scratch) = ([Packing::Default, Packing::Aggressive], bench.folder("scratch")?);
        let sizes = packed_bytes(&history.base, &history.commits, &packings, &bench.surroundings, &scratch)?;
        row = row.with_all([GIT_PACK, GIT_AGGRESSIVE].into_iter().zip(sizes.into_iter().map(Series::one)));
    }
    sheet.claim_ratio(&row, "retro", GIT_PACK, Bound::AtMost(1.0));
    sheet.claim_ratio(&row, RETRO_COMPACT, GIT_AGGRESSIVE, Bound::AtMost(0.9));
    sheet.push(row);
    Ok(())
}
