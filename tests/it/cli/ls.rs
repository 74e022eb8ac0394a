//! `retro ls`.

use super::{Cli, os};

#[test]
fn folders_and_single_paths_are_listed() {
    let cli = Cli::with_two_steps();
    cli.check(
        "ls",
        "
        | -0644     12 B  a.txt
        | -0644      2 B  c.txt
        | d0755      2 B  dir/
    ",
    );
    cli.check(
        "ls s1 -r",
        "
        | -0644     14 B  a.txt
        | d0755      2 B  dir/
        | -0644      2 B  dir/b.txt
    ",
    );
    cli.check("ls @ dir", "-0644      2 B  dir/b.txt");
    cli.check("ls @ a.txt", "-0644     12 B  a.txt");
    cli.check("-C dir ls @ .", "-0644      2 B  dir/b.txt");
    cli.check(
        "ls s1 c.txt",
        "
        | ! error: list c.txt: snapshot [short] has no such path
        | ! hint: `retro ls -r [short]` lists its files, `retro log -- PATH` the steps that changed a path
        | exit 3
    ",
    );
    cli.check(
        "ls @ *.txt",
        "
        | -0644     12 B  a.txt
        | -0644      2 B  c.txt
        | -0644      2 B  dir/b.txt
    ",
    );
    cli.check("ls @ d*", "d0755      2 B  dir/");
    cli.check("ls HEAD~1 ./*.txt", "-0644     14 B  a.txt");
    cli.check("ls @ a.txt dir", "\n| -0644     12 B  a.txt\n| -0644      2 B  dir/b.txt\n");
    cli.check(
        "ls dir",
        "
        | ! error: find snapshot dir: no snapshot, step, tag or run has that name
        | ! hint: `dir` is a path: `retro ls @ dir`
        | exit 3
    ",
    );
    cli.check(
        "ls @ ..",
        "
        | ! error: find ..: it is outside of the folder $WS
        | exit 2
    ",
    );
}

#[test]
fn names_that_are_not_text_are_found() {
    let cli = Cli::new();
    cli.write(os(b"\xff/\xfe"), b"x");
    cli.run(&["snap"]).expect(0);
    cli.check_words(&[os(b"ls"), os(b"@"), os(b"\xff")], r#"-0644      1 B  \xff/\xfe"#);
}
