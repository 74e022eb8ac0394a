//! Nothing is exported or restored into a store, whatever path leads there.

use super::{TWO_STEPS, require};
use crate::support::mounts::{bench, can_mount, has, run};

/// Says no to every way of writing to a path, and leaves nothing there.
const REFUSED: &str = r#"
    refused() {
        find . -path ./ws -prune -o -print | sort > /dev/shm/before.$$
        for what in "export s1 --tar $1/new.tar" "export s1..s2 --git $1/new" "restore s1 --into $1/new" \
            "restore s1 --into $1"; do
            code=0; $RETRO -C ws $what 2> /dev/shm/said.$$ || code=$?
            cat /dev/shm/said.$$ >&2
            test $code = 2; grep -q 'it is in the folder of a store' /dev/shm/said.$$
        done
        find . -path ./ws -prune -o -print | sort | cmp - /dev/shm/before.$$
        rm /dev/shm/before.$$ /dev/shm/said.$$
    }
"#;

/// The end of every script: elsewhere all of it works, and the store is whole.
const ELSEWHERE: &str = "
    mkdir plain; $RETRO -C ws export s1 --tar $PWD/plain/a.tar; $RETRO -C ws export s1..s2 --git $PWD/plain/git
    $RETRO -C ws restore s1 --into $PWD/plain/into; $RETRO -C ws verify
";

#[test]
fn every_way_into_a_store_is_refused() {
    let mut tried = 0;
    // The last is the store of another user, or of another time.
    let ways = [
        "refused $PWD/store; refused $PWD/store/packs; refused $PWD/store/not/there/yet",
        "ln -s store link; ln -s link/tmp deep; refused $PWD/link; refused $PWD/deep; refused ../deep/x",
        "refused $PWD/store/packs/..; refused ../store/tmp/../packs; refused ../nowhere/../store",
        "mkdir view; mount --bind store view; refused $PWD/view; refused $PWD/view/tmp; umount view",
        "mkdir view; mount --bind store/packs view; refused $PWD/view; umount view",
        "mkdir view; mount --bind . view; refused $PWD/view/store; refused $PWD/view/store/tmp; umount view",
        "mkdir view t; mount -t tmpfs none t; mkdir t/up t/wk
         mount -t overlay none -o lowerdir=store,upperdir=t/up,workdir=t/wk view
         refused $PWD/view; refused $PWD/view/tmp; umount view; umount t",
        "RETRO_STORE=$PWD/other $RETRO -C ws snap
         mkdir view t; mount --bind other view; refused $PWD/other; refused $PWD/view/packs/x; umount view
         mount -t tmpfs none t; mkdir t/up t/wk; mount -t overlay none -o lowerdir=other,upperdir=t/up,workdir=t/wk view
         refused $PWD/view/tmp; umount view; umount t",
    ];
    for way in ways.iter().filter(|_| can_mount()) {
        run(&bench(), &format!("{TWO_STEPS} {REFUSED} {way}; {ELSEWHERE}"));
        tried += 1;
    }
    require("ways into a store", tried, 8);
}

/// A store that is the upper folder of an overlay has other numbers there, and what is written there is written to it.
#[test]
fn a_store_below_an_overlay_is_recognised_by_its_format_file() {
    let mut tried = 0;
    if can_mount() {
        let way = "mkdir t; mount -t tmpfs none t; mkdir t/wk t/view t/low
             cp -a store t/store; export RETRO_STORE=$PWD/t/store
             mount -t overlay none -o lowerdir=t/low,upperdir=t/store,workdir=t/wk t/view
             refused $PWD/t/view; refused $PWD/t/view/packs; umount t/view; export RETRO_STORE=$PWD/store; umount t";
        run(&bench(), &format!("{TWO_STEPS} {REFUSED} {way}; {ELSEWHERE}"));
        tried += 1;
    }
    require("stores in an overlay", tried, 1);
    if can_mount() && has("bindfs") {
        let way = "mkdir view; bindfs store view; refused $PWD/view; refused $PWD/view/packs; umount view";
        run(&bench(), &format!("{TWO_STEPS} {REFUSED} {way}; {ELSEWHERE}"));
    }
}
