//! Folders nested thousands deep. Their paths together are longer than all that is in them, and far longer than a
//! system call takes: nothing may go through all of a path for each folder, keep one for each, or write one for each.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::support::depth::pick;
use crate::support::recorder::Recorder;
use retrograde::limits::FOLDER_DEPTH_MAX;

/// Nests folders in each other, with a file in the innermost.
fn nest(root: &Path, depth: usize) {
    let mut folder = open_root(root);
    for _ in 0..depth {
        rustix::fs::mkdirat(&folder, "a", Mode::RWXU).unwrap();
        folder = open(&folder, "a").unwrap();
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&folder, "bottom", flags, Mode::RUSR | Mode::WUSR).unwrap();
    assert_eq!(rustix::io::write(&file, b"bottom").unwrap(), 6);
}

fn open_root(root: &Path) -> OwnedFd {
    rustix::fs::open(root, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

fn open(folder: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(folder, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// The depth of the folders, and the content of the file in the innermost.
fn innermost(root: &Path) -> (usize, Vec<u8>) {
    let mut folder = open_root(root);
    let mut depth = 0;
    while let Ok(next) = open(&folder, "a") {
        (folder, depth) = (next, depth + 1);
    }
    let mut content = vec![0; 100];
    let read = open(&folder, "bottom").and_then(|file| rustix::io::read(&file, &mut *content)).unwrap_or(0);
    content.truncate(read);
    (depth, content)
}

#[test]
fn folders_nested_to_the_limit_are_recorded_removed_and_restored() {
    let depth = pick(2_000, FOLDER_DEPTH_MAX);
    let recorder = Recorder::new();
    recorder.write("top", b"top");
    let flat = recorder.snap().snapshot;
    nest(&recorder.root, depth);
    let deep = recorder.snap();
    assert_eq!((recorder.status().counts.folders, deep.omitted.len()), (depth as u64 + 1, 0));
    recorder.restore(flat);
    assert_eq!(innermost(&recorder.root), (0, Vec::new()));
    recorder.restore(deep.snapshot);
    assert_eq!(innermost(&recorder.root), (depth, b"bottom".to_vec()));
    assert!(recorder.status().changes.is_empty());
    // A scratch folder this deep is more than the usual ways of removing one can take.
    recorder.restore(flat);
}

/// The stat cache held the path of each folder: eight times as deep, it was sixty times as long.
#[test]
fn the_stat_cache_grows_with_the_number_of_nested_folders_and_not_with_their_paths() {
    let length = |depth: usize| {
        let recorder = Recorder::new();
        let flat = recorder.snap().snapshot;
        nest(&recorder.root, depth);
        recorder.snap();
        let path = recorder.store_root().join(format!("workspaces/{}/stat", recorder.workspace));
        let length = std::fs::metadata(path).unwrap().len();
        recorder.restore(flat);
        length
    };
    let (shallow, deep) = (length(250), length(2_000));
    assert!(deep <= shallow * 8, "{shallow} bytes, and {deep} eight times as deep");
}
