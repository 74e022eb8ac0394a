//! Machine-readable output. `json.txt`, which `retro help json` prints, describes every shape; a test compares the two.
//!
//! Keys stand in a fixed order. A path that is not UTF-8 is given twice: as text in which what is not UTF-8 is replaced,
//! and exactly, in base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use retrograde::Change;
use retrograde::Error;
use retrograde::LogEntry;
use retrograde::TreePath;
use retrograde::detail::Call;
use retrograde::detail::ChangeCounts;
use retrograde::detail::Dropped;
use retrograde::detail::Entry;
use retrograde::detail::Omission;
use retrograde::detail::Side;
use retrograde::detail::kind_word;
use serde::Serialize;

use super::event;
use crate::exit;

/// Version of every shape. It changes when a key changes its meaning or goes away, not when one is added.
pub(crate) const VERSION: u32 = 1;

/// What `retro help json` prints.
pub(crate) const HELP: &str = include_str!("json.txt");

/// An object in the making.
#[derive(Clone, Debug)]
pub(crate) struct Object(String);

impl Object {
    /// An object without anything in it.
    pub(crate) fn new() -> Self {
        Self("{".to_owned())
    }

    /// An object that begins with the version: one that stands alone.
    pub(crate) fn versioned() -> Self {
        Self::new().field("version", VERSION)
    }

    /// Adds a value.
    pub(crate) fn field(self, key: &str, value: impl Serialize) -> Self {
        let text = serde_json::to_string(&value).expect("numbers, texts and options of them have a JSON form");
        self.raw(key, &text)
    }

    /// Adds an object, or null.
    pub(crate) fn object(self, key: &str, value: Option<Self>) -> Self {
        let text = value.map_or_else(|| "null".to_owned(), Self::finish);
        self.raw(key, &text)
    }

    /// Adds a list of objects.
    pub(crate) fn list(self, key: &str, values: impl IntoIterator<Item = Self>) -> Self {
        let values: Vec<String> = values.into_iter().map(Self::finish).collect();
        self.raw(key, &format!("[{}]", values.join(",")))
    }

    /// Adds JSON text.
    pub(crate) fn raw(mut self, key: &str, text: &str) -> Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(key);
        self.0.push_str("\":");
        self.0.push_str(text);
        self
    }

    /// Adds bytes that are text nearly always, as `key` and, if they are not, `key_base64`.
    pub(crate) fn bytes(self, key: &str, bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.field(key, text),
            Err(_) => {
                self.field(key, String::from_utf8_lossy(bytes)).field(&format!("{key}_base64"), STANDARD.encode(bytes))
            }
        }
    }

    /// Adds a path as `path`; the root is `.`.
    pub(crate) fn path(self, path: &TreePath) -> Self {
        if path.is_root() { self.field("path", ".") } else { self.bytes("path", path.as_bytes()) }
    }

    /// Adds how many paths changed.
    pub(crate) fn counts(self, counts: &ChangeCounts) -> Self {
        self.field("added", counts.added).field("modified", counts.modified).field("deleted", counts.deleted)
    }

    /// The text.
    pub(crate) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// An error, as `--json` prints it.
pub(crate) fn error(error: &Error) -> String {
    problem(exit::word(error.kind()), &error.to_string(), error.hint())
}

/// An error that is not the library's.
pub(crate) fn problem(kind: &str, message: &str, hint: Option<&str>) -> String {
    let inner = Object::new().field("kind", kind).field("message", message).field("hint", hint);
    Object::new().object("error", Some(inner)).finish()
}

/// A warning that is part of no result.
pub(crate) fn warning(text: &str) -> String {
    Object::new().field("warning", text).finish()
}

/// Arguments that do not parse.
pub(crate) fn usage_problem(message: &str, usage: Option<&str>, hint: &str) -> String {
    let inner = Object::new().field("kind", "invalid").field("message", message).field("hint", hint);
    Object::new().object("error", Some(inner.field("usage", usage))).finish()
}

/// Adds the facts of a step as `log` lists them.
pub(crate) fn step(object: Object, entry: &LogEntry) -> Object {
    let snapshot = &entry.snapshot;
    let parents: Vec<String> = snapshot.parents.iter().map(ToString::to_string).collect();
    object
        .field("snapshot", entry.id.to_string())
        .field("step", snapshot.step)
        .field("tree", snapshot.root.to_string())
        .field("parents", parents)
        .field("time", snapshot.time.rfc3339())
        .field("run", &snapshot.run)
        .field("message", &snapshot.message)
        .field("tags", &entry.tags)
        .raw("event", event::line(&entry.event).as_deref().unwrap_or("null"))
        .counts(&entry.changes)
        .field("call_count", entry.call_count)
        .object("dropped", snapshot.dropped.as_ref().map(dropped))
        .field("incomplete", entry.is_incomplete)
}

/// A call that changed nothing.
pub(crate) fn call(call: &Call) -> Object {
    Object::new()
        .field("time", call.time.rfc3339())
        .field("run", &call.run)
        .raw("event", event::line(&call.event).as_deref().unwrap_or("null"))
}

/// The paths of an earlier step that are left out now.
pub(crate) fn dropped(dropped: &Dropped) -> Object {
    let Dropped { base, count, is_new } = dropped;
    Object::new().field("snapshot", base.to_string()).field("paths", count).field("new", is_new)
}

/// A path that differs.
pub(crate) fn change(change: &Change) -> Object {
    let old_path = change.old_path.as_ref();
    Object::new()
        .path(&change.path)
        .field("change", change.kind.word())
        .field("attributes_changed", change.attributes_changed)
        .object("old", change.old.as_ref().map(|old| side(old, old_path)))
        .object("new", change.new.as_ref().map(|new| side(new, old_path.and(Some(&change.path)))))
}

/// An entry of a folder.
pub(crate) fn entry(path: &TreePath, entry: &Entry) -> Object {
    facts(Object::new().path(path), &Side::from(entry))
}

/// A path that was left out.
pub(crate) fn omission(omission: &Omission) -> Object {
    Object::new().path(&omission.path).field("reason", omission.reason.word())
}

fn side(side: &Side, path: Option<&TreePath>) -> Object {
    let object = path.into_iter().fold(Object::new(), Object::path);
    facts(object, side)
}

fn facts(object: Object, side: &Side) -> Object {
    object
        .field("kind", kind_word(side.kind))
        .field("mode", format!("{:04o}", side.mode))
        .field("size", side.size)
        .field("id", side.id.to_string())
}

#[cfg(test)]
mod tests {
    use super::{Object, TreePath};

    #[test]
    fn paths_that_are_not_text_are_given_exactly_too() {
        let path = |bytes: &[u8]| Object::new().path(&TreePath::new(bytes).unwrap()).finish();
        assert_eq!(path(b"a/\"b\""), r#"{"path":"a/\"b\""}"#);
        assert_eq!(path(b"a\xff"), "{\"path\":\"a\u{fffd}\",\"path_base64\":\"Yf8=\"}");
        assert_eq!(path(b""), r#"{"path":"."}"#);
    }

    #[test]
    fn objects_nest() {
        let inner = || Object::new().field("a", 1);
        let text =
            Object::versioned().object("b", Some(inner())).object("c", None).list("d", [inner(), inner()]).finish();
        assert_eq!(text, r#"{"version":1,"b":{"a":1},"c":null,"d":[{"a":1},{"a":1}]}"#);
    }
}
