//! What facts say that does not fit together: steps taken twice, workspaces that nobody has added, two at one path.
//!
//! No writer makes such histories. They come about when a pack is lost, recording goes on, and the pack is found again.

use std::collections::{BTreeMap, BTreeSet};

use super::{InspectedPack, Inspection};
use crate::format::facts::Fact;
use crate::format::snapshot::Cause;
use crate::id::{SnapshotId, WorkspaceId};
use crate::store::{State, Workspace};

/// How the tags begin that a repair gives.
pub const RECOVERED: &str = "recovered-";

/// What was taken as a step.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Its run.
    pub run: Option<String>,
    /// The reason why it was taken.
    pub cause: Cause,
}

impl Inspection {
    /// Snapshots that have no name any more because another one was taken as the same step of the workspace. Some of
    /// them may be lost.
    pub fn shadowed(&self) -> Vec<(WorkspaceId, u64, Taken)> {
        let facts = self.facts();
        let mut last: BTreeMap<(WorkspaceId, u64), Taken> = BTreeMap::new();
        let mut shadowed = Vec::new();
        let mut named = BTreeSet::new();
        for fact in facts.values().flatten() {
            match fact {
                Fact::SnapshotTaken { workspace, step, snapshot, run, cause } => {
                    let taken = Taken { snapshot: *snapshot, run: run.clone(), cause: *cause };
                    if let Some(before) = last.insert((*workspace, *step), taken) {
                        shadowed.push((*workspace, *step, before));
                    }
                }
                Fact::SnapshotForgotten { snapshot, .. } => drop(named.insert(*snapshot)),
                _ => {}
            }
        }
        named.extend(last.into_values().map(|taken| taken.snapshot));
        named.extend(self.tagged(&BTreeMap::new()));
        let workspaces = &self.reader.state().workspaces;
        shadowed.retain(|(workspace, _, taken)| workspaces.contains_key(workspace) && named.insert(taken.snapshot));
        shadowed
    }

    /// Snapshots that have a tag with `more` facts, and those that a repair has tagged, whatever became of the tag.
    pub fn tagged(&self, more: &BTreeMap<u64, Vec<Fact>>) -> BTreeSet<SnapshotId> {
        let facts = self.facts();
        let by_repair = |fact: &Fact| match fact {
            Fact::Tagged { name, snapshot, .. } if name.starts_with(RECOVERED) => *snapshot,
            _ => None,
        };
        let tagged = facts.values().chain(more.values()).flatten().filter_map(by_repair);
        tagged.chain(self.state_with(more).tags().map(|(_, _, id)| id)).collect()
    }

    /// The state at the last commit that overrules another one; none where there is no such commit.
    pub fn undisputed(&self) -> Option<State> {
        let last = self.packs.iter().filter_map(InspectedPack::last_overruled).max()?;
        let mut facts = self.facts();
        facts.retain(|sequence, _| *sequence <= last);
        Some(super::fold(&facts))
    }

    /// Workspaces of which snapshots were taken, and that were neither added before nor forgotten: facts about them have no
    /// effect. With `more` facts than there are.
    pub fn unknown_workspaces(&self, more: &BTreeMap<u64, Vec<Fact>>) -> BTreeMap<WorkspaceId, BTreeMap<u64, Taken>> {
        let mut all = self.facts();
        all.extend(more.clone());
        let mut unknown: BTreeMap<WorkspaceId, BTreeMap<u64, Taken>> = BTreeMap::new();
        let mut forgotten: BTreeSet<SnapshotId> = BTreeSet::new();
        let mut gone: BTreeSet<WorkspaceId> = self.state_with(more).workspaces.into_keys().collect();
        for fact in all.into_values().flatten() {
            match fact {
                Fact::SnapshotTaken { workspace, snapshot, step, run, cause } => {
                    unknown.entry(workspace).or_default().insert(step, Taken { snapshot, run, cause });
                }
                Fact::SnapshotForgotten { snapshot, .. } => drop(forgotten.insert(snapshot)),
                Fact::WorkspaceForgotten { workspace, .. } => drop(gone.insert(workspace)),
                _ => {}
            }
        }
        unknown.retain(|workspace, taken| {
            taken.retain(|_, taken| !forgotten.contains(&taken.snapshot));
            !gone.contains(workspace) && !taken.is_empty()
        });
        unknown
    }

    /// Workspaces that are where another one was put later: which, and which counts there.
    pub fn displaced(&self, more: &BTreeMap<u64, Vec<Fact>>) -> Vec<(WorkspaceId, WorkspaceId)> {
        let state = self.state_with(more);
        let mut last: BTreeMap<&[u8], &Workspace> = BTreeMap::new();
        for found in state.workspaces.values() {
            let counts = last.entry(&found.root).or_insert(found);
            if found.placed_after >= counts.placed_after {
                *counts = found;
            }
        }
        let pairs = state.workspaces.values().map(|found| (found.id, last[&found.root[..]].id));
        pairs.filter(|(one, other)| one != other).collect()
    }
}
