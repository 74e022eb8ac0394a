//! Statistics of a store: the number of its objects, their size on disk, and the paths that take the most of it.

use std::collections::{BTreeMap, HashMap};

use super::show::plain_changes;
use crate::diff::selection::Selection;
use crate::error::{ErrorKind, Result};
use crate::format::pack::{Encoding, ObjectKind};
use crate::format::tree::EntryKind;
use crate::id::{BlobId, SnapshotId, WorkspaceId};
use crate::path::TreePath;
use crate::store::{Store, for_each_object};

/// Statistics of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Recorded folders.
    pub workspaces: u64,
    /// Snapshots that have a place in history.
    pub snapshots: u64,
    /// Tags.
    pub tags: u64,
    /// Pins.
    pub pins: u64,
    /// Bytes of the workspaces in all snapshots together: the size of a full copy at each step.
    pub recorded_bytes: u64,
    /// Bytes of all files in the store folder.
    pub store_bytes: u64,
    /// Pack files.
    pub packs: u64,
    /// Their bytes.
    pub pack_bytes: u64,
    /// Objects by kind; all four kinds are there.
    pub kinds: BTreeMap<ObjectKind, Totals>,
    /// Objects by encoding, in the order raw, zstd, delta.
    pub encodings: [(&'static str, Totals); 3],
    /// Paths that take the most bytes in packs, all their versions together, the largest first.
    pub largest: Vec<PathTotals>,
    /// Descriptions of damage that was met.
    pub damage: Vec<String>,
}

/// One path of one workspace, over its whole history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTotals {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The path.
    pub path: TreePath,
    /// Its versions. Content that another path had first is counted there.
    pub totals: Totals,
}

/// Objects and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Number of objects.
    pub objects: u64,
    /// Bytes of their content.
    pub raw_bytes: u64,
    /// Bytes they take in packs.
    pub stored_bytes: u64,
}

/// Paths listed as the largest.
const LARGEST_COUNT: usize = 10;

/// Stored bytes of objects that are not counted for a path yet, by kind and the first bytes of the id.
type Uncharged = HashMap<(ObjectKind, [u8; 16]), u64>;

/// Counts the objects of a store. Reads the header of every record, and the changes of every snapshot.
pub fn stats(store: &Store) -> Result<Stats> {
    let state = store.state();
    let mut stats = Stats {
        workspaces: state.workspaces.len() as u64,
        tags: state.tags().count() as u64,
        pins: state.pins.len() as u64,
        store_bytes: store_bytes(store)?,
        encodings: [("raw", Totals::default()), ("zstd", Totals::default()), ("delta", Totals::default())],
        kinds: [ObjectKind::Content, ObjectKind::ChunkList, ObjectKind::Tree, ObjectKind::Snapshot]
            .map(|kind| (kind, Totals::default()))
            .into(),
        damage: store.damage(),
        ..Stats::default()
    };
    let mut uncharged = Uncharged::new();
    (stats.packs, stats.pack_bytes) = for_each_object(&store.reader(), |object| {
        if matches!(object.kind, ObjectKind::Content | ObjectKind::ChunkList) {
            uncharged.insert((object.kind, object.prefix), object.stored_bytes);
        }
        let encoding = match object.encoding {
            Encoding::Raw => 0,
            Encoding::Zstd => 1,
            Encoding::Delta(_) | Encoding::Splice(_) => 2,
        };
        for totals in [stats.kinds.entry(object.kind).or_default(), &mut stats.encodings[encoding].1] {
            totals.objects += 1;
            totals.raw_bytes += object.raw_bytes;
            totals.stored_bytes += object.stored_bytes;
        }
    })?;
    let mut paths: BTreeMap<(WorkspaceId, TreePath), Totals> = BTreeMap::new();
    for (workspace, _, id) in state.snapshots() {
        stats.snapshots += 1;
        let charged = charge(store, workspace.id, id, &mut uncharged, &mut paths);
        stats.damage.extend(charged.err().map(|error| error.to_string()));
        match store.snapshot(id).and_then(|snapshot| store.folder(snapshot.root)) {
            Ok(entries) => entries.iter().for_each(|entry| add(&mut stats.recorded_bytes, entry.size)),
            Err(error) => stats.damage.push(error.to_string()),
        }
    }
    let mut largest: Vec<_> = paths.into_iter().collect();
    largest.sort_by(|a, b| (b.1.stored_bytes, &a.0).cmp(&(a.1.stored_bytes, &b.0)));
    let path_totals = |((workspace, path), totals)| PathTotals { workspace, path, totals };
    stats.largest = largest.into_iter().take(LARGEST_COUNT).map(path_totals).collect();
    Ok(stats)
}

/// Counts the new content of a snapshot for the paths that it changed.
fn charge(
    store: &Store,
    workspace: WorkspaceId,
    snapshot: SnapshotId,
    uncharged: &mut Uncharged,
    paths: &mut BTreeMap<(WorkspaceId, TreePath), Totals>,
) -> Result<()> {
    for change in plain_changes(store, snapshot, &Selection::default())? {
        let Some(side) = change.new.filter(|side| side.kind == EntryKind::File) else { continue };
        let whole = uncharged.remove(&(ObjectKind::Content, side.id.prefix()));
        let list = uncharged.remove(&(ObjectKind::ChunkList, side.id.prefix()));
        let mut stored_bytes = whole.unwrap_or(0) + list.unwrap_or(0);
        if list.is_some() {
            for chunk in store.chunks(BlobId(side.id))?.unwrap_or_default() {
                stored_bytes += uncharged.remove(&(ObjectKind::Content, chunk.id.0.prefix())).unwrap_or(0);
            }
        }
        if whole.is_some() || list.is_some() {
            let totals = paths.entry((workspace, change.path)).or_default();
            totals.objects += 1;
            add(&mut totals.raw_bytes, side.size);
            totals.stored_bytes += stored_bytes;
        }
    }
    Ok(())
}

/// Adds a number that a store claims, which may be anything.
fn add(total: &mut u64, more: u64) {
    *total = total.saturating_add(more);
}

/// Bytes of all files in a store folder. Files that other processes remove meanwhile do not count.
pub fn store_bytes(store: &Store) -> Result<u64> {
    let disk = store.disk();
    let mut names: Vec<String> = ["FORMAT", "journal", "lock"].map(str::to_owned).into();
    let mut folders: Vec<String> = ["packs", "tmp"].map(str::to_owned).into();
    folders.extend(disk.list("workspaces")?.into_iter().map(|name| format!("workspaces/{name}")));
    for folder in folders {
        let inside = disk.list(&folder)?;
        names.extend(inside.into_iter().map(|name| format!("{folder}/{name}")));
    }
    let mut total = 0_u64;
    for name in names {
        match disk.open(&name).and_then(|file| file.length()) {
            Ok(length) => add(&mut total, length),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests;
