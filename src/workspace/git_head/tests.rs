//! Repositories are made of the few files that are looked at.

#![cfg(feature = "git")]

use std::path::Path;

use super::git_state;
use crate::format::snapshot::GitState;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn put(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a fixture is neither store nor workspace")]
    std::fs::write(path, text).unwrap();
}

fn repository(head: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), ".git/HEAD", head);
    std::fs::create_dir_all(root.path().join(".git/refs/heads")).unwrap();
    std::fs::create_dir_all(root.path().join(".git/objects")).unwrap();
    root
}

fn state(head: Option<&str>, branch: Option<&str>) -> Option<GitState> {
    Some(GitState { head: head.map(str::to_owned), branch: branch.map(str::to_owned) })
}

#[test]
fn a_branch_is_followed_to_its_commit_loose_or_packed() {
    let root = repository("ref: refs/heads/feature/x\n");
    assert_eq!(git_state(root.path()), state(None, Some("feature/x")));
    put(
        root.path(),
        ".git/packed-refs",
        &format!("# pack-refs with: peeled fully-peeled sorted \n{COMMIT} refs/heads/feature/x\n"),
    );
    assert_eq!(git_state(root.path()), state(Some(COMMIT), Some("feature/x")));
    let other = COMMIT.replace('0', "f");
    put(root.path(), ".git/refs/heads/feature/x", &format!("{other}\n"));
    assert_eq!(git_state(root.path()), state(Some(&other), Some("feature/x")));
}

#[test]
fn a_detached_head_has_no_branch() {
    let root = repository(&format!("{COMMIT}\n"));
    assert_eq!(git_state(root.path()), state(Some(COMMIT), None));
}

#[test]
fn a_linked_worktree_has_its_own_head_and_shares_branches() {
    let main = repository("ref: refs/heads/main\n");
    put(main.path(), ".git/refs/heads/side", &format!("{COMMIT}\n"));
    put(main.path(), ".git/worktrees/w/HEAD", "ref: refs/heads/side\n");
    put(main.path(), ".git/worktrees/w/commondir", "../..\n");
    let linked = tempfile::tempdir().unwrap();
    let pointer = format!("gitdir: {}/.git/worktrees/w\n", main.path().display());
    put(linked.path(), ".git", &pointer);
    assert_eq!(git_state(linked.path()), state(Some(COMMIT), Some("side")));
}

#[test]
fn what_cannot_be_read_is_nothing() {
    let none = tempfile::tempdir().unwrap();
    assert_eq!(git_state(none.path()), None);
    for head in ["", "nonsense\n", "ref: refs/heads/../../../etc/passwd\n", "ref: refs/heads/.invalid\n", "0123\n"] {
        assert_eq!(git_state(repository(head).path()), None, "{head}");
    }
    for pointer in ["", "gitdir:", "gitdir: /no/such/folder\n", "nonsense"] {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), ".git", pointer);
        assert_eq!(git_state(root.path()), None, "{pointer}");
    }
    let looped = repository("ref: refs/heads/a\n");
    put(looped.path(), ".git/refs/heads/a", "ref: refs/heads/a\n");
    assert_eq!(git_state(looped.path()), None);
}

#[test]
fn a_pipe_in_place_of_a_file_is_never_waited_for() {
    let pipe = |root: &Path, name: &str| {
        let path = root.join(name);
        drop(std::fs::remove_dir_all(&path));
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.is_ok_and(|status| status.success()));
    };
    let root = tempfile::tempdir().unwrap();
    pipe(root.path(), ".git");
    assert_eq!(git_state(root.path()), None);
    for name in [".git/packed-refs", ".git/refs/heads/main", ".git/commondir"] {
        let root = repository("ref: refs/heads/main\n");
        pipe(root.path(), name);
        assert!(git_state(root.path()).is_none_or(|state| state.head.is_none()), "{name}");
    }
}
