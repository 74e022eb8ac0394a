//! `retro import`, and the way to git and back.

use super::Cli;

#[cfg(feature = "git")]
#[test]
fn a_history_goes_to_git_and_comes_back() {
    let cli = Cli::with_two_steps();
    cli.run(&["tag", "v1", "s1"]).expect(0);
    cli.check("export --git ../out.git", "wrote $HOME/out.git  2 commits, [size]; a bare repository");
    cli.check(
        "export --git ../out.git",
        "
        | ! error: export to $HOME/out.git: the folder is not empty
        | ! hint: name a new folder, or an empty one
        | exit 4
    ",
    );
    let trees = |line: &str| cli.json(line).iter().map(|step| step["tree"].clone()).collect::<Vec<_>>();
    let before = trees("log --json");
    std::fs::create_dir(cli.home().join("copy")).unwrap();
    let other = cli.home().join("other-store");
    let arguments = ["--store", other.to_str().unwrap(), "-C", "../copy"];
    cli.check_words(
        &[&arguments[..], &["import", "--git", "../out.git"]].concat(),
        "
        | imported 2 steps, s1 [short] to s2 [short]  [span]
    ",
    );
    cli.check_words(
        &[&arguments[..], &["log"]].concat(),
        "
        | @ s2  [short]  [time]  +1 ~1 -0  second
        |   s1  [short]  [time]  +2 ~0 -0  first  [v1]
    ",
    );
    let again = [&arguments[..], &["log", "--json"]].concat().join(" ");
    assert_eq!(trees(&again), before);
    cli.check("export s2..s2 --git ../none.git", "wrote $HOME/none.git  0 commits, [size]; a bare repository");
}

#[test]
fn what_is_no_repository_is_refused() {
    let cli = Cli::new();
    let ran = cli.run(&["import", "--git", "nowhere"]);
    assert_eq!(ran.code, if cfg!(feature = "git") { 3 } else { 8 });
    cli.check(
        "import",
        "
        | ! error: the following required arguments were not provided:
        | !   --git <DIR>
        | !
        | ! Usage: retro import --git <DIR> [RANGE]
        | !
        | ! For more information, try '--help'.
        | exit 2
    ",
    );
}
