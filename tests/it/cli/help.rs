//! `retro help`, and the promise of `--json`: what is printed is a shape of `wire`, to the last key, and each is tried.

use std::collections::BTreeSet;

use retrograde::{Config, wire};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Cli;

#[test]
fn help_lists_the_verbs_by_purpose() {
    let cli = Cli::new();
    cli.check("--help", HELP);
    cli.check(
        "undo --help",
        "
        | Undo the last change of the folder: edits, a step or a restore
        |
        | Usage: retro undo [OPTIONS] [N]
        |
        | Arguments:
        |   [N]  The number of changes; if one of them fails, none is made [default: 1]
        |
        | Options:
        |       --dry-run             Show what would be done, without doing it
        |   -v, --verbose             Show each path that is changed
        |       --no-safety-snapshot  Take no snapshot first: changes that are not recorded yet are lost, and
        |                             undo cannot bring them back
        |   -h, --help                Print help
        |
        | Global options:
        |       --store <DIR>    Use the store in DIR instead of $RETRO_STORE or the user data folder
        |   -C <DIR>             Work as if started in DIR
        |       --config <FILE>  Read settings from FILE instead of retro.toml in the folder
        |       --json           Print JSON; `retro help json` describes it
        |   -q, --quiet          Print only results, warnings and errors
        |       --color <WHEN>   Use colour `always`, `never`, or `auto`: on a terminal, unless NO_COLOR is
        |                        set [default: auto]
    ",
    );
    for verb in ["log", "show", "diff", "restore", "export"] {
        let text = String::from_utf8(cli.run(&[verb, "--help"]).stdout).unwrap();
        assert_eq!(text.matches("\n  [PATH]...").count(), 1, "{text}");
    }
    for [one, other] in [["help", "--help"], ["help undo", "undo --help"]] {
        let stdout = |line: &str| cli.run(&line.split(' ').collect::<Vec<_>>()).stdout;
        assert!(stdout(one) == stdout(other), "{one} and {other} differ");
    }
    cli.check(
        "help nothing",
        "
        | ! error: explain nothing: no verb or topic has this name
        | ! hint: `retro help` lists the verbs; the topics are recording, settings and json
        | exit 3
    ",
    );
}

const HELP: &str = r#"
        | A flight recorder for the folders that AI agents work in: snapshot every step, restore any of them,
        | undo the restore
        |
        | Usage: retro [OPTIONS] VERB [ARGUMENTS]
        |
        | Record:
        |   snap         Take a snapshot, if anything has changed
        |   status       Show what is recorded, what has changed since the last step, and what is excluded
        |   init         Register a folder without taking a snapshot
        |
        | Look back:
        |   log          List steps, newest first
        |   show         Show one step: what it changed, when and why
        |   diff         Compare two steps, or a step with the current folder
        |   ls           List the files and folders of a step
        |   cat          Print a file as a step has it
        |   runs         List the agent sessions (runs) that recorded steps here
        |
        | Go back:
        |   restore      Restore the folder, or some paths in it, to a step
        |   undo         Undo the last change of the folder: edits, a step or a restore
        |   redo         Redo the change that was undone last
        |
        | Keep and share:
        |   tag          Tag a step with a name, or list the tags
        |   pin          Keep a step whatever the storage budget, or stop keeping it
        |   export       Write a step as a tar file, or steps as a git repository
        |   import       Record the commits of a git repository as steps
        |
        | The store and the program:
        |   stats        Show what the store holds, and how much space it takes
        |   verify       Check the store for damage, and list the steps and paths that it affects
        |   repair       Repair a damaged store, and mark the steps that stay incomplete
        |   workspace    List, forget or move recorded folders
        |   completions  Print a completion script
        |   help         Explain a verb or a topic: recording, settings, json
        |
        | Options, before or after the verb:
        |       --store <DIR>    Use the store in DIR instead of $RETRO_STORE or the user data folder
        |   -C <DIR>             Work as if started in DIR
        |       --config <FILE>  Read settings from FILE instead of retro.toml in the folder
        |       --json           Print JSON; `retro help json` describes it
        |   -q, --quiet          Print only results, warnings and errors
        |       --color <WHEN>   Use colour `always`, `never`, or `auto`: on a terminal, unless NO_COLOR is
        |                        set [default: auto]
        |   -h, --help           Print help
        |   -V, --version        Print version
        |
        | Steps (REV):
        |   @  @-3                 the current step, and the third step before it; also HEAD, HEAD~3, @^
        |   v1                     the step with this tag
        |   s12  12                step 12, unless a tag has this name
        |   [short]               the step whose id begins with these digits, four or more, unless a tag
        |                          or a step has this name
        |   run:NAME               the last step of a run
        |   3f2a/v1                a step of another workspace, after the first digits of its id
        |   "@{[age]}"    the last step before a time; also "@{2026-11-20 10:30}"
        |   A..B                   the steps after A, up to and including B
        |
        | Paths (PATH):
        |   A path is relative to the current folder. A pattern without a slash, such as '*.rs', matches names
        |   at any depth. A pattern with a slash matches whole paths: 'src/*.rs' only files in src,
        |   'src/**/*.rs' also files in folders below it. A path with exactly this name wins over the pattern.
        |   Paths follow the step (`retro restore s1 notes.txt`), or stand alone after `--`.
        |
        | Exit codes:
        |   0    success
        |   1    diff --exit-code found changes, verify found damage, or repair, restore, undo or redo
        |        could not do everything
        |   2    invalid arguments or settings
        |   3    no such step, path, folder or store
        |   4    the name or the file exists already
        |   5    the state of the folder or the store does not allow it
        |   6    a limit was reached
        |   7    stored data is damaged
        |   8    needs a newer version, another build or another platform
        |   9    the operating system reported an error
        |   129  stopped by SIGHUP
        |   130  stopped by SIGINT
        |   143  stopped by SIGTERM
        |
        | Examples:
        |   retro snap -m 'before the agent starts'
        |   retro diff                   the changes since the last snapshot
        |   retro log --stat -- src      the steps that changed src
        |   retro restore s12            restore everything to step 12; `retro undo` undoes it
        |   retro restore @-1 .env       restore one file
    "#;

/// The settings that `help settings` shows are those that there are: none is passed over.
#[test]
fn the_settings_that_help_shows_count() {
    let cli = Cli::with_two_steps();
    let text = String::from_utf8(cli.run(&["help", "settings"]).stdout).unwrap();
    let of = |table: &str| {
        let start = text.find(table).unwrap_or_else(|| panic!("no {table}"));
        text[start..].split("\n\n").next().unwrap().to_owned()
    };
    cli.write("retro.toml", of("[capture]").as_bytes());
    cli.write(cli.store.join("config.toml"), of("[retention]").as_bytes());
    let found = &cli.json("status --json")[0];
    assert_eq!(found["warnings"], serde_json::json!([]), "{text}");
    assert_eq!(found["budget_bytes"], 20_u64 << 30);
    let defaults = Config::default().capture;
    assert_eq!((defaults.max_file_bytes, defaults.max_files, defaults.max_bytes), (None, 4_000_000, 64 << 30));
    for line in [
        "\"2 GiB\"         # (no limit)",
        "8_000_000            # (4_000_000)",
        "\"128 GiB\"            # (\"64 GiB\")",
    ] {
        assert!(text.contains(line), "no {line}");
    }
    assert!(String::from_utf8(cli.run(&["help", "recording"]).stdout).unwrap().lines().all(|line| line.len() <= 102));
}

/// The line as the shape of this type writes it again.
fn again<T: DeserializeOwned + Serialize>(line: &str) -> String {
    let shape: T = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
    wire::line(&shape)
}

#[test]
fn every_verb_prints_its_shape_and_nothing_else() {
    let cli = Cli::with_two_steps();
    rustix::fs::mkfifoat(rustix::fs::CWD, cli.workspace.join("pipe"), rustix::fs::Mode::RWXU).unwrap();
    let content: Vec<u8> = (0..200_u32).flat_map(|line| format!("line {line}\n").into_bytes()).collect();
    cli.write("old.rs", &content);
    cli.write("target/x", b"x");
    cli.run_with(&["snap", "--tag", "v1", "--event", "-"], b"{\"tool\":\"x\"}").expect(0);
    cli.remove("old.rs");
    cli.write("new.rs", &content);
    let mut checked = BTreeSet::new();
    let mut compare = |verbs: &'static str, line: &str, again: fn(&str) -> String| {
        let found = cli.json(line);
        assert!(!found.is_empty(), "{line} prints nothing");
        found.iter().for_each(|object| assert_eq!(object.to_string(), again(&object.to_string()), "{line}"));
        checked.insert(verbs);
    };
    compare("status", "status --json", again::<wire::Status>);
    compare("diff", "diff --json", again::<wire::Change>);
    compare("diff", "diff --stat --json", again::<wire::Change>);
    compare("snap", "snap --json", again::<wire::Snapped>);
    compare("log", "log --json", again::<wire::Step>);
    compare("log", "log --stat --json", again::<wire::Step>);
    compare("show", "show @- --json", again::<wire::Shown>);
    compare("runs", "runs --json", again::<wire::Run>);
    compare("ls", "ls --json", again::<wire::Entry>);
    compare("restore, undo, redo", "restore s1 --json", again::<wire::Restored>);
    compare("restore, undo, redo", "undo --json", again::<wire::Restored>);
    compare("restore --into", "restore s1 --into ../out --json", again::<wire::Filled>);
    compare("tag", "tag --json", again::<wire::Tag>);
    compare("tag NAME, tag -d NAME", "tag v2 --json", again::<wire::Tagged>);
    compare("tag NAME, tag -d NAME", "tag -d v2 --json", again::<wire::Tagged>);
    compare("pin", "pin @ --json", again::<wire::Pinned>);
    compare("stats", "stats --json", again::<wire::Stats>);
    compare("workspace list", "workspace list --json", again::<wire::Workspace>);
    compare("workspace move", "workspace move . . --json", again::<wire::Moved>);
    compare("export --tar", "export --tar ../x.tar --json", again::<wire::TarExported>);
    compare("init", "init --json", again::<wire::Registered>);
    if cfg!(feature = "git") {
        compare("export --git", "export --git ../x.git --json", again::<wire::GitExported>);
        compare("import", "import --git ../x.git --json", again::<wire::GitImported>);
    }
    compare("workspace forget", "workspace forget . --json", again::<wire::Forgotten>);
    compare("workspace forget --undo", "workspace forget --undo . --json", again::<wire::Recalled>);
    cli.run(&["workspace", "forget", "."]).expect(0);
    for (arguments, code) in [(&["status", "--json"][..], 3), (&["log", "--json", "--frob"], 2)] {
        let error = String::from_utf8(cli.run(arguments).expect(code).stderr.clone()).unwrap();
        assert_eq!(error.trim_end(), again::<wire::Failed>(&error));
    }
    cli.remove(cli.store.join("FORMAT"));
    let lines = |verb: &str, code, each: fn(&str) -> String, last: fn(&str) -> String| {
        let printed = String::from_utf8(cli.run(&[verb, "--json"]).expect(code).stdout.clone()).unwrap();
        let lines: Vec<&str> = printed.lines().collect();
        assert_eq!(lines.len(), 2, "{printed}");
        assert_eq!(lines, [each(lines[0]), last(lines[1])]);
    };
    lines("verify", 1, again::<wire::Finding>, again::<wire::Verified>);
    lines("repair", 0, again::<wire::Repair>, again::<wire::Repaired>);
    checked.extend(["verify", "verify, the last line", "repair", "repair, the last line"]);
    let warning = wire::Warning { warning: "x".to_owned() };
    assert_eq!(wire::line(&warning), again::<wire::Warning>(&wire::line(&warning)));
    checked.extend(["errors", "warnings"]);
    if cfg!(not(feature = "git")) {
        checked.extend(["export --git", "import"]);
    }
    let schema = wire::schema();
    let printed: BTreeSet<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(checked, printed, "every shape is compared");
}
