//! `retro init`.

use super::Cli;

#[test]
fn it_registers_a_folder_once() {
    let cli = Cli::new();
    cli.check("init", "?");
    cli.check("init", "?");
    cli.write("dir/a", b"a");
    cli.check("init dir", "?");
    cli.check("init nowhere", "?");
    cli.check("init dir/a", "?");
    cli.check("-C .. init", "?");
}

#[test]
fn the_home_folder_needs_force() {
    let cli = Cli::new();
    let home = cli.home().to_str().unwrap();
    cli.check_words(&["init", home], "?");
    cli.check_words(&["init", home, "--force"], "?");
}
