//! Folders as they are stored: all entries of one, and how much is below it, without going there path by path.
//!
//! A store from somebody else may describe more than fits anywhere: a folder with a thousand names for one folder with a
//! thousand names for another, or lists that are a few bytes of change each. Every list of a split folder is therefore
//! checked against the first name that its parent gives for it, so that none can stand in two places of one folder (nor
//! an empty one in a million); a folder is read up to [`FOLDER_LENGTH_MAX_BYTES`]; and [`Reader::check_extent`] counts
//! what a walk would meet, reading each folder once however many names it has.

use std::collections::HashMap;

use super::Reader;
use crate::error::{Error, ErrorKind, Result};
use crate::format::tree::{Child, Entry, Tree};
use crate::id::TreeId;
use crate::limits::{
    ENTRY_LENGTH_BYTES, FOLDER_DEPTH_MAX, FOLDER_LENGTH_MAX_BYTES, TREE_LEVEL_MAX, WALK_LENGTH_MAX_BYTES,
    WALK_STEP_BYTES,
};

/// What is left of the room that the lists of one folder may take.
#[derive(Clone, Copy, Debug)]
pub struct FolderRoom {
    folder: TreeId,
    left_bytes: u64,
}

/// What is below a folder.
#[derive(Clone, Copy, Debug, Default)]
struct Extent {
    /// Paths, as often as a walk meets them.
    paths: u64,
    /// Their lengths, as seen from the folder.
    path_bytes: u64,
    /// Folders one in another, with itself.
    height: usize,
}

/// A folder whose folders are being looked into.
struct Visit {
    tree: TreeId,
    extent: Extent,
    /// Folders in it that were not looked into yet, and the lengths of their names.
    folders: Vec<(u64, TreeId)>,
}

/// The level and the first name of a list, as its parent says.
type Expected = (u8, Box<[u8]>);

impl FolderRoom {
    /// All of it.
    pub fn of(folder: TreeId) -> Self {
        Self { folder, left_bytes: FOLDER_LENGTH_MAX_BYTES }
    }

    /// What was taken of it so far, in bytes.
    pub fn taken_bytes(&self) -> u64 {
        FOLDER_LENGTH_MAX_BYTES - self.left_bytes
    }

    /// Takes the room of one entry or list of this name.
    pub fn take(&mut self, name: &[u8]) -> Result<()> {
        self.left_bytes = self.left_bytes.checked_sub(ENTRY_LENGTH_BYTES + name.len() as u64).ok_or_else(|| {
            let detail = format!("its list is longer than {FOLDER_LENGTH_MAX_BYTES} bytes");
            Error::new(ErrorKind::Limit, "read tree", self.folder, detail)
        })?;
        Ok(())
    }
}

impl Reader {
    /// All entries of a folder, split or not, in order.
    pub fn folder(&self, id: TreeId) -> Result<Vec<Entry>> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut room = FolderRoom::of(id);
        let corrupt = |detail: &'static str| Error::corrupt("read tree", id, detail);
        // Lists still to be read, the next one last, each with the level and the first name that it must have.
        let mut todo: Vec<(TreeId, Option<Expected>)> = vec![(id, None)];
        while let Some((list, wanted)) = todo.pop() {
            let tree = self.tree(list)?;
            if let Some((level, first_name)) = &wanted {
                if tree.level() != *level {
                    return Err(corrupt("a list is on the wrong level"));
                }
                if tree.first_name() != Some(first_name) {
                    return Err(corrupt("a list of a split folder begins with another name"));
                }
            }
            match tree {
                Tree::Leaf(part) => {
                    if let (Some(last), Some(first)) = (entries.last(), part.first())
                        && last.name >= first.name
                    {
                        return Err(corrupt("lists of a split folder are out of order"));
                    }
                    part.iter().try_for_each(|entry| room.take(&entry.name))?;
                    entries.extend(part);
                }
                Tree::Node { level, children } => {
                    if level > TREE_LEVEL_MAX {
                        return Err(corrupt("a list is on the wrong level"));
                    }
                    children.iter().try_for_each(|child| room.take(&child.first_name))?;
                    let below = |child: Child| (child.id, Some((level - 1, child.first_name)));
                    todo.extend(children.into_iter().rev().map(below));
                }
            }
        }
        Ok(entries)
    }

    /// Refuses with `Limit` to go through everything below a folder, where that is more than fits into memory or time:
    /// more than [`WALK_LENGTH_MAX_BYTES`], or folders more than [`FOLDER_DEPTH_MAX`] deep.
    pub fn check_extent(&self, operation: &str, root: TreeId) -> Result<()> {
        let extent = self.extent(operation, root)?;
        let refuse = |detail: String| {
            Err(Error::new(ErrorKind::Limit, operation, format!("tree {root}"), detail)
                .with_hint("name the paths that are wanted, or a folder in it"))
        };
        if extent.height > FOLDER_DEPTH_MAX + 1 {
            return refuse(format!("its folders are more than {FOLDER_DEPTH_MAX} deep"));
        }
        if extent.length_bytes() > WALK_LENGTH_MAX_BYTES {
            let Extent { paths, path_bytes, .. } = extent;
            return refuse(format!("it describes {paths} paths of {path_bytes} bytes, which is over the limit"));
        }
        Ok(())
    }

    fn extent(&self, operation: &str, root: TreeId) -> Result<Extent> {
        let mut known: HashMap<TreeId, Extent> = HashMap::new();
        let mut read_bytes = 0;
        let mut stack = vec![self.visit(operation, root, &mut read_bytes)?];
        loop {
            let Some(visit) = stack.last_mut() else { unreachable!("the root is left by returning") };
            match visit.folders.last() {
                Some((name_length, tree)) => match known.get(tree) {
                    Some(below) => {
                        visit.extent.add(*name_length, below);
                        visit.folders.pop();
                    }
                    // It cannot be on the stack: a folder that holds itself would hold its own hash.
                    None => {
                        let tree = *tree;
                        if stack.len() > FOLDER_DEPTH_MAX {
                            return Ok(Extent { height: stack.len() + 1, ..Extent::default() });
                        }
                        stack.push(self.visit(operation, tree, &mut read_bytes)?);
                    }
                },
                None => {
                    let Some(Visit { tree, extent, .. }) = stack.pop() else { unreachable!("it was there") };
                    if stack.is_empty() {
                        return Ok(extent);
                    }
                    known.insert(tree, extent);
                }
            }
        }
    }

    /// Reads a folder. Those that are read, each once, may not be longer than what a walk may list.
    fn visit(&self, operation: &str, tree: TreeId, read_bytes: &mut u64) -> Result<Visit> {
        let mut extent = Extent { height: 1, ..Extent::default() };
        let mut folders = Vec::new();
        for entry in self.folder(tree)? {
            let length = entry.name.len() as u64;
            extent.paths = extent.paths.saturating_add(1);
            extent.path_bytes = extent.path_bytes.saturating_add(length);
            folders.extend(entry.tree().map(|tree| (length, tree)));
        }
        *read_bytes = extent.length_bytes().saturating_add(WALK_STEP_BYTES).saturating_add(*read_bytes);
        if *read_bytes > 2 * WALK_LENGTH_MAX_BYTES {
            let detail = "the lists of its folders are over the limit";
            return Err(Error::new(ErrorKind::Limit, operation, format!("tree {tree}"), detail));
        }
        Ok(Visit { tree, extent, folders })
    }
}

impl Extent {
    fn length_bytes(&self) -> u64 {
        self.paths.saturating_mul(WALK_STEP_BYTES).saturating_add(self.path_bytes)
    }

    /// Takes in a folder, under a name of this length.
    fn add(&mut self, name_length: u64, below: &Self) {
        let prefixes = below.paths.saturating_mul(name_length + 1);
        self.paths = self.paths.saturating_add(below.paths);
        self.path_bytes = self.path_bytes.saturating_add(below.path_bytes).saturating_add(prefixes);
        self.height = self.height.max(below.height + 1);
    }
}
