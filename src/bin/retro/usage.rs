//! Messages for arguments that do not parse, in words and in JSON.
//!
//! A verb that only other programs have is answered with the verb that does the same here ([`HABITS`]). For a mistyped
//! verb the suggestion of the parser is printed.

use std::ffi::OsString;

use anstream::{AutoStream, ColorChoice};
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::args;
use crate::output::{say, say_error};
use crate::views::color::Palette;
use crate::views::human;
use retrograde::wire;

/// Words that people type for verbs, and a hint for each. A test checks that the hints name existing verbs, and that no
/// word is a verb.
const HABITS: &[(&[&str], &str)] = &[
    (&["checkout", "switch", "reset", "rewind-to", "goto", "back", "load", "apply"], RESTORE),
    (&["revert"], "`retro undo` undoes the last change; `retro restore REV -- PATH` restores paths to a step"),
    (
        &[
            "commit",
            "add",
            "save",
            "record",
            "snapshot",
            concat!("check", "point"),
            "backup",
            "capture",
            "take",
            "create",
        ],
        "`retro snap` records the folder; nothing needs to be added first",
    ),
    (&["stash"], "`retro snap` records the folder; `retro restore REV` restores a step"),
    (
        &[
            "snapshots",
            concat!("check", "points"),
            "history",
            "list",
            "steps",
            "commits",
            "reflog",
            "timeline",
            "backups",
        ],
        "`retro log` lists the steps, newest first",
    ),
    (
        &["gc", "prune", "expire", "purge", "vacuum", "clean", "cleanup", "compact", "repack", "optimize"],
        "a store only grows: `retro stats` shows what takes the space, `retro workspace forget` forgets a folder and \
         its history",
    ),
    (
        &["forget", "drop", "delete", "remove", "rm", "unregister", "uninstall", "deinit"],
        "`retro workspace forget PATH` forgets a folder and its history, `retro tag -d NAME` a tag; steps are kept",
    ),
    (
        &["branch", "branches", "sessions", "session", "run", "threads"],
        "`retro runs` lists the runs; `retro snap --run NAME` records a step of one",
    ),
    (&["fsck", "check", "scrub", "validate", "doctor"], "`retro verify` checks the store"),
    (
        &["fix", "heal", "salvage", "recover", "rebuild"],
        "`retro repair` repairs a damaged store; `retro restore` restores files",
    ),
    (&["tree", "files", "dir", "ls-files", "ls-tree"], "`retro ls -r REV` lists the files of a step"),
    (
        &["view", "print", "get", "read", "cat-file", "type", "head"],
        "`retro cat REV PATH` prints a file as a step has it",
    ),
    (
        &["compare", "changes", "delta", "difftool", "whatchanged"],
        "`retro diff` compares steps; `retro log --stat` lists the changes of each step",
    ),
    (&["tags", "bookmark", "label", "name"], "`retro tag NAME REV` tags a step; `retro tag` lists the tags"),
    (&["protect", "keep", "hold"], "`retro pin REV` keeps a step"),
    (
        &["clone", "push", "pull", "fetch", "archive", "bundle", "dump"],
        "`retro export` writes steps as a git repository or a tar file; `retro import` reads a git repository",
    ),
    (
        &["du", "size", "usage", "info", "disk", "df"],
        "`retro stats` shows what the store holds, and how much space it takes",
    ),
    (&["projects", "folders", "workspaces", "repos", "roots"], "`retro workspace list` lists the recorded folders"),
    (&["move", "mv", "rename", "relocate"], "`retro workspace move` tells the store the new path of a folder"),
    (&["register", "track", "enable"], "`retro init` registers a folder, and so does `retro snap`"),
    (&["version"], "`retro --version` prints it"),
    (
        &["config", "settings", "configure", "options", "exclude", "ignore", "include"],
        "settings are in retro.toml in the recorded folder: `retro help settings`; `retro status` shows the rules",
    ),
    (
        &["hook", "hooks", "install", "setup", "watch", "daemon", "start", "auto"],
        "an agent's hook records each step with `retro snap -q --run NAME --event -`",
    ),
    (
        &["blame", "annotate", "grep", "search", "find", "when", "bisect"],
        "`retro log -p -- PATH` shows every change of a path, newest first",
    ),
];

const RESTORE: &str = "`retro restore REV` restores the folder to a step, `retro restore REV PATH` one path";

/// The hint for a word that is no verb here, if people type it for one ([`HABITS`]).
pub(crate) fn hint_for_unknown(verb: &str) -> Option<&'static str> {
    HABITS.iter().find(|(words, _)| words.contains(&verb)).map(|(_, hint)| *hint)
}

/// Reports arguments that do not parse, or prints the requested help. Returns the exit code.
pub(crate) fn refuse(error: &clap::Error, raw: &[OsString]) -> u8 {
    let code = u8::try_from(error.exit_code()).expect("exit codes of the parser are 0 and 2");
    let has_suggestion = error.get(ContextKind::SuggestedSubcommand).is_some();
    let habit = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(verb)) if error.kind() == ErrorKind::InvalidSubcommand => {
            hint_for_unknown(verb).or((!has_suggestion).then_some(LISTS)).map(|hint| (verb, hint))
        }
        _ => None,
    };
    let answer = match (habit, error.kind()) {
        (Some((verb, hint)), _) => Some((format!("there is no verb `{}`", human::label(verb)), hint)),
        (None, ErrorKind::MissingSubcommand) => Some((NO_VERB.to_owned(), LISTS)),
        _ => None,
    };
    if args::wants_json(raw) && error.use_stderr() {
        say(&format!("{}\n", in_json(error, habit.map(|(_, hint)| hint), raw)));
    } else if let Some((message, hint)) = answer {
        let palette = Palette::new(AutoStream::choice(&std::io::stderr()) != ColorChoice::Never);
        say_error(&message, Some(hint), &palette);
    } else {
        // It is no failure if the reader of the help has gone away.
        drop(error.print());
    }
    code
}

const NO_VERB: &str = "no verb is given";

const LISTS: &str = "`retro --help` lists the verbs";

/// The message of the parser as one JSON object.
fn in_json(error: &clap::Error, habit: Option<&str>, raw: &[OsString]) -> String {
    let text = error.render().to_string();
    let usage = text.split_once("Usage: ").map(|(_, rest)| rest.split("\n\n").next().unwrap_or_default().trim());
    let message = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => NO_VERB.to_owned(),
        _ => {
            let before = text.split("\n\nUsage: ").next().unwrap_or_default();
            let before = before.split("\n\nFor more information").next().unwrap_or_default();
            before.strip_prefix("error: ").unwrap_or(before).trim().to_owned()
        }
    };
    let verbs = args::command();
    let verb = raw.iter().skip(1).filter_map(|arg| arg.to_str()).find(|arg| verbs.find_subcommand(arg).is_some());
    let general = match verb {
        Some(verb) => format!("`retro help {verb}` explains the verb"),
        None => LISTS.to_owned(),
    };
    wire::line(&wire::Failed::usage(&message, habit.unwrap_or(&general), usage))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{HABITS, hint_for_unknown};
    use crate::args::command;

    #[test]
    fn hints_name_existing_verbs() {
        let command = command();
        for (words, hint) in HABITS {
            let quoted: Vec<&str> = hint.split('`').skip(1).step_by(2).collect();
            for line in &quoted {
                let verb = line.split(' ').nth(1).unwrap();
                assert!(line.starts_with("retro "), "{hint}");
                assert!(verb.starts_with("--") || command.find_subcommand(verb).is_some(), "{hint}");
            }
            assert!(!quoted.is_empty() && !words.is_empty(), "{hint}");
        }
    }

    #[test]
    fn no_habit_is_a_verb_and_none_is_listed_twice() {
        let mut seen = BTreeSet::new();
        for word in HABITS.iter().flat_map(|(words, _)| words.iter()) {
            assert!(command().find_subcommand(word).is_none(), "{word} is a verb");
            assert!(seen.insert(word), "{word} is listed twice");
        }
        assert!(seen.len() >= 100, "{}", seen.len());
        assert_eq!(hint_for_unknown("frobnicate"), None);
    }
}
