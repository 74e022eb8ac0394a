//! Walks a workspace on every core: one task per folder, none of which waits for another.
//!
//! A task opens its folder, lists it, compares the list with the stat cache, and spawns a task for each child folder.
//! Tasks are queued, not nested, so a workspace 8,000 folders deep needs no more stack than a flat one. A folder's
//! handle lives until its child folders are open, because opening one by its single name is cheapest. Only a limited
//! number of handles is kept; beyond it a folder is opened by its path from the root. The walk thus stays below any
//! usual limit on open files, whatever the shape of the tree.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::Scope;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::compare::{Compared, Found, Listing};
use super::listing::Names;
use super::sift::{Below, FolderContext, Looked, Share, look, marks};
use super::tally::Tally;
use super::turn::{Picker, rank_of};
use super::{CaptureCounts, Objection, Reread, ScanOptions, ScannedFolder, WeakFolder};
use crate::error::{Error, Result};
use crate::format::snapshot::Omission;
use crate::format::tree::EntryKind;
use crate::path::TreePath;
use crate::progress::Event;
use crate::workspace::beneath::{FOLDER_FLAGS, Root};
use crate::workspace::cache::StatCache;
use crate::workspace::filesystem::FileSystem;
use crate::workspace::git_folders::{self, NamedFolder};
use crate::workspace::git_notice::{GitNotice, GitNotices};
use crate::workspace::ignore::{Lists, Marks};
use crate::workspace::protected::ProtectedFolders;
use crate::workspace::refusal::Refusal;
use crate::workspace::rules::evidence::{CACHE_MARK, CACHE_SIGNATURE};
use crate::workspace::rules::{Exclusion, ExclusionReason};

/// Number of open folders above which none is kept open for its children: well below the usual limit of 1,024.
const OPEN_FOLDERS_MAX: usize = 256;

/// Number of names in one folder above which several tasks take their stats.
const SPLIT_ABOVE_NAMES: usize = 4_096;

/// Number of names for each of these tasks.
const PART_NAMES: usize = 2_048;

/// Number of files between two progress events.
const PROGRESS_FILES: u64 = 4_096;

/// The state that all tasks share.
pub(super) struct Walk<'a> {
    root: &'a Root,
    protected: Arc<ProtectedFolders>,
    cache: &'a StatCache,
    options: &'a ScanOptions<'a>,
    picker: Picker<'a>,
    open_count: AtomicUsize,
    is_stopped: AtomicBool,
    spare: Mutex<Vec<Scratch>>,
    walked: Mutex<Walked>,
    tally: Option<&'a Tally>,
    /// Git's files that could not be used.
    notices: GitNotices,
    /// The tracked paths by folder, for folders already looked up.
    tracking: Mutex<BTreeMap<TreePath, Arc<Lists>>>,
}

/// The results of all tasks, in no order.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) differing: Vec<(TreePath, ScannedFolder)>,
    pub(super) rereads: Vec<Reread>,
    pub(super) weak: Vec<WeakFolder>,
    pub(super) omitted: Vec<Omission>,
    pub(super) excluded: Vec<Exclusion>,
    /// The part of `excluded` that is excluded for its contents: these are still in their parents' lists.
    pub(super) left_out: Vec<TreePath>,
    /// Folders that are captured only for their contents, with their number of captured entries before empty child
    /// folders are removed.
    pub(super) selective: Vec<(TreePath, usize)>,
    /// Folders that could not be listed; they are removed from their parents' lists too.
    pub(super) unlisted: Vec<Omission>,
    /// Folders on another file system than the folder above them.
    pub(super) crossings: Vec<TreePath>,
    /// Git folders that a `.git` file or symlink names.
    pub(super) named: Vec<NamedFolder>,
    pub(super) counts: CaptureCounts,
    /// Number of files that `only` does not select.
    pub(super) unselected_count: u64,
    /// The newest change time on other file systems than the store's.
    pub(super) newest_elsewhere_ns: Option<i64>,
    /// Number of files whose stat is trusted, by class.
    pub(super) trusted: [u64; 3],
    /// Number of files that kept their inode numbers, on file systems that may renumber them.
    pub(super) same_inodes: u64,
    /// Git's files that could not be used.
    pub(super) git_notices: Vec<GitNotice>,
    /// True if a limit stopped the walk, so that only the counts are valid.
    pub(super) is_over: bool,
    error: Option<Error>,
}

/// One folder to visit.
struct Task<'s> {
    path: TreePath,
    depth: usize,
    device: u64,
    /// Its file system, if it is that of its parent.
    file_system: Option<FileSystem>,
    /// The rank of the folder, see [`rank_of`].
    rank: u64,
    /// Its parent, if that is kept open.
    parent: Option<Arc<OpenFolder<'s>>>,
    /// The ignore lists that apply around it; `None` if ignore files do not count.
    lists: Option<Arc<Lists>>,
    /// The part of it that is captured.
    share: Share,
}

/// An open folder; dropping it reduces the count of open ones.
struct OpenFolder<'s> {
    handle: OwnedFd,
    open_count: &'s AtomicUsize,
}

/// Buffers that tasks reuse.
#[derive(Default)]
struct Scratch {
    buffer: Vec<u8>,
    names: Names,
    path: Vec<u8>,
    looked: Vec<Looked>,
    found: Vec<Found>,
}

/// A large folder while several tasks take stats; the last of them finishes it.
struct Large<'s> {
    task: Task<'s>,
    folder: Arc<OpenFolder<'s>>,
    names: Names,
    parts: Mutex<Vec<(usize, Vec<Looked>)>>,
    missing_count: AtomicUsize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        root: &'a Root,
        cache: &'a StatCache,
        options: &'a ScanOptions<'a>,
        tally: Option<&'a Tally>,
    ) -> Self {
        Self {
            root,
            protected: root.protected(),
            cache,
            options,
            picker: Picker::new(&options.turns),
            open_count: AtomicUsize::new(0),
            is_stopped: AtomicBool::new(false),
            spare: Mutex::default(),
            walked: Mutex::default(),
            tally,
            notices: GitNotices::default(),
            tracking: Mutex::default(),
        }
    }

    /// Walks everything below the root, which is on `device`.
    pub(super) fn run(self, device: u64) -> Result<Walked> {
        let lists = self.options.rules.has_gitignore().then(|| Lists::around(self.root.path(), &self.notices));
        let path = TreePath::root();
        let share = match self.options.rules.only() {
            Some(_) => Share::Named { is_wanted: true },
            None => Share::All,
        };
        let task = Task { path, depth: 0, device, file_system: None, rank: 0, parent: None, lists, share };
        rayon::scope(|scope| visit(&self, scope, task));
        let mut walked = self.walked.into_inner().unwrap_or_else(PoisonError::into_inner);
        walked.git_notices = self.notices.take();
        walked.is_over = self.is_stopped.into_inner();
        walked.error.take().map_or(Ok(walked), Err)
    }

    fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    fn collect<T>(&self, add: impl FnOnce(&mut Walked) -> T) -> T {
        // A task that panics ends the whole walk, and the results of the others are not used.
        add(&mut self.walked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take_scratch(&self) -> Scratch {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give_scratch(&self, scratch: Scratch) {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
    }

    fn open(&self, task: &Task<'_>) -> rustix::io::Result<Arc<OpenFolder<'_>>> {
        let handle = match (&task.parent, task.path.name()) {
            (Some(parent), Some(name)) => rustix::fs::openat(&parent.handle, name, FOLDER_FLAGS, Mode::empty())?,
            _ => self.root.folder(&task.path)?,
        };
        self.open_count.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(OpenFolder { handle, open_count: &self.open_count }))
    }

    /// The reason why a folder is excluded for its contents. The root never is, because the user asked to record it.
    fn left_out_for(&self, task: &Task<'_>, folder: &OpenFolder<'_>, marks: Marks) -> Option<ExclusionReason> {
        let (parent, name) = (task.path.parent()?, task.path.name()?);
        if marks.has_git_file {
            let around = task.lists.clone().unwrap_or_else(|| self.tracking(&parent));
            if around.is_other_tree(&self.root.display(&task.path)) {
                return Some(ExclusionReason::WorkingTree);
            }
        }
        let rules = self.options.rules;
        if !rules.has_evidence() || !(marks.has_environment_mark || marks.has_cache_mark) {
            return None;
        }
        // A folder that is entered for some paths only is excluded already.
        let is_entered = task.share == Share::Wanted || task.lists.as_ref().is_some_and(|lists| lists.is_entered());
        let is_included = || rules.is_included(task.path.as_bytes(), name, true);
        match () {
            () if is_entered || is_included() => None,
            () if marks.has_environment_mark => Some(ExclusionReason::Marked("pyvenv.cfg")),
            () if has_cache_signature(folder) => Some(ExclusionReason::Marked("CACHEDIR.TAG")),
            () => None,
        }
    }

    /// The ignore lists and the share with which an excluded folder is entered all the same, for its tracked files or
    /// for wanted paths; `None` if it is not.
    fn entered_for(&self, task: &Task<'_>, why: ExclusionReason) -> Option<(Option<Arc<Lists>>, Share)> {
        if why.is_binding() {
            return None;
        }
        let around = task.lists.clone().unwrap_or_else(|| self.tracking(&task.path.parent().unwrap_or_default()));
        if around.tracks(task.path.as_bytes(), true) {
            return Some((Some(around.within(true)), task.share));
        }
        let is_wanted = self.options.wanted.is_some_and(|wanted| wanted(task.path.as_bytes(), true, Objection::Rules));
        is_wanted.then_some((None, Share::Wanted))
    }

    /// The tracked paths in a folder, according to the nearest repository around it.
    fn tracking(&self, folder: &TreePath) -> Arc<Lists> {
        let mut known = self.tracking.lock().unwrap_or_else(PoisonError::into_inner);
        let mut asked = Vec::new();
        let mut next = Some(folder.clone());
        let found = loop {
            let Some(here) = next else { break Lists::tracked_around(self.root.path(), &self.notices) };
            if let Some(found) = known.get(&here) {
                break Arc::clone(found);
            }
            asked.push(here.clone());
            if let Some(found) = Lists::tracked_at(self.root, &here, &self.notices) {
                break found;
            }
            next = here.parent();
        };
        known.extend(asked.into_iter().map(|path| (path, Arc::clone(&found))));
        found
    }

    /// Handles a folder that could not be opened or listed.
    fn refuse(&self, path: TreePath, errno: Errno) {
        match Refusal::from(errno) {
            Refusal::Omit(reason) if !path.is_root() => {
                self.collect(|walked| walked.unlisted.push(Omission { path, reason }));
            }
            _ => {
                let error = Error::io("scan folder", self.root.display(&path), errno);
                self.is_stopped.store(true, Ordering::Relaxed);
                self.collect(|walked| {
                    walked.error.get_or_insert(error);
                });
            }
        }
    }

    /// Counts the entries of one folder, and stops the walk at a limit.
    fn count(&self, path: &TreePath, file_system: FileSystem, found: &[Found]) {
        let mut counts = CaptureCounts { folders: 1, ..CaptureCounts::default() };
        let mut newest_elsewhere_ns = None;
        for found in found {
            if found.kind != EntryKind::Folder {
                counts.files += 1;
            }
            if found.kind == EntryKind::File {
                counts.bytes = counts.bytes.saturating_add(found.stat.size);
                let allocated = file_system.allocated_bytes(found.stat.size, found.allocated_bytes);
                counts.allocated_bytes = counts.allocated_bytes.saturating_add(allocated);
            }
            if found.stat.device != self.options.clock.device {
                newest_elsewhere_ns = newest_elsewhere_ns.max(Some(found.stat.ctime_ns));
            }
        }
        if let Some(tally) = self.tally {
            tally.add(path, &counts);
        }
        let total = self.collect(|walked| {
            walked.newest_elsewhere_ns = walked.newest_elsewhere_ns.max(newest_elsewhere_ns);
            walked.counts.add(&counts);
            walked.counts
        });
        if self.options.limits.are_passed_by(&total) {
            self.is_stopped.store(true, Ordering::Relaxed);
        }
        if total.files / PROGRESS_FILES != (total.files - counts.files) / PROGRESS_FILES {
            self.options.progress.event(Event::Scanned(total.files));
        }
    }
}

/// Returns true if a folder has a valid cache mark. Never waits: a pipe is opened without blocking and refused.
fn has_cache_signature(folder: &OpenFolder<'_>) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let Ok(file) = rustix::fs::openat(&folder.handle, CACHE_MARK, flags, Mode::empty()) else { return false };
    let mut start = [0; CACHE_SIGNATURE.len()];
    let mut file = std::fs::File::from(file);
    std::io::Read::read_exact(&mut file, &mut start).is_ok() && start == *CACHE_SIGNATURE
}

impl Drop for OpenFolder<'_> {
    fn drop(&mut self) {
        self.open_count.fetch_sub(1, Ordering::Relaxed);
    }
}

fn visit<'s>(walk: &'s Walk<'_>, scope: &Scope<'s>, mut task: Task<'s>) {
    if walk.is_stopped() {
        return;
    }
    let folder = match walk.open(&task) {
        Ok(folder) => folder,
        Err(errno) => return walk.refuse(task.path, errno),
    };
    task.parent = None;
    if task.file_system.is_none() {
        let file_system = FileSystem::of(&folder.handle);
        task.file_system = Some(file_system);
        if !file_system.is_sound {
            let weak = WeakFolder { path: task.path.clone(), file_system: file_system.name };
            walk.collect(|walked| walked.weak.push(weak));
        }
    }
    let mut scratch = walk.take_scratch();
    let mut names = std::mem::take(&mut scratch.names);
    let mut looked = std::mem::take(&mut scratch.looked);
    if let Err(errno) = names.read(&folder.handle, &mut scratch.buffer) {
        return walk.refuse(task.path, errno);
    }
    if names.len() > SPLIT_ABOVE_NAMES {
        walk.give_scratch(scratch);
        return visit_large(scope, walk, task, folder, names);
    }
    looked.clear();
    looked.extend(names.listed().iter().map(|listed| look(&folder.handle, &names, listed)));
    finish(walk, scope, &task, &folder, &names, &looked, &mut scratch);
    scratch.names = names;
    scratch.looked = looked;
    walk.give_scratch(scratch);
}

/// Splits the names of a large folder among tasks. None waits for the others: the last one finishes the folder.
fn visit_large<'s>(scope: &Scope<'s>, walk: &'s Walk<'_>, task: Task<'s>, folder: Arc<OpenFolder<'s>>, names: Names) {
    let part_count = names.len().div_ceil(PART_NAMES);
    let missing_count = AtomicUsize::new(part_count);
    let large = Arc::new(Large { task, folder, names, parts: Mutex::default(), missing_count });
    for part in 0..part_count {
        let large = Arc::clone(&large);
        scope.spawn(move |scope| {
            let Large { task, folder, names, parts, missing_count } = &*large;
            let listed = names.listed().chunks(PART_NAMES).nth(part).expect("there are as many parts as counted");
            let looked = listed.iter().map(|listed| look(&folder.handle, names, listed)).collect();
            parts.lock().unwrap_or_else(PoisonError::into_inner).push((part, looked));
            // The task that brings the count to zero must see what the others pushed.
            if missing_count.fetch_sub(1, Ordering::AcqRel) > 1 {
                return;
            }
            let mut parts = std::mem::take(&mut *parts.lock().unwrap_or_else(PoisonError::into_inner));
            parts.sort_unstable_by_key(|(part, _)| *part);
            let looked: Vec<Looked> = parts.into_iter().flat_map(|(_, looked)| looked).collect();
            let mut scratch = walk.take_scratch();
            finish(walk, scope, task, folder, names, &looked, &mut scratch);
            walk.give_scratch(scratch);
        });
    }
}

/// Finishes a folder whose stats are taken: sifts, counts and compares its entries, and spawns its child folders.
fn finish<'s>(
    walk: &'s Walk<'_>,
    scope: &Scope<'s>,
    task: &Task<'s>,
    folder: &Arc<OpenFolder<'s>>,
    names: &Names,
    looked: &[Looked],
    scratch: &mut Scratch,
) {
    let Scratch { path, found, .. } = scratch;
    let marks = marks(names, looked);
    if marks.has_git_link && !task.path.is_root() {
        let named = git_folders::named_in(&walk.root.display(&task.path));
        walk.collect(|walked| walked.named.extend(named));
    }
    let enter = |around: &Arc<Lists>| around.enter(walk.root, &task.path, &folder.handle, marks);
    let (mut lists, mut share) = (task.lists.as_ref().map(enter), task.share);
    if let Some(why) = walk.left_out_for(task, folder, marks) {
        let Some((tracked, how)) = walk.entered_for(task, why) else {
            let path = task.path.clone();
            return walk.collect(|walked| {
                walked.left_out.push(path.clone());
                walked.excluded.push(Exclusion { path, why });
            });
        };
        (lists, share) = (tracked.or(lists), how);
    }
    let (options, depth, device, protected) = (walk.options, task.depth, task.device, &*walk.protected);
    let tracking = |folder: &TreePath| walk.tracking(folder);
    let context =
        FolderContext { options, path: &task.path, depth, device, protected, lists, share, tracking: &tracking };
    let sifted = context.sift(names, looked, path, found);
    if let Some((path, errno)) = sifted.failed {
        return walk.refuse(path, errno);
    }
    let file_system = task.file_system.expect("it was found out when the folder was opened");
    walk.count(&task.path, file_system, found);
    if walk.is_stopped() {
        return;
    }
    spawn_children(walk, scope, task, folder, names, found, &sifted.below);
    if walk.tally.is_some() {
        return;
    }
    let clock = walk.options.clock;
    let listing = Listing { path: &task.path, names, found, device, file_system, clock, rank: task.rank };
    let picker = match walk.options.due {
        Some(paths) => walk.picker.due_in(&task.path, paths),
        None => walk.picker,
    };
    let cached = walk.cache.folder(&task.path);
    let mut compared = Compared::default();
    let is_same = cached.as_ref().is_some_and(|cached| listing.is_same(cached, &picker, &mut compared));
    let differing = (!is_same).then(|| {
        compared = Compared::default();
        (task.path.clone(), listing.against(cached.as_ref(), &picker, &mut compared))
    });
    walk.collect(|walked| {
        walked.differing.extend(differing);
        walked.rereads.extend(compared.rereads);
        walked.trusted.iter_mut().zip(compared.trusted).for_each(|(sum, count)| *sum += count);
        walked.same_inodes += compared.same_inodes;
        walked.unselected_count += sifted.unselected_count;
        walked.omitted.extend(sifted.omitted);
        walked.excluded.extend(sifted.excluded);
        if share == (Share::Named { is_wanted: false }) {
            walked.selective.push((task.path.clone(), found.len()));
        }
    });
}

fn spawn_children<'s>(
    walk: &'s Walk<'_>,
    scope: &Scope<'s>,
    task: &Task<'s>,
    folder: &Arc<OpenFolder<'s>>,
    names: &Names,
    found: &[Found],
    below: &Below,
) {
    let is_kept = walk.open_count.load(Ordering::Relaxed) < OPEN_FOLDERS_MAX;
    for (index, child) in found.iter().enumerate().filter(|(_, found)| found.kind == EntryKind::Folder) {
        let name = names.name(&child.listed);
        let (path, rank) = (task.path.join(name), rank_of(task.rank, name));
        let file_system = task.file_system.filter(|_| child.stat.device == task.device);
        if child.stat.device != task.device {
            walk.collect(|collected| collected.crossings.push(path.clone()));
        }
        let parent = is_kept.then(|| Arc::clone(folder));
        let (lists, share) = below.of(index);
        let (depth, device) = (task.depth + 1, child.stat.device);
        let child = Task { path, depth, device, file_system, rank, parent, lists, share };
        scope.spawn(move |scope| visit(walk, scope, child));
    }
}
