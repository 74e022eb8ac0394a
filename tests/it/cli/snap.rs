//! `retro snap`.

use super::Cli;

#[test]
fn the_first_snapshot_says_what_is_recorded_where() {
    let cli = Cli::new();
    cli.write("a.txt", b"a\n");
    cli.check("snap", "?");
    cli.check("snap", "?");
    cli.write("a.txt", b"aa\n");
    cli.check("snap -m message --tag v1", "?");
    cli.check("snap --allow-empty -q", "?");
    cli.check("log", "?");
}

#[test]
fn json_has_everything_and_stderr_stays_empty() {
    let cli = Cli::new();
    rustix::fs::mkfifoat(rustix::fs::CWD, cli.workspace.join("pipe"), rustix::fs::Mode::RWXU).unwrap();
    let found = &cli.json("snap --json")[0];
    assert_eq!((&found["recorded"], &found["step"], &found["run"]), (&true.into(), &1.into(), &"main".into()));
    assert_eq!(found["omitted"], serde_json::json!([{"path": "pipe", "reason": "special"}]));
    assert_eq!(cli.json("snap --json")[0]["recorded"], false);
    cli.check("snap", "?");
}

#[test]
fn events_are_kept_as_they_were_given() {
    let cli = Cli::new();
    let event = br#" { "tool" : "Bash", "input": {"command": "make \"x\""}, "n": 1.50, "exit_code": 2 } "#;
    cli.run_with(&["snap", "--event", "-"], event).expect(0);
    let shown = String::from_utf8(cli.run(&["log", "--json"]).stdout).unwrap();
    assert!(shown.contains(r#""event":{"tool":"Bash","input":{"command":"make \"x\""},"n":1.50,"exit_code":2},"#), "{shown}");
    cli.check("log", "?");
    cli.write("event.json", b"[1]");
    cli.check("snap --event event.json", "?");
    cli.write("event.json", b"{\"a\":1} x");
    cli.check("snap --event event.json", "?");
    cli.check("snap --event nowhere.json", "?");
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(8 << 20));
    cli.run_with(&["snap", "--event", "-"], long.as_bytes()).expect_text("?");
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
    cli.check("log", "?");
    cli.check("log --run nightly", "?");
    cli.check("snap --run -x", "?");
    cli.check_words(&["snap", "--run", "a b"], "?");
}

#[test]
fn bad_arguments_register_nothing() {
    let cli = Cli::new();
    cli.check("snap --tag s1", "?");
    cli.check("snap --event nowhere.json", "?");
    assert!(!cli.store.exists());
    let mut command = cli.command();
    command.current_dir(cli.home()).arg("snap");
    cli.finish(command, b"").expect_text("?");
    cli.check("-C / snap", "?");
}

#[test]
fn a_folder_inside_a_workspace_is_that_workspace() {
    let cli = Cli::with_two_steps();
    cli.check("-C dir snap -m inside", "?");
    cli.check("workspace list", "?");
}
