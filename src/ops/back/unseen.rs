//! Paths that the newest snapshot of a folder excluded, and that the rules of now do not exclude.
//!
//! ```text
//! s1 notes          s2 notes, package.json      restore s1: package.json goes, and with it the evidence:
//!                      (node_modules excluded)  node_modules is not excluded any more
//! ```
//!
//! A restore puts the rules back, too: `retro.toml`, the ignore files, and the evidence beside a folder. Paths that
//! come in sight only by that are no edits. A capture around a restore therefore excludes the paths that the newest
//! snapshot excluded, unless the current state or the target has them: they are not recorded as edits, taken back by an
//! undo, or removed. A snapshot that is taken then lists these paths as excluded, so that the next restore does the
//! same. The next step that captures them makes them count again.
//!
//! The newest snapshot decides, and not the state that the last restore left: it is the last that examined the whole
//! folder and listed the paths that it excluded. Restores and undos between snapshots only move between states.

use std::sync::{Arc, Mutex, PoisonError};

use super::protected::Protected;
use crate::path::TreePath;
use crate::store::{Store, Workspace};
use crate::workspace::beneath::Root;
use crate::workspace::rules::Rules;
use crate::workspace::scan::Earlier;

/// Tells which paths the newest snapshot excluded.
pub(super) struct Unseen<'a> {
    rules: Arc<Rules>,
    /// True if only names that a pattern or evidence may exclude need a closer look.
    is_by_name: bool,
    protected: Mutex<Protected<'a>>,
}

impl<'a> Unseen<'a> {
    /// For the newest snapshot of a workspace. `None` if there is none, or it is damaged: the rules of now then decide
    /// alone.
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
        // If the answer is unknown, leaving the path alone loses nothing.
        match protected.excludes(&path, is_folder).unwrap_or(true) {
            true => Earlier::Nothing,
            false if is_folder && self.rules.is_partly_selected(&path) => Earlier::Partly,
            false => Earlier::Captured,
        }
    }
}
