//! What stands where a store needs a file or a folder of its own, and is none: a folder in the place of a lock, a symlink in
//! the place of a folder. Nobody opens such a thing, so whoever needs what should be there cannot go on.
//!
//! The packs and `FORMAT` are told about elsewhere, with all else that may be wrong with them.

use crate::disk::Disk;
use crate::error::{ErrorKind, Result};
use crate::store::LOCK;
use crate::store::view::JOURNAL;

const FOLDERS: [&str; 4] = ["packs", "workspaces", "tmp", "quarantine"];

/// Finds them: names within the store, and what is wrong with each.
pub fn obstacles(disk: &dyn Disk) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    found.extend([LOCK, JOURNAL].iter().filter_map(|name| no_file(disk, (*name).to_owned())));
    for folder in FOLDERS {
        let Some(names) = listed(disk, folder, &mut found)? else { continue };
        for name in names {
            let name = format!("{folder}/{name}");
            match folder {
                "workspaces" if listed(disk, &name, &mut found)?.is_some() => {
                    let files = ["lock", "stat"].map(|file| no_file(disk, format!("{name}/{file}")));
                    found.extend(files.into_iter().flatten());
                }
                "packs" if name.ends_with(".idx") => found.extend(no_file(disk, name)),
                "tmp" => found.extend(no_file(disk, name)),
                _ => {}
            }
        }
    }
    Ok(found)
}

/// The names in a folder; none where it is no folder.
fn listed(disk: &dyn Disk, folder: &str, found: &mut Vec<(String, String)>) -> Result<Option<Vec<String>>> {
    match disk.list(folder) {
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            found.push((folder.to_owned(), "it is not a folder".to_owned()));
            Ok(None)
        }
        names => names.map(Some),
    }
}

/// A file that is there and cannot be opened because it is none. What the system refuses otherwise is no answer.
fn no_file(disk: &dyn Disk, name: String) -> Option<(String, String)> {
    let error = disk.open(&name).err()?;
    (error.kind() == ErrorKind::Corrupt).then(|| (name, "it is not a regular file".to_owned()))
}
