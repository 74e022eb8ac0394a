//! Lists and lookups, also in folders that are split over many tree objects.

use super::{LsOptions, entry_at, find, ls};
use crate::error::ErrorKind;
use crate::format::tree::{Entry, EntryKind};
use crate::id::SnapshotId;
use crate::ops::fixture::{About, Bench, Files, Thing, file, path};

fn listed(bench: &Bench, snapshot: SnapshotId, folder: &str, is_recursive: bool) -> Vec<String> {
    let mut names = Vec::new();
    let options = LsOptions { path: path(folder), is_recursive };
    ls(&bench.store, snapshot, &options, &mut |path, _: &Entry| {
        names.push(path.to_string());
        Ok(())
    })
    .unwrap();
    names
}

fn small() -> (Bench, SnapshotId) {
    let bench = Bench::new();
    let files = Files::from([
        (path("a/b/c"), file(0o644, "c")),
        (path("a-"), file(0o755, "a-")),
        (path("empty"), Thing::Folder(0o700)),
        (path("link"), Thing::Symlink(b"a/b".to_vec())),
    ]);
    let snapshot = bench.take(&files, &About::default());
    (bench, snapshot)
}

#[test]
fn folders_are_listed_alone_or_with_all_below() {
    let (bench, snapshot) = small();
    assert_eq!(listed(&bench, snapshot, "", false), ["a", "a-", "empty", "link"]);
    assert_eq!(listed(&bench, snapshot, "", true), ["a", "a/b", "a/b/c", "a-", "empty", "link"]);
    assert_eq!(listed(&bench, snapshot, "a", true), ["a/b", "a/b/c"]);
    assert_eq!(listed(&bench, snapshot, "a/b/c", true), ["a/b/c"]);
    assert_eq!(listed(&bench, snapshot, "empty", true), [""; 0]);
}

#[test]
fn paths_are_found_and_no_symlink_is_followed() {
    let (bench, snapshot) = small();
    let kind = |text: &str| entry_at(&bench.store, snapshot, &path(text)).map(|entry| entry.kind);
    assert_eq!(kind("a/b/c").unwrap(), EntryKind::File);
    assert_eq!(kind("a").unwrap(), EntryKind::Folder);
    assert_eq!(kind("link").unwrap(), EntryKind::Symlink);
    for missing in ["link/c", "a/b/c/d", "b", "a/a"] {
        assert_eq!(kind(missing).unwrap_err().kind(), ErrorKind::NotFound, "{missing}");
    }
}

#[test]
fn every_entry_of_a_split_folder_is_found() {
    let bench = Bench::new();
    let name = |number: u32| path(format!("folder/file-{number:05}-{}", "x".repeat(40)));
    let files: Files = (0..3_000).map(|number| (name(number), file(0o644, "same"))).collect();
    let snapshot = bench.take(&files, &About::default());
    let root = bench.store.snapshot(snapshot).unwrap().root;
    assert!((0..3_000).all(|number| find(&bench.store, root, &name(number)).unwrap().is_some()));
    for missing in ["folder/a", "folder/file-01000", "folder/zzz"] {
        assert_eq!(find(&bench.store, root, &path(missing)).unwrap(), None);
    }
    assert_eq!(listed(&bench, snapshot, "folder", false).len(), 3_000);
}

#[test]
fn deep_folders_need_no_stack() {
    let bench = Bench::new();
    let deep = vec!["d"; 4_000].join("/");
    let snapshot = bench.take_deep(&deep, b"bottom");
    assert_eq!(listed(&bench, snapshot, "", true).len(), 4_000);
}
