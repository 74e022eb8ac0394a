//! The live folder: scanning, the stat cache, what is left out, reading, and putting states back.
pub mod beneath;
