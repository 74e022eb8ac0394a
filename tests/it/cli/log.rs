//! `retro log`.

use super::Cli;

#[test]
fn steps_are_listed_newest_first() {
    let cli = Cli::with_two_steps();
    cli.run(&["tag", "v1", "s1"]).expect(0);
    cli.run(&["pin", "s1"]).expect(0);
    cli.check(
        "log",
        "
        | @ s2  [short]  [time]  +1 ~1 -0  second
        |   s1  [short]  [time]  +2 ~0 -0  first  [v1, pinned]
    ",
    );
    cli.check("log -n 1", "@ s2  [short]  [time]  +1 ~1 -0  second");
    cli.check("log s1", "  s1  [short]  [time]  +2 ~0 -0  first  [v1, pinned]");
    cli.check("log s1..", "@ s2  [short]  [time]  +1 ~1 -0  second");
    cli.check(
        "log --stat",
        "
        | @ s2  [short]  [time]  +1 ~1 -0  second
        |       a.txt |   2 +-
        |       c.txt |   1 +
        |       2 paths changed, 2 lines inserted, 1 deleted
        |   s1  [short]  [time]  +2 ~0 -0  first  [v1, pinned]
        |       a.txt     |   3 +++
        |       dir/b.txt |   1 +
        |       2 paths changed, 4 lines inserted, 0 deleted
    ",
    );
    cli.check("log --run nobody", "");
}

#[test]
fn paths_choose_the_steps_that_changed_them() {
    let cli = Cli::with_two_steps();
    cli.check("log -- dir", "  s1  [short]  [time]  +2 ~0 -0  first");
    cli.check(
        "-C dir log -- b.txt ../c.txt",
        "
        | @ s2  [short]  [time]  +1 ~1 -0  second
        |   s1  [short]  [time]  +2 ~0 -0  first
    ",
    );
    cli.check(
        "log -- ../elsewhere",
        "
        | ! error: find ../elsewhere: it is outside of the workspace $WS
        | exit 2
    ",
    );
    cli.check(
        "log --stat -- c.txt",
        "
        | @ s2  [short]  [time]  +1 ~1 -0  second
        |       c.txt |   1 +
        |       1 path changed, 1 line inserted, 0 deleted
    ",
    );
}

#[test]
fn a_graph_shows_where_history_forks() {
    let cli = Cli::with_two_steps();
    cli.run(&["restore", "s1"]).expect(0);
    cli.write("other.txt", b"x\n");
    cli.run(&["snap", "-m", "beside"]).expect(0);
    cli.check(
        "log --graph",
        "
        | @ s3  [short]  [time]  +1 ~0 -0  beside
        | │ ○ s2  [short]  [time]  +1 ~1 -0  second
        | ├─╯
        | ○ s1  [short]  [time]  +2 ~0 -0  first
    ",
    );
    cli.check(
        "log --graph --stat",
        "
        | @ s3  [short]  [time]  +1 ~0 -0  beside
        | │       other.txt |   1 +
        | │       1 path changed, 1 line inserted, 0 deleted
        | │ ○ s2  [short]  [time]  +1 ~1 -0  second
        | ├─╯       a.txt |   2 +-
        | │         c.txt |   1 +
        | │         2 paths changed, 2 lines inserted, 1 deleted
        | ○ s1  [short]  [time]  +2 ~0 -0  first
        |         a.txt     |   3 +++
        |         dir/b.txt |   1 +
        |         2 paths changed, 4 lines inserted, 0 deleted
    ",
    );
    cli.check(
        "log",
        "
        | @ s3  [short]  [time]  +1 ~0 -0  beside
        |   s2  [short]  [time]  +1 ~1 -0  second
        |   s1  [short]  [time]  +2 ~0 -0  first
    ",
    );
}

#[test]
fn messages_and_events_cannot_break_the_list() {
    let cli = Cli::new();
    cli.check_words(
        &["snap", "-m", "\n  first\x1b[2J line\nsecond line"],
        "
        | s1 [short]  +0 ~0 -0  [span]
        | ! recording $WS in $STORE (workspace [short])
        | ! leaving out [built-in]
    ",
    );
    let long = "word ".repeat(50);
    cli.run(&["snap", "-m", &long]).expect(0);
    cli.check(
        "log",
        "
        | @ s2  [short]  [time]  +0 ~0 -0  word word word word word word word word word word word word word word wo...
        |   s1  [short]  [time]  +0 ~0 -0  first [2J line
    ",
    );
}
