//! `retro`: the command line over the library.
//!
//! ```text
//! args      the command line as data           context   store, workspace and paths it leads to
//! complete  what a half-typed line can go on with
//! usage     what is said when it does not parse           paths     paths given as arguments
//! env       the environment, read once         output    standard output and standard error
//! exit      error kinds as exit codes          views     what results look like
//! interrupt what a signal leaves half done
//! commands  one thin file a verb: context in, library call, view out
//! ```
//!
//! Nothing here decides anything about snapshots; nothing in the library prints, exits, or reads arguments.

mod args;
mod commands;
mod complete;
mod context;
mod env;
mod exit;
mod interrupt;
mod output;
mod paths;
mod usage;
mod views;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use args::Arguments;
use context::Context;
use env::Environment;
use output::{Output, say};
use retrograde::detail::Stopwatch;
use retrograde::{Error, Result, Timestamp, wire};
use views::color::Palette;
use views::human;

fn main() -> ExitCode {
    let started = Stopwatch::start();
    raise_descriptor_limit();
    survive_file_limits();
    keep_owner_in();
    let raw: Vec<OsString> = std::env::args_os().collect();
    let arguments = match args::parse(&raw) {
        Ok(arguments) => arguments,
        Err(error) => return ExitCode::from(usage::refuse(&error, &raw)),
    };
    let is_json = arguments.global.json;
    let out = Output::new(&arguments.global);
    let palette = out.note_palette;
    interrupt::watch(&arguments.verb, is_json);
    let done = run(arguments, out, started);
    ExitCode::from(done.unwrap_or_else(|error| fail(&error, is_json, &palette)))
}

fn run(arguments: Arguments, out: Output, started: Stopwatch) -> Result<u8> {
    let Arguments { global, verb } = arguments;
    let mut context = Context { global, environment: Environment::read(), out, now: Timestamp::now(), started };
    let code = commands::run(&mut context, verb);
    // What was printed before a failure is worth as much as what was printed before a success.
    let finished = context.out.finish();
    code.and_then(|code| finished.map(|()| code))
}

/// Reports a failure, and says how to exit. A reader of our output that has seen enough is no failure.
fn fail(error: &Error, is_json: bool, palette: &Palette) -> u8 {
    if error.io_kind() == Some(std::io::ErrorKind::BrokenPipe) {
        return exit::DONE;
    }
    if is_json {
        say(&format!("{}\n", wire::line(&wire::Failed::new(error))));
    } else {
        let (style, dim) = (palette.error, palette.dim);
        let message = human::printable(&error.to_string());
        let hint = error.hint().map(|hint| format!("{dim}hint:{dim:#} {}\n", human::printable(hint)));
        say(&format!("{style}error:{style:#} {message}\n{}", hint.unwrap_or_default()));
    }
    exit::code(error.kind())
}

/// Leaves the owner all rights to what is made, whatever the umask: a folder that we make and may not use is of no use
/// to anybody, and another process could meet it before its mode is set.
fn keep_owner_in() {
    use rustix::fs::Mode;
    let others = Mode::RWXG | Mode::RWXO;
    let umask = rustix::process::umask(others);
    rustix::process::umask(umask & others);
}

/// Lets a write beyond the length that files may have (`ulimit -f`) fail with an error, where the system would end the
/// process without a word.
fn survive_file_limits() {
    // Nobody looks at the flag: that the signal is taken is enough.
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default()).ok();
}

/// Allows as many open files as the system lets us have: capturing and restoring hold one handle a folder and thread.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        // Where the system refuses, the limit it started us with has to do.
        setrlimit(Resource::Nofile, limit).ok();
    }
}
