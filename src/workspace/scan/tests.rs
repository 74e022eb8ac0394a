//! Tests of scanning: changes, exclusions, odd shapes, and equal outcomes on any number of threads.

#![expect(clippy::disallowed_methods, reason = "tests make their own workspaces")]

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use rustix::fs::{AtFlags, Mode};

use super::tally::human_bytes;
use super::{Class, EntryState, ReadReason, Scan, ScanLimits, ScanOptions, scan, without_unlisted};
use crate::disk::{Disk, FileClock};
use crate::error::{ErrorKind, Result};
use crate::format::snapshot::{Omission, Reason};
use crate::format::tree::EntryKind;
use crate::format::turn::Turn;
use crate::limits::FOLDER_DEPTH_MAX;
use crate::path::TreePath;
use crate::progress::Silent;
use crate::workspace::beneath::open_folder;
use crate::workspace::cache::Proof;
use crate::workspace::rules::{RuleOptions, Rules};

use crate::workspace::testing::{Bench, set_mtime, tree_path};

/// Three files, captured and settled.
fn settled() -> Bench {
    let bench = Bench::new();
    for path in ["a/one", "a/two", "three"] {
        bench.write(path, b"same size");
    }
    bench.settle();
    bench.capture();
    assert!(bench.scan().folders.is_empty());
    bench
}

fn to_read(scan: &Scan) -> Vec<String> {
    let folders = scan.folders.iter();
    let files = folders.flat_map(|(path, folder)| folder.entries.iter().map(move |entry| (path, entry)));
    let read = files.filter(|(_, entry)| matches!(entry.state, EntryState::Read { .. }));
    read.map(|(path, entry)| path.join(&entry.name).to_string()).collect()
}

#[test]
fn every_change_that_leaves_a_trace_is_seen() {
    let bench = settled();
    let one = bench.path.join("a/one");
    let mtime = std::fs::metadata(&one).unwrap().modified().unwrap();

    bench.write("a/one", b"Same size");
    set_mtime(&one, mtime);
    assert_eq!(to_read(&bench.scan()), ["a/one"], "the change time tells");
    bench.settle();
    bench.capture();

    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(bench.path.join("a/two"), mode).unwrap();
    assert_eq!(to_read(&bench.scan()), ["a/two"]);
    bench.settle();
    bench.capture();

    std::fs::set_permissions(bench.path.join("a"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let scan = bench.scan();
    assert_eq!(scan.folders.keys().map(ToString::to_string).collect::<Vec<_>>(), ["."]);
    assert!(to_read(&scan).is_empty());
    bench.capture();

    std::fs::rename(bench.path.join("a"), bench.path.join("b")).unwrap();
    let scan = bench.scan();
    assert_eq!(scan.folders.keys().map(ToString::to_string).collect::<Vec<_>>(), [".", "b"]);
    assert_eq!(bench.capture().0.root, bench.truth());
}

#[test]
fn a_scan_returns_known_and_previous_ids() {
    let bench = settled();
    bench.write("a/one", b"longer than before");
    bench.write("a/new", b"");
    bench.remove("a/two");
    std::fs::create_dir(bench.path.join("a/two")).unwrap();
    let scan = bench.scan();
    // A changed change time of a folder requires reading its attributes, which are in its parent's list.
    assert_eq!(scan.folders.keys().map(ToString::to_string).collect::<Vec<_>>(), [".", "a", "a/two"]);
    let states: Vec<_> =
        scan.folders[&tree_path("a")].entries.iter().map(|entry| (&*entry.name, entry.state)).collect();
    let before = crate::id::Digest::of(b"same size");
    assert_eq!(
        states,
        [
            (&b"new"[..], EntryState::Read { previous: None, reason: ReadReason::New }),
            (b"one", EntryState::Read { previous: Some(before), reason: ReadReason::Changed }),
            (b"two", EntryState::Folder { previous: None }),
        ]
    );
    assert_eq!((scan.counts.files, scan.counts.folders, scan.counts.bytes), (3, 3, 27));
}

#[test]
fn an_edit_of_equal_size_in_the_same_tick_is_seen() {
    let bench = Bench::new();
    for round in 0..300_u32 {
        bench.write("file", &round.to_le_bytes());
        bench.capture();
        bench.write("file", &(round + 1_000).to_le_bytes());
        assert_eq!(bench.capture().0.root, bench.truth(), "round {round}");
    }
}

#[test]
fn files_that_are_newer_than_the_probe_are_read_again() {
    let bench = settled();
    bench.write("three", b"SAME SIZE");
    bench.settle();
    let clock = bench.disk.file_clock().unwrap();
    let backwards = FileClock { time_ns: clock.time_ns - 3_600_000_000_000, ..clock };
    let cache = bench.load();
    let captured = bench.compute_with(&cache, backwards);
    crate::workspace::cache::store(&bench.disk, &cache, &captured.update).unwrap();
    assert_eq!(to_read(&bench.scan()), ["three"], "the clock went back an hour");
    bench.capture();
    assert!(bench.scan().folders.is_empty());

    let far = std::time::UNIX_EPOCH + std::time::Duration::from_secs(4_000_000_000);
    set_mtime(&bench.path.join("three"), far);
    bench.settle();
    let cache = bench.load();
    let mut captured = bench.compute(&cache);
    assert_eq!(captured.read.into_iter().collect::<Vec<_>>(), ["three"]);
    // As in the operation: a moment after everything was read.
    captured.scan.racy.end_ns = bench.disk.file_clock().unwrap().time_ns;
    let stat = captured.scan.folders[&TreePath::root()].entries.last().unwrap().stat;
    assert_eq!(captured.scan.racy.proof(&stat), Proof::Ahead, "every change would have an earlier time");
}

#[test]
fn where_no_probe_is_possible_a_window_below_the_newest_time_is_racy() {
    let bench = settled();
    let clock = bench.disk.file_clock().unwrap();
    let elsewhere = FileClock { device: clock.device + 1, ..clock };
    let scan = bench.scan_with(&bench.load(), elsewhere);
    let newest = std::fs::metadata(bench.path.join("a/two")).unwrap();
    assert!(scan.racy.newest_elsewhere_ns <= newest.ctime() * 1_000_000_000 + newest.ctime_nsec() + 1_000_000_000);
    assert!(scan.folders.is_empty(), "what was proven stays proven");
    let cache = bench.load();
    bench.write("three", b"SAME SIZE");
    let captured = bench.compute_with(&cache, elsewhere);
    crate::workspace::cache::store(&bench.disk, &cache, &captured.update).unwrap();
    assert_eq!(to_read(&bench.scan()), ["three"]);
}

#[test]
fn names_are_any_bytes() {
    let bench = Bench::new();
    let names = [&b"\xff\xfe"[..], b"new\nline", b" ", b"-rf", b"\xc3\x28", "h\u{e9}".as_bytes(), &[b'n'; 255]];
    for name in names {
        std::fs::write(bench.path.join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
    }
    let found = &bench.scan().folders[&TreePath::root()];
    let expected: BTreeSet<&[u8]> = names.into_iter().collect();
    assert!(found.entries.iter().map(|entry| &*entry.name).eq(expected));
    bench.settle();
    bench.capture();
    assert!(bench.scan().folders.is_empty());
}

#[test]
fn special_and_unreadable_entries_are_omitted_with_the_reason() {
    let mut bench = Bench::new();
    bench.write("sub/file", b"12345");
    bench.write("sub/large", b"123456");
    rustix::fs::mkfifoat(bench.root.handle(), "sub/fifo", Mode::RWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(bench.path.join("sub/socket")).unwrap();
    bench.rules = Rules::new(&RuleOptions { excludes: vec!["out*".to_owned()], ..RuleOptions::default() }).unwrap();
    rustix::fs::mkfifoat(bench.root.handle(), "out", Mode::RWXU).unwrap();
    let limits = ScanLimits { file_bytes_max: Some(5), ..ScanLimits::default() };
    let scan = limited(&bench, limits).unwrap();
    let omitted: Vec<_> = scan.omitted.iter().map(|omission| (omission.path.to_string(), omission.reason)).collect();
    let expected = [("sub/fifo", Reason::Special), ("sub/large", Reason::TooLarge), ("sub/socket", Reason::Special)];
    assert!(omitted.iter().map(|(path, reason)| (path.as_str(), *reason)).eq(expected), "{omitted:?}");
    assert_eq!(excluded(&scan), [tree_path("out")]);
    assert_eq!((scan.counts.files, scan.counts.bytes), (1, 5));
}

#[test]
fn nested_repositories_are_captured_without_their_version_control_folders() {
    let bench = Bench::new();
    for path in ["one/.git/HEAD", "one/src", "two/.git", "two/src", "__pycache__/x/y", "one/target", ".gitignore"] {
        bench.write(path, b"x");
    }
    let scan = bench.scan();
    assert_eq!(excluded(&scan), ["__pycache__", "one/.git", "two/.git"].map(tree_path));
    assert_eq!(to_read(&scan), [".gitignore", "one/src", "one/target", "two/src"]);
}

#[test]
fn a_folder_that_cannot_be_listed_has_no_place_in_its_parents_list() {
    let bench = settled();
    let cache = bench.load();
    let gone = |path: &str| [tree_path(path)];

    let folders = without_unlisted(&cache, Vec::new(), &gone("a"));
    let names: Vec<_> = folders[&TreePath::root()].entries.iter().map(|entry| &*entry.name).collect();
    assert_eq!(names, [b"three"], "an unchanged parent differs now");

    std::fs::create_dir(bench.path.join("new")).unwrap();
    let walked = || {
        let clock = bench.disk.file_clock().unwrap();
        let options = ScanOptions::new(&bench.rules, clock, &Silent);
        let walk = super::Walk::new(&bench.root, &cache, &options, None);
        walk.run(std::fs::metadata(&bench.path).unwrap().dev()).unwrap().differing
    };
    let differing: Vec<_> = walked().into_iter().filter(|(path, _)| path.is_root()).collect();
    assert!(without_unlisted(&cache, differing, &gone("new")).is_empty(), "as before but for what has no place");
    let differing: Vec<_> = walked().into_iter().filter(|(path, _)| path.is_root()).collect();
    let folders = without_unlisted(&cache, differing, &gone("a"));
    let names: Vec<_> = folders[&TreePath::root()].entries.iter().map(|entry| &*entry.name).collect();
    assert_eq!(names, [&b"new"[..], b"three"]);
}

#[test]
fn missing_permissions_are_distinguished_from_absence() {
    let bench = settled();
    let mode = |mode| std::fs::set_permissions(bench.path.join("a"), std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o000);
    if std::fs::read_dir(bench.path.join("a")).is_err() {
        let scan = bench.scan();
        assert_eq!(scan.omitted, [Omission { path: tree_path("a"), reason: Reason::Unreadable }]);
        assert_eq!(scan.folders[&TreePath::root()].entries.len(), 1);
        bench.capture();
        assert!(bench.scan().folders.is_empty(), "nothing is new about it");
    }
    mode(0o700);
}

#[test]
fn limits_hold_exactly_and_the_error_names_the_largest_folders() {
    let bench = Bench::new();
    for number in 0..6 {
        bench.write(&format!("data/raw/deep/{number}"), b"0123456789");
        bench.write(&format!("src/{number}"), b"");
    }
    let limits = |files_max, bytes_max| ScanLimits { files_max, bytes_max, file_bytes_max: None };
    assert!(limited(&bench, limits(12, 60)).is_ok());
    let error = limited(&bench, limits(11, 60)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert!(
        error.to_string().ends_with("more than 11 files; the most are in data/raw/deep (6 files), src (6 files)"),
        "{error}"
    );
    let error = limited(&bench, limits(12, 59)).unwrap_err();
    assert!(error.to_string().ends_with("more than 59 B; the most are in data/raw/deep (60 B)"), "{error}");
    assert!(error.hint().is_some());
    bench.write("sparse", b"x");
    std::fs::File::options().write(true).open(bench.path.join("sparse")).unwrap().set_len(1 << 40).unwrap();
    assert!(limited(&bench, limits(13, 1 << 20)).is_ok(), "holes are not on disk");
    bench.remove("sparse");
    for number in 0..10 {
        std::fs::create_dir(bench.path.join(format!("empty-{number}"))).unwrap();
    }
    assert!(limited(&bench, limits(13, 60)).unwrap_err().to_string().contains("more than 13 folders"));
    assert_eq!([0, 1_023, 1_024, 1_600_000].map(human_bytes), ["0 B", "1023 B", "1.0 KiB", "1.5 MiB"]);
}

#[test]
fn the_outcome_does_not_depend_on_the_number_of_threads() {
    let bench = Bench::new();
    for number in 0..600 {
        bench.write(&format!("{}/{}/{number}", number % 7, number % 31), b"x");
    }
    (0..5_000).for_each(|number| bench.write(&format!("wide/{number}"), b""));
    bench.write("wide/.git/x", b"");
    bench.settle();
    let compare = || {
        let clock = bench.disk.file_clock().unwrap();
        let cache = bench.load();
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let scan = pool.install(|| bench.scan_with(&cache, clock));
            (scan.folders, scan.rereads, scan.omitted, scan.excluded, scan.counts)
        };
        let one = on(1);
        assert!(on(2) == one && on(8) == one);
        one
    };
    assert_eq!(compare().4.files, 5_600);
    bench.capture();
    let (folders, rereads, ..) = compare();
    assert!(folders.is_empty() && rereads.len() == 600, "files of one byte");
    bench.write("wide/17", b"changed");
    let (folders, ..) = compare();
    assert_eq!(folders.keys().map(ToString::to_string).collect::<Vec<_>>(), ["wide"]);
    let read =
        folders[&tree_path("wide")].entries.iter().filter(|entry| matches!(entry.state, EntryState::Read { .. }));
    assert!(read.map(|entry| &*entry.name).eq([b"17"]));
}

/// The files that are picked with these turns and options.
fn picked(bench: &Bench, turns: [Turn; 3], due: Option<&[TreePath]>) -> Vec<super::Reread> {
    let clock = bench.disk.file_clock().unwrap();
    let options = ScanOptions { turns, due, ..ScanOptions::new(&bench.rules, clock, &Silent) };
    scan(&bench.root, &bench.load(), &options).unwrap().rereads
}

#[test]
fn every_file_comes_round_within_so_many_steps_beside_files_that_change() {
    let bench = Bench::new();
    (0..2_000).for_each(|number| bench.write(&format!("{}/{number}", number % 3), b"x"));
    bench.write("empty", b"");
    bench.settle();
    bench.capture();
    let is_weak = !bench.scan().weak.is_empty();
    let class = if is_weak { Class::Weak } else { Class::Recent };
    let mut turn = Turn { files: 1_000_000, ..Turn::default() };
    let mut seen = BTreeSet::new();
    for step in 0..class.steps() {
        bench.write(&format!("{}/log", step % 3), format!("{step}").as_bytes());
        let mut turns = [Turn { files: 1_000_000, ..Turn::default() }; 3];
        turns[class.index()] = turn;
        let rereads = picked(&bench, turns, None);
        assert!(rereads.iter().all(|one| one.class == class && !one.is_due), "{rereads:?}");
        assert!((20..400).contains(&rereads.len()), "{} of 2,000", rereads.len());
        seen.extend(rereads.iter().map(|one| one.folder.join(&one.entry.name)));
        turn.rank = class.window(&turn).next();
    }
    assert_eq!(seen.len(), 2_000, "all but the empty one, and what changes at every step");
}

#[test]
fn a_restore_has_all_read_that_is_not_settled() {
    let bench = settled();
    let names = |due: Option<&[TreePath]>| {
        let nobodys_turn = [Turn { rank: 1, files: u64::MAX, ..Turn::default() }; 3];
        let rereads = picked(&bench, nobodys_turn, due);
        rereads.iter().filter(|one| one.is_due).map(|one| one.folder.join(&one.entry.name)).collect::<Vec<_>>()
    };
    assert_eq!(names(Some(&[])).len(), 3);
    assert_eq!(names(Some(&[tree_path("a/two")])), [tree_path("a/two")]);
    assert!(names(None).is_empty());
}

/// Runs itself again with at most 320 open files, 64 more than the scan's own limit.
#[test]
fn open_files_do_not_grow_with_depth_or_width() {
    let test = "workspace::scan::tests::a_deep_and_bushy_workspace_is_scanned";
    let command = format!("ulimit -n 320 && exec \"$0\" --exact {test} --test-threads 1");
    let program = std::env::current_exe().unwrap();
    let output = std::process::Command::new("sh").arg("-c").arg(command).arg(program).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn a_deep_and_bushy_workspace_is_scanned() {
    const DEPTH: usize = 3_000;
    const BUSHY_DEPTH: usize = 400;
    let bench = Bench::new();
    let mut folder = open_folder(bench.root.handle(), b".").unwrap();
    for depth in 0..DEPTH {
        let names = if depth < BUSHY_DEPTH { &["down", "left", "right"][..] } else { &["down"] };
        names.iter().for_each(|name| rustix::fs::mkdirat(&folder, *name, Mode::RWXU).unwrap());
        folder = open_folder(&folder, b"down").unwrap();
    }
    let scan = bench.scan();
    let deepest = scan.folders.keys().map(TreePath::depth).max();
    assert_eq!((deepest, scan.counts.folders), (Some(DEPTH), (DEPTH + 2 * BUSHY_DEPTH) as u64 + 1));
    assert!(scan.omitted.is_empty());

    // Bottom-up, because the standard library keeps every folder of a path open while it removes it.
    for path in scan.folders.keys().rev().filter(|path| !path.is_root()) {
        let parent = bench.root.folder(&path.parent().unwrap()).unwrap();
        rustix::fs::unlinkat(&parent, path.name().unwrap(), AtFlags::REMOVEDIR).unwrap();
    }
}

#[test]
fn folders_below_the_deepest_allowed_are_omitted() {
    let bench = Bench::new();
    let mut folder = open_folder(bench.root.handle(), b".").unwrap();
    for _ in 0..=FOLDER_DEPTH_MAX {
        rustix::fs::mkdirat(&folder, "d", Mode::RWXU).unwrap();
        folder = open_folder(&folder, b"d").unwrap();
    }
    let scan = bench.scan();
    assert_eq!(scan.counts.folders, FOLDER_DEPTH_MAX as u64 + 1);
    let omitted: Vec<_> = scan.omitted.iter().map(|omission| (omission.path.depth(), omission.reason)).collect();
    assert_eq!(omitted, [(FOLDER_DEPTH_MAX + 1, Reason::TooLong)]);
    remove_chain(&bench, FOLDER_DEPTH_MAX + 1);
}

#[test]
fn a_scan_returns_the_mode_of_the_root() {
    let bench = Bench::new();
    std::fs::set_permissions(&bench.path, std::fs::Permissions::from_mode(0o2750)).unwrap();
    assert_eq!(bench.scan().root_mode, 0o2750);
    assert_eq!(bench.scan().folders[&TreePath::root()].entries.len(), 0);
}

#[test]
fn symlinks_are_captured_and_never_followed() {
    let bench = Bench::new();
    bench.write("real/file", b"x");
    std::os::unix::fs::symlink("real", bench.path.join("link")).unwrap();
    std::os::unix::fs::symlink("/", bench.path.join("up")).unwrap();
    let scan = bench.scan();
    let kinds: Vec<_> = scan.folders[&TreePath::root()].entries.iter().map(|entry| (entry.kind, entry.mode)).collect();
    assert_eq!(kinds[0], (EntryKind::Symlink, 0));
    assert_eq!((scan.counts.files, scan.counts.folders), (3, 2));
}

/// The paths that a scan excluded.
fn excluded(scan: &Scan) -> Vec<TreePath> {
    scan.excluded.iter().map(|one| one.path.clone()).collect()
}

fn limited(bench: &Bench, limits: ScanLimits) -> Result<Scan> {
    let clock = bench.disk.file_clock().unwrap();
    let options = ScanOptions { limits, ..ScanOptions::new(&bench.rules, clock, &Silent) };
    scan(&bench.root, &bench.load(), &options)
}

/// Removes a chain of folders named `d` by repeatedly moving its lower half into the root.
fn remove_chain(bench: &Bench, depth: usize) {
    let path = |depth: usize| TreePath::new(vec!["d"; depth].join("/").as_bytes()).unwrap();
    let mut rest = depth;
    while rest > 0 {
        let cut = rest.saturating_sub(500);
        let parent = bench.root.folder(&path(cut)).unwrap();
        rustix::fs::renameat(&parent, "d", bench.root.handle(), "cut").unwrap();
        std::fs::remove_dir_all(bench.path.join("cut")).unwrap();
        rest = cut;
    }
}
