//! `retro show`.

use super::Cli;

#[test]
#[expect(clippy::too_many_lines, reason = "one session, in the order of its commands")]
fn show_prints_the_facts_and_the_changes() {
    let cli = Cli::with_two_steps();
    cli.check(
        "show",
        "
        | s2 [short]  +1 ~1 -0  second
        | M  a.txt
        | A  c.txt
        |
        | id        [id]
        | time      [time]  ([age])
        | run       main
        | parent    s1 [short]
    ",
    );
    cli.check(
        "show s1 --stat",
        "
        | s1 [short]  +2 ~0 -0  first
        | a.txt (new)     |   3 +++
        | dir/b.txt (new) |   1 +
        | 2 paths changed, 4 lines inserted, 0 deleted
        |
        | id        [id]
        | time      [time]  ([age])
        | run       main
    ",
    );
    cli.check(
        "show --patch -- a.txt",
        "
        | s2 [short]  +0 ~1 -0  second
        | diff --git a/a.txt b/a.txt
        | index 4cb29ea38f..f04eb265eb 100644
        | --- a/a.txt
        | +++ b/a.txt
        | @@ -1,3 +1,3 @@
        |  one
        | -two
        | +2
        |  three
        |
        | id        [id]
        | time      [time]  ([age])
        | run       main
        | parent    s1 [short]
    ",
    );
    assert_eq!(cli.run(&["show", "@", "a.txt"]).shown, cli.run(&["show", "--", "a.txt"]).shown);
    cli.check(
        "show a.txt",
        "
        | ! error: find snapshot a.txt: no snapshot, step, tag or run has that name
        | ! hint: `a.txt` is a path: `retro show @ a.txt`
        | exit 3
    ",
    );
    cli.check(
        "show @ a.tx",
        "
        | ! error: show a.tx: neither snapshot [short] nor snapshot [short] nor the folder has it
        | ! hint: did you mean `a.txt`?
        | exit 3
    ",
    );
    let shown = &cli.json("show --json --stat s1")[0];
    assert_eq!(shown["changes"][0]["lines"], serde_json::json!({"inserted": 3, "deleted": 0}));
    cli.check(
        "show s9",
        "
        | ! error: find snapshot s9: the workspace has no such step, or it was forgotten
        | ! hint: `retro log` lists the steps, `retro tag` the tags
        | exit 3
    ",
    );
}

#[test]
fn events_are_named_and_printed_on_request() {
    let cli = Cli::new();
    cli.run_with(&["snap", "--event", "-"], br#"{"tool":"Edit","input":{"path":"x"}}"#).expect(0);
    cli.check(
        "show",
        r#"
        | s1 [short]  +0 ~0 -0  Edit: x
        |
        | id        [id]
        | time      [time]  ([age])
        | run       main
        | event     Edit: x  (`--event` prints it)
    "#,
    );
    cli.check("show --event", r#"{"tool":"Edit","input":{"path":"x"}}"#);
    cli.run(&["snap", "-m", "first line\nand more", "--allow-empty"]).expect(0);
    cli.check("show --event", "! s2 has no event");
    cli.check(
        "show",
        "
        | s2 [short]  +0 ~0 -0  first line
        |
        | id        [id]
        | time      [time]  ([age])
        | run       main
        | parent    s1 [short]
        |
        |     first line
        |     and more
    ",
    );
}
