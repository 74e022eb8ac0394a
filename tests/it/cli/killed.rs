//! `retro restore`, killed in the middle of a few thousand files, and what comes after.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use retrograde::time::Stopwatch;
use rustix::process::Signal;

use super::Cli;
use crate::support::walker::{Nodes, differences, walk};

/// Enough that a restore takes many times as long as it takes to be killed.
const FILES: usize = 4_000;

/// Restores killed before one is cut off in the middle; it is nearly always the first.
const ATTEMPTS_MAX: usize = 20;

/// A workspace whose restore of `s1` was killed in the middle, and its states at both steps.
struct Killed {
    cli: Cli,
    target: Nodes,
    before: Nodes,
}

fn fill(cli: &Cli, round: usize) {
    for number in 0..FILES {
        let content = format!("{number} {}\n", "x".repeat(round * 40));
        cli.write(format!("d{:02}/e{}/f{number:04}", number % 40, number % 3), content.as_bytes());
    }
    cli.write(format!("only-{round}/f"), b"x");
}

impl Killed {
    fn new() -> Self {
        Self::by(Signal::KILL).0
    }

    /// The same with another signal, and what the restore said and how it exited.
    fn by(signal: Signal) -> (Self, String, Option<i32>) {
        let cli = Cli::new();
        fill(&cli, 1);
        cli.run(&["snap"]).expect(0);
        let target = walk(&cli.workspace);
        fill(&cli, 2);
        std::fs::remove_dir_all(cli.workspace.join("only-1")).unwrap();
        cli.run(&["snap"]).expect(0);
        let before = walk(&cli.workspace);
        for _ in 0..ATTEMPTS_MAX {
            let (said, code) = kill_in_the_middle(&cli, signal);
            if cli.json("status --json")[0]["unfinished_restore"].is_object() && walk(&cli.workspace) != before {
                return (Self { cli, target, before }, said, code);
            }
            cli.run(&["restore", "s2"]).expect(0);
        }
        panic!("{ATTEMPTS_MAX} restores ended before they could be killed");
    }

    #[track_caller]
    fn expect(&self, nodes: &Nodes) {
        let found = walk(&self.cli.workspace);
        assert!(found == *nodes, "{:#?}", differences(&found, nodes));
    }
}

impl Drop for Killed {
    /// Removes the folder quickly: the clean-up for hostile workspaces is slow on thousands of files.
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.cli.workspace).ok();
    }
}

/// Starts a restore, waits until it has changed something, and sends it a signal. Returns what it said and how it
/// exited.
fn kill_in_the_middle(cli: &Cli, signal: Signal) -> (String, Option<i32>) {
    let mut command = cli.command();
    let mut child = command.args(["restore", "s1"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let gone = cli.workspace.join("only-2/f");
    let samples: Vec<_> = (0..40).map(|number| cli.workspace.join(format!("d{number:02}/e0"))).collect();
    let times = || samples.iter().map(|folder| modified(folder)).collect::<Vec<_>>();
    let (began, before) = (Stopwatch::start(), times());
    let mut has_ended = false;
    while !has_ended && gone.exists() && times() == before && began.elapsed() < Duration::from_secs(20) {
        has_ended = child.try_wait().unwrap().is_some();
    }
    // Files are removed first; a moment later others are being written.
    std::thread::sleep(Duration::from_millis(5));
    // The number of one that was waited for may be another process's by now.
    if !has_ended {
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    (String::from_utf8(output.stderr).unwrap(), output.status.code())
}

fn modified(path: &Path) -> Option<std::time::SystemTime> {
    path.metadata().ok()?.modified().ok()
}

#[test]
fn a_killed_restore_is_announced_and_finished() {
    let killed = Killed::new();
    let cli = &killed.cli;
    let half_way = walk(&cli.workspace);
    let said = String::from_utf8(cli.run(&["log"]).stderr).unwrap();
    assert!(said.contains("the restore of s1 ") && said.contains("--continue") && said.contains("--abort"), "{said}");
    let planned = cli.json("restore --continue --dry-run --json");
    assert!(planned[0]["actions"].as_array().is_some_and(|actions| !actions.is_empty()));
    killed.expect(&half_way);
    let done = &cli.json("restore --continue --json")[0];
    assert_eq!((&done["actions"], &done["before_step"]), (&planned[0]["actions"], &2.into()));
    killed.expect(&killed.target);
    assert_eq!(cli.json("status --json")[0]["unfinished_restore"], serde_json::Value::Null);
    assert!(cli.run(&["log"]).stderr.is_empty());
    cli.run(&["undo"]).expect(0);
    killed.expect(&killed.before);
    cli.run(&["redo"]).expect(0);
    killed.expect(&killed.target);
}

#[test]
fn an_interrupted_restore_says_that_the_folder_is_between_two_states() {
    let (killed, said, code) = Killed::by(Signal::INT);
    assert_eq!(
        said,
        "stopped by SIGINT: the folder is between two states; `retro restore --continue` finishes the restore, \
         `retro restore --abort` goes back\n"
    );
    assert_eq!(code, Some(130));
    killed.cli.run(&["restore", "--continue"]).expect(0);
    killed.expect(&killed.target);
}

#[test]
fn a_killed_restore_is_aborted() {
    let killed = Killed::new();
    let cli = &killed.cli;
    cli.write("only-2/meanwhile", b"by the agent");
    let half_way = walk(&cli.workspace);
    cli.run(&["restore", "--abort", "--dry-run"]).expect(0);
    killed.expect(&half_way);
    let done = &cli.json("restore --abort --json")[0];
    killed.expect(&killed.before);
    cli.run(&["redo"]).expect(3);
    assert_eq!(cli.json("snap --json")[0]["recorded"], false);
    // The half-way state, with what was done meanwhile, is a step.
    let step = format!("s{}", done["before_step"]);
    cli.run(&["restore", &step]).expect(0);
    let found = walk(&cli.workspace);
    let is_temporary = |path: &[u8]| path.windows(11).any(|part| part == b".retro-tmp-");
    let wanted: Nodes = half_way.into_iter().filter(|(path, _)| !is_temporary(path)).collect();
    assert!(found == wanted, "{:#?}", differences(&found, &wanted));
}

/// A history that was begun anew in the moved folder is no reason why the restore could never be ended.
#[test]
fn a_restore_that_was_cut_off_in_a_folder_that_moved_is_ended_in_the_joined_history() {
    for (way, continues) in [("--abort", false), ("--continue", true)] {
        let killed = Killed::new();
        let cli = &killed.cli;
        let moved = cli.home().join("moved");
        cli.rename("../ws", "../moved");
        std::fs::create_dir(&cli.workspace).unwrap();
        let at_moved = |line: &[&str]| cli.run(&[&["-C", "../moved"], line].concat());
        let id = cli.json("workspace list --json")[0]["workspace"].as_str().unwrap().to_owned();
        at_moved(&["snap"]).expect(0);
        at_moved(&["workspace", "move", &id, "."]).expect(4);
        at_moved(&["workspace", "move", "--join", &id, "."]).expect(0);
        at_moved(&["restore", way]).expect(0);
        let wanted = if continues { &killed.target } else { &killed.before };
        let found = walk(&moved);
        assert!(found == *wanted, "{:#?}", differences(&found, wanted));
        at_moved(&["verify"]).expect(0);
    }
}
