//! Names, pins and recorded folders: `tag`, `pin`, `workspace`.

use std::path::Path as StdPath;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{Id, Time, Version, WorkspaceFolder};
use crate::format::snapshot::Snapshot;
use crate::id::{SnapshotId, WorkspaceId};
use crate::ops::record::register::Forgetting;
use crate::store::Workspace as Recorded;

/// A tag. One line each; outside of a workspace the tags of all workspaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tag {
    /// The name.
    pub tag: String,
    /// The snapshot it names.
    pub snapshot: Id,
    /// Its number in the workspace; null if it is no step there.
    pub step: Option<u64>,
    /// The workspace of the tag.
    pub workspace: Id,
}

impl Tag {
    /// A tag of a workspace.
    pub fn new(tag: &str, snapshot: SnapshotId, step: Option<u64>, workspace: WorkspaceId) -> Self {
        Self { tag: tag.to_owned(), snapshot: Id::of(snapshot), step, workspace: Id::of(workspace) }
    }
}

/// A tag that was given or deleted. One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tagged {
    /// The version of the JSON shapes.
    pub version: Version,
    /// The name.
    pub tag: String,
    /// The snapshot it names; null if the tag was deleted.
    pub snapshot: Option<Id>,
}

impl Tagged {
    /// A tag, and the snapshot that it names now.
    pub fn new(tag: &str, snapshot: Option<SnapshotId>) -> Self {
        Self { version: Version, tag: tag.to_owned(), snapshot: snapshot.map(Id::of) }
    }
}

/// A pin that was set or removed. One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pinned {
    /// The version of the JSON shapes.
    pub version: Version,
    /// The snapshot.
    pub snapshot: Id,
    /// True if it is kept whatever the storage budget.
    pub pinned: bool,
    /// False if the pin was already set, or already absent.
    pub changed: bool,
}

impl Pinned {
    /// The result of `pin`.
    pub fn new(snapshot: SnapshotId, pinned: bool, changed: bool) -> Self {
        Self { version: Version, snapshot: Id::of(snapshot), pinned, changed }
    }
}

/// A recorded folder. One line each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Workspace {
    /// The workspace and its folder.
    #[serde(flatten)]
    pub folder: WorkspaceFolder,
    /// True if the folder is there.
    pub exists: bool,
    /// Number of its snapshots.
    pub snapshots: u64,
    /// The number of the step taken last.
    pub last_step: u64,
    /// The snapshot at which the folder stands.
    pub head: Option<Id>,
    /// The time of that snapshot.
    pub time: Option<Time>,
}

impl Workspace {
    /// A recorded folder; `head` is the snapshot at which it stands, if that can be read.
    pub fn new(workspace: &Recorded, exists: bool, head: Option<&Snapshot>) -> Self {
        Self {
            folder: workspace.into(),
            exists,
            snapshots: workspace.steps.len() as u64,
            last_step: workspace.last_step,
            head: workspace.head.map(Id::of),
            time: head.map(|head| head.time.into()),
        }
    }
}

/// A workspace that was forgotten. One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Forgotten {
    /// The version of the JSON shapes.
    pub version: Version,
    /// The workspace and its folder.
    #[serde(flatten)]
    pub folder: WorkspaceFolder,
    /// Number of its snapshots.
    pub snapshots: u64,
    /// Number of its runs.
    pub runs: u64,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its last snapshot. Full ids still open all of its snapshots.
    pub last: Option<Id>,
    /// Its pinned snapshots.
    pub pinned: Vec<Id>,
    /// Tags of other workspaces that name one of its snapshots.
    pub tagged_elsewhere: Vec<String>,
    /// False for `--dry-run`.
    pub forgotten: bool,
}

impl Forgotten {
    /// The result of `forget_workspace`.
    pub fn new(workspace: &Recorded, what: &Forgetting, forgotten: bool) -> Self {
        Self {
            version: Version,
            folder: workspace.into(),
            snapshots: what.steps,
            runs: what.runs,
            tags: what.tags.clone(),
            last: what.last.map(Id::of),
            pinned: what.pinned.iter().map(Id::of).collect(),
            tagged_elsewhere: what.tagged_elsewhere.clone(),
            forgotten,
        }
    }
}

/// A forgotten workspace that is recorded again. One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recalled {
    /// The version of the JSON shapes.
    pub version: Version,
    /// The workspace and its folder.
    #[serde(flatten)]
    pub folder: WorkspaceFolder,
    /// Number of its snapshots.
    pub snapshots: u64,
    /// False for `--dry-run`.
    pub recalled: bool,
}

impl Recalled {
    /// A workspace that comes back.
    pub fn new(workspace: &Recorded, recalled: bool) -> Self {
        let snapshots = workspace.steps.len() as u64;
        Self { version: Version, folder: workspace.into(), snapshots, recalled }
    }
}

/// A workspace whose folder has been moved. One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Moved {
    /// The version of the JSON shapes.
    pub version: Version,
    /// The workspace and its folder.
    #[serde(flatten)]
    pub folder: WorkspaceFolder,
    /// The number of steps of another workspace that `--join` appended.
    pub joined: u64,
}

impl Moved {
    /// A workspace at its new path.
    pub fn new(workspace: WorkspaceId, root: &StdPath, joined: u64) -> Self {
        let folder = WorkspaceFolder::of(workspace, root.as_os_str().as_encoded_bytes());
        Self { version: Version, folder, joined }
    }
}
