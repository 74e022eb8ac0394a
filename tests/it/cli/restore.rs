//! `retro restore`.

use super::Cli;

#[test]
fn a_dry_run_shows_what_the_real_one_does() {
    let cli = Cli::with_two_steps();
    let dry = cli.run(&["restore", "s1", "--dry-run"]);
    dry.expect_text(
        "
        | write   a.txt  0644  14 B
        | remove  c.txt
        | s1 [short]  would change 2 paths
    ",
    );
    assert_eq!(cli.read("a.txt"), b"one\n2\nthree\n");
    cli.check(
        "restore s1 -v",
        "
        | write   a.txt  0644  14 B
        | remove  c.txt
        | restored s1 [short]  1 written, 1 removed  [span]
        | the state before was s2 [short]; `retro undo` goes back to it
    ",
    );
    assert_eq!(cli.read("a.txt"), b"one\ntwo\nthree\n");
    cli.check("restore s1", "restored s1 [short]  nothing to do  [span]");
}

#[test]
fn other_names_of_the_verb_are_understood() {
    let cli = Cli::with_two_steps();
    cli.check(
        "rewind s1 -q --dry-run",
        "
        | write   a.txt  0644  14 B
        | remove  c.txt
    ",
    );
    cli.run(&["rollback", "s1"]).expect(0);
    assert_eq!(cli.read("a.txt"), b"one\ntwo\nthree\n");
    assert!(cli.run(&["help", "rewind"]).stdout == cli.run(&["help", "restore"]).stdout);
}

#[test]
fn unrecorded_edits_are_captured_before_a_restore() {
    let cli = Cli::with_two_steps();
    cli.write("a.txt", b"precious\n");
    cli.check(
        "restore s1",
        "
        | restored s1 [short]  1 written, 1 removed  [span]
        | the state before was s3 [short]; `retro undo` goes back to it
    ",
    );
    cli.check(
        "log",
        "
        |   s3  [short]  [time]  +0 ~1 -0  before restoring s1
        |   s2  [short]  [time]  +1 ~1 -0  second
        | @ s1  [short]  [time]  +2 ~0 -0  first
    ",
    );
    cli.check("cat s3:a.txt", "precious");
    cli.write("a.txt", b"lost\n");
    cli.check(
        "restore s1 --no-safety-snapshot",
        "
        | restored s1 [short]  1 written  [span]
        | the state before was not recorded: there is no way back to it
    ",
    );
}

#[test]
fn single_paths_go_back_alone() {
    let cli = Cli::with_two_steps();
    cli.check(
        "restore s1 -- a.txt",
        "
        | restored s1 [short]  1 written  [span]
        | the folder is now s3 [short]
        | the state before was s2 [short]; `retro undo` goes back to it
    ",
    );
    assert_eq!((cli.read("a.txt"), cli.read("c.txt")), (b"one\ntwo\nthree\n".to_vec(), b"c\n".to_vec()));
    cli.check(
        "restore s1 -- no-such-file",
        "
        | ! error: restore no-such-file: neither snapshot [short] nor the folder has it
        | ! hint: `retro ls -r [short]` lists its files, `retro log -- PATH` the steps that changed a path
        | exit 3
    ",
    );
    cli.check(
        "restore s1 -- /etc/passwd",
        "
        | ! error: find /etc/passwd: it is outside of the folder $WS
        | exit 2
    ",
    );
}

#[test]
fn paths_follow_the_step_and_may_be_patterns() {
    let cli = Cli::with_two_steps();
    cli.run(&["restore", "s1", "a.txt"]).expect(0);
    assert_eq!((cli.read("a.txt"), cli.read("c.txt")), (b"one\ntwo\nthree\n".to_vec(), b"c\n".to_vec()));
    cli.run(&["restore", "s2"]).expect(0);
    cli.write("d.md", b"d\n");
    cli.check(
        "restore s1 *.txt --dry-run",
        "
        | write   a.txt  0644  14 B
        | remove  c.txt
        | s1 [short]  would change 2 paths
    ",
    );
    cli.run(&["restore", "s1", "*.txt"]).expect(0);
    assert_eq!((cli.read("a.txt"), cli.read("d.md")), (b"one\ntwo\nthree\n".to_vec(), b"d\n".to_vec()));
    assert!(!cli.workspace.join("c.txt").exists());
    cli.check("restore s1 *.txt", "restored s1 [short]  nothing to do  [span]");
    cli.check(
        "restore s1 *.zip",
        "
        | ! error: restore *.zip: nothing in snapshot [short] and in the folder matches
        | ! hint: a pattern without a slash matches names at any depth, one with a slash whole paths
        | exit 3
    ",
    );
    cli.check("restore s1 d* --into ../out", "s1 [short] into $HOME/out  1 file, 2 B  [span]");
    cli.check(
        "restore a.txt",
        "
        | ! error: find snapshot a.txt: no snapshot, step, tag or run has that name
        | ! hint: `a.txt` is a path: `retro restore @ a.txt`
        | exit 3
    ",
    );
}

#[test]
fn another_folder_must_be_empty() {
    let cli = Cli::with_two_steps();
    cli.check("restore s1 --into ../out", "s1 [short] into $HOME/out  2 files, 16 B  [span]");
    assert_eq!(std::fs::read(cli.home().join("out/a.txt")).unwrap(), b"one\ntwo\nthree\n");
    cli.check(
        "restore s1 --into ../out",
        "
        | ! error: restore into $HOME/out: the folder is not empty
        | exit 5
    ",
    );
    cli.check(
        "restore s1 --into ../out --dry-run",
        "
        | ! error: the argument '--into <DIR>' cannot be used with '--dry-run'
        | !
        | ! Usage: retro restore --into <DIR> <REV> [PATH]...
        | !
        | ! For more information, try '--help'.
        | exit 2
    ",
    );
}

#[test]
fn a_folder_that_is_gone_keeps_its_history() {
    let cli = Cli::with_two_steps();
    cli.rename("../ws", "../elsewhere");
    let at = cli.workspace.to_str().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = cli.command();
        command.current_dir(cli.home()).args(["-C", at]).args(arguments);
        cli.finish(command, b"")
    };
    run(&["log"]).expect_text(
        "
        | @ s2  [short]  [time]  +1 ~1 -0  second
        |   s1  [short]  [time]  +2 ~0 -0  first
    ",
    );
    run(&["restore", "@", "--into", "../out"]).expect_text("s2 [short] into $HOME/out  3 files, 16 B  [span]");
    run(&["status"]).expect_text(
        "
        | ! error: open folder $WS: no such file or directory
        | ! hint: if the folder has moved, tell the store with `retro workspace move`
        | exit 3
    ",
    );
}

/// Two steps, and a restore of the first that was cut off before it changed anything.
fn cut_off(has_safety: bool) -> Cli {
    use retrograde::format::facts::{Fact, Restore, RestoreCause};
    use retrograde::time::Timestamp;

    let cli = Cli::with_two_steps();
    let disk = retrograde::disk::local::LocalDisk::open(&cli.store).unwrap();
    let store = retrograde::store::Store::open(std::sync::Arc::new(disk)).unwrap();
    let state = store.state();
    let found = state.workspaces.values().next().unwrap();
    let (workspace, target) = (found.id, found.steps[&1]);
    let (before, cause) = (found.head.filter(|_| has_safety), RestoreCause::Restore);
    let begun = Restore { workspace, before, target, paths: Vec::new(), cause, time: Timestamp(0) };
    store.record(|_| Ok(vec![Fact::RestoreBegun(begun)])).unwrap();
    cli
}

#[test]
fn a_restore_that_was_cut_off_is_announced_by_whatever_comes_next() {
    let cli = cut_off(true);
    let warning = "! warning: the restore of s1 [short] was interrupted; `retro restore --continue` finishes it, \
                   `retro restore --abort` goes back";
    cli.check("snap", &format!("\n| s2 [short]  no change  [span]\n| {warning}\n"));
    cli.check("snap -q", &format!("\n| {warning}\n"));
    cli.check("diff", &format!("\n| {warning}\n"));
    cli.check(
        "log",
        &format!(
            "
            | @ s2  [short]  [time]  +1 ~1 -0  second
            |   s1  [short]  [time]  +2 ~0 -0  first
            | {warning}
        "
        ),
    );
    for line in ["status", "show"] {
        let ran = cli.run(&[line]);
        let said = String::from_utf8(ran.stderr).unwrap();
        assert!(said.starts_with("warning: the restore of s1 ") && said.lines().count() == 1, "{line}: {said}");
    }
    let unfinished = &cli.json("status --json")[0]["unfinished_restore"];
    assert_eq!((&unfinished["cause"], &unfinished["paths"]), (&"restore".into(), &serde_json::json!([])));
    assert_eq!(&cli.json("snap --json")[0]["unfinished_restore"], unfinished);
    cli.run(&["restore", "--abort"]).expect(0);
    assert_eq!(cli.json("snap --json")[0]["unfinished_restore"], serde_json::Value::Null);
    cli.check("snap", "s2 [short]  no change  [span]");
}

#[test]
fn a_restore_that_was_cut_off_is_finished() {
    let cli = cut_off(true);
    cli.check(
        "restore --continue --dry-run",
        "
        | write   a.txt  0644  14 B
        | remove  c.txt
        | s1 [short]  would change 2 paths
    ",
    );
    cli.check(
        "restore --continue",
        "
        | restored s1 [short]  1 written, 1 removed  [span]
        | the state before was s2 [short]; `retro undo` goes back to it
    ",
    );
    assert_eq!(cli.read("a.txt"), b"one\ntwo\nthree\n");
    cli.check(
        "restore --continue",
        "
        | ! error: continue restore in [short]: none was cut off
        | ! hint: `retro restore REV` begins one; `retro undo` takes the last one back
        | exit 3
    ",
    );
}

#[test]
fn a_restore_that_was_cut_off_is_aborted() {
    let cli = cut_off(true);
    cli.write("a.txt", b"half way\n");
    cli.check(
        "restore --abort --dry-run",
        "
        | write   a.txt  0644  12 B
        | s2 [short]  would change 1 path
    ",
    );
    let aborted = &cli.json("restore --abort --json")[0];
    assert_eq!(
        (&aborted["cause"], &aborted["target_step"], &aborted["before_step"]),
        (&"abort".into(), &2.into(), &3.into())
    );
    assert_eq!(cli.read("a.txt"), b"one\n2\nthree\n");
    cli.check(
        "restore --abort",
        "
        | ! error: abort restore in [short]: none was cut off
        | ! hint: `retro restore REV` begins one; `retro undo` takes the last one back
        | exit 3
    ",
    );
    let cli = cut_off(true);
    cli.write("a.txt", b"half way\n");
    cli.check(
        "restore --abort",
        "
        | back at s2 [short]  1 written  [span]
        | the state before is kept as s3 [short]
    ",
    );
}

#[test]
fn without_a_safety_snapshot_a_restore_that_was_cut_off_cannot_be_aborted() {
    let cli = cut_off(false);
    cli.check(
        "restore --abort",
        "
        | ! error: abort restore in [short]: it was made without a safety snapshot, so that nobody knows the state
        :  before it
        | ! hint: `retro restore --continue` finishes it; `retro restore REV` goes to another step
        | exit 3
    ",
    );
    cli.check(
        "diff",
        "
        | ! warning: the restore of s1 [short] was interrupted; `retro restore --continue` finishes it, `retro restore
        :  REV` goes to another step
    ",
    );
    cli.check(
        "restore --continue",
        "
        | restored s1 [short]  1 written, 1 removed  [span]
        | the state before was not recorded: there is no way back to it
    ",
    );
}

#[test]
fn finishing_and_taking_back_have_no_arguments_of_their_own() {
    let cli = Cli::with_two_steps();
    for line in ["--continue s1", "--abort s1", "--continue --abort", "--continue --into x", "--abort -- a.txt"] {
        let words: Vec<&str> = std::iter::once("restore").chain(line.split(' ')).collect();
        cli.run(&words).expect(2);
    }
    cli.run(&["restore"]).expect(2);
}

#[test]
fn paths_without_a_step_are_those_of_the_newest() {
    let cli = Cli::with_two_steps();
    cli.write("a.txt", b"broken\n");
    cli.run(&["restore", "--", "a.txt"]).expect(0);
    assert_eq!(cli.read("a.txt"), b"one\n2\nthree\n");
    cli.run(&["restore"]).expect(2);
}

/// Nothing is written into a store, whichever it is.
#[test]
fn nothing_is_written_into_a_store() {
    let cli = Cli::with_two_steps();
    cli.run(&["snap", "--store", "../second"]).expect(0);
    for store in ["../store", "../second"] {
        for inside in [store.to_owned(), format!("{store}/packs/out"), format!("{store}/new/out")] {
            cli.run(&["restore", "s1", "--into", &inside]).expect(2);
            cli.run(&["restore", "s1", "--into", &inside, "--", "a.txt"]).expect(2);
            cli.run(&["export", "s1", "--tar", &format!("{inside}/x.tar")]).expect(2);
            #[cfg(feature = "git")]
            cli.run(&["export", "--git", &inside]).expect(2);
        }
        assert!(!cli.home().join(store.trim_start_matches("../")).join("new").exists());
        cli.run(&["verify", "--store", store]).expect(0);
    }
}
