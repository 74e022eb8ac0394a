//! A restore does all it can and says what it could not: paths that the system does not let it change, names that a
//! file system does not keep apart, folders of version control, mounts that came later. The real program, on real
//! mounts.

use crate::support::depth::AtLeast;
use crate::support::mounts::{bench, can_mount, has, run};

/// Returns whether this machine can do what most of these need: mounts, and files that nobody may change.
fn require(what: &str, tried: usize, least: usize) {
    AtLeast::always(if can_mount() { least } else { 0 }).require(what, tried);
}

/// Two steps, and a function that expects one exit code and shows what was printed.
const PRELUDE: &str = "
    expect() { code=$1; shift; set +e; \"$@\" > out 2>&1; got=$?; set -e; cat out; test $got = $code; }
    mkdir -p ws/dir; for f in a b dir/c dir/d; do echo one > ws/$f; done; $RETRO -C ws snap
    for f in a b dir/c dir/d; do echo two > ws/$f; done; echo new > ws/new; $RETRO -C ws snap
";

/// All but `$1` is as the first step has it, the restore has ended, and once the cause is gone the rest follows.
const REST_IS_DONE: &str = "
    grep -q 'not exactly.*s1.*: 1 path' out
    for f in a b dir/c dir/d; do test $f = $held || grep -q one ws/$f; done
    $RETRO -C ws restore s1 --json > json || true
    grep -q '\"exact\":false' json; grep -q '\"kept\":\\[{\"path\":\"'$held'\"' json
    ! $RETRO -C ws status | grep -q 'cut off'
    expect 3 $RETRO -C ws restore --continue
";

#[test]
fn one_path_that_cannot_be_changed_does_not_stop_the_others() {
    // The change to a path, the message about it, and the command that undoes the change.
    let cases = [
        ("a", "chattr +i ws/a", "immutable", "chattr -i ws/a"),
        ("dir/c", "mount --bind ws/dir/c ws/dir/c", "mount", "umount ws/dir/c"),
        ("new", "chattr +i ws/new", "immutable", "chattr -i ws/new"),
        ("new", "mount --bind ws/new ws/new", "mount", "umount ws/new"),
    ];
    let mut tried = 0;
    for (held, hold, reason, free) in cases.iter().filter(|_| can_mount()) {
        let steps = format!(
            "{PRELUDE} held={held}; {hold}; trap '{free} || true' EXIT
             expect 1 $RETRO -C ws restore s1; grep -q 'kept  {held}  .*{reason}' out; {REST_IS_DONE}
             {free}; trap - EXIT; expect 0 $RETRO -C ws restore s1; grep -q one ws/a; test ! -e ws/new"
        );
        run(&bench(), &steps);
        tried += 1;
    }
    require("paths that cannot be changed", tried, 4);
}

/// A file that is mounted, as containers do with their settings, and that the step knows as such.
#[test]
fn a_mounted_file_that_cannot_be_replaced_is_kept() {
    let mut tried = 0;
    if can_mount() {
        let steps = format!(
            "{PRELUDE} mount --bind ws/dir/c ws/dir/c; $RETRO -C ws snap --allow-empty
             echo three > ws/dir/c; echo three > ws/a; $RETRO -C ws snap
             expect 1 $RETRO -C ws restore s3
             grep -q 'kept  dir/c  it is a mount point or in use' out; grep -q two ws/a"
        );
        run(&bench(), &steps);
        tried += 1;
    }
    require("mounted files", tried, 1);
}

#[test]
fn files_of_others_are_kept_and_reported() {
    let mut tried = 0;
    if can_mount() && has("setpriv") {
        // In a sticky folder, nobody replaces or removes what belongs to somebody else.
        let steps = "cp $RETRO retro; chmod 755 . retro; mkdir ws store; chown 1000:1000 store; chmod 1777 ws
             me() { setpriv --reuid=1000 --regid=1000 --clear-groups ./retro -C ws \"$@\"; }
             echo one > ws/theirs; echo one > ws/mine; chmod 666 ws/*; chown 1000 ws/mine; me snap
             echo two > ws/theirs; echo two > ws/mine; me snap
             code=0; me restore s1 > out 2>&1 || code=$?; cat out; test $code = 1
             grep -q one ws/mine; grep -q two ws/theirs; grep -q 'kept  theirs' out; me verify
             ! me status | grep -q 'cut off'";
        run(&bench(), steps);
        tried += 1;
    }
    require("files of others", tried, 1);
}

#[test]
fn uncaptured_paths_in_the_way_make_a_restore_inexact() {
    let mut tried = 0;
    if can_mount() {
        let steps = format!(
            "{PRELUDE} rm ws/b; mkfifo ws/b; $RETRO -C ws snap
             expect 1 $RETRO -C ws restore s1; test -p ws/b; grep -q one ws/a; grep -q 'kept  b  ' out
             mkdir -p ws/sub/.git; echo x > ws/sub/.git/HEAD; echo y > ws/sub/f; rm ws/b; $RETRO -C ws snap
             expect 0 $RETRO -C ws restore s1; test -s ws/sub/.git/HEAD; test ! -e ws/sub/f; grep -q one ws/b"
        );
        run(&bench(), &steps);
        tried += 1;
    }
    require("what is in the way", tried, 1);
}

#[test]
fn a_mount_that_came_later_is_never_emptied() {
    let mut tried = 0;
    let cases = [
        // The step has nothing there, then an empty folder, then a folder with files of the same names.
        "mkdir ws/m",
        "mkdir ws/m; $RETRO -C ws snap",
        "mkdir ws/m; echo plain > ws/m/f; $RETRO -C ws snap",
    ];
    for (index, case) in cases.iter().enumerate().filter(|_| can_mount()) {
        let steps = format!(
            "{PRELUDE} {case}; mount -t tmpfs none ws/m; echo volume > ws/m/f; echo more > ws/m/g; $RETRO -C ws snap
             for step in s1 s{before}; do
               expect 1 $RETRO -C ws restore $step; grep -q 'kept  m  .*mount' out
               grep -q volume ws/m/f; grep -q more ws/m/g
             done
             : a step that knows the mount is restored in it
             $RETRO -C ws restore @~1 || true
             echo changed > ws/m/f; rm ws/m/g; $RETRO -C ws snap
             expect 0 $RETRO -C ws restore s{with}; grep -q volume ws/m/f; grep -q more ws/m/g",
            before = index + 1,
            with = if index == 0 { 3 } else { 4 },
        );
        run(&bench(), &steps);
        tried += 1;
    }
    require("mounts that came later", tried, 3);
}

/// A step with names that fold together, names that some systems refuse, and what git takes for its own folder.
const FOLDING: &str = "
    expect() { code=$1; shift; set +e; \"$@\" > out 2>&1; got=$?; set -e; cat out; test $got = $code; }
    mkdir -p ws/.GIT/hooks ws/sub ws/git~1 ws/plain
    echo evil > ws/.GIT/hooks/post-checkout; echo evil > ws/git~1/config
    echo 1 > ws/A; echo 2 > ws/a; echo 3 > ws/sub/a:b
    echo 4 > ws/sub/ok; echo 5 > ws/plain/f
";

#[test]
fn names_that_fold_together_are_found_before_anything_is_changed() {
    let mut tried = 0;
    if can_mount() && has("mkfs.exfat") && has("mount.exfat-fuse") {
        let steps = format!(
            "{FOLDING} $RETRO -C ws snap
             id=$($RETRO -C ws workspace list --json | sed 's,.*\"workspace\":\"\\([0-9a-f]*\\)\".*,\\1,')
             : on a file system that keeps them apart, all come back
             rm -r ws/.GIT ws/git~1 ws/a ws/A ws/sub; mkdir -p ws/.git; echo mine > ws/.git/HEAD
             expect 0 $RETRO -C ws restore s1
             test -s ws/.GIT/hooks/post-checkout; test -s ws/a; grep -q mine ws/.git/HEAD
             truncate -s 20M image; mkfs.exfat image; mkdir fat; device=$(losetup -f --show image)
             mount.exfat-fuse $device fat > log 2>&1; trap 'umount fat; losetup -d $device' EXIT
             : into an empty folder
             expect 1 $RETRO -C ws restore s1 --into $PWD/fat/into; test ! -e fat/into/.git
             ! ls fat/into | grep -q git~1
             test $(ls fat/into | grep -ci '^a$') = 1; test -s fat/into/sub/ok; test ! -e fat/into/sub/a:b
             grep -q 'kept  .GIT  .*version control' out; grep -q 'kept  sub/a:b  ' out
             : in the place of a folder that has its own .git
             mkdir -p fat/ws/.git/hooks; echo mine > fat/ws/.git/HEAD; rm -rf ws; $RETRO workspace move $id $PWD/fat/ws
             expect 1 $RETRO -C fat/ws restore s1 --dry-run; grep -q 'kept  .GIT  ' out
             test \"$(ls -A fat/ws)\" = .git
             expect 1 $RETRO -C fat/ws restore s1
             grep -q mine fat/ws/.git/HEAD; test -z \"$(ls fat/ws/.git/hooks)\"; ! find fat/ws | grep -q evil
             ! grep -rq evil fat/ws
             grep -q 'kept  .GIT  ' out; grep -qi 'kept  a  .*another path' out; grep -q 'kept  sub/a:b  ' out
             test -s fat/ws/sub/ok; test -s fat/ws/plain/f; test $(ls fat/ws | grep -ci '^a$') = 1
             ! ls -A fat/ws | grep -q retro-tmp"
        );
        run(&bench(), &steps);
        tried += 1;
    }
    require("file systems that fold names", tried, if has("mount.exfat-fuse") { 1 } else { 0 });
}

/// Without the built-in list, version control is left alone all the same, whatever a snapshot holds.
#[test]
fn version_control_is_left_alone_whatever_the_rules_say() {
    let mut tried = 0;
    if can_mount() {
        let steps = "mkdir -p ws/.git/refs ws/x/.hg ws/y; echo ref > ws/.git/refs/tag; echo hg > ws/x/.hg/store
             echo 'gitdir: elsewhere' > ws/y/.git; printf '[capture]\\ndefault_excludes = false\\n' > ws/retro.toml
             $RETRO -C ws snap; ! $RETRO -C ws ls -r @ | grep -e '[.]git' -e '[.]hg'
             echo two > ws/.git/refs/tag; echo new > ws/.git/refs/new; rm -r ws/x/.hg; echo f > ws/f; $RETRO -C ws snap
             $RETRO -C ws restore s1; grep -q two ws/.git/refs/tag; test -s ws/.git/refs/new; test ! -e ws/x/.hg
             grep -q elsewhere ws/y/.git; test ! -e ws/f";
        run(&bench(), steps);
        tried += 1;
    }
    require("folders of version control", tried, 1);
}

#[test]
fn files_that_root_writes_into_the_store_belong_to_its_owner() {
    let mut tried = 0;
    if can_mount() && has("setpriv") {
        let steps = "cp $RETRO retro; chmod 755 . retro; mkdir ws; chown 1000:1000 ws home
             me() { setpriv --reuid=1000 --regid=1000 --clear-groups ./retro -C ws \"$@\"; }
             export RETRO_STORE=$PWD/home/deep/store
             : root makes the store
             echo 1 > ws/f; ./retro -C ws snap; test -z \"$(find home ! -user 1000)\"
             me snap --allow-empty; me verify
             : root writes into it
             head -c 3000000 /dev/urandom > ws/g; ./retro -C ws snap; ./retro -C ws tag t; ./retro -C ws restore s1
             ./retro -C ws export --tar out.tar s1
             test -z \"$(find home ! -user 1000)\"
             me snap --allow-empty; me verify; me restore s1 || test $? = 1";
        run(&bench(), steps);
        tried += 1;
    }
    require("stores that root writes into", tried, 1);
}

/// A power loss leaves the bytes that are on the device when the program ends.
#[test]
fn an_ended_restore_survives_power_loss() {
    let cases = [
        ("a few files", "for f in 1 2 3; do echo two > ws/$f; done", "$RETRO -C ws restore s1"),
        ("many files", "for f in ws/*; do echo two > $f; done", "$RETRO -C ws restore s1"),
        ("a new mode", "chmod 600 ws/1", "$RETRO -C ws restore s1"),
        ("into another folder", "true", "$RETRO -C ws restore s1 --into $PWD/disk/into"),
        ("a tar file", "true", "$RETRO -C ws export --tar $PWD/disk/out.tar s1"),
        ("a git repository", "true", "$RETRO -C ws export --git $PWD/disk/git s1..@ -q"),
        ("some paths into another folder", "true", "$RETRO -C ws restore s1 --into $PWD/disk/into -- 1 2 3"),
    ];
    let mut tried = 0;
    for (what, change, restore) in cases.iter().filter(|_| can_mount() && has("mkfs.ext4")) {
        let steps = format!(
            "truncate -s 20M image; mkfs.ext4 -q image; mkdir disk; mount -o loop,commit=600 image disk
             mkdir disk/ws; ln -s disk/ws ws; for f in $(seq 40); do echo one > ws/$f; done; $RETRO -C ws snap
             {change}; $RETRO -C ws snap; sync; {restore}
             cp image lost; (cd disk; find . -type f -exec stat -c '%n %a' {{}} + -exec cat {{}} + | sort) > live
             mkdir left; mount -o loop lost left
             (cd left; find . -type f -exec stat -c '%n %a' {{}} + -exec cat {{}} + | sort) > found
             diff live found; : {what}"
        );
        run(&bench(), &steps);
        tried += 1;
    }
    require("power losses after a restore", tried, if has("mkfs.ext4") { 7 } else { 0 });
}

/// "Ended" is recorded after the folder is on its device, never before: the store may be on another one, which loses
/// less.
#[test]
fn a_restore_is_synced_before_its_end_is_recorded() {
    let mut tried = 0;
    if has("strace") && can_mount() {
        let steps = "mkdir ws; for f in $(seq 200); do echo one >ws/$f; done; $RETRO -C ws snap
            for f in $(seq 200); do echo two >ws/$f; done; $RETRO -C ws snap
            strace -f -y -o trace -e trace=syncfs,fsync,fdatasync,rename,renameat,renameat2,write,pwrite64 \\
              $RETRO -C ws restore s1
            changed=$(grep -n 'rename' trace | grep -F /ws | tail -1 | cut -d: -f1)
            synced=$(grep -nE 'sync[a-z]*\\([0-9]+<[^>]*/ws' trace | tail -1 | cut -d: -f1)
            ended=$(grep -nE 'write[0-9]*\\([0-9]+<[^>]*/store/' trace | tail -1 | cut -d: -f1)
            begun=$(grep -nE 'write[0-9]*\\([0-9]+<[^>]*/store/' trace | head -1 | cut -d: -f1)
            echo begun $begun changed $changed synced $synced ended $ended
            test $begun -lt $changed && test $changed -lt $synced && test $synced -lt $ended";
        run(&bench(), steps);
        tried += 1;
    }
    require("traced restores", tried, usize::from(has("strace")));
}
