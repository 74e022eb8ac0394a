//! Paths that are excluded or omitted, and the reasons.

use retrograde::{Workspace, wire};

use retrograde::detail::{Dropped, Exclusion, ExclusionReason as Why, Omission};

use super::human;

/// The reason why a path is excluded, unless its name says it all.
fn reason(why: Why) -> Option<String> {
    match why {
        Why::VersionControl | Why::BuiltIn => None,
        Why::Setting => Some("excluded in the settings".to_owned()),
        Why::Beside(file) => Some(format!("beside {file}")),
        Why::Marked(mark) => Some(format!("has a {mark}")),
        Why::Unselected => Some("holds nothing that `only` names".to_owned()),
        Why::Ignored => Some("git ignores it".to_owned()),
        Why::Rest => Some("the rest of an excluded folder".to_owned()),
        Why::Earlier => Some("excluded by the last snapshot".to_owned()),
        Why::WorkingTree => Some("another working tree of this repository".to_owned()),
        Why::Protected(place) => Some(place.text().to_owned()),
    }
}

/// The first `count_max` of the excluded paths. Those that somebody may have written come before those that tools make.
pub(crate) fn names(excluded: &[Exclusion], count_max: usize) -> Vec<String> {
    let mut all: Vec<&Exclusion> = excluded.iter().collect();
    all.sort_by_key(|one| (rank(one.why), one.path.depth()));
    let name = |one: &Exclusion| match reason(one.why) {
        Some(reason) => format!("{} ({reason})", one.path),
        None => one.path.to_string(),
    };
    human::first(count_max, all.into_iter().map(name), "")
}

/// Sorts the reasons by the likelihood that somebody misses the path.
fn rank(why: Why) -> u8 {
    match why {
        Why::Beside(_) | Why::Marked(_) | Why::WorkingTree | Why::Protected(_) => 0,
        Why::Setting | Why::Ignored | Why::Rest | Why::Earlier | Why::Unselected => 1,
        Why::VersionControl | Why::BuiltIn => 2,
    }
}

/// One omitted path: `special     pipe`.
pub(crate) fn omission(omission: &Omission) -> String {
    format!("{:<10}  {}", wire::OmissionReason::from(omission.reason).word(), omission.path)
}

/// The excluded paths that an earlier step has: `3 paths of s2 still in the folder`.
pub(crate) fn dropped(dropped: &Dropped, workspace: Option<&Workspace>) -> String {
    let step = workspace.and_then(|workspace| workspace.step_of(dropped.base));
    let base = step.map_or_else(|| dropped.base.short(), |step| format!("s{step}"));
    format!("{} of {base} still in the folder", human::count(dropped.count, "path"))
}

/// A sentence about changed rules, and about recorded paths that the rules exclude now.
pub(crate) fn changed_rules(rules_changed: bool, dropped_count: u64) -> Option<String> {
    let paths = human::count(dropped_count, "recorded path");
    match (rules_changed, dropped_count) {
        (false, 0) => None,
        (true, 0) => Some("the rules changed".to_owned()),
        (true, _) => Some(format!("the rules changed and exclude {paths} still in the folder")),
        (false, _) => Some(format!("the rules now exclude {paths} still in the folder")),
    }
}
