//! The snapshot graph and the ways to name a snapshot.
//!
//! ```text
//! name      what a tag or run may be called
//! revision  text as people type it -> one snapshot, or a range of them
//! graph     walking from a snapshot to those before it
//! ```
//!
//! A snapshot names its parents, never its children, and a parent may be gone: once it was forgotten, gc deletes it
//! while its children live on. So history has a beginning wherever the next parent cannot be read and no workspace lists
//! it as a step; where one does, the same absence is damage and an error.

pub mod graph;
pub mod name;
pub mod revision;

#[cfg(test)]
mod fixture;
