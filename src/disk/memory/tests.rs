//! Tests that the simulated disk loses unsynced changes, keeps synced ones, and otherwise behaves like a real disk.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Fault, FaultKind, MemoryDisk};
use crate::disk::local::LocalDisk;
use crate::disk::{Disk, LockMode, Source, read_all};
use crate::error::ErrorKind;

fn contents(disk: &MemoryDisk, name: &str) -> Option<Vec<u8>> {
    read_all(disk, name).ok()
}

/// The contents that `name` may have after a power loss after all changes so far.
fn after_losses(disk: &MemoryDisk, name: &str) -> BTreeSet<Option<Vec<u8>>> {
    let losses = disk.power_losses(disk.change_count(), 0, usize::MAX);
    losses.iter().map(|loss| contents(&loss.disk, name)).collect()
}

fn set(list: &[Option<&[u8]>]) -> BTreeSet<Option<Vec<u8>>> {
    list.iter().map(|bytes| bytes.map(<[u8]>::to_vec)).collect()
}

#[test]
fn unsynced_bytes_are_kept_lost_or_torn() {
    let disk = MemoryDisk::new(1);
    disk.write("f", 0, b"old!").unwrap();
    disk.settle();
    disk.write("f", 4, b"news").unwrap();
    assert_eq!(
        after_losses(&disk, "f"),
        set(&[
            Some(b"old!"),
            Some(b"old!n"),
            Some(b"old!ne"),
            Some(b"old!new"),
            Some(b"old!news"),
            Some(b"old!\0\0\0\0")
        ])
    );
    disk.sync("f").unwrap();
    assert_eq!(after_losses(&disk, "f"), set(&[Some(b"old!news")]));
    assert_eq!(contents(&disk.killed_after(1), "f").as_deref(), Some(&b"old!news"[..]));
    assert_eq!(contents(&disk.killed_during(0).unwrap(), "f").as_deref(), Some(&b"old!ne"[..]));
}

#[test]
fn a_later_sector_can_be_there_without_an_earlier_one() {
    let disk = MemoryDisk::new(1);
    disk.write("f", 0, b"x").unwrap();
    disk.settle();
    let bytes = [7; 2_000];
    disk.write("f", 300, &bytes).unwrap();
    let states = after_losses(&disk, "f");
    let has = |sector: usize| move |file: &Vec<u8>| file.get(sector * 512 + 400) == Some(&7);
    assert!(states.iter().flatten().any(|file| file.len() == 2_300 && has(1)(file) && !has(0)(file)));
    assert!(states.iter().flatten().any(|file| !has(1)(file) && has(2)(file) && has(0)(file)));
}

#[test]
fn bytes_and_names_are_settled_apart() {
    let disk = MemoryDisk::new(1);
    disk.write("f", 0, b"ab").unwrap();
    disk.sync("f").unwrap();
    assert_eq!(after_losses(&disk, "f"), set(&[None, Some(b"ab")]));
    disk.sync_folder("").unwrap();
    assert_eq!(after_losses(&disk, "f"), set(&[Some(b"ab")]));

    let disk = MemoryDisk::new(1);
    disk.write("f", 0, b"ab").unwrap();
    disk.sync_folder("").unwrap();
    assert_eq!(after_losses(&disk, "f"), set(&[Some(b""), Some(b"a"), Some(b"ab"), Some(b"\0\0")]));
}

#[test]
fn a_rename_is_lost_or_kept_whatever_became_of_the_bytes() {
    let disk = MemoryDisk::new(1);
    disk.create_folder("tmp").unwrap();
    disk.write("f", 0, b"old").unwrap();
    disk.settle();
    disk.write("tmp/f", 0, b"n").unwrap();
    disk.rename("tmp/f", "f").unwrap();
    assert_eq!(after_losses(&disk, "f"), set(&[Some(b"old"), Some(b""), Some(b"n"), Some(b"\0")]));
    disk.sync_folder("").unwrap();
    assert_eq!(after_losses(&disk, "f"), set(&[Some(b""), Some(b"n"), Some(b"\0")]));
    let strays = disk.power_losses(disk.change_count(), 0, usize::MAX);
    assert!(
        strays.iter().any(|loss| contents(&loss.disk, "tmp/f").is_some()),
        "nobody synced that the old name is gone"
    );
}

#[test]
fn a_moved_file_is_never_lost_from_both_folders() {
    let disk = MemoryDisk::new(1);
    disk.create_folder("a").unwrap();
    disk.create_folder("b").unwrap();
    disk.write("a/f", 0, b"n").unwrap();
    disk.settle();
    disk.rename("a/f", "b/f").unwrap();
    for changes in 0..=1 {
        for loss in disk.power_losses(changes, 0, usize::MAX) {
            assert!(contents(&loss.disk, "a/f").or(contents(&loss.disk, "b/f")).is_some(), "{}", loss.lost);
        }
    }
    disk.sync_folder("a").unwrap();
    assert_eq!(after_losses(&disk, "b/f"), set(&[Some(b"n")]));
}

#[test]
fn a_power_loss_after_a_kill_takes_what_the_killed_process_did_not_sync() {
    let disk = MemoryDisk::new(1);
    disk.write("f", 0, b"n").unwrap();
    let next = disk.killed_after(disk.change_count());
    assert_eq!(contents(&next, "f").as_deref(), Some(&b"n"[..]));
    next.write("g", 0, b"m").unwrap();
    next.sync("g").unwrap();
    next.sync_folder("").unwrap();
    assert!(after_losses(&next, "f").contains(&Some(Vec::new())));
    assert_eq!(after_losses(&next, "g"), set(&[Some(b"m")]));
    assert_eq!(contents(&disk, "g"), None);
}

#[test]
fn after_a_failed_sync_bytes_stay_in_doubt_until_they_are_cut() {
    let disk = MemoryDisk::new(1);
    disk.write("f", 0, b"ab").unwrap();
    disk.settle();
    disk.write("f", 2, b"c").unwrap();
    disk.set_fault(Some(Fault { at_call: 0, kind: FaultKind::Io, is_lasting: false }));
    let error = disk.sync("f").unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (ErrorKind::Io, "sync /memory/f: input/output error".to_owned()));
    disk.sync("f").unwrap();
    assert_eq!(after_losses(&disk, "f"), set(&[Some(b"ab"), Some(b"ab\0"), Some(b"abc")]));
    disk.truncate("f", 2).unwrap();
    disk.write("f", 2, b"d").unwrap();
    disk.sync("f").unwrap();
    assert_eq!(after_losses(&disk, "f"), set(&[Some(b"abd")]));
}

#[test]
fn faults_strike_once_or_from_then_on_and_only_where_they_can() {
    let disk = MemoryDisk::new(1);
    disk.set_fault(Some(Fault { at_call: 1, kind: FaultKind::NoSpace, is_lasting: false }));
    disk.write("f", 0, b"1234").unwrap();
    assert_eq!(read_all(&disk, "f").unwrap(), b"1234", "reading needs no room");
    assert_eq!(disk.strike_count(), 0);
    disk.set_fault(Some(Fault { at_call: 1, kind: FaultKind::OverQuota, is_lasting: true }));
    disk.write("f", 4, b"5").unwrap();
    for _ in 0..2 {
        let error = disk.write("f", 5, b"6").unwrap_err();
        assert_eq!(error.io_kind(), Some(std::io::ErrorKind::QuotaExceeded));
    }
    assert!(disk.remove("g").is_ok() && disk.strike_count() == 2);
    disk.set_fault(Some(Fault { at_call: 0, kind: FaultKind::ShortWrite, is_lasting: false }));
    let error = disk.write("f", 5, b"6789").unwrap_err();
    assert_eq!(error.io_kind(), Some(std::io::ErrorKind::StorageFull));
    assert_eq!(contents(&disk, "f").as_deref(), Some(&b"1234567"[..]));
    disk.set_fault(Some(Fault { at_call: 0, kind: FaultKind::Interrupted, is_lasting: true }));
    assert!(disk.open("f").is_err() && disk.list("").is_err() && disk.map("f").is_err() && disk.file_clock().is_err());
    disk.set_fault(None);
    assert_eq!(disk.list("").unwrap(), ["f"]);
}

#[test]
fn locks_follow_the_file_and_a_crash_releases_them() {
    let disk = MemoryDisk::new(1);
    let guard = disk.lock("a", LockMode::Exclusive).unwrap().unwrap();
    disk.rename("a", "b").unwrap();
    assert!(disk.lock("b", LockMode::TryExclusive).unwrap().is_none());
    assert!(disk.killed_after(disk.change_count()).lock("b", LockMode::TryExclusive).unwrap().is_some());
    drop(guard);
    let shared = [disk.lock("b", LockMode::Shared).unwrap(), disk.lock("b", LockMode::Shared).unwrap()];
    assert!(disk.lock("b", LockMode::TryExclusive).unwrap().is_none());
    drop(shared);
    std::thread::scope(|scope| {
        let guard = disk.lock("b", LockMode::Exclusive).unwrap();
        let other = disk.clone();
        let waiting = scope.spawn(move || other.lock("b", LockMode::Exclusive).map(drop));
        drop(guard);
        waiting.join().unwrap().unwrap();
    });
}

#[test]
fn a_lock_that_was_waited_for_is_one_on_the_file_of_that_name() {
    let folder = tempfile::tempdir().unwrap();
    let disks: [Arc<dyn Disk>; 2] = [Arc::new(LocalDisk::create(folder.path()).unwrap()), Arc::new(MemoryDisk::new(1))];
    for disk in disks {
        let guard = disk.lock("stray", LockMode::TryExclusive).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| disk.lock("stray", LockMode::Exclusive).unwrap());
            std::thread::sleep(std::time::Duration::from_millis(20));
            disk.remove("stray").unwrap();
            drop(guard);
            let taken = waiting.join().unwrap();
            assert!(taken.is_some() && disk.lock("stray", LockMode::TryExclusive).unwrap().is_none(), "{disk:?}");
        });
    }
}

#[test]
fn the_same_seed_gives_the_same_states() {
    let states = |seed: u64| -> Vec<String> {
        let disk = MemoryDisk::new(seed);
        for number in 0..20 {
            disk.write(&format!("f{}", number % 4), number * 3, &disk.random()).unwrap();
        }
        disk.power_losses(disk.change_count(), seed, 100).into_iter().map(|loss| loss.lost).collect()
    };
    assert_eq!(states(1), states(1));
    assert_ne!(states(1), states(2));
    assert_eq!(states(1).len(), 100);
    assert_eq!(states(1).iter().collect::<BTreeSet<_>>().len(), 100);
}

#[test]
fn a_sample_has_every_single_loss() {
    let disk = MemoryDisk::new(1);
    for number in 0..5 {
        disk.write(&format!("f{number}"), 0, b"ab").unwrap();
    }
    let (listed, single) = disk.power_loss_counts(disk.change_count());
    assert!(listed > 4 * single);
    let losses = disk.power_losses(disk.change_count(), 7, single);
    let losses: Vec<Vec<String>> =
        losses.iter().map(|loss| loss.lost.split("; ").map(str::to_owned).collect()).collect();
    let has = |wanted: &dyn Fn(&[String]) -> bool| losses.iter().any(|lost| wanted(lost));
    for number in 0..5 {
        let write = |lost: &String| lost.contains(&format!("f{number}")) && lost.ends_with(": Lost") && !is_name(lost);
        let name = |lost: &String| *lost == format!("name f{number}: Lost");
        assert!(has(&|lost| lost.len() == 1 && write(&lost[0])), "the write to f{number} alone: {losses:?}");
        assert!(has(&|lost| lost.len() == 1 && name(&lost[0])), "the name f{number} alone: {losses:?}");
        assert!(has(&|lost| lost.len() == 4 && !lost.iter().any(write)), "all but the write to f{number}: {losses:?}");
        assert!(has(&|lost| lost.len() == 4 && !lost.iter().any(name)), "all but the name f{number}: {losses:?}");
    }
    assert!(has(&|lost| lost.len() == 1 && lost[0].contains("f4") && lost[0].ends_with("Prefix(1)")), "{losses:?}");
}

fn is_name(lost: &str) -> bool {
    lost.starts_with("name ")
}

/// The same calls on both kinds of disk must give the same answers.
#[test]
fn it_behaves_like_a_real_disk() {
    let folder = tempfile::tempdir().unwrap();
    let disks: [Arc<dyn Disk>; 2] = [Arc::new(LocalDisk::create(folder.path()).unwrap()), Arc::new(MemoryDisk::new(1))];
    let transcripts = disks.map(|disk| {
        let mut lines: Vec<String> = Vec::new();
        let mut note = |result: crate::error::Result<String>| {
            lines.push(result.unwrap_or_else(|error| format!("{:?}", error.io_kind())));
        };
        let done = |result: crate::error::Result<()>| result.map(|()| "done".to_owned());
        note(disk.list("packs").map(|names| names.join(" ")));
        note(done(disk.write("packs/a", 0, b"x")));
        note(done(disk.sync_folder("packs")));
        note(done(disk.create_folder("deep/er")));
        note(done(disk.create_folder("packs")));
        note(done(disk.create_folder("packs")));
        note(done(disk.write("packs/a", 3, b"x")));
        note(done(disk.truncate("packs/a", 2)));
        note(done(disk.write("packs/a", 5, b"yz")));
        note(read_all(&*disk, "packs/a").map(|bytes| format!("{bytes:?}")));
        note(done(disk.truncate("packs/b", 2)));
        note(done(disk.sync("packs/b")));
        note(done(disk.sync("packs/a")));
        note(done(disk.rename("packs/b", "packs/c")));
        note(done(disk.rename("packs/a", "none/c")));
        let open = disk.open("packs/a").unwrap();
        note(done(disk.rename("packs/a", "packs/c")));
        note(done(disk.write("packs/c", 0, b"later")));
        note(done(disk.remove("packs/c")));
        note(done(disk.remove("packs/c")));
        note(open.length().map(|length| length.to_string()));
        let mut buffer = [0; 4];
        note(open.read_at(4, &mut buffer).map(|count| format!("{count} {buffer:?}")));
        note(disk.map("packs/c").map(|bytes| bytes.len().to_string()));
        note(disk.open("packs/c").map(|file| format!("{:?}", file.length())));
        note(disk.lock("lock", LockMode::Exclusive).map(|guard| guard.is_some().to_string()));
        note(disk.list("").map(|names| names.join(" ")));
        note(disk.map("lock").map(|bytes| bytes.len().to_string()));
        lines
    });
    assert_eq!(transcripts[0], transcripts[1]);
}
