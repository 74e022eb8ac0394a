//! Decides which entries of a folder are captured, and why the others are not.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::compare::Found;
use super::listing::{NamePlace, Names};
use super::{Earlier, KeptOutBy, Protected, ScanOptions};
use crate::disk::FolderId;
use crate::format::snapshot::{Omission, Reason};
use crate::format::tree::Kind;
use crate::limits::{CONFIG_LENGTH_MAX_BYTES, FOLDER_DEPTH_MAX, PATH_LENGTH_MAX_BYTES};
use crate::path::TreePath;
use crate::workspace::ignore::{GIT_NAME, IGNORE_NAME, Lists, Marks, Verdict};
use crate::workspace::places::{Place, Places};
use crate::workspace::refusal::Refusal;
use crate::workspace::rules::evidence::{CACHE_MARK, ENVIRONMENT_MARK};
use crate::workspace::rules::{Exclusion, Match, Only, Why, is_settings};
use crate::workspace::stat::{self, FileStat};

/// A name and its stat.
pub(super) type Looked = (NamePlace, rustix::io::Result<Look>);

/// The part of a stat that a scan uses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// `None` if it cannot be captured.
    kind_and_mode: Option<(Kind, u16)>,
    stat: FileStat,
    allocated_bytes: u64,
}

/// A folder in the walk.
#[derive(Clone)]
pub(super) struct FolderPlace<'a> {
    pub(super) path: &'a TreePath,
    pub(super) depth: usize,
    /// Device number of its file system.
    pub(super) device: u64,
    /// The protected folders.
    pub(super) places: &'a Places,
    /// The ignore lists that apply in it; `None` if ignore files do not count.
    pub(super) lists: Option<Arc<Lists>>,
    /// The part of it that is captured.
    pub(super) share: Share,
    /// Finds the paths that git tracks in it, if there are no lists.
    pub(super) tracking: &'a (dyn Fn(&TreePath) -> Arc<Lists> + Sync),
}

/// The part of a folder that is captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// Everything that no rule excludes.
    All,
    /// Of that, the paths that `only` selects. The folder itself is captured if it contains any, or if it `is_wanted`.
    Named {
        /// True if the folder is wanted regardless of the rules.
        is_wanted: bool,
    },
    /// Only wanted paths: the folder itself is left out.
    Wanted,
}

/// The ignore lists and shares that apply to the child folders of a folder.
#[derive(Debug, Default)]
pub(super) struct Below {
    lists: Option<Arc<Lists>>,
    /// Child folders with other lists, by index into the captured entries.
    exceptions: Vec<(usize, Option<Arc<Lists>>)>,
    /// Child folders that are captured in part, by index into the captured entries.
    shares: Vec<(usize, Share)>,
}

/// The entries of a folder that are not captured.
#[derive(Debug, Default)]
pub(super) struct Sifted {
    pub(super) omitted: Vec<Omission>,
    pub(super) excluded: Vec<Exclusion>,
    /// Number of files that `only` does not select.
    pub(super) unselected_count: u64,
    /// Excluded paths that no rule matches.
    pub(super) protected: Vec<Protected>,
    pub(super) below: Below,
    /// An error after which the scan cannot go on.
    pub(super) failed: Option<(TreePath, Errno)>,
}

impl FolderPlace<'_> {
    /// The reason why a child folder is protected regardless of the rules.
    fn place_of(&self, options: &ScanOptions<'_>, look: &rustix::io::Result<Look>) -> Option<Place> {
        let Ok(Look { kind_and_mode: Some((Kind::Folder, _)), stat, .. }) = look else { return None };
        self.places
            .at(FolderId { device: stat.device, inode: stat.inode })
            .or_else(|| (options.one_file_system && stat.device != self.device).then_some(Place::OtherFileSystem))
    }
}

impl Below {
    /// The part of a child folder that is captured.
    pub(super) fn share(&self, index: usize) -> Share {
        let found = self.shares.binary_search_by_key(&index, |(index, _)| *index);
        found.map_or(Share::All, |at| self.shares[at].1)
    }

    /// The ignore lists that apply to a child folder.
    pub(super) fn lists(&self, index: usize) -> Option<Arc<Lists>> {
        match self.exceptions.binary_search_by_key(&index, |(index, _)| *index) {
            Ok(at) => self.exceptions[at].1.clone(),
            Err(_) => self.lists.clone(),
        }
    }
}

/// Takes the stat of one name.
pub(super) fn look(handle: &OwnedFd, names: &Names, place: &NamePlace) -> Looked {
    let look = names.stat(handle, place);
    let look = look.map(|found| Look {
        kind_and_mode: stat::kind_and_mode(&found),
        stat: FileStat::of(&found),
        allocated_bytes: stat::allocated_bytes(&found),
    });
    (*place, look)
}

/// The entries of a folder that change which ignore lists apply in it.
pub(super) fn marks(names: &Names, looked: &[Looked]) -> Marks {
    let find = |name: &[u8]| {
        let at = looked.binary_search_by(|(place, _)| names.name(place).cmp(name)).ok()?;
        looked[at].1.as_ref().ok()
    };
    let is_file = |look: &Look| matches!(look.kind_and_mode, Some((Kind::File, _)));
    let has_file = |name| find(name).is_some_and(is_file);
    let git = find(GIT_NAME);
    Marks {
        has_git: git.is_some(),
        has_list: has_file(IGNORE_NAME),
        has_git_file: git.is_some_and(is_file),
        has_git_link: git.is_some_and(|look| matches!(look.kind_and_mode, Some((Kind::File | Kind::Symlink, _)))),
        has_environment_mark: has_file(ENVIRONMENT_MARK),
        has_cache_mark: has_file(CACHE_MARK),
    }
}

/// Puts the captured entries of a folder into `found`, and returns the others. `buffer` is for paths.
pub(super) fn sift(
    options: &ScanOptions<'_>,
    folder: FolderPlace<'_>,
    names: &Names,
    looked: &[Looked],
    buffer: &mut Vec<u8>,
    found: &mut Vec<Found>,
) -> Sifted {
    let mut sifted = Sifted::default();
    let needs_path = options.rules.needs_path() || folder.lists.is_some();
    buffer.clear();
    buffer.extend_from_slice(folder.path.as_bytes());
    if !folder.path.is_root() {
        buffer.push(b'/');
    }
    let folder_length = buffer.len();
    found.clear();
    // An entry whose path is too long is reported as an omission of its folder.
    let mut has_unusable_path = names.has_unusable_name;
    for (at, look) in looked {
        let name = names.name(at);
        if folder_length + name.len() > PATH_LENGTH_MAX_BYTES {
            has_unusable_path = true;
            continue;
        }
        buffer.truncate(folder_length);
        if needs_path {
            buffer.extend_from_slice(name);
        }
        let is_folder = match look {
            Ok(look) => matches!(look.kind_and_mode, Some((Kind::Folder, _))),
            Err(_) => at.hint == FileType::Directory,
        };
        let is_wanted = |is_folder, by| is_wanted(options, folder.path, name, is_folder, by);
        let place = folder.place_of(options, look);
        let is_entered = place == Some(Place::OtherFileSystem) && is_wanted(true, KeptOutBy::Rules);
        if let Some(place) = place.filter(|_| !is_entered) {
            sifted.protected.push(Protected { path: folder.path.join(name), place });
            sifted.excluded.push(Exclusion { path: folder.path.join(name), why: Why::Place(place) });
            continue;
        }
        let is_beside = |file: &str| has_file(names, looked, file);
        let decided = decide(options, &folder, buffer, name, is_folder, &is_beside);
        let Decided { share, lists_below } = match decided {
            Ok(decided) if is_entered => Decided { share: Share::Wanted, ..decided },
            Ok(decided) => decided,
            Err(Why::Unselected) if !is_folder => {
                sifted.unselected_count += 1;
                continue;
            }
            Err(why) => {
                sifted.excluded.push(Exclusion { path: folder.path.join(name), why });
                continue;
            }
        };
        let is_needed = |size: u64| {
            let is_settings = folder.path.is_root() && is_settings(name, false) && size <= CONFIG_LENGTH_MAX_BYTES;
            is_settings || is_wanted(false, KeptOutBy::Size)
        };
        match found_or_refusal(options, folder.depth, *at, look, &is_needed) {
            Ok(one) => {
                sifted.below.exceptions.extend(lists_below.map(|lists| (found.len(), lists)));
                if one.kind == Kind::Folder && share != Share::All {
                    sifted.below.shares.push((found.len(), share));
                }
                found.push(one);
            }
            Err(Refusal::Omit(reason)) => sifted.omitted.push(Omission { path: folder.path.join(name), reason }),
            Err(Refusal::Fail(errno)) => sifted.failed = Some((folder.path.join(name), errno)),
        }
    }
    sifted.below.lists = folder.lists;
    if has_unusable_path {
        sifted.omitted.push(Omission { path: folder.path.clone(), reason: Reason::TooLong });
    }
    sifted
}

/// The decision to capture a name.
struct Decided {
    share: Share,
    /// The ignore lists for its contents, if they differ from those around it.
    lists_below: Option<Option<Arc<Lists>>>,
}

/// Decides which part of a name is captured, or why it is excluded. `path` holds the folder and its slash, and also the
/// name if the rules need paths.
fn decide(
    options: &ScanOptions<'_>,
    folder: &FolderPlace<'_>,
    path: &mut Vec<u8>,
    name: &[u8],
    is_folder: bool,
    is_beside: &dyn Fn(&str) -> bool,
) -> Result<Decided, Why> {
    let is_named = matches!(folder.share, Share::Named { .. });
    let is_plain = folder.share == Share::All && folder.lists.is_none();
    if is_plain && options.earlier.is_none() && !options.rules.may_exclude(path, name, is_folder) {
        return Ok(Decided { share: Share::All, lists_below: None });
    }
    let folder_length = if folder.path.is_root() { 0 } else { folder.path.as_bytes().len() + 1 };
    path.truncate(folder_length);
    path.extend_from_slice(name);
    let is_wanted = |by| options.wanted.is_some_and(|wanted| wanted(path, is_folder, by));
    let mut is_partly = false;
    let lists_below = match judge(options, folder, path, name, is_folder, is_beside) {
        Judged::Captured => match earlier(options, folder, path, is_folder) {
            Earlier::LeftOut if is_wanted(KeptOutBy::Earlier) => {
                return Ok(Decided { share: Share::Wanted, lists_below: None });
            }
            Earlier::LeftOut => return Err(Why::Earlier),
            how_much => {
                is_partly = how_much == Earlier::Partly;
                None
            }
        },
        Judged::Exception(lists) => Some(lists),
        Judged::Out(why) if !why.is_binding() && is_wanted(KeptOutBy::Rules) => {
            return Ok(Decided { share: Share::Wanted, lists_below: None });
        }
        Judged::Out(why) => return Err(why),
    };
    let share = if is_named { share_of(options, path, name, is_folder) } else { Some(Share::All) };
    let share = match share {
        Some(Share::All) if is_partly => Some(Share::Named { is_wanted: is_wanted(KeptOutBy::Rules) }),
        share => share,
    };
    share.map(|share| Decided { share, lists_below }).ok_or(Why::Unselected)
}

/// The part of a name that an earlier snapshot captured, as far as the rules allow. In a folder that is entered for a
/// few paths these are captured, regardless of earlier exclusions around them.
fn earlier(options: &ScanOptions<'_>, folder: &FolderPlace<'_>, path: &[u8], is_folder: bool) -> Earlier {
    let is_entered = folder.share == Share::Wanted || folder.lists.as_ref().is_some_and(|lists| lists.is_entered());
    match options.earlier {
        Some(at) if !is_entered && !is_settings(path, is_folder) => at(path, is_folder),
        _ => Earlier::Captured,
    }
}

/// The part of a name that is captured in a folder that is captured in part; `None` for nothing.
fn share_of(options: &ScanOptions<'_>, path: &[u8], name: &[u8], is_folder: bool) -> Option<Share> {
    let is_named = |only: &Only| only.names(path, name, is_folder);
    if options.rules.only().is_none_or(is_named) || is_settings(path, is_folder) {
        return Some(Share::All);
    }
    let may_hold = is_folder && options.rules.only().is_some_and(|only| only.may_be_in(path));
    let is_wanted = options.wanted.is_some_and(|wanted| wanted(path, is_folder, KeptOutBy::Rules));
    match (may_hold, is_wanted) {
        (true, is_wanted) => Some(Share::Named { is_wanted }),
        (false, true) => Some(Share::Wanted),
        (false, false) => None,
    }
}

/// The decision of the rules and ignore lists about a name.
enum Judged {
    Captured,
    Out(Why),
    /// It is captured, and if it is a folder, these lists apply to its contents.
    Exception(Option<Arc<Lists>>),
}

/// Applies the rules and the ignore lists. `is_beside` tells whether a file is in the same folder.
fn judge(
    options: &ScanOptions<'_>,
    folder: &FolderPlace<'_>,
    path: &[u8],
    name: &[u8],
    is_folder: bool,
    is_beside: &dyn Fn(&str) -> bool,
) -> Judged {
    let found = options.rules.match_of(path, name, is_folder);
    let evidence = match found {
        Match::Beside(files) => files.iter().find(|file| is_beside(file)).map(|file| Why::Beside(file)),
        Match::Out(why) => Some(why),
        Match::In => None,
    };
    match evidence {
        Some(why @ (Why::VersionControl | Why::Setting)) => return Judged::Out(why),
        _ if folder.share == Share::Wanted => return Judged::Out(Why::Rest),
        Some(why) => {
            let tracking = match &folder.lists {
                Some(lists) => Arc::clone(lists),
                None => (folder.tracking)(folder.path),
            };
            return match tracking.tracks(path, is_folder) {
                true if is_folder => Judged::Exception(Some(tracking.within(true))),
                true => Judged::Captured,
                false => Judged::Out(why),
            };
        }
        None => {}
    }
    let Some(lists) = &folder.lists else { return Judged::Captured };
    let is_included = || options.rules.is_included(path, name, is_folder);
    match lists.verdict(path, is_folder) {
        Verdict::Captured => Judged::Captured,
        _ if is_included() => Judged::Exception(Some(lists.within(false))),
        Verdict::Entered => Judged::Exception(Some(lists.within(true))),
        Verdict::Ignored if lists.only_tracks() => Judged::Out(Why::Rest),
        Verdict::Ignored => Judged::Out(Why::Ignored),
    }
}

/// Returns true if a folder has a regular file of this name.
fn has_file(names: &Names, looked: &[Looked], name: &str) -> bool {
    let at = looked.binary_search_by(|(place, _)| names.name(place).cmp(name.as_bytes()));
    let look = at.ok().and_then(|at| looked[at].1.as_ref().ok());
    look.is_some_and(|look| matches!(look.kind_and_mode, Some((Kind::File, _))))
}

/// Returns true if a name in a folder is wanted although `by` would keep it out.
fn is_wanted(options: &ScanOptions<'_>, folder: &TreePath, name: &[u8], is_folder: bool, by: KeptOutBy) -> bool {
    options.wanted.is_some_and(|wanted| wanted(folder.join(name).as_bytes(), is_folder, by))
}

/// The captured entry of a name, or the reason why it cannot be captured. `is_needed` tells whether a file of some
/// length is captured regardless of its size on disk.
fn found_or_refusal(
    options: &ScanOptions<'_>,
    folder_depth: usize,
    place: NamePlace,
    look: &rustix::io::Result<Look>,
    is_needed: &dyn Fn(u64) -> bool,
) -> Result<Found, Refusal> {
    let look = look.as_ref().map_err(|errno| Refusal::of(*errno))?;
    let (kind, mode) = look.kind_and_mode.ok_or(Refusal::Omit(Reason::Special))?;
    if kind == Kind::Folder && folder_depth >= FOLDER_DEPTH_MAX {
        return Err(Refusal::Omit(Reason::TooLong));
    }
    let is_large = |max| kind == Kind::File && look.allocated_bytes > max && !is_needed(look.stat.size);
    if options.limits.file_bytes_max.is_some_and(is_large) {
        return Err(Refusal::Omit(Reason::TooLarge));
    }
    Ok(Found { place, kind, mode, stat: look.stat, allocated_bytes: look.allocated_bytes })
}
