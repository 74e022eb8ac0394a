//! Owners and attributes of what a restore writes, out of the snapshot that it goes to.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::format::attributes::Owner;
use crate::format::snapshot::{Reason, Snapshot, decode_omitted};
use crate::limits::PATH_LIST_LENGTH_MAX_BYTES;
use crate::ops::look::attributed::Attributed;
use crate::ops::record::ingest::attached;
use crate::store::Store;
use crate::workspace::attributes::may_give_away;
use crate::workspace::materialize::Wanted;

/// For a live folder whose root belongs to `live`. Whoever may give files away gives each its owner; to anybody else
/// what belongs to the owner of the root folder is what belongs to the owner of the root folder there.
pub(super) fn in_place(store: &Store, target: &Snapshot, live: Owner) -> Result<Wanted> {
    let owner = if may_give_away() { target.root_owner.unwrap_or(live) } else { live };
    let omitted = attached(store, &target.omitted, PATH_LIST_LENGTH_MAX_BYTES as u64)?;
    let omitted = decode_omitted(&omitted).map_err(|e| e.during("read omitted paths of step", target.step))?;
    let partial = omitted.into_iter().filter(|one| one.reason == Reason::Attributes).map(|one| one.path).collect();
    Ok(Wanted { owner: Some(owner), partial, ..elsewhere(store, target)? })
}

/// For a folder elsewhere, where nothing is in place. Who may not give files away makes them his own, but for those
/// that had an owner of their own.
pub(super) fn elsewhere(store: &Store, target: &Snapshot) -> Result<Wanted> {
    let known = Attributed::of(store, target)?;
    let owner = known.root_owner.filter(|_| may_give_away());
    Ok(Wanted { owner, is_known: known.is_known(), list: known.list, partial: BTreeSet::new() })
}
