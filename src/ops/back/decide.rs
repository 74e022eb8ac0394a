//! The second stage of a restore: everything that has to be done to reach the state.

use std::sync::Arc;

use super::Context;
use super::choice::Wish;
use super::plan::{Plan, plan};
use crate::error::Result;
use crate::format::facts::RestoreCause;
use crate::format::snapshot::Snapshot;
use crate::format::tree::EntryKind;
use crate::ops::record::capture::Captured;
use crate::ops::record::step::{Step, compared};
use crate::store::Workspace;
use crate::workspace::materialize::{Action, Task};

/// The state of a folder, the state to go to, and the way there.
pub(super) struct Decided {
    /// The folder now, against its head.
    pub(super) step: Step,
    pub(super) wish: Wish,
    pub(super) target: Arc<Snapshot>,
    pub(super) plan: Plan,
    /// True if it overwrites or writes paths that the rules exclude.
    pub(super) writes_excluded: bool,
}

/// Plans the way to a state.
pub(super) fn decide(context: &Context<'_>, captured: Captured, mut wish: Wish) -> Result<Decided> {
    let Context { store, workspace, root, options, .. } = context;
    let target = store.snapshot(wish.target)?;
    let step = compared(store, workspace, root, captured)?;
    if let RestoreCause::Undo { count } = &mut wish.cause {
        // The snapshot of the state before an undo is one more state that it goes back over.
        *count += u64::from(workspace.unfinished.is_none() && options.safety && step.differs());
    }
    // If that snapshot is damaged, the state that the interrupted restore found is unknown.
    let interrupted = workspace.before_unfinished().and_then(|id| store.snapshot(id).ok());
    let plan = plan(store, root, &step.captured, &target, interrupted.as_deref(), &wish.paths)?;
    let writes_excluded = step.captured.has_paths_for_target() || writes_excluded_paths(&step.captured, &plan.actions);
    Ok(Decided { step, wish, target, plan, writes_excluded })
}

impl Decided {
    /// Returns true if the restore has nothing to do and need not be noted. An undo is noted even then: otherwise no
    /// undo could go past that change.
    pub(super) fn is_nothing_to_do(&self, workspace: &Workspace) -> bool {
        let head = self.step.head.as_ref().map(|(id, _)| *id);
        let stays = head == Some(self.wish.target) || !self.wish.paths.is_empty();
        self.plan.actions.is_empty()
            && stays
            && workspace.unfinished.is_none()
            && self.wish.cause == RestoreCause::Restore
    }
}

/// Returns true if something is written at a path that the rules exclude.
fn writes_excluded_paths(captured: &Captured, actions: &[Action]) -> bool {
    actions.iter().filter(|action| action.task != Task::Remove).any(|Action { path, task, kind, .. }| {
        let is_new_folder = *task == Task::Create && *kind == EntryKind::Folder;
        captured.excludes(path, false) || (is_new_folder && captured.excludes(path, true))
    })
}
