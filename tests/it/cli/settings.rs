//! `retro.toml` as an agent can leave it: nothing in it stops the recording or going back.

use super::Cli;

const BROKEN: &str = "the rules of s2 apply until it is fixed";

/// Every command that looks at the folder, in an order in which each has something to do.
const COMMANDS: [&str; 8] =
    ["status", "diff", "snap", "restore s1", "undo", "redo", "restore s2 -- a.txt", "restore --dry-run s1"];

#[test]
#[expect(clippy::disallowed_methods, reason = "tests make files of their own")]
fn a_file_that_cannot_be_used_stops_nothing_and_every_command_says_so() {
    let place = |cli: &Cli, what: &str| {
        let path = cli.workspace.join("retro.toml");
        match what {
            "folder" => std::fs::create_dir(&path).unwrap(),
            "fifo" => rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap(),
            "symlink" => std::os::unix::fs::symlink("a.txt", &path).unwrap(),
            "long" => std::fs::write(&path, " ".repeat((1 << 20) + 1)).unwrap(),
            "bytes" => std::fs::write(&path, b"# \xff\xfe\n").unwrap(),
            text => std::fs::write(&path, text).unwrap(),
        }
    };
    let texts = ["<<<<<<< HEAD\n[capture]\n", "[capture]\nexclude = 1\n", "[capture]\nexclude = [\"a[\"]\n", "\0"];
    for what in ["folder", "fifo", "symlink", "long", "bytes"].into_iter().chain(texts) {
        let cli = Cli::new();
        cli.write("a.txt", b"one");
        cli.write("x.log", b"log");
        cli.write("retro.toml", b"[capture]\nexclude = [\"*.log\"]\n");
        cli.run(&["snap"]).expect(0);
        cli.write("a.txt", b"two");
        cli.run(&["snap"]).expect(0);
        cli.write("a.txt", b"three");
        for command in COMMANDS {
            // A restore brings a good one.
            let path = cli.workspace.join("retro.toml");
            std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path)).unwrap();
            place(&cli, what);
            let ran = cli.run(&command.split(' ').collect::<Vec<_>>());
            let stderr = String::from_utf8_lossy(&ran.stderr).into_owned();
            let applies_last_good = stderr.contains("apply until it is fixed");
            assert!(ran.code <= 3 && ran.code != 2 && applies_last_good, "{command}: {stderr}");
            if command == "snap" {
                assert_eq!(ran.code, 0);
                assert!(stderr.contains(BROKEN), "{stderr}");
                assert!(
                    !cli.json("ls --json").iter().any(|entry| entry["path"] == "x.log"),
                    "the last good rules hold"
                );
            }
        }
        let path = cli.workspace.join("retro.toml");
        std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path)).unwrap();
        place(&cli, what);
        let status = &cli.json("status --json")[0];
        assert!(
            status["warnings"][0].as_str().is_some_and(|text| text.contains("apply until it is fixed")),
            "{status}"
        );
    }
}

#[test]
fn the_first_step_is_taken_under_the_built_in_rules_where_the_file_is_broken() {
    let cli = Cli::new();
    cli.write("retro.toml", b"=======\n");
    cli.write("a.txt", b"a");
    let ran = cli.run(&["snap"]);
    ran.expect(0);
    let stderr = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(stderr.contains("; the built-in rules apply until it is fixed"), "{stderr}");
    assert_eq!(cli.json("ls --json").len(), 2);
}

#[test]
fn unknown_settings_are_named_and_the_others_apply() {
    let cli = Cli::new();
    cli.write(
        "retro.toml",
        b"[capture]\nexlude = [\"b\"]\nexclude = [\"a.txt\"]\nmax_files = 0\n[retention]\nbudget_bytes = 1\n",
    );
    cli.write("a.txt", b"a");
    let ran = cli.run(&["snap", "-q"]);
    ran.expect_text(
        "
        | ! warning: $WS/retro.toml: `capture.exlude` is not a setting and is ignored
        | ! warning: $WS/retro.toml: `retention.budget_bytes` is valid only in config.toml in the store folder and is
        :  ignored
        | ! warning: $WS/retro.toml: `capture.max_files` is below the built-in limit, which it can only raise; it is
        :  ignored
    ",
    );
    assert_eq!(cli.json("ls --json").len(), 1);
}

/// An agent that excludes everything hides nothing: the step says so, and going back works.
#[test]
fn excluding_everything_is_reported_and_undone() {
    let cli = Cli::with_two_steps();
    cli.write("retro.toml", b"[capture]\nexclude = [\"*\"]\n");
    cli.check(
        "snap",
        "
        | s3 [short]  +1 ~0 -3  [span]
        | ! note: the rules changed and exclude 3 recorded paths still in the folder
    ",
    );
    cli.write("a.txt", b"changed meanwhile");
    cli.run(&["restore", "s2"]).expect(0);
    assert_eq!(cli.read("a.txt"), b"one\n2\nthree\n");
    cli.run(&["undo"]).expect(0);
    assert_eq!(
        cli.read("a.txt"),
        b"changed meanwhile",
        "what a restore writes over is captured, whatever the rules are"
    );
}

/// Each setting at its worst. A restore still captures the state that it replaces, and a restore can be undone.
#[test]
fn no_setting_prevents_a_restore_or_an_undo() {
    let settings = [
        "max_file_bytes = 0",
        "max_file_bytes = \"1 B\"",
        "max_file_bytes = 9223372036854775807",
        "max_files = 0",
        "max_files = 9223372036854775807",
        "max_bytes = 0",
        "max_bytes = \"16777215 TiB\"",
        "one_file_system = true",
        "gitignore = true",
        "default_excludes = true",
        "default_excludes = false",
        "exclude = [\"*\"]",
        "exclude = [\"/swapped\", \"/turned\", \"a\", \"dir/\"]",
        "only = [\"nothing\"]",
        "only = [\"/nothing/at/all\"]",
        "include = [\"*\"]\nexclude = [\"*\"]\nmax_file_bytes = 0\none_file_system = true\ngitignore = true",
    ];
    for text in settings {
        let cli = Cli::new();
        for path in ["a", "b", "dir/c", "swapped", "turned/x"] {
            cli.write(path, b"good");
        }
        cli.write(".gitignore", b"*\n");
        cli.run(&["snap"]).expect(0);
        cli.write("retro.toml", format!("[capture]\n{text}\n").as_bytes());
        cli.remove("b");
        // A folder where there was a file, and the other way round.
        cli.remove("swapped");
        std::fs::remove_dir_all(cli.workspace.join("turned")).unwrap();
        for path in ["a", "dir/c", "swapped/x", "turned"] {
            cli.write(path, b"bad");
        }
        cli.run(&["snap"]).expect(0);
        assert!(cli.json("ls --json").iter().any(|entry| entry["path"] == "retro.toml"), "{text}");
        let states = |word: &str| {
            let paths = if word == "good" { ["swapped", "turned/x"] } else { ["swapped/x", "turned"] };
            for path in ["a", "dir/c"].into_iter().chain(paths) {
                assert_eq!(cli.read(path), word.as_bytes(), "{path}: {text}");
            }
        };
        for round in ["first", "second"] {
            assert!(cli.run(&["status"]).code <= 1 && cli.run(&["diff"]).code <= 1, "{text}");
            let restored = &cli.json("restore s1 --json")[0];
            assert!(restored["exact"] == true && restored["kept"].as_array().unwrap().is_empty(), "{restored}: {text}");
            states("good");
            assert_eq!(cli.read("b"), b"good", "{text}");
            cli.run(&["undo"]).expect(0);
            states("bad");
            cli.run(&["redo"]).expect(0);
            states("good");
            cli.run(&["undo"]).expect(0);
            states("bad");
            cli.run(&["restore", "s1", "--", "a"]).expect(0);
            assert_eq!((cli.read("a"), cli.read("dir/c")), (b"good".to_vec(), b"bad".to_vec()), "{round}: {text}");
            cli.run(&["undo"]).expect(0);
            states("bad");
            cli.run(&["redo"]).expect(0);
            assert_eq!((cli.read("a"), cli.read("dir/c")), (b"good".to_vec(), b"bad".to_vec()), "{round}: {text}");
            cli.run(&["undo"]).expect(0);
            states("bad");
        }
    }
}

/// A `retro.toml` that is too long for settings is a file like any other.
#[test]
fn the_settings_file_is_recorded_despite_any_size_limit() {
    let cli = Cli::new();
    let has_settings = || cli.json("ls --json").iter().any(|entry| entry["path"] == "retro.toml");
    cli.write("a", &[b'a'; 100]);
    cli.write("sub/retro.toml", b"# this is not the one in the root");
    cli.write("retro.toml", b"[capture]\nmax_file_bytes = \"20 B\"\n");
    cli.run(&["snap"]).expect(0);
    assert!(has_settings());
    assert_eq!(cli.json("ls -r --json").len(), 2, "the folder, and nothing in it");
    let mut long = b"[capture]\nmax_file_bytes = 0\n".to_vec();
    long.resize(1 << 20, b'#');
    cli.write("retro.toml", &long);
    cli.run(&["snap"]).expect(0);
    assert_eq!(cli.json("ls --json").iter().find(|entry| entry["path"] == "retro.toml").unwrap()["size"], 1 << 20);
    long.push(b'#');
    cli.write("retro.toml", &long);
    cli.run(&["snap"]).expect(0);
    assert!(!has_settings());
}
