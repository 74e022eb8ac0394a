//! History that no intact commit tells any more: what else knows of it, and where in the order of commits it belongs.
//!
//! Three sources, each believed less than the one before: the journal, which is a checked copy of the facts; commits whose
//! batch is damaged, of which a fact is taken only if the snapshots it names are there and agree; and snapshots that no
//! fact names, which say themselves where and when they were taken. They get sequences that are missing, so that what came
//! later still wins: a head stays a head. What is missing still gets a commit without facts. What has no place among the
//! others comes after them: `late`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::late;
use crate::error::{ErrorKind, Result};
use crate::format::facts::{self, Fact};
use crate::format::pack::ObjectKind;
use crate::format::snapshot::{self, Cause, Snapshot};
use crate::id::{SnapshotId, WorkspaceId};
use crate::store::inspect::{Checked, Inspection, Taken};
use crate::store::{Reader, for_each_object};
use crate::time::Timestamp;

/// What is known again.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    /// Facts, by the sequence they get.
    pub(super) facts: BTreeMap<u64, Vec<Fact>>,
    /// Where they come from, a line each.
    pub(super) sources: Vec<String>,
    /// Workspaces of which nobody knows where they are.
    pub(super) unknown: Vec<WorkspaceId>,
    /// What commits say whose place in the order another one has, as far as what they name is there.
    pub(super) overruled: Vec<Fact>,
    /// Snapshots that are given up, by the first half of their ids.
    pub(super) given_up: Vec<[u8; 16]>,
    /// Snapshots that a commit in a damaged batch tells of and that cannot be read.
    pub(super) told: Vec<SnapshotId>,
    /// What could not be put back.
    pub(super) left: Vec<String>,
}

/// A snapshot as it, or a fact that has no effect, speaks of it.
pub(super) struct Orphan {
    pub(super) id: SnapshotId,
    pub(super) workspace: WorkspaceId,
    pub(super) step: u64,
    pub(super) run: Option<String>,
    pub(super) cause: Cause,
}

/// Finds facts that no intact commit has.
pub(super) fn recover(inspection: &Inspection, checked: &Checked, now: Timestamp) -> Result<Recovered> {
    let mut found = Recovered { facts: inspection.journal_only.clone(), ..Recovered::default() };
    let from_journal = found.facts.len();
    if from_journal > 0 {
        found.sources.push(format!("{} from the journal", commits(from_journal)));
    }
    let known = inspection.facts();
    take_doubtful(inspection, &known, &mut found)?;
    let orphans = orphans(inspection, &known, &found)?;
    let mut line = Line::new(&known, &found.facts);
    let mut nameless: Vec<Orphan> = orphans.into_iter().filter_map(|orphan| line.put(orphan, &mut found)).collect();
    let shadowed = inspection.shadowed().into_iter();
    nameless.extend(shadowed.map(|(workspace, step, Taken { snapshot: id, run, cause })| Orphan {
        id,
        workspace,
        step,
        run,
        cause,
    }));
    add_workspaces(&known, now, &mut found);
    let unknown_commits = close_gaps(inspection, &mut found).saturating_add(found.told.len() as u64);
    late::add(inspection, checked, nameless, unknown_commits, now, &mut found)?;
    Ok(found)
}

/// Puts a commit of nothing where a lost one was: that it is lost has been said, and need not be said for ever. Returns how
/// many there were.
fn close_gaps(inspection: &Inspection, found: &mut Recovered) -> u64 {
    let gaps = || inspection.lost_sequences.iter();
    let missing = gaps().fold(0_u64, |sum, gap| sum.saturating_add(gap.end() - gap.start()).saturating_add(1));
    if missing > GAPS_CLOSED_MAX {
        found.left.push(format!("{missing} commits are missing, more than anybody could have made"));
        return missing;
    }
    let lost = gaps().flat_map(Clone::clone).filter(|sequence| !found.facts.contains_key(sequence));
    let lost: Vec<u64> = lost.collect();
    let count = lost.len();
    if count > 0 {
        found.sources.push(format!("{} of which nothing is known any more", commits(count)));
        found.facts.extend(lost.into_iter().map(|sequence| (sequence, Vec::new())));
    }
    count as u64
}

/// Some 25 bytes each.
const GAPS_CLOSED_MAX: u64 = 1_000_000;

fn commits(count: usize) -> String {
    if count == 1 { "1 commit".to_owned() } else { format!("{count} commits") }
}

/// Facts of commits whose batch does not match its hash.
fn take_doubtful(inspection: &Inspection, known: &BTreeMap<u64, Vec<Fact>>, found: &mut Recovered) -> Result<()> {
    let damaged = inspection.packs.iter().flat_map(|pack| &pack.damaged).map(|stretch| (stretch, true));
    // What a torn tail tells was most likely never acknowledged.
    let tails = inspection.packs.iter().flat_map(|pack| &pack.tail).map(|stretch| (stretch, false));
    let doubtful = damaged
        .chain(tails)
        .flat_map(|(stretch, was_whole)| stretch.doubtful.iter().map(move |commit| (commit, was_whole)));
    let last = known.keys().next_back().copied().unwrap_or(0);
    let mut count = 0;
    for (commit, was_whole) in doubtful {
        let is_lost = inspection.lost_sequences.iter().any(|gap| gap.contains(&commit.sequence));
        let is_free = is_lost || commit.sequence == last.saturating_add(1);
        let is_overruled = !is_free || found.facts.contains_key(&commit.sequence);
        if commit.sequence == 0 {
            continue;
        }
        let Ok(mut facts) = facts::decode(&commit.facts) else { continue };
        let mut backed = Vec::new();
        for fact in facts.drain(..) {
            if is_backed(&inspection.reader, &fact)? {
                backed.push(fact);
            } else if was_whole && let Fact::SnapshotTaken { snapshot, .. } = fact {
                found.told.push(snapshot);
            }
        }
        let facts = backed;
        if is_overruled {
            found.overruled.extend(facts);
        } else if !facts.is_empty() {
            found.facts.insert(commit.sequence, facts);
            count += 1;
        }
    }
    if count > 0 {
        found.sources.push(format!("{} from damaged batches", commits(count)));
    }
    Ok(())
}

/// Whether what a fact names is there and agrees. One that takes something away is never believed unproven.
fn is_backed(reader: &Reader, fact: &Fact) -> Result<bool> {
    let is_there = |id: &SnapshotId| read(reader, *id).map(|found| found.is_some());
    match fact {
        Fact::WorkspaceAdded { .. }
        | Fact::WorkspaceMoved { .. }
        | Fact::FolderSeen { .. }
        | Fact::RestoreEnded { .. } => Ok(true),
        Fact::SnapshotTaken { workspace, snapshot, step, run, cause } => {
            let agrees = |found: &Snapshot| {
                (found.workspace, found.step, &found.run, found.cause) == (*workspace, *step, run, *cause)
            };
            Ok(read(reader, *snapshot)?.is_some_and(|found| agrees(&found)))
        }
        Fact::RestoreBegun(restore) => Ok(is_there(&restore.target)?
            && match &restore.before {
                Some(before) => is_there(before)?,
                None => true,
            }),
        Fact::Tagged { snapshot: Some(snapshot), .. }
        | Fact::Pinned { snapshot, pinned: true, .. }
        | Fact::EventNoted { snapshot, .. } => is_there(snapshot),
        Fact::SnapshotIncomplete { incomplete: true, .. } => Ok(true),
        Fact::Tagged { .. }
        | Fact::Pinned { .. }
        | Fact::SnapshotLost { .. }
        | Fact::SnapshotIncomplete { .. }
        | Fact::WorkspaceForgotten { .. }
        | Fact::WorkspaceRecalled { .. }
        | Fact::SnapshotForgotten { .. } => Ok(false),
    }
}

/// A snapshot; none where it is damaged or missing. That the system refuses to read is no answer.
pub(super) fn read(reader: &Reader, id: SnapshotId) -> Result<Option<Arc<Snapshot>>> {
    match reader.snapshot(id) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
        Err(error) => Err(error),
    }
}

/// Snapshots that no fact names, in the order of their steps.
fn orphans(inspection: &Inspection, known: &BTreeMap<u64, Vec<Fact>>, found: &Recovered) -> Result<Vec<Orphan>> {
    let all = known.values().chain(found.facts.values()).flatten();
    let mut named: BTreeSet<SnapshotId> = all.filter_map(|fact| taken(fact).map(|(_, _, id)| id)).collect();
    named.extend(inspection.tagged(&found.facts));
    let reader = &inspection.reader;
    let mut prefixes = BTreeSet::new();
    for_each_object(reader, |object| {
        if object.kind == ObjectKind::Snapshot {
            prefixes.insert(object.prefix);
        }
    })?;
    let named_prefixes: BTreeSet<[u8; 16]> = named.iter().map(|id| id.0.prefix()).collect();
    let mut orphans = Vec::new();
    for prefix in prefixes.difference(&named_prefixes) {
        if !reader.is_readable(ObjectKind::Snapshot, *prefix)? {
            continue;
        }
        let (id, bytes) = reader.object_with(ObjectKind::Snapshot, *prefix)?;
        if let Ok(snapshot) = snapshot::decode(&bytes) {
            let Snapshot { workspace, step, run, cause, .. } = snapshot;
            orphans.push(Orphan { id: SnapshotId(id), workspace, step, run, cause });
        }
    }
    // What an overruled commit names and cannot be read is lost, and known to be.
    let mut seen: BTreeSet<SnapshotId> = orphans.iter().map(|orphan| orphan.id).collect();
    for fact in inspection.overruled_facts() {
        if let Fact::SnapshotTaken { workspace, snapshot: id, step, run, cause } = fact
            && !named.contains(&id)
            && seen.insert(id)
        {
            orphans.push(Orphan { id, workspace, step, run, cause });
        }
    }
    orphans.sort_by_key(|orphan| (orphan.workspace, orphan.step, orphan.id));
    Ok(orphans)
}

/// Which step was taken at which sequence.
struct Line {
    taken: BTreeMap<WorkspaceId, BTreeMap<u64, u64>>,
    /// Sequences at which something is known.
    used: BTreeSet<u64>,
}

impl Line {
    fn new(known: &BTreeMap<u64, Vec<Fact>>, recovered: &BTreeMap<u64, Vec<Fact>>) -> Self {
        let mut taken_at: BTreeMap<WorkspaceId, BTreeMap<u64, u64>> = BTreeMap::new();
        for (sequence, facts) in known.iter().chain(recovered) {
            for (workspace, step, _) in facts.iter().filter_map(taken) {
                taken_at.entry(workspace).or_default().insert(step, *sequence);
            }
        }
        Self { taken: taken_at, used: known.keys().chain(recovered.keys()).copied().collect() }
    }

    /// Gives a snapshot the place in history that its step tells, or gives it back if another one has that.
    fn put(&mut self, orphan: Orphan, found: &mut Recovered) -> Option<Orphan> {
        let steps = self.taken.entry(orphan.workspace).or_default();
        if steps.contains_key(&orphan.step) {
            return Some(orphan);
        }
        let after = steps.range(..orphan.step).map(|(_, sequence)| *sequence).max().unwrap_or(0);
        let before = steps.range(orphan.step..).map(|(_, sequence)| *sequence).min().unwrap_or(u64::MAX);
        let Some(sequence) = free_after(&self.used, after).filter(|free| *free < before) else {
            return Some(orphan);
        };
        steps.insert(orphan.step, sequence);
        self.used.insert(sequence);
        let Orphan { id, workspace, step, run, cause } = orphan;
        found.sources.push(format!("s{step} of workspace {} from the snapshot itself", workspace.short()));
        let taken = Fact::SnapshotTaken { workspace, snapshot: id, step, run, cause };
        found.facts.entry(sequence).or_default().push(taken);
        None
    }
}

/// The lowest sequence above `after` at which nothing is known.
fn free_after(used: &BTreeSet<u64>, after: u64) -> Option<u64> {
    let mut free = after.checked_add(1)?;
    for taken in used.range(free..) {
        if *taken != free {
            break;
        }
        free = free.checked_add(1)?;
    }
    Some(free)
}

/// Workspaces that took snapshots and of which nobody says where they are get a place that does not exist. Their first
/// fact must not come before that: it would have no effect.
fn add_workspaces(known: &BTreeMap<u64, Vec<Fact>>, now: Timestamp, found: &mut Recovered) {
    let mut first: BTreeMap<WorkspaceId, u64> = BTreeMap::new();
    let mut added: BTreeSet<WorkspaceId> = BTreeSet::new();
    let mut used: BTreeSet<u64> = BTreeSet::new();
    for (sequence, facts) in known.iter().chain(&found.facts) {
        used.insert(*sequence);
        for fact in facts {
            if let Some((workspace, _, _)) = taken(fact) {
                let earliest = first.entry(workspace).or_insert(*sequence);
                *earliest = (*earliest).min(*sequence);
            } else if let Fact::WorkspaceAdded { workspace, .. } = fact {
                added.insert(*workspace);
            }
        }
    }
    for (workspace, sequence) in first.into_iter().filter(|(workspace, _)| !added.contains(workspace)) {
        let fact = Fact::WorkspaceAdded { workspace, root: unknown_root(workspace), time: now };
        let free = free_after(&used, 0).filter(|free| *free < sequence);
        if let Some(free) = free {
            found.facts.entry(free).or_default().push(fact);
            used.insert(free);
        } else if let Some(facts) = found.facts.get_mut(&sequence) {
            facts.insert(0, fact);
        } else {
            // It comes with all of its snapshots after the others.
            continue;
        }
        found.unknown.push(workspace);
    }
}

/// Where a workspace is said to be of which nobody knows where it is.
pub(super) fn unknown_root(workspace: WorkspaceId) -> Vec<u8> {
    format!("/unknown/{workspace}").into_bytes()
}

fn taken(fact: &Fact) -> Option<(WorkspaceId, u64, SnapshotId)> {
    match fact {
        Fact::SnapshotTaken { workspace, snapshot, step, .. } => Some((*workspace, *step, *snapshot)),
        _ => None,
    }
}
