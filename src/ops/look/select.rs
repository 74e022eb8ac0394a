//! The paths of a snapshot that a selection means.

use std::collections::BTreeSet;

use super::ls::{LsOptions, find, ls};
use crate::diff::selection::Selection;
use crate::error::Result;
use crate::id::SnapshotId;
use crate::path::TreePath;
use crate::store::Store;

/// The selected paths, in order: those that are named, whether or not they are there, and what patterns match. What is
/// below a selected path is not listed again.
pub fn selected(store: &Store, snapshot: SnapshotId, selection: &Selection) -> Result<Vec<TreePath>> {
    let mut found: BTreeSet<TreePath> = selection.paths().iter().cloned().collect();
    if selection.has_patterns() {
        let root = store.snapshot(snapshot)?.root;
        for limit in selection.limits() {
            let is_there = limit.is_root() || find(store, root, &limit)?.is_some();
            if is_there {
                let options = LsOptions { path: limit, is_recursive: true };
                ls(store, snapshot, &options, &mut |path, _| {
                    if selection.over(path).as_ref() == Some(path) {
                        found.insert(path.clone());
                    }
                    Ok(())
                })?;
            }
        }
    }
    Ok(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
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
}
