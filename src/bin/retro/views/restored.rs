//! The changes that a restore makes, and restores that were interrupted.

use retrograde::{Workspace, wire};

use retrograde::detail::{
    Applied, EntryKind, RestoreAction as Action, RestoreCause, RestoreTask as Task, UnfinishedRestore as Restore,
};

use super::color::Palette;
use super::human;
use super::steps;

/// One change of a path on one line, also for a dry run.
pub(crate) fn action(action: &Action, palette: &Palette) -> String {
    let Action { path, task, kind, mode, size, .. } = action;
    let word = wire::ActionWord::from(action).word();
    let (style, detail) = match (task, kind) {
        (Task::Remove, _) => (palette.deleted, String::new()),
        (Task::SetAttributes, _) => (palette.modified, String::new()),
        (Task::SetMode, _) => (palette.modified, format!("  {mode:04o}")),
        (_, EntryKind::Folder) => (palette.added, format!("  {mode:04o}")),
        (_, EntryKind::File) => (palette.added, format!("  {mode:04o}  {}", human::size(*size))),
        (_, EntryKind::Symlink) => (palette.added, String::new()),
    };
    let slash = if *kind == EntryKind::Folder && !path.is_root() { "/" } else { "" };
    format!("{style}{word:<6}{style:#}  {path}{slash}{detail}")
}

/// A sentence about an interrupted restore, with the ways to continue.
pub(crate) fn cut_off(unfinished: &Restore, workspace: &Workspace) -> String {
    let target = steps::name_in(Some(workspace), unfinished.target, &Palette::new(false));
    let what = match unfinished.cause {
        RestoreCause::Abort => "going back to",
        RestoreCause::Restore => "the restore of",
        RestoreCause::Undo { .. } => "the undo to",
        RestoreCause::Redo { .. } => "the redo to",
    };
    let back = match workspace.before_unfinished() {
        None => "`retro restore REV` goes to another step",
        Some(before) if before == unfinished.target => return format!("{what} {target} was interrupted; {FINISH}"),
        Some(_) => "`retro restore --abort` goes back",
    };
    format!("{what} {target} was interrupted; {FINISH}, {back}")
}

const FINISH: &str = "`retro restore --continue` finishes it";

/// The numbers of changed paths; numbers that are 0 are omitted.
pub(crate) fn counts(applied: &Applied) -> String {
    let parts = [
        (applied.written, "written"),
        (applied.created, "created"),
        (applied.removed, "removed"),
        (applied.mode_changed, "modes set"),
        (applied.attributes_changed, "attributes set"),
    ];
    let done = parts.into_iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = done.map(|(count, word)| format!("{} {word}", human::number(count))).collect();
    if parts.is_empty() { "nothing to do".to_owned() } else { parts.join(", ") }
}
