//! The kind of word at the end of a command line: a verb, an option, or a value.

use std::path::PathBuf;

use clap::{Arg, ArgAction, Command};

use crate::topics;

/// The word that is being typed, and the kinds of word that it can become.
#[derive(Debug)]
pub(crate) struct Expected {
    /// The word so far, without the part before a `=`.
    pub(crate) word: String,
    /// The part of the typed word before that, with which candidates begin: `--run=`.
    pub(crate) before: String,
    /// The kinds of word.
    pub(crate) kinds: Vec<Kind>,
    /// The step whose paths are offered.
    pub(crate) step: String,
    /// The folder of `-C`.
    pub(crate) directory: Option<PathBuf>,
    /// The folder of `--store`.
    pub(crate) store: Option<PathBuf>,
}

/// A kind of word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One of these, each with a short description.
    Fixed(Vec<(String, String)>),
    /// A step, tag or run, or a range of them.
    Step,
    /// A step, a colon, and a path in it.
    StepAndPath,
    /// The name of a run.
    Run,
    /// The name of a tag.
    Tag,
    /// A recorded folder.
    Workspace,
    /// A path in the workspace.
    Path,
    /// A file on disk.
    File,
    /// A folder on disk.
    Folder,
}

/// Determines the kinds of the last of the words; the first is the name of the program.
pub(crate) fn expected_at_end(command: &Command, words: &[String]) -> Expected {
    let (last, before) = words.split_last().map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
    let mut line = Line { root: command, command, option: None, count: 0, is_after_dashes: false };
    before.iter().skip(1).for_each(|word| line.take(word));
    let (prefix, word, kinds) = line.kinds(last);
    let matches = command.clone().ignore_errors(true).try_get_matches_from(before).unwrap_or_default();
    let verb = matches.subcommand().map(|(_, verb)| verb);
    let step = STEPS.iter().find_map(|id| verb?.try_get_raw(id).ok()??.next());
    let step = step.map_or_else(|| "@".to_owned(), |step| step.to_string_lossy().into_owned());
    let folder = |id| matches.try_get_one(id).ok().flatten().cloned();
    Expected {
        word: word.to_owned(),
        before: prefix,
        kinds,
        step,
        directory: folder("directory"),
        store: folder("store"),
    }
}

/// The arguments that name a step whose paths other arguments name.
const STEPS: [&str; 4] = ["rev", "range", "old", "target"];

/// The part of a command line that has been read.
struct Line<'a> {
    root: &'a Command,
    command: &'a Command,
    /// The option whose value comes next.
    option: Option<&'a Arg>,
    /// Positional arguments so far.
    count: usize,
    /// True after `--`.
    is_after_dashes: bool,
}

impl<'a> Line<'a> {
    /// Reads a complete word.
    fn take(&mut self, word: &str) {
        if self.option.take().is_some() || self.is_after_dashes {
            return;
        }
        match word {
            "--" => self.is_after_dashes = true,
            _ if word.starts_with('-') && word.len() > 1 => self.option = self.option_named(word).filter(takes_value),
            _ => match self.command.find_subcommand(word) {
                Some(verb) if self.count == 0 && self.command.has_subcommands() => self.command = verb,
                _ => self.count += 1,
            },
        }
    }

    /// Splits the word that is being typed into a fixed prefix and the part to complete, with the kinds of that part.
    fn kinds<'w>(&self, word: &'w str) -> (String, &'w str, Vec<Kind>) {
        let of = |arg: Option<&Arg>| arg.map(|arg| kinds_of(arg, self.root)).unwrap_or_default();
        let option = (word.starts_with('-') && !self.is_after_dashes).then(|| word.split_once('='));
        let kinds = match option {
            _ if self.option.is_some() => of(self.option),
            Some(Some((name, value))) if name.starts_with("--") => {
                return (format!("{name}="), value, of(self.option_named(name)));
            }
            Some(_) => vec![Kind::Fixed(options_of(self.command))],
            None if self.is_after_dashes => of(self.command.get_positionals().find(|arg| arg.is_last_set())),
            None if self.command.has_subcommands() => vec![Kind::Fixed(verbs_of(self.command))],
            None => of(self.positional(self.count)),
        };
        (String::new(), word, kinds)
    }

    /// The positional argument with this index; the last one may be repeated.
    fn positional(&self, index: usize) -> Option<&'a Arg> {
        let positionals: Vec<&Arg> = self.command.get_positionals().filter(|arg| !arg.is_last_set()).collect();
        let last = positionals.last().filter(|arg| matches!(arg.get_action(), ArgAction::Append));
        positionals.get(index).or(last).copied()
    }

    fn option_named(&self, name: &str) -> Option<&'a Arg> {
        let is_it = |arg: &&Arg| match name.strip_prefix("--") {
            Some(long) => arg.get_long() == Some(long),
            None => arg.get_short().is_some_and(|short| name.strip_prefix('-') == Some(&*short.to_string())),
        };
        self.command.get_arguments().find(is_it)
    }
}

fn takes_value(option: &&Arg) -> bool {
    matches!(option.get_action(), ArgAction::Set | ArgAction::Append)
}

/// The kinds of value of an argument, by its name and by the name of its value in `--help`.
fn kinds_of(arg: &Arg, root: &Command) -> Vec<Kind> {
    let values = arg.get_possible_values();
    if !values.is_empty() {
        let about =
            |value: &clap::builder::PossibleValue| value.get_help().map(ToString::to_string).unwrap_or_default();
        return vec![Kind::Fixed(values.iter().map(|value| (value.get_name().to_owned(), about(value))).collect())];
    }
    let shown = arg.get_value_names().and_then(|names| names.first()).map(|name| name.as_str()).unwrap_or_default();
    match (arg.get_id().as_str(), shown) {
        ("run", _) => vec![Kind::Run],
        ("tag" | "delete" | "name", "NAME") => vec![Kind::Tag],
        ("topic", _) => {
            let mut offered = verbs_of(root);
            offered.extend(topics::all().map(|(name, about)| (name.to_owned(), about.to_owned())));
            vec![Kind::Fixed(offered)]
        }
        (_, "REV[:PATH]") => vec![Kind::Step, Kind::StepAndPath],
        ("new", "NEW") => vec![Kind::Step, Kind::Path],
        (_, "REV" | "RANGE" | "OLD") => vec![Kind::Step],
        (_, "PATH") => vec![Kind::Path],
        (_, "PATH|ID") => vec![Kind::Workspace],
        (_, "DIR") => vec![Kind::Folder],
        (_, "FILE") => vec![Kind::File],
        _ => Vec::new(),
    }
}

fn verbs_of(command: &Command) -> Vec<(String, String)> {
    let shown = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    let about = |verb: &Command| verb.get_about().map(ToString::to_string).unwrap_or_default();
    shown.map(|verb| (verb.get_name().to_owned(), about(verb))).collect()
}

fn options_of(command: &Command) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for arg in command.get_arguments().filter(|arg| !arg.is_positional() && !arg.is_hide_set()) {
        let about = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let names = arg.get_short().map(|short| format!("-{short}")).into_iter();
        let names = arg.get_long().map(|long| format!("--{long}")).into_iter().chain(names);
        found.extend(names.map(|name| (name, about.clone())));
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Expected, Kind, expected_at_end};
    use crate::args::command;

    fn at(line: &str) -> Expected {
        let mut command = command();
        command.build();
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        expected_at_end(&command, &words)
    }

    fn has(found: &Expected, word: &str) -> bool {
        found.kinds.iter().any(|kind| matches!(kind, Kind::Fixed(words) if words.iter().any(|(name, _)| name == word)))
    }

    #[test]
    fn verbs_options_and_values_have_their_places() {
        assert!(has(&at("retro "), "snap") && !has(&at("retro "), "__complete") && has(&at("retro -q "), "log"));
        assert!(has(&at("retro log --s"), "--stat") && has(&at("retro log -"), "--json"));
        assert!(has(&at("retro workspace "), "move") && has(&at("retro help "), "log"));
        let topics = ["recording", "settings", "json"];
        assert!(topics.iter().all(|topic| has(&at("retro help "), topic)));
        assert!(has(&at("retro --color "), "always") && has(&at("retro --color=a"), "auto"));
        assert_eq!(at("retro --color=a").before, "--color=");
        assert_eq!(at("retro log --run ").kinds, [Kind::Run]);
        assert_eq!(at("retro tag -d ").kinds, [Kind::Tag]);
        assert_eq!(at("retro restore ").kinds, [Kind::Step]);
        assert_eq!(at("retro restore s1 ").kinds, [Kind::Path]);
        assert_eq!(at("retro restore s1 a b ").kinds, [Kind::Path]);
        assert_eq!(at("retro restore s1 -- a ").kinds, [Kind::Path]);
        assert_eq!(at("retro rollback s1 ").step, "s1");
        assert_eq!(at("retro cat ").kinds, [Kind::Step, Kind::StepAndPath]);
        assert_eq!(at("retro cat s1 ").kinds, [Kind::Path]);
        assert_eq!(at("retro cat s1 ").step, "s1");
        assert_eq!(at("retro diff s1 ").kinds, [Kind::Step, Kind::Path]);
        assert_eq!(at("retro pin s1 ").kinds, []);
        assert_eq!(at("retro restore --into ").kinds, [Kind::Folder]);
        assert_eq!(at("retro workspace forget ").kinds, [Kind::Workspace]);
    }

    #[test]
    fn options_with_values_are_passed_over() {
        let found = at("retro -C /x --store=/y log -n 3 s1 ");
        assert_eq!((found.directory, found.store), (Some(PathBuf::from("/x")), Some(PathBuf::from("/y"))));
        assert_eq!((found.kinds, &*found.step), (vec![Kind::Path], "s1"));
    }

    #[test]
    fn every_argument_of_every_verb_has_a_kind_or_is_free_text() {
        let mut command = command();
        command.build();
        let free =
            ["message", "count", "seed", "sample", "since", "until", "range", "event", "unified", "words", "shell"];
        for verb in command.get_subcommands() {
            for arg in verb.get_arguments().filter(super::takes_value) {
                let id = arg.get_id().as_str();
                let is_known = !super::kinds_of(arg, &command).is_empty();
                assert!(is_known || free.contains(&id), "{} {id}", verb.get_name());
            }
        }
    }
}
