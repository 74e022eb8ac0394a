//! Retrograde: a flight recorder for the folders that AI agents work in.
//!
//! This page is the code map. The library records a folder as a *snapshot* at every step of an agent, and puts any
//! snapshot back; the binary `retro` is a thin shell around it. Where bytes go is specified in `store-format.md`.
//!
//! ```text
//! floor 8   src/bin/retro   arguments, output, the environment: the only code that knows a terminal
//! floor 7   (incident)      forensics, later
//! floor 6   ops             one file per operation, in the groups of `--help`: record look back keep share check
//! floor 5   history         naming snapshots, walking their graph
//!           diff            trees and texts compared
//!           workspace       the live folder: scan, stat cache, rules, reading, materialize
//! floor 4   store           objects in packs, facts in commits
//! floor 3   format          bytes <-> values, one file per chapter of store-format.md
//!           chunker         where large files are cut
//!           disk            the only code that writes into a store folder
//! floor 2   error, progress
//! floor 1   id, path
//! floor 0   limits, time
//! ```
//!
//! A module imports only from floors below its own; `tests/it/floors.rs` holds the table and checks it.
//!
//! # How a snapshot comes about
//!
//! `ops::record::snap` asks `workspace::scan` for what differs from the stat cache, reads those files, hands their bytes
//! to a `store::Batch` (hash, delta or frame, compress), builds the trees of changed folders bottom up, and commits: one
//! append to a pack, one `fdatasync`. `ops::back` captures what is there, records it, compares trees, and lets
//! `workspace::materialize` write only what differs.
//!
//! # What happens to damage
//!
//! `store::recover` reads packs without indexes, from record to record; `store::inspect` shows a store as its packs have it,
//! whatever the caches say. `ops::check::verify` walks from snapshots to contents and says whom damage hurts. `ops::check::repair`
//! plans with `store::heal` (flipped bits) and `store::repair` (packs written anew), searches live folders for what is
//! lost, and marks what stays lost.
//!
//! # What is deliberately absent
//!
//! - `format` does no I/O, and allocates no more than a small multiple of its input.
//! - `store` knows no workspace, and `workspace` no history; what they need of each other meets in `ops`.
//! - Nothing below the binary prints, exits, reads the environment or parses arguments.
//! - Nothing but `time` reads the clock; time and randomness are arguments: same input, same bytes.
//! - Nothing but `disk` writes store files; `workspace` writes only outside the store.
//! - The store's own folder is no option: the store knows it by device and inode, and nobody can forget to name it.
//! - git is never run, and `.git` is never touched.

pub mod chunker;
pub mod diff;
pub mod disk;
pub mod error;
pub mod format;
pub mod history;
pub mod id;
pub mod limits;
pub mod ops;
pub mod path;
pub mod progress;
pub mod store;
pub mod time;
pub mod workspace;
