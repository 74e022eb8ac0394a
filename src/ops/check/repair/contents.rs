//! The pass that searches live folders for lost content.
//!
//! Every file of every live workspace is read, into a batch that takes only lost objects: contents and chunks by their
//! hash, whatever their path, and the trees of unchanged folders. Stat caches are not used, and other files leave no
//! trace. A recovered folder shows more missing objects below it: the next round searches for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Action, Left, Round, packs};
use crate::error::{ErrorKind, Result};
use crate::format::pack::{ObjectKey, ObjectKind};
use crate::ops::record::capture::{CaptureOptions, capture_afresh};
use crate::ops::record::folder::{lock_workspace, open_root};
use crate::ops::record::ingest;
use crate::ops::record::settings::settings;
use crate::store::Store;

/// Stores lost objects of live folders again.
pub(super) fn bring_back(round: &mut Round<'_>) -> Result<Vec<Action>> {
    let lost = lost_objects(round)?;
    if lost.is_subset(&round.searched) {
        return Ok(Vec::new());
    }
    round.searched.extend(&lost);
    // Storing something takes the lock again. This round does nothing else.
    round.guard = None;
    let met = search(round, &lost)?;
    let mut objects: BTreeMap<ObjectKind, u64> = BTreeMap::new();
    met.iter().for_each(|key| *objects.entry(key.kind).or_default() += 1);
    Ok(if objects.is_empty() { Vec::new() } else { vec![Action::BringBack(objects)] })
}

/// Removes objects that stay lost from the packs, with all their deltas: otherwise a writer would take the same content
/// for stored.
pub(super) fn give_up(round: &mut Round<'_>) -> Result<Vec<Action>> {
    if lost_objects(round)?.is_empty() && round.checked()?.bad.is_empty() {
        return Ok(Vec::new());
    }
    // Stat caches may list lost objects as stored.
    for workspace in round.disk.list("workspaces")? {
        round.disk.remove(&format!("workspaces/{workspace}/stat"))?;
    }
    packs::write_anew(round, true)
}

/// Unreadable objects that snapshots need, and the objects that are the cause.
fn lost_objects(round: &Round<'_>) -> Result<BTreeSet<ObjectKey>> {
    let mut lost = BTreeSet::new();
    for finding in round.found()?.findings.iter().filter(|finding| !finding.affects.is_empty()) {
        let Some((key, cause)) = finding.lost() else { continue };
        lost.extend([key, cause]);
        // An object that is in no pack may have been a chunk list.
        if key.kind == ObjectKind::Content && !round.inspection.reader.contains_key(key) {
            lost.insert(ObjectKey { kind: ObjectKind::ChunkList, ..key });
        }
    }
    Ok(lost)
}

/// Searches all workspaces for lost objects, stores them, and returns their keys.
fn search(round: &mut Round<'_>, lost: &BTreeSet<ObjectKey>) -> Result<BTreeSet<ObjectKey>> {
    let store = Store::open(Arc::clone(round.disk))?;
    let mut batch = store.batch_of(lost.clone());
    for workspace in store.state().workspaces.values() {
        let met: BTreeSet<ObjectKey> = batch.met().collect();
        if lost.iter().all(|key| is_met(key, &met)) {
            break;
        }
        let _lock = lock_workspace(&store, workspace.id)?;
        let captured = open_root(&store, workspace, None).and_then(|root| {
            let config = settings(&store, Some(workspace.id), root.path()).config;
            let options = CaptureOptions::new(&config, None, round.options.progress);
            let captured = capture_afresh(&store, workspace.id, &root, &options, &mut batch)?;
            ingest::any(&mut batch, captured.rules.text().as_bytes().to_vec(), None).map(drop)
        });
        match captured {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => round.left.push(Left::NotSearched(error.to_string())),
            Ok(()) => {}
        }
    }
    let met = batch.met().collect();
    batch.store_objects()?;
    Ok(met)
}

/// True if an object was found. A content may be a chunk list instead, which is enough for this round.
fn is_met(key: &ObjectKey, met: &BTreeSet<ObjectKey>) -> bool {
    let kinds = [ObjectKind::Content, ObjectKind::ChunkList];
    met.contains(key)
        || kinds.contains(&key.kind) && kinds.iter().any(|kind| met.contains(&ObjectKey { kind: *kind, ..*key }))
}
