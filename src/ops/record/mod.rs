//! Recording: `init`, `snap` and `status`, and the folders of workspaces.
//!
//! ```text
//! register   the folder of a workspace         folder     that folder opened, and locked
//! settings   the rules in force in it          said       texts from outside, repaired
//!
//! snap       capture -> step -> add_snapshot   status     capture -> step
//!
//! capture        the live folder as a tree: scan, take, assemble
//! step           a capture, and the differences from the head of the history
//! add_snapshot   the transaction that makes a step of it: also those of restores and imports
//!
//! dropped    recorded paths, excluded now      ingest     content into a batch
//! join       one history out of two            attached   parts of a snapshot, read
//! ```

pub(in crate::ops) mod add_snapshot;
pub(in crate::ops) mod attached;
pub mod capture;
pub(in crate::ops) mod dropped;
pub mod folder;
pub mod ingest;
pub mod join;
pub mod register;
pub mod said;
pub mod settings;
pub mod snap;
pub mod status;
pub(in crate::ops) mod step;
