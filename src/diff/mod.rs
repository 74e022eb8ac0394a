//! Differences between two trees, and between two texts.
