//! The last pass: it marks snapshots that lack something as incomplete, and takes marks off the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Action, Round};
use crate::error::Result;
use crate::format::facts::Fact;
use crate::id::{SnapshotId, WorkspaceId};
use crate::store::Store;

/// Marks of some 45 bytes each: far below the limit of a transaction.
const MARKS_PER_TRANSACTION: usize = 10_000;

pub(super) fn mark(round: &mut Round<'_>) -> Result<Vec<Action>> {
    let state = round.inspection.reader.state();
    let missed = round.found()?.findings.iter().filter(|finding| finding.lost().is_some());
    let lacking: BTreeSet<SnapshotId> =
        missed.flat_map(|finding| &finding.affects).flat_map(|affected| affected.snapshots(&state)).collect();
    let new = lacking.difference(&state.incomplete).map(|id| (*id, true));
    let whole = state.incomplete.difference(&lacking).map(|id| (*id, false));
    let marks: Vec<(SnapshotId, bool)> = new.chain(whole).collect();
    let mut steps: BTreeMap<SnapshotId, (WorkspaceId, u64)> = BTreeMap::new();
    for (workspace, step, id) in state.snapshots() {
        steps.entry(id).or_insert((workspace.id, step));
    }
    if marks.is_empty() {
        return Ok(Vec::new());
    }
    // Recording takes the lock again.
    round.guard = None;
    let time = round.options.now;
    for part in marks.chunks(MARKS_PER_TRANSACTION) {
        let fact = |(snapshot, incomplete): &(SnapshotId, bool)| Fact::SnapshotIncomplete {
            snapshot: *snapshot,
            incomplete: *incomplete,
            time,
        };
        Store::open(Arc::clone(round.disk))?.record(|_| Ok(part.iter().map(fact).collect()))?;
    }
    let action = |(snapshot, incomplete): (SnapshotId, bool)| Action::Mark {
        snapshot,
        step: steps.get(&snapshot).copied(),
        incomplete,
    };
    Ok(marks.into_iter().map(action).collect())
}
