//! Paths that the rules left out stay where they are when a restore, an undo or a redo changes the rules.

use super::Cli;

/// Undoes, and expects to be at `step` then, with `steps` of them recorded in all.
#[track_caller]
fn undo(cli: &Cli, step: u64, steps: usize) {
    let undone = &cli.json("undo --json")[0];
    assert_eq!((&undone["target_step"], &undone["state_step"]), (&step.into(), &step.into()));
    assert_eq!(cli.json("log --json").len(), steps);
}

/// A folder with `before` at s1, and `after` too at s2.
fn with(before: &[(&str, &str)], after: &[(&str, &str)]) -> Cli {
    let cli = Cli::new();
    for files in [before, after] {
        for (path, content) in files {
            cli.write(path, content.as_bytes());
        }
        cli.run(&["snap"]).expect(0);
    }
    cli
}

#[track_caller]
fn expect_files(cli: &Cli, there: &[&str], gone: &[&str]) {
    for path in there {
        assert!(cli.workspace.join(path).exists(), "{path} is gone");
    }
    for path in gone {
        assert!(!cli.workspace.join(path).exists(), "{path} is there");
    }
}

/// The file that was evidence goes, and what it left out comes in sight.
#[test]
fn paths_excluded_because_of_a_file_are_no_edit() {
    let cli = with(&[("notes", "v1")], &[("package.json", "{}"), ("node_modules/x/i.js", "m")]);
    cli.run(&["restore", "s1"]).expect(0);
    expect_files(&cli, &["node_modules/x/i.js"], &["package.json"]);
    cli.write("node_modules/x/mine.js", b"made after the restore\n");
    undo(&cli, 2, 2);
    expect_files(&cli, &["node_modules/x/i.js", "node_modules/x/mine.js", "package.json"], &[]);
}

#[test]
fn excluded_paths_made_after_the_snapshot_are_no_edit() {
    let cli = with(&[("notes", "v1")], &[("package.json", "{}")]);
    cli.write("node_modules/x/i.js", b"m");
    cli.run(&["restore", "s1"]).expect(0);
    undo(&cli, 2, 2);
    expect_files(&cli, &["node_modules/x/i.js", "package.json"], &[]);
}

#[test]
fn edits_after_a_restore_are_undone_before_it() {
    let cli = with(&[("notes", "v1")], &[("package.json", "{}"), ("node_modules/x/i.js", "m")]);
    cli.run(&["restore", "s1"]).expect(0);
    cli.write("notes", b"edited");
    cli.write("new", b"new");
    undo(&cli, 1, 3);
    assert_eq!(cli.read("notes"), b"v1");
    expect_files(&cli, &["node_modules/x/i.js"], &["new", "package.json"]);
    undo(&cli, 2, 3);
    expect_files(&cli, &["node_modules/x/i.js", "package.json"], &["new"]);
    assert_eq!(cli.run(&["cat", "s3:new"]).expect(0).stdout, b"new");
    cli.run(&["cat", "s3:node_modules/x/i.js"]).expect(3);
}

#[test]
fn build_output_survives_undo_and_redo() {
    let cli = with(&[("notes", "v1")], &[("Cargo.toml", "c"), ("target/o", "built")]);
    for _ in 0..2 {
        undo(&cli, 1, 2);
        expect_files(&cli, &["target/o"], &["Cargo.toml"]);
        assert_eq!(cli.json("redo --json")[0]["state_step"], 2);
        expect_files(&cli, &["target/o", "Cargo.toml"], &[]);
    }
    undo(&cli, 1, 2);
    expect_files(&cli, &["target/o"], &["Cargo.toml"]);
}

/// A folder that goes but for what was left out in it is a state of its own.
#[test]
fn a_folder_that_holds_only_excluded_paths_is_no_edit() {
    let cli = with(&[("notes", "v1")], &[("p/package.json", "{}"), ("p/node_modules/i.js", "m")]);
    cli.run(&["restore", "s1"]);
    expect_files(&cli, &["p/node_modules/i.js"], &["p/package.json"]);
    assert_eq!(cli.json("undo --json")[0]["target_step"], 2);
    expect_files(&cli, &["p/node_modules/i.js", "p/package.json"], &[]);
    cli.run(&["cat", "s3:p/node_modules/i.js"]).expect(3);
}

#[test]
fn paths_excluded_by_the_settings_are_no_edit() {
    let settings = "[capture]\nexclude = [\"data/\"]\n";
    let cli = with(&[("a", "1")], &[("retro.toml", settings), ("data/x", "secret")]);
    cli.run(&["restore", "s1"]).expect(0);
    expect_files(&cli, &["data/x"], &["retro.toml"]);
    undo(&cli, 2, 2);
    expect_files(&cli, &["data/x", "retro.toml"], &[]);
}

#[test]
fn excluded_paths_survive_several_restores() {
    let settings = "[capture]\nexclude = [\"data/\"]\n";
    let cli = with(&[("a", "1")], &[("a", "2")]);
    cli.write("retro.toml", settings.as_bytes());
    cli.write("data/x", b"secret");
    cli.run(&["snap"]).expect(0);
    cli.run(&["restore", "s2"]).expect(0);
    cli.write("a", b"edited");
    cli.run(&["restore", "s1"]).expect(0);
    expect_files(&cli, &["data/x"], &["retro.toml"]);
    assert_eq!(cli.json("undo 3 --json")[0]["target_step"], 3);
    expect_files(&cli, &["data/x", "retro.toml"], &[]);
    cli.run(&["cat", "s4:data/x"]).expect(3);
}

#[test]
fn paths_that_git_ignored_are_no_edit() {
    let settings = "[capture]\ngitignore = true\n";
    let cli = with(&[("retro.toml", settings)], &[(".gitignore", "ign/\n"), ("ign/x", "1")]);
    cli.write("late/x", b"1");
    cli.write(".gitignore", b"ign/\nlate/\n");
    cli.run(&["snap"]).expect(0);
    cli.run(&["restore", "s1"]).expect(0);
    expect_files(&cli, &["ign/x", "late/x"], &[".gitignore"]);
    undo(&cli, 3, 3);
    expect_files(&cli, &["ign/x", "late/x", ".gitignore"], &[]);
}

/// A restore writes over some of what is left out: that is in the state before it, and the rest is nowhere.
#[test]
fn excluded_files_that_a_restore_replaced_come_back_without_the_others() {
    let settings = "[capture]\nexclude = [\"b\"]\n";
    let cli = with(&[("b/f", "1")], &[("retro.toml", settings)]);
    cli.write("b/f", b"2");
    cli.write("b/g", b"2");
    cli.run(&["restore", "s1"]).expect(0);
    assert_eq!((cli.read("b/f"), cli.read("b/g")), (b"1".to_vec(), b"2".to_vec()));
    undo(&cli, 3, 3);
    assert_eq!((cli.read("b/f"), cli.read("b/g")), (b"2".to_vec(), b"2".to_vec()));
    expect_files(&cli, &["retro.toml"], &[]);
}

/// An undo goes to one of two states, depending on whether there are edits. It neither removes nor records
/// paths that the rules exclude in that state and only the other one has.
#[test]
fn excluded_paths_stay_if_only_the_state_not_chosen_has_them() {
    let settings = "[capture]\nexclude = [\"*.log\", \"out\"]\n";
    let cli = with(&[("f", "1"), ("a.log", "1"), ("out/x", "1")], &[("f", "2"), ("retro.toml", settings)]);
    cli.write("f", b"edited");
    cli.write("a.log", b"2");
    cli.write("out/y", b"2");
    undo(&cli, 2, 3);
    assert_eq!((cli.read("f"), cli.read("a.log")), (b"2".to_vec(), b"2".to_vec()));
    expect_files(&cli, &["out/x", "out/y"], &[]);
    for path in ["a.log", "out", "out/x"] {
        cli.run(&["cat", &format!("s3:{path}")]).expect(3);
    }
    // Now it goes to the state that has them: they are in the state before it.
    undo(&cli, 1, 4);
    assert_eq!((cli.read("f"), cli.read("a.log")), (b"1".to_vec(), b"1".to_vec()));
    expect_files(&cli, &["out/x", "out/y"], &["retro.toml"]);
    assert_eq!(cli.run(&["cat", "s4:a.log"]).expect(0).stdout, b"2");
    cli.run(&["redo"]).expect(0);
    assert_eq!((cli.read("f"), cli.read("a.log")), (b"2".to_vec(), b"2".to_vec()));
}

#[test]
fn paths_outside_the_only_patterns_are_no_edit() {
    let settings = "[capture]\nonly = [\"*.md\"]\n";
    let cli = with(&[("o.md", "1"), ("b/f", "1")], &[("retro.toml", settings)]);
    cli.write("o.md", b"2");
    cli.write("c/late", b"1");
    cli.write("b/late", b"1");
    cli.run(&["restore", "s1"]).expect(0);
    undo(&cli, 3, 3);
    assert_eq!(cli.read("o.md"), b"2");
    expect_files(&cli, &["retro.toml", "b/f", "b/late", "c/late"], &[]);
}

/// A recorded folder inside that is forgotten comes in sight, too.
#[test]
fn a_forgotten_workspace_inside_is_no_edit_beside_a_step() {
    let cli = Cli::new();
    cli.write("a", b"1");
    cli.run(&["snap"]).expect(0);
    cli.write("in/f", b"1");
    let inside = cli.workspace.join("in");
    let inside = inside.to_str().unwrap();
    cli.run(&["-C", inside, "init"]).expect(0);
    for content in [b"2", b"3"] {
        cli.write("a", content);
        cli.run(&["snap"]).expect(0);
    }
    cli.run(&["workspace", "forget", inside]).expect(0);
    undo(&cli, 2, 3);
    assert_eq!((cli.read("a"), cli.read("in/f")), (b"2".to_vec(), b"1".to_vec()));
}
