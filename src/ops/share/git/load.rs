//! Trees of git as trees of the store.
//!
//! Each git tree is mapped once, and one that the commit before had costs a look-up. As on the way out, new folders are
//! listed first, those below before those above, then their contents are read and stored, then their trees.
//!
//! Where an export kept the tree itself, [`exact`](super::exact) takes that instead.
//!
//! A repository is as hostile as whoever made it, and may be damaged or incomplete. Entries whose name is no name, is
//! repeated, or is one that a file system could take for `.git`, because what is imported may be restored, are left
//! out; so is what cannot be read. Each is listed: as omitted, or, where its path cannot be a path of a snapshot, as
//! refused. The size and number of things are bounded; a tree beyond the bounds stops its commit.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use gix::ObjectId;
use gix::bstr::ByteSlice;
use gix::objs::tree::EntryKind;
use rayon::prelude::*;

use super::kept::Kept;
use super::{Stop, failed, names};
use crate::error::{Error, ErrorKind, Result};
use crate::format::pack::ObjectKind;
use crate::format::snapshot::{Omission, Reason};
use crate::format::tree::{self, Entry, Kind};
use crate::id::{BlobId, TreeId};
use crate::limits::{CAPTURE_WINDOW_BYTES, CAPTURE_WINDOW_FILES, CHUNK_LENGTH_MAX_BYTES, FOLDER_DEPTH_MAX};
use crate::ops::record::ingest::{self, Short};
use crate::path::{TreePath, check_name};
use crate::progress::{Event, Progress};
use crate::store::{Batch, NewObject, Store};

/// Largest blob taken from git, in bytes: git's objects are read whole. Larger ones are omitted.
const BLOB_LENGTH_MAX_BYTES: u64 = 2 << 30;

/// Longest target of a symlink, in bytes: the longest that Linux makes.
const TARGET_LENGTH_MAX_BYTES: u64 = 4_095;

/// Blobs looked up at once.
const READ_COUNT: usize = 128;

/// Most paths below one tree. A few small trees can hold each other a thousand million times; what they say is listed
/// when snapshots are compared, and must fit in memory.
const PATHS_MAX: u64 = 4 << 20;

/// Maps git's trees into batches.
pub(crate) struct Loader<'a> {
    pub(super) store: &'a Store,
    pub(super) repository: &'a gix::Repository,
    shared: gix::ThreadSafeRepository,
    pub(super) kept: Option<Kept<'a>>,
    /// What became of each git tree, or why nothing did.
    trees: HashMap<ObjectId, std::result::Result<Loaded, Reason>>,
    /// Content and length, or why there is none.
    pub(super) blobs: HashMap<ObjectId, std::result::Result<(BlobId, u64), Reason>>,
    /// Trees that were taken as they had been kept.
    pub(super) taken: HashSet<TreeId>,
    progress: &'a dyn Progress,
}

/// What one commit adds to the store.
pub(crate) struct Turn<'a, 'b> {
    pub(crate) batch: &'b mut Batch<'a>,
    /// Trees added in it, which cannot be read from the store before it is committed.
    pub(crate) fresh: HashMap<TreeId, Vec<u8>>,
}

/// What a git tree has become.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) id: TreeId,
    size: u64,
    /// Paths below it: files, symlinks and empty folders.
    pub(crate) paths: u64,
    /// Folders one in another, with itself.
    height: usize,
    /// Paths below it that were not taken.
    pub(crate) omitted: Arc<[Omission]>,
    /// Entries below it that no snapshot can have.
    pub(crate) refused: Arc<[Refused]>,
}

/// An entry of a git tree that no snapshot can have, not even as omitted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    /// Where, as git has it: names joined with slashes.
    pub path: Vec<u8>,
    /// Why.
    pub reason: &'static str,
}

/// A folder whose tree is to be made.
struct Planned {
    id: ObjectId,
    found: GitFolder,
    before: Before,
}

/// A folder as the snapshot before had it: what new versions are stored against.
#[derive(Default)]
pub(super) struct Before {
    tree: Option<TreeId>,
    entries: Vec<Entry>,
}

/// A git tree, sorted out.
#[derive(Default)]
pub(super) struct GitFolder {
    /// What can be taken, in the store's order.
    pub(super) entries: Vec<GitEntry>,
    /// Names that are left out, with the reason.
    omitted: Vec<(Box<[u8]>, Reason)>,
    refused: Vec<Refused>,
}

#[derive(Clone, Debug)]
pub(super) struct GitEntry {
    pub(super) name: Box<[u8]>,
    pub(super) kind: EntryKind,
    pub(super) id: ObjectId,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(store: &'a Store, repository: &'a gix::Repository, progress: &'a dyn Progress) -> Self {
        Self {
            store,
            repository,
            shared: repository.clone().into_sync(),
            kept: None,
            trees: HashMap::new(),
            blobs: HashMap::new(),
            taken: HashSet::new(),
            progress,
        }
    }

    /// Takes what an export kept into account from now on, if it can be read.
    pub(crate) fn open_kept(&mut self) -> Result<()> {
        self.kept = Kept::open(self.repository)?;
        Ok(())
    }

    /// What an export kept.
    pub(crate) fn kept(&self) -> Option<&Kept<'a>> {
        self.kept.as_ref()
    }

    /// Maps a git tree and everything below it. `previous` is the tree that the snapshot before had in its place.
    pub(crate) fn plain(
        &mut self,
        turn: &mut Turn<'_, '_>,
        root: ObjectId,
        previous: Option<TreeId>,
    ) -> std::result::Result<Loaded, Stop> {
        let plan = self.plan(turn, root, previous)?;
        let blobs = plan.iter().flat_map(|folder| {
            let is_held = |entry: &&GitEntry| !matches!(entry.kind, EntryKind::Tree | EntryKind::Commit);
            let held = folder.found.entries.iter().filter(is_held);
            held.map(|entry| (entry.id, folder.before.blob(&entry.name)))
        });
        self.add_blobs(turn, blobs.collect())?;
        let mut objects = Vec::new();
        for folder in plan {
            let loaded = self.map(turn, &folder, &mut objects)?;
            self.trees.insert(folder.id, Ok(loaded));
        }
        turn.batch.add(objects)?;
        match &self.trees[&root] {
            Ok(loaded) => Ok(loaded.clone()),
            Err(Reason::Vanished) => {
                Err(Stop::Commit(Error::corrupt("read git tree", root, "it is not in the repository")))
            }
            Err(_) => Err(Stop::Commit(Error::corrupt("read git tree", root, "it cannot be read"))),
        }
    }

    /// New folders at and below `root`, each after those below it. What cannot be read is none.
    fn plan(
        &mut self,
        turn: &Turn<'_, '_>,
        root: ObjectId,
        previous: Option<TreeId>,
    ) -> std::result::Result<Vec<Planned>, Stop> {
        let mut plan: Vec<Planned> = Vec::new();
        let mut planned: HashSet<ObjectId> = HashSet::new();
        let mut stack: Vec<(Planned, usize)> = Vec::new();
        let mut next = Some((root, previous));
        loop {
            if let Some((id, previous)) = next.take()
                && !self.is_loaded(turn, id)
                && !planned.contains(&id)
            {
                if stack.len() > FOLDER_DEPTH_MAX {
                    return Err(Stop::Commit(too_large_tree(root)));
                }
                match self.git_folder(id) {
                    Ok(found) => stack.push((Planned { id, found, before: Before::read(self.store, previous) }, 0)),
                    Err(reason) => drop(self.trees.insert(id, Err(reason))),
                }
            }
            let Some((folder, at)) = stack.last_mut() else { return Ok(plan) };
            match folder.found.entries.get(*at) {
                Some(entry) => {
                    *at += 1;
                    next = (entry.kind == EntryKind::Tree).then(|| (entry.id, folder.before.folder(&entry.name)));
                }
                None => {
                    let (folder, _) = stack.pop().expect("it was there a moment ago");
                    planned.insert(folder.id);
                    plan.push(folder);
                }
            }
        }
    }

    /// Whether a git tree was mapped, and what it became is still there, or cannot be.
    fn is_loaded(&self, turn: &Turn<'_, '_>, id: ObjectId) -> bool {
        let is_there = |tree: TreeId| turn.fresh.contains_key(&tree) || self.store.contains(ObjectKind::Tree, &tree.0);
        self.trees.get(&id).is_some_and(|loaded| loaded.as_ref().map_or(true, |loaded| is_there(loaded.id)))
    }

    /// Makes the tree of a folder; what is below it is there already.
    fn map(
        &self,
        turn: &mut Turn<'_, '_>,
        folder: &Planned,
        objects: &mut Vec<NewObject>,
    ) -> std::result::Result<Loaded, Stop> {
        let mut entries = Vec::with_capacity(folder.found.entries.len());
        let omission =
            |(name, reason): &(Box<[u8]>, Reason)| Omission { path: TreePath::root().join(name), reason: *reason };
        let mut omitted: Vec<Omission> = folder.found.omitted.iter().map(omission).collect();
        let mut refused = folder.found.refused.clone();
        let mut height = 0;
        let mut paths: u64 = 0;
        for entry in &folder.found.entries {
            let name = entry.name.clone();
            let held = if entry.kind == EntryKind::Tree {
                match &self.trees[&entry.id] {
                    Err(reason) => Err(*reason),
                    Ok(below) => {
                        height = height.max(below.height);
                        paths += below.paths.max(1);
                        let listed = omitted.len() + below.omitted.len() + refused.len() + below.refused.len();
                        if paths + listed as u64 > PATHS_MAX {
                            return Err(Stop::Commit(too_large_tree(folder.id)));
                        }
                        omitted.extend(below.omitted.iter().map(|omission| omission_below(&entry.name, omission)));
                        refused.extend(below.refused.iter().map(|refused| refused.below(&entry.name)));
                        Ok(Entry { name, kind: Kind::Folder, mode: 0o755, size: below.size, id: below.id.0 })
                    }
                }
            } else {
                let (kind, mode) = match entry.kind {
                    EntryKind::Link => (Kind::Symlink, 0),
                    EntryKind::BlobExecutable => (Kind::File, 0o755),
                    _ => (Kind::File, 0o644),
                };
                let held = self.held(entry);
                paths += u64::from(held.is_ok());
                held.map(|(id, size)| Entry { name, kind, mode, size, id: id.0 })
            };
            match held {
                Ok(entry) => entries.push(entry),
                Err(reason) => omitted.push(Omission { path: TreePath::root().join(&entry.name), reason }),
            }
        }
        if paths > PATHS_MAX || height >= FOLDER_DEPTH_MAX {
            return Err(Stop::Commit(too_large_tree(folder.id)));
        }
        let encoded = tree::encode(&entries);
        let (id, size) = (encoded.id(), encoded.size);
        for (list, bytes) in encoded.objects {
            // Only the list that names the folder has a counterpart that is known without a search.
            let previous = folder.before.tree.filter(|_| list == id).map(|tree| tree.0);
            turn.fresh.insert(list, bytes.clone());
            objects.push(NewObject { kind: ObjectKind::Tree, id: list.0, bytes, previous });
        }
        Ok(Loaded { id, size, paths, height: height + 1, omitted: omitted.into(), refused: refused.into() })
    }

    /// The content of a file or symlink, or why there is none.
    fn held(&self, entry: &GitEntry) -> std::result::Result<(BlobId, u64), Reason> {
        if entry.kind == EntryKind::Commit {
            return Err(Reason::Special);
        }
        let (id, size) = self.blobs[&entry.id]?;
        if entry.kind == EntryKind::Link {
            if size > TARGET_LENGTH_MAX_BYTES {
                return Err(Reason::TooLong);
            }
            let target = self.repository.find_object(entry.id).map_err(|_| Reason::ReadError)?;
            if target.data.is_empty() || target.data.contains(&0) {
                return Err(Reason::Special);
            }
        }
        Ok((id, size))
    }

    /// Reads a git tree; where it is not there or is none, the reason.
    pub(super) fn git_folder(&self, id: ObjectId) -> std::result::Result<GitFolder, Reason> {
        match self.repository.try_find_object(id) {
            Ok(Some(object)) if object.kind == gix::objs::Kind::Tree => sorted_out(&object.data, id.kind()),
            Ok(None) => Err(Reason::Vanished),
            Ok(Some(_)) | Err(_) => Err(Reason::ReadError),
        }
    }

    /// Reads blobs that were not read before, and adds their contents. Each comes with what it is probably most like.
    pub(super) fn add_blobs(&mut self, turn: &mut Turn<'_, '_>, wanted: Vec<(ObjectId, Option<BlobId>)>) -> Result<()> {
        let mut seen = HashSet::new();
        let is_new = |(git, _): &(ObjectId, _)| !self.is_stored(turn, *git) && seen.insert(*git);
        let wanted: Vec<(ObjectId, Option<BlobId>)> = wanted.into_iter().filter(is_new).collect();
        let mut window = Window::default();
        for part in wanted.chunks(READ_COUNT) {
            let shared = &self.shared;
            let read: Vec<Content> =
                part.par_iter().map_init(|| shared.to_thread_local(), |own, (git, _)| read(own, *git)).collect();
            for ((git, previous), content) in part.iter().zip(read) {
                match content {
                    Content::Short(bytes) => window.push(*git, Short { bytes, previous: *previous }),
                    Content::Long => self.add_long(turn, *git, *previous)?,
                    Content::None(reason) => drop(self.blobs.insert(*git, Err(reason))),
                }
            }
            if window.is_full() {
                self.flush(turn, &mut window)?;
            }
        }
        self.flush(turn, &mut window)
    }

    fn is_stored(&self, turn: &Turn<'_, '_>, git: ObjectId) -> bool {
        let is_there = |id: &BlobId| {
            [ObjectKind::Content, ObjectKind::ChunkList].into_iter().any(|kind| turn.batch.has(kind, &id.0))
        };
        self.blobs.get(&git).is_some_and(|held| held.as_ref().map_or(true, |(id, _)| is_there(id)))
    }

    fn flush(&mut self, turn: &mut Turn<'_, '_>, window: &mut Window) -> Result<()> {
        let Window { git, contents, bytes } = std::mem::take(window);
        let lengths: Vec<u64> = contents.iter().map(|content| content.bytes.len() as u64).collect();
        let files = contents.len() as u64;
        let ids = ingest::short(turn.batch, contents)?;
        for ((git, id), length) in git.into_iter().zip(ids).zip(lengths) {
            self.blobs.insert(git, Ok((id, length)));
        }
        self.progress.event(Event::Done { files, bytes });
        Ok(())
    }

    fn add_long(&mut self, turn: &mut Turn<'_, '_>, git: ObjectId, previous: Option<BlobId>) -> Result<()> {
        let Ok(object) = self.repository.find_object(git) else {
            self.blobs.insert(git, Err(Reason::ReadError));
            return Ok(());
        };
        let chunks = previous.and_then(|previous| self.store.chunks(previous).ok().flatten());
        let mut rest = &object.data[..];
        let length = rest.len() as u64;
        let (id, length) = ingest::long(turn.batch, length, chunks, previous, &mut |buffer, most| {
            let (piece, after) = rest.split_at(most.min(rest.len()));
            buffer.extend_from_slice(piece);
            rest = after;
            Ok(piece.len())
        })?;
        self.blobs.insert(git, Ok((id, length)));
        self.progress.event(Event::Done { files: 1, bytes: length });
        Ok(())
    }

    pub(super) fn failed(&self, id: ObjectId, error: impl std::fmt::Display) -> Error {
        object_failed(self.repository.git_dir(), id, error)
    }
}

impl Before {
    /// What cannot be read is left out: it only would have made something smaller.
    pub(super) fn read(store: &Store, tree: Option<TreeId>) -> Self {
        let entries = tree.and_then(|id| store.folder(id).ok()).unwrap_or_default();
        Self { tree, entries }
    }

    fn find(&self, name: &[u8]) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|entry| (*entry.name).cmp(name)).ok()?;
        self.entries.get(at)
    }

    pub(super) fn blob(&self, name: &[u8]) -> Option<BlobId> {
        self.find(name)?.blob()
    }

    pub(super) fn folder(&self, name: &[u8]) -> Option<TreeId> {
        self.find(name)?.tree()
    }
}

/// Short contents on their way into a batch.
#[derive(Default)]
struct Window {
    git: Vec<ObjectId>,
    contents: Vec<Short>,
    bytes: u64,
}

impl Window {
    fn push(&mut self, git: ObjectId, content: Short) {
        self.bytes += content.bytes.len() as u64;
        self.git.push(git);
        self.contents.push(content);
    }

    fn is_full(&self) -> bool {
        self.bytes >= CAPTURE_WINDOW_BYTES || self.git.len() >= CAPTURE_WINDOW_FILES
    }
}

enum Content {
    Short(Vec<u8>),
    Long,
    None(Reason),
}

/// Reads a blob if it is short. Its length is asked for first, so that none is decoded only to be turned down.
fn read(repository: &gix::Repository, id: ObjectId) -> Content {
    let header = match repository.try_find_header(id) {
        Ok(Some(header)) if header.kind() == gix::objs::Kind::Blob => header,
        Ok(None) => return Content::None(Reason::Vanished),
        Ok(Some(_)) | Err(_) => return Content::None(Reason::ReadError),
    };
    match header.size() {
        length if length > BLOB_LENGTH_MAX_BYTES => Content::None(Reason::TooLarge),
        length if length > CHUNK_LENGTH_MAX_BYTES as u64 => Content::Long,
        _ => match repository.find_object(id) {
            Ok(object) => Content::Short(object.detach().data),
            Err(_) => Content::None(Reason::ReadError),
        },
    }
}

/// Reads the bytes of a git tree: `MODE NAME`, a NUL and an id, again and again. What is out of order is put in order,
/// and of a repeated name the first counts; bytes that end too early are no tree.
fn sorted_out(mut bytes: &[u8], hash: gix::hash::Kind) -> std::result::Result<GitFolder, Reason> {
    let mut found = GitFolder::default();
    while !bytes.is_empty() {
        let (mode, rest) = bytes.split_once_str(" ").ok_or(Reason::ReadError)?;
        let (name, rest) = rest.split_once_str("\0").ok_or(Reason::ReadError)?;
        let (id, rest) = rest.split_at_checked(hash.len_in_bytes()).ok_or(Reason::ReadError)?;
        bytes = rest;
        let id = ObjectId::try_from(id).map_err(|_| Reason::ReadError)?;
        let kind = mode.to_str().ok().and_then(|mode| u32::from_str_radix(mode, 8).ok()).and_then(kind_of);
        if check_name(name).is_err() {
            found.refused.push(Refused { path: name.to_vec(), reason: "a folder cannot have this name" });
        } else if names::is_dot_git(name) {
            found.omitted.push((name.into(), Reason::Special));
        } else if let Some(kind) = kind {
            found.entries.push(GitEntry { name: name.into(), kind, id });
        } else {
            found.omitted.push((name.into(), Reason::Special));
        }
    }
    found.entries.sort_by(|a, b| a.name.cmp(&b.name));
    let mut repeated = Vec::new();
    found.entries.dedup_by(|later, earlier| {
        let is_repeated = later.name == earlier.name;
        if is_repeated {
            repeated.push(Refused { path: later.name.to_vec(), reason: "the name is repeated; the first one counts" });
        }
        is_repeated
    });
    found.refused.extend(repeated);
    let GitFolder { entries, omitted, .. } = &mut found;
    omitted.retain(|(name, _)| entries.binary_search_by(|entry| entry.name.cmp(name)).is_err());
    omitted.sort();
    omitted.dedup_by(|later, earlier| later.0 == earlier.0);
    Ok(found)
}

/// What git makes of a mode; none for what it could make nothing of but a submodule.
fn kind_of(mode: u32) -> Option<EntryKind> {
    match mode & 0o170_000 {
        0o040_000 => Some(EntryKind::Tree),
        0o100_000 if mode & 0o100 != 0 => Some(EntryKind::BlobExecutable),
        0o100_000 => Some(EntryKind::Blob),
        0o120_000 => Some(EntryKind::Link),
        0o160_000 => Some(EntryKind::Commit),
        _ => None,
    }
}

impl Refused {
    fn below(&self, name: &[u8]) -> Self {
        Self { path: [name, b"/", &self.path].concat(), reason: self.reason }
    }
}

fn omission_below(name: &[u8], omission: &Omission) -> Omission {
    Omission { path: TreePath::root().join(name).join(omission.path.as_bytes()), reason: omission.reason }
}

fn object_failed(repository: &Path, id: ObjectId, error: impl std::fmt::Display) -> Error {
    failed(ErrorKind::Corrupt, "read git object in", repository, format!("{id}: {error}"))
}

pub(super) fn no_blob(git: ObjectId, reason: Reason) -> Error {
    match reason {
        Reason::TooLarge => too_large(git),
        Reason::Vanished => Error::corrupt("import git blob", git, "it is not in the repository"),
        _ => Error::corrupt("import git blob", git, "it cannot be read"),
    }
}

fn too_large(git: ObjectId) -> Error {
    let detail = format!("it is longer than {BLOB_LENGTH_MAX_BYTES} bytes");
    Error::new(ErrorKind::Limit, "import git blob", git, detail)
}

pub(super) fn too_large_tree(tree: impl std::fmt::Display) -> Error {
    let detail = format!("it has more than {PATHS_MAX} paths, or {FOLDER_DEPTH_MAX} folders one in another");
    Error::new(ErrorKind::Limit, "import git tree", tree, detail)
}
