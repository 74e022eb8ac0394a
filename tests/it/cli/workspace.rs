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
    cli.check(
        "workspace forget ../moved --dry-run",
        "
        | would forget $HOME/moved: 2 steps, 1 run, 0 tags
        | nothing in the folder is touched, and nothing in the store is deleted
        | `retro workspace forget --undo [short]` takes it back
        | full ids still open its steps; that of the last is [id]
    ",
    );
    cli.run(&["workspace", "forget", "../moved"]).expect(0);
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
        | would forget $WS/\xff: 0 steps, 0 runs, 0 tags
        | nothing in the folder is touched, and nothing in the store is deleted
        | `retro workspace forget --undo [short]` takes it back
    "#,
    );
    cli.run(&[os(b"-C"), os(b"\xff"), os(b"snap"), os(b"--store"), os(b"../\xff-store")]).expect(0);
    let digits = &found["workspace"].as_str().unwrap()[..6];
    cli.run(&["workspace", "forget", digits]).expect(0);
    cli.check_words(
        &[os(b"workspace"), os(b"forget"), os(b"--undo"), os(b"\xff")],
        r#"recording $WS/\xff again, with its 0 steps"#,
    );
}

#[test]
fn forgetting_is_taken_back_with_all_that_was_there() {
    let cli = Cli::with_two_steps();
    cli.run(&["tag", "v1", "s1"]).expect(0);
    cli.run(&["pin", "s1"]).expect(0);
    let before = cli.run(&["log"]).stdout;
    let last = cli.json("log --json")[0]["snapshot"].as_str().unwrap().to_owned();
    cli.check(
        "workspace forget .",
        "
        | forgot $WS: 2 steps, 1 run, 1 tag
        | nothing in the folder is touched, and nothing in the store is deleted
        | `retro workspace forget --undo [short]` takes it back
        | full ids still open its steps; that of the last is [id]
        | so do pin [short]
    ",
    );
    assert_eq!(cli.read("c.txt"), b"c\n");
    assert_eq!(cli.run(&["cat", &format!("{last}:c.txt")]).stdout, b"c\n");
    cli.run(&["log"]).expect(3);
    cli.run(&["verify"]).expect(0);
    // Recorded anew meanwhile, the folder has another history.
    cli.run(&["snap"]).expect(0);
    let refused = cli.run(&["workspace", "forget", "--undo", "."]);
    assert_eq!(refused.code, 4, "{}", String::from_utf8_lossy(&refused.stderr));
    let id = cli.json("workspace list --json")[0]["workspace"].as_str().unwrap().to_owned();
    cli.run(&["workspace", "forget", &id]).expect(0);
    let forgotten = String::from_utf8(refused.stderr).unwrap();
    let digits = forgotten.split("recall workspace ").nth(1).unwrap()[..8].to_owned();
    cli.run(&["workspace", "forget", "--undo", &digits]).expect(0);
    assert_eq!(cli.run(&["log"]).stdout, before);
    cli.run(&["undo"]).expect(0);
    cli.run(&["workspace", "forget", "--undo", "nothing"]).expect(3);
}
