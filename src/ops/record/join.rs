//! Joins two histories of one folder, which was moved and recorded anew at its new path.
//!
//! The steps of the newer workspace are taken once more as steps of the older one, after its last: the same trees,
//! times, events and runs, with new numbers and with the older history before them. The newer workspace is then
//! forgotten, which can be undone, and the older one takes its path. All of it is one transaction.
//!
//! An unfinished restore of the older workspace stays unfinished, and the steps of the newer one count as taken
//! meanwhile. Nobody could have finished it before, because its folder is the one that was moved.

use std::collections::BTreeMap;

use super::add_snapshot::{encoded, next_step, taken_fact};
use super::folder::lock_workspace;
use super::register::{expect, root_of, seen};
use crate::diff::{TreeDiffOptions, counts, trees};
use crate::error::{Error, ErrorKind, Result};
use crate::format::facts::{Fact, Restore, RestoreCause};
use crate::format::snapshot::{Snapshot, history_digest};
use crate::id::{Digest, SnapshotId, WorkspaceId};
use crate::limits::JOINED_STEPS_MAX;
use crate::store::{Final, NewObject, State, Store, Workspace};
use crate::time::Timestamp;

/// A step that is taken once more.
struct Retaken {
    was: SnapshotId,
    id: SnapshotId,
    snapshot: Snapshot,
    object: NewObject,
}

/// Puts the history of `newer` after that of `older`, which then has the path of `newer`. Returns the number of added
/// steps.
pub fn join(store: &Store, older: WorkspaceId, newer: WorkspaceId, now: Timestamp) -> Result<u64> {
    if older == newer {
        return Err(Error::new(ErrorKind::Invalid, "join workspace", older.short(), "it is the same one"));
    }
    // The order is always the same, so that two joins cannot wait for each other.
    let _first = lock_workspace(store, older.min(newer))?;
    let _second = lock_workspace(store, older.max(newer))?;
    store.refresh()?;
    let state = store.state();
    let (one, other) = (expect(&state, older)?, expect(&state, newer)?);
    // A restore of the older one may be unfinished, see above.
    if other.unfinished.is_some() {
        let detail = "a restore of it was cut off";
        return Err(Error::new(ErrorKind::Conflict, "join workspace", other.id.short(), detail)
            .with_hint("`retro restore --continue` or `--abort` in its folder first"));
    }
    let has_room = one.last_step < u64::MAX - JOINED_STEPS_MAX as u64;
    if other.steps.len() > JOINED_STEPS_MAX || !has_room {
        let detail = format!("it has more than {JOINED_STEPS_MAX} steps, or no numbers are left for them");
        return Err(Error::new(ErrorKind::Limit, "join workspace", newer.short(), detail));
    }
    let retaken = retake(store, one, other)?;
    let mut batch = store.batch();
    batch.add(retaken.iter().map(|step| step.object.clone()).collect())?;
    batch.record(|now_state| {
        let is_as_seen = [one, other].into_iter().all(|seen| now_state.workspaces.get(&seen.id) == Some(seen));
        if !is_as_seen {
            return Err(Error::new(ErrorKind::Conflict, "join workspace", newer.short(), "it changed meanwhile")
                .with_hint("run it again"));
        }
        Ok(Final { objects: Vec::new(), facts: facts(&state, one, other, &retaken, now) })
    })?;
    Ok(retaken.len() as u64)
}

/// The steps of `other` as steps of `one`.
fn retake(store: &Store, one: &Workspace, other: &Workspace) -> Result<Vec<Retaken>> {
    let mut retaken: Vec<Retaken> = Vec::new();
    let mut names: BTreeMap<SnapshotId, SnapshotId> = BTreeMap::new();
    let mut histories: BTreeMap<SnapshotId, Digest> = BTreeMap::new();
    for (step, was) in (next_step(one)?..).zip(other.steps.values()) {
        let mut snapshot = Snapshot::clone(&*store.snapshot(*was)?);
        if snapshot.parents.is_empty()
            && let Some(head) = one.head
        {
            let before = store.snapshot(head)?.root;
            let load = |id| store.tree(id);
            snapshot.changes = counts(&trees(&load, Some(before), Some(snapshot.root), &TreeDiffOptions::default())?);
            snapshot.parents.push(head);
        }
        for parent in &mut snapshot.parents {
            *parent = names.get(parent).copied().unwrap_or(*parent);
        }
        if let Some(dropped) = &mut snapshot.dropped {
            dropped.base = names.get(&dropped.base).copied().unwrap_or(dropped.base);
        }
        let before = match snapshot.parents.first() {
            None => None,
            Some(parent) => match histories.get(parent) {
                Some(history) => Some(*history),
                None => Some(store.snapshot(*parent)?.history),
            },
        };
        snapshot.history = history_digest(before, snapshot.root);
        (snapshot.workspace, snapshot.step) = (one.id, step);
        let (id, object) = encoded(&snapshot)?;
        names.insert(*was, id);
        histories.insert(id, snapshot.history);
        retaken.push(Retaken { was: *was, id, snapshot, object });
    }
    Ok(retaken)
}

/// All facts of the transaction.
fn facts(state: &State, one: &Workspace, other: &Workspace, retaken: &[Retaken], now: Timestamp) -> Vec<Fact> {
    let workspace = one.id;
    let mut facts = Vec::new();
    for Retaken { was, id, snapshot, .. } in retaken {
        facts.push(taken_fact(*id, snapshot));
        let snapshot = *id;
        let noted = state.noted.get(was).into_iter().flat_map(|noted| &noted.newest);
        facts.extend(noted.map(|noted| {
            let (event, run, time) = (noted.event, noted.run.to_string(), noted.time);
            Fact::EventNoted { workspace, snapshot, event, run, time }
        }));
        if state.pins.contains(was) {
            facts.push(Fact::Pinned { snapshot, pinned: true, time: now });
        }
    }
    let now_named = |was: SnapshotId| retaken.iter().find(|step| step.was == was).map_or(was, |step| step.id);
    for (name, tagged) in &other.tags {
        let is_free = !one.tags.contains_key(name);
        let name = if is_free { name.clone() } else { format!("{name}-{}", other.id.short()) };
        facts.push(Fact::Tagged { workspace, name, snapshot: Some(now_named(*tagged)), time: now });
    }
    // The folder may stand at an earlier step than the last.
    let last = retaken.last().map(|step| step.id);
    if let (Some(last), Some(head)) = (last, other.head.map(now_named))
        && last != head
    {
        let (before, target, paths) = (Some(last), head, Vec::new());
        let cause = RestoreCause::Restore;
        facts.push(Fact::RestoreBegun(Restore { workspace, before, target, paths, cause, time: now }));
        facts.push(Fact::RestoreEnded { workspace, state: Some(target), time: now });
    }
    facts.push(Fact::WorkspaceForgotten { workspace: other.id, time: now });
    facts.push(Fact::WorkspaceMoved { workspace, root: other.root.clone(), time: now });
    facts.extend(seen(workspace, &root_of(other), now));
    facts
}
