//! Trees of git mapped to trees of the store.
//!
//! Each git tree is mapped once; one that an earlier commit had costs a look-up. New folders are listed first, each
//! after the folders in it. Then their contents are read and stored, then their trees. Trees that an export kept are
//! imported by [`exact`](super::exact) instead.
//!
//! A repository may be hostile, damaged or incomplete. Entries are skipped if they cannot be read, and if their name is
//! invalid, is repeated, or could be taken for `.git` by a file system: an import may be restored. Each is listed, as
//! omitted or, if its path cannot be a path of a snapshot, as refused. Sizes and numbers are bounded; a tree beyond the
//! bounds stops its commit.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use gix::ObjectId;
use gix::bstr::ByteSlice;
use gix::objs::tree::EntryKind as GitEntryKind;
use rayon::prelude::*;

use super::kept::Kept;
use super::{CommitResult, Stop, inner_first, names};
use crate::error::{Error, ErrorKind, Result};
use crate::format::pack::ObjectKind;
use crate::format::snapshot::Reason;
use crate::format::tree::{self, Entry, EntryKind};
use crate::id::{BlobId, TreeId};
use crate::limits::{CHUNK_LENGTH_MAX_BYTES, FOLDER_DEPTH_MAX};
use crate::ops::record::ingest::{self, Short};
use crate::path::check_name;
use crate::progress::{Event, Progress};
use crate::store::{Batch, NewObject, Store};

/// Largest blob taken from git, in bytes: git's objects are read whole. Larger ones are omitted.
const BLOB_LENGTH_MAX_BYTES: u64 = 2 << 30;

/// Longest target of a symlink, in bytes: the longest that Linux makes.
const TARGET_LENGTH_MAX_BYTES: u64 = 4_095;

/// Most paths below one tree. A few small trees can hold each other a thousand million times. Their paths are listed
/// when snapshots are compared, and must fit in memory.
pub(super) const PATHS_MAX: u64 = 4 << 20;

/// Maps git's trees into batches.
pub(crate) struct Loader<'a> {
    pub(super) store: &'a Store,
    pub(super) repository: &'a gix::Repository,
    shared: gix::ThreadSafeRepository,
    pub(crate) kept: Kept<'a>,
    /// The batch of the commit that is imported.
    pub(crate) batch: Batch<'a>,
    /// Trees in the batch. They cannot be read from the store before the batch is recorded.
    pub(crate) new_trees: HashMap<TreeId, Vec<u8>>,
    /// The result for each git tree, or the reason why there is none.
    trees: HashMap<ObjectId, std::result::Result<Loaded, Reason>>,
    /// Content and length of each blob, or the reason why there is none.
    pub(super) blobs: HashMap<ObjectId, std::result::Result<(BlobId, u64), Reason>>,
    /// Kept trees that were imported exactly.
    pub(super) taken: HashSet<TreeId>,
    progress: &'a dyn Progress,
}

/// A git tree that was mapped.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) id: TreeId,
    size: u64,
    /// Paths below it: files, symlinks and empty folders.
    paths: u64,
    /// Levels of folders, with itself.
    height: usize,
    /// Entries below it that were not taken.
    pub(crate) skipped: Arc<[Skipped]>,
}

/// An entry of a git tree that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Skipped {
    /// Its path, as git has it: names joined with slashes.
    pub(crate) path: Vec<u8>,
    pub(crate) why: Why,
}

/// The reason why an entry was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    /// The snapshot lists it as omitted.
    Omitted(Reason),
    /// No snapshot can have it, not even as omitted.
    Refused(&'static str),
}

/// A folder to map.
struct Planned {
    id: ObjectId,
    found: GitFolder,
    /// The folder in the snapshot before, and its entries: new versions are stored against these.
    previous: Option<TreeId>,
    before: Vec<Entry>,
}

/// The entries of a git tree, checked.
#[derive(Default)]
pub(super) struct GitFolder {
    /// Valid entries, in the store's order.
    pub(super) entries: Vec<GitEntry>,
    skipped: Vec<Skipped>,
}

pub(super) struct GitEntry {
    pub(super) name: Box<[u8]>,
    pub(super) kind: GitEntryKind,
    pub(super) id: ObjectId,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(
        store: &'a Store,
        repository: &'a gix::Repository,
        kept: Kept<'a>,
        progress: &'a dyn Progress,
    ) -> Self {
        let shared = repository.clone().into_sync();
        let (trees, blobs, taken) = (HashMap::new(), HashMap::new(), HashSet::new());
        let (batch, new_trees) = (store.batch(), HashMap::new());
        Self { store, repository, shared, kept, batch, new_trees, trees, blobs, taken, progress }
    }

    /// Begins the batch of the next commit.
    pub(crate) fn begin(&mut self) {
        (self.batch, self.new_trees) = (self.store.batch(), HashMap::new());
    }

    /// Maps a git tree and everything below it. `previous` is the tree in its place in the snapshot before.
    pub(crate) fn plain(&mut self, root: ObjectId, previous: Option<TreeId>) -> CommitResult<Loaded> {
        let mut seen = HashSet::new();
        let plan = inner_first((root, previous), &mut |(id, previous), depth| {
            if self.is_loaded(id) || !seen.insert(id) {
                return Ok(None);
            }
            if depth > FOLDER_DEPTH_MAX {
                return Err(Stop::Commit(too_large_tree(root)));
            }
            let found = match self.git_folder(id) {
                Ok(found) => found,
                Err(reason) => {
                    self.trees.insert(id, Err(reason));
                    return Ok(None);
                }
            };
            let before = self.entries_before(previous);
            let folders = found.entries.iter().filter(|entry| entry.kind == GitEntryKind::Tree);
            let folders = folders.map(|entry| (entry.id, named(&before, &entry.name).and_then(Entry::tree))).collect();
            Ok(Some((Planned { id, found, previous, before }, folders)))
        })?;
        let blobs = plan.iter().flat_map(|folder| {
            let held = folder.found.entries.iter().filter(|entry| entry.is_blob());
            held.map(|entry| (entry.id, named(&folder.before, &entry.name).and_then(Entry::blob)))
        });
        self.add_blobs(blobs.collect())?;
        let mut objects = Vec::new();
        for folder in plan {
            let id = folder.id;
            let loaded = self.map(folder, &mut objects)?;
            self.trees.insert(id, Ok(loaded));
        }
        self.batch.add(objects)?;
        self.trees[&root].clone().map_err(|reason| Stop::Commit(unreadable("read git tree", root, reason)))
    }

    /// True if a git tree was mapped and its tree is still there, or if it cannot be mapped.
    fn is_loaded(&self, id: ObjectId) -> bool {
        let is_there = |loaded: &Loaded| self.batch.has(ObjectKind::Tree, &loaded.id.0);
        self.trees.get(&id).is_some_and(|loaded| loaded.as_ref().map_or(true, is_there))
    }

    /// Makes the tree of a folder. The folders in it are mapped already.
    fn map(&mut self, folder: Planned, objects: &mut Vec<NewObject>) -> CommitResult<Loaded> {
        let Planned { id: git, found: GitFolder { entries: git_entries, mut skipped }, previous, .. } = folder;
        let mut entries = Vec::with_capacity(git_entries.len());
        let mut height = 0;
        let mut paths: u64 = 0;
        for entry in git_entries {
            let (kind, mode) = match entry.kind {
                GitEntryKind::Tree => (EntryKind::Folder, 0o755),
                GitEntryKind::Link => (EntryKind::Symlink, 0),
                GitEntryKind::BlobExecutable => (EntryKind::File, 0o755),
                GitEntryKind::Blob | GitEntryKind::Commit => (EntryKind::File, 0o644),
            };
            let held = if entry.kind == GitEntryKind::Tree {
                self.trees[&entry.id].as_ref().map_err(|reason| *reason).map(|below| {
                    height = height.max(below.height);
                    paths += below.paths.max(1);
                    skipped.extend(below.skipped.iter().map(|skipped| skipped.below(&entry.name)));
                    (below.id.0, below.size)
                })
            } else {
                self.held(&entry).inspect(|_| paths += 1).map(|(id, size)| (id.0, size))
            };
            match held {
                Ok((id, size)) => entries.push(Entry { name: entry.name, kind, mode, size, id }),
                Err(reason) => skipped.push(Skipped { path: entry.name.into(), why: Why::Omitted(reason) }),
            }
            if paths + skipped.len() as u64 > PATHS_MAX || height >= FOLDER_DEPTH_MAX {
                return Err(Stop::Commit(too_large_tree(git)));
            }
        }
        let encoded = tree::encode(&entries);
        let (id, size) = (encoded.id(), encoded.size);
        for (list, bytes) in encoded.objects {
            // Only the list that names the folder has a counterpart that is known without a search.
            let previous = previous.filter(|_| list == id).map(|tree| tree.0);
            self.new_trees.insert(list, bytes.clone());
            objects.push(NewObject { kind: ObjectKind::Tree, id: list.0, bytes, previous });
        }
        Ok(Loaded { id, size, paths, height: height + 1, skipped: skipped.into() })
    }

    /// The content of a file or symlink, or the reason why there is none.
    fn held(&self, entry: &GitEntry) -> std::result::Result<(BlobId, u64), Reason> {
        if entry.kind == GitEntryKind::Commit {
            return Err(Reason::Special);
        }
        let (id, size) = self.blobs[&entry.id]?;
        if entry.kind == GitEntryKind::Link {
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

    /// The entries of a folder of the snapshot before. One that cannot be read counts as empty: the new version is only
    /// stored less well.
    pub(super) fn entries_before(&self, folder: Option<TreeId>) -> Vec<Entry> {
        folder.and_then(|id| self.store.folder(id).ok()).unwrap_or_default()
    }

    /// Reads a git tree. An object that is missing or not a tree gives the reason.
    pub(super) fn git_folder(&self, id: ObjectId) -> std::result::Result<GitFolder, Reason> {
        match self.repository.try_find_object(id) {
            Ok(Some(object)) if object.kind == gix::objs::Kind::Tree => parsed(&object.data, id.kind()),
            Ok(None) => Err(Reason::Vanished),
            Ok(Some(_)) | Err(_) => Err(Reason::ReadError),
        }
    }

    /// Reads blobs that were not read before, and adds their contents. Each comes with the content that it is probably
    /// most like.
    pub(super) fn add_blobs(&mut self, mut wanted: Vec<(ObjectId, Option<BlobId>)>) -> Result<()> {
        let mut seen = HashSet::new();
        wanted.retain(|(git, _)| !self.is_stored(*git) && seen.insert(*git));
        let shared = &self.shared;
        let lengths = wanted.par_iter().map_init(|| shared.to_thread_local(), |own, (git, _)| blob_length(own, *git));
        let lengths: Vec<_> = lengths.collect();
        let mut short = Vec::new();
        for ((git, previous), length) in wanted.into_iter().zip(lengths) {
            match length {
                Ok(length) if length > CHUNK_LENGTH_MAX_BYTES as u64 => self.add_long(git, previous)?,
                Ok(length) => short.push((git, previous, length)),
                Err(reason) => drop(self.blobs.insert(git, Err(reason))),
            }
        }
        for window in ingest::windows(&short, |(_, _, length)| *length) {
            let shared = &self.shared;
            let read = window.par_iter().map_init(|| shared.to_thread_local(), |own, (git, ..)| blob(own, *git));
            let read: Vec<Option<Vec<u8>>> = read.collect();
            let (mut found, mut contents) = (Vec::new(), Vec::new());
            for ((git, previous, _), bytes) in window.iter().zip(read) {
                let Some(bytes) = bytes else {
                    self.blobs.insert(*git, Err(Reason::ReadError));
                    continue;
                };
                found.push((*git, bytes.len() as u64));
                contents.push(Short { bytes, previous: *previous });
            }
            let (files, bytes) = (found.len() as u64, found.iter().map(|(_, length)| length).sum());
            let ids = ingest::short(&mut self.batch, contents)?;
            self.blobs.extend(found.into_iter().zip(ids).map(|((git, length), id)| (git, Ok((id, length)))));
            self.progress.event(Event::Advanced { files, bytes });
        }
        Ok(())
    }

    /// True if a blob was read and its content is still there, or if it cannot be read.
    fn is_stored(&self, git: ObjectId) -> bool {
        let kinds = [ObjectKind::Content, ObjectKind::ChunkList];
        let is_there = |(id, _): &(BlobId, u64)| kinds.into_iter().any(|kind| self.batch.has(kind, &id.0));
        self.blobs.get(&git).is_some_and(|held| held.as_ref().map_or(true, is_there))
    }

    fn add_long(&mut self, git: ObjectId, previous: Option<BlobId>) -> Result<()> {
        let Some(bytes) = blob(self.repository, git) else {
            self.blobs.insert(git, Err(Reason::ReadError));
            return Ok(());
        };
        let length = bytes.len() as u64;
        let chunks = previous.and_then(|previous| self.store.chunks(previous).ok().flatten());
        let (id, _) = ingest::long(&mut self.batch, length, chunks, previous, &mut ingest::pieces(&bytes))?;
        self.blobs.insert(git, Ok((id, length)));
        self.progress.event(Event::Advanced { files: 1, bytes: length });
        Ok(())
    }
}

/// The entry of this name, in a sorted list.
pub(super) fn named<'e>(entries: &'e [Entry], name: &[u8]) -> Option<&'e Entry> {
    entries.binary_search_by(|entry| (*entry.name).cmp(name)).ok().map(|at| &entries[at])
}

impl GitEntry {
    /// True if its object is a blob: neither a folder nor a submodule.
    pub(super) fn is_blob(&self) -> bool {
        !matches!(self.kind, GitEntryKind::Tree | GitEntryKind::Commit)
    }
}

impl Skipped {
    fn below(&self, name: &[u8]) -> Self {
        Self { path: [name, b"/", &self.path].concat(), why: self.why }
    }
}

/// The length of a blob, or the reason why it is not taken. No content is decoded.
fn blob_length(repository: &gix::Repository, id: ObjectId) -> std::result::Result<u64, Reason> {
    match repository.try_find_header(id) {
        Ok(Some(header)) if header.kind() != gix::objs::Kind::Blob => Err(Reason::ReadError),
        Ok(Some(header)) if header.size() > BLOB_LENGTH_MAX_BYTES => Err(Reason::TooLarge),
        Ok(Some(header)) => Ok(header.size()),
        Ok(None) => Err(Reason::Vanished),
        Err(_) => Err(Reason::ReadError),
    }
}

fn blob(repository: &gix::Repository, id: ObjectId) -> Option<Vec<u8>> {
    repository.find_object(id).ok().map(|object| object.detach().data)
}

/// Parses a git tree: `MODE NAME`, a NUL and an id, repeated. Entries in any order are accepted, and the first of a
/// repeated name counts. A tree that ends within an entry gives [`Reason::ReadError`].
fn parsed(mut bytes: &[u8], hash: gix::hash::Kind) -> std::result::Result<GitFolder, Reason> {
    let GitFolder { mut entries, mut skipped } = GitFolder::default();
    while !bytes.is_empty() {
        let (mode, rest) = bytes.split_once_str(" ").ok_or(Reason::ReadError)?;
        let (name, rest) = rest.split_once_str("\0").ok_or(Reason::ReadError)?;
        let (id, rest) = rest.split_at_checked(hash.len_in_bytes()).ok_or(Reason::ReadError)?;
        bytes = rest;
        let id = ObjectId::try_from(id).map_err(|_| Reason::ReadError)?;
        let why = match mode.to_str().ok().and_then(|mode| u32::from_str_radix(mode, 8).ok()).and_then(kind_of) {
            _ if check_name(name).is_err() => Why::Refused("a folder cannot have this name"),
            Some(kind) if !names::is_dot_git(name) => {
                entries.push(GitEntry { name: name.into(), kind, id });
                continue;
            }
            _ => Why::Omitted(Reason::Special),
        };
        skipped.push(Skipped { path: name.into(), why });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let is_taken = |path: &[u8]| entries.binary_search_by(|entry| (*entry.name).cmp(path)).is_ok();
    skipped.retain(|skipped| matches!(skipped.why, Why::Refused(_)) || !is_taken(&skipped.path));
    entries.dedup_by(|later, earlier| {
        let is_repeated = later.name == earlier.name;
        if is_repeated {
            let why = Why::Refused("the name is repeated; the first one counts");
            skipped.push(Skipped { path: later.name.to_vec(), why });
        }
        is_repeated
    });
    skipped.sort();
    skipped.dedup();
    Ok(GitFolder { entries, skipped })
}

/// The kind of an entry with this mode; none for a mode that git itself takes for a submodule or nothing.
fn kind_of(mode: u32) -> Option<GitEntryKind> {
    match mode & 0o170_000 {
        0o040_000 => Some(GitEntryKind::Tree),
        0o100_000 if mode & 0o100 != 0 => Some(GitEntryKind::BlobExecutable),
        0o100_000 => Some(GitEntryKind::Blob),
        0o120_000 => Some(GitEntryKind::Link),
        0o160_000 => Some(GitEntryKind::Commit),
        _ => None,
    }
}

/// The error for an object of git that cannot be taken.
pub(super) fn unreadable(operation: &str, git: ObjectId, reason: Reason) -> Error {
    match reason {
        Reason::TooLarge => {
            let detail = format!("it is longer than {BLOB_LENGTH_MAX_BYTES} bytes");
            Error::new(ErrorKind::Limit, operation, git, detail)
        }
        Reason::Vanished => Error::corrupt(operation, git, "it is not in the repository"),
        _ => Error::corrupt(operation, git, "it cannot be read"),
    }
}

pub(super) fn too_large_tree(tree: impl std::fmt::Display) -> Error {
    let detail = format!("it has more than {PATHS_MAX} paths, or more than {FOLDER_DEPTH_MAX} levels of folders");
    Error::new(ErrorKind::Limit, "import git tree", tree, detail)
}
