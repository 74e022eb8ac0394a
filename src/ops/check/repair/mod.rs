//! Repairing a store: packs and caches made whole, history put back together, lost content taken from live folders, and
//! what stays lost marked.
//!
//! ```text
//! inspect -> facts that damaged places still tell -> plan -> (packs, facts, caches)            under the store's lock
//! inspect -> what snapshots lack -> search live folders -> store again -> mark what stays incomplete
//! ```
//!
//! Invariants:
//! - Nothing is deleted but caches: what cannot be used goes to `quarantine/`, under a name of its own.
//! - A dry run is the same run on an [`Overlay`], so what it tells is what a real one does; it changes nothing.
//! - Killed at any moment and run again, it finishes. A store that is whole is left alone.

mod facts;
mod late;
mod live;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::verify::{self, Affected, FindingKind, Key, Level, VerifyOptions};
use crate::disk::overlay::Overlay;
use crate::disk::{Disk, LockGuard};
use crate::error::Result;
use crate::format::facts::Fact;
use crate::format::pack::ObjectKind;
use crate::id::{SnapshotId, WorkspaceId, to_hex};
use crate::progress::Progress;
use crate::store::heal::find_flips;
use crate::store::inspect::{Depth, Inspection, check_objects, inspect, obstacles};
use crate::store::repair::{PackPlan, clear, complete_caches, keep_still, lock, perform, plan, turn_back};
use crate::store::{State, Store};
use crate::time::Timestamp;

/// How to repair.
#[derive(Clone, Copy)]
pub struct RepairOptions<'a> {
    /// Changes nothing: what would be written goes into files without a name in this folder.
    pub dry_run: Option<&'a Path>,
    /// Now.
    pub now: Timestamp,
    /// Who watches.
    pub progress: &'a dyn Progress,
}

/// What was done, or would be.
#[derive(Debug, Default)]
pub struct RepairOutcome {
    /// In the order in which it was done.
    pub actions: Vec<Action>,
    /// Whether it was done.
    pub is_done: bool,
    /// What could not be done or looked at, a line each.
    pub left: Vec<String>,
    /// Findings that a verify reports now; none where nothing was done.
    pub findings_left: Option<u64>,
    /// How many of them are about snapshots that are marked.
    pub findings_marked: u64,
}

/// One change to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The file that names the store is written again.
    Format {
        /// Why.
        detail: String,
    },
    /// Single bits of a pack are turned back; what they are part of matches its hash again.
    TurnBack {
        /// Its name.
        file: String,
        /// How many.
        bits: u64,
    },
    /// Facts are put back into history.
    History {
        /// What they tell, and who told it.
        detail: String,
    },
    /// A workspace is known again, but not where it is.
    Homeless {
        /// Which.
        workspace: WorkspaceId,
    },
    /// Objects are stored again that can be read only because something damaged is still there.
    Save {
        /// How many.
        objects: u64,
    },
    /// A pack is written anew.
    Rewrite {
        /// Its name.
        file: String,
        /// What is kept and what is given up.
        detail: String,
    },
    /// A file is put aside.
    Quarantine {
        /// Its name.
        file: String,
        /// Why.
        detail: String,
    },
    /// A cache is made again.
    Cache {
        /// Its name.
        file: String,
        /// Why.
        detail: String,
    },
    /// Lost objects are stored again from live folders.
    Reimport {
        /// How many, by kind.
        objects: BTreeMap<ObjectKind, u64>,
    },
    /// A snapshot of which nobody knows whose it was is given up.
    GiveUp {
        /// The first half of its id, in hex.
        snapshot: String,
    },
    /// A snapshot is marked incomplete, or no longer.
    Mark {
        /// Which.
        snapshot: SnapshotId,
        /// Its workspace and step, if it has a place in history.
        step: Option<(WorkspaceId, u64)>,
        /// Incomplete, or whole again.
        incomplete: bool,
    },
}

/// Repairs the store on `disk`.
pub fn repair(disk: &Arc<dyn Disk>, options: &RepairOptions<'_>) -> Result<RepairOutcome> {
    let Some(scratch) = options.dry_run else { return put_right(disk, options) };
    let _guard = keep_still(&**disk);
    let overlay: Arc<dyn Disk> = Arc::new(Overlay::new(Arc::clone(disk), scratch));
    put_right(&overlay, options)
}

fn put_right(disk: &Arc<dyn Disk>, options: &RepairOptions<'_>) -> Result<RepairOutcome> {
    let mut outcome = RepairOutcome { is_done: options.dry_run.is_none(), ..RepairOutcome::default() };
    let obstacles = obstacles(&**disk)?;
    let guard = lock(&**disk)?;
    clear(&**disk, &obstacles, &guard)?;
    let aside = obstacles.into_iter().map(|(file, detail)| Action::Quarantine { file, detail });
    outcome.actions.extend(aside);
    let mut inspection = mend(disk, guard, options, &mut outcome)?;
    let mut lost = lost_objects(&inspection, options)?;
    let mut searched = BTreeSet::new();
    // A folder that is there again shows what else is missing below it.
    while lost.objects.iter().any(|key| searched.insert(*key)) {
        searched.extend(lost.objects.iter().copied());
        if !bring_back(disk, &lost.objects, options, &mut outcome)? {
            break;
        }
        inspection = inspect(disk, Depth::Hashes, None)?;
        lost = lost_objects(&inspection, options)?;
    }
    if lost.has_others || !searched.is_empty() {
        drop_stat_caches(&**disk)?;
        inspection = give_up(disk, options, &mut outcome)?;
        lost = lost_objects(&inspection, options)?;
    }
    let state = inspection.reader.state();
    let marks = marks(&state, &lost.needed);
    let mut places: BTreeMap<SnapshotId, (WorkspaceId, u64)> = BTreeMap::new();
    for (workspace, step, id) in state.snapshots() {
        places.entry(id).or_insert((workspace.id, step));
    }
    outcome.actions.extend(marks.iter().map(|(snapshot, incomplete)| Action::Mark {
        snapshot: *snapshot,
        step: places.get(snapshot).copied(),
        incomplete: *incomplete,
    }));
    if outcome.is_done {
        finish(disk, &marks, &lost, options, &mut outcome)?;
    }
    Ok(outcome)
}

/// Plans and performs what there is to do about packs, facts and caches.
fn mend(
    disk: &Arc<dyn Disk>,
    guard: LockGuard,
    options: &RepairOptions<'_>,
    outcome: &mut RepairOutcome,
) -> Result<Inspection> {
    let mut inspection = inspect(disk, Depth::Hashes, Some(&guard))?;
    let flips = find_flips(&inspection)?;
    if !flips.is_empty() {
        let turned = flips.iter().map(|(number, flips)| (format!("packs/{number:06}.pack"), flips.len() as u64));
        outcome.actions.extend(turned.map(|(file, bits)| Action::TurnBack { file, bits }));
        turn_back(&**disk, &flips, &guard)?;
        inspection = inspect(disk, Depth::Hashes, Some(&guard))?;
    }
    let checked = check_objects(&inspection, &|_, _| true, options.progress)?;
    let recovered = facts::recover(&inspection, &checked, options.now)?;
    let packs = plan(&inspection, &checked, recovered.facts.clone(), false)?;
    let more = actions(&packs, &recovered);
    let is_whole = more.is_empty();
    outcome.actions.extend(more);
    outcome.left.extend(recovered.left);
    let is_overruled = |file: &String, end: &u64| {
        inspection.packs.iter().any(|pack| pack.file == *file && pack.overruled.contains(end))
    };
    let wrong = inspection.wrong_commits.iter().filter(|(file, end, _)| !is_overruled(file, end));
    outcome.left.extend(wrong.map(|(file, end, detail)| format!("the commit that ends at {end} in {file}: {detail}")));
    if is_whole {
        return Ok(inspection);
    }
    perform(&inspection, &packs, &guard)?;
    complete_caches(&Store::open(Arc::clone(disk))?, &guard)?;
    inspect(disk, Depth::Hashes, Some(&guard))
}

fn actions(packs: &PackPlan, recovered: &facts::Recovered) -> Vec<Action> {
    let mut actions: Vec<Action> = Vec::new();
    actions.extend(packs.format.iter().map(|detail| Action::Format { detail: detail.clone() }));
    actions.extend(recovered.sources.iter().map(|detail| Action::History { detail: detail.clone() }));
    actions.extend(recovered.unknown.iter().map(|workspace| Action::Homeless { workspace: *workspace }));
    actions.extend(recovered.given_up.iter().map(|prefix| Action::GiveUp { snapshot: to_hex(prefix) }));
    if !packs.objects.is_empty() {
        actions.push(Action::Save { objects: packs.objects.len() as u64 });
    }
    actions.extend(rewrites(packs));
    let strays = packs.strays.iter().cloned();
    actions.extend(strays.map(|(file, detail)| Action::Quarantine { file, detail }));
    let caches = packs.caches.iter().cloned();
    actions.extend(caches.map(|(file, detail)| Action::Cache { file, detail }));
    actions
}

fn rewrites(packs: &PackPlan) -> impl Iterator<Item = Action> {
    packs.rewrites.iter().map(|rewrite| {
        let (kept, lost, bytes) = (rewrite.kept, rewrite.lost, rewrite.damaged_bytes);
        let detail = if rewrite.is_too_long {
            "it is longer than a pack may be: what it holds goes into a new one".to_owned()
        } else if rewrite.overruled > 0 && bytes == 0 && lost == 0 {
            format!("{} of its commits are overruled by others: their facts are taken out", rewrite.overruled)
        } else if bytes > 0 {
            format!("{bytes} bytes are damaged: {kept} objects in them are kept, {lost} given up")
        } else if lost > 0 {
            format!("{lost} objects that cannot be read any more are given up")
        } else {
            "what is wrong with it costs nothing".to_owned()
        };
        Action::Rewrite { file: format!("packs/{:06}.pack", rewrite.number), detail }
    })
}

/// What snapshots need and cannot have.
struct Lost {
    /// They and what they rest on.
    objects: BTreeSet<Key>,
    /// Whether there is more that cannot be had, and that nobody needs.
    has_others: bool,
    /// The snapshots that need them.
    needed: BTreeSet<SnapshotId>,
    findings: u64,
    marked: u64,
}

fn lost_objects(inspection: &Inspection, options: &RepairOptions<'_>) -> Result<Lost> {
    let verify_options = VerifyOptions { level: Level::Full, progress: options.progress };
    let found = verify::examine(inspection, &verify_options)?;
    let mut lost =
        Lost { objects: BTreeSet::new(), has_others: false, needed: BTreeSet::new(), findings: 0, marked: 0 };
    lost.findings = found.findings.len() as u64;
    lost.marked = found.findings.iter().filter(|finding| finding.is_marked).count() as u64;
    for finding in found.findings.iter().filter(|finding| finding.kind == FindingKind::Object) {
        let Some((key, cause)) = finding.keys else { continue };
        if finding.affects.is_empty() {
            lost.has_others |= !finding.is_marked;
            continue;
        }
        lost.objects.extend([key, cause]);
        // What is in no pack may have been a list of chunks.
        if key.0 == ObjectKind::Content && !inspection.reader.contains_prefix(key.0, key.1) {
            lost.objects.insert((ObjectKind::ChunkList, key.1));
        }
        lost.needed.extend(finding.affects.iter().flat_map(|affected| snapshots(affected, &found.state)));
    }
    Ok(lost)
}

fn snapshots(affected: &Affected, state: &State) -> Vec<SnapshotId> {
    let workspace = affected.workspace.and_then(|id| state.workspaces.get(&id));
    let steps = workspace.into_iter().flat_map(|workspace| {
        affected.steps.iter().flat_map(|range| workspace.steps.range(range.clone()).map(|(_, id)| *id))
    });
    steps.chain(affected.snapshot).collect()
}

/// Looks for lost objects in live folders, and stores what is found. Whether anything was.
fn bring_back(
    disk: &Arc<dyn Disk>,
    lost: &BTreeSet<Key>,
    options: &RepairOptions<'_>,
    outcome: &mut RepairOutcome,
) -> Result<bool> {
    let RepairOptions { now, progress, .. } = *options;
    let search = live::Search { lost, now, progress };
    let searched = live::search(&Store::open(Arc::clone(disk))?, &search)?;
    outcome.left.extend(searched.skipped.into_iter().map(|why| format!("a folder was not searched: {why}")));
    if !searched.met.is_empty() {
        if !outcome.actions.iter().any(|action| matches!(action, Action::Reimport { .. })) {
            outcome.actions.push(Action::Reimport { objects: BTreeMap::new() });
        }
        for action in &mut outcome.actions {
            let Action::Reimport { objects } = action else { continue };
            searched.met.iter().for_each(|(kind, _)| *objects.entry(*kind).or_default() += 1);
        }
    }
    Ok(!searched.met.is_empty())
}

/// Takes out of the packs what rests on something that is lost for good: as long as it is there, a writer that meets the same
/// content again takes it for stored.
fn give_up(disk: &Arc<dyn Disk>, options: &RepairOptions<'_>, outcome: &mut RepairOutcome) -> Result<Inspection> {
    let guard = lock(&**disk)?;
    let inspection = inspect(disk, Depth::Hashes, Some(&guard))?;
    let checked = check_objects(&inspection, &|_, _| true, options.progress)?;
    if checked.bad.is_empty() {
        return Ok(inspection);
    }
    let packs = plan(&inspection, &checked, BTreeMap::new(), true)?;
    outcome.actions.extend(rewrites(&packs));
    perform(&inspection, &packs, &guard)?;
    complete_caches(&Store::open(Arc::clone(disk))?, &guard)?;
    inspect(disk, Depth::Hashes, Some(&guard))
}

/// What a stat cache says is in the store may be lost.
fn drop_stat_caches(disk: &dyn Disk) -> Result<()> {
    disk.list("workspaces")?.iter().try_for_each(|workspace| disk.remove(&format!("workspaces/{workspace}/stat")))
}

/// Snapshots whose mark changes.
fn marks(state: &State, incomplete: &BTreeSet<SnapshotId>) -> Vec<(SnapshotId, bool)> {
    let new = incomplete.difference(&state.incomplete).map(|id| (*id, true));
    let whole = state.incomplete.difference(incomplete).map(|id| (*id, false));
    new.chain(whole).collect()
}

/// Writes the marks, and says what a verify finds now.
fn finish(
    disk: &Arc<dyn Disk>,
    marks: &[(SnapshotId, bool)],
    lost: &Lost,
    options: &RepairOptions<'_>,
    outcome: &mut RepairOutcome,
) -> Result<()> {
    let store = Store::open(Arc::clone(disk))?;
    let time = options.now;
    for part in marks.chunks(late::MARKS_PER_COMMIT) {
        let fact = |(snapshot, incomplete): &(SnapshotId, bool)| Fact::SnapshotIncomplete {
            snapshot: *snapshot,
            incomplete: *incomplete,
            time,
        };
        store.record(|_| Ok(part.iter().map(fact).collect()))?;
    }
    if outcome.actions.is_empty() {
        (outcome.findings_left, outcome.findings_marked) = (Some(lost.findings), lost.marked);
        return Ok(());
    }
    let verify_options = VerifyOptions { level: Level::Full, progress: options.progress };
    let found = verify::verify(disk, &verify_options)?;
    outcome.findings_left = Some(found.findings.len() as u64);
    outcome.findings_marked = found.findings.iter().filter(|finding| finding.is_marked).count() as u64;
    Ok(())
}
