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
        | before it was s2 [short]; `retro undo` goes back there
    ",
    );
    assert_eq!(cli.read("a.txt"), b"one\ntwo\nthree\n");
    cli.check("restore s1", "restored s1 [short]  nothing to do  [span]");
}

#[test]
fn what_was_not_captured_is_captured_first() {
    let cli = Cli::with_two_steps();
    cli.write("a.txt", b"precious\n");
    cli.check(
        "restore s1",
        "
        | restored s1 [short]  1 written, 1 removed  [span]
        | before it was s3 [short]; `retro undo` goes back there
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
        | before it was s2 [short]; `retro undo` goes back there
    ",
    );
    assert_eq!((cli.read("a.txt"), cli.read("c.txt")), (b"one\ntwo\nthree\n".to_vec(), b"c\n".to_vec()));
    cli.check(
        "restore s1 -- no-such-file",
        "
        | ! error: restore no-such-file: neither snapshot [short] nor the folder has it
        | ! hint: `retro ls -r [short]` lists what can be restored
        | exit 3
    ",
    );
    cli.check(
        "restore s1 -- /etc/passwd",
        "
        | ! error: find /etc/passwd: it is outside of the workspace $WS
        | exit 2
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
        | ! Usage: retro restore --into <DIR> <REV> [-- <PATH>...]
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
