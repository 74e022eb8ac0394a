//! Snapshot objects: a root tree, its parents, and the facts about the step (store-format.md, chapter 5).
//!
//! A snapshot stays small regardless of its step, because `log` reads all of them. Facts that can be long are
//! [`Attachment`]s, kept inside the snapshot up to 2 KiB and in a blob beyond: the event, the omitted paths, the
//! modification times, the attributes, and the excluded paths.

use serde::{Deserialize, Serialize};

use super::attributes::Owner;
use super::path_list::{decode_paths, encode_paths};
use super::{Malformed, compact};
use crate::id::{BlobId, Digest, SnapshotId, TreeId, WorkspaceId};
use crate::limits::{
    ATTACHMENT_INLINE_MAX_BYTES, LABEL_LENGTH_MAX_BYTES, MESSAGE_LENGTH_MAX_BYTES, PARENT_COUNT_MAX,
    SNAPSHOT_LENGTH_MAX_BYTES,
};
use crate::path::TreePath;
use crate::time::Timestamp;

/// Context of BLAKE3's `derive_key` mode for snapshot ids.
pub const SNAPSHOT_CONTEXT: &str = "retrograde 2026-11 snapshot v1";

const SNAPSHOT_VERSION: u8 = 1;

/// The state of a workspace at one step, and the facts about the step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The tree of the workspace's root folder.
    pub root: TreeId,
    /// Permission bits of the root folder itself, which no tree lists.
    pub root_mode: u16,
    /// The owner of the root folder, and of every path without another in `attributes`. `None` if owners are unknown,
    /// as in an imported history.
    pub root_owner: Option<Owner>,
    /// The preceding snapshots; empty for the first.
    pub parents: Vec<SnapshotId>,
    /// H(i) = BLAKE3(H(i-1), root(i)), along first parents; equal digests mean equal histories of states.
    pub history: Digest,
    /// The workspace it was taken in.
    pub workspace: WorkspaceId,
    /// The agent session it belongs to; `None` for the snapshots around a restore, which are no agent's work.
    pub run: Option<String>,
    /// Its number in the workspace, from 1.
    pub step: u64,
    /// The time at which it was taken.
    pub time: Timestamp,
    /// The reason why it was taken.
    pub cause: Cause,
    /// A comment by a person or agent; may be empty.
    pub message: String,
    /// Numbers of paths that differ from the first parent.
    pub changes: ChangeCounts,
    /// JSON facts of the step as given: agent, tool, input, exit code, session and tool-use ids.
    pub event: Attachment,
    /// Modification times of the files that changed.
    pub times: Attachment,
    /// Paths that were not captured, or not exactly.
    pub omitted: Attachment,
    /// Owners, ACLs and other attributes of paths that have any.
    pub attributes: Attachment,
    /// Paths excluded for another reason than their path.
    pub excluded: Attachment,
    /// The exclude list in force, as text, one rule a line.
    pub rules: BlobId,
    /// Paths that were recorded before and are excluded now, if there are any.
    pub dropped: Option<Dropped>,
    /// The state of the workspace's own git repository, if it has one.
    pub git: Option<GitState>,
}

/// The reason why a snapshot was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// A step of an agent or a person.
    Step,
    /// The state before a restore, so that it can be undone.
    BeforeRestore,
    /// An existing history was imported.
    Import,
    /// The state after a restore whose result is no recorded state: it restored only some paths, or kept some.
    AfterRestore,
}

/// Numbers of paths that differ from the first parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeCounts {
    /// Paths that the parent did not have.
    pub added: u64,
    /// Paths with other content, type or mode.
    pub modified: u64,
    /// Paths that only the parent has.
    pub deleted: u64,
}

/// Paths that are in an earlier state and still in the folder, but excluded now: by other rules, or because of new
/// files in the folder. Each snapshot repeats it, so that nobody has to search history for paths that are no longer
/// recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// The last snapshot before any of them was excluded. It may be deleted.
    pub base: SnapshotId,
    /// Their number, at least 1.
    pub count: u64,
    /// True if this snapshot is the first that lacks some of them: the parent's value is different.
    pub is_new: bool,
}

/// Bytes kept inside a snapshot, or in a blob if they are long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Attachment {
    /// No bytes.
    Empty,
    /// 1 to 2,048 bytes.
    Inline(Vec<u8>),
    /// More than 2,048 bytes.
    Blob(BlobId),
}

/// The HEAD of a git repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitState {
    /// The commit of git, in hex; `None` before the first.
    pub head: Option<String>,
    /// The branch; `None` when HEAD is detached.
    pub branch: Option<String>,
}

/// A path that a snapshot lacks, or does not hold exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Omission {
    /// The path.
    pub path: TreePath,
    /// The reason why it was omitted.
    pub reason: Reason,
}

/// The reason why a path was omitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// No permission to read it.
    Unreadable = 1,
    /// Neither file, folder nor symlink: a FIFO, socket or device.
    Special,
    /// Larger than the configured limit.
    TooLarge,
    /// It kept changing while being read: the bytes of the last read are kept, and may mix two states.
    Torn,
    /// It was listed, but gone when read.
    Vanished,
    /// Its name or path is longer than the format allows, or its folder is too deep.
    TooLong,
    /// The operating system reported an error while reading it.
    ReadError,
    /// Some attributes could not be read, or exceed the limits; everything else is recorded.
    Attributes,
}

impl Snapshot {
    /// All attachments: event, times, omitted paths, attributes, excluded paths.
    pub fn attachments(&self) -> [&Attachment; 5] {
        [&self.event, &self.times, &self.omitted, &self.attributes, &self.excluded]
    }
}

impl Attachment {
    /// Bytes kept inside; `None` if there are none, or they are in a blob.
    pub fn inline(&self) -> Option<&[u8]> {
        match self {
            Self::Inline(bytes) => Some(bytes),
            Self::Empty | Self::Blob(_) => None,
        }
    }

    /// The blob that holds the bytes, if they are long.
    pub fn blob(&self) -> Option<BlobId> {
        match self {
            Self::Blob(id) => Some(*id),
            Self::Empty | Self::Inline(_) => None,
        }
    }
}

impl Reason {
    /// All reasons. The value of each is its code in the list of omitted paths.
    const ALL: [Self; 8] = [
        Self::Unreadable,
        Self::Special,
        Self::TooLarge,
        Self::Torn,
        Self::Vanished,
        Self::TooLong,
        Self::ReadError,
        Self::Attributes,
    ];

    /// True if the path is in the tree all the same.
    pub fn is_captured(self) -> bool {
        matches!(self, Self::Torn | Self::Attributes)
    }
}

/// The id of an encoded snapshot.
pub fn snapshot_id(encoding: &[u8]) -> SnapshotId {
    SnapshotId(Digest(*blake3::Hasher::new_derive_key(SNAPSHOT_CONTEXT).update(encoding).finalize().as_bytes()))
}

/// The history digest of a snapshot with this root, whose first parent has the history digest `parent` (`None`: no
/// parent).
pub fn history_digest(parent: Option<Digest>, root: TreeId) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&parent.unwrap_or_default().0).update(&root.0.0);
    Digest(*hasher.finalize().as_bytes())
}

/// Encodes a snapshot. The caller keeps to the limits, see [`check`].
pub fn encode(snapshot: &Snapshot) -> Vec<u8> {
    let mut out = vec![SNAPSHOT_VERSION];
    out.extend_from_slice(&compact::encode(snapshot));
    out
}

/// Decodes a snapshot.
pub fn decode(bytes: &[u8]) -> Result<Snapshot, Malformed> {
    match bytes.split_first() {
        Some((&SNAPSHOT_VERSION, rest)) => {
            let snapshot = compact::decode(rest, SNAPSHOT_LENGTH_MAX_BYTES - 1)?;
            check(&snapshot)?;
            Ok(snapshot)
        }
        Some((0, _)) => Err(Malformed::new("a snapshot has version 0")),
        Some((&version, _)) => Err(Malformed::newer(u64::from(version))),
        None => Err(Malformed::new("a snapshot is empty")),
    }
}

/// Checks the limits that the encoding itself does not enforce.
pub fn check(snapshot: &Snapshot) -> Result<(), Malformed> {
    let inline_fits = |attachment: &Attachment| {
        attachment.inline().is_none_or(|bytes| (1..=ATTACHMENT_INLINE_MAX_BYTES).contains(&bytes.len()))
    };
    if snapshot.parents.len() > PARENT_COUNT_MAX {
        return Err(Malformed::new("a snapshot has too many parents"));
    }
    let is_named = |run: &String| !run.is_empty() && run.len() <= LABEL_LENGTH_MAX_BYTES;
    if !snapshot.run.as_ref().is_none_or(is_named) {
        return Err(Malformed::new("the name of a run is empty or too long"));
    }
    if snapshot.message.len() > MESSAGE_LENGTH_MAX_BYTES {
        return Err(Malformed::new("a message is too long"));
    }
    if snapshot.step == 0 || snapshot.root_mode & !super::tree::MODE_MASK != 0 {
        return Err(Malformed::new("a snapshot has step 0 or a mode of more than 12 bits"));
    }
    if snapshot.dropped.is_some_and(|dropped| dropped.count == 0) {
        return Err(Malformed::new("the number of dropped paths is 0"));
    }
    if !snapshot.attachments().into_iter().all(inline_fits) {
        return Err(Malformed::new("an inline attachment is empty or too long"));
    }
    Ok(())
}

/// Encodes the omitted paths, in ascending order, each once.
pub fn encode_omitted(omitted: &[Omission]) -> Vec<u8> {
    encode_paths(omitted, |omission| &omission.path, |out, omission| out.push(omission.reason as u8))
}

/// Decodes the output of [`encode_omitted`].
pub fn decode_omitted(bytes: &[u8]) -> Result<Vec<Omission>, Malformed> {
    decode_paths(bytes, |path, reader| {
        let code = reader.u8()?;
        let reason = Reason::ALL.into_iter().find(|reason| *reason as u8 == code);
        let reason = reason.ok_or_else(|| Malformed::new("a path is omitted for an unknown reason"))?;
        Ok(Omission { path, reason })
    })
}

/// Encodes the excluded paths, in ascending order, each once; a folder stands for everything in it.
pub fn encode_excluded(excluded: &[TreePath]) -> Vec<u8> {
    encode_paths(excluded, |path| path, |_, _| {})
}

/// Decodes the output of [`encode_excluded`].
pub fn decode_excluded(bytes: &[u8]) -> Result<Vec<TreePath>, Malformed> {
    decode_paths(bytes, |path, _| Ok(path))
}

/// Encodes paths and modification times, in ascending order of paths, each once.
pub fn encode_times(times: &[(TreePath, Timestamp)]) -> Vec<u8> {
    encode_paths(times, |time| &time.0, |out, time| out.extend_from_slice(&time.1.0.to_le_bytes()))
}

/// Decodes the output of [`encode_times`].
pub fn decode_times(bytes: &[u8]) -> Result<Vec<(TreePath, Timestamp)>, Malformed> {
    decode_paths(bytes, |path, reader| Ok((path, Timestamp(reader.i64()?))))
}
