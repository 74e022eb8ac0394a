//! Complete and exact: what is in a workspace comes back, byte for byte and bit for bit, and what cannot be captured is
//! named. The judge is a walker that shares no code with the library.

use std::collections::BTreeSet;

use retrograde::ops::back::restore_into;
use retrograde::workspace::materialize::Options;

use crate::support::depth::pick;
use crate::support::naughty::{Extras, naughty};
use crate::support::recorder::Recorder;
use crate::support::walker::{What, differences, walk};

fn round_trip(extras: Extras) {
    let recorder = Recorder::new();
    let built = naughty(&recorder.root, extras);
    let outcome = recorder.snap();
    let omitted: BTreeSet<Vec<u8>> = outcome.omitted.iter().map(|omission| omission.path.as_bytes().to_vec()).collect();
    let target = recorder.scratch.join("out");
    restore_into(&recorder.store, outcome.snapshot, &[], &target, &Options::default()).unwrap();
    let mut wanted = walk(&recorder.root);
    let excluded: BTreeSet<Vec<u8>> =
        recorder.status().excluded.iter().map(|one| one.path.as_bytes().to_vec()).collect();
    assert!(
        excluded.contains(&b"project/.git"[..]) || excluded.iter().any(|path| path.ends_with(b"/.git")),
        "{excluded:?}"
    );
    let is_left_out = |path: &[u8]| {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        ends.chain([path.len()]).any(|end| excluded.contains(&path[..end]) || omitted.contains(&path[..end]))
    };
    wanted.retain(|path, node| !is_left_out(path) && node.what != What::Special);
    let found = walk(&target);
    assert!(found == wanted, "{:#?}", differences(&found, &wanted));
    for special in &built.special {
        assert!(omitted.contains(special), "{} is not listed as omitted", special.escape_ascii());
    }
    assert!(!recorder.snap().recorded, "a second look finds nothing new");
    std::fs::remove_dir_all(recorder.store_root().join("workspaces")).unwrap();
    assert!(!recorder.snap().recorded, "nor without the stat cache");
}

#[test]
fn the_naughty_workspace_comes_back() {
    round_trip(Extras::default());
}

/// Of 5 GB at full depth.
#[test]
fn a_long_sparse_file_comes_back_sparse() {
    use std::os::unix::fs::MetadataExt;
    let recorder = Recorder::new();
    let length = pick(500_000_000, 5_000_000_000);
    let file = std::fs::File::options().create_new(true).write(true).open(recorder.root.join("sparse")).unwrap();
    file.set_len(length).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"in the middle", length / 2).unwrap();
    let outcome = recorder.snap();
    assert!(outcome.stored_bytes < 300_000, "{}", outcome.stored_bytes);
    let target = recorder.scratch.join("out");
    restore_into(&recorder.store, outcome.snapshot, &[], &target, &Options::default()).unwrap();
    let restored = target.join("sparse").metadata().unwrap();
    assert_eq!(restored.len(), length);
    assert!(restored.blocks() * 512 < 8 << 20, "{} blocks", restored.blocks());
    let mut middle = [0; 13];
    let file = std::fs::File::open(target.join("sparse")).unwrap();
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut middle, length / 2).unwrap();
    assert_eq!(&middle, b"in the middle");
}

/// Of 50,000 files at full depth.
#[test]
fn one_file_more_in_a_vast_folder_costs_little() {
    let recorder = Recorder::new();
    naughty(&recorder.root, Extras { crowd_count: pick(10_000, 50_000) });
    recorder.snap();
    recorder.write("crowd/file-0123456", b"one more");
    let outcome = recorder.snap();
    assert_eq!((outcome.changes.added, outcome.changes.modified, outcome.changes.deleted), (1, 0, 0));
    assert!(outcome.stored_bytes < 5_000, "{}", outcome.stored_bytes);
}

#[test]
fn a_file_that_grows_while_it_is_read_is_recorded_and_flagged_or_whole() {
    let recorder = Recorder::new();
    recorder.write("log", &[b'x'; 3_000_000]);
    let path = recorder.root.join("log");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use std::io::Write;
            let mut file = std::fs::File::options().append(true).open(&path).unwrap();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                file.write_all(b"one more line\n").unwrap();
            }
        });
        // The writer ends however this ends: a failure must not leave it filling the disk.
        let _stop = StopOnDrop(&stop);
        let mut length = 3_000_000;
        for _ in 0..5 {
            // On a busy machine the writer may not have had its turn yet.
            while std::fs::metadata(&path).unwrap().len() <= length {
                std::thread::yield_now();
            }
            length = std::fs::metadata(&path).unwrap().len();
            let outcome = recorder.snap();
            assert!(outcome.recorded);
        }
    });
    let last = recorder.snap();
    assert!(last.omitted.is_empty(), "once it is quiet it is whole");
    let target = recorder.scratch.join("out");
    restore_into(&recorder.store, last.snapshot, &[], &target, &Options::default()).unwrap();
    assert_eq!(walk(&target), walk(&recorder.root));
}

struct StopOnDrop<'a>(&'a std::sync::atomic::AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn folders_deleted_during_capture_do_no_harm() {
    let recorder = Recorder::new();
    for round in 0..10 {
        for number in 0..200 {
            recorder.write(&format!("tmp-{round}/{number}/file"), b"short-lived");
        }
        std::thread::scope(|scope| {
            scope.spawn(|| std::fs::remove_dir_all(recorder.root.join(format!("tmp-{round}"))).unwrap());
            recorder.snap();
        });
    }
    recorder.write("done", b"");
    let last = recorder.snap();
    assert!(last.omitted.is_empty());
    let target = recorder.scratch.join("out");
    restore_into(&recorder.store, last.snapshot, &[], &target, &Options::default()).unwrap();
    assert_eq!(walk(&target), walk(&recorder.root));
}
