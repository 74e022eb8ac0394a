//! Compares two lists of one folder, small or split (store-format.md, chapter 4).
//!
//! ```text
//! old node:  A B C D E        A, B, D, E are on both sides: never opened
//! new node:  A B X D E        C and X are, and their entries merged by name
//! ```
//!
//! Both folders are gone through at once, in the order of names. A list that is next on both sides holds the same
//! entries on both and is skipped; since names are unique in a folder, no entry left over on one side can have its
//! partner in a skipped list. A folder of 50,000 with one new file costs two nodes and two leaves.
//!
//! The lists of a hostile store are checked as they are opened, see [`FolderCursor`]: none can stand in two places, and
//! the work is bounded by the bytes that are really stored.

use std::cmp::Ordering;

use crate::error::Result;
use crate::format::tree::Entry;
use crate::id::TreeId;
use crate::store::{FolderCursor, ListRef, LoadTree};

/// The entries of the lists that differ, in order of names: of the old folder and of the new one. Some entries may be
/// equal on both sides. With `names` (sorted), lists that can hold none of them are not opened. The last value is the
/// number of bytes read, as [`FolderCursor::read_bytes`] counts them.
pub(super) fn differing<'a>(
    load: &'a LoadTree<'a>,
    old: Option<TreeId>,
    new: Option<TreeId>,
    names: Option<&[&[u8]]>,
) -> Result<(Vec<Entry>, Vec<Entry>, u64)> {
    let (mut old, mut new) = (Side::open(load, old)?, Side::open(load, new)?);
    loop {
        match (old.next(names), new.next(names)) {
            (None, None) => break,
            (Some(one), Some(other)) if one == other => [&mut old, &mut new].into_iter().for_each(Side::skip),
            (Some(one), Some(other)) if comes_first(one, other) => old.enter()?,
            (_, Some(_)) => new.enter()?,
            (Some(_), None) => old.enter()?,
        }
    }
    let read_bytes = old.read_bytes() + new.read_bytes();
    Ok((old.entries, new.entries, read_bytes))
}

/// Returns true if `one` must be opened before `other`: it begins before it, or at the same name and may contain it.
fn comes_first(one: &ListRef, other: &ListRef) -> bool {
    one.first_name.cmp(&other.first_name).then(other.level.cmp(&one.level)) != Ordering::Greater
}

/// One of the two folders, and the entries of its lists that were opened.
struct Side<'a> {
    /// None where there is no such folder.
    cursor: Option<FolderCursor<'a>>,
    entries: Vec<Entry>,
}

impl<'a> Side<'a> {
    fn open(load: &'a LoadTree<'a>, folder: Option<TreeId>) -> Result<Self> {
        let cursor = folder.map(|folder| FolderCursor::new(load, folder)).transpose()?;
        Ok(Self { cursor, entries: Vec::new() })
    }

    /// The next list that may hold one of `names`, if they are given.
    fn next(&mut self, names: Option<&[&[u8]]>) -> Option<&ListRef> {
        let cursor = self.cursor.as_mut()?;
        if let Some(names) = names {
            while cursor.peek().is_some_and(|list| !any_between(names, &list.first_name, cursor.end())) {
                cursor.skip();
            }
        }
        cursor.peek()
    }

    fn skip(&mut self) {
        self.cursor.iter_mut().for_each(FolderCursor::skip);
    }

    fn enter(&mut self) -> Result<()> {
        let Some(cursor) = &mut self.cursor else { return Ok(()) };
        let entries = cursor.enter()?;
        if self.entries.is_empty() {
            self.entries = entries
        } else {
            self.entries.extend(entries)
        }
        Ok(())
    }

    fn read_bytes(&self) -> u64 {
        self.cursor.as_ref().map_or(0, FolderCursor::read_bytes)
    }
}

fn any_between(names: &[&[u8]], first: &[u8], end: Option<&[u8]>) -> bool {
    let at = names.partition_point(|name| *name < first);
    names.get(at).is_some_and(|name| end.is_none_or(|end| *name < end))
}
