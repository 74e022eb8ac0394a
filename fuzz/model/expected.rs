//! What must be true: a plain model that knows nothing of objects, deltas, caches or packs.

use std::collections::{BTreeMap, BTreeSet};

use retrograde::format::facts::RestoreCause;
use retrograde::id::{SnapshotId, WorkspaceId};

use super::folder::{Tree, is_within};

/// What must be true.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    /// The live folder.
    pub(super) now: Tree,
    /// None between forgetting the folder and recording it anew.
    pub(super) workspace: Option<WorkspaceId>,
    /// Snapshots in order, with what each holds and the number of the one before it.
    pub(super) steps: Vec<Step>,
    pub(super) head: Option<usize>,
    pub(super) undo: Vec<Past>,
    pub(super) redo: Vec<Past>,
    /// A restore that was cut off.
    pub(super) unfinished: Option<Begun>,
    pub(super) tags: BTreeMap<String, SnapshotId>,
    pub(super) pins: BTreeSet<SnapshotId>,
    /// What snapshots of forgotten workspaces hold that a tag or a pin keeps.
    pub(super) kept: BTreeMap<SnapshotId, Tree>,
}

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) id: SnapshotId,
    pub(super) tree: Tree,
    pub(super) parent: Option<usize>,
}

/// A restore: the numbers of the steps before and after it.
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

    /// The folder as it is has become a step.
    pub(super) fn record(&mut self, id: SnapshotId) {
        self.steps.push(Step { id, tree: self.now.clone(), parent: self.head });
        self.head = Some(self.steps.len() - 1);
    }

    /// The folder after a restore of all, or of one path.
    pub(super) fn after(&self, target: usize, path: Option<&str>) -> Tree {
        let target = &self.steps[target].tree;
        let Some(path) = path else { return target.clone() };
        let others = self.now.iter().filter(|(other, _)| !is_within(other, path));
        others
            .chain(target.iter().filter(|(other, _)| is_within(other, path)))
            .map(|(p, n)| (p.clone(), n.clone()))
            .collect()
    }

    /// The step that undoing a new restore of `path` leads to, where that is not the state right before it. `Err` where a
    /// restore was cut off that this one would not cover.
    pub(super) fn superseded(&self, path: Option<&str>) -> Result<Option<usize>, ()> {
        match &self.unfinished {
            Some(begun) if path.is_some() && begun.past.path.as_deref() != path => Err(()),
            begun => Ok(begun.as_ref().map(Begun::before)),
        }
    }

    /// A restore has ended, and the folder is as it wanted.
    pub(super) fn finish(&mut self, begun: Begun, wanted: Tree) {
        let Begun { past, cause } = begun;
        self.now = wanted;
        self.unfinished = None;
        if past.path.is_none() {
            self.head = Some(past.target);
        }
        match cause {
            RestoreCause::Restore => {
                self.redo.clear();
                self.undo.push(past);
            }
            RestoreCause::Undo => self.redo.extend(self.undo.pop()),
            RestoreCause::Redo => {
                self.redo.pop();
                self.undo.push(past);
            }
            RestoreCause::Abort => {}
        }
    }

    /// The workspace is forgotten: what has no name any more is owed to nobody.
    pub(super) fn forget(&mut self) {
        let Self { now, steps, tags, pins, mut kept, .. } = std::mem::take(self);
        kept.extend(steps.into_iter().map(|step| (step.id, step.tree)));
        let named: BTreeSet<SnapshotId> = tags.values().chain(&pins).copied().collect();
        kept.retain(|id, _| named.contains(id));
        *self = Self { now, tags, pins, kept, ..Self::default() };
    }
}

impl Begun {
    /// The state before the first of the restores that this one continues.
    pub(super) fn before(&self) -> usize {
        if self.cause == RestoreCause::Abort { self.past.target } else { self.past.before }
    }
}
