//! Reading files again that are about to be lost, where their content is not what the stat cache said.
//!
//! A program that writes through a shared memory map changes a file and none of its times, until the kernel writes the
//! page out: nothing that believes a stat cache sees that. So before a restore takes files away, it compares their
//! bytes with what the capture has of them, and what differs is read into the same capture.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::assemble::mode_in_tree;
use super::captured::Captured;
use super::edit::Edit;
use super::take::{Taken, TakenEntry, take};
use crate::error::Result;
use crate::format::attributes::{decode_list, encode_list, encode_set};
use crate::format::tree::{Entry, Kind};
use crate::format::turn::{ReadReason, ReadSummary};
use crate::id::{BlobId, Digest};
use crate::limits::CHUNK_LENGTH_MAX_BYTES;
use crate::path::TreePath;
use crate::progress::Silent;
use crate::store::{Batch, Store};
use crate::time::Timestamp;
use crate::workspace::beneath::Root;
use crate::workspace::read::{Beside, Folder, OpenedFile, Outcome, read_file};
use crate::workspace::scan::{EntryState, ScannedEntry, ScannedFolder};
use crate::workspace::stat::{FileStat, kind_and_mode};

impl Captured {
    /// Compares files with the contents that it has of them, and reads those into it that differ.
    pub(in crate::ops) fn confirm(
        &mut self,
        store: &Store,
        root: &Root,
        batch: &mut Batch<'_>,
        files: &[(TreePath, BlobId)],
    ) -> Result<()> {
        let changed = changed(root, files)?;
        if changed.is_empty() {
            return Ok(());
        }
        let folders = to_be_read(root, &changed)?;
        let mut read = ReadSummary::default();
        let taken = take(store, root, self.root_owner, folders, &Silent, Some(batch), &mut read)?;
        self.correct(store, batch, taken)
    }

    /// Puts entries that were read again in the place of what it has.
    fn correct(&mut self, store: &Store, batch: &mut Batch<'_>, taken: Taken) -> Result<()> {
        let list = decode_list(&self.attributes).expect("a list reads back as it was written");
        let mut sets: BTreeMap<TreePath, Box<[u8]>> =
            list.iter().map(|(path, set)| (path.clone(), encode_set(set).into())).collect();
        let mut edits = BTreeMap::new();
        for (folder, taken) in taken.folders {
            for TakenEntry { name, kind, mode, stat, size, id, attributes, .. } in taken.entries {
                let (path, Some(id)) = (folder.join(&name), id) else { continue };
                let mode = mode_in_tree(mode, &attributes).expect("a set reads back as it was written");
                self.corrected.insert(path.clone(), Timestamp(stat.mtime_ns));
                sets.remove(&path);
                if !attributes.is_empty() {
                    sets.insert(path.clone(), attributes);
                }
                edits.insert(path, Edit::Put(Entry { name, kind, mode, size, id }));
            }
        }
        self.edit(store, Some(batch), edits)?;
        self.attributes = encode_list(&sets.into_iter().collect::<Vec<_>>());
        self.omitted.extend(taken.omitted);
        self.omitted.sort_by(|one, other| one.path.cmp(&other.path));
        self.omitted.dedup_by(|later, earlier| later.path == earlier.path);
        Ok(())
    }
}

/// Of files, those whose content is another one than is said of them. Paths where there is no file any more, or none
/// that can be read, are not among them: the restore meets them as they are.
fn changed(root: &Root, files: &[(TreePath, BlobId)]) -> Result<Vec<(TreePath, BlobId)>> {
    let compared = files.par_iter().map(|(path, id)| {
        let content = content_at(root, path)?;
        Ok(content.filter(|content| content != id).map(|_| (path.clone(), *id)))
    });
    Ok(compared.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// The id of the content of a file, if there is one that can be read.
fn content_at(root: &Root, path: &TreePath) -> Result<Option<BlobId>> {
    let (Some(parent), Some(name)) = (path.parent(), path.name()) else { return Ok(None) };
    let Outcome::Read(folder) = Folder::open(root, &parent)? else { return Ok(None) };
    let mut file = match read_file(&folder, name, CHUNK_LENGTH_MAX_BYTES, Beside::Nothing)? {
        Outcome::Read(OpenedFile::Whole(file)) => return Ok(Some(BlobId(Digest::of(&file.bytes)))),
        Outcome::Read(OpenedFile::Large(file)) => file,
        Outcome::Omitted(_) => return Ok(None),
    };
    let mut hasher = blake3::Hasher::new();
    let mut piece = Vec::new();
    loop {
        piece.clear();
        match file.read_piece(&mut piece, CHUNK_LENGTH_MAX_BYTES)? {
            Outcome::Read(0) => return Ok(Some(BlobId(Digest(*hasher.finalize().as_bytes())))),
            Outcome::Read(_) => drop(hasher.update(&piece)),
            Outcome::Omitted(_) => return Ok(None),
        }
    }
}

/// These files, as a scan lists what must be read.
fn to_be_read(root: &Root, files: &[(TreePath, BlobId)]) -> Result<BTreeMap<TreePath, ScannedFolder>> {
    let mut folders: BTreeMap<TreePath, ScannedFolder> = BTreeMap::new();
    for (path, previous) in files {
        let (Some(parent), Some(name)) = (path.parent(), path.name()) else { continue };
        let Ok(handle) = root.folder(&parent) else { continue };
        let Ok(found) = rustix::fs::statat(&handle, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) else { continue };
        let Some((kind @ Kind::File, mode)) = kind_and_mode(&found) else { continue };
        let stat = FileStat::of(&found);
        let state = EntryState::Read { previous: Some(previous.0), reason: ReadReason::Changed };
        let entry = ScannedEntry { name: name.into(), kind, mode, stat, attributes: None, state };
        let new = || ScannedFolder { entries: Vec::new(), device: stat.device };
        folders.entry(parent).or_insert_with(new).entries.push(entry);
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::{BlobId, CHUNK_LENGTH_MAX_BYTES, Digest, Root, TreePath, changed};
    use crate::format::attributes::{Name, decode_list};
    use crate::format::facts::Fact;
    use crate::ops::fixture::{Bench, path};
    use crate::ops::look::ls::find_with;
    use crate::ops::record::capture::{CaptureOptions, capture};
    use crate::progress::Silent;
    use crate::store::Final;
    use crate::time::Timestamp;
    use crate::workspace::cache::{CacheKey, StatCache};
    use crate::workspace::config::Config;

    /// Files change after they were captured: what is read again is in the same capture, and the cache is not believed.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
    fn what_changed_behind_a_capture_is_read_into_it() {
        let (bench, folder) = (Bench::new(), tempfile::tempdir().unwrap());
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        let long = |last: u8| [vec![7; 3 * CHUNK_LENGTH_MAX_BYTES], vec![last]].concat();
        std::fs::create_dir_all(folder.path().join("deep/er")).unwrap();
        [("deep/er/f", b"1"), ("deep/g", b"1")].iter().for_each(|(name, bytes)| write(name, *bytes));
        write("long", &long(1));
        let (root, config) = (Root::open(folder.path()).unwrap(), Config::default());
        let options = CaptureOptions::new(&config, None, &Silent);
        let mut batch = bench.store.batch();
        let mut captured = capture(&bench.store, bench.workspace, &root, &options, Some(&mut batch)).unwrap();
        let key = CacheKey { store: bench.store.id(), workspace: bench.workspace, generation: 0 };
        captured.remember(&bench.store);
        assert!(!StatCache::load(bench.store.disk(), key).is_empty());
        write("deep/er/f", b"2");
        write("long", &long(2));
        let has_attribute = xattr(&folder.path().join("deep/er/f"));
        let seen = [("deep/er/f", b"1".to_vec()), ("deep/g", b"1".to_vec()), ("long", long(1))];
        let files = seen.map(|(name, bytes)| (path(name), BlobId(Digest::of(&bytes))));
        captured.confirm(&bench.store, &root, &mut batch, &files).unwrap();
        let load = |id| captured.load(&bench.store, id);
        let content = |name: &str| find_with(&load, captured.root, &path(name)).unwrap().unwrap().blob().unwrap();
        assert_eq!(content("deep/er/f"), BlobId(Digest::of(b"2")));
        assert_eq!(content("deep/g"), BlobId(Digest::of(b"1")));
        assert_eq!(content("long"), BlobId(Digest::of(&long(2))));
        assert!(captured.modified(&path("deep/er/f")) >= captured.modified(&path("deep/g")));
        let list = decode_list(&captured.attributes).unwrap();
        let set = list.get(&path("deep/er/f")).map(|set| set.value(&Name::User((*b"a").into())) == Some(b"b"));
        assert_eq!(set, has_attribute.then_some(true));
        // All of it is stored, and the cache that was wrong is gone.
        let moved = Fact::WorkspaceMoved { workspace: bench.workspace, root: b"/v".to_vec(), time: Timestamp(0) };
        batch.record(|_| Ok(Final { objects: Vec::new(), facts: vec![moved] })).unwrap();
        assert_eq!(bench.store.read_blob(BlobId(Digest::of(&long(2))), u64::MAX).unwrap(), long(2));
        let again = capture(&bench.store, bench.workspace, &root, &options, None).unwrap();
        assert_eq!((again.root, &again.attributes), (captured.root, &captured.attributes));
        captured.remember(&bench.store);
        assert!(StatCache::load(bench.store.disk(), key).is_empty());
    }

    /// Gives a file an attribute, where its file system takes any.
    fn xattr(file: &std::path::Path) -> bool {
        rustix::fs::setxattr(file, "user.a", b"b", rustix::fs::XattrFlags::empty()).is_ok()
    }

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
        assert_eq!(changed(&root, &all).unwrap(), []);
        // What is gone, and what is no file, was seen by the capture before.
        assert_eq!(changed(&root, &[seen("none", b"n"), seen("deep", b"d"), seen("none/none", b"n")]).unwrap(), []);
        for other in [seen("deep/short", b"shorT"), seen("empty", b"e"), seen("long", &long[1..])] {
            assert_eq!(changed(&root, &[all[0].clone(), other.clone()]).unwrap(), [other]);
        }
    }
}
