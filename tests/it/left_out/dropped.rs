//! Paths that are not recorded any more: the step says so, and so does every look at the folder after it.

use retrograde::format::snapshot::Dropped;
use retrograde::id::SnapshotId;

use super::{SIGNATURE, set, with};
use crate::support::recorder::Recorder;

fn said(recorder: &Recorder) -> Option<(SnapshotId, u64, bool)> {
    recorder.status().dropped.map(|Dropped { base, count, is_new }| (base, count, is_new))
}

/// A folder with four files, recorded.
fn recorded() -> (Recorder, SnapshotId) {
    let recorder = with("");
    for path in ["a", "src/b", "src/c", "docs/d"] {
        recorder.write(path, b"one");
    }
    let first = recorder.snap();
    assert_eq!((first.dropped, first.rules_changed, said(&recorder)), (None, false, None));
    (recorder, first.snapshot)
}

#[test]
fn rules_that_exclude_everything_are_reported_until_they_are_gone() {
    let (mut recorder, first) = recorded();
    set(&mut recorder, "exclude = [\"*\"]");
    assert!(recorder.status().rules_changed);
    let second = recorder.snap();
    assert!(second.rules_changed);
    assert_eq!((second.newly_dropped, second.dropped.map(|dropped| dropped.count)), (4, Some(4)));
    // The agent goes on, and touches the settings again: none of that makes it unsaid.
    assert_eq!(said(&recorder), Some((first, 4, false)));
    assert!(!recorder.snap().recorded);
    set(&mut recorder, "exclude = [\"*\", \"nothing\"]");
    recorder.write("src/b", b"two");
    let third = recorder.snap();
    assert!(third.rules_changed && third.newly_dropped == 0);
    assert_eq!(third.dropped, Some(Dropped { base: first, count: 4, is_new: false }));
    // Less of it is left out, then more that the first step did not have, then nothing.
    set(&mut recorder, "exclude = [\"src/\"]");
    recorder.write("late/e", b"e");
    recorder.snap();
    assert_eq!(said(&recorder), Some((first, 2, false)));
    set(&mut recorder, "exclude = [\"src/\", \"late/\"]");
    assert_eq!(recorder.snap().dropped, Some(Dropped { base: first, count: 3, is_new: true }));
    set(&mut recorder, "");
    assert_eq!(recorder.snap().dropped, None);
    assert_eq!(said(&recorder), None);
}

#[test]
fn going_back_to_before_the_rules_brings_all_back() {
    let (mut recorder, first) = recorded();
    set(&mut recorder, "exclude = [\"*\"]");
    recorder.snap();
    recorder.write("src/b", b"two");
    let outcome = recorder.restore(first);
    assert!(outcome.is_exact());
    assert_eq!((recorder.read("src/b"), recorder.read("retro.toml")), (b"one".to_vec(), b"[capture]\n\n".to_vec()));
    set(&mut recorder, "");
    assert_eq!((said(&recorder), recorder.snap().recorded), (None, false));
}

/// One file of an agent in a folder is enough, without any rule.
#[test]
#[expect(clippy::disallowed_methods, reason = "tests remove files of their own")]
fn new_evidence_in_a_recorded_folder_is_reported() {
    let (recorder, first) = recorded();
    recorder.write("src/CACHEDIR.TAG", SIGNATURE);
    let second = recorder.snap();
    assert!(!second.rules_changed);
    assert_eq!((second.newly_dropped, second.dropped), (2, Some(Dropped { base: first, count: 2, is_new: true })));
    recorder.write("a", b"two");
    assert_eq!(recorder.snap().dropped, Some(Dropped { base: first, count: 2, is_new: false }));
    std::fs::remove_file(recorder.root.join("src/CACHEDIR.TAG")).unwrap();
    assert_eq!(recorder.snap().dropped, None);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tests remove files of their own")]
fn deleted_paths_are_not_listed_as_excluded() {
    let (mut recorder, _) = recorded();
    set(&mut recorder, "exclude = [\"src/\"]");
    std::fs::remove_file(recorder.root.join("src/c")).unwrap();
    let second = recorder.snap();
    assert_eq!((second.changes.deleted, second.newly_dropped), (2, 1));
    let (mut recorder, _) = self::recorded();
    set(&mut recorder, "only = [\"a\"]");
    std::fs::remove_file(recorder.root.join("src/c")).unwrap();
    assert_eq!(recorder.snap().newly_dropped, 2);
}
