//! Rounds in which every tool records the same change of one folder, one after another.
//!
//! ```text
//! round 0   change the folder, then   floor  retro  git    restic
//! round 1   change the folder, then   retro  git    restic floor
//! round 2   ...                       git    restic floor  retro      (whoever goes first reads cold caches)
//! ```

use std::collections::BTreeMap;
use std::os::fd::AsFd as _;
use std::path::Path;

use crate::call::Surroundings;
use crate::floor;
use crate::footprint::Footprint;
use crate::recorder::Recorder;
use crate::report::{Row, Series, Unit};
use crate::tools::Tool;
use crate::{Error, Result};

/// A tool that takes part in rounds.
#[derive(Debug)]
pub(crate) struct Entrant {
    recorder: Option<Recorder>,
    /// Number of rounds in which it takes part; it skips the later ones.
    rounds_max: usize,
}

/// Options of a race.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) rounds: usize,
    /// True if times are measured; then everything is flushed before each start.
    pub(crate) timed: bool,
    /// True if the growth of stores is measured.
    pub(crate) weighed: bool,
    /// True if every round changes something that every tool records, so that an unchanged store fails the run.
    pub(crate) must_grow: bool,
}

/// Series by column.
pub(crate) type Columns = BTreeMap<&'static str, Series>;

/// The results of a race, by round.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) milliseconds: Columns,
    /// Growth of the total length of a store's files.
    pub(crate) grown_bytes: Columns,
    /// Growth of the store on disk.
    pub(crate) occupied_bytes: Columns,
    pub(crate) new_files: Columns,
}

const FLOOR: &str = "floor";
const FLOOR_WALK: &str = "floor (walk only)";
const FLOOR_SYNCED: &str = "floor (synced)";

impl Entrant {
    pub(crate) fn floor() -> Self {
        Self { recorder: None, rounds_max: usize::MAX }
    }

    pub(crate) fn tool(recorder: Recorder, rounds_max: usize) -> Self {
        Self { recorder: Some(recorder), rounds_max }
    }

    pub(crate) fn recorder(&self) -> Option<&Recorder> {
        self.recorder.as_ref()
    }

    pub(crate) fn into_recorder(self) -> Option<Recorder> {
        self.recorder
    }

    fn run(&self, round: usize, workspace: &Path, surroundings: &Surroundings, rules: Rules) -> Result<Lap> {
        let Some(recorder) = &self.recorder else { return lap_of_floor(workspace, surroundings) };
        let column = recorder.tool.column();
        let failed = |error: Error| -> Error { format!("{column}, round {round}: {error}").into() };
        let weigh = || if rules.weighed { Footprint::of(recorder.store()) } else { Ok(Footprint::default()) };
        let before = weigh()?;
        if rules.timed {
            flush(workspace)?;
        }
        let taken = recorder.snap().map_err(failed)?;
        let after = weigh()?;
        if rules.must_grow && after == before {
            return Err(failed("nothing was recorded".into()));
        }
        Ok(Lap { times: vec![(column, taken.elapsed.as_secs_f64() * 1e3)], weight: Some((column, before, after)) })
    }
}

/// The result of one tool in one round.
struct Lap {
    times: Vec<(&'static str, f64)>,
    weight: Option<(&'static str, Footprint, Footprint)>,
}

/// Runs the rounds; `change` is called before each with its number.
pub(crate) fn race(
    entrants: &[Entrant],
    workspace: &Path,
    surroundings: &Surroundings,
    rules: Rules,
    mut change: impl FnMut(usize) -> Result<()>,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for round in 0..rules.rounds {
        change(round)?;
        let mut order: Vec<&Entrant> = entrants.iter().filter(|entrant| round < entrant.rounds_max).collect();
        if order.is_empty() {
            break;
        }
        let first = round % order.len();
        order.rotate_left(first);
        for entrant in order {
            let lap = entrant.run(round, workspace, surroundings, rules)?;
            outcome.add(round, lap, rules);
        }
    }
    Ok(outcome)
}

/// Writes everything dirty on the file system of `folder` to disk.
pub(crate) fn flush(folder: &Path) -> Result<()> {
    let handle = std::fs::File::open(folder)?;
    rustix::fs::syncfs(handle.as_fd()).map_err(|error| format!("flush file system: {error}"))?;
    Ok(())
}

impl Outcome {
    /// The times as a row.
    pub(crate) fn time_row(&self, name: impl Into<String>) -> Row {
        Row::new(name, Unit::Milliseconds).with_all(cloned(&self.milliseconds))
    }

    /// The growth of each round as a row.
    pub(crate) fn growth_row(&self, name: impl Into<String>) -> Row {
        Row::new(name, Unit::Bytes).with_all(cloned(&self.grown_bytes))
    }

    /// The files created in each round as a row.
    pub(crate) fn files_row(&self, name: impl Into<String>) -> Row {
        Row::new(name, Unit::Files).with_all(cloned(&self.new_files))
    }

    fn add(&mut self, round: usize, lap: Lap, rules: Rules) {
        for (column, milliseconds) in lap.times {
            self.milliseconds.entry(column).or_default().set(round, milliseconds);
        }
        let Some((column, before, after)) = lap.weight.filter(|_| rules.weighed) else { return };
        let new_files = after.new_files(&before) as f64;
        let grown = after.apparent_bytes as f64 - before.apparent_bytes as f64;
        let occupied = after.occupied_bytes as f64 - before.occupied_bytes as f64;
        self.new_files.entry(column).or_default().set(round, new_files);
        self.grown_bytes.entry(column).or_default().set(round, grown);
        self.occupied_bytes.entry(column).or_default().set(round, occupied);
    }
}

fn cloned(columns: &Columns) -> impl Iterator<Item = (&'static str, Series)> {
    columns.iter().map(|(column, series)| (*column, series.clone()))
}

fn lap_of_floor(workspace: &Path, surroundings: &Surroundings) -> Result<Lap> {
    flush(workspace)?;
    let exe = std::env::current_exe()?;
    let call = surroundings.call(exe, workspace).arg(floor::FLAG).arg(workspace);
    let done = call.arg(workspace.with_extension("synced")).run()?;
    let said = String::from_utf8(done.output)?;
    let mut numbers = said.split_whitespace().map(|number| number.parse::<f64>().map(|ns| ns / 1e6));
    let mut next = || numbers.next().ok_or("the floor said nothing");
    let (walk, sync) = (next()??, next()??);
    let whole = done.elapsed.as_secs_f64() * 1e3;
    Ok(Lap { times: vec![(FLOOR, whole - sync), (FLOOR_WALK, walk), (FLOOR_SYNCED, whole)], weight: None })
}

/// Entrants for these tools, each with an empty store.
pub(crate) fn enter(
    tools: &[Tool],
    workspace: &Path,
    under: &Path,
    surroundings: &Surroundings,
    rounds_max: impl Fn(Tool) -> usize,
) -> Result<Vec<Entrant>> {
    let create =
        |&tool: &Tool| Ok(Entrant::tool(Recorder::create(tool, surroundings, workspace, under)?, rounds_max(tool)));
    tools.iter().map(create).collect()
}
