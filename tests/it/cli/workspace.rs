//! `retro workspace`.

use super::{Cli, os};

#[test]
fn folders_are_listed_moved_and_forgotten() {
    let cli = Cli::with_two_steps();
    cli.check("workspace list", "?");
    std::fs::rename(&cli.workspace, cli.home().join("moved")).unwrap();
    std::fs::create_dir(&cli.workspace).unwrap();
    cli.check("workspace move . ../moved", "?");
    cli.check("-C ../moved log -n 1", "?");
    cli.check("log", "?");
    cli.check("workspace forget ../moved --dry-run", "?");
    cli.check("workspace forget ../moved", "?");
    cli.check("workspace list", "?");
    cli.check("workspace forget ../moved", "?");
}

#[test]
fn ids_and_names_that_are_not_text_will_do() {
    let cli = Cli::new();
    std::fs::create_dir(cli.workspace.join(os(b"\xff"))).unwrap();
    cli.run(&[os(b"init"), os(b"\xff")]).expect(0);
    let found = &cli.json("workspace list --json")[0];
    assert!(found["root_base64"].is_string());
    cli.check_words(&[os(b"workspace"), os(b"forget"), os(b"\xff"), os(b"--dry-run")], "?");
    let digits = &found["workspace"].as_str().unwrap()[..6];
    cli.check_words(&["workspace", "forget", digits], "?");
}
