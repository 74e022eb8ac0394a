//! `retro tag` and `retro pin`.

use super::Cli;

#[test]
fn names_are_given_moved_listed_and_taken_away() {
    let cli = Cli::with_two_steps();
    cli.check("tag", "");
    cli.check("tag v1 s1", "tagged s1 [short] as v1");
    cli.check(
        "tag v1",
        "
        | ! error: tag v1: it names snapshot [short] already
        | ! hint: --force moves it
        | exit 4
    ",
    );
    cli.check("tag v1 --force", "tagged s2 [short] as v1");
    cli.check("tag other s1", "tagged s1 [short] as other");
    cli.check(
        "tag",
        "
        | other  s1 [short]  [time]  first
        | v1     s2 [short]  [time]  second
    ",
    );
    cli.check("tag -d v1", "deleted tag v1");
    cli.check(
        "tag -d v1",
        "
        | ! error: delete tag v1: there is no such tag
        | exit 3
    ",
    );
    cli.check(
        "tag s5",
        "
        | ! error: name tag s5: it reads as a step
        | exit 2
    ",
    );
    cli.check(
        "tag x nope",
        "
        | ! error: find snapshot nope: no snapshot, step, tag or run has that name
        | ! hint: `retro log` lists the steps, `retro tag` the tags
        | exit 3
    ",
    );
}

#[test]
fn steps_are_pinned_and_unpinned() {
    let cli = Cli::with_two_steps();
    cli.check("pin s1", "s1 [short] is kept from now on");
    cli.check("pin s1", "s1 [short] is kept already");
    cli.check(
        "log -n 2",
        "
        | @ s2  [short]  [time]  +1 ~1 -0  second
        |   s1  [short]  [time]  +2 ~0 -0  first  [pinned]
    ",
    );
    cli.check("pin -d s1", "s1 [short] may be forgotten from now on");
    cli.check("pin -d s1", "s1 [short] was not pinned");
}

/// Two folders of one store, each with a tag `good`.
fn two_folders() -> Cli {
    let cli = Cli::with_two_steps();
    cli.run(&["tag", "good", "s1"]).expect(0);
    std::fs::create_dir(cli.home().join("other")).unwrap();
    cli.write("../other/theirs.txt", b"theirs\n");
    cli.run(&["-C", "../other", "snap", "--tag", "good"]).expect(0);
    cli
}

#[test]
fn tags_belong_to_workspaces() {
    let cli = two_folders();
    assert_eq!(cli.json("show good --json")[0]["step"], 1);
    cli.run(&["restore", "good"]).expect(0);
    assert_eq!(cli.read("a.txt"), b"one\ntwo\nthree\n");
    cli.check("-C ../other tag", "good  s1 [short]  [time]");
    assert_eq!(cli.run(&["-C", "../other", "cat", "good:theirs.txt"]).stdout, b"theirs\n");
    let listed = cli.run(&["-C", "..", "tag"]);
    assert_eq!(String::from_utf8(listed.stdout).unwrap().matches("/good ").count(), 2);
    cli.run(&["-C", "..", "show", "good"]).expect(2);
    cli.run(&["-C", "../other", "tag", "-d", "good"]).expect(0);
    cli.run(&["tag", "-d", "good"]).expect(0);
}

#[test]
fn a_step_of_another_folder_is_restored_only_by_full_id_and_force() {
    let cli = two_folders();
    let theirs = &cli.json("-C ../other log --json")[0];
    let full = theirs["snapshot"].as_str().unwrap();
    let workspace = cli.json("-C ../other status --json")[0]["workspace"].as_str().unwrap().to_owned();
    let qualified = format!("{}/good", &workspace[..8]);
    let short = &full[..12];
    for line in
        [vec!["restore", short], vec!["restore", short, "--force"], vec!["restore", full], vec!["restore", &qualified]]
    {
        let ran = cli.run(&line);
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!((ran.code, said.contains("/other")), (5, true), "{line:?}: {said}");
        assert!(cli.workspace.join("a.txt").exists());
    }
    // Looking at it, and writing it elsewhere, is nobody's loss.
    for line in [
        vec!["show", short],
        vec!["ls", &qualified],
        vec!["diff", "s1", full],
        vec!["restore", short, "--into", "../out"],
    ] {
        assert_eq!(cli.run(&line).code, 0, "{line:?}");
    }
    cli.run(&["restore", &qualified, "--force"]).expect(0);
    assert_eq!((cli.read("theirs.txt"), cli.workspace.join("a.txt").exists()), (b"theirs\n".to_vec(), false));
    cli.run(&["undo"]).expect(0);
    cli.run(&["restore", full, "--force", "--", "theirs.txt"]).expect(0);
    assert!(cli.workspace.join("a.txt").exists() && cli.workspace.join("theirs.txt").exists());
}
