//! Keeping: tags and pins, and forgetting.

pub mod forget;
pub mod tag;
