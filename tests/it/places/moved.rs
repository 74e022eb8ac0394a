//! A folder that was moved to another file system has other numbers there. A working tree of git's is known by git's
//! own log, which a copy has too; so that counts only where the original is gone.

use super::require;
use crate::support::git::has_git;
use crate::support::mounts::{bench, can_mount, run};

/// The beginning of every script: a repository with two steps, and git with fixed times.
const TWO_STEPS: &str = r#"
    at() { export GIT_COMMITTER_DATE="$1 +0000" GIT_AUTHOR_DATE="$1 +0000"; }
    git config --global user.name me; git config --global user.email me@example.org
    at 1700000000; git init -q -b main ws; echo one > ws/a; git -C ws add a; git -C ws commit -q -m one
    $RETRO -C ws snap; echo two > ws/a; $RETRO -C ws snap
    steps() { $RETRO -C "$1" log --oneline | wc -l; }
"#;

fn tried(cases: &[&str]) {
    let mut tried = 0;
    for case in cases.iter().filter(|_| can_mount() && has_git()) {
        run(&bench(), &format!("{TWO_STEPS} {case}"));
        tried += 1;
    }
    require("folders that were moved", tried, if has_git() { cases.len() } else { 0 });
}

#[test]
fn a_working_tree_on_another_file_system_is_recognised() {
    tried(&[
        // Moved, and gone on with.
        "mkdir t; mount -t tmpfs none t; mv ws t/ws; $RETRO -C t/ws log 2>&1 | grep 'retro workspace move'
         echo three > t/ws/a; $RETRO -C t/ws snap --adopt; test $(steps t/ws) = 3
         $RETRO -C t/ws undo; grep two t/ws/a",
        // Moved, and begun anew for want of a word; then both become one.
        "mkdir t; mount -t tmpfs none t; cp -a ws t/ws; rm -r ws; echo three > t/ws/a
         $RETRO -C t/ws snap 2> said; grep 'has moved' said; grep 'retro workspace move --join' said
         id=$(grep -o 'join [0-9a-f]*' said | cut -d' ' -f2)
         $RETRO -C t/ws workspace move --join $id .; test $(steps t/ws) = 3",
        // From a folder below, and with something else where it was.
        "mkdir -p t ws/sub; mount -t tmpfs none t; mv ws t/ws; mkdir ws; echo other > ws/b
         $RETRO -C t/ws/sub snap --adopt; test $(steps t/ws) -ge 2",
        // A clone made later where it was is another folder.
        "mkdir t; mount -t tmpfs none t; mv ws t/ws; at 1800000000; git clone -q t/ws ws
         $RETRO -C t/ws snap --adopt; test $(steps t/ws) = 2",
    ]);
}

#[test]
fn clones_and_copies_are_not_taken_for_what_was_moved() {
    tried(&[
        // A copy beside the original.
        "cp -a ws copy; $RETRO -C copy snap 2> said; ! grep moved said; test $(steps copy) = 1; test $(steps ws) = 2",
        // Another clone, with the original there and without.
        "at 1700000001; git clone -q ws one; at 1700000002; git clone -q ws other
         $RETRO -C one snap 2> said; ! grep moved said; rm -r ws
         $RETRO -C other snap 2> said; ! grep moved said; test $(steps other) = 1
         rm -r one; at 1700000003; git clone -q other more; $RETRO -C more snap --adopt 2> said; ! grep moved said
         test $(steps more) = 1",
        // A linked working tree after another one is gone.
        "at 1700000001; git -C ws worktree add -q ../one; $RETRO -C one snap; git -C ws worktree remove --force ../one
         at 1700000002; git -C ws worktree add -q ../two; $RETRO -C two snap 2> said; ! grep moved said",
    ]);
}
