//! `retro status`.

use super::Cli;

#[test]
fn status_lists_changes_and_excluded_paths() {
    let cli = Cli::with_two_steps();
    cli.write("a.txt", b"changed\n");
    cli.write("__pycache__/built.o", b"x");
    rustix::fs::mkfifoat(rustix::fs::CWD, cli.workspace.join("pipe"), rustix::fs::Mode::RWXU).unwrap();
    cli.remove("c.txt");
    cli.check(
        "status",
        "
        | workspace  $WS  ([short])
        | store      $STORE  ([size])
        | last step  s2 [short]  [age]  second
        | content    2 files, 10 B
        | rules      [built-in]
        | excluded   __pycache__
        | omitted    1 path that cannot be recorded, or not exactly
        |   special     pipe
        | changed    2 paths since s2
        |   M  a.txt
        |   D  c.txt
    ",
    );
}

#[test]
fn long_lists_are_cut() {
    let cli = Cli::with_two_steps();
    (0..25).for_each(|number| cli.write(format!("new-{number:02}"), b"x"));
    let shown = String::from_utf8(cli.run(&["status"]).stdout).unwrap();
    assert!(shown.ends_with("  A  new-19\n  ... and 5 more\n"), "{shown}");
    assert_eq!(cli.json("status --json")[0]["changes"].as_array().map(Vec::len), Some(25));
}

#[test]
fn without_a_store_or_workspace_it_says_what_to_do_and_creates_nothing() {
    let cli = Cli::new();
    cli.check(
        "status",
        "
        | ! error: open store $STORE: there is no store here
        | ! hint: `retro snap` in a folder creates it; --store or RETRO_STORE name another
        | exit 3
    ",
    );
    assert!(!cli.store.exists());
    cli.run(&["init"]).expect(0);
    let mut command = cli.command();
    command.current_dir(cli.home()).arg("status");
    cli.finish(command, b"").expect_text(
        "
        | ! error: find workspace of $HOME: no recorded folder contains it
        | ! hint: `retro snap` records this folder; `retro workspace list` shows the recorded ones
        | exit 3
    ",
    );
    cli.check(
        "status",
        "
        | workspace  $WS  ([short])
        | store      $STORE  ([size])
        | last step  none yet; `retro snap` takes one
        | content    0 files, 0 B
        | rules      [built-in]
        | changed    nothing in the folder
    ",
    );
}

#[test]
fn settings_come_from_the_workspace_or_a_named_file() {
    let cli = Cli::with_two_steps();
    cli.write("retro.toml", b"[capture]\nexclude = [\"*.log\"]\n");
    cli.write("../store/config.toml", b"[retention]\nbudget_bytes = \"1 GB\"\n");
    cli.write("x.log", b"x");
    cli.check(
        "status",
        "
        | workspace  $WS  ([short])
        | store      $STORE  ([size] of 1.0 GB)
        | last step  s2 [short]  [age]  second
        | content    4 files, 46 B
        | rules      [built-in] *.log
        | excluded   x.log (excluded in the settings)
        | changed    1 path since s2
        |   A  retro.toml
        |   note: the rules changed
    ",
    );
    cli.write("named.toml", b"[capture]\nexlude = []\n");
    cli.check(
        "status --config named.toml",
        "
        | ! error: read configuration $WS/named.toml: `capture.exlude` is not a setting
        | exit 2
    ",
    );
    cli.check(
        "status --config nowhere.toml",
        "
        | ! error: read configuration $WS/nowhere.toml: no such file or directory
        | exit 3
    ",
    );
}

/// One line of an agent's can end the recording of everything; nobody overlooks that.
#[test]
fn status_keeps_warning_of_paths_that_are_recorded_no_longer() {
    let cli = Cli::with_two_steps();
    cli.write("retro.toml", b"[capture]\nexclude = [\"*\"]\n");
    cli.check(
        "snap",
        "
        | s3 [short]  +1 ~0 -3  [span]
        | ! note: the rules changed and exclude 3 recorded paths still in the folder
    ",
    );
    cli.write("retro.toml", b"[capture]\nexclude = [\"*\", \"more\"]\n");
    cli.check(
        "snap",
        "
        | s4 [short]  +0 ~1 -0  [span]
        | ! note: the rules changed
    ",
    );
    cli.check(
        "status",
        "
        | workspace  $WS  ([short])
        | store      $STORE  ([size])
        | last step  s4 [short]  [age]
        | content    1 file, 34 B
        | rules      [built-in] *
        |  more
        | excluded   a.txt (excluded in the settings), c.txt (excluded in the settings), dir (excluded in the settings)
        | dropped    3 paths of s2 still in the folder: excluded by the rules, no longer recorded
        | changed    nothing since s4
    ",
    );
    let log = String::from_utf8(cli.run(&["log"]).stdout).unwrap();
    let marked: Vec<&str> = log.lines().filter(|line| line.ends_with("  [excludes 3 recorded paths]")).collect();
    assert!(marked.len() == 1 && marked[0].starts_with("  s3 "), "{log}");
    for (step, expected) in [("s2", None), ("s3", Some("changed; exclude 3 paths of s2 still in the folder"))] {
        let shown = String::from_utf8(cli.run(&["show", step]).stdout).unwrap();
        let found = shown.lines().find_map(|line| line.strip_prefix("rules     "));
        assert_eq!(found, expected, "{step}");
    }
}

#[test]
fn one_excluded_path_is_said_in_the_singular() {
    let cli = Cli::with_two_steps();
    cli.write("retro.toml", b"[capture]\nexclude = [\"a.txt\"]\n");
    cli.run(&["snap"]).expect(0);
    let lines = |verb: &[&str]| String::from_utf8(cli.run(verb).stdout).unwrap();
    assert!(lines(&["show"]).contains("\nrules     changed; exclude 1 path of s2 still in the folder\n"));
    let dropped = "\ndropped    1 path of s2 still in the folder: excluded by the rules, no longer recorded\n";
    assert!(lines(&["status"]).contains(dropped));
}
