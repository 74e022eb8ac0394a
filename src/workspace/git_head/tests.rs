//! Tests with repositories made of the few files that are read.

#![cfg(feature = "git")]

use std::path::Path;

use super::{git_identity, git_state as looked_up};
use crate::format::snapshot::GitState;
use crate::workspace::git_notice::{GitPart, GitProblem};

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

fn git_state(root: &Path) -> Option<GitState> {
    looked_up(root).0
}

/// The notices about a repository that cannot be read.
fn noted(root: &Path) -> Option<(GitPart, GitProblem)> {
    let (state, notice) = looked_up(root);
    assert_eq!(state, None);
    notice.map(|notice| (notice.part, notice.problem))
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
fn an_unreadable_repository_has_no_state() {
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

#[test]
fn a_repository_with_long_ids_has_a_head_like_any() {
    let long = COMMIT.repeat(2)[..64].to_owned();
    let root = repository("ref: refs/heads/main\n");
    put(root.path(), ".git/config", "[extensions]\n\tobjectFormat = sha256\n");
    put(root.path(), ".git/refs/heads/main", &format!("{long}\n"));
    assert_eq!(looked_up(root.path()), (state(Some(&long), Some("main")), None));
}

#[test]
fn it_is_noted_why_nothing_is_known() {
    let none = tempfile::tempdir().unwrap();
    assert_eq!(noted(none.path()), None);
    std::fs::create_dir(none.path().join(".git")).unwrap();
    assert_eq!(noted(none.path()), None, "an empty folder is no repository");
    let table = repository("ref: refs/heads/.invalid\n");
    assert_eq!(noted(table.path()), Some((GitPart::Head, GitProblem::Unsupported("reftable".to_owned()))));
    let malformed = |found: Option<(GitPart, GitProblem)>| matches!(found, Some((_, GitProblem::Malformed(_))));
    for head in ["", "what\n", "ref: \n", "ref: refs/heads/../x\n", "\u{0}\n"] {
        assert!(malformed(noted(repository(head).path())), "{head:?}");
    }
    let lost = tempfile::tempdir().unwrap();
    put(lost.path(), ".git", "gitdir: /nowhere/at/all\n");
    let to = GitProblem::Dangling("/nowhere/at/all".into());
    assert_eq!(noted(lost.path()), Some((GitPart::Repository, to)));
    put(lost.path(), ".git", "nothing\n");
    assert!(malformed(noted(lost.path())));
    let pipe = repository("ref: refs/heads/main\n");
    #[expect(clippy::disallowed_methods, reason = "a fixture is neither store nor workspace")]
    std::fs::remove_file(pipe.path().join(".git/HEAD")).unwrap();
    assert!(malformed(noted(pipe.path())), "the rest of a repository is there");
    rustix::fs::mkfifoat(rustix::fs::CWD, pipe.path().join(".git/HEAD"), rustix::fs::Mode::RWXU).unwrap();
    assert_eq!(noted(pipe.path()), Some((GitPart::Head, GitProblem::NotAFile)));
}

#[test]
fn a_working_tree_is_known_by_how_it_began() {
    let begun = |line: &str, more: &str| {
        let root = repository("ref: refs/heads/main\n");
        put(root.path(), ".git/logs/HEAD", &format!("{line}\n{more}"));
        git_identity(root.path())
    };
    let (one, other) =
        ("0000 1111 me <m@e> 1700000000 +0000\tclone: from x", "0000 1111 me <m@e> 1700000001 +0000\tclone: from x");
    assert!(begun(one, "").is_some());
    assert_eq!(begun(one, ""), begun(one, "1111 2222 me <m@e> 1800000000 +0000\tcommit: y\n"));
    assert_ne!(begun(one, ""), begun(other, ""));
    assert_eq!(git_identity(repository("ref: refs/heads/main\n").path()), None);
    assert_eq!(git_identity(tempfile::tempdir().unwrap().path()), None);
    let unended = repository("ref: refs/heads/main\n");
    put(unended.path(), ".git/logs/HEAD", &"x".repeat(1 << 20));
    assert_eq!(git_identity(unended.path()), None);
}
