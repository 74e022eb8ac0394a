//! `retro cat`.

use super::{Cli, os};

#[test]
fn files_are_printed_byte_by_byte() {
    let cli = Cli::with_two_steps();
    cli.check(
        "cat s1:a.txt",
        "
        | one
        | two
        | three
    ",
    );
    cli.check("-C dir cat @:./b.txt", "b");
    cli.check("-C dir cat @:../c.txt", "c");
    cli.write(os(b"\xff"), b"\x1b[2J\xff\0");
    std::os::unix::fs::symlink("a.txt", cli.workspace.join("link")).unwrap();
    cli.run(&["snap"]).expect(0);
    assert_eq!(cli.run(&[os(b"cat"), os(b"@:\xff")]).stdout, b"\x1b[2J\xff\0");
    assert_eq!(cli.run(&["cat", "@:link", "--color", "always"]).stdout, b"a.txt");
    cli.check(
        "cat @",
        "
        | ! error: print @: it has no colon between a step and a path
        | ! hint: write REV PATH or REV:PATH, such as @ main.rs or s12:src/main.rs
        | exit 2
    ",
    );
    cli.check("cat s1 a.txt dir/*", "\n| one\n| two\n| three\n| b\n");
    cli.check("-C dir cat HEAD~1 b.txt", "b");
    cli.check(
        "cat s1 dir/c.txt",
        "
        | ! error: print dir/c.txt: snapshot [short] has no such path
        | ! hint: did you mean `dir/b.txt`?
        | exit 3
    ",
    );
    cli.check(
        "cat a.txt",
        "
        | ! error: print a.txt: it has no colon between a step and a path
        | ! hint: `a.txt` is a path: `retro cat @ a.txt`
        | exit 2
    ",
    );
    cli.check(
        "cat @ *.zip",
        "
        | ! error: print *.zip: nothing in snapshot [short] matches
        | ! hint: a pattern without a slash matches names at any depth, one with a slash whole paths
        | exit 3
    ",
    );
    cli.check(
        "cat @:dir",
        "
        | ! error: print dir: it is a folder
        | ! hint: `retro ls [short] dir` lists it
        | exit 2
    ",
    );
    cli.check(
        "cat @:",
        "
        | ! error: print .: it is a folder
        | ! hint: `retro ls [short] .` lists it
        | exit 2
    ",
    );
    cli.check(
        "cat @:no/such",
        "
        | ! error: find no/such: snapshot [short] has no such path
        | ! hint: `retro ls -r REV` lists its paths, `retro log -- PATH` the steps that changed one
        | exit 3
    ",
    );
    cli.check(
        "cat @:/etc/passwd",
        "
        | ! error: print /etc/passwd: a name is empty
        | ! hint: write the path from the workspace root, as src/main.rs, or from the current folder, as ./main.rs
        | exit 2
    ",
    );
    cli.check(
        "cat @:a/../b",
        "
        | ! error: print a/../b: a name is `.` or `..`
        | ! hint: write the path from the workspace root, as src/main.rs, or from the current folder, as ./main.rs
        | exit 2
    ",
    );
}

#[test]
fn a_file_of_many_chunks_comes_back_whole() {
    let cli = Cli::new();
    let mut content = vec![0; 3 << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut content);
    cli.write("large", &content);
    cli.run(&["snap"]).expect(0);
    assert!(cli.run(&["cat", "@:large"]).stdout == content);
}
