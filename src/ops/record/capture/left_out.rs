//! The list of what was left out that a snapshot keeps, for the restores to come.
//!
//! The rules of a snapshot tell by a path whether they leave it out. Some leave out what a path does not show: a
//! `pyvenv.cfg` in a folder, an index of git, another recorded folder. Whether these things were there at a step nobody
//! can find out later, so the paths are listed. Where they are too many, the folders around them are listed instead: a
//! restore then leaves more alone than it has to, and never less.

use crate::format::path_list::paths_fit;
use crate::format::snapshot::encode_excluded;
use crate::limits::EXCLUDED_LIST_MAX_BYTES;
use crate::path::TreePath;
use crate::workspace::rules::Exclusion;

/// The list, encoded. `excluded` is in order of path.
pub(super) fn list(excluded: &[Exclusion]) -> Vec<u8> {
    bounded(excluded.iter().filter(|one| one.why.needs_note()).map(|one| one.path.clone()), EXCLUDED_LIST_MAX_BYTES)
}

fn bounded(paths: impl Iterator<Item = TreePath>, length_max_bytes: usize) -> Vec<u8> {
    let mut paths = topmost(paths);
    loop {
        let list = encode_excluded(&paths);
        if list.len() <= length_max_bytes && paths_fit(&paths, &list) {
            return list;
        }
        let deepest = paths.iter().map(TreePath::depth).max().unwrap_or_default();
        paths = topmost(paths.into_iter().map(|path| shortened(path, deepest / 2)));
    }
}

/// Those that lie in none of the others.
fn topmost(paths: impl Iterator<Item = TreePath>) -> Vec<TreePath> {
    let mut found: Vec<TreePath> = Vec::new();
    for path in paths {
        if !found.last().is_some_and(|last| path.is_within(last)) {
            found.push(path);
        }
    }
    found
}

/// The path, or the folder around it that is `depth` names deep.
fn shortened(path: TreePath, depth: usize) -> TreePath {
    let mut above = std::iter::successors(Some(path), TreePath::parent);
    above.find(|path| path.depth() <= depth).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::bounded;
    use crate::format::snapshot::decode_excluded;
    use crate::path::TreePath;

    #[test]
    fn a_list_that_is_too_long_names_the_folders_around() {
        let paths = ["a", "a/b", "c/d/e/1", "c/d/e/2", "c/d/f", "g/h"];
        let listed = |length_max_bytes| -> Vec<String> {
            let list = bounded(paths.iter().map(|path| TreePath::new(path.as_bytes()).unwrap()), length_max_bytes);
            decode_excluded(&list).unwrap().iter().map(ToString::to_string).collect()
        };
        assert_eq!(listed(1_000), ["a", "c/d/e/1", "c/d/e/2", "c/d/f", "g/h"]);
        assert_eq!(listed(20), ["a", "c/d", "g/h"]);
        assert_eq!(listed(10), ["a", "c", "g"]);
        assert_eq!(listed(5), ["."]);
    }
}
