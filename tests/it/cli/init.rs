//! `retro init`.

use super::Cli;

#[test]
fn it_registers_a_folder_once() {
    let cli = Cli::new();
    cli.check("init", "recording $WS in $STORE (workspace [short])");
    cli.check("init", "already recording $WS in $STORE (workspace [short])");
    cli.write("dir/a", b"a");
    cli.check(
        "init dir",
        "
        | recording $WS/dir in $STORE (workspace [short])
        | ! note: $WS is recorded too, and this folder with it
    ",
    );
    cli.check(
        "init nowhere",
        "
        | ! error: find folder $WS/nowhere: no such file or directory
        | exit 3
    ",
    );
    cli.check(
        "init dir/a",
        "
        | ! error: record $WS/dir/a: it is not a folder
        | exit 2
    ",
    );
    cli.check(
        "-C .. init",
        "
        | ! error: record $HOME: it is your home folder
        | ! hint: name a project folder with -C, or insist with --force
        | exit 2
    ",
    );
}

#[test]
fn the_home_folder_needs_force() {
    let cli = Cli::new();
    let home = cli.home().to_str().unwrap();
    cli.check_words(
        &["init", home],
        "
        | ! error: record $HOME: it is your home folder
        | ! hint: name a project folder with -C, or insist with --force
        | exit 2
    ",
    );
    cli.check_words(&["init", home, "--force"], "recording $HOME in $STORE (workspace [short])");
}
