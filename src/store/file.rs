//! The files of a store, by their purpose.

use std::fmt;

use super::journal::JOURNAL;
use super::pack::{index_name, pack_name, pack_number};
use super::quarantine::FOLDER as QUARANTINE;
use super::{FORMAT, LOCK};
use crate::id::WorkspaceId;

/// A file or folder of a store; its text is the path within the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoreFile {
    /// The file that names the store.
    Format,
    /// The file that writers lock.
    Lock,
    /// The facts of all packs in order, a cache.
    Journal,
    /// The pack of this number.
    Pack(u32),
    /// The index of the pack of this number, a cache.
    Index(u32),
    /// The stat cache of a workspace.
    StatCache(WorkspaceId),
    /// A file that a repair or a writer has moved to quarantine, by its name in that folder.
    Quarantine(String),
    /// Anything else, by its path.
    Other(String),
}

impl StoreFile {
    /// The file at a path within a store.
    pub fn at(path: &str) -> Self {
        let stat_cache = || WorkspaceId::parse(path.strip_prefix("workspaces/")?.strip_suffix("/stat")?);
        let quarantined = || path.strip_prefix(QUARANTINE)?.strip_prefix('/');
        let in_packs = path.strip_prefix("packs/").unwrap_or_default();
        match path {
            FORMAT => Self::Format,
            LOCK => Self::Lock,
            JOURNAL => Self::Journal,
            _ => None
                .or_else(|| pack_number(in_packs).map(Self::Pack))
                .or_else(|| pack_number(&format!("{}.pack", in_packs.strip_suffix(".idx")?)).map(Self::Index))
                .or_else(|| stat_cache().map(Self::StatCache))
                .or_else(|| quarantined().map(|name| Self::Quarantine(name.to_owned())))
                .unwrap_or_else(|| Self::Other(path.to_owned())),
        }
    }
}

/// The highest number of a pack or pack index among these names; 0 where there is none.
pub(super) fn highest_number(names: &[String]) -> u32 {
    let number = |name: &String| match StoreFile::at(&format!("packs/{name}")) {
        StoreFile::Pack(number) | StoreFile::Index(number) => Some(number),
        _ => None,
    };
    names.iter().filter_map(number).max().unwrap_or(0)
}

impl fmt::Display for StoreFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format => f.write_str(FORMAT),
            Self::Lock => f.write_str(LOCK),
            Self::Journal => f.write_str(JOURNAL),
            Self::Pack(number) => f.write_str(&pack_name(*number)),
            Self::Index(number) => f.write_str(&index_name(*number)),
            Self::StatCache(workspace) => write!(f, "workspaces/{workspace}/stat"),
            Self::Quarantine(name) => write!(f, "{QUARANTINE}/{name}"),
            Self::Other(path) => f.write_str(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::StoreFile;
    use crate::id::WorkspaceId;

    #[test]
    fn a_path_and_its_file_are_one_to_one() {
        let stat = format!("workspaces/{}/stat", WorkspaceId([7; 16]));
        let files = [
            ("FORMAT", StoreFile::Format),
            ("lock", StoreFile::Lock),
            ("journal", StoreFile::Journal),
            ("packs/000012.pack", StoreFile::Pack(12)),
            ("packs/000012.idx", StoreFile::Index(12)),
            (&stat, StoreFile::StatCache(WorkspaceId([7; 16]))),
            ("quarantine/journal.2", StoreFile::Quarantine("journal.2".to_owned())),
            ("packs/12.pack", StoreFile::Other("packs/12.pack".to_owned())),
            ("packs", StoreFile::Other("packs".to_owned())),
            ("quarantine", StoreFile::Other("quarantine".to_owned())),
            ("tmp/left", StoreFile::Other("tmp/left".to_owned())),
        ];
        for (path, file) in files {
            assert_eq!((StoreFile::at(path), file.to_string()), (file.clone(), path.to_owned()));
        }
    }
}
