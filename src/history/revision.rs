//! Revisions: the ways to name a snapshot, and ranges of snapshots.
//!
//! ```text
//! TAG             the snapshot with that tag
//! @               where the workspace stands: the last one taken or restored
//! @{TIME}         the last one of the workspace at or before TIME: `@{10 minutes ago}`, `@{2026-11-20 10:30}`
//! s12             step 12 of the workspace
//! run:NAME        the last of that run; of the workspace first, then of the others if only one has such a run
//! 3f2a            the one whose id begins with these digits, four or more; all 64 find any snapshot of the store
//! REV-  REV-3     the first parent, the third along first parents; may be repeated
//!
//! A..B            what follows A up to B, along the first parents of B; A must be among them
//! A..  ..B  ..    up to where the workspace stands; from the first; both
//! ```
//!
//! The forms are tried in this order, on the whole text before an offset is taken off: `v1-2` is the tag of that name
//! where there is one, and two before `v1` where there is none. Names of new tags are checked so that they cannot read
//! as another form ([`super::name`]).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::LoadSnapshot;
use super::graph::Ancestry;
pub use super::name::{check_run_name, check_tag_name};
use super::name::{split_offset, step_number};
use crate::error::{Error, ErrorKind, Result};
use crate::format::snapshot::Snapshot;
use crate::id::{HexPrefix, SnapshotId, WorkspaceId};
use crate::path::escaped;
use crate::store::{State, Store, Workspace};
use crate::time::Timestamp;

/// What revisions are resolved against.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Reads snapshots.
    pub load: &'a LoadSnapshot<'a>,
    /// The facts of the store.
    pub state: &'a State,
    /// The workspace that steps and `@` belong to.
    pub workspace: Option<WorkspaceId>,
    /// What `10 minutes ago` is relative to.
    pub now: Timestamp,
}

/// Snapshots from one to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The snapshot before the first one; `None` where the range begins with history.
    pub after: Option<SnapshotId>,
    /// The last one.
    pub last: SnapshotId,
    /// All of them, oldest first; none where `after` is the last one itself.
    pub snapshots: Vec<SnapshotId>,
}
