//! Reports of failures, and exit codes.

use std::process::Stdio;

use super::Cli;

#[test]
fn usage_errors_exit_with_2_in_words_and_in_json() {
    let cli = Cli::new();
    cli.check(
        "bogus",
        "
        | ! error: there is no verb `bogus`
        | ! hint: `retro --help` lists the verbs
        | exit 2
    ",
    );
    cli.check(
        "--json bogus",
        r#"
        | ! {"error":{"kind":"invalid","message":"unrecognized subcommand 'bogus'",
        : "hint":"`retro --help` lists the verbs","usage":"retro [OPTIONS] VERB [ARGUMENTS]"}}
        | exit 2
    "#,
    );
    cli.check(
        "pin --json",
        r#"
        | ! {"error":{"kind":"invalid","message":"the following required arguments were not provided:\n  <REV>",
        : "hint":"`retro help pin` explains the verb","usage":"retro pin --json <REV>"}}
        | exit 2
    "#,
    );
    cli.check(
        "undo 0 --json",
        r#"
        | ! {"error":{"kind":"invalid","message":"invalid value '0' for '[N]': 0 is not in 1..18446744073709551615",
        : "hint":"`retro help undo` explains the verb","usage":null}}
        | exit 2
    "#,
    );
    cli.check(
        "--json",
        r#"
        | ! {"error":{"kind":"invalid","message":"no verb is given","hint":"`retro --help` lists the verbs",
        : "usage":"retro [OPTIONS] VERB [ARGUMENTS]"}}
        | exit 2
    "#,
    );
    cli.check(
        "show --stat --patch",
        "
        | ! error: the argument '--stat' cannot be used with '--patch'
        | !
        | ! Usage: retro show --stat [REV] [PATH]...
        | !
        | ! For more information, try '--help'.
        | exit 2
    ",
    );
    cli.check("-q", "\n| ! error: no verb is given\n| ! hint: `retro --help` lists the verbs\n| exit 2\n");
    let nothing = cli.run::<&str>(&[]);
    assert_eq!((nothing.code, &nothing.stdout[..]), (2, &b""[..]));
    assert!(nothing.stderr == cli.run(&["--help"]).stdout);
}

#[test]
fn verbs_of_other_programs_are_answered_with_the_verb_that_is_meant() {
    let cli = Cli::new();
    cli.check(
        "checkout s1",
        "
        | ! error: there is no verb `checkout`
        | ! hint: `retro restore REV` restores the folder to a step, `retro restore REV PATH` one path
        | exit 2
    ",
    );
    for (verb, meant) in [
        ("revert", "retro undo"),
        ("gc", "retro stats"),
        ("snapshots", "retro log"),
        ("commit", "retro snap"),
        ("history", "retro log"),
        ("list", "retro log"),
        ("forget", "retro workspace forget"),
        ("prune", "retro stats"),
        ("branch", "retro runs"),
        ("fsck", "retro verify"),
    ] {
        let said = String::from_utf8(cli.run(&[verb]).expect(2).stderr.clone()).unwrap();
        assert!(said.contains(&format!("hint: `{meant}")) || said.contains(&format!("`{meant}")), "{verb}: {said}");
        let said: serde_json::Value = serde_json::from_slice(&cli.run(&["--json", verb]).expect(2).stderr).unwrap();
        assert!(said["error"]["hint"].as_str().unwrap().contains(meant), "{verb}: {said}");
        let said = String::from_utf8(cli.run(&["help", verb]).expect(3).stderr.clone()).unwrap();
        assert!(said.contains(meant), "help {verb}: {said}");
    }
    let said = String::from_utf8(cli.run(&["satus"]).expect(2).stderr.clone()).unwrap();
    assert!(said.contains("status"), "a slip of the keyboard keeps the parser's suggestion: {said}");
}

#[test]
fn errors_are_one_object_where_json_was_asked_for() {
    let cli = Cli::with_two_steps();
    cli.check(
        "--json show nope",
        r#"
        | ! {"error":{"kind":"not-found","message":"find snapshot nope: no snapshot, step, tag or run has that name",
        : "hint":"`retro log` lists the steps, `retro tag` the tags; for a path write `retro show @ nope`"}}
        | exit 3
    "#,
    );
    cli.check(
        "show --json ffff",
        r#"
        | ! {"error":{"kind":"not-found","message":"find snapshot ffff: no snapshot, step, tag or run has that name",
        : "hint":"`retro log` lists the steps, `retro tag` the tags"}}
        | exit 3
    "#,
    );
    cli.check(
        "tag --json s1",
        r#"
        | ! {"error":{"kind":"invalid","message":"name tag s1: it reads as a step","hint":null}}
        | exit 2
    "#,
    );
}

#[test]
fn a_closed_output_pipe_is_no_failure() {
    let cli = Cli::new();
    cli.write("large", &vec![b'x'; 4 << 20]);
    cli.run(&["snap"]).expect(0);
    for arguments in [&["cat", "@:large"][..], &["export", "--tar", "-"]] {
        let mut command = cli.command();
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]));
    }
}

#[test]
fn colour_follows_the_option_then_the_environment() {
    let cli = Cli::with_two_steps();
    let is_coloured = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = cli.command();
        command.args(arguments).envs(variables.iter().copied());
        cli.finish(command, b"").stdout.contains(&0x1b)
    };
    assert!(!is_coloured(&["log"], &[]));
    assert!(is_coloured(&["log"], &[("CLICOLOR_FORCE", "1")]));
    assert!(!is_coloured(&["log"], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    assert!(is_coloured(&["log", "--color", "always"], &[("NO_COLOR", "1")]));
    assert!(!is_coloured(&["log", "--color", "never"], &[("CLICOLOR_FORCE", "1")]));
    assert!(!is_coloured(&["log", "--json", "--color", "always"], &[]));
}

#[test]
fn damage_is_reported_and_hides_nothing_else() {
    let cli = Cli::with_two_steps();
    let disk = retrograde::disk::local::LocalDisk::open(&cli.store).unwrap();
    let store = retrograde::store::Store::open(std::sync::Arc::new(disk)).unwrap();
    let workspace = store.state().workspaces.values().next().unwrap().id;
    let snapshot = retrograde::id::SnapshotId(retrograde::id::Digest::of(b"lost"));
    let (run, cause) = (Some("main".to_owned()), retrograde::format::snapshot::Cause::Step);
    let lost = retrograde::format::facts::Fact::SnapshotTaken { workspace, snapshot, step: 3, run, cause };
    store.record(|_| Ok(vec![lost])).unwrap();
    let ran = cli.run(&["log"]);
    assert_eq!(String::from_utf8_lossy(&ran.stdout).lines().count(), 2);
    assert!(ran.stderr.starts_with(b"error: "));
    assert_eq!(ran.code, 7, "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn a_full_disk_is_a_failure() {
    let cli = Cli::with_two_steps();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = cli.command().arg("log").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(9));
    assert_eq!(output.stderr, b"error: write to standard output: no space left on device\n");
}

#[test]
fn the_store_is_found_by_option_environment_or_home() {
    let cli = Cli::new();
    let run = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = cli.command();
        command.env_remove("RETRO_STORE").args(arguments).envs(variables.iter().copied());
        cli.finish(command, b"").expect(0);
    };
    let home = cli.home();
    run(&["init"], &[]);
    assert!(home.join(".local/share/retrograde/FORMAT").exists());
    run(&["init"], &[("XDG_DATA_HOME", home.join("data").to_str().unwrap())]);
    assert!(home.join("data/retrograde/FORMAT").exists());
    run(&["init"], &[("XDG_DATA_HOME", "relative/is/ignored")]);
    run(&["init"], &[("RETRO_STORE", "by-environment")]);
    assert!(home.join("by-environment/FORMAT").exists());
    run(&["init", "--store", "../by-option"], &[("RETRO_STORE", "../by-environment-not")]);
    assert!(home.join("by-option/FORMAT").exists() && !home.join("by-environment-not").exists());
    let mut command = cli.command();
    command.env_remove("RETRO_STORE").env_remove("HOME").arg("status");
    cli.finish(command, b"").expect_text(
        "
        | ! error: find the store: neither RETRO_STORE nor HOME is set
        | ! hint: name a folder with --store
        | exit 2
    ",
    );
}

#[test]
fn a_current_folder_that_was_removed_is_known_by_its_name() {
    let cli = Cli::with_two_steps();
    std::fs::create_dir(cli.workspace.join("sub")).unwrap();
    let mut command = std::process::Command::new("/bin/sh");
    let script = format!("cd sub && rmdir ../sub && exec {} log -n 1", env!("CARGO_BIN_EXE_retro"));
    command
        .args(["-c", &script])
        .env_clear()
        .env("RETRO_STORE", &cli.store)
        .env("TZ", "UTC")
        .current_dir(&cli.workspace);
    cli.finish(command, b"").expect_text("@ s2  [short]  [time]  +1 ~1 -0  second");
}
