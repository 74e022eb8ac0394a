//! Trees of the store as trees of git.
//!
//! A tree is mapped once, however many snapshots share it, so 300 snapshots of a large workspace cost what changed in
//! them. First the folders that are new are listed, those below before those above; then their contents are compressed,
//! on every core; then their trees are written in that order. Nothing here calls itself: a workspace may be deeper than
//! a thread's stack would allow.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use gix::ObjectId;
use gix::objs::Kind as GitKind;
use gix::objs::tree::{Entry as GitEntry, EntryKind};
use rayon::prelude::*;

use super::kept::{KeptWriter, Section, add_tree};
use super::pack::{PackWriter, Packed, packed};
use super::{DEPTH_MAX, names};
use crate::error::{Error, ErrorKind, Result};
use crate::format::chunk_list::total_length_bytes;
use crate::format::pack::ObjectKind;
use crate::format::tree::{Entry, Kind, Tree, decode};
use crate::id::{BlobId, TreeId};
use crate::limits::{
    CAPTURE_WINDOW_BYTES, CAPTURE_WINDOW_FILES, CHUNK_LENGTH_MAX_BYTES, FOLDER_DEPTH_MAX, PATH_LIST_LENGTH_MAX_BYTES,
    WALK_LENGTH_MAX_BYTES, WALK_STEP_BYTES,
};
use crate::path::TreePath;
use crate::progress::{Event, Progress};
use crate::store::Store;

/// A path that git cannot have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// Where.
    pub path: TreePath,
    /// Why.
    pub reason: &'static str,
}

impl LeftOut {
    fn length_bytes(&self) -> u64 {
        LEFT_OUT_LENGTH_BYTES + self.path.as_bytes().len() as u64
    }

    /// Seen from the folder above.
    fn below(&self, name: &[u8]) -> Self {
        Self { path: TreePath::root().join(name).join(self.path.as_bytes()), reason: self.reason }
    }
}

/// Maps trees and contents into a pack, each once.
pub(crate) struct Mapper<'a> {
    store: &'a Store,
    pub(crate) pack: PackWriter,
    /// What git cannot hold; none when it is not wanted.
    pub(crate) kept: Option<KeptWriter>,
    trees: HashMap<TreeId, Mapped>,
    blobs: HashMap<BlobId, ObjectId>,
    /// Trees that are kept with everything below them.
    whole: HashSet<TreeId>,
    /// What the lists of paths left out take, in all of `trees`.
    left_out_bytes: u64,
    progress: &'a dyn Progress,
}

/// What became of a tree.
#[derive(Clone, Debug)]
pub(crate) struct Mapped {
    /// Git's tree; none when nothing is left in it.
    pub(crate) tree: Option<ObjectId>,
    /// Whether mapping it back gives the same tree.
    is_exact: bool,
    /// Folders one in another, with itself.
    height: usize,
    /// Paths below it that git has not.
    pub(crate) left_out: Arc<[LeftOut]>,
}

/// A folder whose tree is to be written.
struct Planned {
    id: TreeId,
    entries: Vec<Entry>,
}

/// Most paths reported as left out, in bytes: each with its name in every folder above it, which are kept beside the
/// trees they are of.
const LEFT_OUT_MAX_BYTES: u64 = 128 << 20;

impl<'a> Mapper<'a> {
    pub(crate) fn new(store: &'a Store, pack: PackWriter, keeps: bool, progress: &'a dyn Progress) -> Self {
        let kept = keeps.then(KeptWriter::default);
        let (trees, blobs, whole) = (HashMap::new(), HashMap::new(), HashSet::new());
        Self { store, pack, kept, trees, blobs, whole, left_out_bytes: 0, progress }
    }

    /// Maps a tree and everything below it.
    pub(crate) fn tree(&mut self, root: TreeId) -> Result<Mapped> {
        let plan = self.plan(root)?;
        let held = plan.iter().flat_map(|folder| &folder.entries);
        let contents = held.filter(|entry| names::refused(&entry.name, entry.kind).is_none());
        let contents: Vec<_> = contents.filter_map(|entry| Some((entry.blob()?, entry.size))).collect();
        self.add_contents(contents)?;
        for folder in plan {
            let mapped = self.map(&folder)?;
            self.trees.insert(folder.id, mapped);
        }
        Ok(self.trees[&root].clone())
    }

    /// Keeps content that no commit has: what belongs to a snapshot, which is limited.
    pub(crate) fn keep_content(&mut self, id: BlobId) -> Result<()> {
        let length_bytes = match self.store.chunks(id)? {
            Some(chunks) => total_length_bytes(&chunks),
            None => CHUNK_LENGTH_MAX_BYTES as u64,
        };
        if length_bytes > PATH_LIST_LENGTH_MAX_BYTES as u64 {
            let detail = format!("no list of a snapshot is {length_bytes} bytes long");
            return Err(Error::new(ErrorKind::Limit, "export content", id, detail));
        }
        self.keep_contents(vec![(id, length_bytes)])
    }

    /// New folders at and below `root`, each after those below it.
    fn plan(&self, root: TreeId) -> Result<Vec<Planned>> {
        let mut plan: Vec<Planned> = Vec::new();
        let mut planned: HashSet<TreeId> = HashSet::new();
        let mut stack: Vec<(Planned, usize)> = Vec::new();
        let mut next = Some(root);
        let mut entry_count = 0;
        loop {
            if let Some(id) = next.take()
                && !self.trees.contains_key(&id)
                && !planned.contains(&id)
            {
                let entries = self.store.folder(id)?;
                entry_count += entries.len() as u64;
                if entry_count > WALK_LENGTH_MAX_BYTES / WALK_STEP_BYTES || stack.len() > FOLDER_DEPTH_MAX {
                    let detail = "its folders are too many, too long or too deep";
                    return Err(Error::new(ErrorKind::Limit, "export tree", root, detail));
                }
                // A folder cannot contain itself, so what is on the stack need not be looked for.
                stack.push((Planned { id, entries }, 0));
            }
            let Some((folder, at)) = stack.last_mut() else { return Ok(plan) };
            match folder.entries.get(*at) {
                Some(entry) => {
                    *at += 1;
                    let is_held = entry.kind == Kind::Folder && names::refused(&entry.name, entry.kind).is_none();
                    next = entry.tree().filter(|_| is_held);
                }
                None => {
                    let (folder, _) = stack.pop().expect("it was there a moment ago");
                    planned.insert(folder.id);
                    plan.push(folder);
                }
            }
        }
    }

    /// Writes the tree of a folder; what is below it is there already.
    fn map(&mut self, folder: &Planned) -> Result<Mapped> {
        let mut entries = Vec::with_capacity(folder.entries.len());
        let mut is_exact = true;
        let mut height = 0;
        let mut left_out = Vec::new();
        for entry in &folder.entries {
            if let Some(reason) = self.refused(entry)? {
                left_out.push(LeftOut { path: TreePath::root().join(&entry.name), reason });
                self.keep_all(entry)?;
                is_exact = false;
                continue;
            }
            let (kind, oid) = match entry.kind {
                Kind::File if entry.mode & 0o100 != 0 => {
                    (EntryKind::BlobExecutable, Some(self.blobs[&BlobId(entry.id)]))
                }
                Kind::File => (EntryKind::Blob, Some(self.blobs[&BlobId(entry.id)])),
                Kind::Symlink => (EntryKind::Link, Some(self.blobs[&BlobId(entry.id)])),
                Kind::Folder => {
                    let below = &self.trees[&TreeId(entry.id)];
                    is_exact &= below.is_exact;
                    height = height.max(below.height);
                    let length = |left_out: &LeftOut| left_out.length_bytes() + entry.name.len() as u64 + 1;
                    let more = below.left_out.iter().map(length).sum();
                    self.left_out_bytes = left_out_room(self.left_out_bytes, more, folder.id)?;
                    left_out.extend(below.left_out.iter().map(|left_out| left_out.below(&entry.name)));
                    (EntryKind::Tree, below.tree)
                }
            };
            is_exact &= oid.is_some() && entry.mode == mode_back(kind);
            entries.extend(oid.map(|oid| GitEntry { mode: kind.into(), filename: entry.name.to_vec().into(), oid }));
        }
        // A folder with nothing in it has no tree in git, so its list must be found without one.
        if !is_exact || entries.is_empty() {
            self.keep_lists(folder.id)?;
        }
        let tree = if entries.is_empty() { None } else { Some(add_tree(&mut self.pack, entries)?) };
        Ok(Mapped { tree, is_exact, height: height + 1, left_out: left_out.into() })
    }

    /// Why git cannot hold an entry, if it cannot.
    fn refused(&self, entry: &Entry) -> Result<Option<&'static str>> {
        if let Some(reason) = names::refused(&entry.name, entry.kind) {
            return Ok(Some(reason));
        }
        if entry.tree().is_some_and(|tree| self.trees[&tree].height >= DEPTH_MAX) {
            return Ok(Some("git refuses folders so deep"));
        }
        if entry.kind != Kind::File || !names::is_read_by_git(&entry.name) {
            return Ok(None);
        }
        if entry.size > names::READ_BY_GIT_MAX_BYTES {
            return Ok(Some("git would read this file, and it is too long"));
        }
        let content = self.store.read_blob(BlobId(entry.id), names::READ_BY_GIT_MAX_BYTES)?;
        Ok(names::content_refused(&entry.name, &content))
    }

    /// Keeps an entry that is left out, with everything below it.
    fn keep_all(&mut self, entry: &Entry) -> Result<()> {
        if self.kept.is_none() {
            return Ok(());
        }
        let mut contents: Vec<(BlobId, u64)> = entry.blob().map(|id| (id, entry.size)).into_iter().collect();
        let mut todo: Vec<TreeId> = entry.tree().into_iter().collect();
        while let Some(id) = todo.pop() {
            if !self.whole.insert(id) {
                continue;
            }
            self.keep_lists(id)?;
            for entry in self.store.folder(id)? {
                contents.extend(entry.blob().map(|id| (id, entry.size)));
                todo.extend(entry.tree());
            }
        }
        self.keep_contents(contents)
    }

    fn keep_contents(&mut self, contents: Vec<(BlobId, u64)>) -> Result<()> {
        if self.kept.is_none() {
            return Ok(());
        }
        self.add_contents(contents.clone())?;
        let Some(kept) = &mut self.kept else { return Ok(()) };
        for (id, _) in contents {
            kept.keep(Section::Contents, id.to_string(), self.blobs[&id]);
        }
        Ok(())
    }

    /// Keeps the lists of a folder as they are stored.
    fn keep_lists(&mut self, folder: TreeId) -> Result<()> {
        let Some(kept) = &mut self.kept else { return Ok(()) };
        let mut todo = vec![folder];
        while let Some(id) = todo.pop() {
            let name = id.to_string();
            if kept.has(Section::Trees, &name) {
                continue;
            }
            let bytes = self.store.object(ObjectKind::Tree, &id.0)?;
            kept.keep(Section::Trees, name, self.pack.add(GitKind::Blob, &bytes)?);
            if let Tree::Node { children, .. } = decode(&bytes).map_err(|e| e.during("read tree", id))? {
                todo.extend(children.iter().map(|child| child.id));
            }
        }
        Ok(())
    }

    /// Adds contents to the pack: short ones a window at a time on every core, long ones piece by piece.
    fn add_contents(&mut self, contents: Vec<(BlobId, u64)>) -> Result<()> {
        let mut window: Vec<BlobId> = Vec::new();
        let mut window_bytes = 0;
        let mut seen = HashSet::new();
        for (id, size) in contents {
            if self.blobs.contains_key(&id) || !seen.insert(id) {
                continue;
            }
            // What the folder says of the length is not relied on: only the list of chunks tells long from short.
            if size > CHUNK_LENGTH_MAX_BYTES as u64
                && let Some(chunks) = self.store.chunks(id)?
            {
                self.add_long(id, total_length_bytes(&chunks))?;
                continue;
            }
            window.push(id);
            // What the folder says of the length is not relied on here either.
            window_bytes = size.saturating_add(window_bytes);
            if window_bytes > CAPTURE_WINDOW_BYTES || window.len() == CAPTURE_WINDOW_FILES {
                self.add_window(&std::mem::take(&mut window))?;
                window_bytes = 0;
            }
        }
        self.add_window(&window)
    }

    fn add_window(&mut self, window: &[BlobId]) -> Result<()> {
        let store = self.store;
        let compress = |id: &BlobId| -> Result<(Packed, u64)> {
            let content = store.read_blob(*id, CHUNK_LENGTH_MAX_BYTES as u64)?;
            Ok((packed(GitKind::Blob, &content)?, content.len() as u64))
        };
        let done: Vec<Result<(Packed, u64)>> = window.par_iter().map(compress).collect();
        let mut bytes = 0;
        for (id, done) in window.iter().zip(done) {
            let (object, length) = done?;
            bytes += length;
            let oid = self.pack.add_packed(object)?;
            self.blobs.insert(*id, oid);
        }
        self.progress.event(Event::Done { files: window.len() as u64, bytes });
        Ok(())
    }

    fn add_long(&mut self, id: BlobId, length_bytes: u64) -> Result<()> {
        let store = self.store;
        let oid = self.pack.add_stream(length_bytes, &mut |take| store.copy_blob(id, take).map(drop))?;
        self.blobs.insert(id, oid);
        self.progress.event(Event::Done { files: 1, bytes: length_bytes });
        Ok(())
    }
}

/// What a path left out takes apart from its name, in bytes.
const LEFT_OUT_LENGTH_BYTES: u64 = 64;

/// What the lists take when this much more is in them.
fn left_out_room(taken_bytes: u64, more_bytes: u64, folder: TreeId) -> Result<u64> {
    let total = taken_bytes.saturating_add(more_bytes);
    if total <= LEFT_OUT_MAX_BYTES {
        return Ok(total);
    }
    let detail = "more paths in it cannot be in a git repository than can be listed";
    Err(Error::new(ErrorKind::Limit, "export tree", folder, detail))
}

/// The mode that an import gives an entry.
fn mode_back(kind: EntryKind) -> u16 {
    match kind {
        EntryKind::Tree | EntryKind::BlobExecutable => 0o755,
        EntryKind::Blob => 0o644,
        EntryKind::Link | EntryKind::Commit => 0,
    }
}
