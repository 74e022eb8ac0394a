//! Numbers about a store.

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
    let largest: Vec<_> = found.largest.iter().map(|one| (one.path.to_string(), one.totals.objects)).collect();
    assert_eq!(largest, [("a".to_owned(), 1), ("b".to_owned(), 1)]);
    assert!(found.largest[0].totals.stored_bytes > 10_000);
}
