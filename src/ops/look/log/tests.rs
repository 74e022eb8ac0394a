//! The choice of steps, and lists with a lost step.

use super::{Log, LogEntry, LogOptions, log};
use crate::diff::selection::{Pattern, Selection};
use crate::format::facts::Fact;
use crate::id::{Digest, SnapshotId};
use crate::ops::fixture::{About, Bench, Files, file, path};

fn options(bench: &Bench) -> LogOptions {
    LogOptions {
        workspace: bench.workspace,
        snapshots: None,
        run: None,
        selection: Selection::default(),
        since: None,
        until: None,
        count_max: None,
    }
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
    assert_eq!(found(&LogOptions { selection: vec![path("dir")].into(), ..every.clone() }), [3, 1]);
    assert_eq!(found(&LogOptions { selection: vec![path("dir"), path("a")].into(), ..every.clone() }), [3, 2, 1]);
    assert_eq!(found(&LogOptions { snapshots: Some(ids[..2].to_vec()), ..every.clone() }), [2, 1]);
    assert_eq!(found(&LogOptions { run: Some("other".to_owned()), ..every.clone() }), [0; 0]);
    let (_, cut) = all(&bench, &LogOptions { count_max: Some(2), ..every.clone() });
    assert_eq!((cut.count, cut.is_cut, cut.older), (2, true, 1));
    let (entries, whole) = all(&bench, &LogOptions { count_max: Some(3), ..every });
    assert_eq!((whole.count, whole.is_cut, entries[0].is_head), (3, false, true));
}

#[test]
fn only_changes_to_the_chosen_paths_are_counted() {
    let (bench, _) = three_steps();
    let selection = Selection::new(vec![path("typo")], vec![Pattern::parse("d*").unwrap()]);
    let (entries, found) = all(&bench, &LogOptions { selection, ..options(&bench) });
    let counts = entries.iter().map(|entry| (entry.snapshot.step, entry.changes.added, entry.changes.modified));
    assert_eq!(counts.collect::<Vec<_>>(), [(3, 0, 1), (1, 1, 0)]);
    assert_eq!(found.is_met, [false, true]);
}

#[test]
fn times_choose_the_steps_within_them() {
    let (bench, _) = three_steps();
    let (every, _) = all(&bench, &options(&bench));
    let [third, second, first] = [0, 1, 2].map(|index| every[index].snapshot.time);
    let found = |since, until| {
        let (entries, _) = all(&bench, &LogOptions { since, until, ..options(&bench) });
        entries.iter().map(|entry| entry.snapshot.time).collect::<Vec<_>>()
    };
    assert!(first < second && second < third);
    assert_eq!(found(Some(second), None), [third, second]);
    assert_eq!(found(None, Some(second)), [second, first]);
    assert_eq!(found(Some(second), Some(second)), [second]);
}

#[test]
fn a_lost_snapshot_hides_no_other() {
    let (bench, ids) = three_steps();
    let lost = SnapshotId(Digest::of(b"lost"));
    let workspace = bench.workspace;
    let taken = Fact::SnapshotTaken {
        workspace,
        snapshot: lost,
        step: 4,
        run: None,
        cause: crate::format::snapshot::Cause::Step,
    };
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
