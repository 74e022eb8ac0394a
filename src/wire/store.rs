//! The contents of a store: `stats`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{Id, Path, Version};
use crate::ops::look::stats::{Stats as Counted, Totals as Sums};

/// The contents and the size of a store. One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stats {
    /// The version of the JSON shapes.
    pub version: Version,
    /// Recorded folders.
    pub workspaces: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// Tags.
    pub tags: u64,
    /// Pinned snapshots.
    pub pins: u64,
    /// The sum of the sizes of all files over all snapshots.
    pub recorded_bytes: u64,
    /// Bytes of all files of the store.
    pub store_bytes: u64,
    /// Pack files.
    pub packs: u64,
    /// Their bytes.
    pub pack_bytes: u64,
    /// Objects by kind: content, chunk_list, tree, snapshot.
    pub kinds: BTreeMap<String, Totals>,
    /// Objects by encoding: raw, zstd, delta.
    pub encodings: BTreeMap<String, Totals>,
    /// The paths whose versions take the most space, the largest first.
    pub largest: Vec<PathTotals>,
    /// Objects that could not be read.
    pub damage: Vec<String>,
}

impl From<&Counted> for Stats {
    fn from(stats: &Counted) -> Self {
        let kinds = stats.kinds.iter().map(|(kind, sums)| (kind.word().replace(' ', "_"), sums.into()));
        let encodings = stats.encodings.iter().map(|(word, sums)| ((*word).to_owned(), sums.into()));
        let largest = stats.largest.iter().map(|one| PathTotals {
            workspace: Id::of(one.workspace),
            path: (&one.path).into(),
            versions: one.totals.objects,
            raw_bytes: one.totals.raw_bytes,
            stored_bytes: one.totals.stored_bytes,
        });
        Self {
            version: Version,
            workspaces: stats.workspaces,
            snapshots: stats.snapshots,
            tags: stats.tags,
            pins: stats.pins,
            recorded_bytes: stats.recorded_bytes,
            store_bytes: stats.store_bytes,
            packs: stats.packs,
            pack_bytes: stats.pack_bytes,
            kinds: kinds.collect(),
            encodings: encodings.collect(),
            largest: largest.collect(),
            damage: stats.damage.clone(),
        }
    }
}

/// Objects and their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// Number of objects.
    pub objects: u64,
    /// Bytes of their content.
    pub raw_bytes: u64,
    /// Bytes they take in packs.
    pub stored_bytes: u64,
}

impl From<&Sums> for Totals {
    fn from(sums: &Sums) -> Self {
        let Sums { objects, raw_bytes, stored_bytes } = *sums;
        Self { objects, raw_bytes, stored_bytes }
    }
}

/// A path over its whole history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PathTotals {
    /// Its workspace.
    pub workspace: Id,
    /// Its path.
    #[serde(flatten)]
    pub path: Path,
    /// Its versions.
    pub versions: u64,
    /// Their bytes.
    pub raw_bytes: u64,
    /// Bytes they take in packs.
    pub stored_bytes: u64,
}
