//! What a store holds and what it costs on disk.

use std::collections::BTreeMap;

use crate::error::{ErrorKind, Result};
use crate::format::pack::{Encoding, ObjectKind};
use crate::store::{Store, for_each_object};

/// Everything counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Recorded folders.
    pub workspaces: u64,
    /// Snapshots that have a place in history.
    pub snapshots: u64,
    /// Names.
    pub tags: u64,
    /// Keep-marks.
    pub pins: u64,
    /// Bytes of the workspaces in all snapshots together: what copying the folder each time would have taken.
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
    /// What could not be read.
    pub damage: Vec<String>,
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

/// Counts what is in a store. Reads the header of every record, and the root of every snapshot.
pub fn stats(store: &Store) -> Result<Stats> {
    let state = store.state();
    let mut stats = Stats {
        workspaces: state.workspaces.len() as u64,
        tags: state.tags.len() as u64,
        pins: state.pins.len() as u64,
        store_bytes: store_bytes(store)?,
        encodings: [("raw", Totals::default()), ("zstd", Totals::default()), ("delta", Totals::default())],
        damage: store.damage(),
        ..Stats::default()
    };
    for kind in [ObjectKind::Content, ObjectKind::ChunkList, ObjectKind::Tree, ObjectKind::Snapshot] {
        stats.kinds.insert(kind, Totals::default());
    }
    (stats.packs, stats.pack_bytes) = for_each_object(store, |object| {
        let encoding = match object.encoding {
            Encoding::Raw => 0,
            Encoding::Zstd => 1,
            Encoding::Delta { .. } => 2,
        };
        for totals in [stats.kinds.entry(object.kind).or_default(), &mut stats.encodings[encoding].1] {
            totals.objects += 1;
            totals.raw_bytes += object.raw_bytes;
            totals.stored_bytes += object.stored_bytes;
        }
    })?;
    for (_, _, id) in state.snapshots() {
        stats.snapshots += 1;
        match store.snapshot(id).and_then(|snapshot| store.folder(snapshot.root)) {
            Ok(entries) => {
                let bytes = entries.iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.size));
                stats.recorded_bytes = stats.recorded_bytes.saturating_add(bytes);
            }
            Err(error) => stats.damage.push(error.to_string()),
        }
    }
    Ok(stats)
}

/// Bytes of all files in a store folder. Files that other processes remove meanwhile count as nothing.
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
            Ok(length) => total = total.saturating_add(length),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::{stats, store_bytes};
    use crate::format::pack::ObjectKind;
    use crate::ops::fixture::{Bench, Files, file, noise, path};

    #[test]
    fn objects_are_counted_once_and_snapshots_in_full() {
        let bench = Bench::new();
        let content = noise(1, 10_000);
        let one = Files::from([(path("a"), file(0o644, &content))]);
        let mut two = one.clone();
        two.insert(path("b"), file(0o644, "b"));
        bench.line(&[one, two]);
        let found = stats(&bench.store).unwrap();
        assert_eq!((found.workspaces, found.snapshots, found.recorded_bytes), (1, 2, 20_001));
        assert_eq!(found.kinds[&ObjectKind::Snapshot].objects, 2);
        assert_eq!(found.kinds[&ObjectKind::Tree].objects, 2);
        let stored: u64 = found.kinds.values().map(|totals| totals.stored_bytes).sum();
        assert!(10_000 < stored && stored < found.pack_bytes && found.pack_bytes < found.store_bytes);
        assert_eq!(found.store_bytes, store_bytes(&bench.store).unwrap());
        assert!(found.damage.is_empty());
    }
}
