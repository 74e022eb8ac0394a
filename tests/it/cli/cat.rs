//! `retro cat`.

use super::{Cli, os};

#[test]
fn files_are_printed_byte_by_byte() {
    let cli = Cli::with_two_steps();
    cli.check("cat s1:a.txt", "?");
    cli.check("-C dir cat @:./b.txt", "?");
    cli.check("-C dir cat @:../c.txt", "?");
    cli.write(os(b"\xff"), b"\x1b[2J\xff\0");
    std::os::unix::fs::symlink("a.txt", cli.workspace.join("link")).unwrap();
    cli.run(&["snap"]).expect(0);
    assert_eq!(cli.run(&[os(b"cat"), os(b"@:\xff")]).stdout, b"\x1b[2J\xff\0");
    assert_eq!(cli.run(&["cat", "@:link", "--color", "always"]).stdout, b"a.txt");
    cli.check("cat @", "?");
    cli.check("cat @:dir", "?");
    cli.check("cat @:", "?");
    cli.check("cat @:no/such", "?");
    cli.check("cat @:/etc/passwd", "?");
    cli.check("cat @:a/../b", "?");
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
