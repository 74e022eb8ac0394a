//! Out of the way: whatever the program is asked to do, it writes nothing into the folder that is not part of a step,
//! never touches `.git`, and never runs git.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::Cli;
use crate::support::git::{Git, has_git};
use crate::support::verbs;

/// Everything that only looks, with an event or nothing on standard input.
const LOOKS: &[&str] = &[
    "init",
    "snap -m first",
    "snap --event - -m second",
    "snap --event -",
    "status",
    "log --stat",
    "log --graph",
    "log -p -- *.txt",
    "runs",
    "show --event",
    "__complete zsh retro restore s1 d",
    "show -p",
    "ls -r @",
    "cat @:a.txt",
    "diff",
    "diff s1 s2",
    "tag v1 s1",
    "tag",
    "tag -d v1",
    "pin s1",
    "stats",
    "verify",
    "verify --quick",
    "repair --dry-run",
    "repair",
    "workspace list",
    "export s1 --tar ../out/s1.tar",
    "export --git ../out/all.git",
    "restore s1 --dry-run",
    "restore s1 --into ../out/into",
    "restore --continue",
    "undo",
    "redo",
    "help json",
    "completions bash",
];

/// Commands that change the folder back, which must leave `.git` alone.
const RESTORES: &[&str] = &["restore s1", "undo", "redo", "undo", "restore s1 -- a.txt", "restore @"];

/// The facts that change if anybody touches a file, its name or its mode: inode, length, mode and both times.
type Touched = BTreeMap<PathBuf, [i64; 7]>;

fn look(folder: &Path, found: &mut Touched) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let seen = path.symlink_metadata().unwrap();
        let number = |value: u64| value.cast_signed();
        let times = [seen.mtime(), seen.mtime_nsec(), seen.ctime(), seen.ctime_nsec()];
        let [m, mn, c, cn] = times;
        found.insert(path.clone(), [number(seen.ino()), number(seen.len()), seen.mode().into(), m, mn, c, cn]);
        if seen.is_dir() {
            look(&path, found);
        }
    }
}

fn looked_at(folder: &Path) -> Touched {
    let mut found = Touched::new();
    look(folder, &mut found);
    found.insert(folder.to_owned(), [folder.metadata().unwrap().mtime_nsec(), 0, 0, 0, 0, 0, 0]);
    found
}

/// A folder with a repository in it, and a `git` on the PATH, the only program there, that leaves a trace when it is
/// run.
struct Watched {
    cli: Cli,
    path: PathBuf,
    trace: PathBuf,
}

impl Watched {
    #[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
    fn new() -> Self {
        let cli = Cli::new();
        let git = Git::init(&cli.workspace, &cli.home().join("git-home"));
        cli.write("a.txt", b"one\n");
        cli.write(".gitignore", b"ignored/\n");
        cli.write("ignored/b.txt", b"two\n");
        cli.write("retro.toml", b"[capture]\ngitignore = true\ninclude = [\"ignored/\"]\n");
        if has_git() {
            git.run(&["add", "-A"], b"");
            git.run(&["-c", "user.name=a", "-c", "user.email=b", "commit", "-qm", "c"], b"");
        }
        let (path, trace) = (cli.home().join("bin"), cli.home().join("git-was-run"));
        std::fs::create_dir(&path).unwrap();
        std::fs::create_dir(cli.home().join("out")).unwrap();
        let script = format!("#!/bin/sh\necho \"$@\" >> '{}'\nexit 1\n", trace.display());
        std::fs::write(path.join("git"), script).unwrap();
        std::fs::set_permissions(path.join("git"), PermissionsExt::from_mode(0o755)).unwrap();
        Self { cli, path, trace }
    }

    /// Runs a line, and compares what it must leave alone.
    #[track_caller]
    fn expect_untouched(&self, line: &str, folder: &Path) {
        let before = looked_at(folder);
        let mut command = self.cli.command();
        command.env("PATH", &self.path).args(line.split(' '));
        let ran = self.cli.finish(command, br#"{"tool":"bash","input":"make"}"#);
        // There is nothing to finish or to undo yet.
        let is_refusal = matches!(line, "restore --continue" | "undo" | "redo") && [3, 5].contains(&ran.code);
        assert!(ran.code == 0 || is_refusal, "`{line}`: {}", ran.shown);
        let after = looked_at(folder);
        let is_other = |path: &&PathBuf| before.get(*path) != after.get(*path);
        let other: Vec<&PathBuf> = before.keys().chain(after.keys()).filter(is_other).collect();
        assert!(other.is_empty(), "`{line}` touched {other:?}");
        assert!(!self.trace.exists(), "`{line}` ran git");
    }
}

#[test]
fn nothing_is_written_into_the_folder_and_git_is_never_run() {
    // `import` is tried below, in a folder of its own; `workspace forget` and `move` change no folder.
    verbs::expect_all(LOOKS.iter().chain(RESTORES).copied(), &["import"]);
    let watched = Watched::new();
    for line in LOOKS {
        watched.expect_untouched(line, &watched.cli.workspace);
    }
    #[cfg(feature = "git")]
    if has_git() {
        std::fs::create_dir(watched.cli.home().join("copy")).unwrap();
        watched.expect_untouched("-C ../copy import --git ../ws", &watched.cli.workspace);
    }
}

#[test]
fn a_restore_leaves_the_repository_alone_and_nothing_of_its_own() {
    let watched = Watched::new();
    let cli = &watched.cli;
    cli.run(&["snap"]).expect(0);
    let names = |folder: &Path| looked_at(folder).into_keys().collect::<Vec<_>>();
    let at_first = names(&cli.workspace);
    cli.write("a.txt", b"changed\n");
    cli.write("new/c.txt", b"three\n");
    cli.remove("ignored/b.txt");
    cli.run(&["snap"]).expect(0);
    let then = names(&cli.workspace);
    for line in RESTORES {
        watched.expect_untouched(line, &cli.workspace.join(".git"));
        let now = names(&cli.workspace);
        assert!(now == at_first || now == then, "`{line}` left {now:?}");
    }
}
