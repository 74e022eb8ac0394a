//! Decides which entries of a folder are captured, and why the others are not.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::compare::Found;
use super::listing::{ListedName, Names};
use super::{Earlier, Objection, ScanOptions};
use crate::disk::FolderId;
use crate::format::snapshot::{Omission, Reason};
use crate::format::tree::EntryKind;
use crate::limits::{CONFIG_LENGTH_MAX_BYTES, FOLDER_DEPTH_MAX, PATH_LENGTH_MAX_BYTES};
use crate::path::TreePath;
use crate::workspace::ignore::{GIT_NAME, IGNORE_NAME, Lists, Marks, Verdict};
use crate::workspace::protected::{ProtectedFolders, Protection};
use crate::workspace::refusal::Refusal;
use crate::workspace::rules::evidence::{CACHE_MARK, ENVIRONMENT_MARK};
use crate::workspace::rules::{Exclusion, ExclusionReason, Match, is_settings};
use crate::workspace::stat::{self, FileStat};

/// A name and its stat.
pub(super) type Looked = (ListedName, rustix::io::Result<Look>);

/// The part of a stat that a scan uses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// `None` if it cannot be captured.
    kind_and_mode: Option<(EntryKind, u16)>,
    stat: FileStat,
    allocated_bytes: u64,
}

/// A folder in the walk, and what decides about its entries.
pub(super) struct FolderContext<'a> {
    pub(super) options: &'a ScanOptions<'a>,
    pub(super) path: &'a TreePath,
    pub(super) depth: usize,
    /// Device number of its file system.
    pub(super) device: u64,
    /// The protected folders.
    pub(super) protected: &'a ProtectedFolders,
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
    /// Child folders with other lists, or captured in part, by index into the captured entries.
    exceptions: Vec<(usize, Option<Arc<Lists>>, Share)>,
}

/// The entries of a folder that are not captured.
#[derive(Debug, Default)]
pub(super) struct Sifted {
    pub(super) omitted: Vec<Omission>,
    pub(super) excluded: Vec<Exclusion>,
    /// Number of files that `only` does not select.
    pub(super) unselected_count: u64,
    pub(super) below: Below,
    /// An error after which the scan cannot go on.
    pub(super) failed: Option<(TreePath, Errno)>,
}

impl Below {
    /// The ignore lists that apply to a child folder, and the part of it that is captured.
    pub(super) fn of(&self, index: usize) -> (Option<Arc<Lists>>, Share) {
        match self.exceptions.binary_search_by_key(&index, |(index, ..)| *index) {
            Ok(at) => (self.exceptions[at].1.clone(), self.exceptions[at].2),
            Err(_) => (self.lists.clone(), Share::All),
        }
    }
}

/// Takes the stat of one name.
pub(super) fn look(handle: &OwnedFd, names: &Names, listed: &ListedName) -> Looked {
    let look = names.stat(handle, listed);
    let look = look.map(|found| Look {
        kind_and_mode: stat::kind_and_mode(&found),
        stat: FileStat::of(&found),
        allocated_bytes: stat::allocated_bytes(&found),
    });
    (*listed, look)
}

/// The stat of the entry with this name.
fn find<'l>(names: &Names, looked: &'l [Looked], name: &[u8]) -> Option<&'l Look> {
    let at = looked.binary_search_by(|(listed, _)| names.name(listed).cmp(name)).ok()?;
    looked[at].1.as_ref().ok()
}

fn has_file(names: &Names, looked: &[Looked], name: &[u8]) -> bool {
    find(names, looked, name).is_some_and(|look| matches!(look.kind_and_mode, Some((EntryKind::File, _))))
}

/// The entries of a folder that change which ignore lists apply in it.
pub(super) fn marks(names: &Names, looked: &[Looked]) -> Marks {
    let git = find(names, looked, GIT_NAME).map(|look| look.kind_and_mode);
    let has_file = |name| has_file(names, looked, name);
    Marks {
        has_git: git.is_some(),
        has_list: has_file(IGNORE_NAME),
        has_git_file: matches!(git, Some(Some((EntryKind::File, _)))),
        has_git_link: matches!(git, Some(Some((EntryKind::File | EntryKind::Symlink, _)))),
        has_environment_mark: has_file(ENVIRONMENT_MARK),
        has_cache_mark: has_file(CACHE_MARK),
    }
}

/// The part of a name that is captured, and the ignore lists for its contents, if they differ from those around it.
type Decided = (Share, Option<Arc<Lists>>);

impl FolderContext<'_> {
    /// Puts the captured entries into `found`, and returns the others. `buffer` is for paths.
    pub(super) fn sift(
        &self,
        names: &Names,
        looked: &[Looked],
        buffer: &mut Vec<u8>,
        found: &mut Vec<Found>,
    ) -> Sifted {
        let mut sifted = Sifted::default();
        let needs_path = self.options.rules.needs_path() || self.lists.is_some();
        buffer.clear();
        buffer.extend_from_slice(self.path.as_bytes());
        if !self.path.is_root() {
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
                Ok(look) => matches!(look.kind_and_mode, Some((EntryKind::Folder, _))),
                Err(_) => at.hint == FileType::Directory,
            };
            let protection = self.protection(look);
            let is_entered = protection == Some(Protection::OtherFileSystem)
                && self.is_wanted(self.path.join(name).as_bytes(), true, Objection::Rules);
            if let Some(protection) = protection.filter(|_| !is_entered) {
                sifted
                    .excluded
                    .push(Exclusion { path: self.path.join(name), why: ExclusionReason::Protected(protection) });
                continue;
            }
            let is_beside = |file: &str| has_file(names, looked, file.as_bytes());
            let (share, lists_below) = match self.decide(buffer, name, is_folder, &is_beside) {
                Ok((_, lists_below)) if is_entered => (Share::Wanted, lists_below),
                Ok(decided) => decided,
                Err(ExclusionReason::Unselected) if !is_folder => {
                    sifted.unselected_count += 1;
                    continue;
                }
                Err(why) => {
                    sifted.excluded.push(Exclusion { path: self.path.join(name), why });
                    continue;
                }
            };
            match self.found_or_refusal(*at, name, look) {
                Ok(one) => {
                    if one.kind == EntryKind::Folder && (share != Share::All || lists_below.is_some()) {
                        let lists = lists_below.or_else(|| self.lists.clone());
                        sifted.below.exceptions.push((found.len(), lists, share));
                    }
                    found.push(one);
                }
                Err(Refusal::Omit(reason)) => sifted.omitted.push(Omission { path: self.path.join(name), reason }),
                Err(Refusal::Fail(errno)) => sifted.failed = Some((self.path.join(name), errno)),
            }
        }
        sifted.below.lists.clone_from(&self.lists);
        if has_unusable_path {
            sifted.omitted.push(Omission { path: self.path.clone(), reason: Reason::TooLong });
        }
        sifted
    }

    /// The reason why a child folder is protected regardless of the rules.
    fn protection(&self, look: &rustix::io::Result<Look>) -> Option<Protection> {
        let Ok(Look { kind_and_mode: Some((EntryKind::Folder, _)), stat, .. }) = look else { return None };
        let is_elsewhere = self.options.one_file_system && stat.device != self.device;
        let known = self.protected.at(FolderId { device: stat.device, inode: stat.inode });
        known.or(is_elsewhere.then_some(Protection::OtherFileSystem))
    }

    /// Decides which part of a name is captured, or why it is excluded. `path` holds the folder and its slash, and also
    /// the name if the rules need paths.
    fn decide(
        &self,
        path: &mut Vec<u8>,
        name: &[u8],
        is_folder: bool,
        is_beside: &dyn Fn(&str) -> bool,
    ) -> Result<Decided, ExclusionReason> {
        let Self { options, .. } = self;
        let is_plain = self.share == Share::All && self.lists.is_none();
        if is_plain && options.earlier.is_none() && !options.rules.may_exclude(path, name, is_folder) {
            return Ok((Share::All, None));
        }
        let folder_length = if self.path.is_root() { 0 } else { self.path.as_bytes().len() + 1 };
        path.truncate(folder_length);
        path.extend_from_slice(name);
        let is_wanted = |by| self.is_wanted(path, is_folder, by);
        let lists_below = match self.judge(path, name, is_folder, is_beside) {
            Err(why) if !why.is_binding() && is_wanted(Objection::Rules) => return Ok((Share::Wanted, None)),
            judged => judged?,
        };
        let mut is_partly = false;
        if lists_below.is_none() {
            match self.earlier(path, is_folder) {
                Earlier::Nothing if is_wanted(Objection::Earlier) => return Ok((Share::Wanted, None)),
                Earlier::Nothing => return Err(ExclusionReason::Earlier),
                how_much => is_partly = how_much == Earlier::Partly,
            }
        }
        let share = match self.share {
            Share::Named { .. } => self.share_of(path, name, is_folder).ok_or(ExclusionReason::Unselected)?,
            _ => Share::All,
        };
        let share = match share {
            Share::All if is_partly => Share::Named { is_wanted: is_wanted(Objection::Rules) },
            share => share,
        };
        Ok((share, lists_below))
    }

    /// The part of a name that an earlier snapshot captured, as far as the rules allow. In a folder that is entered for
    /// a few paths these are captured, regardless of earlier exclusions around them.
    fn earlier(&self, path: &[u8], is_folder: bool) -> Earlier {
        let is_entered = self.share == Share::Wanted || self.lists.as_ref().is_some_and(|lists| lists.is_entered());
        match self.options.earlier {
            Some(at) if !is_entered && !is_settings(path, is_folder) => at(path, is_folder),
            _ => Earlier::Captured,
        }
    }

    /// The part of a name that is captured in a folder that is captured in part; `None` for nothing.
    fn share_of(&self, path: &[u8], name: &[u8], is_folder: bool) -> Option<Share> {
        let only = self.options.rules.only();
        if only.is_none_or(|only| only.names(path, name, is_folder)) || is_settings(path, is_folder) {
            return Some(Share::All);
        }
        let is_wanted = self.is_wanted(path, is_folder, Objection::Rules);
        match is_folder && only.is_some_and(|only| only.may_be_in(path)) {
            true => Some(Share::Named { is_wanted }),
            false => is_wanted.then_some(Share::Wanted),
        }
    }

    /// Applies the rules and the ignore lists: returns the lists that apply to the contents of a folder, if they differ
    /// from those around it, or why a name is excluded. `is_beside` tells whether a file is in the same folder.
    fn judge(
        &self,
        path: &[u8],
        name: &[u8],
        is_folder: bool,
        is_beside: &dyn Fn(&str) -> bool,
    ) -> Result<Option<Arc<Lists>>, ExclusionReason> {
        let rules = self.options.rules;
        let why = match rules.match_of(path, name, is_folder) {
            Match::Beside(files) => files.iter().find(|file| is_beside(file)).map(|file| ExclusionReason::Beside(file)),
            Match::Out(why) => Some(why),
            Match::In => None,
        };
        match why {
            Some(why @ (ExclusionReason::VersionControl | ExclusionReason::Setting)) => return Err(why),
            _ if self.share == Share::Wanted => return Err(ExclusionReason::Rest),
            Some(why) => {
                let tracking = self.lists.clone().unwrap_or_else(|| (self.tracking)(self.path));
                let is_tracked = tracking.tracks(path, is_folder);
                return is_tracked.then(|| is_folder.then(|| tracking.within(true))).ok_or(why);
            }
            None => {}
        }
        let Some(lists) = &self.lists else { return Ok(None) };
        match lists.verdict(path, is_folder) {
            Verdict::Captured => Ok(None),
            _ if rules.is_included(path, name, is_folder) => Ok(Some(lists.within(false))),
            Verdict::Entered => Ok(Some(lists.within(true))),
            Verdict::Ignored if lists.only_tracks() => Err(ExclusionReason::Rest),
            Verdict::Ignored => Err(ExclusionReason::Ignored),
        }
    }

    /// Returns true if a path is wanted although `by` would keep it out.
    fn is_wanted(&self, path: &[u8], is_folder: bool, by: Objection) -> bool {
        self.options.wanted.is_some_and(|wanted| wanted(path, is_folder, by))
    }

    /// The captured entry of a name, or the reason why it cannot be captured.
    fn found_or_refusal(
        &self,
        listed: ListedName,
        name: &[u8],
        look: &rustix::io::Result<Look>,
    ) -> Result<Found, Refusal> {
        let look = look.as_ref().map_err(|errno| Refusal::from(*errno))?;
        let (kind, mode) = look.kind_and_mode.ok_or(Refusal::Omit(Reason::Special))?;
        if kind == EntryKind::Folder && self.depth >= FOLDER_DEPTH_MAX {
            return Err(Refusal::Omit(Reason::TooLong));
        }
        let is_needed = || {
            let is_short = look.stat.size <= CONFIG_LENGTH_MAX_BYTES;
            (self.path.is_root() && is_settings(name, false) && is_short)
                || self.is_wanted(self.path.join(name).as_bytes(), false, Objection::Size)
        };
        let is_large = |max| kind == EntryKind::File && look.allocated_bytes > max && !is_needed();
        if self.options.limits.file_bytes_max.is_some_and(is_large) {
            return Err(Refusal::Omit(Reason::TooLarge));
        }
        Ok(Found { listed, kind, mode, stat: look.stat, allocated_bytes: look.allocated_bytes })
    }
}
