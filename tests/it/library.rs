//! The library in careless hands: paths that are relative or gone, ids of other stores, folders that are no store.

use std::path::Path;
use std::sync::Arc;

use retrograde::disk::local::LocalDisk;
use retrograde::error::{ErrorKind, Result};
use retrograde::id::{Digest, SnapshotId, WorkspaceId};
use retrograde::ops::back::restore_into;
use retrograde::ops::check::verify::{Level, VerifyOptions, verify};
use retrograde::ops::keep::tag::{pin, tag};
use retrograde::ops::look::cat::cat;
use retrograde::ops::look::show::show;
use retrograde::ops::record::register::{Guard, move_workspace, root_of};
use retrograde::path::TreePath;
use retrograde::progress::Silent;
use retrograde::store::Store;
use retrograde::time::Timestamp;

use crate::support::recorder::Recorder;

const NOW: Timestamp = Timestamp(1_795_176_000_000_000_000);

fn kind<T>(done: Result<T>) -> ErrorKind {
    match done {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error.kind(),
    }
}

#[test]
fn a_workspace_moves_to_a_folder_that_exists_and_to_its_absolute_path() {
    let mut recorder = Recorder::new();
    recorder.write("a", b"a");
    recorder.snap();
    let elsewhere = recorder.scratch.join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let to = |recorder: &Recorder, workspace, path: &Path| {
        move_workspace(&recorder.store, workspace, path, &Guard::default(), NOW)
    };
    let workspace = recorder.workspace;
    for gone in ["", "nowhere", "/nowhere/at/all"] {
        assert_eq!(kind(to(&recorder, workspace, Path::new(gone))), ErrorKind::NotFound, "{gone}");
    }
    assert_eq!(kind(to(&recorder, WorkspaceId([7; 16]), &elsewhere)), ErrorKind::NotFound);
    to(&recorder, workspace, &elsewhere.join("../elsewhere/.")).unwrap();
    recorder.reopen();
    assert_eq!(root_of(&recorder.store.state().workspaces[&workspace]), elsewhere.canonicalize().unwrap());
    assert!(recorder.store.damage().is_empty());
    let disk: Arc<dyn retrograde::disk::Disk> = Arc::new(LocalDisk::open(&recorder.store_root()).unwrap());
    let found = verify(&disk, &VerifyOptions { level: Level::Full, progress: &Silent }).unwrap();
    assert!(found.findings.is_empty(), "{:?}", found.findings);
}

/// A caller that tells errors apart by their kind must not repair a store because an id was mistyped.
#[test]
fn an_id_that_the_store_does_not_know_is_not_found_and_no_damage() {
    let recorder = Recorder::new();
    recorder.write("a", b"a");
    recorder.snap();
    let (store, workspace) = (&recorder.store, recorder.workspace);
    let unknown = SnapshotId(Digest([9; 32]));
    let path = TreePath::new(b"a").unwrap();
    let target = recorder.scratch.join("target");
    let kinds = [
        kind(store.snapshot(unknown)),
        kind(show(store, unknown)),
        kind(cat(store, unknown, &path, &mut |_| Ok(()))),
        kind(pin(store, unknown, true, NOW)),
        kind(tag(store, workspace, "name", unknown, false, NOW)),
        kind(recorder.restore_with(unknown, &[], false)),
        kind(restore_into(store, unknown, &[], &target, &Default::default())),
    ];
    assert_eq!(kinds, [ErrorKind::NotFound; 7]);
}

#[test]
fn a_path_that_is_nowhere_is_not_restored() {
    let recorder = Recorder::new();
    recorder.write("a", b"a");
    let first = recorder.snap().snapshot;
    recorder.write("new", b"new");
    assert_eq!(kind(recorder.restore_with(first, &["typo"], false)), ErrorKind::NotFound);
    assert_eq!(kind(recorder.restore_with(first, &["a", "a/b"], true)), ErrorKind::NotFound);
    recorder.restore_with(first, &["new"], false).unwrap();
    assert!(!recorder.root.join("new").exists(), "it is in the folder and not in the step");
    std::os::unix::fs::symlink(recorder.store_root(), recorder.root.join("link")).unwrap();
    let behind = recorder.restore_with(first, &["link/FORMAT"], false);
    assert_eq!(kind(behind), ErrorKind::NotFound, "a path behind a symlink is not in the folder");
}

#[test]
fn no_store_is_made_among_the_files_of_others() {
    let recorder = Recorder::new();
    recorder.write("main.rs", b"fn main() {}");
    assert_eq!(kind(Store::open_or_create_at(&recorder.root)), ErrorKind::Conflict);
    assert_eq!(std::fs::read_dir(&recorder.root).unwrap().count(), 1, "nothing was written");
    let packs = recorder.store_root().join("packs");
    assert_eq!(kind(Store::open_or_create_at(&packs)), ErrorKind::Conflict);
    let settings_only = recorder.scratch.join("settings");
    std::fs::create_dir(&settings_only).unwrap();
    std::fs::File::create_new(settings_only.join("config.toml")).unwrap();
    Store::open_or_create_at(&settings_only).unwrap();
}
