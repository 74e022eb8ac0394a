//! What facts say that does not fit together: steps taken twice, workspaces that nobody has added, two at one path.
//!
//! No writer makes such histories. They come about when a pack is lost, recording goes on, and the pack is found again.

use std::collections::{BTreeMap, BTreeSet};

use super::{InspectedPack, Inspection};
use crate::format::facts::Fact;
use crate::id::{SnapshotId, WorkspaceId};
use crate::store::{State, Workspace};

/// How the tags begin that a repair gives.
pub const RECOVERED: &str = "recovered-";

/// Steps and what was taken as them: the run and the snapshot.
pub type Taken = BTreeMap<u64, (String, SnapshotId)>;

impl Inspection {
    /// Snapshots that have no name any more because another one was taken as the same step: workspace, step, run
    /// and snapshot. Whether they can be read is not asked.
    pub fn shadowed(&self) -> Vec<(WorkspaceId, u64, String, SnapshotId)> {
        let facts = self.facts();
        let mut last: BTreeMap<(WorkspaceId, u64), (&String, SnapshotId)> = BTreeMap::new();
        let mut shadowed = Vec::new();
        let mut named = BTreeSet::new();
        for fact in facts.values().flatten() {
            match fact {
                Fact::SnapshotTaken { workspace, step, snapshot, run } => {
                    if let Some((run, before)) = last.insert((*workspace, *step), (run, *snapshot)) {
                        shadowed.push((*workspace, *step, run.clone(), before));
                    }
                }
                Fact::SnapshotForgotten { snapshot, .. } => drop(named.insert(*snapshot)),
                _ => {}
            }
        }
        named.extend(last.into_values().map(|(_, snapshot)| snapshot));
        named.extend(self.tagged(&BTreeMap::new()));
        let workspaces = &self.store.state().workspaces;
        shadowed.retain(|(workspace, _, _, id)| workspaces.contains_key(workspace) && named.insert(*id));
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
        tagged.chain(self.state_with(more).tags.into_values()).collect()
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
    pub fn unknown_workspaces(&self, more: &BTreeMap<u64, Vec<Fact>>) -> BTreeMap<WorkspaceId, Taken> {
        let mut all = self.facts();
        all.extend(more.clone());
        let mut unknown: BTreeMap<WorkspaceId, Taken> = BTreeMap::new();
        let mut forgotten: BTreeSet<SnapshotId> = BTreeSet::new();
        let mut gone: BTreeSet<WorkspaceId> = self.state_with(more).workspaces.into_keys().collect();
        for fact in all.into_values().flatten() {
            match fact {
                Fact::SnapshotTaken { workspace, snapshot, step, run } => {
                    unknown.entry(workspace).or_default().insert(step, (run, snapshot));
                }
                Fact::SnapshotForgotten { snapshot, .. } => drop(forgotten.insert(snapshot)),
                Fact::WorkspaceForgotten { workspace, .. } => drop(gone.insert(workspace)),
                _ => {}
            }
        }
        unknown.retain(|workspace, taken| {
            taken.retain(|_, (_, snapshot)| !forgotten.contains(snapshot));
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
