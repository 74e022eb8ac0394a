//! The operations, one file each, in the groups of `retro --help`: a function, its options and its outcome.
//!
//! ```text
//! record   init, snap, status     the live folder -> snapshots
//! look     log, show, diff, ..    what was recorded
//! back     restore, undo, redo    a snapshot -> the live folder
//! keep     tag, pin               names and keep marks
//! share    export, import         other tools' formats
//! check    verify, repair         damage
//! ```
//!
//! The live folder, the store's history and diffs, which do not know each other, meet here.

pub mod back;
pub mod check;
pub mod keep;
pub mod look;
pub mod record;
pub mod share;

#[cfg(test)]
mod fixture;
