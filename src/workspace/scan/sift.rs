//! What of a folder is captured, and why the rest is not.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::compare::Found;
use super::listing::{NamePlace, Names};
use super::{Protected, ScanOptions};
use crate::disk::FolderId;
use crate::format::snapshot::{Omission, Reason};
use crate::format::tree::Kind;
use crate::limits::{FOLDER_DEPTH_MAX, PATH_LENGTH_MAX_BYTES};
use crate::path::TreePath;
use crate::workspace::ignore::{GIT_NAME, IGNORE_NAME, Lists, Marks, Verdict};
use crate::workspace::places::{Place, Places};
use crate::workspace::refusal::Refusal;
use crate::workspace::stat::{self, FileStat};

/// A name and its stat.
pub(super) type Looked = (NamePlace, rustix::io::Result<Look>);

/// The part of a stat that a scan uses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// `None` for what cannot be captured.
    kind_and_mode: Option<(Kind, u16)>,
    stat: FileStat,
    allocated_bytes: u64,
}

/// Where a folder is.
#[derive(Clone, Debug)]
pub(super) struct FolderPlace<'a> {
    pub(super) path: &'a TreePath,
    pub(super) depth: usize,
    /// Device number of its file system.
    pub(super) device: u64,
    /// Folders that are left alone.
    pub(super) places: &'a Places,
    /// The ignore lists in force in it; none where none count.
    pub(super) lists: Option<Arc<Lists>>,
}

/// The ignore lists in force around what is in a folder.
#[derive(Debug, Default)]
pub(super) struct Below {
    lists: Option<Arc<Lists>>,
    /// Folders, by index into what is captured, for which they are others.
    exceptions: Vec<(usize, Option<Arc<Lists>>)>,
}

/// What of a folder is not captured.
#[derive(Debug, Default)]
pub(super) struct Sifted {
    pub(super) omitted: Vec<Omission>,
    pub(super) excluded: Vec<TreePath>,
    /// Excluded paths that no rule names.
    pub(super) protected: Vec<Protected>,
    pub(super) below: Below,
    /// The scan cannot go on.
    pub(super) failed: Option<(TreePath, Errno)>,
}

impl FolderPlace<'_> {
    /// Why a folder in it is left alone, whatever the rules say.
    fn place_of(&self, options: &ScanOptions<'_>, look: &rustix::io::Result<Look>) -> Option<Place> {
        let Ok(Look { kind_and_mode: Some((Kind::Folder, _)), stat, .. }) = look else { return None };
        let is_elsewhere = options.one_file_system && stat.device != self.device;
        let place = self.places.at(FolderId { device: stat.device, inode: stat.inode });
        place.or(is_elsewhere.then_some(Place::OtherFileSystem))
    }
}

impl Below {
    /// Those for one of the folders that are captured.
    pub(super) fn lists(&self, index: usize) -> Option<Arc<Lists>> {
        match self.exceptions.binary_search_by_key(&index, |(index, _)| *index) {
            Ok(at) => self.exceptions[at].1.clone(),
            Err(_) => self.lists.clone(),
        }
    }
}

/// Looks at one name.
pub(super) fn look(handle: &OwnedFd, names: &Names, place: &NamePlace) -> Looked {
    let look = names.stat(handle, place);
    let look = look.map(|found| Look {
        kind_and_mode: stat::kind_and_mode(&found),
        stat: FileStat::of(&found),
        allocated_bytes: stat::allocated_bytes(&found),
    });
    (*place, look)
}

/// What among the names of a folder changes which ignore lists are in force in it.
pub(super) fn marks(names: &Names, looked: &[Looked]) -> Marks {
    let find = |name: &[u8]| {
        let at = looked.binary_search_by(|(place, _)| names.name(place).cmp(name)).ok()?;
        looked[at].1.as_ref().ok()
    };
    let is_file = |look: &Look| matches!(look.kind_and_mode, Some((Kind::File, _)));
    Marks { has_git: find(GIT_NAME).is_some(), has_list: find(IGNORE_NAME).is_some_and(is_file) }
}

/// Leaves in `found` what is captured of a folder, and tells what is not. `buffer` is for paths.
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
    // What cannot be written down as a path is stood for by the folder that has it.
    let mut has_unusable_path = names.has_unusable_name;
    for (place, look) in looked {
        let name = names.name(place);
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
            Err(_) => place.hint == FileType::Directory,
        };
        if let Some(place) = folder.place_of(options, look) {
            sifted.protected.push(Protected { path: folder.path.join(name), place });
            sifted.excluded.push(folder.path.join(name));
            continue;
        }
        if options.rules.is_excluded(buffer, name, is_folder) {
            sifted.excluded.push(folder.path.join(name));
            continue;
        }
        let mut lists_below = None;
        if let Some(lists) = &folder.lists {
            match judge(options, lists, buffer, name, is_folder) {
                Judged::Ignored => {
                    sifted.excluded.push(folder.path.join(name));
                    continue;
                }
                Judged::Exception(lists) => lists_below = Some(lists),
                Judged::Captured => {}
            }
        }
        match found_or_refusal(options, folder.depth, *place, look) {
            Ok(one) => {
                sifted.below.exceptions.extend(lists_below.map(|lists| (found.len(), lists)));
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

/// What the ignore lists make of a name that the rules do not leave out.
enum Judged {
    Captured,
    Ignored,
    /// It is captured, and if it is a folder, other lists are in force around what is in it.
    Exception(Option<Arc<Lists>>),
}

fn judge(options: &ScanOptions<'_>, lists: &Arc<Lists>, path: &[u8], name: &[u8], is_folder: bool) -> Judged {
    if name == GIT_NAME {
        return Judged::Exception(None);
    }
    match lists.verdict(path, is_folder) {
        Verdict::Captured => Judged::Captured,
        _ if options.rules.is_included(path, name, is_folder) => Judged::Exception(Some(lists.within(false))),
        Verdict::Entered => Judged::Exception(Some(lists.within(true))),
        Verdict::Ignored => Judged::Ignored,
    }
}

fn found_or_refusal(
    options: &ScanOptions<'_>,
    folder_depth: usize,
    place: NamePlace,
    look: &rustix::io::Result<Look>,
) -> Result<Found, Refusal> {
    let look = look.as_ref().map_err(|errno| Refusal::of(*errno))?;
    let (kind, mode) = look.kind_and_mode.ok_or(Refusal::Omit(Reason::Special))?;
    if kind == Kind::Folder && folder_depth >= FOLDER_DEPTH_MAX {
        return Err(Refusal::Omit(Reason::TooLong));
    }
    if kind == Kind::File && options.limits.file_bytes_max.is_some_and(|max| look.allocated_bytes > max) {
        return Err(Refusal::Omit(Reason::TooLarge));
    }
    Ok(Found { place, kind, mode, stat: look.stat, allocated_bytes: look.allocated_bytes })
}
