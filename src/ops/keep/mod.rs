//! Keeping: names for snapshots, and marks that they must be kept.

pub mod forget;
pub mod tag;
