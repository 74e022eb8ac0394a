//! One change as a patch that `git apply` and `patch` take.
//!
//! ```text
//! diff --git a/OLD b/NEW
//! old mode, new mode | new file mode | deleted file mode | rename from, rename to
//! index OLD..NEW MODE   where contents differ: git's ids of both, and the mode where it is the same
//! --- a/OLD             only when lines differ
//! +++ b/NEW
//! @@ -1,3 +1,4 @@
//! ```
//!
//! Modes carry all twelve permission bits, so a change from 0644 to 0600 is visible; git and patch use the execute bit
//! only. The mode in an `index` line is one of git's two, or `git apply` would warn of every group-writable file.
//!
//! Contents that are not text follow in git's own form (`binary`) if [`PatchOptions::binary`] is set. Otherwise a line
//! says that they differ, and `git apply` refuses the patch. Folders and changed attributes become comments, which both
//! tools skip.

mod binary;
mod delta;

use super::git_id::GitBlobId;
use super::quote::{quoted, quoted_in_header};
use super::text::{CONTEXT_DEFAULT, Hunk, Mark, is_comparable, unified};
use super::{Change, ChangeKind, Side};
use crate::error::Result;
use crate::format::tree::EntryKind;
use crate::limits::PATCH_ID_MAX_BYTES;
use crate::path::TreePath;

/// Options of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatchOptions {
    /// Unchanged lines around each change.
    pub context: usize,
    /// Writes contents that are not text as git's binary patches. These need ids in full.
    pub binary: bool,
}

/// A receiver of the bytes of a patch or content.
pub type Put<'a> = dyn FnMut(&[u8]) -> Result<()> + 'a;

/// Passes a content to a receiver in pieces; may be called more than once.
pub type CopyContent<'a> = dyn Fn(&mut Put<'_>) -> Result<()> + 'a;

/// The content of one side of a change.
pub enum Content<'a> {
    /// A content in memory.
    Whole(Vec<u8>),
    /// A content too long for memory.
    Long {
        /// Its length in bytes.
        length_bytes: u64,
        /// Passes the content on.
        copy: Box<CopyContent<'a>>,
    },
}

impl Content<'_> {
    fn length_bytes(&self) -> u64 {
        match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Long { length_bytes, .. } => *length_bytes,
        }
    }

    fn copy(&self, put: &mut Put<'_>) -> Result<()> {
        match self {
            Self::Whole(bytes) => put(bytes),
            Self::Long { copy, .. } => copy(put),
        }
    }
}

impl Default for PatchOptions {
    fn default() -> Self {
        Self { context: CONTEXT_DEFAULT, binary: false }
    }
}

/// Returns true if a patch of this change needs contents: false if both sides are equal, and for folders.
pub fn needs_contents(change: &Change) -> bool {
    let is_content = |side: &Option<Side>| side.is_some_and(|side| side.kind != EntryKind::Folder);
    !change.is_same_content() && (is_content(&change.old) || is_content(&change.new))
}

/// Writes the patch of one change, given the contents of both sides (for symlinks, the targets). They are used only if
/// [`needs_contents`] returns true; then each side that exists and is no folder must have one.
pub fn render(
    change: &Change,
    old: Option<&Content<'_>>,
    new: Option<&Content<'_>>,
    options: &PatchOptions,
    put: &mut Put<'_>,
) -> Result<()> {
    if change.attributes_changed {
        let mut out = Vec::new();
        put_line(&mut out, &[b"# attributes changed: ", &quoted("", path_of(change))]);
        put(&out)?;
    }
    if change.kind == ChangeKind::Attributes {
        return Ok(());
    }
    match (&change.old, &change.new) {
        // As in git, a change of type is a deletion and an addition: a patch cannot turn a file into a symlink.
        (Some(was), Some(is)) if was.kind != is.kind => {
            put_half(put, change, Half { old: Some((was, old)), new: None }, options)?;
            put_half(put, change, Half { old: None, new: Some((is, new)) }, options)
        }
        (was, is) => {
            let half = Half { old: was.as_ref().map(|was| (was, old)), new: is.as_ref().map(|is| (is, new)) };
            put_half(put, change, half, options)
        }
    }
}

/// The path for a person: `.` for the root folder, which is listed only when its attributes change.
fn path_of(change: &Change) -> &[u8] {
    if change.path.is_root() { b"." } else { change.path.as_bytes() }
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

/// Digits of an abbreviated id: enough for git to find the one blob.
const ID_DIGITS: usize = 10;

/// Digits of an id in full.
const ID_DIGITS_ALL: usize = 40;

/// The sides that one patch compares: two of one kind, or one alone.
#[derive(Clone, Copy)]
struct Half<'a, 'b> {
    old: Option<(&'a Side, Option<&'a Content<'b>>)>,
    new: Option<(&'a Side, Option<&'a Content<'b>>)>,
}

fn put_half(put: &mut Put<'_>, change: &Change, half: Half<'_, '_>, options: &PatchOptions) -> Result<()> {
    let old_path = change.old_path.as_ref().unwrap_or(&change.path);
    let either = half.old.or(half.new);
    if either.is_some_and(|(side, _)| side.kind == EntryKind::Folder) {
        return put_folder(put, &change.path, half);
    }
    let (from, to) = (old_path.as_bytes(), change.path.as_bytes());
    let mut out = Vec::new();
    put_line(&mut out, &[b"diff --git ", &quoted_in_header("a/", from), b" ", &quoted_in_header("b/", to)]);
    match (half.old, half.new) {
        (Some((old, _)), Some((new, _))) => {
            if old.mode != new.mode {
                put_line(&mut out, &[b"old mode ", git_mode(old).as_bytes()]);
                put_line(&mut out, &[b"new mode ", git_mode(new).as_bytes()]);
            }
        }
        (Some((old, _)), None) => put_line(&mut out, &[b"deleted file mode ", git_mode(old).as_bytes()]),
        (None, Some((new, _))) => put_line(&mut out, &[b"new file mode ", git_mode(new).as_bytes()]),
        (None, None) => {}
    }
    let is_equal = half.old.zip(half.new).is_some_and(|((old, _), (new, _))| old.id == new.id);
    if change.kind == ChangeKind::Renamed {
        if is_equal {
            put_line(&mut out, &[b"similarity index 100%"]);
        }
        put_line(&mut out, &[b"rename from ", &quoted_in_header("", from)]);
        put_line(&mut out, &[b"rename to ", &quoted_in_header("", to)]);
    }
    put(&out)?;
    if is_equal { Ok(()) } else { put_content(put, half, &quoted("a/", from), &quoted("b/", to), options) }
}

fn put_content(
    put: &mut Put<'_>,
    half: Half<'_, '_>,
    old_name: &[u8],
    new_name: &[u8],
    options: &PatchOptions,
) -> Result<()> {
    let nothing = Content::Whole(Vec::new());
    let is_given = |side: Option<(&Side, Option<&Content<'_>>)>| side.is_none_or(|side| side.1.is_some());
    assert!(is_given(half.old) && is_given(half.new), "the contents of both sides are given where they differ");
    let old = half.old.and_then(|side| side.1).unwrap_or(&nothing);
    let new = half.new.and_then(|side| side.1).unwrap_or(&nothing);
    let digits = if options.binary { ID_DIGITS_ALL } else { ID_DIGITS };
    let id = |is_there: bool, content: &Content<'_>| {
        // Zeros also stand for an id that was not computed: git refuses to apply a binary patch with either.
        let is_named = is_there && (options.binary || content.length_bytes() <= PATCH_ID_MAX_BYTES);
        if is_named { GitBlobId::of(content.length_bytes(), |put| content.copy(put)) } else { Ok(GitBlobId::NONE) }
    };
    let (old_id, new_id) = (id(half.old.is_some(), old)?, id(half.new.is_some(), new)?);
    let mut out = Vec::new();
    let mode = match (half.old, half.new) {
        (Some((old, _)), Some((new, _))) if old.mode == new.mode => format!(" {}", plain_git_mode(new)),
        _ => String::new(),
    };
    let ids = format!("index {}..{}{mode}", old_id.digits(digits), new_id.digits(digits));
    put_line(&mut out, &[ids.as_bytes()]);
    let old_name = if half.old.is_some() { old_name } else { b"/dev/null" };
    let new_name = if half.new.is_some() { new_name } else { b"/dev/null" };
    match (old, new) {
        (Content::Whole(old), Content::Whole(new)) if is_comparable(old) && is_comparable(new) => {
            let hunks = unified(old, new, options.context);
            if !hunks.is_empty() {
                put_line(&mut out, &[b"--- ", old_name, name_end(old_name)]);
                put_line(&mut out, &[b"+++ ", new_name, name_end(new_name)]);
                hunks.iter().for_each(|hunk| put_hunk(&mut out, hunk));
            }
            put(&out)
        }
        _ if options.binary => {
            put(&out)?;
            binary::put_binary(put, old, new)
        }
        _ => {
            put_line(&mut out, &[b"Binary files ", old_name, b" and ", new_name, b" differ"]);
            put(&out)
        }
    }
}

fn put_folder(put: &mut Put<'_>, path: &TreePath, half: Half<'_, '_>) -> Result<()> {
    let mode = |side: &Side| format!("{:04o}", side.mode);
    let what = match (half.old, half.new) {
        (Some((old, _)), Some((new, _))) => format!("# folder mode {} to {}: ", mode(old), mode(new)),
        (Some((old, _)), None) => format!("# deleted folder mode {}: ", mode(old)),
        (None, Some((new, _))) => format!("# new folder mode {}: ", mode(new)),
        (None, None) => return Ok(()),
    };
    let mut out = Vec::new();
    put_line(&mut out, &[what.as_bytes(), &quoted("", path.as_bytes())]);
    put(&out)
}

fn put_line(out: &mut Vec<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out.push(b'\n');
}

/// A name with a space ends with a tab, or `patch` would read the text after the space as a time.
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
        EntryKind::File => format!("10{:04o}", side.mode),
        EntryKind::Symlink => "120000".to_owned(),
        EntryKind::Folder => format!("04{:04o}", side.mode),
    }
}

/// The mode as git stores it.
fn plain_git_mode(side: &Side) -> &'static str {
    match side.kind {
        EntryKind::File if side.mode & 0o100 != 0 => "100755",
        EntryKind::File => "100644",
        EntryKind::Symlink => "120000",
        EntryKind::Folder => "040000",
    }
}

#[cfg(test)]
mod tests;
