//! The result of a capture.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::around::replaced_at;
use crate::error::Result;
use crate::format::attributes::{Owner, decode_list};
use crate::format::snapshot::{Omission, Reason, Snapshot};
use crate::format::tree::{self, Tree};
use crate::format::turn::{ReadSummary, Turn, TurnFile};
use crate::id::TreeId;
use crate::limits::READ_NOTABLE_BYTES;
use crate::ops::look::attributed::{Attributed, AttributedTree, is_attached};
use crate::path::TreePath;
use crate::store::Store;
use crate::time::Timestamp;
use crate::workspace::cache::{self, CacheUpdate, EntriesUpdate, StatCache};
use crate::workspace::git_notice::GitNotice;
use crate::workspace::rules::{Exclusion, Rules};
use crate::workspace::scan::{CaptureCounts, ProtectedFolder, WeakFolder};
use crate::workspace::turn;

/// A live folder as it was during its capture.
#[derive(Debug)]
pub struct Captured {
    /// Its tree.
    pub root: TreeId,
    /// Permission bits of the root folder without its ACL.
    pub root_mode: u16,
    /// Owner of the root folder.
    pub root_owner: Owner,
    /// Owners, ACLs and other attributes of the paths that have any, encoded.
    pub attributes: Vec<u8>,
    /// Paths that the tree does not hold, or not exactly.
    pub omitted: Vec<Omission>,
    /// Excluded paths, by path.
    pub excluded: Vec<Exclusion>,
    /// The excluded paths that a snapshot must list, encoded: see the module `excluded`.
    pub excluded_list: Vec<u8>,
    /// Number of files that `only` does not select, without those in excluded folders.
    pub unselected_count: u64,
    /// Excluded folders that are protected regardless of the rules.
    pub protected: Vec<ProtectedFolder>,
    /// Git's files that could not be used.
    pub git_notices: Vec<GitNotice>,
    /// Numbers of files, folders and bytes.
    pub counts: CaptureCounts,
    /// Files that were read, and why.
    pub read: ReadSummary,
    /// Folders at which file systems begin on which changes may leave no trace.
    pub weak: Vec<WeakFolder>,
    /// The rules that were in force.
    pub rules: Arc<Rules>,
    /// Paths that are captured only because a state that may be put here has something in their place.
    pub(super) for_targets: BTreeSet<TreePath>,
    /// Trees that the store did not have.
    pub(super) trees: BTreeMap<TreeId, Vec<u8>>,
    pub(super) cache: StatCache,
    pub(super) update: CacheUpdate,
    pub(super) turns: [Turn; 3],
    /// True if the stat cache was wrong about a file that only reading shows to have changed. It may be wrong about
    /// others.
    pub(super) is_cache_wrong: bool,
}

impl Captured {
    /// One list of a folder, from this capture or from the store.
    pub fn load(&self, store: &Store, id: TreeId) -> Result<Tree> {
        match self.trees.get(&id) {
            Some(bytes) => tree::decode(bytes).map_err(|e| e.during("read tree", id)),
            None => store.tree(id),
        }
    }

    /// Returns true if it cannot have a path: the path or a folder that it is in is excluded, or the file is too large
    /// for the settings.
    pub(in crate::ops) fn excludes(&self, path: &TreePath, is_folder: bool) -> bool {
        let omitted = || self.omitted.binary_search_by(|one| one.path.cmp(path)).map(|at| self.omitted[at].reason);
        is_within_one(&self.excluded, path)
            || self.rules.is_unselected(path, is_folder)
            || omitted() == Ok(Reason::TooLarge)
    }

    /// Returns true if it equals a snapshot. Owners and attributes that the snapshot does not know, as in an imported
    /// history, make no difference.
    pub(in crate::ops) fn is_at(&self, snapshot: &Snapshot) -> bool {
        (snapshot.root, snapshot.root_mode) == (self.root, self.root_mode) && self.has_attributes_of(snapshot)
    }

    /// Returns true if owners, ACLs and other attributes equal those of a snapshot, or the snapshot knows none.
    pub(in crate::ops) fn has_attributes_of(&self, snapshot: &Snapshot) -> bool {
        snapshot.root_owner.is_none()
            || (snapshot.root_owner == Some(self.root_owner) && is_attached(&snapshot.attributes, &self.attributes))
    }

    /// Its attributes.
    pub fn attributed(&self) -> Attributed {
        let list = decode_list(&self.attributes).expect("a list reads back as it was written");
        Attributed { root_owner: Some(self.root_owner), list }
    }

    /// Its tree and attributes.
    pub(in crate::ops) fn attributed_tree(&self) -> AttributedTree {
        AttributedTree { root: self.root, root_mode: self.root_mode, attributed: self.attributed() }
    }

    /// The modification time of a file or symlink, from its stat.
    pub fn modified(&self, path: &TreePath) -> Option<Timestamp> {
        let (folder, name) = (path.parent()?, path.name()?);
        if let Some(update) = self.update.folders.get(&folder)
            && let EntriesUpdate::Whole(entries) = &update.entries
        {
            let at = entries.binary_search_by(|entry| (*entry.name).cmp(name)).ok()?;
            return Some(Timestamp(entries[at].stat.mtime_ns));
        }
        self.cache.folder(&folder)?.find(name).map(|entry| Timestamp(entry.mtime_ns))
    }

    /// Writes the stat cache, once all objects it names are durable, and the position of the rolling re-read. A failure
    /// is no error: the snapshot stands, and the next capture only has to read more.
    pub fn remember(&self, store: &Store) {
        let read =
            if self.read.total().bytes < READ_NOTABLE_BYTES { ReadSummary::default() } else { self.read.clone() };
        let file = TurnFile { turns: self.turns, read };
        drop(match self.is_cache_wrong {
            false => cache::store(store.disk(), &self.cache, &self.update).map(drop),
            true => cache::forget(store.disk(), self.cache.key().workspace),
        });
        drop(turn::store(store.disk(), self.cache.key().workspace, &file));
    }

    /// Returns true if a path is captured only because a state that may be put here has something in its place.
    pub(in crate::ops) fn is_for_target(&self, path: &TreePath) -> bool {
        self.for_targets.contains(path)
    }

    /// Returns true if any path is captured only because a state that may be put here has something in its place.
    pub(in crate::ops) fn has_paths_for_target(&self) -> bool {
        !self.for_targets.is_empty()
    }

    /// Returns true if `target` has something in the place of every path that is captured only for that reason.
    pub(in crate::ops) fn is_around(&self, store: &Store, target: TreeId) -> bool {
        self.for_targets.iter().all(|path| replaced_at(store, target, path).is_some())
    }
}

/// Returns true if a path, or a folder that it is in, is excluded.
pub(super) fn is_within_one(excluded: &[Exclusion], path: &TreePath) -> bool {
    let is_one = |path: TreePath| excluded.binary_search_by(|one| one.path.cmp(&path)).is_ok();
    !excluded.is_empty() && std::iter::successors(Some(path.clone()), TreePath::parent).any(is_one)
}
