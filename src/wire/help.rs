//! The description of all shapes, generated from their types.

use std::collections::{BTreeMap, BTreeSet};

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::{
    Change, Entry, Failed, Filled, Finding, Forgotten, GitExported, GitImported, Moved, Pinned, Recalled, Registered,
    Repair, Repaired, Restored, Run, Shown, Snapped, Stats, Status, Step, Tag, Tagged, TarExported, VERSION, Verified,
    Warning, Workspace,
};

/// A shape, and the verbs that print it.
struct Printed {
    verbs: &'static str,
    shape: fn(&mut SchemaGenerator) -> schemars::Schema,
}

fn printed<T: JsonSchema>(verbs: &'static str) -> Printed {
    Printed { verbs, shape: SchemaGenerator::subschema_for::<T> }
}

/// Every shape that is printed, in the order of the verbs in `--help`.
fn all() -> Vec<Printed> {
    vec![
        printed::<Registered>("init"),
        printed::<Snapped>("snap"),
        printed::<Status>("status"),
        printed::<Step>("log"),
        printed::<Shown>("show"),
        printed::<Change>("diff"),
        printed::<Entry>("ls"),
        printed::<Run>("runs"),
        printed::<Stats>("stats"),
        printed::<Restored>("restore, undo, redo"),
        printed::<Filled>("restore --into"),
        printed::<Tag>("tag"),
        printed::<Tagged>("tag NAME, tag -d NAME"),
        printed::<Pinned>("pin"),
        printed::<TarExported>("export --tar"),
        printed::<GitExported>("export --git"),
        printed::<GitImported>("import"),
        printed::<Finding>("verify"),
        printed::<Verified>("verify, the last line"),
        printed::<Repair>("repair"),
        printed::<Repaired>("repair, the last line"),
        printed::<Workspace>("workspace list"),
        printed::<Forgotten>("workspace forget"),
        printed::<Recalled>("workspace forget --undo"),
        printed::<Moved>("workspace move"),
        printed::<Failed>("errors"),
        printed::<Warning>("warnings"),
    ]
}

/// All shapes as one JSON Schema (draft 2020-12): the shapes are under `$defs`, the verbs that print them under
/// `properties`.
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut printed = Map::new();
    for one in all() {
        printed.insert(one.verbs.to_owned(), (one.shape)(&mut generator).to_value());
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("JSON output of retro, version {VERSION}"),
        "properties": printed,
        "$defs": generator.take_definitions(true),
    })
}

/// All shapes in words: each key on a line, with its type and meaning.
pub fn help() -> String {
    let schema = schema();
    let shapes = Shapes { defs: &schema["$defs"] };
    let mut out = HEAD.replace("VERSION", &VERSION.to_string());
    let (mut waiting, mut printed_by, mut described) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
    for (verbs, shape) in schema["properties"].as_object().into_iter().flatten() {
        let name = referenced(shape).unwrap_or_default();
        out.push_str(&format!("\n{verbs}\n"));
        shapes.describe(name, &mut out, &mut waiting);
        printed_by.insert(name.to_owned(), verbs);
    }
    out.push_str("\nThe types named above, in the order of their first use\n");
    let mut next = 0;
    while let Some(name) = waiting.get(next).cloned() {
        next += 1;
        if described.insert(name.clone()) {
            out.push_str(&format!("\n{}\n", label(&name)));
            match printed_by.get(&name) {
                Some(verbs) => put(&mut out, 2, &format!("An object as under \"{verbs}\" above.")),
                None => shapes.describe(&name, &mut out, &mut waiting),
            }
        }
    }
    out
}

const HEAD: &str = "\
JSON output of retro, version VERSION

With --json a verb prints only JSON on standard output: one object, or for lists one
object on each line. Keys keep their meaning within a version, and keys may be added.
Errors and warnings are objects on standard error; if a result has the key \"warnings\",
the warnings are there. Exit codes are the same as without --json. For a path that is not
UTF-8, the key with \"_base64\" after it has the bytes in base64. `cat` and `completions`
print the same with and without --json. The second column is the type of a key; types
other than number, text, boolean, list and null are described at the end.
";

/// Columns of text in the description.
const WIDTH: usize = 100;

/// Every shape by name.
struct Shapes<'a> {
    defs: &'a Value,
}

impl Shapes<'_> {
    /// Describes one shape, and adds the names of the shapes in it to `waiting`.
    fn describe(&self, name: &str, out: &mut String, waiting: &mut Vec<String>) {
        let shape = &self.defs[name];
        put(out, 2, &text(shape));
        if let Some(words) = self.words(shape) {
            let width = words.iter().map(|(word, _)| word.len()).max().unwrap_or(0);
            let undescribed = words.iter().all(|(_, meaning)| meaning.is_empty());
            if undescribed {
                put(out, 4, &words.iter().map(|(word, _)| word.as_str()).collect::<Vec<_>>().join(" "));
                return;
            }
            for (word, meaning) in words {
                row(out, &format!("    {word:<width$}"), &meaning);
            }
            return;
        }
        let keys = shape["properties"].as_object();
        let keys = keys.into_iter().flatten().filter(|(key, _)| !key.ends_with("_base64"));
        let keys: Vec<(&String, String, String)> =
            keys.map(|(key, value)| (key, type_of(value, waiting), text(value))).collect();
        let key_width = keys.iter().map(|(key, ..)| key.len()).max().unwrap_or(0);
        let type_width = keys.iter().map(|(_, kind, _)| kind.len()).max().unwrap_or(0);
        for (key, kind, meaning) in keys {
            row(out, &format!("    {key:<key_width$}  {kind:<type_width$}"), &meaning);
        }
    }

    /// The words of a shape that is one of several words, or one of several such shapes, each word with its meaning;
    /// `None` for another shape.
    fn words(&self, shape: &Value) -> Option<Vec<(String, String)>> {
        if let Some(either) = shape.get("anyOf").and_then(Value::as_array) {
            let words: Option<Vec<_>> = either.iter().map(|one| self.words(&self.defs[referenced(one)?])).collect();
            return Some(words?.concat());
        }
        let plain = |word: &Value| word.as_str().map(|word| (word.to_owned(), String::new()));
        if let Some(words) = shape.get("enum").and_then(Value::as_array) {
            return words.iter().map(plain).collect();
        }
        let choices = shape.get("oneOf").and_then(Value::as_array)?;
        let mut words = Vec::new();
        for choice in choices {
            match (&choice["const"], choice["enum"].as_array()) {
                (Value::String(word), _) => words.push((word.clone(), text(choice))),
                (_, Some(several)) => words.extend(several.iter().filter_map(plain)),
                _ => return None,
            }
        }
        Some(words)
    }
}

/// The type of a value in words. The shapes in it are added to `waiting`.
fn type_of(value: &Value, waiting: &mut Vec<String>) -> String {
    if let Some(name) = referenced(value) {
        waiting.push(name.to_owned());
        return label(name);
    }
    if let Some(constant) = value.get("const") {
        return constant.to_string();
    }
    if let Some(either) = value.get("anyOf").and_then(Value::as_array) {
        return either.iter().map(|one| type_of(one, waiting)).collect::<Vec<_>>().join(" or ");
    }
    let one = |word: &str, waiting: &mut Vec<String>| match word {
        "integer" | "number" => "number".to_owned(),
        "string" => "text".to_owned(),
        "array" => format!("list of {}", type_of(&value["items"], waiting)),
        "object" if value.get("additionalProperties").is_some() => {
            format!("{} by name", type_of(&value["additionalProperties"], waiting))
        }
        other => other.to_owned(),
    };
    match &value["type"] {
        Value::String(word) => one(word, waiting),
        Value::Array(several) => {
            let several = several.iter().filter_map(Value::as_str);
            several.map(|word| one(word, waiting)).collect::<Vec<_>>().join(" or ")
        }
        _ => "any".to_owned(),
    }
}

/// The name of the shape that a value refers to.
fn referenced(value: &Value) -> Option<&str> {
    value.get("$ref")?.as_str()?.strip_prefix("#/$defs/")
}

fn text(value: &Value) -> String {
    value["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `KeptReason` as `kept reason`.
fn label(name: &str) -> String {
    let mut label = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !label.is_empty() {
            label.push(' ');
        }
        label.extend(character.to_lowercase());
    }
    label
}

/// A row of a table: its beginning, and its meaning on one or more lines.
fn row(out: &mut String, begin: &str, meaning: &str) {
    let indent = begin.chars().count() + 2;
    for (at, line) in wrapped(meaning, WIDTH.saturating_sub(indent)).iter().enumerate() {
        let before = if at == 0 { format!("{begin}  ") } else { " ".repeat(indent) };
        out.push_str(format!("{before}{line}").trim_end());
        out.push('\n');
    }
}

/// A paragraph.
fn put(out: &mut String, indent: usize, text: &str) {
    for line in wrapped(text, WIDTH - indent).iter().filter(|line| !line.is_empty()) {
        out.push_str(&format!("{}{line}\n", " ".repeat(indent)));
    }
}

/// Lines of at most `width` characters; at least one.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is a first line");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width.max(20) {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
