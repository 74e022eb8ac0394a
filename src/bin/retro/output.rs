//! The two output streams.
//!
//! Standard output carries results, in large writes; standard error carries notes and errors. Results are not altered:
//! a patch or a file with escape sequences arrives byte by byte. If the reader of standard output has gone away,
//! writing fails with [`BrokenPipe`], which `main` does not treat as a failure.
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

/// Standard output, standard error and their styles.
pub(crate) struct Output {
    stdout: BufWriter<StdoutLock<'static>>,
    /// Styles for standard output.
    pub(crate) palette: Palette,
    /// Styles for standard error.
    pub(crate) note_palette: Palette,
    /// True if standard output is a terminal.
    pub(crate) is_terminal: bool,
    /// True with `--json`.
    pub(crate) is_json: bool,
    /// True with `--quiet`.
    pub(crate) is_quiet: bool,
    /// Warnings that are not part of a result yet; only with JSON.
    warnings: RefCell<Vec<String>>,
}

impl Output {
    /// Chooses styles by the options and by the kind of each stream.
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

    /// Prints one line of a result.
    pub(crate) fn line(&mut self, text: fmt::Arguments<'_>) -> Result<()> {
        self.stdout.write_fmt(text).and_then(|()| self.stdout.write_all(b"\n")).map_err(failed)
    }

    /// Prints lines of a result.
    pub(crate) fn lines(&mut self, lines: impl IntoIterator<Item = String>) -> Result<()> {
        lines.into_iter().try_for_each(|line| self.line(format_args!("{line}")))
    }

    /// Prints a result in JSON, on one line.
    pub(crate) fn json(&mut self, json: &impl serde::Serialize) -> Result<()> {
        self.line(format_args!("{}", wire::line(json)))
    }

    /// Prints the result of an action: the value `json` with `--json`, else `summary` on one line.
    pub(crate) fn done(&mut self, json: &impl serde::Serialize, summary: fmt::Arguments<'_>) -> Result<()> {
        if self.is_json { self.json(json) } else { self.summary(summary) }
    }

    /// Prints bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.stdout.write_all(bytes).map_err(failed)
    }

    /// Prints one line about an action, unless `--quiet` is given.
    pub(crate) fn summary(&mut self, text: fmt::Arguments<'_>) -> Result<()> {
        if self.is_quiet { Ok(()) } else { self.line(text) }
    }

    /// Prints a note on standard error, and ignores a failure to do so. Nothing is printed with `--json` or `--quiet`.
    pub(crate) fn note(&self, text: fmt::Arguments<'_>) {
        if !self.is_quiet && !self.is_json {
            say(&format!("{}\n", printable(&text.to_string())));
        }
    }

    /// Prints a warning on standard error, also with `--quiet`. With `--json`, a warning is part of the result, or else
    /// an object of its own on standard error.
    pub(crate) fn warning(&self, text: fmt::Arguments<'_>) {
        if self.is_json {
            self.warnings.borrow_mut().push(text.to_string());
        } else {
            let style = self.note_palette.warning;
            say(&format!("{style}warning:{style:#} {}\n", printable(&text.to_string())));
        }
    }

    /// Removes and returns the warnings so far, for a result in JSON.
    pub(crate) fn take_warnings(&self) -> Vec<String> {
        self.warnings.take()
    }

    /// Standard output as a writer, for long results.
    pub(crate) fn writer(&mut self) -> &mut dyn Write {
        &mut self.stdout
    }

    /// Writes out buffered lines. A full disk may show only here.
    pub(crate) fn finish(&mut self) -> Result<()> {
        for warning in self.take_warnings() {
            say(&format!("{}\n", wire::line(&wire::Warning { warning })));
        }
        self.stdout.flush().map_err(failed)
    }
}

/// Writes to standard error, and ignores a failure to do so.
pub(crate) fn say(text: &str) {
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
}

/// Prints an error, and a hint if there is one.
pub(crate) fn say_error(message: &str, hint: Option<&str>, palette: &Palette) {
    let (style, dim) = (palette.error, palette.dim);
    let hint = hint.map(|hint| format!("{dim}hint:{dim:#} {}\n", printable(hint))).unwrap_or_default();
    say(&format!("{style}error:{style:#} {}\n{hint}", printable(message)));
}

fn failed(error: std::io::Error) -> Error {
    Error::io("write to", "standard output", error)
}
