//! Whether all that a restore writes is whole, and all that it takes away is kept whole, found out before it changes the
//! first path.
//!
//! Where an object is damaged, a restore that stopped half-way would be worse than one that says so at once. And what is
//! in the folder may be all that is left of a content whose stored copy has been damaged since: a snapshot does not
//! store again what is there by its id. So both are read, on every core.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::Mutex;

use rayon::prelude::*;

use crate::error::{Error, ErrorKind, Result};
use crate::format::pack::ObjectKind;
use crate::id::{BlobId, Digest, SnapshotId};
use crate::limits::CHUNK_LENGTH_MAX_BYTES;
use crate::ops::look::ls::{self, LsOptions};
use crate::path::TreePath;
use crate::store::{Batch, Store};
use crate::workspace::beneath::Root;
use crate::workspace::materialize::Action;
use crate::workspace::read::{Beside, Folder, OpenedFile, Outcome, read_file};

/// What a restore in place writes.
pub(super) fn expect_contents(store: &Store, target: SnapshotId, plan: &[Action]) -> Result<()> {
    let written = plan.iter().filter_map(|action| match action {
        Action::WriteFile { path, id, .. } | Action::WriteSymlink { path, id, .. } => Some((path, *id)),
        _ => None,
    });
    expect_readable(store, written).map_err(|(path, error)| lost(target, path, error))
}

/// What a restore in place takes away, as far as `batch`, the snapshot of it, found it stored already.
pub(super) fn expect_kept(store: &Store, batch: &Batch<'_>, doomed: &[(TreePath, BlobId)]) -> Result<()> {
    batch.reused_chunks().par_iter().try_for_each(|prefix| {
        store.object_with(ObjectKind::Content, *prefix).map(drop).map_err(|error| not_kept("a long file", error))
    })?;
    let stored = doomed.iter().filter(|(_, id)| store.contains_blob(*id)).map(|(path, id)| (path, *id));
    expect_readable(store, stored).map_err(|(path, error)| not_kept(path, error))
}

/// Whether the files that a restore in place takes away still are what the capture before it says. A program that writes
/// through a shared memory map changes a file and none of its times, until the kernel writes the page out: nothing that
/// believes a stat cache sees that.
pub(super) fn is_as_seen(root: &Root, doomed: &[(TreePath, BlobId)]) -> Result<bool> {
    let checked = doomed.par_iter().map(|(path, id)| {
        let (Some(parent), Some(name)) = (path.parent(), path.name()) else { return Ok(true) };
        let Outcome::Read(folder) = Folder::open(root, &parent)? else { return Ok(true) };
        // What is no file any more, or cannot be read, has been seen by the capture, or is met by the restore.
        let mut file = match read_file(&folder, name, CHUNK_LENGTH_MAX_BYTES, Beside::Nothing)? {
            Outcome::Read(OpenedFile::Whole(file)) => return Ok(BlobId(Digest::of(&file.bytes)) == *id),
            Outcome::Read(OpenedFile::Large(file)) => file,
            Outcome::Omitted(_) => return Ok(true),
        };
        let mut hasher = blake3::Hasher::new();
        let mut piece = Vec::new();
        loop {
            piece.clear();
            match file.read_piece(&mut piece, CHUNK_LENGTH_MAX_BYTES)? {
                Outcome::Read(0) => return Ok(Digest(*hasher.finalize().as_bytes()) == id.0),
                Outcome::Read(_) => {
                    hasher.update(&piece);
                }
                Outcome::Omitted(_) => return Ok(true),
            }
        }
    });
    checked.try_reduce(|| true, |one, other| Ok(one && other))
}

/// Reads every content and every chunk once, however often it occurs: a hostile store may name one a billion times.
fn expect_readable<'a>(
    store: &Store,
    wanted: impl Iterator<Item = (&'a TreePath, BlobId)>,
) -> std::result::Result<(), (&'a TreePath, Error)> {
    let blobs: BTreeMap<BlobId, &TreePath> = wanted.map(|(path, id)| (id, path)).collect();
    let seen = Mutex::new(BTreeSet::new());
    let read = |id: BlobId| -> Result<()> {
        let Some(mut chunks) = store.chunks(id)? else { return Ok(()) };
        {
            let mut seen = seen.lock().expect("nobody panics with the lock");
            chunks.retain(|chunk| seen.insert(chunk.id));
        }
        chunks.par_iter().try_for_each(|chunk| store.object(ObjectKind::Content, &chunk.id.0).map(drop))
    };
    blobs.par_iter().try_for_each(|(id, path)| read(*id).map_err(|error| (*path, error)))
}

/// For a snapshot, or some paths of it, that is written elsewhere.
pub(super) fn expect_whole(store: &Store, snapshot: SnapshotId, paths: &[TreePath]) -> Result<()> {
    if !store.state().incomplete.contains(&snapshot) {
        return Ok(());
    }
    let all = [TreePath::root()];
    for path in if paths.is_empty() { &all } else { paths } {
        let options = LsOptions { path: path.clone(), is_recursive: true };
        ls::ls(store, snapshot, &options, &mut |path, entry| {
            let Some(blob) = entry.blob() else { return Ok(()) };
            store.copy_blob(blob, &mut |_| Ok(())).map(drop).map_err(|error| lost(snapshot, path, error))
        })?;
    }
    Ok(())
}

fn not_kept(what: impl Display, error: Error) -> Error {
    if error.kind() != ErrorKind::Corrupt {
        return error;
    }
    error.during("keep what is there before restoring over", what).with_hint(
        "its stored copy is damaged, so nothing was changed; `retro repair` takes it from the folder again, \
         `--no-safety-snapshot` gives it up",
    )
}

fn lost(target: SnapshotId, path: &TreePath, error: Error) -> Error {
    let short = target.short();
    let hint = format!(
        "`retro restore {short} -- PATH` puts back what is whole; `retro verify` lists what is lost, `retro repair` \
         brings back what it can"
    );
    error.during(&format!("restore {short}"), path).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::{BlobId, CHUNK_LENGTH_MAX_BYTES, Digest, Root, TreePath, is_as_seen};

    #[test]
    fn files_that_are_others_than_was_seen_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("deep")).unwrap();
        let long = vec![7; 2 * CHUNK_LENGTH_MAX_BYTES + 1];
        for (name, bytes) in [("deep/short", &b"short"[..]), ("empty", b""), ("long", &long)] {
            std::io::Write::write_all(&mut std::fs::File::create_new(folder.path().join(name)).unwrap(), bytes)
                .unwrap();
        }
        let root = Root::open(folder.path()).unwrap();
        let seen = |name: &str, bytes: &[u8]| (TreePath::new(name.as_bytes()).unwrap(), BlobId(Digest::of(bytes)));
        let all = [seen("deep/short", b"short"), seen("empty", b""), seen("long", &long)];
        assert!(is_as_seen(&root, &all).unwrap());
        // What is gone, and what is no file, was seen by the capture before.
        assert!(is_as_seen(&root, &[seen("none", b"n"), seen("deep", b"d"), seen("none/none", b"n")]).unwrap());
        for other in [seen("deep/short", b"shorT"), seen("empty", b"e"), seen("long", &long[1..])] {
            assert!(!is_as_seen(&root, &[all[0].clone(), other]).unwrap());
        }
    }
}
