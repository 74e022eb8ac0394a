//! Facts: the things that became true with a transaction (store-format.md, chapter 7).
//!
//! Every transaction in a pack carries its facts; the file `journal` is their copy in order. The state of the store
//! (workspaces, heads, tags, pins) is the fold of all facts, see `store::state`.

use serde::{Deserialize, Serialize};

use super::snapshot::Cause;
use super::{Malformed, Reader, compact};
use crate::id::{BlobId, Digest, SnapshotId, WorkspaceId};
use crate::limits::{FACTS_LENGTH_MAX_BYTES, LABEL_LENGTH_MAX_BYTES, PATH_LENGTH_MAX_BYTES};
use crate::time::Timestamp;

/// One thing that became true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// A folder is recorded from now on.
    WorkspaceAdded {
        /// Its name in the store.
        workspace: WorkspaceId,
        /// Its absolute path, resolved, as bytes.
        root: Vec<u8>,
        /// Time at which it became true.
        time: Timestamp,
    },
    /// The folder is somewhere else now.
    WorkspaceMoved {
        /// The workspace.
        workspace: WorkspaceId,
        /// Its new absolute path.
        root: Vec<u8>,
        /// Time at which it became true.
        time: Timestamp,
    },
    /// The folder is not recorded any more, and its snapshots have no name left.
    WorkspaceForgotten {
        /// The workspace.
        workspace: WorkspaceId,
        /// Time at which it became true.
        time: Timestamp,
    },
    /// A snapshot was taken, and is the head of its workspace and of its run.
    SnapshotTaken {
        /// The workspace.
        workspace: WorkspaceId,
        /// The snapshot.
        snapshot: SnapshotId,
        /// Its number in the workspace.
        step: u64,
        /// The agent session it belongs to; none for the snapshots around a restore.
        run: Option<String>,
        /// The reason why it was taken, which decides what an undo makes of it.
        cause: Cause,
    },
    /// The workspace is being changed to a past state.
    RestoreBegun(Restore),
    /// The restore that was begun last in this workspace is over.
    RestoreEnded {
        /// The workspace.
        workspace: WorkspaceId,
        /// The state the folder is in now, which becomes the head: the target, or a snapshot of what came of it. None
        /// where some paths were restored and nobody wanted a snapshot: then the head stays.
        state: Option<SnapshotId>,
        /// Time at which it became true.
        time: Timestamp,
    },
    /// A name was given to a snapshot in a workspace, or taken away. Another workspace may have a tag of the same name.
    Tagged {
        /// The workspace that the name belongs to; the snapshot may be of another one.
        workspace: WorkspaceId,
        /// The name.
        name: String,
        /// The snapshot that it names now; none when the name was taken away.
        snapshot: Option<SnapshotId>,
        /// Time at which it became true.
        time: Timestamp,
    },
    /// A snapshot was marked to be kept, or the mark was taken away.
    Pinned {
        /// The snapshot.
        snapshot: SnapshotId,
        /// Marked or not.
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
    /// Parts of a snapshot were found to be lost, or are there again.
    SnapshotIncomplete {
        /// The snapshot.
        snapshot: SnapshotId,
        /// Lost, or there again.
        incomplete: bool,
        /// Time at which it became true.
        time: Timestamp,
    },
    /// A snapshot that cannot be had was given up: an index or a damaged record names it, and nothing says any more of
    /// which workspace it was, or which step; or it is there again.
    SnapshotLost {
        /// The first half of its id, which is all that records and indexes have of it.
        prefix: [u8; 16],
        /// Lost, or there again.
        lost: bool,
        /// Time at which it became true.
        time: Timestamp,
    },
    /// A call followed a step and changed nothing: its event is kept with that step.
    EventNoted {
        /// The workspace.
        workspace: WorkspaceId,
        /// The step.
        snapshot: SnapshotId,
        /// The event.
        event: BlobId,
        /// The run of the call.
        run: String,
        /// Time at which it became true.
        time: Timestamp,
    },
    /// A workspace that was forgotten is recorded again, with its history as it was.
    WorkspaceRecalled {
        /// The workspace.
        workspace: WorkspaceId,
        /// Time at which it became true.
        time: Timestamp,
    },
    /// A workspace's folder was looked at, and is this one: by that it is known when it is found at another path.
    FolderSeen {
        /// The workspace.
        workspace: WorkspaceId,
        /// The folder.
        folder: FolderIdentity,
        /// Time at which it became true.
        time: Timestamp,
    },
}

/// A folder of the operating system, whatever its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderIdentity {
    /// Number of the device of its file system, which another start of the system may change.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Time of its creation, where the file system keeps that.
    pub made: Option<Timestamp>,
    /// The identity of git's working tree, if it is one that has a log: the first half of the BLAKE3 hash of the first
    /// line of the log of its `HEAD`. A copy has the same.
    pub git: Option<[u8; 16]>,
}

impl FolderIdentity {
    /// True if both are one folder. An inode number may be given out again, so the times of creation have to match;
    /// where one is not known, the devices have to match instead.
    pub fn is_same(&self, other: &Self) -> bool {
        let is_one = match (self.made, other.made) {
            (Some(one), Some(other)) => one == other,
            _ => self.device == other.device,
        };
        self.inode == other.inode && is_one
    }
}

/// A restore of a live workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The state that undoing it leads to, which is the one before it, or before the restore that was cut off and that
    /// it finishes or takes the place of; none when no safety snapshot was wanted.
    pub before: Option<SnapshotId>,
    /// The state it leads to.
    pub target: SnapshotId,
    /// Only these paths; all of them when empty.
    pub paths: Vec<Vec<u8>>,
    /// The command that asked for it.
    pub cause: RestoreCause,
    /// Time at which it became true.
    pub time: Timestamp,
}

/// The command that asked for a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestoreCause {
    /// `restore`.
    Restore,
    /// `undo`.
    Undo {
        /// Number of states of the folder that it goes back, counted from the one right before it.
        count: u64,
    },
    /// `redo`.
    Redo {
        /// Number of undos that it takes back.
        count: u64,
    },
    /// Going back from a restore that was cut off: what can be undone and redone stays as it was.
    Abort,
}

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
    facts.iter().try_for_each(check)?;
    Ok(facts)
}

/// Decodes the most common facts: one step of a run was taken, or one event was noted. `None` for all others, and for
/// malformed bytes.
///
/// Opening a store decodes its whole journal. This takes a tenth of the time of [`compact::decode`], which goes through
/// ids byte by byte, and encodes all of it again to compare.
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

/// Numbers of variants.
const SNAPSHOT_TAKEN: u8 = 3;
const EVENT_NOTED: u8 = 11;

/// 0, 1, 2, 3, .. to 0, -1, 1, -2, ..
fn from_zigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// An optional value that is there.
const HAS_RUN: u8 = 1;

/// The variant [`Cause::Step`].
const CAUSE_STEP: u8 = 0;

fn check(fact: &Fact) -> Result<(), Malformed> {
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
        | Fact::SnapshotForgotten { .. } => true,
    };
    if fits { Ok(()) } else { Err(Malformed::new("a fact is outside its limits")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both decoders agree on every value of one byte, on every cut, and on bytes that follow.
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
