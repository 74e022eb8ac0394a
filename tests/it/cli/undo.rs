//! `retro undo` and `retro redo`.

use super::Cli;

#[test]
#[expect(clippy::too_many_lines, reason = "one session, in the order of its commands")]
fn changes_are_undone_and_redone() {
    let cli = Cli::with_two_steps();
    cli.write("c.txt", b"edited\n");
    cli.check(
        "undo --dry-run",
        "
        | write   c.txt  0644  2 B
        | s2 [short]  would change 1 path
    ",
    );
    cli.check(
        "undo",
        "
        | back at s2 [short]  1 written  [span]
        | the state before was s3 [short]; `retro redo` goes back to it
    ",
    );
    cli.check(
        "undo",
        "
        | back at s1 [short]  1 written, 1 removed  [span]
        | the state before was s2 [short]; `retro redo` goes back to it
    ",
    );
    cli.check(
        "undo",
        "
        | ! error: nothing to undo in this folder: it is as it was when it was first recorded
        | ! hint: `retro log` lists the steps; `retro restore REV` goes to any of them
        | exit 3
    ",
    );
    cli.check(
        "redo",
        "
        | again at s2 [short]  2 written  [span]
        | the state before was s1 [short]; `retro undo` goes back to it
    ",
    );
    cli.check(
        "redo",
        "
        | again at s3 [short]  1 written  [span]
        | the state before was s2 [short]; `retro undo` goes back to it
    ",
    );
    assert_eq!(cli.read("c.txt"), b"edited\n");
    cli.check(
        "redo",
        "
        | ! error: nothing to redo in this folder: nothing was undone since it last changed
        | ! hint: `retro log` lists the steps; `retro restore REV` goes to any of them
        | exit 3
    ",
    );
    cli.check(
        "log",
        "
        | @ s3  [short]  [time]  +0 ~1 -0  before restoring s2
        |   s2  [short]  [time]  +1 ~1 -0  second
        |   s1  [short]  [time]  +2 ~0 -0  first
    ",
    );
    cli.check(
        "undo 0",
        "
        | ! error: invalid value '0' for '[N]': 0 is not in 1..18446744073709551615
        | !
        | ! For more information, try '--help'.
        | exit 2
    ",
    );
}

#[test]
fn several_changes_are_undone_together_or_not_at_all() {
    let cli = Cli::with_two_steps();
    cli.run(&["restore", "s1"]).expect(0);
    cli.run(&["restore", "s2"]).expect(0);
    cli.write("a.txt", b"edited\n");
    cli.check(
        "undo 5",
        "
        | ! error: undo 5 in this folder: only 4 changes can be taken back; nothing was done
        | ! hint: `retro log` lists the steps; `retro restore REV` goes to any of them
        | exit 3
    ",
    );
    assert_eq!(cli.read("a.txt"), b"edited\n");
    cli.check(
        "undo 3",
        "
        | back at s2 [short]  1 written  [span]
        | the state before was s3 [short]; `retro redo` goes back to it
    ",
    );
    let again = &cli.json("redo --json")[0];
    assert_eq!((&again["target_step"], &again["state_step"]), (&3.into(), &3.into()));
    assert_eq!(cli.read("a.txt"), b"edited\n");
    cli.run(&["undo", "4"]).expect(0);
    assert_eq!(cli.json("status --json")[0]["head"]["step"], 1);
    cli.run(&["redo", "2"]).expect(3);
    cli.run(&["redo"]).expect(0);
    assert_eq!(cli.read("a.txt"), b"edited\n");
}

/// Changes made between a restore and its undo come back with redo.
#[test]
fn work_after_a_restore_is_there_again_after_a_redo() {
    let cli = Cli::with_two_steps();
    cli.run(&["restore", "s1"]).expect(0);
    cli.write("new.txt", b"work\n");
    cli.run(&["snap"]).expect(0);
    cli.write("more.txt", b"work\n");
    cli.run(&["undo", "3"]).expect(0);
    assert!(!cli.workspace.join("new.txt").exists() && cli.workspace.join("c.txt").exists());
    cli.run(&["redo"]).expect(0);
    assert_eq!((cli.read("new.txt"), cli.read("more.txt")), (b"work\n".to_vec(), b"work\n".to_vec()));
    assert!(!cli.workspace.join("c.txt").exists());
}

/// A restore of some paths is one change, and what it leaves is a step: nothing else is taken back with it.
#[test]
fn a_restore_of_some_paths_is_one_change() {
    let cli = Cli::with_two_steps();
    cli.write("c.txt", b"mine\n");
    cli.check(
        "restore s1 -- a.txt",
        "
        | restored s1 [short]  1 written  [span]
        | the folder is now s4 [short]
        | the state before was s3 [short]; `retro undo` goes back to it
    ",
    );
    cli.write("b.txt", b"later\n");
    cli.run(&["undo"]).expect(0);
    assert!(!cli.workspace.join("b.txt").exists());
    assert_eq!(cli.read("a.txt"), b"one\ntwo\nthree\n");
    cli.run(&["undo"]).expect(0);
    assert_eq!((cli.read("a.txt"), cli.read("c.txt")), (b"one\n2\nthree\n".to_vec(), b"mine\n".to_vec()));
    cli.run(&["undo"]).expect(0);
    assert_eq!(cli.read("c.txt"), b"c\n");
}

#[test]
fn undo_skips_steps_without_a_change() {
    let cli = Cli::with_two_steps();
    cli.run(&["snap", "-m", "nothing"]).expect(0);
    assert_eq!(cli.json("undo --json")[0]["target_step"], 1);
    assert_eq!(cli.json("redo --json")[0]["target_step"], 3);
}

#[test]
fn without_steps_there_is_nothing_to_undo() {
    let cli = Cli::new();
    cli.run(&["init"]).expect(0);
    cli.write("a.txt", b"work\n");
    cli.check(
        "undo",
        "
        | ! error: nothing to undo in this folder: nothing of it is recorded yet
        | ! hint: `retro snap` records it
        | exit 3
    ",
    );
    assert_eq!(cli.read("a.txt"), b"work\n");
}

#[test]
fn undo_never_goes_to_a_state_that_was_not_recorded() {
    let cli = Cli::with_two_steps();
    cli.write("a.txt", b"lost\n");
    cli.run(&["restore", "s1", "--no-safety-snapshot"]).expect(0);
    cli.check(
        "undo",
        "
        | ! error: undo in this folder: the state before the last restore was not recorded
        | ! hint: `retro log` lists the steps; `retro restore REV` goes to any of them
        | exit 3
    ",
    );
    assert_eq!(cli.json("undo 2 --json")[0]["target_step"], 2);
}

/// Edits of a person before a restore belong to no agent's run.
#[test]
fn snapshots_around_a_restore_are_of_no_run() {
    let cli = Cli::new();
    cli.write("a.txt", b"1\n");
    cli.run(&["snap", "--run", "agent"]).expect(0);
    cli.write("a.txt", b"2\n");
    cli.run(&["snap", "--run", "agent"]).expect(0);
    cli.write("a.txt", b"by hand\n");
    cli.run(&["restore", "s1", "--json"]).expect(0);
    let steps = cli.json("log --json");
    assert_eq!((&steps[0]["step"], &steps[0]["run"]), (&3.into(), &serde_json::Value::Null));
    assert_eq!(cli.json("log --run agent --json").len(), 2);
    assert_eq!(cli.json("show run:agent --json")[0]["step"], 2);
    assert!(!cli.run(&["show", "s3"]).stdout.windows(4).any(|text| text == b"run "));
}
