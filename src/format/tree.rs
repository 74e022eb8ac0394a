//! Tree objects: one folder's sorted list, split when it is long (store-format.md, chapter 4).
//!
//! ```text
//! small folder            large folder
//! leaf: entries           node (level 1): first name, entry count, size, id of each leaf
//!                           leaf: entries    leaf: entries    ...
//! ```
//!
//! A list is cut after each entry whose *name* has a certain pattern in its hash, so the cuts depend only on the set of
//! names. Equal folders therefore have equal ids regardless of their history, and a new file changes one leaf and the
//! nodes above. With leaves of fixed size, one insertion would move every later boundary.
//!
//! Size and id stand together at the end of an entry, because a changed file changes both: successive versions of a
//! list then differ in one place of some 35 bytes per file.
//!
//! Invariants of a decoded list: names are valid and ascend strictly, modes have 12 bits (0 for symlinks), and a node
//! has at least one child, with first names that ascend strictly.

use super::{Malformed, Reader, put_bytes, put_uint};
use crate::id::{BlobId, Digest, TreeId};
use crate::limits::{
    NAME_LENGTH_MAX_BYTES, TREE_LEVEL_MAX, TREE_SPLIT_ABOVE_BYTES, TREE_SPLIT_ENTRIES_MAX, TREE_SPLIT_ENTRIES_MIN,
};
use crate::path::check_name;

/// Context of BLAKE3's `derive_key` mode for tree ids.
pub const TREE_CONTEXT: &str = "retrograde 2026-11 tree v1";

/// Bits of a mode that are kept: permissions, setuid, setgid, sticky.
pub const MODE_MASK: u16 = 0o7777;

const ENTRY_LENGTH_MIN_BYTES: usize = 1 + 1 + 1 + 2 + 32;
const CHILD_LENGTH_MIN_BYTES: usize = 1 + 1 + 2 + 32;

/// The kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// A regular file; the id names its content.
    File = 1,
    /// A folder; the id names its tree.
    Folder,
    /// A symlink; the id names its target as content.
    Symlink,
}

/// One line of a folder's list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Name within the folder.
    pub name: Box<[u8]>,
    /// The kind of the entry.
    pub kind: EntryKind,
    /// Permission bits; 0 for symlinks, which have none.
    pub mode: u16,
    /// Length of a file's content or a symlink's target in bytes; for a folder, the sum of all below it.
    pub size: u64,
    /// Content of a file, target of a symlink, or tree of a folder.
    pub id: Digest,
}

/// One line of a node: a leaf, or a node one level lower.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// The first name in it.
    pub first_name: Box<[u8]>,
    /// Number of entries in the leaves below it.
    pub entry_count: u64,
    /// Sum of the sizes of these entries, in bytes.
    pub size: u64,
    /// The list below.
    pub id: TreeId,
}

/// A decoded tree object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tree {
    /// The entries of a folder, or consecutive ones of a split folder.
    Leaf(Vec<Entry>),
    /// The lists of a split folder.
    Node {
        /// 1 directly above leaves, 2 above nodes of level 1, and so on.
        level: u8,
        /// Lists one level lower, in order.
        children: Vec<Child>,
    },
}

/// The objects of one folder, children before parents; the last one names the folder.
#[derive(Clone, Debug)]
pub struct EncodedTree {
    /// Ids and encodings; never empty.
    pub objects: Vec<(TreeId, Vec<u8>)>,
    /// Sum of the sizes of all entries.
    pub size: u64,
}

impl EntryKind {
    /// The kind with this code; its code is its value.
    pub(super) fn from_code(code: u8) -> Option<Self> {
        [Self::File, Self::Folder, Self::Symlink].into_iter().find(|kind| *kind as u8 == code)
    }
}

impl Entry {
    /// The content of a file, or the target of a symlink.
    pub fn blob(&self) -> Option<BlobId> {
        (self.kind != EntryKind::Folder).then_some(BlobId(self.id))
    }

    /// The tree of a folder.
    pub fn tree(&self) -> Option<TreeId> {
        (self.kind == EntryKind::Folder).then_some(TreeId(self.id))
    }
}

impl Tree {
    /// 0 for a leaf, 1 for a node directly above leaves, and so on.
    pub fn level(&self) -> u8 {
        match self {
            Self::Leaf(_) => 0,
            Self::Node { level, .. } => *level,
        }
    }

    /// The first name in it; `None` in an empty leaf.
    pub fn first_name(&self) -> Option<&[u8]> {
        match self {
            Self::Leaf(entries) => entries.first().map(|entry| &*entry.name),
            Self::Node { children, .. } => children.first().map(|child| &*child.first_name),
        }
    }
}

impl EncodedTree {
    /// Id of the folder.
    pub fn id(&self) -> TreeId {
        self.objects.last().expect("an encoded tree has at least one object").0
    }
}

/// The id of an encoded tree object.
pub fn tree_id(encoding: &[u8]) -> TreeId {
    TreeId(Digest(*blake3::Hasher::new_derive_key(TREE_CONTEXT).update(encoding).finalize().as_bytes()))
}

/// Encodes a folder, given its entries in ascending order of names.
///
/// Panics if names do not ascend strictly.
pub fn encode(entries: &[Entry]) -> EncodedTree {
    assert!(entries.is_sorted_by(|a, b| a.name < b.name), "entries of a folder are sorted and unique");
    let size = entries.iter().fold(0, |sum: u64, entry| sum.saturating_add(entry.size));
    let whole = encode_leaf(entries);
    if whole.len() <= TREE_SPLIT_ABOVE_BYTES {
        return EncodedTree { objects: vec![(tree_id(&whole), whole)], size };
    }
    let mut objects = Vec::new();
    let mut children = Vec::new();
    for part in split(entries, 0, |entry| &entry.name) {
        let bytes = encode_leaf(part);
        children.push(Child {
            first_name: part[0].name.clone(),
            entry_count: part.len() as u64,
            size: part.iter().fold(0, |sum: u64, entry| sum.saturating_add(entry.size)),
            id: tree_id(&bytes),
        });
        objects.push((tree_id(&bytes), bytes));
    }
    for level in 1.. {
        let parts: Vec<&[Child]> = if children.len() <= TREE_SPLIT_ENTRIES_MAX {
            vec![&children]
        } else {
            split(&children, level, |child| &child.first_name).collect()
        };
        let is_top = parts.len() == 1;
        let mut parents = Vec::with_capacity(parts.len());
        for part in parts {
            let bytes = encode_node(level, part);
            parents.push(Child {
                first_name: part[0].first_name.clone(),
                entry_count: part.iter().map(|child| child.entry_count).sum(),
                size: part.iter().fold(0, |sum: u64, child| sum.saturating_add(child.size)),
                id: tree_id(&bytes),
            });
            objects.push((tree_id(&bytes), bytes));
        }
        if is_top {
            break;
        }
        children = parents;
    }
    EncodedTree { objects, size }
}

/// Decodes one tree object.
pub fn decode(bytes: &[u8]) -> Result<Tree, Malformed> {
    let mut reader = Reader::new(bytes);
    let level = reader.u8()?;
    let tree = match level {
        0 => {
            let count = reader.count(usize::MAX, ENTRY_LENGTH_MIN_BYTES)?;
            Tree::Leaf(ascending(count, &mut reader, decode_entry, |entry| &entry.name)?)
        }
        1..=TREE_LEVEL_MAX => {
            let count = reader.count(TREE_SPLIT_ENTRIES_MAX, CHILD_LENGTH_MIN_BYTES)?;
            let children = ascending(count, &mut reader, decode_child, |child| &child.first_name)?;
            if children.is_empty() {
                return Err(Malformed::new("a node of a split folder is empty"));
            }
            Tree::Node { level, children }
        }
        _ => return Err(Malformed::new("a tree has too many levels")),
    };
    reader.finish()?;
    Ok(tree)
}

fn encode_leaf(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + entries.len() * 64);
    out.push(0);
    put_uint(&mut out, entries.len() as u64);
    for entry in entries {
        assert!(check_name(&entry.name).is_ok() && entry.mode & !MODE_MASK == 0, "an entry was checked when scanned");
        out.push(entry.kind as u8);
        put_uint(&mut out, u64::from(entry.mode));
        put_bytes(&mut out, &entry.name);
        put_uint(&mut out, entry.size);
        out.extend_from_slice(&entry.id.0);
    }
    out
}

fn encode_node(level: u8, children: &[Child]) -> Vec<u8> {
    assert!(level <= TREE_LEVEL_MAX, "64^6 entries do not fit in memory");
    let mut out = Vec::with_capacity(4 + children.len() * 64);
    out.push(level);
    put_uint(&mut out, children.len() as u64);
    for child in children {
        put_bytes(&mut out, &child.first_name);
        put_uint(&mut out, child.entry_count);
        put_uint(&mut out, child.size);
        out.extend_from_slice(&child.id.0.0);
    }
    out
}

fn decode_entry(reader: &mut Reader<'_>) -> Result<Entry, Malformed> {
    let kind = EntryKind::from_code(reader.u8()?).ok_or_else(|| Malformed::new("an entry has an unknown kind"))?;
    let mode = reader.uint()?;
    let mode = u16::try_from(mode).ok().filter(|mode| mode & !MODE_MASK == 0);
    let mode = mode.ok_or_else(|| Malformed::new("an entry has a mode of more than 12 bits"))?;
    if kind == EntryKind::Symlink && mode != 0 {
        return Err(Malformed::new("a symlink has a mode"));
    }
    let name = decode_name(reader)?;
    let size = reader.uint()?;
    Ok(Entry { name, kind, mode, size, id: Digest(reader.array()?) })
}

fn decode_child(reader: &mut Reader<'_>) -> Result<Child, Malformed> {
    let first_name = decode_name(reader)?;
    let entry_count = reader.uint()?;
    let size = reader.uint()?;
    Ok(Child { first_name, entry_count, size, id: TreeId(Digest(reader.array()?)) })
}

fn decode_name(reader: &mut Reader<'_>) -> Result<Box<[u8]>, Malformed> {
    let name = reader.bytes(NAME_LENGTH_MAX_BYTES)?;
    check_name(name).map_err(|problem| Malformed::new(problem.to_string()))?;
    Ok(name.into())
}

fn ascending<T>(
    count: usize,
    reader: &mut Reader<'_>,
    decode_one: impl Fn(&mut Reader<'_>) -> Result<T, Malformed>,
    name: impl Fn(&T) -> &[u8],
) -> Result<Vec<T>, Malformed> {
    let mut list: Vec<T> = Vec::with_capacity(count);
    for _ in 0..count {
        let next = decode_one(reader)?;
        if list.last().is_some_and(|last| name(last) >= name(&next)) {
            return Err(Malformed::new("names of a folder are out of order or repeated"));
        }
        list.push(next);
    }
    Ok(list)
}

/// Cuts a list into parts of 64 to 1,024 entries, after names whose hash has a zero byte at `level`.
fn split<'a, T>(mut list: &'a [T], level: u8, name: impl Fn(&T) -> &[u8] + 'a) -> impl Iterator<Item = &'a [T]> {
    std::iter::from_fn(move || {
        if list.is_empty() {
            return None;
        }
        let ends_here = |at: &usize| Digest::of(name(&list[at - 1])).0[usize::from(level)] == 0;
        let longest = list.len().min(TREE_SPLIT_ENTRIES_MAX);
        let cut = (TREE_SPLIT_ENTRIES_MIN.min(longest)..longest).find(ends_here).unwrap_or(longest);
        let (part, rest) = list.split_at(cut);
        list = rest;
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::{Entry, EntryKind, Tree, decode, encode};
    use crate::id::Digest;
    use crate::limits::{TREE_SPLIT_ABOVE_BYTES, TREE_SPLIT_ENTRIES_MAX};

    fn entries(count: usize) -> Vec<Entry> {
        let entry = |number: usize| Entry {
            name: format!("file-{number:06}.txt").into_bytes().into(),
            kind: EntryKind::File,
            mode: 0o644,
            size: number as u64,
            id: Digest::of(&number.to_le_bytes()),
        };
        (0..count).map(entry).collect()
    }

    #[test]
    fn a_small_folder_is_one_leaf() {
        let list = entries(3);
        let tree = encode(&list);
        assert_eq!(tree.objects.len(), 1);
        assert_eq!(tree.size, 3);
        assert_eq!(decode(&tree.objects[0].1), Ok(Tree::Leaf(list)));
        assert_eq!(decode(&encode(&[]).objects[0].1), Ok(Tree::Leaf(Vec::new())));
    }

    #[test]
    fn one_more_file_in_a_large_folder_changes_two_objects() {
        let before = encode(&entries(50_000));
        let mut list = entries(50_001);
        list.remove(20_000);
        let mut more = entries(50_000);
        more.insert(20_001, Entry { name: (*b"file-020000.txt2").into(), ..list[5].clone() });
        let after = encode(&more);
        let known: std::collections::BTreeSet<_> = before.objects.iter().map(|object| object.0).collect();
        let new: Vec<_> = after.objects.iter().filter(|object| !known.contains(&object.0)).collect();
        assert_eq!(new.len(), 2);
        assert!(before.objects.iter().all(|object| object.1.len() <= 1_100 * 64));
        assert!(before.objects.len() > 50_000 / TREE_SPLIT_ENTRIES_MAX);
    }

    #[test]
    fn the_split_begins_one_byte_past_the_bound() {
        let one = encode(&entries(1)).objects[0].1.len();
        let two = encode(&entries(2)).objects[0].1.len();
        assert!(one < two);
        let count = (1..2_000).find(|&count| encode(&entries(count)).objects.len() > 1).unwrap();
        assert!(super::encode_leaf(&entries(count)).len() > TREE_SPLIT_ABOVE_BYTES);
        assert!(super::encode_leaf(&entries(count - 1)).len() <= TREE_SPLIT_ABOVE_BYTES);
    }

    #[test]
    fn hostile_lists_are_refused() {
        let list = entries(2);
        let good = super::encode_leaf(&list);
        let name_at = good.windows(4).position(|bytes| bytes == b"file").unwrap();
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            decode(&bytes)
        };
        assert!(decode(&good).is_ok());
        assert!(with(name_at, b'/').is_err(), "slash in a name");
        assert!(with(name_at, 0).is_err(), "NUL in a name");
        assert!(with(name_at, b'z').is_err(), "order");
        assert!(with(2, 9).is_err(), "kind");
        assert!(with(0, 9).is_err(), "level");
        assert!(decode(&good[..good.len() - 1]).is_err(), "truncated");
        assert!(decode(&[&good[..], b"x"].concat()).is_err(), "trailing");
        for name in [&b".."[..], b".", b""] {
            let mut bytes = vec![0, 1, 1, 0, u8::try_from(name.len()).unwrap()];
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(&[0; 33]);
            assert!(decode(&bytes).is_err(), "{name:?}");
        }
        let twice = [list[0].clone(), list[0].clone()];
        let mut bytes = super::encode_leaf(&twice[..1]);
        let entry = bytes[2..].to_vec();
        bytes[1] = 2;
        bytes.extend_from_slice(&entry);
        assert!(decode(&bytes).is_err(), "duplicate");
    }
}
