//! Paths that the newest snapshot of a folder left out, and that its rules of now do not.
//!
//! ```text
//! s1 notes          s2 notes, package.json      restore s1: package.json goes, and with it the evidence:
//!                      (node_modules left out)  node_modules is not left out any more
//! ```
//!
//! A restore puts the rules back, too: `retro.toml`, the ignore files, and the evidence beside a folder. What comes in
//! sight by that alone was no edit of anybody's. So whatever looks at the folder around a restore leaves out what the
//! newest snapshot left out, unless the state that the folder stands at has it, or the target: none of it is recorded
//! as an edit, taken back by an undo, or removed. A snapshot that is taken then lists these paths as left out, so that
//! the next restore does the same. They count again from the next step on that is taken in sight of them.
//!
//! Why the newest snapshot, and not the state that the last restore left: it is the last that looked at the whole
//! folder and wrote down what it did not see. Restores and undos between snapshots only move between states.

use std::sync::{Arc, Mutex, PoisonError};

use super::protected::Protected;
use crate::path::TreePath;
use crate::store::{Store, Workspace};
use crate::workspace::beneath::Root;
use crate::workspace::rules::Rules;
use crate::workspace::scan::Earlier;

/// The newest snapshot, asked about paths.
pub(super) struct Unseen<'a> {
    rules: Arc<Rules>,
    /// Only names that a pattern or evidence may leave out need a closer look.
    is_by_name: bool,
    protected: Mutex<Protected<'a>>,
}

impl<'a> Unseen<'a> {
    /// That of a workspace. `None` where there is no snapshot, or it is damaged: then the rules of now decide alone.
    pub(super) fn of(store: &'a Store, workspace: &Workspace, root: &'a Root) -> Option<Self> {
        let newest = store.snapshot(*workspace.steps.values().next_back()?).ok()?;
        let protected = Protected::of(store, &newest, root).ok()?;
        let rules = protected.rules();
        let is_by_name = protected.is_by_name();
        Some(Self { rules, is_by_name, protected: Mutex::new(protected) })
    }

    /// The part of a path that was captured then, or would have been.
    pub(super) fn at(&self, path: &[u8], is_folder: bool) -> Earlier {
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        if self.is_by_name && !self.rules.may_exclude(path, name, is_folder) {
            return Earlier::Captured;
        }
        let Ok(path) = TreePath::new(path) else { return Earlier::Captured };
        let mut protected = self.protected.lock().unwrap_or_else(PoisonError::into_inner);
        // Where it cannot be found out, leaving the path alone is what loses nothing.
        match protected.leaves_out(&path, is_folder).unwrap_or(true) {
            true => Earlier::Nothing,
            false if is_folder && self.rules.is_partly_selected(&path) => Earlier::Partly,
            false => Earlier::Captured,
        }
    }
}
