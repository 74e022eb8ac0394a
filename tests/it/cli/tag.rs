//! `retro tag` and `retro pin`.

use super::Cli;

#[test]
fn names_are_given_moved_listed_and_taken_away() {
    let cli = Cli::with_two_steps();
    cli.check("tag", "?");
    cli.check("tag v1 s1", "?");
    cli.check("tag v1", "?");
    cli.check("tag v1 --force", "?");
    cli.check("tag other s1", "?");
    cli.check("tag", "?");
    cli.check("tag -d v1", "?");
    cli.check("tag -d v1", "?");
    cli.check("tag s5", "?");
    cli.check("tag x nope", "?");
}

#[test]
fn steps_are_pinned_and_let_go() {
    let cli = Cli::with_two_steps();
    cli.check("pin s1", "?");
    cli.check("pin s1", "?");
    cli.check("log -n 2", "?");
    cli.check("pin -d s1", "?");
    cli.check("pin -d s1", "?");
}
