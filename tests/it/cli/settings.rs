//! `retro.toml` as an agent can leave it: nothing in it stops the recording or going back.

use super::Cli;

const BROKEN: &str = "the rules of s2 are in force until it is put right";

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
            let told = String::from_utf8_lossy(&ran.stderr).into_owned();
            assert!(ran.code <= 3 && ran.code != 2 && told.contains("in force until"), "{command}: {told}");
            if command == "snap" {
                assert_eq!(ran.code, 0);
                assert!(told.contains(BROKEN), "{told}");
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
        assert!(status["warnings"][0].as_str().is_some_and(|text| text.contains("in force until")), "{status}");
    }
}

#[test]
fn the_first_step_is_taken_under_the_built_in_rules_where_the_file_is_broken() {
    let cli = Cli::new();
    cli.write("retro.toml", b"=======\n");
    cli.write("a.txt", b"a");
    let ran = cli.run(&["snap"]);
    ran.expect(0);
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(told.contains("; the built-in rules are in force until it is put right"), "{told}");
    assert_eq!(cli.json("ls --json").len(), 2);
}

#[test]
fn what_is_no_setting_is_named_and_the_rest_counts() {
    let cli = Cli::new();
    cli.write(
        "retro.toml",
        b"[capture]\nexlude = [\"b\"]\nexclude = [\"a.txt\"]\nmax_files = 0\n[retention]\nbudget_bytes = 1\n",
    );
    cli.write("a.txt", b"a");
    let ran = cli.run(&["snap", "-q"]);
    ran.expect_text(
        "
        | ! warning: $WS/retro.toml: `capture.exlude` is no setting, and is passed over
        | ! warning: $WS/retro.toml: `retention.budget_bytes` counts only in config.toml in the store folder, and is passed over
        | ! warning: $WS/retro.toml: `capture.max_files` is below the built-in cap, which it can only raise; it is passed over
    ",
    );
    assert_eq!(cli.json("ls --json").len(), 1);
}

/// An agent that excludes everything hides nothing: the step says so, and going back works.
#[test]
fn excluding_everything_is_seen_and_taken_back() {
    let cli = Cli::with_two_steps();
    cli.write("retro.toml", b"[capture]\nexclude = [\"*\"]\n");
    cli.check(
        "snap",
        "
        | s3 [short]  +1 ~0 -3  [span]
        | ! note: the rules changed and leave out 3 recorded paths still in the folder
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
