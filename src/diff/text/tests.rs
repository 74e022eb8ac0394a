//! Tests that hunks turn any text into any other.

use proptest::prelude::*;

use super::{Hunk, LineCounts, Mark, counts, is_binary, is_comparable, split_lines, unified};
use crate::limits::TEXT_DIFF_MAX_BYTES;

/// Marks and lines, as in a patch but without headers.
fn shown(hunk: &Hunk<'_>) -> String {
    let mark = |mark| match mark {
        Mark::Context => ' ',
        Mark::Removed => '-',
        Mark::Inserted => '+',
    };
    hunk.lines.iter().map(|line| format!("{}{}", mark(line.mark), String::from_utf8_lossy(line.text))).collect()
}

/// Applies some or all hunks of a comparison with `old`, in their order. `None` if a hunk does not fit `old` or is out
/// of order. Leaving hunks out shrinks a change to the part that matters.
fn apply(old: &[u8], hunks: &[Hunk<'_>]) -> Option<Vec<u8>> {
    let lines = split_lines(old);
    let mut out = Vec::with_capacity(old.len());
    let mut at = 0;
    for hunk in hunks {
        lines.get(at..hunk.old_start)?.iter().for_each(|line| out.extend_from_slice(line));
        at = hunk.old_start;
        for line in &hunk.lines {
            if line.mark != Mark::Inserted {
                if lines.get(at)? != &line.text {
                    return None;
                }
                at += 1;
            }
            if line.mark != Mark::Removed {
                out.extend_from_slice(line.text);
            }
        }
    }
    lines.get(at..)?.iter().for_each(|line| out.extend_from_slice(line));
    Some(out)
}

#[test]
fn a_change_is_shown_with_its_context() {
    let old = b"1\n2\n3\n4\n5\n6\n7\n8\n9\n";
    let new = b"1\n2\n3\n4\nfive\n6\n7\n8\n9\n";
    let hunks = unified(old, new, 3);
    assert_eq!(hunks.len(), 1);
    assert_eq!((hunks[0].old_start, hunks[0].old_count, hunks[0].new_start, hunks[0].new_count), (1, 7, 1, 7));
    assert_eq!(shown(&hunks[0]), " 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
    let bare = unified(old, new, 0);
    assert_eq!(shown(&bare[0]), "-5\n+five\n");
    assert_eq!((bare[0].old_start, bare[0].old_count), (4, 1));
}

#[test]
fn changes_share_a_hunk_up_to_twice_the_context_apart() {
    let text = |changed: &[usize]| -> Vec<u8> {
        (0..30)
            .map(|line| if changed.contains(&line) { format!("x{line}\n") } else { format!("{line}\n") })
            .collect::<String>()
            .into_bytes()
    };
    assert_eq!(unified(&text(&[]), &text(&[10, 17]), 3).len(), 1);
    let (old, new) = (text(&[]), text(&[10, 18]));
    let two = unified(&old, &new, 3);
    assert_eq!(two.len(), 2);
    assert_eq!((two[0].old_start, two[0].old_count, two[1].old_start, two[1].old_count), (7, 7, 15, 7));
    assert_eq!(unified(&text(&[]), &text(&[10, 11]), 0).len(), 1);
    assert_eq!(unified(&text(&[]), &text(&[10, 12]), 0).len(), 2);
    assert_eq!(unified(&text(&[]), &text(&[0, 29]), usize::MAX).len(), 1);
}

#[test]
fn an_insertion_into_nothing_starts_at_nothing() {
    let hunks = unified(b"", b"a\nb\n", 3);
    assert_eq!((hunks[0].old_start, hunks[0].old_count, hunks[0].new_start, hunks[0].new_count), (0, 0, 0, 2));
    assert!(unified(b"a\n", b"a\n", 3).is_empty());
}

#[test]
fn lines_are_counted() {
    assert_eq!(counts(b"a\nb\nc\n", b"a\nx\ny\nc\n"), LineCounts { inserted: 2, deleted: 1 });
    assert_eq!(counts(b"a", b"a\n"), LineCounts { inserted: 1, deleted: 1 });
}

#[test]
fn hunks_that_do_not_fit_are_refused() {
    let old = b"1\n2\n3\n4\n5\n6\n7\n8\n9\n";
    let hunks = unified(old, b"one\n2\n3\n4\n5\n6\n7\n8\nnine\n", 0);
    assert_eq!(apply(old, &hunks[1..]).as_deref(), Some(&b"1\n2\n3\n4\n5\n6\n7\n8\nnine\n"[..]));
    assert_eq!(apply(b"2\n", &hunks), None);
    assert_eq!(apply(b"", &hunks), None);
    let backwards: Vec<_> = hunks.iter().rev().cloned().collect();
    assert_eq!(apply(old, &backwards), None);
}

#[test]
fn texts_are_distinguished_from_other_contents() {
    for text in
        [&b""[..], b"a\n", "gr\u{fc}n \u{65e5}\u{672c}".as_bytes(), b"caf\xe9 au lait\n", b"\x1b[31mred\x1b[0m\r\n"]
    {
        assert!(!is_binary(text), "{text:?}");
    }
    for binary in [&b"a\0"[..], b"\x7fELF\x02\x01\x01", b"\x89PNG\r\n\x1a\n\xff\xfe\xfd\xfc", b"\xff\xfea\0"] {
        assert!(is_binary(binary), "{binary:?}");
    }
    let mut late = vec![b'a'; 8_000];
    late.push(0);
    assert!(!is_binary(&late));
    assert!(is_binary(&late[1..]));
    // A character cut off by the limit does not count.
    assert!(!is_binary(&"\u{65e5}".repeat(4_000).into_bytes()));
}

#[test]
fn contents_are_compared_up_to_the_limit() {
    let limit = usize::try_from(TEXT_DIFF_MAX_BYTES).unwrap();
    let mut content = vec![b'\n'; limit];
    assert!(is_comparable(&content));
    content.push(b'\n');
    assert!(!is_comparable(&content));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn hunks_turn_the_old_into_the_new(
        old in "([a-d]?\n){0,60}[a-d]?",
        new in "([a-d]?\n){0,60}[a-d]?",
        context in 0..5_usize,
    ) {
        let hunks = unified(old.as_bytes(), new.as_bytes(), context);
        prop_assert_eq!(apply(old.as_bytes(), &hunks), Some(new.clone().into_bytes()));
        let inserted = hunks.iter().flat_map(|hunk| &hunk.lines).filter(|line| line.mark == Mark::Inserted).count();
        let counted = counts(old.as_bytes(), new.as_bytes());
        prop_assert_eq!(counted.inserted, inserted as u64);
        for hunk in &hunks {
            let on_old = hunk.lines.iter().filter(|line| line.mark != Mark::Inserted).count();
            let on_new = hunk.lines.iter().filter(|line| line.mark != Mark::Removed).count();
            prop_assert_eq!((on_old, on_new), (hunk.old_count, hunk.new_count));
        }
    }

    #[test]
    fn any_part_of_the_hunks_applies(old in "([a-d]\n){1,60}", new in "([a-d]\n){1,60}", kept in any::<u64>()) {
        let hunks = unified(old.as_bytes(), new.as_bytes(), 0);
        let chosen = hunks.iter().enumerate().filter(|(at, _)| kept >> (at % 64) & 1 == 1);
        let part: Vec<_> = chosen.map(|(_, hunk)| hunk.clone()).collect();
        let result = apply(old.as_bytes(), &part);
        prop_assert!(result.is_some());
        prop_assert!(!part.is_empty() || result == Some(old.into_bytes()));
    }
}
