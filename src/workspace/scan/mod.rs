//! Scanning: lists a workspace and finds the files that may differ from the last capture.
//!
//! Every name is always listed and its stat taken: nothing is concluded from the times of folders or from a watcher.
//! Files that the stat cache proves unchanged are only counted. For everything else the caller gets the folder's list,
//! and for each file whether its content is known or must be read.
//!
//! ```text
//! list + stat each name --> rules --> limits --> same list as cached?  yes: counted, and now and then hashed again
//!                                                                          no:  returned, each file Known or Read
//! ```
//!
//! Invariants: the outcome does not depend on the number of threads. Every name is in exactly one of: a folder's list,
//! the omitted paths, the excluded paths, and the files that `only` does not select (which are counted, because there
//! may be more of them than of all others). A folder that cannot be listed is omitted and not in its parent's list, so
//! that a restore never takes it for an empty one. File times are compared with each other and with the probe, never
//! with the wall clock.

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
use crate::format::tree::EntryKind;
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
use crate::workspace::protected::Protection;
use crate::workspace::rules::{Exclusion, ExclusionReason, Rules};
use crate::workspace::stat::{self, FileStat, RacyRule};
use compare::is_unchanged;
use tally::{Tally, human_bytes};
use walk::{Walk, Walked};

/// Options of a scan.
#[derive(Clone, Copy)]
pub struct ScanOptions<'a> {
    /// The rules that exclude paths.
    pub rules: &'a Rules,
    /// The limits at which it stops.
    pub limits: ScanLimits,
    /// Excludes folders on another file system than their parent.
    pub one_file_system: bool,
    /// Paths that are captured even if the rules exclude them, because a restore is going to write over them.
    pub wanted: Option<&'a IsWanted<'a>>,
    /// Paths that an earlier snapshot excluded: unless wanted, they are excluded again, regardless of the rules.
    pub earlier: Option<&'a EarlierAt<'a>>,
    /// The clock of the store's file system, read just before.
    pub clock: FileClock,
    /// Positions of the rolling re-read, by class.
    pub turns: [Turn; 3],
    /// The paths of which a restore must be sure, or everything if the list is empty: files that are not settled are
    /// read.
    pub due: Option<&'a [TreePath]>,
    /// Receives progress events.
    pub progress: &'a dyn Progress,
}

#[cfg(any(test, feature = "internals"))]
impl<'a> ScanOptions<'a> {
    /// Options with only rules, and default limits.
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

/// Returns true if a path is captured although something would keep it out. The flag is true for a folder.
pub type IsWanted<'a> = dyn Fn(&[u8], bool, Objection) -> bool + Sync + 'a;

/// The reason why a path is captured only if it is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objection {
    /// A rule or an ignore file excludes it.
    Rules,
    /// An earlier snapshot excluded it.
    Earlier,
    /// It is larger than the limit for one file.
    Size,
}

/// The part of a file or folder that an earlier snapshot captured. Its answer is not used inside an excluded folder.
pub type EarlierAt<'a> = dyn Fn(&[u8], bool) -> Earlier + Sync + 'a;

/// The part of a path that an earlier snapshot captured, or would have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// All of it.
    Captured,
    /// A folder, as far as `only` selects something in it.
    Partly,
    /// Nothing.
    Nothing,
}

/// Limits of a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanLimits {
    /// Most files, and most folders; exceeding it is an error.
    pub files_max: u64,
    /// Most bytes on disk of all files; exceeding it is an error.
    pub bytes_max: u64,
    /// Size on disk above which a file is omitted, in bytes, unless it is wanted or the settings file.
    pub file_bytes_max: Option<u64>,
}

/// The result of a scan.
#[derive(Clone, Debug)]
pub struct Scan {
    /// Folders whose list differs from the cached one, or is not cached. A deleted folder is missing from its parent's
    /// list.
    pub folders: BTreeMap<TreePath, ScannedFolder>,
    /// Files that may be read again although nothing shows a change, by class, in the order of their turn. Those that
    /// must be read come first.
    pub rereads: Vec<Reread>,
    /// Number of files whose stat is trusted, by class.
    pub trusted: [u64; 3],
    /// Folders at which weak file systems begin: on those, only reading finds every change.
    pub weak: Vec<WeakFolder>,
    /// Paths that are not captured although no rule excludes them, by path.
    pub omitted: Vec<Omission>,
    /// Excluded paths, by path, without those below them.
    pub excluded: Vec<Exclusion>,
    /// Number of files that `only` does not select, without those in excluded folders.
    pub unselected_count: u64,
    /// Folders on another file system than the folder above them, by path.
    pub crossings: Vec<TreePath>,
    /// Git's files that could not be used.
    pub git_notices: Vec<GitNotice>,
    /// The extent of the workspace.
    pub counts: CaptureCounts,
    /// Permission bits of the root folder, in which an ACL shows its mask for the group.
    pub root_mode: u16,
    /// Owner of the root folder. Attributes name only other owners.
    pub root_owner: Owner,
    /// Decides which stats prove nothing when they are written into the stat cache.
    pub racy: RacyRule,
}

/// A folder that is protected regardless of the rules.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProtectedFolder {
    /// The path at which it was found.
    pub path: TreePath,
    /// The reason why it is protected.
    pub protection: Protection,
}

/// Numbers of files, folders and bytes in a workspace, unchanged or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaptureCounts {
    /// Files and symlinks.
    pub files: u64,
    /// Folders, including the root.
    pub folders: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes on disk of all files, without holes.
    pub allocated_bytes: u64,
}

/// The list of one folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScannedFolder {
    /// Its entries, ascending by name.
    pub entries: Vec<ScannedEntry>,
    /// Device number of its file system.
    pub device: u64,
}

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScannedEntry {
    /// Name within the folder.
    pub name: Box<[u8]>,
    /// The kind of the entry.
    pub kind: EntryKind,
    /// Permission bits of the stat, in which an ACL shows its mask for the group; 0 for symlinks.
    pub mode: u16,
    /// Its stat when it was listed.
    pub stat: FileStat,
    /// Its attributes, encoded; `None` if they must be read.
    pub attributes: Option<Box<[u8]>>,
    /// The knowledge about its content.
    pub state: EntryState,
}

/// The knowledge about the content of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryState {
    /// The stat cache proves the content, or the symlink's target.
    Known {
        /// Id of the content or target.
        id: Digest,
        /// The strength of the proof.
        proof: Proof,
    },
    /// As [`Self::Known`], but with another inode number. It does not occur in the result of a scan.
    Renumbered {
        /// Id of the content, provided that all files were renumbered.
        id: Digest,
    },
    /// It must be read.
    Read {
        /// Id of the last known content, if it was of the same kind.
        previous: Option<Digest>,
        /// The reason for reading.
        reason: ReadReason,
    },
    /// A folder: its tree follows from its own list, which is in [`Scan::folders`] or else cached.
    Folder {
        /// Its tree in the cached list of its parent.
        previous: Option<Digest>,
    },
}

/// A file that may be read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reread {
    /// Its folder; [`unchanged_folder`] gives the list in case the file's content did change.
    pub folder: TreePath,
    /// The file, in state [`EntryState::Read`].
    pub entry: ScannedEntry,
    /// Cost of reading it in bytes, apart from opening it; holes are free.
    pub cost_bytes: u64,
    /// Its class.
    pub class: Class,
    /// Its rank in the order of turns.
    pub rank: u64,
    /// True if it must be read at this step.
    pub is_due: bool,
}

/// A folder at which a file system begins on which changes may leave no trace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WeakFolder {
    /// The folder; the root if the whole workspace is on it.
    pub path: TreePath,
    /// Name of the file system; empty if unknown.
    pub file_system: &'static str,
}

impl Scan {
    /// The excluded folders that are protected regardless of the rules, by path.
    pub fn protected(&self) -> impl Iterator<Item = ProtectedFolder> {
        self.excluded.iter().filter_map(|excluded| match excluded.why {
            ExclusionReason::Protected(protection) => Some(ProtectedFolder { path: excluded.path.clone(), protection }),
            _ => None,
        })
    }
}

impl CaptureCounts {
    fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.folders += other.folders;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.allocated_bytes = self.allocated_bytes.saturating_add(other.allocated_bytes);
    }
}

impl Default for ScanLimits {
    fn default() -> Self {
        Self { files_max: WORKSPACE_FILES_DEFAULT_MAX, bytes_max: WORKSPACE_BYTES_DEFAULT_MAX, file_bytes_max: None }
    }
}

/// Scans everything in a workspace that the rules do not exclude.
///
/// Runs on the current `rayon` pool. Exceeding a limit is `Limit`; the message names the largest folders.
pub fn scan(root: &Root, cache: &StatCache, options: &ScanOptions<'_>) -> Result<Scan> {
    let fail = |e| Error::io("scan folder", root.path(), e);
    let found = rustix::fs::fstat(root.handle()).map_err(fail)?;
    let device = FolderId::of(&found).device;
    let mut walked = Walk::new(root, cache, options, None).run(device)?;
    if protect_named(root, &walked.named) {
        walked = Walk::new(root, cache, options, None).run(device)?;
    }
    if walked.is_over {
        return Err(over_limit(root, cache, options, device, &walked.counts));
    }
    let Walked { mut counts, mut rereads, mut weak, mut omitted, mut excluded, unlisted, left_out, .. } = walked;
    let mut crossings = walked.crossings;
    let gone = || unlisted.iter().map(|omission| &omission.path).chain(&left_out);
    let unselected = empty_ones(walked.selective, gone());
    counts.folders -= unselected.len() as u64;
    let is_unselected = |path: &TreePath| unselected.contains(path);
    let is_topmost = |path: &&TreePath| path.parent().is_none_or(|parent| !is_unselected(&parent));
    let topmost = || unselected.iter().filter(is_topmost);
    excluded.extend(topmost().map(|path| Exclusion { path: path.clone(), why: ExclusionReason::Unselected }));
    let differing = walked.differing.into_iter().filter(|(path, _)| !is_unselected(path)).collect();
    let mut folders = without_unlisted(cache, differing, gone().filter(is_topmost).chain(topmost()));
    decide_on_numbers(&mut folders, walked.same_inodes == 0);
    sort_by_turn(&mut rereads, &options.turns);
    weak.sort_unstable();
    omitted.extend(unlisted);
    omitted.sort_unstable_by(|a, b| (&a.path, a.reason).cmp(&(&b.path, b.reason)));
    omitted.dedup_by(|later, earlier| later.path == earlier.path);
    excluded.sort_unstable();
    crossings.sort_unstable();
    let newest_elsewhere_ns = walked.newest_elsewhere_ns.unwrap_or(i64::MIN);
    Ok(Scan {
        folders,
        rereads,
        trusted: walked.trusted,
        weak,
        omitted,
        excluded,
        unselected_count: walked.unselected_count,
        crossings,
        git_notices: walked.git_notices,
        counts,
        root_mode: stat::permissions(&found),
        root_owner: owner_of(&found),
        racy: RacyRule { clock: options.clock, end_ns: i64::MAX, newest_elsewhere_ns },
    })
}

/// Protects the git folders that a `.git` in the walk named. Returns true if the walk may have entered one of them.
fn protect_named(root: &Root, named: &[NamedFolder]) -> bool {
    let known = root.protected();
    let new = || named.iter().filter(|folder| known.at(folder.id).is_none());
    root.protect(new().map(|folder| folder.id), Protection::VersionControl);
    new().any(|folder| folder.is_walked(root.path()))
}

/// Multiple of a limit up to which a second walk continues, to find the largest folders.
const TALLY_FACTOR: u64 = 4;

impl ScanLimits {
    fn are_passed_by(&self, counts: &CaptureCounts) -> bool {
        counts.files.max(counts.folders) > self.files_max || counts.allocated_bytes > self.bytes_max
    }
}

/// The folders that were to be captured only for their contents, and have none that is captured. `gone` are folders
/// that turned out not to be captured.
fn empty_ones<'g>(selective: Vec<(TreePath, usize)>, gone: impl Iterator<Item = &'g TreePath>) -> BTreeSet<TreePath> {
    let mut counts: BTreeMap<TreePath, usize> = selective.into_iter().collect();
    let mut empty = BTreeSet::new();
    if counts.is_empty() {
        return empty;
    }
    let mut gone: Vec<TreePath> = gone.cloned().collect();
    gone.extend(counts.iter().filter(|(_, count)| **count == 0).map(|(path, _)| path.clone()));
    // Each is removed from its parent, which may become empty.
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

/// Removes folders that could not be listed, or are excluded for their contents, from their parents' lists.
///
/// They are found only after their parents were compared: opening every folder from its parent's task would hold as
/// many handles as there are folders.
fn without_unlisted<'u>(
    cache: &StatCache,
    differing: Vec<(TreePath, ScannedFolder)>,
    unlisted: impl IntoIterator<Item = &'u TreePath>,
) -> BTreeMap<TreePath, ScannedFolder> {
    let mut folders: BTreeMap<TreePath, ScannedFolder> = differing.into_iter().collect();
    let mut shortened = BTreeSet::new();
    for path in unlisted {
        let (Some(parent), Some(name)) = (path.parent(), path.name()) else { continue };
        let folder = folders.entry(parent.clone()).or_insert_with(|| {
            unchanged_folder(&cache.folder(&parent).expect("a folder that does not differ is cached"))
        });
        if let Ok(at) = folder.entries.binary_search_by(|entry| (*entry.name).cmp(name)) {
            folder.entries.remove(at);
        }
        shortened.insert(parent);
    }
    let is_as_cached = |path: &TreePath, folder: &ScannedFolder| {
        cache.folder(path).is_some_and(|cached| is_unchanged(folder, &cached))
    };
    folders.retain(|path, folder| !shortened.contains(path) || !is_as_cached(path, folder));
    folders
}

/// Decides whether files that differ only in their inode numbers are unchanged. A new mount renumbers all files; if
/// some files kept their numbers, the others may have been replaced.
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

/// Sorts the files that may be read again by their turn.
fn sort_by_turn(rereads: &mut [Reread], turns: &[Turn; 3]) {
    let distance = |one: &Reread| one.rank.wrapping_sub(turns[one.class.index()].rank);
    rereads.sort_unstable_by(|a, b| {
        let key = |one: &Reread| (one.class, !one.is_due, distance(one));
        key(a).cmp(&key(b)).then_with(|| (&a.folder, &a.entry.name).cmp(&(&b.folder, &b.entry.name)))
    });
}

/// Walks once more to find the largest folders for the message.
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
