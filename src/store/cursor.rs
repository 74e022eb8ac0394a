//! Going through the lists of a folder in order, split or not.
//!
//! ```text
//! next list    A   enter: B and C follow   skip: A is not opened, nor B and C
//!            node A  [ leaf B ] [ leaf C ]    node D ...
//! ```
//!
//! A hostile store may describe folders of any size. So every list is checked when it is opened: it must have the level
//! and the first name that its parent states, and end before the next one begins. Then no list occurs twice in a
//! folder, and a folder is read up to [`FOLDER_LENGTH_MAX_BYTES`].

use crate::error::{Error, ErrorKind, Result};
use crate::format::tree::{Child, Entry, Tree};
use crate::id::TreeId;
use crate::limits::{ENTRY_LENGTH_BYTES, FOLDER_LENGTH_MAX_BYTES, TREE_LEVEL_MAX};

/// Loads a list by its id.
pub type LoadTree<'a> = dyn Fn(TreeId) -> Result<Tree> + 'a;

/// One list of a folder, as its parent names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRef {
    /// The id of the list.
    pub id: TreeId,
    /// 0 for a list of entries, higher for a list of lists.
    pub level: u8,
    /// The first name in it; empty for an empty folder.
    pub first_name: Box<[u8]>,
}

/// A position among the lists of a folder.
pub struct FolderCursor<'a> {
    load: &'a LoadTree<'a>,
    folder: TreeId,
    /// The lists that follow, the next one last.
    left: Vec<ListRef>,
    /// The topmost list, until the cursor passes it: it was opened to learn its level.
    top: Option<Tree>,
    room_bytes: u64,
}

impl<'a> FolderCursor<'a> {
    /// A cursor before the topmost list of a folder.
    pub fn new(load: &'a LoadTree<'a>, folder: TreeId) -> Result<Self> {
        let top = load(folder)?;
        let first_name = top.first_name().unwrap_or_default().into();
        let left = vec![ListRef { id: folder, level: top.level(), first_name }];
        Ok(Self { load, folder, left, top: Some(top), room_bytes: FOLDER_LENGTH_MAX_BYTES })
    }

    /// The next list.
    pub fn peek(&self) -> Option<&ListRef> {
        self.left.last()
    }

    /// The end of the next list: all names in it come before this name. None for the last list.
    pub fn end(&self) -> Option<&[u8]> {
        self.left.iter().rev().nth(1).map(|after| &*after.first_name)
    }

    /// Passes the next list without opening it.
    pub fn skip(&mut self) {
        self.left.pop();
        self.top = None;
    }

    /// Opens the next list and returns its entries. A list of lists has none; its lists come next.
    pub fn enter(&mut self) -> Result<Vec<Entry>> {
        let Some(list) = self.left.pop() else { return Ok(Vec::new()) };
        let is_top = self.top.is_some();
        let tree = self.top.take().map_or_else(|| (self.load)(list.id), Ok)?;
        if tree.level() != list.level || list.level > TREE_LEVEL_MAX {
            return Err(self.corrupt("a list is on the wrong level"));
        }
        if !is_top && tree.first_name() != Some(&list.first_name) {
            return Err(self.corrupt("a list of a split folder begins with another name"));
        }
        let last_name = match &tree {
            Tree::Leaf(entries) => {
                entries.iter().try_for_each(|entry| self.take_room(&entry.name))?;
                entries.last().map(|entry| &entry.name)
            }
            Tree::Node { children, .. } => {
                children.iter().try_for_each(|child| self.take_room(&child.first_name))?;
                children.last().map(|child| &child.first_name)
            }
        };
        if let (Some(last), Some(next)) = (last_name, self.left.last())
            && *last >= next.first_name
        {
            return Err(self.corrupt("lists of a split folder are out of order"));
        }
        match tree {
            Tree::Leaf(entries) => Ok(entries),
            Tree::Node { level, children } => {
                let list = |Child { id, first_name, .. }| ListRef { id, level: level - 1, first_name };
                self.left.extend(children.into_iter().rev().map(list));
                Ok(Vec::new())
            }
        }
    }

    /// All entries that follow.
    pub fn entries(mut self) -> Result<Vec<Entry>> {
        let mut all = Vec::new();
        while self.peek().is_some() {
            let entries = self.enter()?;
            if all.is_empty() { all = entries } else { all.extend(entries) }
        }
        Ok(all)
    }

    /// The entry of this name. Only lists that may hold it are opened.
    pub fn find(mut self, name: &[u8]) -> Result<Option<Entry>> {
        while self.peek().is_some() {
            if self.end().is_some_and(|end| end <= name) {
                self.skip();
                continue;
            }
            let mut entries = self.enter()?;
            if let Ok(at) = entries.binary_search_by(|entry| (*entry.name).cmp(name)) {
                return Ok(Some(entries.swap_remove(at)));
            }
            if !entries.is_empty() {
                break;
            }
        }
        Ok(None)
    }

    /// The counted bytes of the opened lists.
    pub fn read_bytes(&self) -> u64 {
        FOLDER_LENGTH_MAX_BYTES - self.room_bytes
    }

    fn take_room(&mut self, name: &[u8]) -> Result<()> {
        let left = self.room_bytes.checked_sub(ENTRY_LENGTH_BYTES + name.len() as u64);
        self.room_bytes = left.ok_or_else(|| {
            let detail = format!("its list is longer than {FOLDER_LENGTH_MAX_BYTES} bytes");
            Error::new(ErrorKind::Limit, "read tree", self.folder, detail)
        })?;
        Ok(())
    }

    fn corrupt(&self, detail: &str) -> Error {
        Error::corrupt("read tree", self.folder, detail)
    }
}
