//! Lost content that is still in a live folder.
//!
//! Every workspace that is there is read afresh, all of it, into a batch that takes nothing but what was lost: contents
//! and chunks by their hash, whatever their path is now, and the trees of folders that are as they were. Stat caches
//! are not believed, and a file whose hash is not asked for leaves no trace. A folder that is there again shows what
//! else is missing below it: the next round looks for that.

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

/// Stores lost objects again that are in live folders.
pub(super) fn bring_back(round: &mut Round<'_>) -> Result<Vec<Action>> {
    let lost = lost_objects(round)?;
    if lost.is_subset(&round.searched) {
        return Ok(Vec::new());
    }
    round.searched.extend(&lost);
    // The lock is taken again by whoever stores something. Nothing else is done in this round.
    round.guard = None;
    let met = search(round, &lost)?;
    let mut objects: BTreeMap<ObjectKind, u64> = BTreeMap::new();
    met.iter().for_each(|key| *objects.entry(key.kind).or_default() += 1);
    Ok(if objects.is_empty() { Vec::new() } else { vec![Action::BringBack(objects)] })
}

/// Takes out of the packs what stays lost and all that rests on it: as long as it is there, a writer that meets the
/// same content again takes it for stored.
pub(super) fn give_up(round: &mut Round<'_>) -> Result<Vec<Action>> {
    if lost_objects(round)?.is_empty() && round.checked()?.bad.is_empty() {
        return Ok(Vec::new());
    }
    // Stat caches may say of something lost that it is in the store.
    for workspace in round.disk.list("workspaces")? {
        round.disk.remove(&format!("workspaces/{workspace}/stat"))?;
    }
    packs::write_anew(round, true)
}

/// Objects that snapshots need and nobody can read, and those that are the cause.
fn lost_objects(round: &Round<'_>) -> Result<BTreeSet<ObjectKey>> {
    let mut lost = BTreeSet::new();
    for finding in round.found()?.findings.iter().filter(|finding| !finding.affects.is_empty()) {
        let Some((key, cause)) = finding.lost() else { continue };
        lost.extend([key, cause]);
        // What is in no pack may have been a list of chunks.
        if key.kind == ObjectKind::Content && !round.inspection.reader.contains_key(key) {
            lost.insert(ObjectKey { kind: ObjectKind::ChunkList, ..key });
        }
    }
    Ok(lost)
}

/// Looks for lost objects in all workspaces, and stores those it finds. Returns them.
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
            ingest::any(&mut batch, captured.rules.text().as_bytes().to_vec()).map(drop)
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

/// Returns true if an object was found; content may turn out to be a list of chunks, and then the list is enough for
/// now.
fn is_met(key: &ObjectKey, met: &BTreeSet<ObjectKey>) -> bool {
    let is_there = |kind| met.contains(&ObjectKey { kind, ..*key });
    match key.kind {
        ObjectKind::Content | ObjectKind::ChunkList => {
            [ObjectKind::Content, ObjectKind::ChunkList].into_iter().any(is_there)
        }
        kind => is_there(kind),
    }
}
