//! One file per operation: a function, its options and its outcome. Prints nothing.

pub mod ingest;
pub mod register;
