//! The same recording on every file system that people keep their work on: what is recorded comes back exactly, an edit
//! that keeps size and modification time is seen, and the store itself works there.
//!
//! Each file system is made in a file and mounted, by the real tools. One whose tools or driver are missing is not
//! tried, and the test says how many were.

use crate::support::depth::{self, AtLeast};
use crate::support::mounts::{bench, can_mount, has, run};

/// A file system: how it is mounted at `mnt`, and what it can hold.
struct FileSystem {
    name: &'static str,
    /// The program that makes or mounts it.
    tool: &'static str,
    mount: &'static str,
    /// It has modes, symlinks, hard links, names of any bytes, and change times that no program can set.
    is_posix: bool,
    /// Tried at quick depth, too.
    is_quick: bool,
}

const FILE_SYSTEMS: [FileSystem; 7] = [
    FileSystem { name: "tmpfs", tool: "mount", mount: "mount -t tmpfs none mnt", is_posix: true, is_quick: true },
    FileSystem {
        name: "overlay",
        tool: "mount",
        mount: "mkdir layers; mount -t tmpfs none layers; mkdir layers/lower layers/upper layers/work
            mount -t overlay none -o lowerdir=layers/lower,upperdir=layers/upper,workdir=layers/work mnt",
        is_posix: true,
        is_quick: true,
    },
    FileSystem {
        name: "ext4",
        tool: "mkfs.ext4",
        mount: "truncate -s 300M disk; mkfs.ext4 -q disk; mount -o loop disk mnt",
        is_posix: true,
        is_quick: false,
    },
    FileSystem {
        name: "ext4 with small inodes",
        tool: "mkfs.ext4",
        mount: "truncate -s 300M disk; mkfs.ext4 -q -I 128 disk; mount -o loop disk mnt",
        is_posix: true,
        is_quick: false,
    },
    FileSystem {
        name: "XFS",
        tool: "mkfs.xfs",
        mount: "truncate -s 320M disk; mkfs.xfs -q disk; mount -o loop disk mnt",
        is_posix: true,
        is_quick: false,
    },
    FileSystem {
        name: "Btrfs",
        tool: "mkfs.btrfs",
        mount: "truncate -s 256M disk; mkfs.btrfs -q disk; mount -o loop disk mnt",
        is_posix: true,
        is_quick: false,
    },
    FileSystem {
        name: "FUSE exFAT",
        tool: "mount.exfat-fuse",
        mount: "truncate -s 300M disk; mkfs.exfat disk >made; loop=$(losetup --find --show disk)
            mount.exfat-fuse $loop mnt >made 2>&1; losetup --detach $loop",
        is_posix: false,
        is_quick: false,
    },
];

/// The script for every file system. `same A B` compares everything of two folders that the file system keeps.
const EVERYWHERE: &str = r#"
    same() { list "$1" >one; list "$2" >two; cmp one two && diff -r --no-dereference "$1" "$2"; }
    mkdir $WS; cd $WS
    mkdir -p src/deep/er empty; echo one >src/a; printf same >src/same; : >nothing
    head -c 3000000 /dev/urandom >large; truncate -s 5M sparse; printf end >>sparse
    cd ..; cp -a $WS $WS-1; $RETRO -C $WS snap
    $RETRO -C $WS snap | grep -q 'no change'
    cd $WS; echo two >src/a; rm -r src/deep; mkdir new; mv nothing new/moved; rmdir empty; echo file >empty
    printf X | dd of=large bs=1 seek=1500000 conv=notrunc status=none; echo more >>sparse
    cd ..; cp -a $WS $WS-2; $RETRO -C $WS snap
    $RETRO -C $WS restore s1; same $WS $WS-1
    $RETRO -C $WS undo; same $WS $WS-2
    $RETRO -C $WS restore s1 -- src; same $WS/src $WS-1/src; $RETRO -C $WS undo; same $WS $WS-2
    $RETRO -C $WS restore s1 --into $WS-out; same $WS-out $WS-1
    $RETRO -C $WS status --json | grep -qF '"changes":[]'
    $RETRO -C $WS verify
"#;

/// The script for file systems that keep modes, links and names of any bytes, and whose change times are true.
const POSIX: &str = r#"
    cd $WS; mkdir m; echo s >m/secret; chmod 600 m/secret; chmod 1750 m; ln -s ../src/a m/link; ln -s nowhere m/dangling
    ln src/a m/hard; echo odd >"m/$(printf 'na\nme\377')"; mkfifo m/pipe
    cd ..; $RETRO -C $WS snap --tag third; cp -a $WS $WS-3; rm $WS-3/m/pipe
    chmod 644 $WS/m/secret; rm $WS/m/link; ln -s other $WS/m/link; rm -f $WS/m/na*; $RETRO -C $WS snap
    $RETRO -C $WS restore third; rm $WS/m/pipe; same $WS $WS-3
    touch -r $WS/src/same stamp; printf SAME >$WS/src/same; touch -r stamp $WS/src/same
    $RETRO -C $WS snap; test "$($RETRO -C $WS cat @:src/same)" = SAME
"#;

fn list(is_posix: bool) -> &'static str {
    // Folders have no size that means anything, and symlinks no mode.
    if is_posix {
        r#"list() {
            (cd "$1"; find . ! -type l ! -type d -printf '%P %y %m %s\0' -o -type d -printf '%P %y %m\0' \
                -o -printf '%P %y %l\0' | sort -z)
        }"#
    } else {
        r#"list() { (cd "$1"; find . -type f -printf '%P %s\0' -o -printf '%P %y\0' | sort -z); }"#
    }
}

#[test]
fn recordings_are_exact_on_every_file_system() {
    let mut tried = 0;
    let wanted = FILE_SYSTEMS.iter().filter(|system| system.is_quick || depth::depth() == depth::Depth::Full);
    for system in wanted.filter(|system| can_mount() && has(system.tool)) {
        let FileSystem { name, mount, is_posix, .. } = system;
        let posix = if *is_posix { POSIX } else { "" };
        let list = list(*is_posix);
        // The folder on it and the store beside, and then both on it.
        let commands = format!(
            "mkdir mnt; {mount}
             top=$PWD; trap 'cd /; umount $top/mnt || umount -l $top/mnt' EXIT
             {list}
             WS=$PWD/mnt/ws; {EVERYWHERE} {posix}
             cd $top; export RETRO_STORE=$top/mnt/store; WS=$PWD/mnt/both; {EVERYWHERE} {posix}
             cd $top"
        );
        let output = std::panic::catch_unwind(|| run(&bench(), &commands));
        assert!(output.is_ok(), "on {name}");
        tried += 1;
    }
    let least = if can_mount() { AtLeast::new(2, 4) } else { AtLeast::always(0) };
    least.require("file systems", tried);
}

/// A mount that numbers the files anew is no change, and an edit is seen after it.
#[test]
fn a_new_mount_that_numbers_files_anew_is_no_change() {
    let mut tried = 0;
    if can_mount() && has("mount.exfat-fuse") && has("mkfs.exfat") {
        let steps = "truncate -s 100M disk; mkfs.exfat disk >made; mkdir mnt
            on() { loop=$(losetup --find --show disk); mount.exfat-fuse $loop mnt >made 2>&1; losetup --detach $loop; }
            on; trap 'cd /; umount $OLDPWD/mnt' EXIT
            mkdir mnt/ws; for f in $(seq 100); do echo $f >mnt/ws/$f; done; $RETRO -C mnt/ws snap
            : in another order the same files get other numbers
            stat -c %i mnt/ws/* >before; umount mnt; on; for f in $(seq 100 -1 1); do cat mnt/ws/$f >made; done
            stat -c %i mnt/ws/* >after; ! cmp before after
            $RETRO -C mnt/ws snap --json >said; cat said
            grep -F '\"recorded\":false' said; grep -F '\"changed\":{\"files\":0,' said
            umount mnt; on; echo X >mnt/ws/7; $RETRO -C mnt/ws snap --json >said; cat said
            grep -F '\"modified\":1,' said
            $RETRO -C mnt/ws restore s1; test $(cat mnt/ws/7) = 7; cd $PWD";
        run(&bench(), steps);
        tried += 1;
    }
    AtLeast::always(usize::from(can_mount() && has("mount.exfat-fuse"))).require("new mounts", tried);
}

/// A store on a file system without a free inode: what needs no new file goes on, caches are no reason to fail, and
/// what cannot be done says so and can be finished.
#[test]
fn recording_works_without_a_free_inode() {
    let mut tried = 0;
    if can_mount() {
        let steps = "mkdir full; mount -t tmpfs -o nr_inodes=100 none full; export RETRO_STORE=$PWD/full/store
            mkdir full/ws ws; echo one >full/ws/f; echo one >ws/f; $RETRO -C full/ws snap; $RETRO -C ws snap
            for f in $(seq 200); do touch full/fill$f || break; done 2>made; ! touch full/more
            for step in 2 3 4; do
                echo $step >full/ws/f; echo $step >ws/f; $RETRO -C full/ws snap; $RETRO -C ws snap
            done
            for ws in ws full/ws; do
              for ask in log status 'diff s1 @' 'show s3' 'cat s2:f' 'undo --dry-run'; do $RETRO -C $ws $ask; done
            done
            $RETRO verify; $RETRO -C ws restore s1; test $(cat ws/f) = one; $RETRO -C ws undo; test $(cat ws/f) = 4
            : no file can be put in the place of the one there
            set +e; $RETRO -C full/ws restore s1 2>said; test $? = 9 || exit 1; set -e
            grep -q 'full/ws/f' said; grep -q -- --continue said; test $(cat full/ws/f) = 4
            rm full/fill1; $RETRO -C full/ws restore --continue; test $(cat full/ws/f) = one
            $RETRO -C full/ws undo; test $(cat full/ws/f) = 4; $RETRO verify";
        run(&bench(), steps);
        tried += 1;
    }
    AtLeast::always(usize::from(can_mount())).require("file systems without a free inode", tried);
}

/// Attributes that a file system cannot hold are listed, and nobody may read more of the file than before.
#[test]
fn a_file_system_without_attributes_gets_the_rest() {
    let mut tried = 0;
    if can_mount() && has("setfacl") && has("setfattr") {
        let steps = "mkdir plain; mount -t ramfs none plain; ! setfattr -n user.a -v b plain
            mkdir ws; echo secret >ws/f; chmod 600 ws/f; setfacl -m u:1000:r ws/f; setfattr -n user.origin -v here ws/f
            echo other >ws/g; $RETRO -C ws snap
            set +e; $RETRO -C ws restore s1 --into $PWD/plain/out >said; test $? = 1 || exit 1; set -e; cat said
            grep -q '^kept *f  its ACL or extended attributes' said; ! grep -q '^kept *g' said
            test \"$(stat -c %a plain/out/f)\" = 600; diff ws/f plain/out/f; diff ws/g plain/out/g
            mkdir plain/ws; cp ws/f ws/g plain/ws; cd plain/ws
            $RETRO snap; echo more >g; $RETRO snap; $RETRO restore s1
            test \"$(cat g)\" = other";
        run(&bench(), steps);
        tried += 1;
    }
    AtLeast::always(usize::from(can_mount() && has("setfacl"))).require("file systems without attributes", tried);
}

/// A symlink on a file system that has none is one path that cannot be made: all others are.
#[test]
fn a_file_system_without_symlinks_gets_the_rest() {
    let mut tried = 0;
    if can_mount() && has("mount.exfat-fuse") && has("mkfs.exfat") {
        let steps = "truncate -s 100M disk; mkfs.exfat disk >made; mkdir mnt ws
            loop=$(losetup --find --show disk); mount.exfat-fuse $loop mnt >made 2>&1; losetup --detach $loop
            top=$PWD; trap 'cd /; umount $top/mnt' EXIT
            cd ws; echo 1 >a; ln -s a link; echo z >z; $RETRO snap
            id=$($RETRO log --json | head -1 | cut -d'\"' -f4); cd ..
            expect_rest() { code=$?; cat said; test $code = 1; grep -q '^kept *link ' said; }
            set +e; $RETRO -C ws restore s1 --into $PWD/mnt/out >said; expect_rest || exit 9; set -e
            cmp ws/a mnt/out/a; cmp ws/z mnt/out/z; test ! -e mnt/out/link
            mkdir mnt/ws; echo old >mnt/ws/old; $RETRO -C mnt/ws snap
            set +e; $RETRO -C mnt/ws restore --force $id >said; expect_rest || exit 9; set -e
            cmp ws/a mnt/ws/a; cmp ws/z mnt/ws/z; test ! -e mnt/ws/old
            $RETRO -C mnt/ws undo; test $(cat mnt/ws/old) = old
            test ! -e mnt/ws/a; cd /";
        run(&bench(), steps);
        tried += 1;
    }
    AtLeast::always(usize::from(can_mount() && has("mount.exfat-fuse")))
        .require("file systems without symlinks", tried);
}
