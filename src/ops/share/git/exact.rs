//! Trees that an export kept, imported exactly as they were.
//!
//! The lists of a kept tree are read from the kept part of the repository, each checked by its id. Folders that git
//! holds exactly were not kept: they are mapped like any other folder, and the result must have the id that the list
//! above has for it. Contents come from git's tree at the same path or, if git has none there, from the kept part, and
//! must have the ids in the lists. So a repository that claims anything else is refused.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};

use gix::ObjectId;
use gix::objs::tree::EntryKind;

use super::kept::Section;
use super::load::{GitEntry, Loader, PATHS_MAX, named, too_large_tree, unreadable};
use super::{CommitResult, Stop};
use crate::error::{Error, Result};
use crate::format::pack::ObjectKind;
use crate::format::tree::{Entry, decode, tree_id};
use crate::id::{BlobId, Digest, TreeId};
use crate::limits::FOLDER_DEPTH_MAX;
use crate::store::{FolderCursor, NewObject};

/// The parts of a kept tree.
#[derive(Default)]
struct Found {
    lists: BTreeMap<TreeId, NewObject>,
    /// Git trees that hold a folder exactly, each with the folder's id and its tree in the snapshot before.
    plain: Vec<(ObjectId, TreeId, Option<TreeId>)>,
    blobs: Vec<Wanted>,
}

/// A blob of git, and the content that it must be.
struct Wanted {
    git: ObjectId,
    blob: BlobId,
    size: u64,
    previous: Option<BlobId>,
}

impl Loader<'_> {
    /// Imports the tree `root` as it was kept. `git_root` is git's tree of the same state, `previous` the tree of the
    /// snapshot before.
    pub(crate) fn exact(&mut self, root: TreeId, git_root: ObjectId, previous: Option<TreeId>) -> CommitResult<()> {
        let found = self.collect(root, git_root, previous).map_err(Stop::Commit)?;
        for (git, id, previous) in found.plain {
            if self.plain(git, previous)?.id != id {
                return Err(Stop::Commit(mismatch(id)));
            }
        }
        self.add_blobs(found.blobs.iter().map(|wanted| (wanted.git, wanted.previous)).collect())?;
        for wanted in found.blobs {
            if self.expect_blob(wanted.git, wanted.blob)? != wanted.size {
                return Err(Stop::Commit(mismatch(wanted.blob)));
            }
        }
        self.taken.extend(found.lists.keys());
        self.new_trees.extend(found.lists.iter().map(|(id, object)| (*id, object.bytes.clone())));
        Ok(self.batch.add(found.lists.into_values().collect())?)
    }

    /// Reads content that was kept because no commit has it.
    pub(crate) fn read(&self, id: BlobId) -> Result<Vec<u8>> {
        let bytes = self.kept.read(Section::CONTENTS, id)?.ok_or_else(|| missing(id))?;
        if BlobId(Digest::of(&bytes)) == id { Ok(bytes) } else { Err(mismatch(id)) }
    }

    /// Adds content that was kept because no commit has it.
    pub(crate) fn content(&mut self, id: BlobId) -> CommitResult<()> {
        let git = self.kept_content(id).map_err(Stop::Commit)?;
        self.add_blobs(vec![(git, None)])?;
        self.expect_blob(git, id).map(drop)
    }

    /// The length of a blob of git that was added and must be this content.
    fn expect_blob(&self, git: ObjectId, blob: BlobId) -> CommitResult<u64> {
        match self.blobs[&git] {
            Err(reason) => Err(Stop::Commit(unreadable("import git blob", git, reason))),
            Ok((found, _)) if found != blob => Err(Stop::Commit(mismatch(blob))),
            Ok((_, length)) => Ok(length),
        }
    }

    /// The blob of git that holds a kept content.
    fn kept_content(&self, id: BlobId) -> Result<ObjectId> {
        self.kept.find(Section::CONTENTS, id)?.ok_or_else(|| missing(id))
    }

    fn collect(&self, root: TreeId, git_root: ObjectId, previous: Option<TreeId>) -> Result<Found> {
        let mut found = Found::default();
        let mut seen = HashSet::new();
        let mut todo = vec![(root, Some(git_root), previous, 0)];
        while let Some((id, git, previous, depth)) = todo.pop() {
            let is_taken = self.taken.contains(&id) && self.store.contains(ObjectKind::Tree, &id.0);
            if is_taken || !seen.insert(id) {
                continue;
            }
            if depth > FOLDER_DEPTH_MAX || found.blobs.len() as u64 > PATHS_MAX {
                return Err(too_large_tree(id));
            }
            if self.kept.find(Section::TREES, id)?.is_none() {
                found.plain.push((git.ok_or_else(|| missing(id))?, id, previous));
                continue;
            }
            // Entries that git lacks were kept, or are missing.
            let in_git = git.and_then(|id| self.git_folder(id).ok()).unwrap_or_default().entries;
            let in_git: BTreeMap<&[u8], &GitEntry> = in_git.iter().map(|entry| (&*entry.name, entry)).collect();
            let before = self.entries_before(previous);
            for entry in self.kept_folder(id, previous, &mut found.lists)? {
                let (git, before) = (in_git.get(&*entry.name), named(&before, &entry.name));
                if let Some(tree) = entry.tree() {
                    let git = git.filter(|git| git.kind == EntryKind::Tree).map(|git| git.id);
                    todo.push((tree, git, before.and_then(Entry::tree), depth + 1));
                    continue;
                }
                let blob = BlobId(entry.id);
                let git = match git.filter(|git| git.is_blob()) {
                    Some(git) => git.id,
                    None => self.kept_content(blob)?,
                };
                found.blobs.push(Wanted { git, blob, size: entry.size, previous: before.and_then(Entry::blob) });
            }
        }
        Ok(found)
    }

    /// Reads the entries of a kept folder, and collects its lists.
    fn kept_folder(
        &self,
        folder: TreeId,
        previous: Option<TreeId>,
        lists: &mut BTreeMap<TreeId, NewObject>,
    ) -> Result<Vec<Entry>> {
        let lists = RefCell::new(lists);
        let load = |id: TreeId| {
            let bytes = self.kept.read(Section::TREES, id)?.ok_or_else(|| missing(id))?;
            if tree_id(&bytes) != id {
                return Err(mismatch(id));
            }
            let tree = decode(&bytes).map_err(|e| e.during("import kept tree", id))?;
            let previous = previous.filter(|_| id == folder).map(|tree| tree.0);
            lists.borrow_mut().insert(id, NewObject { kind: ObjectKind::Tree, id: id.0, bytes, previous });
            Ok(tree)
        };
        FolderCursor::new(&load, folder)?.entries()
    }
}

fn missing(what: impl std::fmt::Display) -> Error {
    Error::corrupt("read from refs/retro/meta", what, "it is not in the repository")
}

fn mismatch(what: impl std::fmt::Display) -> Error {
    Error::corrupt("read from refs/retro/meta", what, "the repository has something else in its place")
}
