//! The states that a folder went through, for undo and redo.
//!
//! ```text
//! states   s1   s2   s3   s4        the states of the folder, one after another
//!                    ^ at           its present state, as far as it is recorded
//!          undo <----    ----> redo
//! ```
//!
//! A step or a restore puts its state after the current one, and drops the later states that an undo had left. An undo
//! moves to an earlier state and keeps the one it left, so that redo leads exactly there. Nothing here deletes a
//! snapshot: dropped states are still in the log.
//!
//! - Unrecorded edits that an undo or a redo finds become a state too, and keep the redos: redo still leads to the
//!   state that the undo left, which then comes after these edits.
//! - A state that was not recorded (`--no-safety-snapshot`) has its place, so that no undo passes it unnoticed.
//!
//! Every change takes constant time, also where a hostile store goes a million states back and forth a million times.

use crate::id::SnapshotId;

/// The states of one folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// Oldest first; `None` where a state was not recorded.
    states: Vec<Option<SnapshotId>>,
    /// Index of the current state; of no meaning while there is none.
    at: usize,
    /// Undos that can be redone, oldest first.
    undone: Vec<Undone>,
    /// The number of states put at the end. The state that an undo left keeps its index until another is put there.
    epoch: u64,
}

/// An undo that can be redone.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Undone {
    /// The state that it left.
    left: SnapshotId,
    /// Its index.
    at: usize,
    /// The epoch in which this index is valid.
    epoch: u64,
}

impl Timeline {
    /// The states up to the current one, newest first; the first is the current one.
    pub fn backwards(&self) -> impl Iterator<Item = Option<SnapshotId>> + '_ {
        self.states.iter().take(self.at + 1).rev().copied()
    }

    /// The states that undos left, the next one for redo first.
    pub fn undone(&self) -> impl ExactSizeIterator<Item = SnapshotId> + '_ {
        self.undone.iter().rev().map(|undone| undone.left)
    }

    /// Every recorded state, with those that only redo leads to.
    pub fn recorded(&self) -> impl Iterator<Item = SnapshotId> + '_ {
        self.states.iter().flatten().copied().chain(self.undone())
    }

    /// The same, to be renamed: for tests that compare stores in which equal snapshots have other ids.
    pub fn recorded_mut(&mut self) -> impl Iterator<Item = &mut SnapshotId> + '_ {
        self.states.iter_mut().flatten().chain(self.undone.iter_mut().map(|undone| &mut undone.left))
    }

    /// The current state, if it is recorded.
    pub fn current(&self) -> Option<SnapshotId> {
        self.states.get(self.at).copied().flatten()
    }

    /// Puts a state after the current one, if it is another one.
    pub(super) fn push(&mut self, state: Option<SnapshotId>) {
        if self.states.get(self.at).is_some_and(|current| *current == state) {
            return;
        }
        self.states.truncate(self.at + 1);
        self.states.push(state);
        self.at = self.states.len() - 1;
        self.epoch += 1;
    }

    /// Replaces the current state.
    pub(super) fn correct(&mut self, state: SnapshotId) {
        match self.states.get_mut(self.at) {
            Some(current) => *current = Some(state),
            None => self.push(Some(state)),
        }
    }

    /// Drops all undos that can be redone.
    pub(super) fn forget_undone(&mut self) {
        self.undone.clear();
    }

    /// Goes `count` states back, to `state`. Redo leads to the state that is left, if it is recorded.
    pub(super) fn go_back(&mut self, count: u64, left: Option<SnapshotId>, state: Option<SnapshotId>) {
        if let Some(left) = left {
            self.undone.push(Undone { left, at: self.at, epoch: self.epoch });
        }
        self.at = self.at.saturating_sub(usize::try_from(count).unwrap_or(usize::MAX));
        state.into_iter().for_each(|state| self.correct(state));
    }

    /// Redoes the last `count` undos, from the state `before` to `state`.
    pub(super) fn go_again(&mut self, count: u64, before: Option<SnapshotId>, state: Option<SnapshotId>) {
        let keep = self.undone.len().saturating_sub(usize::try_from(count).unwrap_or(usize::MAX));
        let Some(undone) = self.undone.get(keep).cloned() else { return };
        self.undone.truncate(keep);
        if undone.epoch == self.epoch && undone.at < self.states.len() {
            self.at = undone.at;
            state.into_iter().for_each(|state| self.correct(state));
        } else if state.is_some() {
            self.push(before);
            self.push(state);
        }
    }
}
