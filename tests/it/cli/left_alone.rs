//! Folders that are left alone since: a recorded folder of its own, a working tree of git's. A restore does not touch
//! them, and says so wherever the step has something there.

use super::Cli;
#[cfg(feature = "git")]
use crate::support::git::{Git, has_git};

/// The paths that a restore says it kept, and why; it exits with 1, and says that the folder is not exactly the step.
#[track_caller]
fn kept(cli: &Cli, line: &str) -> Vec<(String, String)> {
    let ran = cli.run(&line.split(' ').collect::<Vec<_>>());
    ran.expect(1);
    let outcome: serde_json::Value = serde_json::from_slice(&ran.stdout).expect("it is one object");
    assert_eq!(outcome["exact"], false, "{outcome}");
    let text = |value: &serde_json::Value| value.as_str().expect("it is a text").to_owned();
    outcome["kept"].as_array().unwrap().iter().map(|one| (text(&one["path"]), text(&one["detail"]))).collect()
}

fn one(path: &str, reason: &str) -> Vec<(String, String)> {
    vec![(path.to_owned(), reason.to_owned())]
}

const WORKSPACE: &str = "it is, or lies in, another recorded folder";
#[cfg(feature = "git")]
const WORKING_TREE: &str = "it is, or lies in, another working tree of the repository";

#[test]
fn a_folder_that_became_a_workspace_of_its_own_is_reported_as_kept() {
    let cli = Cli::new();
    cli.write("src/a", b"good");
    cli.write("src/deep/b", b"good");
    cli.write("c", b"good");
    cli.run(&["snap"]).expect(0);
    cli.write("src/a", b"bad");
    cli.write("c", b"bad");
    cli.run(&["-C", "src", "init"]).expect(0);
    assert_eq!(kept(&cli, "restore s1 --dry-run --json"), one("src", WORKSPACE));
    assert_eq!(kept(&cli, "restore s1 --json"), one("src", WORKSPACE));
    assert_eq!((cli.read("src/a"), cli.read("c")), (b"bad".to_vec(), b"good".to_vec()));
    // Again, when nothing is left to be done; and of one path.
    assert_eq!(kept(&cli, "restore s1 --json"), one("src", WORKSPACE));
    assert_eq!(kept(&cli, "restore s1 --json src/a"), one("src", WORKSPACE));
    cli.run(&["restore", "s1", "c"]).expect(0);
    // Of a step that has nothing there, nothing is missing.
    cli.run(&["snap"]).expect(0);
    cli.run(&["restore", "@"]).expect(0);
    cli.check(
        "restore s1",
        "
        | restored s1 [short]  nothing to do  [span]
        | not exactly s1 [short]: 1 path
        | kept  src  it is, or lies in, another recorded folder
        | the folder is now s3 [short]
        | exit 1
    ",
    );
}

#[test]
fn an_empty_folder_that_became_a_workspace_of_its_own_is_unchanged() {
    let cli = Cli::new();
    std::fs::create_dir(cli.workspace.join("in")).unwrap();
    cli.write("a", b"a");
    cli.run(&["snap"]).expect(0);
    cli.run(&["-C", "in", "init"]).expect(0);
    cli.write("in/f", b"theirs");
    cli.write("a", b"b");
    cli.run(&["restore", "s1"]).expect(0);
    assert_eq!((cli.read("in/f"), cli.read("a")), (b"theirs".to_vec(), b"a".to_vec()));
}

/// The restore makes the folder again, and with it another's workspace.
#[test]
fn an_undo_that_would_remove_a_recorded_folder_says_that_it_did_not() {
    let cli = Cli::new();
    cli.write("in/f", b"i");
    cli.run(&["snap"]).expect(0);
    cli.run(&["-C", "in", "init"]).expect(0);
    std::fs::remove_dir_all(cli.workspace.join("in")).unwrap();
    cli.write("in", b"is a file");
    cli.run(&["snap"]).expect(0);
    cli.run(&["restore", "s1"]).expect(0);
    assert_eq!(cli.read("in/f"), b"i");
    assert_eq!(kept(&cli, "undo --json"), one("in", WORKSPACE));
    assert_eq!(cli.read("in/f"), b"i");
}

#[test]
#[cfg(feature = "git")]
fn a_folder_that_became_a_working_tree_is_reported_as_kept() {
    if !has_git() {
        return;
    }
    let cli = Cli::new();
    let git = Git::init(&cli.workspace, cli.home());
    cli.write("wt/f", b"good");
    cli.write("src/a", b"good");
    git.run(&["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "first", "--allow-empty"], b"");
    cli.run(&["snap"]).expect(0);
    std::fs::remove_dir_all(cli.workspace.join("wt")).unwrap();
    git.run(&["worktree", "add", "-q", "wt"], b"");
    assert_eq!(kept(&cli, "restore s1 --json"), one("wt", WORKING_TREE));
    // A file is enough, and anybody can write it.
    cli.write("src/.git", &cli.read("wt/.git"));
    cli.write("src/a", b"bad");
    let all = [one("src", WORKING_TREE), one("wt", WORKING_TREE)].concat();
    assert_eq!(kept(&cli, "restore s1 --json"), all);
    assert_eq!(kept(&cli, "restore s1 --json -- src/a"), one("src", WORKING_TREE));
    assert_eq!(cli.read("src/a"), b"bad");
    cli.remove("src/.git");
    assert_eq!(kept(&cli, "restore s1 --json"), one("wt", WORKING_TREE));
    assert_eq!(cli.read("src/a"), b"good");
}
