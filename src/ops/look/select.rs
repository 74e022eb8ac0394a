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
mod tests;
