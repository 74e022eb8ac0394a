//! Signals that ask the program to stop: `SIGINT`, `SIGTERM` and `SIGHUP`.
//!
//! The program may be killed at any moment without harm, so a signal stops it at once. The only work left is to say
//! what is half done and how to go on, on one line, and to exit with 128 and the number of the signal, as shells do for
//! a program that a signal ends.
//!
//! A signal that the caller set to be ignored (`nohup`, a background job of a script) stays ignored.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::args::{Restore, Verb};
use retrograde::wire;

/// The signals, their names, and what `--help` says about how they end the program.
pub(crate) const SIGNALS: [(i32, &str); 3] = [(SIGHUP, "SIGHUP"), (SIGINT, "SIGINT"), (SIGTERM, "SIGTERM")];

/// Whether a restore has begun to change the folder.
static FOLDER_CHANGES: AtomicBool = AtomicBool::new(false);

/// Whether a progress line is on the terminal.
static BAR_IS_SHOWN: AtomicBool = AtomicBool::new(false);

/// Notes that the folder is between two states from here on.
pub(crate) fn folder_changes() {
    FOLDER_CHANGES.store(true, Ordering::Relaxed);
}

/// Notes that a progress line is on the terminal, so that it is erased first.
pub(crate) fn bar_is_shown() {
    BAR_IS_SHOWN.store(true, Ordering::Relaxed);
}

/// Waits for signals beside the work. Where the system has no room for a thread, signals end the program as usual.
pub(crate) fn watch(verb: &Verb, is_json: bool) {
    let work = Work::of(verb);
    let ignored = ignored_signals();
    let wanted = SIGNALS.iter().map(|(signal, _)| *signal).filter(|signal| ignored & bit(*signal) == 0);
    let Ok(mut signals) = Signals::new(wanted) else { return };
    let wait = move || {
        if let Some(signal) = signals.forever().next() {
            stop(signal, work, is_json);
        }
    };
    drop(std::thread::Builder::new().name("signals".to_owned()).spawn(wait));
}

/// What a verb does, as far as stopping it leaves something to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// Looks only.
    Look,
    /// Records a step.
    Record,
    /// Changes the folder.
    Change,
    /// Fills another folder.
    Fill,
    /// Writes an export, which has its name only once it is whole.
    Export,
    /// Records the commits of a repository.
    Import,
    /// Writes a store anew.
    Repair,
    /// Records one fact.
    Note,
}

impl Work {
    fn of(verb: &Verb) -> Self {
        match verb {
            Verb::Snap(_) => Self::Record,
            Verb::Restore(Restore { into: Some(_), .. }) => Self::Fill,
            Verb::Restore(Restore { how, .. }) | Verb::Undo { how, .. } | Verb::Redo { how, .. } => {
                if how.dry_run {
                    Self::Look
                } else {
                    Self::Change
                }
            }
            Verb::Export(_) => Self::Export,
            Verb::Import { .. } => Self::Import,
            Verb::Repair { dry_run: false } => Self::Repair,
            Verb::Init { .. } | Verb::Tag(_) | Verb::Pin { .. } | Verb::Workspace(_) => Self::Note,
            Verb::Status
            | Verb::Log(_)
            | Verb::Runs
            | Verb::Complete { .. }
            | Verb::Show(_)
            | Verb::Diff(_)
            | Verb::Ls { .. }
            | Verb::Cat { .. }
            | Verb::Stats
            | Verb::Verify(_)
            | Verb::Repair { dry_run: true }
            | Verb::Completions { .. }
            | Verb::Man { .. }
            | Verb::Help { .. } => Self::Look,
        }
    }

    /// What is half done, and how to go on.
    fn left(self, folder_changes: bool) -> (&'static str, &'static str) {
        match self {
            Self::Look => ("nothing was changed", "run it again"),
            Self::Record => ("the step is recorded as a whole or not at all", "`retro snap` records what is there now"),
            Self::Change if folder_changes => (
                "the folder is between two states",
                "`retro restore --continue` finishes the restore, `retro restore --abort` goes back",
            ),
            Self::Change => ("nothing in the folder was changed", "run it again"),
            Self::Fill => ("the new folder is not complete", "remove it and run the same command again"),
            Self::Export => ("the export is not complete and has no name", "the same command begins it again"),
            Self::Import => ("the commits read so far are recorded", "the same command goes on"),
            Self::Repair => ("the repair is not complete", "`retro repair` goes on"),
            Self::Note => ("it is done as a whole or not at all", "run it again"),
        }
    }
}

/// Says what is left half done, and ends the program.
#[expect(
    clippy::exit,
    reason = "a signal ends the program at once; the work of other threads is safe to cut off anywhere"
)]
fn stop(signal: i32, work: Work, is_json: bool) -> ! {
    let name = SIGNALS.iter().find(|(number, _)| *number == signal).map_or("a signal", |(_, name)| name);
    let (left, next) = work.left(FOLDER_CHANGES.load(Ordering::Relaxed));
    let message = format!("stopped by {name}: {left}");
    let text = if is_json {
        format!("{}\n", wire::line(&wire::Failed::interrupted(&message, next)))
    } else {
        format!("{message}; {next}\n")
    };
    // The handle stays locked, so that no progress line is drawn after this one.
    let mut stderr = std::io::stderr().lock();
    let erase = if BAR_IS_SHOWN.load(Ordering::Relaxed) { "\r\x1b[2K" } else { "" };
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
