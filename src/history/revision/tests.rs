//! Tests of every way to name a snapshot, and of every mistake.

use super::{Context, Resolver, is_range, resolve, resolve_range, split_path};
use crate::error::{ErrorKind, Result};
use crate::format::facts::Fact;
use crate::history::fixture::Past;
use crate::history::graph::{first_parents, newest_first};
use crate::history::name::bare_number;
use crate::id::{SnapshotId, WorkspaceId};
use crate::time::Timestamp;

/// Ten minutes past 1970.
const NOW: Timestamp = Timestamp(600_000_000_000);

fn with<T>(past: &Past, workspace: Option<WorkspaceId>, work: impl FnOnce(&Resolver<'_>) -> T) -> T {
    let load = |id| past.load(id);
    work(&Resolver { load: &load, state: &past.state, workspace, now: NOW })
}

fn find(past: &Past, workspace: WorkspaceId, text: &str) -> Result<SnapshotId> {
    with(past, Some(workspace), |resolver| resolver.resolve(text))
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("it was found"),
        Err(error) => error.kind(),
    }
}

fn tag(past: &mut Past, name: &str, snapshot: SnapshotId) {
    let workspace = past.snapshots[&snapshot].workspace;
    past.apply(Fact::Tagged { workspace, name: name.to_owned(), snapshot: Some(snapshot), time: NOW });
}

/// Five snapshots at 60, 120, .. 300 seconds.
fn five() -> (Past, WorkspaceId, Vec<SnapshotId>) {
    let mut past = Past::default();
    let workspace = past.workspace(1);
    let line = past.line(workspace, "main", 5);
    (past, workspace, line)
}

#[test]
fn every_form_finds_its_snapshot() {
    let (mut past, workspace, line) = five();
    tag(&mut past, "v1", line[1]);
    let prefix = line[3].to_string()[..12].to_owned();
    let cases = [
        ("@", 4),
        ("@-", 3),
        ("@-3", 1),
        ("@--", 2),
        ("@-0", 4),
        ("@-1-2", 1),
        ("s1", 0),
        ("s5-2", 2),
        ("v1", 1),
        ("v1-", 0),
        ("run:main", 4),
        ("run:main-4", 0),
        (prefix.as_str(), 3),
        (&prefix.to_uppercase(), 3),
        (&format!("{prefix}-2"), 1),
        (&line[2].to_string(), 2),
        ("@{6 minutes ago}", 3),
        ("@{6 minutes ago}-2", 1),
        ("@{1970-01-01T00:02:59Z}", 1),
        ("@{now}", 4),
        ("HEAD", 4),
        ("HEAD~1", 3),
        ("HEAD@{6 minutes ago}", 3),
        ("@~1", 3),
        ("@~", 3),
        ("@^", 3),
        ("@^^", 2),
        ("@^~2-", 0),
        ("s3^", 1),
        ("s3^0", 2),
        ("s3~2", 0),
        ("run:main~4", 0),
        ("2", 1),
        ("2~1", 0),
    ];
    for (text, index) in cases {
        assert_eq!(find(&past, workspace, text).unwrap(), line[index], "{text}");
    }
}

#[test]
fn names_of_nothing_are_not_found() {
    let (past, workspace, line) = five();
    for text in [
        "s6",
        "s99999999999999999999",
        "v1",
        "run:other",
        "run:",
        "0000",
        "@-5",
        "s1-",
        "@-99999999999999999999",
        "0",
        "02",
        "9",
        "s1^",
        "s2^2",
        "HEAD~5",
        "HEADS",
        "~1",
        "^",
    ] {
        let error = find(&past, workspace, text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{text}");
        assert!(error.to_string().contains(text) && error.hint().is_some(), "{error}");
    }
    assert_eq!(kind(find(&past, workspace, "@{1970-01-01T00:00:59Z}")), ErrorKind::NotFound);
    assert_eq!(kind(find(&past, workspace, &"0".repeat(64))), ErrorKind::NotFound);
    assert_eq!(kind(find(&past, workspace, "")), ErrorKind::NotFound);
    let message = find(&past, workspace, "s3-3").unwrap_err().to_string();
    assert_eq!(message, format!("find snapshot s3-3: only 2 snapshots come before {}", line[2].short()));
}

#[test]
fn ambiguous_and_malformed_names_are_invalid() {
    let (past, workspace, _) = five();
    for text in ["s1..s2", "..", "@{soon}", "@{}"] {
        assert_eq!(kind(find(&past, workspace, text)), ErrorKind::Invalid, "{text}");
    }
    for text in ["@", "s1", "@{now}", "@-2"] {
        assert_eq!(kind(with(&past, None, |resolver| resolver.resolve(text))), ErrorKind::Invalid, "{text}");
    }
}

#[test]
fn an_empty_workspace_has_no_head() {
    let mut past = Past::default();
    let workspace = past.workspace(1);
    let error = find(&past, workspace, "@").unwrap_err();
    assert_eq!((error.kind(), error.hint()), (ErrorKind::NotFound, Some("`retro snap` takes one")));
}

#[test]
fn digits_that_begin_several_ids_name_the_candidates() {
    let mut past = Past::default();
    let workspace = past.workspace(1);
    // A thousand snapshots share some of the 65,536 prefixes of four digits.
    let line = past.line(workspace, "main", 1_000);
    let mut ids: Vec<String> = line.iter().map(ToString::to_string).collect();
    ids.sort();
    let twins = ids.windows(2).find(|pair| pair[0][..4] == pair[1][..4]).unwrap();
    let error = find(&past, workspace, &twins[0][..4]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains(&twins[0][..8]) && error.to_string().contains(&twins[1][..8]), "{error}");
    assert_eq!(find(&past, workspace, &twins[0]).unwrap().to_string(), twins[0]);
}

#[test]
fn an_exact_tag_wins_over_every_other_reading() {
    let (mut past, workspace, line) = five();
    let digits = line[4].to_string()[..8].to_owned();
    tag(&mut past, "v1", line[3]);
    assert_eq!(find(&past, workspace, "v1-2").unwrap(), line[1]);
    for name in ["v1-2", "s5", "@", &digits, "run:main"] {
        tag(&mut past, name, line[0]);
        assert_eq!(find(&past, workspace, name).unwrap(), line[0], "{name}");
    }
}

#[test]
fn a_bare_number_is_a_tag_then_a_step_then_the_beginning_of_an_id() {
    let mut past = Past::default();
    let workspace = past.workspace(1);
    let line = past.line(workspace, "main", 3_000);
    let prefix = |id: &SnapshotId| bare_number(&id.to_string()[..4]).filter(|&number| number <= 9_999);
    let (index, number) = line.iter().enumerate().find_map(|(at, id)| Some((at, prefix(id)?))).unwrap();
    let by_step = line.get(usize::try_from(number).unwrap() - 1).copied();
    let text = number.to_string();
    assert_eq!(find(&past, workspace, &text).unwrap(), by_step.unwrap_or(line[index]));
    // Without a workspace only the id can be meant.
    assert_eq!(
        with(&past, None, |resolver| resolver.resolve(&text)).ok(),
        Some(line[index]).filter(|_| { line.iter().filter(|id| id.to_string().starts_with(&text)).count() == 1 })
    );
    let beyond = line.iter().find_map(|id| {
        let digits = &id.to_string()[..8];
        bare_number(digits).map(|_| (*id, digits.to_owned()))
    });
    let (id, digits) = beyond.unwrap();
    assert_eq!(find(&past, workspace, &digits).unwrap(), id);
    tag(&mut past, &text, line[7]);
    assert_eq!(find(&past, workspace, &text).unwrap(), line[7]);
}

#[test]
fn other_parents_are_found_by_their_number() {
    let (mut past, workspace, line) = five();
    let merged = past.take(workspace, "main", &[line[4], line[1]], 400);
    for (text, found) in [("@^", line[4]), ("@^1", line[4]), ("@^2", line[1]), ("@^2^", line[0]), ("@~2^", line[2])] {
        assert_eq!(find(&past, workspace, text).unwrap(), found, "{text}");
    }
    let message = find(&past, workspace, "@^3").unwrap_err().to_string();
    assert_eq!(message, format!("find snapshot @^3: {} has 2 parents", merged.short()));
}

#[test]
fn all_digits_find_a_snapshot_that_was_forgotten() {
    let (mut past, workspace, line) = five();
    past.apply(Fact::SnapshotForgotten { snapshot: line[1], time: NOW });
    assert_eq!(find(&past, workspace, &line[1].to_string()).unwrap(), line[1]);
    // Undo still leads there, so some of its digits find it too.
    assert_eq!(find(&past, workspace, &line[1].to_string()[..63]).unwrap(), line[1]);
    assert_eq!(kind(find(&past, workspace, "s2")), ErrorKind::NotFound);
}

#[test]
fn going_back_ends_where_history_was_deleted() {
    let (mut past, workspace, line) = five();
    past.apply(Fact::SnapshotForgotten { snapshot: line[1], time: NOW });
    past.snapshots.remove(&line[1]);
    assert_eq!(find(&past, workspace, "@-2").unwrap(), line[2]);
    assert_eq!(kind(find(&past, workspace, "@-3")), ErrorKind::NotFound);
    assert_eq!(find(&past, workspace, "s1").unwrap(), line[0]);
}

#[test]
fn times_find_the_last_step_even_when_the_clock_went_back() {
    let mut past = Past::default();
    let workspace = past.workspace(1);
    let first = past.take(workspace, "main", &[], 100);
    let ahead = past.take(workspace, "main", &[first], 500);
    let back = past.take(workspace, "main", &[ahead], 110);
    assert_eq!(find(&past, workspace, "@{1970-01-01T00:05:00Z}").unwrap(), back);
    assert_eq!(find(&past, workspace, "@{1970-01-01T00:01:45Z}").unwrap(), first);
}

#[test]
fn runs_are_found_in_other_workspaces_when_there_is_one() {
    let (mut past, workspace, line) = five();
    let second = past.workspace(2);
    let third = past.workspace(3);
    let only = past.take(second, "night", &[], 60);
    let dashed = past.take(second, "fix-3", &[only], 120);
    assert_eq!(find(&past, workspace, "run:night").unwrap(), only);
    assert_eq!(with(&past, None, |resolver| resolver.resolve("run:night")).unwrap(), only);
    assert_eq!(find(&past, workspace, "run:fix-3").unwrap(), dashed);
    assert_eq!(find(&past, workspace, "run:fix-3-1").unwrap(), only);
    past.take(third, "night", &[], 60);
    past.take(third, "main", &[], 61);
    let error = find(&past, workspace, "run:night").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("/w/2, /w/3"), "{error}");
    assert_eq!(find(&past, workspace, "run:main").unwrap(), line[4]);
}

#[test]
fn ranges_hold_the_snapshots_after_the_first_up_to_the_last() {
    let (mut past, workspace, line) = five();
    tag(&mut past, "v1", line[1]);
    let range = |text: &str| with(&past, Some(workspace), |resolver| resolver.resolve_range(text));
    let found = range("s2..s4").unwrap();
    assert_eq!((found.after, found.last, &found.snapshots[..]), (Some(line[1]), line[3], &line[2..4]));
    assert_eq!(range("v1..").unwrap().snapshots, line[2..]);
    assert_eq!(range("..s3").unwrap().snapshots, line[..3]);
    assert_eq!(range("..").unwrap().snapshots, line);
    assert_eq!(range("@-3..@-").unwrap().snapshots, line[2..4]);
    assert_eq!(range("s3..s3").unwrap().snapshots, []);
    assert_eq!(range("@{1970-01-01T00:02:00.5Z}..@").unwrap().snapshots, line[2..]);
    for text in ["s4..s2", "s1...s2", "s1..s2..s3", "s1"] {
        assert_eq!(kind(range(text)), ErrorKind::Invalid, "{text}");
    }
    assert_eq!(kind(range("s1..s9")), ErrorKind::NotFound);
}

#[test]
fn a_range_follows_first_parents_only() {
    let (mut past, workspace, line) = five();
    let fork = past.take(workspace, "main", &[line[1]], 400);
    let range = |text: &str| with(&past, Some(workspace), |resolver| resolver.resolve_range(text));
    assert_eq!(range("s1..@").unwrap().snapshots, [line[1], fork]);
    assert_eq!(kind(range("s4..@")), ErrorKind::Invalid);
}

#[test]
fn dots_and_colons_in_times_mean_nothing_else() {
    assert!(is_range("a..b") && is_range("..") && is_range("@{10:30}..@"));
    assert!(!is_range("@{a..b}") && !is_range("a.b") && !is_range("v1.0"));
    assert_eq!(split_path("@:src/a:b"), Some(("@", "src/a:b")));
    assert_eq!(split_path("@{2026-11-20 10:30}-1:x"), Some(("@{2026-11-20 10:30}-1", "x")));
    assert_eq!(split_path("run:main:x"), Some(("run:main", "x")));
    assert_eq!(split_path("run:main"), None);
    assert_eq!(split_path("s12:"), Some(("s12", "")));
}

#[test]
fn a_lost_step_is_damage_and_a_forgotten_one_the_beginning() {
    let (mut past, workspace, line) = five();
    past.apply(Fact::SnapshotForgotten { snapshot: line[1], time: NOW });
    let resolved = |lost: &[SnapshotId], text: &str| {
        let folder = tempfile::tempdir().unwrap();
        let store = past.store(folder.path(), lost);
        let state = store.state();
        let context = Context { store: &store, state: &state, workspace: Some(workspace), now: NOW };
        let walked = first_parents(&store, line[4]).filter(Result::is_ok).count();
        assert_eq!(newest_first(&store, &state.workspaces[&workspace]).count(), 4);
        (walked, resolve(&context, text).map_err(|error| error.to_string()), resolve_range(&context, "..").is_ok())
    };
    assert_eq!(resolved(&[], "@-4"), (5, Ok(line[0]), true));
    let gone = format!("find snapshot @-3: only 2 snapshots come before {}", line[4].short());
    assert_eq!(resolved(&[line[1]], "@-3"), (3, Err(gone), true));
    let (walked, found, has_range) = resolved(&[line[2]], "@-2");
    assert!(found.is_err_and(|message| message.contains(&line[2].to_string())));
    assert_eq!((walked, has_range), (2, false));
}
