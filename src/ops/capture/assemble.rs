//! Builds the trees of changed folders and of all folders above them, deepest first.
//!
//! A folder whose list is the cached one but that has a changed folder below it takes its entries from the cache. All
//! other folders keep the tree that the cache has for them, and are not looked at.

use std::collections::BTreeMap;

use super::bases::new_objects;
use super::is_there;
use super::take::{Taken, TakenEntry, TakenFolder};
use crate::error::Result;
use crate::format::pack::ObjectKind;
use crate::format::tree::{self, Entry, Kind};
use crate::id::{Digest, TreeId};
use crate::path::TreePath;
use crate::store::{Batch, NewObject, Store};
use crate::workspace::cache::{
    CacheEntry, CacheUpdate, CachedFolder, ChildUpdate, EntriesUpdate, FolderFacts, FolderUpdate, StatCache,
};
use crate::workspace::stat::RacyRule;

/// The trees.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) root: TreeId,
    /// Those that the store did not have.
    pub(super) trees: BTreeMap<TreeId, Vec<u8>>,
    pub(super) update: CacheUpdate,
}

/// Trees and sizes of folders built so far.
type Done = BTreeMap<TreePath, (TreeId, u64)>;

/// `None` when the cache names something that the store does not have.
pub(super) fn assemble(
    store: &Store,
    cache: &StatCache,
    taken: Taken,
    file_count: u64,
    mut batch: Option<&mut Batch<'_>>,
) -> Result<Option<Built>> {
    let Taken { folders, racy, .. } = taken;
    let mut todo: BTreeMap<TreePath, Option<TakenFolder>> = BTreeMap::new();
    for (path, folder) in folders {
        let mut above = path.parent();
        while let Some(parent) = above {
            if todo.contains_key(&parent) {
                break;
            }
            above = parent.parent();
            todo.insert(parent, None);
        }
        todo.insert(path, Some(folder));
    }
    let mut done = Done::new();
    let mut trees = BTreeMap::new();
    let mut update = CacheUpdate { file_count, ..CacheUpdate::default() };
    let mut objects: Vec<NewObject> = Vec::new();
    while let Some((path, folder)) = todo.pop_last() {
        let cached = cache.folder(&path);
        let listed = match (folder, &cached) {
            (Some(folder), _) => list_taken(store, batch.as_deref(), cache, &path, folder, &done, &racy),
            (None, Some(cached)) => Some(list_cached(cached, &path, &done)),
            (None, None) => None,
        };
        let Some(Listed { entries, device, update: entries_update }) = listed else { return Ok(None) };
        let encoded = tree::encode(&entries);
        let (id, size) = (encoded.id(), encoded.size);
        let new = new_objects(store, encoded, cached.as_ref().map(CachedFolder::tree))?;
        trees.extend(new.iter().map(|object| (TreeId(object.id), object.bytes.clone())));
        objects.extend(new);
        done.insert(path.clone(), (id, size));
        update
            .folders
            .insert(path, FolderUpdate { facts: FolderFacts { tree: id, size, device }, entries: entries_update });
    }
    if let Some(batch) = batch.as_deref_mut() {
        batch.add(objects)?;
    }
    let root = done.get(&TreePath::root()).map(|(id, _)| *id).or_else(|| cache.root());
    let root = root.filter(|id| trees.contains_key(id) || is_there(store, batch.as_deref(), ObjectKind::Tree, &id.0));
    Ok(root.map(|root| Built { root, trees, update }))
}

/// A folder's entries, for its tree and for the cache.
struct Listed {
    entries: Vec<Entry>,
    device: u64,
    update: EntriesUpdate,
}

fn list_taken(
    store: &Store,
    batch: Option<&Batch<'_>>,
    cache: &StatCache,
    path: &TreePath,
    folder: TakenFolder,
    done: &Done,
    racy: &RacyRule,
) -> Option<Listed> {
    let mut entries = Vec::with_capacity(folder.entries.len());
    let mut remembered = Vec::with_capacity(folder.entries.len());
    for TakenEntry { name, kind, mode, stat, size, id, is_torn } in folder.entries {
        let (id, size) = match id {
            Some(id) => (id, size),
            None => folder_below(store, batch, cache, &path.join(&name), done)?,
        };
        entries.push(Entry { name: name.clone(), kind, mode, size, id });
        let is_racy = is_torn || racy.is_racy(&stat);
        remembered.push(CacheEntry { name, kind, mode, size, stat, is_racy, id });
    }
    Some(Listed { entries, device: folder.device, update: EntriesUpdate::Whole(remembered) })
}

/// The tree of a folder: built just now, or as cached, if the store has it.
fn folder_below(
    store: &Store,
    batch: Option<&Batch<'_>>,
    cache: &StatCache,
    path: &TreePath,
    done: &Done,
) -> Option<(Digest, u64)> {
    if let Some((id, size)) = done.get(path) {
        return Some((id.0, *size));
    }
    let facts = cache.folder(path)?.facts();
    is_there(store, batch, ObjectKind::Tree, &facts.tree.0).then_some((facts.tree.0, facts.size))
}

fn list_cached(cached: &CachedFolder<'_>, path: &TreePath, done: &Done) -> Listed {
    let mut children = Vec::new();
    let entry = |entry: crate::workspace::cache::CachedEntry<'_>| {
        let built = (entry.kind == Kind::Folder).then(|| done.get(&path.join(entry.name))).flatten();
        let (id, size) = built.map_or((entry.id, entry.size), |(id, size)| (id.0, *size));
        if built.is_some() {
            children.push(ChildUpdate { name: entry.name.into(), tree: TreeId(id), size });
        }
        Entry { name: entry.name.into(), kind: entry.kind, mode: entry.mode, size, id }
    };
    let entries = cached.entries().map(entry).collect();
    Listed { entries, device: cached.facts().device, update: EntriesUpdate::Children(children) }
}
