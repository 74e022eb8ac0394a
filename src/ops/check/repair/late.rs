//! Facts that come after all others: workspaces that nobody has added, names for snapshots whose place in history another
//! one has, and which snapshots are given up.
//!
//! A pack that comes back after it was thought lost tells of steps that were taken a second time meanwhile. The newer
//! snapshot keeps the step, and the other gets a tag, so that all that reads a snapshot finds it.
//!
//! Of a snapshot that is lost together with the facts of its commit, an index may still know half of the id. Which step it
//! was cannot be said; that it was there is kept, so that no check calls the store whole.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Orphan, Recovered, read, unknown_root};
use crate::error::Result;
use crate::format::facts::{self, Fact};
use crate::format::pack::ObjectKind;
use crate::id::{SnapshotId, WorkspaceId, to_hex};
use crate::limits::FACTS_LENGTH_MAX_BYTES;
use crate::store::State;
use crate::store::inspect::{Checked, Inspection, RECOVERED, Taken};
use crate::time::Timestamp;

/// Some 45 bytes each: far below what a commit may hold.
pub(super) const MARKS_PER_COMMIT: usize = 10_000;

/// What a commit of these facts may hold, well below what any may.
const COMMIT_LENGTH_MAX_BYTES: usize = FACTS_LENGTH_MAX_BYTES / 4;

/// Adds them to what was recovered. `nameless` are snapshots that no fact names and that have no place of their own.
pub(super) fn add(
    inspection: &Inspection,
    checked: &Checked,
    mut nameless: Vec<Orphan>,
    unknown_commits: u64,
    now: Timestamp,
    found: &mut Recovered,
) -> Result<()> {
    let state = inspection.state_with(&found.facts);
    let mut late = Vec::new();
    add_workspaces(inspection, &mut nameless, &state, now, found, &mut late);
    name(inspection, &nameless, &state, now, found, &mut late);
    keep_heads(inspection, &state, found, &mut late)?;
    give_up((inspection, checked), &state, unknown_commits, now, found, &mut late)?;
    let mut sequence = state.sequence;
    let mut length_bytes = usize::MAX;
    for fact in late {
        let fact_bytes = facts::encode(std::slice::from_ref(&fact)).len();
        length_bytes = length_bytes.saturating_add(fact_bytes);
        if length_bytes > COMMIT_LENGTH_MAX_BYTES {
            let Some(next) = sequence.checked_add(1) else {
                found.left.push("there is no place left in the order of commits".to_owned());
                return Ok(());
            };
            (sequence, length_bytes) = (next, fact_bytes);
        }
        found.facts.entry(sequence).or_default().push(fact);
    }
    Ok(())
}

/// Workspaces that could not be added before their snapshots come here, with all of them; of several at one path all but the
/// one that counts are moved away from it.
fn add_workspaces(
    inspection: &Inspection,
    nameless: &mut Vec<Orphan>,
    state: &State,
    now: Timestamp,
    found: &mut Recovered,
    late: &mut Vec<Fact>,
) {
    let overruled = inspection.overruled_facts();
    let mut unknown = inspection.unknown_workspaces(&found.facts);
    let facts = inspection.facts();
    let is_forgotten = |fact: &Fact| match fact {
        Fact::WorkspaceForgotten { workspace, .. } => Some(*workspace),
        _ => None,
    };
    let all = facts.values().chain(found.facts.values()).flatten();
    let forgotten: BTreeSet<WorkspaceId> = all.filter_map(is_forgotten).collect();
    for Orphan { workspace, .. } in nameless.iter() {
        if !state.workspaces.contains_key(workspace) && !forgotten.contains(workspace) {
            unknown.entry(*workspace).or_default();
        }
    }
    nameless.retain(|orphan| match unknown.get_mut(&orphan.workspace) {
        Some(taken) if !taken.contains_key(&orphan.step) => {
            let Orphan { id: snapshot, step, run, cause, .. } = orphan;
            taken.insert(*step, Taken { snapshot: *snapshot, run: run.clone(), cause: *cause });
            false
        }
        _ => true,
    });
    let mut roots_taken: BTreeSet<Vec<u8>> = state.workspaces.values().map(|found| found.root.clone()).collect();
    for (workspace, taken) in unknown {
        let mut roots = overruled.iter().filter_map(|fact| match fact {
            Fact::WorkspaceAdded { workspace: whose, root, .. }
            | Fact::WorkspaceMoved { workspace: whose, root, .. } => (*whose == workspace).then_some(root),
            _ => None,
        });
        let root = roots.next_back().filter(|root| roots_taken.insert((*root).clone())).cloned();
        if root.is_none() {
            found.unknown.push(workspace);
        }
        let count = taken.len();
        found.sources.push(format!("workspace {} with its {count} snapshots", workspace.short()));
        let root = root.unwrap_or_else(|| unknown_root(workspace));
        late.push(Fact::WorkspaceAdded { workspace, root, time: now });
        late.extend(taken.into_iter().map(|(step, Taken { snapshot, run, cause })| Fact::SnapshotTaken {
            workspace,
            snapshot,
            step,
            run,
            cause,
        }));
    }
    for (workspace, _) in inspection.displaced(&found.facts) {
        found.unknown.push(workspace);
        late.push(Fact::WorkspaceMoved { workspace, root: unknown_root(workspace), time: now });
    }
}

/// A pack that comes back may go on where others have ended: its last steps are the last ones then, though there are newer
/// ones. The newer one becomes the head again.
fn keep_heads(inspection: &Inspection, state: &State, found: &mut Recovered, late: &mut Vec<Fact>) -> Result<()> {
    let Some(undisputed) = inspection.undisputed() else { return Ok(()) };
    for before in undisputed.workspaces.values() {
        let now = state.workspaces.get(&before.id).and_then(|found| found.head);
        let (Some(head), Some(now)) = (before.head, now) else { continue };
        let Some(step) = before.step_of(head).filter(|_| head != now) else { continue };
        if let (Some(one), Some(other)) = (read(&inspection.reader, head)?, read(&inspection.reader, now)?)
            && one.time > other.time
        {
            found.sources.push(format!("s{step} of workspace {} as its head", before.id.short()));
            let (workspace, run, cause) = (before.id, one.run.clone(), one.cause);
            late.push(Fact::SnapshotTaken { workspace, snapshot: head, step, run, cause });
        }
    }
    Ok(())
}

/// Names for snapshots without one, and what overruled commits say of tags and pins if nobody said something else later.
fn name(
    inspection: &Inspection,
    nameless: &[Orphan],
    state: &State,
    now: Timestamp,
    found: &mut Recovered,
    late: &mut Vec<Fact>,
) {
    let of_state = state.tags().map(|(workspace, name, id)| ((workspace.id, name.to_owned()), id));
    let mut tags: BTreeMap<(WorkspaceId, String), SnapshotId> = of_state.collect();
    let facts = inspection.facts();
    let mut last: BTreeMap<Label, Timestamp> = BTreeMap::new();
    last.extend(facts.values().chain(found.facts.values()).flatten().filter_map(label));
    let mut overruled = inspection.overruled_facts();
    overruled.append(&mut found.overruled);
    overruled.sort_by_key(|fact| label(fact).map(|(_, time)| time));
    let mut count = 0_u64;
    for fact in overruled {
        let Some((label, time)) = label(&fact) else { continue };
        if last.get(&label).is_some_and(|last| *last >= time) {
            continue;
        }
        if let Fact::Tagged { workspace, name, snapshot: Some(snapshot), .. } = &fact {
            tags.insert((*workspace, name.clone()), *snapshot);
        }
        last.insert(label, time);
        late.push(fact);
        count += 1;
    }
    if count > 0 {
        found.sources.push(format!("{count} changes of tags and pins that were told in the place of another commit"));
    }
    let tagged: BTreeSet<SnapshotId> = tags.values().copied().collect();
    for Orphan { id, workspace, step, .. } in nameless {
        if tagged.contains(id) {
            continue;
        }
        let short = format!("{RECOVERED}s{step}-{}", id.short());
        let is_taken = tags.contains_key(&(*workspace, short.clone()));
        let name = if is_taken { format!("{RECOVERED}{id}") } else { short };
        found.sources.push(format!(
            "s{step} of workspace {}, whose place another snapshot has: it is tagged {name}",
            workspace.short()
        ));
        late.push(Fact::Tagged { workspace: *workspace, name: name.clone(), snapshot: Some(*id), time: now });
        tags.insert((*workspace, name), *id);
    }
}

/// A tag of a workspace, or the mark of a snapshot that is to be kept.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Tag(WorkspaceId, String),
    Pin(SnapshotId),
}

/// What a fact says something about, and when it was said.
fn label(fact: &Fact) -> Option<(Label, Timestamp)> {
    match fact {
        Fact::Tagged { workspace, name, time, .. } => Some((Label::Tag(*workspace, name.clone()), *time)),
        Fact::Pinned { snapshot, time, .. } => Some((Label::Pin(*snapshot), *time)),
        _ => None,
    }
}

/// Snapshots of which only half an id is known, and those given up earlier that are there again.
fn give_up(
    (inspection, checked): (&Inspection, &Checked),
    state: &State,
    unknown_commits: u64,
    now: Timestamp,
    found: &mut Recovered,
    late: &mut Vec<Fact>,
) -> Result<()> {
    let facts = inspection.facts();
    let all = facts.values().chain(found.facts.values()).flatten().chain(late.iter());
    let taken = all.filter_map(|fact| match fact {
        Fact::SnapshotTaken { snapshot, .. } => Some(*snapshot),
        _ => None,
    });
    let tagged = late.iter().filter_map(|fact| match fact {
        Fact::Tagged { snapshot, .. } => *snapshot,
        _ => None,
    });
    let named = taken.chain(tagged).chain(inspection.tagged(&found.facts));
    let named: BTreeSet<[u8; 16]> = named.map(|id| id.0.prefix()).collect();
    let is_snapshot = |kind: ObjectKind| kind == ObjectKind::Snapshot;
    let packs = &inspection.packs;
    let indexed = packs.iter().flat_map(|pack| &pack.lost).filter(|(kind, ..)| is_snapshot(*kind));
    let mut lost: BTreeSet<[u8; 16]> = indexed.map(|(_, prefix, _)| *prefix).collect();
    lost.extend(&inspection.lost_with_packs);
    let bad = checked.bad.iter().filter(|bad| is_snapshot(bad.kind) && !bad.is_readable);
    lost.extend(bad.flat_map(|bad| [bad.prefix].into_iter().chain(bad.base)));
    lost.extend(found.told.iter().map(|id| id.0.prefix()));
    // A damaged record may name a snapshot that never was: it is believed where commits are missing that it may be of.
    if unknown_commits > 0 {
        let broken = packs.iter().flat_map(|pack| &pack.damaged).flat_map(|stretch| &stretch.broken);
        lost.extend(broken.filter(|entry| is_snapshot(entry.kind)).map(|entry| entry.prefix));
        lost.extend(mentioned(inspection, found)?);
    }
    lost.retain(|prefix| !named.contains(prefix) && !state.lost.contains(prefix));
    let is_there = |prefix: &[u8; 16]| inspection.reader.is_readable(ObjectKind::Snapshot, *prefix);
    for prefix in lost {
        if !is_there(&prefix)? {
            found.given_up.push(prefix);
            late.push(Fact::SnapshotLost { prefix, lost: true, time: now });
        }
    }
    for prefix in &state.lost {
        if is_there(prefix)? {
            found.sources.push(format!("snapshot {}, which was given up earlier", to_hex(prefix)));
            late.push(Fact::SnapshotLost { prefix: *prefix, lost: false, time: now });
        }
    }
    Ok(())
}

/// Snapshots that others name as what came before them, and those that restores have begun with.
fn mentioned(inspection: &Inspection, found: &Recovered) -> Result<BTreeSet<[u8; 16]>> {
    let facts = inspection.facts();
    let mut mentioned = BTreeSet::new();
    for fact in facts.values().chain(found.facts.values()).flatten() {
        match fact {
            Fact::SnapshotTaken { snapshot, .. } => {
                if let Some(snapshot) = read(&inspection.reader, *snapshot)? {
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
