//! Synthetic workspaces: about ten files in a folder, with lengths distributed as in source code.
//!
//! Lengths are log-normal with a median of 2.5 kB and a tenth above 30 kB, as measured in six repositories; they are
//! limited to 200 kB, so that no single file dominates a run.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::Result;
use crate::rng::Rng;
use crate::text;

const FILES_PER_FOLDER: usize = 10;
const FOLDERS_PER_FOLDER: usize = 8;
const MEDIAN_BYTES: f64 = 2_500.0;
const DEVIATION: f64 = 1.94;
const LONGEST_BYTES: f64 = 200_000.0;

/// Fills `root` with `count` files, and returns their paths in it.
#[expect(clippy::disallowed_methods, reason = "the bench makes the workspaces that it measures")]
pub(crate) fn build(root: &Path, count: usize, seed: u64) -> Result<Vec<PathBuf>> {
    let folders = count.div_ceil(FILES_PER_FOLDER);
    let fill = |folder: usize| -> Result<Vec<PathBuf>> {
        let path = folder_path(folder);
        fs::create_dir_all(root.join(&path))?;
        let files = folder * FILES_PER_FOLDER..count.min((folder + 1) * FILES_PER_FOLDER);
        files
            .map(|file| {
                let mut rng = Rng::part(seed, file);
                let length = length_bytes(&mut rng);
                let path = path.join(format!("file_{file}.{}", ["rs", "py", "md", "json"][rng.below(4)]));
                fs::write(root.join(&path), text::text(&mut rng, length))?;
                Ok(path)
            })
            .collect()
    };
    let filled: Result<Vec<Vec<PathBuf>>> = (0..folders).into_par_iter().map(fill).collect();
    Ok(filled?.into_iter().flatten().collect())
}

/// The length of a file, distributed as in source code.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the number lies between one and the longest length"
)]
pub(crate) fn length_bytes(rng: &mut Rng) -> usize {
    (MEDIAN_BYTES * (DEVIATION * rng.normal()).exp()).clamp(1.0, LONGEST_BYTES) as usize
}

/// The parent of the `index`-th folder is the `(index - 1) / 8`-th, so that depth grows with the logarithm of the
/// count.
fn folder_path(mut index: usize) -> PathBuf {
    let mut parts = Vec::new();
    while index > 0 {
        parts.push(index);
        index = (index - 1) / FOLDERS_PER_FOLDER;
    }
    let mut path = String::new();
    for part in parts.iter().rev() {
        write!(path, "folder_{part}/").expect("a string takes all that is written");
    }
    PathBuf::from(path)
}
