//! Built-in rules that need more than a name: `target` or `node_modules` can be somebody's source.

use crate::workspace::places::Place;

/// Folders that are left out beside one of some files, from which a tool makes them again.
pub const BESIDE: [(&[u8], &[&str]); 2] =
    [(b"target", &["Cargo.toml", "pom.xml"]), (b"node_modules", &["package.json"])];

/// A file that marks the folder it is in as a Python environment.
pub const ENVIRONMENT_MARK: &[u8] = b"pyvenv.cfg";

/// A file that marks the folder it is in as a cache, if it begins with [`CACHE_SIGNATURE`].
pub const CACHE_MARK: &[u8] = b"CACHEDIR.TAG";

/// The beginning of a valid [`CACHE_MARK`].
pub const CACHE_SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// These rules in text form, as `status` shows and snapshots keep them.
pub const EVIDENCE_RULES: [&str; 4] = [
    "target/ beside Cargo.toml or pom.xml",
    "node_modules/ beside package.json",
    "folders with a pyvenv.cfg",
    "folders with a valid CACHEDIR.TAG",
];

/// A path that is not captured.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exclusion {
    /// Its path; nothing below it is captured either.
    pub path: crate::path::TreePath,
    /// Why.
    pub why: Why,
}

/// Why a path is not captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It belongs to a version-control system, or to a restore that was cut off. No setting lifts this.
    VersionControl,
    /// A pattern in the settings names it.
    Setting,
    /// A built-in pattern names it.
    BuiltIn,
    /// A tool makes it again from this file beside it.
    Beside(&'static str),
    /// It has this mark in it.
    Marked(&'static str),
    /// `only` does not name it. Of files that is counted and not listed.
    Unselected,
    /// Git ignores it.
    Ignored,
    /// It is in a folder that is left out but for some paths, and is none of them.
    Rest,
    /// It was left out at an earlier snapshot, and nothing but the rules has changed since.
    Earlier,
    /// It is another working tree of the repository around it.
    WorkingTree,
    /// It is a folder that is left alone.
    Place(Place),
}

impl Why {
    /// Returns whether the rules do not tell by its path alone that it was left out, so that a snapshot must say so.
    pub fn needs_note(self) -> bool {
        matches!(
            self,
            Self::Beside(_) | Self::Marked(_) | Self::Ignored | Self::Rest | Self::Earlier | Self::WorkingTree
        )
    }

    /// Returns whether it is left alone by every restore.
    pub fn is_binding(self) -> bool {
        self.binding().is_some()
    }

    /// Of what is left alone by every restore, what it is. Other file systems are left out by a setting, which must not
    /// keep anybody from going back.
    pub fn binding(self) -> Option<Place> {
        match self {
            Self::VersionControl => Some(Place::VersionControl),
            Self::WorkingTree => Some(Place::WorkingTree),
            Self::Place(place) => Some(place).filter(|place| *place != Place::OtherFileSystem),
            _ => None,
        }
    }
}
