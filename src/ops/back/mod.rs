//! Putting a workspace, or some paths of it, back to a past state.
//!
//! ```text
//! capture ------> plan --------> preflight ------> record --------> apply
//! look.rs         decide.rs      preflight.rs      begin.rs         apply.rs
//! the folder and  the changes    contents to be    the state        the changes, and
//! all that may    that lead to   written or lost   before, and      the state that
//! be lost         the target     can be read       "begun"          they led to: "ended"
//! ```
//!
//! One function calls each stage once, and no stage goes back to an earlier one. The capture therefore knows beforehand
//! which states the restore may go to (`choice`).
//!
//! Invariants:
//! - The state before is a snapshot before the first byte changes (unless the caller declines it), so that every
//!   restore can be undone. That snapshot and the fact that a restore has begun are one transaction.
//! - The plan removes only paths that the capture saw and that the target does not have. Paths that the target's
//!   exclude list named, that git ignored then, or that the target omitted may have existed then, and are left alone.
//! - Paths that come in sight only because a restore puts the rules back do not count as edits (see `unseen`).
//! - The state after is recorded: it is the target, or a snapshot of its own if only some paths were restored or
//!   something was left alone. So every state of the folder around a restore can be gone back to.
//! - A restore that was cut off is finished by the same restore or taken back by an abort (see [`resume`] and
//!   [`abort`]); a new one takes its place if it covers the same paths. In each case, undoing leads to the state before
//!   the first.
//! - A dry run makes the same plan with the same code, and stops before anything is recorded.

mod apply;
mod begin;
mod choice;
mod decide;
mod into;
mod look;
mod parents;
mod plan;
mod preflight;
mod protected;
mod undo;
mod unfinished;
mod unseen;

use std::path::Path;
use std::sync::Arc;

use crate::disk::LockGuard;
use crate::error::{Error, ErrorKind, Result, shown};
use crate::format::facts::RestoreCause;
use crate::id::{SnapshotId, WorkspaceId};
use crate::ops::look::ls;
use crate::ops::record::folder::{lock_workspace, open_root};
use crate::ops::record::register::{expect, root_of};
use crate::path::TreePath;
use crate::progress::{Event, Progress, Silent};
use crate::store::{State, Store, Workspace};
use crate::time::Timestamp;
use crate::workspace::beneath::Root;
use crate::workspace::config::Config;
use crate::workspace::materialize::{self, Action, Applied, Kept};
use choice::{Choice, Wish};
use decide::Decided;
pub use into::restore_into;
pub use undo::{redo, undo};
pub use unfinished::{abort, resume};

/// Options of a restore, an undo and a redo.
#[derive(Clone)]
#[non_exhaustive]
pub struct RestoreOptions<'a> {
    /// Only these paths and everything below them; all if empty.
    pub paths: Vec<TreePath>,
    /// Takes a snapshot first. Without, the restore cannot be undone.
    pub safety: bool,
    /// Only plans.
    pub dry_run: bool,
    /// Restores a snapshot of another workspace too.
    pub foreign: bool,
    /// The settings of the folder.
    pub config: &'a Config,
    /// The user's home folder. It is left alone if it is met inside by another path.
    pub home: Option<&'a Path>,
    /// The current time.
    pub now: Timestamp,
    /// The receiver of progress events.
    pub progress: &'a dyn Progress,
}

/// The changes that were made, or would be.
#[derive(Clone, Debug)]
pub struct RestoreOutcome {
    /// The changes, in order of path.
    pub plan: Vec<Action>,
    /// Paths of the step that cannot or must not be made here, found before anything was changed. In order of path.
    pub refused: Vec<Kept>,
    /// The outcome of the changes; `None` for a dry run.
    pub applied: Option<Applied>,
    /// The state before; `None` for a dry run, and if the folder had edits and no safety snapshot was wanted.
    pub before: Option<SnapshotId>,
    /// Step of the state before.
    pub before_step: Option<u64>,
    /// The state that it leads to.
    pub target: SnapshotId,
    /// Its step.
    pub target_step: u64,
    /// The state of the folder now: the target, or a snapshot of its own. `None` for a dry run, and if some paths were
    /// restored without a safety snapshot.
    pub state: Option<SnapshotId>,
    /// Its step.
    pub state_step: Option<u64>,
    /// The kind of restore it was.
    pub cause: RestoreCause,
    /// True if it can be undone. A restore that had nothing to do is not noted.
    pub is_noted: bool,
}

impl<'a> RestoreOptions<'a> {
    /// Puts everything back, and takes a snapshot first.
    pub fn new(config: &'a Config, now: Timestamp) -> Self {
        Self {
            paths: Vec::new(),
            safety: true,
            dry_run: false,
            foreign: false,
            config,
            home: None,
            now,
            progress: &Silent,
        }
    }
}

impl RestoreOutcome {
    /// Paths that are not as the step has them, or would not be, in order of path.
    pub fn kept(&self) -> &[Kept] {
        self.applied.as_ref().map_or(&self.refused, |applied| &applied.kept)
    }

    /// Returns true if the folder, or the requested paths, are now exactly the step, or would be.
    pub fn is_exact(&self) -> bool {
        self.kept().iter().all(|kept| !kept.reason.is_difference())
    }
}

/// Everything that all stages of a restore need.
struct Context<'a> {
    store: &'a Store,
    workspace: &'a Workspace,
    root: Root,
    options: &'a RestoreOptions<'a>,
}

/// Puts the workspace back to `target`. Nothing is written when nothing differs.
///
/// `NotFound` if the store has no such workspace or snapshot, or if a path is neither in the snapshot nor in the
/// folder.
pub fn restore(
    store: &Store,
    workspace: WorkspaceId,
    target: SnapshotId,
    options: &RestoreOptions<'_>,
) -> Result<RestoreOutcome> {
    let (_lock, state) = lock(store, workspace, options)?;
    let found = expect(&state, workspace)?;
    if !options.foreign {
        refuse_foreign(store, found, target)?;
    }
    let paths = options.paths.clone();
    expect_paths(store, target, open_root(store, found, options.home).ok().as_ref(), &paths)?;
    let before = unfinished::superseded(found, &paths)?;
    let wish = Wish { target, cause: RestoreCause::Restore, before, paths };
    go_back(store, found, &Choice::known(wish), options)
}

/// Refuses paths that are neither in the target nor in the folder, if that is there: nobody means them.
fn expect_paths(store: &Store, target: SnapshotId, folder: Option<&Root>, paths: &[TreePath]) -> Result<()> {
    for path in paths {
        if !path.is_root() && !folder.is_some_and(|folder| folder.has(path)) {
            ls::entry_at(store, target, path)?;
        }
    }
    Ok(())
}

/// The lock of a workspace, and the newest state of the store. A dry run waits for others where it can, and does
/// without the lock in a store that cannot be written.
fn lock(
    store: &Store,
    workspace: WorkspaceId,
    options: &RestoreOptions<'_>,
) -> Result<(Option<LockGuard>, Arc<State>)> {
    let guard = match lock_workspace(store, workspace) {
        Err(error) if options.dry_run && error.kind() == ErrorKind::Io => None,
        guard => Some(guard?),
    };
    store.refresh()?;
    Ok((guard, store.state()))
}

/// A snapshot of another workspace replaces the whole folder by another project.
fn refuse_foreign(store: &Store, workspace: &Workspace, target: SnapshotId) -> Result<()> {
    let owner = store.snapshot(target)?.workspace;
    if owner == workspace.id
        || workspace.step_of(target).is_some()
        || workspace.timeline.recorded().any(|id| id == target)
    {
        return Ok(());
    }
    let state = store.state();
    let whose = match state.workspaces.get(&owner) {
        Some(owner) => format!("it is of the folder {}", shown(&root_of(owner))),
        None => format!("it is of workspace {}, which is not recorded here any more", owner.short()),
    };
    let (short, full) = (target.short(), target);
    Err(Error::new(ErrorKind::Conflict, &format!("restore {short} in"), shown(&root_of(workspace)), whose).with_hint(
        format!("`retro restore --into DIR {short}` writes it elsewhere; `retro restore --force {full}` insists"),
    ))
}

/// The five stages, one after another. The workspace's lock is held.
fn go_back(
    store: &Store,
    workspace: &Workspace,
    choice: &Choice<'_>,
    options: &RestoreOptions<'_>,
) -> Result<RestoreOutcome> {
    if !options.dry_run && !root_of(workspace).exists() {
        // The whole folder is gone. An empty one takes its place, and the safety snapshot records that.
        materialize::open_empty(store, &root_of(workspace))?;
    }
    let context = Context { store, workspace, root: open_root(store, workspace, options.home)?, options };
    let mut batch = store.batch();
    let is_kept = options.safety && !options.dry_run;
    let (captured, wish) = look::look(&context, choice, is_kept.then_some(&mut batch))?;
    let mut decided = decide::decide(&context, captured, wish)?;
    let refused = preflight::preflight(&context, &mut decided, &batch)?;
    let mut outcome = RestoreOutcome::planned(&decided, refused, !options.dry_run);
    if options.dry_run {
        return Ok(outcome);
    }
    if decided.is_nothing_to_do(workspace) {
        // The process that recorded the state may have died before it synced; from here on the state is promised.
        store.settle()?;
        let head = decided.step.head.as_ref().map(|(id, _)| *id);
        (outcome.before, outcome.state, outcome.is_noted) = (head, head, false);
        outcome.applied = Some(Applied { kept: outcome.refused.clone(), ..Applied::default() });
    } else {
        outcome.before = begin::begin(&context, batch, &decided)?;
        options.progress.event(Event::FolderChanging);
        decided.step.captured.remember(store);
        let (applied, state) = apply::apply(&context, &decided, &outcome.refused)?;
        (outcome.applied, outcome.state) = (Some(applied), state);
    }
    let step_of = |id: Option<SnapshotId>| id.map(|id| store.snapshot(id).map(|found| found.step)).transpose();
    (outcome.before_step, outcome.state_step) = (step_of(outcome.before)?, step_of(outcome.state)?);
    Ok(outcome)
}

impl RestoreOutcome {
    fn planned(decided: &Decided, refused: Vec<Kept>, is_noted: bool) -> Self {
        Self {
            plan: decided.plan.actions.clone(),
            refused,
            applied: None,
            before: None,
            before_step: None,
            target: decided.wish.target,
            target_step: decided.target.step,
            state: None,
            state_step: None,
            cause: decided.wish.cause,
            is_noted,
        }
    }
}
