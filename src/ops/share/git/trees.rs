//! Trees of the store mapped to trees of git.
//!
//! A tree is mapped once, however many snapshots share it, so the cost of an export follows the changes. First the new
//! folders are listed, each after the folders in it. Then their contents are compressed, on every core. Then their
//! trees are written in that order. Nothing here is recursive, because a workspace may be deeper than a thread's stack
//! allows.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::sync::Arc;

use gix::ObjectId;
use gix::objs::Kind as GitKind;
use gix::objs::Tree as GitTree;
use gix::objs::tree::{Entry as GitEntry, EntryKind as GitEntryKind};
use rayon::prelude::*;

use super::kept::{KeptWriter, Section, add_tree};
use super::pack::{PackWriter, Packed, packed};
use super::{DEPTH_MAX, inner_first, names};
use crate::error::{Error, ErrorKind, Result};
use crate::format::chunk_list::total_length_bytes;
use crate::format::pack::ObjectKind;
use crate::format::tree::{Entry, EntryKind, Tree, decode};
use crate::id::{BlobId, TreeId};
use crate::limits::{
    CHUNK_LENGTH_MAX_BYTES, FOLDER_DEPTH_MAX, PATH_LIST_LENGTH_MAX_BYTES, WALK_LENGTH_MAX_BYTES, WALK_STEP_BYTES,
};
use crate::ops::record::ingest;
use crate::path::TreePath;
use crate::progress::{Event, Progress};
use crate::store::Store;

/// A path that git cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SkippedPath {
    /// The path.
    pub path: TreePath,
    /// The reason.
    pub reason: &'static str,
}

/// Maps trees and contents into a pack, each once.
pub(crate) struct Mapper<'a> {
    store: &'a Store,
    pub(crate) pack: PackWriter,
    /// The collector of what git cannot hold; none if it is not wanted.
    pub(crate) kept: Option<KeptWriter>,
    trees: HashMap<TreeId, Mapped>,
    blobs: HashMap<BlobId, ObjectId>,
    /// Trees that are kept with everything below them.
    whole: HashSet<TreeId>,
    /// Bytes of the lists of skipped paths in all of `trees`.
    skipped_bytes: u64,
    progress: &'a dyn Progress,
}

/// A tree that was mapped.
#[derive(Clone, Debug)]
pub(crate) struct Mapped {
    /// Git's tree; none if nothing in it can be in git.
    pub(crate) tree: Option<ObjectId>,
    /// True if an import gives the same tree.
    is_exact: bool,
    /// Levels of folders, with itself.
    height: usize,
    /// Paths below it that git cannot hold.
    pub(crate) skipped: Arc<[SkippedPath]>,
}

/// Most skipped paths, in bytes. Each is listed with the trees of all its parent folders.
const SKIPPED_MAX_BYTES: u64 = 128 << 20;

/// Size of a skipped path apart from its name, in bytes.
const SKIPPED_LENGTH_BYTES: u64 = 64;

impl<'a> Mapper<'a> {
    pub(crate) fn new(store: &'a Store, pack: PackWriter, keeps: bool, progress: &'a dyn Progress) -> Self {
        let kept = keeps.then(KeptWriter::new);
        let (trees, blobs, whole) = (HashMap::new(), HashMap::new(), HashSet::new());
        Self { store, pack, kept, trees, blobs, whole, skipped_bytes: 0, progress }
    }

    /// Maps a tree and everything below it.
    pub(crate) fn tree(&mut self, root: TreeId) -> Result<Mapped> {
        let plan = self.plan(root)?;
        let contents = plan.iter().flat_map(|(_, entries)| entries);
        let contents = contents.filter(|entry| names::refused(&entry.name, entry.kind).is_none());
        self.add_contents(contents.filter_map(|entry| Some((entry.blob()?, entry.size))).collect())?;
        for (id, entries) in plan {
            let mapped = self.map(id, &entries)?;
            self.trees.insert(id, mapped);
        }
        Ok(self.trees[&root].clone())
    }

    /// Keeps bytes under a name.
    pub(crate) fn keep(&mut self, section: Section, name: impl Display, bytes: &[u8]) -> Result<()> {
        if let Some(kept) = &mut self.kept {
            kept.keep(section, name, self.pack.add(GitKind::Blob, bytes)?);
        }
        Ok(())
    }

    /// Keeps content that belongs to a snapshot and is in no commit. Its length is limited.
    pub(crate) fn keep_content(&mut self, id: BlobId) -> Result<()> {
        let length_bytes = match self.store.chunks(id)? {
            Some(chunks) => total_length_bytes(&chunks),
            None => CHUNK_LENGTH_MAX_BYTES as u64,
        };
        if length_bytes > PATH_LIST_LENGTH_MAX_BYTES as u64 {
            let detail = format!("it has {length_bytes} bytes, more than any list of a snapshot");
            return Err(Error::new(ErrorKind::Limit, "export content", id, detail));
        }
        self.keep_contents(vec![(id, length_bytes)])
    }

    /// New folders at and below `root`, each after the folders in it.
    fn plan(&self, root: TreeId) -> Result<Vec<(TreeId, Vec<Entry>)>> {
        let mut seen = HashSet::new();
        let mut entry_count = 0;
        inner_first(root, &mut |id, depth| {
            if self.trees.contains_key(&id) || !seen.insert(id) {
                return Ok(None);
            }
            let entries = self.store.folder(id)?;
            entry_count += entries.len() as u64;
            if entry_count > WALK_LENGTH_MAX_BYTES / WALK_STEP_BYTES || depth > FOLDER_DEPTH_MAX {
                let detail = "its folders are too many, too long or too deep";
                return Err(Error::new(ErrorKind::Limit, "export tree", root, detail));
            }
            let held = entries.iter().filter(|entry| names::refused(&entry.name, entry.kind).is_none());
            let folders = held.filter_map(Entry::tree).collect();
            Ok(Some(((id, entries), folders)))
        })
    }

    /// Writes the tree of a folder. The folders in it are written already.
    fn map(&mut self, folder: TreeId, stored: &[Entry]) -> Result<Mapped> {
        let mut entries = Vec::with_capacity(stored.len());
        let mut is_exact = true;
        let mut height = 0;
        let mut skipped = Vec::new();
        for entry in stored {
            let path = TreePath::root().join(&entry.name);
            if let Some(reason) = self.refused(entry)? {
                skipped.push(SkippedPath { path, reason });
                self.keep_all(entry)?;
                is_exact = false;
                continue;
            }
            let (kind, oid) = match entry.kind {
                EntryKind::File if entry.mode & 0o100 != 0 => (GitEntryKind::BlobExecutable, self.blob(entry)),
                EntryKind::File => (GitEntryKind::Blob, self.blob(entry)),
                EntryKind::Symlink => (GitEntryKind::Link, self.blob(entry)),
                EntryKind::Folder => {
                    let below = &self.trees[&TreeId(entry.id)];
                    is_exact &= below.is_exact;
                    height = height.max(below.height);
                    for SkippedPath { path: inner, reason } in below.skipped.iter() {
                        let path = path.join(inner.as_bytes());
                        self.skipped_bytes += SKIPPED_LENGTH_BYTES + path.as_bytes().len() as u64;
                        if self.skipped_bytes > SKIPPED_MAX_BYTES {
                            let detail = "git cannot hold so many of its paths that their list is too long";
                            return Err(Error::new(ErrorKind::Limit, "export tree", folder, detail));
                        }
                        skipped.push(SkippedPath { path, reason });
                    }
                    (GitEntryKind::Tree, below.tree)
                }
            };
            is_exact &= oid.is_some() && entry.mode == imported_mode(kind);
            entries.extend(oid.map(|oid| GitEntry { mode: kind.into(), filename: entry.name.to_vec().into(), oid }));
        }
        // An empty folder has no tree in git, so an import finds its list by its id alone.
        if !is_exact || entries.is_empty() {
            self.keep_lists(folder)?;
        }
        entries.sort();
        let is_empty = entries.is_empty();
        let tree = if is_empty { None } else { Some(add_tree(&mut self.pack, &GitTree { entries })?) };
        Ok(Mapped { tree, is_exact, height: height + 1, skipped: skipped.into() })
    }

    fn blob(&self, entry: &Entry) -> Option<ObjectId> {
        self.blobs.get(&BlobId(entry.id)).copied()
    }

    /// The reason why git cannot hold an entry, if there is one.
    fn refused(&self, entry: &Entry) -> Result<Option<&'static str>> {
        if let Some(reason) = names::refused(&entry.name, entry.kind) {
            return Ok(Some(reason));
        }
        if entry.tree().is_some_and(|tree| self.trees[&tree].height >= DEPTH_MAX) {
            return Ok(Some("git refuses folders so deep"));
        }
        if entry.kind != EntryKind::File || !names::is_read_by_git(&entry.name) {
            return Ok(None);
        }
        if entry.size > names::READ_BY_GIT_MAX_BYTES {
            return Ok(Some("git would read this file, and it is too long"));
        }
        let content = self.store.read_blob(BlobId(entry.id), names::READ_BY_GIT_MAX_BYTES)?;
        Ok(names::content_refused(&entry.name, &content))
    }

    /// Keeps a skipped entry, with everything below it.
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
        self.add_contents(contents.clone())?;
        let Some(kept) = &mut self.kept else { return Ok(()) };
        contents.iter().for_each(|(id, _)| kept.keep(Section::CONTENTS, id, self.blobs[id]));
        Ok(())
    }

    /// Keeps the lists of a folder as they are stored.
    fn keep_lists(&mut self, folder: TreeId) -> Result<()> {
        let mut todo = vec![folder];
        while let Some(id) = todo.pop() {
            if self.kept.as_ref().is_none_or(|kept| kept.has(Section::TREES, id)) {
                continue;
            }
            let bytes = self.store.object(ObjectKind::Tree, &id.0)?;
            self.keep(Section::TREES, id, &bytes)?;
            if let Tree::Node { children, .. } = decode(&bytes).map_err(|e| e.during("read tree", id))? {
                todo.extend(children.iter().map(|child| child.id));
            }
        }
        Ok(())
    }

    /// Adds contents to the pack: short ones a window at a time on every core, long ones piece by piece. The lengths
    /// are estimates by folders, which may be wrong: only a list of chunks proves that content is long.
    fn add_contents(&mut self, contents: Vec<(BlobId, u64)>) -> Result<()> {
        let store = self.store;
        let mut seen = HashSet::new();
        let mut short = Vec::new();
        for (id, size) in contents {
            if self.blobs.contains_key(&id) || !seen.insert(id) {
                continue;
            }
            let chunks = if size > CHUNK_LENGTH_MAX_BYTES as u64 { store.chunks(id)? } else { None };
            let Some(chunks) = chunks else {
                short.push((id, size));
                continue;
            };
            let bytes = total_length_bytes(&chunks);
            let oid = self.pack.add_stream(bytes, &mut |take| store.copy_blob(id, take).map(drop))?;
            self.blobs.insert(id, oid);
            self.progress.event(Event::Advanced { files: 1, bytes });
        }
        for window in ingest::windows(&short, |(_, size)| *size) {
            let compress = |(id, _): &(BlobId, u64)| -> Result<(Packed, u64)> {
                let content = store.read_blob(*id, CHUNK_LENGTH_MAX_BYTES as u64)?;
                Ok((packed(GitKind::Blob, &content)?, content.len() as u64))
            };
            let done: Vec<Result<(Packed, u64)>> = window.par_iter().map(compress).collect();
            let mut bytes = 0;
            for ((id, _), done) in window.iter().zip(done) {
                let (object, length) = done?;
                bytes += length;
                self.blobs.insert(*id, self.pack.add_packed(object)?);
            }
            self.progress.event(Event::Advanced { files: window.len() as u64, bytes });
        }
        Ok(())
    }
}

/// The mode that an import gives an entry.
fn imported_mode(kind: GitEntryKind) -> u16 {
    match kind {
        GitEntryKind::Tree | GitEntryKind::BlobExecutable => 0o755,
        GitEntryKind::Blob => 0o644,
        GitEntryKind::Link | GitEntryKind::Commit => 0,
    }
}
