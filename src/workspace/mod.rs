//! The live folder an agent works in: what is in it, what is left out, reading it, and putting states back.
//!
//! ```text
//! config -> rules, ignore -> scan (with cache) -> read   capture
//! materialize                                            restore
//! beneath                                                both
//! ```
//!
//! - [`config`] reads `retro.toml`; [`rules`] decides which paths are left out, [`ignore`] what git would.
//! - [`scan`] walks the folder and compares it with the stat [`cache`], so that only what may differ is read.
//! - [`read`] takes the bytes of a file that other processes write at the same time.
//! - [`materialize`] writes states of the past into folders.
//! - [`attributes`] reads owners, ACLs and extended attributes.
//! - [`places`] are folders that are left alone whatever path leads to them: the store first of all.
//! - [`stat`], [`filesystem`] and `refusal` say what file times prove and what errors mean; [`turn`] remembers how far the
//!   rolling re-read has come; [`beneath`] opens folders without ever
//!   following a symlink.
//!
//! Invariants: a path in a workspace is opened by single names relative to a folder handle, never followed through a
//! symlink. Nothing here knows the store's history, only [`materialize`] reads its objects, and only the stat cache is
//! written into a store folder, through [`crate::disk::Disk`]. The clock is that of file systems, never the wall clock.

pub mod attributes;
pub mod beneath;
pub mod cache;
pub mod config;
pub mod filesystem;
mod git_file;
pub mod git_folders;
pub mod git_head;
mod git_index;
pub mod git_notice;
pub mod ignore;
pub mod materialize;
pub mod mounts;
pub mod places;
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
