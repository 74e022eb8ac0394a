//! The tools that are compared, and which of them this machine has.

use clap::ValueEnum;

use crate::Result;
use crate::args::Args;
use crate::call::Surroundings;

/// A recorder of folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub(crate) enum Tool {
    /// This project's binary, built in release mode by cargo for this bench.
    #[value(skip)]
    Retro,
    /// `git add -A && git commit`, with `gc.auto = 0`: never a collection within a step.
    Git,
    /// The same as git comes, which looks after every commit whether to collect; then it does, in the foreground.
    GitAutoGc,
    /// `git` that syncs every object before it goes on, as a snapshot that survives a power loss needs; by default it does
    /// not sync loose objects.
    GitSynced,
    /// `jj util snapshot`.
    Jj,
    Restic,
    Rustic,
    Borg,
}

/// A tool, and what is known of it here.
#[derive(Clone, Debug)]
pub(crate) struct Probed {
    pub(crate) tool: Tool,
    /// `None` where it is not installed.
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

    /// Another way to use a peer, of interest only for how long a step takes.
    pub(crate) fn is_variant(self) -> bool {
        matches!(self, Self::GitAutoGc | Self::GitSynced)
    }

    /// Whether a step takes it so long that it sits out where that would decide how long the run takes.
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
            Err("probe retro: the binary does not tell its version; `--without-retro` measures the peers alone".into())
        }
        _ => Ok(probed),
    }
}
