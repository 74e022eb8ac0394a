//! Patches: exact bytes for `git apply`, and colours for people.
//!
//! In a file or a pipe, without colour, the bytes are those that the library renders. With colour, or on a terminal,
//! control characters are escaped: a file that an agent wrote must not be able to move the cursor of the reader.

use retrograde::{Comparison, Result};

use retrograde::detail::PatchOptions;

use super::color::Palette;
use super::human::printable;
use crate::output::Output;

/// Prints the patch of each change.
pub(crate) fn print(out: &mut Output, comparison: &Comparison<'_>, options: &PatchOptions) -> Result<()> {
    let is_for_eyes = out.palette.is_on || out.is_terminal;
    for change in &comparison.changes {
        if is_for_eyes {
            let palette = out.palette;
            let mut coloured = Coloured::new(&palette);
            comparison.patch(change, options, &mut |bytes| {
                coloured.push(bytes, &mut |line| out.line(format_args!("{line}")))
            })?;
        } else {
            comparison.patch(change, options, &mut |bytes| out.bytes(bytes))?;
        }
    }
    Ok(())
}

/// Gives each line of a patch its colour. Within a hunk the first character decides; the numbers in the hunk's header
/// give its length, because a deleted line may begin with `-- `.
struct Coloured<'a> {
    palette: &'a Palette,
    /// The beginning of a line that is not complete yet.
    pending: Vec<u8>,
    old_left: u64,
    new_left: u64,
}

impl<'a> Coloured<'a> {
    fn new(palette: &'a Palette) -> Self {
        Self { palette, pending: Vec::new(), old_left: 0, new_left: 0 }
    }

    /// Takes the next bytes, and passes on the complete lines. Patches end with a newline.
    fn push(&mut self, bytes: &[u8], put: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.pending.extend_from_slice(part);
            if self.pending.ends_with(b"\n") {
                self.pending.pop();
                let line = std::mem::take(&mut self.pending);
                let style = self.style(&line);
                put(&format!("{style}{}{style:#}", printable(&String::from_utf8_lossy(&line))))?;
            }
        }
        Ok(())
    }

    fn style(&mut self, line: &[u8]) -> anstyle::Style {
        let is_inside = self.old_left > 0 || self.new_left > 0;
        match line.first() {
            Some(b'+') if is_inside => {
                self.new_left = self.new_left.saturating_sub(1);
                self.palette.added
            }
            Some(b'-') if is_inside => {
                self.old_left = self.old_left.saturating_sub(1);
                self.palette.deleted
            }
            Some(b' ') if is_inside => {
                (self.old_left, self.new_left) = (self.old_left.saturating_sub(1), self.new_left.saturating_sub(1));
                anstyle::Style::new()
            }
            Some(b'\\') => self.palette.dim,
            Some(b'@') => {
                (self.old_left, self.new_left) = hunk_counts(line).unwrap_or_default();
                self.palette.place
            }
            _ => self.palette.title,
        }
    }
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
    use super::{Coloured, Palette, hunk_counts};

    #[test]
    fn hunk_headers_give_the_length_of_the_hunk() {
        assert_eq!(hunk_counts(b"@@ -1,3 +1,4 @@"), Some((3, 4)));
        assert_eq!(hunk_counts(b"@@ -1 +0,0 @@"), Some((1, 0)));
        assert_eq!(hunk_counts(b"@@ what"), None);
    }

    #[test]
    fn lines_that_look_like_headers_keep_the_colour_of_their_hunk() {
        let palette = Palette::new(true);
        let patch = b"--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n--- gone\n a\x1b[2J\n";
        let mut lines = Vec::new();
        let mut coloured = Coloured::new(&palette);
        for part in patch.chunks(5) {
            let take = &mut |line: &str| {
                lines.push(line.to_owned());
                Ok(())
            };
            coloured.push(part, take).unwrap();
        }
        let styled = |style: anstyle::Style, text: &str| format!("{style}{text}{style:#}");
        assert_eq!(lines[0], styled(palette.title, "--- a/x"));
        assert_eq!(lines[3], styled(palette.deleted, "--- gone"));
        assert_eq!(lines[4], " a\\u{1b}[2J");
    }
}
