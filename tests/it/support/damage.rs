//! Copies of folders, and files that are not what they were.

use std::path::Path;
use std::process::Command;

/// Copies a folder with all that is in it; the holes of files stay holes, which the standard library would fill.
#[track_caller]
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    assert!(Command::new("cp").args(["-a", "--sparse=always"]).args([from, to]).status().unwrap().success());
}

/// Overwrites bytes of a store in the middle of some noise, which some pack holds as it is.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "tests damage files of their own")]
pub(crate) fn overwrite_noise(store: &Path, noise: &[u8]) {
    for pack in std::fs::read_dir(store.join("packs")).unwrap().map(|entry| entry.unwrap().path()) {
        let mut bytes = std::fs::read(&pack).unwrap();
        if let Some(at) = bytes.windows(64).position(|window| window == &noise[1_000..1_064]) {
            bytes[at..at + 64].fill(0x5a);
            return std::fs::write(pack, bytes).unwrap();
        }
    }
    panic!("it is not stored as it is");
}
