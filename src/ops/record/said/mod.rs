//! The texts about a step, made recordable: its message, its run, its event.
//!
//! They come from agents and their hooks, and any of them may be broken. A recorder that refuses a step because of a
//! text loses the step, so nothing here fails. A text that cannot be stored unchanged is repaired, cut or kept as a
//! string, and each repair is returned, so that a caller can warn of it.
//!
//! | given | recorded |
//! |---|---|
//! | bytes that are not UTF-8 | U+FFFD in their place |
//! | half a surrogate pair (`\ud83d`) in an event | `\ufffd` |
//! | a control character in a string of an event | the character, escaped |
//! | an event that is JSON, but no object | `{"retro:unparsed": VALUE}` |
//! | an event that is not JSON | `{"retro:unparsed": "TEXT"}`, up to 1 MiB of it |
//! | an event over 8 MiB | its longest strings cut, each with a mark of its length |
//! | a message over 64 KiB | its beginning, and a mark of its length |
//! | a run that is no name | the nearest name, or the default run |

mod event;

use crate::history::name::check_run_name;
use crate::limits::{LABEL_LENGTH_MAX_BYTES, MESSAGE_LENGTH_MAX_BYTES};

pub use event::{compact, event};

/// The key under which an event that is not a JSON object is kept.
pub const UNPARSED_KEY: &str = "retro:unparsed";

/// One of the texts about a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The message.
    Message,
    /// The name of the run.
    Run,
    /// The facts of the step.
    Event,
}

/// A change that was made to a text before it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Bytes that are not UTF-8 text, or characters that no JSON text may hold, were replaced.
    Replaced(Part),
    /// A text was too long, and was cut.
    Cut {
        /// The text.
        part: Part,
        /// Its length as given.
        length_bytes: u64,
    },
    /// The run got another name.
    RunRenamed {
        /// The name as given, as far as it is text.
        given: String,
        /// The name recorded.
        used: String,
    },
    /// The event was empty, and is not recorded.
    EventEmpty,
    /// The event is JSON, but no object.
    EventNoObject,
    /// The event is not JSON; the parser's message.
    EventUnparsed(String),
}

/// The recordable form of a message.
pub fn message(given: &[u8], repairs: &mut Vec<Repair>) -> String {
    let text = text(given, Part::Message, repairs);
    if text.len() <= MESSAGE_LENGTH_MAX_BYTES {
        return text;
    }
    let length_bytes = given.len() as u64;
    repairs.push(Repair::Cut { part: Part::Message, length_bytes });
    let mark = format!("\n{}", cut_mark(length_bytes));
    format!("{}{mark}", start_of(&text, MESSAGE_LENGTH_MAX_BYTES - mark.len()))
}

/// The recordable name of a run; `default` if nothing of the given name can be kept.
pub fn run(given: &[u8], default: &str, repairs: &mut Vec<Repair>) -> String {
    let given = text(given, Part::Run, repairs);
    if check_run_name(&given).is_ok() {
        return given;
    }
    let is_odd = |character: char| character.is_control() || character.is_whitespace();
    let mut name: String =
        given.trim().chars().map(|character| if is_odd(character) { '-' } else { character }).collect();
    while name.contains("..") {
        name = name.replace("..", ".");
    }
    let is_end = |character: char| matches!(character, '-' | '.');
    let name = start_of(name.trim_matches(is_end), LABEL_LENGTH_MAX_BYTES).trim_end_matches(is_end);
    let used = if check_run_name(name).is_ok() { name } else { default };
    repairs
        .push(Repair::RunRenamed { given: start_of(&given, LABEL_LENGTH_MAX_BYTES).to_owned(), used: used.to_owned() });
    used.to_owned()
}

/// Bytes as text; bytes that are not UTF-8 are replaced.
fn text(given: &[u8], part: Part, repairs: &mut Vec<Repair>) -> String {
    let text = String::from_utf8_lossy(given);
    if matches!(text, std::borrow::Cow::Owned(_)) {
        repairs.push(Repair::Replaced(part));
    }
    text.into_owned()
}

/// The beginning of a text, of at most `length_max_bytes` bytes and only whole characters.
fn start_of(text: &str, length_max_bytes: usize) -> &str {
    let is_cut = |length: &usize| text.is_char_boundary(*length);
    let length = (0..=length_max_bytes.min(text.len())).rev().find(is_cut);
    &text[..length.unwrap_or(0)]
}

/// The mark at the end of a text that was cut.
fn cut_mark(length_bytes: u64) -> String {
    format!("[cut by retro: {length_bytes} bytes]")
}

#[cfg(test)]
mod tests;
