//! Choosing steps, and keeping on where one of them is lost.

use super::{LogOptions, log};
use crate::format::facts::Fact;
use crate::id::{Digest, SnapshotId};
use crate::ops::fixture::{About, Bench, Files, file, path};

fn options(bench: &Bench) -> LogOptions {
    LogOptions { workspace: bench.workspace, snapshots: None, run: None, paths: Vec::new(), count_max: None }
}

fn three_steps() -> (Bench, Vec<SnapshotId>) {
    let bench = Bench::new();
    let one = Files::from([(path("a"), file(0o644, "1")), (path("dir/b"), file(0o644, "1"))]);
    let mut two = one.clone();
    two.insert(path("a"), file(0o644, "2"));
    let mut three = two.clone();
    three.insert(path("dir/b"), file(0o644, "2"));
    let ids = bench.line(&[one, two, three]);
    (bench, ids)
}

#[test]
fn steps_are_chosen_by_path_range_count_and_run() {
    let (bench, ids) = three_steps();
    let found = |options: &LogOptions| {
        log(&bench.store, options).unwrap().entries.iter().map(|entry| entry.snapshot.step).collect::<Vec<_>>()
    };
    let all = options(&bench);
    assert_eq!(found(&all), [3, 2, 1]);
    assert_eq!(found(&LogOptions { paths: vec![path("dir")], ..all.clone() }), [3, 1]);
    assert_eq!(found(&LogOptions { paths: vec![path("dir"), path("a")], ..all.clone() }), [3, 2, 1]);
    assert_eq!(found(&LogOptions { snapshots: Some(ids[..2].to_vec()), ..all.clone() }), [2, 1]);
    assert_eq!(found(&LogOptions { run: Some("other".to_owned()), ..all.clone() }), [0; 0]);
    let cut = log(&bench.store, &LogOptions { count_max: Some(2), ..all.clone() }).unwrap();
    assert_eq!((cut.entries.len(), cut.is_cut), (2, true));
    let whole = log(&bench.store, &LogOptions { count_max: Some(3), ..all }).unwrap();
    assert_eq!((whole.entries.len(), whole.is_cut, whole.entries[0].is_head), (3, false, true));
}

#[test]
fn a_lost_snapshot_hides_no_other() {
    let (bench, ids) = three_steps();
    let lost = SnapshotId(Digest::of(b"lost"));
    let workspace = bench.workspace;
    let taken = Fact::SnapshotTaken { workspace, snapshot: lost, step: 4, run: "main".to_owned() };
    bench.store.record(|_| Ok(vec![taken])).unwrap();
    let found = log(&bench.store, &options(&bench)).unwrap();
    assert_eq!(found.entries.iter().map(|entry| entry.id).rev().collect::<Vec<_>>(), ids);
    assert_eq!(found.unreadable.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [lost]);
}

#[test]
fn long_events_are_read_from_where_they_are_kept() {
    let bench = Bench::new();
    let event: &'static [u8] =
        Box::leak(format!("{{\"a\":\"{}\"}}", "x".repeat(5_000)).into_bytes().into_boxed_slice());
    bench.take(&Files::new(), &About { event, ..About::default() });
    assert_eq!(log(&bench.store, &options(&bench)).unwrap().entries[0].event, event);
}
