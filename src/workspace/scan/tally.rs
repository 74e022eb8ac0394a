//! What is big in a workspace: for the message of a scan that stopped at a cap.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use super::CaptureCounts;
use crate::path::TreePath;

/// Folders named in the message.
const NAMED_FOLDERS: usize = 5;

/// Folders are told apart down to this depth: deep enough to name what can be excluded, and to read.
const NAMED_DEPTH: usize = 2;

/// Counts by folder.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<BTreeMap<TreePath, CaptureCounts>>);

impl Tally {
    /// Adds what is in one folder to that folder, or to the one above it that is still named.
    pub(super) fn add(&self, path: &TreePath, counts: &CaptureCounts) {
        let named = path.names().take(NAMED_DEPTH).fold(TreePath::root(), |named, name| named.join(name));
        let mut folders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = folders.entry(named).or_default();
        sum.files += counts.files;
        sum.folders += counts.folders;
        sum.bytes = sum.bytes.saturating_add(counts.bytes);
    }

    /// The folders with the most of what `measure` tells, largest first, and how much each has.
    pub(super) fn largest(self, measure: impl Fn(&CaptureCounts) -> u64, unit: impl Fn(u64) -> String) -> String {
        let folders = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut ranked: Vec<_> = folders.iter().map(|(path, counts)| (measure(counts), path)).collect();
        ranked.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        let mut text = String::new();
        for (amount, path) in ranked.into_iter().take(NAMED_FOLDERS).filter(|(amount, _)| *amount > 0) {
            let separator = if text.is_empty() { "" } else { ", " };
            write!(text, "{separator}{path} ({})", unit(amount)).expect("writing to a string");
        }
        text
    }
}

/// A number of bytes as people read it: `1.5 GiB`.
pub(super) fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut tenths, mut unit) = (u128::from(bytes) * 10, 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1_024;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]) }
}
