//! Checking a store against its ids: the damage, and the steps and paths that it affects.
//!
//! ```text
//! inspect (packs, transactions, caches) -> objects (compared with their ids) -> walk (needs of snapshots) -> findings
//! ```
//!
//! Every [`Finding`] is data. One about an object names the snapshots and paths that need it; any other names a file or
//! a transaction. A cache that readers see to be unusable and the remains of a killed writer are notes, not findings.
//! Nothing is written and no lock is needed. Transactions that are recorded meanwhile are not checked.

mod damage;
mod lists;
mod walk;

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::disk::Disk;
use crate::error::Result;
use crate::format::pack::ObjectKey;
use crate::id::{Digest, SnapshotId, WorkspaceId};
use crate::path::TreePath;
use crate::progress::Progress;
use crate::store::State;
use crate::store::file::StoreFile;
use crate::store::inspect::{
    CacheProblem, Checked, Depth, Inspection, Note, Problem, ProblemKind, check_objects, inspect,
};
use crate::workspace::cache::{CacheKey, StatCache};
use damage::Damages;

/// Options of a check.
#[derive(Clone, Copy)]
pub struct VerifyOptions<'a> {
    /// The depth of the check.
    pub level: Level,
    /// Receives progress events.
    pub progress: &'a dyn Progress,
}

/// The depth of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Every object is decoded.
    Full,
    /// Only structure: pack headers, the framing of transactions, caches, folders, snapshots, and that all objects that
    /// they name are there.
    Quick,
    /// Every transaction is compared with its hash, and this share of the objects is decoded.
    Sample {
        /// The number of objects in a million.
        parts_per_million: u32,
        /// Chooses the objects.
        seed: u64,
    },
}

/// The extent and the result of a check.
#[derive(Debug)]
pub struct VerifyOutcome {
    /// Damage, in the order of files.
    pub findings: Vec<Finding>,
    /// Remarks that are no damage.
    pub notes: Vec<Note>,
    /// The state of the store, for the names of snapshots.
    pub state: Arc<State>,
    /// Pack files.
    pub packs: u64,
    /// Their bytes.
    pub pack_bytes: u64,
    /// Objects in them.
    pub objects: u64,
    /// Objects that were decoded one by one.
    pub decoded_objects: u64,
    /// Their bytes.
    pub decoded_bytes: u64,
    /// Snapshots whose folders were walked.
    pub snapshots: u64,
}

/// A problem, and the snapshots that it affects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The problem.
    pub problem: Problem,
    /// The snapshots and paths that need the damaged object.
    pub affects: Vec<Affected>,
    /// All of these snapshots are marked incomplete, or the object is recorded as lost: a repair has seen it.
    pub is_marked: bool,
}

impl Finding {
    /// The object that cannot be read and the one that is the cause, itself where it is no other; none where the
    /// finding is about something else, or about an object that is still readable.
    pub fn lost(&self) -> Option<(ObjectKey, ObjectKey)> {
        match &self.problem.kind {
            ProblemKind::Object(object) if !object.is_readable => {
                Some((object.key, object.cause.unwrap_or(object.key)))
            }
            _ => None,
        }
    }
}

/// Snapshots that need something in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affected {
    /// Their workspace; none if only a tag or a pin leads to them.
    pub workspace: Option<WorkspaceId>,
    /// The part of them that is affected.
    pub part: Part,
    /// Their steps, with gaps where steps were forgotten.
    pub steps: Vec<RangeInclusive<u64>>,
    /// The snapshot, where it is no step of a workspace.
    pub snapshot: Option<SnapshotId>,
}

/// A part of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// All of it.
    Snapshot,
    /// A path, with all that is below it.
    Path(TreePath),
    /// The facts given with the step.
    Event,
    /// Modification times.
    Times,
    /// The list of omitted paths.
    Omitted,
    /// Owners, ACLs and extended attributes.
    Attributes,
    /// The list of paths that were excluded for another reason than their path.
    Excluded,
    /// The exclude list.
    Rules,
}

impl Affected {
    /// The snapshots.
    pub fn snapshots(&self, state: &State) -> Vec<SnapshotId> {
        self.steps(state).map(|(_, id)| id).chain(self.snapshot).collect()
    }

    /// The steps with their snapshots.
    pub fn steps<'s>(&self, state: &'s State) -> impl Iterator<Item = (u64, SnapshotId)> + use<'s, '_> {
        let steps = self.workspace.and_then(|id| state.live_or_forgotten(id)).map(|found| &found.steps);
        self.steps.iter().flat_map(move |range| {
            steps.into_iter().flat_map(|steps| steps.range(range.clone()).map(|(step, id)| (*step, *id)))
        })
    }
}

/// Checks the store on `disk`. Damage is no error: only what keeps the check from being made is.
pub fn verify(disk: &Arc<dyn Disk>, options: &VerifyOptions<'_>) -> Result<VerifyOutcome> {
    let depth = if options.level == Level::Quick { Depth::Frames } else { Depth::Hashes };
    let inspection = inspect(disk, depth, None)?;
    let checked = match options.level {
        Level::Full => check_objects(&inspection, &|_| true, options.progress)?,
        Level::Quick => Checked::default(),
        Level::Sample { parts_per_million, seed } => {
            check_objects(&inspection, &|key| is_drawn(key, parts_per_million, seed), options.progress)?
        }
    };
    let mut outcome = examine(&inspection, &checked, options.level)?;
    outcome.notes.extend(unusable_stat_caches(&inspection));
    Ok(outcome)
}

/// Finds the snapshots and paths that the problems of a store affect.
pub(in crate::ops) fn examine(inspection: &Inspection, checked: &Checked, level: Level) -> Result<VerifyOutcome> {
    let mut damages = Damages::of(inspection, checked)?;
    let snapshots = walk::walk(&inspection.lenient_reader, &mut damages, level == Level::Full)?;
    let state = inspection.reader.state();
    let of_file =
        |problem: &Problem| Finding { problem: problem.clone(), affects: affected(problem), is_marked: false };
    let mut findings: Vec<Finding> = inspection.problems.iter().map(of_file).collect();
    findings.extend(damages.findings(&state));
    let mut notes = inspection.notes.clone();
    if damages.budget.is_spent() {
        notes.push(Note::CutShort);
    }
    if checked.unhashed_lists > 0 {
        notes.push(Note::NotHashedAsAWhole(checked.unhashed_lists));
    }
    let not_packs =
        inspection.problems.iter().filter(|problem| matches!(problem.kind, ProblemKind::NotAPack(_))).count();
    Ok(VerifyOutcome {
        findings,
        notes,
        state,
        packs: (inspection.packs.len() + not_packs) as u64,
        pack_bytes: inspection.packs.iter().map(|pack| pack.length_bytes).sum(),
        objects: inspection.object_count(),
        decoded_objects: checked.objects,
        decoded_bytes: checked.bytes,
        snapshots,
    })
}

/// The snapshots that a problem of history affects.
fn affected(problem: &Problem) -> Vec<Affected> {
    let one =
        |workspace, steps, snapshot| Affected { workspace: Some(workspace), part: Part::Snapshot, steps, snapshot };
    match &problem.kind {
        ProblemKind::OnlyInJournal(_, steps) => {
            steps.iter().map(|(workspace, step)| one(*workspace, [*step..=*step].into(), None)).collect()
        }
        ProblemKind::Unnamed(workspace, _, snapshot) => vec![one(*workspace, Vec::new(), Some(*snapshot))],
        _ => Vec::new(),
    }
}

/// Notes about unusable stat caches.
fn unusable_stat_caches(inspection: &Inspection) -> Vec<Note> {
    let (disk, store) = (inspection.reader.disk(), inspection.reader.id());
    let state = inspection.reader.state();
    let unusable = state.workspaces.keys().map(|id| (StoreFile::StatCache(*id), *id)).filter(|(file, workspace)| {
        let key = CacheKey { store, workspace: *workspace, generation: state.generation };
        disk.open(&file.to_string()).is_ok() && StatCache::load(disk, key).is_empty()
    });
    let problem = |file| Problem::of(file, ProblemKind::Cache(CacheProblem::Unusable(None)));
    unusable.map(|(file, _)| Note::Cache(problem(file))).collect()
}

/// True if an object is in the sample.
fn is_drawn(key: ObjectKey, parts_per_million: u32, seed: u64) -> bool {
    let drawn = Digest::of(&[&seed.to_le_bytes()[..], &[key.kind.code()], &key.prefix].concat());
    let number = u64::from_le_bytes(*drawn.0.first_chunk().expect("a digest has 32 bytes"));
    number % 1_000_000 < u64::from(parts_per_million)
}
