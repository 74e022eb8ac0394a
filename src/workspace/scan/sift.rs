//! What of a folder is captured, and why the rest is not.

use std::os::fd::OwnedFd;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::ScanOptions;
use super::compare::Found;
use super::listing::{NamePlace, Names};
use crate::format::snapshot::{Omission, Reason};
use crate::format::tree::Kind;
use crate::limits::{FOLDER_DEPTH_MAX, PATH_LENGTH_MAX_BYTES};
use crate::path::TreePath;
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
}

/// Where a folder is.
#[derive(Clone, Copy, Debug)]
pub(super) struct FolderPlace<'a> {
    pub(super) path: &'a TreePath,
    pub(super) depth: usize,
}

/// What of a folder is not captured.
#[derive(Debug, Default)]
pub(super) struct Sifted {
    pub(super) omitted: Vec<Omission>,
    pub(super) excluded: Vec<TreePath>,
    /// The scan cannot go on.
    pub(super) failed: Option<(TreePath, Errno)>,
}

/// Looks at one name.
pub(super) fn look(handle: &OwnedFd, names: &Names, place: &NamePlace) -> Looked {
    let look = names.stat(handle, place);
    (*place, look.map(|found| Look { kind_and_mode: stat::kind_and_mode(&found), stat: FileStat::of(&found) }))
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
    let needs_path = options.rules.needs_path();
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
        if options.rules.is_excluded(buffer, name, is_folder) {
            sifted.excluded.push(folder.path.join(name));
            continue;
        }
        match found_or_refusal(options, folder.depth, *place, look) {
            Ok(one) => found.push(one),
            Err(Refusal::Omit(reason)) => sifted.omitted.push(Omission { path: folder.path.join(name), reason }),
            Err(Refusal::Fail(errno)) => sifted.failed = Some((folder.path.join(name), errno)),
        }
    }
    if has_unusable_path {
        sifted.omitted.push(Omission { path: folder.path.clone(), reason: Reason::TooLong });
    }
    sifted
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
    if kind == Kind::File && options.limits.file_bytes_max.is_some_and(|max| look.stat.size > max) {
        return Err(Refusal::Omit(Reason::TooLarge));
    }
    Ok(Found { place, kind, mode, stat: look.stat })
}
