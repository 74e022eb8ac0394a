//! Snapshots without a name: they were taken, and neither a step nor a tag leads to them any more.
//!
//! A writer never leaves one. There are some if the transaction that took them is damaged, or if their workspace is not
//! known any more. There are others if a pack is lost, recording goes on, and the pack is found again: of two
//! transactions with the same number the first counts, and of two snapshots with the same step the later one.

use std::collections::{BTreeMap, BTreeSet};

use super::{Inspection, Problem, ProblemKind};
use crate::format::facts::Fact;
use crate::id::{SnapshotId, WorkspaceId};
use crate::store::State;
use crate::store::file::StoreFile;
use crate::store::state::fold;

/// The beginning of the tags that a repair gives.
pub const RECOVERED: &str = "recovered-";

/// The step that a fact adds, and its snapshot.
pub fn taken(fact: &Fact) -> Option<(WorkspaceId, u64, SnapshotId)> {
    match fact {
        Fact::SnapshotTaken { workspace, step, snapshot, .. } => Some((*workspace, *step, *snapshot)),
        _ => None,
    }
}

impl Inspection {
    /// The state of the store with more transactions.
    pub fn state_with(&self, more: &BTreeMap<u64, Vec<Fact>>) -> State {
        let mut all = self.facts.clone();
        all.extend(more.clone());
        fold(&all)
    }

    /// The state at the last transaction whose number another one has too; none where there is none.
    pub fn state_at_conflict(&self) -> Option<State> {
        let last = self.last_conflict?;
        Some(fold(self.facts.range(..=last)))
    }

    /// Snapshots that need no name, by the first half of their ids: steps and tags of `state`, and those that were
    /// forgotten, lost, or named by an earlier repair even if the tag is gone.
    pub fn named(&self, state: &State) -> BTreeSet<[u8; 16]> {
        let in_state =
            state.all_workspaces().flat_map(|found| found.steps.values().chain(found.tags.values()).copied());
        let in_facts = self.facts.values().flatten().filter_map(|fact| match fact {
            Fact::SnapshotForgotten { snapshot, .. } => Some(*snapshot),
            Fact::Tagged { name, snapshot, .. } if name.starts_with(RECOVERED) => *snapshot,
            _ => None,
        });
        in_state.chain(in_facts).map(|id| id.0.prefix()).chain(state.lost.iter().copied()).collect()
    }

    /// Every step that was ever recorded, also in transactions that do not count.
    pub fn taken(&self) -> impl Iterator<Item = (WorkspaceId, u64, SnapshotId)> {
        self.facts.values().flatten().chain(&self.conflicting).filter_map(taken)
    }

    pub(super) fn add_problems_of_history(&mut self) {
        for transaction in &self.only_in_journal {
            let taken = self.facts[transaction].iter().filter_map(taken);
            let steps = taken.map(|(workspace, step, _)| (workspace, step)).collect();
            self.problems.push(Problem::of(StoreFile::Journal, ProblemKind::OnlyInJournal(*transaction, steps)));
        }
        let mut named = self.named(&self.reader.state());
        let unnamed: Vec<Problem> = self
            .taken()
            .filter(|(_, _, snapshot)| named.insert(snapshot.0.prefix()))
            .map(|(workspace, step, snapshot)| ProblemKind::Unnamed(workspace, step, snapshot))
            .map(Problem::of_history)
            .collect();
        self.problems.extend(unnamed);
    }
}
