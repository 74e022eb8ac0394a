//! Warnings: words that are not recorded as they were given, settings that do not count, and files of
//! git's that could not be followed.

use retrograde::detail::{
    ConfigNotice as Notice, GitNotice, GitPart, GitProblem, STORE_CONFIG_NAME, TextPart as Part, TextRepair as Repair,
    UNPARSED_KEY, shown,
};

use super::human;

/// One repair, in a sentence.
pub(crate) fn repair(repair: &Repair) -> String {
    match repair {
        Repair::Replaced(part) => {
            let part = word(*part);
            format!("the {part} has characters that cannot be recorded; they are replaced")
        }
        Repair::Cut { part, length_bytes } => {
            format!("the {} is too long ({}); it is recorded cut", word(*part), human::size(*length_bytes))
        }
        Repair::RunRenamed { given, used } => {
            format!(
                "{:?} is no name for a run; the step is recorded in the run {used}",
                human::one_line(given, GIVEN_WIDTH_MAX)
            )
        }
        Repair::EventEmpty => "the event is empty; the step is recorded without one".to_owned(),
        Repair::EventNoObject => format!("the event is no JSON object; it is recorded under {UNPARSED_KEY:?}"),
        Repair::EventUnparsed(detail) => {
            format!("the event is not JSON ({detail}); it is recorded as text under {UNPARSED_KEY:?}")
        }
    }
}

/// A setting that is not used, in a sentence.
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
            format!("{file}: this build knows nothing of git, so that what `gitignore = true` leaves out is recorded")
        }
        Notice::Unusable { reason, step } => {
            let rules = step.map_or_else(|| "the built-in rules".to_owned(), |step| format!("the rules of s{step}"));
            format!("{reason}; {rules} apply until it is fixed")
        }
        Notice::StoreUnusable { reason } => format!("{reason}; it is ignored"),
    }
}

/// A file of git's that could not be followed, and what comes of it, in a sentence.
pub(crate) fn git(notice: &GitNotice, gitignore: bool) -> String {
    let so = match (notice.part, gitignore) {
        (GitPart::Repository, _) => "it is taken for no repository",
        (GitPart::Settings, _) => "nothing of it counts",
        (GitPart::Index, true) => {
            "what git ignores is recorded too, and what git tracks in folders that are left out by default is not"
        }
        (GitPart::Index, false) => "what git tracks in folders that are left out by default is not recorded",
        (GitPart::List, _) => "what it would have git ignore is recorded",
        (GitPart::Head, _) => "steps do not say on which commit and branch they are",
    };
    format!("git's {} {}: {}; {so}", notice.part.word(), shown(&notice.file), git_problem(&notice.problem))
}

/// Why a file of git's could not be followed.
fn git_problem(problem: &GitProblem) -> String {
    match problem {
        GitProblem::Unreadable(kind) => format!("it cannot be read ({kind})"),
        GitProblem::NotAFile => "it is no regular file".to_owned(),
        GitProblem::TooLong { length_max_bytes } => {
            format!("it is longer than the {} that are read", human::size(*length_max_bytes))
        }
        GitProblem::Malformed(detail) => format!("it is damaged ({detail})"),
        GitProblem::Unsupported(form) => format!("it is in a form that retro does not know ({form})"),
        GitProblem::Dangling(path) => format!("it names {}, which is not there", shown(path)),
        GitProblem::Relative(path) => format!("it names {}, which is no absolute path", shown(path)),
        GitProblem::OtherTree(tree) => format!("it is of another folder, {}", shown(tree)),
    }
}

/// Characters shown of a name that cannot be one.
const GIVEN_WIDTH_MAX: usize = 40;

fn word(part: Part) -> &'static str {
    match part {
        Part::Message => "message",
        Part::Run => "name of the run",
        Part::Event => "event",
    }
}
