//! Differences between two texts as people and `patch` read them: hunks of removed, inserted and context lines.
//!
//! A line ends with a newline; the last one may lack it. Lines are bytes: nothing is decoded, and a carriage return
//! counts as a difference.

use std::ops::Range;

use super::lines::{LineChange, line_changes, split_lines};
use crate::limits::TEXT_DIFF_MAX_BYTES;

/// Context lines around a change, as in git and diff.
pub const CONTEXT_DEFAULT: usize = 3;

/// A range of lines with changes close to one another, and context on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunk<'a> {
    /// First line in the old content, counted from 0. If the hunk has no old lines, the number of lines before it.
    pub old_start: usize,
    /// Context and removed lines.
    pub old_count: usize,
    /// First line in the new content, counted from 0.
    pub new_start: usize,
    /// Context and inserted lines.
    pub new_count: usize,
    /// All lines, in order; in each change the removed before the inserted ones.
    pub lines: Vec<Line<'a>>,
}

/// One line of a hunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The side the line is on.
    pub mark: Mark,
    /// Its bytes with the newline, if it has one.
    pub text: &'a [u8],
}

/// The side a line is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// On both sides.
    Context,
    /// Only in the old content.
    Removed,
    /// Only in the new content.
    Inserted,
}

/// Line counts, as `--stat` shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Lines that only the new content has.
    pub inserted: u64,
    /// Lines that only the old content has.
    pub deleted: u64,
}

/// Compares two texts, with up to `context` equal lines around each change. Changes with at most twice as many equal
/// lines between them share a hunk.
pub fn unified<'a>(old: &'a [u8], new: &'a [u8], context: usize) -> Vec<Hunk<'a>> {
    let changes = line_changes(old, new);
    if changes.is_empty() {
        return Vec::new();
    }
    let (old, new) = (split_lines(old), split_lines(new));
    let is_near = |a: &LineChange, b: &LineChange| b.old.start - a.old.end <= context.saturating_mul(2);
    changes.chunk_by(is_near).map(|group| hunk(&old, &new, group, context)).collect()
}

/// Counts the lines that a unified diff shows as inserted and removed.
pub fn counts(old: &[u8], new: &[u8]) -> LineCounts {
    let mut counts = LineCounts::default();
    for change in line_changes(old, new) {
        counts.inserted += change.new.len() as u64;
        counts.deleted += change.old.len() as u64;
    }
    counts
}

/// Returns true if a content is compared line by line: text of at most 4 MiB.
pub fn is_comparable(content: &[u8]) -> bool {
    content.len() as u64 <= TEXT_DIFF_MAX_BYTES && !is_binary(content)
}

/// Returns true if a content should not be shown as text. Either it has a NUL in the first 8,000 bytes, which is git's
/// rule, or 30 % of them are neither UTF-8 nor printable, which is Perl's rule and keeps compressed data off the
/// terminal. Latin-1 text passes.
pub fn is_binary(content: &[u8]) -> bool {
    let start = &content[..content.len().min(BINARY_SEARCH_BYTES)];
    if start.contains(&0) {
        return true;
    }
    let mut odd_count = 0;
    let mut parts = start.utf8_chunks().peekable();
    while let Some(part) = parts.next() {
        odd_count += part.valid().bytes().filter(|byte| is_odd_control(*byte)).count();
        // The last character may be cut off by the limit, so it does not count.
        if parts.peek().is_some() || start.len() == content.len() {
            odd_count += part.invalid().len();
        }
    }
    odd_count * 10 > start.len() * 3
}

/// Bytes searched for signs of binary content, as in git.
const BINARY_SEARCH_BYTES: usize = 8_000;

/// Control characters that text does not have: all but backspace, tab, newline, form feed, return and escape.
fn is_odd_control(byte: u8) -> bool {
    byte == 0x7f || (byte < b' ' && !matches!(byte, 8 | b'\t' | b'\n' | 12 | b'\r' | 27))
}

fn hunk<'a>(old: &[&'a [u8]], new: &[&'a [u8]], group: &[LineChange], context: usize) -> Hunk<'a> {
    let (first, last) = group.first().zip(group.last()).expect("a group has at least one change");
    let lead = context.min(first.old.start);
    let trail = context.min(old.len() - last.old.end);
    let old_range = first.old.start - lead..last.old.end + trail;
    let new_range = first.new.start - lead..last.new.end + trail;
    let mut lines = Vec::with_capacity(old_range.len() + new_range.len());
    let mut at = old_range.start;
    let mut put = |mark, from: &[&'a [u8]], range: Range<usize>| {
        lines.extend(from[range].iter().map(|text| Line { mark, text }));
    };
    for change in group {
        put(Mark::Context, old, at..change.old.start);
        put(Mark::Removed, old, change.old.clone());
        put(Mark::Inserted, new, change.new.clone());
        at = change.old.end;
    }
    put(Mark::Context, old, at..old_range.end);
    Hunk {
        old_start: old_range.start,
        old_count: old_range.len(),
        new_start: new_range.start,
        new_count: new_range.len(),
        lines,
    }
}

#[cfg(test)]
mod tests;
