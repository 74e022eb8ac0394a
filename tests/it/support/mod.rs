//! Helpers that the tests share: folders that clean up after themselves, a walker that shares no code with the library,
//! and a workspace as hostile as a file system allows.

#![allow(dead_code, reason = "each test takes what it needs")]

pub(crate) mod abilities;
pub(crate) mod damage;
pub(crate) mod depth;
pub(crate) mod git;
pub(crate) mod mounts;
pub(crate) mod naughty;
pub(crate) mod recorder;
pub(crate) mod rng;
pub(crate) mod scratch;
pub(crate) mod snapshot;
pub(crate) mod terminal;
pub(crate) mod verbs;
pub(crate) mod walker;
pub(crate) mod xattr;
