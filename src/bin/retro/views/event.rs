//! Events: JSON about a step, as an agent or its hook gave it.
//!
//! A stored event is one JSON object on one line. No key is required. Lists of steps show the values of a few keys that
//! many agents use (`tool`, `command`, `exit_code`).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use retrograde::{Error, Result};

use retrograde::detail::{EVENT_LENGTH_MAX_BYTES, UNPARSED_KEY, compact_event};
use serde_json::Value;
use serde_json::value::RawValue;

use super::human::{one_line, size};

/// Reads an event from a file or, for `-`, from standard input.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let is_stdin = path.as_os_str() == "-";
    let mut bytes = Vec::new();
    let read = if is_stdin {
        std::io::stdin().lock().take(READ_LENGTH_MAX_BYTES).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(READ_LENGTH_MAX_BYTES).read_to_end(&mut bytes))
    };
    let name = if is_stdin { Path::new("standard input") } else { path };
    read.map(|_| bytes).map_err(|e| Error::io("read event from", name, e))
}

/// An event is read up to this many bytes. That is more than the store keeps, because long strings are cut before the
/// event is stored.
const READ_LENGTH_MAX_BYTES: u64 = 8 * EVENT_LENGTH_MAX_BYTES as u64;

/// An event as indented JSON for people, one value or bracket on each line, in the order given. Long lines are cut.
pub(crate) fn pretty(event: &[u8]) -> Vec<String> {
    let Some(json) = compact_event(event) else {
        return vec![one_line(&String::from_utf8_lossy(event), LINE_WIDTH_MAX)];
    };
    let mut lines = vec![String::new()];
    let (mut depth, mut is_string, mut is_escaped) = (0_usize, false, false);
    let begin = |lines: &mut Vec<String>, depth: usize| lines.push("  ".repeat(depth.min(INDENT_MAX)));
    let text = String::from_utf8_lossy(&json);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if lines.len() > LINE_COUNT_MAX {
            lines.pop();
            lines.push(format!("... (the whole event has {}; `--json` prints it)", size(event.len() as u64)));
            break;
        }
        let opens = !is_string && matches!(character, '{' | '[');
        let closes = !is_string && matches!(character, '}' | ']');
        if closes {
            depth -= 1;
            begin(&mut lines, depth);
        }
        lines.last_mut().expect("there is a first line").push(character);
        if opens && matches!(characters.peek(), Some('}' | ']')) {
            lines.last_mut().expect("there is a first line").extend(characters.next());
        } else if opens {
            depth += 1;
            begin(&mut lines, depth);
        } else if !is_string && character == ',' {
            begin(&mut lines, depth);
        } else if !is_string && character == ':' {
            lines.last_mut().expect("there is a first line").push(' ');
        }
        let ends_or_begins = character == '"' && !is_escaped;
        is_escaped = is_string && character == '\\' && !is_escaped;
        is_string ^= ends_or_begins;
    }
    lines.iter().map(|line| cut(line)).collect()
}

/// An event in a few words: `Bash: cargo test (exit 101)`. `None` if it has no tool, input, agent or
/// unparsed text; an exit code alone is not enough.
pub(crate) fn summary(event: &[u8], width_max: usize) -> Option<String> {
    let values: Values<'_> = serde_json::from_slice(event).ok()?;
    let value = |name: &&str| serde_json::from_str::<Value>(values.get(*name)?.get()).ok();
    let tool = text(&values, &["tool", "tool_name", "name"]);
    let input = ["input", "tool_input", "command", "path"].iter().find_map(|name| main_part(&value(name)?));
    let exit = ["exit_code", "exit"].iter().find_map(|name| value(name)?.as_i64()).filter(|code| *code != 0);
    let summary = match (tool, input) {
        (Some(tool), Some(input)) => format!("{tool}: {input}"),
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => text(&values, &["agent", UNPARSED_KEY])?,
    };
    let mut summary = one_line(&summary, width_max);
    if let Some(code) = exit {
        summary.push_str(&format!(" (exit {code})"));
    }
    Some(summary)
}

/// The agent that an event names.
pub(crate) fn agent(event: &[u8]) -> Option<String> {
    let values: Values<'_> = serde_json::from_slice(event).ok()?;
    Some(one_line(&text(&values, &["agent"])?, AGENT_WIDTH_MAX)).filter(|agent| !agent.is_empty())
}

/// The longest name of an agent shown to people, in characters.
const AGENT_WIDTH_MAX: usize = 32;

/// Lines of an event are cut after this many characters, and their length is added. A tool's input can be a whole file;
/// `--json` prints it uncut.
const LINE_WIDTH_MAX: usize = 200;

/// The most lines of an event shown to people, before a last one that says there is more.
const LINE_COUNT_MAX: usize = 2_000;

/// The deepest indentation; a hostile nesting would fill the screen with blanks.
const INDENT_MAX: usize = 20;

/// The values of an event by name, left unparsed, because most are long and never used.
type Values<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

fn text(values: &Values<'_>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| serde_json::from_str(values.get(*name)?.get()).ok())
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(LINE_WIDTH_MAX) {
        Some((at, _)) => format!("{}... ({} in all)", &line[..at], size(line.len() as u64)),
        None => line.to_owned(),
    }
}

/// A tool's input in short: the input itself if it is a string, else its command, path, URL, pattern or query.
fn main_part(input: &Value) -> Option<String> {
    let names = ["command", "file_path", "path", "url", "pattern", "query"];
    let text = input.as_str().or_else(|| names.iter().find_map(|name| input.get(name)?.as_str()));
    text.map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{pretty, summary};

    #[test]
    fn values_keep_their_order_and_long_lines_are_cut() {
        let lines = pretty(br#"{"b":[1,{}],"a":{"x":"y, {z}"},"e":[]}"#);
        let shown = [
            "{",
            "  \"b\": [",
            "    1,",
            "    {}",
            "  ],",
            "  \"a\": {",
            "    \"x\": \"y, {z}\"",
            "  },",
            "  \"e\": []",
            "}",
        ];
        assert_eq!(lines, shown);
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(5_000));
        assert!(pretty(long.as_bytes())[1].ends_with("xxx... (5.0 kB in all)"));
        assert_eq!(pretty(b"not json"), ["not json"]);
        let many = format!("{{\"a\":[0{}]}}", ",1".repeat(100_000));
        let shown = pretty(many.as_bytes());
        assert_eq!(shown.len(), super::LINE_COUNT_MAX + 1);
        assert!(
            shown.last().is_some_and(|line| line.starts_with("... (the whole event has 200 kB; ")),
            "{:?}",
            shown.last()
        );
    }

    #[test]
    fn a_step_is_said_in_a_few_words() {
        let short = |event: &str| summary(event.as_bytes(), 40);
        assert_eq!(
            short(r#"{"tool":"Bash","input":{"command":"cargo\ntest"},"exit_code":101}"#).as_deref(),
            Some("Bash: cargo test (exit 101)")
        );
        assert_eq!(short(r#"{"tool_name":"Edit","tool_input":{"file_path":"a.rs"}}"#).as_deref(), Some("Edit: a.rs"));
        assert_eq!(short(r#"{"input":"make","exit_code":0}"#).as_deref(), Some("make"));
        assert_eq!(short(r#"{"agent":"tester"}"#).as_deref(), Some("tester"));
        assert_eq!(short(r#"{"retro:unparsed":"make all\n"}"#).as_deref(), Some("make all"));
        assert_eq!(short("{}"), None);
        assert_eq!(short("not json"), None);
    }
}
