//! Built-in rules that need evidence besides a name, because `target` or `node_modules` can be somebody's source.

use crate::workspace::protected::Protection;

/// Folders that are excluded next to one of these files, from which a tool can rebuild them.
pub const BESIDE: [(&[u8], &[&str]); 2] =
    [(b"target", &["Cargo.toml", "pom.xml"]), (b"node_modules", &["package.json"])];

/// A file that marks its folder as a Python environment.
pub const ENVIRONMENT_MARK: &[u8] = b"pyvenv.cfg";

/// A file that marks its folder as a cache, if it begins with [`CACHE_SIGNATURE`].
pub const CACHE_MARK: &[u8] = b"CACHEDIR.TAG";

/// The first bytes of a valid [`CACHE_MARK`].
pub const CACHE_SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// These rules in text form, as `status` shows and snapshots store them.
pub const EVIDENCE_RULES: [&str; 4] = [
    "target/ beside Cargo.toml or pom.xml",
    "node_modules/ beside package.json",
    "folders with a pyvenv.cfg",
    "folders with a valid CACHEDIR.TAG",
];

/// A path that is not captured.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exclusion {
    /// The path; nothing below it is captured either.
    pub path: crate::path::TreePath,
    /// The reason.
    pub why: ExclusionReason,
}

/// The reason why a path is not captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExclusionReason {
    /// It belongs to a version-control system, or to an interrupted restore. No setting overrides this.
    VersionControl,
    /// A pattern in the settings matches it.
    Setting,
    /// A built-in pattern matches it.
    BuiltIn,
    /// A tool can rebuild it from this file next to it.
    Beside(&'static str),
    /// It contains this mark.
    Marked(&'static str),
    /// `only` does not select it. Such files are counted, not listed.
    Unselected,
    /// Git ignores it.
    Ignored,
    /// It is in an excluded folder of which some paths are captured, and is none of them.
    Rest,
    /// It was excluded from an earlier snapshot, and only the rules have changed since.
    Earlier,
    /// It is another working tree of the repository around it.
    WorkingTree,
    /// It is a protected folder.
    Protected(Protection),
}

impl ExclusionReason {
    /// Returns true if the rules and the path alone do not show that it was excluded, so that a snapshot must list it.
    pub fn needs_note(self) -> bool {
        matches!(
            self,
            Self::Beside(_) | Self::Marked(_) | Self::Ignored | Self::Rest | Self::Earlier | Self::WorkingTree
        )
    }

    /// Returns true if every restore leaves it as it is.
    pub fn is_binding(self) -> bool {
        self.binding().is_some()
    }

    /// The kind of protected folder, if every restore leaves it as it is. Other file systems are excluded by a setting,
    /// which must not prevent going back.
    pub fn binding(self) -> Option<Protection> {
        match self {
            Self::VersionControl => Some(Protection::VersionControl),
            Self::WorkingTree => Some(Protection::WorkingTree),
            Self::Protected(protection) => {
                Some(protection).filter(|protection| *protection != Protection::OtherFileSystem)
            }
            _ => None,
        }
    }
}
