//! Tests of walks over histories that fork, and over hostile ones.

use std::cell::Cell;

use super::walk_first_parents;
use crate::error::{Error, ErrorKind};
use crate::history::fixture::Past;
use crate::id::SnapshotId;

fn ids(walk: impl Iterator<Item = super::Visit>) -> Vec<SnapshotId> {
    walk.map(|visit| visit.unwrap().0).collect()
}

#[test]
fn first_parents_are_followed_to_the_beginning() {
    let mut past = Past::default();
    let workspace = past.workspace(1);
    let line = past.line(workspace, "main", 4);
    let merge = past.take(workspace, "main", &[line[3], line[0]], 600);
    let walked = ids(walk_first_parents(|id| past.load(id), merge));
    assert_eq!(walked, [merge, line[3], line[2], line[1], line[0]]);
}

#[test]
fn history_begins_where_a_parent_was_deleted() {
    let mut past = Past::default();
    let workspace = past.workspace(1);
    let line = past.line(workspace, "main", 4);
    past.snapshots.remove(&line[1]);
    assert_eq!(ids(walk_first_parents(|id| past.load(id), line[3])), [line[3], line[2]]);
    let mut walk = walk_first_parents(|id| past.load(id), line[1]);
    assert!(walk.next().unwrap().is_err_and(|error| error.kind() == ErrorKind::NotFound));
    assert!(walk.next().is_none());
}

#[test]
fn an_error_ends_a_walk() {
    let mut past = Past::default();
    let workspace = past.workspace(1);
    let line = past.line(workspace, "main", 4);
    let loads = Cell::new(0);
    let failing = |id| {
        loads.set(loads.get() + 1);
        if id == line[1] { Err(Error::corrupt("read snapshot", id, "damaged")) } else { past.load(id) }
    };
    let walked: Vec<_> = walk_first_parents(failing, line[3]).collect();
    assert_eq!((walked.len(), loads.get()), (3, 3));
    assert!(walked[2].as_ref().is_err_and(|error| error.kind() == ErrorKind::Corrupt));
}

#[test]
fn a_loader_that_claims_a_cycle_does_not_loop() {
    let mut past = Past::default();
    let workspace = past.workspace(1);
    let line = past.line(workspace, "main", 3);
    // The loader returns the last snapshot under the first one's id, which no store can.
    let cyclic = |id| past.load(if id == line[0] { line[2] } else { id });
    assert_eq!(ids(walk_first_parents(cyclic, line[2])), [line[2], line[1], line[0]]);
}
