//! The integration tests: one binary, one module for each promise or command.
//!
//! They run at two depths, quick by default and full with `RETRO_TEST_DEPTH=full`: [`support::depth`] says how a test
//! picks its cases, and how it states the fewest that it must try.

#![expect(clippy::unwrap_used, reason = "what a test does not expect is a failure")]

mod attributes;
mod capture;
mod cli;
mod crash;
mod damage;
mod decoder_limits;
mod deep;
mod filesystems;
mod floors;
mod format_doc;
mod format_ids;
mod format_refusals;
mod fuzz;
#[cfg(feature = "git")]
mod gitignore;
mod golden;
mod kept;
mod left_out;
mod library;
mod model;
mod patches;
mod permissions;
mod places;
mod processes;
mod readme;
mod requirements;
mod reread;
mod restore;
mod round_trip;
mod support;
mod tidy;
mod unfinished;
mod untrusted;
