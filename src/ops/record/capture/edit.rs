//! Changing single entries of a tree that was just built, and the lists of the folders around them.

use std::collections::{BTreeMap, BTreeSet};

use super::bases::new_objects;
use crate::diff::tree::LoadTree;
use crate::error::{Error, Result};
use crate::format::tree::{self, Entry, Tree};
use crate::id::TreeId;
use crate::ops::look::ls::find_with;
use crate::path::TreePath;
use crate::store::{Batch, NewObject, Store};

/// A change of one entry. An entry that is not there is not changed.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    /// It becomes this; its name stays.
    Put(Entry),
    /// It goes.
    Drop,
    /// It goes; a folder only if nothing is left in it.
    DropIfEmpty,
    /// A folder whose list has changed.
    List(TreeId, u64),
}

/// The changed tree.
#[derive(Debug)]
pub(super) struct Edited {
    pub(super) root: TreeId,
    /// The lists that the store does not have.
    pub(super) objects: Vec<NewObject>,
    /// The paths that went.
    pub(super) gone: BTreeSet<TreePath>,
}

/// Edits by the folder they are in and the name.
type Todo = BTreeMap<TreePath, BTreeMap<Box<[u8]>, Edit>>;

/// Changes entries, and the lists of all folders around them, innermost first.
pub(super) fn edited(
    store: &Store,
    batch: Option<&Batch<'_>>,
    load: &LoadTree<'_>,
    root: TreeId,
    edits: impl IntoIterator<Item = (TreePath, Edit)>,
) -> Result<Edited> {
    let mut todo = Todo::new();
    for (path, edit) in edits {
        add(&mut todo, &path, edit);
    }
    let mut found = Edited { root, objects: Vec::new(), gone: BTreeSet::new() };
    while let Some((folder, mut inside)) = todo.pop_last() {
        let Some(list) = list_of(load, root, &folder)? else { continue };
        let mut kept = Vec::new();
        for entry in entries_of(load, list)? {
            match inside.remove(&entry.name) {
                None => kept.push(entry),
                Some(Edit::Put(new)) => kept.push(Entry { name: entry.name, ..new }),
                Some(Edit::List(id, size)) => kept.push(Entry { id: id.0, size, ..entry }),
                Some(Edit::Drop) => drop(found.gone.insert(folder.join(&entry.name))),
                Some(Edit::DropIfEmpty) => match entry.tree() {
                    Some(tree) if !entries_of(load, tree)?.is_empty() => kept.push(entry),
                    _ => drop(found.gone.insert(folder.join(&entry.name))),
                },
            }
        }
        let encoded = tree::encode(&kept);
        let (id, size) = (encoded.id(), encoded.size);
        found.objects.extend(new_objects(store, batch, encoded, Some(list))?);
        match folder.is_root() {
            true => found.root = id,
            false if kept.is_empty() && is_dropped_if_empty(&todo, &folder) => add(&mut todo, &folder, Edit::Drop),
            false => add(&mut todo, &folder, Edit::List(id, size)),
        }
    }
    Ok(found)
}

fn add(todo: &mut Todo, path: &TreePath, edit: Edit) {
    if let (Some(folder), Some(name)) = (path.parent(), path.name()) {
        todo.entry(folder).or_default().insert(name.into(), edit);
    }
}

fn is_dropped_if_empty(todo: &Todo, folder: &TreePath) -> bool {
    let edit = folder.parent().zip(folder.name()).and_then(|(around, name)| todo.get(&around)?.get(name));
    matches!(edit, Some(Edit::DropIfEmpty))
}

/// The list of a folder; `None` where there is no folder.
fn list_of(load: &LoadTree<'_>, root: TreeId, folder: &TreePath) -> Result<Option<TreeId>> {
    if folder.is_root() {
        return Ok(Some(root));
    }
    Ok(find_with(load, root, folder)?.and_then(|entry| entry.tree()))
}

/// The entries of a folder, in order of name. A list that occurs twice is out of order, so none is read often.
fn entries_of(load: &LoadTree<'_>, folder: TreeId) -> Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut todo = vec![folder];
    while let Some(list) = todo.pop() {
        match load(list)? {
            Tree::Node { children, .. } => todo.extend(children.iter().rev().map(|child| child.id)),
            Tree::Leaf(part) => {
                if let (Some(last), Some(first)) = (entries.last(), part.first())
                    && last.name >= first.name
                {
                    return Err(Error::corrupt("read tree", folder, "lists of a split folder are out of order"));
                }
                entries.extend(part);
            }
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{BTreeSet, Edit, Entry, Tree, TreeId, TreePath, edited, entries_of, tree};
    use crate::format::tree::Kind;
    use crate::id::Digest;
    use crate::ops::fixture::{Bench, path};

    type Trees = BTreeMap<TreeId, Vec<u8>>;

    /// The tree of files at these paths, in order, all in `trees`; with the sum of the sizes.
    fn plant(trees: &mut Trees, files: &[&TreePath], depth: usize) -> (TreeId, u64) {
        let name = |file: &TreePath| -> Box<[u8]> { file.names().nth(depth).unwrap().into() };
        let mut entries = Vec::new();
        for inside in files.chunk_by(|one, other| name(one) == name(other)) {
            let (kind, size, id) = match inside {
                [file] if file.depth() == depth + 1 => (Kind::File, 1, Digest::of(file.as_bytes())),
                _ => {
                    let (id, size) = plant(trees, inside, depth + 1);
                    (Kind::Folder, size, id.0)
                }
            };
            entries.push(Entry { name: name(inside[0]), kind, mode: 0o644, size, id });
        }
        let encoded = tree::encode(&entries);
        let (id, size) = (encoded.id(), encoded.size);
        trees.extend(encoded.objects);
        (id, size)
    }

    /// Small folders and one that is split; folders go with the last thing in them, if that was said.
    #[test]
    fn entries_are_dropped_and_put_with_the_lists_around_them() {
        let bench = Bench::new();
        let many = (0..5_000).map(|number| path(format!("deep/many/{number:05}")));
        let few = ["a", "b/c/d", "b/e", "f/g/h", "f/g/i", "z/y"].map(path);
        let before: BTreeSet<TreePath> = few.into_iter().chain(many).collect();
        let mut trees = Trees::new();
        let (root, _) = plant(&mut trees, &before.iter().collect::<Vec<_>>(), 0);
        assert!(trees.values().any(|bytes| matches!(tree::decode(bytes), Ok(Tree::Node { .. }))), "one is split");
        let dropped =
            ["a", "b/c", "b/c/d", "f", "f/g", "f/g/h", "deep/many/00077", "none/at/all", "z", "z/y"].map(path);
        let edits = dropped.iter().map(|path| (path.clone(), Edit::DropIfEmpty));
        let load = |id: TreeId| Ok(tree::decode(&trees[&id]).unwrap());
        let found = edited(&bench.store, None, &load, root, edits).unwrap();
        let gone = ["a", "b/c", "b/c/d", "deep/many/00077", "f/g/h", "z", "z/y"].map(path);
        assert_eq!(found.gone, gone.into_iter().collect());
        let after: Vec<&TreePath> = before.iter().filter(|path| !found.gone.contains(path)).collect();
        let mut wanted = Trees::new();
        assert_eq!(found.root, plant(&mut wanted, &after, 0).0);
        let new: BTreeSet<TreeId> = found.objects.iter().map(|object| TreeId(object.id)).collect();
        assert!(wanted.keys().all(|id| new.contains(id) || trees.contains_key(id)));
        // Another content, back to the first one; what is not there is not put.
        let id = Digest::of(b"other");
        let put = |path: &TreePath| {
            (path.clone(), Edit::Put(Entry { name: b"x"[..].into(), kind: Kind::File, mode: 0o600, size: 1, id }))
        };
        let found = edited(&bench.store, None, &load, root, [put(&path("f/g/h")), put(&path("f/new"))]).unwrap();
        assert_eq!((found.objects.len(), found.gone.len()), (3, 0));
        let lists: Trees = found.objects.iter().map(|object| (TreeId(object.id), object.bytes.clone())).collect();
        let load = |id: TreeId| Ok(tree::decode(lists.get(&id).unwrap_or_else(|| &trees[&id])).unwrap());
        let entry = crate::ops::look::ls::find_with(&load, found.root, &path("f/g/h")).unwrap().unwrap();
        assert_eq!((entry.mode, entry.id, &*entry.name), (0o600, id, &b"h"[..]));
        assert_eq!(entries_of(&load, found.root).unwrap().len(), 5);
    }
}
