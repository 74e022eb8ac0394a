//! The state that a restore goes to, as far as it is known before the folder is captured.
//!
//! All restores but an undo know it beforehand. An undo takes edits back that are not recorded yet, or goes back one
//! change more if there are none. It therefore has two states to choose from, and the capture is made around both
//! ([`Around::targets`](crate::ops::record::capture::Around)).

use super::Context;
use super::plan::plan;
use crate::error::{ErrorKind, Result};
use crate::format::facts::RestoreCause;
use crate::id::SnapshotId;
use crate::ops::record::capture::Captured;
use crate::path::TreePath;
use crate::workspace::materialize::{Action, Task};

/// A state to go to.
#[derive(Clone)]
pub(super) struct Wish {
    pub(super) target: SnapshotId,
    pub(super) cause: RestoreCause,
    pub(super) before: Before,
    /// Only these paths; everything when empty.
    pub(super) paths: Vec<TreePath>,
}

/// The state that undoing a restore leads to.
#[derive(Clone, Copy)]
pub(super) enum Before {
    /// The state right before it.
    Now,
    /// The state that undoing the restore that it continues would have led to.
    As(Option<SnapshotId>),
}

/// The states to choose from.
pub(super) struct Choice<'a> {
    /// The state that decides: the folder has edits if it differs from it. `None` if edits make no difference.
    stands: Option<SnapshotId>,
    /// The state to go to if there are edits, or none.
    wish: Box<dyn Fn(bool) -> Result<Wish> + 'a>,
}

impl<'a> Choice<'a> {
    /// One state, whatever is in the folder.
    pub(super) fn known(wish: Wish) -> Self {
        Self { stands: None, wish: Box::new(move |_| Ok(wish.clone())) }
    }

    /// One state if the folder has edits since `stands`, and another if it has none.
    pub(super) fn by_edits(stands: SnapshotId, wish: impl Fn(bool) -> Result<Wish> + 'a) -> Self {
        Self { stands: Some(stands), wish: Box::new(wish) }
    }

    /// All states that can be gone to.
    pub(super) fn wishes(&self) -> Vec<Wish> {
        let edits = if self.stands.is_some() { &[true, false][..] } else { &[false] };
        edits.iter().filter_map(|is_edited| (self.wish)(*is_edited).ok()).collect()
    }

    /// Chooses by what is in the folder.
    pub(super) fn choose(&self, context: &Context<'_>, captured: &Captured) -> Result<Wish> {
        let is_edited = self.stands.map(|stands| has_edits(context, captured, stands)).transpose()?;
        (self.wish)(is_edited.unwrap_or_default())
    }
}

/// Tests whether going to a state would change anything. An edit that a restore would leave alone cannot be taken back,
/// and does not count. A state that is lost counts as left.
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
    // Paths that the rules exclude are captured for the sake of a state that may be gone to, and not because they are
    // new.
    let is_edit = |action: &Action| action.task != Task::Remove || !captured.is_for_target(&action.path);
    Ok(actions.iter().any(is_edit))
}
