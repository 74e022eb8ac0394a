//! Things in the place of a file or a folder of the store: a folder in the place of a lock, a symlink in the place of a
//! folder. Nobody opens such a thing, so no command that needs the file or folder can go on.
//!
//! The packs and `FORMAT` have problems of their own.

use super::{Problem, ProblemKind};
use crate::disk::Disk;
use crate::error::{ErrorKind, Result, unless_corrupt};
use crate::store::LOCK;
use crate::store::file::StoreFile;
use crate::store::journal::JOURNAL;

const FOLDERS: [&str; 4] = ["packs", "workspaces", "tmp", "quarantine"];

/// Finds the obstacles in a store.
pub fn obstacles(disk: &dyn Disk) -> Result<Vec<Problem>> {
    let mut found = Vec::new();
    found.extend([LOCK, JOURNAL].iter().filter_map(|name| no_file(disk, name)));
    for folder in FOLDERS {
        let Some(names) = listed(disk, folder, &mut found)? else { continue };
        for name in names {
            let name = format!("{folder}/{name}");
            match folder {
                "workspaces" if listed(disk, &name, &mut found)?.is_some() => {
                    found.extend(["lock", "stat"].iter().filter_map(|file| no_file(disk, &format!("{name}/{file}"))));
                }
                "packs" if name.ends_with(".idx") => found.extend(no_file(disk, &name)),
                "tmp" => found.extend(no_file(disk, &name)),
                _ => {}
            }
        }
    }
    Ok(found)
}

/// The names in a folder; none, and a problem, if it is not a folder.
fn listed(disk: &dyn Disk, folder: &str, found: &mut Vec<Problem>) -> Result<Option<Vec<String>>> {
    let names = unless_corrupt(disk.list(folder))?;
    if names.is_none() {
        found.push(Problem::of(StoreFile::at(folder), ProblemKind::NotAFolder));
    }
    Ok(names)
}

/// A problem, if a thing that is not a file is in the place of a file. Other errors of the system are no answer.
fn no_file(disk: &dyn Disk, name: &str) -> Option<Problem> {
    let error = disk.open(name).err()?;
    (error.kind() == ErrorKind::Corrupt).then(|| Problem::of(StoreFile::at(name), ProblemKind::NotAFile))
}
