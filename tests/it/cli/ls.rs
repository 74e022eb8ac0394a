//! `retro ls`.

use super::{Cli, os};

#[test]
fn folders_and_single_paths_are_listed() {
    let cli = Cli::with_two_steps();
    cli.check("ls", "?");
    cli.check("ls s1 -r", "?");
    cli.check("ls @ dir", "?");
    cli.check("ls @ a.txt", "?");
    cli.check("-C dir ls @ .", "?");
    cli.check("ls s1 c.txt", "?");
    cli.check("ls @ ..", "?");
}

#[test]
fn names_that_are_not_text_are_found() {
    let cli = Cli::new();
    cli.write(os(b"\xff/\xfe"), b"x");
    cli.run(&["snap"]).expect(0);
    cli.check_words(&[os(b"ls"), os(b"@"), os(b"\xff")], "?");
}
