//! Differences between two snapshots, or a snapshot and the live folder, with the contents to show them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::attributed::{AttributedTree, add_changes};
use crate::diff::patch::{self, Content, PatchOptions, Put};
use crate::diff::rename::{self, RenameOptions};
use crate::diff::selection::Selection;
use crate::diff::{Change, Side, TreeDiffOptions, trees};
use crate::error::{Error, ErrorKind, Result, shown};
use crate::format::snapshot::Snapshot;
use crate::format::tree::EntryKind;
use crate::id::{BlobId, Digest, SnapshotId, TreeId, WorkspaceId};
use crate::limits::{CHUNK_LENGTH_MAX_BYTES, PATCH_DELTA_MAX_BYTES, TEXT_DIFF_MAX_BYTES};
use crate::ops::record::capture::{CaptureOptions, Captured, capture};
use crate::ops::record::folder::open_root;
use crate::ops::record::register::expect;
use crate::path::TreePath;
use crate::store::Store;
use crate::workspace::beneath::Root;
use crate::workspace::read::{Beside, Folder, OpenedFile, Outcome, read_file, read_symlink};

/// One side of a comparison.
#[derive(Clone, Copy)]
pub enum Other<'a> {
    /// Another snapshot.
    Snapshot(SnapshotId),
    /// The live folder, as it is now.
    Live(WorkspaceId, CaptureOptions<'a>),
    /// The empty folder, on the old side: everything was added.
    Nothing,
}

/// The contents on the old and on the new side of a change.
pub type Contents = (Option<Vec<u8>>, Option<Vec<u8>>);

/// Two states and their differences.
#[derive(Debug)]
pub struct Comparison<'a> {
    /// The differences, in order of path.
    pub changes: Vec<Change>,
    store: &'a Store,
    live: Option<Root>,
    /// The path of each content in the live folder, by id.
    live_paths: BTreeMap<Digest, TreePath>,
}

/// Compares `old` with `new` within the selection. Renames are looked for within it, too.
pub fn compare<'a>(
    store: &'a Store,
    old: &Other<'_>,
    new: &Other<'_>,
    selection: &Selection,
) -> Result<Comparison<'a>> {
    let (old, new) = (state_of(store, old)?, state_of(store, new)?);
    let changes = differences(store, &old, &new, selection)?;
    let new_side = |change: &Change| Some((change.new?.id, change.path.clone()));
    let live_paths = changes.iter().filter_map(new_side).collect();
    let live = [old, new].into_iter().find_map(State::into_live);
    let mut comparison = Comparison { changes: Vec::new(), store, live, live_paths };
    let mut load = |side: &Side| comparison.side(Some(*side));
    comparison.changes = rename::detect(changes, &RenameOptions::default(), &mut load)?;
    Ok(comparison)
}

/// The differences between two states, in order of path. A rename is one path deleted and another added: no content is
/// read.
pub(super) fn differences(store: &Store, old: &State, new: &State, selection: &Selection) -> Result<Vec<Change>> {
    let captured = old.captured().or(new.captured());
    let load = |id| captured.map_or_else(|| store.tree(id), |captured| captured.load(store, id));
    let options = TreeDiffOptions { folders: false, paths: selection.limits() };
    let mut changes = trees(&load, old.root(), new.root(), &options)?;
    // Two snapshots with the same attributes: none need be read.
    let is_same = matches!((old, new), (State::Snapshot(one), State::Snapshot(two))
        if one.root_owner == two.root_owner && one.attributes == two.attributes);
    if !is_same && let (Some(old), Some(new)) = (old.attributed(store)?, new.attributed(store)?) {
        add_changes(&mut changes, &load, &old, &new, &options.paths)?;
    }
    if selection.has_patterns() {
        changes.retain(|change| selection.concerns(change));
    }
    Ok(changes)
}

impl Comparison<'_> {
    /// The contents on both sides of a change, for a diff of their lines. A side is `None` if it has no content, or one
    /// too long to be compared line by line.
    pub fn contents(&self, change: &Change) -> Result<Contents> {
        Ok((self.side(change.old)?, self.side(change.new)?))
    }

    /// Writes a change as a patch that git can apply. Long contents are not held in memory.
    pub fn patch(&self, change: &Change, options: &PatchOptions, put: &mut Put<'_>) -> Result<()> {
        let is_needed = patch::needs_contents(change);
        let content =
            |side: Option<Side>| side.filter(|_| is_needed).and_then(|side| self.patched(side, options).transpose());
        let (old, new) = (content(change.old).transpose()?, content(change.new).transpose()?);
        patch::render(change, old.as_ref(), new.as_ref(), options, put)
    }

    /// A side for a patch; none for folders.
    fn patched(&self, side: Side, options: &PatchOptions) -> Result<Option<Content<'_>>> {
        let whole_max = if options.binary { PATCH_DELTA_MAX_BYTES } else { TEXT_DIFF_MAX_BYTES };
        if side.kind == EntryKind::Folder {
            return Ok(None);
        }
        if side.size <= whole_max {
            return self.content(&side).map(|bytes| Some(Content::Whole(bytes)));
        }
        let copy = move |put: &mut Put<'_>| self.copy(&side, put);
        Ok(Some(Content::Long { length_bytes: side.size, copy: Box::new(copy) }))
    }

    fn side(&self, side: Option<Side>) -> Result<Option<Vec<u8>>> {
        let side = side.filter(|side| side.kind != EntryKind::Folder && side.size <= TEXT_DIFF_MAX_BYTES);
        side.map(|side| self.content(&side)).transpose()
    }

    fn content(&self, side: &Side) -> Result<Vec<u8>> {
        let Some((root, path)) = self.live_path(side) else { return self.store.read_blob(blob(side), side.size) };
        let mut content = Vec::new();
        copy_live(root, path, side, &mut |piece| {
            content.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(content)
    }

    fn copy(&self, side: &Side, put: &mut Put<'_>) -> Result<()> {
        match self.live_path(side) {
            Some((root, path)) => copy_live(root, path, side, put),
            None => self.store.copy_blob(blob(side), put).map(drop),
        }
    }

    /// The path in the live folder of a content that the store does not have.
    fn live_path(&self, side: &Side) -> Option<(&Root, &TreePath)> {
        let found = self.live.as_ref().zip(self.live_paths.get(&side.id));
        found.filter(|_| !self.store.contains_blob(blob(side)))
    }
}

fn blob(side: &Side) -> BlobId {
    side.blob().expect("only folders have none")
}

/// The state on one side.
pub(super) enum State {
    Nothing,
    Snapshot(Arc<Snapshot>),
    Live(Box<Captured>, Root),
}

impl State {
    fn root(&self) -> Option<TreeId> {
        match self {
            Self::Nothing => None,
            Self::Snapshot(snapshot) => Some(snapshot.root),
            Self::Live(captured, _) => Some(captured.root),
        }
    }

    fn captured(&self) -> Option<&Captured> {
        if let Self::Live(captured, _) = self { Some(captured) } else { None }
    }

    fn into_live(self) -> Option<Root> {
        if let Self::Live(_, live) = self { Some(live) } else { None }
    }

    fn attributed(&self, store: &Store) -> Result<Option<AttributedTree>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Snapshot(snapshot) => AttributedTree::of(store, snapshot).map(Some),
            Self::Live(captured, _) => Ok(Some(captured.attributed_tree())),
        }
    }
}

fn state_of(store: &Store, other: &Other<'_>) -> Result<State> {
    match other {
        Other::Nothing => Ok(State::Nothing),
        Other::Snapshot(id) => store.snapshot(*id).map(State::Snapshot),
        Other::Live(workspace, options) => {
            let state = store.state();
            let found = expect(&state, *workspace)?;
            let live = open_root(store, found, options.home)?;
            let captured = capture(store, found.id, &live, options, None)?;
            Ok(State::Live(Box::new(captured), live))
        }
    }
}

/// Copies a file or symlink of the live folder. A path that changed since the comparison is a `Conflict`, which may
/// show only at the end.
fn copy_live(root: &Root, path: &TreePath, side: &Side, put: &mut Put<'_>) -> Result<()> {
    let changed = || {
        Error::new(ErrorKind::Conflict, "read", shown(&root.display(path)), "it changed while it was compared")
            .with_hint("run it again")
    };
    let (parent, name) = path.parent().zip(path.name()).ok_or_else(changed)?;
    let Outcome::Read(folder) = Folder::open(root, &parent)? else { return Err(changed()) };
    let mut hasher = blake3::Hasher::new();
    let mut left = side.size;
    let mut take = |piece: &[u8]| {
        left = left.checked_sub(piece.len() as u64).ok_or_else(changed)?;
        hasher.update(piece);
        put(piece)
    };
    if side.kind == EntryKind::Symlink {
        let Outcome::Read(target) = read_symlink(&folder, name)? else { return Err(changed()) };
        take(&target)?;
    } else {
        match read_file(&folder, name, CHUNK_LENGTH_MAX_BYTES, Beside::Nothing)? {
            Outcome::Read(OpenedFile::Whole(file)) => take(&file.bytes)?,
            Outcome::Read(OpenedFile::Large(mut file)) => {
                let mut piece = Vec::with_capacity(CHUNK_LENGTH_MAX_BYTES);
                loop {
                    piece.clear();
                    match file.read_piece(&mut piece, CHUNK_LENGTH_MAX_BYTES)? {
                        Outcome::Read(0) => break,
                        Outcome::Read(_) => take(&piece)?,
                        Outcome::Omitted(_) => return Err(changed()),
                    }
                }
            }
            Outcome::Omitted(_) => return Err(changed()),
        }
    }
    if Digest(*hasher.finalize().as_bytes()) == side.id { Ok(()) } else { Err(changed()) }
}
