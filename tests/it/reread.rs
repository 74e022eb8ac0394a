//! The net under change detection: what leaves no trace in a file's times is found by reading again, within a known
//! number of steps and before a restore says that a file is as a step has it.
//!
//! Changes are made as a database makes them that maps its file: the first write to a page after the kernel wrote it
//! out sets the times, and no other does.

#![expect(unsafe_code, reason = "a shared memory map cannot be had without")]
#![expect(clippy::disallowed_methods, reason = "tests write files of their own")]

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use memmap2::MmapMut;
use retrograde::format::turn::ReadReason;
use retrograde::limits::{REREAD_FILES_MIN, REREAD_STEPS_RECENT};
use retrograde::path::TreePath;
use retrograde::workspace::cache::{CacheKey, Proof, StatCache};
use retrograde::workspace::filesystem::FileSystem;

use crate::support::abilities::knows_file_systems;
use crate::support::mounts::can_mount;
use crate::support::recorder::Recorder;
use crate::support::scratch::Scratch;

/// Files that make a workspace large enough for a share of them to be read at each step.
const MANY: usize = 640;
const _: () = assert!(MANY as u64 == 10 * REREAD_FILES_MIN);

/// A file that is written through a shared memory map.
struct Mapped {
    map: MmapMut,
    path: std::path::PathBuf,
}

impl Mapped {
    fn new(path: &Path, length: usize) -> Self {
        let file = std::fs::File::options().read(true).write(true).create(true).truncate(true).open(path).unwrap();
        file.set_len(length as u64).unwrap();
        // SAFETY: nothing else cuts the file while it is mapped.
        let map = unsafe { MmapMut::map_mut(&file) }.unwrap();
        let mut mapped = Self { map, path: path.to_owned() };
        for at in (0..length).step_by(4_096) {
            mapped.map[at] = 1;
        }
        // Writes from now on leave no trace, as long as the kernel does not write the pages out.
        settle();
        mapped
    }

    /// Writes one byte, and says whether that left a trace.
    fn write(&mut self, at: usize, value: u8) -> bool {
        let times = || {
            let stat = std::fs::metadata(&self.path).unwrap();
            (stat.mtime(), stat.mtime_nsec(), stat.ctime(), stat.ctime_nsec())
        };
        let before = times();
        self.map[at] = value;
        let stat = std::fs::metadata(&self.path).unwrap();
        before != (stat.mtime(), stat.mtime_nsec(), stat.ctime(), stat.ctime_nsec())
    }
}

/// Waits until files written by now are older than the next look at the clock.
fn settle() {
    std::thread::sleep(Duration::from_millis(30));
}

/// True if the last step has the current content of the file.
fn is_recorded(recorder: &Recorder, path: &str) -> bool {
    let status = recorder.status();
    let head = status.head.unwrap().1;
    let store = &recorder.store;
    let entries = store.folder(head.root).unwrap();
    let entry = entries.iter().find(|entry| &*entry.name == path.as_bytes()).unwrap();
    let content = std::fs::read(recorder.root.join(path)).unwrap();
    entry.id == retrograde::id::Digest::of(&content)
}

#[test]
fn a_database_written_through_a_map_beside_a_growing_log_is_recorded_at_every_step() {
    let recorder = Recorder::new();
    let mut database = Mapped::new(&recorder.root.join("database"), 1 << 20);
    recorder.snap();
    let unseen = std::cell::Cell::new(0);
    // A sync of this file system beside the test makes the kernel show a change; then the test takes more steps.
    for step in (0..200_u8).take_while(|step| *step < 10 || unseen.get() == 0) {
        unseen.set(unseen.get() + u32::from(!database.write(70_000, step)));
        recorder.write("log", &vec![b'x'; usize::from(step) + 1]);
        recorder.snap();
        assert!(is_recorded(&recorder, "database"), "step {step}");
        settle();
    }
    assert!(unseen.get() > 0, "no change went without a trace, so that nothing was tried");
}

#[test]
fn among_many_files_a_change_without_a_trace_is_recorded_within_so_many_steps() {
    let recorder = Recorder::new();
    (0..MANY).for_each(|number| recorder.write(&format!("many/{number}"), &[1]));
    let mut database = Mapped::new(&recorder.root.join("database"), 8_192);
    recorder.snap();
    for round in 0..3_u8 {
        database.write(5_000, round + 10);
        let is_seen = |step: u64| {
            recorder.write("log", format!("{round} {step}").as_bytes());
            recorder.snap();
            is_recorded(&recorder, "database")
        };
        assert!((0..=REREAD_STEPS_RECENT).any(is_seen), "round {round}");
    }
}

#[test]
fn a_long_file_is_read_again_in_pieces() {
    const LENGTH: usize = 13 << 20;
    let recorder = Recorder::new();
    let mut model = Mapped::new(&recorder.root.join("model"), LENGTH);
    recorder.snap();
    for at in [LENGTH - 1, 6 << 20, 0] {
        model.write(at, 77);
        let steps = 1 + LENGTH / (4 << 20) + 1;
        let is_seen = |_: usize| {
            let read = recorder.snap().read.count(ReadReason::Turn).bytes;
            assert!(read < 6 << 20 || !knows_file_systems(), "{read} bytes in one step");
            is_recorded(&recorder, "model")
        };
        assert!((0..steps).any(is_seen), "a change at {at}");
    }
}

#[test]
fn a_store_on_another_device_changes_nothing_about_it() {
    let other = Path::new("/dev/shm");
    let here = std::env::temp_dir();
    let device = |path: &Path| std::fs::metadata(path).map(|stat| stat.dev()).ok();
    if device(other).is_none() || device(other) == device(&here) {
        return;
    }
    let far = tempfile::tempdir_in(other).unwrap();
    let mut recorder = Recorder::new();
    recorder.store = crate::support::recorder::open_store(far.path());
    let (workspace, _) = retrograde::ops::record::register::register(
        &recorder.store,
        &recorder.root,
        &Default::default(),
        retrograde::time::Timestamp::now(),
    )
    .unwrap();
    recorder.workspace = workspace;
    let mut database = Mapped::new(&recorder.root.join("database"), 8_192);
    recorder.snap();
    for step in 0..5_u8 {
        database.write(5_000, step);
        recorder.write("log", &[step]);
        recorder.snap();
        assert!(is_recorded(&recorder, "database"), "step {step}");
    }
}

/// W11.
#[test]
fn a_restore_reads_files_that_seem_unchanged() {
    let mut unseen = 0;
    // A sync meanwhile leaves a trace of the write: such rounds prove nothing, and others follow.
    for round in 0..60_u8 {
        if unseen == 3 {
            break;
        }
        let recorder = Recorder::new();
        (0..MANY).for_each(|number| recorder.write(&format!("many/{number}"), &[1]));
        let mut database = Mapped::new(&recorder.root.join("database"), 8_192);
        let first = recorder.snap().snapshot;
        settle();
        unseen += u32::from(!database.write(5_000, round + 10));
        recorder.restore(first);
        assert_eq!(recorder.read("database")[5_000], 0, "round {round}");
        recorder.undo();
        assert_eq!(recorder.read("database")[5_000], round + 10, "and what was there was recorded before");
    }
    assert!(unseen > 0, "no change went without a trace, so that nothing was tried");
}

/// The proof that the stat of a file in the root is of its content, after a snapshot.
fn proof_of(recorder: &Recorder, name: &str) -> Proof {
    let key = CacheKey { store: recorder.store.id(), workspace: recorder.workspace, generation: 0 };
    let cache = StatCache::load(recorder.store.disk(), key);
    cache.folder(&TreePath::root()).unwrap().find(name.as_bytes()).unwrap().proof
}

/// Else a restore soon after a checkout would read every file of it.
#[test]
fn a_new_file_is_proven_unchanged_unless_it_is_open_or_mapped() {
    let recorder = Recorder::new();
    if !FileSystem::of(std::fs::File::open(&recorder.root).unwrap()).counts_maps() {
        return;
    }
    recorder.write("written", b"1");
    let _mapped = Mapped::new(&recorder.root.join("mapped"), 8_192);
    recorder.snap();
    assert_eq!(["written", "mapped"].map(|name| proof_of(&recorder, name)), [Proof::Settled, Proof::Recent]);
}

/// There a map keeps only the file below open.
#[test]
fn on_an_overlay_no_new_file_is_proven() {
    if !can_mount() {
        return;
    }
    let scratch = Scratch::new();
    let path = scratch.path().to_owned();
    // Mounts of this thread alone; the others work with the handles that it opened.
    let tried = std::thread::spawn(move || {
        // SAFETY: no memory is concerned.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS | libc::CLONE_FS) }, 0);
        let mount =
            "mount --make-rprivate /; mkdir layers mnt; mount -t tmpfs none layers; mkdir layers/l layers/u layers/w
             mount -t overlay none -o lowerdir=layers/l,upperdir=layers/u,workdir=layers/w mnt; mkdir mnt/ws mnt/store";
        let made = std::process::Command::new("sh").args(["-euc", mount]).current_dir(&path).status().unwrap();
        assert!(made.success());
        let mut recorder = Recorder::of(scratch, &path.join("mnt/ws"));
        recorder.store = crate::support::recorder::open_store(&path.join("mnt/store"));
        let (root, guard) = (&recorder.root, Default::default());
        let registered = retrograde::ops::record::register::register(
            &recorder.store,
            root,
            &guard,
            retrograde::time::Timestamp::now(),
        );
        recorder.workspace = registered.unwrap().0;
        recorder.write("written", b"1");
        let _mapped = Mapped::new(&recorder.root.join("mapped"), 8_192);
        recorder.snap();
        let proofs = ["written", "mapped"].map(|name| proof_of(&recorder, name));
        let unmount = "umount --lazy mnt; umount --lazy layers";
        let gone = std::process::Command::new("sh").args(["-euc", unmount]).current_dir(&path).status().unwrap();
        assert!(gone.success());
        proofs
    });
    assert_eq!(tried.join().unwrap(), [Proof::Recent; 2]);
}

#[test]
fn a_time_ahead_of_the_clock_costs_no_reading() {
    let recorder = Recorder::new();
    recorder.write("tomorrow", &vec![5; 3 << 20]);
    let far = std::time::SystemTime::now() + Duration::from_secs(86_400);
    std::fs::File::options().write(true).open(recorder.root.join("tomorrow")).unwrap().set_modified(far).unwrap();
    settle();
    assert_eq!(recorder.snap().read.count(ReadReason::New).files, 1);
    for _ in 0..3 {
        let read = recorder.snap().read;
        assert_eq!(read.count(ReadReason::Racy).files + read.count(ReadReason::Changed).files, 0, "{read:?}");
    }
    recorder.write("tomorrow", &vec![6; 3 << 20]);
    std::fs::File::options().write(true).open(recorder.root.join("tomorrow")).unwrap().set_modified(far).unwrap();
    recorder.snap();
    assert!(is_recorded(&recorder, "tomorrow"), "the change time tells");
}

#[test]
fn holes_are_not_read_and_restored_as_holes() {
    const LENGTH: u64 = 512 << 20;
    let recorder = Recorder::new();
    let path = recorder.root.join("disk.img");
    let file = std::fs::File::options().write(true).create_new(true).open(&path).unwrap();
    file.set_len(LENGTH).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"in the middle", LENGTH / 2).unwrap();
    let allocated = || std::fs::metadata(&path).unwrap().blocks() * 512;
    let before = allocated();
    let step = recorder.snap().snapshot;
    std::fs::remove_file(&path).unwrap();
    recorder.restore(step);
    assert!(allocated() <= before + (1 << 20), "{} bytes on disk, {before} before", allocated());
    let mut content = [0; 13];
    let file = std::fs::File::open(&path).unwrap();
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut content, LENGTH / 2).unwrap();
    assert_eq!((&content, std::fs::metadata(&path).unwrap().len()), (b"in the middle", LENGTH));
}
