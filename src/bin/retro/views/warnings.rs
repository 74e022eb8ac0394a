//! Warnings about texts that were changed before they were recorded, settings that are not used, and files of git's
//! that cannot be used.

use retrograde::wire;

use retrograde::detail::{
    ConfigNotice as Notice, GitNotice, GitPart, GitProblem, STORE_CONFIG_NAME, TextPart as Part, TextRepair as Repair,
    UNPARSED_KEY, shown,
};

use super::human;

/// A sentence about one changed text.
pub(crate) fn repair(repair: &Repair) -> String {
    match repair {
        Repair::Replaced(part) => {
            let part = word(*part);
            format!("the {part} has characters that cannot be recorded; they are replaced")
        }
        Repair::Cut { part, length_bytes } => {
            format!("the {} is too long ({}); its end is cut off", word(*part), human::size(*length_bytes))
        }
        Repair::RunRenamed { given, used } => {
            let given = human::one_line(given, GIVEN_WIDTH_MAX);
            format!("{given:?} is not a valid name of a run; the step is recorded in run {used}")
        }
        Repair::EventEmpty => "the event is empty; the step is recorded without one".to_owned(),
        Repair::EventNoObject => format!("the event is not a JSON object; it is recorded under {UNPARSED_KEY:?}"),
        Repair::EventUnparsed(detail) => {
            format!("the event is not JSON ({detail}); it is recorded as text under {UNPARSED_KEY:?}")
        }
    }
}

/// A sentence about a setting that is not used.
pub(crate) fn notice(notice: &Notice) -> String {
    match notice {
        Notice::UnknownKey { file, key } => format!("{}: `{key}` is not a setting and is ignored", shown(file)),
        Notice::StoreKey { file, key } => {
            format!("{}: `{key}` is valid only in {STORE_CONFIG_NAME} in the store folder and is ignored", shown(file))
        }
        Notice::LowCap { file, key } => {
            format!("{}: `{key}` is below the built-in limit, which it can only raise; it is ignored", shown(file))
        }
        Notice::NoGit { file } => {
            let file = shown(file);
            format!("{file}: this build cannot read git's files: what `gitignore = true` excludes is recorded")
        }
        Notice::Unusable { reason, step } => {
            let rules = step.map_or_else(|| "the built-in rules".to_owned(), |step| format!("the rules of s{step}"));
            format!("{reason}; {rules} apply until it is fixed")
        }
        Notice::StoreUnusable { reason } => format!("{reason}; it is ignored"),
    }
}

/// A sentence about a file of git's that cannot be used, and the consequences.
pub(crate) fn git(notice: &GitNotice, gitignore: bool) -> String {
    let so = match (notice.part, gitignore) {
        (GitPart::Repository, _) => "the folder does not count as a repository",
        (GitPart::Settings, _) => "its settings are not used",
        (GitPart::Index, true) => {
            "ignored files are recorded too, and tracked files in folders that are excluded by default are not"
        }
        (GitPart::Index, false) => "tracked files in folders that are excluded by default are not recorded",
        (GitPart::List, _) => "the files that it ignores are recorded",
        (GitPart::Head, _) => "steps do not record the commit and the branch",
    };
    let (part, problem) = (wire::GitPart::from(notice.part).word(), git_problem(&notice.problem));
    format!("git's {part} {}: {problem}; {so}", shown(&notice.file))
}

/// The reason why a file of git's cannot be used.
fn git_problem(problem: &GitProblem) -> String {
    match problem {
        GitProblem::Unreadable(kind) => format!("it cannot be read ({kind})"),
        GitProblem::NotAFile => "it is not a regular file".to_owned(),
        GitProblem::TooLong { length_max_bytes } => {
            format!("it is longer than {}", human::size(*length_max_bytes))
        }
        GitProblem::Malformed(detail) => format!("it is damaged ({detail})"),
        GitProblem::Unsupported(form) => format!("its form is not supported ({form})"),
        GitProblem::Dangling(path) => format!("it names {}, which does not exist", shown(path)),
        GitProblem::Relative(path) => format!("it names {}, which is not an absolute path", shown(path)),
        GitProblem::OtherTree(tree) => format!("it belongs to another folder, {}", shown(tree)),
    }
}

/// The most characters shown of an invalid name.
const GIVEN_WIDTH_MAX: usize = 40;

fn word(part: Part) -> &'static str {
    match part {
        Part::Message => "message",
        Part::Run => "name of the run",
        Part::Event => "event",
    }
}
