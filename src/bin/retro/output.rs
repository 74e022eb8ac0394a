//! Where everything that is printed goes through.
//!
//! Standard output carries what was asked for, in large writes; standard error carries notes and errors. Nothing is
//! altered on the way: a patch or a file with escape sequences in it arrives byte by byte. A reader that went away is
//! an error of kind [`BrokenPipe`], which `main` takes for the end and not for a failure.
//!
//! [`BrokenPipe`]: std::io::ErrorKind::BrokenPipe

use std::cell::RefCell;
use std::fmt;
use std::io::{BufWriter, IsTerminal, StdoutLock, Write};

use anstream::{AutoStream, ColorChoice};
use retrograde::{Error, Result, wire};

use crate::args::{ColorWhen, Global};
use crate::views::color::Palette;
use crate::views::human::printable;

/// Standard output and standard error, and how to write on them.
pub(crate) struct Output {
    stdout: BufWriter<StdoutLock<'static>>,
    /// Styles for standard output.
    pub(crate) palette: Palette,
    /// Styles for standard error.
    pub(crate) note_palette: Palette,
    /// Whether standard output is a terminal.
    pub(crate) is_terminal: bool,
    /// Whether JSON was asked for.
    pub(crate) is_json: bool,
    /// Whether only results and errors are wanted.
    pub(crate) is_quiet: bool,
    /// Warnings that no result has taken in yet; only with JSON.
    warnings: RefCell<Vec<String>>,
}

impl Output {
    /// Looks at what standard output and standard error are.
    pub(crate) fn new(global: &Global) -> Self {
        let stdout = std::io::stdout();
        let is_coloured = |automatic: ColorChoice| match global.color {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => automatic != ColorChoice::Never,
        };
        Self {
            palette: Palette::new(!global.json && is_coloured(AutoStream::choice(&stdout))),
            note_palette: Palette::new(is_coloured(AutoStream::choice(&std::io::stderr()))),
            is_terminal: stdout.is_terminal(),
            stdout: BufWriter::with_capacity(64 << 10, stdout.lock()),
            is_json: global.json,
            is_quiet: global.quiet,
            warnings: RefCell::default(),
        }
    }

    /// Prints one line of what was asked for.
    pub(crate) fn line(&mut self, text: fmt::Arguments<'_>) -> Result<()> {
        self.stdout.write_fmt(text).and_then(|()| self.stdout.write_all(b"\n")).map_err(failed)
    }

    /// Prints a result in JSON, on one line.
    pub(crate) fn json(&mut self, shape: &impl serde::Serialize) -> Result<()> {
        self.line(format_args!("{}", wire::line(shape)))
    }

    /// Prints bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.stdout.write_all(bytes).map_err(failed)
    }

    /// Prints one line about something that was done, unless only results are wanted.
    pub(crate) fn summary(&mut self, text: fmt::Arguments<'_>) -> Result<()> {
        if self.is_quiet { Ok(()) } else { self.line(text) }
    }

    /// Says something beside the result, on standard error. That it cannot be said is no reason to fail.
    pub(crate) fn note(&self, text: fmt::Arguments<'_>) {
        if !self.is_quiet && !self.is_json {
            say(&format!("{}\n", printable(&text.to_string())));
        }
    }

    /// Warns on standard error, however quiet. With JSON, a warning is part of the result, or else an object of its own
    /// on standard error.
    pub(crate) fn warning(&self, text: fmt::Arguments<'_>) {
        if self.is_json {
            self.warnings.borrow_mut().push(text.to_string());
        } else {
            let style = self.note_palette.warning;
            say(&format!("{style}warning:{style:#} {}\n", printable(&text.to_string())));
        }
    }

    /// The warnings so far, for a result in JSON.
    pub(crate) fn take_warnings(&self) -> Vec<String> {
        self.warnings.take()
    }

    /// Standard output as a writer, for what is written piece by piece.
    pub(crate) fn writer(&mut self) -> &mut dyn Write {
        &mut self.stdout
    }

    /// Writes out what is still held back. What a full disk swallowed shows here.
    pub(crate) fn finish(&mut self) -> Result<()> {
        for warning in self.take_warnings() {
            say(&format!("{}\n", wire::line(&wire::Warning { warning })));
        }
        self.stdout.flush().map_err(failed)
    }
}

/// Writes to standard error. There is nobody to tell when that fails.
pub(crate) fn say(text: &str) {
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
}

fn failed(error: std::io::Error) -> Error {
    Error::io("write to", "standard output", error)
}
