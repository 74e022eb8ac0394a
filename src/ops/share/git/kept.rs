//! The part of an export that git cannot hold: the tree of the commit at `refs/retro/meta`.
//!
//! Names in it are hex digits, and the first two are a folder, as git itself lays out objects. Git refuses none of
//! them, and no folder grows long.

use std::fmt::Display;

use gix::ObjectId;
use gix::bstr::BString;
use gix::hash::Kind::Sha1;
use gix::objs::find::Never;
use gix::objs::tree::{Editor, EntryKind};
use gix::objs::{Kind, Tree, WriteTo};

use super::pack::PackWriter;
use super::{META_REF, failed};
use crate::error::{Error, ErrorKind, Result};

/// A folder of what is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Section(&'static str);

impl Section {
    /// Snapshots as stored, by the id of their commit.
    pub(crate) const SNAPSHOTS: Self = Self("snapshots");
    /// Facts of the calls that followed a snapshot and changed nothing, as stored, by the id of the snapshot's commit.
    pub(crate) const CALLS: Self = Self("calls");
    /// Lists of folders as stored, by tree id.
    pub(crate) const TREES: Self = Self("trees");
    /// Contents, by blob id.
    pub(crate) const CONTENTS: Self = Self("contents");

    fn path(self, name: impl Display) -> [BString; 3] {
        let name = name.to_string();
        let (folder, rest) = name.split_at(2);
        [self.0.into(), folder.into(), rest.into()]
    }
}

/// Collects what an export keeps.
pub(crate) struct KeptWriter(Editor<'static>);

impl KeptWriter {
    pub(crate) fn new() -> Self {
        Self(Editor::new(Tree::empty(), &Never, Sha1))
    }

    /// True if something is kept under this name.
    pub(crate) fn has(&self, section: Section, name: impl Display) -> bool {
        self.0.get(section.path(name)).is_some()
    }

    /// Keeps a blob of the pack.
    pub(crate) fn keep(&mut self, section: Section, name: impl Display, blob: ObjectId) {
        let kept = self.0.upsert(section.path(name), EntryKind::Blob, blob);
        kept.expect("every folder on the way is new, and no name is a blob and a folder");
    }

    /// Writes the tree, and returns its id.
    pub(crate) fn finish(mut self, pack: &mut PackWriter) -> Result<ObjectId> {
        self.0.write(|tree| add_tree(pack, tree))
    }
}

/// Adds a git tree whose entries are in order.
pub(crate) fn add_tree(pack: &mut PackWriter, tree: &Tree) -> Result<ObjectId> {
    let mut bytes = Vec::with_capacity(tree.entries.len() * 48);
    tree.write_to(&mut bytes).expect("names of entries were checked, and memory takes every byte");
    pack.add(Kind::Tree, &bytes)
}

/// Finds what an export kept.
#[derive(Debug, Default)]
pub(crate) struct Kept<'a> {
    /// None if there was no export, or if it kept nothing.
    root: Option<gix::Tree<'a>>,
}

impl<'a> Kept<'a> {
    pub(crate) fn open(repository: &'a gix::Repository) -> Result<Self> {
        let fail = |e: gix::Error| failed(ErrorKind::Corrupt, "read refs/retro/meta in", repository.git_dir(), e);
        let Some(mut reference) = repository.try_find_reference(META_REF).map_err(fail)? else {
            return Ok(Self::default());
        };
        let commit = reference.peel_to_commit().map_err(fail)?;
        Ok(Self { root: Some(commit.tree().map_err(fail)?) })
    }

    /// The bytes kept under a name.
    pub(crate) fn read(&self, section: Section, name: impl Display) -> Result<Option<Vec<u8>>> {
        let (Some(root), Some(id)) = (&self.root, self.find(section, &name)?) else { return Ok(None) };
        root.repo.find_object(id).map(|object| Some(object.detach().data)).map_err(fail(root, &name))
    }

    /// The blob kept under a name.
    pub(crate) fn find(&self, section: Section, name: impl Display) -> Result<Option<ObjectId>> {
        let Some(root) = &self.root else { return Ok(None) };
        let found = root.lookup_entry(section.path(&name)).map_err(fail(root, &name))?;
        Ok(found.map(|entry| entry.object_id()))
    }
}

fn fail(root: &gix::Tree<'_>, name: &impl Display) -> impl Fn(gix::Error) -> Error {
    let (path, name) = (root.repo.git_dir(), name.to_string());
    move |e| failed(ErrorKind::Corrupt, "read refs/retro/meta in", path, format!("{name}: {e}"))
}
