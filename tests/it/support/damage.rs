//! Copies of folders, and files that are not what they were.

use std::path::Path;
use std::process::Command;

/// Copies a folder with all that is in it; the holes of files stay holes, which the standard library would fill.
#[track_caller]
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    assert!(Command::new("cp").args(["-a", "--sparse=always"]).args([from, to]).status().unwrap().success());
}

/// Overwrites bytes of a pack that are in the middle of some noise, which is stored as it is.
#[expect(clippy::disallowed_methods, reason = "tests damage files of their own")]
pub(crate) fn overwrite_noise(pack: &Path, noise: &[u8]) {
    let mut bytes = std::fs::read(pack).unwrap();
    let at = bytes.windows(64).position(|window| window == &noise[1_000..1_064]).expect("it is stored as it is");
    bytes[at..at + 64].fill(0x5a);
    std::fs::write(pack, bytes).unwrap();
}
