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

/// What every verb takes, before or after its name.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Keep the store in DIR instead of $RETRO_STORE or the user data folder
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// Work as if started in DIR
    #[arg(short = 'C', global = true, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    /// Read settings from FILE instead of retro.toml in the workspace
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON; `retro help json` describes it
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print only what was asked for, and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Use colour `always`, `never`, or on a terminal (`auto`) unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub(crate) color: ColorWhen,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    Auto,
    Always,
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Register a folder without taking a snapshot
    Init {
        /// The folder; the current one when left out
        dir: Option<PathBuf>,
        /// Record it even if it is /, your home folder or the store
        #[arg(long)]
        force: bool,
    },
    /// Take a snapshot, if anything has changed
    Snap(Snap),
    /// Say what is recorded, what changed since, and what is left out
    Status,
    /// List steps, newest first
    Log(Log),
    /// Show one step: its facts and what it changed
    Show(Show),
    /// List the runs: which sessions recorded here, when, and how much they changed
    Runs,
    /// Compare two steps, or a step with the folder as it is now
    Diff(Diff),
    /// List what is in a step
    Ls {
        /// The step
        #[arg(default_value = "@")]
        rev: String,
        /// Folders or files in it, relative to the current folder, or patterns such as '*.rs'
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// List what is in the folders too
        #[arg(short, long)]
        recursive: bool,
    },
    /// Print a file as it was
    Cat {
        /// The step, and after a colon a path from the workspace root; `REV:./PATH` is relative to the current folder
        #[arg(value_name = "REV[:PATH]")]
        target: OsString,
        /// Files, relative to the current folder, or patterns such as '*.md', where the step stands alone
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Put the folder, or some paths of it, back to a step
    #[command(visible_aliases = ["rewind", "rollback"])]
    Restore(Restore),
    /// Take back the last change of the folder: edits, a step or a restore
    Undo {
        #[command(flatten)]
        count: Repeated,
        #[command(flatten)]
        how: Rewriting,
    },
    /// Go to the state that the last undo left
    Redo {
        #[command(flatten)]
        count: Repeated,
        #[command(flatten)]
        how: Rewriting,
    },
    /// Name a step, or list the names
    Tag(Tag),
    /// Mark a step to be kept whatever the budget, or take the mark away
    Pin {
        /// The step
        rev: String,
        /// Take the mark away
        #[arg(short, long)]
        delete: bool,
    },
    /// Write a step as a tar file, or steps as a git repository
    Export(Export),
    /// Record the commits of a git repository as steps
    Import(Import),
    /// Say what the store holds and what it costs
    Stats,
    /// Check the store, and list what is damaged and which steps and paths need it
    Verify(Verify),
    /// Put a damaged store right, bring back what can be had, mark what stays lost
    Repair {
        /// Show what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// List, forget or move recorded folders
    #[command(subcommand)]
    Workspace(Workspace),
    /// Print a completion script
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Print what a half-typed command line can go on with; the completion scripts call it
    #[command(name = "__complete", hide = true)]
    Complete {
        /// For which shell
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
    /// What the step did
    #[arg(short, long, value_name = "MSG", default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    pub(crate) message: OsString,
    /// The agent session it belongs to; `main` when neither this nor $RETRO_RUN says otherwise
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) run: Option<OsString>,
    /// Name the snapshot; a name that is taken stays where it is
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) tag: Option<OsString>,
    /// Facts of the step as one JSON object (agent, tool, input, exit code, ids); `-` reads standard input. Whatever it
    /// is, the step is recorded. Where nothing has changed, the event is kept with the step before
    #[arg(long, value_name = "FILE")]
    pub(crate) event: Option<PathBuf>,
    /// Take a snapshot even if nothing changed
    #[arg(long)]
    pub(crate) allow_empty: bool,
    /// Record the folder even if it is / or your home folder, or has the store in it
    #[arg(long)]
    pub(crate) force: bool,
    /// Go on with the history of the folder where it was before it was moved here
    #[arg(long)]
    pub(crate) adopt: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Log {
    /// Steps A..B, or REV and those before it; every step of the workspace when left out
    pub(crate) range: Option<String>,
    /// Only steps that changed these paths, or what patterns such as '*.rs' match; only that is counted and shown
    #[arg(value_name = "PATH")]
    pub(crate) more: Vec<PathBuf>,
    /// Only this run
    #[arg(long, value_name = "NAME")]
    pub(crate) run: Option<String>,
    /// Only steps taken then or later: `2 hours ago`, `yesterday`, `2026-11-20 10:30`
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only steps taken then or before
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// At most N steps; 0 means all. On a terminal 30 when left out
    #[arg(short = 'n', long = "count", value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Show less of each step: its name and what it did
    #[arg(long)]
    pub(crate) oneline: bool,
    /// Draw what follows what
    #[arg(long, conflicts_with_all = ["patch", "unified", "binary"])]
    pub(crate) graph: bool,
    #[command(flatten)]
    pub(crate) detail: Detail,
    /// Paths, whatever they look like
    #[arg(last = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The step
    #[arg(default_value = "@")]
    pub(crate) rev: String,
    /// Only changes of these paths, or of what patterns such as '*.rs' match
    #[arg(value_name = "PATH")]
    pub(crate) more: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) detail: Detail,
    /// Print the event of the step and those of the calls that followed it, JSON as the agent gave it, and nothing else
    #[arg(long, conflicts_with_all = ["stat", "name_status", "name_only", "patch", "unified", "binary", "more", "paths"])]
    pub(crate) event: bool,
    /// Paths, whatever they look like
    #[arg(last = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The old step, or a range A..B; where the workspace stands when left out
    pub(crate) old: Option<String>,
    /// The new step; the folder as it is now when left out, or when this is a path
    pub(crate) new: Option<OsString>,
    /// Only these paths, or what patterns such as '*.rs' match
    #[arg(value_name = "PATH")]
    pub(crate) more: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) detail: Detail,
    /// Exit with 1 if there are changes
    #[arg(long)]
    pub(crate) exit_code: bool,
    /// Paths, whatever they look like
    #[arg(last = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
}

/// How much of a change to show.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Detail {
    /// Show how many lines changed in each file
    #[arg(long, conflicts_with_all = ["name_status", "name_only", "patch", "unified", "binary"])]
    pub(crate) stat: bool,
    /// Show paths, each with the letter of what happened to it
    #[arg(long, conflicts_with_all = ["name_only", "patch", "unified", "binary"])]
    pub(crate) name_status: bool,
    /// Show paths only
    #[arg(long, conflicts_with_all = ["patch", "unified", "binary"])]
    pub(crate) name_only: bool,
    /// Show the lines that changed
    #[arg(short, long)]
    pub(crate) patch: bool,
    /// Show N lines around each change, 3 when left out
    #[arg(short = 'U', long, value_name = "N")]
    pub(crate) unified: Option<usize>,
    /// Write binary contents too, so that `git apply` can make them
    #[arg(long)]
    pub(crate) binary: bool,
}

impl Detail {
    /// Whether any of it was asked for.
    pub(crate) fn is_any(self) -> bool {
        self.stat || self.name_status || self.name_only || self.wants_patch()
    }

    /// Whether a patch was asked for, also by an option that only patches have.
    pub(crate) fn wants_patch(self) -> bool {
        self.patch || self.binary || self.unified.is_some()
    }

    /// How to write it.
    pub(crate) fn patch_options(self) -> PatchOptions {
        let default = PatchOptions::default();
        PatchOptions { context: self.unified.unwrap_or(default.context), binary: self.binary }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The step; the newest when left out before `-- PATH`
    #[arg(required_unless_present_any = ["resume", "abort", "paths"])]
    pub(crate) rev: Option<String>,
    /// Only these paths, or what patterns such as '*.rs' match
    #[arg(value_name = "PATH")]
    pub(crate) more: Vec<PathBuf>,
    /// Finish a restore that was cut off
    #[arg(long = "continue", conflicts_with_all = ["abort", "rev", "into", "more", "paths"])]
    pub(crate) resume: bool,
    /// Go back from a restore that was cut off to the state before it
    #[arg(long, conflicts_with_all = ["rev", "into", "more", "paths"])]
    pub(crate) abort: bool,
    /// Write into DIR, which is empty or does not exist, instead of the workspace
    #[arg(long, value_name = "DIR", conflicts_with_all = ["dry_run", "no_safety_snapshot"])]
    pub(crate) into: Option<PathBuf>,
    /// Restore a step of another workspace, named by its full id or as ID/REV
    #[arg(long, conflicts_with_all = ["resume", "abort", "into"])]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) how: Rewriting,
    /// Paths, whatever they look like
    #[arg(last = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
}

/// How often something is done.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Repeated {
    /// How many, all or none
    #[arg(value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: u64,
}

/// How the workspace is changed.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Rewriting {
    /// Show what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Show everything that is done
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Take no snapshot first: what was not captured yet is lost, and there is no way back
    #[arg(long)]
    pub(crate) no_safety_snapshot: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Tag {
    /// The name; all names are listed when left out
    #[arg(conflicts_with = "delete")]
    pub(crate) name: Option<String>,
    /// The step to name
    #[arg(default_value = "@")]
    pub(crate) rev: String,
    /// Take a name away
    #[arg(short, long, value_name = "NAME")]
    pub(crate) delete: Option<String>,
    /// Move a name that is taken
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The step, `@` when left out; for git a range A..B, or REV and those before it, every step when left out
    #[arg(value_name = "REV")]
    pub(crate) rev: Option<String>,
    /// Only these paths, or what patterns such as '*.rs' match (tar)
    #[arg(value_name = "PATH", conflicts_with = "git")]
    pub(crate) more: Vec<PathBuf>,
    /// Write one step to FILE, which does not exist and gets mode 0600; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) tar: Option<PathBuf>,
    /// Write steps as commits of a bare repository in DIR, which is empty or does not exist and gets mode 0700
    #[arg(long, value_name = "DIR")]
    pub(crate) git: Option<PathBuf>,
    /// Paths, whatever they look like (tar)
    #[arg(last = true, value_name = "PATH", conflicts_with = "git")]
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The repository
    #[arg(long, value_name = "DIR")]
    pub(crate) git: PathBuf,
    /// Commits as git names them: a branch, or A..B; HEAD when left out
    #[arg(value_name = "COMMITS")]
    pub(crate) range: Option<String>,
    /// Import every branch and tag; what each branch has of its own is a run of its name
    #[arg(long, conflicts_with_all = ["range", "run"])]
    pub(crate) all: bool,
    /// The run they belong to; `main` when neither this nor $RETRO_RUN says otherwise
    #[arg(long, value_name = "NAME")]
    pub(crate) run: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Check structure only: packs, caches, folders and that all they name is there, not the contents of files
    #[arg(long)]
    pub(crate) quick: bool,
    /// Check structure, and this share of the objects (such as `5%`), chosen at random
    #[arg(long, value_name = "P%", value_parser = parts_per_million, conflicts_with = "quick")]
    pub(crate) sample: Option<u32>,
    /// Choose the sample by this number; another one for each run when left out
    #[arg(long, value_name = "N", requires = "sample")]
    pub(crate) seed: Option<u64>,
}

/// Recorded folders.
#[derive(Debug, Subcommand)]
pub(crate) enum Workspace {
    /// List the recorded folders
    List,
    /// Forget a folder and its history, or take that back; nothing in the folder is touched
    Forget {
        /// Its path or id
        #[arg(value_name = "PATH|ID")]
        workspace: OsString,
        /// Take it back: the folder is recorded again, with its history as it was
        #[arg(long)]
        undo: bool,
        /// Show what would be forgotten, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Say that a folder is somewhere else now
    Move {
        /// Its old path or its id
        #[arg(value_name = "PATH|ID")]
        workspace: OsString,
        /// Its new path; the current folder when left out
        #[arg(value_name = "DIR")]
        to: Option<PathBuf>,
        /// Where the new path was recorded meanwhile, put its steps after the others: one history out of two
        #[arg(long)]
        join: bool,
        /// Even if DIR is the home folder, one that it is in, or the root of the file system
        #[arg(long)]
        force: bool,
    },
}

/// The verbs by purpose, as `--help` groups them; a test holds that none is missing.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Record", &["snap", "status", "init"]),
    ("Look back", &["log", "show", "diff", "ls", "cat", "runs"]),
    ("Go back", &["restore", "undo", "redo"]),
    ("Keep and share", &["tag", "pin", "export", "import"]),
    ("The store and the program", &["stats", "verify", "repair", "workspace", "completions", "help"]),
];

const REVISIONS: &str = "\
Steps (REV):
  @  @-3                 where the workspace stands, three before; HEAD, HEAD~3, @^ work too
  s12  12  3f2a91c0  v1  step 12, the first four or more digits of an id, a tag; a tag comes
                         first, then the step, then the id
  run:NAME               the last step of a run
  3f2a/v1                a step of another workspace, after the first digits of its id
  \"@{10 minutes ago}\"    the last step before then; also \"@{2026-11-20 10:30}\"
  A..B                   what follows A up to B
";

const PATHS: &str = "\
Paths (PATH):
  A path is relative to the current folder. '*.rs' means every name like it at any depth, 'src/*.rs'
  whole paths like it, 'src/**/*.rs' any folders between; a path of exactly that name comes first.
  Paths follow the step (`retro restore s1 notes.txt`), or stand alone after `--`.
";

const EXAMPLES: &str = "\
Examples:
  retro snap -m 'before the agent starts'
  retro diff                   what has changed since the last snapshot
  retro log --stat -- src      the steps that changed src
  retro restore s12            put everything back to step 12; `retro undo` takes it back
  retro restore @-1 .env       put one file back
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
        .mut_args(|arg| match arg.get_id().as_str() {
            "help" => arg.help("Print help; `retro help VERB` for a verb"),
            _ => arg,
        })
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

/// Whether JSON was asked for, as far as can be told from arguments that do not parse.
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
