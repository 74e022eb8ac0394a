//! Trees that an export kept, back as they were.
//!
//! The lists of a kept tree are read from what was kept, each checked by its id, down to folders that git holds
//! exactly: those were not kept, and are mapped like any other, which must give the id that the list above has for
//! them. Contents come from git's tree at the same place, or, where git has nothing there, from what was kept, and must
//! have the ids that the lists say. So whatever a repository claims, what is taken is what its ids name.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use gix::ObjectId;
use gix::objs::tree::EntryKind;

use super::Stop;
use super::load::{Before, GitEntry, Loader, Turn, no_blob, too_large_tree};
use crate::error::{Error, Result};
use crate::format::pack::ObjectKind;
use crate::format::tree::{Entry, Tree, decode, tree_id};
use crate::id::{BlobId, Digest, TreeId};
use crate::limits::FOLDER_DEPTH_MAX;
use crate::store::NewObject;

impl Loader<'_> {
    /// Takes the tree `root` as it was kept, with what git's tree `git_root` holds of it.
    pub(crate) fn exact(
        &mut self,
        turn: &mut Turn<'_, '_>,
        root: TreeId,
        git_root: ObjectId,
        previous: Option<TreeId>,
    ) -> std::result::Result<(), Stop> {
        let found = self.collect(root, git_root, previous).map_err(Stop::Commit)?;
        for (git_tree, expected, previous) in found.plain {
            if self.plain(turn, git_tree, previous)?.id != expected {
                return Err(Stop::Commit(mismatch(expected)));
            }
        }
        self.add_blobs(turn, found.blobs.iter().map(|wanted| (wanted.git, wanted.previous)).collect())?;
        for wanted in found.blobs {
            match self.blobs[&wanted.git] {
                Err(reason) => return Err(Stop::Commit(no_blob(wanted.git, reason))),
                Ok(held) if held != (wanted.blob, wanted.size) => return Err(Stop::Commit(mismatch(wanted.blob))),
                Ok(_) => {}
            }
        }
        for object in &found.lists {
            let id = TreeId(object.id);
            turn.fresh.insert(id, object.bytes.clone());
            self.taken.insert(id);
        }
        Ok(turn.batch.add(found.lists)?)
    }

    /// Reads content that was kept because no commit has it.
    pub(crate) fn read(&self, id: BlobId) -> Result<Vec<u8>> {
        let git = self.kept_content(id)?;
        let object = self.repository.find_object(git).map_err(|e| self.failed(git, e))?;
        let bytes = object.detach().data;
        if BlobId(Digest::of(&bytes)) == id { Ok(bytes) } else { Err(mismatch(id)) }
    }

    /// Adds content that was kept because no commit has it.
    pub(crate) fn content(&mut self, turn: &mut Turn<'_, '_>, id: BlobId) -> std::result::Result<(), Stop> {
        let git = self.kept_content(id).map_err(Stop::Commit)?;
        self.add_blobs(turn, vec![(git, None)])?;
        match self.blobs[&git] {
            Err(reason) => Err(Stop::Commit(no_blob(git, reason))),
            Ok((found, _)) if found != id => Err(Stop::Commit(mismatch(id))),
            Ok(_) => Ok(()),
        }
    }

    /// The blob that holds content which was kept.
    fn kept_content(&self, id: BlobId) -> Result<ObjectId> {
        let found = self.kept.as_ref().map(|kept| kept.content(id)).transpose()?.flatten();
        found.ok_or_else(|| missing(id))
    }

    fn collect(&self, root: TreeId, git_root: ObjectId, previous: Option<TreeId>) -> Result<Found> {
        let mut found = Found::default();
        let mut seen = HashSet::new();
        let mut todo = vec![Todo { id: root, depth: 0, place: Place::Folder(Some(git_root), previous) }];
        while let Some(Todo { id, depth, place }) = todo.pop() {
            let is_taken = self.taken.contains(&id) && self.store.contains(ObjectKind::Tree, &id.0);
            if is_taken || !seen.insert(id) {
                continue;
            }
            if depth > FOLDER_DEPTH_MAX {
                return Err(too_large_tree(id));
            }
            let kept = self.kept.as_ref().map(|kept| kept.tree(id)).transpose()?.flatten();
            let (bytes, around, previous) = match (kept, place) {
                (None, Place::Folder(Some(git), previous)) => {
                    found.plain.push((git, id, previous));
                    continue;
                }
                (None, _) => return Err(missing(id)),
                (Some(bytes), Place::Folder(git, previous)) => {
                    (bytes, Arc::new(self.surroundings(git, previous)), previous)
                }
                (Some(bytes), Place::List(around)) => (bytes, around, None),
            };
            if tree_id(&bytes) != id {
                return Err(mismatch(id));
            }
            match decode(&bytes).map_err(|e| e.during("import kept tree", id))? {
                Tree::Node { children, .. } => todo.extend(children.iter().map(|child| Todo {
                    id: child.id,
                    depth,
                    place: Place::List(Arc::clone(&around)),
                })),
                Tree::Leaf(entries) => {
                    for entry in entries {
                        self.sort_in(&entry, &around, depth, &mut found, &mut todo)?;
                    }
                }
            }
            let previous = previous.map(|tree| tree.0);
            found.lists.push(NewObject { kind: ObjectKind::Tree, id: id.0, bytes, previous });
        }
        Ok(found)
    }

    /// Finds where an entry of a kept list comes from.
    fn sort_in(
        &self,
        entry: &Entry,
        around: &Surroundings,
        depth: usize,
        found: &mut Found,
        todo: &mut Vec<Todo>,
    ) -> Result<()> {
        let git = around.git.get(&entry.name);
        if let Some(id) = entry.tree() {
            let git = git.filter(|git| git.kind == EntryKind::Tree).map(|git| git.id);
            let place = Place::Folder(git, around.before.folder(&entry.name));
            todo.push(Todo { id, depth: depth + 1, place });
            return Ok(());
        }
        let blob = BlobId(entry.id);
        let git = match git.filter(|git| !matches!(git.kind, EntryKind::Tree | EntryKind::Commit)) {
            Some(git) => git.id,
            None => self.kept_content(blob)?,
        };
        found.blobs.push(Wanted { git, blob, size: entry.size, previous: around.before.blob(&entry.name) });
        Ok(())
    }

    fn surroundings(&self, git: Option<ObjectId>, previous: Option<TreeId>) -> Surroundings {
        // What git has not, was kept, or is missed in its place.
        let entries = git.and_then(|id| self.git_folder(id).ok()).unwrap_or_default().entries;
        let git = entries.into_iter().map(|entry| (entry.name.clone(), entry)).collect();
        Surroundings { git, before: Before::read(self.store, previous) }
    }
}

/// What a kept tree is made of.
#[derive(Default)]
struct Found {
    lists: Vec<NewObject>,
    /// Git trees that hold a folder exactly, with its id.
    plain: Vec<(ObjectId, TreeId, Option<TreeId>)>,
    blobs: Vec<Wanted>,
}

/// A blob of git, and the content it must be.
struct Wanted {
    git: ObjectId,
    blob: BlobId,
    size: u64,
    previous: Option<BlobId>,
}

/// A list of a kept tree that is still to be read.
struct Todo {
    id: TreeId,
    depth: usize,
    place: Place,
}

enum Place {
    /// A folder, what git holds of it, and what it was before.
    Folder(Option<ObjectId>, Option<TreeId>),
    /// A list of a folder that is split.
    List(Arc<Surroundings>),
}

/// What git holds of a folder, and what it was before.
#[derive(Default)]
struct Surroundings {
    git: BTreeMap<Box<[u8]>, GitEntry>,
    before: Before,
}

fn missing(what: impl std::fmt::Display) -> Error {
    Error::corrupt("import what was kept beside git", what, "it is not in the repository")
}

fn mismatch(what: impl std::fmt::Display) -> Error {
    Error::corrupt("import what was kept beside git", what, "the repository has something else in its place")
}
