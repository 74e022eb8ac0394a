//! Patterns become the paths that match.

use super::selected;
use crate::diff::selection::{Pattern, Selection};
use crate::ops::fixture::{About, Bench, Files, file, path};

#[test]
fn patterns_become_the_paths_that_match() {
    let bench = Bench::new();
    let files = ["a.rs", "src/a.rs", "src/b.txt", "src/deep/c.rs", "tests/x/y"];
    let files: Files = files.into_iter().map(|name| (path(name), file(0o644, name))).collect();
    let snapshot = bench.take(&files, &About::default());
    let found = |paths: &[&str], patterns: &[&str]| {
        let patterns = patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        let selection = Selection::new(paths.iter().copied().map(path).collect(), patterns);
        let found = selected(&bench.store, snapshot, &selection).unwrap();
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(found(&[], &["**/*.rs"]), ["a.rs", "src/a.rs", "src/deep/c.rs"]);
    assert_eq!(found(&[], &["src/*"]), ["src/a.rs", "src/b.txt", "src/deep"]);
    assert_eq!(found(&["tests", "gone"], &["src/*.rs", "none/*"]), ["gone", "src/a.rs", "tests"]);
    assert_eq!(found(&[], &["t*"]), ["tests"]);
    assert!(found(&[], &[]).is_empty());
}
