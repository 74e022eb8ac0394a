//! `retro log`.

use super::Cli;

#[test]
fn steps_are_listed_newest_first() {
    let cli = Cli::with_two_steps();
    cli.run(&["tag", "v1", "s1"]).expect(0);
    cli.run(&["pin", "s1"]).expect(0);
    cli.check("log", "?");
    cli.check("log -n 1", "?");
    cli.check("log s1", "?");
    cli.check("log s1..", "?");
    cli.check("log --stat", "?");
    cli.check("log --run nobody", "?");
}

#[test]
fn paths_choose_the_steps_that_changed_them() {
    let cli = Cli::with_two_steps();
    cli.check("log -- dir", "?");
    cli.check("-C dir log -- b.txt ../c.txt", "?");
    cli.check("log -- ../elsewhere", "?");
    cli.check("log --stat -- c.txt", "?");
}

#[test]
fn a_graph_shows_where_history_forks() {
    let cli = Cli::with_two_steps();
    cli.run(&["restore", "s1"]).expect(0);
    cli.write("other.txt", b"x\n");
    cli.run(&["snap", "-m", "beside"]).expect(0);
    cli.check("log --graph", "?");
    cli.check("log --graph --stat", "?");
    cli.check("log", "?");
}

#[test]
fn messages_and_events_cannot_break_the_list() {
    let cli = Cli::new();
    cli.check_words(&["snap", "-m", "\n  first\x1b[2J line\nsecond line"], "?");
    let long = "word ".repeat(50);
    cli.run(&["snap", "-m", &long]).expect(0);
    cli.check("log", "?");
}
