//! Trees of git as trees of the store.
//!
//! Each git tree is mapped once, and one that the commit before had costs a look-up. As on the way out, new folders are
//! listed first, those below before those above, then their contents are read and stored, then their trees.
//!
//! Where an export kept the tree itself, [`exact`](super::exact) takes that instead.
//!
//! A repository is as hostile as whoever made it. Names must be names, and none that a file system could take for
//! `.git`, because what is imported may be restored; the size and number of things are bounded.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use gix::ObjectId;
use gix::objs::tree::EntryKind;
use rayon::prelude::*;

use super::kept::Kept;
use super::{failed, names};
use crate::error::{Error, ErrorKind, Result};
use crate::format::pack::ObjectKind;
use crate::format::snapshot::{Omission, Reason};
use crate::format::tree::{self, Entry, Kind};
use crate::id::{BlobId, TreeId};
use crate::limits::{CAPTURE_WINDOW_BYTES, CAPTURE_WINDOW_FILES, CHUNK_LENGTH_MAX_BYTES, FOLDER_DEPTH_MAX};
use crate::ops::ingest::{self, Short};
use crate::path::{TreePath, check_name, escaped};
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
    trees: HashMap<ObjectId, Loaded>,
    /// Content and length; none where the blob is too large.
    pub(super) blobs: HashMap<ObjectId, Option<(BlobId, u64)>>,
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
}

/// A folder whose tree is to be made.
struct Planned {
    id: ObjectId,
    entries: Vec<GitEntry>,
    before: Before,
}

/// A folder as the snapshot before had it: what new versions are stored against.
#[derive(Default)]
pub(super) struct Before {
    tree: Option<TreeId>,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
pub(super) struct GitEntry {
    pub(super) name: Box<[u8]>,
    pub(super) kind: EntryKind,
    pub(super) id: ObjectId,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(store: &'a Store, repository: &'a gix::Repository, progress: &'a dyn Progress) -> Result<Self> {
        Ok(Self {
            store,
            repository,
            shared: repository.clone().into_sync(),
            kept: Kept::open(repository)?,
            trees: HashMap::new(),
            blobs: HashMap::new(),
            taken: HashSet::new(),
            progress,
        })
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
    ) -> Result<Loaded> {
        let plan = self.plan(turn, root, previous)?;
        let blobs = plan.iter().flat_map(|folder| {
            let held = folder.entries.iter().filter(|entry| !matches!(entry.kind, EntryKind::Tree | EntryKind::Commit));
            held.map(|entry| (entry.id, folder.before.blob(&entry.name)))
        });
        self.add_blobs(turn, blobs.collect())?;
        let mut objects = Vec::new();
        for folder in plan {
            let loaded = self.map(turn, &folder, &mut objects)?;
            self.trees.insert(folder.id, loaded);
        }
        turn.batch.add(objects)?;
        Ok(self.trees[&root].clone())
    }

    /// New folders at and below `root`, each after those below it.
    fn plan(&self, turn: &Turn<'_, '_>, root: ObjectId, previous: Option<TreeId>) -> Result<Vec<Planned>> {
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
                    return Err(too_large_tree(root));
                }
                let entries = self.git_folder(id)?;
                stack.push((Planned { id, entries, before: Before::read(self.store, previous) }, 0));
            }
            let Some((folder, at)) = stack.last_mut() else { return Ok(plan) };
            match folder.entries.get(*at) {
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

    /// Whether a git tree was mapped, and what it became is still there.
    fn is_loaded(&self, turn: &Turn<'_, '_>, id: ObjectId) -> bool {
        let is_there = |tree: TreeId| turn.fresh.contains_key(&tree) || self.store.contains(ObjectKind::Tree, &tree.0);
        self.trees.get(&id).is_some_and(|loaded| is_there(loaded.id))
    }

    /// Makes the tree of a folder; what is below it is there already.
    fn map(&self, turn: &mut Turn<'_, '_>, folder: &Planned, objects: &mut Vec<NewObject>) -> Result<Loaded> {
        let mut entries = Vec::with_capacity(folder.entries.len());
        let mut omitted: Vec<Omission> = Vec::new();
        let mut height = 0;
        let mut paths: u64 = 0;
        for entry in &folder.entries {
            let path = || TreePath::root().join(&entry.name);
            let name = entry.name.clone();
            if entry.kind == EntryKind::Tree {
                let below = &self.trees[&entry.id];
                height = height.max(below.height);
                paths += below.paths.max(1);
                if paths + (omitted.len() + below.omitted.len()) as u64 > PATHS_MAX {
                    return Err(too_large_tree(folder.id));
                }
                omitted.extend(below.omitted.iter().map(|omission| omission_below(&entry.name, omission)));
                entries.push(Entry { name, kind: Kind::Folder, mode: 0o755, size: below.size, id: below.id.0 });
                continue;
            }
            match self.held(entry)? {
                Ok((id, size)) => {
                    let (kind, mode) = match entry.kind {
                        EntryKind::Link => (Kind::Symlink, 0),
                        EntryKind::BlobExecutable => (Kind::File, 0o755),
                        _ => (Kind::File, 0o644),
                    };
                    paths += 1;
                    entries.push(Entry { name, kind, mode, size, id: id.0 });
                }
                Err(reason) => omitted.push(Omission { path: path(), reason }),
            }
        }
        if paths > PATHS_MAX || height >= FOLDER_DEPTH_MAX {
            return Err(too_large_tree(folder.id));
        }
        let encoded = tree::encode(&entries);
        let (id, size) = (encoded.id(), encoded.size);
        for (list, bytes) in encoded.objects {
            // Only the list that names the folder has a counterpart that is known without a search.
            let previous = folder.before.tree.filter(|_| list == id).map(|tree| tree.0);
            turn.fresh.insert(list, bytes.clone());
            objects.push(NewObject { kind: ObjectKind::Tree, id: list.0, bytes, previous });
        }
        Ok(Loaded { id, size, paths, height: height + 1, omitted: omitted.into() })
    }

    /// The content of a file or symlink, or why there is none.
    fn held(&self, entry: &GitEntry) -> Result<std::result::Result<(BlobId, u64), Reason>> {
        if entry.kind == EntryKind::Commit {
            return Ok(Err(Reason::Special));
        }
        let Some((id, size)) = self.blobs[&entry.id] else { return Ok(Err(Reason::TooLarge)) };
        if entry.kind == EntryKind::Link {
            if size > TARGET_LENGTH_MAX_BYTES {
                return Ok(Err(Reason::TooLong));
            }
            let target = self.repository.find_object(entry.id).map_err(|e| self.failed(entry.id, e))?;
            if target.data.is_empty() || target.data.contains(&0) {
                return Ok(Err(Reason::Special));
            }
        }
        Ok(Ok((id, size)))
    }

    /// Entries of a git tree, in the store's order.
    pub(super) fn git_folder(&self, id: ObjectId) -> Result<Vec<GitEntry>> {
        let tree = self.repository.find_tree(id).map_err(|e| self.failed(id, e))?;
        let mut entries = Vec::new();
        for entry in tree.iter() {
            let entry = entry.map_err(|e| self.failed(id, e))?;
            let name: &[u8] = entry.filename();
            let refuse = |kind, detail: &dyn std::fmt::Display| {
                Err(Error::new(kind, "import", format!("git tree {id}, entry {}", escaped(name)), detail))
            };
            if let Err(problem) = check_name(name) {
                return refuse(ErrorKind::Corrupt, &problem);
            }
            if names::is_dot_git(name) {
                return refuse(ErrorKind::Invalid, &"git itself refuses the name");
            }
            entries.push(GitEntry { name: name.into(), kind: entry.kind(), id: entry.object_id() });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        if entries.windows(2).any(|pair| pair[0].name == pair[1].name) {
            return Err(Error::corrupt("import", format!("git tree {id}"), "a name is repeated"));
        }
        Ok(entries)
    }

    /// Reads blobs that were not read before, and adds their contents. Each comes with what it is probably most like.
    pub(super) fn add_blobs(&mut self, turn: &mut Turn<'_, '_>, wanted: Vec<(ObjectId, Option<BlobId>)>) -> Result<()> {
        let mut seen = HashSet::new();
        let is_new = |(git, _): &(ObjectId, _)| !self.is_stored(turn, *git) && seen.insert(*git);
        let wanted: Vec<(ObjectId, Option<BlobId>)> = wanted.into_iter().filter(is_new).collect();
        let mut window = Window::default();
        for part in wanted.chunks(READ_COUNT) {
            let shared = &self.shared;
            let read: Vec<Result<Content>> =
                part.par_iter().map_init(|| shared.to_thread_local(), |own, (git, _)| read(own, *git)).collect();
            for ((git, previous), content) in part.iter().zip(read) {
                match content? {
                    Content::Short(bytes) => window.push(*git, Short { bytes, previous: *previous }),
                    Content::Long => self.add_long(turn, *git, *previous)?,
                    Content::TooLarge => drop(self.blobs.insert(*git, None)),
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
        self.blobs.get(&git).is_some_and(|held| held.as_ref().is_none_or(|(id, _)| is_there(id)))
    }

    fn flush(&mut self, turn: &mut Turn<'_, '_>, window: &mut Window) -> Result<()> {
        let Window { git, contents, bytes } = std::mem::take(window);
        let lengths: Vec<u64> = contents.iter().map(|content| content.bytes.len() as u64).collect();
        let files = contents.len() as u64;
        let ids = ingest::short(turn.batch, contents)?;
        for ((git, id), length) in git.into_iter().zip(ids).zip(lengths) {
            self.blobs.insert(git, Some((id, length)));
        }
        self.progress.event(Event::Done { files, bytes });
        Ok(())
    }

    fn add_long(&mut self, turn: &mut Turn<'_, '_>, git: ObjectId, previous: Option<BlobId>) -> Result<()> {
        let object = self.repository.find_object(git).map_err(|e| self.failed(git, e))?;
        let chunks = previous.and_then(|previous| self.store.chunks(previous).ok().flatten());
        let mut rest = &object.data[..];
        let length = rest.len() as u64;
        let (id, length) = ingest::long(turn.batch, length, chunks, previous, &mut |buffer, most| {
            let (piece, after) = rest.split_at(most.min(rest.len()));
            buffer.extend_from_slice(piece);
            rest = after;
            Ok(piece.len())
        })?;
        self.blobs.insert(git, Some((id, length)));
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
    TooLarge,
}

/// Reads a blob if it is short. Its length is asked for first, so that none is decoded only to be turned down.
fn read(repository: &gix::Repository, id: ObjectId) -> Result<Content> {
    let fail = |e: gix::Error| object_failed(repository.git_dir(), id, e);
    let header = repository.find_header(id).map_err(fail)?;
    if header.kind() != gix::objs::Kind::Blob {
        return Err(object_failed(repository.git_dir(), id, "it is no blob"));
    }
    match header.size() {
        length if length > BLOB_LENGTH_MAX_BYTES => Ok(Content::TooLarge),
        length if length > CHUNK_LENGTH_MAX_BYTES as u64 => Ok(Content::Long),
        _ => Ok(Content::Short(repository.find_object(id).map_err(fail)?.detach().data)),
    }
}

fn omission_below(name: &[u8], omission: &Omission) -> Omission {
    Omission { path: TreePath::root().join(name).join(omission.path.as_bytes()), reason: omission.reason }
}

fn object_failed(repository: &Path, id: ObjectId, error: impl std::fmt::Display) -> Error {
    failed(ErrorKind::Corrupt, "read git object in", repository, format!("{id}: {error}"))
}

pub(super) fn too_large(git: ObjectId) -> Error {
    let detail = format!("it is longer than {BLOB_LENGTH_MAX_BYTES} bytes");
    Error::new(ErrorKind::Limit, "import git blob", git, detail)
}

pub(super) fn too_large_tree(tree: impl std::fmt::Display) -> Error {
    let detail = format!("it has more than {PATHS_MAX} paths, or {FOLDER_DEPTH_MAX} folders one in another");
    Error::new(ErrorKind::Limit, "import git tree", tree, detail)
}
