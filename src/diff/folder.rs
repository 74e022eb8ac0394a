//! Compares two lists of one folder, small or split (store-format.md, chapter 4).
//!
//! ```text
//! old node:  A B C D E        A, B, D, E are on both sides: never opened
//! new node:  A B X D E        C and X are, and their entries merged by name
//! ```
//!
//! Lists are compared level by level. A list found on both sides under the same first name holds the same entries on
//! both and is dropped; since names are unique in a folder, no entry left over on one side can have its partner in a
//! dropped list. A folder of 50,000 with one new file costs two nodes and two leaves.
//!
//! Trees from a hostile store are checked as they are opened: a list must have the level and the first name that its
//! parent says, and names must ascend across lists. So no list can stand in two places, and the work is bounded by the
//! bytes that are really stored.

use crate::error::{Error, Result};
use crate::format::tree::{Child, Entry, Tree};
use crate::id::{Digest, TreeId};
use crate::store::FolderRoom;

/// Reads one tree object.
pub type LoadTree<'a> = dyn Fn(TreeId) -> Result<Tree> + 'a;

/// The entries of the lists that differ, in order of names: of the old folder and of the new one. Some entries may be
/// equal on both sides. With `names` (sorted), lists that can hold none of them are not opened. The last value is the
/// number of bytes read, as [`FolderRoom`] counts them.
pub(super) fn differing(
    load: &LoadTree<'_>,
    old: Option<TreeId>,
    new: Option<TreeId>,
    names: Option<&[&[u8]]>,
) -> Result<(Vec<Entry>, Vec<Entry>, u64)> {
    let mut old = Lists::open(load, old)?;
    let mut new = Lists::open(load, new)?;
    loop {
        if old.level == new.level {
            drop_common(&mut old.lists, &mut new.lists);
        }
        match (old.level, new.level) {
            (0, 0) => break,
            (old_level, new_level) if old_level > new_level => old.expand(load, names)?,
            (old_level, new_level) if old_level < new_level => new.expand(load, names)?,
            _ => {
                old.expand(load, names)?;
                new.expand(load, names)?;
            }
        }
    }
    let ((old, old_bytes), (new, new_bytes)) = (old.entries(load)?, new.entries(load)?);
    Ok((old, new, old_bytes + new_bytes))
}

/// Some of the lists of one folder, all of one level, in order.
struct Lists {
    level: u8,
    lists: Vec<List>,
    room: FolderRoom,
}

struct List {
    id: TreeId,
    first_name: Box<[u8]>,
    /// Only the topmost list is opened before it is needed, to learn its level.
    opened: Option<Tree>,
}

impl Lists {
    fn open(load: &LoadTree<'_>, id: Option<TreeId>) -> Result<Self> {
        let Some(id) = id else {
            return Ok(Self { level: 0, lists: Vec::new(), room: FolderRoom::of(TreeId(Digest::default())) });
        };
        let tree = load(id)?;
        let first_name = tree.first_name().unwrap_or_default().into();
        Ok(Self {
            level: tree.level(),
            lists: vec![List { id, first_name, opened: Some(tree) }],
            room: FolderRoom::of(id),
        })
    }

    /// Replaces nodes by the lists in them.
    fn expand(&mut self, load: &LoadTree<'_>, names: Option<&[&[u8]]>) -> Result<()> {
        let mut lower: Vec<List> = Vec::new();
        for list in std::mem::take(&mut self.lists) {
            let id = list.id;
            let children = match list.read(load)? {
                Tree::Node { level, children } if level == self.level => children,
                _ => return Err(wrong_level(id)),
            };
            children.iter().try_for_each(|child| self.room.take(&child.first_name))?;
            let mut children = children.into_iter().peekable();
            while let Some(Child { first_name, id, .. }) = children.next() {
                if lower.last().is_some_and(|last| last.first_name >= first_name) {
                    return Err(out_of_order(id));
                }
                let end = children.peek().map(|next| &*next.first_name);
                if names.is_none_or(|names| any_between(names, &first_name, end)) {
                    lower.push(List { id, first_name, opened: None });
                }
            }
        }
        self.level -= 1;
        self.lists = lower;
        Ok(())
    }

    fn entries(mut self, load: &LoadTree<'_>) -> Result<(Vec<Entry>, u64)> {
        let mut all: Vec<Entry> = Vec::new();
        for list in self.lists {
            let id = list.id;
            let Tree::Leaf(entries) = list.read(load)? else { return Err(wrong_level(id)) };
            entries.iter().try_for_each(|entry| self.room.take(&entry.name))?;
            if let (Some(last), Some(first)) = (all.last(), entries.first())
                && last.name >= first.name
            {
                return Err(out_of_order(id));
            }
            if all.is_empty() {
                all = entries;
            } else {
                all.extend(entries);
            }
        }
        Ok((all, self.room.taken_bytes()))
    }
}

impl List {
    /// Loads the list, and checks that it begins with the name that its parent records.
    fn read(self, load: &LoadTree<'_>) -> Result<Tree> {
        if let Some(tree) = self.opened {
            return Ok(tree);
        }
        let tree = load(self.id)?;
        if tree.first_name() != Some(&self.first_name) {
            return Err(Error::corrupt(
                "compare tree",
                self.id,
                "a list of a split folder does not begin with the name that its parent records",
            ));
        }
        Ok(tree)
    }
}

/// Drops the lists that are on both sides, by a merge in order of first names.
fn drop_common(old: &mut Vec<List>, new: &mut Vec<List>) {
    let mut common = Vec::new();
    let mut candidates = new.iter().peekable();
    for list in old.iter() {
        while candidates.next_if(|candidate| candidate.first_name < list.first_name).is_some() {}
        if candidates.peek().is_some_and(|candidate| candidate.first_name == list.first_name && candidate.id == list.id)
        {
            common.push(list.first_name.clone());
        }
    }
    let mut is_unique = |list: &List| common.binary_search(&list.first_name).is_err();
    old.retain(&mut is_unique);
    new.retain(&mut is_unique);
}

fn any_between(names: &[&[u8]], first: &[u8], end: Option<&[u8]>) -> bool {
    let at = names.partition_point(|name| *name < first);
    names.get(at).is_some_and(|name| end.is_none_or(|end| *name < end))
}

fn wrong_level(id: TreeId) -> Error {
    Error::corrupt("compare tree", id, "a list of a split folder has a level other than its parent records")
}

fn out_of_order(id: TreeId) -> Error {
    Error::corrupt("compare tree", id, "names of a split folder are out of order or repeated")
}
