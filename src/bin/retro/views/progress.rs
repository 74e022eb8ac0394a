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

/// Receives progress, and shows it if a person can see it.
pub(crate) fn reporter(output: &Output) -> Box<dyn Progress> {
    Box::new(Bar {
        is_seen: !output.is_quiet && !output.is_json && std::io::stderr().is_terminal(),
        started: Stopwatch::start(),
        bar: OnceLock::new(),
        bytes_planned: AtomicU64::new(0),
        bytes_done: AtomicU64::new(0),
        files_planned: AtomicU64::new(0),
        files_done: AtomicU64::new(0),
    })
}

struct Bar {
    is_seen: bool,
    started: Stopwatch,
    bar: OnceLock<ProgressBar>,
    bytes_planned: AtomicU64,
    bytes_done: AtomicU64,
    files_planned: AtomicU64,
    files_done: AtomicU64,
}

const DELAY: Duration = Duration::from_millis(300);

impl Progress for Bar {
    fn event(&self, event: Event) {
        match event {
            Event::Scanned(files) => {
                if let Some(bar) = self.bar() {
                    bar.set_message(format!("scanning, {} files", HumanCount(files)));
                }
            }
            Event::Planned { files, bytes } => {
                self.files_planned.store(files, Ordering::Relaxed);
                self.bytes_planned.store(bytes, Ordering::Relaxed);
                self.draw();
            }
            Event::Done { files, bytes } => {
                self.files_done.fetch_add(files, Ordering::Relaxed);
                self.bytes_done.fetch_add(bytes, Ordering::Relaxed);
                self.draw();
            }
            Event::Changing => interrupt::folder_changes(),
            Event::Checked { objects, of } => {
                if let Some(bar) = self.bar() {
                    bar.set_message(format!("checking, {} of {} objects", HumanCount(objects), HumanCount(of)));
                }
            }
        }
    }
}

impl Bar {
    /// The line, once the work has taken long.
    fn bar(&self) -> Option<&ProgressBar> {
        if !self.is_seen || (self.bar.get().is_none() && self.started.elapsed() < DELAY) {
            return None;
        }
        Some(self.bar.get_or_init(|| {
            interrupt::bar_is_shown();
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            bar.set_style(ProgressStyle::with_template("{spinner} {wide_msg}").expect("the template is sound"));
            bar
        }))
    }

    fn draw(&self) {
        let Some(bar) = self.bar() else { return };
        let load = |value: &AtomicU64| value.load(Ordering::Relaxed);
        bar.set_message(format!(
            "{} of {} files, {} of {}",
            human::number(load(&self.files_done)),
            human::number(load(&self.files_planned)),
            human::size(load(&self.bytes_done)),
            human::size(load(&self.bytes_planned)),
        ));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}
