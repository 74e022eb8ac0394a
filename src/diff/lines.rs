//! Line differences between two contents.
//!
//! Up to `DIRECT_WORK_MAX` this is imara-diff's histogram algorithm with its indent heuristic, which people know from
//! git. Histogram and Myers are both quadratic on some inputs, and not only on hostile ones: a log of 200,000 lines in
//! which every second line changed takes histogram 36 s, and 1,000,000 lines of few distinct values take either one
//! minutes. Larger changes are therefore divided at anchors first. Anchors are lines that occur exactly once on each
//! side, in the longest order common to both (Bram Cohen's patience diff). Only the gaps between anchors are compared,
//! within one budget for all of them. A gap beyond the budget is reported as replaced whole: still a correct
//! difference, but not the shortest.
//!
//! Invariants of the result: ranges ascend, at least one equal line lies between any two, no range is empty on both
//! sides, and the lines outside all ranges are equal on both sides, in order.

use std::ops::Range;

use imara_diff::{Algorithm, Diff, IndentHeuristic, IndentLevel, InternedInput, Token};

/// Lines of the old content replaced by lines of the new one; either range may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineChange {
    /// Lines removed, counted from 0.
    pub old: Range<usize>,
    /// Lines inserted, counted from 0.
    pub new: Range<usize>,
}

/// Cuts a content into lines, each with its newline; the last one may have none.
pub fn split_lines(content: &[u8]) -> Vec<&[u8]> {
    content.split_inclusive(|&byte| byte == b'\n').collect()
}

/// Compares two contents line by line.
///
/// Panics when either has 2^31 lines or more: callers compare at most
/// [`TEXT_DIFF_MAX_BYTES`](crate::limits::TEXT_DIFF_MAX_BYTES).
pub fn line_changes(old: &[u8], new: &[u8]) -> Vec<LineChange> {
    if old == new {
        return Vec::new();
    }
    let input = InternedInput::new(old, new);
    let (start, before, after) = differing(&input.before, &input.after);
    if work(before, after) <= DIRECT_WORK_MAX {
        let mut diff = Diff::compute(Algorithm::Histogram, &input);
        diff.postprocess_lines(&input);
        return diff.hunks().map(|hunk| line_change(&hunk, 0, 0)).collect();
    }
    Divided::new(&input).run(before, after, start)
}

/// Most comparisons of lines made without anchors: two changed ranges of 10,000 lines, 0.1 s at worst.
const DIRECT_WORK_MAX: u64 = 100_000_000;

/// Most comparisons of lines between anchors, all together: a second or two at worst.
const DIVIDED_WORK_MAX: u64 = 1_000_000_000;

/// A comparison that is divided at anchors.
struct Divided<'a> {
    input: &'a InternedInput<&'a [u8]>,
    /// For each line by token: its number among the distinct lines of the gap being compared.
    gap_tokens: Vec<Option<Token>>,
    work_left: u64,
    changes: Vec<LineChange>,
}

impl<'a> Divided<'a> {
    fn new(input: &'a InternedInput<&'a [u8]>) -> Self {
        let gap_tokens = vec![None; input.interner.num_tokens() as usize];
        Self { input, gap_tokens, work_left: DIVIDED_WORK_MAX, changes: Vec::new() }
    }

    /// Compares two ranges of lines that both begin at line `start`.
    fn run(mut self, before: &[Token], after: &[Token], start: usize) -> Vec<LineChange> {
        let (mut old_at, mut new_at) = (0, 0);
        let end = (before.len(), after.len());
        for (old_anchor, new_anchor) in anchors(before, after, self.gap_tokens.len()).into_iter().chain([end]) {
            self.gap(&before[old_at..old_anchor], &after[new_at..new_anchor], start + old_at, start + new_at);
            (old_at, new_at) = (old_anchor + 1, new_anchor + 1);
        }
        self.changes
    }

    /// Compares the lines between two anchors.
    fn gap(&mut self, before: &[Token], after: &[Token], old_start: usize, new_start: usize) {
        let work = work(before, after);
        if before.len().min(after.len()) == 0 || work == 1 || work > self.work_left {
            self.replaced(before, after, old_start, new_start);
            return;
        }
        self.work_left -= work;
        let (mut old_tokens, mut new_tokens) = (Vec::with_capacity(before.len()), Vec::with_capacity(after.len()));
        let mut lines = Vec::new();
        for (from, to) in [(before, &mut old_tokens), (after, &mut new_tokens)] {
            for &token in from {
                let slot = &mut self.gap_tokens[token.0 as usize];
                to.push(*slot.get_or_insert_with(|| {
                    lines.push(token);
                    Token(u32::try_from(lines.len() - 1).expect("tokens are counted in 32 bits"))
                }));
            }
        }
        for token in &lines {
            self.gap_tokens[token.0 as usize] = None;
        }
        let mut diff = Diff::default();
        let count = u32::try_from(lines.len()).expect("tokens are counted in 32 bits");
        diff.compute_with(Algorithm::Histogram, &old_tokens, &new_tokens, count);
        let interner = &self.input.interner;
        let indent =
            |token: Token| IndentLevel::for_ascii_line(interner[lines[token.0 as usize]].iter().copied(), TAB_WIDTH);
        diff.postprocess_with(&old_tokens, &new_tokens, IndentHeuristic::new(indent));
        self.changes.extend(diff.hunks().map(|hunk| line_change(&hunk, old_start, new_start)));
    }

    fn replaced(&mut self, before: &[Token], after: &[Token], old_start: usize, new_start: usize) {
        // Lines at the edges may be equal without being anchors.
        let (common, before, after) = differing(before, after);
        let (old_start, new_start) = (old_start + common, new_start + common);
        let change = LineChange { old: old_start..old_start + before.len(), new: new_start..new_start + after.len() };
        if !change.old.is_empty() || !change.new.is_empty() {
            self.changes.push(change);
        }
    }
}

/// Width of a tab for the indent heuristic, as in git.
const TAB_WIDTH: u8 = 8;

/// Pairs of positions of lines that occur once on each side: the longest list that ascends on both sides.
fn anchors(before: &[Token], after: &[Token], token_count: usize) -> Vec<(usize, usize)> {
    let occurrences = |lines: &[Token]| {
        let mut found = vec![Occurrence::Never; token_count];
        for (at, token) in lines.iter().enumerate() {
            let occurrence = &mut found[token.0 as usize];
            *occurrence =
                if matches!(occurrence, Occurrence::Never) { Occurrence::Once(at) } else { Occurrence::Often };
        }
        found
    };
    let (old_found, new_found) = (occurrences(before), occurrences(after));
    let pairs = before.iter().enumerate().filter_map(|(at, token)| {
        match (old_found[token.0 as usize], new_found[token.0 as usize]) {
            (Occurrence::Once(_), Occurrence::Once(new_at)) => Some((at, new_at)),
            _ => None,
        }
    });
    longest_ascending(&pairs.collect::<Vec<_>>())
}

/// The position of a line that may occur several times on one side.
#[derive(Clone, Copy)]
enum Occurrence {
    Never,
    Once(usize),
    Often,
}

/// The longest subsequence whose second numbers ascend, by patience sorting: each pair goes onto the leftmost pile
/// whose top is larger, and remembers the top of the pile before.
fn longest_ascending(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let mut tops: Vec<usize> = Vec::new();
    let mut before = vec![None; pairs.len()];
    for (index, pair) in pairs.iter().enumerate() {
        let pile = tops.partition_point(|&top| pairs[top].1 < pair.1);
        before[index] = pile.checked_sub(1).map(|left| tops[left]);
        match tops.get_mut(pile) {
            Some(top) => *top = index,
            None => tops.push(index),
        }
    }
    let mut longest = Vec::with_capacity(tops.len());
    let mut next = tops.last().copied();
    while let Some(index) = next {
        longest.push(pairs[index]);
        next = before[index];
    }
    longest.reverse();
    longest
}

/// The number of equal lines at the start, and the lines on both sides without these and the equal ones at the end.
fn differing<'t>(before: &'t [Token], after: &'t [Token]) -> (usize, &'t [Token], &'t [Token]) {
    let start = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let (before, after) = (&before[start..], &after[start..]);
    let end = before.iter().rev().zip(after.iter().rev()).take_while(|(a, b)| a == b).count();
    (start, &before[..before.len() - end], &after[..after.len() - end])
}

fn work(before: &[Token], after: &[Token]) -> u64 {
    (before.len() as u64).saturating_mul(after.len() as u64)
}

fn line_change(hunk: &imara_diff::Hunk, old_start: usize, new_start: usize) -> LineChange {
    let shifted = |range: &Range<u32>, by: usize| by + range.start as usize..by + range.end as usize;
    LineChange { old: shifted(&hunk.before, old_start), new: shifted(&hunk.after, new_start) }
}

#[cfg(test)]
mod tests;
