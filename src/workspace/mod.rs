//! The live folder that an agent works in: scanning it, excluding paths, reading files, and restoring states.
//!
//! ```text
//! config -> rules, ignore -> scan (with cache) -> read   capture
//! materialize                                            restore
//! beneath                                                both
//! ```
//!
//! - [`config`] reads `retro.toml`; [`rules`] decides which paths are excluded, [`ignore`] which git ignores.
//! - [`scan`] walks the folder and compares it with the stat [`cache`], so that only files that may differ are read.
//! - [`read`] reads files that other processes may write at the same time.
//! - [`materialize`] writes recorded states into folders.
//! - [`attributes`] reads owners, ACLs and extended attributes.
//! - [`protected`] lists protected folders, such as the store; [`folder_id`] identifies folders independently of their
//!   path.
//! - [`stat`], [`filesystem`] and `refusal` interpret file times and errors; [`turn`] keeps the position of the rolling
//!   re-read; [`beneath`] opens folders without ever following a symlink.
//!
//! Invariants: a path in a workspace is opened by single names relative to a folder handle, never through a symlink.
//! Nothing here knows the store's history; only [`materialize`] reads its objects, and only the stat cache and the turn
//! file are written into a store folder, through [`crate::disk::Disk`]. Times come from file systems, never from the
//! wall clock.

pub mod attributes;
pub mod beneath;
pub mod cache;
pub mod config;
pub mod filesystem;
pub mod folder_id;
mod git_file;
pub mod git_folders;
pub mod git_head;
mod git_index;
pub mod git_notice;
pub mod ignore;
pub mod materialize;
pub mod mounts;
pub mod protected;
pub mod read;
mod refusal;
pub mod rules;
pub mod scan;
pub mod stat;
pub mod temporary_name;
#[cfg(test)]
mod testing;
pub mod turn;
pub mod version_control;
