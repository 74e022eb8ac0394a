//! Exact and safe: a restore in place gives the target, touches nothing else, and can be undone.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use retrograde::error::ErrorKind;
use retrograde::ops::back::restore_into;
use retrograde::path::TreePath;
use retrograde::workspace::config::parse;
use retrograde::workspace::materialize::Options;

use crate::support::damage::overwrite_noise;
use crate::support::naughty::{Extras, naughty};
use crate::support::recorder::Recorder;
use crate::support::rng::Rng;
use crate::support::walker::{differences, walk};

fn assert_same(recorder: &Recorder, wanted: &crate::support::walker::Nodes) {
    let found = walk(&recorder.root);
    assert!(&found == wanted, "{:#?}", differences(&found, wanted));
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Files, folders and symlinks of every kind that the changes below need.
fn build(recorder: &Recorder) {
    for (path, content) in [
        ("a/one", "1"),
        ("a/two", "2"),
        ("b/deep/er/file", "x"),
        ("c", "c"),
        ("Case", "upper"),
        ("mode", "m"),
        ("keep", "k"),
    ] {
        recorder.write(path, content.as_bytes());
    }
    symlink("a/one", recorder.root.join("link")).unwrap();
    std::fs::create_dir_all(recorder.root.join("empty/er")).unwrap();
    recorder.write("locked/inside", b"in a read-only folder");
    chmod(&recorder.root.join("locked"), 0o555);
}

/// Swaps every kind with every other, among much else.
#[expect(clippy::disallowed_methods, reason = "tests change files of their own")]
fn wreck(recorder: &Recorder, outside: &Path) {
    let at = |path: &str| recorder.root.join(path);
    std::fs::remove_dir_all(at("a")).unwrap();
    symlink(outside, at("a")).unwrap();
    std::fs::remove_dir_all(at("b")).unwrap();
    recorder.write("b", b"a file now");
    std::fs::remove_file(at("c")).unwrap();
    recorder.write("c/inside/file", b"a folder now");
    std::fs::remove_file(at("link")).unwrap();
    std::fs::create_dir(at("link")).unwrap();
    std::fs::rename(at("Case"), at("case")).unwrap();
    chmod(&at("mode"), 0o4711);
    std::fs::remove_dir_all(at("empty")).unwrap();
    chmod(&at("locked"), 0o755);
    std::fs::remove_file(at("locked/inside")).unwrap();
    recorder.write("locked/new", b"new");
    chmod(&at("locked"), 0o500);
    recorder.write("new/folder/file", b"new");
}

#[test]
fn any_change_is_undone_and_done_again() {
    let recorder = Recorder::new();
    let outside = recorder.scratch.join("outside");
    std::fs::create_dir(&outside).unwrap();
    build(&recorder);
    let before = walk(&recorder.root);
    let first = recorder.snap().snapshot;
    let outside_before = walk(&outside);
    wreck(&recorder, &outside);
    let wrecked = walk(&recorder.root);
    let kept = recorder.root.join("keep").metadata().unwrap();

    let dry = recorder.restore_with(first, &[], true).unwrap();
    assert!(dry.applied.is_none());
    assert_same(&recorder, &wrecked);

    let real = recorder.restore(first);
    assert_eq!(dry.plan, real.plan, "a dry run plans what the real one does");
    assert_eq!(real.applied.unwrap().kept, []);
    assert_same(&recorder, &before);
    assert_eq!(walk(&outside), outside_before);
    let after = recorder.root.join("keep").metadata().unwrap();
    assert_eq!(
        (after.mtime_nsec(), after.ino(), after.ctime_nsec()),
        (kept.mtime_nsec(), kept.ino(), kept.ctime_nsec())
    );

    recorder.undo();
    assert_same(&recorder, &wrecked);
    recorder.redo();
    assert_same(&recorder, &before);
    recorder.undo();
    assert_same(&recorder, &wrecked);
    assert_eq!(walk(&outside), outside_before);
    assert_eq!(recorder.restore_with(first, &["a"], false).unwrap().applied.unwrap().kept, []);
    assert_eq!(recorder.read("a/one"), b"1");
    assert_eq!(recorder.read("b"), b"a file now", "only the named path is restored");
}

#[test]
fn history_branches_after_a_restore() {
    let recorder = Recorder::new();
    recorder.write("f", b"1");
    let first = recorder.snap();
    recorder.write("f", b"2");
    let second = recorder.snap();
    recorder.restore(first.snapshot);
    assert!(!recorder.snap().recorded, "the workspace is exactly the restored snapshot");
    recorder.write("f", b"3");
    let third = recorder.snap();
    assert_eq!(second.parents, [first.snapshot]);
    assert_eq!((third.parents.clone(), third.step), (vec![first.snapshot], 3));
}

#[test]
fn excluded_and_omitted_paths_are_left_alone() {
    let recorder = Recorder::new();
    recorder.write("src/main", b"1");
    let first = recorder.snap().snapshot;
    recorder.write("__pycache__/x/index.js", b"precious");
    recorder.write("src/__pycache__/y", b"precious too");
    recorder.write(".git/HEAD", b"ref: refs/heads/main");
    fifo(&recorder.root.join("src/pipe"));
    recorder.write("src/main", b"2");
    let outcome = recorder.restore(first);
    assert_eq!(outcome.applied.unwrap().kept, []);
    assert_eq!(recorder.read("src/main"), b"1");
    for path in ["__pycache__/x/index.js", "src/__pycache__/y", ".git/HEAD", "src/pipe"] {
        assert!(recorder.root.join(path).exists(), "{path} was never captured and must stay");
    }
}

fn fifo(path: &Path) {
    let status = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_new_folder_with_excluded_paths_is_kept_and_reported() {
    let recorder = Recorder::new();
    recorder.write("f", b"1");
    let first = recorder.snap().snapshot;
    recorder.write("new/file", b"1");
    recorder.write("new/__pycache__/x", b"precious");
    let kept = recorder.restore(first).applied.unwrap().kept;
    assert_eq!(kept.iter().map(|kept| kept.path.to_string()).collect::<Vec<_>>(), ["new"]);
    assert_eq!(recorder.read("new/__pycache__/x"), b"precious");
    assert!(!recorder.root.join("new/file").exists());
}

#[test]
fn paths_that_the_target_never_scanned_are_not_deleted() {
    let mut recorder = Recorder::new();
    recorder.config = parse("[capture]\nexclude = [\"data/\"]\n", Path::new("retro.toml"), &mut Vec::new()).unwrap();
    recorder.write("f", b"1");
    recorder.write("data/rows", b"precious");
    let first = recorder.snap().snapshot;
    recorder.config = parse("", Path::new("retro.toml"), &mut Vec::new()).unwrap();
    recorder.write("f", b"2");
    recorder.snap();
    recorder.restore(first);
    assert_eq!(recorder.read("f"), b"1");
    assert_eq!(recorder.read("data/rows"), b"precious", "the target's rules left it out");
}

#[test]
fn the_naughty_workspace_is_emptied_and_comes_back_in_place() {
    let recorder = Recorder::new();
    naughty(&recorder.root, Extras::default());
    let before = walk(&recorder.root);
    let full = recorder.snap().snapshot;
    let names: Vec<_> = std::fs::read_dir(&recorder.root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.len() > 5);
    for name in ["names", "links", "modes", "hard", "empty"] {
        let moved = recorder.scratch.join(&format!("moved-{name}"));
        #[expect(clippy::disallowed_methods, reason = "tests move files of their own")]
        std::fs::rename(recorder.root.join(name), moved).unwrap();
    }
    let wrecked = walk(&recorder.root);
    recorder.restore(full);
    let mut found = walk(&recorder.root);
    let mut wanted = before;
    // Files excluded by name (editors' own files) were moved away with their folder and never captured.
    wanted.remove(&b"names/.#."[..]);
    found.remove(&b"names/.#."[..]);
    // Other names of a file come back as files of their own; the walker does not look at inodes.
    assert!(found == wanted, "{:#?}", differences(&found, &wanted));
    recorder.undo();
    assert_same(&recorder, &wrecked);
}

#[test]
fn single_paths_go_into_another_folder_too() {
    let recorder = Recorder::new();
    recorder.write("a/b/c", b"deep");
    recorder.write("a/other", b"not asked for");
    chmod(&recorder.root.join("a"), 0o750);
    let first = recorder.snap().snapshot;
    let target = recorder.scratch.join("out");
    let path = TreePath::new(b"a/b").unwrap();
    restore_into(&recorder.store, first, &[path], &target, &Options::default()).unwrap();
    let found: BTreeMap<_, _> = walk(&target);
    assert_eq!(found.keys().map(|path| path.escape_ascii().to_string()).collect::<Vec<_>>(), ["", "a", "a/b", "a/b/c"]);
    assert_eq!(found[&b"a"[..].to_vec()].mode, 0o750);
    let missing = TreePath::new(b"a/none").unwrap();
    let error = restore_into(&recorder.store, first, &[missing], &recorder.scratch.join("x"), &Options::default());
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn without_a_change_there_is_nothing_to_undo() {
    let recorder = Recorder::new();
    recorder.write("f", b"1");
    recorder.snap();
    let error = retrograde::ops::back::undo(
        &recorder.store,
        recorder.workspace,
        std::num::NonZeroU64::MIN,
        &retrograde::ops::back::RestoreOptions::new(&recorder.config, retrograde::time::Timestamp::now()),
    )
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn an_interrupted_restore_is_recognised_and_undone() {
    use retrograde::format::facts::{Fact, Restore, RestoreCause};
    let recorder = Recorder::new();
    recorder.write("a", b"old");
    recorder.write("b", b"old");
    let first = recorder.snap().snapshot;
    recorder.write("a", b"new");
    recorder.write("b", b"new");
    let before = recorder.snap().snapshot;
    // The state after a restore that was killed half-way: it has begun, and one of two files is written.
    let begun = Restore {
        workspace: recorder.workspace,
        before: Some(before),
        target: first,
        paths: Vec::new(),
        cause: RestoreCause::Restore,
        time: retrograde::time::Timestamp::now(),
    };
    recorder.store.record(|_| Ok(vec![Fact::RestoreBegun(begun.clone())])).unwrap();
    recorder.write("a", b"old");
    assert_eq!(recorder.status().workspace.unfinished, Some(begun));
    recorder.undo();
    assert_eq!((recorder.read("a"), recorder.read("b")), (b"new".to_vec(), b"new".to_vec()));
    assert_eq!(recorder.status().workspace.unfinished, None);
    assert!(!recorder.snap().recorded, "the workspace is exactly what it was before");
}

#[test]
fn a_workspace_that_is_gone_comes_back() {
    let recorder = Recorder::new();
    recorder.write("a/b", b"1");
    let before = walk(&recorder.root);
    let first = recorder.snap().snapshot;
    std::fs::remove_dir_all(&recorder.root).unwrap();
    recorder.restore(first);
    assert_same(&recorder, &before);
}

#[test]
fn a_restore_of_the_current_state_records_nothing() {
    let recorder = Recorder::new();
    recorder.write("a", b"1");
    let first = recorder.snap().snapshot;
    let sequence = recorder.store.state().sequence;
    let outcome = recorder.restore(first);
    assert!(outcome.plan.is_empty() && outcome.applied.is_some());
    assert_eq!(recorder.store.state().sequence, sequence);
}

/// The folder may hold all that is left of a content: a snapshot does not store again what is there by its id,
/// and what is there may have been damaged since.
#[test]
#[expect(clippy::disallowed_methods, reason = "tests remove files of their own")]
fn the_last_whole_copy_is_not_restored_over() {
    let mut recorder = Recorder::new();
    // Long enough that the index is written, which goes on to say that it is there.
    let kept = Rng::new(1).bytes(60_000);
    recorder.write("kept", &kept);
    recorder.write("other", b"1");
    let whole = recorder.snap().snapshot;
    std::fs::remove_file(recorder.root.join("kept")).unwrap();
    let without = recorder.snap().snapshot;
    recorder.write("kept", &kept);
    recorder.write("other", b"2");
    overwrite_noise(&recorder.store_root(), &kept);
    let before = walk(&recorder.root);
    recorder.reopen();
    let refused = recorder.restore_with(without, &[], false).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
    assert!(refused.hint().is_some_and(|hint| hint.contains("retro repair")), "{refused}");
    assert_same(&recorder, &before);
    assert!(recorder.status().workspace.unfinished.is_none());
    // Nor is anything taken away for a target that cannot be written.
    std::fs::remove_file(recorder.root.join("kept")).unwrap();
    let before = walk(&recorder.root);
    let refused = recorder.restore_with(whole, &[], false).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
    assert_same(&recorder, &before);
    assert!(recorder.status().workspace.unfinished.is_none());
}

/// A new version of a long file is stored by its new chunks; the others may have been damaged since they were.
#[test]
fn a_long_file_is_not_restored_over_with_a_damaged_chunk() {
    let mut recorder = Recorder::new();
    let mut long = Rng::new(2).bytes(4 << 20);
    recorder.write("long", &long);
    recorder.snap();
    recorder.write("long", b"short");
    let short = recorder.snap().snapshot;
    long.extend_from_slice(b"one more line");
    recorder.write("long", &long);
    overwrite_noise(&recorder.store_root(), &long);
    recorder.reopen();
    let before = walk(&recorder.root);
    let refused = recorder.restore_with(short, &[], false).unwrap_err();
    assert!(refused.to_string().contains("keep what is there"), "{refused}");
    assert_same(&recorder, &before);
}

/// A path comes back with the folders that it is in, and going back takes them away again. An obstacle in
/// the way of a folder refuses the restore before it begins.
#[test]
fn a_path_comes_with_the_folders_above_it() {
    let recorder = Recorder::new();
    recorder.write("src/deep/main.rs", b"1");
    recorder.write("src/other", b"not asked for");
    recorder.write("keep", b"k");
    let first = recorder.snap().snapshot;
    std::fs::remove_dir_all(recorder.root.join("src")).unwrap();
    recorder.snap();
    let without = walk(&recorder.root);
    let paths = ["src/deep/main.rs"];
    let planned = recorder.restore_with(first, &paths, true).unwrap().plan;
    let done = recorder.restore_with(first, &paths, false).unwrap();
    assert_eq!((planned.len(), done.plan.len()), (3, 3), "{planned:?}");
    assert!(done.applied.unwrap().kept.is_empty());
    assert_eq!(recorder.read("src/deep/main.rs"), b"1");
    assert!(!recorder.root.join("src/other").exists());
    let with = walk(&recorder.root);
    recorder.undo();
    assert_same(&recorder, &without);
    recorder.redo();
    assert_same(&recorder, &with);
    // A file that somebody has put beside it is a change of its own.
    recorder.write("src/new", b"of somebody");
    recorder.undo();
    assert_same(&recorder, &with);
    recorder.undo();
    assert_same(&recorder, &without);
    recorder.redo();
    recorder.redo();
    assert_eq!(recorder.read("src/new"), b"of somebody");

    std::fs::remove_dir_all(recorder.root.join("src")).unwrap();
    recorder.write("src", b"a file now");
    let before = walk(&recorder.root);
    let error = recorder.restore_with(first, &paths, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_same(&recorder, &before);
}

/// Only what a restore itself can have left is taken away, and never what is merely called like it.
#[test]
#[expect(clippy::disallowed_methods, reason = "tests remove files of their own")]
fn files_called_like_temporary_ones_are_files_like_others() {
    let recorder = Recorder::new();
    let alike = ".retro-tmp-00000000deadbeef";
    let stray = retrograde::workspace::temporary_name::temporary_name(7);
    recorder.write(alike, b"mine");
    recorder.write(&stray, b"half of a fi");
    recorder.write("a", b"1");
    let first = recorder.snap().snapshot;
    recorder.write("a", b"2");
    recorder.restore(first);
    assert_eq!(recorder.read(alike), b"mine");
    assert!(!recorder.root.join(&stray).exists());
    std::fs::remove_file(recorder.root.join(alike)).unwrap();
    recorder.restore(first);
    assert_eq!(recorder.read(alike), b"mine", "it is recorded");
}
