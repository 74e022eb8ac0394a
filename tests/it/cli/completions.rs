//! `retro completions` and `retro man`.

use super::Cli;

#[test]
fn scripts_are_printed_for_each_shell() {
    let cli = Cli::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = String::from_utf8(cli.run(&["completions", shell]).stdout).unwrap();
        let asks_the_program = ["bash", "fish", "zsh"].contains(&shell);
        let needed = if asks_the_program { "__complete" } else { "no-safety-snapshot" };
        assert!(script.contains(needed), "{shell}");
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

/// The candidates that the shells get for a line that is being typed.
fn offered(cli: &Cli, words: &[&str]) -> Vec<String> {
    let ran = cli.run(&[&["__complete", "zsh"], words].concat());
    ran.expect(0);
    let text = String::from_utf8(ran.stdout).unwrap();
    text.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

fn recorded() -> Cli {
    let cli = Cli::with_two_steps();
    cli.run(&["tag", "release", "s1"]).expect(0);
    cli.write("a b.txt", b"a name with a blank\n");
    cli.run(&["snap", "--run", "night"]).expect(0);
    cli.remove("c.txt");
    cli
}

#[test]
fn steps_runs_tags_and_recorded_paths_are_offered() {
    let cli = recorded();
    assert_eq!(offered(&cli, &["retro", "show", "s"]), ["words", "s3", "s2", "s1"]);
    assert_eq!(offered(&cli, &["retro", "restore", "r"]), ["words", "release", "run:main", "run:night"]);
    assert_eq!(offered(&cli, &["retro", "log", "s1..r"]), ["words", "s1..release", "s1..run:main", "s1..run:night"]);
    assert_eq!(offered(&cli, &["retro", "log", "--run", ""]), ["words", "main", "night"]);
    assert_eq!(offered(&cli, &["retro", "log", "--run=n"]), ["words", "--run=night"]);
    assert_eq!(offered(&cli, &["retro", "tag", "-d", ""]), ["words", "release"]);
    assert_eq!(offered(&cli, &["retro", "restore", "s2", ""]), ["paths", "a b.txt", "a.txt", "c.txt", "dir/"]);
    assert_eq!(offered(&cli, &["retro", "restore", "s2", "--", "dir/"]), ["paths", "dir/b.txt"]);
    assert_eq!(offered(&cli, &["retro", "cat", "s1:d"]), ["paths", "s1:dir/"]);
    assert_eq!(offered(&cli, &["retro", "cat", "s1:dir/"]), ["paths", "s1:dir/b.txt"]);
    assert_eq!(offered(&cli, &["retro", "restore", "--into", ""]), ["folders"]);
    assert_eq!(offered(&cli, &["retro", "snap", "--event", ""]), ["files"]);
    assert_eq!(offered(&cli, &["retro", "st"]), ["words", "status", "stats"]);
    assert_eq!(offered(&cli, &["retro", "-C", "dir", "cat", "s1", ""]), ["paths", "b.txt"]);
    assert_eq!(offered(&cli, &["retro", "-C", "dir", "log", "--", "../a."]), ["paths", "../a.txt"]);
    assert_eq!(offered(&cli, &["retro", "-C", "dir", "log", "--", "../../"]), ["paths"]);
    assert_eq!(offered(&cli, &["retro", "cat", "s1:../"]), ["paths"]);
    assert_eq!(offered(&cli, &["retro", "help", "set"]), ["words", "settings"]);
    assert_eq!(offered(&cli, &["retro", "--store", "/nowhere", "show", ""]), ["words"]);
    let with_words = String::from_utf8(cli.run(&["__complete", "fish", "retro", "show", "s1"]).stdout).unwrap();
    assert!(with_words.ends_with(" first\n") && with_words.contains("s1\t2"), "{with_words}");
}

/// Runs a script in a shell that is installed, with the program on the path; nothing where it is not installed.
fn in_shell(cli: &Cli, shell: &str, script: &str) -> Option<String> {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_retro"));
    let mut command = std::process::Command::new(shell);
    command.args(if shell == "zsh" { vec!["-f"] } else { Vec::new() });
    command.arg("-c").arg(script).env_clear().env("HOME", cli.home()).env("RETRO_STORE", &cli.store);
    command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", program.parent().unwrap().display()));
    let output = command.current_dir(&cli.workspace).output().ok()?;
    assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn bash_offers_what_the_program_says() {
    let cli = recorded();
    let press = |line: &str| {
        let script = format!(
            "source <(retro completions bash); COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; \
             COMP_WORDBREAKS=$' \\t\\n\"\\'@><=;|&(:'; _retro retro; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        in_shell(&cli, "bash", &script)
    };
    let Some(steps) = press("retro show s") else { return };
    assert_eq!(steps, "s3\ns2\ns1\n");
    assert_eq!(press("retro restore s2 ").unwrap(), "a b.txt\na.txt\nc.txt\ndir/\n");
    assert_eq!(press("retro restore s2 a\\ ").unwrap(), "a b.txt\n");
    assert_eq!(press("retro show run:n").unwrap(), "night\n", "bash has cut the word at the colon");
    assert_eq!(press("retro cat s1:dir/").unwrap(), "dir/b.txt\n");
    assert_eq!(press("retro --color=al").unwrap(), "always\n");
}

#[test]
fn fish_offers_what_the_program_says() {
    let cli = recorded();
    let press = |line: &str| in_shell(&cli, "fish", &format!("retro completions fish | source; complete -C '{line}'"));
    let Some(steps) = press("retro show s") else { return };
    let words = |text: String| text.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(words(steps), ["s3", "s2", "s1"]);
    assert_eq!(words(press("retro restore s2 d").unwrap()), ["dir/"]);
    assert_eq!(words(press("retro show run:").unwrap()), ["run:main", "run:night"]);
}

#[test]
fn zsh_takes_the_script() {
    let cli = recorded();
    let script = "autoload -Uz compinit && compinit -u -D && source <(retro completions zsh) && print $_comps[retro]";
    let Some(completer) = in_shell(&cli, "zsh", script) else { return };
    assert_eq!(completer, "_retro\n");
}
