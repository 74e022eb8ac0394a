//! The names that tags and runs may have.
//!
//! A name is typed where a revision is expected. A tag that reads like another form of revision would hide it, and a
//! tag with `..` in it could never be found. Such names are refused when they are given; the store itself holds any
//! name, and [`super::revision`] finds an exact tag first.

use crate::error::{Error, ErrorKind, Result};
use crate::id::HexPrefix;
use crate::limits::LABEL_LENGTH_MAX_BYTES;
use crate::path::escaped;

/// Checks the name of a new tag.
///
/// Refused, as `Invalid`: an empty name, more than 255 bytes, control characters and white space, `..`, a dash or dot
/// at either end; a colon, which separates a revision from a path; a name that reads as a step (`s12`, also with an
/// offset), as an id (four hex digits or more, and nothing else) or as `HEAD`, also with an offset; a name that begins
/// with `@`. A bare number of up to three digits is allowed, and then means the tag, not the step.
pub fn check_tag_name(name: &str) -> Result<()> {
    let refuse = |detail: &str| Err(Error::new(ErrorKind::Invalid, "name tag", escaped(name.as_bytes()), detail));
    if let Some(detail) = problem(name) {
        return refuse(detail);
    }
    if name.contains(':') {
        return refuse("a name with a colon reads as a revision and a path");
    }
    if name.starts_with('@') {
        return refuse("a name that begins with `@` reads as a place in history");
    }
    if step_number(without_offsets(name)).is_some() {
        return refuse("it reads as a step");
    }
    if without_offsets(name) == HEAD {
        return refuse("it reads as the current snapshot");
    }
    if HexPrefix::parse(name).is_some() {
        return refuse("it reads as the id of a snapshot");
    }
    Ok(())
}

/// Checks the name of a new run.
///
/// Refused, as `Invalid`: an empty name, more than 255 bytes, control characters and white space, `..`, a dash or dot
/// at either end.
pub fn check_run_name(name: &str) -> Result<()> {
    match problem(name) {
        Some(detail) => Err(Error::new(ErrorKind::Invalid, "name run", escaped(name.as_bytes()), detail)),
        None => Ok(()),
    }
}

/// Git's name for the current snapshot of the workspace.
pub(super) const HEAD: &str = "HEAD";

/// The distance from a named snapshot to the one that is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offset {
    /// So many steps back along first parents.
    Back(u64),
    /// A parent, counted from 1.
    Parent(u64),
}

/// The number of `12`; `None` for anything else, and for digits with leading zeros, which are an id.
pub(super) fn bare_number(text: &str) -> Option<u64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    if is_number { text.parse().ok() } else { None }
}

/// The number of `s12`; `None` if the text is no step. A number that is too large becomes the largest, which no step
/// has.
pub(super) fn step_number(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('s')?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

/// Splits off the last `-`, `~` or `^` with the number that may follow it. Returns the text before it, and the offset.
pub(super) fn split_offset(text: &str) -> Option<(&str, Offset)> {
    let base = text.trim_end_matches(|character: char| character.is_ascii_digit());
    let digits = &text[base.len()..];
    let sign = base.chars().next_back().filter(|sign| matches!(sign, '-' | '~' | '^'))?;
    let base = base.strip_suffix(sign).filter(|base| !base.is_empty())?;
    let count = if digits.is_empty() { 1 } else { digits.parse().unwrap_or(u64::MAX) };
    Some((base, if sign == '^' && count > 0 { Offset::Parent(count) } else { Offset::Back(count) }))
}

fn without_offsets(mut text: &str) -> &str {
    while let Some((base, _)) = split_offset(text) {
        text = base;
    }
    text
}

/// The reason why a name can be neither a tag nor a run.
fn problem(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("a name is empty"),
        _ if name.len() > LABEL_LENGTH_MAX_BYTES => Some("a name is longer than 255 bytes"),
        _ if name.chars().any(|character| character.is_control() || character.is_whitespace()) => {
            Some("a name has white space or control characters in it")
        }
        _ if name.contains("..") => Some("a name with `..` reads as a range"),
        _ if name.starts_with(['-', '.']) || name.ends_with(['-', '.']) => {
            Some("a name begins or ends with a dash or a dot")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Offset::{Back, Parent};
    use super::{bare_number, check_run_name, check_tag_name, split_offset, step_number};
    use crate::limits::LABEL_LENGTH_MAX_BYTES;

    #[test]
    fn ordinary_names_are_taken() {
        for name in [
            "v1",
            "before-refactor",
            "v1.0-2",
            "2026-11-20",
            "abc",
            "release/7",
            "7",
            "s",
            "step3",
            "s-1x",
            "\u{e9}t\u{e9}",
        ] {
            assert!(check_tag_name(name).is_ok(), "{name}");
            assert!(check_run_name(name).is_ok(), "{name}");
        }
        for name in ["s12", "deadbeef", "claude:7f", "@nightly"] {
            assert!(check_run_name(name).is_ok(), "{name}");
        }
        assert!(check_tag_name(&"x".repeat(LABEL_LENGTH_MAX_BYTES)).is_ok());
    }

    #[test]
    fn names_that_read_as_something_else_are_refused() {
        for name in
            ["s12", "s12-2", "s1-", "s1^", "s1~2", "beef", "0123456789", "@", "@x", "run:a", "a:b", "HEAD", "HEAD~1"]
        {
            assert!(check_tag_name(name).is_err(), "{name}");
        }
        let too_long = "x".repeat(LABEL_LENGTH_MAX_BYTES + 1);
        for name in ["", "a..b", "-a", "a-", ".", "a.", ".a", "a b", "a\tb", "a\u{a0}b", "a\u{7f}", &too_long] {
            assert!(check_tag_name(name).is_err(), "{name}");
            assert!(check_run_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn offsets_and_steps_are_read() {
        assert_eq!(split_offset("@-"), Some(("@", Back(1))));
        assert_eq!(split_offset("@-3"), Some(("@", Back(3))));
        assert_eq!(split_offset("v1-2-3"), Some(("v1-2", Back(3))));
        assert_eq!(split_offset("v1--"), Some(("v1-", Back(1))));
        assert_eq!(split_offset("v1"), None);
        assert_eq!(split_offset("-3"), None);
        assert_eq!(split_offset("s3~2"), Some(("s3", Back(2))));
        assert_eq!(split_offset("s3^"), Some(("s3", Parent(1))));
        assert_eq!(split_offset("s3^2"), Some(("s3", Parent(2))));
        assert_eq!(split_offset("s3^0"), Some(("s3", Back(0))));
        assert_eq!(
            (bare_number("12"), bare_number("012"), bare_number("0"), bare_number("")),
            (Some(12), None, None, None)
        );
        assert_eq!(split_offset("@-99999999999999999999"), Some(("@", Back(u64::MAX))));
        assert_eq!(step_number("s012"), Some(12));
        assert_eq!(step_number("s"), None);
        assert_eq!(step_number("s99999999999999999999"), Some(u64::MAX));
    }
}
