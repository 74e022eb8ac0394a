//! What `verify` and `repair` print in JSON; the shapes of all other verbs are in `wire`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use retrograde::TreePath;
use serde::Serialize;

/// Version of every shape. It changes when a key changes its meaning or goes away, not when one is added.
pub(crate) const VERSION: u32 = 1;

/// The description of these shapes.
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

    /// The text.
    pub(crate) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
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
}
