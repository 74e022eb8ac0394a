//! Facts: what became true at a commit (store-format.md, chapter 7).
//!
//! Every commit record in a pack carries the facts of its commit; the file `journal` is their copy in order. The state
//! of the store (workspaces, heads, tags, pins) is the fold of all facts, see `store::state`.

use serde::{Deserialize, Serialize};

use super::{Malformed, Reader, compact};
use crate::id::{Digest, SnapshotId, WorkspaceId};
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
        /// When.
        time: Timestamp,
    },
    /// The folder is somewhere else now.
    WorkspaceMoved {
        /// Which.
        workspace: WorkspaceId,
        /// Its new absolute path.
        root: Vec<u8>,
        /// When.
        time: Timestamp,
    },
    /// The folder is not recorded any more, and its snapshots have no name left.
    WorkspaceForgotten {
        /// Which.
        workspace: WorkspaceId,
        /// When.
        time: Timestamp,
    },
    /// A snapshot was taken, and is the head of its workspace and run.
    SnapshotTaken {
        /// Where.
        workspace: WorkspaceId,
        /// Which.
        snapshot: SnapshotId,
        /// Its number in the workspace.
        step: u64,
        /// Its run.
        run: String,
    },
    /// The workspace is being changed to a past state.
    RestoreBegun(Restore),
    /// The restore that was begun last in this workspace is over, and the head is where it leads.
    RestoreEnded {
        /// Where.
        workspace: WorkspaceId,
        /// When.
        time: Timestamp,
    },
    /// A name was given to a snapshot, or taken away.
    Tagged {
        /// The name.
        name: String,
        /// What it names now; none when it was deleted.
        snapshot: Option<SnapshotId>,
        /// When.
        time: Timestamp,
    },
    /// A snapshot was marked to be kept, or the mark was taken away.
    Pinned {
        /// Which.
        snapshot: SnapshotId,
        /// Marked or not.
        pinned: bool,
        /// When.
        time: Timestamp,
    },
    /// A snapshot lost its place in history; gc may delete it.
    SnapshotForgotten {
        /// Which.
        snapshot: SnapshotId,
        /// When.
        time: Timestamp,
    },
    /// Parts of a snapshot were found to be lost, or are there again.
    SnapshotIncomplete {
        /// Which.
        snapshot: SnapshotId,
        /// Lost, or there again.
        incomplete: bool,
        /// When.
        time: Timestamp,
    },
    /// A snapshot that cannot be had was given up: an index or a damaged record names it, and nothing says any more of
    /// which workspace it was, or which step; or it is there again.
    SnapshotLost {
        /// The first half of its id, which is all that records and indexes have of it.
        prefix: [u8; 16],
        /// Lost, or there again.
        lost: bool,
        /// When.
        time: Timestamp,
    },
}

/// A restore of a live workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// Where.
    pub workspace: WorkspaceId,
    /// The state that undoing it leads to, which is the one before it, or before the restore that was cut off and that
    /// it finishes or takes the place of; none when no safety snapshot was wanted.
    pub before: Option<SnapshotId>,
    /// The state it leads to.
    pub target: SnapshotId,
    /// Only these paths; all of them when empty.
    pub paths: Vec<Vec<u8>>,
    /// What asked for it.
    pub cause: RestoreCause,
    /// When.
    pub time: Timestamp,
}

/// What asked for a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestoreCause {
    /// `restore`.
    Restore,
    /// `undo`.
    Undo,
    /// `redo`.
    Redo,
    /// Going back from a restore that was cut off: what can be undone and redone stays as it was.
    Abort,
}

/// Encodes the facts of one commit.
pub fn encode(facts: &[Fact]) -> Vec<u8> {
    compact::encode(&facts)
}

/// Decodes the facts of one commit.
pub fn decode(bytes: &[u8]) -> Result<Vec<Fact>, Malformed> {
    let facts: Vec<Fact> = match decode_taken(bytes) {
        Some(taken) => vec![taken],
        None => compact::decode(bytes, FACTS_LENGTH_MAX_BYTES)?,
    };
    facts.iter().try_for_each(check)?;
    Ok(facts)
}

/// The facts of nearly every commit, which are that one snapshot was taken. `None` for others and for what is malformed.
///
/// Whoever opens a store reads all of its journal, and this takes a tenth of the time of [`compact::decode`], which goes
/// through ids byte by byte, and encodes all of it again to compare.
fn decode_taken(bytes: &[u8]) -> Option<Fact> {
    let mut reader = Reader::new(bytes.strip_prefix(&ONE_SNAPSHOT_TAKEN)?);
    let workspace = WorkspaceId(reader.array().ok()?);
    let snapshot = SnapshotId(Digest(reader.array().ok()?));
    let step = reader.uint().ok()?;
    let run = std::str::from_utf8(reader.bytes(LABEL_LENGTH_MAX_BYTES).ok()?).ok()?.to_owned();
    reader.rest().is_empty().then_some(Fact::SnapshotTaken { workspace, snapshot, step, run })
}

/// A list of one, of the variant 3.
const ONE_SNAPSHOT_TAKEN: [u8; 2] = [1, 3];

fn check(fact: &Fact) -> Result<(), Malformed> {
    let label = |text: &str| !text.is_empty() && text.len() <= LABEL_LENGTH_MAX_BYTES;
    let fits = match fact {
        Fact::WorkspaceAdded { root, .. } | Fact::WorkspaceMoved { root, .. } => {
            root.first() == Some(&b'/') && root.len() <= PATH_LENGTH_MAX_BYTES && !root.contains(&0)
        }
        Fact::SnapshotTaken { step, run, .. } => *step > 0 && label(run),
        Fact::Tagged { name, .. } => label(name),
        Fact::RestoreBegun(restore) => restore.paths.iter().all(|path| crate::path::TreePath::new(path).is_ok()),
        Fact::WorkspaceForgotten { .. }
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

    /// What is decoded by hand is what the other way decodes, whatever one byte of it is, wherever it is cut, and
    /// whatever follows it.
    #[test]
    fn both_ways_to_decode_agree() {
        for step in [1, 250, 251, 1 << 16, 1 << 32] {
            let (workspace, snapshot) = (WorkspaceId([7; 16]), SnapshotId(Digest([9; 32])));
            let fact = Fact::SnapshotTaken { workspace, snapshot, step, run: "größer".to_owned() };
            let encoded = encode(std::slice::from_ref(&fact));
            assert_eq!(decode_taken(&encoded), Some(fact));
            let changed = (0..encoded.len()).flat_map(|at| {
                let encoded = &encoded;
                (0..=u8::MAX).map(move |byte| [&encoded[..at], &[byte], &encoded[at + 1..]].concat())
            });
            let cut = (0..encoded.len()).map(|length| encoded[..length].to_vec());
            for bytes in changed.chain(cut).chain([[&encoded[..], &[0]].concat()]) {
                if let Some(taken) = decode_taken(&bytes) {
                    assert_eq!(compact::decode(&bytes, FACTS_LENGTH_MAX_BYTES), Ok(vec![taken]), "{bytes:?}");
                } else if let Ok(facts) = compact::decode::<Vec<Fact>>(&bytes, FACTS_LENGTH_MAX_BYTES) {
                    assert!(!matches!(facts[..], [Fact::SnapshotTaken { .. }]), "{bytes:?}");
                }
            }
        }
    }
}
