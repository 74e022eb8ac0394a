//! Putting a workspace, or some paths of it, back to a past state.
//!
//! ```text
//! capture now -> snapshot it -> diff to the target -> plan -> journal "begun" -> apply -> journal "ended"
//! ```
//!
//! Invariants:
//! - The state before is a snapshot before the first byte changes (unless the caller declined), so every restore can be
//!   undone. That snapshot and the word that a restore has begun are one commit.
//! - The plan removes only what that capture saw and the target does not have. What the target's exclude list named,
//!   what git ignored then, or what it omitted, was there then as far as anybody knows, and is left alone.
//! - A restore that was cut off is finished by the same restore, or taken back by an abort (see [`resume`] and [`abort`]); a new one
//!   takes its place if it covers the same paths. Whichever it is, undoing leads to the state before the first.
//! - A dry run makes the same plan from the same code, and stops before the first commit.

mod above;
mod intact;
mod into;
mod plan;
mod spared;
mod unfinished;
mod wanted;

use std::collections::BTreeSet;
use std::path::Path;

use super::capture::{CaptureOptions, Captured, capture_afresh, capture_due, lock_workspace, open_root};
use super::register::root_of;
use super::snap::{About, Step, compared, expect, record};
use crate::error::{Error, ErrorKind, Result, shown};
use crate::format::facts::{Fact, Restore, RestoreCause};
use crate::format::snapshot::{Cause, Snapshot};
use crate::id::{SnapshotId, WorkspaceId};
use crate::path::TreePath;
use crate::progress::{Event, Progress};
use crate::store::{Batch, Store, Workspace};
use crate::time::Timestamp;
use crate::workspace::beneath::Root;
use crate::workspace::config::Config;
use crate::workspace::materialize::{self, Action, Applied, Options, apply};
use intact::{expect_contents, expect_kept, is_as_seen};
pub use into::restore_into;
use plan::{Plan, plan};
pub use unfinished::{abort, resume};

/// How to restore.
#[derive(Clone)]
pub struct RestoreOptions<'a> {
    /// Only these paths and what is below them; everything when empty.
    pub paths: Vec<TreePath>,
    /// Takes a snapshot first. Without, the restore cannot be undone.
    pub safety: bool,
    /// Only plans.
    pub dry_run: bool,
    /// What `retro.toml` says.
    pub config: &'a Config,
    /// The user's home folder, see [`CaptureOptions`].
    pub home: Option<&'a Path>,
    /// Now.
    pub now: Timestamp,
    /// Who watches.
    pub progress: &'a dyn Progress,
}

/// What was done, or would be.
#[derive(Clone, Debug)]
pub struct RestoreOutcome {
    /// The changes, in order of path.
    pub plan: Vec<Action>,
    /// What came of them; `None` for a dry run.
    pub applied: Option<Applied>,
    /// The state before; `None` for a dry run, and when no safety snapshot was wanted and something had changed.
    pub before: Option<SnapshotId>,
    /// Step of the state before.
    pub before_step: Option<u64>,
    /// The state it leads to.
    pub target: SnapshotId,
    /// Its step.
    pub target_step: u64,
    /// What kind of restore it was.
    pub cause: RestoreCause,
    /// Whether it can be undone: one that had nothing to do is not noted.
    pub is_noted: bool,
}

/// What is to be restored.
struct Wish {
    target: SnapshotId,
    cause: RestoreCause,
    before: Before,
}

/// What undoing a restore leads to.
enum Before {
    /// The state right before it.
    Now,
    /// What undoing the restore that it continues would have led to.
    As(Option<SnapshotId>),
}

/// Puts the workspace back to `target`. Nothing is written when nothing differs.
pub fn restore(
    store: &Store,
    workspace: WorkspaceId,
    target: SnapshotId,
    options: &RestoreOptions<'_>,
) -> Result<RestoreOutcome> {
    let _lock = lock_workspace(store, workspace)?;
    store.refresh()?;
    let state = store.state();
    let before = unfinished::superseded(expect(&state, workspace)?, &options.paths)?;
    restore_locked(store, workspace, Wish { target, cause: RestoreCause::Restore, before }, options)
}

/// Undoes the last `count` restores of a workspace, one after another, and returns what each undoing did.
pub fn undo(
    store: &Store,
    workspace: WorkspaceId,
    count: usize,
    options: &RestoreOptions<'_>,
) -> Result<Vec<RestoreOutcome>> {
    walk_back(store, workspace, count, options, RestoreCause::Undo)
}

/// Does again the last `count` restores that were undone.
pub fn redo(
    store: &Store,
    workspace: WorkspaceId,
    count: usize,
    options: &RestoreOptions<'_>,
) -> Result<Vec<RestoreOutcome>> {
    walk_back(store, workspace, count, options, RestoreCause::Redo)
}

fn walk_back(
    store: &Store,
    workspace: WorkspaceId,
    count: usize,
    options: &RestoreOptions<'_>,
    cause: RestoreCause,
) -> Result<Vec<RestoreOutcome>> {
    let _lock = lock_workspace(store, workspace)?;
    let mut outcomes = Vec::new();
    for _ in 0..count {
        store.refresh()?;
        let state = store.state();
        let found = expect(&state, workspace)?;
        let outcome = match (cause, &found.unfinished) {
            // A restore that was cut off is the last one, and not yet among those that can be undone.
            (RestoreCause::Undo, Some(_)) => unfinished::abort_locked(store, workspace, options)?,
            _ => {
                let (past, target) = past_of(found, cause)?;
                let paths = paths_of(past);
                let before = unfinished::superseded(found, &paths)?;
                let options = RestoreOptions { paths, ..options.clone() };
                restore_locked(store, workspace, Wish { target, cause, before }, &options)?
            }
        };
        outcomes.push(outcome);
        if options.dry_run {
            break;
        }
    }
    Ok(outcomes)
}

/// The restore to be undone or redone, and the state that this leads to.
fn past_of(workspace: &Workspace, cause: RestoreCause) -> Result<(&Restore, SnapshotId)> {
    let (past, word) = match cause {
        RestoreCause::Redo => (workspace.redo.last(), "redo"),
        _ => (workspace.undo.last(), "undo"),
    };
    let nothing = || {
        Error::new(ErrorKind::NotFound, word, format!("restore in {}", workspace.id.short()), "there is none left")
            .with_hint("`retro log` lists the steps; `retro restore REV` goes to any of them")
    };
    let past = past.ok_or_else(nothing)?;
    let target = match cause {
        RestoreCause::Redo => past.target,
        _ => past.before.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "undo", "restore", "it was made without a safety snapshot")
        })?,
    };
    Ok((past, target))
}

/// The paths of a restore, as options have them.
fn paths_of(restore: &Restore) -> Vec<TreePath> {
    restore.paths.iter().filter_map(|path| TreePath::new(path).ok()).collect()
}

fn restore_locked(
    store: &Store,
    workspace: WorkspaceId,
    wish: Wish,
    options: &RestoreOptions<'_>,
) -> Result<RestoreOutcome> {
    let Wish { target, cause, before } = wish;
    let state = store.state();
    let found = expect(&state, workspace)?;
    let wanted = store.snapshot(target)?;
    let mut batch = store.batch();
    let config = options.config.without_stops();
    let capture = CaptureOptions { config: &config, home: options.home, now: options.now, progress: options.progress };
    let stores = options.safety && !options.dry_run;
    if !options.dry_run && !root_of(found).exists() {
        // The whole folder is gone: an empty one takes its place, and is what the safety snapshot records.
        materialize::open_empty(store, &root_of(found))?;
    }
    let root = open_root(store, found, options.home)?;
    let (step, decided) = look_and_plan(store, found, &root, &capture, stores.then_some(&mut batch), &wanted, options)?;
    let Plan { actions: plan, doomed } = decided;
    expect_contents(store, target, &plan)?;
    if options.safety {
        expect_kept(store, &batch, &doomed)?;
    }
    let mut outcome = RestoreOutcome {
        plan,
        applied: None,
        before: None,
        before_step: None,
        target,
        target_step: wanted.step,
        cause,
        is_noted: !options.dry_run,
    };
    if options.dry_run {
        return Ok(outcome);
    }
    let head = step.head.as_ref().map(|(id, _)| *id);
    let stays = head == Some(target) || !options.paths.is_empty();
    // Going back over a restore is noted though nothing is left to be done: else it could never be passed.
    if outcome.plan.is_empty() && stays && found.unfinished.is_none() && cause == RestoreCause::Restore {
        // The state may be the work of a process that died before it synced; from here on it is promised.
        store.settle()?;
        outcome.applied = Some(Applied::default());
        outcome.before = head;
        outcome.before_step = step.head.as_ref().map(|(_, head)| head.step);
        outcome.is_noted = false;
        return Ok(outcome);
    }
    remove_strays_of(&step.captured, &root)?;
    let as_recorded = |now: Option<SnapshotId>| match before {
        Before::Now => now,
        Before::As(earlier) => earlier,
    };
    let begun = |now| {
        Fact::RestoreBegun(Restore {
            workspace,
            before: as_recorded(now),
            target,
            paths: options.paths.iter().map(|path| path.as_bytes().to_vec()).collect(),
            cause,
            time: options.now,
        })
    };
    outcome.before = as_recorded(begin(store, batch, found, &step, &wanted, options, begun)?);
    options.progress.event(Event::Changing);
    step.captured.remember(store);
    outcome.before_step = outcome.before.map(|id| store.snapshot(id).map(|before| before.step)).transpose()?;
    let attributes = wanted::in_place(store, &wanted, step.captured.root_owner)?;
    let how = Options { attributes: Some(&attributes), progress: options.progress, ..Options::default() };
    let applied = apply(store, &root, &outcome.plan, &how).map_err(|e| e.with_hint(unfinished::WAYS_OUT))?;
    expect_in_place(&root)?;
    store.record(|_| Ok(vec![Fact::RestoreEnded { workspace, time: options.now }]))?;
    outcome.applied = Some(applied);
    Ok(outcome)
}

/// Looks at the folder, into `batch` where the state before is to be kept, and decides what there is to do.
fn look_and_plan(
    store: &Store,
    workspace: &Workspace,
    root: &Root,
    capture: &CaptureOptions<'_>,
    mut batch: Option<&mut Batch<'_>>,
    wanted: &Snapshot,
    options: &RestoreOptions<'_>,
) -> Result<(Step, Plan)> {
    // Where it is damaged, nothing is known of what the interrupted restore found.
    let interrupted = workspace.before_unfinished().and_then(|id| store.snapshot(id).ok());
    // What a restore leaves as it is, it says is as the step has it: so what a stat does not quite prove is read.
    let captured = capture_due(store, workspace.id, root, capture, batch.as_deref_mut(), Some(&options.paths))?;
    let step = compared(store, workspace, captured)?;
    let decide = |now: &Captured| plan(store, root, now, wanted, interrupted.as_deref(), options);
    let decided = decide(&step.captured)?;
    match batch {
        Some(batch) if !is_as_seen(root, &decided.doomed)? => {
            // What changed behind the stat cache's back is read before it is lost.
            let step = compared(store, workspace, capture_afresh(store, workspace.id, root, capture, batch)?)?;
            let decided = decide(&step.captured)?;
            Ok((step, decided))
        }
        _ => Ok((step, decided)),
    }
}

/// The folder that was written into must still be the one that its path leads to: somebody may have renamed it and put
/// another in its place, and then nothing of this restore is where they look for it.
fn expect_in_place(root: &Root) -> Result<()> {
    if root.is_in_place() {
        return Ok(());
    }
    let detail = "another folder took its place meanwhile: the restore went into the one that was there before";
    Err(Error::new(ErrorKind::Conflict, "restore", shown(root.path()), detail).with_hint(
        "put the right folder back, then `retro restore --continue` finishes it; `retro workspace move` tells the store \
         that a folder has moved",
    ))
}

/// Removes the temporary files that a killed restore left. The workspace's lock is held, so no other is writing.
fn remove_strays_of(now: &Captured, root: &Root) -> Result<()> {
    let is_stray = |path: &&TreePath| path.name().is_some_and(materialize::is_temporary_name);
    let folders: BTreeSet<TreePath> = now.excluded.iter().filter(is_stray).filter_map(TreePath::parent).collect();
    if !folders.is_empty() {
        materialize::remove_strays(root, &folders)?;
    }
    Ok(())
}

/// Commits the safety snapshot, if one is needed, together with the word that the restore has begun.
fn begin(
    store: &Store,
    mut batch: Batch<'_>,
    workspace: &Workspace,
    step: &Step,
    target: &Snapshot,
    options: &RestoreOptions<'_>,
    begun: impl Fn(Option<SnapshotId>) -> Fact,
) -> Result<Option<SnapshotId>> {
    let head = step.head.as_ref().map(|(id, _)| *id);
    if !step.differs() {
        store.record(|_| Ok(vec![begun(head)]))?;
        return Ok(head);
    }
    if !options.safety {
        store.record(|_| Ok(vec![begun(None)]))?;
        return Ok(None);
    }
    let message = format!("before restoring s{}", target.step);
    let run = step.head.as_ref().map_or("main", |(_, head)| &head.run);
    let about = About { cause: Cause::BeforeRestore, message: &message, run, event: None, git: None, now: options.now };
    let recorded = record(&mut batch, workspace, step, about, |_, before| vec![begun(Some(before))])?;
    Ok(Some(recorded.snapshot))
}
