//! The content of one path; folders are refused.

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
