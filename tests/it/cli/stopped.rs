//! The program while it waits for a lock, and when a signal ends it: what it says, and how it exits.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::Cli;

/// The program while it waits for a lock.
struct Waiting {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// The line with which it says so.
    line: String,
}

impl Waiting {
    fn begin(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        Self { child, stderr, line }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end: the rest of the output, and the exit status.
    fn end(mut self) -> (String, ExitStatus) {
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        (said, self.child.wait().unwrap())
    }
}

/// A workspace with a change to be recorded, and the lock of its store, held.
fn with_held_lock() -> (Cli, File) {
    let cli = Cli::with_two_steps();
    cli.write("a.txt", b"changed\n");
    let lock = File::open(cli.store.join("lock")).unwrap();
    lock.lock().unwrap();
    (cli, lock)
}

fn snap(cli: &Cli) -> Command {
    let mut command = cli.command();
    command.arg("snap");
    command
}

#[test]
fn a_wait_for_a_lock_names_the_holder() {
    let (cli, lock) = with_held_lock();
    let waiting = Waiting::begin(snap(&cli));
    let holder = format!("waiting for process {} (", std::process::id());
    assert!(waiting.line.starts_with(&holder) && waiting.line.ends_with("), which uses this store\n"));
    drop(lock);
    assert!(waiting.end().1.success());
    assert_eq!(cli.json("log --json").len(), 3);
}

#[test]
fn a_wait_for_a_stopped_process_says_how_to_let_it_go_on() {
    let (cli, lock) = with_held_lock();
    drop(lock);
    // It holds the lock of the workspace, or that of the store, and does not run.
    let mut holder = Command::new("flock");
    holder.arg(cli.store.join("lock")).args(["sh", "-c", "kill -STOP $PPID; exec sleep 60"]);
    let mut holder = holder.spawn().unwrap();
    let status = format!("/proc/{}/status", holder.id());
    while !std::fs::read_to_string(&status).unwrap().contains("State:\tT") {
        std::thread::yield_now();
    }
    let waiting = Waiting::begin(snap(&cli));
    let pid = holder.id();
    let expected = format!("waiting for process {pid} (flock), which is stopped: `kill -CONT {pid}` continues it\n");
    assert_eq!(waiting.line, expected);
    waiting.signal(Signal::TERM);
    assert_eq!(waiting.end().1.code(), Some(143));
    holder.kill().unwrap();
    holder.wait().unwrap();
}

#[test]
fn signals_end_the_program_with_their_number_and_say_what_is_left() {
    for (signal, name, code) in
        [(Signal::INT, "SIGINT", 130), (Signal::TERM, "SIGTERM", 143), (Signal::HUP, "SIGHUP", 129)]
    {
        let (cli, lock) = with_held_lock();
        let waiting = Waiting::begin(snap(&cli));
        waiting.signal(signal);
        let (said, status) = waiting.end();
        let expected = format!(
            "stopped by {name}: the step is recorded completely or not at all; `retro snap` records what is there now\n"
        );
        assert_eq!((said, status.code()), (expected, Some(code)));
        drop(lock);
        // Nobody acknowledged that step, and the next one has what it would have had.
        assert_eq!(cli.json("snap --json")[0]["step"], 3);
    }
}

#[test]
fn a_signal_before_a_restore_begins_changes_nothing() {
    let (cli, lock) = with_held_lock();
    let mut restore = cli.command();
    restore.args(["restore", "s1"]);
    let waiting = Waiting::begin(restore);
    waiting.signal(Signal::INT);
    let (said, status) = waiting.end();
    assert_eq!(said, "stopped by SIGINT: nothing in the folder was changed; run it again\n");
    assert_eq!(status.code(), Some(130));
    drop(lock);
    assert_eq!(cli.read("a.txt"), b"changed\n");
}

#[test]
fn a_signal_is_an_error_in_json() {
    let (cli, lock) = with_held_lock();
    let mut command = cli.command();
    command.args(["--json", "snap"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    // With JSON it says nothing while it waits, so there is nothing to wait for but the wait itself.
    while !std::fs::read_to_string(format!("/proc/{}/wchan", child.id())).is_ok_and(|place| place.contains("lock"))
        && !std::fs::read_to_string(format!("/proc/{}/syscall", child.id())).is_ok_and(|call| call.starts_with("73 "))
    {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((&error["error"]["kind"], output.status.code()), (&"interrupted".into(), Some(143)), "{error}");
    drop(lock);
}

#[test]
fn a_signal_that_the_caller_ignores_stays_ignored() {
    let (cli, lock) = with_held_lock();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"trap "" INT; exec "$0" snap"#, env!("CARGO_BIN_EXE_retro")]);
    command.env_clear().env("HOME", cli.home()).env("RETRO_STORE", &cli.store).current_dir(&cli.workspace);
    let waiting = Waiting::begin(command);
    waiting.signal(Signal::INT);
    drop(lock);
    let (said, status) = waiting.end();
    assert!(status.success(), "{said}");
    assert_eq!(cli.json("log --json").len(), 3);
}
