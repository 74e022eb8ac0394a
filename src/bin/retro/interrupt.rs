//! Signals that ask the program to stop: `SIGINT`, `SIGTERM` and `SIGHUP`.
//!
//! The program may be killed at any moment without harm, so a signal stops it at once. It prints one line about the
//! state that is left and the way to continue, and exits with 128 and the number of the signal, as shells do for a
//! program that a signal ends.
//!
//! A signal that the caller has set to be ignored (`nohup`, a background job of a script) stays ignored.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::args::{Restore, Verb, Walk};
use retrograde::wire;

/// The signals and their names.
pub(crate) const SIGNALS: [(i32, &str); 3] = [(SIGHUP, "SIGHUP"), (SIGINT, "SIGINT"), (SIGTERM, "SIGTERM")];

/// True once a restore has begun to change the folder.
static FOLDER_IS_CHANGING: AtomicBool = AtomicBool::new(false);

/// True while a progress line is on the terminal.
static LINE_IS_SHOWN: AtomicBool = AtomicBool::new(false);

/// Notes that the folder is between two states from here on.
pub(crate) fn note_folder_is_changing() {
    FOLDER_IS_CHANGING.store(true, Ordering::Relaxed);
}

/// Notes that a progress line is on the terminal: it must be erased before the last message.
pub(crate) fn note_line_is_shown() {
    LINE_IS_SHOWN.store(true, Ordering::Relaxed);
}

/// Waits for signals in a thread. If the system has no room for one, signals end the program as usual.
pub(crate) fn watch(verb: &Verb, is_json: bool) {
    let left = left_by(verb);
    let ignored = ignored_signals();
    let wanted = SIGNALS.iter().map(|(signal, _)| *signal).filter(|signal| ignored & bit(*signal) == 0);
    let Ok(mut signals) = Signals::new(wanted) else { return };
    let wait = move || {
        if let Some(signal) = signals.forever().next() {
            stop(signal, left, is_json);
        }
    };
    drop(std::thread::Builder::new().name("signals".to_owned()).spawn(wait));
}

/// The state that an interrupted verb leaves, and the way to continue.
fn left_by(verb: &Verb) -> [&'static str; 2] {
    match verb {
        Verb::Snap(_) => ["the step is recorded completely or not at all", "`retro snap` records what is there now"],
        Verb::Restore(Restore { into: Some(_), .. }) => {
            ["the new folder is not complete", "remove it and run the same command again"]
        }
        Verb::Restore(Restore { how, .. }) | Verb::Undo(Walk { how, .. }) | Verb::Redo(Walk { how, .. })
            if !how.dry_run =>
        {
            ["nothing in the folder was changed", "run it again"]
        }
        Verb::Export(_) => ["the export is not complete and has no name", "the same command starts it again"],
        Verb::Import(_) => ["the commits read so far are recorded", "the same command continues"],
        Verb::Repair { dry_run: false } => ["the repair is not complete", "`retro repair` continues it"],
        Verb::Init { .. } | Verb::Tag(_) | Verb::Pin { .. } | Verb::Workspace(_) => {
            ["it is done completely or not at all", "run it again"]
        }
        Verb::Restore(_)
        | Verb::Undo(_)
        | Verb::Redo(_)
        | Verb::Repair { dry_run: true }
        | Verb::Status
        | Verb::Log(_)
        | Verb::Show(_)
        | Verb::Runs
        | Verb::Diff(_)
        | Verb::Ls { .. }
        | Verb::Cat { .. }
        | Verb::Stats
        | Verb::Verify(_)
        | Verb::Completions { .. }
        | Verb::Complete { .. }
        | Verb::Man { .. }
        | Verb::Help { .. } => ["nothing was changed", "run it again"],
    }
}

/// The same once a restore has begun to change the folder.
const BETWEEN_STATES: [&str; 2] = [
    "the folder is between two states",
    "`retro restore --continue` finishes the restore, `retro restore --abort` goes back",
];

/// Prints the state that is left, and ends the program.
#[expect(
    clippy::exit,
    reason = "a signal ends the program at once; the work of other threads is safe to cut off anywhere"
)]
fn stop(signal: i32, left: [&str; 2], is_json: bool) -> ! {
    let name = SIGNALS.iter().find(|(number, _)| *number == signal).map_or("a signal", |(_, name)| name);
    let [left, next] = if FOLDER_IS_CHANGING.load(Ordering::Relaxed) { BETWEEN_STATES } else { left };
    let message = format!("stopped by {name}: {left}");
    let text = if is_json {
        format!("{}\n", wire::line(&wire::Failed::interrupted(&message, next)))
    } else {
        format!("{message}; {next}\n")
    };
    // The lock is held until the end, so that no progress line is drawn after this one.
    let mut stderr = std::io::stderr().lock();
    let erase = if LINE_IS_SHOWN.load(Ordering::Relaxed) { "\r\x1b[2K" } else { "" };
    drop(stderr.write_all(format!("{erase}{text}").as_bytes()));
    std::process::exit(128 + signal)
}

/// The signals that were ignored when the program began, a bit each, as Linux lists them.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or(0)
}

fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}
