//! One thin file for each verb: arguments in, one library call, a view out. Most verbs end with success or an error;
//! the others return the exit code of their answer.

mod cat;
mod complete;
mod completions;
mod diff;
mod export;
#[cfg(feature = "git")]
mod export_git;
mod help;
#[cfg(feature = "git")]
mod import;
mod init;
mod log;
mod ls;
mod man;
mod pin;
mod repair;
mod restore;
mod runs;
mod show;
mod snap;
mod stats;
mod status;
mod tag;
mod verify;
mod workspace;

use retrograde::Result;

use crate::args::{Export, Verb};
use crate::context::Context;
use crate::exit;

/// Runs a verb, and returns the exit code.
pub(crate) fn run(context: &mut Context, verb: Verb) -> Result<u8> {
    match verb {
        Verb::Diff(arguments) => return diff::run(context, &arguments),
        Verb::Restore(arguments) => return restore::run(context, &arguments),
        Verb::Undo(walk) => return restore::undo(context, walk),
        Verb::Redo(walk) => return restore::redo(context, walk),
        Verb::Verify(arguments) => return verify::run(context, &arguments),
        Verb::Repair { dry_run } => return repair::run(context, dry_run),
        Verb::Init { dir, force } => init::run(context, dir, force)?,
        Verb::Snap(arguments) => snap::run(context, arguments)?,
        Verb::Status => status::run(context)?,
        Verb::Runs => runs::run(context)?,
        Verb::Log(arguments) => log::run(context, &arguments)?,
        Verb::Show(arguments) => show::run(context, &arguments)?,
        Verb::Ls { rev, paths, recursive } => ls::run(context, &rev, &paths, recursive)?,
        Verb::Cat { target, paths } => cat::run(context, &target, &paths)?,
        Verb::Tag(arguments) => tag::run(context, &arguments)?,
        Verb::Pin { rev, delete } => pin::run(context, &rev, !delete)?,
        #[cfg(feature = "git")]
        Verb::Export(Export { git: Some(dir), rev, .. }) => export_git::run(context, rev.as_deref(), &dir)?,
        #[cfg(feature = "git")]
        Verb::Import(arguments) => import::run(context, arguments)?,
        #[cfg(not(feature = "git"))]
        Verb::Export(Export { git: Some(_), .. }) | Verb::Import(_) => return Err(no_git()),
        Verb::Export(arguments) => export::run(context, &arguments)?,
        Verb::Stats => stats::run(context)?,
        Verb::Workspace(action) => workspace::run(context, action)?,
        Verb::Completions { shell } => completions::run(context, shell)?,
        Verb::Complete { shell, words } => complete::run(context, &shell, &words)?,
        Verb::Man { dir } => man::run(context, dir.as_deref())?,
        Verb::Help { topic } => help::run(context, topic.as_deref())?,
    }
    Ok(exit::DONE)
}

/// The error of a build without the feature `git`.
#[cfg(not(feature = "git"))]
fn no_git() -> retrograde::Error {
    let detail = "this build of retro cannot";
    retrograde::Error::new(retrograde::ErrorKind::Unsupported, "read or write", "git repositories", detail)
        .with_hint("build it with the feature `git`, which is on by default")
}
