//! One thin file a verb: arguments in, one library call, a view out. Each returns the exit code of its answer.

mod cat;
mod complete;
mod completions;
mod diff;
mod export;
mod help;
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
mod undo;
mod verify;
mod workspace;

use retrograde::Result;

use crate::args::Verb;
use crate::context::Context;

/// Does what a verb says.
pub(crate) fn run(context: &mut Context, verb: Verb) -> Result<u8> {
    match verb {
        Verb::Init { dir, force } => init::run(context, dir, force),
        Verb::Snap(arguments) => snap::run(context, arguments),
        Verb::Status => status::run(context),
        Verb::Runs => runs::run(context),
        Verb::Log(arguments) => log::run(context, &arguments),
        Verb::Show(arguments) => show::run(context, &arguments),
        Verb::Diff(arguments) => diff::run(context, &arguments),
        Verb::Ls { rev, paths, recursive } => ls::run(context, &rev, &paths, recursive),
        Verb::Cat { target, paths } => cat::run(context, &target, &paths),
        Verb::Restore(arguments) => restore::run(context, &arguments),
        Verb::Undo { count, how } => undo::undo(context, count, how),
        Verb::Redo { count, how } => undo::redo(context, count, how),
        Verb::Tag(arguments) => tag::run(context, &arguments),
        Verb::Pin { rev, delete } => pin::run(context, &rev, !delete),
        Verb::Export(arguments) => export::run(context, &arguments),
        Verb::Import(arguments) => import::run(context, arguments),
        Verb::Stats => stats::run(context),
        Verb::Repair { dry_run } => repair::run(context, dry_run),
        Verb::Verify(arguments) => verify::run(context, &arguments),
        Verb::Workspace(action) => workspace::run(context, action),
        Verb::Completions { shell } => completions::run(context, shell),
        Verb::Complete { shell, words } => complete::run(context, &shell, &words),
        Verb::Man { dir } => man::run(context, dir.as_deref()),
        Verb::Help { topic } => help::run(context, topic.as_deref()),
    }
}
