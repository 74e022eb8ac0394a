//! `retro diff`.

use std::os::unix::fs::PermissionsExt;

use super::{Cli, os};

#[test]
fn two_steps_or_a_step_and_the_folder() {
    let cli = Cli::with_two_steps();
    cli.check("diff", "?");
    cli.check("diff --exit-code", "?");
    cli.check("diff s1 s2", "?");
    cli.check("diff s1..s2 --stat", "?");
    cli.check("diff s2 s1 --name-status --exit-code", "?");
    cli.write("a.txt", b"live\n");
    cli.check("diff", "?");
    cli.check("diff s1 --name-status -- dir c.txt", "?");
    cli.check("diff ..s1 --name-status", "?");
    cli.check("diff s1..s2 s2", "?");
}

#[test]
fn renames_modes_and_types_are_told_apart() {
    let cli = Cli::with_two_steps();
    let content: Vec<u8> = (0..200_u32).flat_map(|line| format!("line {line}\n").into_bytes()).collect();
    cli.write("long.txt", &content);
    cli.write("run.sh", b"#!/bin/sh\n");
    cli.run(&["snap"]).expect(0);
    cli.remove("long.txt");
    cli.write("moved.txt", &content);
    cli.remove("c.txt");
    std::os::unix::fs::symlink("a.txt", cli.workspace.join("c.txt")).unwrap();
    std::fs::set_permissions(cli.workspace.join("run.sh"), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::create_dir(cli.workspace.join("empty")).unwrap();
    cli.write("binary", b"\0\x01");
    cli.check("diff --name-status", "?");
    cli.check("diff --stat", "?");
    cli.check("diff", "?");
    let objects = cli.json("diff --json");
    let renamed = objects.iter().find(|object| object["change"] == "renamed").unwrap();
    assert_eq!((&renamed["old"]["path"], &renamed["new"]["path"]), (&"long.txt".into(), &"moved.txt".into()));
}

#[test]
fn names_that_are_not_text_are_shown_and_found() {
    let cli = Cli::with_two_steps();
    cli.write(os(b"\xff\n"), b"x\n");
    cli.check_words(&[os(b"diff"), os(b"--name-status"), os(b"--"), os(b"\xff\n")], "?");
    let found = &cli.json("diff --json")[0];
    assert_eq!((&found["path"], &found["path_base64"]), (&"\u{fffd}\n".into(), &"/wo=".into()));
}

#[test]
fn patches_are_exact_without_colour_and_harmless_with_it() {
    let cli = Cli::with_two_steps();
    cli.write("c.txt", b"\x1b[2J\n");
    let plain = cli.run(&["diff"]).stdout;
    assert!(plain.ends_with(b"-c\n+\x1b[2J\n"));
    let coloured = String::from_utf8(cli.run(&["diff", "--color", "always"]).stdout).unwrap();
    assert!(coloured.ends_with("\x1b[32m+\\u{1b}[2J\x1b[0m\n"), "{coloured:?}");
}
