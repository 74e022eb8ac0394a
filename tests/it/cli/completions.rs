//! `retro completions` and `retro man`.

use super::Cli;

#[test]
fn scripts_are_printed_for_each_shell() {
    let cli = Cli::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = String::from_utf8(cli.run(&["completions", shell]).stdout).unwrap();
        assert!(script.contains("no-safety-snapshot"), "{shell}");
    }
}

#[test]
fn every_verb_has_a_manual_page() {
    let cli = Cli::new();
    cli.check("man pages", "");
    let pages = std::fs::read_dir(cli.workspace.join("pages")).unwrap().count();
    assert!(pages >= 20, "{pages}");
    let page = String::from_utf8(cli.run(&["man"]).stdout).unwrap();
    assert!(page.contains(".TH retro 1") && page.contains("Exit codes"), "{page}");
}
