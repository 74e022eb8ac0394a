//! The tools that are compared, and those installed on this machine.

use clap::ValueEnum;

use crate::Result;
use crate::args::Args;
use crate::call::Surroundings;

/// A recorder of folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub(crate) enum Tool {
    /// This project's binary, built by cargo in release mode for this bench.
    #[value(skip)]
    Retro,
    /// `git add -A && git commit`, with `gc.auto = 0`: never a collection within a step.
    Git,
    /// The same with git's default, which checks after every commit whether to collect; it collects in the foreground.
    GitAutoGc,
    /// `git` that syncs every object, as a snapshot that survives a power loss needs; by default it does not sync loose
    /// objects.
    GitSynced,
    /// `jj util snapshot`.
    Jj,
    Restic,
    Rustic,
    Borg,
}

/// A tool, and the facts about its installation.
#[derive(Clone, Debug)]
pub(crate) struct Probed {
    pub(crate) tool: Tool,
    /// `None` if it is not installed.
    pub(crate) version: Option<String>,
}

impl Tool {
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Retro => "retro",
            Self::Git | Self::GitAutoGc | Self::GitSynced => "git",
            Self::Jj => "jj",
            Self::Restic => "restic",
            Self::Rustic => "rustic",
            Self::Borg => "borg",
        }
    }

    /// Its column in tables.
    pub(crate) fn column(self) -> &'static str {
        match self {
            Self::Retro => "retro",
            Self::GitAutoGc => "git (auto gc)",
            Self::GitSynced => "git (synced)",
            tool => tool.program(),
        }
    }

    /// True for another way to use a peer, relevant only for the time of a step.
    pub(crate) fn is_variant(self) -> bool {
        matches!(self, Self::GitAutoGc | Self::GitSynced)
    }

    /// True if its steps take so long that it skips rounds to limit the time of the run.
    pub(crate) fn is_slow(self) -> bool {
        matches!(self, Self::Restic | Self::Rustic | Self::Borg)
    }
}

/// Looks for the wanted tools.
pub(crate) fn probe(args: &Args, surroundings: &Surroundings) -> Result<Vec<Probed>> {
    let mut wanted = args.peers();
    wanted.retain(|&tool| tool != Tool::Retro);
    if !args.without_retro {
        wanted.insert(0, Tool::Retro);
    }
    wanted.sort();
    wanted.dedup();
    let version = |tool: Tool| {
        let argument = if tool == Tool::Restic { "version" } else { "--version" };
        surroundings.version(tool.program(), argument)
    };
    let probed: Vec<_> = wanted.into_iter().map(|tool| Probed { tool, version: version(tool) }).collect();
    match probed.first() {
        Some(Probed { tool: Tool::Retro, version: None }) => {
            Err("probe retro: the binary does not print its version; `--without-retro` measures the peers alone".into())
        }
        _ => Ok(probed),
    }
}
