//! The paths of a snapshot that a selection selects.

use std::collections::BTreeSet;

use super::ls::{LsOptions, find, ls};
use crate::diff::selection::Selection;
use crate::error::Result;
use crate::id::SnapshotId;
use crate::path::TreePath;
use crate::store::Store;

/// The selected paths, in order: named paths, existing or not, and paths that match a pattern. Paths below a selected
/// path are not listed again.
pub fn selected(store: &Store, snapshot: SnapshotId, selection: &Selection) -> Result<Vec<TreePath>> {
    let mut found: BTreeSet<TreePath> = selection.paths().iter().cloned().collect();
    if selection.has_patterns() {
        let root = store.snapshot(snapshot)?.root;
        for limit in selection.limits() {
            if limit.is_root() || find(store, root, &limit)?.is_some() {
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
