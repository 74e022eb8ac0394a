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
//! - What comes in sight because a restore puts the rules back, nobody takes for an edit (see `unseen`).
//! - What the folder is when it is over is recorded: it is the target, or, where some paths were restored or something was
//!   left as it is, a snapshot of what came of it. So every state of the folder around a restore can be gone back to.
//! - A restore that was cut off is finished by the same restore, or taken back by an abort (see [`resume`] and [`abort`]); a new one
//!   takes its place if it covers the same paths. Whichever it is, undoing leads to the state before the first.
//! - A dry run makes the same plan from the same code, and stops before the first commit.

mod arrive;
mod into;
mod parents;
mod plan;
mod preflight;
mod protected;
mod refused;
mod undo;
mod unfinished;
mod unseen;
mod wanted;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::disk::LockGuard;
use crate::error::{Error, ErrorKind, Result, shown};
use crate::format::facts::{Fact, Restore, RestoreCause};
use crate::format::snapshot::{Cause, Snapshot};
use crate::id::{SnapshotId, WorkspaceId};
use crate::ops::record::capture::{CaptureOptions, Captured, capture_afresh, capture_due, lock_workspace, open_root};
use crate::ops::record::register::root_of;
use crate::ops::record::snap::{About, Step, compared, expect, record};
use crate::path::TreePath;
use crate::progress::{Event, Progress, Silent};
use crate::store::{Batch, Store, Workspace};
use crate::time::Timestamp;
use crate::workspace::beneath::Root;
use crate::workspace::config::Config;
use crate::workspace::materialize::{self, Action, Applied, Kept, Options, apply};
use crate::workspace::scan::EarlierAt;
use crate::workspace::temporary_name::is_temporary_name;
use arrive::arrive;
pub use into::restore_into;
use plan::{Plan, plan};
use preflight::{expect_contents, expect_kept, is_as_seen};
pub use undo::{redo, undo};
pub use unfinished::{abort, resume};
use unseen::Unseen;

/// How to restore.
#[derive(Clone)]
pub struct RestoreOptions<'a> {
    /// Only these paths and what is below them; everything when empty.
    pub paths: Vec<TreePath>,
    /// Takes a snapshot first. Without, the restore cannot be undone.
    pub safety: bool,
    /// Only plans.
    pub dry_run: bool,
    /// Restores a snapshot of another workspace too.
    pub foreign: bool,
    /// What `retro.toml` says.
    pub config: &'a Config,
    /// The user's home folder, see [`CaptureOptions`].
    pub home: Option<&'a Path>,
    /// Now.
    pub now: Timestamp,
    /// Who watches.
    pub progress: &'a dyn Progress,
}

impl<'a> RestoreOptions<'a> {
    /// A restore of everything, with a snapshot first, of the same workspace, watched by nobody.
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

/// What was done, or would be.
#[derive(Clone, Debug)]
pub struct RestoreOutcome {
    /// The changes, in order of path.
    pub plan: Vec<Action>,
    /// Paths of the step that cannot be made here, or must not, found before anything was changed. In order of path.
    pub refused: Vec<Kept>,
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
    /// The state the folder is in now: the target, or a snapshot of what came of it. `None` for a dry run, and where
    /// some paths were restored without a safety snapshot.
    pub state: Option<SnapshotId>,
    /// Its step.
    pub state_step: Option<u64>,
    /// What kind of restore it was.
    pub cause: RestoreCause,
    /// Whether it can be undone: one that had nothing to do is not noted.
    pub is_noted: bool,
}

impl RestoreOutcome {
    /// Paths that are not as the step has them, or would not be, in order of path.
    pub fn kept(&self) -> &[Kept] {
        self.applied.as_ref().map_or(&self.refused, |applied| &applied.kept)
    }

    /// Returns whether the folder, or the paths that were asked for, are now exactly the step, or would be.
    pub fn is_exact(&self) -> bool {
        self.kept().iter().all(|kept| !kept.reason.is_difference())
    }
}

/// What is to be restored.
#[derive(Clone)]
struct Wish {
    target: SnapshotId,
    cause: RestoreCause,
    before: Before,
    /// Only these paths; everything when empty.
    paths: Vec<TreePath>,
}

/// What undoing a restore leads to.
#[derive(Clone, Copy)]
enum Before {
    /// The state right before it.
    Now,
    /// What undoing the restore that it continues would have led to.
    As(Option<SnapshotId>),
}

/// The live folder as it was just captured, from which it may depend what is wished for.
struct Seen<'a> {
    store: &'a Store,
    workspace: &'a Workspace,
    root: &'a Root,
    step: &'a Step,
}

/// Decides what to restore.
type Choose<'a> = dyn Fn(&Seen<'_>) -> Result<Wish> + 'a;

/// Puts the workspace back to `target`. Nothing is written when nothing differs.
pub fn restore(
    store: &Store,
    workspace: WorkspaceId,
    target: SnapshotId,
    options: &RestoreOptions<'_>,
) -> Result<RestoreOutcome> {
    let _lock = lock(store, workspace, options)?;
    store.refresh()?;
    let state = store.state();
    let found = expect(&state, workspace)?;
    if !options.foreign {
        refuse_foreign(store, found, target)?;
    }
    let paths = options.paths.clone();
    let before = unfinished::superseded(found, &paths)?;
    let wish = Wish { target, cause: RestoreCause::Restore, before, paths };
    restore_locked(store, workspace, &|_| Ok(wish.clone()), options)
}

/// The workspace's lock. Who only plans waits for others where that can be, and does without it in a store that cannot be
/// written.
fn lock(store: &Store, workspace: WorkspaceId, options: &RestoreOptions<'_>) -> Result<Option<LockGuard>> {
    match lock_workspace(store, workspace) {
        Err(error) if options.dry_run && error.kind() == ErrorKind::Io => Ok(None),
        guard => guard.map(Some),
    }
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

/// The paths of a restore, as options have them.
fn paths_of(restore: &Restore) -> Vec<TreePath> {
    restore.paths.iter().filter_map(|path| TreePath::new(path).ok()).collect()
}

fn restore_locked(
    store: &Store,
    workspace: WorkspaceId,
    choose: &Choose<'_>,
    options: &RestoreOptions<'_>,
) -> Result<RestoreOutcome> {
    let state = store.state();
    let found = expect(&state, workspace)?;
    let mut batch = store.batch();
    let stores = options.safety && !options.dry_run;
    if !options.dry_run && !root_of(found).exists() {
        // The whole folder is gone: an empty one takes its place, and is what the safety snapshot records.
        materialize::open_empty(store, &root_of(found))?;
    }
    let root = open_root(store, found, options.home)?;
    let Decided { step, wish, wanted, mut plan, was_unseen } =
        look_and_plan(store, found, &root, stores.then_some(&mut batch), choose, options)?;
    let refused = refused::refuse(store, &root, &wanted, &mut plan, options.dry_run)?;
    expect_contents(store, wish.target, &plan.actions)?;
    if options.safety {
        expect_kept(store, &batch, &plan.doomed)?;
    }
    let mut outcome = RestoreOutcome {
        plan: plan.actions,
        refused,
        applied: None,
        before: None,
        before_step: None,
        target: wish.target,
        target_step: wanted.step,
        state: None,
        state_step: None,
        cause: wish.cause,
        is_noted: !options.dry_run,
    };
    if options.dry_run {
        return Ok(outcome);
    }
    let head = step.head.as_ref().map(|(id, _)| *id);
    let stays = head == Some(wish.target) || !wish.paths.is_empty();
    // Going back is noted though nothing is left to be done: else that change could never be passed.
    if outcome.plan.is_empty() && stays && found.unfinished.is_none() && wish.cause == RestoreCause::Restore {
        // The state may be the work of a process that died before it synced; from here on it is promised.
        store.settle()?;
        outcome.applied = Some(Applied { kept: outcome.refused.clone(), ..Applied::default() });
        (outcome.before, outcome.state) = (head, head);
        outcome.before_step = step.head.as_ref().map(|(_, head)| head.step);
        outcome.state_step = outcome.before_step;
        outcome.is_noted = false;
        return Ok(outcome);
    }
    remove_strays_of(&step.captured, &root)?;
    outcome.before = begin(store, batch, found, &step, &wish, &wanted, options)?;
    options.progress.event(Event::Changing);
    step.captured.remember(store);
    outcome.before_step = outcome.before.map(|id| store.snapshot(id).map(|before| before.step)).transpose()?;
    let attributes = wanted::in_place(store, &wanted, step.captured.root_owner)?;
    let (durable, progress) = (is_durable(store)?, options.progress);
    let how = Options { durable, attributes: Some(&attributes), progress };
    let applied = apply(store, &root, &outcome.plan, &how).map_err(|e| e.with_hint(unfinished::WAYS_OUT))?;
    let applied = applied.with_refused(&outcome.refused);
    expect_in_place(&root)?;
    let is_whole = wish.paths.is_empty() && !plan.protects && !was_unseen && applied.kept.is_empty();
    outcome.state = arrive(store, workspace, (&wish, &wanted), is_whole, &root, options)?;
    outcome.state_step = outcome.state.map(|id| store.snapshot(id).map(|state| state.step)).transpose()?;
    outcome.applied = Some(applied);
    Ok(outcome)
}

/// A folder, and what there is to do in it.
struct Decided {
    step: Step,
    wish: Wish,
    wanted: Arc<Snapshot>,
    plan: Plan,
    /// Something of what it writes over was left out by the rules.
    was_unseen: bool,
}

/// Looks at the folder, into `batch` where the state before is to be kept, and decides what there is to do.
fn look_and_plan(
    store: &Store,
    workspace: &Workspace,
    root: &Root,
    mut batch: Option<&mut Batch<'_>>,
    choose: &Choose<'_>,
    options: &RestoreOptions<'_>,
) -> Result<Decided> {
    // Where it is damaged, nothing is known of what the interrupted restore found.
    let interrupted = workspace.before_unfinished().and_then(|id| store.snapshot(id).ok());
    let config = options.config.without_stops();
    let unseen = Unseen::of(store, workspace, root);
    let unseen = unseen.as_ref().map(|unseen| |path: &[u8], is_folder: bool| unseen.at(path, is_folder));
    let mut capture = options.capture(&config);
    capture.earlier = unseen.as_ref().map(|unseen| unseen as &EarlierAt<'_>);
    // What the head has is captured though the rules leave it out since: else it would look deleted.
    capture.wanted[0] = workspace.head.and_then(|head| store.snapshot(head).ok()).map(|head| head.root);
    // What a restore leaves as it is, it says is as the step has it: so what a stat does not quite prove is read.
    let captured = capture_due(store, workspace.id, root, &capture, batch.as_deref_mut(), Some(&options.paths))?;
    let step = compared(store, workspace, root, captured)?;
    let decide_on = |step: Step, wish: Wish| -> Result<Decided> {
        let wanted = store.snapshot(wish.target)?;
        let plan = plan(store, root, &step.captured, &wanted, interrupted.as_deref(), &wish.paths)?;
        Ok(Decided { step, wish, wanted, plan, was_unseen: false })
    };
    let decide = |step: Step| {
        let wish = choose(&Seen { store, workspace, root, step: &step })?;
        decide_on(step, wish)
    };
    let mut decided = decide(step)?;
    if writes_unseen(&decided) {
        // The rules of today leave out what the target has: it is captured before it is written over.
        capture.replaced_by = Some(decided.wanted.root);
        let captured = capture_due(store, workspace.id, root, &capture, batch.as_deref_mut(), Some(&options.paths))?;
        decided = decide_on(compared(store, workspace, root, captured)?, decided.wish)?;
        decided.was_unseen = true;
    }
    match batch {
        // What changed behind the stat cache's back is read before it is lost.
        Some(batch) if !is_as_seen(root, &decided.plan.doomed)? => {
            let afresh = compared(store, workspace, root, capture_afresh(store, workspace.id, root, &capture, batch)?)?;
            match decided.was_unseen {
                true => Ok(Decided { was_unseen: true, ..decide_on(afresh, decided.wish)? }),
                false => decide(afresh),
            }
        }
        _ => Ok(decided),
    }
}

/// Returns whether something is written at a path that the capture left out, so that nobody knows what is there.
fn writes_unseen(decided: &Decided) -> bool {
    let captured = &decided.step.captured;
    decided.plan.actions.iter().any(|action| match action {
        Action::Remove { .. } => false,
        Action::CreateFolder { path, .. } => captured.leaves_out(path, true) || captured.leaves_out(path, false),
        action => captured.leaves_out(action.path(), false),
    })
}

/// Returns whether what a restore writes must be on disk before it is noted as ended: power loss cannot part it from
/// what a store in memory says.
fn is_durable(store: &Store) -> Result<bool> {
    Ok(!store.disk().places()?.is_empty())
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
    let is_stray = |path: &&TreePath| path.name().is_some_and(is_temporary_name);
    let folders: BTreeSet<TreePath> =
        now.excluded.iter().map(|one| &one.path).filter(is_stray).filter_map(TreePath::parent).collect();
    if !folders.is_empty() {
        materialize::remove_strays(root, &folders)?;
    }
    Ok(())
}

/// Commits the safety snapshot, if one is needed, together with the word that the restore has begun. Returns the state
/// that undoing it leads to.
fn begin(
    store: &Store,
    mut batch: Batch<'_>,
    workspace: &Workspace,
    step: &Step,
    wish: &Wish,
    wanted: &Snapshot,
    options: &RestoreOptions<'_>,
) -> Result<Option<SnapshotId>> {
    let as_recorded = |now: Option<SnapshotId>| match wish.before {
        Before::Now => now,
        Before::As(earlier) => earlier,
    };
    let begun = |now| {
        Fact::RestoreBegun(Restore {
            workspace: workspace.id,
            before: as_recorded(now),
            target: wish.target,
            paths: wish.paths.iter().map(|path| path.as_bytes().to_vec()).collect(),
            cause: wish.cause,
            time: options.now,
        })
    };
    if !step.differs() {
        let head = step.head.as_ref().map(|(id, _)| *id);
        store.record(|_| Ok(vec![begun(head)]))?;
        return Ok(as_recorded(head));
    }
    if !options.safety {
        store.record(|_| Ok(vec![begun(None)]))?;
        return Ok(as_recorded(None));
    }
    let message = format!("before restoring s{}", wanted.step);
    let about = About::of_restore(Cause::BeforeRestore, &message, options.now);
    let recorded = record(&mut batch, workspace, step, about, |_, before| vec![begun(Some(before))])?;
    Ok(as_recorded(Some(recorded.snapshot)))
}

impl<'a> RestoreOptions<'a> {
    /// How to look at the live folder, with these settings.
    fn capture<'c>(&self, config: &'c Config) -> CaptureOptions<'c>
    where
        'a: 'c,
    {
        CaptureOptions::new(config, self.home, self.now, self.progress)
    }
}
