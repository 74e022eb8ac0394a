//! What results look like: for people ([`human`], [`changes`], [`patch`], [`steps`], [`restored`],
//! [`findings`]), for programs ([`json`]), and while
//! they are not there yet ([`progress`]).

pub(crate) mod changes;
pub(crate) mod color;
pub(crate) mod event;
pub(crate) mod findings;
pub(crate) mod graph;
pub(crate) mod human;
pub(crate) mod left_out;
pub(crate) mod patch;
pub(crate) mod problems;
pub(crate) mod progress;
pub(crate) mod read;
pub(crate) mod restored;
pub(crate) mod steps;
pub(crate) mod warnings;
