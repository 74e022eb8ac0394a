//! Folders that are left alone whatever path leads to them: the store, the home folder, the root of the file system.
//! The real program meets them through bind mounts, in both directions.

mod git_folders;
mod moved;
mod stores;

use std::path::Path;

use retrograde::error::ErrorKind;
use retrograde::ops::record::register::{Guard, register};
use retrograde::time::Timestamp;
use retrograde::workspace::protected::Protection;

use crate::support::depth::AtLeast;
use crate::support::mounts::{bench, can_mount, run};
use crate::support::recorder::{Recorder, open_store};
use crate::support::scratch::Scratch;

/// Scripts that are run where mounts work; a machine without them runs none.
fn require(what: &str, tried: usize, least: usize) {
    let least = if can_mount() { least } else { 0 };
    AtLeast::always(least).require(what, tried);
}

/// The beginning of every script: a folder `ws` with two steps, of which `s1` has `a` and `old`.
const TWO_STEPS: &str = "
    mkdir ws; echo one > ws/a; echo old > ws/old
    $RETRO -C ws snap; echo two > ws/a; rm ws/old; echo new > ws/new; $RETRO -C ws snap
";

/// The end of every script: the history is whole, and can be gone to.
const WHOLE: &str = "
    $RETRO -C ws verify
    test -s store/packs/000001.pack
    $RETRO -C ws restore s1; grep -q one ws/a; $RETRO -C ws restore s2; grep -q two ws/a
";

#[test]
fn a_store_that_is_mounted_into_the_folder_is_neither_captured_nor_restored_over() {
    let mut tried = 0;
    // The store under another path of its own; its folder of packs; and where the step had a folder of the same names.
    let cases = [
        ("mkdir ws/history; mount --bind store ws/history", "history"),
        ("mkdir -p ws/deep/history; mount --bind store/packs ws/deep/history", "deep/history"),
        (
            "mkdir -p ws/like/packs; echo x > ws/like/packs/000001.pack; echo y > ws/like/packs/other; $RETRO -C ws snap
             mount --bind store ws/like",
            "like",
        ),
    ];
    for (mount, path) in cases.iter().filter(|_| can_mount()) {
        let scratch = bench();
        let steps = format!(
            "{TWO_STEPS} {mount}
             $RETRO -C ws snap --allow-empty
             $RETRO -C ws status | grep -F '{path} (retro'
             ! $RETRO -C ws ls -r @ | grep -q 'pack'
             for step in s1 s2 s3 s4; do $RETRO -C ws restore $step || test $? -le 3; done
             ls -a store {path_of}
             {WHOLE}",
            path_of = format_args!("ws/{path}"),
        );
        run(&scratch, &steps);
        tried += 1;
    }
    require("stores mounted into a folder", tried, 3);
}

#[test]
fn a_folder_that_is_the_store_is_refused_whatever_its_path() {
    let mut tried = 0;
    let cases = [
        // The store over a recorded folder, and over one that nobody knows.
        "mount --bind store ws; ! $RETRO -C ws snap; ! $RETRO -C ws status; ! $RETRO -C ws restore s1; umount ws",
        "mkdir other; mount --bind store other; ! $RETRO -C other snap --force; umount other",
        "mkdir other; mount --bind store/packs other
         ! $RETRO -C other snap --force; ! $RETRO -C ws restore s1 --into other/x",
        // A folder that is mounted into the store lies in it.
        "mkdir other store/tmp/other; mount --bind other store/tmp/other; ! $RETRO -C store/tmp/other snap
         umount store/tmp/other; rmdir store/tmp/other",
    ];
    for case in cases.iter().filter(|_| can_mount()) {
        run(
            &bench(),
            &format!("{TWO_STEPS} find store/packs > before; {case}; find store/packs | cmp - before; {WHOLE}"),
        );
        tried += 1;
    }
    require("folders that are the store", tried, 4);
}

#[test]
fn home_and_root_are_recognised_behind_a_bind_mount() {
    let mut tried = 0;
    let cases = [
        "mkdir other; mount --bind home other
         ! $RETRO -C other snap; ! $RETRO -C other init; $RETRO -C other snap --force",
        "mkdir other; mount --bind / other; ! $RETRO -C other snap; ! $RETRO -C other init",
        // Inside of a folder they are left out, as is the folder itself.
        "echo secret > home/s; mkdir ws/home ws/top ws/again
         mount --bind home ws/home; mount --bind / ws/top; mount --bind ws ws/again
         $RETRO -C ws snap --allow-empty; $RETRO -C ws status; test $($RETRO -C ws ls -r @ | wc -l) = 2
         $RETRO -C ws restore s1 || test $? = 1; test -s home/s; umount ws/home ws/top ws/again",
    ];
    for case in cases.iter().filter(|_| can_mount()) {
        run(&bench(), &format!("{TWO_STEPS} {case}; {WHOLE}"));
        tried += 1;
    }
    require("home folders and roots behind mounts", tried, 3);
}

#[test]
fn one_file_system_leaves_mounts_out() {
    let mut tried = 0;
    if can_mount() {
        let steps = "mkdir ws/m; mount -t tmpfs none ws/m; echo 1 > ws/m/f
             $RETRO -C ws snap; $RETRO -C ws ls -r @ | grep m/f
             printf '[capture]\\none_file_system = true\\n' > ws/retro.toml
             $RETRO -C ws snap; ! $RETRO -C ws ls -r @ | grep m/f
             $RETRO -C ws status | grep -F 'm (on another file system)'
             $RETRO -C ws restore s1 || test $? = 1; test -s ws/m/f; umount ws/m; rmdir ws/m";
        run(&bench(), &format!("{TWO_STEPS} {steps}; {WHOLE}"));
        tried += 1;
    }
    require("folders on another file system", tried, 1);
}

/// The setting may be the agent's: what the step has on another file system is put back all the same.
#[test]
fn one_file_system_does_not_limit_restores() {
    let mut tried = 0;
    if can_mount() {
        let steps = "mkdir -p ws/m; mount -t tmpfs none ws/m; echo good > ws/m/f; $RETRO -C ws snap
             printf '[capture]\\none_file_system = true\\n' > ws/retro.toml; echo bad > ws/m/f; $RETRO -C ws snap
             $RETRO -C ws restore s1 -- m/f; grep -q good ws/m/f; $RETRO -C ws undo; grep -q bad ws/m/f
             $RETRO -C ws restore s1 --json > json; grep -q '\"exact\":true' json; grep -q good ws/m/f
             $RETRO -C ws undo; grep -q bad ws/m/f; $RETRO -C ws redo; grep -q good ws/m/f; umount ws/m";
        run(&bench(), steps);
        tried += 1;
    }
    require("steps with files on another file system", tried, 1);
}

/// A library user says nowhere where the store is: it knows that itself.
#[test]
fn a_store_recognises_its_own_folder_by_any_path() {
    let scratch = Scratch::new();
    let root = scratch.path().to_owned();
    std::os::unix::fs::symlink(".", root.join("link")).unwrap();
    let store = open_store(&root.join("link/link/store"));
    let (workspace, _) = register(&store, &root, &Guard::default(), Timestamp::now()).unwrap();
    let recorder = Recorder { scratch, root, store, workspace, config: Default::default() };
    recorder.write("f", b"1");
    let first = recorder.snap();
    assert_eq!(first.changes.added, 2, "the file and the link");
    let protected = recorder.status().protected;
    assert_eq!(protected.len(), 1);
    assert_eq!((protected[0].path.to_string(), protected[0].protection), ("store".to_owned(), Protection::Store));
    recorder.write("f", b"2");
    recorder.snap();
    recorder.restore(first.snapshot);
    assert_eq!(recorder.read("f"), b"1");
    assert!(!recorder.snap().recorded, "nothing of the store is missing");
}

#[test]
fn nothing_is_written_into_the_store() {
    let recorder = Recorder::new();
    recorder.write("f", b"1");
    let first = recorder.snap().snapshot;
    let store = recorder.store_root();
    for target in ["into", "packs/into", "not/there/yet"] {
        let target = store.join(target);
        let options = retrograde::workspace::materialize::Options::default();
        let refused = retrograde::ops::back::restore_into(&recorder.store, first, &[], &target, &options);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
        assert!(!Path::new(&target).exists());
    }
}

/// Puts another folder in the place of a workspace while it is written into.
#[derive(Debug)]
struct Swapper {
    root: std::path::PathBuf,
    done: std::sync::atomic::AtomicBool,
}

impl retrograde::progress::Progress for Swapper {
    #[expect(clippy::disallowed_methods, reason = "tests move folders of their own")]
    fn event(&self, event: retrograde::progress::Event) {
        use std::sync::atomic::Ordering::Relaxed;
        if matches!(event, retrograde::progress::Event::Advanced { .. }) && !self.done.swap(true, Relaxed) {
            std::fs::rename(&self.root, self.root.with_extension("away")).unwrap();
            std::fs::rename(self.root.with_extension("other"), &self.root).unwrap();
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
fn a_root_that_is_swapped_during_a_restore_is_noticed() {
    use retrograde::ops::back::{RestoreOptions, restore, resume};
    let recorder = Recorder::new();
    let other = recorder.root.with_extension("other");
    std::fs::create_dir_all(other.join("d0")).unwrap();
    for number in 0..400 {
        recorder.write(&format!("d{}/f{number}", number % 4), b"old");
    }
    std::fs::write(other.join("d0/f0"), b"theirs").unwrap();
    let first = recorder.snap().snapshot;
    for number in 0..400 {
        recorder.write(&format!("d{}/f{number}", number % 4), b"new");
    }
    recorder.snap();
    let swapper = Swapper { root: recorder.root.clone(), done: false.into() };
    let mut options = RestoreOptions::new(&recorder.config, Timestamp::now());
    options.progress = &swapper;
    // The safety capture reads through the same handle: the swap happens at its first event of progress.
    let error = restore(&recorder.store, recorder.workspace, first, &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.to_string().contains("took its place"), "{error}");
    assert!(swapper.done.load(std::sync::atomic::Ordering::Relaxed));
    assert_eq!(std::fs::read(recorder.root.join("d0/f0")).unwrap(), b"theirs", "the other folder is as it was");
    assert_eq!(std::fs::read_dir(&recorder.root).unwrap().count(), 1);
    // With the right folder back, it is finished.
    std::fs::rename(&recorder.root, &other).unwrap();
    std::fs::rename(recorder.root.with_extension("away"), &recorder.root).unwrap();
    options.progress = &retrograde::progress::Silent;
    resume(&recorder.store, recorder.workspace, &options).unwrap();
    assert!((0..400).all(|number| recorder.read(&format!("d{}/f{number}", number % 4)) == b"old"));
}

/// Makes the kernel refuse `openat2` to this process and its children, as old container runtimes do.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "no safe call sets a filter for system calls")]
fn refuse_openat2() -> std::io::Result<()> {
    let step = |code: u32, jump_true: u8, jump_false: u8, k: u32| libc::sock_filter {
        code: u16::try_from(code).expect("codes are short"),
        jt: jump_true,
        jf: jump_false,
        k,
    };
    let number = u32::try_from(libc::SYS_openat2).expect("numbers of system calls are small");
    let refused = libc::SECCOMP_RET_ERRNO | u32::try_from(libc::EPERM).expect("error numbers are small");
    let mut steps = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, number),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, refused),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 4, filter: steps.as_mut_ptr() };
    // SAFETY: the program and its steps outlive the calls, which take nothing else by address.
    let set = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
    };
    if set { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

#[test]
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the filter has to be set between fork and exec")]
fn a_runtime_that_refuses_openat2_changes_nothing() {
    use std::os::unix::process::CommandExt;
    let scratch = bench();
    let steps = "set -e; mkdir -p ws/deep/er; echo one > ws/deep/er/f; ln -s / ws/out; $RETRO -C ws snap
         echo two > ws/deep/er/f; mkdir ws/new; $RETRO -C ws snap; $RETRO -C ws restore s1; grep -q one ws/deep/er/f
         test ! -e ws/new; $RETRO -C ws verify; $RETRO -C ws restore s2 --into $PWD/made; grep -q two made/deep/er/f";
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", steps])
        .current_dir(scratch.path())
        .env("HOME", scratch.join("home"))
        .env("RETRO", env!("CARGO_BIN_EXE_retro"))
        .env("RETRO_STORE", scratch.join("store"));
    // SAFETY: nothing but system calls between fork and exec.
    unsafe { command.pre_exec(refuse_openat2) };
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
