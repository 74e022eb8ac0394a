//! `retro show`.

use super::Cli;

#[test]
fn it_shows_the_facts_and_the_changes() {
    let cli = Cli::with_two_steps();
    cli.check(
        "show",
        "
        | s2 [id]
        | time      [time]  ([age])
        | run       main
        | parent    s1 [short]
        | tree      [id]
        | changes   +1 ~1 -0
        |
        |     second
        |
        | M  a.txt
        | A  c.txt
    ",
    );
    cli.check(
        "show s1 --stat",
        "
        | s1 [id]
        | time      [time]  ([age])
        | run       main
        | tree      [id]
        | changes   +2 ~0 -0
        |
        |     first
        |
        | a.txt     |   3 +++
        | dir/b.txt |   1 +
        | 2 paths changed, 4 lines inserted, 0 deleted
    ",
    );
    cli.check(
        "show --patch -- a.txt",
        "
        | s2 [id]
        | time      [time]  ([age])
        | run       main
        | parent    s1 [short]
        | tree      [id]
        | changes   +1 ~1 -0
        |
        |     second
        |
        | diff --git a/a.txt b/a.txt
        | --- a/a.txt
        | +++ b/a.txt
        | @@ -1,3 +1,3 @@
        |  one
        | -two
        | +2
        |  three
    ",
    );
    cli.check(
        "show s9",
        "
        | ! error: find snapshot s9: the workspace has no such step, or it was forgotten
        | ! hint: `retro log` lists the snapshots, `retro tag` the tags
        | exit 3
    ",
    );
}

#[test]
fn events_are_shown_a_fact_a_line() {
    let cli = Cli::new();
    cli.run_with(&["snap", "--event", "-"], br#"{"tool":"Edit","input":{"path":"x"}}"#).expect(0);
    cli.check(
        "show",
        r#"
        | s1 [id]
        | time      [time]  ([age])
        | run       main
        | tree      [id]
        | changes   +0 ~0 -0
        |
        |     {
        |       "tool": "Edit",
        |       "input": {
        |         "path": "x"
        |       }
        |     }
    "#,
    );
}
