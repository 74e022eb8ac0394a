//! The stat cache of a workspace: its state at the last capture, used without reading its files.
//!
//! There is one file per workspace, `workspaces/ID/stat`, mapped and searched in place (encoding:
//! [`crate::format::cache`]). Loading decodes only the positions of folders that changed since the last full write, so
//! it takes microseconds, and memory does not grow with the workspace.
//!
//! Every snapshot depends on these invariants:
//!
//! - *An entry is true by itself.* "A file with this stat has this content" was observed once. It is still true, or the
//!   file's stat has changed. A stale copy of the cache file is therefore harmless.
//! - *A list is true by itself.* "These entries make this tree id."
//! - *Lists agree.* If a list has a child folder, and the cache has that folder too, both give it the same tree id.
//!   [`store`] asserts it, and groups that are whole or absent preserve it. Without it, a changed folder's parent could
//!   be taken for unchanged.
//! - *Everything named is in the store.* The caller writes the cache after its objects are durable, and gc raises the
//!   generation before it deletes anything.
//!
//! Anything missing or damaged, or of another store, workspace or generation, is unknown and costs a read. A deleted
//! folder keeps its block until the next full write: it is true by itself, and useful if the folder returns.

mod update;

use std::ops::Range;

pub use crate::format::cache::{CachedEntry, FolderFacts, Proof};
pub use update::{CacheEntry, CacheUpdate, ChildUpdate, EntriesUpdate, FolderUpdate, Stored, forget, store};

use crate::disk::{Bytes, Disk};
use crate::format::attributes::Owner;
use crate::format::cache::{self as bytes, BLOCK_POSITION_LENGTH_BYTES, Block, Extent, Line, PathKey};
use crate::id::{StoreId, TreeId, WorkspaceId};
use crate::limits::CACHE_LENGTH_MAX_BYTES;
use crate::path::TreePath;

/// The identity of a stat cache. A file with another key is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheKey {
    /// The store that has the objects.
    pub store: StoreId,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Raised by gc before it deletes anything.
    pub generation: u64,
}

/// The stat cache of one workspace, as of its last capture.
#[derive(Debug)]
pub struct StatCache {
    key: CacheKey,
    bytes: Bytes,
    state: Option<State>,
}

/// The checked header, table and groups of the file.
#[derive(Debug)]
struct State {
    root_owner: Owner,
    /// Range of the table in the file.
    table: Range<usize>,
    /// Blocks of the groups, by hash, then in the order in which they were written.
    changed: Vec<Changed>,
    /// End of the last intact group; anything after it is damaged.
    end: usize,
    /// Checksum that the next group continues.
    checksum: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Changed {
    hash: u64,
    start: usize,
    end: usize,
}

/// One folder in the stat cache.
#[derive(Clone, Debug)]
pub struct CachedFolder<'a> {
    facts: FolderFacts,
    base: Block<'a>,
    /// Lines that replace those of the base, ascending by name.
    difference: Vec<Line<'a>>,
}

/// The entries of a folder, ascending by name.
#[derive(Clone, Debug)]
pub struct Entries<'f, 'a> {
    base: Block<'a>,
    next: usize,
    difference: &'f [Line<'a>],
}

impl StatCache {
    /// Maps the cache of a workspace; empty if it is missing or cannot be used.
    pub fn load(disk: &dyn Disk, key: CacheKey) -> Self {
        let bytes = disk.map(&file_name(key.workspace)).ok().filter(|bytes| bytes.len() <= CACHE_LENGTH_MAX_BYTES);
        let bytes = bytes.unwrap_or_else(|| Bytes::owned(Vec::new()));
        let state = State::read(&key, &bytes);
        Self { key, bytes, state }
    }

    /// An empty cache.
    pub fn empty(key: CacheKey) -> Self {
        Self { key, bytes: Bytes::owned(Vec::new()), state: None }
    }

    /// The identity of the cache.
    pub fn key(&self) -> CacheKey {
        self.key
    }

    /// Returns true if nothing is known.
    pub fn is_empty(&self) -> bool {
        self.state.is_none()
    }

    /// The owner of the root folder; attributes name only other owners.
    pub fn root_owner(&self) -> Option<Owner> {
        self.state.as_ref().map(|state| state.root_owner)
    }

    /// The root tree of the last capture.
    pub fn root(&self) -> Option<TreeId> {
        self.folder(&TreePath::root()).map(|folder| folder.tree())
    }

    /// One folder, if it is known and undamaged.
    pub fn folder(&self, path: &TreePath) -> Option<CachedFolder<'_>> {
        let state = self.state.as_ref()?;
        let key = PathKey::of(path.as_bytes());
        let hash = key.hash();
        let first = state.changed.partition_point(|changed| changed.hash < hash);
        let changed = state.changed[first..].iter().take_while(|changed| changed.hash == hash);
        let mut base = self.base_block(state, key);
        let mut later: Vec<Block<'_>> = Vec::new();
        for changed in changed {
            let block = bytes::decode_block(&self.bytes[changed.start..changed.end]).ok()?;
            match block.extent {
                _ if block.key != key => {}
                Extent::Whole => {
                    later.clear();
                    base = Some(block);
                }
                Extent::Difference => later.push(block),
            }
        }
        let base = base?;
        let facts = later.last().map_or(base.facts, |block| block.facts);
        Some(CachedFolder { facts, base, difference: combine(&later) })
    }

    fn base_block(&self, state: &State, key: PathKey) -> Option<Block<'_>> {
        bytes::positions_of(self.table(state), key.hash()).find_map(|position| {
            let start = usize::try_from(position.offset).ok()?;
            let end = start.checked_add(usize::try_from(position.length).ok()?)?;
            let block = bytes::decode_block(self.bytes.get(start..end)?).ok()?;
            (block.key == key && block.extent == Extent::Whole).then_some(block)
        })
    }

    fn table(&self, state: &State) -> &[[u8; BLOCK_POSITION_LENGTH_BYTES]] {
        self.bytes[state.table.clone()].as_chunks().0
    }
}

impl State {
    fn read(key: &CacheKey, file: &[u8]) -> Option<Self> {
        let (header, mut checksum) = bytes::decode_header(file).ok()?;
        let found = CacheKey { store: header.store, workspace: header.workspace, generation: header.generation };
        if found != *key {
            return None;
        }
        let table_start = usize::try_from(header.table_offset).ok()?;
        let table_end = table_start + bytes::table(&header, file)?.as_flattened().len();
        let mut changed = Vec::new();
        let mut end = table_end;
        while let Some(group) = bytes::decode_group(checksum, &file[end..]) {
            let Some(found) = positions_of_blocks(group.blocks, group.blocks_start(end)) else { break };
            changed.extend(found);
            checksum = group.checksum;
            end += group.length_bytes;
        }
        changed.sort_unstable();
        Some(Self { root_owner: header.root_owner, table: table_start..table_end, changed, end, checksum })
    }
}

/// The position of each block of a group; `None` if one of them is malformed.
fn positions_of_blocks(blocks: &[u8], blocks_start: usize) -> Option<Vec<Changed>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < blocks.len() {
        let length = bytes::block_length_bytes(&blocks[at..])?;
        let block = bytes::decode_block(&blocks[at..at + length]).ok()?;
        let start = blocks_start + at;
        found.push(Changed { hash: block.key.hash(), start, end: start + length });
        at += length;
    }
    Some(found)
}

impl<'a> CachedFolder<'a> {
    /// The folder's tree, size and device.
    pub fn facts(&self) -> FolderFacts {
        self.facts
    }

    /// The id of its tree.
    pub fn tree(&self) -> TreeId {
        self.facts.tree
    }

    /// Its entries, ascending by name.
    pub fn entries(&self) -> Entries<'_, 'a> {
        Entries { base: self.base, next: 0, difference: &self.difference }
    }

    /// The entry with this name.
    pub fn find(&self, name: &[u8]) -> Option<CachedEntry<'a>> {
        let line = match self.difference.binary_search_by(|line| line.name().cmp(name)) {
            Ok(at) => self.difference[at],
            Err(_) => self.base.line(self.base.position(name)?),
        };
        match line {
            Line::Entry(entry) => Some(entry),
            Line::Gone(_) => None,
        }
    }
}

impl<'a> Iterator for Entries<'_, 'a> {
    type Item = CachedEntry<'a>;

    fn next(&mut self) -> Option<CachedEntry<'a>> {
        loop {
            let base = (self.next < self.base.line_count()).then(|| self.base.line(self.next));
            let line = match (base, self.difference.split_first()) {
                (None, None) => return None,
                (Some(base), None) => {
                    self.next += 1;
                    base
                }
                (Some(base), Some((changed, _))) if base.name() < changed.name() => {
                    self.next += 1;
                    base
                }
                (base, Some((changed, rest))) => {
                    self.next += usize::from(base.is_some_and(|base| base.name() == changed.name()));
                    self.difference = rest;
                    *changed
                }
            };
            if let Line::Entry(entry) = line {
                return Some(entry);
            }
        }
    }
}

/// The lines of blocks written one after another; of several with one name, the last.
fn combine<'a>(blocks: &[Block<'a>]) -> Vec<Line<'a>> {
    let mut lines: Vec<Line<'a>> = blocks.iter().rev().flat_map(|block| block.lines()).collect();
    // A stable sort keeps the latest line of a name first, and `dedup` keeps the first.
    lines.sort_by(|a, b| a.name().cmp(b.name()));
    lines.dedup_by(|later, earlier| later.name() == earlier.name());
    lines
}

fn file_name(workspace: WorkspaceId) -> String {
    format!("workspaces/{workspace}/stat")
}

#[cfg(test)]
mod tests;
