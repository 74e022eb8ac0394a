//! A progress line on the terminal during long work.
//!
//! Most steps take milliseconds, and a line that flashes is worse than none: nothing is drawn in the first 300 ms. The
//! line is drawn on standard error, only if that is a terminal, and erased when the work is over.

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use retrograde::detail::Stopwatch;
use retrograde::{Progress, ProgressEvent as Event};

use super::human;
use crate::interrupt;
use crate::output::Output;

/// A receiver that shows progress, if standard error is a terminal and neither quiet nor JSON output is asked for.
pub(crate) fn reporter(output: &Output) -> Box<dyn Progress> {
    Box::new(ProgressLine {
        is_visible: !output.is_quiet && !output.is_json && std::io::stderr().is_terminal(),
        started: Stopwatch::start(),
        line: OnceLock::new(),
        bytes_planned: AtomicU64::new(0),
        bytes_done: AtomicU64::new(0),
        files_planned: AtomicU64::new(0),
        files_done: AtomicU64::new(0),
    })
}

struct ProgressLine {
    is_visible: bool,
    started: Stopwatch,
    line: OnceLock<ProgressBar>,
    bytes_planned: AtomicU64,
    bytes_done: AtomicU64,
    files_planned: AtomicU64,
    files_done: AtomicU64,
}

const DELAY: Duration = Duration::from_millis(300);

impl Progress for ProgressLine {
    fn event(&self, event: Event) {
        match event {
            Event::Scanned(files) => {
                if let Some(line) = self.line() {
                    line.set_message(format!("scanning, {} files", HumanCount(files)));
                }
            }
            Event::Planned { files, bytes } => {
                self.files_planned.store(files, Ordering::Relaxed);
                self.bytes_planned.store(bytes, Ordering::Relaxed);
                self.draw();
            }
            Event::Advanced { files, bytes } => {
                self.files_done.fetch_add(files, Ordering::Relaxed);
                self.bytes_done.fetch_add(bytes, Ordering::Relaxed);
                self.draw();
            }
            // Not shown: an interrupt must say that the folder is between two states.
            Event::FolderChanging => interrupt::note_folder_is_changing(),
            Event::Checked { objects, of } => {
                if let Some(line) = self.line() {
                    line.set_message(format!("checking, {} of {} objects", HumanCount(objects), HumanCount(of)));
                }
            }
        }
    }
}

impl ProgressLine {
    /// The progress line; `None` in the first 300 ms, or if nobody would see it.
    fn line(&self) -> Option<&ProgressBar> {
        if !self.is_visible || (self.line.get().is_none() && self.started.elapsed() < DELAY) {
            return None;
        }
        Some(self.line.get_or_init(|| {
            interrupt::note_line_is_shown();
            let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            line.set_style(ProgressStyle::with_template("{spinner} {wide_msg}").expect("the template is sound"));
            line
        }))
    }

    fn draw(&self) {
        let Some(line) = self.line() else { return };
        let load = |value: &AtomicU64| value.load(Ordering::Relaxed);
        line.set_message(format!(
            "{} of {} files, {} of {}",
            human::number(load(&self.files_done)),
            human::number(load(&self.files_planned)),
            human::size(load(&self.bytes_done)),
            human::size(load(&self.bytes_planned)),
        ));
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if let Some(line) = self.line.get() {
            line.finish_and_clear();
        }
    }
}
