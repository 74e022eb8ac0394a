//! Comparing the contents of files that a restore is about to take away with what a capture has of them.
//!
//! A program that writes through a shared memory map changes a file and none of its times, until the kernel writes the
//! page out. A stat cache cannot notice that. A restore therefore reads these files before it takes them away, and
//! captures the folder again if any of them has another content.

use rayon::prelude::*;

use crate::error::Result;
use crate::id::{BlobId, Digest};
use crate::limits::CHUNK_LENGTH_MAX_BYTES;
use crate::path::TreePath;
use crate::workspace::beneath::Root;
use crate::workspace::read::{Beside, Folder, OpenedFile, Outcome, read_file};

/// The paths of the files whose content is not the given one. A path without a readable file is not among them: the
/// restore meets it as it is.
pub(in crate::ops) fn changed(root: &Root, files: &[(TreePath, BlobId)]) -> Result<Vec<TreePath>> {
    let compared = files.par_iter().map(|(path, id)| {
        let content = content_at(root, path)?;
        Ok(content.filter(|content| content != id).map(|_| path.clone()))
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

#[cfg(test)]
mod tests {
    use super::super::{Around, CaptureOptions, capture, capture_around};
    use super::{BlobId, CHUNK_LENGTH_MAX_BYTES, Digest, Root, TreePath, changed};
    use crate::format::attributes::{Name, decode_list};
    use crate::format::facts::Fact;
    use crate::format::turn::ReadReason;
    use crate::ops::fixture::{Bench, path};
    use crate::ops::look::ls::find_with;
    use crate::progress::Silent;
    use crate::store::Final;
    use crate::time::Timestamp;
    use crate::workspace::cache::{CacheKey, StatCache};
    use crate::workspace::config::Config;

    /// A capture that the stat cache misleads is taken again around the files that changed, and the cache is dropped.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
    fn what_changed_behind_a_stat_cache_is_captured_again() {
        let (bench, folder) = (Bench::new(), tempfile::tempdir().unwrap());
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        let long = |last: u8| [vec![7; 3 * CHUNK_LENGTH_MAX_BYTES], vec![last]].concat();
        std::fs::create_dir_all(folder.path().join("deep/er")).unwrap();
        [("deep/er/f", b"1"), ("deep/g", b"1")].iter().for_each(|(name, bytes)| write(name, *bytes));
        write("long", &long(1));
        // Until then, no stat proves anything.
        std::thread::sleep(std::time::Duration::from_millis(50));
        let (root, config) = (Root::open(folder.path()).unwrap(), Config::default());
        let options = CaptureOptions::new(&config, None, &Silent);
        let mut batch = bench.store.batch();
        let before = capture(&bench.store, bench.workspace, &root, &options, Some(&mut batch)).unwrap();
        let key = CacheKey { store: bench.store.id(), workspace: bench.workspace, generation: 0 };
        before.remember(&bench.store);
        assert!(!StatCache::load(bench.store.disk(), key).is_empty());
        write("deep/er/f", b"2");
        write("long", &long(2));
        let has_attribute = xattr(&folder.path().join("deep/er/f"));
        let seen = [("deep/er/f", b"1".to_vec()), ("deep/g", b"1".to_vec()), ("long", long(1))];
        let files = seen.map(|(name, bytes)| (path(name), BlobId(Digest::of(&bytes))));
        let changed = changed(&root, &files).unwrap();
        assert_eq!(changed, ["deep/er/f", "long"].map(path));
        let around = Around { changed: [changed, vec![path("deep/g")]].concat(), ..Around::default() };
        let workspace = bench.workspace;
        let captured = capture_around(&bench.store, workspace, &root, &options, &around, Some(&mut batch)).unwrap();
        // The stat cache proves the third file, and it is read all the same.
        assert_eq!(captured.read.count(ReadReason::Changed).files, 3);
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
        // Paths that are gone, and paths that are no files, are left to the capture.
        assert_eq!(changed(&root, &[seen("none", b"n"), seen("deep", b"d"), seen("none/none", b"n")]).unwrap(), []);
        for other in [seen("deep/short", b"shorT"), seen("empty", b"e"), seen("long", &long[1..])] {
            assert_eq!(changed(&root, &[all[0].clone(), other.clone()]).unwrap(), [other.0]);
        }
    }
}
