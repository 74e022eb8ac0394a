//! Tests of changing a live folder.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use proptest::prelude::*;

use super::model::{Item, Model, Stock, build, file, link, model, plan, visible};
use super::path;
use super::scratch::Scratch;
use super::walker::{Nodes, differences, walk};
use crate::error::{ErrorKind, Result};
use crate::format::tree::EntryKind;
use crate::id::{BlobId, Digest};
use crate::workspace::beneath::Root;
use crate::workspace::materialize::{Action, Applied, Kept, KeptReason, Options, Task, apply};
use crate::workspace::temporary_name::is_temporary_name;

fn run(stock: &Stock, top: &Path, actions: &[Action]) -> Result<Applied> {
    apply(&stock.store, &Root::open(top).unwrap(), actions, &Options::default())
}

fn write(stock: &Stock, place: &str, content: &str, replaces: bool) -> Action {
    let id = stock.put_blob(content.as_bytes()).0;
    let task = if replaces { Task::Replace } else { Task::Create };
    Action { path: path(place), task, kind: EntryKind::File, mode: 0o644, size: content.len() as u64, id }
}

fn remove(place: &str, kind: EntryKind) -> Action {
    Action { kind, ..on_folder(place, Task::Remove, 0) }
}

fn on_folder(place: &str, task: Task, mode: u16) -> Action {
    Action::on_folder(path(place), task, mode)
}

fn set_file_mode(place: &str, mode: u16, size: u64, id: BlobId) -> Action {
    Action { kind: EntryKind::File, size, id: id.0, ..on_folder(place, Task::SetMode, mode) }
}

fn kept<const N: usize>(list: [(&str, KeptReason); N]) -> Vec<Kept> {
    list.into_iter().map(|(place, reason)| Kept { path: path(place), reason }).collect()
}

fn without_times(nodes: &Nodes, found: &Nodes) {
    assert!(nodes == found, "{:#?}", differences(nodes, found));
    let is_stray = |path: &Vec<u8>| is_temporary_name(path.rsplit(|&byte| byte == b'/').next().unwrap());
    assert!(!found.keys().any(is_stray));
}

/// Changes one state into the next, and checks that nothing else changed.
fn go(stock: &Stock, top: &Path, target: &Model) -> Applied {
    stock.put(target);
    let mode = u16::try_from(walk(top)[&b""[..]].mode).unwrap();
    let applied = run(stock, top, &plan(&walk(top), target)).unwrap();
    without_times(&walk(top), &visible(target, mode));
    applied
}

#[test]
fn every_change_of_kind_content_and_mode_is_made() {
    let (stock, scratch) = (Stock::new(), Scratch::new());
    build(
        scratch.path(),
        &model([
            ("file-to-folder", file("x", 0o644)),
            ("file-to-link", file("x", 0o644)),
            ("folder-to-file", Item::Folder(0o755)),
            ("folder-to-file/sub", Item::Folder(0o555)),
            ("folder-to-file/sub/file", file("x", 0o444)),
            ("folder-to-link", Item::Folder(0o755)),
            ("link-to-file", link("same")),
            ("link-to-folder", link("/tmp")),
            ("link-to-link", link("old")),
            ("mode", file("x", 0o644)),
            ("mode-folder", Item::Folder(0o755)),
            ("same", file("untouched", 0o600)),
            ("text", file("old", 0o640)),
        ]),
    );
    let before = scratch.join("same").metadata().unwrap();
    let target = model([
        ("file-to-folder", Item::Folder(0o500)),
        ("file-to-folder/inner", Item::Folder(0o1755)),
        ("file-to-folder/inner/file", file("deep", 0o4711)),
        ("file-to-link", link("file-to-folder")),
        ("folder-to-file", file("now a file", 0o600)),
        ("folder-to-link", link("..")),
        ("link-to-file", file("now a file", 0o400)),
        ("link-to-folder", Item::Folder(0o755)),
        ("link-to-folder/file", file("not in /tmp", 0o644)),
        ("link-to-link", link("new")),
        ("mode", file("x", 0o2711)),
        ("mode-folder", Item::Folder(0o700)),
        ("same", file("untouched", 0o600)),
        ("text", file("new", 0o640)),
    ]);
    let applied = go(&stock, scratch.path(), &target);
    let after = scratch.join("same").metadata().unwrap();
    assert_eq!(
        (before.mtime_nsec(), before.ctime_nsec(), before.ino()),
        (after.mtime_nsec(), after.ctime_nsec(), after.ino())
    );
    let counts = (applied.written, applied.removed, applied.created, applied.mode_changed);
    assert_eq!(counts, (8, 8, 3, 2));
    assert_eq!(applied.kept, []);
    assert_eq!(plan(&walk(scratch.path()), &target), []);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
fn a_folder_with_other_contents_stays_and_blocks_its_replacement() {
    let (stock, scratch) = (Stock::new(), Scratch::new());
    std::fs::create_dir_all(scratch.join("a/b")).unwrap();
    std::fs::write(scratch.join("a/b/excluded"), "precious").unwrap();
    std::fs::write(scratch.join("a/known"), "known").unwrap();
    let actions = [
        remove("a", EntryKind::Folder),
        remove("a/b", EntryKind::Folder),
        remove("a/known", EntryKind::File),
        remove("a/gone", EntryKind::File),
        remove("gone/gone", EntryKind::File),
        write(&stock, "a", "a file instead", false),
    ];
    let applied = run(&stock, scratch.path(), &actions).unwrap();
    let expected = [("a", KeptReason::Occupied), ("a/b", KeptReason::NotEmpty)];
    assert_eq!(applied, Applied { removed: 1, kept: kept(expected), ..Applied::default() });
    assert_eq!(std::fs::read(scratch.join("a/b/excluded")).unwrap(), b"precious");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
fn entries_that_the_plan_did_not_see_are_kept() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let (stock, scratch) = (Stock::new(), Scratch::new());
    for name in ["fifo", "fifo-over", "fifo-mode"] {
        mknodat(CWD, scratch.join(name), FileType::Fifo, Mode::RWXU, 0).unwrap();
    }
    std::fs::create_dir_all(scratch.join("folder/sub")).unwrap();
    std::os::unix::fs::symlink("folder", scratch.join("link")).unwrap();
    std::fs::write(scratch.join("file"), "file").unwrap();
    std::fs::write(scratch.join("omitted"), "never captured").unwrap();
    let id = stock.put_blob(b"target");
    let actions = [
        remove("fifo", EntryKind::File),
        write(&stock, "fifo-over", "x", true),
        set_file_mode("fifo-mode", 0o777, 0, id),
        remove("folder", EntryKind::File),
        remove("folder/sub", EntryKind::Symlink),
        remove("link", EntryKind::Folder),
        remove("link/sub", EntryKind::Folder),
        remove("file", EntryKind::Folder),
        remove("file/below", EntryKind::File),
        write(&stock, "omitted", "x", false),
        write(&stock, "link/new", "x", false),
        Action { kind: EntryKind::Symlink, id: id.0, ..on_folder("folder", Task::Replace, 0) },
        on_folder("file", Task::Create, 0o755),
        on_folder("link/below", Task::Create, 0o755),
        set_file_mode("gone", 0o600, 0, id),
        set_file_mode("link", 0o600, 0, id),
        on_folder("link", Task::SetMode, 0o700),
        on_folder("none", Task::SetMode, 0o700),
    ];
    let before = walk(scratch.path());
    let applied = run(&stock, scratch.path(), &actions).unwrap();
    without_times(&before, &walk(scratch.path()));
    let paths: std::collections::BTreeSet<_> = actions.iter().map(|action| &action.path).collect();
    assert_eq!(applied.kept.iter().map(|kept| &kept.path).collect::<Vec<_>>(), paths.into_iter().collect::<Vec<_>>());
    assert_eq!(applied, Applied { kept: applied.kept.clone(), ..Applied::default() });
    let occupied: Vec<_> = applied.kept.iter().filter(|kept| kept.reason == KeptReason::Occupied).collect();
    assert_eq!(
        occupied.iter().map(|kept| kept.path.to_string()).collect::<Vec<_>>(),
        ["file", "file/below", "omitted"]
    );
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
fn other_names_of_a_file_keep_content_and_mode() {
    let (stock, scratch) = (Stock::new(), Scratch::new());
    std::fs::create_dir(scratch.join("ws")).unwrap();
    for name in ["written", "mode"] {
        std::fs::write(scratch.join(name), "shared").unwrap();
        std::fs::hard_link(scratch.join(name), scratch.join("ws").join(name)).unwrap();
    }
    let outside = |name: &str| walk(scratch.path())[name.as_bytes()].clone();
    let before = [outside("written"), outside("mode")];
    let id = stock.put_blob(b"shared");
    let actions = [write(&stock, "written", "mine alone", true), set_file_mode("mode", 0o4700, 6, id)];
    let applied = run(&stock, &scratch.join("ws"), &actions).unwrap();
    assert_eq!((applied.written, applied.mode_changed, applied.kept), (2, 0, Vec::new()));
    assert_eq!(before, [outside("written"), outside("mode")]);
    assert_eq!(walk(&scratch.join("ws"))[&b"mode"[..]].mode, 0o4700);
    assert_eq!(std::fs::read(scratch.join("ws/written")).unwrap(), b"mine alone");
}

#[test]
fn read_only_folders_are_changed_and_read_only_again_even_after_an_error() {
    let (stock, scratch) = (Stock::new(), Scratch::new());
    let state = |content: &str, outer: u16| {
        model([
            ("outer", Item::Folder(outer)),
            ("outer/inner", Item::Folder(0o555)),
            ("outer/inner/file", file(content, 0o444)),
            ("outer/inner/folder", Item::Folder(0o500)),
        ])
    };
    build(scratch.path(), &state("old", 0o555));
    go(&stock, scratch.path(), &state("new", 0o550));
    let missing = set_file_mode("outer/inner/other", 0o644, 7, BlobId(Digest::of(b"missing")));
    let missing = Action { task: Task::Create, ..missing };
    let error = run(&stock, scratch.path(), &[missing, remove("outer/inner/folder", EntryKind::Folder)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let mut left = state("new", 0o550);
    left.remove(&b"outer/inner/folder"[..]);
    let mode = u16::try_from(scratch.path().metadata().unwrap().mode() & 0o7777).unwrap();
    without_times(&walk(scratch.path()), &visible(&left, mode));
    go(&stock, scratch.path(), &Model::new());
}

#[test]
fn folders_without_any_right_are_reached_and_closed_again() {
    let (stock, scratch) = (Stock::new(), Scratch::new());
    let state = model([
        ("closed", Item::Folder(0o000)),
        ("closed/inner", Item::Folder(0o200)),
        ("closed/inner/file", file("old", 0o000)),
        ("closed/inner/mode", file("old", 0o000)),
        ("closed/other", Item::Folder(0o000)),
    ]);
    build(scratch.path(), &state);
    let id = stock.put_blob(b"old");
    let actions = [
        write(&stock, "closed/inner/file", "new", true),
        set_file_mode("closed/inner/mode", 0o640, 3, id),
        on_folder("closed/other", Task::SetMode, 0o750),
        on_folder("", Task::SetMode, 0o711),
    ];
    let applied = run(&stock, scratch.path(), &actions).unwrap();
    assert_eq!((applied.written, applied.mode_changed, applied.kept), (1, 3, Vec::new()));
    for (place, mode) in [("", 0o711), ("closed", 0o000), ("closed/inner", 0o200)] {
        let found = scratch.join(place).metadata().unwrap().mode() & 0o7777;
        assert_eq!(found, mode, "{place}");
        std::fs::set_permissions(scratch.join(place), PermissionsExt::from_mode(0o700)).unwrap();
    }
    let found = walk(scratch.path());
    let modes = ["closed/inner/file", "closed/inner/mode", "closed/other"].map(|place| found[place.as_bytes()].mode);
    assert_eq!(modes, [0o644, 0o640, 0o750]);
}

#[test]
fn the_root_is_neither_made_nor_removed() {
    let (stock, scratch) = (Stock::new(), Scratch::new());
    for action in [remove("", EntryKind::Folder), on_folder("", Task::Create, 0o755)] {
        assert_eq!(run(&stock, scratch.path(), &[action]).unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert!(scratch.path().is_dir());
}

#[test]
fn an_error_leaves_whole_files_no_strays_and_a_hint() {
    let (stock, scratch) = (Stock::new(), Scratch::new());
    build(scratch.path(), &model([("file", file("old", 0o644))]));
    let id = stock.put_blob(b"longer than it says");
    let lie = Action { task: Task::Replace, ..set_file_mode("file", 0o644, 3, id) };
    let before = walk(scratch.path());
    let error = run(&stock, scratch.path(), &[lie]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.hint().is_some_and(|hint| hint.contains("run the same restore again")));
    without_times(&before, &walk(scratch.path()));
}

/// Restores change nothing outside, even while folders are swapped with symlinks that lead outside.
#[test]
#[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
fn a_symlink_swapped_in_at_any_moment_leads_nowhere() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let (stock, scratch) = (Stock::new(), Scratch::new());
    let (ws, outside) = (scratch.join("ws"), scratch.join("outside"));
    for folder in [ws.join("a/b"), outside.join("b")] {
        std::fs::create_dir_all(folder).unwrap();
    }
    for name in ["victim", "b/victim"] {
        std::fs::write(outside.join(name), "precious").unwrap();
    }
    let before = walk(&outside);
    let full = model([
        ("a", Item::Folder(0o755)),
        ("a/b", Item::Folder(0o755)),
        ("a/b/victim", file("overwritten", 0o777)),
        ("a/victim", file("overwritten", 0o777)),
    ]);
    let folders = model([("a", Item::Folder(0o755)), ("a/b", Item::Folder(0o700))]);
    stock.put(&full);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                std::fs::rename(ws.join("a"), ws.join("aside")).ok();
                std::os::unix::fs::symlink(&outside, ws.join("a")).ok();
                std::fs::remove_file(ws.join("a")).ok();
                std::fs::rename(ws.join("aside"), ws.join("a")).ok();
            }
        });
        // Both plans are made for an unchanging workspace, and then meet the changes of the thread.
        let forth = plan(&visible(&folders, 0o755), &full);
        let back = plan(&visible(&full, 0o755), &folders);
        for _ in 0..500 {
            // Errors are fine here: the folder vanishes during the restore.
            run(&stock, &ws, &forth).ok();
            run(&stock, &ws, &back).ok();
        }
        is_done.store(true, Ordering::Relaxed);
    });
    assert_eq!(walk(&outside), before);
}

fn any_model() -> impl Strategy<Value = Model> {
    const FOLDER_MODES: [u16; 5] = [0o755, 0o700, 0o555, 0o500, 0o1777];
    const FILE_MODES: [u16; 4] = [0o644, 0o600, 0o444, 0o755];
    let name = prop::sample::select(vec!["a", "b", "a.b", "\n"]);
    let item = prop_oneof![
        (0..5_usize).prop_map(|mode| Item::Folder(FOLDER_MODES[mode])),
        (0..3_u8, 0..4_usize).prop_map(|(content, mode)| Item::File(vec![content; 5], FILE_MODES[mode])),
        (0..3_usize).prop_map(|target| link(["a", "..", "/"][target])),
    ];
    prop::collection::vec((prop::collection::vec(name, 1..4), item), 0..16).prop_map(|list| {
        let mut model = Model::new();
        'next: for (names, item) in list {
            for depth in 1..names.len() {
                let above = names[..depth].join("/").into_bytes();
                if !matches!(model.entry(above).or_insert(Item::Folder(0o750)), Item::Folder(_)) {
                    continue 'next;
                }
            }
            model.entry(names.join("/").into_bytes()).or_insert(item);
        }
        model
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Also starts from where an interrupted restore stopped: any state in between is a state like any other.
    #[test]
    fn any_state_leads_to_any_other(one in any_model(), two in any_model(), done in any::<u64>()) {
        let (stock, scratch) = (Stock::new(), Scratch::new());
        stock.put(&one);
        stock.put(&two);
        prop_assert!(go(&stock, scratch.path(), &one).kept.is_empty());
        let half = plan(&walk(scratch.path()), &two);
        let chosen = half.into_iter().enumerate().filter(|(at, _)| done >> (at % 64) & 1 == 1);
        let half: Vec<_> = chosen.map(|(_, action)| action).collect();
        run(&stock, scratch.path(), &half).unwrap();
        prop_assert!(go(&stock, scratch.path(), &two).kept.is_empty());
        prop_assert!(plan(&walk(scratch.path()), &two).is_empty());
        prop_assert!(go(&stock, scratch.path(), &one).kept.is_empty());
    }
}
