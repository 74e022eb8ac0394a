//! Results for people, and the progress line. Their JSON shapes for programs are in `retrograde::wire`.

pub(crate) mod changes;
pub(crate) mod color;
pub(crate) mod event;
pub(crate) mod excluded;
pub(crate) mod findings;
pub(crate) mod graph;
pub(crate) mod human;
pub(crate) mod patch;
pub(crate) mod problems;
pub(crate) mod progress;
pub(crate) mod read;
pub(crate) mod restored;
pub(crate) mod steps;
pub(crate) mod warnings;
