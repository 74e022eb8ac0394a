//! The event of a step: any bytes in, one JSON object on one line out.
//!
//! One pass removes the white space between the tokens of the JSON text and repairs its strings. Numbers keep their
//! digits and keys their order, because the text is never turned into values and back.

use serde::de::IgnoredAny;

use super::{Part, Repair, UNPARSED_KEY, cut_mark, start_of, text};
use crate::limits::EVENT_LENGTH_MAX_BYTES;

/// Longest text kept of an event that is not JSON, in bytes. Escaped it takes at most six times as much.
const UNPARSED_LENGTH_MAX_BYTES: usize = EVENT_LENGTH_MAX_BYTES / 8;

/// Longest strings that an event over its limit keeps, in bytes, tried one after another.
const STRING_LENGTHS_BYTES: [usize; 4] = [256 << 10, 16 << 10, 1 << 10, 128];

/// The recordable form of an event; `None` if there is nothing to record.
pub fn event(given: &[u8], repairs: &mut Vec<Repair>) -> Option<Vec<u8>> {
    let given = given.strip_prefix(b"\xef\xbb\xbf").unwrap_or(given);
    if given.trim_ascii().is_empty() {
        repairs.push(Repair::EventEmpty);
        return None;
    }
    let given = text(given, Part::Event, repairs);
    let cleaned = clean(&given, usize::MAX);
    if let Err(error) = serde_json::from_str::<IgnoredAny>(&cleaned.text) {
        repairs.push(Repair::EventUnparsed(error.to_string()));
        return Some(unparsed(&given, repairs));
    }
    if cleaned.is_repaired && !repairs.contains(&Repair::Replaced(Part::Event)) {
        repairs.push(Repair::Replaced(Part::Event));
    }
    let is_object = cleaned.text.starts_with('{');
    let mut object = cleaned.text;
    if !is_object {
        repairs.push(Repair::EventNoObject);
        object = wrapped(&object);
    }
    if object.len() <= EVENT_LENGTH_MAX_BYTES {
        return Some(object.into_bytes());
    }
    repairs.push(Repair::Cut { part: Part::Event, length_bytes: given.len() as u64 });
    let shorter = STRING_LENGTHS_BYTES.iter().map(|length| clean(&object, *length).text);
    match shorter.into_iter().find(|shorter| shorter.len() <= EVENT_LENGTH_MAX_BYTES) {
        Some(shorter) => Some(shorter.into_bytes()),
        None => Some(unparsed(&given, &mut Vec::new())),
    }
}

/// A JSON object without the white space between its tokens; `None` for anything else.
pub fn compact(event: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(event).ok()?;
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    let cleaned = clean(text, usize::MAX);
    cleaned.text.starts_with('{').then(|| cleaned.text.into_bytes())
}

/// The text of an event that cannot be kept as it is.
fn unparsed(given: &str, repairs: &mut Vec<Repair>) -> Vec<u8> {
    let mut kept = start_of(given, UNPARSED_LENGTH_MAX_BYTES).to_owned();
    if kept.len() < given.len() {
        let length_bytes = given.len() as u64;
        repairs.push(Repair::Cut { part: Part::Event, length_bytes });
        kept.push_str(&cut_mark(length_bytes));
    }
    wrapped(&serde_json::Value::from(kept).to_string()).into_bytes()
}

fn wrapped(json: &str) -> String {
    format!("{{\"{UNPARSED_KEY}\":{json}}}")
}

/// JSON text after cleaning.
struct Cleaned {
    text: String,
    /// True if a string held something that no JSON string may hold.
    is_repaired: bool,
}

/// Removes the white space between the tokens of JSON text, repairs its strings, and cuts strings above a length. Text
/// that is not JSON does not become JSON.
fn clean(json: &str, string_length_max_bytes: usize) -> Cleaned {
    let mut cleaned =
        Cleaned { text: String::with_capacity(json.len().min(EVENT_LENGTH_MAX_BYTES)), is_repaired: false };
    let mut rest = json;
    while let Some(quote) = rest.find('"') {
        let (between, string) = rest.split_at(quote);
        cleaned.put_between(between);
        let length = string_length(string);
        cleaned.put_string(&string[..length], string_length_max_bytes);
        rest = &string[length..];
    }
    cleaned.put_between(rest);
    cleaned
}

/// Length in bytes of a string literal from its first quote to its last, or to the end of the text.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            b'"' if !is_escaped => return at + 1,
            _ => is_escaped = byte == b'\\' && !is_escaped,
        }
    }
    text.len()
}

impl Cleaned {
    fn put_between(&mut self, text: &str) {
        self.text.extend(text.chars().filter(|character| !matches!(character, ' ' | '\t' | '\n' | '\r')));
    }

    /// Adds a string literal: whole characters and whole escapes, up to a length.
    fn put_string(&mut self, literal: &str, length_max_bytes: usize) {
        let mut rest = literal;
        while !rest.is_empty() {
            let is_end = rest == "\"";
            if !is_end && literal.len() - rest.len() >= length_max_bytes {
                self.text.push_str(&format!("{}\"", cut_mark(literal.len() as u64)));
                return;
            }
            // Most of a string is plain, and is copied at once.
            let is_plain = |byte: &u8| *byte >= 0x20 && *byte != b'\\' && byte.is_ascii();
            let most = length_max_bytes.saturating_sub(literal.len() - rest.len());
            let inside = &rest.as_bytes()[..(rest.len() - 1).min(most)];
            let plain = inside.iter().take_while(|byte| is_plain(byte)).count();
            self.text.push_str(&rest[..plain]);
            rest = &rest[plain..];
            if plain == 0 {
                rest = &rest[self.put_character(rest)..];
            }
        }
    }

    /// Adds the first character or escape of the inside of a string, and returns its length in bytes.
    fn put_character(&mut self, rest: &str) -> usize {
        let first = rest.chars().next().expect("there is something left");
        let length = if first == '\\' { escape_length(rest) } else { first.len_utf8() };
        if u32::from(first) < 0x20 {
            self.is_repaired = true;
            self.text.push_str(&format!("\\u{:04x}", u32::from(first)));
        } else if unit(rest).is_some_and(is_surrogate) && length < PAIR_LENGTH {
            self.is_repaired = true;
            self.text.push_str("\\ufffd");
        } else {
            self.text.push_str(&rest[..length]);
        }
        length
    }
}

/// Bytes of `\ud83d\ude00`.
const PAIR_LENGTH: usize = 12;

/// Length in bytes of the escape at the start of a text; a pair of surrogates is one escape.
fn escape_length(text: &str) -> usize {
    let is_pair = || {
        let high = unit(text).is_some_and(|unit| (0xd800..0xdc00).contains(&unit));
        high && text.get(6..).and_then(unit).is_some_and(|unit| (0xdc00..0xe000).contains(&unit))
    };
    match unit(text) {
        Some(_) if is_pair() => PAIR_LENGTH,
        Some(_) => 6,
        None => 1 + text[1..].chars().next().map_or(0, char::len_utf8),
    }
}

/// The number in `\u0041`.
fn unit(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

fn is_surrogate(unit: u32) -> bool {
    (0xd800..0xe000).contains(&unit)
}
