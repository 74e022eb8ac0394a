//! Messages about files of git that cannot be followed.

use super::Cli;
use crate::support::git::{Git, has_git};

const ON: &[u8] = b"[capture]\ngitignore = true\n";

#[test]
fn every_step_and_status_warn_of_a_damaged_git_index() {
    let cli = Cli::new();
    Git::init(&cli.workspace, &cli.home().join("git-home"));
    cli.write("retro.toml", ON);
    cli.write(".gitignore", b"*.log\n");
    cli.write("a.log", b"x");
    cli.write(".git/index", b"DIRC damaged");
    let said = "git's index $WS/.git/index: it is damaged (it ends early); ignored files are recorded too, \
                and tracked files in folders that are excluded by default are not";
    for step in ["s1 [short]  +3 ~0 -0  [span]", "s1 [short]  no change  [span]"] {
        let first = if step.contains("no change") {
            ""
        } else {
            "\n| ! recording $WS in $STORE (workspace [short])\n| ! excluding .git; `retro status` lists the rules"
        };
        cli.check("snap", &format!("\n| {step}\n| ! warning: {said}{first}\n"));
    }
    let status = cli.run(&["status"]);
    status.expect(0);
    let text = String::from_utf8(status.stdout).unwrap();
    assert!(
        text.lines().any(|line| line.starts_with("git ") && line.contains("it is damaged (it ends early)")),
        "{text}"
    );
    for line in ["snap --json", "status --json"] {
        let unread = &cli.json(line)[0]["git_unread"];
        assert_eq!(unread[0]["part"], "index", "{line}");
        assert_eq!(
            (&unread[0]["problem"], &unread[0]["detail"]),
            (&"damaged".into(), &"it ends early".into()),
            "{line}"
        );
        assert!(unread[0]["file"].as_str().unwrap().ends_with("/ws/.git/index"), "{line}");
    }
}

/// Nobody mends that between two steps: it is said when the folder is new, and by `status`.
#[test]
fn unknown_forms_of_git_references_are_reported_once() {
    let cli = Cli::new();
    if !has_git() {
        return;
    }
    let home = cli.home().join("git-home");
    let git = Git::really_init(&cli.workspace, &home, &[]);
    let (code, _) = git.try_run(&["init", "-q", "--ref-format=reftable", "table"], b"");
    if code != Some(0) {
        return; // Git before 2.45 has none either.
    }
    cli.write("table/a", b"x");
    let snapped = |cli: &Cli| {
        let ran = cli.run(&["-C", "table", "snap"]);
        ran.expect(0);
        String::from_utf8(ran.stderr).unwrap()
    };
    let said = "its form is not supported (reftable); steps do not record the commit and the branch";
    assert!(snapped(&cli).contains(said));
    cli.write("table/a", b"y");
    assert_eq!(snapped(&cli), "");
    assert!(String::from_utf8(cli.run(&["-C", "table", "status"]).stdout).unwrap().contains(said));
}

/// As a user who may not read what another one has made.
#[test]
fn a_repository_of_somebody_else_stops_nothing() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    const NOBODY: u32 = 65_534;
    let cli = Cli::new();
    Git::init(&cli.workspace, &cli.home().join("git-home"));
    for (path, bytes) in [("retro.toml", ON), (".gitignore", b"*.log\n"), ("a.log", b"x"), (".git/index", b"x")] {
        cli.write(path, bytes);
    }
    for path in [".git/index", ".git/config", ".git/HEAD"] {
        std::fs::set_permissions(cli.workspace.join(path), PermissionsExt::from_mode(0o000)).unwrap();
    }
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|found| std::os::unix::fs::MetadataExt::uid(&found) == 0);
    let program = cli.home().join("retro");
    std::fs::copy(cli.command().get_program(), &program).unwrap();
    let mut command = std::process::Command::new(&program);
    command.env_clear().env("HOME", cli.home()).env("RETRO_STORE", &cli.store).current_dir(&cli.workspace).arg("snap");
    if is_root {
        std::os::unix::fs::chown(cli.home(), Some(NOBODY), Some(NOBODY)).unwrap();
        command.uid(NOBODY).gid(NOBODY);
    }
    let done = command.output().unwrap();
    let text = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(0), "{text}");
    assert_eq!(text.matches("it cannot be read (permission denied)").count(), 3, "{text}");
}
