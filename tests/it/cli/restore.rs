//! `retro restore`.

use super::Cli;

#[test]
fn a_dry_run_shows_what_the_real_one_does() {
    let cli = Cli::with_two_steps();
    let dry = cli.run(&["restore", "s1", "--dry-run"]);
    dry.expect_text("?");
    assert_eq!(cli.read("a.txt"), b"one\n2\nthree\n");
    cli.check("restore s1 -v", "?");
    assert_eq!(cli.read("a.txt"), b"one\ntwo\nthree\n");
    cli.check("restore s1", "?");
}

#[test]
fn what_was_not_captured_is_captured_first() {
    let cli = Cli::with_two_steps();
    cli.write("a.txt", b"precious\n");
    cli.check("restore s1", "?");
    cli.check("log", "?");
    cli.check("cat s3:a.txt", "?");
    cli.write("a.txt", b"lost\n");
    cli.check("restore s1 --no-safety-snapshot", "?");
}

#[test]
fn single_paths_go_back_alone() {
    let cli = Cli::with_two_steps();
    cli.check("restore s1 -- a.txt", "?");
    assert_eq!((cli.read("a.txt"), cli.read("c.txt")), (b"one\ntwo\nthree\n".to_vec(), b"c\n".to_vec()));
    cli.check("restore s1 -- no-such-file", "?");
    cli.check("restore s1 -- /etc/passwd", "?");
}

#[test]
fn another_folder_must_be_empty() {
    let cli = Cli::with_two_steps();
    cli.check("restore s1 --into ../out", "?");
    assert_eq!(std::fs::read(cli.home().join("out/a.txt")).unwrap(), b"one\ntwo\nthree\n");
    cli.check("restore s1 --into ../out", "?");
    cli.check("restore s1 --into ../out --dry-run", "?");
}

#[test]
fn a_folder_that_is_gone_keeps_its_history() {
    let cli = Cli::with_two_steps();
    std::fs::rename(&cli.workspace, cli.home().join("elsewhere")).unwrap();
    let at = cli.workspace.to_str().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = cli.command();
        command.current_dir(cli.home()).args(["-C", at]).args(arguments);
        cli.finish(command, b"")
    };
    run(&["log"]).expect_text("?");
    run(&["restore", "@", "--into", "../out"]).expect_text("?");
    run(&["status"]).expect_text("?");
}
