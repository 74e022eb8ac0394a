//! The values in all shapes: ids, times, paths, words.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::VERSION;
use crate::error::ErrorKind;
use crate::format::facts::RestoreCause;
use crate::format::snapshot::{ChangeCounts, Omission, Reason};
use crate::format::tree::EntryKind;
use crate::id::WorkspaceId;
use crate::ops::record::said::compact;
use crate::path::TreePath;
use crate::store::Workspace;
use crate::time::Timestamp;
use crate::workspace::protected::Protection as Where;

/// The version of the JSON shapes. It changes when a key changes its meaning or is removed, not when one is added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version;

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u32(VERSION)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match u32::deserialize(from)? {
            VERSION => Ok(Self),
            other => Err(D::Error::custom(format!("version {other} of the shapes, not {VERSION}"))),
        }
    }
}

impl JsonSchema for Version {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Version".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "const": VERSION })
    }
}

/// 64 hexadecimal digits; the id of a file's content is what `b3sum FILE` prints. A workspace has 32.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Id(pub String);

impl Id {
    pub(super) fn of(id: impl ToString) -> Self {
        Self(id.to_string())
    }
}

/// RFC 3339, UTC, milliseconds: `2026-11-20T09:30:00.125Z`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Time(pub String);

impl From<Timestamp> for Time {
    fn from(time: Timestamp) -> Self {
        Self(time.rfc3339())
    }
}

/// Permission bits in octal, `0644`; `0000` for symlinks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Mode(pub String);

impl From<u16> for Mode {
    fn from(mode: u16) -> Self {
        Self(format!("{mode:04o}"))
    }
}

/// The JSON object given to `snap --event`, unchanged. Anything but a JSON object is under `retro:unparsed`.
#[derive(Clone, Debug)]
pub struct Event(Box<RawValue>);

impl Event {
    /// The event of a step or call; `None` if there is none.
    pub fn of(event: &[u8]) -> Option<Self> {
        if event.is_empty() {
            return None;
        }
        let compact = compact(event).and_then(|bytes| String::from_utf8(bytes).ok());
        let raw = compact.and_then(|text| RawValue::from_string(text).ok());
        let as_text = || {
            let text = Value::from(String::from_utf8_lossy(event)).to_string();
            RawValue::from_string(text).expect("a string is JSON")
        };
        Some(Self(raw.unwrap_or_else(as_text)))
    }

    /// The JSON text, on one line.
    pub fn text(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        RawValue::from_string(value.to_string()).map(Self).map_err(D::Error::custom)
    }
}

impl JsonSchema for Event {
    fn schema_name() -> Cow<'static, str> {
        "Event".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The JSON object given to `snap --event`, unchanged. Anything but a JSON object is under \
                            `retro:unparsed`.",
            "type": ["object", "string"],
        })
    }
}

/// A path in the workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Path {
    /// Relative to the workspace; `.` is its root.
    pub path: String,
    /// The bytes of a path that is not UTF-8, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_base64: Option<String>,
}

impl Path {
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        let (path, path_base64) = text(bytes);
        Self { path, path_base64 }
    }
}

impl From<&TreePath> for Path {
    fn from(path: &TreePath) -> Self {
        if path.is_root() { Self { path: ".".to_owned(), path_base64: None } } else { Self::of_bytes(path.as_bytes()) }
    }
}

/// A workspace and its folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkspaceFolder {
    /// The id of the workspace.
    pub workspace: Id,
    /// Its folder.
    pub root: String,
    /// The bytes of a path that is not UTF-8, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_base64: Option<String>,
}

impl WorkspaceFolder {
    pub(super) fn of(workspace: WorkspaceId, root: &[u8]) -> Self {
        let (root, root_base64) = text(root);
        Self { workspace: Id::of(workspace), root, root_base64 }
    }
}

impl From<&Workspace> for WorkspaceFolder {
    fn from(workspace: &Workspace) -> Self {
        Self::of(workspace.id, &workspace.root)
    }
}

/// Bytes as text, and also in base64 if they are not UTF-8.
pub(super) fn text(bytes: &[u8]) -> (String, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (String::from_utf8_lossy(bytes).into_owned(), Some(STANDARD.encode(bytes))),
    }
}

/// Defines the words for the values of a library type, once for JSON, its description and its reader.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident from $library:ty {
        $($(#[$each:meta])* $variant:ident $word:literal = $pattern:pat,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub enum $name {
            $($(#[$each])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// The word.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl From<$library> for $name {
            fn from(value: $library) -> Self {
                match value {
                    $($pattern => Self::$variant,)*
                }
            }
        }
    };
}
pub(super) use words;

words! {
    /// A kind of entry.
    Kind from EntryKind {
        /// A regular file.
        File "file" = EntryKind::File,
        /// A folder.
        Folder "folder" = EntryKind::Folder,
        /// A symlink.
        Symlink "symlink" = EntryKind::Symlink,
    }
}

words! {
    /// The reason why a path was omitted: not recorded, or not exactly.
    OmissionReason from Reason {
        /// It could not be read.
        Unreadable "unreadable" = Reason::Unreadable,
        /// It is a socket, a pipe or a device.
        Special "special" = Reason::Special,
        /// It is over the size limit.
        TooLarge "too-large" = Reason::TooLarge,
        /// It changed while it was read; the bytes that were read last are recorded.
        Torn "torn" = Reason::Torn,
        /// It was removed while it was read.
        Vanished "vanished" = Reason::Vanished,
        /// Its path is too long.
        TooLong "too-long" = Reason::TooLong,
        /// The system failed to read it.
        ReadError "read-error" = Reason::ReadError,
        /// It is recorded without some of its extended attributes.
        Attributes "attributes" = Reason::Attributes,
    }
}

words! {
    /// A kind of change to a past state.
    Cause from RestoreCause {
        /// A restore of a step.
        Restore "restore" = RestoreCause::Restore,
        /// The last change was undone.
        Undo "undo" = RestoreCause::Undo { .. },
        /// An undone change was redone.
        Redo "redo" = RestoreCause::Redo { .. },
        /// An interrupted restore was undone.
        Abort "abort" = RestoreCause::Abort,
    }
}

words! {
    /// A kind of error; each has an exit code of its own.
    Failure from ErrorKind {
        /// Invalid arguments or settings.
        Invalid "invalid" = ErrorKind::Invalid,
        /// No such step, path, folder or store.
        NotFound "not-found" = ErrorKind::NotFound,
        /// The name or the file exists already.
        Exists "exists" = ErrorKind::Exists,
        /// The state of the folder or the store does not allow it.
        Conflict "conflict" = ErrorKind::Conflict,
        /// A limit was reached.
        Limit "limit" = ErrorKind::Limit,
        /// Stored data is damaged.
        Corrupt "corrupt" = ErrorKind::Corrupt,
        /// It needs a newer version, another build or another platform.
        Unsupported "unsupported" = ErrorKind::Unsupported,
        /// The operating system reported an error.
        Io "io" = ErrorKind::Io,
    }
}

words! {
    /// A kind of folder that is never recorded or changed.
    Place from Where {
        /// The store, or a folder in it.
        Store "store" = Where::Store,
        /// The workspace, mounted in itself.
        Itself "itself" = Where::Itself,
        /// The root of the file system.
        System "system" = Where::System,
        /// The home folder.
        Home "home" = Where::Home,
        /// Another recorded folder.
        Workspace "workspace" = Where::Workspace,
        /// A folder of a version-control system.
        VersionControl "version-control" = Where::VersionControl,
        /// Another working tree of the repository.
        WorkingTree "working-tree" = Where::WorkingTree,
        /// A mount that did not exist at the step.
        Mount "mount" = Where::Mount,
        /// A folder on another file system.
        FileSystem "file-system" = Where::OtherFileSystem,
    }
}

/// Numbers of paths that a step changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Paths added.
    pub added: u64,
    /// Paths modified.
    pub modified: u64,
    /// Paths deleted.
    pub deleted: u64,
}

impl From<&ChangeCounts> for Counts {
    fn from(counts: &ChangeCounts) -> Self {
        let ChangeCounts { added, modified, deleted } = *counts;
        Self { added, modified, deleted }
    }
}

/// A path that was omitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Omitted {
    /// Its path.
    #[serde(flatten)]
    pub path: Path,
    /// The reason.
    pub reason: OmissionReason,
}

impl From<&Omission> for Omitted {
    fn from(omission: &Omission) -> Self {
        Self { path: (&omission.path).into(), reason: omission.reason.into() }
    }
}

/// A path and a reason in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PathReason {
    /// Its path.
    #[serde(flatten)]
    pub path: Path,
    /// The reason in words.
    pub reason: String,
}

/// The shapes of a list of values.
pub(super) fn all<'a, T: 'a, S: From<&'a T>>(values: &'a [T]) -> Vec<S> {
    values.iter().map(S::from).collect()
}
