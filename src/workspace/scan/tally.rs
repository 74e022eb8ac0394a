//! Finds the largest folders of a workspace, for the message of a scan that reached a limit.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use super::CaptureCounts;
use crate::path::TreePath;

/// Most folders named in the message.
const NAMED_FOLDERS: usize = 5;

/// Greatest depth at which folders are distinguished: enough to name what can be excluded.
const NAMED_DEPTH: usize = 6;

/// A folder is named only if it has at least the total divided by this.
const NAMED_PART: u64 = 20;

/// Counts by folder, each including everything below it.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<BTreeMap<TreePath, CaptureCounts>>);

impl Tally {
    /// Adds the counts of one folder to that folder and its parents.
    pub(super) fn add(&self, path: &TreePath, counts: &CaptureCounts) {
        let mut folders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names = path.names().take(NAMED_DEPTH);
        let mut named = TreePath::root();
        loop {
            folders.entry(named.clone()).or_default().add(counts);
            let Some(name) = names.next() else { return };
            named = named.join(name);
        }
    }

    /// Text that lists the folders with the highest `measure`, largest first, each with its amount.
    pub(super) fn largest(self, measure: impl Fn(&CaptureCounts) -> u64, unit: impl Fn(u64) -> String) -> String {
        let folders = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let amount = |path: &TreePath| folders.get(path).map_or(0, &measure);
        let mut children: BTreeMap<TreePath, Vec<&TreePath>> = BTreeMap::new();
        for path in folders.keys() {
            if let Some(parent) = path.parent() {
                children.entry(parent).or_default().push(path);
            }
        }
        let root = TreePath::root();
        let below = |path: &TreePath| children.get(path).map(Vec::as_slice).unwrap_or_default().iter().copied();
        let mut ranked: Vec<(u64, &TreePath)> = below(&root).map(|path| (amount(path), path)).collect();
        // The part in the root folder itself.
        let loose = amount(&root).saturating_sub(ranked.iter().map(|(amount, _)| amount).sum());
        ranked.push((loose, &root));
        ranked.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        let least = amount(&root) / NAMED_PART;
        let mut text = String::new();
        for (index, (share, path)) in ranked.into_iter().take(NAMED_FOLDERS).enumerate() {
            if share == 0 || (index > 0 && share < least) {
                break;
            }
            // If nearly all of a folder is in one subfolder, that one is named.
            let mut named = path;
            while let Some(inner) = below(named).find(|inner| !path.is_root() && amount(inner) >= share - share / 10) {
                named = inner;
            }
            let separator = if text.is_empty() { "" } else { ", " };
            write!(text, "{separator}{named} ({})", unit(share)).expect("writing to a string");
        }
        text
    }
}

/// A number of bytes for people: `1.5 GiB`.
pub(super) fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut tenths, mut unit) = (u128::from(bytes) * 10, 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1_024;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::{CaptureCounts, Tally};
    use crate::workspace::testing::tree_path;

    #[test]
    fn big_subtrees_are_named_and_not_their_leaves() {
        let tally = Tally::default();
        let add = |path: &str, files| {
            tally.add(&tree_path(path), &CaptureCounts { files, folders: 1, ..CaptureCounts::default() });
        };
        add("", 60);
        (0..100).for_each(|number| add(&format!("vendor/{number}/src"), 9));
        add("data/raw/deep", 95);
        add("data/raw", 5);
        add("small", 10);
        let text = tally.largest(|counts| counts.files, |count| format!("{count}"));
        assert_eq!(text, "vendor (900), data/raw/deep (100), . (60)");
    }
}
