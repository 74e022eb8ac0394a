//! The snapshot graph and the ways to name a snapshot.
//!
//! ```text
//! name      the names that tags and runs may have
//! revision  text as people type it -> one snapshot, or a range of them
//! graph     walks from a snapshot to its ancestors
//! ```
//!
//! A snapshot names its parents, never its children, and a parent may be absent: gc deletes a forgotten snapshot while
//! its children stay. History therefore begins where the next parent is absent and no workspace lists it as a step. If
//! a workspace does list it, its absence is damage and an error.

pub mod graph;
pub mod name;
pub mod revision;

#[cfg(test)]
mod fixture;
