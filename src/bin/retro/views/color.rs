//! The styles, each named after its use. Without colour every style prints nothing.

use anstyle::{AnsiColor, Color, Style};

/// All styles.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Palette {
    /// True if styles print anything.
    pub(crate) is_on: bool,
    /// Steps and ids.
    pub(crate) id: Style,
    /// The current step.
    pub(crate) head: Style,
    /// Added or written paths.
    pub(crate) added: Style,
    /// Modified paths.
    pub(crate) modified: Style,
    /// Deleted or removed paths.
    pub(crate) deleted: Style,
    /// Headings and names of files in patches.
    pub(crate) title: Style,
    /// Places in files.
    pub(crate) place: Style,
    /// Times and other minor facts.
    pub(crate) dim: Style,
    /// Warnings.
    pub(crate) warning: Style,
    /// Failures.
    pub(crate) error: Style,
}

impl Palette {
    /// All styles, or none.
    pub(crate) fn new(is_on: bool) -> Self {
        if !is_on {
            return Self::default();
        }
        let colored = |color: AnsiColor| Style::new().fg_color(Some(Color::Ansi(color)));
        Self {
            is_on,
            id: colored(AnsiColor::Yellow),
            head: colored(AnsiColor::Green).bold(),
            added: colored(AnsiColor::Green),
            modified: colored(AnsiColor::Yellow),
            deleted: colored(AnsiColor::Red),
            title: Style::new().bold(),
            place: colored(AnsiColor::Cyan),
            dim: Style::new().dimmed(),
            warning: colored(AnsiColor::Yellow).bold(),
            error: colored(AnsiColor::Red).bold(),
        }
    }
}
