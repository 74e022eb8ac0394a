//! `retro export`.

use super::Cli;

#[test]
fn a_step_becomes_a_tar_file() {
    let cli = Cli::with_two_steps();
    cli.check("export --tar ../x.tar", "wrote $HOME/x.tar  3 files, 4.6 kB");
    cli.check(
        "export --tar ../x.tar",
        "
        | ! error: export to $HOME/x.tar: the file is there already
        | ! hint: remove it first, or name another
        | exit 4
    ",
    );
    let file = std::fs::read(cli.home().join("x.tar")).unwrap();
    assert!(cli.run(&["export", "--tar", "-"]).stdout == file);
    let part = cli.run(&["export", "s1", "--tar", "-", "--", "dir"]).stdout;
    let mut archive = tar::Archive::new(&part[..]);
    let names: Vec<String> =
        archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
    assert_eq!(names, ["dir/", "dir/b.txt"]);
    cli.check(
        "export --tar ../y.tar -- no-such-path",
        "
        | ! error: export no-such-path: snapshot [short] has no such path
        | exit 3
    ",
    );
    assert!(!cli.home().join("y.tar").exists());
    cli.check(
        "export s1",
        "
        | ! error: the following required arguments were not provided:
        | !   <--tar <FILE>|--git <DIR>>
        | !
        | ! Usage: retro export <--tar <FILE>|--git <DIR>> <REV> [-- <PATH>...]
        | !
        | ! For more information, try '--help'.
        | exit 2
    ",
    );
}
