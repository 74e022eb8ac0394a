//! Everything that a capture around a restore must know before it begins, so that it happens once.
//!
//! A restore may write over paths that the rules leave out. They have to be in the snapshot of the state before it, or
//! they would be lost; so a capture is told the states that may be put here, and takes whatever stands in their place.
//! An undo has two such states, and which of them it goes to depends on the capture. The capture notes what it took
//! only for them ([`Captured::narrow`](super::Captured::narrow) drops what the chosen state does not need).

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::format::tree::{Entry, Kind};
use crate::id::TreeId;
use crate::ops::look::ls::find;
use crate::path::TreePath;
use crate::store::Store;
use crate::workspace::scan::{EarlierAt, Objection};

/// The states around a restore.
#[derive(Clone, Default)]
pub(in crate::ops) struct Around<'a> {
    /// States whose paths are captured though the rules leave them out, or a cap does.
    pub(in crate::ops) kept: [Option<TreeId>; 2],
    /// The paths that an earlier snapshot left out. They are left out again unless a state here has them.
    pub(in crate::ops) earlier: Option<&'a EarlierAt<'a>>,
    /// States one of which is put here afterwards: whatever is in the place of their paths is captured, too.
    pub(in crate::ops) targets: Vec<TreeId>,
    /// The paths that are put back, with what is below them; everything where there are none.
    pub(in crate::ops) paths: Vec<TreePath>,
    /// Files that have another content than the stat cache says: they are read.
    pub(in crate::ops) changed: Vec<TreePath>,
}

/// Answers a scan that asks if a path is captured all the same.
pub(super) struct Wanted<'a> {
    store: &'a Store,
    around: &'a Around<'a>,
    /// Paths that are captured only for a target.
    for_targets: Mutex<BTreeSet<TreePath>>,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(store: &'a Store, around: &'a Around<'a>) -> Self {
        Self { store, around, for_targets: Mutex::default() }
    }

    /// Returns whether no path is ever wanted.
    pub(super) fn is_nothing(&self) -> bool {
        self.around.kept == [None; 2] && self.around.targets.is_empty()
    }

    pub(super) fn is_wanted(&self, path: &[u8], is_folder: bool, by: Objection) -> bool {
        let Ok(path) = TreePath::new(path) else { return false };
        let mut kept = self.around.kept.iter().flatten().filter_map(|state| entry_of(self.store, *state, &path));
        if kept.any(|entry| (entry.kind == Kind::Folder) == is_folder) {
            return true;
        }
        let is_concerned = self.around.concerns(&path);
        let is_replaced =
            is_concerned && self.around.targets.iter().any(|target| self.is_replaced_by(*target, &path, by));
        if is_replaced {
            self.for_targets.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
        }
        is_replaced
    }

    /// Returns whether something of a target comes in the place of a path. A path that the rules of now leave out, in a
    /// folder that they do not leave out, stays there, and keeps a file from taking the folder's place.
    fn is_replaced_by(&self, target: TreeId, path: &TreePath, by: Objection) -> bool {
        match replaced_at(self.store, target, path) {
            Some(at) if at == *path || by != Objection::Rules => true,
            Some(at) => self.for_targets.lock().unwrap_or_else(PoisonError::into_inner).contains(&at),
            None => false,
        }
    }

    pub(super) fn into_paths(self) -> BTreeSet<TreePath> {
        self.for_targets.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Around<'_> {
    /// Returns whether something may be put back at a path, below it or around it.
    fn concerns(&self, path: &TreePath) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|asked| path.is_within(asked) || asked.is_within(path))
    }
}

/// The place in which a state has something else than a folder around `path`: `path` itself, whatever the state has
/// there, or a file where one of the folders around it is.
pub(super) fn replaced_at(store: &Store, state: TreeId, path: &TreePath) -> Option<TreePath> {
    let mut around = std::iter::successors(Some(path.clone()), TreePath::parent).filter(|here| !here.is_root());
    let (entry, here) = around.find_map(|here| Some((entry_of(store, state, &here)?, here)))?;
    (here == *path || entry.kind != Kind::Folder).then_some(here)
}

fn entry_of(store: &Store, state: TreeId, path: &TreePath) -> Option<Entry> {
    find(store, state, path).ok().flatten()
}
