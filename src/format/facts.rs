//! Facts: the statements that become true with a transaction (store-format.md, chapter 7).
//!
//! Every transaction in a pack carries its facts; the file `journal` is their copy in order. The state of the store
//! (workspaces, heads, tags, pins) is the fold of all facts, see `store::state`.

use serde::{Deserialize, Serialize};

use super::snapshot::Cause;
use super::{Malformed, Reader, compact};
use crate::id::{BlobId, Digest, SnapshotId, WorkspaceId};
use crate::limits::{FACTS_LENGTH_MAX_BYTES, LABEL_LENGTH_MAX_BYTES, PATH_LENGTH_MAX_BYTES};
use crate::time::Timestamp;

/// One statement that becomes true with a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// A folder is recorded from now on.
    WorkspaceAdded {
        /// Its id in the store.
        workspace: WorkspaceId,
        /// Its absolute path, resolved, as bytes.
        root: Vec<u8>,
        /// Time at which it became true.
        time: Timestamp,
    },
    /// The folder has a new path.
    WorkspaceMoved {
        /// The workspace.
        workspace: WorkspaceId,
        /// Its new absolute path.
        root: Vec<u8>,
        /// Time at which it became true.
        time: Timestamp,
    },
    /// The folder is no longer recorded, and its snapshots lost their names.
    WorkspaceForgotten {
        /// The workspace.
        workspace: WorkspaceId,
        /// Time at which it became true.
        time: Timestamp,
    },
    /// A snapshot was taken. It becomes the head of its workspace and of its run.
    SnapshotTaken {
        /// The workspace.
        workspace: WorkspaceId,
        /// The snapshot.
        snapshot: SnapshotId,
        /// Its number in the workspace.
        step: u64,
        /// The agent session it belongs to; `None` for the snapshots around a restore.
        run: Option<String>,
        /// The reason why it was taken, which decides how undo treats it.
        cause: Cause,
    },
    /// A restore of the workspace began.
    RestoreBegun(Restore),
    /// The last restore begun in this workspace is over.
    RestoreEnded {
        /// The workspace.
        workspace: WorkspaceId,
        /// The folder's new state, which becomes the head: the target, or a snapshot of the result. `None` if only some
        /// paths were restored and no snapshot was wanted; then the head stays.
        state: Option<SnapshotId>,
        /// Time at which it became true.
        time: Timestamp,
    },
    /// A tag was set or removed in a workspace. Another workspace may have a tag of the same name.
    Tagged {
        /// The workspace that has the tag; the snapshot may belong to another one.
        workspace: WorkspaceId,
        /// The name.
        name: String,
        /// The snapshot that it names; `None` if the tag was removed.
        snapshot: Option<SnapshotId>,
        /// Time at which it became true.
        time: Timestamp,
    },
    /// A snapshot was pinned, so that gc keeps it, or unpinned.
    Pinned {
        /// The snapshot.
        snapshot: SnapshotId,
        /// True if pinned.
        pinned: bool,
        /// Time at which it became true.
        time: Timestamp,
    },
    /// A snapshot lost its place in history; gc may delete it.
    SnapshotForgotten {
        /// The snapshot.
        snapshot: SnapshotId,
        /// Time at which it became true.
        time: Timestamp,
    },
    /// Parts of a snapshot were found to be lost, or are readable again.
    SnapshotIncomplete {
        /// The snapshot.
        snapshot: SnapshotId,
        /// True if lost, false if readable again.
        incomplete: bool,
        /// Time at which it became true.
        time: Timestamp,
    },
    /// A lost snapshot was given up, or is readable again. A pack index or a damaged record names it, but nothing says
    /// any more to which workspace and step it belonged.
    SnapshotLost {
        /// The first half of its id, which is all that records and pack indexes hold.
        prefix: [u8; 16],
        /// True if lost, false if readable again.
        lost: bool,
        /// Time at which it became true.
        time: Timestamp,
    },
    /// A call after a step changed nothing; its event is kept with that step.
    EventNoted {
        /// The workspace.
        workspace: WorkspaceId,
        /// The snapshot of the step.
        snapshot: SnapshotId,
        /// The event.
        event: BlobId,
        /// The run of the call.
        run: String,
        /// Time at which it became true.
        time: Timestamp,
    },
    /// A forgotten workspace is recorded again, with its history.
    WorkspaceRecalled {
        /// The workspace.
        workspace: WorkspaceId,
        /// Time at which it became true.
        time: Timestamp,
    },
    /// The identity of a workspace's folder was read. It identifies the folder if it appears at another path.
    FolderSeen {
        /// The workspace.
        workspace: WorkspaceId,
        /// The folder.
        folder: FolderIdentity,
        /// Time at which it became true.
        time: Timestamp,
    },
    /// Packs are about to be removed with the objects in them that nothing needs. From here on no reader relies on a
    /// copy of an object in one of them, nor on a stat cache that was made before.
    GenerationBegun {
        /// The generation of the store from here on. One that is not higher than the one before has no effect.
        generation: u64,
        /// The nonces of the packs.
        condemned: Vec<[u8; 16]>,
        /// Time at which it became true.
        time: Timestamp,
    },
}

/// The identity of a folder in the operating system, independent of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderIdentity {
    /// Device number of its file system, which may change when the system restarts.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Time of creation, if the file system keeps it.
    pub made: Option<Timestamp>,
    /// The identity of git's working tree, if it has a log: the first half of the BLAKE3 hash of the first line of the
    /// log of its `HEAD`. A copy has the same.
    pub git: Option<[u8; 16]>,
}

impl FolderIdentity {
    /// Returns true if both are the same folder. An inode number may be reused, so the times of creation must match
    /// too; if one is unknown, the devices must match instead.
    pub fn is_same(&self, other: &Self) -> bool {
        let is_one = match (self.made, other.made) {
            (Some(one), Some(other)) => one == other,
            _ => self.device == other.device,
        };
        self.inode == other.inode && is_one
    }
}

/// A restore of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The state that undo returns to: the one before this restore, or before an interrupted restore that it finishes
    /// or replaces. `None` if no safety snapshot was wanted.
    pub before: Option<SnapshotId>,
    /// The state it leads to.
    pub target: SnapshotId,
    /// The paths to restore; empty for all.
    pub paths: Vec<Vec<u8>>,
    /// The command that started it.
    pub cause: RestoreCause,
    /// Time at which it became true.
    pub time: Timestamp,
}

/// The command that started a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestoreCause {
    /// `restore`.
    Restore,
    /// `undo`.
    Undo {
        /// Number of states to go back, counted from the one before the current.
        count: u64,
    },
    /// `redo`.
    Redo {
        /// Number of undos to reverse.
        count: u64,
    },
    /// Returns to the state before an interrupted restore; undo and redo stay as they were.
    Abort,
}

/// The encoding of no facts.
pub const NONE: [u8; 1] = [0];

/// Encodes the facts of one transaction.
pub fn encode(facts: &[Fact]) -> Vec<u8> {
    compact::encode(&facts)
}

/// Decodes the facts of one transaction.
pub fn decode(bytes: &[u8]) -> Result<Vec<Fact>, Malformed> {
    let facts: Vec<Fact> = match decode_one(bytes) {
        Some(fact) => vec![fact],
        None => compact::decode(bytes, FACTS_LENGTH_MAX_BYTES)?,
    };
    check(&facts)?;
    Ok(facts)
}

/// Checks that [`decode`] accepts these facts.
pub fn check(facts: &[Fact]) -> Result<(), Malformed> {
    facts.iter().try_for_each(check_one)
}

/// Decodes the most common facts: one step of a run, or one noted event. `None` for all others, and for malformed
/// bytes.
///
/// Opening a store decodes its whole journal. This takes a tenth of the time of [`compact::decode`], which reads ids
/// byte by byte and then re-encodes everything to compare.
fn decode_one(bytes: &[u8]) -> Option<Fact> {
    let (&[count, variant], rest) = bytes.split_first_chunk()?;
    let mut reader = Reader::new(rest);
    let text = |reader: &mut Reader<'_>| {
        std::str::from_utf8(reader.bytes(LABEL_LENGTH_MAX_BYTES).ok()?).ok().map(ToOwned::to_owned)
    };
    let is_known = count == 1 && [SNAPSHOT_TAKEN, EVENT_NOTED].contains(&variant);
    let workspace = WorkspaceId(is_known.then(|| reader.array().ok())??);
    let snapshot = SnapshotId(Digest(reader.array().ok()?));
    let fact = if variant == SNAPSHOT_TAKEN {
        let step = reader.uint().ok()?;
        let [HAS_RUN] = reader.array().ok()? else { return None };
        let run = Some(text(&mut reader)?);
        let [CAUSE_STEP] = reader.array().ok()? else { return None };
        Fact::SnapshotTaken { workspace, snapshot, step, run, cause: Cause::Step }
    } else {
        let event = BlobId(Digest(reader.array().ok()?));
        let run = text(&mut reader)?;
        let time = reader.uint().ok()?;
        Fact::EventNoted { workspace, snapshot, event, run, time: Timestamp(from_zigzag(time)) }
    };
    reader.rest().is_empty().then_some(fact)
}

/// Numbers of enum variants.
const SNAPSHOT_TAKEN: u8 = 3;
const EVENT_NOTED: u8 = 11;

/// 0, 1, 2, 3, .. to 0, -1, 1, -2, ..
fn from_zigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// The tag of an optional value that is present.
const HAS_RUN: u8 = 1;

/// The variant [`Cause::Step`].
const CAUSE_STEP: u8 = 0;

fn check_one(fact: &Fact) -> Result<(), Malformed> {
    let label = |text: &str| !text.is_empty() && text.len() <= LABEL_LENGTH_MAX_BYTES;
    let fits = match fact {
        Fact::WorkspaceAdded { root, .. } | Fact::WorkspaceMoved { root, .. } => {
            root.first() == Some(&b'/') && root.len() <= PATH_LENGTH_MAX_BYTES && !root.contains(&0)
        }
        Fact::SnapshotTaken { step, run, .. } => *step > 0 && run.as_deref().is_none_or(label),
        Fact::EventNoted { run, .. } => label(run),
        Fact::Tagged { name, .. } => label(name),
        Fact::RestoreBegun(restore) => restore.paths.iter().all(|path| crate::path::TreePath::new(path).is_ok()),
        Fact::WorkspaceForgotten { .. }
        | Fact::WorkspaceRecalled { .. }
        | Fact::FolderSeen { .. }
        | Fact::RestoreEnded { .. }
        | Fact::Pinned { .. }
        | Fact::SnapshotIncomplete { .. }
        | Fact::SnapshotLost { .. }
        | Fact::GenerationBegun { .. }
        | Fact::SnapshotForgotten { .. } => true,
    };
    if fits { Ok(()) } else { Err(Malformed::new("a fact is outside its limits")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both decoders agree on every value of each byte, on every truncation, and on trailing bytes.
    #[test]
    fn both_ways_to_decode_agree() {
        let (workspace, snapshot, run) = (WorkspaceId([7; 16]), SnapshotId(Digest([9; 32])), "größer");
        let (of_run, cause) = (|| Some(run.to_owned()), Cause::Step);
        let taken = |step| Fact::SnapshotTaken { workspace, snapshot, step, run: of_run(), cause };
        let event = BlobId(Digest([8; 32]));
        let noted = |time| Fact::EventNoted { workspace, snapshot, event, run: run.to_owned(), time: Timestamp(time) };
        let steps = [1, 250, 251, 1 << 16, 1 << 32].map(taken);
        let times = [0, 1, -1, 200, -70_000, i64::MAX, i64::MIN].map(noted);
        for fact in steps.into_iter().chain(times) {
            let encoded = encode(std::slice::from_ref(&fact));
            assert_eq!(decode_one(&encoded), Some(fact));
            let changed = (0..encoded.len()).flat_map(|at| {
                let encoded = &encoded;
                (0..=u8::MAX).map(move |byte| [&encoded[..at], &[byte], &encoded[at + 1..]].concat())
            });
            let cut = (0..encoded.len()).map(|length| encoded[..length].to_vec());
            for bytes in changed.chain(cut).chain([[&encoded[..], &[0]].concat()]) {
                if let Some(one) = decode_one(&bytes) {
                    assert_eq!(compact::decode(&bytes, FACTS_LENGTH_MAX_BYTES), Ok(vec![one]), "{bytes:?}");
                } else if let Ok(facts) = compact::decode::<Vec<Fact>>(&bytes, FACTS_LENGTH_MAX_BYTES) {
                    let is_step = matches!(facts[..], [Fact::SnapshotTaken { run: Some(_), cause: Cause::Step, .. }]);
                    let is_common = is_step || matches!(facts[..], [Fact::EventNoted { .. }]);
                    assert!(!is_common, "{bytes:?}");
                }
            }
        }
    }
}
