//! Small changes of large files: a log, a database, pages of a database, a model.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::memory::noise;
use super::{Bench, write};
use crate::Result;
use crate::call::Surroundings;
use crate::race::{Entrant, Outcome, Rules, enter, race};
use crate::recorder::Recorder;
use crate::report::{Bound, Row, Series, Sheet, Unit};
use crate::rng::Rng;
use crate::text;
use crate::tools::Tool;

const PAGE_BYTES: usize = 4_096;
const LOG_BYTES: u64 = 20_000_000;
const LOG_STEP_BYTES: usize = 13_600;
const DATABASE_BYTES: u64 = 66_000_000;
const DATABASE_STEP_ROWS: usize = 20;
const PAGES_REWRITTEN: usize = 4;
const MODEL_BYTES: u64 = 200_000_000;
const MODEL_STEP_BYTES: u64 = 10_000_000;

/// Peers compress such a file whole at each step; a few steps are enough.
const PEER_STEPS_MAX: usize = 5;

/// One kind of file and of change.
struct Scenario<'a> {
    name: &'static str,
    steps: usize,
    bound: f64,
    /// Makes the change of this step, and returns the number of new bytes.
    change: &'a mut dyn FnMut(usize) -> Result<u64>,
}

pub(crate) fn measure(bench: &Bench) -> Result<Sheet> {
    let mut sheet = Sheet::new(
        "Large files",
        &[
            "Store growth divided by a step's new bytes. The log: lines appended. The database: rows, counting",
            "their values. The pages: four of 4 KiB rewritten at random, one appended, as in a b-tree. The model:",
            "a part of it overwritten at an offset where no block begins. Peers take part in the first five steps.",
        ],
    );
    let quick = |steps: usize| if bench.args.quick { 3.min(steps) } else { steps };
    let workspace = bench.folder("workspace")?;
    let divisor = bench.args.scale().divisor;

    let path = workspace.join("agent.log");
    let mut log = Log::create(&path, LOG_BYTES / divisor)?;
    let mut change = |_| log.append();
    run(bench, &mut sheet, Scenario { name: "log", steps: quick(50), bound: 3.0, change: &mut change })?;

    let mut rng = Rng::new(DATABASE_BYTES);
    if let Some(shell) = Shell::find(bench) {
        let mut database = Database { shell, path: workspace.join("state.db"), rows: 0, rng: rng.clone() };
        database.insert(usize::try_from(DATABASE_BYTES / divisor / 450)?)?;
        let mut change = |_| database.insert(DATABASE_STEP_ROWS);
        run(bench, &mut sheet, Scenario { name: "database", steps: quick(20), bound: 30.0, change: &mut change })?;
    }

    let path = workspace.join("pages.db");
    write(&path, &text::text(&mut rng, usize::try_from(DATABASE_BYTES / divisor)? / PAGE_BYTES * PAGE_BYTES))?;
    let mut change = |_| rewrite_pages(&path, &mut rng);
    run(bench, &mut sheet, Scenario { name: "pages", steps: quick(20), bound: 30.0, change: &mut change })?;

    let path = workspace.join("model.bin");
    noise(&path, MODEL_BYTES / divisor, MODEL_BYTES)?;
    let mut change = |step| overwrite(&path, MODEL_BYTES / divisor, MODEL_STEP_BYTES / divisor, step);
    run(bench, &mut sheet, Scenario { name: "model", steps: quick(3), bound: 1.1, change: &mut change })?;
    std::fs::remove_dir_all(&workspace)?;
    Ok(sheet)
}

/// Measures one scenario, whose file is the only one in the workspace, and empties the workspace.
fn run(bench: &Bench, sheet: &mut Sheet, scenario: Scenario<'_>) -> Result<()> {
    let Scenario { name, steps, bound, change } = scenario;
    bench.progress(&format!("large files: {name}"));
    let (workspace, under) = (bench.folder("workspace")?, bench.folder("stores")?);
    let tools = bench.tools(|tool| !tool.is_variant());
    let rounds_max = |tool| if tool == Tool::Retro { usize::MAX } else { PEER_STEPS_MAX };
    let entrants = enter(&tools, &workspace, &under, &bench.surroundings, rounds_max)?;
    for recorder in entrants.iter().filter_map(Entrant::recorder) {
        recorder.snap()?;
    }
    let mut brought = Series::default();
    let rules = Rules { rounds: steps, timed: true, weighed: true, must_grow: true };
    let outcome = race(&entrants, &workspace, &bench.surroundings, rules, |round| {
        brought.set(round, change(round)? as f64);
        Ok(())
    })?;
    entrants.into_iter().filter_map(Entrant::into_recorder).try_for_each(Recorder::delete)?;
    std::fs::remove_dir_all(&workspace)?;
    bench.folder("workspace")?;

    let row = relative_growth(&outcome, &brought, format!("{name}: growth / new bytes, {steps} steps"));
    sheet.claim_retro(&row, Bound::AtMost(bound));
    sheet.push(row);
    sheet.push(outcome.time_row(format!("{name}: time of a step")));
    Ok(())
}

/// Growth of a tool over all its rounds, divided by the new bytes of those rounds.
fn relative_growth(outcome: &Outcome, brought: &Series, name: String) -> Row {
    let cells = outcome.grown_bytes.iter().map(|(column, grown)| {
        let share = grown.sum() / brought.first(grown.count()).sum();
        (*column, Series::one(share))
    });
    Row::new(name, Unit::Times).with_all(cells)
}

/// A log that grows.
struct Log {
    file: std::fs::File,
    rng: Rng,
    lines: usize,
}

impl Log {
    #[expect(clippy::disallowed_methods, reason = "the bench makes the workspaces that it measures")]
    fn create(path: &Path, length_bytes: u64) -> Result<Self> {
        let mut log = Self { file: std::fs::File::create(path)?, rng: Rng::new(LOG_BYTES), lines: 0 };
        let content = log.lines_of(usize::try_from(length_bytes)?);
        log.file.write_all(&content)?;
        Ok(log)
    }

    fn append(&mut self) -> Result<u64> {
        let content = self.lines_of(LOG_STEP_BYTES);
        self.file.write_all(&content)?;
        Ok(content.len() as u64)
    }

    fn lines_of(&mut self, length_bytes: usize) -> Vec<u8> {
        let mut content = Vec::with_capacity(length_bytes + 256);
        while content.len() < length_bytes {
            text::log_line(&mut self.rng, self.lines, &mut content);
            self.lines += 1;
        }
        content
    }
}

/// A program that runs SQL.
struct Shell {
    surroundings: Surroundings,
    program: &'static str,
    script: PathBuf,
}

impl Shell {
    fn find(bench: &Bench) -> Option<Self> {
        let found = ["sqlite3", "python3"]
            .into_iter()
            .find(|program| bench.surroundings.version(program, "--version").is_some());
        let script = bench.folder("scratch").ok()?.join("script.sql");
        found.map(|program| Self { surroundings: bench.surroundings.clone(), program, script })
    }

    fn run(&self, database: &Path, sql: &str) -> Result<()> {
        const PYTHON: &str = "import sqlite3,sys; sqlite3.connect(sys.argv[1]).executescript(sys.stdin.read())";
        write(&self.script, sql.as_bytes())?;
        let folder = database.parent().ok_or("a database has no folder")?;
        let call = self.surroundings.call(self.program, folder);
        let call = if self.program == "python3" { call.args(["-c", PYTHON]) } else { call.arg("-bail") };
        call.arg(database).input(&self.script).run().map(drop)
    }
}

/// A table of events with an index whose keys fall anywhere.
struct Database {
    shell: Shell,
    path: PathBuf,
    rows: usize,
    rng: Rng,
}

impl Database {
    fn insert(&mut self, count: usize) -> Result<u64> {
        let mut sql = String::with_capacity(count * 512);
        if self.rows == 0 {
            sql.push_str("CREATE TABLE event(id INTEGER PRIMARY KEY, session TEXT, kind TEXT, payload TEXT);\n");
            sql.push_str("CREATE INDEX by_session ON event(session);\n");
        }
        sql.push_str("BEGIN;\n");
        let mut brought = 0;
        for _ in 0..count {
            self.rows += 1;
            let session = format!("{:016x}", self.rng.next());
            let length = 100 + self.rng.below(600);
            let payload = String::from_utf8(text::text(&mut self.rng, length))?.replace('\n', " ");
            let kind = ["tool_call", "message", "edit"][self.rng.below(3)];
            sql.push_str(&format!("INSERT INTO event VALUES({},'{session}','{kind}','{payload}');\n", self.rows));
            brought += 8 + session.len() + kind.len() + payload.len();
        }
        sql.push_str("COMMIT;\n");
        self.shell.run(&self.path, &sql)?;
        Ok(brought as u64)
    }
}

fn rewrite_pages(path: &Path, rng: &mut Rng) -> Result<u64> {
    let file = OpenOptions::new().write(true).open(path)?;
    let length = file.metadata()?.len();
    let pages = usize::try_from(length)? / PAGE_BYTES;
    for _ in 0..PAGES_REWRITTEN {
        let page = rng.below(pages) * PAGE_BYTES;
        file.write_all_at(&text::text(rng, PAGE_BYTES), page as u64)?;
    }
    file.write_all_at(&text::text(rng, PAGE_BYTES), length)?;
    Ok(((PAGES_REWRITTEN + 1) * PAGE_BYTES) as u64)
}

fn overwrite(path: &Path, length_bytes: u64, part_bytes: u64, step: usize) -> Result<u64> {
    let mut rng = Rng::part(MODEL_BYTES, step + 1);
    let mut part = vec![0; usize::try_from(part_bytes)?];
    rng.fill(&mut part);
    let offset = rng.below(usize::try_from(length_bytes - part_bytes)?);
    OpenOptions::new().write(true).open(path)?.write_all_at(&part, offset as u64)?;
    Ok(part_bytes)
}
