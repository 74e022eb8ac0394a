//! Differences between two snapshots, or a snapshot and the live folder, with the contents to show them.

use std::collections::BTreeMap;

use super::capture::{CaptureOptions, Captured, capture, open_root};
use super::snap::expect;
use crate::diff::rename::{self, RenameOptions};
use crate::diff::{Change, Side, TreeDiffOptions, tree::trees_with};
use crate::error::{Error, ErrorKind, Result};
use crate::format::tree::Kind;
use crate::id::{Digest, SnapshotId, WorkspaceId};
use crate::limits::TEXT_DIFF_MAX_BYTES;
use crate::path::TreePath;
use crate::store::Store;
use crate::workspace::beneath::Root;
use crate::workspace::read::{Folder, OpenedFile, Outcome, read_file, read_symlink};

/// What to compare with.
#[derive(Clone, Copy)]
pub enum Other<'a> {
    /// Another snapshot.
    Snapshot(SnapshotId),
    /// The live folder, as it is now.
    Live(WorkspaceId, CaptureOptions<'a>),
    /// The empty folder, on the old side: everything was added.
    Nothing,
}

/// What is on the old and on the new side of a change.
pub type Contents = (Option<Vec<u8>>, Option<Vec<u8>>);

/// Two states and what differs between them.
#[derive(Debug)]
pub struct Comparison<'a> {
    /// What differs, in order of path.
    pub changes: Vec<Change>,
    store: &'a Store,
    live: Option<Root>,
    /// Where in the live folder a content is, by id.
    places: BTreeMap<Digest, TreePath>,
}

/// Compares `old` with `new`. `paths` limits it to these paths and what is below them.
pub fn compare<'a>(store: &'a Store, old: &Other<'_>, new: &Other<'_>, paths: Vec<TreePath>) -> Result<Comparison<'a>> {
    let (old, new) = (state_of(store, old)?, state_of(store, new)?);
    let captured = old.captured.as_ref().or(new.captured.as_ref());
    let load = |id| captured.map_or_else(|| store.tree(id), |captured| captured.load(store, id));
    let options = TreeDiffOptions { folders: false, paths };
    let changes = trees_with(&load, old.root, new.root, &options)?;
    let new_side = |change: &Change| Some((change.new?.id, change.path.clone()));
    let places = changes.iter().filter_map(new_side).collect();
    let mut comparison = Comparison { changes: Vec::new(), store, live: old.live.or(new.live), places };
    let mut load = |side: &Side| comparison.side(Some(*side));
    comparison.changes = rename::detect(changes, &RenameOptions::default(), &mut load)?;
    Ok(comparison)
}

impl Comparison<'_> {
    /// What is on both sides of a change, for a diff of their lines. `None` on a side without content, and for content
    /// too long to be compared line by line.
    pub fn contents(&self, change: &Change) -> Result<Contents> {
        Ok((self.side(change.old)?, self.side(change.new)?))
    }

    fn side(&self, side: Option<Side>) -> Result<Option<Vec<u8>>> {
        match side {
            Some(Side { kind: Kind::Folder, .. }) | None => Ok(None),
            Some(side) if side.size > TEXT_DIFF_MAX_BYTES => Ok(None),
            Some(side) => self.content(&side).map(Some),
        }
    }

    /// From the store, or, if the content was never stored, from the live folder.
    fn content(&self, side: &Side) -> Result<Vec<u8>> {
        let id = side.blob().expect("only folders have none");
        match (&self.live, self.places.get(&side.id)) {
            (Some(root), Some(path)) if !self.store.contains_blob(id) => read_live(root, path, side.kind),
            _ => self.store.read_blob(id, TEXT_DIFF_MAX_BYTES),
        }
    }
}

struct State {
    root: Option<crate::id::TreeId>,
    captured: Option<Captured>,
    live: Option<Root>,
}

fn state_of(store: &Store, other: &Other<'_>) -> Result<State> {
    match other {
        Other::Nothing => Ok(State { root: None, captured: None, live: None }),
        Other::Snapshot(id) => Ok(State { root: Some(store.snapshot(*id)?.root), captured: None, live: None }),
        Other::Live(workspace, options) => {
            let state = store.state();
            let found = expect(&state, *workspace)?;
            let live = open_root(store, found, options.home)?;
            let captured = capture(store, found.id, &live, options, None)?;
            Ok(State { root: Some(captured.root), captured: Some(captured), live: Some(live) })
        }
    }
}

fn read_live(root: &Root, path: &TreePath, kind: Kind) -> Result<Vec<u8>> {
    let changed = || {
        let shown = crate::error::shown(&root.display(path));
        Error::new(ErrorKind::Conflict, "read", shown, "it changed while it was compared").with_hint("run it again")
    };
    let (Some(parent), Some(name)) = (path.parent(), path.name()) else { return Err(changed()) };
    let Outcome::Read(folder) = Folder::open(root, &parent)? else { return Err(changed()) };
    if kind == Kind::Symlink {
        return match read_symlink(&folder, name)? {
            Outcome::Read(target) => Ok(target),
            Outcome::Omitted(_) => Err(changed()),
        };
    }
    let most = usize::try_from(TEXT_DIFF_MAX_BYTES).expect("4 MiB");
    match read_file(&folder, name, most)? {
        Outcome::Read(OpenedFile::Whole(file)) => Ok(file.bytes),
        Outcome::Read(OpenedFile::Large(_)) | Outcome::Omitted(_) => Err(changed()),
    }
}
