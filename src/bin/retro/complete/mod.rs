//! Completion of a half-typed command line.
//!
//! The scripts for bash, zsh and fish ([`SCRIPTS`]) call the hidden verb `__complete` with the words so far, and offer
//! the words that it prints. So they can offer steps, runs, tags and recorded paths, and need no change for new verbs.
//!
//! ```text
//! retro __complete SHELL WORD...            the words from the program's name to the one that is being typed
//! retro __complete bash POINT BREAKS LINE   bash's COMP_POINT, COMP_WORDBREAKS and COMP_LINE: bash itself would split
//!                                           words at `:` and `@`
//!
//! first line     the mode: `words` (offer the candidates), `paths` (the same, without a space after a folder), `files`
//!                or `folders` (the shell offers those on disk)
//! other lines    one candidate each; for zsh and fish with a tab and a description
//! ```
//!
//! Completion never fails: on an error it offers less.

mod candidates;
mod words;

pub(crate) use candidates::candidates;
pub(crate) use words::expected_at_end;

use clap_complete::Shell;

/// The scripts that call `retro __complete`. Other shells get one that `clap_complete` generates; it offers nothing
/// from the store.
const SCRIPTS: [(Shell, &str); 3] = [
    (Shell::Bash, include_str!("scripts/retro.bash")),
    (Shell::Zsh, include_str!("scripts/retro.zsh")),
    (Shell::Fish, include_str!("scripts/retro.fish")),
];

/// The script for a shell, if it calls `retro __complete`.
pub(crate) fn script(shell: Shell) -> Option<&'static str> {
    SCRIPTS.iter().find(|(known, _)| *known == shell).map(|(_, script)| *script)
}
