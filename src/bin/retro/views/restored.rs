//! The changes that a restore makes, and restores that were interrupted.

use retrograde::detail::{Applied, RestoreAction as Action, RestoreCause, UnfinishedRestore as Restore};
use retrograde::{Workspace, wire};

use super::color::Palette;
use super::human;
use super::steps;

/// One change of a path on one line, also for a dry run.
pub(crate) fn action(action: &Action, palette: &Palette) -> String {
    let word = wire::ActionWord::from(action).word();
    let (style, detail) = match action {
        Action::Remove { .. } => (palette.deleted, String::new()),
        Action::CreateFolder { mode, .. } => (palette.added, format!("  {mode:04o}")),
        Action::WriteFile { mode, size, .. } => (palette.added, format!("  {mode:04o}  {}", human::size(*size))),
        Action::WriteSymlink { .. } => (palette.added, String::new()),
        Action::SetAttributes { .. } => (palette.modified, String::new()),
        Action::SetFileMode { mode, .. } | Action::SetFolderMode { mode, .. } => {
            (palette.modified, format!("  {mode:04o}"))
        }
    };
    let slash = if is_folder(action) && !action.path().is_root() { "/" } else { "" };
    format!("{style}{word:<6}{style:#}  {}{slash}{detail}", action.path())
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

fn is_folder(action: &Action) -> bool {
    use retrograde::detail::Kind;
    matches!(
        action,
        Action::CreateFolder { .. }
            | Action::SetFolderMode { .. }
            | Action::SetAttributes { kind: Kind::Folder, .. }
            | Action::Remove { kind: Kind::Folder, .. }
    )
}
