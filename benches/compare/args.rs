//! The arguments, and the sizes that follow from them.

use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use retrograde::time;

use crate::tools::Tool;

/// Compares retro with its peers.
#[derive(Debug, Parser)]
#[command(name = "compare")]
pub(crate) struct Args {
    /// A git repository whose history is replayed; may be given several times. Without one, a synthetic history is
    /// used.
    #[arg(long = "repo", value_name = "PATH")]
    pub(crate) repos: Vec<PathBuf>,
    /// Commits of each history to replay.
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Small sizes, for a run of less than a minute: no slow peer unless named, no report unless `--out` is given.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Peers to compare with, if installed [default: all].
    #[arg(long, value_delimiter = ',')]
    peers: Option<Vec<Tool>>,
    /// Tables to make [default: all]; with fewer, no report is written unless `--out` is given.
    #[arg(long, value_delimiter = ',')]
    only: Option<Vec<Table>>,
    /// Measures only the peers and the floor.
    #[arg(long)]
    pub(crate) without_retro: bool,
    /// File of the Markdown report, with the JSON beside it [default: benches/results/DATE-NAME.md].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Name of the measured version, for the name of the report [default: the commit].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Parent of the temporary folder, which decides the file system that is measured.
    #[arg(long, value_name = "DIR")]
    pub(crate) tmp: Option<PathBuf>,
}

/// One table of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Table {
    First,
    Latency,
    Restore,
    Growth,
    Commits,
    Large,
    Folder,
    Memory,
}

/// The sizes of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// File counts of the workspaces whose snapshots are timed, and rounds in each.
    pub(crate) trees: &'static [Tree],
    /// Divides lengths of large files and the width of the wide folder.
    pub(crate) divisor: u64,
    /// Files in the first state of the synthetic history.
    pub(crate) history_files: usize,
    /// Most one-file steps of one history.
    pub(crate) path_steps_max: usize,
    /// Most steps of the peers that take up to a second for each.
    pub(crate) peer_steps_max: usize,
}

/// One synthetic workspace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tree {
    pub(crate) files: usize,
    /// Rounds of steps.
    pub(crate) rounds: usize,
    /// Rounds of first snapshots and of full restores, each with a new store or folder; 0 for none.
    pub(crate) fresh_rounds: usize,
}

const FULL: Scale = Scale {
    trees: &[
        Tree { files: 3_000, rounds: 15, fresh_rounds: 5 },
        Tree { files: 20_000, rounds: 11, fresh_rounds: 2 },
        Tree { files: 100_000, rounds: 7, fresh_rounds: 0 },
    ],
    divisor: 1,
    history_files: 2_500,
    path_steps_max: 2_000,
    peer_steps_max: 50,
};

const QUICK: Scale = Scale {
    trees: &[Tree { files: 400, rounds: 3, fresh_rounds: 2 }],
    divisor: 25,
    history_files: 200,
    path_steps_max: 60,
    peer_steps_max: 4,
};

impl Args {
    pub(crate) fn scale(&self) -> Scale {
        if self.quick { QUICK } else { FULL }
    }

    /// Commits of each history to replay.
    pub(crate) fn commits(&self) -> usize {
        self.steps.unwrap_or(if self.quick { 20 } else { 300 })
    }

    /// Peers to compare with.
    pub(crate) fn peers(&self) -> Vec<Tool> {
        let every = || Tool::value_variants().iter().copied().filter(|tool| !self.quick || !tool.is_slow());
        self.peers.clone().unwrap_or_else(|| every().collect())
    }

    pub(crate) fn wants(&self, table: Table) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&table))
    }

    /// Name of the measured version, for the name of the report.
    pub(crate) fn name(&self, commit: &str) -> String {
        self.name.clone().unwrap_or_else(|| commit.to_owned())
    }

    /// The file of the report; `None` for no report.
    pub(crate) fn out(&self) -> Option<PathBuf> {
        if self.out.is_none() && (self.quick || self.only.is_some()) {
            return None;
        }
        Some(self.out.clone().unwrap_or_else(|| {
            let date = time::Timestamp::now().rfc3339();
            let (date, _) = date.split_once('T').unwrap_or((&date, ""));
            let name = self.name(&crate::facts::commit());
            Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/results").join(format!("{date}-{name}.md"))
        }))
    }
}
