//! The facts of a step: one JSON object, as an agent or its hook gave it.
//!
//! The library has made one JSON object of it, on one line, whatever was given. Nothing is required to be in it; a few
//! common names are understood when a step is listed.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use retrograde::detail::{EVENT_LENGTH_MAX_BYTES, UNPARSED_KEY, compact_event as compact};
use retrograde::{Error, Result};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::human::{one_line, size};

/// Reads an event from a file, or from standard input for `-`.
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

/// Bytes of an event that are read. Of a longer one the rest is lost; several times as much as is stored is read,
/// because its long texts can be cut.
const READ_LENGTH_MAX_BYTES: u64 = 8 * EVENT_LENGTH_MAX_BYTES as u64;

/// An event as people read it: a fact a line, indented, in the order given; long texts are cut.
pub(crate) fn pretty(event: &[u8]) -> Vec<String> {
    let Some(compact) = compact(event) else {
        return vec![one_line(&String::from_utf8_lossy(event), FACT_WIDTH_MAX)];
    };
    let mut lines = vec![String::new()];
    let (mut depth, mut is_string, mut is_escaped) = (0_usize, false, false);
    let begin = |lines: &mut Vec<String>, depth: usize| lines.push("  ".repeat(depth.min(FACT_DEPTH_MAX)));
    let text = String::from_utf8_lossy(&compact);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if lines.len() > FACT_LINES_MAX {
            lines.pop();
            lines.push(format!("... ({} of facts in all; --json has them)", size(event.len() as u64)));
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

/// What the step did, in a few words: `Bash: cargo test (exit 101)`. `None` where the event does not say.
pub(crate) fn summary(event: &[u8], width_max: usize) -> Option<String> {
    let Named(values) = serde_json::from_slice(event).ok()?;
    let text = |names: &[&str]| names.iter().find_map(|name| values.get(*name)?.as_str()).map(ToOwned::to_owned);
    let tool = text(&["tool", "tool_name", "name"]);
    let input = ["input", "tool_input", "command", "path"].iter().find_map(|name| said(values.get(*name)?));
    let exit = ["exit_code", "exit"].iter().find_map(|name| values.get(*name)?.as_i64()).filter(|code| *code != 0);
    let unparsed = || Some(values.get(UNPARSED_KEY)?.as_str()?.trim().to_owned());
    let mut summary = match (tool, input) {
        (Some(tool), Some(input)) => format!("{tool}: {input}"),
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => text(&["agent"]).or_else(unparsed)?,
    };
    summary = one_line(&summary, width_max);
    if let Some(code) = exit {
        summary.push_str(&format!(" (exit {code})"));
    }
    Some(summary)
}

/// The agent that an event names.
pub(crate) fn agent(event: &[u8]) -> Option<String> {
    let Named(values) = serde_json::from_slice(event).ok()?;
    Some(one_line(values.get("agent")?.as_str()?, AGENT_WIDTH_MAX)).filter(|agent| !agent.is_empty())
}

/// Longest name of an agent shown to people, in characters.
const AGENT_WIDTH_MAX: usize = 32;

/// Longest line of an event shown to people, in characters. Tools are given whole files; `--json` has all of it.
const FACT_WIDTH_MAX: usize = 200;

/// Lines of an event shown to people.
const FACT_LINES_MAX: usize = 2_000;

/// Indentation stops here; hostile nesting would fill the screen with blanks.
const FACT_DEPTH_MAX: usize = 20;

/// The facts that a summary may be made of. Everything else is passed over without being kept: events may be long, and
/// there may be many.
struct Named(BTreeMap<String, Value>);

/// Their names.
const NAMES: [&str; 11] =
    ["tool", "tool_name", "name", "input", "tool_input", "command", "path", "exit_code", "exit", "agent", UNPARSED_KEY];

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        from.deserialize_map(NamedVisitor)
    }
}

struct NamedVisitor;

impl<'de> Visitor<'de> for NamedVisitor {
    type Value = Named;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Named, A::Error> {
        let mut values = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            if NAMES.contains(&name.as_str()) {
                values.insert(name, map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Named(values))
    }
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(FACT_WIDTH_MAX) {
        Some((at, _)) => format!("{}... ({})", &line[..at], size(line.len() as u64)),
        None => line.to_owned(),
    }
}

/// The part of a tool's input that says most: a text, or the command or path in it.
fn said(input: &Value) -> Option<String> {
    let names = ["command", "file_path", "path", "url", "pattern", "query"];
    let text = input.as_str().or_else(|| names.iter().find_map(|name| input.get(name)?.as_str()));
    text.map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{pretty, summary};

    #[test]
    fn facts_keep_their_order_and_long_ones_are_cut() {
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
        assert!(pretty(long.as_bytes())[1].ends_with("xxx... (5.0 kB)"));
        assert_eq!(pretty(b"not json"), ["not json"]);
        let many = format!("{{\"a\":[0{}]}}", ",1".repeat(100_000));
        let shown = pretty(many.as_bytes());
        assert_eq!(shown.len(), super::FACT_LINES_MAX + 1);
        assert!(shown.last().is_some_and(|line| line.starts_with("... (200 kB")), "{:?}", shown.last());
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
