//! The verbs of the program, as its own definition of the command line has them.

use std::collections::BTreeSet;
use std::process::Command;

/// All verbs, read from what completion offers: the same definition that parses them.
pub(crate) fn all() -> BTreeSet<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_retro")).args(["__complete", "zsh", "retro", ""]).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let verbs = lines.lines().skip(1).filter_map(|line| line.split('\t').next());
    let verbs: BTreeSet<String> = verbs.map(ToOwned::to_owned).collect();
    assert!(verbs.len() > 20, "only {verbs:?} are offered");
    verbs
}

/// Fails unless every verb is the first word of one of `lines` or one of `without`, which says that it does not belong
/// there, and none is both: a new verb cannot be forgotten.
#[track_caller]
pub(crate) fn expect_all<'a>(lines: impl IntoIterator<Item = &'a str>, without: &[&str]) {
    let is_verb = |word: &&str| !word.starts_with('-') && !word.starts_with("..");
    let tried: BTreeSet<String> =
        lines.into_iter().filter_map(|line| line.split(' ').find(is_verb)).map(ToOwned::to_owned).collect();
    let without: BTreeSet<String> = without.iter().map(|verb| (*verb).to_owned()).collect();
    let both: Vec<_> = tried.intersection(&without).collect();
    assert!(both.is_empty(), "{both:?} are tried and left out");
    let all = all();
    let missing: Vec<_> = all.iter().filter(|verb| !tried.contains(*verb) && !without.contains(*verb)).collect();
    assert!(missing.is_empty(), "{missing:?} are not tried");
    let unknown: Vec<_> = without.difference(&all).collect();
    assert!(unknown.is_empty(), "{unknown:?} are no verbs");
}
