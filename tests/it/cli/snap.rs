//! `retro snap`.

use super::Cli;

#[test]
fn the_first_snapshot_says_what_is_recorded_where() {
    let cli = Cli::new();
    cli.write("a.txt", b"a\n");
    cli.check(
        "snap",
        "
        | s1 [short]  +1 ~0 -0  [span]
        | ! recording $WS in $STORE (workspace [short])
        | ! leaving out [built-in]
    ",
    );
    cli.check("snap", "s1 [short]  no change  [span]");
    cli.write("a.txt", b"aa\n");
    cli.check("snap -m message --tag v1", "s2 [short]  +0 ~1 -0  [span]");
    cli.check("snap --allow-empty -q", "");
    cli.check(
        "log",
        "
        | @ s3  [short]  [time]  +0 ~0 -0
        |   s2  [short]  [time]  +0 ~1 -0  message  [v1]
        |   s1  [short]  [time]  +1 ~0 -0
    ",
    );
}

#[test]
fn json_has_everything_and_stderr_stays_empty() {
    let cli = Cli::new();
    rustix::fs::mkfifoat(rustix::fs::CWD, cli.workspace.join("pipe"), rustix::fs::Mode::RWXU).unwrap();
    let found = &cli.json("snap --json")[0];
    assert_eq!((&found["recorded"], &found["step"], &found["run"]), (&true.into(), &1.into(), &"main".into()));
    assert_eq!(found["omitted"], serde_json::json!([{"path": "pipe", "reason": "special"}]));
    assert_eq!(cli.json("snap --json")[0]["recorded"], false);
    cli.check("snap", "s1 [short]  no change  (1 omitted)  [span]");
}

#[test]
fn events_are_kept_as_they_were_given() {
    let cli = Cli::new();
    let event = br#" { "tool" : "Bash", "input": {"command": "make \"x\""}, "n": 1.50, "exit_code": 2 } "#;
    cli.run_with(&["snap", "--event", "-"], event).expect(0);
    let shown = String::from_utf8(cli.run(&["log", "--json"]).stdout).unwrap();
    assert!(
        shown.contains(r#""event":{"tool":"Bash","input":{"command":"make \"x\""},"n":1.50,"exit_code":2},"#),
        "{shown}"
    );
    cli.check("log", r#"@ s1  [short]  [time]  +0 ~0 -0  Bash: make "x" (exit 2)"#);
    cli.write("event.json", b"[1]");
    cli.check(
        "snap --event event.json",
        r#"
        | ! error: read event from $WS/event.json: it is not a JSON object
        | ! hint: an event is one JSON object, such as {"tool":"Bash","input":"make","exit_code":2}
        | exit 2
    "#,
    );
    cli.write("event.json", b"{\"a\":1} x");
    cli.check(
        "snap --event event.json",
        r#"
        | ! error: read event from $WS/event.json: it is not JSON: trailing characters at line 1 column 9
        | ! hint: an event is one JSON object, such as {"tool":"Bash","input":"make","exit_code":2}
        | exit 2
    "#,
    );
    cli.check(
        "snap --event nowhere.json",
        "
        | ! error: read event from $WS/nowhere.json: no such file or directory
        | exit 3
    ",
    );
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(8 << 20));
    cli.run_with(&["snap", "--event", "-"], long.as_bytes()).expect_text(
        "
        | ! error: read event from standard input: it is longer than 8388608 bytes
        | exit 6
    ",
    );
}

#[test]
fn the_run_comes_from_the_option_then_the_environment() {
    let cli = Cli::new();
    let run = |arguments: &[&str]| {
        let mut command = cli.command();
        command.env("RETRO_RUN", "nightly").args(arguments);
        cli.finish(command, b"")
    };
    run(&["snap"]).expect(0);
    run(&["snap", "--allow-empty", "--run", "other"]).expect(0);
    cli.run(&["snap", "--allow-empty"]).expect(0);
    cli.check(
        "log",
        "
        | @ s3  [short]  [time]  +0 ~0 -0  main
        |   s2  [short]  [time]  +0 ~0 -0  other
        |   s1  [short]  [time]  +0 ~0 -0  nightly
    ",
    );
    cli.check("log --run nightly", "  s1  [short]  [time]  +0 ~0 -0");
    cli.check(
        "snap --run -x",
        "
        | ! error: unexpected argument '-x' found
        | !
        | ! Usage: retro snap [OPTIONS]
        | !
        | ! For more information, try '--help'.
        | exit 2
    ",
    );
    cli.check_words(
        &["snap", "--run", "a b"],
        "
        | ! error: name run a b: a name has white space or control characters in it
        | exit 2
    ",
    );
}

#[test]
fn bad_arguments_register_nothing() {
    let cli = Cli::new();
    cli.check(
        "snap --tag s1",
        "
        | ! error: name tag s1: it reads as a step
        | exit 2
    ",
    );
    cli.check(
        "snap --event nowhere.json",
        "
        | ! error: read event from $WS/nowhere.json: no such file or directory
        | exit 3
    ",
    );
    assert!(!cli.store.exists());
    let mut command = cli.command();
    command.current_dir(cli.home()).arg("snap");
    cli.finish(command, b"").expect_text(
        "
        | ! error: record $HOME: it is your home folder
        | ! hint: name a project folder with -C, or insist with --force
        | exit 2
    ",
    );
    cli.check(
        "-C / snap",
        "
        | ! error: record /: it is the root of the file system
        | ! hint: name a project folder with -C, or insist with --force
        | exit 2
    ",
    );
}

#[test]
fn a_folder_inside_a_workspace_is_that_workspace() {
    let cli = Cli::with_two_steps();
    cli.check("-C dir snap -m inside", "s3 [short]  +0 ~0 -0  [span]");
    cli.check("workspace list", "[short]       3 steps  [age]  $WS");
}

#[test]
#[cfg(feature = "git")]
fn what_git_ignores_is_left_out_where_that_is_asked_for() {
    let cli = Cli::with_two_steps();
    cli.write(".gitignore", b"*.txt\n!a.txt\n");
    cli.write("retro.toml", b"[capture]\ngitignore = true\n");
    cli.check(
        "status",
        "
        | workspace  $WS  ([short])
        | store      $STORE  ([size])
        | last step  s2 [short]  [age]  second
        | content    3 files, 52 B
        | excludes   [built-in]
        |  ~ .gitignore
        | left out   c.txt, dir/b.txt
        | changed    4 paths since s2
        |   A  .gitignore
        |   D  c.txt
        |   D  dir/b.txt
        |   A  retro.toml
        |   note: 2 deleted paths are still in the folder; the rules leave them out now
    ",
    );
    cli.check(
        "snap",
        "
        | s3 [short]  +2 ~0 -2  [span]
        | ! note: 2 deleted paths are still in the folder; the rules leave them out now
    ",
    );
    cli.check("snap", "s3 [short]  no change  [span]");
    let status = &cli.json("status --json")[0];
    assert_eq!(status["excluded"], serde_json::json!([{"path": "c.txt"}, {"path": "dir/b.txt"}]));
    assert!(status["rules"].as_array().is_some_and(|rules| rules.contains(&"~ .gitignore".into())));
    assert_eq!((&status["left_out"], &cli.json("show --json")[0]["rules"]), (&0.into(), &status["rules"]));
    let fresh = Cli::new();
    fresh.write("retro.toml", b"[capture]\ngitignore = true\n");
    fresh.check(
        "snap",
        "
        | s1 [short]  +1 ~0 -0  [span]
        | ! recording $WS in $STORE (workspace [short])
        | ! leaving out [built-in]
        | ! what .gitignore files name is left out too, as retro.toml says
    ",
    );
}
