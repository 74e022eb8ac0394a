//! Paths that are not captured, and the reasons, for people and for programs.

use retrograde::Workspace;
use retrograde::detail::{Dropped, Exclusion, ExclusionReason as Why};

/// Why a path is left out; nothing where a name says it all.
pub(crate) fn reason(why: Why) -> Option<String> {
    match why {
        Why::VersionControl | Why::BuiltIn => None,
        Why::Setting => Some("excluded in the settings".to_owned()),
        Why::Beside(file) => Some(format!("beside {file}")),
        Why::Marked(mark) => Some(format!("has a {mark}")),
        Why::Unselected => Some("holds nothing that `only` names".to_owned()),
        Why::Ignored => Some("git ignores it".to_owned()),
        Why::Rest => Some("the rest of a folder that is left out".to_owned()),
        Why::Earlier => Some("left out by the last snapshot".to_owned()),
        Why::WorkingTree => Some("another working tree of this repository".to_owned()),
        Why::Place(place) => Some(place.text().to_owned()),
    }
}

/// The paths that are left out, those first that could be somebody's source; and how many there are beyond `most`.
pub(crate) fn names(excluded: &[Exclusion], most: usize) -> Vec<String> {
    let mut all: Vec<&Exclusion> = excluded.iter().collect();
    all.sort_by_key(|one| (rank(one.why), one.path.depth()));
    let name = |one: &&Exclusion| match reason(one.why) {
        Some(reason) => format!("{} ({reason})", one.path),
        None => one.path.to_string(),
    };
    let mut names: Vec<String> = all.iter().take(most).map(name).collect();
    let more = all.len().saturating_sub(most);
    if more > 0 {
        names.push(format!("... and {} more", super::human::number(more as u64)));
    }
    names
}

/// Files that are counted instead of listed.
pub(crate) fn unselected(count: u64) -> Option<String> {
    (count > 0).then(|| format!("{} that `only` does not name", super::human::count(count, "file")))
}

/// That paths are left out which an earlier step has.
pub(crate) fn dropped(dropped: &Dropped, workspace: Option<&Workspace>) -> String {
    let step = workspace.and_then(|workspace| workspace.step_of(dropped.base));
    let base = step.map_or_else(|| dropped.base.short(), |step| format!("s{step}"));
    format!("{} of {base} still in the folder", super::human::count(dropped.count, "path"))
}

fn rank(why: Why) -> u8 {
    match why {
        Why::Beside(_) | Why::Marked(_) | Why::WorkingTree | Why::Place(_) => 0,
        Why::Setting | Why::Ignored | Why::Rest | Why::Earlier | Why::Unselected => 1,
        Why::VersionControl | Why::BuiltIn => 2,
    }
}
