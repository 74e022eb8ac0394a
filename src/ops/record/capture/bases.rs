//! Pairs each new list of a folder with the list of its last tree that it is probably like.
//!
//! A small folder has one list, and had one before. In a split folder, a new list is paired with the old list of the
//! same level that began at the same name, or at the last name before it.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::format::pack::ObjectKind;
use crate::format::tree::{EncodedTree, Tree, decode};
use crate::id::{Digest, TreeId};
use crate::store::{Batch, FolderCursor, ListRef, NewObject, Store};

/// Lists of an old folder by level and first name; the list that begins the folder has an empty name.
type Lists = BTreeMap<(u8, Vec<u8>), TreeId>;

/// The objects of a folder that are not stored (for `batch`, if there is one), each with the object that it is probably
/// like.
pub(super) fn new_objects(
    store: &Store,
    batch: Option<&Batch<'_>>,
    encoded: EncodedTree,
    previous: Option<TreeId>,
) -> Result<Vec<NewObject>> {
    let contains = |id: &Digest| match batch {
        Some(batch) => batch.is_stored(ObjectKind::Tree, id),
        None => store.contains(ObjectKind::Tree, id),
    };
    let new: Vec<(TreeId, Vec<u8>)> = encoded.objects.into_iter().filter(|(id, _)| !contains(&id.0)).collect();
    let object = |(id, bytes): (TreeId, Vec<u8>), previous: Option<Digest>| NewObject {
        kind: ObjectKind::Tree,
        id: id.0,
        bytes,
        previous,
    };
    if new.len() <= 1 && !new.iter().any(|(_, bytes)| bytes.first() != Some(&0)) {
        let previous = previous.filter(|id| store.contains(ObjectKind::Tree, &id.0));
        return Ok(new.into_iter().map(|list| object(list, previous.map(|id| id.0))).collect());
    }
    let lists = previous.map(|id| lists_of(store, id)).unwrap_or_default();
    let mut objects = Vec::with_capacity(new.len());
    for (id, bytes) in new {
        let place = decode(&bytes).map(|tree| place_of(&tree)).map_err(|e| e.during("read tree", id))?;
        let (level, _) = place;
        let before = lists.range((level, Vec::new())..=place).next_back();
        objects.push(object((id, bytes), before.map(|(_, id)| id.0)));
    }
    Ok(objects)
}

/// All lists of a folder. Unreadable lists are missing; they would only have made a delta smaller.
fn lists_of(store: &Store, folder: TreeId) -> Lists {
    let mut lists = Lists::new();
    let load = |id| store.tree(id);
    let Ok(mut left) = FolderCursor::new(&load, folder) else { return lists };
    while let Some(ListRef { id, level, first_name }) = left.peek().cloned() {
        lists.insert((level, first_name.to_vec()), id);
        // Lists of entries need not be opened: their parent says where each begins.
        if level == 0 { left.skip() } else { drop(left.enter()) }
    }
    lists
}

fn place_of(tree: &Tree) -> (u8, Vec<u8>) {
    match tree {
        Tree::Leaf(entries) => (0, entries.first().map(|entry| entry.name.to_vec()).unwrap_or_default()),
        Tree::Node { level, children } => {
            (*level, children.first().map(|child| child.first_name.to_vec()).unwrap_or_default())
        }
    }
}
