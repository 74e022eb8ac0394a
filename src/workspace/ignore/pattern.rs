//! Lines of an ignore file, parsed and matched as git does in `dir.c`.
//!
//! The pattern language is [`gix_glob`]'s. The file is split into lines here, because the crate for it (`gix-ignore`)
//! differs from git in ways that matter. It ignores a whole file with UTF-16 marks, keeps a carriage return before the
//! end of the file and the text after a NUL, and skips names made of tabs.

use gix_glob::pattern::{Case, Mode};
use gix_glob::wildmatch;

/// A pattern of an ignore file.
#[derive(Debug)]
pub(super) struct Pattern(gix_glob::Pattern);

/// The patterns of a file, in order.
pub(super) fn parse(bytes: &[u8]) -> Vec<Pattern> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    bytes.split(|&byte| byte == b'\n').filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<Pattern> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.first() == Some(&b'#') {
        return None;
    }
    // For git a line is a C string.
    let line = line.split(|&byte| byte == 0).next().unwrap_or_default();
    let line = without_trailing_spaces(line);
    let (body, negative) = match line.strip_prefix(b"!") {
        Some(body) => (body, Mode::NEGATIVE),
        None => (line, Mode::empty()),
    };
    let is_blank = body.iter().all(u8::is_ascii_whitespace);
    let escaped;
    let body = if is_blank && !body.is_empty() {
        // The parser would take a name of white space for an empty line.
        escaped = [b"\\", body].concat();
        &escaped[..]
    } else {
        body
    };
    let mut pattern = gix_glob::Pattern::from_bytes_without_negation(body)?;
    pattern.mode |= negative;
    Some(Pattern(pattern))
}

/// Removes spaces at the end, unless the first of them follows a backslash.
fn without_trailing_spaces(line: &[u8]) -> &[u8] {
    let (mut at, mut end) = (0, None);
    while at < line.len() {
        match line[at] {
            b' ' => {
                end.get_or_insert(at);
            }
            b'\\' if at + 1 == line.len() => return line,
            b'\\' => (at, end) = (at + 1, None),
            _ => end = None,
        }
        at += 1;
    }
    &line[..end.unwrap_or(line.len())]
}

impl Pattern {
    /// Returns true if it includes again what it matches.
    pub(super) fn is_negative(&self) -> bool {
        self.0.is_negative()
    }

    /// Returns true if it matches a path relative to the folder of the file; `name` is its last part.
    pub(super) fn matches(&self, path: &[u8], name: &[u8], is_folder: bool, case: Case) -> bool {
        let gix_glob::Pattern { text, mode, first_wildcard_pos } = &self.0;
        if mode.contains(Mode::MUST_BE_DIR) && !is_folder {
            return false;
        }
        let mut flags = wildmatch::Mode::NO_MATCH_SLASH_LITERAL;
        if case == Case::Fold {
            flags |= wildmatch::Mode::IGNORE_CASE;
        }
        if mode.contains(Mode::NO_SUB_DIR) && !mode.contains(Mode::ABSOLUTE) {
            return self.0.matches(name.into(), flags);
        }
        // Git compares the text before the first wildcard, and matches the rest as a separate pattern: `a**/b` matches
        // `a/x/b`, which it would not as a whole.
        let plain_length = first_wildcard_pos.unwrap_or(text.len());
        let Some((start, rest)) = path.split_at_checked(plain_length) else { return false };
        let plain = &text[..plain_length];
        let is_equal = if case == Case::Fold { start.eq_ignore_ascii_case(plain) } else { start == plain };
        let pattern: &[u8] = &text[plain_length..];
        is_equal && ((pattern.is_empty() && rest.is_empty()) || gix_glob::wildmatch(pattern.into(), rest.into(), flags))
    }
}
