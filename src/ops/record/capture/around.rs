//! The facts that a capture around a restore needs before it begins.
//!
//! A restore may overwrite paths that the rules exclude. The snapshot of the state before it must hold them, or they
//! would be lost. The capture therefore gets the states that may be put here, and takes whatever stands in the place of
//! their paths. An undo has two such states, and the capture decides which of them it goes to. The paths that were
//! taken only for these states are noted ([`Captured::is_around`](super::Captured::is_around)).

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::format::tree::{Entry, EntryKind};
use crate::id::TreeId;
use crate::ops::look::ls::find;
use crate::path::TreePath;
use crate::store::Store;
use crate::workspace::scan::{EarlierAt, Objection};

/// The states around a restore.
#[derive(Clone, Default)]
pub(in crate::ops) struct Around<'a> {
    /// States whose paths are captured although a rule or the size limit keeps them out.
    pub(in crate::ops) kept: Vec<TreeId>,
    /// The paths that an earlier snapshot excluded. They are excluded again unless a state here has them.
    pub(in crate::ops) earlier: Option<&'a EarlierAt<'a>>,
    /// States one of which is put here afterwards: whatever stands in the place of their paths is captured, too.
    pub(in crate::ops) targets: Vec<TreeId>,
    /// The paths that are put back, with everything below them; all if the list is empty.
    pub(in crate::ops) paths: Vec<TreePath>,
    /// Files whose content differs from the stat cache: they are read.
    pub(in crate::ops) changed: Vec<TreePath>,
}

/// Decides for a scan whether a path is captured although something keeps it out.
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

    /// Returns true if no path is ever wanted.
    pub(super) fn is_nothing(&self) -> bool {
        self.around.kept.is_empty() && self.around.targets.is_empty()
    }

    pub(super) fn is_wanted(&self, path: &[u8], is_folder: bool, by: Objection) -> bool {
        let Ok(path) = TreePath::new(path) else { return false };
        let mut kept = self.around.kept.iter().filter_map(|state| entry_of(self.store, *state, &path));
        if kept.any(|entry| (entry.kind == EntryKind::Folder) == is_folder) {
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

    /// Returns true if something of a target takes the place of a path. A path that the rules of now exclude, in a
    /// folder that they do not exclude, stays there, and keeps a file from taking the folder's place.
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
    /// Returns true if something may be put back at a path, below it or around it.
    fn concerns(&self, path: &TreePath) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|asked| path.is_within(asked) || asked.is_within(path))
    }
}

/// The path at which a state has something that cannot stand beside `path`: `path` itself, or one of the folders around
/// it if the state has a file there.
pub(super) fn replaced_at(store: &Store, state: TreeId, path: &TreePath) -> Option<TreePath> {
    let mut around = std::iter::successors(Some(path.clone()), TreePath::parent).filter(|here| !here.is_root());
    let (entry, here) = around.find_map(|here| Some((entry_of(store, state, &here)?, here)))?;
    (here == *path || entry.kind != EntryKind::Folder).then_some(here)
}

fn entry_of(store: &Store, state: TreeId, path: &TreePath) -> Option<Entry> {
    find(store, state, path).ok().flatten()
}
