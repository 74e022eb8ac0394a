//! Folders of git's that are not called `.git`: those that a `.git` file or symlink names, and parts of one that are
//! mounted.

use super::require;
use crate::support::abilities::recognises_bind_mounts;
use crate::support::git::has_git;
use crate::support::mounts::{bench, can_mount, run};

/// The beginning of every script: how git is called.
const GIT: &str = r#"
    git config --global user.name me; git config --global user.email me@example.org
    commit() { git -C "$1" commit -q --allow-empty -m "$2"; }
    count() { git -C "$1" log --oneline | wc -l; }
    mkdir ws; echo one > ws/a
"#;

fn tried(cases: &[&str]) {
    let mut tried = 0;
    for case in cases.iter().filter(|_| can_mount() && has_git()) {
        run(&bench(), &format!("{GIT} {case}"));
        tried += 1;
    }
    require("folders of git's by other names", tried, if has_git() { cases.len() } else { 0 });
}

#[test]
fn a_folder_that_a_git_file_names_is_neither_captured_nor_restored_over() {
    tried(&[
        "git init -q --separate-git-dir=$PWD/ws/meta ws; commit ws x; $RETRO -C ws snap
         $RETRO -C ws status | grep -F 'meta (a folder of version control)'; ! $RETRO -C ws ls -r @ | grep meta
         commit ws y; git -C ws tag t; echo two > ws/a; $RETRO -C ws snap; $RETRO -C ws restore s1
         grep one ws/a; test $(count ws) = 2; test $(git -C ws tag) = t
         # Without the file it is a folder like any other. The step that left it out does not remove it.
         rm ws/.git; $RETRO -C ws snap; $RETRO -C ws ls -r @ | grep meta/HEAD
         $RETRO -C ws restore s1 || test $? = 1; test -s ws/meta/HEAD",
        // A symlink, and a folder below.
        "git init -q ws/sub; mv ws/sub/.git ws/meta; ln -s ../meta ws/sub/.git; commit ws/sub x; $RETRO -C ws snap
         ! $RETRO -C ws ls -r @ | grep meta; commit ws/sub y; $RETRO -C ws restore s1; test $(count ws/sub) = 2",
        "mkdir ws/z; git init -q --separate-git-dir=$PWD/ws/b ws/z; commit ws/z x; $RETRO -C ws snap
         ! $RETRO -C ws ls -r @ | grep b/HEAD; commit ws/z y; echo two > ws/a; $RETRO -C ws restore @
         test $(count ws/z) = 2; grep one ws/a",
        // A linked working tree outside, whose repository is in the workspace under another name.
        "git init -q --separate-git-dir=$PWD/ws/meta other; commit other x; git -C other worktree add -q $PWD/ws/tree
         $RETRO -C ws snap; ! $RETRO -C ws ls -r @ | grep meta; commit ws/tree y; $RETRO -C ws restore s1
         test $(count ws/tree) = 2",
    ]);
}

#[test]
fn paths_recorded_before_they_became_gits_are_kept() {
    tried(&["git init -q --bare ws/meta; $RETRO -C ws snap; $RETRO -C ws ls -r @ | grep meta/HEAD
         echo 'gitdir: meta' > ws/.git; git -C ws config core.bare false; commit ws x; echo two > ws/a
         $RETRO -C ws restore s1 || test $? = 1; grep one ws/a; test $(count ws) = 1
         $RETRO -C ws status > said; grep 'except for what was left alone' said; grep 'excluded *meta' said"]);
}

/// A line of text must not keep a folder from being recorded.
#[test]
fn a_git_file_that_names_no_repository_leaves_nothing_out() {
    tried(&[
        "mkdir -p ws/src ws/sub; echo 1 > ws/src/f; echo 'gitdir: ../src' > ws/sub/.git; echo 'gitdir: .' > ws/.git
         $RETRO -C ws snap; $RETRO -C ws ls -r @ | grep src/f",
    ]);
}

#[test]
fn parts_of_a_git_folder_that_are_mounted_are_left_alone() {
    if !recognises_bind_mounts() {
        return;
    }
    tried(&[
        "git init -q ws; commit ws x; mkdir ws/sub; mount --bind ws/.git/refs ws/sub; $RETRO -C ws snap
         $RETRO -C ws status | grep -F 'sub (a folder of version control)'; ! $RETRO -C ws ls -r @ | grep heads
         git -C ws tag t; $RETRO -C ws restore @; test $(git -C ws tag) = t
         # The step before the mount had something else there.
         umount ws/sub; echo 1 > ws/sub/f; $RETRO -C ws snap; mount --bind ws/.git/refs ws/sub
         $RETRO -C ws restore @ || test $? = 1; ! test -e ws/.git/refs/f; test $(git -C ws tag) = t",
        "git init -q --separate-git-dir=$PWD/ws/meta ws; commit ws x
         mkdir ws/sub; mount --bind ws/meta/refs/heads ws/sub
         $RETRO -C ws snap; ! $RETRO -C ws ls -r @ | grep sub/
         commit ws y; $RETRO -C ws restore s1; test $(count ws) = 2",
    ]);
}
