//! What a restore did, or would do.

use retrograde::RestoreOutcome;
use retrograde::Workspace;
use retrograde::detail::Applied;
use retrograde::detail::Kept;
use retrograde::detail::RestoreAction as Action;
use retrograde::detail::RestoreCause;
use retrograde::detail::UnfinishedRestore as Restore;

use super::color::Palette;
use super::human;
use super::json::Object;
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

/// A restore that was cut off in JSON.
pub(crate) fn unfinished(unfinished: &Restore) -> Object {
    Object::new()
        .field("target", unfinished.target.to_string())
        .field("before", unfinished.before.map(|id| id.to_string()))
        .field("cause", cause(unfinished.cause))
        .list("paths", unfinished.paths.iter().map(|path| Object::new().bytes("path", path)))
        .field("time", unfinished.time.rfc3339())
}

fn cause(cause: RestoreCause) -> &'static str {
    match cause {
        RestoreCause::Restore => "restore",
        RestoreCause::Undo { .. } => "undo",
        RestoreCause::Redo { .. } => "redo",
        RestoreCause::Abort => "abort",
    }
}

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

/// A restore in JSON.
pub(crate) fn shape(outcome: &RestoreOutcome, millis: u64) -> Object {
    let applied = outcome.applied.clone().unwrap_or_default();
    Object::versioned()
        .field("target", outcome.target.to_string())
        .field("target_step", outcome.target_step)
        .field("before", outcome.before.map(|id| id.to_string()))
        .field("before_step", outcome.before_step)
        .field("state", outcome.state.map(|id| id.to_string()))
        .field("state_step", outcome.state_step)
        .field("cause", cause(outcome.cause))
        .field("applied", outcome.applied.is_some())
        .list("actions", outcome.plan.iter().map(action_shape))
        .field("written", applied.written)
        .field("bytes", applied.bytes)
        .field("created", applied.created)
        .field("removed", applied.removed)
        .field("mode_changed", applied.mode_changed)
        .field("attributes_changed", applied.attributes_changed)
        .field("exact", outcome.is_exact())
        .list("kept", outcome.kept().iter().map(kept))
        .field("millis", millis)
}

/// A path that was left as it is.
pub(crate) fn kept(kept: &Kept) -> Object {
    Object::new().path(&kept.path).field("reason", kept.reason.to_string())
}

fn action_shape(action: &Action) -> Object {
    let (word, mode, size) = match action {
        Action::Remove { .. } => ("remove", None, None),
        Action::CreateFolder { mode, .. } => ("create", Some(*mode), None),
        Action::WriteFile { mode, size, .. } => ("write", Some(*mode), Some(*size)),
        Action::WriteSymlink { .. } => ("link", None, None),
        Action::SetAttributes { .. } => ("attributes", None, None),
        Action::SetFileMode { mode, .. } | Action::SetFolderMode { mode, .. } => ("mode", Some(*mode), None),
    };
    Object::new()
        .field("action", word)
        .path(action.path())
        .field("mode", mode.map(|mode| format!("{mode:04o}")))
        .field("size", size)
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
