//! One change as a patch that `git apply` and `patch` take.
//!
//! ```text
//! diff --git a/OLD b/NEW
//! old mode, new mode | new file mode | deleted file mode | rename from, rename to
//! --- a/OLD            only when lines differ
//! +++ b/NEW
//! @@ -1,3 +1,4 @@
//! ```
//!
//! Modes carry all twelve permission bits, so a change from 0644 to 0600 is visible; git and patch act on the execute
//! bit only. There are no `index` lines, which would have to name git's objects, but for empty files: without one GNU patch
//! asks whether to delete what is empty already. What no patch can say is said all the
//! same, in lines that both tools pass over: folders as a comment, contents that are not text as `Binary files differ`.

use super::quote::{quoted, quoted_in_header};
use super::text::{Hunk, Mark, is_comparable, unified};
use super::{Change, ChangeKind, Side};
use crate::format::tree::Kind;
use crate::path::TreePath;

/// The patch of one change, given the contents of both sides (the targets of symlinks).
///
/// A side that does not exist has no content, nor need it have one when the ids of both sides are equal; where one is
/// missing otherwise, because it was too large to read, the files are reported to differ without saying how.
pub fn render(change: &Change, old: Option<&[u8]>, new: Option<&[u8]>, context: usize) -> Vec<u8> {
    let mut out = Vec::new();
    match (&change.old, &change.new) {
        // Git, too, takes a change of type for a deletion and an addition: a patch cannot turn a file into a symlink.
        (Some(was), Some(is)) if was.kind != is.kind => {
            put_half(&mut out, change, Half { old: Some((was, old)), new: None }, context);
            put_half(&mut out, change, Half { old: None, new: Some((is, new)) }, context);
        }
        (was, is) => {
            let half = Half { old: was.as_ref().map(|was| (was, old)), new: is.as_ref().map(|is| (is, new)) };
            put_half(&mut out, change, half, context);
        }
    }
    out
}

/// Appends one hunk with its header.
pub fn put_hunk(out: &mut Vec<u8>, hunk: &Hunk<'_>) {
    let old = range(hunk.old_start, hunk.old_count);
    let new = range(hunk.new_start, hunk.new_count);
    out.extend_from_slice(format!("@@ -{old} +{new} @@\n").as_bytes());
    for line in &hunk.lines {
        out.push(match line.mark {
            Mark::Context => b' ',
            Mark::Removed => b'-',
            Mark::Inserted => b'+',
        });
        out.extend_from_slice(line.text);
        if !line.text.ends_with(b"\n") {
            out.extend_from_slice(b"\n\\ No newline at end of file\n");
        }
    }
}

/// How git names an empty file, and no file at all.
const GIT_EMPTY: &[u8] = b"e69de29";
const GIT_NOTHING: &[u8] = b"0000000";

/// What one patch compares: sides of one kind, or one side and nothing.
#[derive(Clone, Copy)]
struct Half<'a> {
    old: Option<(&'a Side, Option<&'a [u8]>)>,
    new: Option<(&'a Side, Option<&'a [u8]>)>,
}

fn put_half(out: &mut Vec<u8>, change: &Change, half: Half<'_>, context: usize) {
    let old_path = change.old_path.as_ref().unwrap_or(&change.path);
    let either = half.old.or(half.new);
    if either.is_some_and(|(side, _)| side.kind == Kind::Folder) {
        put_folder(out, &change.path, half);
        return;
    }
    let (from, to) = (old_path.as_bytes(), change.path.as_bytes());
    put_line(out, &[b"diff --git ", &quoted_in_header("a/", from), b" ", &quoted_in_header("b/", to)]);
    match (half.old, half.new) {
        (Some((old, _)), Some((new, _))) => {
            if old.mode != new.mode {
                put_line(out, &[b"old mode ", git_mode(old).as_bytes()]);
                put_line(out, &[b"new mode ", git_mode(new).as_bytes()]);
            }
        }
        (Some((old, _)), None) => {
            put_line(out, &[b"deleted file mode ", git_mode(old).as_bytes()]);
            if old.size == 0 {
                put_line(out, &[b"index ", GIT_EMPTY, b"..", GIT_NOTHING]);
            }
        }
        (None, Some((new, _))) => {
            put_line(out, &[b"new file mode ", git_mode(new).as_bytes()]);
            if new.size == 0 {
                put_line(out, &[b"index ", GIT_NOTHING, b"..", GIT_EMPTY]);
            }
        }
        (None, None) => {}
    }
    let is_equal = half.old.zip(half.new).is_some_and(|((old, _), (new, _))| old.id == new.id);
    if change.kind == ChangeKind::Renamed {
        if is_equal {
            put_line(out, &[b"similarity index 100%"]);
        }
        put_line(out, &[b"rename from ", &quoted_in_header("", from)]);
        put_line(out, &[b"rename to ", &quoted_in_header("", to)]);
    }
    if !is_equal {
        put_content(out, half, &quoted("a/", from), &quoted("b/", to), context);
    }
}

fn put_content(out: &mut Vec<u8>, half: Half<'_>, old_name: &[u8], new_name: &[u8], context: usize) {
    let (old, new) = (half.old.map_or(Some(&[][..]), |side| side.1), half.new.map_or(Some(&[][..]), |side| side.1));
    let old_name = if half.old.is_some() { old_name } else { b"/dev/null" };
    let new_name = if half.new.is_some() { new_name } else { b"/dev/null" };
    match (old, new) {
        (Some(old), Some(new)) if is_comparable(old) && is_comparable(new) => {
            let hunks = unified(old, new, context);
            if hunks.is_empty() {
                return;
            }
            put_line(out, &[b"--- ", old_name, name_end(old_name)]);
            put_line(out, &[b"+++ ", new_name, name_end(new_name)]);
            hunks.iter().for_each(|hunk| put_hunk(out, hunk));
        }
        _ => put_line(out, &[b"Binary files ", old_name, b" and ", new_name, b" differ"]),
    }
}

fn put_folder(out: &mut Vec<u8>, path: &TreePath, half: Half<'_>) {
    let mode = |side: &Side| format!("{:04o}", side.mode);
    let what = match (half.old, half.new) {
        (Some((old, _)), Some((new, _))) => format!("# folder mode {} to {}: ", mode(old), mode(new)),
        (Some((old, _)), None) => format!("# deleted folder mode {}: ", mode(old)),
        (None, Some((new, _))) => format!("# new folder mode {}: ", mode(new)),
        (None, None) => return,
    };
    put_line(out, &[what.as_bytes(), &quoted("", path.as_bytes())]);
}

fn put_line(out: &mut Vec<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out.push(b'\n');
}

/// A name with a space in it ends with a tab, or `patch` would take what follows the space for a time.
fn name_end(name: &[u8]) -> &'static [u8] {
    if name.contains(&b' ') && !name.starts_with(b"\"") { b"\t" } else { b"" }
}

/// Lines of a hunk, counted from 1; an empty range is given by the line before it.
fn range(start: usize, count: usize) -> String {
    match count {
        0 => format!("{start},0"),
        1 => format!("{}", start + 1),
        _ => format!("{},{count}", start + 1),
    }
}

fn git_mode(side: &Side) -> String {
    match side.kind {
        Kind::File => format!("10{:04o}", side.mode),
        Kind::Symlink => "120000".to_owned(),
        Kind::Folder => format!("04{:04o}", side.mode),
    }
}

#[cfg(test)]
mod tests;
