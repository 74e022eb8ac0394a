//! A live folder as it was a moment ago, and what can be asked and changed about it.

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

/// A live folder as it was a moment ago.
#[derive(Debug)]
pub struct Captured {
    /// Its tree.
    pub root: TreeId,
    /// Permission bits of the root folder, as they are true without its ACL.
    pub root_mode: u16,
    /// Owner of the root folder.
    pub root_owner: Owner,
    /// Owners, ACLs and other attributes of the paths that have any, encoded.
    pub attributes: Vec<u8>,
    /// Paths that the tree does not hold, or not exactly.
    pub omitted: Vec<Omission>,
    /// Paths that were left out.
    pub excluded: Vec<Exclusion>,
    /// Of these, the ones that a snapshot has to list, encoded: see the module `left_out`.
    pub left_out: Vec<u8>,
    /// Files that were left out because `only` does not name them; not those in folders that are.
    pub unselected_count: u64,
    /// Of the excluded paths, the folders that are left alone whatever the rules say.
    pub protected: Vec<ProtectedFolder>,
    /// Files of git's that could not be followed.
    pub git_notices: Vec<GitNotice>,
    /// Numbers of files, folders and bytes.
    pub counts: CaptureCounts,
    /// Files that were read, and why.
    pub read: ReadSummary,
    /// Folders where file systems begin on which changes may leave no trace.
    pub weak: Vec<WeakFolder>,
    /// The rules that were in force.
    pub rules: Arc<Rules>,
    /// Paths that are in it only because a state that may be put here has something in their place.
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
    /// One list of a folder, of this capture or of the store.
    pub fn load(&self, store: &Store, id: TreeId) -> Result<Tree> {
        match self.trees.get(&id) {
            Some(bytes) => tree::decode(bytes).map_err(|e| e.during("read tree", id)),
            None => store.tree(id),
        }
    }

    /// Returns whether it would not have a path because that, or a folder that it is in, was left out, or is too large
    /// for the settings.
    pub(in crate::ops) fn leaves_out(&self, path: &TreePath, is_folder: bool) -> bool {
        let omitted = || self.omitted.binary_search_by(|one| one.path.cmp(path)).map(|at| self.omitted[at].reason);
        is_within_one(&self.excluded, path)
            || self.rules.is_unselected(path, is_folder)
            || omitted() == Ok(Reason::TooLarge)
    }

    /// Returns whether it is as a snapshot has it. Where nothing is known of owners and attributes, as in an imported
    /// history, they make no difference.
    pub(in crate::ops) fn is_at(&self, snapshot: &Snapshot) -> bool {
        (snapshot.root, snapshot.root_mode) == (self.root, self.root_mode) && self.has_attributes_of(snapshot)
    }

    /// Returns whether owners, ACLs and other attributes are as a snapshot has them, or it has none.
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

    /// The time at which a file or symlink was modified, as far as its stat said.
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

    /// Writes the stat cache, once everything it names is durable, and where the rolling re-read goes on. What cannot
    /// be written costs the next capture a reading, and nothing else: the snapshot stands, so there is no error to
    /// report.
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

    /// Returns whether a path is captured only because a state that may be put here has something in its place.
    pub(in crate::ops) fn is_for_target(&self, path: &TreePath) -> bool {
        self.for_targets.contains(path)
    }

    /// Returns whether any path is captured only for the sake of what is put here.
    pub(in crate::ops) fn has_paths_for_target(&self) -> bool {
        !self.for_targets.is_empty()
    }

    /// Returns whether all paths that are captured only for the sake of what is put here are in the way of `target`.
    pub(in crate::ops) fn is_around(&self, store: &Store, target: TreeId) -> bool {
        self.for_targets.iter().all(|path| replaced_at(store, target, path).is_some())
    }
}

/// Returns whether a path, or a folder that it is in, is one of these.
pub(super) fn is_within_one(excluded: &[Exclusion], path: &TreePath) -> bool {
    let is_one = |path: TreePath| excluded.binary_search_by(|one| one.path.cmp(&path)).is_ok();
    !excluded.is_empty() && std::iter::successors(Some(path.clone()), TreePath::parent).any(is_one)
}
