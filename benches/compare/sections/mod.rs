//! The tables of the report, one file each.

mod commits;
mod first;
mod folder;
mod growth;
mod large;
mod latency;
mod memory;
mod restore;

use std::fs;
use std::path::{Path, PathBuf};

use retrograde::time::Stopwatch;

use crate::args::{Args, Table, Tree};
use crate::call::Surroundings;
use crate::change::History;
use crate::report::{Report, Sheet};
use crate::tools::{Tool, probe};
use crate::{Result, facts, history, say, tree};

/// The shared context of all tables.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) args: Args,
    surroundings: Surroundings,
    /// Installed and wanted tools.
    tools: Vec<Tool>,
    facts: facts::Facts,
    temporary: tempfile::TempDir,
    watch: Stopwatch,
}

/// A synthetic folder that is measured.
#[derive(Debug)]
struct Workspace {
    root: PathBuf,
    /// Its files, by relative path.
    paths: Vec<PathBuf>,
    /// The number of files, for labels.
    label: String,
}

impl Bench {
    /// Looks for the tools, and creates the temporary folder.
    pub(crate) fn prepare(args: Args) -> Result<Self> {
        let parent = args.tmp.clone().unwrap_or_else(std::env::temp_dir);
        let temporary = tempfile::Builder::new().prefix("compare").tempdir_in(parent)?;
        let surroundings = Surroundings::new(&temporary.path().join("home"))?;
        let probed = probe(&args, &surroundings)?;
        let facts = facts::collect(temporary.path(), &probed);
        for (tool, version) in &facts.tools {
            say(&format!("{tool}: {version}"));
        }
        let tools = probed.iter().filter(|found| found.version.is_some()).map(|found| found.tool).collect();
        Ok(Self { args, surroundings, tools, facts, temporary, watch: Stopwatch::start() })
    }

    /// A new empty folder, whose name is not reused while it exists.
    fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.temporary.path().join(name);
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    fn has(&self, tool: Tool) -> bool {
        self.tools.contains(&tool)
    }

    /// The tools for which `keep` returns true.
    fn tools(&self, keep: impl Fn(Tool) -> bool) -> Vec<Tool> {
        self.tools.iter().copied().filter(|&tool| keep(tool)).collect()
    }

    fn progress(&self, what: &str) {
        say(&format!("{:>5.0} s  {what}", self.watch.elapsed().as_secs_f64()));
    }
}

/// Makes all wanted tables.
pub(crate) fn run(bench: &Bench) -> Result<Report> {
    let mut sheets = of_trees(bench)?;
    if bench.args.wants(Table::Growth) || bench.args.wants(Table::Commits) {
        let (mut growth, mut commits) = (growth::sheet(), commits::sheet());
        for history in histories(bench)? {
            if bench.args.wants(Table::Growth) {
                growth::measure(bench, &history, &mut growth)?;
            }
            if bench.args.wants(Table::Commits) {
                commits::measure(bench, &history, &mut commits)?;
            }
        }
        sheets.extend([growth, commits]);
    }
    if bench.args.wants(Table::Large) {
        sheets.push(large::measure(bench)?);
    }
    if bench.args.wants(Table::Folder) {
        sheets.push(folder::measure(bench)?);
    }
    let minutes = bench.watch.elapsed().as_secs_f64() / 60.0;
    Ok(Report { version: 1, facts: bench.facts.clone(), quick: bench.args.quick, minutes, sheets })
}

/// The tables that share the synthetic workspaces.
fn of_trees(bench: &Bench) -> Result<Vec<Sheet>> {
    let wants = |table| bench.args.wants(table);
    let (mut first, mut latency, mut memory) = (first::sheet(), latency::sheet(), memory::sheet());
    let (mut in_place, mut full) = (restore::in_place_sheet(), restore::full_sheet());
    let needs_steps = wants(Table::Latency) || wants(Table::Restore) || wants(Table::Memory);
    for &size in bench.args.scale().trees {
        let needs_first = wants(Table::First) && size.fresh_rounds > 0;
        if !needs_first && !needs_steps {
            continue;
        }
        let workspace = Workspace::build(bench, size)?;
        if needs_first {
            first::measure(bench, &workspace, size.fresh_rounds, &mut first)?;
        }
        if needs_steps {
            let entrants = latency::enter(bench, &workspace, size, &mut memory)?;
            if wants(Table::Latency) {
                latency::measure(bench, &workspace, size, &entrants, &mut latency)?;
            }
            if wants(Table::Restore) {
                restore::measure_in_place(bench, &workspace, size, &entrants, &mut in_place)?;
                restore::measure_full(bench, &workspace, size.fresh_rounds, &entrants, &mut full)?;
            }
            latency::leave(entrants)?;
        }
        fs::remove_dir_all(&workspace.root)?;
    }
    if wants(Table::Memory) {
        memory::measure_large_file(bench, &mut memory)?;
    }
    Ok(vec![first, latency, in_place, full, memory])
}

fn histories(bench: &Bench) -> Result<Vec<History>> {
    let (count, scratch) = (bench.args.commits(), bench.folder("scratch")?);
    if bench.args.repos.is_empty() {
        return Ok(vec![history::synthetic(bench.args.scale().history_files, count)]);
    }
    let read = |repo: &PathBuf| history::of_repository(repo, count, &bench.surroundings, &scratch);
    bench.args.repos.iter().map(read).collect()
}

impl Workspace {
    fn build(bench: &Bench, size: Tree) -> Result<Self> {
        bench.progress(&format!("making {} files", size.files));
        let root = bench.folder("workspace")?;
        let paths = tree::build(&root, size.files, size.files as u64)?;
        Ok(Self { root, paths, label: format!("{} files", thousands(size.files)) })
    }

    fn path(&self, index: usize) -> PathBuf {
        self.root.join(&self.paths[index % self.paths.len()])
    }
}

fn thousands(count: usize) -> String {
    if count >= 1_000 { format!("{},{:03}", count / 1_000, count % 1_000) } else { count.to_string() }
}

/// Overwrites a file of a measured folder.
#[expect(clippy::disallowed_methods, reason = "the bench changes the workspaces that it measures")]
fn write(path: &Path, content: &[u8]) -> Result<()> {
    fs::write(path, content).map_err(|error| format!("write {}: {error}", path.display()).into())
}
