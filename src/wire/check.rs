//! Damage and repairs: `verify`, `repair`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{Id, Path, Version, words};
use crate::format::pack::ObjectKind as Kind;
use crate::id::{SnapshotId, to_hex};
use crate::ops::check::repair::{Action, RepairOutcome};
use crate::ops::check::verify::{Affected as Needed, Finding as Found, Part as SnapshotPart, VerifyOutcome};
use crate::store::State;
use crate::store::file::StoreFile;
use crate::store::inspect::ProblemKind as Problem;

/// A finding of damage. One line each; the last line has the totals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The kind of damage.
    pub finding: FindingKind,
    /// The file, as a path within the store.
    pub file: Option<String>,
    /// The offset in the file, in bytes.
    pub offset: Option<u64>,
    /// The numbers of the first and the last transaction that no pack has; null for other damage.
    pub transactions: Option<[u64; 2]>,
    /// The kind of the object.
    pub object: Option<ObjectKind>,
    /// The object's id, or the part of it that is known.
    pub id: Option<String>,
    /// True if the object can still be read.
    pub readable: Option<bool>,
    /// The damaged object that this one needs, because it is stored as a difference from it.
    pub cause: Option<String>,
    /// The problem in words.
    pub detail: String,
    /// True if a repair has dealt with it: all snapshots that need it are marked as incomplete, or it is recorded as
    /// lost.
    pub marked: bool,
    /// The snapshots and paths that need it.
    pub affects: Vec<Affected>,
}

impl Finding {
    /// A finding, with a sentence about the problem.
    pub fn new(finding: &Found, state: &State, detail: String) -> Self {
        let problem = &finding.problem;
        let object = match &problem.kind {
            Problem::Object(object) => Some(object),
            _ => None,
        };
        Self {
            finding: (&problem.kind).into(),
            file: problem.file.as_ref().map(ToString::to_string),
            offset: problem.offset,
            transactions: problem.transactions(),
            object: object.map(|object| object.key.kind.into()),
            id: object.map(|object| object.id.map_or_else(|| to_hex(&object.key.prefix), |id| id.to_string())),
            readable: object.map(|object| object.is_readable),
            cause: object.and_then(|object| object.cause).map(|cause| cause.to_string()),
            detail,
            marked: finding.is_marked,
            affects: finding.affects.iter().flat_map(|affected| each(affected, state)).collect(),
        }
    }
}

fn each(affected: &Needed, state: &State) -> Vec<Affected> {
    let (path, path_base64) = match &affected.part {
        SnapshotPart::Path(path) => {
            let Path { path, path_base64 } = path.into();
            (Some(path), path_base64)
        }
        _ => (None, None),
    };
    let one = |step: Option<u64>, snapshot: SnapshotId| Affected {
        workspace: affected.workspace.map(Id::of),
        step,
        snapshot: Id::of(snapshot),
        part: (&affected.part).into(),
        path: path.clone(),
        path_base64: path_base64.clone(),
    };
    let without_step = affected.snapshot.map(|id| one(None, id));
    affected.steps(state).map(|(step, id)| one(Some(step), id)).chain(without_step).collect()
}

words! {
    /// A kind of damage.
    FindingKind from &Problem {
        /// A path of the store that must be a file or a folder is something else.
        Place "place" = Problem::NotAFolder | Problem::NotAFile,
        /// The file that names the store is missing or damaged, or names another store.
        Format "format" = Problem::NoFormat | Problem::BadFormat(_) | Problem::OtherStore(..),
        /// A pack has lost its end or has a damaged header, or a file is no pack of this store.
        Pack "pack" = Problem::NotAPack(_) | Problem::Header | Problem::Cut(_),
        /// A range of bytes in a pack is damaged.
        Bytes "bytes" = Problem::DamagedRange { .. },
        /// A part of the history is lost, or only the journal has it.
        Facts "facts" = Problem::BadFacts(_) | Problem::LostTransactions(_) | Problem::OnlyInJournal(..)
            | Problem::Unnamed(..),
        /// A pack index, the journal or a stat cache is in use and differs from the packs.
        Cache "cache" = Problem::Cache(_),
        /// A stored object, or one copy of it, cannot be read: content, a list of chunks, a folder or a snapshot.
        Object "object" = Problem::Object(_),
    }
}

words! {
    /// A kind of object.
    ObjectKind from Kind {
        /// A file's content, or a chunk of it.
        Content "content" = Kind::Content,
        /// The list of a long file's chunks.
        ChunkList "chunk_list" = Kind::ChunkList,
        /// The list of a folder.
        Tree "tree" = Kind::Tree,
        /// A snapshot.
        Snapshot "snapshot" = Kind::Snapshot,
    }
}

/// A snapshot that needs the damaged object or file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Affected {
    /// Its workspace; null if only a tag or a pin leads to it.
    pub workspace: Option<Id>,
    /// Its number in the workspace.
    pub step: Option<u64>,
    /// The snapshot.
    pub snapshot: Id,
    /// The part of it that needs the object or file.
    pub part: Part,
    /// The path, if the part is `path`.
    pub path: Option<String>,
    /// The bytes of a path that is not UTF-8, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_base64: Option<String>,
}

words! {
    /// A part of a snapshot.
    Part from &SnapshotPart {
        /// All of it.
        Snapshot "snapshot" = SnapshotPart::Snapshot,
        /// A path, with all that is below it.
        Path "path" = SnapshotPart::Path(_),
        /// The event.
        Event "event" = SnapshotPart::Event,
        /// Modification times.
        Times "times" = SnapshotPart::Times,
        /// The list of omitted paths.
        Omitted "omitted" = SnapshotPart::Omitted,
        /// Owners, ACLs and extended attributes.
        Attributes "attributes" = SnapshotPart::Attributes,
        /// The list of excluded paths.
        Excluded "excluded" = SnapshotPart::Excluded,
        /// The rules.
        Rules "rules" = SnapshotPart::Rules,
    }
}

/// The totals of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verified {
    /// The version of the JSON shapes.
    pub version: Version,
    /// Number of findings.
    pub findings: u64,
    /// Findings with `marked`.
    pub marked: u64,
    /// Packs.
    pub packs: u64,
    /// Their bytes.
    pub pack_bytes: u64,
    /// Objects in them.
    pub objects: u64,
    /// Objects that were decoded.
    pub decoded_objects: u64,
    /// Their bytes.
    pub decoded_bytes: u64,
    /// Snapshots that were checked.
    pub snapshots: u64,
    /// Notes about things that are not damage.
    pub notes: Vec<String>,
    /// The time it took, in milliseconds.
    pub millis: u64,
}

impl Verified {
    /// The totals of a check, with its notes as sentences.
    pub fn new(found: &VerifyOutcome, notes: Vec<String>, millis: u64) -> Self {
        Self {
            version: Version,
            findings: found.findings.len() as u64,
            marked: found.findings.iter().filter(|finding| finding.is_marked).count() as u64,
            packs: found.packs,
            pack_bytes: found.pack_bytes,
            objects: found.objects,
            decoded_objects: found.decoded_objects,
            decoded_bytes: found.decoded_bytes,
            snapshots: found.snapshots,
            notes,
            millis,
        }
    }
}

/// An action of a repair. One line each; the last line has the totals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Repair {
    /// The action.
    pub action: RepairWord,
    /// The file, as a path within the store.
    pub file: Option<String>,
    /// The problem with the file, in words.
    pub problem: Option<String>,
    /// The workspace.
    pub workspace: Option<Id>,
    /// The number of the step.
    pub step: Option<u64>,
    /// The snapshot's id, or the part of it that is known.
    pub snapshot: Option<String>,
    /// The tag that the snapshot gets.
    pub tag: Option<String>,
    /// A number: of bits for `turn-back`, of lost objects for `rewrite`, else of transactions or objects.
    pub count: Option<u64>,
}

impl Repair {
    /// An action, with a sentence about the problem of its file.
    pub fn new(action: &Action, problem: Option<String>) -> Self {
        let file = match action {
            Action::TurnBack(pack, _) | Action::Rewrite { pack, .. } => Some(StoreFile::Pack(*pack)),
            _ => action.problem().and_then(|problem| problem.file.clone()),
        };
        let (workspace, step, snapshot, tag) = match action {
            Action::RecoverWorkspace(workspace, _) => (Some(*workspace), None, None, None),
            Action::RecoverSnapshot { workspace, step, snapshot, tag } => {
                (Some(*workspace), Some(*step), Some(snapshot.to_string()), tag.clone())
            }
            Action::KeepHead(workspace, step) => (Some(*workspace), Some(*step), None, None),
            Action::GiveUp(snapshot) | Action::FindAgain(snapshot) => {
                (None, None, Some(to_hex(&snapshot.prefix)), None)
            }
            Action::Mark { snapshot, step, .. } => {
                let (workspace, step) = step.unzip();
                (workspace, step, Some(snapshot.to_string()), None)
            }
            _ => (None, None, None, None),
        };
        let count = match action {
            Action::BringBack(objects) => Some(objects.values().sum()),
            Action::TurnBack(_, count)
            | Action::Save(count)
            | Action::RecoverTransactions(_, count)
            | Action::Rewrite { lost: count, .. } => Some(*count),
            _ => None,
        };
        Self {
            action: action.into(),
            file: file.map(|file| file.to_string()),
            problem,
            workspace: workspace.map(Id::of),
            step,
            snapshot,
            tag,
            count,
        }
    }
}

words! {
    /// A kind of repair.
    RepairWord from &Action {
        /// Writes the file that names the store again.
        Write "write" = Action::WriteFormat(_),
        /// Corrects single flipped bits of a pack.
        TurnBack "turn-back" = Action::TurnBack(..),
        /// Records transactions, a workspace or a snapshot again.
        Recover "recover" = Action::RecoverTransactions(..) | Action::RecoverWorkspace(..)
            | Action::RecoverSnapshot { .. } | Action::FindAgain(_),
        /// Makes a step that is newer than the recovered ones the head of its workspace again.
        Keep "keep" = Action::KeepHead(..),
        /// Records a snapshot as lost.
        GiveUp "give-up" = Action::GiveUp(_),
        /// Stores objects again that can only be read from damaged files.
        Save "save" = Action::Save(_),
        /// Writes a new pack without the damaged parts.
        Rewrite "rewrite" = Action::Rewrite { .. },
        /// Moves a file that does not belong to the store into `quarantine/`.
        PutAside "put-aside" = Action::PutAside(_),
        /// Rebuilds a pack index, the journal or a stat cache.
        Rebuild "rebuild" = Action::Rebuild(_),
        /// Stores lost objects again, from recorded folders that still have their content.
        BringBack "bring-back" = Action::BringBack(_),
        /// Marks a snapshot as incomplete.
        Mark "mark" = Action::Mark { incomplete: true, .. },
        /// Removes that mark.
        Unmark "unmark" = Action::Mark { incomplete: false, .. },
    }
}

/// The totals of a repair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Repaired {
    /// The version of the JSON shapes.
    pub version: Version,
    /// Number of actions.
    pub actions: u64,
    /// False for `--dry-run`.
    pub done: bool,
    /// The number of findings that remain; null for `--dry-run`.
    pub findings_left: Option<u64>,
    /// The number of these that are marked.
    pub findings_marked: u64,
    /// Repairs that were not possible, in words.
    pub left: Vec<String>,
    /// The time it took, in milliseconds.
    pub millis: u64,
}

impl Repaired {
    /// The totals of a repair, with sentences about repairs that were not possible.
    pub fn new(outcome: &RepairOutcome, left: Vec<String>, millis: u64) -> Self {
        Self {
            version: Version,
            actions: outcome.actions.len() as u64,
            done: outcome.is_done,
            findings_left: outcome.findings_left,
            findings_marked: outcome.findings_marked,
            left,
            millis,
        }
    }
}
