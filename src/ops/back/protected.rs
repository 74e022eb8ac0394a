//! Paths that a target lacks because it never recorded them, and not because they did not exist.
//!
//! A snapshot lists the paths that it omitted, the rules it was taken with, and the excluded paths that the rules alone
//! do not tell: a folder that had a `pyvenv.cfg` in it then, whatever has become of that file. A restore keeps all of
//! them.
//!
//! It also keeps paths that came into the folder later and that the snapshot would have excluded. No step between a
//! build and the loss of the `Cargo.toml` beside it changes that. The target's tree shows which file was beside
//! another. It shows only a part of what git ignored: the ignore files in its folders, but neither the repository's own
//! lists, nor those of folders further up, nor the paths that the index tracked. If the target excluded what git
//! ignores, a path is therefore protected if the ignore files of the target or those of now name it, in both cases with
//! the other lists as they are now, and tracked or not. This protects a little more than necessary; the safety snapshot
//! has all of it anyway.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diff::{Change, ChangeKind};
use crate::error::Result;
use crate::format::snapshot::Snapshot;
use crate::format::tree::EntryKind;
use crate::id::{BlobId, TreeId};
use crate::limits::IGNORE_FILE_LENGTH_MAX_BYTES;
use crate::ops::look::ls::find;
use crate::ops::record::attached::{excluded_of, omitted_of, rules_of};
use crate::path::{Subtrees, TreePath};
use crate::store::Store;
use crate::workspace::beneath::Root;
use crate::workspace::git_notice::GitNotices;
use crate::workspace::ignore::{IGNORE_NAME, Lists};
use crate::workspace::rules::{Match, Rules};

/// Decides which paths a restore leaves alone.
pub(super) struct Protected<'a> {
    store: &'a Store,
    /// Root of the target.
    target: TreeId,
    rules: Arc<Rules>,
    /// The paths that the target omitted, or lists as excluded.
    unseen: Subtrees,
    /// Ignore files of the target, and those of now; none if the target did not use them.
    views: Vec<View<'a>>,
    /// The last folder that was asked about and is not excluded, nor in an excluded one.
    free: TreePath,
    /// The last folder of the live workspace in whose place the target has a file: nothing in it existed then.
    replaced: Option<TreePath>,
}

/// The ignore files of one state.
struct View<'a> {
    files: IgnoreFiles<'a>,
    /// The lists in force in the folders asked for so far.
    known: BTreeMap<TreePath, Arc<Lists>>,
}

/// The state whose ignore files are read.
enum IgnoreFiles<'a> {
    Live(&'a Root),
    Target(&'a Store, TreeId),
}

impl<'a> Protected<'a> {
    /// The paths that `target` did not record.
    pub(super) fn of(store: &'a Store, target: &Snapshot, root: &'a Root) -> Result<Self> {
        let rules = Arc::new(Rules::parse(&rules_of(store, target)?)?);
        let omitted = omitted_of(store, target)?.into_iter().filter(|omission| !omission.reason.is_captured());
        let unseen = Subtrees::new(omitted.map(|omission| omission.path).chain(excluded_of(store, target)?));
        let mut views = Vec::new();
        if rules.has_gitignore() {
            let around = Lists::around(root.path(), &GitNotices::default());
            let live = around.enter_at(root, &TreePath::root(), true);
            // The target's own list in place of the one that is in the root now.
            let above = around.enter_at(root, &TreePath::root(), false);
            views.push(View::new(IgnoreFiles::Live(root), live));
            let files = IgnoreFiles::Target(store, target.root);
            let top = files.enter(&above, &TreePath::root())?;
            views.push(View::new(files, top));
        }
        let free = TreePath::root();
        Ok(Self { store, target: target.root, rules, unseen, views, free, replaced: None })
    }

    /// Returns true if a change would remove something that the target did not record. If it is asked in order of path,
    /// each folder is examined once.
    pub(super) fn holds(&mut self, change: &Change) -> Result<bool> {
        let Some(old) = &change.old else { return Ok(false) };
        let is_folder = old.kind == EntryKind::Folder;
        if change.kind != ChangeKind::Deleted {
            if is_folder && change.new.is_some_and(|new| new.kind != EntryKind::Folder) {
                self.replaced = Some(change.path.clone());
            }
            return Ok(false);
        }
        let is_replaced = self.replaced.as_ref().is_some_and(|folder| change.path.is_within(folder));
        if is_replaced && !self.unseen.contain(&change.path) && !self.unseen.are_below(&change.path) {
            return Ok(false);
        }
        Ok((is_folder && self.unseen.are_below(&change.path)) || self.excludes(&change.path, is_folder)?)
    }

    /// Returns true if the target did not record a path, or would not have: the path or a folder that it is in was
    /// excluded.
    pub(super) fn excludes(&mut self, path: &TreePath, is_folder: bool) -> Result<bool> {
        if self.unseen.contain(path)
            || self.rules.is_unselected(path, is_folder)
            || self.is_excluded(path, is_folder)?
        {
            return Ok(true);
        }
        for view in &mut self.views {
            if view.ignores(&self.rules, path, is_folder)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The rules of the target.
    pub(super) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules)
    }

    /// Returns true if only paths that [`Rules::may_exclude`] names are excluded.
    pub(super) fn is_by_name(&self) -> bool {
        self.unseen.paths().is_empty() && self.views.is_empty() && self.rules.only().is_none()
    }
}

impl Protected<'_> {
    /// Returns true if the target excluded a path, or a folder that it is in, by a rule or for a file beside it.
    fn is_excluded(&mut self, path: &TreePath, is_folder: bool) -> Result<bool> {
        while !path.is_within(&self.free) {
            self.free = self.free.parent().unwrap_or_default();
        }
        for here in path.way_from(self.free.as_bytes().len()) {
            let is_folder = is_folder || here != *path;
            if self.rules.excludes_at(&here, is_folder) || self.was_beside(&here, is_folder)? {
                return Ok(true);
            }
            if is_folder {
                self.free = here;
            }
        }
        Ok(false)
    }

    /// Returns true if the target excluded a path for a file that it had beside it.
    fn was_beside(&self, path: &TreePath, is_folder: bool) -> Result<bool> {
        let (Some(folder), Some(name)) = (path.parent(), path.name()) else { return Ok(false) };
        let Match::Beside(files) = self.rules.match_of(path.as_bytes(), name, is_folder) else { return Ok(false) };
        for file in files {
            let beside = find(self.store, self.target, &folder.join(file.as_bytes()))?;
            if beside.is_some_and(|entry| entry.kind == EntryKind::File) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl<'a> View<'a> {
    fn new(files: IgnoreFiles<'a>, top: Arc<Lists>) -> Self {
        Self { files, known: BTreeMap::from([(TreePath::root(), top)]) }
    }

    /// Returns true if the ignore files name a path or a folder that it is in, and no `include` brings that back.
    fn ignores(&mut self, rules: &Rules, path: &TreePath, is_folder: bool) -> Result<bool> {
        // The lists of a folder are known only where it was found not to be ignored.
        let above = std::iter::successors(path.parent(), TreePath::parent);
        let found = above.filter_map(|folder| self.known.get(&folder).map(|lists| (folder, Arc::clone(lists)))).next();
        let Some((folder, mut lists)) = found else { return Ok(false) };
        for here in path.way_from(folder.as_bytes().len()) {
            let is_last = here == *path;
            let name = here.name().unwrap_or_default();
            let is_folder = is_folder || !is_last;
            if lists.names(here.as_bytes(), is_folder) && !rules.is_included(here.as_bytes(), name, is_folder) {
                return Ok(true);
            }
            if !is_last {
                lists = self.files.enter(&lists, &here)?;
                self.known.insert(here, Arc::clone(&lists));
            }
        }
        Ok(false)
    }
}

impl IgnoreFiles<'_> {
    fn enter(&self, around: &Arc<Lists>, folder: &TreePath) -> Result<Arc<Lists>> {
        match self {
            IgnoreFiles::Live(root) => Ok(around.enter_at(root, folder, true)),
            IgnoreFiles::Target(store, tree) => {
                let list = find(store, *tree, &folder.join(IGNORE_NAME))?;
                let list =
                    list.filter(|list| list.kind == EntryKind::File && list.size <= IGNORE_FILE_LENGTH_MAX_BYTES);
                Ok(match list {
                    Some(list) => around.with(folder, &store.read_blob(BlobId(list.id), IGNORE_FILE_LENGTH_MAX_BYTES)?),
                    None => Arc::clone(around),
                })
            }
        }
    }
}
