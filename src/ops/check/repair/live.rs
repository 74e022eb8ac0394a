//! Lost content that is still in a live folder.
//!
//! Every workspace that is there is read afresh, all of it, into a batch that takes nothing but what was lost: contents and
//! chunks by their hash, whatever their path is now, and the trees of folders that are as they were. Nothing is believed
//! of stat caches, and a file whose hash is not asked for leaves no trace.

use std::collections::BTreeSet;

use crate::error::{ErrorKind, Result};
use crate::format::pack::ObjectKind;
use crate::ops::check::verify::Key;
use crate::ops::record::capture::{CaptureOptions, capture_afresh, lock_workspace, open_root};
use crate::ops::record::ingest;
use crate::ops::record::settings::settings;
use crate::progress::Progress;
use crate::store::Store;
use crate::time::Timestamp;

/// How to look.
#[derive(Clone, Copy)]
pub(super) struct Search<'a> {
    /// What is looked for.
    pub(super) lost: &'a BTreeSet<Key>,
    pub(super) now: Timestamp,
    pub(super) progress: &'a dyn Progress,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Searched {
    /// What was found, and is stored now.
    pub(super) met: BTreeSet<Key>,
    /// Folders that could not be searched, and why.
    pub(super) skipped: Vec<String>,
}

/// Looks for lost objects in all workspaces, and stores those it finds.
pub(super) fn search(store: &Store, search: &Search<'_>) -> Result<Searched> {
    let mut searched = Searched::default();
    let state = store.state();
    let mut batch = store.batch_of(search.lost.clone());
    for workspace in state.workspaces.values() {
        if search.lost.iter().all(|key| is_met(key, &searched.met)) {
            break;
        }
        let _lock = lock_workspace(store, workspace.id)?;
        let captured = open_root(store, workspace, None).and_then(|root| {
            let config = settings(store, Some(workspace.id), root.path()).config;
            let Search { now, progress, .. } = *search;
            let options = CaptureOptions::new(&config, None, now, progress);
            let captured = capture_afresh(store, workspace.id, &root, &options, &mut batch)?;
            ingest::any(&mut batch, captured.rules.text().as_bytes().to_vec()).map(drop)
        });
        match captured {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => searched.skipped.push(error.to_string()),
            Ok(()) => {}
        }
        searched.met = batch.met().collect();
    }
    searched.met = batch.met().collect();
    batch.store_objects()?;
    Ok(searched)
}

/// Whether an object was found; content may turn out to be a list of chunks, and then the list is enough for now.
fn is_met((kind, prefix): &Key, met: &BTreeSet<Key>) -> bool {
    let is_there = |kind: ObjectKind| met.contains(&(kind, *prefix));
    match kind {
        ObjectKind::Content | ObjectKind::ChunkList => {
            [ObjectKind::Content, ObjectKind::ChunkList].map(is_there) != [false; 2]
        }
        kind => is_there(*kind),
    }
}
