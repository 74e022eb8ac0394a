//! `retro tag` and `retro pin`.

use super::Cli;

#[test]
fn names_are_given_moved_listed_and_taken_away() {
    let cli = Cli::with_two_steps();
    cli.check("tag", "");
    cli.check("tag v1 s1", "tagged s1 [short] as v1");
    cli.check(
        "tag v1",
        "
        | ! error: tag v1: it names snapshot [short] already
        | ! hint: --force moves it
        | exit 4
    ",
    );
    cli.check("tag v1 --force", "tagged s2 [short] as v1");
    cli.check("tag other s1", "tagged s1 [short] as other");
    cli.check(
        "tag",
        "
        | other  s1 [short]  [time]  first
        | v1     s2 [short]  [time]  second
    ",
    );
    cli.check("tag -d v1", "deleted tag v1");
    cli.check(
        "tag -d v1",
        "
        | ! error: delete tag v1: there is no such tag
        | exit 3
    ",
    );
    cli.check(
        "tag s5",
        "
        | ! error: name tag s5: it reads as a step
        | exit 2
    ",
    );
    cli.check(
        "tag x nope",
        "
        | ! error: find snapshot nope: no snapshot, step, tag or run has that name
        | ! hint: `retro log` lists the snapshots, `retro tag` the tags
        | exit 3
    ",
    );
}

#[test]
fn steps_are_pinned_and_let_go() {
    let cli = Cli::with_two_steps();
    cli.check("pin s1", "s1 [short] is kept from now on");
    cli.check("pin s1", "s1 [short] is kept already");
    cli.check(
        "log -n 2",
        "
        | @ s2  [short]  [time]  +1 ~1 -0  second
        |   s1  [short]  [time]  +2 ~0 -0  first  [pinned]
    ",
    );
    cli.check("pin -d s1", "s1 [short] may be forgotten from now on");
    cli.check("pin -d s1", "s1 [short] was not pinned");
}
