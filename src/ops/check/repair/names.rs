//! Naming snapshots that have no name, and recording lost snapshots.
//!
//! A snapshot without a name gets its own step if that is free, and a tag if another snapshot has the step. A pack may
//! be found again after its steps were taken a second time: then the history that counts does not change, and every
//! snapshot of the other one has a tag. An unknown workspace is added first.
//!
//! An unreadable snapshot that something still names is recorded as lost, with half of its id. Its step may be unknown,
//! but no later check calls the store intact.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Found, RepairOptions};
use crate::error::{Result, unless_corrupt};
use crate::format::facts::Fact;
use crate::format::pack::{ObjectKey, ObjectKind};
use crate::format::snapshot::{self, Cause, Snapshot};
use crate::id::{SnapshotId, WorkspaceId};
use crate::store::State;
use crate::store::inspect::{Checked, Inspection, RECOVERED, check_objects};
use crate::time::Timestamp;

/// The new state, and the facts that lead to it.
struct Naming<'a> {
    inspection: &'a Inspection,
    state: State,
    now: Timestamp,
    found: &'a mut Found,
}

/// Adds facts that name snapshots to the recovered facts.
pub(super) fn give(inspection: &Inspection, options: &RepairOptions<'_>, found: &mut Found) -> Result<()> {
    let checked = check_objects(inspection, &|key| key.kind == ObjectKind::Snapshot, options.progress)?;
    let before = inspection.state_with(&found.transactions);
    let named = inspection.named(&before);
    let unreadable = unreadable(inspection, &checked, found, &named)?;
    let mut naming = Naming { inspection, state: before.clone(), now: options.now, found };
    for (id, snapshot) in unnamed(inspection, &named)? {
        naming.name(id, &snapshot, &before);
    }
    naming.keep_heads(&before)?;
    naming.record_lost(&before, unreadable)
}

/// Readable snapshots without a name, in the order of their steps.
fn unnamed(inspection: &Inspection, named: &BTreeSet<[u8; 16]>) -> Result<Vec<(SnapshotId, Snapshot)>> {
    let reader = &inspection.reader;
    let mut unnamed = Vec::new();
    for key in reader.keys(ObjectKind::Snapshot).iter().filter(|key| !named.contains(&key.prefix)) {
        if let Some((id, bytes)) = unless_corrupt(reader.object_with(key.kind, key.prefix))? {
            unnamed.extend(snapshot::decode(&bytes).ok().map(|snapshot| (SnapshotId(id), snapshot)));
        }
    }
    unnamed.sort_by_key(|(id, snapshot)| (snapshot.workspace, snapshot.step, *id));
    Ok(unnamed)
}

/// Unreadable snapshots without a name that something still names.
fn unreadable(
    inspection: &Inspection,
    checked: &Checked,
    found: &Found,
    named: &BTreeSet<[u8; 16]>,
) -> Result<BTreeSet<ObjectKey>> {
    let packs = &inspection.packs;
    let ids = inspection.taken().map(|(_, _, snapshot)| snapshot).chain(found.unreadable.iter().copied());
    let mut prefixes: BTreeSet<[u8; 16]> = ids.map(|id| id.0.prefix()).collect();
    prefixes.extend(&inspection.lost_with_packs);
    let bad = checked.bad.iter().filter(|bad| !bad.is_readable).flat_map(|bad| bad.base.into_iter().chain([bad.key]));
    let mut keys: BTreeSet<ObjectKey> =
        packs.iter().flat_map(|pack| &pack.lost).map(|(key, _)| *key).chain(bad).collect();
    // A damaged record may name a snapshot that never existed. It counts if transactions are missing that it may belong
    // to.
    if found.is_incomplete {
        keys.extend(
            packs.iter().flat_map(|pack| &pack.damaged).flat_map(|range| &range.broken).map(|entry| entry.key()),
        );
        prefixes.extend(mentioned(inspection)?);
    }
    keys.retain(|key| key.kind == ObjectKind::Snapshot);
    keys.extend(prefixes.into_iter().map(|prefix| ObjectKey { kind: ObjectKind::Snapshot, prefix }));
    let mut unreadable = BTreeSet::new();
    for key in keys.into_iter().filter(|key| !named.contains(&key.prefix)) {
        if !inspection.reader.is_readable(key)? {
            unreadable.insert(key);
        }
    }
    Ok(unreadable)
}

/// Parents of snapshots, and snapshots of restores.
fn mentioned(inspection: &Inspection) -> Result<BTreeSet<[u8; 16]>> {
    let mut mentioned = BTreeSet::new();
    for fact in inspection.facts.values().flatten() {
        match fact {
            Fact::SnapshotTaken { snapshot, .. } => {
                if let Some(snapshot) = unless_corrupt(inspection.reader.snapshot(*snapshot))? {
                    mentioned.extend(snapshot.parents.iter().map(|id| id.0.prefix()));
                }
            }
            Fact::RestoreBegun(restore) => {
                mentioned.extend(restore.before.iter().chain([&restore.target]).map(|id| id.0.prefix()));
            }
            _ => {}
        }
    }
    Ok(mentioned)
}

impl Naming<'_> {
    fn say(&mut self, fact: Fact) {
        self.state.apply(fact.clone());
        self.found.late.push(fact);
    }

    /// Gives a snapshot its own step, or a tag.
    fn name(&mut self, id: SnapshotId, snapshot: &Snapshot, before: &State) {
        let Snapshot { workspace, step, .. } = *snapshot;
        if self.state.live_or_forgotten(workspace).is_none() {
            self.add(workspace);
        }
        let is_free =
            |state: &State| state.workspaces.get(&workspace).is_some_and(|found| !found.steps.contains_key(&step));
        let tag = (!is_free(&self.state)).then(|| self.free_tag(workspace, step, id));
        self.found.actions.push(Action::RecoverSnapshot { workspace, step, snapshot: id, tag: tag.clone() });
        if let Some(name) = tag {
            return self.say(Fact::Tagged { workspace, name, snapshot: Some(id), time: self.now });
        }
        // A snapshot older than others is not the last state of the folder, and not the last of its run.
        let known = before.workspaces.get(&workspace).filter(|known| known.last_step > step);
        let run = snapshot.run.clone().filter(|run| known.is_none_or(|known| !known.runs.contains_key(run)));
        let cause = if known.is_some() { Cause::Import } else { snapshot.cause };
        self.say(Fact::SnapshotTaken { workspace, snapshot: id, step, run, cause });
    }

    /// Adds a workspace, at the path that a conflicting transaction has, if no other workspace is there.
    fn add(&mut self, workspace: WorkspaceId) {
        let mut roots = self.inspection.conflicting.iter().filter_map(|fact| match fact {
            Fact::WorkspaceAdded { workspace: added, root, .. }
            | Fact::WorkspaceMoved { workspace: added, root, .. } => (*added == workspace).then_some(root),
            _ => None,
        });
        let root = roots.next_back().filter(|root| self.state.workspace_at(root).is_none()).cloned();
        self.found.actions.push(Action::RecoverWorkspace(workspace, root.is_some()));
        let root = root.unwrap_or_else(|| format!("/unknown/{workspace}").into_bytes());
        self.say(Fact::WorkspaceAdded { workspace, root, time: self.now });
    }

    fn free_tag(&self, workspace: WorkspaceId, step: u64, id: SnapshotId) -> String {
        let short = format!("{RECOVERED}s{step}-{}", id.short());
        let is_taken = self.state.live_or_forgotten(workspace).is_some_and(|found| found.tags.contains_key(&short));
        if is_taken { format!("{RECOVERED}{id}") } else { short }
    }

    /// Makes the newest step the head again, if an older one was named last: one that was recovered here, or the last
    /// step of a history that came back and is longer than the one that went on.
    fn keep_heads(&mut self, before: &State) -> Result<()> {
        if self.found.late.is_empty() {
            return Ok(());
        }
        let at_conflict = self.inspection.state_at_conflict();
        let mut heads: BTreeMap<WorkspaceId, SnapshotId> = BTreeMap::new();
        for state in [Some(before), at_conflict.as_ref()].into_iter().flatten() {
            for workspace in state.workspaces.values() {
                let Some(head) = workspace.head else { continue };
                let known = heads.entry(workspace.id).or_insert(head);
                if self.is_newer(head, *known)? {
                    *known = head;
                }
            }
        }
        for (workspace, head) in heads {
            let Some(now) = self.state.workspaces.get(&workspace) else { continue };
            let (Some(current), Some(step)) = (now.head, now.step_of(head)) else { continue };
            if current == head || now.last_step > before.workspaces.get(&workspace).map_or(0, |known| known.last_step) {
                continue;
            }
            let found = unless_corrupt(self.inspection.reader.snapshot(head))?;
            let (run, cause) = found.map_or((None, Cause::Import), |found| (found.run.clone(), found.cause));
            self.found.actions.push(Action::KeepHead(workspace, step));
            self.say(Fact::SnapshotTaken { workspace, snapshot: head, step, run, cause });
        }
        Ok(())
    }

    fn is_newer(&self, one: SnapshotId, other: SnapshotId) -> Result<bool> {
        let time = |id| Ok(unless_corrupt(self.inspection.reader.snapshot(id))?.map(|found| found.time));
        Ok(one != other && time(one)? > time(other)?)
    }

    /// Records the snapshots that are lost, and those that are there again.
    fn record_lost(&mut self, before: &State, unreadable: BTreeSet<ObjectKey>) -> Result<()> {
        let time = self.now;
        for snapshot in unreadable {
            self.found.actions.push(Action::GiveUp(snapshot));
            self.say(Fact::SnapshotLost { prefix: snapshot.prefix, lost: true, time });
        }
        for prefix in &before.lost {
            let snapshot = ObjectKey { kind: ObjectKind::Snapshot, prefix: *prefix };
            if self.inspection.reader.is_readable(snapshot)? {
                self.found.actions.push(Action::FindAgain(snapshot));
                self.say(Fact::SnapshotLost { prefix: *prefix, lost: false, time });
            }
        }
        Ok(())
    }
}
