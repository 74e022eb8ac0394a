//! `retro diff`.

use std::os::unix::fs::PermissionsExt;

use super::{Cli, os};

#[test]
fn two_steps_or_a_step_and_the_folder() {
    let cli = Cli::with_two_steps();
    cli.check("diff", "");
    cli.check("diff --exit-code", "");
    cli.check(
        "diff s1 s2",
        "
        | diff --git a/a.txt b/a.txt
        | index 4cb29ea38f..f04eb265eb 100644
        | --- a/a.txt
        | +++ b/a.txt
        | @@ -1,3 +1,3 @@
        |  one
        | -two
        | +2
        |  three
        | diff --git a/c.txt b/c.txt
        | new file mode 100644
        | index 0000000000..f2ad6c76f0
        | --- /dev/null
        | +++ b/c.txt
        | @@ -0,0 +1 @@
        | +c
    ",
    );
    cli.check(
        "diff s1..s2 --stat",
        "
        | a.txt       |   2 +-
        | c.txt (new) |   1 +
        | 2 paths changed, 2 lines inserted, 1 deleted
    ",
    );
    cli.check(
        "diff s2 s1 --name-status --exit-code",
        "
        | M  a.txt
        | D  c.txt
        | exit 1
    ",
    );
    cli.write("a.txt", b"live\n");
    cli.check(
        "diff",
        "
        | diff --git a/a.txt b/a.txt
        | index f04eb265eb..e23fe645b7 100644
        | --- a/a.txt
        | +++ b/a.txt
        | @@ -1,3 +1 @@
        | -one
        | -2
        | -three
        | +live
    ",
    );
    cli.check("diff s1 --name-status -- dir c.txt", "A  c.txt");
    cli.check(
        "diff ..s1 --name-status",
        "
        | A  a.txt
        | A  dir/b.txt
    ",
    );
    cli.check(
        "diff s1..s2 s2",
        "
        | ! error: compare s1..s2: it names two steps already, so that there is no place for a third
        | exit 2
    ",
    );
}

#[test]
fn paths_follow_the_steps_or_stand_alone() {
    let cli = Cli::with_two_steps();
    cli.check("diff --name-status s1 s2 c.txt", "A  c.txt");
    cli.check("diff --name-status s1 c.txt", "A  c.txt");
    cli.check("diff --name-status s1..s2 *.txt", "\n| M  a.txt\n| A  c.txt\n");
    cli.check("diff --name-status s1..s2 -- ./c*", "A  c.txt");
    cli.check(
        "diff a.txt",
        "
        | ! error: find snapshot a.txt: no snapshot, step, tag or run has that name
        | ! hint: `a.txt` is a path: `retro diff -- a.txt`
        | exit 3
    ",
    );
    cli.check(
        "diff -- b.txt",
        "
        | ! error: compare b.txt: neither snapshot [short] nor the folder has it
        | ! hint: did you mean `a.txt`?
        | exit 3
    ",
    );
    cli.write("s1", b"a file with the name of a step\n");
    cli.check(
        "diff s2 s1",
        "
        | ! error: compare s1: both a step and a path have this name
        | ! hint: write a path after `--`; write a step as its id, which `retro show REV` prints
        | exit 2
    ",
    );
    cli.check("diff --name-status s2 -- s1", "A  s1");
}

#[test]
#[expect(clippy::too_many_lines, reason = "one session, in the order of its commands")]
fn renames_modes_and_types_are_distinguished() {
    let cli = Cli::with_two_steps();
    let content: Vec<u8> = (0..200_u32).flat_map(|line| format!("line {line}\n").into_bytes()).collect();
    cli.write("long.txt", &content);
    cli.write("run.sh", b"#!/bin/sh\n");
    cli.run(&["snap"]).expect(0);
    cli.remove("long.txt");
    cli.write("moved.txt", &content);
    cli.remove("c.txt");
    std::os::unix::fs::symlink("a.txt", cli.workspace.join("c.txt")).unwrap();
    std::fs::set_permissions(cli.workspace.join("run.sh"), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::create_dir(cli.workspace.join("empty")).unwrap();
    cli.write("binary", b"\0\x01");
    cli.check(
        "diff --name-status",
        "
        | A  binary
        | T  c.txt  file -> symlink
        | A  empty/
        | R  long.txt -> moved.txt
        | M  run.sh  mode 0644 -> 0755
    ",
    );
    cli.check(
        "diff --stat",
        "
        | binary (new)          |   - 0 B -> 2 B
        | c.txt                 |   - file -> symlink
        | empty/ (new)          |   - folder
        | long.txt -> moved.txt |   - moved
        | run.sh                |   - mode 0644 -> 0755
        | 5 paths changed, 0 lines inserted, 0 deleted
    ",
    );
    cli.check(
        "diff",
        r#"
        | diff --git a/binary b/binary
        | new file mode 100644
        | index 0000000000..bdc955b7b2
        | Binary files /dev/null and b/binary differ
        | diff --git a/c.txt b/c.txt
        | deleted file mode 100644
        | index f2ad6c76f0..0000000000
        | --- a/c.txt
        | +++ /dev/null
        | @@ -1 +0,0 @@
        | -c
        | diff --git a/c.txt b/c.txt
        | new file mode 120000
        | index 0000000000..8d14cbf983
        | --- /dev/null
        | +++ b/c.txt
        | @@ -0,0 +1 @@
        | +a.txt
        | \ No newline at end of file
        | # new folder mode 0755: empty
        | diff --git a/long.txt b/moved.txt
        | similarity index 100%
        | rename from long.txt
        | rename to moved.txt
        | diff --git a/run.sh b/run.sh
        | old mode 100644
        | new mode 100755
    "#,
    );
    let objects = cli.json("diff --json");
    let renamed = objects.iter().find(|object| object["change"] == "renamed").unwrap();
    let lines = |path: &str| {
        let all = cli.json("diff --json --stat");
        all.iter().find(|object| object["path"] == path).unwrap()["lines"].clone()
    };
    assert_eq!(
        (lines("binary"), lines("moved.txt")),
        (serde_json::Value::Null, serde_json::json!({"inserted": 0, "deleted": 0}))
    );
    assert_eq!((&renamed["old"]["path"], &renamed["new"]["path"]), (&"long.txt".into(), &"moved.txt".into()));
}

#[test]
fn names_that_are_not_text_are_shown_and_found() {
    let cli = Cli::with_two_steps();
    cli.write(os(b"\xff\n"), b"x\n");
    cli.check_words(&[os(b"diff"), os(b"--name-status"), os(b"--"), os(b"\xff\n")], r#"A  \xff\n"#);
    let found = &cli.json("diff --json")[0];
    assert_eq!((&found["path"], &found["path_base64"]), (&"\u{fffd}\n".into(), &"/wo=".into()));
}

#[test]
fn patches_are_exact_without_colour_and_harmless_with_it() {
    let cli = Cli::with_two_steps();
    cli.write("c.txt", b"\x1b[2J\n");
    let plain = cli.run(&["diff"]).stdout;
    assert!(plain.ends_with(b"-c\n+\x1b[2J\n"));
    let coloured = String::from_utf8(cli.run(&["diff", "--color", "always"]).stdout).unwrap();
    assert!(coloured.ends_with("\x1b[32m+\\u{1b}[2J\x1b[0m\n"), "{coloured:?}");
}

#[test]
fn patches_have_as_much_context_as_is_wanted_and_binary_contents_on_request() {
    let cli = Cli::with_two_steps();
    cli.check(
        "diff s1 s2 -U0 -- a.txt",
        "
        | diff --git a/a.txt b/a.txt
        | index 4cb29ea38f..f04eb265eb 100644
        | --- a/a.txt
        | +++ b/a.txt
        | @@ -2 +2 @@
        | -two
        | +2
    ",
    );
    cli.check(
        "diff s1 s2 --name-only",
        "
        | a.txt
        | c.txt
    ",
    );
    cli.write("binary", b"\0\x01");
    cli.remove("c.txt");
    cli.check(
        "diff --name-only",
        "
        | binary
        | c.txt
    ",
    );
    cli.check(
        "diff --binary -- binary",
        "
        | diff --git a/binary b/binary
        | new file mode 100644
        | index 0000000000000000000000000000000000000000..bdc955b7b2e610ad5a72302b139a2e6cb325519a
        | GIT binary patch
        | literal 2
        | Jc${Nk1ONa700IC2
        |
        | literal 0
        | Hc$@<O00001
        |
    ",
    );
    cli.run(&["snap"]).expect(0);
    let of_step = cli.run(&["show", "-U1", "--binary", "s2", "--", "a.txt"]);
    assert!(String::from_utf8(of_step.stdout).unwrap().contains("\n@@ -1,3 +1,3 @@\n one\n-two\n"));
    assert_eq!(cli.run(&["diff", "--name-only", "-p"]).code, 2);
}
