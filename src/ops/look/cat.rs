//! The content of one path of a snapshot.

use super::ls;
use crate::error::{Error, ErrorKind, Result};
use crate::id::SnapshotId;
use crate::path::TreePath;
use crate::store::Store;

/// Passes the content of a file, or the target of a symlink, to `take` in pieces of at most 1 MiB, each checked against
/// its id. Symlinks are not followed, because their targets are not part of the snapshot. Returns the length in bytes.
pub fn cat(
    store: &Store,
    snapshot: SnapshotId,
    path: &TreePath,
    take: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<u64> {
    let is_folder = || {
        Error::new(ErrorKind::Invalid, "print", path, "it is a folder")
            .with_hint(format!("`retro ls {} {path}` lists it", snapshot.short()))
    };
    if path.is_root() {
        return Err(is_folder());
    }
    let entry = ls::expect(store, snapshot, path)?;
    store.copy_blob(entry.blob().ok_or_else(is_folder)?, take)
}

#[cfg(test)]
mod tests {
    use super::cat;
    use crate::error::ErrorKind;
    use crate::ops::fixture::{About, Bench, Files, Thing, file, noise, path};

    #[test]
    fn contents_come_whole_and_folders_are_refused() {
        let bench = Bench::new();
        let long = noise(1, 3 << 20);
        let files =
            Files::from([(path("dir/long"), file(0o644, &long)), (path("link"), Thing::Symlink(b"dir/long".to_vec()))]);
        let snapshot = bench.take(&files, &About::default());
        let read = |text: &str| {
            let mut content = Vec::new();
            let length = cat(&bench.store, snapshot, &path(text), &mut |piece| {
                content.extend_from_slice(piece);
                Ok(())
            })?;
            assert_eq!(length, content.len() as u64);
            Ok::<_, crate::error::Error>(content)
        };
        assert!(read("dir/long").unwrap() == long);
        assert_eq!(read("link").unwrap(), b"dir/long");
        for folder in ["", "dir"] {
            assert_eq!(read(folder).unwrap_err().kind(), ErrorKind::Invalid);
        }
        assert_eq!(read("link/x").unwrap_err().kind(), ErrorKind::NotFound);
    }
}
