//! Tests of the ranges of lines that differ.

use proptest::prelude::*;

use super::{DIVIDED_WORK_MAX, Divided, LineChange, line_changes, longest_ascending, split_lines};
use imara_diff::InternedInput;

/// Replaces the old lines of each change by the new ones.
fn patched(old: &[u8], new: &[u8], changes: &[LineChange]) -> Vec<u8> {
    let (old, new) = (split_lines(old), split_lines(new));
    let mut out = Vec::new();
    let mut at = 0;
    for change in changes {
        out.extend_from_slice(&old[at..change.old.start]);
        out.extend_from_slice(&new[change.new.clone()]);
        at = change.old.end;
    }
    out.extend_from_slice(&old[at..]);
    out.concat()
}

fn check(old: &[u8], new: &[u8], changes: &[LineChange]) {
    assert_eq!(patched(old, new, changes), new);
    for change in changes {
        assert!(!change.old.is_empty() || !change.new.is_empty());
    }
    for pair in changes.windows(2) {
        let between = pair[1].old.start.checked_sub(pair[0].old.end);
        assert!(between.is_some_and(|lines| lines > 0));
        assert_eq!(between, pair[1].new.start.checked_sub(pair[0].new.end));
    }
}

/// The same comparison, always divided at anchors.
fn divided(old: &[u8], new: &[u8]) -> Vec<LineChange> {
    let input = InternedInput::new(old, new);
    Divided::new(&input).run(&input.before, &input.after, 0)
}

fn numbered(count: usize, line: impl Fn(usize) -> String) -> Vec<u8> {
    (0..count).map(|number| line(number) + "\n").collect::<String>().into_bytes()
}

#[test]
fn equal_contents_have_no_changes() {
    assert_eq!(line_changes(b"", b""), []);
    assert_eq!(line_changes(b"a\nb", b"a\nb"), []);
}

#[test]
fn a_missing_newline_is_a_change_of_the_last_line() {
    assert_eq!(line_changes(b"a\nb", b"a\nb\n"), [LineChange { old: 1..2, new: 1..2 }]);
    assert_eq!(line_changes(b"", b"\n"), [LineChange { old: 0..0, new: 0..1 }]);
}

#[test]
fn every_second_line_of_a_long_log_is_found_at_once() {
    let count = 100_000;
    let old =
        numbered(count, |number| if number % 2 == 0 { format!("line {number}") } else { format!("old {number}") });
    let new =
        numbered(count, |number| if number % 2 == 0 { format!("line {number}") } else { format!("new {number}") });
    let changes = line_changes(&old, &new);
    check(&old, &new, &changes);
    assert_eq!(changes.len(), count / 2);
    assert!(changes.iter().all(|change| change.old.len() == 1 && change.new.len() == 1));
}

#[test]
fn a_gap_beyond_the_budget_is_replaced_whole() {
    let few = |count: usize, step: usize| numbered(count, |number| format!("{}", number * step % 7 * number % 5));
    let (old, new) = (few(70_000, 3), few(70_000, 4));
    const { assert!(70_000 * 70_000 > DIVIDED_WORK_MAX) };
    let changes = line_changes(&old, &new);
    check(&old, &new, &changes);
    assert!(changes.len() <= 1);
}

#[test]
fn a_long_file_with_a_moved_part_keeps_the_longer_part() {
    let line = |number: usize| format!("unique line {number}");
    let old = numbered(30_000, line);
    let new = numbered(30_000, |number| line((number + 10_000) % 30_000));
    let changes = line_changes(&old, &new);
    check(&old, &new, &changes);
    assert_eq!(
        changes,
        [LineChange { old: 0..10_000, new: 0..0 }, LineChange { old: 30_000..30_000, new: 20_000..30_000 }]
    );
}

#[test]
fn the_longest_ascending_list_is_found() {
    let pairs: Vec<(usize, usize)> = [3, 1, 4, 15, 9, 2, 6, 5, 35, 8].into_iter().enumerate().collect();
    let found = longest_ascending(&pairs);
    assert_eq!(found.len(), 4);
    assert!(found.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1));
    assert_eq!(longest_ascending(&[]), []);
}

fn texts() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let line = prop_oneof![4 => "[a-e]{0,1}\n", 2 => "[a-z]{1,3}\n", 1 => " {0,8}[{}]\n", 1 => "\t\n"];
    let tail = prop_oneof![3 => Just(String::new()), 1 => "[a-c]{1,2}"];
    let text =
        (prop::collection::vec(line, 0..40), tail).prop_map(|(lines, tail)| (lines.concat() + &tail).into_bytes());
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (text.clone(), text, edits, any::<bool>()).prop_map(|(old, other, edits, is_related)| {
        if !is_related {
            return (old, other);
        }
        let mut new = split_lines(&old).concat();
        for (at, byte) in edits {
            let at = at.index(new.len() + 1);
            match byte % 3 {
                0 => new.insert(at, b"a\n"[usize::from(byte / 128)]),
                1 if at < new.len() => drop(new.remove(at)),
                _ => new.extend_from_slice(b"z\n"),
            }
        }
        (old, new)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn changes_turn_the_old_into_the_new((old, new) in texts()) {
        check(&old, &new, &line_changes(&old, &new));
        check(&old, &new, &divided(&old, &new));
    }
}
