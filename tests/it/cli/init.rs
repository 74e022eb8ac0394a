//! `retro init`.

use super::Cli;

#[test]
fn init_registers_a_folder_once() {
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

/// A store inside the folder is in the agent's reach: only who insists gets one.
#[test]
fn a_store_inside_what_it_records_is_refused() {
    let cli = Cli::new();
    cli.write("a.txt", b"1\n");
    for verb in ["init", "snap"] {
        for inside in ["inner/store", "."] {
            let ran = cli.run(&[verb, "--store", inside]);
            assert_eq!(ran.code, 2, "{}", String::from_utf8_lossy(&ran.stderr));
        }
    }
    assert!(!cli.workspace.join("inner").exists() && !cli.workspace.join("packs").exists());
    cli.run(&["snap", "--store", "inner/store", "--force"]).expect(0);
    cli.write("a.txt", b"2\n");
    cli.run(&["snap", "--store", "inner/store"]).expect(0);
    assert_eq!(cli.json("log --store inner/store --json").len(), 2);
}

/// `~` is the home folder also where no shell expands it, and a setting means one folder from wherever it is used.
#[test]
fn the_setting_names_one_folder() {
    let cli = Cli::new();
    cli.write("sub/a.txt", b"1\n");
    for (setting, folder) in [("~/tilde", "tilde"), ("relative/store", "relative/store")] {
        for at in [".", "sub"] {
            let done = cli.command().env("RETRO_STORE", setting).args(["-C", at, "snap"]).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
        assert!(cli.home().join(folder).join("FORMAT").exists());
    }
    cli.run(&["snap", "--store", "~/option"]).expect(0);
    assert!(cli.home().join("option/FORMAT").exists());
    assert_eq!(std::fs::read_dir(&cli.workspace).unwrap().count(), 1);
}
