//! Peak memory of a snapshot.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use super::Bench;
use crate::Result;
use crate::recorder::Recorder;
use crate::report::{Bound, Row, Series, Sheet, Unit};
use crate::rng::Rng;
use crate::tools::Tool;

const LARGE_BYTES: u64 = 1 << 30;
const PIECE_BYTES: usize = 1 << 20;

/// The promised limit, for up to 100,000 files and for files of any length.
const MOST: Bound = Bound::AtMost(150e6);

pub(crate) fn sheet() -> Sheet {
    Sheet::new(
        "Peak memory",
        &["The largest resident size of the process, as the kernel accounts for it when it ends."],
    )
}

/// Adds rows that were measured elsewhere.
pub(crate) fn note(sheet: &mut Sheet, rows: [Row; 2]) {
    for row in rows {
        let mut claimed = row.clone();
        claimed.name = format!("peak memory, {}", row.name);
        sheet.claim_retro(&claimed, MOST);
        sheet.push(row);
    }
}

/// One file that no tool should hold in memory.
pub(crate) fn measure_large_file(bench: &Bench, sheet: &mut Sheet) -> Result<()> {
    let length = LARGE_BYTES / bench.args.scale().divisor;
    let label = format!("a file of {} MiB", length >> 20);
    bench.progress(&label);
    let (workspace, under) = (bench.folder("workspace")?, bench.folder("stores")?);
    let scratch = bench.folder("scratch")?;
    noise(&workspace.join("large.bin"), length, LARGE_BYTES)?;
    let mut first = Row::new(format!("first snapshot of {label}"), Unit::Bytes);
    let mut again = Row::new(format!("unchanged, {label}"), Unit::Bytes);
    for tool in bench.tools(|tool| matches!(tool, Tool::Retro | Tool::Git)) {
        let recorder = Recorder::create(tool, &bench.surroundings, &workspace, &under)?;
        let (_, first_bytes) = recorder.snap_measured(&scratch)?;
        let (_, again_bytes) = recorder.snap_measured(&scratch)?;
        first = first.with(tool.column(), Series::one(first_bytes as f64));
        again = again.with(tool.column(), Series::one(again_bytes as f64));
        recorder.delete()?;
    }
    note(sheet, [first, again]);
    fs::remove_dir_all(&workspace)?;
    Ok(())
}

/// A file that does not compress.
#[expect(clippy::disallowed_methods, reason = "the bench makes the workspaces that it measures")]
pub(crate) fn noise(path: &Path, length_bytes: u64, seed: u64) -> Result<()> {
    let mut rng = Rng::new(seed);
    let mut file = fs::File::create(path)?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut rest = usize::try_from(length_bytes)?;
    while rest > 0 {
        let length = rest.min(PIECE_BYTES);
        rng.fill(&mut piece[..length]);
        file.write_all(&piece[..length])?;
        rest -= length;
    }
    Ok(())
}
