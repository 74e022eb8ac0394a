//! Checking a store: `verify` finds damage and the steps that it affects, `repair` fixes it.

pub mod repair;
pub mod verify;
