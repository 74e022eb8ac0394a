//! The list of excluded paths that a snapshot keeps for later restores.
//!
//! For most rules, the path alone tells whether they exclude it. Others depend on something else: a `pyvenv.cfg` in the
//! folder, an index of git, another recorded folder. Nobody can find out later whether that was there at a step, so
//! these paths are listed. If they are too many, the folders around them are listed instead: a restore then leaves more
//! alone than it has to, and never less.

use crate::format::path_list::paths_fit;
use crate::format::snapshot::encode_excluded;
use crate::limits::EXCLUDED_LIST_MAX_BYTES;
use crate::path::{Subtrees, TreePath};
use crate::workspace::rules::Exclusion;

/// The list, encoded.
pub(super) fn list(excluded: &[Exclusion]) -> Vec<u8> {
    bounded(excluded.iter().filter(|one| one.why.needs_note()).map(|one| one.path.clone()), EXCLUDED_LIST_MAX_BYTES)
}

fn bounded(paths: impl Iterator<Item = TreePath>, length_max_bytes: usize) -> Vec<u8> {
    let mut trees = Subtrees::new(paths);
    loop {
        let list = encode_excluded(trees.paths());
        if list.len() <= length_max_bytes && paths_fit(trees.paths(), &list) {
            return list;
        }
        let deepest = trees.paths().iter().map(TreePath::depth).max().unwrap_or_default();
        trees = Subtrees::new(trees.paths().iter().map(|path| shortened(path, deepest / 2)));
    }
}

/// The path, or the folder around it that is `depth` names deep.
fn shortened(path: &TreePath, depth: usize) -> TreePath {
    let mut above = std::iter::successors(Some(path.clone()), TreePath::parent);
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
