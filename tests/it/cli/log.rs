//! `retro log`.

use super::Cli;
use crate::support::terminal::on_terminal;

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
        |       a.txt       |   2 +-
        |       c.txt (new) |   1 +
        |       2 paths changed, 2 lines inserted, 1 deleted
        |   s1  [short]  [time]  +2 ~0 -0  first  [v1, pinned]
        |       a.txt (new)     |   3 +++
        |       dir/b.txt (new) |   1 +
        |       2 paths changed, 4 lines inserted, 0 deleted
    ",
    );
}

#[test]
fn paths_choose_the_steps_that_changed_them() {
    let cli = Cli::with_two_steps();
    cli.check("log -- dir", "  s1  [short]  [time]  +1 ~0 -0  first");
    cli.check(
        "-C dir log -- b.txt ../c.txt",
        "
        | @ s2  [short]  [time]  +1 ~0 -0  second
        |   s1  [short]  [time]  +1 ~0 -0  first
    ",
    );
    cli.check("log @ c.txt", "@ s2  [short]  [time]  +1 ~0 -0  second");
    assert_eq!(cli.json("log --json -- a.txt").iter().map(|step| step["added"].as_u64()).sum::<Option<u64>>(), Some(1));
    cli.check(
        "log -- ../elsewhere",
        "
        | ! error: find ../elsewhere: it is outside of the folder $WS
        | exit 2
    ",
    );
    cli.check(
        "log --stat -- c.txt",
        "
        | @ s2  [short]  [time]  +1 ~0 -0  second
        |       c.txt (new) |   1 +
        |       1 path changed, 1 line inserted, 0 deleted
    ",
    );
}

#[test]
fn a_filter_that_matches_nothing_is_reported() {
    let cli = Cli::with_two_steps();
    cli.check(
        "log -- typo",
        "
        | ! error: list steps of typo: none of these steps changed it, and the folder has no such path
        | ! hint: `retro log --name-status` lists the paths that each step changed
        | exit 3
    ",
    );
    cli.check(
        "log -- dir/c.txt",
        "
        | ! error: list steps of dir/c.txt: none of these steps changed it, and the folder has no such path
        | ! hint: did you mean `dir/b.txt`?
        | exit 3
    ",
    );
    cli.check(
        "log -- c.txt typo",
        "
        | @ s2  [short]  [time]  +1 ~0 -0  second
        | ! no step changed typo
    ",
    );
    cli.check("log -q -- c.txt typo", "@ s2  [short]  [time]  +1 ~0 -0  second");
    cli.write("new.txt", b"new\n");
    cli.check("log -- new.txt", "! no step changed new.txt");
    cli.check("log --json -- new.txt", "");
    cli.check("log -- *.zip", "! no step changed *.zip");
    cli.check(
        "log --run nobody",
        "
        | ! error: find run nobody: the workspace has no run of that name
        | ! hint: `retro runs` lists the runs
        | exit 3
    ",
    );
    cli.check(
        "log --run mian --json",
        r#"
        | ! {"error":{"kind":"not-found","message":"find run mian: the workspace has no run of that name",
        : "hint":"did you mean `main`? `retro runs` lists the runs"}}
        | exit 3
    "#,
    );
    cli.check(
        "log a.txt",
        "
        | ! error: find snapshot a.txt: no snapshot, step, tag or run has that name
        | ! hint: `a.txt` is a path: `retro log -- a.txt`
        | exit 3
    ",
    );
    cli.run(&["tag", "release", "s1"]).expect(0);
    cli.check(
        "log relaese",
        "
        | ! error: find snapshot relaese: no snapshot, step, tag or run has that name
        | ! hint: did you mean `release`?
        | exit 3
    ",
    );
}

#[test]
fn patterns_choose_paths_as_names_do() {
    let cli = Cli::with_two_steps();
    cli.check(
        "log -- *.txt",
        "
        | @ s2  [short]  [time]  +1 ~1 -0  second
        |   s1  [short]  [time]  +2 ~0 -0  first
    ",
    );
    cli.check("log -- ./c*", "@ s2  [short]  [time]  +1 ~0 -0  second");
    cli.check("-C dir log -- *.txt", "  s1  [short]  [time]  +1 ~0 -0  first");
    cli.check("log --oneline @ **/b*", "  s1  [short]  first");
    // The path with exactly this name is meant, and no path that the pattern matches.
    cli.write("*.txt", b"star\n");
    cli.run(&["snap", "-m", "star"]).expect(0);
    cli.check("log -- *.txt", "@ s3  [short]  [time]  +1 ~0 -0  star");
}

#[test]
fn times_choose_steps() {
    let cli = Cli::with_two_steps();
    let both = cli.run(&["log"]).stdout;
    assert!(cli.run(&["log", "--since", "1 hour ago"]).stdout == both);
    assert!(cli.run(&["log", "--since", "@{1 hour ago}", "--until", "now"]).stdout == both);
    cli.check("log --until yesterday", "! no step matches");
    cli.check(
        "log --since soon",
        "
        | ! error: read --since soon: it is not a time
        | ! hint: write '[age]', yesterday, '2026-11-20 10:30' or 2026-11-20T10:30:00Z
        | exit 2
    ",
    );
}

#[test]
fn more_or_less_of_each_step_is_shown() {
    let cli = Cli::with_two_steps();
    cli.check(
        "log --oneline",
        "
        | @ s2  [short]  second
        |   s1  [short]  first
    ",
    );
    cli.check(
        "log --name-status",
        "
        | @ s2  [short]  [time]  +1 ~1 -0  second
        |       M  a.txt
        |       A  c.txt
        |   s1  [short]  [time]  +2 ~0 -0  first
        |       A  a.txt
        |       A  dir/b.txt
    ",
    );
    cli.check(
        "log --oneline -p -- c.txt",
        "
        | @ s2  [short]  second
        |
        | diff --git a/c.txt b/c.txt
        | new file mode 100644
        | index 0000000000..f2ad6c76f0
        | --- /dev/null
        | +++ b/c.txt
        | @@ -0,0 +1 @@
        | +c
        |
    ",
    );
    let steps = cli.json("log --json --stat");
    assert_eq!(steps[0]["changes"][0]["lines"], serde_json::json!({"inserted": 1, "deleted": 1}));
    assert_eq!(cli.json("log --json")[0].get("changes"), None);
}

#[test]
fn a_terminal_gets_the_newest_steps_and_the_number_of_the_others() {
    let cli = Cli::with_two_steps();
    for number in 3..=33 {
        cli.run(&["snap", "--allow-empty", "-m", &format!("number {number}")]).expect(0);
    }
    let printed = |arguments: &[&str]| {
        let mut command = cli.command();
        command.args(arguments).args(["--color", "never"]);
        let (printed, code) = on_terminal(command);
        assert_eq!(code, Some(0), "{printed}");
        printed
    };
    let shown = printed(&["log"]);
    assert_eq!(shown.lines().count(), 31, "{shown}");
    assert!(shown.contains("number 33") && !shown.contains("number 3\n"), "{shown}");
    assert!(shown.ends_with("\n3 older steps: -n 0 lists all\n"), "{shown}");
    assert!(printed(&["log", "--run", "main"]).ends_with("\nthere are older steps: -n 0 lists all\n"));
    assert_eq!(printed(&["log", "-q"]).lines().count(), 30);
    assert_eq!(printed(&["log", "-n", "0"]).lines().count(), 33);
    assert_eq!(printed(&["log", "-n", "2"]).lines().count(), 2, "who says how many knows that there may be more");
    assert_eq!(printed(&["log", "--json"]).lines().count(), 33);
    assert_eq!(cli.run(&["log"]).stdout.split(|&byte| byte == b'\n').count(), 34, "a pipe gets all");
}

#[test]
fn emptied_and_deleted_files_are_distinguished() {
    let cli = Cli::with_two_steps();
    cli.write("c.txt", b"");
    cli.remove("a.txt");
    cli.run(&["snap", "-m", "less"]).expect(0);
    cli.check(
        "log -n 1 --stat",
        "
        | @ s3  [short]  [time]  +0 ~1 -1  less
        |       a.txt (deleted) |   3 ---
        |       c.txt           |   1 -
        |       2 paths changed, 0 lines inserted, 4 deleted
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
        | │       other.txt (new) |   1 +
        | │       1 path changed, 1 line inserted, 0 deleted
        | │ ○ s2  [short]  [time]  +1 ~1 -0  second
        | ├─╯       a.txt       |   2 +-
        | │         c.txt (new) |   1 +
        | │         2 paths changed, 2 lines inserted, 1 deleted
        | ○ s1  [short]  [time]  +2 ~0 -0  first
        |         a.txt (new)     |   3 +++
        |         dir/b.txt (new) |   1 +
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
