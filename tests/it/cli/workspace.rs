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
        | `retro workspace forget --undo [short]` records it again
        | full ids still open its steps; the id of the last is [id]
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
        | `retro workspace forget --undo [short]` records it again
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
fn a_forgotten_workspace_comes_back_with_all_its_steps() {
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
        | `retro workspace forget --undo [short]` records it again
        | full ids still open its steps; the id of the last is [id]
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

/// A folder that was moved is known by what it is.
#[test]
fn a_moved_folder_is_recognised_and_adopted() {
    let cli = Cli::with_two_steps();
    cli.rename("../ws", "../moved");
    std::fs::create_dir(&cli.workspace).unwrap();
    let at_moved = |line: &[&str]| cli.run(&[&["-C", "../moved"], line].concat());
    let unknown = at_moved(&["log"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("retro workspace move"), "log says what to do");
    cli.write("../moved/d.txt", b"d\n");
    at_moved(&["snap", "--adopt"]).expect(0);
    assert_eq!(cli.json("-C ../moved log --json").len(), 3);
    assert_eq!(cli.json("workspace list --json").len(), 1);
}

#[test]
fn two_histories_of_a_moved_folder_become_one() {
    let cli = Cli::with_two_steps();
    cli.rename("../ws", "../moved");
    std::fs::create_dir(&cli.workspace).unwrap();
    let at_moved = |line: &[&str]| cli.run(&[&["-C", "../moved"], line].concat());
    // Recording never stops: without a word from anybody it begins anew, and says so.
    cli.write("../moved/d.txt", b"d\n");
    let snapped = at_moved(&["snap", "--tag", "new"]);
    snapped.expect(0);
    let said = String::from_utf8_lossy(&snapped.stderr).into_owned();
    assert!(said.contains("has moved") && said.contains("retro workspace move --join"), "{said}");
    cli.write("../moved/a.txt", b"later\n");
    at_moved(&["snap", "--run", "agent"]).expect(0);
    let all = cli.json("workspace list --json");
    let old = all.iter().find(|found| found["root"].as_str().unwrap().ends_with("/ws")).unwrap();
    let id = old["workspace"].as_str().unwrap().to_owned();
    at_moved(&["workspace", "move", &id, "."]).expect(4);
    at_moved(&["workspace", "move", "--join", &id, "."]).expect(0);
    let steps = cli.json("-C ../moved log --json");
    assert_eq!(steps.iter().map(|step| step["step"].as_u64().unwrap()).collect::<Vec<_>>(), [4, 3, 2, 1]);
    assert_eq!((&steps[0]["run"], &steps[1]["tags"][0]), (&"agent".into(), &"new".into()));
    assert_eq!((&steps[1]["added"], &steps[1]["deleted"]), (&1.into(), &0.into()));
    cli.run(&["verify"]).expect(0);
    at_moved(&["status"]).expect(0);
    at_moved(&["undo", "2"]).expect(0);
    assert!(!cli.home().join("moved/d.txt").exists());
    at_moved(&["redo"]).expect(0);
    assert_eq!(cli.read("../moved/a.txt"), b"later\n");
}

/// Both folders say so: the one that goes on with the history, and the one whose history it is.
#[test]
fn another_folder_in_the_place_of_a_moved_one_is_pointed_out() {
    let cli = Cli::with_two_steps();
    cli.rename("../ws", "../moved");
    std::fs::create_dir(&cli.workspace).unwrap();
    cli.write("other", b"o\n");
    let said = |line: &[&str]| {
        let done = cli.run(&[&["-C"], line].concat());
        done.expect(0);
        String::from_utf8_lossy(&done.stderr).into_owned()
    };
    let here = said(&["../ws", "snap"]);
    assert!(here.contains("is now at ") && here.contains("hint: `retro workspace move "), "{here}");
    cli.write("other", b"p\n");
    assert_eq!(said(&["../ws", "snap"]), "", "once is enough");
    let id = cli.json("workspace list --json")[0]["workspace"].as_str().unwrap().to_owned();
    let moved = said(&["../moved", "snap"]);
    assert!(moved.contains("another folder is there now") && moved.contains("workspace move --join"), "{moved}");
    assert_eq!(cli.json("-C ../moved log --json").len(), 1);
    // The history goes back to its folder, and the other one begins its own.
    cli.run(&["-C", "../moved", "workspace", "move", "--join", &id, "."]).expect(0);
    assert_eq!(cli.json("-C ../moved log --json").len(), 5);
    cli.run(&["snap"]).expect(0);
    assert_eq!(cli.json("log --json").len(), 1);
}

/// Somebody who deletes a folder and makes it anew goes on with its history.
#[test]
fn a_folder_that_was_deleted_and_made_again_continues_its_history() {
    let cli = Cli::with_two_steps();
    std::fs::create_dir(cli.home().join("beside")).unwrap();
    std::fs::remove_dir_all(&cli.workspace).unwrap();
    std::fs::create_dir(&cli.workspace).unwrap();
    cli.write("new", b"n\n");
    let snapped = cli.run(&["snap"]);
    snapped.expect(0);
    assert_eq!(String::from_utf8_lossy(&snapped.stderr), "");
    assert_eq!(cli.json("log --json").len(), 3);
}

/// A copy is another folder, with a history of its own.
#[test]
fn a_copied_folder_is_not_taken_for_the_original() {
    let cli = Cli::with_two_steps();
    std::fs::create_dir(cli.home().join("copy")).unwrap();
    cli.write("../copy/a.txt", b"one\n2\nthree\n");
    let snapped = cli.run(&["-C", "../copy", "snap"]);
    snapped.expect(0);
    assert!(!String::from_utf8_lossy(&snapped.stderr).contains("moved"));
    assert_eq!(cli.json("workspace list --json").len(), 2);
}

/// Looking needs no right to write.
#[test]
fn a_store_that_cannot_be_written_is_looked_at() {
    use std::os::unix::process::CommandExt;

    const NOBODY: u32 = 65_534;
    let cli = Cli::with_two_steps();
    cli.write("a.txt", b"edited\n");
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|found| std::os::unix::fs::MetadataExt::uid(&found) == 0);
    let mut below = vec![cli.home().to_owned()];
    while let Some(path) = below.pop() {
        let facts = path.symlink_metadata().unwrap();
        if facts.is_dir() {
            below.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        if is_root {
            std::os::unix::fs::lchown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        if path.starts_with(&cli.store) {
            let mode = if facts.is_dir() { 0o500 } else { 0o400 };
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        }
    }
    // Another user may have no access to the folder that the program was built in.
    let program = cli.home().join("retro");
    std::fs::copy(cli.command().get_program(), &program).unwrap();
    let run = |line: &str| {
        let mut command = std::process::Command::new(&program);
        command.env_clear().env("HOME", cli.home()).env("RETRO_STORE", &cli.store).current_dir(&cli.workspace);
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        let done = command.args(line.split(' ')).output().unwrap();
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let looks = [
        "log",
        "status",
        "diff",
        "show s1",
        "cat s1:a.txt",
        "ls",
        "verify",
        "tag",
        "restore s1 --dry-run",
        "undo --dry-run",
    ];
    for line in looks {
        let (code, stderr) = run(line);
        assert_eq!(code, Some(0), "{line}: {stderr}");
    }
    for line in ["snap", "restore s1"] {
        let (code, stderr) = run(line);
        assert_eq!(code, Some(9), "{line}: {stderr}");
    }
}
