//! The command line as a person or a script meets it: every test runs the real program in an isolated environment and
//! compares all of what it prints, on both streams, and how it exits.
//!
//! Text that differs from run to run is replaced: folders by `$WS`, `$STORE` and `$HOME`, ids by `[id]`, their first
//! digits by `[short]`, workspaces by `[ws]`, times by `[time]`, ages by `[age]`, durations by `[span]`, and the bytes
//! of the store and of git's, which hold times and random ids, by `[size]`. The built-in excludes are `[built-in]`.

mod cat;
mod completions;
mod diff;
mod errors;
mod export;
mod git;
mod help;
mod import;
mod init;
mod killed;
mod left_alone;
mod log;
mod ls;
mod out_of_the_way;
mod repair;
mod restore;
mod runs;
mod settings;
mod show;
mod snap;
mod stats;
mod status;
mod stopped;
mod tag;
mod undo;
mod undo_unseen;
mod verify;
mod workspace;

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use retrograde::workspace::rules::{RuleOptions, Rules};

use crate::support::scratch::Scratch;

/// A home, a store that does not exist yet, and a folder to record.
pub(super) struct Cli {
    #[expect(dead_code, reason = "held for its drop")]
    scratch: Scratch,
    pub(super) workspace: PathBuf,
    pub(super) store: PathBuf,
}

/// The result of one run of the program.
pub(super) struct Ran {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) code: i32,
    shown: String,
}

impl Cli {
    pub(super) fn new() -> Self {
        let scratch = Scratch::new();
        let home = std::fs::canonicalize(scratch.path()).expect("it was just made");
        let cli = Self { scratch, workspace: home.join("ws"), store: home.join("store") };
        std::fs::create_dir(&cli.workspace).expect("the home is empty");
        cli
    }

    /// A workspace with two steps: `a.txt` and `dir/b.txt` added, then `a.txt` edited and `c.txt` added.
    pub(super) fn with_two_steps() -> Self {
        let cli = Self::new();
        cli.write("a.txt", b"one\ntwo\nthree\n");
        cli.write("dir/b.txt", b"b\n");
        cli.run(&["snap", "-m", "first"]).expect(0);
        cli.write("a.txt", b"one\n2\nthree\n");
        cli.write("c.txt", b"c\n");
        cli.run(&["snap", "-m", "second"]).expect(0);
        cli
    }

    pub(super) fn home(&self) -> &Path {
        self.workspace.parent().expect("it was joined to the home")
    }

    /// The program, to be run in the workspace.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_retro"));
        command
            .env_clear()
            .env("HOME", self.home())
            .env("RETRO_STORE", &self.store)
            .env("TZ", "UTC")
            .current_dir(&self.workspace)
            .stdin(Stdio::null());
        command
    }

    pub(super) fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Ran {
        self.run_with(arguments, b"")
    }

    pub(super) fn run_with<A: AsRef<OsStr>>(&self, arguments: &[A], input: &[u8]) -> Ran {
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.finish(command, input)
    }

    pub(super) fn finish(&self, mut command: Command, input: &[u8]) -> Ran {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program was built with the tests");
        // A program that does not read its input may be gone before all of it is written.
        drop(child.stdin.take().expect("it is piped").write_all(input));
        let output = child.wait_with_output().expect("it ends");
        let code = output.status.code().expect("it was not killed");
        let mut shown = self.masked(&output.stdout);
        for line in self.masked(&output.stderr).lines() {
            shown.push_str(format!("! {line}").trim_end());
            shown.push('\n');
        }
        if code != 0 {
            shown.push_str(&format!("exit {code}\n"));
        }
        Ran { stdout: output.stdout, stderr: output.stderr, code, shown }
    }

    /// Runs a line as typed, words apart by single spaces, and compares everything with `expected`: what was printed,
    /// lines of standard error after `! `, and the exit status unless it is 0. Several lines stand after a margin of
    /// `|`; a margin of `:` continues the line above it.
    #[track_caller]
    pub(super) fn check(&self, line: &str, expected: &str) {
        let arguments: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        self.check_words(&arguments, expected);
    }

    #[track_caller]
    pub(super) fn check_words<A: AsRef<OsStr>>(&self, arguments: &[A], expected: &str) {
        self.run(arguments).expect_text(expected);
    }

    /// Writes a file into the workspace, and the folders above it.
    #[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
    pub(super) fn write(&self, path: impl AsRef<Path>, content: &[u8]) {
        let path = self.workspace.join(path);
        std::fs::create_dir_all(path.parent().expect("it was joined")).expect("nothing is in the way");
        std::fs::write(&path, content).expect("nothing is in the way");
    }

    #[expect(clippy::disallowed_methods, reason = "tests remove files of their own")]
    pub(super) fn remove(&self, path: impl AsRef<Path>) {
        std::fs::remove_file(self.workspace.join(path)).expect("it is there");
    }

    #[expect(clippy::disallowed_methods, reason = "tests move folders of their own")]
    pub(super) fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.workspace.join(from), self.workspace.join(to)).expect("nothing is in the way");
    }

    pub(super) fn read(&self, path: impl AsRef<Path>) -> Vec<u8> {
        std::fs::read(self.workspace.join(path)).expect("it is there")
    }

    /// The JSON objects that a run prints.
    #[track_caller]
    pub(super) fn json(&self, line: &str) -> Vec<serde_json::Value> {
        let ran = self.run(&line.split(' ').collect::<Vec<_>>());
        ran.expect(0);
        let text = String::from_utf8(ran.stdout).expect("JSON is text");
        text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
    }

    fn masked(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let replaced = [(&self.workspace, "$WS"), (&self.store, "$STORE"), (&self.home().to_owned(), "$HOME")]
            .iter()
            .fold(text, |text, (path, name)| text.replace(&*path.to_string_lossy(), name));
        without_built_in_excludes(&replaced).split_inclusive('\n').map(masked_line).collect()
    }
}

impl Ran {
    #[track_caller]
    pub(super) fn expect(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "{}", self.shown);
        self
    }

    #[track_caller]
    pub(super) fn expect_text(&self, expected: &str) {
        let wanted: String = match expected.strip_prefix('\n') {
            None if expected.is_empty() => String::new(),
            None => format!("{expected}\n"),
            Some(block) => without_margin(block),
        };
        assert!(self.shown == wanted, "expected:\n{wanted}\nfound:\n{}", self.shown);
    }
}

/// Bytes as an argument.
pub(super) fn os(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}

/// Names the built-in excludes where they are listed, so that the list stands in one place: the library. Leaves out
/// what is said of the file system that the test happens to run on.
fn without_built_in_excludes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut is_listing = false;
    for line in text.split_inclusive('\n') {
        if line.starts_with("times ") {
            continue;
        }
        is_listing = line.starts_with("excludes ") || (is_listing && line.starts_with("           "));
        let is_first = line.starts_with("excludes ");
        if is_listing {
            let built_in = Rules::new(&RuleOptions::default()).expect("the built-in rules are well-formed");
            let built_in = built_in.text().replace("- ", "").replace("! ", "").replace("* ", "");
            let own = |word: &&str| !built_in.split_whitespace().any(|known| known == *word) && *word != "excludes";
            let own: Vec<&str> = line.split_whitespace().filter(own).collect();
            let head = if is_first { "rules      [built-in]" } else { "" };
            out.push_str(head);
            own.iter().for_each(|word| out.push_str(&format!(" {word}")));
            out.push_str(if is_first || !own.is_empty() { "\n" } else { "" });
        } else {
            out.push_str(line);
        }
    }
    out
}

/// The text of a block of which every line has a margin: `|` begins a line, `:` continues the one before.
fn without_margin(block: &str) -> String {
    let mut text = String::new();
    for line in block.lines().map(str::trim_start) {
        let inner = |line: &'_ str| format!("{}\n", line.strip_prefix(' ').unwrap_or(line));
        if let Some(more) = line.strip_prefix(':') {
            text.pop();
            text.push_str(&inner(more));
        } else if let Some(line) = line.strip_prefix('|') {
            text.push_str(&inner(line));
        }
    }
    text
}

fn masked_line(line: &str) -> String {
    let is_about_store = line.starts_with("store ") || line.starts_with("packs ") || line.contains("bare repository");
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let (length, name) = masked_at(rest, is_about_store && !out.contains("[size]")).unwrap_or((0, ""));
        let before = out.chars().last();
        let is_within_word = before.is_some_and(|before| before.is_ascii_alphanumeric());
        if length > 0 && !is_within_word {
            out.push_str(name);
            rest = &rest[length..];
            // A column of ages is as wide as they are.
            if name == "[age]" && rest.starts_with("  ") {
                out.push_str("  ");
                rest = rest.trim_start_matches(' ');
            }
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// The text at the beginning that changes from run to run, if there is one: its length, and the mask for it.
fn masked_at(text: &str, masks_sizes: bool) -> Option<(usize, &'static str)> {
    let shapes = [("dddd-dd-dd dd:dd:dd", "[time]"), ("dddd-dd-ddTdd:dd:dd.dddZ", "[time]")];
    for (shape, name) in shapes {
        if has_shape(text, shape) {
            return Some((shape.len(), name));
        }
    }
    let word = text.find(|character: char| !character.is_ascii_alphanumeric()).unwrap_or(text.len());
    let is_hex = text[..word].bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    match word {
        64 if is_hex => return Some((64, "[id]")),
        32 if is_hex => return Some((32, "[ws]")),
        8 if is_hex => return Some((8, "[short]")),
        _ => {}
    }
    let digits = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
    if digits == 0 {
        return None;
    }
    let unit = &text[digits..];
    let units = [(" ms", "[span]"), (" s", "[span]")].into_iter();
    let sizes = [(" B", "[size]"), (" kB", "[size]")].into_iter().filter(|_| masks_sizes);
    for (suffix, name) in units.chain(sizes) {
        let is_end = |rest: &str| !rest.starts_with(|character: char| character.is_ascii_alphanumeric());
        if unit.strip_prefix(suffix).is_some_and(is_end) {
            return Some((digits + suffix.len(), name));
        }
    }
    for suffix in [" second ago", " seconds ago", " minute ago", " minutes ago"] {
        if unit.starts_with(suffix) {
            return Some((digits + suffix.len(), "[age]"));
        }
    }
    None
}

fn has_shape(text: &str, shape: &str) -> bool {
    let matches = |(byte, wanted): (u8, u8)| if wanted == b'd' { byte.is_ascii_digit() } else { byte == wanted };
    text.len() >= shape.len() && text.bytes().zip(shape.bytes()).all(matches)
}
