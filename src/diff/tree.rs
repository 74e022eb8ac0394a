//! Differences between two trees; the cost follows the change, not the tree.
//!
//! Folders with equal ids are equal and never opened. Folders that differ are opened as far as they differ (`folder`),
//! and their entries merged by name; subfolders are walked in the same way. The walk keeps its own stack: a workspace
//! may be thousands of folders deep, more than a thread's stack allows.
//!
//! The list contains:
//!
//! - files and symlinks: added, deleted, modified, mode, type;
//! - folders: an added or deleted one only when it is empty or [`TreeDiffOptions::folders`] is set, always followed by
//!   what is below it; one in both trees only when its mode differs;
//! - a path that is a folder on one side only and something else on the other: one [`ChangeKind::Type`] with both
//!   sides, followed by what was or is below the folder, as deleted or added.
//!
//! The root folder itself is not listed; its mode is a fact of the snapshot. Sizes are not compared: they follow from
//! the content, and `verify` reports sizes that do not.
//!
//! In a hostile store a folder may name one subfolder 1,000 times, which names another 1,000 times, and so on. The
//! total size of everything read and listed is therefore capped ([`WALK_LENGTH_MAX_BYTES`]).

use std::iter::Peekable;
use std::vec;

use super::filter::{Filter, Scope};
use super::{Change, ChangeKind, Side, folder};
use crate::error::{Error, ErrorKind, Result};
use crate::format::tree::{Entry, EntryKind};
use crate::id::TreeId;
use crate::limits::{FOLDER_DEPTH_MAX, WALK_LENGTH_MAX_BYTES, WALK_STEP_BYTES};
use crate::path::TreePath;
use crate::store::LoadTree;

/// The extent of a tree comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeDiffOptions {
    /// Lists every added and deleted folder, not only empty ones. Restore needs them all.
    pub folders: bool,
    /// Limits the comparison to these paths and what is below them; nothing else is opened. Empty means everything.
    pub paths: Vec<TreePath>,
}

/// Compares two trees that `load` reads; `None` is a tree without entries.
///
/// Fails with `Limit` if the difference is too large or too deep to list, and with the error of `load` if a tree cannot
/// be read.
pub fn trees(
    load: &LoadTree<'_>,
    old: Option<TreeId>,
    new: Option<TreeId>,
    options: &TreeDiffOptions,
) -> Result<Vec<Change>> {
    Walk::new(load, options).run(old, new)
}

struct Walk<'a> {
    load: &'a LoadTree<'a>,
    filter: Filter<'a>,
    folders: bool,
    /// The path of the entry being compared. One buffer for all: a path for every folder on the stack would take memory
    /// quadratic in the depth.
    path: Vec<u8>,
    /// The folders being compared, outermost first.
    open: Vec<FolderPair>,
    changes: Vec<Change>,
    work_left: u64,
}

/// A folder of the walk on both sides, with the entries still to compare.
struct FolderPair {
    path_length_bytes: usize,
    scope: Scope,
    old: Peekable<vec::IntoIter<Entry>>,
    new: Peekable<vec::IntoIter<Entry>>,
}

/// The entries of one name; at least one is present.
struct Pair {
    old: Option<Entry>,
    new: Option<Entry>,
}

impl<'a> Walk<'a> {
    fn new(load: &'a LoadTree<'a>, options: &'a TreeDiffOptions) -> Self {
        Self {
            load,
            filter: Filter::new(&options.paths),
            folders: options.folders,
            path: Vec::new(),
            open: Vec::new(),
            changes: Vec::new(),
            work_left: WALK_LENGTH_MAX_BYTES,
        }
    }

    fn run(mut self, old: Option<TreeId>, new: Option<TreeId>) -> Result<Vec<Change>> {
        if old != new {
            let scope = self.filter.root();
            let (old, new) = self.differing(old, new, &scope)?;
            self.descend(old, new, scope)?;
        }
        while let Some(folders) = self.open.last_mut() {
            self.path.truncate(folders.path_length_bytes);
            match folders.next_pair() {
                Some(pair) => self.compare(&pair)?,
                None => {
                    self.open.pop();
                }
            }
        }
        Ok(self.changes)
    }

    /// Compares the entries of one name, and goes down where one of them is a folder.
    fn compare(&mut self, pair: &Pair) -> Result<()> {
        let folders = self.open.last().expect("a pair comes from an open folder");
        let Some(scope) = self.filter.enter(&folders.scope, self.open.len() - 1, pair.name()) else {
            return Ok(());
        };
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(pair.name());
        let old_tree = pair.old.as_ref().and_then(Entry::tree);
        let new_tree = pair.new.as_ref().and_then(Entry::tree);
        let (old, new) =
            if old_tree == new_tree { Default::default() } else { self.differing(old_tree, new_tree, &scope)? };
        if scope == Scope::All {
            let lists_folders = self.folders || (old.is_empty() && new.is_empty());
            if let Some(kind) = pair.kind(lists_folders) {
                self.list(kind, pair)?;
            }
        }
        self.descend(old, new, scope)
    }

    fn differing(
        &mut self,
        old: Option<TreeId>,
        new: Option<TreeId>,
        scope: &Scope,
    ) -> Result<(Vec<Entry>, Vec<Entry>)> {
        let names = self.filter.names(scope, self.open.len());
        let (old, new, read_bytes) = folder::differing(self.load, old, new, names.as_deref())?;
        self.spend(WALK_STEP_BYTES.saturating_add(read_bytes))?;
        Ok((old, new))
    }

    fn descend(&mut self, old: Vec<Entry>, new: Vec<Entry>, scope: Scope) -> Result<()> {
        if old.is_empty() && new.is_empty() {
            return Ok(());
        }
        if self.open.len() > FOLDER_DEPTH_MAX {
            let detail = format!("folders are more than {FOLDER_DEPTH_MAX} deep");
            return Err(Error::new(ErrorKind::Limit, "compare trees", "below a workspace", detail));
        }
        self.open.push(FolderPair {
            path_length_bytes: self.path.len(),
            scope,
            old: old.into_iter().peekable(),
            new: new.into_iter().peekable(),
        });
        Ok(())
    }

    fn list(&mut self, kind: ChangeKind, pair: &Pair) -> Result<()> {
        self.spend(WALK_STEP_BYTES.saturating_add(self.path.len() as u64))?;
        let path = TreePath::new(&self.path).map_err(|problem| {
            Error::new(ErrorKind::Limit, "compare trees", crate::path::escaped(&self.path), problem)
        })?;
        let old = pair.old.as_ref().map(Side::from);
        let new = pair.new.as_ref().map(Side::from);
        self.changes.push(Change { path, kind, old, new, old_path: None, attributes_changed: false });
        Ok(())
    }

    fn spend(&mut self, work: u64) -> Result<()> {
        self.work_left = self.work_left.checked_sub(work).ok_or_else(|| {
            let path = crate::path::escaped(&self.path);
            Error::new(ErrorKind::Limit, "compare trees", path, "there are more paths than fit in memory")
                .with_hint("compare one folder at a time by naming it")
        })?;
        Ok(())
    }
}

impl FolderPair {
    /// The entries of the next name in either list, skipping those equal in both.
    fn next_pair(&mut self) -> Option<Pair> {
        loop {
            let name_order = match (self.old.peek(), self.new.peek()) {
                (Some(old), Some(new)) => old.name.cmp(&new.name),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (None, None) => return None,
            };
            let old = if name_order.is_le() { self.old.next() } else { None };
            let new = if name_order.is_ge() { self.new.next() } else { None };
            if old != new {
                return Some(Pair { old, new });
            }
        }
    }
}

impl Pair {
    fn name(&self) -> &[u8] {
        let entry = self.old.as_ref().or(self.new.as_ref());
        &entry.expect("a pair has at least one entry").name
    }

    /// The kind of change; `None` if it is not listed.
    fn kind(&self, lists_folders: bool) -> Option<ChangeKind> {
        let is_listed = |entry: &Entry| entry.kind != EntryKind::Folder || lists_folders;
        match (&self.old, &self.new) {
            (Some(old), Some(new)) if old.kind != new.kind => Some(ChangeKind::Type),
            (Some(old), Some(new)) if old.kind != EntryKind::Folder && old.id != new.id => Some(ChangeKind::Modified),
            (Some(old), Some(new)) => (old.mode != new.mode).then_some(ChangeKind::Mode),
            (Some(old), None) => is_listed(old).then_some(ChangeKind::Deleted),
            (None, Some(new)) => is_listed(new).then_some(ChangeKind::Added),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests;
