//! Recording: `init`, `snap` and `status`, and which folder a workspace is.
//!
//! ```text
//! register   which folder a workspace is       settings   which rules are in force in it
//! capture    the live folder as a tree         ingest     content into a batch
//! said       texts from outside, repaired      dropped    recorded paths that the rules now leave out
//! snap       capture and texts -> snapshot     status     the live folder against its head
//! join       one history out of two
//! ```

pub mod capture;
pub(in crate::ops) mod dropped;
pub mod ingest;
pub mod join;
pub mod register;
pub mod said;
pub mod settings;
pub mod snap;
pub mod status;
