//! Tests of filling an empty folder.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::model::{Item, Model, Stock, file, link, model, record, visible, walk_visible};
use super::naughty::{Extras, naughty};
use super::scratch::Scratch;
use super::walker::{differences, walk};
use crate::error::ErrorKind;
use crate::format::tree::{Entry, EntryKind};
use crate::id::Digest;
use crate::workspace::materialize::{Filled, Options, fill};

fn fill_and_check(stock: &Stock, state: &Model, root_mode: u16) -> Filled {
    let scratch = Scratch::new();
    let target = scratch.join("not/there/yet");
    let filled = fill(&stock.store, stock.put(state), root_mode, &target, &Options::default()).unwrap();
    let (found, expected) = (walk_visible(&target), visible(state, root_mode));
    assert!(found == expected, "{:#?}", differences(&found, &expected));
    filled
}

#[test]
fn every_kind_and_mode_comes_back() {
    let state = model([
        ("a", Item::Folder(0o755)),
        ("a/run", file("#!/bin/sh\n", 0o4755)),
        ("a/closed", Item::Folder(0o000)),
        ("a/closed/inner", Item::Folder(0o555)),
        ("a/closed/inner/file", file("deep in closed folders", 0o000)),
        ("a/closed/inner/writable", Item::Folder(0o755)),
        ("a/closed/inner/writable/link", link("../../..")),
        ("empty", Item::Folder(0o1777)),
        ("empty-file", file("", 0o644)),
        ("link", link("/no/such/place")),
        ("read-only", file("x", 0o444)),
        ("shared", Item::Folder(0o2775)),
        ("shared/file", file("x", 0o6711)),
    ]);
    let filled = fill_and_check(&Stock::new(), &state, 0o750);
    let bytes = state.values().map(|item| if let Item::File(content, _) = item { content.len() as u64 } else { 0 });
    let expected = Filled { files: 5, folders: 6, symlinks: 2, bytes: bytes.sum(), kept: Vec::new() };
    assert_eq!(filled, expected);
    assert_eq!(fill_and_check(&Stock::new(), &Model::new(), 0o555), Filled::default());
}

#[test]
fn a_hostile_workspace_comes_back() {
    let scratch = Scratch::new();
    let built = naughty(scratch.path(), Extras { crowd_count: 1_500 });
    let mut state = record(scratch.path());
    assert!(built.special.iter().all(|path| !state.contains_key(path)));
    state.retain(|path, _| !path.split(|&byte| byte == b'/').any(|name| name == b".git"));
    fill_and_check(&Stock::new(), &state, 0o700);
}

#[test]
fn folders_of_version_control_are_never_made() {
    let state = model([
        (".git", Item::Folder(0o755)),
        (".git/hooks", Item::Folder(0o755)),
        (".git/hooks/post-checkout", file("evil", 0o755)),
        (".hg", file("a file of this name is none", 0o644)),
        ("sub", Item::Folder(0o755)),
        ("sub/.git", file("gitdir: elsewhere", 0o644)),
        ("sub/.svn", Item::Folder(0o755)),
        ("sub/file", file("x", 0o644)),
    ]);
    let (stock, scratch) = (Stock::new(), Scratch::new());
    let target = scratch.join("target");
    let filled = fill(&stock.store, stock.put(&state), 0o755, &target, &Options::default()).unwrap();
    let kept: Vec<_> = filled.kept.iter().map(|kept| kept.path.to_string()).collect();
    assert_eq!(kept, [".git", "sub/.git", "sub/.svn"]);
    let made: Vec<_> = walk(&target).into_keys().collect();
    assert_eq!(made, [&b""[..], b".hg", b"sub", b"sub/file"]);
}

#[test]
fn large_files_come_back_and_zeros_take_no_space() {
    let scratch = Scratch::new();
    let stock = Stock::new();
    let mut large = vec![0; 9 << 20];
    large[5_000_000..5_000_100].fill(7);
    let mut noise = vec![0; 3_000_000];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    let state =
        model([("noise", Item::File(noise, 0o600)), ("sparse", Item::File(large, 0o644)), ("zero", file("\0", 0o644))]);
    fill(&stock.store, stock.put(&state), 0o755, scratch.path(), &Options { durable: true, ..Options::default() })
        .unwrap();
    assert_eq!(walk(scratch.path()), visible(&state, 0o755));
    let on_disk = scratch.join("sparse").metadata().unwrap().blocks() * 512;
    assert!(on_disk <= 256 << 10, "{on_disk} bytes on disk");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
fn only_a_missing_or_empty_folder_is_filled() {
    let scratch = Scratch::new();
    let stock = Stock::new();
    let tree = stock.put(&model([("file", file("new", 0o644))]));
    let try_fill = |name: &str| fill(&stock.store, tree, 0o755, &scratch.join(name), &Options::default());
    std::fs::create_dir_all(scratch.join("full/.hidden")).unwrap();
    std::fs::write(scratch.join("file"), "old").unwrap();
    std::os::unix::fs::symlink("nowhere", scratch.join("dangling")).unwrap();
    std::fs::create_dir(scratch.join("empty")).unwrap();
    std::fs::set_permissions(scratch.join("empty"), PermissionsExt::from_mode(0o777)).unwrap();
    let before = walk(scratch.path());
    assert_eq!(try_fill("full").unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(try_fill("file").unwrap_err().kind(), ErrorKind::Conflict);
    assert!(try_fill("dangling").is_err());
    assert_eq!(walk(scratch.path()), before);
    assert_eq!(try_fill("empty").unwrap().files, 1);
    assert_eq!(try_fill("empty").unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(scratch.join("empty").metadata().unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn a_tree_that_lies_is_corrupt_and_its_target_stays_closed() {
    let stock = Stock::new();
    let content = stock.put_blob(b"four");
    let large = stock.put_blob(&vec![1; 3 << 20]);
    let entry = |kind, size, id: Digest| Entry { name: (*b"x").into(), kind, mode: 0o644, size, id };
    for lie in [
        entry(EntryKind::File, 3, content.0),
        entry(EntryKind::File, 5, content.0),
        entry(EntryKind::File, (3 << 20) - 1, large.0),
        entry(EntryKind::File, (3 << 20) + 1, large.0),
        entry(EntryKind::File, 10, large.0),
        entry(EntryKind::File, 4, Digest::of(b"not in the store")),
        Entry { mode: 0, ..entry(EntryKind::Symlink, 0, stock.put_blob(b"").0) },
        Entry { mode: 0, ..entry(EntryKind::Symlink, 3, stock.put_blob(b"a\0b").0) },
        entry(EntryKind::Folder, 0, Digest::of(b"no such tree")),
    ] {
        let scratch = Scratch::new();
        let tree = stock.put_entries(std::slice::from_ref(&lie));
        let error = fill(&stock.store, tree, 0o777, &scratch.join("to"), &Options::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{lie:?}: {error}");
        if lie.kind == EntryKind::Folder {
            assert!(!scratch.join("to").exists(), "the trees are read before anything is written");
        } else {
            assert_eq!(scratch.join("to").metadata().unwrap().mode() & 0o7777, 0o700);
        }
    }
}
