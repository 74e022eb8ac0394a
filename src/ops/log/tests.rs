//! Choosing steps, and keeping on where one of them is lost.

use super::{Log, LogEntry, LogOptions, log};
use crate::format::facts::Fact;
use crate::id::{Digest, SnapshotId};
use crate::ops::fixture::{About, Bench, Files, file, path};

fn options(bench: &Bench) -> LogOptions {
    LogOptions { workspace: bench.workspace, snapshots: None, run: None, paths: Vec::new(), count_max: None }
}

fn all(bench: &Bench, options: &LogOptions) -> (Vec<LogEntry>, Log) {
    let mut entries = Vec::new();
    let found = log(&bench.store, options, &mut |entry| {
        entries.push(entry);
        Ok(())
    });
    (entries, found.unwrap())
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
    let found =
        |options: &LogOptions| all(&bench, options).0.iter().map(|entry| entry.snapshot.step).collect::<Vec<_>>();
    let every = options(&bench);
    assert_eq!(found(&every), [3, 2, 1]);
    assert_eq!(found(&LogOptions { paths: vec![path("dir")], ..every.clone() }), [3, 1]);
    assert_eq!(found(&LogOptions { paths: vec![path("dir"), path("a")], ..every.clone() }), [3, 2, 1]);
    assert_eq!(found(&LogOptions { snapshots: Some(ids[..2].to_vec()), ..every.clone() }), [2, 1]);
    assert_eq!(found(&LogOptions { run: Some("other".to_owned()), ..every.clone() }), [0; 0]);
    let (_, cut) = all(&bench, &LogOptions { count_max: Some(2), ..every.clone() });
    assert_eq!((cut.count, cut.is_cut), (2, true));
    let (entries, whole) = all(&bench, &LogOptions { count_max: Some(3), ..every });
    assert_eq!((whole.count, whole.is_cut, entries[0].is_head), (3, false, true));
}

#[test]
fn a_lost_snapshot_hides_no_other() {
    let (bench, ids) = three_steps();
    let lost = SnapshotId(Digest::of(b"lost"));
    let workspace = bench.workspace;
    let taken = Fact::SnapshotTaken { workspace, snapshot: lost, step: 4, run: "main".to_owned() };
    bench.store.record(|_| Ok(vec![taken])).unwrap();
    let (entries, found) = all(&bench, &options(&bench));
    assert_eq!(entries.iter().map(|entry| entry.id).rev().collect::<Vec<_>>(), ids);
    assert_eq!(found.unreadable.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [lost]);
}

#[test]
fn long_events_are_read_from_where_they_are_kept() {
    let bench = Bench::new();
    let event: &'static [u8] =
        Box::leak(format!("{{\"a\":\"{}\"}}", "x".repeat(5_000)).into_bytes().into_boxed_slice());
    bench.take(&Files::new(), &About { event, ..About::default() });
    assert_eq!(all(&bench, &options(&bench)).0[0].event, event);
}
