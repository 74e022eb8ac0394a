//! `retro workspace`.

use super::{Cli, os};

#[test]
fn folders_are_listed_moved_and_forgotten() {
    let cli = Cli::with_two_steps();
    cli.check("workspace list", "[short]       2 steps  [age]  $WS");
    cli.rename("../ws", "../moved");
    std::fs::create_dir(&cli.workspace).unwrap();
    cli.check("workspace move . ../moved", "workspace [short] is at $HOME/moved");
    cli.check("-C ../moved log -n 1", "@ s2  [short]  [time]  +1 ~1 -0  second");
    cli.check(
        "log",
        "
        | ! error: find workspace of $WS: no recorded folder contains it
        | ! hint: `retro snap` records this folder; `retro workspace list` shows the recorded ones
        | exit 3
    ",
    );
    cli.check("workspace forget ../moved --dry-run", "would forget $HOME/moved and its 2 snapshots");
    cli.check("workspace forget ../moved", "forgot $HOME/moved and its 2 snapshots");
    cli.check("workspace list", "");
    cli.check(
        "workspace forget ../moved",
        "
        | ! error: find workspace ../moved: no recorded folder has this path or id
        | ! hint: `retro workspace list` shows the recorded ones
        | exit 3
    ",
    );
}

#[test]
fn ids_and_names_that_are_not_text_will_do() {
    let cli = Cli::new();
    std::fs::create_dir(cli.workspace.join(os(b"\xff"))).unwrap();
    cli.run(&[os(b"init"), os(b"\xff")]).expect(0);
    let found = &cli.json("workspace list --json")[0];
    assert!(found["root_base64"].is_string());
    cli.check_words(
        &[os(b"workspace"), os(b"forget"), os(b"\xff"), os(b"--dry-run")],
        r#"
        | would forget $WS/\xff and its 0 snapshots
    "#,
    );
    cli.run(&[os(b"-C"), os(b"\xff"), os(b"snap"), os(b"--store"), os(b"\xff-store")]).expect(0);
    let digits = &found["workspace"].as_str().unwrap()[..6];
    cli.check_words(&["workspace", "forget", digits], r#"forgot $WS/\xff and its 0 snapshots"#);
}
