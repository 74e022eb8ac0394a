//! Numbers, times and texts for people.

use std::time::Duration;

use retrograde::detail::ChangeCounts;

/// A length in decimal units: `0 B`, `1.2 kB`, `34 MB`.
pub(crate) fn size(bytes: u64) -> String {
    if bytes < 1_000 {
        return format!("{bytes} B");
    }
    let mut unit = 1_000_u128;
    let bytes = u128::from(bytes);
    for name in ["kB", "MB", "GB", "TB", "PB", "EB"] {
        // 9,950 bytes are 10 kB, not 9.9 or 10.0; 999,500 are 1.0 MB.
        let tenths = (bytes * 10 + unit / 2) / unit;
        if tenths < 100 {
            return format!("{}.{} {name}", tenths / 10, tenths % 10);
        }
        let whole = (bytes + unit / 2) / unit;
        if whole < 1_000 {
            return format!("{whole} {name}");
        }
        unit *= 1_000;
    }
    unreachable!("2^64 bytes are 18 EB")
}

/// A number with commas: `12,345`.
pub(crate) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 file`, `12,345 files`.
pub(crate) fn count(value: u64, thing: &str) -> String {
    format!("{} {thing}{}", number(value), if value == 1 { "" } else { "s" })
}

/// A time span: `8 ms`, `1.2 s`, `2 min 5 s`.
pub(crate) fn duration(time: Duration) -> String {
    let ms = time.as_millis();
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms / 1_000 % 60),
    }
}

/// Paths added, modified and deleted: `+2 ~1 -0`.
pub(crate) fn counts(counts: &ChangeCounts) -> String {
    format!("+{} ~{} -{}", counts.added, counts.modified, counts.deleted)
}

/// The first `count_max` texts; if there are more, a last line that says how many were left out, followed by
/// `advice`.
pub(crate) fn first(count_max: usize, texts: impl ExactSizeIterator<Item = String>, advice: &str) -> Vec<String> {
    let more = texts.len().saturating_sub(count_max) as u64;
    let last = (more > 0).then(|| format!("... and {} more{advice}", number(more)));
    texts.take(count_max).chain(last).collect()
}

/// Text on one line: line breaks and unsafe characters become spaces. Cut after `width_max` characters, with `...`
/// added.
pub(crate) fn one_line(text: &str, width_max: usize) -> String {
    let mut line = String::new();
    let words = text.split(|character: char| character.is_whitespace() || is_unsafe(character));
    for word in words.filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > 4 * width_max {
            break;
        }
    }
    match line.char_indices().nth(width_max) {
        Some((at, _)) => format!("{}...", line[..at].trim_end()),
        None => line,
    }
}

/// Text for a terminal: control characters except newline and tab are escaped, so that none can move the cursor.
pub(crate) fn printable(text: &str) -> String {
    escaped(text, |character| is_unsafe(character) && !matches!(character, '\n' | '\t'))
}

/// A name for a terminal, on one line: every unsafe character is escaped.
pub(crate) fn label(name: &str) -> String {
    escaped(name, is_unsafe)
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_escaped(character) { out.extend(character.escape_default()) } else { out.push(character) }
    }
    out
}

/// True for control characters and for Unicode's directional formatting characters, with which one name can look like
/// another.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}

/// Words on lines of at most `width_max` characters, unless a word is longer.
pub(crate) fn wrapped<'a>(words: impl IntoIterator<Item = &'a str>, width_max: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words {
        let line = lines.last_mut().expect("there is a first line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width_max {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{count, duration, label, number, one_line, printable, size, wrapped};

    #[test]
    fn words_are_wrapped() {
        assert_eq!(wrapped(["aa", "bb", "cccccc", "d"], 5), ["aa bb", "cccccc", "d"]);
        assert_eq!(wrapped([], 5), [""]);
    }

    #[test]
    fn sizes_are_rounded_to_two_digits_or_whole_units() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (1_249, "1.2 kB"),
            (9_949, "9.9 kB"),
            (9_950, "10 kB"),
            (999_499, "999 kB"),
            (999_500, "1.0 MB"),
            (34_400_000, "34 MB"),
            (u64::MAX, "18 EB"),
        ];
        for (bytes, shown) in cases {
            assert_eq!(size(bytes), shown);
        }
    }

    #[test]
    fn numbers_and_times_are_short() {
        assert_eq!((number(0), number(999), number(1_234_567)), ("0".into(), "999".into(), "1,234,567".into()));
        assert_eq!((count(1, "file"), count(0, "file")), ("1 file".into(), "0 files".into()));
        let shown = |ms| duration(Duration::from_millis(ms));
        assert_eq!((shown(0), shown(999)), ("0 ms".into(), "999 ms".into()));
        assert_eq!((shown(1_260), shown(125_000)), ("1.2 s".into(), "2 min 5 s".into()));
    }

    #[test]
    fn text_cannot_break_a_line_or_move_the_cursor() {
        assert_eq!(one_line("fix\n\n the\x1b[2Jparser  now", 60), "fix the [2Jparser now");
        assert_eq!(one_line("abcdef", 3), "abc...");
        assert_eq!(one_line("a\u{202e}fdp", 60), "a fdp");
        assert_eq!(label("a\n\x1b[2J\u{202e}\u{9b}\u{fc}"), "a\\n\\u{1b}[2J\\u{202e}\\u{9b}\u{fc}");
        assert_eq!(printable("a\x1b[2J\nb\tc\u{9b}"), "a\\u{1b}[2J\nb\tc\\u{9b}");
    }
}
