//! The state that a restore goes to, as far as it is known before the folder is looked at.
//!
//! All but an undo know it beforehand. An undo takes back edits that are not recorded yet, or where there are none a
//! change more: so it has two states to choose from, and the capture tells which. A capture is told of both
//! ([`Around::targets`](crate::ops::record::capture::Around)).

use super::Context;
use super::plan::plan;
use crate::error::{ErrorKind, Result};
use crate::format::facts::RestoreCause;
use crate::id::SnapshotId;
use crate::ops::record::capture::Captured;
use crate::path::TreePath;
use crate::workspace::materialize::Action;

/// A state to go to.
#[derive(Clone)]
pub(super) struct Wish {
    pub(super) target: SnapshotId,
    pub(super) cause: RestoreCause,
    pub(super) before: Before,
    /// Only these paths; everything when empty.
    pub(super) paths: Vec<TreePath>,
    /// An undo counts the states that it goes back over. The snapshot of the state before it is one more, if one is
    /// taken.
    pub(super) counts_now: bool,
}

/// The state that undoing a restore leads to.
#[derive(Clone, Copy)]
pub(super) enum Before {
    /// The state right before it.
    Now,
    /// The state that undoing the restore that it continues would have led to.
    As(Option<SnapshotId>),
}

/// The states that may be gone to.
pub(super) enum Choice {
    /// One, whatever is in the folder.
    Known(Wish),
    /// One where there are edits since the state that the folder stands at, another where there are none.
    ByEdits { stands: SnapshotId, edited: Result<Wish>, unedited: Result<Wish> },
}

impl Choice {
    /// All that can be gone to.
    pub(super) fn wishes(&self) -> impl Iterator<Item = &Wish> {
        let (one, other) = match self {
            Self::Known(wish) => (Some(wish), None),
            Self::ByEdits { edited, unedited, .. } => (edited.as_ref().ok(), unedited.as_ref().ok()),
        };
        one.into_iter().chain(other)
    }

    /// The paths that are put back; everything where there are none.
    pub(super) fn paths(&self) -> &[TreePath] {
        match self {
            Self::Known(wish) => &wish.paths,
            Self::ByEdits { .. } => &[],
        }
    }

    /// Chooses by what is in the folder.
    pub(super) fn choose(self, context: &Context<'_>, captured: &Captured) -> Result<Wish> {
        match self {
            Self::Known(wish) => Ok(wish),
            Self::ByEdits { stands, edited, unedited } => {
                if has_edits(context, captured, stands)? {
                    edited
                } else {
                    unedited
                }
            }
        }
    }
}

/// Returns whether going to a state would change anything. What a restore would leave alone is no edit that could be
/// taken back. A state that is lost counts as left.
fn has_edits(context: &Context<'_>, captured: &Captured, stands: SnapshotId) -> Result<bool> {
    let stands = match context.store.snapshot(stands) {
        Ok(stands) => stands,
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            let head = context.workspace.head.and_then(|head| context.store.snapshot(head).ok());
            return Ok(head.is_none_or(|head| !captured.is_at(&head)));
        }
        Err(error) => return Err(error),
    };
    let actions = plan(context.store, &context.root, captured, &stands, None, &[])?.actions;
    // Paths that the rules leave out are captured for the sake of a state that may be gone to, and not because they are
    // new.
    let is_edit = |action: &Action| !matches!(action, Action::Remove { .. }) || !captured.is_for_target(action.path());
    Ok(actions.iter().any(is_edit))
}
