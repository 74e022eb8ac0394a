//! The command line, as data: the one definition behind parsing, `--help`, completions and manual pages.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use retrograde::detail::PatchOptions;

use crate::exit;

/// A flight recorder for the folders that AI agents work in: snapshot every step, restore any of them, undo the
/// restore.
#[derive(Debug, Parser)]
#[command(
    name = "retro",
    version,
    disable_help_subcommand = true,
    subcommand_value_name = "VERB",
    max_term_width = 100
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// The options of every verb, before or after its name.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Use the store in DIR instead of $RETRO_STORE or the user data folder
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// Work as if started in DIR
    #[arg(short = 'C', global = true, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    /// Read settings from FILE instead of retro.toml in the folder
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON; `retro help json` describes it
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print only results, warnings and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Use colour `always`, `never`, or `auto`: on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub(crate) color: ColorWhen,
}

/// The times at which colour is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    Auto,
    Always,
    Never,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Register a folder without taking a snapshot
    Init {
        /// The folder; by default the current one
        dir: Option<PathBuf>,
        /// Record the folder even if it is /, your home folder or a folder above it, or contains the store
        #[arg(long)]
        force: bool,
    },
    /// Take a snapshot, if anything has changed
    Snap(Snap),
    /// Show what is recorded, what has changed since the last step, and what is excluded
    Status,
    /// List steps, newest first
    Log(Log),
    /// Show one step: what it changed, when and why
    Show(Show),
    /// List the agent sessions (runs) that recorded steps here
    Runs,
    /// Compare two steps, or a step with the current folder
    Diff(Diff),
    /// List the files and folders of a step
    Ls {
        /// The step
        #[arg(default_value = "@")]
        rev: String,
        /// Files and folders, relative to the current folder, or patterns such as '*.rs'
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// List the contents of folders too
        #[arg(short, long)]
        recursive: bool,
    },
    /// Print a file as a step has it
    Cat {
        /// The step; after a colon a path from the workspace root, or as `./PATH` from the current folder
        #[arg(value_name = "REV[:PATH]")]
        target: OsString,
        /// Files, relative to the current folder, or patterns such as '*.md'; only without a path after a colon
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Restore the folder, or some paths in it, to a step
    #[command(visible_aliases = ["rewind", "rollback"])]
    Restore(Restore),
    /// Undo the last change of the folder: edits, a step or a restore
    Undo(Walk),
    /// Redo the change that was undone last
    Redo(Walk),
    /// Tag a step with a name, or list the tags
    Tag(Tag),
    /// Keep a step whatever the storage budget, or stop keeping it
    Pin {
        /// The step
        rev: String,
        /// Stop keeping the step
        #[arg(short, long)]
        delete: bool,
    },
    /// Write a step as a tar file, or steps as a git repository
    Export(Export),
    /// Record the commits of a git repository as steps
    Import(Import),
    /// Show what the store holds, and how much space it takes
    Stats,
    /// Check the store for damage, and list the steps and paths that it affects
    Verify(Verify),
    /// Repair a damaged store, and mark the steps that stay incomplete
    Repair {
        /// Show what would be done, without doing it
        #[arg(long)]
        dry_run: bool,
    },
    /// List, forget or move recorded folders
    #[command(subcommand)]
    Workspace(Workspace),
    /// Print a completion script
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the words that can follow a half-typed command line, for the completion scripts
    #[command(name = "__complete", hide = true)]
    Complete {
        /// The shell
        shell: String,
        /// The words so far
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
    /// Write manual pages into a folder, or print the main one
    #[command(hide = true)]
    Man {
        /// The folder
        dir: Option<PathBuf>,
    },
    /// Explain a verb or a topic: recording, settings, json
    Help {
        /// A verb, or recording, settings, json
        topic: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Snap {
    /// A description of the step
    #[arg(short, long, value_name = "MSG", default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    pub(crate) message: OsString,
    /// The agent session (run) of the step; by default $RETRO_RUN, else `main`
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) run: Option<OsString>,
    /// Tag the step with a name, unless another step has that tag
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) tag: Option<OsString>,
    /// Read facts about the step from FILE or, for `-`, from standard input: one JSON object with agent, tool, input,
    /// exit code or ids. The step is recorded even if they are invalid. If nothing has changed, the previous step
    /// keeps them
    #[arg(long, value_name = "FILE")]
    pub(crate) event: Option<PathBuf>,
    /// Take a snapshot even if nothing has changed
    #[arg(long)]
    pub(crate) allow_empty: bool,
    /// Record the folder even if it is /, your home folder or a folder above it, or contains the store
    #[arg(long)]
    pub(crate) force: bool,
    /// Continue the history that the folder had at its old path, before it was moved here
    #[arg(long)]
    pub(crate) adopt: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Log {
    /// Steps A..B, or REV and the steps before it; by default every step of the workspace
    pub(crate) range: Option<String>,
    #[command(flatten)]
    pub(crate) paths: Paths,
    /// Only steps of this agent session (run)
    #[arg(long, value_name = "NAME")]
    pub(crate) run: Option<String>,
    /// Only steps taken at TIME or later: `2 hours ago`, `yesterday`, `2026-11-20 10:30`
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only steps taken at TIME or earlier
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// At most N steps, 0 for all; by default 30 on a terminal, else all
    #[arg(short = 'n', long = "count", value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Show only the name and the description of each step
    #[arg(long)]
    pub(crate) oneline: bool,
    /// Draw the history as a graph
    #[arg(long, conflicts_with_all = ["patch", "unified", "binary"])]
    pub(crate) graph: bool,
    #[command(flatten)]
    pub(crate) detail: Detail,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The step
    #[arg(default_value = "@")]
    pub(crate) rev: String,
    #[command(flatten)]
    pub(crate) paths: Paths,
    #[command(flatten)]
    pub(crate) detail: Detail,
    /// Print only events, as the JSON that the agent gave: of the step, and of later calls that changed nothing
    #[arg(
        long,
        conflicts_with_all = ["stat", "name_status", "name_only", "patch", "unified", "binary", "more", "paths"],
    )]
    pub(crate) event: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The old step, or a range A..B; by default the current step
    pub(crate) old: Option<String>,
    /// The new step; by default, or if this is a path, the current folder
    pub(crate) new: Option<OsString>,
    #[command(flatten)]
    pub(crate) paths: Paths,
    #[command(flatten)]
    pub(crate) detail: Detail,
    /// Exit with code 1 if there are changes
    #[arg(long)]
    pub(crate) exit_code: bool,
}

/// The paths to which a verb is limited, after a step or after `--`.
#[derive(Debug, Args)]
pub(crate) struct Paths {
    /// Only these paths, or the paths that patterns such as '*.rs' match; after `--` also paths that look like a step
    /// or an option
    #[arg(value_name = "PATH")]
    pub(crate) more: Vec<PathBuf>,
    /// The paths after `--`
    #[arg(last = true, value_name = "PATH", hide = true)]
    pub(crate) paths: Vec<PathBuf>,
}

impl Paths {
    /// All of them, in the order given.
    pub(crate) fn all(&self) -> Vec<PathBuf> {
        [&self.more[..], &self.paths].concat()
    }
}

/// The amount of detail shown of a change.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Detail {
    /// Show the number of changed lines in each file
    #[arg(long, conflicts_with_all = ["name_status", "name_only", "patch", "unified", "binary"])]
    pub(crate) stat: bool,
    /// Show paths, each with a letter for the kind of change, such as M for modified
    #[arg(long, conflicts_with_all = ["name_only", "patch", "unified", "binary"])]
    pub(crate) name_status: bool,
    /// Show paths only
    #[arg(long, conflicts_with_all = ["patch", "unified", "binary"])]
    pub(crate) name_only: bool,
    /// Show the changed lines
    #[arg(short, long)]
    pub(crate) patch: bool,
    /// Show N lines around each change; by default 3
    #[arg(short = 'U', long, value_name = "N")]
    pub(crate) unified: Option<usize>,
    /// Show binary contents too, for `git apply`
    #[arg(long)]
    pub(crate) binary: bool,
}

impl Detail {
    /// True if any of the options is given.
    pub(crate) fn is_any(self) -> bool {
        self.stat || self.name_status || self.name_only || self.wants_patch()
    }

    /// True if a patch is asked for, also by an option that only patches have.
    pub(crate) fn wants_patch(self) -> bool {
        self.patch || self.binary || self.unified.is_some()
    }

    /// The options of a patch.
    pub(crate) fn patch_options(self) -> PatchOptions {
        let default = PatchOptions::default();
        PatchOptions { context: self.unified.unwrap_or(default.context), binary: self.binary }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The step; if only `-- PATH` is given, the newest step
    #[arg(required_unless_present_any = ["resume", "abort", "paths"])]
    pub(crate) rev: Option<String>,
    #[command(flatten)]
    pub(crate) paths: Paths,
    /// Finish an interrupted restore
    #[arg(long = "continue", conflicts_with_all = ["abort", "rev", "into", "more", "paths"])]
    pub(crate) resume: bool,
    /// Go back to the state before an interrupted restore
    #[arg(long, conflicts_with_all = ["rev", "into", "more", "paths"])]
    pub(crate) abort: bool,
    /// Write the step into DIR instead of the workspace; DIR must be empty or not exist
    #[arg(long, value_name = "DIR", conflicts_with_all = ["dry_run", "no_safety_snapshot"])]
    pub(crate) into: Option<PathBuf>,
    /// Allow a step of another workspace, named by its full id or as ID/REV
    #[arg(long, conflicts_with_all = ["resume", "abort", "into"])]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) how: Rewriting,
}

/// The arguments of `undo` and `redo`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Walk {
    /// The number of changes; if one of them fails, none is made
    #[arg(value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: u64,
    #[command(flatten)]
    pub(crate) how: Rewriting,
}

/// The ways to change the workspace.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Rewriting {
    /// Show what would be done, without doing it
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Show each path that is changed
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Take no snapshot first: changes that are not recorded yet are lost, and undo cannot bring them back
    #[arg(long)]
    pub(crate) no_safety_snapshot: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Tag {
    /// The name of the tag; without one, all tags are listed
    #[arg(conflicts_with = "delete")]
    pub(crate) name: Option<String>,
    /// The step to tag
    #[arg(default_value = "@")]
    pub(crate) rev: String,
    /// Delete the tag NAME
    #[arg(short, long, value_name = "NAME")]
    pub(crate) delete: Option<String>,
    /// Move the tag if another step has it
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// With --tar, the step, by default `@`. With --git, a range A..B, or REV and the steps before it, by default
    /// every step
    #[arg(value_name = "REV")]
    pub(crate) rev: Option<String>,
    #[command(flatten)]
    pub(crate) paths: Paths,
    /// Write one step, or the given paths of it, to FILE, a new file with mode 0600, or for `-` to standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) tar: Option<PathBuf>,
    /// Write steps as commits of a new bare repository in DIR, with mode 0700; DIR must be empty or not exist
    #[arg(long, value_name = "DIR", conflicts_with_all = ["more", "paths"])]
    pub(crate) git: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The repository
    #[arg(long, value_name = "DIR")]
    pub(crate) git: PathBuf,
    /// Commits as git names them: a branch, or A..B; by default HEAD
    #[arg(value_name = "COMMITS")]
    pub(crate) range: Option<String>,
    /// Import every branch and tag; the commits that only one branch has become a run with its name
    #[arg(long, conflicts_with_all = ["range", "run"])]
    pub(crate) all: bool,
    /// The run of the new steps; by default $RETRO_RUN, else `main`
    #[arg(long, value_name = "NAME")]
    pub(crate) run: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Check the structure only: packs, indexes and lists of folders, and that everything they name exists; not the
    /// contents of files
    #[arg(long)]
    pub(crate) quick: bool,
    /// Check the structure, and this share of the stored objects (such as `5%`), chosen at random
    #[arg(long, value_name = "P%", value_parser = parts_per_million, conflicts_with = "quick")]
    pub(crate) sample: Option<u32>,
    /// Choose the sample by the number N, to repeat a check; by default each check takes another sample
    #[arg(long, value_name = "N", requires = "sample")]
    pub(crate) seed: Option<u64>,
}

/// The verbs of `retro workspace`.
#[derive(Debug, Subcommand)]
pub(crate) enum Workspace {
    /// List the recorded folders
    List,
    /// Forget a folder and its history, or undo that; neither is deleted
    Forget {
        /// Its path or id
        #[arg(value_name = "PATH|ID")]
        workspace: OsString,
        /// Record a forgotten folder again, with its history
        #[arg(long)]
        undo: bool,
        /// Show what would be forgotten, without doing it
        #[arg(long)]
        dry_run: bool,
    },
    /// Tell the store the new path of a moved folder
    Move {
        /// Its old path or its id
        #[arg(value_name = "PATH|ID")]
        workspace: OsString,
        /// Its new path; by default the current folder
        #[arg(value_name = "DIR")]
        to: Option<PathBuf>,
        /// If the new path has been recorded meanwhile, append its steps to the history of the moved folder
        #[arg(long)]
        join: bool,
        /// Allow DIR to be /, your home folder or a folder above it
        #[arg(long)]
        force: bool,
    },
}

/// The verbs by purpose, as `--help` groups them. A test checks that none is missing.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Record", &["snap", "status", "init"]),
    ("Look back", &["log", "show", "diff", "ls", "cat", "runs"]),
    ("Go back", &["restore", "undo", "redo"]),
    ("Keep and share", &["tag", "pin", "export", "import"]),
    ("The store and the program", &["stats", "verify", "repair", "workspace", "completions", "help"]),
];

const REVISIONS: &str = "\
Steps (REV):
  @  @-3                 the current step, and the third step before it; also HEAD, HEAD~3, @^
  v1                     the step with this tag
  s12  12                step 12, unless a tag has this name
  3f2a91c0               the step whose id begins with these digits, four or more, unless a tag
                         or a step has this name
  run:NAME               the last step of a run
  3f2a/v1                a step of another workspace, after the first digits of its id
  \"@{10 minutes ago}\"    the last step before a time; also \"@{2026-11-20 10:30}\"
  A..B                   the steps after A, up to and including B
";

const PATHS: &str = "\
Paths (PATH):
  A path is relative to the current folder. A pattern without a slash, such as '*.rs', matches names
  at any depth. A pattern with a slash matches whole paths: 'src/*.rs' only files in src,
  'src/**/*.rs' also files in folders below it. A path with exactly this name wins over the pattern.
  Paths follow the step (`retro restore s1 notes.txt`), or stand alone after `--`.
";

const EXAMPLES: &str = "\
Examples:
  retro snap -m 'before the agent starts'
  retro diff                   the changes since the last snapshot
  retro log --stat -- src      the steps that changed src
  retro restore s12            restore everything to step 12; `retro undo` undoes it
  retro restore @-1 .env       restore one file
";

/// The definition, with the help texts that are made from tables.
pub(crate) fn command() -> clap::Command {
    let command = Arguments::command();
    let mut verbs = String::new();
    for (group, names) in GROUPS {
        verbs.push_str(&format!("{group}:\n"));
        for name in names {
            let about = command.find_subcommand(name).and_then(clap::Command::get_about);
            let about = about.expect("every verb in a group is defined and described");
            verbs.push_str(&format!("  {name:<12} {about}\n"));
        }
        verbs.push('\n');
    }
    let template =
        "{about}\n\n{usage-heading} {usage}\n\n{before-help}Options, before or after the verb:\n{options}{after-help}";
    let format = clap::ArgGroup::new("format").args(["tar", "git"]).required(true);
    command
        .mut_subcommand("export", |export| export.group(format))
        .override_usage("retro [OPTIONS] VERB [ARGUMENTS]")
        .help_template(template)
        .before_help(verbs.trim_end().to_owned())
        .after_help(format!("{REVISIONS}\n{PATHS}\n{}\n{EXAMPLES}", exit::table()))
}

/// A share as people write it, `5%` or `0.25%`, in parts of a million.
fn parts_per_million(text: &str) -> Result<u32, String> {
    let wrong = || "a share is written like 5% or 0.25%, up to 100%".to_owned();
    let number = text.strip_suffix('%').unwrap_or(text);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_number = |digits: &str| digits.len() <= 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return Err(wrong());
    }
    let parts: u32 = format!("{whole}{fraction:0<4}").parse().map_err(|_| wrong())?;
    if parts <= 1_000_000 { Ok(parts) } else { Err(wrong()) }
}

/// Reads the arguments, program name first.
pub(crate) fn parse(raw: &[OsString]) -> Result<Arguments, clap::Error> {
    let matches = command().try_get_matches_from(raw)?;
    Arguments::from_arg_matches(&matches)
}

/// Tests whether arguments that do not parse ask for JSON.
pub(crate) fn wants_json(raw: &[OsString]) -> bool {
    raw.iter().skip(1).take_while(|arg| *arg != "--").any(|arg| arg == "--json")
}

#[cfg(test)]
mod tests {
    use super::{GROUPS, command, parts_per_million};

    #[test]
    fn shares_are_read_exactly() {
        let cases = [("5%", 50_000), ("100%", 1_000_000), ("0.25%", 2_500), ("7", 70_000), ("0.0001%", 1), ("0%", 0)];
        for (text, parts) in cases {
            assert_eq!(parts_per_million(text), Ok(parts), "{text}");
        }
        for text in ["", "%", "101%", "100.0001%", "-1%", "5 %", "1e2%", ".5%", "0.00001%"] {
            assert!(parts_per_million(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_definition_is_sound_and_every_verb_has_a_group() {
        command().debug_assert();
        let mut listed: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let mut defined: Vec<String> = command()
            .get_subcommands()
            .filter(|verb| !verb.is_hide_set())
            .map(|verb| verb.get_name().to_owned())
            .collect();
        listed.sort_unstable();
        defined.sort_unstable();
        assert_eq!(listed, defined);
    }
}
