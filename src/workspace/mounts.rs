//! The mounts in a workspace.
//!
//! A mount looks like a folder or a file, and its contents are captured like everything else. But it may not have been
//! mounted when a step was taken, and then the step says nothing about its contents. Each step therefore records the
//! mounts, and a restore protects those that the step does not have.
//!
//! The kernel lists mounts by path. Device numbers are not enough: a folder mounted from the same file system has the
//! same one. Only systems without such a list go by device numbers.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::disk::FolderId;
use crate::path::TreePath;
use crate::workspace::beneath::Root;

/// Paths of mounts below the root, ascending. If the system does not list them, they are the folders that `crossings`
/// finds on another file system than the folder above them.
pub fn below(root: &Root, crossings: impl FnOnce() -> Vec<TreePath>) -> Vec<TreePath> {
    table(root).map_or_else(crossings, |(list, top)| listed(&list, &top))
}

/// The folders at and above `paths` that are on another file system than the folder above them, ascending.
pub fn crossings<'p>(root: &Root, paths: impl Iterator<Item = &'p TreePath>) -> Vec<TreePath> {
    let ancestors = |path: &TreePath| std::iter::successors(Some(path.clone()), TreePath::parent);
    let folders: BTreeSet<TreePath> = paths.flat_map(ancestors).collect();
    let device = |path: &TreePath| Some(FolderId::of_open(root.folder(path).ok()?).ok()?.device);
    let is_crossing = |path: &TreePath| {
        let above = path.parent().and_then(|above| device(&above));
        device(path).zip(above).is_some_and(|(own, above)| own != above)
    };
    folders.into_iter().filter(is_crossing).collect()
}

/// Paths of mounts below the root that show one of `folders`, a part of one, or a folder whose path on its own file
/// system satisfies `is_shown`.
pub fn showing(root: &Root, folders: &[&Path], is_shown: &dyn Fn(&Path) -> bool) -> Vec<TreePath> {
    table(root).map(|(list, top)| shown_in(&list, &top, folders, is_shown)).unwrap_or_default()
}

/// The kernel's list of mounts, and the path of the root; `None` on platforms without such a list.
fn table(root: &Root) -> Option<(Vec<u8>, Vec<u8>)> {
    if cfg!(feature = "portable") {
        return None;
    }
    let link = std::fs::read_link(format!("/proc/self/fd/{}", root.handle().as_raw_fd())).ok()?;
    Some((std::fs::read("/proc/self/mountinfo").ok()?, link.as_os_str().as_bytes().to_vec()))
}

/// One line of `/proc/self/mountinfo`.
struct Mount<'l> {
    /// Device number of its file system.
    device: &'l [u8],
    /// The folder of that file system that it shows.
    shown: PathBuf,
    /// Its mount point.
    point: PathBuf,
}

/// The mounts in a list. The fields of a line are: number, parent's number, device, folder shown, mount point.
fn mounts(list: &[u8]) -> impl Iterator<Item = Mount<'_>> {
    let path = |text| PathBuf::from(OsString::from_vec(unescaped(text)));
    list.split(|&byte| byte == b'\n').filter_map(move |line| {
        let mut fields = line.split(|&byte| byte == b' ').skip(2);
        let (device, shown, point) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Mount { device, shown: path(shown), point: path(point) })
    })
}

/// The path of a mount relative to `top`.
fn place_below(mount: &Mount<'_>, top: &[u8]) -> Option<TreePath> {
    let above = if top == b"/" { b"" } else { top };
    let rest = mount.point.as_os_str().as_bytes().strip_prefix(above)?.strip_prefix(b"/")?;
    TreePath::new(rest).ok().filter(|path| !path.is_root())
}

/// The mounts in `list` that are below `top`.
fn listed(list: &[u8], top: &[u8]) -> Vec<TreePath> {
    let mut found: Vec<TreePath> = mounts(list).filter_map(|mount| place_below(&mount, top)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// See [`showing`].
fn shown_in(list: &[u8], top: &[u8], folders: &[&Path], is_shown: &dyn Fn(&Path) -> bool) -> Vec<TreePath> {
    let all: Vec<Mount<'_>> = mounts(list).collect();
    // Of several at one mount point, the last hides the others.
    let place = |folder: &&Path| {
        let around = all.iter().filter(|mount| folder.starts_with(&mount.point));
        let mount = around.max_by_key(|mount| mount.point.as_os_str().len())?;
        Some((mount.device, mount.shown.join(folder.strip_prefix(&mount.point).ok()?)))
    };
    let places: Vec<(&[u8], PathBuf)> = folders.iter().filter_map(place).collect();
    let shows = |mount: &&Mount<'_>| {
        let is_of = |(device, path): &(&[u8], PathBuf)| mount.device == *device && mount.shown.starts_with(path);
        is_shown(&mount.shown) || places.iter().any(is_of)
    };
    all.iter().filter(shows).filter_map(|mount| place_below(mount, top)).collect()
}

/// Decodes the escapes of the list: a backslash and three octal digits for space, tab, line feed and backslash.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.first_chunk::<3>().filter(|digits| digits.iter().all(|digit| matches!(digit, b'0'..=b'7')));
        match digits {
            Some(digits) if first == b'\\' => {
                let value = digits.iter().fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0'));
                bytes.push(u8::try_from(value & 0xff).expect("eight bits"));
                rest = &after[3..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{listed, shown_in};

    #[test]
    fn mounts_are_known_by_what_they_show() {
        let list = b"22 1 8:1 / / rw - ext4 /dev/a rw\n\
            30 22 8:2 /@home /home rw - btrfs /dev/b rw\n\
            31 30 8:2 /@home/w/meta/refs /home/w/part rw - btrfs /dev/b rw\n\
            32 30 8:1 /home/w/meta/refs /home/w/other rw - ext4 /dev/a rw\n\
            33 30 8:2 /@home/w/metal /home/w/like rw - btrfs /dev/b rw\n\
            34 30 8:1 /x/.git/refs /home/w/sub\\040x rw - ext4 /dev/a rw\n\
            35 30 8:1 /x/.git/refs /home/elsewhere rw - ext4 /dev/a rw\n";
        let is_git = |shown: &Path| shown.iter().any(|part| part == ".git");
        let found = |folders: &[&Path]| -> Vec<String> {
            shown_in(list, b"/home/w", folders, &is_git).iter().map(ToString::to_string).collect()
        };
        assert_eq!(found(&[]), ["sub x"]);
        assert_eq!(found(&[&PathBuf::from("/home/w/meta")]), ["part", "sub x"]);
    }

    #[test]
    fn mounts_below_a_folder_are_found_by_path() {
        let list = b"22 1 8:1 / / rw - ext4 /dev/a rw\n\
            30 22 0:5 / /w rw - tmpfs none rw\n\
            31 30 0:6 / /w/two\\040words rw shared:1 - tmpfs none rw\n\
            32 30 8:1 /x /w/a/b rw - ext4 /dev/a rw\n\
            33 30 8:1 /x /w/a/b rw - ext4 /dev/a rw\n\
            34 22 0:7 / /world rw - tmpfs none rw\n\
            broken\n";
        let below =
            |top: &str| -> Vec<String> { listed(list, top.as_bytes()).iter().map(ToString::to_string).collect() };
        assert_eq!(below("/w"), ["a/b", "two words"]);
        assert_eq!(below("/w/a"), ["b"]);
        assert_eq!(below("/"), ["w", "w/a/b", "w/two words", "world"]);
        assert!(below("/none").is_empty());
    }
}
