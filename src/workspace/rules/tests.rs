//! Tests of patterns: the matches of each form, and that the text form reads back.

use super::evidence::EVIDENCE_RULES;
use super::{ALWAYS_EXCLUDED, DEFAULT_EXCLUDES, ExclusionReason, Match, RuleOptions, Rules};
use crate::error::ErrorKind;
use crate::limits::PATTERN_COUNT_MAX;
use crate::path::TreePath;

fn rules(excludes: &[&str], includes: &[&str]) -> Rules {
    let owned = |list: &[&str]| list.iter().map(|&pattern| pattern.to_owned()).collect();
    let options = RuleOptions { excludes: owned(excludes), includes: owned(includes), ..RuleOptions::default() };
    Rules::new(&options).unwrap()
}

fn is_excluded(rules: &Rules, path: &[u8], is_folder: bool) -> bool {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap();
    rules.is_excluded(path, name, is_folder)
}

/// Returns true if `path` or one of its parents is excluded by name alone.
fn excludes_within(rules: &Rules, path: &str, is_folder: bool) -> bool {
    let path = TreePath::new(path.as_bytes()).unwrap();
    path.way_from(0).any(|here| rules.excludes_at(&here, is_folder || here != path))
        || rules.is_unselected(&path, is_folder)
}

#[test]
fn defaults_name_folders_that_tools_make_again() {
    let rules = rules(&[], &[]);
    for name in [".git", ".hg", "a/.jj", ".svn", "a/b/.next", "__pycache__", ".gradle"] {
        assert!(is_excluded(&rules, name.as_bytes(), true), "{name}");
    }
    for file in [".git", "sub/.git", ".main.rs.swp", ".#lock"] {
        assert!(is_excluded(&rules, file.as_bytes(), false), "{file}");
    }
    for name in ["target", "node_modules", ".venv", "build"] {
        assert!(!is_excluded(&rules, name.as_bytes(), true), "{name}: the name alone is no evidence");
    }
    assert_eq!(rules.match_of(b"a/target", b"target", true), Match::Beside(&["Cargo.toml", "pom.xml"]));
    for file in ["target", "node_modules", "sprite.swp", ".swp", "a.git", ".gitignore", ".env", "db.sqlite", "#draft#"]
    {
        assert!(!is_excluded(&rules, file.as_bytes(), false), "{file}");
    }
    assert!(!is_excluded(&rules, b"targets", true));
    assert!(!rules.needs_path());
}

/// No setting lets the recorder write over a repository.
#[test]
fn version_control_is_left_out_whatever_the_settings_are() {
    let all = ["*".to_owned(), ".git".to_owned(), ".hg/".to_owned()];
    let options = RuleOptions { includes: all.to_vec(), without_defaults: true, ..RuleOptions::default() };
    let rules = Rules::new(&options).unwrap();
    for name in [".git", ".hg", ".jj", ".svn"] {
        assert_eq!(
            rules.match_of(name.as_bytes(), name.as_bytes(), true),
            Match::Out(ExclusionReason::VersionControl),
            "{name}"
        );
    }
    assert_eq!(rules.match_of(b"target", b"target", true), Match::In);
    assert_eq!(ALWAYS_EXCLUDED.len(), rules.text().lines().filter(|line| line.starts_with("! ")).count());
}

#[test]
fn patterns_without_slash_match_names_and_those_with_one_match_paths() {
    let rules = rules(&["*.log", "/build", "docs/*.pdf", "logs/**/old/", "b?r", "x[0-9]"], &[]);
    for (path, expected) in [
        ("a.log", true),
        ("deep/down/a.log", true),
        ("build", true),
        ("sub/build", false),
        ("docs/a.pdf", true),
        ("docs/sub/a.pdf", false),
        ("more/docs/a.pdf", false),
        ("logs/old", false),
        ("a/bar", true),
        ("a/br", false),
        ("x7", true),
        ("xy", false),
    ] {
        assert_eq!(is_excluded(&rules, path.as_bytes(), false), expected, "{path}");
    }
    assert!(is_excluded(&rules, b"logs/old", true) && is_excluded(&rules, b"logs/a/b/old", true));
    assert!(rules.needs_path());
}

#[test]
fn names_are_bytes() {
    let rules = rules(&["*.bin", "a?b"], &[]);
    assert!(is_excluded(&rules, b"\xff\xfe.bin", false));
    assert!(is_excluded(&rules, b"dir\xff/a\xffb", false));
    assert!(!is_excluded(&rules, b"\xff\xfe.bim", false));
    assert!(!is_excluded(&rules, b"\xc3\x28~", false));
}

#[test]
fn one_star_does_not_match_with_its_ends_overlapping() {
    let rules = rules(&["ab*ba"], &[]);
    assert!(!is_excluded(&rules, b"aba", false));
    assert!(is_excluded(&rules, b"abba", false) && is_excluded(&rules, b"ab--ba", false));
}

#[test]
fn an_include_wins_over_an_exclude_of_the_same_path() {
    let rules = rules(&["*.log"], &["keep.log", "vendor/__pycache__/", "/.tox"]);
    assert!(!is_excluded(&rules, b"a/keep.log", false));
    assert!(is_excluded(&rules, b"a/other.log", false));
    assert!(!is_excluded(&rules, b"vendor/__pycache__", true));
    assert!(is_excluded(&rules, b"__pycache__", true));
    assert!(!is_excluded(&rules, b".tox", true) && is_excluded(&rules, b"sub/.tox", true));
}

#[test]
fn the_wider_of_two_rules_for_one_name_holds() {
    let rules = rules(&["target"], &[]);
    assert!(is_excluded(&rules, b"target", false) && is_excluded(&rules, b"target", true));
}

#[test]
fn exact_paths_cannot_be_included() {
    let store = TreePath::new(b"data/store\n\xff").unwrap();
    let options = RuleOptions {
        includes: vec!["data/**".to_owned(), "store*".to_owned()],
        paths: vec![store.clone()],
        ..RuleOptions::default()
    };
    let rules = Rules::new(&options).unwrap();
    assert!(rules.needs_path());
    assert!(is_excluded(&rules, store.as_bytes(), true));
    assert!(!is_excluded(&rules, b"data/store", true));
    let again = Rules::parse(rules.text()).unwrap();
    assert!(is_excluded(&again, store.as_bytes(), true));
}

#[test]
fn the_contents_of_an_excluded_folder_are_excluded() {
    let rules = rules(&["/a/b/"], &[]);
    let within = |path: &str| excludes_within(&rules, path, false);
    assert!(within("x/__pycache__/y/z") && within("a/b/c") && within(".git/HEAD"));
    assert!(!within("a/b") && !within("a/c") && !within("x/y") && !within(""));
}

#[test]
fn the_text_form_is_canonical() {
    let one = rules(&["b", "a/", "a/"], &["c"]);
    let other = rules(&["a/", "b"], &["c", "c"]);
    assert_eq!(one.text(), other.text());
    assert_eq!(Rules::parse(one.text()).unwrap().text(), one.text());
    let built_in = DEFAULT_EXCLUDES.len() + ALWAYS_EXCLUDED.len() + EVIDENCE_RULES.len();
    assert_eq!(one.text().lines().count(), built_in + 3);
    assert!(one.text().contains("! .git\n") && one.text().contains("+ c\n"));
    for text in ["x", "% a", "-a", "= ../x", "= a\\x0", "= \\xzz", "- "] {
        assert!(Rules::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn whether_ignore_files_count_is_one_of_the_rules() {
    let on = Rules::new(&RuleOptions { gitignore: true, ..RuleOptions::default() }).unwrap();
    assert!(on.has_gitignore() && on.text().ends_with("\n~ .gitignore\n"));
    let again = Rules::parse(on.text()).unwrap();
    assert!(again.has_gitignore() && again.text() == on.text());
    assert!(!Rules::parse("- a\n").unwrap().has_gitignore());
    assert!(Rules::parse("~ .hgignore").is_err() && Rules::parse("~ .gitignore ").is_err());
}

#[test]
fn patterns_that_mean_nothing_are_refused() {
    for pattern in ["", "/", "a\nb", "[", "a/../b", "./a", "{a", "x["] {
        let options = RuleOptions { excludes: vec![pattern.to_owned()], ..RuleOptions::default() };
        assert_eq!(Rules::new(&options).unwrap_err().kind(), ErrorKind::Invalid, "{pattern:?}");
    }
    let many = |count: usize| {
        let excludes = (0..count).map(|number| format!("name{number}")).collect();
        Rules::new(&RuleOptions { excludes, ..RuleOptions::default() })
    };
    assert!(many(PATTERN_COUNT_MAX).is_ok());
    assert_eq!(many(PATTERN_COUNT_MAX + 1).unwrap_err().kind(), ErrorKind::Limit);
}

#[test]
fn a_folder_is_passed_by_where_nothing_in_it_can_be_named() {
    let may_be_in = |only: &[&str], folder: &str| {
        let only = only.iter().map(|&pattern| pattern.to_owned()).collect();
        let rules = Rules::new(&RuleOptions { only, ..RuleOptions::default() }).unwrap();
        rules.only().unwrap().may_be_in(folder.as_bytes())
    };
    for (only, folder, expected) in [
        (&["/docs/*.md"][..], "docs", true),
        (&["/docs/*.md"], "docs/in", false),
        (&["/docs/*.md"], "src", false),
        (&["a/b*/c", "d/e/"], "a/bx", true),
        (&["a/b*/c", "d/e/"], "d", true),
        (&["a/b*/c", "d/e/"], "a/x", false),
        (&["a/b*/c", "d/e/"], "d/e", false),
        (&["a/**/c"], "a/x/y/z", true),
        (&["a/**/c"], "b", false),
        (&["**/c"], "b/x", true),
        (&["a/{b,c/d}/e"], "a/c/d", true),
        (&["a/{b,c/d}/e"], "b", false),
        (&["/docs/*.md", "*.txt"], "src", true),
    ] {
        assert_eq!(may_be_in(only, folder), expected, "{only:?} in {folder}");
    }
}

#[test]
fn only_is_part_of_the_text() {
    let only = vec!["b/".to_owned(), "*.md".to_owned(), "b/".to_owned()];
    let rules = Rules::new(&RuleOptions { only, without_defaults: true, ..RuleOptions::default() }).unwrap();
    assert!(rules.text().ends_with("& *.md\n& b/\n"), "{}", rules.text());
    let again = Rules::parse(rules.text()).unwrap();
    assert_eq!(again.text(), rules.text());
    let is_out = |path: &str, is_folder| excludes_within(&again, path, is_folder);
    assert!(is_out("a/x.rs", false) && !is_out("a/x.md", false) && !is_out("b/x.rs", false) && !is_out("a", true));
    assert!(!is_out("retro.toml", false) && is_out("a/retro.toml", false));
}
