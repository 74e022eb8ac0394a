//! Checking a store against its ids: what is damaged, and whom it hurts.
//!
//! ```text
//! inspect (packs, commits, caches) -> objects (decoded, compared with their ids) -> walk (what snapshots need) -> findings
//! ```
//!
//! Every [`Finding`] is data. One about an object names the snapshots and paths that need it; one about bytes, facts or a
//! cache names the file. A cache that readers see to be unusable, and what a killed writer left, are notes: no finding.
//! Nothing is written and no lock is needed; what is committed meanwhile is not looked at.

mod findings;
mod walk;

use std::ops::RangeInclusive;

use crate::disk::Disk;
use crate::error::Result;
use crate::format::pack::ObjectKind;
use crate::id::{Digest, SnapshotId, WorkspaceId};
use crate::path::TreePath;
use crate::progress::Progress;
use crate::store::State;
use crate::store::inspect::{Checked, Depth, Inspection, check_objects, inspect};
use std::sync::Arc;
pub(in crate::ops) use walk::Key;

/// How to check.
#[derive(Clone, Copy)]
pub struct VerifyOptions<'a> {
    /// How closely.
    pub level: Level,
    /// Who watches.
    pub progress: &'a dyn Progress,
}

/// How closely to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Every object is decoded.
    Full,
    /// Only structure: pack headers, the framing of batches, caches, folders and snapshots, and that all they name is there.
    Quick,
    /// Every batch is compared with its hash, and this share of the objects is decoded.
    Sample {
        /// How many of a million.
        parts_per_million: u32,
        /// Chooses which.
        seed: u64,
    },
}

/// What was checked, and what was found.
#[derive(Debug)]
pub struct VerifyOutcome {
    /// Damage, in the order of files.
    pub findings: Vec<Finding>,
    /// What is worth saying and no damage.
    pub notes: Vec<String>,
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

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What sort of thing.
    pub kind: FindingKind,
    /// The file within the store, where there is one.
    pub file: Option<String>,
    /// Where in it, in bytes.
    pub offset: Option<u64>,
    /// The object, with its id or the first half of it.
    pub object: Option<(ObjectKind, String)>,
    /// What is wrong.
    pub detail: String,
    /// The object that is the reason, where it is another: the base of a delta.
    pub cause: Option<String>,
    /// The snapshots and paths that need it.
    pub affects: Vec<Affected>,
    /// Whether all of these snapshots are marked incomplete: a repair has seen it.
    pub is_marked: bool,
    /// The object that cannot be had and the one that is the reason, itself where it is no other.
    pub(in crate::ops) keys: Option<(Key, Key)>,
}

impl Finding {
    /// Whether it is about an object that can be had all the same.
    pub fn is_harmless(&self) -> bool {
        self.kind == FindingKind::Object && self.keys.is_none()
    }
}

/// What sort of thing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// Something stands where a file or a folder of the store should be.
    Place,
    /// The file that names the store.
    Format,
    /// A pack as a whole.
    Pack,
    /// Bytes of a pack.
    Bytes,
    /// Facts: history itself.
    Facts,
    /// An index or the journal, which readers would believe.
    Cache,
    /// An object is damaged or missing.
    Object,
}

/// Snapshots that need something in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affected {
    /// Whose; none where only a tag or a pin leads there.
    pub workspace: Option<WorkspaceId>,
    /// Which part of them.
    pub part: Part,
    /// Their steps. Those forgotten in between are not meant.
    pub steps: Vec<RangeInclusive<u64>>,
    /// The snapshot, where it is no step of a workspace.
    pub snapshot: Option<SnapshotId>,
}

/// A part of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// All of it.
    Snapshot,
    /// What is at a path, with all that is below it.
    Path(TreePath),
    /// The facts given with the step.
    Event,
    /// Modification times.
    Times,
    /// The list of what was not captured.
    Omitted,
    /// Owners, ACLs and extended attributes.
    Attributes,
    /// Its list of paths that were left out.
    LeftOut,
    /// The exclude list.
    Rules,
}

/// Checks the store on `disk`. Damage is no error: only what keeps the check from being made is.
pub fn verify(disk: &Arc<dyn Disk>, options: &VerifyOptions<'_>) -> Result<VerifyOutcome> {
    let depth = if options.level == Level::Quick { Depth::Frames } else { Depth::Hashes };
    let inspection = inspect(disk, depth, None)?;
    let mut outcome = examine(&inspection, options)?;
    outcome.notes.extend(findings::stat_cache_notes(&inspection)?);
    Ok(outcome)
}

/// Checks what an inspection has found.
pub(in crate::ops) fn examine(inspection: &Inspection, options: &VerifyOptions<'_>) -> Result<VerifyOutcome> {
    let checked = match options.level {
        Level::Full => check_objects(inspection, &|_, _| true, options.progress)?,
        Level::Quick => Checked::default(),
        Level::Sample { parts_per_million, seed } => check_objects(
            inspection,
            &|kind, prefix| is_drawn(kind, prefix, parts_per_million, seed),
            options.progress,
        )?,
    };
    let walked = walk::walk(inspection, &checked, options.level == Level::Full)?;
    let mut notes = inspection.notes.clone();
    if walked.is_cut_short {
        notes.push(
            "damage hurts more paths and steps than can be listed: of some steps it is only said that they are hurt"
                .into(),
        );
    }
    if checked.unhashed_lists > 0 {
        let count = checked.unhashed_lists;
        notes.push(format!("the contents of {count} very long files were checked chunk by chunk only, not as a whole"));
    }
    Ok(VerifyOutcome {
        findings: findings::findings(inspection, &walked),
        notes,
        state: inspection.reader.state(),
        packs: (inspection.packs.len() + inspection.unusable.len()) as u64,
        pack_bytes: inspection.packs.iter().map(|pack| pack.length_bytes).sum(),
        objects: inspection.object_count(),
        decoded_objects: checked.objects,
        decoded_bytes: checked.bytes,
        snapshots: walked.snapshots,
    })
}

/// Whether an object is in the sample.
fn is_drawn(kind: ObjectKind, prefix: &[u8; 16], parts_per_million: u32, seed: u64) -> bool {
    let drawn = Digest::of(&[&seed.to_le_bytes()[..], &[kind.code()], prefix].concat());
    let number = u64::from_le_bytes(*drawn.0.first_chunk().expect("a digest has 32 bytes"));
    number % 1_000_000 < u64::from(parts_per_million)
}

impl FindingKind {
    /// The word for it in output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Place => "place",
            Self::Format => "format",
            Self::Pack => "pack",
            Self::Bytes => "bytes",
            Self::Facts => "facts",
            Self::Cache => "cache",
            Self::Object => "object",
        }
    }
}

impl Part {
    /// The word for it in output; a path has its own.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Path(_) => "path",
            Self::Event => "event",
            Self::Times => "times",
            Self::Omitted => "omitted",
            Self::Attributes => "attributes",
            Self::LeftOut => "left-out",
            Self::Rules => "rules",
        }
    }
}
