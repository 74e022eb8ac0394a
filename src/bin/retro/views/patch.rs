//! Patches: byte by byte for `git apply`, with colours for people.
//!
//! Into a file or a pipe, without colour, the bytes are those that the library renders. With colour, and on a terminal, they
//! are for eyes only, and control characters are escaped: a file that an agent wrote must not be able to move the cursor of whoever looks at it.

use retrograde::diff::patch::render;
use retrograde::diff::text::CONTEXT_DEFAULT;
use retrograde::diff::{Change, ChangeKind};
use retrograde::error::Result;
use retrograde::format::tree::Kind;

use super::changes::LoadContents;
use super::color::Palette;
use super::human::printable;
use crate::output::Output;

/// Prints the patch of each change.
pub(crate) fn print(out: &mut Output, changes: &[Change], load: &LoadContents<'_>) -> Result<()> {
    for change in changes {
        let (old, new) = if has_lines(change) { load(change)? } else { (None, None) };
        let patch = render(change, old.as_deref(), new.as_deref(), CONTEXT_DEFAULT);
        if out.palette.is_on || out.is_terminal {
            let palette = out.palette;
            coloured(&patch, &palette, &mut |line| out.line(format_args!("{line}")))?;
        } else {
            out.bytes(&patch)?;
        }
    }
    Ok(())
}

/// Whether any content takes part in the change; a list of folders needs no reading.
fn has_lines(change: &Change) -> bool {
    let is_content = |side: &Option<retrograde::diff::Side>| side.is_some_and(|side| side.kind != Kind::Folder);
    let is_equal = change.old.zip(change.new).is_some_and(|(old, new)| old.id == new.id);
    change.kind != ChangeKind::Mode && !is_equal && (is_content(&change.old) || is_content(&change.new))
}

/// Gives each line of a patch its colour. Within a hunk the first character decides, and the numbers in the hunk's
/// header say where it ends: a deleted line may well begin with `-- `.
fn coloured(patch: &[u8], palette: &Palette, put: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
    let (mut old_left, mut new_left) = (0_u64, 0_u64);
    for line in patch.split_inclusive(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let text = printable(&String::from_utf8_lossy(line));
        let is_inside = old_left > 0 || new_left > 0;
        let style = match line.first() {
            Some(b'+') if is_inside => {
                new_left = new_left.saturating_sub(1);
                palette.added
            }
            Some(b'-') if is_inside => {
                old_left = old_left.saturating_sub(1);
                palette.deleted
            }
            Some(b' ') if is_inside => {
                (old_left, new_left) = (old_left.saturating_sub(1), new_left.saturating_sub(1));
                anstyle::Style::new()
            }
            Some(b'\\') => palette.dim,
            Some(b'@') => {
                (old_left, new_left) = hunk_counts(line).unwrap_or_default();
                palette.place
            }
            _ => palette.title,
        };
        put(&format!("{style}{text}{style:#}"))?;
    }
    Ok(())
}

/// Reads the counts of `@@ -1,3 +1,4 @@`.
fn hunk_counts(line: &[u8]) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(line).ok()?;
    let mut words = text.split(' ').skip(1);
    let mut count = |sign| {
        let (_, count) = words.next()?.strip_prefix(sign)?.split_once(',').unwrap_or(("", "1"));
        count.parse().ok()
    };
    Some((count('-')?, count('+')?))
}

#[cfg(test)]
mod tests {
    use super::{Palette, coloured, hunk_counts};

    #[test]
    fn hunk_headers_say_how_long_the_hunk_is() {
        assert_eq!(hunk_counts(b"@@ -1,3 +1,4 @@"), Some((3, 4)));
        assert_eq!(hunk_counts(b"@@ -1 +0,0 @@"), Some((1, 0)));
        assert_eq!(hunk_counts(b"@@ what"), None);
    }

    #[test]
    fn lines_that_look_like_headers_keep_the_colour_of_their_hunk() {
        let palette = Palette::new(true);
        let patch = b"--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n--- gone\n a\x1b[2J\n";
        let mut lines = Vec::new();
        coloured(patch, &palette, &mut |line| {
            lines.push(line.to_owned());
            Ok(())
        })
        .unwrap();
        let styled = |style: anstyle::Style, text: &str| format!("{style}{text}{style:#}");
        assert_eq!(lines[0], styled(palette.title, "--- a/x"));
        assert_eq!(lines[3], styled(palette.deleted, "--- gone"));
        assert_eq!(lines[4], " a\\u{1b}[2J");
    }
}
