//! Builds the trees of changed folders and of all folders above them, deepest first.
//!
//! A folder whose own list is as cached, with a changed folder below it, takes its entries from the stat cache. All
//! other folders keep their cached trees, and are not visited.

use std::collections::{BTreeMap, BTreeSet};

use super::bases::new_objects;
use super::is_there;
use super::take::{TakenEntry, TakenFolder};
use crate::error::Result;
use crate::format::attributes::{Owner, acl, decode_set};
use crate::format::pack::ObjectKind;
use crate::format::tree::{self, Entry, EntryKind};
use crate::id::TreeId;
use crate::path::TreePath;
use crate::store::{Batch, NewObject, Store};
use crate::workspace::cache::{
    CacheEntry, CacheUpdate, CachedEntry, CachedFolder, ChildUpdate, EntriesUpdate, FolderFacts, FolderUpdate, Proof,
    StatCache,
};
use crate::workspace::stat::RacyRule;

/// Everything that trees are built from.
pub(super) struct Parts {
    /// Folders whose list is not the cached one.
    pub(super) folders: BTreeMap<TreePath, TakenFolder>,
    /// Files that are settled now, in other folders.
    pub(super) settled: BTreeMap<TreePath, BTreeSet<Box<[u8]>>>,
    pub(super) racy: RacyRule,
    pub(super) file_count: u64,
    pub(super) root_owner: Owner,
}

/// The trees.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) root: TreeId,
    /// Trees that the store did not have.
    pub(super) trees: BTreeMap<TreeId, Vec<u8>>,
    pub(super) update: CacheUpdate,
}

/// Folders built so far.
type Done = BTreeMap<TreePath, Below>;

/// The facts about a folder in its parent's list.
#[derive(Clone, Copy)]
struct Below {
    tree: TreeId,
    size: u64,
    has_attributes: bool,
}

/// Builds the trees. `None` if the stat cache names an object that the store does not have.
pub(super) fn assemble(
    store: &Store,
    cache: &StatCache,
    parts: Parts,
    mut batch: Option<&mut Batch<'_>>,
) -> Result<Option<Built>> {
    let Parts { folders, settled, racy, file_count, root_owner } = parts;
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
    let mut update = CacheUpdate { file_count, root_owner, settled, folders: BTreeMap::new() };
    let mut objects: Vec<NewObject> = Vec::new();
    while let Some((path, folder)) = todo.pop_last() {
        let cached = cache.folder(&path);
        let listed = match (folder, &cached) {
            (Some(folder), _) => list_taken(store, batch.as_deref(), cache, &path, folder, &done, &racy),
            (None, Some(cached)) => list_cached(cached, &path, &done),
            (None, None) => None,
        };
        let Some(Listed { entries, device, has_attributes, update: entries_update }) = listed else { return Ok(None) };
        let encoded = tree::encode(&entries);
        let (id, size) = (encoded.id(), encoded.size);
        let new = new_objects(store, batch.as_deref(), encoded, cached.as_ref().map(CachedFolder::tree))?;
        trees.extend(new.iter().map(|object| (TreeId(object.id), object.bytes.clone())));
        objects.extend(new);
        done.insert(path.clone(), Below { tree: id, size, has_attributes });
        let facts = FolderFacts { tree: id, size, device, has_attributes };
        update.folders.insert(path, FolderUpdate { facts, entries: entries_update });
    }
    if let Some(batch) = batch.as_deref_mut() {
        batch.add(objects)?;
    }
    let root = done.get(&TreePath::root()).map(|below| below.tree).or_else(|| cache.root());
    let root = root.filter(|id| trees.contains_key(id) || is_there(store, batch.as_deref(), ObjectKind::Tree, &id.0));
    Ok(root.map(|root| Built { root, trees, update }))
}

/// A folder's entries, for its tree and for the cache.
struct Listed {
    entries: Vec<Entry>,
    device: u64,
    /// True if any of them, or anything below one, has attributes.
    has_attributes: bool,
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
    let mut has_attributes = false;
    for TakenEntry { name, kind, mode, stat, size, id, attributes, proof, is_torn, is_quiet } in folder.entries {
        let mut has_attributes_below = false;
        let (id, size) = match id {
            Some(id) => (id, size),
            None => {
                let below = folder_below(store, batch, cache, &path.join(&name), done)?;
                has_attributes_below = below.has_attributes;
                (below.tree.0, below.size)
            }
        };
        has_attributes |= has_attributes_below || !attributes.is_empty();
        entries.push(Entry { name: name.clone(), kind, mode: mode_in_tree(mode, &attributes)?, size, id });
        let seen = || if is_torn { Proof::Racy } else { racy.proof_when(is_quiet, &stat) };
        let proof = proof.unwrap_or_else(seen);
        remembered.push(CacheEntry { name, kind, mode, size, stat, proof, id, attributes, has_attributes_below });
    }
    Some(Listed { entries, device: folder.device, has_attributes, update: EntriesUpdate::Whole(remembered) })
}

/// The tree of a folder: built just now, or the cached one if the store has it.
fn folder_below(
    store: &Store,
    batch: Option<&Batch<'_>>,
    cache: &StatCache,
    path: &TreePath,
    done: &Done,
) -> Option<Below> {
    if let Some(below) = done.get(path) {
        return Some(*below);
    }
    let FolderFacts { tree, size, has_attributes, .. } = cache.folder(path)?.facts();
    is_there(store, batch, ObjectKind::Tree, &tree.0).then_some(Below { tree, size, has_attributes })
}

/// The permission bits in a tree: those without the ACL. `None` for attributes that no capture wrote.
pub(super) fn mode_in_tree(mode: u16, attributes: &[u8]) -> Option<u16> {
    if attributes.is_empty() {
        return Some(mode);
    }
    let attributes = decode_set(attributes).ok()?;
    Some(attributes.access_acl().map_or(mode, |acl| acl::mode_without(mode, acl)))
}

/// The cached entries of a folder. `None` for attributes that no capture wrote.
fn list_cached(cached: &CachedFolder<'_>, path: &TreePath, done: &Done) -> Option<Listed> {
    let mut children = Vec::new();
    let mut has_attributes = false;
    let entry = |entry: CachedEntry<'_>| {
        let mut below = Below { tree: TreeId(entry.id), size: entry.size, has_attributes: entry.has_attributes_below };
        let built = (entry.kind == EntryKind::Folder).then(|| done.get(&path.join(entry.name))).flatten();
        if let Some(built) = built {
            below = *built;
            let Below { tree, size, has_attributes } = below;
            children.push(ChildUpdate { name: entry.name.into(), tree, size, has_attributes });
        }
        has_attributes |= below.has_attributes || !entry.attributes.is_empty();
        let mode = mode_in_tree(entry.mode, entry.attributes)?;
        Some(Entry { name: entry.name.into(), kind: entry.kind, mode, size: below.size, id: below.tree.0 })
    };
    let entries = cached.entries().map(entry).collect::<Option<_>>()?;
    let device = cached.facts().device;
    Some(Listed { entries, device, has_attributes, update: EntriesUpdate::Children(children) })
}
