//! Operations on the store, each with its expected effect on the model.

use std::collections::BTreeSet;
use std::num::NonZeroU64;

use retrograde::error::Result;
use retrograde::format::facts::RestoreCause;
use retrograde::id::{SnapshotId, WorkspaceId};
use retrograde::ops::back::{RestoreOptions, abort, redo, restore, resume, undo};
use retrograde::ops::keep::tag::{delete_tag, pin, tag};
use retrograde::ops::record::register::{Guard, forget_workspace, recall_workspace, register};
use retrograde::ops::record::snap::{SnapOptions, snap};
use retrograde::path::TreePath;

use super::expected::{Begun, Past};
use super::folder::TOP;
use super::{Choices, World};

impl World {
    pub(super) fn workspace(&self) -> WorkspaceId {
        self.model.workspace.expect("the folder is recorded anew right after it was forgotten")
    }

    /// Everything found is acknowledged once an operation succeeds.
    fn promise(&mut self) {
        self.doubt = None;
    }

    pub(super) fn register(&mut self) {
        let now = self.tick();
        let (workspace, is_new) = register(&self.store, &self.folder, &Guard::default(), now).expect("it is a folder");
        assert!(is_new);
        self.promise();
        self.model.workspace = Some(workspace);
    }

    pub(super) fn forget(&mut self) {
        let now = self.tick();
        forget_workspace(&self.store, self.workspace(), now).expect("it is recorded");
        self.promise();
        self.model.forget();
    }

    /// Forgets the folder and recalls it, which restores everything.
    pub(super) fn forget_and_recall(&mut self) {
        let (now, workspace) = (self.tick(), self.workspace());
        forget_workspace(&self.store, workspace, now).expect("it is recorded");
        recall_workspace(&self.store, workspace, now).expect("it was forgotten");
        self.promise();
    }

    pub(super) fn snap(&mut self) {
        let now = self.tick();
        let options = SnapOptions::new(&self.config, now);
        let outcome = snap(&self.store, self.workspace(), &options).expect("nothing is in the way");
        self.promise();
        assert_eq!(outcome.recorded, self.model.differs());
        if outcome.recorded {
            self.model.record(outcome.snapshot);
        } else {
            assert_eq!(Some(outcome.snapshot), self.model.head.map(|head| self.model.steps[head].id));
        }
    }

    fn some_step(&self, choices: &mut Choices<'_>) -> Option<usize> {
        let count = self.model.steps.len();
        (count > 0).then(|| choices.below(count))
    }

    pub(super) fn tag(&mut self, choices: &mut Choices<'_>) {
        let Some(step) = self.some_step(choices) else { return };
        let id = self.model.steps[step].id;
        let name = format!("tag{}", choices.below(3));
        let now = self.tick();
        let given = tag(&self.store, self.workspace(), &name, id, false, now);
        let is_same = self.model.tags.get(&name).is_none_or(|tagged| *tagged == id);
        assert_eq!(given.is_ok(), is_same, "a tag is not moved without a request");
        if given.is_ok() {
            self.promise();
        }
        self.model.tags.entry(name).or_insert(id);
    }

    pub(super) fn delete_tag(&mut self, choices: &mut Choices<'_>) {
        let name = format!("tag{}", choices.below(3));
        let now = self.tick();
        let taken = delete_tag(&self.store, self.workspace(), &name, now);
        assert_eq!(taken.is_ok(), self.model.tags.remove(&name).is_some(), "only an existing tag can be deleted");
        if taken.is_ok() {
            self.promise();
        }
    }

    /// Pins a step or a pinned snapshot, or removes the pin.
    pub(super) fn pin(&mut self, choices: &mut Choices<'_>) {
        let steps: Vec<SnapshotId> = self.model.steps.iter().map(|step| step.id).collect();
        let ids: BTreeSet<SnapshotId> = self.model.pins.iter().copied().chain(steps).collect();
        let Some(id) = ids.iter().nth(choices.below(ids.len().max(1))).copied() else { return };
        let pinned = choices.below(3) > 0;
        let now = self.tick();
        let changed = pin(&self.store, id, pinned, now).expect("it is there");
        self.promise();
        let has_changed = if pinned { self.model.pins.insert(id) } else { self.model.pins.remove(&id) };
        assert_eq!(changed, has_changed);
    }

    pub(super) fn restore(&mut self, choices: &mut Choices<'_>) {
        let Some(target) = self.some_step(choices) else { return };
        let path = (choices.below(3) == 0).then(|| TOP[choices.below(TOP.len())].to_owned());
        let id = self.model.steps[target].id;
        let paths = path.iter().map(|path| TreePath::new(path.as_bytes()).expect("a name")).collect();
        let outcome = self.with_options(paths, |world, options| restore(&world.store, world.workspace(), id, options));
        if self.model.is_nowhere(target, path.as_deref()) {
            assert!(outcome.is_err(), "nobody means a path that is neither in the step nor in the folder");
            return;
        }
        let Ok(earlier) = self.model.superseded(path.as_deref()) else {
            assert!(outcome.is_err(), "an interrupted restore is not dropped in part");
            return;
        };
        drop(outcome.expect("nothing is in the way"));
        self.promise();
        let is_there = self.model.after(target, path.as_deref()) == self.model.now;
        if is_there && (path.is_some() || self.model.head == Some(target)) && self.model.unfinished.is_none() {
            return;
        }
        self.arrive(target, path, RestoreCause::Restore, earlier);
    }

    /// Undoes or redoes several changes at once.
    pub(super) fn go_far(&mut self, choices: &mut Choices<'_>) {
        let count = 1 + choices.below(4) as u64;
        if choices.below(3) == 0 { self.redo(count) } else { self.undo(count) }
    }

    /// Undoes the last changes, the first of which may be an interrupted restore.
    pub(super) fn undo(&mut self, count: u64) {
        let number = NonZeroU64::new(count).expect("it is not 0");
        let walk = |world: &Self, options: &RestoreOptions<'_>| {
            undo(&world.store, world.workspace(), number, options).map(drop)
        };
        let is_cut_off = self.model.unfinished.is_some();
        if is_cut_off && count == 1 {
            return self.take_back(walk);
        }
        let outcome = self.with_options(Vec::new(), walk);
        let edits = self.model.edits();
        let Some((states, target)) = self.model.earlier(count - u64::from(edits || is_cut_off)) else {
            assert!(outcome.is_err(), "there is less to undo");
            return;
        };
        outcome.expect("nothing is in the way");
        self.promise();
        let earlier = self.model.superseded(None).expect("all is covered");
        let cause = RestoreCause::Undo { count: states + u64::from(edits) };
        self.arrive(target, None, cause, earlier);
    }

    pub(super) fn redo(&mut self, count: u64) {
        let number = NonZeroU64::new(count).expect("it is not 0");
        let outcome =
            self.with_options(Vec::new(), |world, options| redo(&world.store, world.workspace(), number, options));
        let last = self.model.undone.iter().rev().nth(usize::try_from(count).expect("it is small") - 1);
        let Some(target) = last.map(|undone| undone.left) else {
            assert!(outcome.is_err(), "there is less to redo");
            return;
        };
        drop(outcome.expect("nothing is in the way"));
        self.promise();
        let earlier = self.model.superseded(None).expect("all is covered");
        self.arrive(target, None, RestoreCause::Redo { count }, earlier);
    }

    /// Finishes the interrupted restore.
    pub(super) fn resume(&mut self) {
        let outcome = self.with_options(Vec::new(), |world, options| resume(&world.store, world.workspace(), options));
        let Some(Begun { past, cause }) = self.model.unfinished.clone() else {
            assert!(outcome.is_err(), "nothing was cut off");
            return;
        };
        drop(outcome.expect("nothing is in the way"));
        self.promise();
        self.arrive(past.target, past.path, cause, Some(past.before));
    }

    pub(super) fn abort(&mut self) {
        self.take_back(|world, options| abort(&world.store, world.workspace(), options).map(drop));
    }

    /// Returns to the state before the interrupted restore.
    fn take_back(&mut self, walk: impl FnOnce(&Self, &RestoreOptions<'_>) -> Result<()>) {
        let outcome = self.with_options(Vec::new(), walk);
        let Some(begun) = self.model.unfinished.clone() else {
            assert!(outcome.is_err(), "nothing was cut off");
            return;
        };
        outcome.expect("nothing is in the way");
        self.promise();
        self.arrive(begun.before(), begun.past.path, RestoreCause::Abort, None);
    }

    fn with_options<T>(&mut self, paths: Vec<TreePath>, walk: impl FnOnce(&Self, &RestoreOptions<'_>) -> T) -> T {
        let now = self.tick();
        let config = self.config.clone();
        let mut options = RestoreOptions::new(&config, now);
        options.paths = paths;
        walk(self, &options)
    }

    /// Applies a finished restore to the model. `earlier` is the step that undoing it leads to, if that is not the
    /// state right before it.
    fn arrive(&mut self, target: usize, path: Option<String>, cause: RestoreCause, earlier: Option<usize>) {
        let wanted = self.model.after(target, path.as_deref());
        let here = self.here();
        let begun = Begun { past: Past { before: earlier.unwrap_or(here), target, path }, cause };
        self.model.unfinished = Some(begun.clone());
        self.begun = Some(self.model.clone());
        self.model.now = wanted;
        let state = if self.model.steps[target].tree == self.model.now { target } else { self.here() };
        self.model.finish(begun, state);
        for stray in self.strays.drain(..) {
            assert!(stray.symlink_metadata().is_err(), "a restore removes what a killed one left");
        }
    }

    /// The index of the folder's state as a step, which a restore records if it is new.
    fn here(&mut self) -> usize {
        if self.model.differs() {
            let state = self.store.state();
            let found = &state.workspaces[&self.workspace()];
            let step = self.model.steps.len() as u64 + 1;
            self.model.record_around(found.steps[&step]);
        }
        self.model.head.expect("it was recorded")
    }
}
