//! Facts that come after all others: names for snapshots whose place in history another one has, and which snapshots are
//! given up.
//!
//! A pack that comes back after it was thought lost tells of steps that were taken a second time meanwhile. The newer
//! snapshot keeps the step, and the other gets a tag, so that all that reads a snapshot finds it.
//!
//! Of a snapshot that is lost together with the facts of its commit, an index may still know half of the id. Which step it
//! was cannot be said; that it was there is kept, so that no check calls the store whole.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Orphan, Recovered};
use crate::error::Result;
use crate::format::facts::Fact;
use crate::format::pack::ObjectKind;
use crate::id::{SnapshotId, to_hex};
use crate::store::State;
use crate::store::inspect::Inspection;
use crate::time::Timestamp;

/// Some 45 bytes each: far below what a commit may hold.
pub(super) const FACTS_PER_COMMIT: usize = 10_000;

/// Adds them to what was recovered. `nameless` are snapshots that no fact names and that have no place of their own.
pub(super) fn add(
    inspection: &Inspection,
    nameless: &[Orphan],
    unknown_commits: u64,
    now: Timestamp,
    found: &mut Recovered,
) -> Result<()> {
    let state = inspection.state_with(&found.facts);
    let mut late = Vec::new();
    name(inspection, nameless, &state, now, found, &mut late);
    give_up(inspection, &state, unknown_commits, now, found, &mut late)?;
    let mut sequence = state.sequence;
    for part in late.chunks(FACTS_PER_COMMIT) {
        let Some(next) = sequence.checked_add(1) else {
            found.left.push("there is no place left in the order of commits".to_owned());
            return Ok(());
        };
        sequence = next;
        found.facts.insert(sequence, part.to_vec());
    }
    Ok(())
}

/// Names for snapshots without one, and what overruled commits say of tags and pins and nobody contradicts.
fn name(
    inspection: &Inspection,
    nameless: &[Orphan],
    state: &State,
    now: Timestamp,
    found: &mut Recovered,
    late: &mut Vec<Fact>,
) {
    let store = &inspection.store;
    let mut tags: BTreeMap<String, SnapshotId> = state.tags.clone();
    for fact in inspection.overruled_facts() {
        let is_new = match &fact {
            Fact::Tagged { name, snapshot: Some(snapshot), .. } => {
                let is_free = !tags.contains_key(name) && store.contains(ObjectKind::Snapshot, &snapshot.0);
                if is_free {
                    tags.insert(name.clone(), *snapshot);
                }
                is_free
            }
            Fact::Pinned { snapshot, pinned: true, .. } => {
                !state.pins.contains(snapshot) && store.contains(ObjectKind::Snapshot, &snapshot.0)
            }
            _ => false,
        };
        if is_new {
            late.push(fact);
        }
    }
    let tagged: BTreeSet<SnapshotId> = tags.values().copied().collect();
    for Orphan { id, workspace, step, .. } in nameless {
        if tagged.contains(id) {
            continue;
        }
        let short = format!("recovered-s{step}-{}", id.short());
        let name = if tags.contains_key(&short) { format!("recovered-{id}") } else { short };
        found.sources.push(format!(
            "s{step} of workspace {}, whose place another snapshot has: it is tagged {name}",
            workspace.short()
        ));
        late.push(Fact::Tagged { name: name.clone(), snapshot: Some(*id), time: now });
        tags.insert(name, *id);
    }
}

/// Snapshots of which only half an id is known, and those given up earlier that are there again.
fn give_up(
    inspection: &Inspection,
    state: &State,
    unknown_commits: u64,
    now: Timestamp,
    found: &mut Recovered,
    late: &mut Vec<Fact>,
) -> Result<()> {
    let facts = inspection.facts();
    let all = facts.values().chain(found.facts.values()).flatten();
    let named: BTreeSet<[u8; 16]> = all.filter_map(named_by).map(|id: SnapshotId| id.0.prefix()).collect();
    let is_snapshot = |kind: ObjectKind| kind == ObjectKind::Snapshot;
    let packs = &inspection.packs;
    let indexed = packs.iter().flat_map(|pack| &pack.lost).filter(|(kind, ..)| is_snapshot(*kind));
    let mut lost: BTreeSet<[u8; 16]> = indexed.map(|(_, prefix, _)| *prefix).collect();
    // A damaged record may name a snapshot that never was: it is believed where commits are missing that it may be of.
    if unknown_commits > 0 {
        let broken = packs.iter().flat_map(|pack| &pack.damaged).flat_map(|stretch| &stretch.broken);
        lost.extend(broken.filter(|entry| is_snapshot(entry.kind)).map(|entry| entry.prefix));
    }
    lost.retain(|prefix| !named.contains(prefix) && !state.lost.contains(prefix));
    for prefix in lost {
        if !inspection.store.contains_prefix(ObjectKind::Snapshot, prefix) {
            found.given_up.push(prefix);
            late.push(Fact::SnapshotLost { prefix, lost: true, time: now });
        }
    }
    for prefix in &state.lost {
        if inspection.store.contains_prefix(ObjectKind::Snapshot, *prefix) {
            found.sources.push(format!("snapshot {}, which was given up earlier", to_hex(prefix)));
            late.push(Fact::SnapshotLost { prefix: *prefix, lost: false, time: now });
        }
    }
    Ok(())
}

/// The snapshot that a fact gives a place or a name.
pub(super) fn named_by(fact: &Fact) -> Option<SnapshotId> {
    match fact {
        Fact::SnapshotTaken { snapshot, .. } | Fact::Tagged { snapshot: Some(snapshot), .. } => Some(*snapshot),
        _ => None,
    }
}
