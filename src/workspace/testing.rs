//! A miniature of a capture, for tests: scan, read, trees, cache; no store.
//!
//! [`Bench::capture`] uses the cache as the real operation does, [`Bench::truth`] reads everything. Both must give the
//! same root tree, whatever a test did to the files or to the cache.

#![expect(clippy::disallowed_methods, reason = "tests make their own workspaces")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::beneath::Root;
use super::cache::{
    self, CacheEntry, CacheKey, CacheUpdate, ChildUpdate, EntriesUpdate, FolderFacts, FolderUpdate, Proof, StatCache,
    Stored,
};
use super::read::{self, Folder, OpenedFile, Outcome};
use super::rules::{RuleOptions, Rules};
use super::scan::{self, EntryState, Scan, ScanOptions, ScannedEntry, ScannedFolder};
use crate::disk::local::LocalDisk;
use crate::disk::{Disk, FileClock};
use crate::format::tree::{self, Entry, EntryKind};
use crate::id::{Digest, StoreId, TreeId, WorkspaceId};
use crate::path::TreePath;
use crate::progress::Silent;

#[path = "../../tests/it/support/depth.rs"]
#[allow(dead_code, reason = "the integration tests need more of it")]
pub(crate) mod depth;

/// A workspace, and a store folder that contains only a cache.
pub(super) struct Bench {
    _home: tempfile::TempDir,
    pub(super) path: PathBuf,
    pub(super) root: Root,
    pub(super) disk: LocalDisk,
    pub(super) key: CacheKey,
    pub(super) rules: Rules,
}

/// The result of a capture.
pub(super) struct Captured {
    pub(super) root: TreeId,
    pub(super) update: CacheUpdate,
    /// Files and symlinks whose content was read.
    pub(super) read: BTreeSet<String>,
    pub(super) scan: Scan,
}

impl Bench {
    pub(super) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("ws");
        std::fs::create_dir(&path).unwrap();
        let disk = LocalDisk::create(&home.path().join("store")).unwrap();
        let key = CacheKey { store: StoreId([1; 16]), workspace: WorkspaceId([2; 16]), generation: 3 };
        let root = Root::open(&path).unwrap();
        Self { path, root, disk, key, rules: Rules::new(&RuleOptions::default()).unwrap(), _home: home }
    }

    /// Writes a file, and the folders it is in.
    pub(super) fn write(&self, path: &str, content: &[u8]) {
        let path = self.path.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(super) fn remove(&self, path: &str) {
        std::fs::remove_file(self.path.join(path)).unwrap();
    }

    pub(super) fn cache_path(&self) -> PathBuf {
        self.disk.root().join(format!("workspaces/{}/stat", self.key.workspace))
    }

    /// Replaces the cache file, so that an existing map of the old one stays valid.
    pub(super) fn replace_cache(&self, bytes: &[u8]) {
        std::fs::create_dir_all(self.cache_path().parent().unwrap()).unwrap();
        let other = self.disk.root().join("replacement");
        std::fs::write(&other, bytes).unwrap();
        std::fs::rename(other, self.cache_path()).unwrap();
    }

    pub(super) fn load(&self) -> StatCache {
        StatCache::load(&self.disk, self.key)
    }

    pub(super) fn scan_with(&self, cache: &StatCache, clock: FileClock) -> Scan {
        let options = ScanOptions::new(&self.rules, clock, &Silent);
        scan::scan(&self.root, cache, &options).unwrap()
    }

    /// Scans as the next capture would, changing nothing.
    pub(super) fn scan(&self) -> Scan {
        self.scan_with(&self.load(), self.disk.file_clock().unwrap())
    }

    /// Captures with the cache, and writes the cache.
    pub(super) fn capture(&self) -> (Captured, Stored) {
        let cache = self.load();
        let captured = self.compute(&cache);
        let stored = cache::store(&self.disk, &cache, &captured.update).unwrap();
        (captured, stored)
    }

    /// Captures with a given cache, and writes nothing.
    pub(super) fn compute(&self, cache: &StatCache) -> Captured {
        self.compute_with(cache, self.disk.file_clock().unwrap())
    }

    /// The root tree, without any cache.
    pub(super) fn truth(&self) -> TreeId {
        self.compute(&StatCache::empty(self.key)).root
    }

    /// Waits until all files written so far are older than the next probe.
    pub(super) fn settle(&self) {
        let before = self.disk.file_clock().unwrap();
        while self.disk.file_clock().unwrap() == before {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    pub(super) fn compute_with(&self, cache: &StatCache, clock: FileClock) -> Captured {
        let scan = self.scan_with(cache, clock);
        let mut read = BTreeSet::new();
        let mut folders: BTreeMap<TreePath, FolderUpdate> = BTreeMap::new();
        let mut waiting: BTreeSet<TreePath> = scan.folders.keys().cloned().collect();
        // The last path is the deepest of its branch, so children come before their parents.
        while let Some(path) = waiting.pop_last() {
            let update = match scan.folders.get(&path) {
                Some(scanned) => self.rebuild(cache, &scan, &path, scanned, &folders, &mut read),
                None => renew(cache, &path, &folders),
            };
            let is_new_tree = cache.folder(&path).is_none_or(|cached| cached.tree() != update.facts.tree);
            if let Some(parent) = path.parent().filter(|_| is_new_tree) {
                waiting.insert(parent);
            }
            folders.insert(path, update);
        }
        let root = folders.get(&TreePath::root()).map(|folder| folder.facts.tree);
        let root = root.or_else(|| cache.root()).unwrap();
        Captured {
            root,
            update: CacheUpdate {
                folders,
                settled: BTreeMap::new(),
                file_count: scan.counts.files,
                root_owner: scan.root_owner,
            },
            read,
            scan,
        }
    }

    fn rebuild(
        &self,
        cache: &StatCache,
        scan: &Scan,
        path: &TreePath,
        scanned: &ScannedFolder,
        done: &BTreeMap<TreePath, FolderUpdate>,
        read: &mut BTreeSet<String>,
    ) -> FolderUpdate {
        let Outcome::Read(folder) = Folder::open(&self.root, path).unwrap() else { panic!("{path} is gone") };
        let entry = |entry: &ScannedEntry| {
            let child = path.join(&entry.name);
            let mut line = CacheEntry {
                name: entry.name.clone(),
                kind: entry.kind,
                mode: entry.mode,
                size: entry.stat.size,
                stat: entry.stat,
                proof: scan.racy.proof(&entry.stat),
                id: Digest::default(),
                attributes: Box::default(),
                has_attributes_below: false,
            };
            match entry.state {
                EntryState::Known { id, proof } => (line.id, line.proof) = (id, proof),
                EntryState::Renumbered { .. } => panic!("no scan ends with one"),
                EntryState::Folder { .. } => {
                    let facts = done.get(&child).map(|done| done.facts);
                    let facts = facts.or_else(|| cache.folder(&child).map(|cached| cached.facts())).unwrap();
                    (line.id, line.size) = (facts.tree.0, facts.size);
                }
                EntryState::Read { .. } => {
                    read.insert(child.to_string());
                    take_content(&folder, &mut line, scan);
                }
            }
            line
        };
        let entries: Vec<CacheEntry> = scanned.entries.iter().map(entry).collect();
        let (tree, size) =
            tree_of(entries.iter().map(|entry| (&*entry.name, entry.kind, entry.mode, entry.size, entry.id)));
        FolderUpdate {
            facts: FolderFacts { tree, size, device: scanned.device, has_attributes: false },
            entries: EntriesUpdate::Whole(entries),
        }
    }
}

/// A folder as cached, except for the trees of its child folders.
fn renew(cache: &StatCache, path: &TreePath, done: &BTreeMap<TreePath, FolderUpdate>) -> FolderUpdate {
    let cached = cache.folder(path).unwrap();
    let mut children = Vec::new();
    let mut lines = Vec::new();
    for entry in cached.entries() {
        let changed = done.get(&path.join(entry.name)).map(|done| done.facts);
        if let Some(facts) = changed {
            let FolderFacts { tree, size, has_attributes, .. } = facts;
            children.push(ChildUpdate { name: entry.name.into(), tree, size, has_attributes });
        }
        let (size, id) = changed.map_or((entry.size, entry.id), |facts| (facts.size, facts.tree.0));
        lines.push((entry.name, entry.kind, entry.mode, size, id));
    }
    let (tree, size) = tree_of(lines.into_iter());
    let facts = FolderFacts { tree, size, ..cached.facts() };
    FolderUpdate { facts, entries: EntriesUpdate::Children(children) }
}

fn take_content(folder: &Folder<'_>, line: &mut CacheEntry, scan: &Scan) {
    if line.kind == EntryKind::Symlink {
        let Outcome::Read(target) = read::read_symlink(folder, &line.name).unwrap() else { panic!("a link is gone") };
        (line.size, line.id) = (target.len() as u64, Digest::of(&target));
        return;
    }
    let opened = read::read_file(folder, &line.name, usize::MAX, read::Beside::Attributes).unwrap();
    let Outcome::Read(OpenedFile::Whole(file)) = opened else { panic!("a file is gone") };
    line.size = file.bytes.len() as u64;
    line.id = Digest::of(&file.bytes);
    line.proof = if file.facts.is_torn { Proof::Racy } else { scan.racy.proof(&file.facts.stat) };
    line.stat = file.facts.stat;
    line.mode = file.facts.mode;
}

fn tree_of<'a>(lines: impl Iterator<Item = (&'a [u8], EntryKind, u16, u64, Digest)>) -> (TreeId, u64) {
    let entries: Vec<Entry> =
        lines.map(|(name, kind, mode, size, id)| Entry { name: name.into(), kind, mode, size, id }).collect();
    let tree = tree::encode(&entries);
    (tree.id(), tree.size)
}

pub(super) fn tree_path(text: &str) -> TreePath {
    TreePath::new(text.as_bytes()).unwrap()
}

/// Sets the modification time of a file.
pub(super) fn set_mtime(path: &Path, time: std::time::SystemTime) {
    std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// Numbers that look random and are the same in every run (Knuth's MMIX generator).
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % bound as u64).unwrap()
    }
}
