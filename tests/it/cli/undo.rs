//! `retro undo` and `retro redo`.

use super::Cli;

#[test]
fn restores_are_taken_back_and_done_again() {
    let cli = Cli::with_two_steps();
    cli.check("undo", "?");
    cli.run(&["restore", "s1"]).expect(0);
    cli.check("undo --dry-run", "?");
    cli.check("undo", "?");
    assert_eq!(cli.read("a.txt"), b"one\n2\nthree\n");
    cli.check("redo", "?");
    assert_eq!(cli.read("a.txt"), b"one\ntwo\nthree\n");
    cli.check("redo", "?");
    cli.check("undo 0", "?");
}

#[test]
fn several_restores_are_taken_back_at_once() {
    let cli = Cli::with_two_steps();
    cli.run(&["restore", "s1"]).expect(0);
    cli.run(&["restore", "s2"]).expect(0);
    cli.run(&["restore", "s1"]).expect(0);
    cli.check("undo 3", "?");
    assert_eq!(cli.json("redo --json")[0]["target_step"], 1);
}
