//! The live folder as a tree: the first three stages of a snapshot, and the first of a restore.
//!
//! ```text
//! stat cache --\
//!               scan --> take ---------------> assemble --> Captured --> the snapshot, or the plan of a restore
//! live folder -/  |      (read, hash, store)   (trees, bottom up)   \--> update for the stat cache
//!                 reread (what the cache proves, in turn)
//! ```
//!
//! [`snap`](super::snap) and [`restore`](crate::ops::back) store the contents. For [`status`](super::status) and
//! [`compare`](crate::ops::look::compare) they are only hashed, and nothing is written. A restore names the states that
//! it may lead to (`around`), so that everything it may overwrite is captured at once.
//!
//! Invariant: every id in the captured trees is in the store, in the batch, or (if nothing is stored) was just
//! computed. An object that the stat cache names is looked up in the store first. If it is not there, the cache is
//! dropped and everything is read.

mod around;
mod assemble;
mod attributes;
mod bases;
mod captured;
mod confirm;
mod excluded;
mod reread;
mod take;

use std::path::Path;
use std::sync::Arc;

pub(in crate::ops) use around::Around;
pub use captured::Captured;
pub(in crate::ops) use confirm::changed;

use crate::disk::FileClock;
use crate::error::{Error, ErrorKind, Result, shown};
use crate::format::pack::ObjectKind;
use crate::format::snapshot::{Omission, Reason};
use crate::format::turn::{ReadSummary, Turn};
use crate::id::{Digest, WorkspaceId};
use crate::path::TreePath;
use crate::progress::{Event, Progress};
use crate::store::{Batch, Store};
use crate::workspace::attributes as live_attributes;
use crate::workspace::beneath::Root;
use crate::workspace::cache::{CacheKey, StatCache};
use crate::workspace::config::Config;
use crate::workspace::mounts;
use crate::workspace::rules::{RuleOptions, Rules};
use crate::workspace::scan::{self, Objection, ProtectedFolder, Scan, ScanOptions};
use crate::workspace::stat::RacyRule;
use crate::workspace::turn;
use around::Wanted;
use captured::is_within_one;

/// Options of a capture of a live folder.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct CaptureOptions<'a> {
    /// The settings of the folder.
    pub config: &'a Config,
    /// The user's home folder. It is not captured if it is met inside by another path.
    pub home: Option<&'a Path>,
    /// The receiver of progress events.
    pub progress: &'a dyn Progress,
}

impl<'a> CaptureOptions<'a> {
    /// Captures by the rules alone.
    pub fn new(config: &'a Config, home: Option<&'a Path>, progress: &'a dyn Progress) -> Self {
        Self { config, home, progress }
    }
}

/// Captures the folder of a workspace, see [`open_root`](super::folder::open_root). Content and trees that are new go
/// into `batch`; without one they are only hashed.
pub fn capture(
    store: &Store,
    workspace: WorkspaceId,
    root: &Root,
    options: &CaptureOptions<'_>,
    batch: Option<&mut Batch<'_>>,
) -> Result<Captured> {
    capture_around(store, workspace, root, options, &Around::default(), batch)
}

/// As [`capture`], around a restore.
pub(in crate::ops) fn capture_around(
    store: &Store,
    workspace: WorkspaceId,
    root: &Root,
    options: &CaptureOptions<'_>,
    around: &Around<'_>,
    batch: Option<&mut Batch<'_>>,
) -> Result<Captured> {
    let cache = StatCache::load(store.disk(), cache_key(store, workspace, batch.as_deref()));
    capture_with(store, root, options, around, cache, batch)
}

/// As [`capture`], but without the stat cache: every file is read.
pub(in crate::ops) fn capture_afresh(
    store: &Store,
    workspace: WorkspaceId,
    root: &Root,
    options: &CaptureOptions<'_>,
    batch: &mut Batch<'_>,
) -> Result<Captured> {
    let cache = StatCache::empty(cache_key(store, workspace, Some(batch)));
    capture_with(store, root, options, &Around::default(), cache, Some(batch))
}

fn cache_key(store: &Store, workspace: WorkspaceId, batch: Option<&Batch<'_>>) -> CacheKey {
    let generation = batch.map_or_else(|| store.state().generation, Batch::generation);
    CacheKey { store: store.id(), workspace, generation }
}

/// Everything that one capture needs but the stat cache.
struct Look<'a> {
    store: &'a Store,
    root: &'a Root,
    rules: Arc<Rules>,
    options: &'a CaptureOptions<'a>,
    around: &'a Around<'a>,
    turns: [Turn; 3],
}

/// Captures with a stat cache, or without one if that names an object that the store does not have.
fn capture_with(
    store: &Store,
    root: &Root,
    options: &CaptureOptions<'_>,
    around: &Around<'_>,
    cache: StatCache,
    mut batch: Option<&mut Batch<'_>>,
) -> Result<Captured> {
    let key = cache.key();
    let rules = Arc::new(Rules::new(&options.config.capture.rule_options(Vec::new()))?);
    let look = Look { store, root, rules, options, around, turns: turn::load(store.disk(), key.workspace).turns };
    // W10. A store that was put back to an older state lacks the newest capture, and may lack anything below it. An
    // object that it has, it has with everything that the object refers to.
    let is_known = cache.root().is_none_or(|root| is_there(store, batch.as_deref(), ObjectKind::Tree, &root.0));
    let mut caches = vec![StatCache::empty(key)];
    caches.extend(Some(cache).filter(|cache| is_known && !cache.is_empty()));
    while let Some(cache) = caches.pop() {
        if let Some(captured) = look.attempt(cache, batch.as_deref_mut())? {
            return Ok(captured);
        }
    }
    let detail = "the store lost objects while the folder was read";
    Err(Error::new(ErrorKind::Conflict, "capture", shown(root.path()), detail))
}

impl Look<'_> {
    /// The stages, one after another. `None` if the stat cache names an object that the store does not have, or a root
    /// folder of another owner.
    fn attempt(&self, cache: StatCache, mut batch: Option<&mut Batch<'_>>) -> Result<Option<Captured>> {
        let Self { store, root, options, turns, .. } = *self;
        let wanted = Wanted::new(store, self.around);
        let mut scan = self.scan(&cache, &wanted)?;
        if cache.root_owner().is_some_and(|before| before != scan.root_owner) {
            return Ok(None);
        }
        let of_root = live_attributes::read(root.handle());
        let is_cut_short = of_root.is_cut_short;
        let of_root = of_root.encoded(scan.root_owner, scan.root_owner);

        let mut read = ReadSummary::default();
        let reread = reread::reread(store, root, &cache, &mut scan, turns, &mut read)?;
        self.around.changed.iter().for_each(|path| reread::distrust(&cache, &mut scan, path));
        let folders = std::mem::take(&mut scan.folders);
        let taken =
            take::take(store, root, scan.root_owner, folders, options.progress, batch.as_deref_mut(), &mut read)?;
        let parts = assemble::Parts {
            racy: self.racy_rule(&scan, &taken),
            folders: taken.folders,
            settled: reread.settled,
            file_count: scan.counts.files,
            root_owner: scan.root_owner,
        };
        let Some(built) = assemble::assemble(store, &cache, parts, batch)? else { return Ok(None) };

        let protected: Vec<ProtectedFolder> = scan.protected().collect();
        let rules = self.rules_met(&scan, &protected)?;
        let cut_short = is_cut_short.then(|| Omission { path: TreePath::root(), reason: Reason::Attributes });
        let mut omitted: Vec<Omission> = cut_short.into_iter().chain(scan.omitted).chain(taken.omitted).collect();
        let root_mode = assemble::mode_in_tree(scan.root_mode, &of_root).expect("a set reads back as it was written");
        let Some(attributes) = attributes::collect(of_root, &cache, &built.update, &mut omitted) else {
            return Ok(None);
        };
        omitted.sort_by(|one, other| one.path.cmp(&other.path));
        omitted.dedup_by(|later, earlier| later.path == earlier.path);
        Ok(Some(Captured {
            root: built.root,
            root_mode,
            root_owner: built.update.root_owner,
            attributes,
            omitted,
            excluded_list: excluded::list(&scan.excluded),
            unselected_count: scan.unselected_count,
            rules,
            excluded: scan.excluded,
            protected,
            git_notices: scan.git_notices,
            counts: scan.counts,
            read,
            weak: scan.weak,
            for_targets: wanted.into_paths(),
            trees: built.trees,
            cache,
            update: built.update,
            turns: reread.turns,
            is_cache_wrong: !self.around.changed.is_empty(),
        }))
    }

    fn scan(&self, cache: &StatCache, wanted: &Wanted<'_>) -> Result<Scan> {
        let Self { store, options, around, .. } = self;
        let is_wanted = |path: &[u8], is_folder: bool, by: Objection| wanted.is_wanted(path, is_folder, by);
        let scan_options = ScanOptions {
            rules: &self.rules,
            wanted: (!wanted.is_nothing()).then_some(&is_wanted),
            earlier: around.earlier,
            limits: options.config.capture.limits(),
            one_file_system: options.config.capture.one_file_system,
            // A store that cannot be written has no clock. Every stat then counts as racy, and no stat cache is
            // written.
            clock: store.disk().file_clock().unwrap_or(FileClock { device: u64::MAX, time_ns: 0 }),
            turns: self.turns,
            // A restore promises that a file it leaves alone is as the step has it, so every doubtful stat is checked
            // by reading.
            due: (!around.targets.is_empty()).then_some(&*around.paths),
            progress: options.progress,
        };
        let scan = scan::scan(self.root, cache, &scan_options)?;
        options.progress.event(Event::Scanned(scan.counts.files));
        Ok(scan)
    }

    /// The rule that decides which stats prove nothing, after the last file was read.
    fn racy_rule(&self, scan: &Scan, taken: &take::Taken) -> RacyRule {
        let mut racy = scan.racy;
        if taken.has_times_ahead(&racy)
            && let Ok(end) = self.store.disk().file_clock()
        {
            racy.end_ns = end.time_ns;
        }
        racy
    }

    /// The rules, with the protected folders and the mounts that were met.
    fn rules_met(&self, scan: &Scan, protected: &[ProtectedFolder]) -> Result<Arc<Rules>> {
        let is_inside = |mount: &TreePath| !is_within_one(&scan.excluded, mount);
        let mounts = mounts::below(self.root, || scan.crossings.clone());
        let mounts: Vec<TreePath> = mounts.into_iter().filter(is_inside).collect();
        if protected.is_empty() && mounts.is_empty() {
            return Ok(Arc::clone(&self.rules));
        }
        let paths = protected.iter().map(|found| found.path.clone()).collect();
        let options = RuleOptions { mounts, ..self.options.config.capture.rule_options(paths) };
        Ok(Arc::new(Rules::new(&options)?))
    }
}

/// Returns true if an object that a tree refers to is in the store, or in the batch.
fn is_there(store: &Store, batch: Option<&Batch<'_>>, kind: ObjectKind, id: &Digest) -> bool {
    batch.map_or_else(|| store.contains(kind, id), |batch| batch.has(kind, id))
}
