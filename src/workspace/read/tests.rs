//! Tests of reading files that change or vanish, and entries that are no files.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::Mode;

use super::{Beside, Folder, LargeFile, OpenedFile, Outcome, WholeFile, read_file, read_symlink};
use crate::format::snapshot::Reason;
use crate::path::TreePath;
use crate::workspace::cache::Proof;
use crate::workspace::testing::Bench;

const WHOLE_MAX_BYTES: usize = 1 << 20;

fn folder(bench: &Bench) -> Folder<'_> {
    match Folder::open(&bench.root, &TreePath::root()).unwrap() {
        Outcome::Read(folder) => folder,
        Outcome::Omitted(reason) => panic!("{reason:?}"),
    }
}

fn whole(bench: &Bench, name: &[u8]) -> WholeFile {
    match read_file(&folder(bench), name, WHOLE_MAX_BYTES, Beside::Attributes).unwrap() {
        Outcome::Read(OpenedFile::Whole(file)) => file,
        other => panic!("{other:?}"),
    }
}

fn large(bench: &Bench, name: &[u8]) -> LargeFile {
    match read_file(&folder(bench), name, 10, Beside::Attributes).unwrap() {
        Outcome::Read(OpenedFile::Large(file)) => file,
        other => panic!("{other:?}"),
    }
}

fn reason(bench: &Bench, name: &[u8]) -> Reason {
    match read_file(&folder(bench), name, WHOLE_MAX_BYTES, Beside::Attributes).unwrap() {
        Outcome::Omitted(reason) => reason,
        Outcome::Read(file) => panic!("{file:?}"),
    }
}

#[test]
fn a_quiet_file_is_read_with_the_stat_the_scan_saw() {
    let bench = Bench::new();
    bench.write("file", b"content");
    bench.write("empty", b"");
    std::fs::set_permissions(bench.path.join("file"), std::fs::Permissions::from_mode(0o4751)).unwrap();
    let scan = bench.scan();
    let file = whole(&bench, b"file");
    assert_eq!((&file.bytes[..], file.facts.mode, file.facts.is_torn), (&b"content"[..], 0o4751, false));
    let scanned = &scan.folders[&TreePath::root()].entries;
    assert_eq!((file.facts.stat, file.facts.mode), (scanned[1].stat, scanned[1].mode));
    assert_eq!(whole(&bench, b"empty").bytes, b"");
}

#[test]
fn a_file_replaced_by_something_else_is_omitted_without_blocking() {
    let bench = Bench::new();
    rustix::fs::mkfifoat(bench.root.handle(), "fifo", Mode::RWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(bench.path.join("socket")).unwrap();
    std::fs::create_dir(bench.path.join("folder")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", bench.path.join("link")).unwrap();
    let expected = [
        (&b"fifo"[..], Reason::Special),
        (b"socket", Reason::Special),
        (b"folder", Reason::Vanished),
        (b"link", Reason::Vanished),
        (b"nothing", Reason::Vanished),
    ];
    for (name, expected) in expected {
        assert_eq!(reason(&bench, name), expected, "{}", String::from_utf8_lossy(name));
    }
    let gone = Folder::open(&bench.root, &TreePath::new(b"gone").unwrap()).unwrap();
    assert!(matches!(gone, Outcome::Omitted(Reason::Vanished)));
}

#[cfg(all(target_os = "linux", not(feature = "portable")))]
#[test]
fn files_whose_length_is_made_up_are_omitted() {
    let root = crate::workspace::beneath::Root::open(std::path::Path::new("/proc/self")).unwrap();
    let Outcome::Read(folder) = Folder::open(&root, &TreePath::root()).unwrap() else { panic!("/proc is there") };
    let outcome = read_file(&folder, b"status", WHOLE_MAX_BYTES, Beside::Attributes).unwrap();
    assert!(matches!(outcome, Outcome::Omitted(Reason::ReadError)), "{outcome:?}");
}

#[test]
fn the_limit_between_whole_and_large_is_exact() {
    let bench = Bench::new();
    bench.write("file", b"0123456789");
    let opened = |max| match read_file(&folder(&bench), b"file", max, Beside::Attributes).unwrap() {
        Outcome::Read(opened) => opened,
        Outcome::Omitted(reason) => panic!("{reason:?}"),
    };
    assert!(matches!(opened(10), OpenedFile::Whole(_)));
    assert!(matches!(opened(9), OpenedFile::Large(_)));
}

#[test]
fn a_large_file_comes_in_pieces_and_tells_whether_it_changed() {
    let bench = Bench::new();
    let content: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    bench.write("file", &content);
    let read_all = |file: &mut LargeFile| {
        let mut bytes = Vec::new();
        while file.read_piece(&mut bytes, 999).unwrap() != Outcome::Read(0) {}
        bytes
    };
    let mut file = large(&bench, b"file");
    assert_eq!(file.expected_length_bytes(), 10_000);
    assert_eq!(read_all(&mut file), content);
    let Outcome::Read(end) = file.finish().unwrap() else { panic!("it was read") };
    assert_eq!((end.length_bytes, end.is_torn), (10_000, false));

    let mut file = large(&bench, b"file");
    let mut writer = std::fs::File::options().append(true).open(bench.path.join("file")).unwrap();
    writer.write_all(b"more").unwrap();
    assert_eq!(read_all(&mut file).len(), 10_004);
    let Outcome::Read(end) = file.finish().unwrap() else { panic!("it was read") };
    assert!(end.is_torn);

    let mut file = large(&bench, b"file");
    writer.set_len(20).unwrap();
    assert_eq!(read_all(&mut file).len(), 20);
    let Outcome::Read(end) = file.finish().unwrap() else { panic!("it was read") };
    assert!(end.is_torn && end.length_bytes == 20);
}

/// A writer fills the file with one byte value at a time; bytes that mix two values may only be returned as torn.
#[test]
fn bytes_that_never_were_the_content_are_handed_over_as_torn_only() {
    let bench = Bench::new();
    let length = 256 << 10;
    bench.write("file", &vec![0; length]);
    let (is_over, path) = (AtomicBool::new(false), bench.path.join("file"));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            for value in (0..=255).cycle() {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                std::os::unix::fs::FileExt::write_all_at(&file, &vec![value; length], 0).unwrap();
            }
        });
        let clock = crate::disk::Disk::file_clock(&bench.disk).unwrap();
        let rule = crate::workspace::stat::RacyRule { clock, end_ns: i64::MAX, newest_elsewhere_ns: 0 };
        for _ in 0..300 {
            let file = whole(&bench, b"file");
            let is_mixed = file.bytes.iter().any(|byte| *byte != file.bytes[0]);
            // Within one tick the stat cannot show it; the racy rule handles that case.
            assert!(!is_mixed || file.facts.is_torn || rule.proof(&file.facts.stat) == Proof::Racy);
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn symlinks_give_their_target_whatever_it_is() {
    let bench = Bench::new();
    let long = "x".repeat(1_000);
    std::os::unix::fs::symlink(&long, bench.path.join("long")).unwrap();
    std::os::unix::fs::symlink("/no/such\n", bench.path.join("dangling")).unwrap();
    bench.write("file", b"");
    let folder = folder(&bench);
    assert_eq!(read_symlink(&folder, b"long").unwrap(), Outcome::Read(long.into_bytes()));
    assert_eq!(read_symlink(&folder, b"dangling").unwrap(), Outcome::Read(b"/no/such\n".to_vec()));
    assert_eq!(read_symlink(&folder, b"file").unwrap(), Outcome::Omitted(Reason::Vanished));
    assert_eq!(read_symlink(&folder, b"nothing").unwrap(), Outcome::Omitted(Reason::Vanished));
}
