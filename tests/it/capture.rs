//! Changes are seen whatever the file times say, and whatever became of the stat cache.

use std::fs::{File, FileTimes};
use std::time::{Duration, SystemTime};

use retrograde::error::ErrorKind;
use retrograde::format::facts::Fact;
use retrograde::format::tree::Entry;
use retrograde::ops::record::register::{Guard, move_workspace, register, resolve_folder};
use retrograde::time::Timestamp;

use crate::support::damage::copy_folder;
use crate::support::recorder::{Recorder, open_store};

/// W7.
#[test]
fn same_size_edits_within_one_tick_are_seen() {
    let recorder = Recorder::new();
    recorder.write("f", b"init");
    recorder.snap();
    for round in 0..300_u32 {
        recorder.write("f", format!("{round:04}").as_bytes());
        assert!(recorder.snap().recorded, "round {round}");
        recorder.write("f", format!("{:04}", round + 5_000).as_bytes());
        assert!(recorder.snap().recorded, "round {round}");
    }
}

#[test]
fn an_edit_that_keeps_the_modification_time_is_seen() {
    let recorder = Recorder::new();
    let path = recorder.root.join("f");
    recorder.write("f", b"0000");
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let set =
        |time| File::options().write(true).open(&path).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
    set(old);
    recorder.snap();
    recorder.snap();
    recorder.write("f", b"1111");
    set(old);
    assert!(recorder.snap().recorded);
    // Times in the future, and then in the past, as after a clock was set back.
    recorder.write("f", b"2222");
    set(SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000));
    assert!(recorder.snap().recorded);
    recorder.write("f", b"3333");
    set(old);
    assert!(recorder.snap().recorded);
}

/// W6.
#[test]
#[expect(clippy::disallowed_methods, reason = "tests damage files of their own")]
fn a_lost_or_damaged_stat_cache_never_changes_a_snapshot() {
    let recorder = Recorder::new();
    for number in 0..50 {
        recorder.write(&format!("d{}/f{number}", number % 5), format!("content {number}").as_bytes());
    }
    let first = recorder.snap();
    let cache = recorder.store_root().join(format!("workspaces/{}/stat", recorder.workspace));
    let old = std::fs::read(&cache).unwrap();
    recorder.write("d1/f1", b"changed once");
    let second = recorder.snap();
    let good = std::fs::read(&cache).unwrap();
    let mut wrecks: Vec<Vec<u8>> = vec![Vec::new(), old.clone(), vec![0; good.len()], [&good[..], b"garbage"].concat()];
    wrecks.extend((0..good.len()).step_by(good.len() / 40 + 1).map(|cut| good[..cut].to_vec()));
    wrecks.extend((0..good.len()).step_by(good.len() / 80 + 1).map(|at| {
        let mut damaged = good.clone();
        damaged[at] ^= 0x41;
        damaged
    }));
    let other = Recorder::new();
    other.write("d1/f1", b"of another workspace");
    other.snap();
    let foreign = other.store_root().join(format!("workspaces/{}/stat", other.workspace));
    wrecks.push(std::fs::read(foreign).unwrap());
    for (round, wreck) in wrecks.iter().enumerate() {
        // A file is replaced, never written in place: others may have it mapped.
        std::fs::remove_file(&cache).unwrap();
        std::fs::write(&cache, wreck).unwrap();
        let found = recorder.snap();
        assert_eq!((found.recorded, found.tree), (false, second.tree), "wreck {round}");
        std::fs::remove_file(&cache).unwrap();
        std::fs::write(&cache, wreck).unwrap();
        recorder.write("d1/f1", b"content 1");
        let back = recorder.snap();
        assert_eq!((back.recorded, back.tree), (true, first.tree), "wreck {round}");
        recorder.write("d1/f1", b"changed once");
        assert_eq!(recorder.snap().tree, second.tree, "wreck {round}");
    }
}

/// G2: the stat cache is of another generation, so everything is read, and stored in a pack that stays.
#[test]
#[expect(clippy::disallowed_methods, reason = "tests damage files of their own")]
fn a_snapshot_of_a_new_generation_needs_no_pack_that_is_about_to_be_removed() {
    let mut recorder = Recorder::new();
    let content = |number: usize| format!("content {number}").repeat(100).into_bytes();
    (0..20).for_each(|number| recorder.write(&format!("d{}/f{number}", number % 3), &content(number)));
    recorder.snap();
    recorder.write("more", b"one");
    recorder.snap();
    let pack = recorder.store_root().join("packs/000001.pack");
    let nonce = std::fs::read(&pack).unwrap()[28..44].try_into().unwrap();
    let begun = Fact::GenerationBegun { generation: 1, condemned: vec![nonce], time: Timestamp::now() };
    recorder.store.record(|_| Ok(vec![begun])).unwrap();
    recorder.write("more", b"two");
    let last = recorder.snap();
    std::fs::remove_file(pack).unwrap();
    recorder.reopen();
    let mut found = 0;
    for folder in recorder.store.folder(last.tree).unwrap().iter().filter_map(Entry::tree) {
        for entry in recorder.store.folder(folder).unwrap() {
            let number: usize = std::str::from_utf8(&entry.name[1..]).unwrap().parse().unwrap();
            assert_eq!(recorder.store.read_blob(entry.blob().unwrap(), 1 << 20).unwrap(), content(number));
            found += 1;
        }
    }
    assert_eq!(found, 20);
}

#[test]
fn a_store_inside_the_workspace_is_never_captured() {
    let scratch = crate::support::scratch::Scratch::new();
    let root = scratch.path().to_owned();
    let recorder = Recorder::of(scratch, &root);
    recorder.write("f", b"1");
    let first = recorder.snap();
    assert_eq!(first.changes.added, 1);
    assert!(!recorder.snap().recorded, "its own writing is no change");
}

#[test]
fn dangerous_folders_are_refused_without_force() {
    let recorder = Recorder::new();
    let store_root = resolve_folder(&recorder.store_root()).unwrap();
    let home = resolve_folder(&recorder.root).unwrap().join("homes/home");
    std::fs::create_dir_all(&home).unwrap();
    std::fs::create_dir(home.with_file_name("project")).unwrap();
    let guard = Guard { home: Some(home.clone()), force: false };
    let other = register(&recorder.store, &home.with_file_name("project"), &guard, Timestamp::now()).unwrap().0;
    for folder in [std::path::Path::new("/"), &home, home.parent().unwrap()] {
        for done in [
            register(&recorder.store, folder, &guard, Timestamp::now()).map(drop),
            move_workspace(&recorder.store, other, folder, &guard, Timestamp::now()),
        ] {
            let error = done.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{}", folder.display());
            assert!(error.hint().unwrap().contains("--force"));
        }
    }
    // Nobody can insist on the store.
    for folder in [&store_root, &store_root.join("packs"), &store_root.join("not/there")] {
        for guard in [guard.clone(), Guard { force: true, ..guard.clone() }] {
            let error = register(&recorder.store, folder, &guard, Timestamp::now()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{}", folder.display());
            let error = move_workspace(&recorder.store, other, folder, &guard, Timestamp::now()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{}", folder.display());
        }
    }
    assert!(register(&recorder.store, &home, &Guard { force: true, ..guard }, Timestamp::now()).unwrap().1);
}

#[test]
fn equal_content_is_kept_once_across_workspaces() {
    let recorder = Recorder::new();
    let mut content = vec![0; 500_000];
    blake3::Hasher::new().finalize_xof().fill(&mut content);
    recorder.write("one", &content);
    recorder.snap();
    let second = recorder.scratch.join("second");
    std::fs::create_dir(&second).unwrap();
    let second = resolve_folder(&second).unwrap();
    std::fs::copy(recorder.root.join("one"), second.join("two")).unwrap();
    let (workspace, _) = register(&recorder.store, &second, &Guard::default(), Timestamp::now()).unwrap();
    let again = Recorder {
        scratch: crate::support::scratch::Scratch::new(),
        root: second,
        store: open_store(&recorder.store_root()),
        workspace,
        config: Default::default(),
    };
    assert!(again.snap().stored_bytes < 1_000);
}

#[test]
fn several_at_once_in_one_store_all_succeed() {
    let recorder = Recorder::new();
    recorder.write("f", b"0");
    recorder.snap();
    let store_root = recorder.store_root();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (recorder, store_root) = (&recorder, &store_root);
            scope.spawn(move || {
                let mine = Recorder {
                    scratch: crate::support::scratch::Scratch::new(),
                    root: recorder.root.clone(),
                    store: open_store(store_root),
                    workspace: recorder.workspace,
                    config: Default::default(),
                };
                for round in 0..10 {
                    mine.write(&format!("w{worker}"), format!("{round}").as_bytes());
                    mine.snap();
                }
            });
        }
    });
    let store = open_store(&store_root);
    let state = store.state();
    let workspace = &state.workspaces[&recorder.workspace];
    let steps: Vec<u64> = workspace.steps.keys().copied().collect();
    assert_eq!(steps, (1..=workspace.last_step).collect::<Vec<_>>(), "no number is given out twice, none is lost");
    let head = store.snapshot(workspace.head.unwrap()).unwrap();
    assert_eq!(store.folder(head.root).unwrap().len(), 5);
}

/// W10: a store that was put back to an older state has lost what the stat cache says is there.
#[test]
#[expect(clippy::disallowed_methods, reason = "tests replace files of their own")]
fn a_store_restored_from_a_backup_is_not_believed_to_hold_later_contents() {
    let mut recorder = Recorder::new();
    recorder.write("deep/er/kept", b"1");
    recorder.write("x/edited", b"1");
    recorder.snap();
    let (store, old) = (recorder.store_root(), recorder.scratch.join("old"));
    copy_folder(&store, &old);
    recorder.write("deep/er/new", b"2");
    // A file written just before a step is read again at the next one; this file must not be.
    std::thread::sleep(Duration::from_millis(50));
    recorder.snap();
    for name in ["packs", "journal"] {
        std::fs::rename(store.join(name), recorder.scratch.join(&format!("lost-{name}"))).unwrap();
        std::fs::rename(old.join(name), store.join(name)).unwrap();
    }
    recorder.reopen();
    recorder.write("x/edited", b"3");
    assert_eq!(recorder.status().changes.len(), 2);
    let snapped = recorder.snap();
    assert!(snapped.recorded);
    let new = std::fs::read(recorder.root.join("deep/er/new")).unwrap();
    std::fs::remove_dir_all(recorder.root.join("deep")).unwrap();
    recorder.restore(snapped.snapshot);
    assert!(recorder.read("deep/er/new") == new && recorder.read("deep/er/kept") == b"1");
}
