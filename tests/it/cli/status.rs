//! `retro status`.

use super::Cli;

#[test]
fn it_says_what_changed_and_what_is_left_out() {
    let cli = Cli::with_two_steps();
    cli.write("a.txt", b"changed\n");
    cli.write("target/built.o", b"x");
    rustix::fs::mkfifoat(rustix::fs::CWD, cli.workspace.join("pipe"), rustix::fs::Mode::RWXU).unwrap();
    cli.remove("c.txt");
    cli.check("status", "?");
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
fn a_restore_that_was_cut_off_is_announced() {
    use retrograde::format::facts::{Fact, Restore, RestoreCause};
    use retrograde::time::Timestamp;

    let cli = Cli::with_two_steps();
    let disk = retrograde::disk::local::LocalDisk::open(&cli.store).unwrap();
    let store = retrograde::store::Store::open(std::sync::Arc::new(disk)).unwrap();
    let state = store.state();
    let found = state.workspaces.values().next().unwrap();
    let (workspace, before, target) = (found.id, found.head, found.steps[&1]);
    let cause = RestoreCause::Restore;
    let begun = Restore { workspace, before, target, paths: Vec::new(), cause, time: Timestamp(0) };
    store.record(|_| Ok(vec![Fact::RestoreBegun(begun)])).unwrap();
    cli.check("status", "?");
    assert_eq!(cli.json("status --json")[0]["unfinished_restore"]["target"], target.to_string());
    cli.check("snap", "?");
    cli.check("restore s1", "?");
    cli.check("status", "?");
}

#[test]
fn without_a_store_or_workspace_it_says_what_to_do_and_creates_nothing() {
    let cli = Cli::new();
    cli.check("status", "?");
    assert!(!cli.store.exists());
    cli.run(&["init"]).expect(0);
    let mut command = cli.command();
    command.current_dir(cli.home()).arg("status");
    cli.finish(command, b"").expect_text("?");
    cli.check("status", "?");
}

#[test]
fn settings_come_from_the_workspace_or_a_named_file() {
    let cli = Cli::with_two_steps();
    cli.write("retro.toml", b"[capture]\nexclude = [\"*.log\"]\n[retention]\nbudget_bytes = \"1 GB\"\n");
    cli.write("x.log", b"x");
    cli.check("status", "?");
    cli.write("retro.toml", b"[capture]\nexlude = []\n");
    cli.check("status", "?");
    cli.check("status --config nowhere.toml", "?");
}
