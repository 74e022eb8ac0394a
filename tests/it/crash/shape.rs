//! A store's state without what two runs of the same operations need not share: the times at which files were written,
//! which a snapshot holds, and with them the ids of snapshots.

use std::collections::BTreeMap;

use retrograde::format::facts::Restore;
use retrograde::format::snapshot::{Attachment, encode, snapshot_id};
use retrograde::id::SnapshotId;
use retrograde::store::{State, Store};

/// The state with every snapshot named by what it would be called if it held no times of files.
pub(super) fn shape(store: &Store) -> State {
    let mut known = BTreeMap::new();
    let mut plain = |id: SnapshotId| plain(store, id, &mut known);
    let mut state = (*store.state()).clone();
    state.pins = state.pins.iter().map(|id| plain(*id)).collect();
    state.incomplete = state.incomplete.iter().map(|id| plain(*id)).collect();
    let aside = state.forgotten.values_mut().map(|forgotten| &mut forgotten.workspace);
    for workspace in state.workspaces.values_mut().chain(aside) {
        workspace.head = workspace.head.map(&mut plain);
        workspace.steps.values_mut().chain(workspace.runs.values_mut()).for_each(|id| *id = plain(*id));
        workspace.tags.values_mut().for_each(|id| *id = plain(*id));
        workspace.timeline.recorded_mut().for_each(|id| *id = plain(*id));
        workspace.unfinished.iter_mut().for_each(|Restore { before, target, .. }| {
            *before = before.map(&mut plain);
            *target = plain(*target);
        });
    }
    state
}

/// A snapshot without times, on parents without times.
fn plain(store: &Store, id: SnapshotId, known: &mut BTreeMap<SnapshotId, SnapshotId>) -> SnapshotId {
    if let Some(plain) = known.get(&id) {
        return *plain;
    }
    let mut snapshot = (*store.snapshot(id).unwrap_or_else(|error| panic!("{id}: {error}"))).clone();
    snapshot.times = Attachment::Empty;
    snapshot.parents = snapshot.parents.iter().map(|parent| plain(store, *parent, known)).collect();
    let plain = snapshot_id(&encode(&snapshot));
    known.insert(id, plain);
    plain
}
