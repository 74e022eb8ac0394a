//! Patches do what they say: for pairs of trees made at random, `git apply` makes the new tree of the old one.
//!
//! Each pair is recorded as two steps and compared as `retro diff --binary` compares them; real git applies the patch
//! to the old tree, in its index and in its working tree, and takes it back again. Things that git
//! cannot hold (empty folders, permission bits but for one, names like `.git`) are not compared.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use retrograde::diff::patch::PatchOptions;
use retrograde::diff::selection::Selection;
use retrograde::diff::{Change, ChangeKind};
use retrograde::ops::look::compare::{Comparison, Other, compare};

use crate::support::depth::{self, AtLeast};
use crate::support::git::{Git, has_git};
use crate::support::recorder::Recorder;
use crate::support::rng::Rng;
use crate::support::scratch::Scratch;

/// Changed paths that the pairs of trees must have together.
const CHANGES: AtLeast = AtLeast::new(200, 3_000);

/// The kinds of things that git can hold at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Thing {
    File { content: Vec<u8>, is_executable: bool },
    Symlink(Vec<u8>),
}

type Files = BTreeMap<Vec<u8>, Thing>;

#[test]
fn git_apply_makes_the_new_tree_of_the_old_one() {
    if !has_git() {
        return;
    }
    let (mut change_count, mut kinds) = (0, BTreeMap::<ChangeKind, usize>::new());
    for seed in 0..depth::rounds(10, 150) as u64 {
        let mut rng = Rng::new(seed);
        let old = random_tree(&mut rng);
        let new = edited(&mut rng, &old);
        let context = [3, 3, 1, 8][rng.below(4)];
        let patch = check(seed, &old, &new, context);
        change_count += patch.len();
        patch.iter().for_each(|change| *kinds.entry(change.kind).or_default() += 1);
    }
    CHANGES.require("changes of random trees through git apply", change_count);
    let all = [ChangeKind::Added, ChangeKind::Modified, ChangeKind::Deleted, ChangeKind::Type, ChangeKind::Mode];
    let is_there = |kind: ChangeKind| kinds.contains_key(&kind);
    assert!(all.into_iter().chain([ChangeKind::Renamed]).all(is_there), "{kinds:?}");
}

/// A patch without the contents of a binary file is refused as a whole: git must not take its header for another
/// file's.
#[test]
fn a_patch_that_only_says_that_files_differ_is_refused() {
    if !has_git() {
        return;
    }
    let recorder = Recorder::new();
    recorder.write("a.bin", b"\0one");
    recorder.write("b.sh", b"#!/bin/sh\n");
    let old = recorder.snap().snapshot;
    recorder.write("a.bin", b"\0two");
    let script = recorder.root.join("b.sh");
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    let new = recorder.snap().snapshot;
    let comparison =
        compare(&recorder.store, &Other::Snapshot(old), &Other::Snapshot(new), &Selection::default()).unwrap();
    let scratch = Scratch::new();
    let files = Files::from([
        (b"a.bin".to_vec(), Thing::File { content: b"\0one".to_vec(), is_executable: false }),
        (b"b.sh".to_vec(), Thing::File { content: b"#!/bin/sh\n".to_vec(), is_executable: false }),
    ]);
    let git = Git::init(&scratch.join("tree"), &scratch.join("home"));
    write_tree(&scratch.join("tree"), &files);
    let (code, _) = git.try_run(&["apply"], &patch_of(&comparison, PatchOptions::default()));
    assert_ne!(code, Some(0));
    assert_eq!(read_tree(&scratch.join("tree")), files);
    let binary = PatchOptions { binary: true, ..PatchOptions::default() };
    git.run(&["apply"], &patch_of(&comparison, binary));
    let changed = read_tree(&scratch.join("tree"));
    assert_eq!(changed[&b"a.bin"[..]], Thing::File { content: b"\0two".to_vec(), is_executable: false });
    assert_eq!(changed[&b"b.sh"[..]], Thing::File { content: b"#!/bin/sh\n".to_vec(), is_executable: true });
}

/// Applies the patch between two trees, and returns what changed.
fn check(seed: u64, old: &Files, new: &Files, context: usize) -> Vec<Change> {
    let recorder = Recorder::new();
    write_tree(&recorder.root, old);
    let before = recorder.snap().snapshot;
    clear(&recorder.root);
    write_tree(&recorder.root, new);
    let after = recorder.snap().snapshot;
    let comparison =
        compare(&recorder.store, &Other::Snapshot(before), &Other::Snapshot(after), &Selection::default()).unwrap();
    let patch = patch_of(&comparison, PatchOptions { context, binary: true });
    let scratch = Scratch::new();
    let tree = scratch.join("tree");
    let git = Git::init(&tree, &scratch.join("home"));
    write_tree(&tree, old);
    git.run(&["add", "--all", "--force"], b"");
    let apply = |arguments: &[&str]| {
        let (code, _) = git.try_run(&[&["apply", "--index", "--whitespace=nowarn"], arguments].concat(), &patch);
        if code != Some(0) {
            let kept = std::env::temp_dir().join(format!("retro-patch-{seed}"));
            write(&kept, &patch);
            panic!("seed {seed}: git apply {arguments:?} refuses {}", kept.display());
        }
    };
    apply(&[]);
    expect_equal(seed, &read_tree(&tree), new);
    let new_id = git.run(&["write-tree"], b"");
    git.run(&["add", "--all", "--force"], b"");
    assert_eq!(git.run(&["write-tree"], b""), new_id, "seed {seed}: the index is what the folder is");
    apply(&["--reverse"]);
    // Git forgets the mode of what it makes where a patch of its own, too, has deleted it.
    let is_made = |path: &[u8]| match (&old.get(path), &new.get(path)) {
        (Some(old), Some(new)) => std::mem::discriminant(*old) != std::mem::discriminant(*new),
        _ => true,
    };
    let without_modes = |files: Files| -> Files {
        let plain = |thing| match thing {
            Thing::File { content, .. } | Thing::Symlink(content) => Thing::File { content, is_executable: false },
        };
        files
            .into_iter()
            .map(|(path, thing)| if is_made(&path) { (path, plain(thing)) } else { (path, thing) })
            .collect()
    };
    expect_equal(seed, &without_modes(read_tree(&tree)), &without_modes(old.clone()));
    comparison.changes
}

#[track_caller]
fn expect_equal(seed: u64, found: &Files, expected: &Files) {
    let all = found.keys().chain(expected.keys());
    let differing = all.filter(|path| found.get(*path) != expected.get(*path));
    let differing: Vec<String> = differing.map(|path| path.escape_ascii().to_string()).collect();
    assert!(differing.is_empty(), "seed {seed}: {differing:?}");
}

fn patch_of(comparison: &Comparison<'_>, options: PatchOptions) -> Vec<u8> {
    let mut patch = Vec::new();
    for change in &comparison.changes {
        let put = &mut |bytes: &[u8]| {
            patch.extend_from_slice(bytes);
            Ok(())
        };
        comparison.patch(change, &options, put).unwrap();
    }
    patch
}

/// Names that patches must quote, or that look like parts of patches.
const NAMES: [&[u8]; 16] = [
    b"a",
    b"b",
    b"c.txt",
    b"with space",
    b" lead",
    b"trail ",
    b"tab\there",
    b"line\nfeed",
    b"quote\"d",
    b"back\\slash",
    b"caf\xc3\xa9",
    b"\xff\xfe",
    b"-dash",
    b"a b",
    b"dev",
    b"\x01\x7f",
];

fn random_path(rng: &mut Rng) -> Vec<u8> {
    let depth = 1 + rng.below(3);
    let names: Vec<&[u8]> = (0..depth).map(|_| NAMES[rng.below(NAMES.len())]).collect();
    names.join(&b'/')
}

fn random_tree(rng: &mut Rng) -> Files {
    let mut files = Files::new();
    for _ in 0..40 {
        let (path, thing) = (random_path(rng), random_thing(rng));
        put(&mut files, path, thing);
    }
    files
}

/// Puts a path in place of whatever is in its way.
fn put(files: &mut Files, path: Vec<u8>, thing: Thing) {
    let is_within = |inner: &[u8], outer: &[u8]| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with(b"/"));
    files.retain(|other, _| !is_within(other, &path) && !is_within(&path, other));
    files.insert(path, thing);
}

fn random_thing(rng: &mut Rng) -> Thing {
    if rng.below(6) == 0 {
        // None that leads to itself: git cannot put a folder in the place of such a one.
        let targets: [&[u8]; 4] = [b"nowhere", b"../x y", b"\xff", b"/nowhere/at all\n"];
        return Thing::Symlink(targets[rng.below(4)].to_vec());
    }
    Thing::File { content: random_content(rng), is_executable: rng.below(4) == 0 }
}

fn random_content(rng: &mut Rng) -> Vec<u8> {
    let length = rng.below(40);
    match rng.below(8) {
        0 => Vec::new(),
        1 | 2 => {
            let length = [1, 4, 51, 52, 53, 700, 9_000][rng.below(7)];
            rng.bytes(length)
        }
        3 => [vec![b'x'; 8_100], rng.bytes(300)].concat(),
        4 => lines(rng, length, b"\r\n"),
        5 => lines(rng, length, b"\n").strip_suffix(b"\n").unwrap_or_default().to_vec(),
        _ => lines(rng, length, b"\n"),
    }
}

/// Lines that patches are made of, and others.
fn lines(rng: &mut Rng, count: usize, end: &[u8]) -> Vec<u8> {
    const LINES: [&[u8]; 12] = [
        b"one",
        b"two",
        b"",
        b" ",
        b"-- a/x",
        b"++ b/x",
        b"@@ -1 +1 @@",
        b"diff --git a/a b/a",
        b"GIT binary patch",
        b"\\ No newline at end of file",
        b"caf\xe9",
        b"\ttab ",
    ];
    (0..count)
        .flat_map(|_| match rng.below(2) {
            0 => [LINES[rng.below(LINES.len())], end].concat(),
            _ => [rng.below(1_000).to_string().as_bytes(), end].concat(),
        })
        .collect()
}

/// Another tree: paths removed, added, changed, moved, and turned into something else.
fn edited(rng: &mut Rng, old: &Files) -> Files {
    let mut new = old.clone();
    for (path, thing) in old {
        match rng.below(10) {
            0 => drop(new.remove(path)),
            1 => {
                let thing = random_thing(rng);
                put(&mut new, path.clone(), thing);
            }
            2 => {
                // Moved, and perhaps edited.
                let Some(mut thing) = new.remove(path) else { continue };
                if rng.below(2) == 0 {
                    edit(rng, &mut thing);
                }
                put(&mut new, random_path(rng), thing);
            }
            3 => {
                // The file becomes a folder, and perhaps the file moves into it.
                let thing = if rng.below(2) == 0 { thing.clone() } else { random_thing(rng) };
                put(&mut new, [path, &b"/"[..], NAMES[rng.below(NAMES.len())]].concat(), thing);
            }
            4 | 5 => {
                let mut thing = thing.clone();
                edit(rng, &mut thing);
                put(&mut new, path.clone(), thing);
            }
            6 => {
                if let Some(Thing::File { is_executable, .. }) = new.get_mut(path) {
                    *is_executable = !*is_executable;
                }
            }
            _ => {}
        }
    }
    for _ in 0..5 {
        let (path, thing) = (random_path(rng), random_thing(rng));
        put(&mut new, path, thing);
    }
    new
}

fn edit(rng: &mut Rng, thing: &mut Thing) {
    match thing {
        Thing::Symlink(target) => target.push(b'x'),
        Thing::File { content, is_executable } => {
            let at = rng.below(content.len() + 1);
            let end = (at + rng.below(30)).min(content.len());
            let put = random_content(rng);
            content.splice(at..end, put.into_iter().take(60));
            *is_executable ^= rng.below(5) == 0;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
fn write(path: &Path, content: &[u8]) {
    std::fs::write(path, content).unwrap();
}

fn write_tree(root: &Path, files: &Files) {
    for (path, thing) in files {
        let path = root.join(std::ffi::OsStr::from_bytes(path));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match thing {
            Thing::Symlink(target) => symlink(std::ffi::OsStr::from_bytes(target), path).unwrap(),
            Thing::File { content, is_executable } => {
                write(&path, content);
                let mode = if *is_executable { 0o755 } else { 0o644 };
                std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            }
        }
    }
}

fn read_tree(root: &Path) -> Files {
    let mut files = Files::new();
    let mut todo = vec![root.to_owned()];
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
            if name == b".git" {
                continue;
            }
            if kind.is_dir() {
                todo.push(path);
            } else if kind.is_symlink() {
                let target = std::fs::read_link(&path).unwrap();
                files.insert(name, Thing::Symlink(target.as_os_str().as_bytes().to_vec()));
            } else {
                let is_executable = entry.metadata().unwrap().permissions().mode() & 0o100 != 0;
                files.insert(name, Thing::File { content: std::fs::read(path).unwrap(), is_executable });
            }
        }
    }
    files
}

#[expect(clippy::disallowed_methods, reason = "tests remove files of their own")]
fn clear(root: &Path) {
    for entry in std::fs::read_dir(root).unwrap() {
        let entry = entry.unwrap();
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
            .unwrap();
    }
}
