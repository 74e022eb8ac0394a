//! Checking a store: `verify` finds damage and which steps need what is damaged, `repair` fixes it.

pub mod repair;
pub mod verify;
