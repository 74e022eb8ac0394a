//! Scanning: what is in a workspace, and which of it may differ from the last capture.
//!
//! Every name is listed and looked at, always: nothing is concluded from the times of folders or from a watcher. What
//! the stat cache proves unchanged is only counted; of everything else the caller gets the folder's list, and for each
//! file whether its content is known or must be read.
//!
//! ```text
//! list + stat each name --> rules --> caps --> same list as in the cache?  yes: counted, and now and then hashed again
//!                                                                          no:  returned, each file Known or Read
//! ```
//!
//! Invariants: the outcome is the same whatever the number of threads. Every name met is in exactly one of: a folder's
//! list, the omitted paths, the excluded paths, the files that `only` does not name (which are counted, because there may
//! be more of them than of all others). A folder that cannot be listed is omitted and has no place in its
//! parent's list, so that a restore never takes it for an empty one. File times are compared with each other and with
//! the probe, never with the wall clock.

mod compare;
mod listing;
mod sift;
mod tally;
mod turn;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

pub use crate::format::turn::ReadReason;
pub use compare::unchanged_folder;
pub use turn::Class;

use crate::disk::{FileClock, FolderId};
use crate::error::{Error, ErrorKind, Result};
use crate::format::attributes::Owner;
use crate::format::snapshot::Omission;
use crate::format::tree::Kind;
use crate::format::turn::Turn;
use crate::id::Digest;
use crate::limits::{WORKSPACE_BYTES_DEFAULT_MAX, WORKSPACE_FILES_DEFAULT_MAX};
use crate::path::TreePath;
use crate::progress::Progress;
use crate::workspace::attributes::owner_of;
use crate::workspace::beneath::Root;
use crate::workspace::cache::{Proof, StatCache};
use crate::workspace::git_folders::NamedFolder;
use crate::workspace::git_notice::GitNotice;
use crate::workspace::places::Place;
use crate::workspace::rules::{Exclusion, Rules, Why};
use crate::workspace::stat::{self, FileStat, RacyRule};
use compare::{Differing, Pick};
use tally::{Tally, human_bytes};
use walk::{Collected, Walk, Walked};

/// How to scan.
#[derive(Clone, Copy)]
pub struct ScanOptions<'a> {
    /// What is left out.
    pub rules: &'a Rules,
    /// Where to stop.
    pub limits: ScanLimits,
    /// Leaves out folders on other file systems than the folder they are in.
    pub one_file_system: bool,
    /// Paths that are captured though the rules leave them out: those that a restore is going to write over.
    pub wanted: Option<&'a Wanted<'a>>,
    /// The paths that an earlier snapshot left out: unless they are wanted, they are left out again, whatever the rules
    /// say.
    pub earlier: Option<&'a EarlierAt<'a>>,
    /// The clock of the store's file system, read just before.
    pub clock: FileClock,
    /// How far the rolling re-read has come, by class.
    pub turns: [Turn; 3],
    /// A restore has to be sure of these paths, and of everything if there are none: what is not settled is read.
    pub due: Option<&'a [TreePath]>,
    /// Who watches.
    pub progress: &'a dyn Progress,
}

#[cfg(any(test, feature = "internals"))]
impl<'a> ScanOptions<'a> {
    /// Scans by the rules alone, with the default limits.
    pub fn new(rules: &'a Rules, clock: FileClock, progress: &'a dyn Progress) -> Self {
        Self {
            rules,
            limits: ScanLimits::default(),
            one_file_system: false,
            wanted: None,
            earlier: None,
            clock,
            turns: Default::default(),
            due: None,
            progress,
        }
    }
}

/// True if a path is captured although something keeps it from being captured. The flag says that it is a folder.
pub type Wanted<'a> = dyn Fn(&[u8], bool, KeptOutBy) -> bool + Sync + 'a;

/// The reason why a path is captured only if it is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptOutBy {
    /// A rule or an ignore file leaves it out.
    Rules,
    /// An earlier snapshot left it out.
    Earlier,
    /// It is larger than the cap on one file.
    Size,
}

/// The part of a file or a folder that an earlier snapshot captured. It need not be right for what is in a folder
/// that was left out.
pub type EarlierAt<'a> = dyn Fn(&[u8], bool) -> Earlier + Sync + 'a;

/// The part of a path that was captured, or would have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// All of it.
    Captured,
    /// A folder, if there was something in it that `only` names.
    Partly,
    /// Nothing.
    LeftOut,
}

/// Caps on a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanLimits {
    /// Most files, and most folders; more is an error.
    pub files_max: u64,
    /// Most bytes that all files take on disk; more is an error.
    pub bytes_max: u64,
    /// Files that take more on disk are omitted, but for those that are wanted and the settings.
    pub file_bytes_max: Option<u64>,
}

/// What is in a workspace.
#[derive(Clone, Debug)]
pub struct Scan {
    /// Folders whose list differs from the cached one in any way, or is not cached. A deleted folder is missing from
    /// its parent's list.
    pub folders: BTreeMap<TreePath, ScannedFolder>,
    /// Files that may be read again although nothing says that they changed, by class in the order of their turn, those
    /// first that must be.
    pub rereads: Vec<Reread>,
    /// Files whose stat is believed, by class.
    pub believed: [u64; 3],
    /// Where file systems begin that promise little: on those, only reading finds every change.
    pub weak: Vec<WeakPlace>,
    /// What is not captured though no rule leaves it out, by path.
    pub omitted: Vec<Omission>,
    /// What is left out, by path; not what is below it.
    pub excluded: Vec<Exclusion>,
    /// Files that are left out because `only` does not name them; not those in folders that are.
    pub unselected_count: u64,
    /// Of those, folders that are left alone whatever the rules say, by path.
    pub protected: Vec<Protected>,
    /// Files of git's that could not be followed.
    pub git_notices: Vec<GitNotice>,
    /// How much there is.
    pub counts: CaptureCounts,
    /// Permission bits of the root folder, where an ACL shows its mask for the group.
    pub root_mode: u16,
    /// Owner of the root folder. Attributes name owners only where they are others.
    pub root_owner: Owner,
    /// Tells which stats prove nothing, when they are written into the cache.
    pub racy: RacyRule,
}

/// A folder that is left alone whatever the rules say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Protected {
    /// Where it was met.
    pub path: TreePath,
    /// Which folder it is.
    pub place: Place,
}

/// How much there is, unchanged or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaptureCounts {
    /// Files and symlinks.
    pub files: u64,
    /// Folders, with the root.
    pub folders: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes of them that are on disk: holes are not.
    pub allocated_bytes: u64,
}

/// The list of one folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScannedFolder {
    /// What is in it, ascending by name.
    pub entries: Vec<ScannedEntry>,
    /// Device number of its file system.
    pub device: u64,
}

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScannedEntry {
    /// Name within the folder.
    pub name: Box<[u8]>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits as the stat has them, where an ACL shows its mask for the group; 0 for symlinks.
    pub mode: u16,
    /// Its stat, when it was listed.
    pub stat: FileStat,
    /// What it has beside content and permission bits, encoded; `None` where that must be read.
    pub attributes: Option<Box<[u8]>>,
    /// What is known about its content.
    pub state: EntryState,
}

/// What is known about the content of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryState {
    /// The cache proves that the content, or the symlink's target, is this.
    Known {
        /// What it is.
        id: Digest,
        /// How far it is proven.
        proof: Proof,
    },
    /// As [`Self::Known`], but that the file system gave it another number. No scan ends with one.
    Renumbered {
        /// What it is, if all files were given other numbers.
        id: Digest,
    },
    /// It must be read.
    Read {
        /// What it was when last seen, if it was of the same kind.
        previous: Option<Digest>,
        /// Why.
        reason: ReadReason,
    },
    /// A folder: its tree follows from its own list, which is in [`Scan::folders`] or else as cached.
    Folder {
        /// Its tree as its parent's list has it in the cache.
        previous: Option<Digest>,
    },
}

/// A file that may be read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reread {
    /// The folder it is in; see [`unchanged_folder`] for when its content is another after all.
    pub folder: TreePath,
    /// The file, in state [`EntryState::Read`].
    pub entry: ScannedEntry,
    /// What reading it costs, in bytes, apart from opening it: its holes cost nothing.
    pub cost_bytes: u64,
    /// Its class.
    pub class: Class,
    /// Its place in the order of turns.
    pub rank: u64,
    /// It must be read at this step.
    pub is_due: bool,
}

/// A folder where a file system begins on which changes may leave no trace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WeakPlace {
    /// The folder; the root where the whole workspace is on it.
    pub path: TreePath,
    /// The name of the file system; empty where it is not known.
    pub file_system: &'static str,
}

impl Default for ScanLimits {
    fn default() -> Self {
        Self { files_max: WORKSPACE_FILES_DEFAULT_MAX, bytes_max: WORKSPACE_BYTES_DEFAULT_MAX, file_bytes_max: None }
    }
}

/// Looks at everything in a workspace that the rules do not leave out.
///
/// Runs on the current `rayon` pool. A cap that is passed is `Limit`, and the message says what is big.
pub fn scan(root: &Root, cache: &StatCache, options: &ScanOptions<'_>) -> Result<Scan> {
    let fail = |e| Error::io("look at folder", root.path(), e);
    let found = rustix::fs::fstat(root.handle()).map_err(fail)?;
    let device = FolderId::of(&found).device;
    let mut walked = Walk::new(root, cache, options, None).run(device)?;
    if spare_named(root, &walked.collected.named) {
        walked = Walk::new(root, cache, options, None).run(device)?;
    }
    if walked.is_over {
        return Err(over_limit(root, cache, options, device, &walked.counts));
    }
    let Collected {
        differing,
        picks,
        mut weak,
        mut omitted,
        mut excluded,
        mut protected,
        unlisted,
        left_out,
        selective,
        ..
    } = std::mem::take(&mut walked.collected);
    let gone = || unlisted.iter().map(|omission| &omission.path).chain(&left_out);
    let unselected = empty_ones(selective, gone());
    walked.counts.folders -= unselected.len() as u64;
    let is_unselected = |path: &TreePath| unselected.contains(path);
    let is_topmost = |path: &&TreePath| path.parent().is_none_or(|parent| !is_unselected(&parent));
    let topmost = || unselected.iter().filter(is_topmost);
    excluded.extend(topmost().map(|path| Exclusion { path: path.clone(), why: Why::Unselected }));
    let differing = differing.into_iter().filter(|(path, _)| !is_unselected(path)).collect();
    let mut folders = without_unlisted(cache, differing, gone().filter(is_topmost).chain(topmost()));
    decide_on_numbers(&mut folders, walked.kept_numbers == 0);
    let rereads = in_turn(picks, &options.turns);
    weak.sort_unstable();
    omitted.extend(unlisted);
    omitted.sort_unstable_by(|a, b| (&a.path, a.reason).cmp(&(&b.path, b.reason)));
    omitted.dedup_by(|later, earlier| later.path == earlier.path);
    excluded.sort_unstable();
    protected.sort_unstable();
    let racy = RacyRule { clock: options.clock, end_ns: i64::MAX, newest_elsewhere_ns: walked.newest_elsewhere_ns };
    let (root_mode, root_owner) = (stat::permissions(&found), owner_of(&found));
    let Walked { counts, believed, unselected_count, git_notices, .. } = walked;
    Ok(Scan {
        folders,
        rereads,
        believed,
        weak,
        omitted,
        excluded,
        unselected_count,
        protected,
        git_notices,
        counts,
        root_mode,
        root_owner,
        racy,
    })
}

/// Leaves alone what is git's by the word of a `.git` that was met on the way. Says whether the walk may have been there.
fn spare_named(root: &Root, named: &[NamedFolder]) -> bool {
    let places = root.places();
    let new = || named.iter().filter(|folder| places.at(folder.id).is_none());
    root.spare(new().map(|folder| folder.id), Place::VersionControl);
    new().any(|folder| folder.is_walked(root.path()))
}

/// The walk over everything goes on to this many times a cap, to find out what is big, before it gives up.
const TALLY_FACTOR: u64 = 4;

impl ScanLimits {
    fn are_passed_by(&self, counts: &CaptureCounts) -> bool {
        counts.files.max(counts.folders) > self.files_max || counts.allocated_bytes > self.bytes_max
    }
}

/// Of folders that are captured only if they hold something that is, those that do not. `gone` are folders that turned out
/// not to be captured themselves.
fn empty_ones<'g>(selective: Vec<(TreePath, usize)>, gone: impl Iterator<Item = &'g TreePath>) -> BTreeSet<TreePath> {
    let mut counts: BTreeMap<TreePath, usize> = selective.into_iter().collect();
    let mut empty = BTreeSet::new();
    if counts.is_empty() {
        return empty;
    }
    let mut gone: Vec<TreePath> = gone.cloned().collect();
    gone.extend(counts.iter().filter(|(_, count)| **count == 0).map(|(path, _)| path.clone()));
    // Each is taken out of the folder around it, which may be empty without it.
    while let Some(path) = gone.pop() {
        if counts.get(&path) == Some(&0) {
            empty.insert(path.clone());
        }
        if let Some(parent) = path.parent()
            && let Some(count) = counts.get_mut(&parent)
        {
            *count -= 1;
            gone.extend((*count == 0).then_some(parent));
        }
    }
    empty
}

/// Takes folders that could not be listed, or are left out for what is in them, out of their parents' lists.
///
/// They were found out after their parents had been compared: opening every folder from its parent's task would hold
/// as many handles as there are folders.
fn without_unlisted<'u>(
    cache: &StatCache,
    differing: Vec<(TreePath, Differing)>,
    unlisted: impl IntoIterator<Item = &'u TreePath>,
) -> BTreeMap<TreePath, ScannedFolder> {
    let mut differing: BTreeMap<TreePath, Differing> = differing.into_iter().collect();
    for path in unlisted {
        let (Some(parent), Some(name)) = (path.parent(), path.name()) else {
            continue;
        };
        let cached = cache.folder(&parent);
        let was_cached = cached.as_ref().is_some_and(|cached| cached.find(name).is_some());
        let list = differing.entry(parent.clone()).or_insert_with(|| {
            let folder = unchanged_folder(cached.as_ref().expect("a folder that does not differ is cached"));
            let count = folder.entries.len();
            Differing { folder, same_count: count, cached_count: Some(count) }
        });
        if let Ok(at) = list.folder.entries.binary_search_by(|entry| (*entry.name).cmp(name)) {
            list.folder.entries.remove(at);
        }
        if was_cached {
            // Two lists of equal length with an equal number of equal entries are not always the same any more.
            list.cached_count = None;
        } else if list.is_same() {
            differing.remove(&parent);
        }
    }
    differing.into_iter().map(|(path, differing)| (path, differing.folder)).collect()
}

/// Whether files that only have other numbers are what they were. A mount gives other numbers to all files at once; where
/// some files kept theirs, the others may have been replaced.
fn decide_on_numbers(folders: &mut BTreeMap<TreePath, ScannedFolder>, is_new_mount: bool) {
    for entry in folders.values_mut().flat_map(|folder| &mut folder.entries) {
        if let EntryState::Renumbered { id } = entry.state {
            entry.state = match is_new_mount {
                true => EntryState::Known { id, proof: Proof::Recent },
                false => EntryState::Read { previous: Some(id), reason: ReadReason::Changed },
            };
        }
    }
}

/// The files that may be read again, in the order of their turn.
fn in_turn(picks: Vec<(TreePath, Pick)>, turns: &[Turn; 3]) -> Vec<Reread> {
    let reread = |(folder, pick): (TreePath, Pick)| {
        let Pick { class, rank, entry, allocated_bytes, is_due } = pick;
        Reread { folder, entry, cost_bytes: allocated_bytes, class, rank, is_due }
    };
    let mut rereads: Vec<Reread> = picks.into_iter().map(reread).collect();
    let distance = |one: &Reread| one.rank.wrapping_sub(turns[one.class.index()].rank);
    rereads.sort_unstable_by(|a, b| {
        let key = |one: &Reread| (one.class, !one.is_due, distance(one));
        key(a).cmp(&key(b)).then_with(|| (&a.folder, &a.entry.name).cmp(&(&b.folder, &b.entry.name)))
    });
    rereads
}

/// Walks once more to say what is big.
fn over_limit(root: &Root, cache: &StatCache, options: &ScanOptions<'_>, device: u64, seen: &CaptureCounts) -> Error {
    let ScanLimits { files_max, bytes_max, .. } = options.limits;
    let limits = ScanLimits {
        files_max: files_max.saturating_mul(TALLY_FACTOR),
        bytes_max: bytes_max.saturating_mul(TALLY_FACTOR),
        ..options.limits
    };
    let tally = Tally::default();
    let wider = ScanOptions { limits, ..*options };
    if let Err(error) = Walk::new(root, cache, &wider, Some(&tally)).run(device) {
        return error;
    }
    let (what, largest) = if seen.files > files_max {
        (format!("more than {files_max} files"), tally.largest(|counts| counts.files, |count| format!("{count} files")))
    } else if seen.folders > files_max {
        (format!("more than {files_max} folders"), tally.largest(|c| c.folders, |count| format!("{count} folders")))
    } else {
        (format!("more than {}", human_bytes(bytes_max)), tally.largest(|counts| counts.allocated_bytes, human_bytes))
    };
    let path = crate::error::shown(root.path());
    Error::new(ErrorKind::Limit, "scan", path, format_args!("{what}; the most are in {largest}"))
        .with_hint("leave folders out with `exclude`, or raise `max_files` or `max_bytes`, in retro.toml")
}

#[cfg(test)]
mod tests;
