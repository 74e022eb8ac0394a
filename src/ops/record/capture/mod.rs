//! The live folder as a tree: scan, read what may differ, build the folders above it.
//!
//! ```text
//! stat cache --\
//!               scan -> take (read, hash, store) -> assemble (trees, bottom up) -> root
//! live folder -/                                                \-> update for the stat cache
//! ```
//!
//! [`snap`](super::snap) and [`restore`](crate::ops::back) store what they take; [`status`](super::status) and
//! [`compare`](crate::ops::look::compare) only want to know, and nothing is written for them.
//!
//! Invariant: every id in the outcome's trees is in the store, in the batch, or (where nothing is stored) was just
//! computed. What the cache says is in the store is checked before it is relied on; if it is not there, the cache is
//! dropped and everything is read.

mod assemble;
mod attributes;
mod bases;
mod left_out;
mod reread;
mod take;

use std::collections::BTreeMap;
use std::path::Path;

use assemble::Built;

use crate::disk::{Disk, FileClock, LockGuard, LockMode};
use crate::error::{Error, ErrorKind, Result};
use crate::format::attributes::{Owner, decode_list};
use crate::format::pack::ObjectKind;
use crate::format::snapshot::{Omission, Reason};
use crate::format::tree::{self, Entry, Kind, Tree};
use crate::format::turn::{ReadSummary, Turn, TurnFile};
use crate::id::{TreeId, WorkspaceId};
use crate::limits::READ_NOTABLE_BYTES;
use crate::path::TreePath;
use crate::progress::{Event, Progress};
use crate::store::{Batch, Store, Workspace};
use crate::time::Timestamp;
use crate::workspace;
use crate::workspace::beneath::Root;
use crate::workspace::cache::{self, CacheKey, CacheUpdate, EntriesUpdate, StatCache};
use crate::workspace::config::Config;
use crate::workspace::git_folders;
use crate::workspace::git_notice::GitNotice;
use crate::workspace::mounts;
use crate::workspace::places::{self, Place, Places};
use crate::workspace::rules::{Exclusion, RuleOptions, Rules};
use crate::workspace::scan::{self, CaptureCounts, EarlierAt, Protected, Scan, ScanOptions, WeakPlace};
use crate::workspace::turn;

use super::register::root_of;
use crate::ops::look::attributed::Attributed;
use crate::ops::look::ls::find;

/// How to look at a live folder.
#[derive(Clone, Copy)]
pub struct CaptureOptions<'a> {
    /// What `retro.toml` says.
    pub config: &'a Config,
    /// The user's home folder, which is not captured where it is met inside by another path.
    pub home: Option<&'a Path>,
    /// States whose paths are captured though the rules leave them out, or a cap does: those around a restore.
    pub wanted: [Option<TreeId>; 2],
    /// The paths that an earlier snapshot left out; they are left out again unless they are wanted.
    pub earlier: Option<&'a EarlierAt<'a>>,
    /// A state that a restore is going to put here: whatever is in the place of its paths is captured, too.
    pub replaced_by: Option<TreeId>,
    /// Now.
    pub now: Timestamp,
    /// Who watches.
    pub progress: &'a dyn Progress,
}

impl<'a> CaptureOptions<'a> {
    /// Captures by the rules alone.
    pub fn new(config: &'a Config, home: Option<&'a Path>, now: Timestamp, progress: &'a dyn Progress) -> Self {
        Self { config, home, wanted: [None; 2], earlier: None, replaced_by: None, now, progress }
    }
}

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
    /// What the tree does not hold, or not exactly.
    pub omitted: Vec<Omission>,
    /// What was left out.
    pub excluded: Vec<Exclusion>,
    /// Of that, what a snapshot has to list, encoded: see the module `left_out`.
    pub left_out: Vec<u8>,
    /// Files that were left out because `only` does not name them; not those in folders that are.
    pub unselected_count: u64,
    /// Of that, folders that are left alone whatever the rules say.
    pub protected: Vec<Protected>,
    /// Files of git's that could not be followed.
    pub git_notices: Vec<GitNotice>,
    /// How much there is.
    pub counts: CaptureCounts,
    /// What was read, and why.
    pub read: ReadSummary,
    /// Where file systems begin on which changes may leave no trace.
    pub weak: Vec<WeakPlace>,
    /// What was left out, and why.
    pub rules: Rules,
    /// Trees that the store did not have.
    trees: BTreeMap<TreeId, Vec<u8>>,
    cache: StatCache,
    update: CacheUpdate,
    turns: [Turn; 3],
}

/// Generation of the caches; raised when objects are deleted.
pub(in crate::ops) const GENERATION: u64 = 0;

/// Looks at the folder of a workspace, see [`open_root`]. Content and trees that are new go into `batch`; without one they
/// are only hashed.
pub fn capture(
    store: &Store,
    workspace: WorkspaceId,
    root: &Root,
    options: &CaptureOptions<'_>,
    batch: Option<&mut Batch<'_>>,
) -> Result<Captured> {
    capture_due(store, workspace, root, options, batch, None)
}

/// As [`capture`], but of these paths (of everything, if there are none) all is read that its stat does not prove
/// unchanged against memory maps, too.
pub(in crate::ops) fn capture_due(
    store: &Store,
    workspace: WorkspaceId,
    root: &Root,
    options: &CaptureOptions<'_>,
    batch: Option<&mut Batch<'_>>,
    due: Option<&[TreePath]>,
) -> Result<Captured> {
    let key = CacheKey { store: store.id(), workspace, generation: GENERATION };
    capture_from(store, root, options, batch, due, StatCache::load(store.disk(), key))
}

/// As [`capture`], but nothing is believed of what was seen before: every file is read.
pub(in crate::ops) fn capture_afresh(
    store: &Store,
    workspace: WorkspaceId,
    root: &Root,
    options: &CaptureOptions<'_>,
    batch: &mut Batch<'_>,
) -> Result<Captured> {
    let key = CacheKey { store: store.id(), workspace, generation: GENERATION };
    capture_from(store, root, options, Some(batch), None, StatCache::empty(key))
}

fn capture_from(
    store: &Store,
    root: &Root,
    options: &CaptureOptions<'_>,
    mut batch: Option<&mut Batch<'_>>,
    due: Option<&[TreePath]>,
    cache: StatCache,
) -> Result<Captured> {
    let mut rules = Rules::new(&options.config.capture.rule_options(Vec::new()))?;
    let key = cache.key();
    // W10. Where the store has lost what was captured last, as one that was put back to an older state has, it may have
    // lost anything below, too. What it has, it has with all that it refers to.
    let is_known = |root: TreeId| is_there(store, batch.as_deref(), ObjectKind::Tree, &root.0);
    let cache = if cache.root().is_none_or(is_known) { cache } else { StatCache::empty(key) };
    let had_cache = !cache.is_empty();
    let turns = turn::load(store.disk(), key.workspace).turns;
    let look = Look { store, root, rules: &rules, options, turns, due };
    let mut found = look.with(cache, batch.as_deref_mut())?;
    if found.is_none() && had_cache {
        found = look.with(StatCache::empty(key), batch)?;
    }
    let Some(seen) = found else {
        let path = crate::error::shown(root.path());
        let detail = "the store lost objects while the folder was read";
        return Err(Error::new(ErrorKind::Conflict, "capture", path, detail));
    };
    let Seen { built, cache, omitted, excluded, unselected_count, protected, git_notices, counts, .. } = seen;
    let Seen { root_mode, attributes, read, weak, turns, .. } = seen;
    let mounts: Vec<TreePath> =
        mounts::below(root).into_iter().filter(|mount| !is_within_one(&excluded, mount)).collect();
    if !protected.is_empty() || !mounts.is_empty() {
        // The list says of the protected paths, too, that nobody looked at what is there.
        let paths = protected.iter().map(|found| found.path.clone()).collect();
        rules = Rules::new(&RuleOptions { mounts, ..options.config.capture.rule_options(paths) })?;
    }
    let Built { root, trees, update } = built;
    let left_out = left_out::list(&excluded);
    Ok(Captured {
        root,
        root_mode,
        root_owner: update.root_owner,
        attributes,
        omitted,
        excluded,
        left_out,
        unselected_count,
        protected,
        git_notices,
        counts,
        read,
        weak,
        rules,
        trees,
        cache,
        update,
        turns,
    })
}

/// Opens the root folder of a workspace, and finds out which folders are left alone in it: the store's own, other
/// workspaces inside, those of git's that the root's `.git` names, and where they are met by another path, the home folder,
/// the root of the file system and the workspace itself.
///
/// A folder that is the store, or lies in it, is `Invalid`, whatever its path.
pub fn open_root(store: &Store, workspace: &Workspace, home: Option<&Path>) -> Result<Root> {
    let root = Root::open(&root_of(workspace)).map_err(|error| match error.kind() {
        ErrorKind::NotFound => error.with_hint("if the folder has moved, tell the store with `retro workspace move`"),
        _ => error,
    })?;
    let own = store.disk().places()?;
    if places::is_within(root.handle(), &own) {
        let path = crate::error::shown(root.path());
        return Err(Error::new(ErrorKind::Invalid, "open workspace", path, "it is retro's own store, or in it")
            .with_hint("a mount may have put the store there; `retro workspace list` shows the recorded folders"));
    }
    let mut around = Places::around(root.handle(), &own, home).map_err(|e| Error::io("look at", root.path(), e))?;
    for other in store.state().workspaces.values().filter(|other| other.id != workspace.id) {
        let path = root_of(other);
        let inside = path.starts_with(root.path()).then(|| places::identity(&path)).flatten();
        inside.into_iter().for_each(|folder| around.add(folder, Place::Workspace));
    }
    git_folders::known_at(&root).into_iter().for_each(|folder| around.add(folder, Place::VersionControl));
    Ok(root.sparing(around))
}

/// Takes the workspace's own lock: one process at a time captures into or restores a workspace. Released by death.
pub fn lock_workspace(store: &Store, workspace: WorkspaceId) -> Result<LockGuard> {
    let folder = format!("workspaces/{workspace}");
    store.disk().create_folder(&folder)?;
    let guard = store.disk().lock(&format!("{folder}/lock"), LockMode::Exclusive)?;
    Ok(guard.expect("only a try comes back without a lock"))
}

/// Whether a process captures into or restores a workspace right now.
pub fn is_in_use(disk: &dyn Disk, workspace: WorkspaceId) -> bool {
    let name = format!("workspaces/{workspace}/lock");
    // Asking for the lock would make its file.
    disk.open(&name).is_ok() && matches!(disk.lock(&name, LockMode::TryExclusive), Ok(None))
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

    /// Its attributes.
    pub fn attributed(&self) -> Attributed {
        let list = decode_list(&self.attributes).expect("a list reads back as it was written");
        Attributed { root_owner: Some(self.root_owner), list }
    }

    /// When a file or symlink was modified, as far as its stat said.
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

    /// Writes the stat cache, once everything it names is durable, and where the rolling re-read goes on. What cannot be
    /// written costs the next capture a reading, and nothing else: the snapshot stands, so there is no error to report.
    pub fn remember(&self, store: &Store) {
        let read =
            if self.read.total().bytes < READ_NOTABLE_BYTES { ReadSummary::default() } else { self.read.clone() };
        let file = TurnFile { turns: self.turns, read };
        drop(cache::store(store.disk(), &self.cache, &self.update));
        drop(turn::store(store.disk(), self.cache.key().workspace, &file));
    }
}

/// Returns whether a state that is put here has something at a path, or a file where one of the folders around it is.
fn is_replaced(path: &TreePath, find: &dyn Fn(&TreePath) -> Option<Entry>) -> bool {
    let mut around = std::iter::successors(Some(path.clone()), TreePath::parent).filter(|here| !here.is_root());
    let found = around.find_map(|here| find(&here).map(|entry| here == *path || entry.kind != Kind::Folder));
    found.unwrap_or(false)
}

/// Returns whether a path, or a folder that it is in, is one of these.
fn is_within_one(excluded: &[Exclusion], path: &TreePath) -> bool {
    let is_one = |path: TreePath| excluded.binary_search_by(|one| one.path.cmp(&path)).is_ok();
    !excluded.is_empty() && std::iter::successors(Some(path.clone()), TreePath::parent).any(is_one)
}

/// One attempt, made with one cache.
struct Seen {
    built: Built,
    cache: StatCache,
    omitted: Vec<Omission>,
    excluded: Vec<Exclusion>,
    unselected_count: u64,
    protected: Vec<Protected>,
    git_notices: Vec<GitNotice>,
    counts: CaptureCounts,
    root_mode: u16,
    attributes: Vec<u8>,
    read: ReadSummary,
    weak: Vec<WeakPlace>,
    turns: [Turn; 3],
}

/// What all attempts have in common.
struct Look<'a> {
    store: &'a Store,
    root: &'a Root,
    rules: &'a Rules,
    options: &'a CaptureOptions<'a>,
    turns: [Turn; 3],
    due: Option<&'a [TreePath]>,
}

impl Look<'_> {
    /// `None` when the cache names something that the store does not have, or its root folder had another owner.
    fn with(&self, cache: StatCache, mut batch: Option<&mut Batch<'_>>) -> Result<Option<Seen>> {
        let Self { store, root, rules, options, turns, due } = *self;
        let progress = options.progress;
        let wanted = |path: &[u8], is_folder: bool| {
            let Ok(path) = TreePath::new(path) else { return false };
            let find = |state: TreeId, path: &TreePath| find(store, state, path).ok().flatten();
            let mut found = options.wanted.iter().flatten().filter_map(|state| find(*state, &path));
            found.any(|entry| (entry.kind == Kind::Folder) == is_folder)
                || options.replaced_by.is_some_and(|state| is_replaced(&path, &|path| find(state, path)))
        };
        let scan_options = ScanOptions {
            rules,
            wanted: (options.wanted != [None; 2] || options.replaced_by.is_some()).then_some(&wanted),
            earlier: options.earlier,
            limits: options.config.capture.limits(),
            one_file_system: options.config.capture.one_file_system,
            // A store that cannot be written has no clock; then every stat counts as racy, and no cache is written either.
            clock: store.disk().file_clock().unwrap_or(FileClock { device: u64::MAX, time_ns: 0 }),
            turns,
            due,
            progress,
        };
        let mut scan = scan::scan(root, &cache, &scan_options)?;
        progress.event(Event::Scanned(scan.counts.files));
        let Scan { root_mode, root_owner, counts, unselected_count, .. } = scan;
        if cache.root_owner().is_some_and(|before| before != root_owner) {
            return Ok(None);
        }
        let of_root = workspace::attributes::read(root.handle());
        let is_cut_short = of_root.is_cut_short;
        let of_root = of_root.encoded(root_owner, root_owner);
        let root_mode = assemble::mode_in_tree(root_mode, &of_root).expect("a set reads back as it was written");
        let (excluded, protected) = (std::mem::take(&mut scan.excluded), std::mem::take(&mut scan.protected));
        let (weak, git_notices) = (std::mem::take(&mut scan.weak), std::mem::take(&mut scan.git_notices));
        let mut taken = take::take(store, root, &cache, scan, turns, progress, batch.as_deref_mut())?;
        let (mut omitted, read) = (std::mem::take(&mut taken.omitted), std::mem::take(&mut taken.read));
        if is_cut_short {
            omitted.insert(0, Omission { path: TreePath::root(), reason: Reason::Attributes });
        }
        let turns = taken.reread.turns;
        if taken.has_times_ahead()
            && let Ok(end) = store.disk().file_clock()
        {
            taken.racy.end_ns = end.time_ns;
        }
        let Some(built) = assemble::assemble(store, &cache, taken, counts.files, batch)? else { return Ok(None) };
        let Some(attributes) = attributes::collect(of_root, &cache, &built.update, &mut omitted) else {
            return Ok(None);
        };
        omitted.sort_by(|one, other| one.path.cmp(&other.path));
        omitted.dedup_by(|later, earlier| later.path == earlier.path);
        Ok(Some(Seen {
            built,
            cache,
            omitted,
            excluded,
            unselected_count,
            protected,
            git_notices,
            counts,
            root_mode,
            attributes,
            read,
            weak,
            turns,
        }))
    }
}

/// Whether an object that a tree refers to is there, or about to be.
fn is_there(store: &Store, batch: Option<&Batch<'_>>, kind: ObjectKind, id: &crate::id::Digest) -> bool {
    batch.map_or_else(|| store.contains(kind, id), |batch| batch.has(kind, id))
}
