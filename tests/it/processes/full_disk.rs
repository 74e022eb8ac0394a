//! A disk that is full, files that may not grow, and a file system that cannot be written: an error that says so,
//! nothing acknowledged that is not there, nothing lost that was, and the next step works once there is room.

use std::path::Path;
use std::process::Command;

use super::{Program, Ran, replace};
use crate::support::depth::rounds;
use crate::support::rng::Rng;
use crate::support::walker::{differences, walk};

impl Program {
    /// Runs the program from a shell that first does something that only lasts as long as it does.
    fn run_after(&self, first: &str, folder: &Path, arguments: &[&str]) -> Ran {
        let program = self.command(folder, arguments);
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("{first} exec \"$0\" \"$@\"")).arg(program.get_program()).args(program.get_args());
        shell.current_dir(folder).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        shell.env("HOME", self.scratch.path()).env("RETRO_STORE", &self.store).env("TZ", "UTC");
        Ran::of(shell.output().expect("there is a shell"))
    }
}

/// For any limit on the length of files, a step is either recorded whole or refused, and the store stays sound.
#[test]
fn files_that_may_not_grow() {
    let program = Program::new();
    let folder = program.folder("ws");
    let mut rng = Rng::new(1);
    replace(&folder.join("first"), &rng.bytes(3_000));
    program.expect(&folder, &["snap"]);
    let (mut refused, mut recorded) = (0, 0);
    for round in 0..rounds(20, 30) {
        replace(&folder.join("file"), &rng.bytes(6_000));
        let before = walk(&folder);
        // Somewhere in what the step will write. Blocks of 512 bytes.
        let pack = std::fs::metadata(program.store.join("packs/000001.pack")).unwrap().len();
        let length = usize::try_from(pack).unwrap() + rng.below(12_000);
        let limited = format!("ulimit -f {};", length / 512);
        let ran = program.run_after(&limited, &folder, &["snap", "--json"]);
        if ran.code == Some(0) {
            recorded += 1;
        } else {
            refused += 1;
            assert!(ran.code == Some(9) && ran.stderr.to_lowercase().contains("file too large"), "{ran:?}");
        }
        program.expect(&folder, &["verify"]);
        program.expect(&folder, &["snap"]);
        let into = program.scratch.join(&format!("into{round}"));
        program.expect(&folder, &["restore", "@", "--into", into.to_str().unwrap()]);
        let restored = walk(&into);
        assert!(restored == before, "{:?}", differences(&restored, &before));
    }
    assert!(refused > 2, "the limits were too high to refuse anything");
    assert!(recorded > 2, "the limits were too low for anything to be recorded");
}

/// Runs a script with a file system of a megabyte of its own at `at`, which goes with the shell; `None` where the
/// machine allows no such thing.
#[expect(clippy::print_stderr, reason = "a machine that allows no mounts tries less, and should say so")]
fn run_with_small_disk(program: &Program, at: &Path, folder: &Path, script: &str) -> Option<Ran> {
    let mount = format!("mkdir -p {0} && mount -t tmpfs -o size=1m,mode=0700 none {0}", at.display());
    let in_shell = |script: &str| {
        let mut shell = Command::new("unshare");
        shell.args(["--mount", "--map-root-user", "sh", "-c", script]).current_dir(folder);
        shell.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("RETRO", env!("CARGO_BIN_EXE_retro"));
        shell.env("HOME", program.scratch.path()).env("RETRO_STORE", &program.store).env("TZ", "UTC");
        shell.output()
    };
    if !in_shell(&mount).is_ok_and(|output| output.status.success()) {
        eprintln!("no file system can be mounted here: a full disk is tried by file length limits only");
        return None;
    }
    let begin = "set -e; retro() { \"$RETRO\" \"$@\"; };";
    Some(Ran::of(in_shell(&format!("{mount} && {begin} {script}")).unwrap()))
}

/// A store on a full disk refuses the step, says why, and goes on when there is room.
#[test]
fn a_disk_that_is_full() {
    let program = Program::new();
    let folder = program.folder("ws");
    let mut rng = Rng::new(2);
    replace(&folder.join("small"), &rng.bytes(100_000));
    std::fs::create_dir(folder.join("more")).unwrap();
    let script = "
        retro snap -q
        head -c 9000000 /dev/urandom > more/large
        set +e
        retro snap; code=$?
        set -e
        [ $code -ne 0 ] || { echo 'the step that does not fit was recorded'; exit 1; }
        retro verify -q
        retro restore s1 --into \"$HOME/into1\"
        [ $(ls \"$RETRO_STORE/tmp\" | wc -l) -eq 0 ] || { echo 'files are left'; exit 1; }
        rm more/large
        echo fits > more/fits
        retro snap -q
        [ $(ls \"$RETRO_STORE/tmp\" | wc -l) -eq 0 ] || { echo 'files are left by the next step'; exit 1; }
        dd if=/dev/zero of=\"$RETRO_STORE/filler\" bs=4096 2>/dev/null || true
        echo full > more/fits
        set +e
        retro snap; code=$?
        retro log -n 1 > /dev/null || exit 1
        retro restore s1 --into \"$HOME/into2\" || exit 1
        set -e
        rm \"$RETRO_STORE/filler\"
        retro snap -q
        retro verify -q
        retro restore @ --into \"$HOME/into3\"
        mount -o remount,ro \"$RETRO_STORE\"
        echo read-only > more/fits
        set +e
        retro snap; code=$?
        [ $code -ne 0 ] || { echo 'recorded on a file system that cannot be written'; exit 1; }
        retro log -n 1 > /dev/null && retro diff > /dev/null && retro status > /dev/null && retro verify -q &&
            retro restore @ --into \"$HOME/into4\"
    ";
    let Some(ran) = run_with_small_disk(&program, &program.store, &folder, script) else { return };
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert!(ran.stderr.contains("no space left on device"), "{ran:#?}");
    assert!(ran.stderr.contains("read-only file system"), "{ran:#?}");
    let restored = walk(&program.scratch.join("into3"));
    let kept = walk(&program.scratch.join("into4"));
    assert!(restored == kept, "{:?}", differences(&restored, &kept));
    let fits = std::fs::read(program.scratch.join("into3/more/fits")).unwrap();
    assert_eq!(fits, b"full\n");
}

/// A restore into a folder on a full disk says why it stopped; it can be taken back though there is no room, and
/// finished when there is.
#[test]
fn a_folder_on_a_disk_that_is_full() {
    let program = Program::new();
    let disk = program.folder("disk");
    let script = "
        mkdir disk/ws && cd disk/ws
        mkdir -p deep/er more
        head -c 400000 /dev/urandom > more/large
        echo one > small
        echo kept > deep/er/file
        retro snap -q
        cp -a . \"$HOME/first\"
        rm -r more deep
        echo two > small
        retro snap -q
        cp -a . \"$HOME/second\"
        stop() {
            dd if=/dev/zero of=../filler bs=4096 2>/dev/null || true
            code=0
            retro restore s1 || code=$?
            [ $code -eq 9 ] || { echo \"a restore that does not fit ended with $code\"; exit 1; }
            retro status --json | grep -q 'unfinished_restore.:{' || { echo 'nobody tells of it'; exit 1; }
            [ -z \"$(find . -name '.retro-tmp-*')\" ] || { echo 'files are left'; exit 1; }
        }
        stop
        retro restore --abort -q
        diff -r . \"$HOME/second\"
        rm ../filler
        stop
        code=0
        retro restore --continue || code=$?
        [ $code -eq 9 ] || { echo \"what still does not fit ended with $code\"; exit 1; }
        rm ../filler
        retro restore --continue -q
        diff -r . \"$HOME/first\"
        retro undo -q
        diff -r . \"$HOME/second\"
        retro verify -q
        mount -o remount,ro ..
        code=0
        retro restore s1 || code=$?
        [ $code -ne 0 ] || { echo 'restored on a file system that cannot be written'; exit 1; }
        diff -r . \"$HOME/second\"
        mount -o remount,rw ..
        retro restore --abort -q || true
        retro restore s1 -q
        diff -r . \"$HOME/first\"
    ";
    let Some(ran) = run_with_small_disk(&program, &disk, disk.parent().unwrap(), script) else { return };
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert!(ran.stderr.contains("no space left on device"), "{ran:#?}");
    assert!(ran.stdout.contains("kept  small  it is on a read-only file system"), "{ran:#?}");
}
