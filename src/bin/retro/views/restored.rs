//! What a restore did, or would do.

use retrograde::Workspace;
use retrograde::detail::{Applied, RestoreAction as Action, RestoreCause, UnfinishedRestore as Restore};

use super::color::Palette;
use super::human;
use super::steps;

/// One change to the workspace on one line; the same for a dry run and for the real one.
pub(crate) fn action(action: &Action, palette: &Palette) -> String {
    let (style, word, detail) = match action {
        Action::Remove { .. } => (palette.deleted, "remove", String::new()),
        Action::CreateFolder { mode, .. } => (palette.added, "create", format!("  {mode:04o}")),
        Action::WriteFile { mode, size, .. } => {
            (palette.added, "write", format!("  {mode:04o}  {}", human::size(*size)))
        }
        Action::WriteSymlink { .. } => (palette.added, "link", String::new()),
        Action::SetAttributes { .. } => (palette.modified, "attributes", String::new()),
        Action::SetFileMode { mode, .. } | Action::SetFolderMode { mode, .. } => {
            (palette.modified, "mode", format!("  {mode:04o}"))
        }
    };
    let slash = if is_folder(action) && !action.path().is_root() { "/" } else { "" };
    format!("{style}{word:<6}{style:#}  {}{slash}{detail}", action.path())
}

/// That a restore was cut off, and what to do about it.
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
        Some(before) if before == unfinished.target => return format!("{what} {target} was cut off; {FINISH}"),
        Some(_) => "`retro restore --abort` goes back",
    };
    format!("{what} {target} was cut off; {FINISH}, {back}")
}

const FINISH: &str = "`retro restore --continue` finishes it";

/// What was done, in numbers; what did not happen is not said.
pub(crate) fn counts(applied: &Applied) -> String {
    let parts = [
        (applied.written, "written"),
        (applied.created, "created"),
        (applied.removed, "removed"),
        (applied.mode_changed, "modes set"),
        (applied.attributes_changed, "attributes set"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{} {word}", human::number(*count)))
        .collect();
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
