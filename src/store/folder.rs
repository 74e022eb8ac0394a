//! Reading folders: all entries of one, and the number of paths below it.
//!
//! A hostile store may describe any number of paths: a folder with a thousand names for one folder with a thousand
//! names for another, or lists that are deltas of a few bytes each. [`FolderCursor`] bounds the reading of one folder.
//! [`Reader::check_extent`] counts the paths of a walk, and reads each folder once however many names it has.

use std::collections::HashMap;

use super::{FolderCursor, Reader};
use crate::error::{Error, ErrorKind, Result};
use crate::format::tree::Entry;
use crate::id::TreeId;
use crate::limits::{FOLDER_DEPTH_MAX, WALK_LENGTH_MAX_BYTES, WALK_STEP_BYTES};

/// The size of everything below a folder.
#[derive(Clone, Copy, Debug, Default)]
struct Extent {
    /// The paths of a walk.
    paths: u64,
    /// The lengths of these paths from the folder, in bytes.
    path_bytes: u64,
    /// The depth of folders, with itself.
    height: usize,
}

/// A folder on the way down.
struct Visit {
    tree: TreeId,
    extent: Extent,
    /// The folders in it that follow, and the lengths of their names.
    folders: Vec<(u64, TreeId)>,
}

impl Reader {
    /// All entries of a folder, split or not, in order.
    pub fn folder(&self, id: TreeId) -> Result<Vec<Entry>> {
        FolderCursor::new(&|list| self.tree(list), id)?.entries()
    }

    /// `Limit` if a walk of everything below a folder would be too long: more than [`WALK_LENGTH_MAX_BYTES`], or
    /// folders more than [`FOLDER_DEPTH_MAX`] deep.
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

    /// Reads a folder. All folders together may not be longer than twice what a walk may list.
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

    /// Adds a folder under a name of this length.
    fn add(&mut self, name_length: u64, below: &Self) {
        let prefixes = below.paths.saturating_mul(name_length + 1);
        self.paths = self.paths.saturating_add(below.paths);
        self.path_bytes = self.path_bytes.saturating_add(below.path_bytes).saturating_add(prefixes);
        self.height = self.height.max(below.height + 1);
    }
}
