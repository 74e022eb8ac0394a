//! `retro snap`.

use std::ffi::OsStr;

use super::{Cli, os};

#[test]
fn the_first_snapshot_says_what_is_recorded_where() {
    let cli = Cli::new();
    cli.write("a.txt", b"a\n");
    cli.check(
        "snap",
        "
        | s1 [short]  +1 ~0 -0  [span]
        | ! recording $WS in $STORE (workspace [short])
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
}

/// S4: a recorder that refuses a step because of what is said about it loses the step.
#[test]
#[expect(clippy::too_many_lines, reason = "one session, in the order of its commands")]
fn a_step_is_recorded_even_with_an_unusable_message_or_event() {
    let cli = Cli::new();
    let mut step = 0;
    let mut records = |arguments: &[&OsStr], input: &[u8], wanted: &str| {
        step += 1;
        cli.write("a.txt", format!("{step}\n").as_bytes());
        let all = [&[OsStr::new("snap")], arguments].concat();
        let ran = cli.run_with(&all, input);
        let counts = if step == 1 { "+1 ~0 -0" } else { "+0 ~1 -0" };
        let shown = String::from_utf8_lossy(&ran.stderr);
        let shown: String = shown.lines().filter(|line| line.starts_with("warning")).collect();
        assert_eq!((ran.code, shown.as_str()), (0, wanted), "{arguments:?}");
        assert!(String::from_utf8_lossy(&ran.stdout).contains(counts));
        let shown = &cli.json("show --json")[0];
        (shown["event"].clone(), shown["run"].clone(), shown["message"].as_str().unwrap_or_default().len())
    };
    let event: Vec<&OsStr> = ["--event", "-"].map(OsStr::new).into();
    let replaced = "warning: the event has characters that cannot be recorded; they are replaced";
    let (kept, ..) = records(&event, br#"{"tool":"caf\ud83d"}"#, replaced);
    assert_eq!(kept, serde_json::json!({"tool": "caf\u{fffd}"}));
    let (kept, ..) = records(&event, b"{\"tool\":\"\xff\"}", replaced);
    assert_eq!(kept, serde_json::json!({"tool": "\u{fffd}"}));
    let (kept, ..) =
        records(&event, b"[1]", "warning: the event is not a JSON object; it is recorded under \"retro:unparsed\"");
    assert_eq!(kept, serde_json::json!({"retro:unparsed": [1]}));
    let unparsed = "warning: the event is not JSON (EOF while parsing a string at line 1 column 8); \
                    it is recorded as text under \"retro:unparsed\"";
    let (kept, ..) = records(&event, b"{\"tool\":", &unparsed.replace("string", "value"));
    assert_eq!(kept, serde_json::json!({"retro:unparsed": "{\"tool\":"}));
    let (kept, ..) = records(&event, b"", "warning: the event is empty; the step is recorded without one");
    assert_eq!(kept, serde_json::Value::Null);
    let deep = ["[".repeat(100_000), "]".repeat(100_000)].concat();
    cli.write("deep.json", format!("{{\"tool\":{deep}}}").as_bytes());
    for line in ["snap --event deep.json", "show", "log", "log --json"] {
        cli.run(&line.split(' ').collect::<Vec<_>>()).expect(0);
    }
    let nowhere = ["--event", "nowhere.json"].map(OsStr::new);
    let ws = cli.workspace.display();
    let missing = "no such file or directory; the step is recorded without an event";
    records(&nowhere, b"", &format!("warning: read event from {ws}/nowhere.json: {missing}"));
    let folder = "is a directory; the step is recorded without an event";
    records(&["--event", "."].map(OsStr::new), b"", &format!("warning: read event from {ws}: {folder}"));
    let message = "x ".repeat(32_769);
    let (_, _, length) = records(
        &[OsStr::new("-m"), OsStr::new(&message)],
        b"",
        "warning: the message is too long (66 kB); its end is cut off",
    );
    assert_eq!(length, 65_536);
    let broken = "warning: the message has characters that cannot be recorded; they are replaced";
    records(&[OsStr::new("-m"), os(b"- \xff")], b"", broken);
    let (_, run, _) = records(
        &["--run", ""].map(OsStr::new),
        b"",
        "warning: \"\" is not a valid name of a run; the step is recorded in run main",
    );
    assert_eq!(run, "main");
    let (_, run, _) = records(
        &["--run", "-a b"].map(OsStr::new),
        b"",
        "warning: \"-a b\" is not a valid name of a run; the step is recorded in run a-b",
    );
    assert_eq!(run, "a-b");
    cli.write("a.txt", b"last\n");
    let mut command = cli.command();
    let ran = cli.finish(
        {
            command.args(["snap", "--json", "--run", "", "--event", "-"]);
            command
        },
        b"7",
    );
    let shown: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!((ran.code, &ran.stderr[..], &shown["recorded"]), (0, &b""[..], &true.into()));
    assert_eq!(shown["warnings"].as_array().map(Vec::len), Some(2), "{shown}");
}

#[test]
fn a_tag_that_cannot_be_given_does_not_keep_the_step_from_being_recorded() {
    let cli = Cli::with_two_steps();
    cli.run(&["tag", "v1", "s1"]).expect(0);
    cli.write("a.txt", b"new\n");
    cli.check(
        "snap --tag v1",
        "
        | s3 [short]  +0 ~1 -0  [span]
        | ! error: tag v1: it names snapshot [short] already
        | ! hint: s3 is recorded without the tag; `retro tag NAME s3` adds one, with --force it moves the tag
        | exit 4
    ",
    );
    assert_eq!(cli.json("show --json v1")[0]["step"], 1);
    cli.write("a.txt", b"newer\n");
    cli.check(
        "snap --tag s1",
        "
        | s4 [short]  +0 ~1 -0  [span]
        | ! error: name tag s1: it reads as a step
        | ! hint: s4 is recorded without the tag; `retro tag NAME s4` adds one
        | exit 2
    ",
    );
    let ran = cli.run(&["snap", "--json", "--tag", "v1"]);
    assert_eq!(ran.code, 4);
    assert!(ran.stdout.starts_with(b"{\"version\":1,") && ran.stderr.starts_with(b"{\"error\":"));
    cli.check("snap --tag v4", "s4 [short]  no change  [span]");
    cli.check("snap --tag v4", "s4 [short]  no change  [span]");
    assert_eq!(cli.json("show --json v4")[0]["step"], 4);
}

#[test]
fn the_event_of_a_call_that_changed_nothing_is_kept_with_the_step_before() {
    let cli = Cli::with_two_steps();
    let noted = "s2 [short]  no change; the event is kept with this step  [span]";
    let snap = |input: &[u8]| cli.run_with(&["snap", "--event", "-", "--run", "r1"], input);
    snap(br#"{"tool":"Bash","input":"ls -la"}"#).expect_text(noted);
    snap(br#"{"tool":"Read","input":"a.txt"}"#).expect_text(noted);
    cli.check(
        "log",
        "
        | @ s2  [short]  [time]  +1 ~1 -0  second  (2 later calls changed nothing)
        |   s1  [short]  [time]  +2 ~0 -0  first
    ",
    );
    let shown = String::from_utf8(cli.run(&["show"]).stdout).unwrap();
    let calls: Vec<&str> = shown.lines().skip_while(|line| !line.starts_with("calls")).collect();
    assert_eq!(calls[0], "calls     2 calls that followed changed nothing");
    assert!(calls[1].ends_with("  Bash: ls -la") && calls[2].ends_with("  Read: a.txt"), "{calls:?}");
    let shown = &cli.json("show --json")[0];
    assert_eq!((&shown["call_count"], &shown["calls"][1]["run"]), (&2.into(), &"r1".into()));
    assert_eq!(shown["calls"][0]["event"], serde_json::json!({"tool": "Bash", "input": "ls -la"}));
    assert_eq!(cli.json("log --json")[0]["call_count"], 2);
    let ran = cli.run_with(&["snap", "--event", "-", "--json"], b"{}");
    let outcome: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!((&outcome["recorded"], &outcome["event_kept"]), (&false.into(), &true.into()));
    // A step with a message is taken even if nothing has changed.
    cli.run_with(&["snap", "--event", "-", "-m", "said"], b"{}").expect_text("s3 [short]  +0 ~0 -0  [span]");
    cli.run_with(&["snap", "--event", "-", "--allow-empty"], b"{}").expect_text("s4 [short]  +0 ~0 -0  [span]");
    cli.run(&["verify"]).expect(0);
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
}

#[test]
fn bad_arguments_register_nothing() {
    let cli = Cli::new();
    cli.run(&["snap", "--nope"]).expect(2);
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
fn ignored_paths_are_excluded_if_the_setting_says_so() {
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
        | rules      [built-in]
        |  ~ .gitignore
        | excluded   c.txt (git ignores it), dir/b.txt (git ignores it)
        | changed    4 paths since s2
        |   A  .gitignore
        |   D  c.txt
        |   D  dir/b.txt
        |   A  retro.toml
        |   note: the rules changed and exclude 2 recorded paths still in the folder
    ",
    );
    cli.check(
        "snap",
        "
        | s3 [short]  +2 ~0 -2  [span]
        | ! note: the rules changed and exclude 2 recorded paths still in the folder
    ",
    );
    cli.check("snap", "s3 [short]  no change  [span]");
    let status = &cli.json("status --json")[0];
    assert_eq!(
        status["excluded"],
        serde_json::json!(["c.txt", "dir/b.txt"].map(|path| serde_json::json!({
            "path": path, "reason": "ignored", "evidence": null
        })))
    );
    assert!(status["rules"].as_array().is_some_and(|rules| rules.contains(&"~ .gitignore".into())));
    assert_eq!((&status["newly_dropped"], &cli.json("show --json")[0]["rules"]), (&0.into(), &status["rules"]));
    let fresh = Cli::new();
    fresh.write("retro.toml", b"[capture]\ngitignore = true\n");
    fresh.check(
        "snap",
        "
        | s1 [short]  +1 ~0 -0  [span]
        | ! recording $WS in $STORE (workspace [short])
    ",
    );
}
