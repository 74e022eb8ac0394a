//! Retrograde: a flight recorder for the folders that AI agents work in.
pub mod chunker;
pub mod disk;
pub mod error;
pub mod format;
pub mod id;
pub mod limits;
pub mod ops;
pub mod path;
pub mod progress;
pub mod store;
pub mod time;
pub mod workspace;
pub mod diff;
pub mod history;
