//! Limits a comparison to some paths, folder by folder while walking.
//!
//! The paths are kept sorted and without those that lie within another one, so that the paths below any folder are a
//! contiguous range: a walk carries that range along and narrows it with each name, and never tests a path as a whole.

use std::ops::Range;

use crate::path::TreePath;

/// Paths to which a comparison is limited.
#[derive(Debug)]
pub(super) struct Filter<'a> {
    paths: Vec<Vec<&'a [u8]>>,
}

/// The part of a folder's contents that is selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Everything, and the folder itself.
    All,
    /// The paths in this range of the filter, each at least one name longer than the folder's path.
    Below(Range<usize>),
}

impl<'a> Filter<'a> {
    /// Limits to `paths` and what is below them.
    pub(super) fn new(paths: &'a [TreePath]) -> Self {
        let mut sorted: Vec<&TreePath> = paths.iter().collect();
        sorted.sort();
        sorted.dedup_by(|later, earlier| later.is_within(earlier));
        Self { paths: sorted.into_iter().map(|path| path.names().collect()).collect() }
    }

    /// The selected part of the root; no paths at all select everything.
    pub(super) fn root(&self) -> Scope {
        match self.paths.first() {
            None => Scope::All,
            Some(path) if path.is_empty() => Scope::All,
            Some(_) => Scope::Below(0..self.paths.len()),
        }
    }

    /// The selected part of `name` in a folder `depth` names below the root; `None` if nothing of it is selected.
    pub(super) fn enter(&self, scope: &Scope, depth: usize, name: &[u8]) -> Option<Scope> {
        let Scope::Below(range) = scope else {
            return Some(Scope::All);
        };
        let paths = &self.paths[range.clone()];
        let start = range.start + paths.partition_point(|path| path[depth] < name);
        let end = range.start + paths.partition_point(|path| path[depth] <= name);
        if start == end {
            return None;
        }
        let is_named = self.paths[start].len() == depth + 1;
        Some(if is_named { Scope::All } else { Scope::Below(start..end) })
    }

    /// The selected names in a folder `depth` names below the root, in order; `None` for all.
    pub(super) fn names(&self, scope: &Scope, depth: usize) -> Option<Vec<&'a [u8]>> {
        let Scope::Below(range) = scope else { return None };
        let mut names: Vec<&[u8]> = self.paths[range.clone()].iter().map(|path| path[depth]).collect();
        names.dedup();
        Some(names)
    }
}

#[cfg(test)]
mod tests {
    use super::{Filter, Scope};
    use crate::path::TreePath;

    fn paths(list: &[&str]) -> Vec<TreePath> {
        list.iter().map(|text| TreePath::new(text.as_bytes()).unwrap()).collect()
    }

    #[test]
    fn no_path_and_the_root_mean_everything() {
        assert_eq!(Filter::new(&[]).root(), Scope::All);
        assert_eq!(Filter::new(&paths(&["a", ""])).root(), Scope::All);
    }

    #[test]
    fn ranges_narrow_with_each_name() {
        let paths = paths(&["b/y", "a/x/1", "b", "a/x/2", "a-", "a/z", "a/x/1/deep"]);
        let filter = Filter::new(&paths);
        let root = filter.root();
        assert_eq!(filter.names(&root, 0), Some(vec![&b"a"[..], b"a-", b"b"]));
        assert_eq!(filter.enter(&root, 0, b"b"), Some(Scope::All));
        assert_eq!(filter.enter(&root, 0, b"c"), None);
        let a = filter.enter(&root, 0, b"a").unwrap();
        assert_eq!(filter.names(&a, 1), Some(vec![&b"x"[..], b"z"]));
        let x = filter.enter(&a, 1, b"x").unwrap();
        assert_eq!(filter.enter(&x, 2, b"1"), Some(Scope::All));
        assert_eq!(filter.enter(&x, 2, b"3"), None);
        assert_eq!(filter.enter(&Scope::All, 9, b"any"), Some(Scope::All));
    }
}
