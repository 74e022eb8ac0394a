//! Differences between two snapshots, or a snapshot and the live folder, with the contents to show them.

use std::collections::BTreeMap;

use super::attributed::{Attributed, AttributedTree, add_changes};
use crate::diff::patch::{self, Content, PatchOptions, Put};
use crate::diff::rename::{self, RenameOptions};
use crate::diff::selection::Selection;
use crate::diff::{Change, Side, TreeDiffOptions, tree::trees_with};
use crate::error::{Error, ErrorKind, Result};
use crate::format::snapshot::Snapshot;
use crate::format::tree::Kind;
use crate::id::{BlobId, Digest, SnapshotId, TreeId, WorkspaceId};
use crate::limits::{CHUNK_LENGTH_MAX_BYTES, PATCH_DELTA_MAX_BYTES, TEXT_DIFF_MAX_BYTES};
use crate::ops::record::capture::{CaptureOptions, Captured, capture};
use crate::ops::record::folder::open_root;
use crate::ops::record::register::expect;
use crate::path::TreePath;
use crate::store::Store;
use crate::workspace::beneath::Root;
use crate::workspace::read::{Beside, Folder, OpenedFile, Outcome, read_file, read_symlink};

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

/// Compares `old` with `new`, as far as the selection goes. Renames are looked for within it.
pub fn compare<'a>(
    store: &'a Store,
    old: &Other<'_>,
    new: &Other<'_>,
    selection: &Selection,
) -> Result<Comparison<'a>> {
    let (old, new) = (state_of(store, old)?, state_of(store, new)?);
    let captured = old.captured.as_ref().or(new.captured.as_ref());
    let load = |id| captured.map_or_else(|| store.tree(id), |captured| captured.load(store, id));
    let options = TreeDiffOptions { folders: false, paths: selection.limits() };
    let mut changes = trees_with(&load, old.root, new.root, &options)?;
    if let (Some(old), Some(new)) = (old.attributed_tree(), new.attributed_tree()) {
        add_changes(&mut changes, &load, &old, &new, &options.paths)?;
    }
    if selection.has_patterns() {
        changes.retain(|change| selection.concerns(change));
    }
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

    /// Writes a change as a patch that git can apply, see [`patch::render`]. Contents of any length are taken in,
    /// without holding long ones in memory.
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
        if side.kind == Kind::Folder {
            return Ok(None);
        }
        if side.size <= whole_max {
            return self.content(&side).map(|bytes| Some(Content::Whole(bytes)));
        }
        let copy = move |put: &mut Put<'_>| self.copy(&side, put);
        Ok(Some(Content::Long { length_bytes: side.size, copy: Box::new(copy) }))
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
        match self.live_place(side) {
            Some((root, path)) => read_live(root, path, side),
            None => self.store.read_blob(blob(side), side.size),
        }
    }

    fn copy(&self, side: &Side, put: &mut Put<'_>) -> Result<()> {
        match self.live_place(side) {
            Some((root, path)) => copy_live(root, path, side, put),
            None => self.store.copy_blob(blob(side), put).map(drop),
        }
    }

    /// Where in the live folder a content is that the store does not have.
    fn live_place(&self, side: &Side) -> Option<(&Root, &TreePath)> {
        let place = self.live.as_ref().zip(self.places.get(&side.id));
        place.filter(|_| !self.store.contains_blob(blob(side)))
    }
}

fn blob(side: &Side) -> BlobId {
    side.blob().expect("only folders have none")
}

/// One side; nothing is known of one without a root.
#[derive(Default)]
struct State {
    root: Option<TreeId>,
    root_mode: u16,
    attributed: Attributed,
    captured: Option<Captured>,
    live: Option<Root>,
}

impl State {
    fn attributed_tree(&self) -> Option<AttributedTree<'_>> {
        let State { root, root_mode, attributed, .. } = self;
        root.map(|root| AttributedTree { root, root_mode: *root_mode, attributed })
    }
}

fn state_of(store: &Store, other: &Other<'_>) -> Result<State> {
    match other {
        Other::Nothing => Ok(State::default()),
        Other::Snapshot(id) => {
            let snapshot = store.snapshot(*id)?;
            let attributed = Attributed::of(store, &snapshot)?;
            let Snapshot { root, root_mode, .. } = *snapshot;
            Ok(State { root: Some(root), root_mode, attributed, ..State::default() })
        }
        Other::Live(workspace, options) => {
            let state = store.state();
            let found = expect(&state, *workspace)?;
            let live = open_root(store, found, options.home)?;
            let captured = capture(store, found.id, &live, options, None)?;
            Ok(State {
                root: Some(captured.root),
                root_mode: captured.root_mode,
                attributed: captured.attributed(),
                captured: Some(captured),
                live: Some(live),
            })
        }
    }
}

/// Reads a file or symlink of the live folder, which must still be what the comparison has seen.
fn read_live(root: &Root, path: &TreePath, side: &Side) -> Result<Vec<u8>> {
    let most = usize::try_from(side.size).map_err(|_| changed(root, path))?;
    let (folder, name) = live_folder(root, path)?;
    let bytes = if side.kind == Kind::Symlink {
        match read_symlink(&folder, name)? {
            Outcome::Read(target) => target,
            Outcome::Omitted(_) => return Err(changed(root, path)),
        }
    } else {
        match read_file(&folder, name, most, Beside::Nothing)? {
            Outcome::Read(OpenedFile::Whole(file)) => file.bytes,
            Outcome::Read(OpenedFile::Large(_)) | Outcome::Omitted(_) => return Err(changed(root, path)),
        }
    };
    if Digest::of(&bytes) == side.id { Ok(bytes) } else { Err(changed(root, path)) }
}

/// As [`read_live`], of a long file, in pieces. That it has changed shows at the end.
fn copy_live(root: &Root, path: &TreePath, side: &Side, put: &mut Put<'_>) -> Result<()> {
    let (folder, name) = live_folder(root, path)?;
    let Outcome::Read(OpenedFile::Large(mut file)) = read_file(&folder, name, 0, Beside::Nothing)? else {
        return Err(changed(root, path));
    };
    let mut hasher = blake3::Hasher::new();
    let mut piece = Vec::with_capacity(CHUNK_LENGTH_MAX_BYTES);
    loop {
        piece.clear();
        match file.read_piece(&mut piece, CHUNK_LENGTH_MAX_BYTES)? {
            Outcome::Read(0) => break,
            Outcome::Read(_) => {
                hasher.update(&piece);
                put(&piece)?;
            }
            Outcome::Omitted(_) => return Err(changed(root, path)),
        }
    }
    if Digest(*hasher.finalize().as_bytes()) == side.id { Ok(()) } else { Err(changed(root, path)) }
}

fn live_folder<'r, 'p>(root: &'r Root, path: &'p TreePath) -> Result<(Folder<'r>, &'p [u8])> {
    let (Some(parent), Some(name)) = (path.parent(), path.name()) else { return Err(changed(root, path)) };
    match Folder::open(root, &parent)? {
        Outcome::Read(folder) => Ok((folder, name)),
        Outcome::Omitted(_) => Err(changed(root, path)),
    }
}

fn changed(root: &Root, path: &TreePath) -> Error {
    let shown = crate::error::shown(&root.display(path));
    Error::new(ErrorKind::Conflict, "read", shown, "it changed while it was compared").with_hint("run it again")
}
