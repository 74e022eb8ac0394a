//! The contents of a folder, read with nothing but the standard library: the judge of the library's work.
//!
//! Paths may be longer than a system call takes: a folder is opened in parts, each relative to the handle before
//! it, through `/proc/self/fd`. Only one handle is open at a time, so depth costs no descriptors. Nothing is changed on
//! the way, so what the user may not read is reported as unreadable.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Everything below a folder, by path relative to it; the folder itself under the empty path.
pub(crate) type Nodes = BTreeMap<Vec<u8>, Node>;

/// One path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Node {
    pub(crate) what: What,
    /// The twelve bits; 0 for symlinks.
    pub(crate) mode: u32,
}

/// The thing at a path.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// A file: length in bytes and BLAKE3 of the content, unless it may not be read.
    File(u64, Option<[u8; 32]>),
    /// A folder, and whether it may be listed.
    Folder { is_readable: bool },
    /// A symlink and its target.
    Symlink(Vec<u8>),
    /// A FIFO, socket or device.
    Special,
}

impl std::fmt::Debug for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(length, Some(hash)) => write!(f, "file of {length}, {:02x}{:02x}", hash[0], hash[1]),
            Self::File(length, None) => write!(f, "unreadable file of {length}"),
            Self::Folder { is_readable } => write!(f, "folder{}", if *is_readable { "" } else { ", unreadable" }),
            Self::Symlink(target) => write!(f, "symlink to {}", target.escape_ascii()),
            Self::Special => f.write_str("special"),
        }
    }
}

/// Walks the folder at `top`.
pub(crate) fn walk(top: &Path) -> Nodes {
    let root = File::open(top).expect("the folder to walk can be opened");
    let mode = root.metadata().expect("an open folder has a mode").mode() & 0o7777;
    let mut nodes = Nodes::from([(Vec::new(), Node { what: What::Folder { is_readable: true }, mode })]);
    let mut left = vec![Vec::new()];
    while let Some(path) = left.pop() {
        let Some((_handle, names, at)) = list(&root, &path) else {
            nodes.get_mut(&path).expect("it was seen in the folder above").what = What::Folder { is_readable: false };
            continue;
        };
        for name in names {
            let node = look(&at.join(OsStr::from_bytes(&name)));
            let inner = if path.is_empty() { name } else { [&path[..], b"/", &name].concat() };
            if matches!(node.what, What::Folder { .. }) {
                left.push(inner.clone());
            }
            nodes.insert(inner, node);
        }
    }
    nodes
}

/// The differences of two states, for messages: the first few paths, with the thing on either side.
pub(crate) fn differences(one: &Nodes, other: &Nodes) -> Vec<String> {
    let paths: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
    let differ = paths.into_iter().filter(|path| one.get(*path) != other.get(*path));
    let shown = |path: &Vec<u8>| format!("{}: {:?} / {:?}", path.escape_ascii(), one.get(path), other.get(path));
    differ.take(20).map(shown).collect()
}

/// The path of an open folder by which single names in it can be reached.
pub(crate) fn handle_path(handle: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()))
}

/// Opens the folder `path` below `root`, whatever its length.
pub(crate) fn open_below(root: &File, path: &[u8]) -> std::io::Result<File> {
    let mut handle = File::open(handle_path(root))?;
    let mut rest = path;
    while !rest.is_empty() {
        let cut = match rest.len() {
            0..=2_000 => rest.len(),
            _ => rest[..2_000].iter().rposition(|&byte| byte == b'/').expect("names are shorter than 2,000 bytes"),
        };
        handle = File::open(handle_path(&handle).join(OsStr::from_bytes(&rest[..cut])))?;
        rest = rest.get(cut + 1..).unwrap_or_default();
    }
    Ok(handle)
}

fn list(root: &File, path: &[u8]) -> Option<(File, Vec<Vec<u8>>, PathBuf)> {
    let handle = open_below(root, path).ok()?;
    let at = handle_path(&handle);
    let entries = std::fs::read_dir(&at).ok()?;
    let names = entries.map(|entry| entry.expect("a folder is listed to its end").file_name().as_bytes().to_owned());
    let names = names.collect();
    Some((handle, names, at))
}

fn look(path: &Path) -> Node {
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        // A folder that can be listed but not passed shows names and nothing else.
        return Node { what: What::Special, mode: u32::MAX };
    };
    let kind = metadata.file_type();
    let mode = metadata.mode() & 0o7777;
    if kind.is_file() {
        let hash = File::open(path).ok().map(|file| hash(&file));
        Node { what: What::File(metadata.len(), hash), mode }
    } else if kind.is_dir() {
        Node { what: What::Folder { is_readable: true }, mode }
    } else if kind.is_symlink() {
        let target = std::fs::read_link(path).expect("a symlink can be read");
        Node { what: What::Symlink(target.as_os_str().as_bytes().to_owned()), mode: 0 }
    } else {
        Node { what: What::Special, mode }
    }
}

fn hash(file: &File) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).expect("an open file can be read");
    *hasher.finalize().as_bytes()
}
