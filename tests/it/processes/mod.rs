//! Promises that only real processes can break: many at once, killed ones, and a disk that is full or cannot be
//! written.
//!
//! Each driver does some rounds at each depth, and as many as `RETRO_TEST_ROUNDS` states where that is set:
//!
//! ```text
//! RETRO_TEST_ROUNDS=3000 cargo test --release --test it -- --nocapture processes::kills
//! ```

mod concurrency;
mod full_disk;
mod killer;
mod kills;
mod kills_beside;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::support::scratch::Scratch;

/// The program with a home and a store of its own.
struct Program {
    scratch: Scratch,
    store: PathBuf,
}

/// The result of one run of the program.
#[derive(Debug)]
struct Ran {
    /// The exit code; none where it was killed.
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Program {
    fn new() -> Self {
        let scratch = Scratch::new();
        let home = std::fs::canonicalize(scratch.path()).unwrap();
        Self { scratch, store: home.join("store") }
    }

    /// A new folder in the home.
    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.store.with_file_name(name);
        std::fs::create_dir(&folder).unwrap();
        folder
    }

    /// The program, to be run in `folder`.
    fn command<A: AsRef<OsStr>>(&self, folder: &Path, arguments: &[A]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_retro"));
        command.args(arguments).current_dir(folder).env_clear().env("HOME", self.scratch.path());
        command.env("RETRO_STORE", &self.store).env("TZ", "UTC");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run<A: AsRef<OsStr>>(&self, folder: &Path, arguments: &[A]) -> Ran {
        Ran::of(self.command(folder, arguments).output().expect("the program was built with the tests"))
    }

    /// Runs it, and expects it to succeed.
    #[track_caller]
    fn expect<A: AsRef<OsStr> + std::fmt::Debug>(&self, folder: &Path, arguments: &[A]) -> Ran {
        let ran = self.run(folder, arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
        ran
    }
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("what is printed is text");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// The one JSON object that it printed.
    #[track_caller]
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Writes a file so that nobody sees half of it: beside the workspace first.
#[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
fn replace(path: &Path, content: &[u8]) {
    let workspace = path.parent().unwrap();
    let name = format!("{}-{}", workspace.file_name().unwrap().display(), path.file_name().unwrap().display());
    let aside = workspace.with_file_name(name);
    std::fs::write(&aside, content).unwrap();
    std::fs::rename(&aside, path).unwrap();
}
