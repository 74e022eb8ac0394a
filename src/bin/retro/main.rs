//! `retro`: the command line over the library.
//!
//! ```text
//! args       the command line as data          usage     messages for arguments that do not parse
//! complete   completion of half-typed lines    context   the store and the workspace of a run
//! env        the environment, read once        paths     paths given as arguments
//! exit       exit codes of errors              output    standard output and standard error
//! interrupt  messages when a signal arrives    views     results for people
//! topics     help texts that concern several verbs
//! commands   one thin file for each verb: arguments in, library call, view out
//! ```
//!
//! Decisions about snapshots are made in the library; only this program prints, exits and reads arguments.

mod args;
mod commands;
mod complete;
mod context;
mod env;
mod exit;
mod interrupt;
mod output;
mod paths;
mod topics;
mod usage;
mod views;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use args::Arguments;
use context::Context;
use env::Environment;
use output::{Output, say, say_error};
use retrograde::detail::Stopwatch;
use retrograde::{Error, Result, Timestamp, wire};
use views::color::Palette;

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
    // Results printed before a failure are written out too.
    let finished = context.out.finish();
    code.and_then(|code| finished.map(|()| code))
}

/// Reports a failure, and returns the exit code. It is no failure if the reader of the output has gone away.
fn fail(error: &Error, is_json: bool, palette: &Palette) -> u8 {
    if error.io_kind() == Some(std::io::ErrorKind::BrokenPipe) {
        return exit::DONE;
    }
    if is_json {
        say(&format!("{}\n", wire::line(&wire::Failed::new(error))));
    } else {
        say_error(&error.to_string(), error.hint(), palette);
    }
    exit::code(error.kind())
}

/// Removes the owner's bits from the umask. Otherwise the program could make a folder that it may not use itself, and
/// another process could meet it before its mode is set.
fn keep_owner_in() {
    use rustix::fs::Mode;
    let others = Mode::RWXG | Mode::RWXO;
    let umask = rustix::process::umask(others);
    rustix::process::umask(umask & others);
}

/// Makes a write beyond the limit on file lengths (`ulimit -f`) fail with an error; by default the system ends the
/// process.
fn survive_file_limits() {
    // The flag is not read: handling the signal is enough.
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default()).ok();
}

/// Raises the limit on open files as far as permitted: each thread that captures or restores holds a handle per folder.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        // If the system refuses, the present limit stays.
        setrlimit(Resource::Nofile, limit).ok();
    }
}
