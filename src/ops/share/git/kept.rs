//! What git cannot hold, beside the history: the tree of the commit at `refs/retro/meta`.
//!
//! Names in it are hex digits, the first two a folder of their own, as git itself lays out objects: no name can be one
//! that git refuses, and no folder grows long.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::objs::tree::{Entry, EntryKind};
use gix::objs::{Kind, Tree, WriteTo};

use super::pack::PackWriter;
use super::{META_REF, failed};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{BlobId, TreeId};

/// What is kept under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Section {
    /// Snapshots as stored, by the commits that were made of them.
    Snapshots,
    /// Facts of the calls that followed a snapshot and changed nothing, as stored, by the commits that were made of the
    /// snapshots.
    Calls,
    /// Lists of folders as stored, by tree id.
    Trees,
    /// Contents, by blob id.
    Contents,
}

/// Gathers what is kept.
#[derive(Debug, Default)]
pub(crate) struct KeptWriter {
    blobs: BTreeMap<(Section, String), ObjectId>,
}

/// Finds what was kept.
#[derive(Debug)]
pub(crate) struct Kept<'a> {
    root: gix::Tree<'a>,
    /// The repository, for messages.
    repository: PathBuf,
}

impl Section {
    fn folder(self) -> &'static str {
        match self {
            Self::Snapshots => "snapshots",
            Self::Calls => "calls",
            Self::Trees => "trees",
            Self::Contents => "contents",
        }
    }
}

impl KeptWriter {
    /// Whether something is kept under this name.
    pub(crate) fn has(&self, section: Section, name: &str) -> bool {
        self.blobs.contains_key(&(section, name.to_owned()))
    }

    /// Keeps a blob of the pack.
    pub(crate) fn keep(&mut self, section: Section, name: String, blob: ObjectId) {
        self.blobs.insert((section, name), blob);
    }

    /// Writes the tree, and returns its id.
    pub(crate) fn finish(self, pack: &mut PackWriter) -> Result<ObjectId> {
        let mut sections: BTreeMap<Section, BTreeMap<String, Vec<Entry>>> = BTreeMap::new();
        for ((section, name), blob) in self.blobs {
            let (folder, rest) = name.split_at(2);
            let entry = Entry { mode: EntryKind::Blob.into(), filename: rest.into(), oid: blob };
            sections.entry(section).or_default().entry(folder.to_owned()).or_default().push(entry);
        }
        let mut root = Vec::new();
        for (section, folders) in sections {
            let mut entries = Vec::with_capacity(folders.len());
            for (name, blobs) in folders {
                let oid = add_tree(pack, blobs)?;
                entries.push(Entry { mode: EntryKind::Tree.into(), filename: name.into(), oid });
            }
            let oid = add_tree(pack, entries)?;
            root.push(Entry { mode: EntryKind::Tree.into(), filename: section.folder().into(), oid });
        }
        add_tree(pack, root)
    }
}

/// Adds a git tree, its entries in any order.
pub(crate) fn add_tree(pack: &mut PackWriter, mut entries: Vec<Entry>) -> Result<ObjectId> {
    entries.sort();
    let mut bytes = Vec::with_capacity(entries.len() * 48);
    let written = Tree { entries }.write_to(&mut bytes);
    written.expect("names of entries were checked, and memory takes every byte");
    pack.add(Kind::Tree, &bytes)
}

impl<'a> Kept<'a> {
    /// What an export has kept in this repository; none where there was no export, or it kept nothing.
    pub(crate) fn open(repository: &'a gix::Repository) -> Result<Option<Self>> {
        let path = repository.git_dir().to_owned();
        let fail = |e: gix::Error| failed(ErrorKind::Corrupt, "read what was kept in", &path, e);
        let Some(mut reference) = repository.try_find_reference(META_REF).map_err(fail)? else { return Ok(None) };
        let commit = reference.peel_to_commit().map_err(fail)?;
        Ok(Some(Self { root: commit.tree().map_err(fail)?, repository: path }))
    }

    /// A snapshot as it was stored.
    pub(crate) fn snapshot(&self, commit: ObjectId) -> Result<Option<Vec<u8>>> {
        self.read(Section::Snapshots, &commit.to_string())
    }

    /// The facts of the calls that followed a snapshot, as they were stored.
    pub(crate) fn calls(&self, commit: ObjectId) -> Result<Option<Vec<u8>>> {
        self.read(Section::Calls, &commit.to_string())
    }

    /// A list of a folder as it was stored.
    pub(crate) fn tree(&self, id: TreeId) -> Result<Option<Vec<u8>>> {
        self.read(Section::Trees, &id.to_string())
    }

    /// Where content is.
    pub(crate) fn content(&self, id: BlobId) -> Result<Option<ObjectId>> {
        self.find(Section::Contents, &id.to_string())
    }

    fn read(&self, section: Section, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(id) = self.find(section, name)? else { return Ok(None) };
        let object = self.root.repo.find_object(id).map_err(|e| self.failed(name, e))?;
        Ok(Some(object.detach().data))
    }

    fn find(&self, section: Section, name: &str) -> Result<Option<ObjectId>> {
        let (folder, rest) = name.split_at(2);
        let path: [&[u8]; 3] = [section.folder().as_bytes(), folder.as_bytes(), rest.as_bytes()];
        let found = self.root.lookup_entry(path).map_err(|e| self.failed(name, e))?;
        Ok(found.map(|entry| entry.object_id()))
    }

    fn failed(&self, name: &str, error: gix::Error) -> Error {
        let path: &Path = &self.repository;
        failed(ErrorKind::Corrupt, "read what was kept in", path, format!("{name}: {error}"))
    }
}
