//! The expected state: a plain model without objects, deltas, caches or packs.

use std::collections::{BTreeMap, BTreeSet};

use retrograde::format::facts::RestoreCause;
use retrograde::id::{SnapshotId, WorkspaceId};

use super::folder::{Tree, is_within};

/// The expected state.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    /// The live folder.
    pub(super) now: Tree,
    /// `None` between forgetting the folder and recording it again.
    pub(super) workspace: Option<WorkspaceId>,
    /// Snapshots in order, with their contents and the index of the one before.
    pub(super) steps: Vec<Step>,
    pub(super) head: Option<usize>,
    /// The step whose state the folder has, as far as it is recorded.
    pub(super) stands: Option<usize>,
    /// The steps whose states it had before, oldest first.
    pub(super) past: Vec<usize>,
    /// Undos that redo can reverse, oldest first.
    pub(super) undone: Vec<Undone>,
    /// An interrupted restore.
    pub(super) unfinished: Option<Begun>,
    pub(super) tags: BTreeMap<String, SnapshotId>,
    pub(super) pins: BTreeSet<SnapshotId>,
    /// Contents of pinned snapshots of forgotten workspaces.
    pub(super) kept: BTreeMap<SnapshotId, Tree>,
}

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) id: SnapshotId,
    pub(super) tree: Tree,
    pub(super) parent: Option<usize>,
}

/// An undo that redo can reverse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Undone {
    pub(super) left: usize,
    /// The past of the folder before the undo; `None` once something new was recorded after it.
    pub(super) past: Option<Vec<usize>>,
}

/// A restore: the indexes of the steps before and after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Past {
    pub(super) before: usize,
    pub(super) target: usize,
    pub(super) path: Option<String>,
}

/// A restore that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Begun {
    pub(super) past: Past,
    pub(super) cause: RestoreCause,
}

impl Model {
    pub(super) fn differs(&self) -> bool {
        self.head.is_none_or(|head| self.steps[head].tree != self.now)
    }

    /// Records the current folder as a step of a person or agent.
    pub(super) fn record(&mut self, id: SnapshotId) {
        self.record_around(id);
        if self.unfinished.is_none() {
            self.undone.clear();
        }
    }

    /// Records the current folder as a step around a restore.
    pub(super) fn record_around(&mut self, id: SnapshotId) {
        self.steps.push(Step { id, tree: self.now.clone(), parent: self.head });
        let step = self.steps.len() - 1;
        self.head = Some(step);
        if self.unfinished.is_none() {
            self.come_to(step);
        }
    }

    /// Moves the folder to a new state.
    fn come_to(&mut self, step: usize) {
        if self.stands != Some(step) {
            self.past.extend(self.stands.replace(step));
            self.undone.iter_mut().for_each(|undone| undone.past = None);
        }
    }

    /// Returns true if the folder has edits that are in no step.
    pub(super) fn edits(&self) -> bool {
        self.unfinished.is_none() && self.differs()
    }

    /// The state before the last `count` changes, with its distance in states; `None` if there are fewer.
    pub(super) fn earlier(&self, count: u64) -> Option<(u64, usize)> {
        let mut newer = self.stands?;
        if count == 0 {
            return Some((0, newer));
        }
        let mut changes = 0;
        for (states, step) in (1..).zip(self.past.iter().rev().copied()) {
            changes += u64::from(self.steps[step].tree != self.steps[newer].tree);
            newer = step;
            if changes == count {
                return Some((states, step));
            }
        }
        None
    }

    /// The folder after a restore of everything, or of one path.
    pub(super) fn after(&self, target: usize, path: Option<&str>) -> Tree {
        let target = &self.steps[target].tree;
        let Some(path) = path else { return target.clone() };
        let others = self.now.iter().filter(|(other, _)| !is_within(other, path));
        others
            .chain(target.iter().filter(|(other, _)| is_within(other, path)))
            .map(|(p, n)| (p.clone(), n.clone()))
            .collect()
    }

    /// True if a path is neither in the target nor in the folder.
    pub(super) fn is_nowhere(&self, target: usize, path: Option<&str>) -> bool {
        let mut known = self.now.keys().chain(self.steps[target].tree.keys());
        path.is_some_and(|path| !known.any(|other| is_within(other, path)))
    }

    /// The step that undoing a new restore of `path` leads to, if that is not the state right before it. `Err` if an
    /// interrupted restore would not be covered by this one.
    pub(super) fn superseded(&self, path: Option<&str>) -> Result<Option<usize>, ()> {
        match &self.unfinished {
            Some(begun) if path.is_some() && begun.past.path.as_deref() != path => Err(()),
            begun => Ok(begun.as_ref().map(Begun::before)),
        }
    }

    /// Ends a restore after which the folder is this step.
    pub(super) fn finish(&mut self, begun: Begun, state: usize) {
        let Begun { past: Past { before, path, .. }, cause } = begun;
        self.now = self.steps[state].tree.clone();
        self.unfinished = None;
        self.head = Some(state);
        match cause {
            RestoreCause::Restore => {
                self.undone.clear();
                self.come_to(before);
                self.come_to(state);
            }
            RestoreCause::Undo { count } => {
                self.undone.push(Undone { left: before, past: Some(self.past.clone()) });
                let kept = self.past.len() + 1 - usize::try_from(count).expect("few were asked for");
                self.past.truncate(kept - 1);
                self.stands = Some(state);
            }
            RestoreCause::Redo { count } => {
                let kept = self.undone.len() - usize::try_from(count).expect("few were asked for");
                match self.undone[kept].past.take() {
                    Some(past) => (self.past, self.stands) = (past, Some(state)),
                    None => {
                        self.come_to(before);
                        self.come_to(state);
                    }
                }
                self.undone.truncate(kept);
            }
            RestoreCause::Abort if path.is_none() => self.stands = Some(state),
            RestoreCause::Abort => self.come_to(state),
        }
    }

    /// Forgets the workspace: only pinned snapshots are kept.
    pub(super) fn forget(&mut self) {
        let Self { now, steps, pins, mut kept, .. } = std::mem::take(self);
        kept.extend(steps.into_iter().map(|step| (step.id, step.tree)));
        kept.retain(|id, _| pins.contains(id));
        *self = Self { now, pins, kept, ..Self::default() };
    }
}

impl Begun {
    /// The state before the first of the restores that this one continues.
    pub(super) fn before(&self) -> usize {
        if self.cause == RestoreCause::Abort { self.past.target } else { self.past.before }
    }
}
