//! `retro export`.

use super::Cli;

#[test]
fn a_step_becomes_a_tar_file() {
    let cli = Cli::with_two_steps();
    cli.check("export --tar ../x.tar", "?");
    cli.check("export --tar ../x.tar", "?");
    let file = std::fs::read(cli.home().join("x.tar")).unwrap();
    assert!(cli.run(&["export", "--tar", "-"]).stdout == file);
    let part = cli.run(&["export", "s1", "--tar", "-", "--", "dir"]).stdout;
    let mut archive = tar::Archive::new(&part[..]);
    let names: Vec<String> =
        archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
    assert_eq!(names, ["dir/", "dir/b.txt"]);
    cli.check("export --tar ../y.tar -- no-such-path", "?");
    assert!(!cli.home().join("y.tar").exists());
    cli.check("export s1", "?");
}
