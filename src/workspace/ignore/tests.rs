//! Tests of patterns and chains of lists. `tests/it/gitignore.rs` compares whole repositories with git.

use std::sync::Arc;

use gix_glob::pattern::Case;

use super::pattern::parse;
use super::{Level, Lists, Repository, Verdict};
use crate::path::TreePath;
use crate::workspace::git_notice::GitNotices;

/// Returns true if the last matching pattern of a list is not negated.
fn ignores(list: &[u8], path: &[u8], is_folder: bool) -> bool {
    let lists = Lists::of(Repository::none(&GitNotices::default()), Some(Level::new(list, 0, None)));
    lists.names(path, is_folder)
}

#[test]
fn lines_are_cut_as_git_cuts_them() {
    let cases: [(&[u8], &[u8], bool); 20] = [
        (b"a", b"a", true),
        (b"a\r\n", b"a", true),
        (b"a\r", b"a", true),
        (b"a\r\r\n", b"a", false),
        (b"\xef\xbb\xbfa", b"a", true),
        (b"\xff\xfea", b"a", false),
        (b"\xff\xfea", b"\xff\xfea", true),
        (b"a  ", b"a", true),
        (b"a\\ ", b"a ", true),
        (b"a\\  ", b"a ", true),
        (b"a\t", b"a\t", true),
        (b"\t", b"\t", true),
        (b"!\t", b"\t", false),
        (b" ", b" ", false),
        (b"#a", b"#a", false),
        (b"\\#a", b"#a", true),
        (b"\\!a", b"!a", true),
        (b"a\0b", b"a", true),
        (b"a\\", b"a\\", false),
        (b"!", b"!", false),
    ];
    for (list, path, expected) in cases {
        assert_eq!(ignores(list, path, false), expected, "{} on {}", list.escape_ascii(), path.escape_ascii());
    }
    assert!(parse(b"\n\n# only this\n   \n").is_empty());
}

#[test]
fn patterns_match_as_in_git() {
    let cases = [
        ("a", "x/a", true),
        ("/a", "x/a", false),
        ("a/b", "x/a/b", false),
        ("**/a/b", "x/a/b", true),
        ("a/**", "a/b/c", true),
        ("a/**", "a", false),
        ("a/**/b", "a/b", true),
        ("a**/b", "a/x/b", true),
        ("*.o", "x/y.o", true),
        ("/*.o", "x/y.o", false),
        ("*", ".h", true),
        ("a/", "a", false),
        ("[[:upper:]]", "A", true),
        ("[!a]", "b", true),
        ("a?b", "a/b", false),
        ("\u{e9}", "\u{e9}", true),
    ];
    for (pattern, path, expected) in cases {
        assert_eq!(ignores(pattern.as_bytes(), path.as_bytes(), false), expected, "{pattern} on {path}");
    }
    assert!(ignores(b"a/", b"x/a", true));
    let one = &parse(b"Ab/*C")[0];
    assert!(one.matches(b"aB/xc", b"xc", false, Case::Fold) && !one.matches(b"aB/xc", b"xc", false, Case::Sensitive));
}

#[test]
fn the_deepest_list_wins_and_an_ignored_folder_stays_one() {
    let path = |text: &str| TreePath::new(text.as_bytes()).unwrap();
    let outer = Arc::new(Lists::of(Repository::none(&GitNotices::default()), None)).with(&path(""), b"*.log\n/sub/x\n");
    let inner = outer.with(&path("sub"), b"!a.log\n/x\n");
    assert_eq!(outer.verdict(b"sub/a.log", false), Verdict::Ignored);
    assert_eq!(inner.verdict(b"sub/a.log", false), Verdict::Captured);
    assert_eq!(inner.verdict(b"sub/b.log", false), Verdict::Ignored);
    assert_eq!(inner.verdict(b"sub/deep/x", false), Verdict::Captured);
    let entered = inner.within(true);
    assert_eq!(entered.verdict(b"sub/a.log", false), Verdict::Ignored, "nothing is brought back in an ignored folder");
    assert_eq!(entered.within(false).verdict(b"sub/a.log", false), Verdict::Captured);
}
