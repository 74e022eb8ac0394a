//! `retro undo` and `retro redo`.

use super::Cli;

#[test]
fn restores_are_taken_back_and_done_again() {
    let cli = Cli::with_two_steps();
    cli.check(
        "undo",
        "
        | ! error: undo restore in [short]: there is none left
        | ! hint: `retro log` lists the steps; `retro restore REV` goes to any of them
        | exit 3
    ",
    );
    cli.run(&["restore", "s1"]).expect(0);
    cli.check(
        "undo --dry-run",
        "
        | write   a.txt  0644  12 B
        | write   c.txt  0644  2 B
        | s2 [short]  would change 2 paths
    ",
    );
    cli.check(
        "undo",
        "
        | back at s2 [short]  2 written  [span]
        | before it was s1 [short]; `retro redo` goes there again
    ",
    );
    assert_eq!(cli.read("a.txt"), b"one\n2\nthree\n");
    cli.check(
        "redo",
        "
        | again at s1 [short]  1 written, 1 removed  [span]
        | before it was s2 [short]; `retro undo` goes back there
    ",
    );
    assert_eq!(cli.read("a.txt"), b"one\ntwo\nthree\n");
    cli.check(
        "redo",
        "
        | ! error: redo restore in [short]: there is none left
        | ! hint: `retro log` lists the steps; `retro restore REV` goes to any of them
        | exit 3
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
fn several_restores_are_taken_back_at_once() {
    let cli = Cli::with_two_steps();
    cli.run(&["restore", "s1"]).expect(0);
    cli.run(&["restore", "s2"]).expect(0);
    cli.run(&["restore", "s1"]).expect(0);
    cli.check(
        "undo 3",
        "
        | back at s2 [short]  2 written  [span]
        | back at s1 [short]  1 written, 1 removed  [span]
        | back at s2 [short]  2 written  [span]
        | before it was s1 [short]; `retro redo` goes there again
    ",
    );
    assert_eq!(cli.json("redo --json")[0]["target_step"], 1);
}
