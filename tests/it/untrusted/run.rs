//! Every verb of the program over a forged store, held to what a store from somebody else must not be able to do.

use std::cell::Cell;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use retrograde::time::Stopwatch;

use super::forge::{Forge, HONEST, text};
use crate::support::damage::copy_folder;
use crate::support::depth::{AtLeast, is_turn};
use crate::support::walker::{self, Nodes};

/// The verbs that read a store, each with what follows it: `{rev}` is the snapshot in question, `{path}` a path in it
/// and `{out}` a folder of their own. Those that change the workspace come last, in an order that lets each do its
/// work.
pub(super) const VERBS: &[&str] = &[
    "status",
    "log",
    "log --stat",
    "log --graph",
    "log --json",
    "log {rev} -- folder",
    "log --oneline {rev} -- *",
    "runs",
    "ls {rev} *",
    "__complete zsh retro restore {rev} f",
    "show {rev}",
    "show -p {rev}",
    "show --json {rev}",
    "ls {rev}",
    "ls -r {rev}",
    "cat {rev}:{path}",
    "diff honest {rev}",
    "diff --stat honest {rev}",
    "diff {rev}",
    "diff --name-status honest..{rev}",
    "tag",
    "stats",
    "verify",
    "verify --quick",
    "repair --dry-run",
    "workspace list",
    "export {rev} --tar {out}/step.tar",
    "export --git {out}/all.git",
    "export --git {out}/rev.git {rev}",
    "restore {rev} --into {out}/into",
    "restore {rev} --into {out}/one -- {path}",
    "restore --dry-run {rev}",
    "tag another {rev}",
    "pin {rev}",
    "snap -m before",
    "restore {rev}",
    "snap -m after",
    "undo",
    "redo",
    "restore --continue",
    "restore --abort",
    "tag -d another",
];

/// Verbs that between them open, search, read and write everything, for stores that are forged in many ways.
pub(super) const FEW: [&str; 10] = [
    "status",
    "log --stat",
    "show {rev}",
    "stats",
    "verify",
    "export {rev} --tar {out}/step.tar",
    "snap -m before",
    "restore {rev}",
    "undo",
    "tag another {rev}",
];

/// At quick depth a store is met by one verb in so many.
const EVERY: usize = 5;

/// No verb may take more processor time. Builds for tests are slow.
const PROCESSOR_TIME_MAX: Duration = Duration::from_secs(60);

/// No verb may wait longer, and machines that run tests are busy.
const TIME_MAX: Duration = Duration::from_secs(600);

/// No verb may take more address space.
pub(super) const MEMORY_MAX_BYTES: u64 = 3 << 29;

/// No verb may print more: a list without end is a loop.
const OUTPUT_MAX_BYTES: u64 = 2 << 30;

/// The exit code beyond a limit, also of the transaction numbers.
pub(super) const LIMIT: i32 = 6;

/// The codes in the table of `retro --help`.
const CODES: [i32; 11] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130];

/// The result of one verb.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) line: &'static str,
    pub(super) code: i32,
    /// The first of what it printed.
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
}

/// Verbs to be run over a forged store. It is [`expect`](Self::expect) that runs them.
#[must_use]
pub(super) struct Survey<'a> {
    lines: &'a [&'static str],
    forge: &'a Forge,
    rev: &'a str,
    path: &'a str,
}

/// The results of the verbs of a survey.
pub(super) struct Surveyed(Vec<Done>);

impl Survey<'_> {
    /// Runs the verbs, checks how those end that are given as pairs of a line and the code, and of each verb that it
    /// ended in good order and wrote nowhere but where it should; at the end, that the honest snapshot is still there,
    /// and that a repair does its work.
    ///
    /// At quick depth the verbs with a code are run, and a few others: other ones for each store, so that a test with
    /// [`EVERY`] stores runs them all.
    #[track_caller]
    pub(super) fn expect(self, codes: &[(&str, i32)]) -> Surveyed {
        let Self { lines, forge, rev, path } = self;
        let turn = next_turn();
        let is_run = |number: usize, line: &str| {
            is_turn(number + turn, EVERY) || codes.iter().any(|(expected, _)| *expected == line)
        };
        let chosen = lines.iter().enumerate().filter(|(number, line)| is_run(*number, line));
        let done: Vec<Done> = chosen.map(|(_, line)| run_line_and_compare(forge, line, rev, path)).collect();
        AtLeast::new(lines.len() / EVERY, lines.len()).require("verbs over a forged store", done.len());
        expect_honest(forge);
        expect_repair(forge);
        let surveyed = Surveyed(done);
        for (line, code) in codes {
            let done = surveyed.of(line);
            assert_eq!(done.code, *code, "`{line}`: {}", done.stderr);
        }
        surveyed
    }
}

impl Surveyed {
    /// The result of the verb of this line, for a line with an expected code.
    #[track_caller]
    pub(super) fn of(&self, line: &str) -> &Done {
        self.0.iter().find(|done| done.line == line).expect("it is one of the verbs")
    }
}

/// All verbs over a forged store.
pub(super) fn survey<'a>(forge: &'a Forge, rev: &'a str, path: &'a str) -> Survey<'a> {
    survey_of(VERBS, forge, rev, path)
}

/// Some of the verbs, for stores over which every one takes its time.
pub(super) fn survey_of<'a>(lines: &'a [&'static str], forge: &'a Forge, rev: &'a str, path: &'a str) -> Survey<'a> {
    Survey { lines, forge, rev, path }
}

/// Runs [`FEW`] verbs over a store that tells a lie about what the honest snapshot needs; at quick depth some of them.
#[track_caller]
pub(super) fn run_few(forge: &Forge) {
    let turn = next_turn();
    for (_, line) in FEW.iter().enumerate().filter(|(number, _)| is_turn(number + turn, EVERY)) {
        run_line_and_compare(forge, line, "honest", HONEST.1);
    }
}

/// A number that grows with every store of a test, and begins elsewhere for another test.
fn next_turn() -> usize {
    thread_local! {
        static TURN: Cell<usize> = Cell::new(std::thread::current().name().map_or(0, str::len));
    }
    TURN.replace(TURN.get() + 1)
}

/// Runs one line, and checks that it wrote nowhere but where it should.
#[track_caller]
pub(super) fn run_line_and_compare(forge: &Forge, line: &'static str, rev: &str, path: &str) -> Done {
    let before = surroundings(forge);
    let done = run_line(forge, line, rev, path);
    let after = surroundings(forge);
    assert!(before == after, "`{line}` wrote outside: {:?}", walker::differences(&before, &after));
    done
}

/// The honest snapshot still reads and restores.
#[track_caller]
pub(super) fn expect_honest(forge: &Forge) {
    let (tag, name, content) = HONEST;
    let cat = run(forge, &["cat", &format!("{tag}:{name}")]);
    assert_eq!((cat.0, &cat.1[..]), (0, content), "{}", cat.2);
    let into = forge.at("out/honest");
    let restored = run(forge, &["restore", tag, "--into", &text(&into)]);
    assert_eq!(restored.0, 0, "{}", restored.2);
    assert_eq!(std::fs::read(into.join(name)).unwrap(), content);
    std::fs::remove_dir_all(into).unwrap();
}

/// A repair ends in good order, in what it leaves there is nothing more to repair, and the honest snapshot is in it.
/// The store is then as it was: tests look at it afterwards.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "tests remove files of their own")]
pub(super) fn expect_repair(forge: &Forge) {
    let (store, kept) = (forge.at("store"), forge.at("kept"));
    std::fs::rename(&store, &kept).unwrap();
    copy_folder(&kept, &store);
    let lines = ["repair", "verify", "repair"];
    let done = lines.map(|line| run_line_and_compare(forge, line, "honest", HONEST.1));
    let [first, checked, again] = done;
    assert!([0, 1, LIMIT].contains(&first.code), "{first:?}");
    assert!(first.code == again.code && (checked.code == 0) == (first.code == 0), "{first:?} {checked:?} {again:?}");
    if first.code != LIMIT {
        assert!(again.stdout.starts_with(b"nothing "), "{again:?}");
    }
    expect_honest(forge);
    std::fs::remove_dir_all(&store).unwrap();
    std::fs::rename(&kept, &store).unwrap();
}

fn run_line(forge: &Forge, line: &'static str, rev: &str, path: &str) -> Done {
    let out = text(&forge.at("out"));
    let words: Vec<String> =
        line.split(' ').map(|word| word.replace("{rev}", rev).replace("{path}", path).replace("{out}", &out)).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (code, stdout, stderr) = run(forge, &words);
    Done { line, code, stdout, stderr }
}

/// Runs the program in the workspace, and checks that it ends in good order and in time, within its memory.
#[track_caller]
pub(super) fn run(forge: &Forge, arguments: &[&str]) -> (i32, Vec<u8>, String) {
    run_in(&forge.at("ws"), forge, arguments)
}

/// The same in any folder.
#[track_caller]
pub(super) fn run_in(folder: &Path, forge: &Forge, arguments: &[&str]) -> (i32, Vec<u8>, String) {
    run_under("", folder, forge, arguments)
}

/// The same after other commands of a shell, such as `umask 077;`.
#[track_caller]
pub(super) fn run_under(before: &str, folder: &Path, forge: &Forge, arguments: &[&str]) -> (i32, Vec<u8>, String) {
    let (memory, time) = (MEMORY_MAX_BYTES >> 10, PROCESSOR_TIME_MAX.as_secs());
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{before} ulimit -c 0; ulimit -t {time} && ulimit -v {memory} && exec \"$@\""), "sh"])
        .arg(env!("CARGO_BIN_EXE_retro"))
        .args(arguments)
        .env_clear()
        .env("HOME", forge.at("home"))
        .env("RETRO_STORE", forge.at("store"))
        .env("TZ", "UTC")
        // Address space is also set aside for threads and the memory they allocate from.
        .env("RAYON_NUM_THREADS", "2")
        .env("MALLOC_ARENA_MAX", "2")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("there is a shell");
    let stdout = drain(child.stdout.take().expect("it is piped"));
    let stderr = drain(child.stderr.take().expect("it is piped"));
    let started = Stopwatch::start();
    let status = wait(&mut child, &started);
    let (stdout, stdout_length) = stdout.join().expect("reading a pipe does not panic");
    let (stderr, _) = stderr.join().expect("reading a pipe does not panic");
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    let shown = arguments.join(" ");
    let status = status.unwrap_or_else(|| panic!("`{shown}` took more than {TIME_MAX:?}"));
    assert_eq!(status.signal(), None, "`{shown}` was killed: {stderr}");
    assert!(!stderr.contains("panicked"), "`{shown}`: {stderr}");
    let code = status.code().expect("it was not killed");
    assert!(CODES.contains(&code), "`{shown}` exited with {code}: {stderr}");
    assert!(stdout_length <= OUTPUT_MAX_BYTES, "`{shown}` printed {stdout_length} bytes");
    (code, stdout, stderr)
}

fn wait(child: &mut Child, started: &Stopwatch) -> Option<std::process::ExitStatus> {
    loop {
        if let Some(status) = child.try_wait().expect("it was started") {
            return Some(status);
        }
        if started.elapsed() > TIME_MAX {
            child.kill().expect("it was started");
            child.wait().expect("it was killed");
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Reads a pipe to its end, and keeps the first MiB.
fn drain(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<(Vec<u8>, u64)> {
    std::thread::spawn(move || {
        let (mut kept, mut length, mut buffer) = (Vec::new(), 0, vec![0; 64 << 10]);
        while let Ok(read @ 1..) = pipe.read(&mut buffer) {
            length += read as u64;
            if kept.len() < 1 << 20 {
                kept.extend_from_slice(&buffer[..read]);
            }
        }
        (kept, length)
    })
}

/// Everything beside the workspace, the store and the files that verbs are asked to write.
fn surroundings(forge: &Forge) -> Nodes {
    let mut nodes = walker::walk(&forge.at("canary"));
    let names =
        std::fs::read_dir(&forge.home).expect("it is there").map(|entry| entry.expect("it is listed").file_name());
    for name in names {
        let node = nodes[&b""[..].to_vec()].clone();
        nodes.insert([b"../", name.as_encoded_bytes()].concat(), node);
    }
    nodes
}
