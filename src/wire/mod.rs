//! The JSON shapes that `--json` prints, and that programs receive in other ways.
//!
//! Each shape is a type that serde can write and read, made from an outcome of the library. [`help`] describes all
//! shapes in words and [`schema`] as JSON Schema. Both are generated from the types, so that they cannot differ from
//! the output.
//!
//! Rules: keys stand in a fixed order. Within one [`VERSION`] a key keeps its meaning, and keys may be added. A path
//! that is not UTF-8 is given twice: as text with replaced characters, and exactly, in base64, under the same key with
//! `_base64` after it.

mod back;
mod check;
mod error;
mod help;
mod keep;
mod record;
mod share;
mod step;
mod store;
mod value;

pub use back::{Action, ActionWord, Filled, Kept, KeptReason, Restored, Unfinished};
pub use check::{Affected, Finding, FindingKind, ObjectKind, Part, Repair, RepairWord, Repaired, Verified};
pub use error::{Failed, Problem, ProblemKind, Signal, Warning};
pub use help::{help, schema};
pub use keep::{Forgotten, Moved, Pinned, Recalled, Tag, Tagged, Workspace};
pub use record::{
    Excluded, ExcludedReason, GitPart, GitProblem, GitUnread, Head, LargestRead, ProtectedFolder, Read, ReadCount,
    ReadWord, Registered, Snapped, Status, WeakTimes,
};
pub use share::{
    CommitReason, GitExported, GitImported, RunReference, StepId, StepReference, TagReason, TagReference, TarExported,
};
pub use step::{Call, Change, ChangeWord, Dropped, Entry, Facts, GitState, Lines, Run, Shown, Side, Step, StepTime};
pub use store::{PathTotals, Stats, Totals};
pub use value::{
    Cause, Counts, Event, Failure, Id, Kind, Mode, OmissionReason, Omitted, Path, PathReason, Place, Time, Version,
    WorkspaceFolder,
};

/// The version of all shapes. It changes when a key changes its meaning or is removed, not when one is added.
pub const VERSION: u32 = 1;

/// A shape on one line.
pub fn line(shape: &impl serde::Serialize) -> String {
    serde_json::to_string(shape).expect("shapes are made of numbers, texts, lists and objects")
}

#[cfg(test)]
mod tests;
