//! Completion of a command line that is being typed.
//!
//! The scripts for bash, zsh and fish ([`SCRIPTS`]) know nothing of the program: at each press of the key they call the
//! hidden verb `__complete` with the words so far, and offer what it prints. So they offer steps, runs, tags and
//! recorded paths, never fall behind the program, and there is one definition of the command line.
//!
//! ```text
//! retro __complete SHELL WORD...         words from the program's name to the one that is being typed
//! retro __complete bash POINT BREAKS LINE     bash splits words at `:` and `@`; so it gives the line
//!
//! mode           words: offer what follows; paths: the same, and no space after a folder;
//!                files, folders: let the shell offer what there is on disk
//! candidate      one a line, for zsh and fish with a tab and a few words about it
//! ```
//!
//! Nothing here fails: what cannot be found out is not offered.

mod candidates;
mod words;

pub(crate) use candidates::candidates;
pub(crate) use words::wanted;

use clap_complete::Shell;

/// Scripts that ask the program. Other shells get one that `clap_complete` writes, without steps and paths.
const SCRIPTS: [(Shell, &str); 3] = [
    (Shell::Bash, include_str!("scripts/retro.bash")),
    (Shell::Zsh, include_str!("scripts/retro.zsh")),
    (Shell::Fish, include_str!("scripts/retro.fish")),
];

/// The script for a shell, if it is one that asks the program.
pub(crate) fn script(shell: Shell) -> Option<&'static str> {
    SCRIPTS.iter().find(|(known, _)| *known == shell).map(|(_, script)| *script)
}
