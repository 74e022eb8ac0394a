//! Folders of stores, which nothing is exported into.

use std::sync::Arc;

use super::expect_no_store;
use crate::disk::local::LocalDisk;
use crate::store::Store;

#[test]
fn every_store_is_recognised_and_nothing_else() {
    let scratch = tempfile::tempdir().unwrap();
    let at = |name: &str| scratch.path().join(name);
    let make = |name: &str| Store::open_or_create(Arc::new(LocalDisk::create(&at(name)).unwrap())).unwrap();
    let (store, _other) = (make("own"), make("other"));
    std::fs::create_dir(at("plain")).unwrap();
    let refused = |name: &str| expect_no_store(&store, "write", &at(name)).is_err();
    assert!(["own", "own/out", "own/packs/x/y", "other", "other/out", "other/tmp/x"].into_iter().all(refused));
    assert!(!["plain", "plain/out", "new/out"].into_iter().any(refused));
    let newer = b"retrograde store\nversion 9\nwhatever";
    std::io::Write::write_all(&mut std::fs::File::create_new(at("plain/FORMAT")).unwrap(), newer).unwrap();
    assert!(refused("plain/out"));
}
