//! Writes the stat cache: changes are appended; when they become too long, the file is rewritten and renamed.
//!
//! The file is never synced, because it can be rebuilt: after a power loss a checksum fails, and that folder is read
//! once more. Writers of one workspace take turns through a kernel lock of the cache's own. A writer that finds the
//! lock taken, or finds that another process has written meanwhile, does not write: the other cache is as true as its
//! own. A file that others may have mapped is only appended to, never changed in place.

use std::collections::{BTreeMap, BTreeSet};

use super::{CacheKey, CachedEntry, CachedFolder, FolderFacts, StatCache, file_name};
use crate::disk::{Disk, Durability, LockMode, replace};
use crate::error::Result;
use crate::format::attributes::Owner;
use crate::format::cache::{
    self as bytes, BlockPosition, CACHE_HEADER_LENGTH_BYTES, CacheHeader, Extent, Line, PathKey, Proof,
};
use crate::format::tree::EntryKind;
use crate::id::{Digest, TreeId, WorkspaceId};
use crate::limits::CACHE_OVERLAY_MIN_BYTES;
use crate::path::TreePath;
use crate::workspace::stat::FileStat;

/// The results of a capture.
#[derive(Clone, Debug, Default)]
pub struct CacheUpdate {
    /// Folders whose list or tree id differs from the cache. A folder with a changed tree id comes with all its
    /// parents.
    pub folders: BTreeMap<TreePath, FolderUpdate>,
    /// Files that were read again and are settled now, by folder, for folders that are not in `folders`.
    pub settled: BTreeMap<TreePath, BTreeSet<Box<[u8]>>>,
    /// Number of files in the workspace.
    pub file_count: u64,
    /// Owner of the root folder; equal to the cached one, if there is one.
    pub root_owner: Owner,
}

/// The current state of one folder.
#[derive(Clone, Debug)]
pub struct FolderUpdate {
    /// Its tree, size and device.
    pub facts: FolderFacts,
    /// Its entries.
    pub entries: EntriesUpdate,
}

/// The current entries of a folder.
#[derive(Clone, Debug)]
pub enum EntriesUpdate {
    /// All entries, ascending by name.
    Whole(Vec<CacheEntry>),
    /// The cached entries, except that these child folders have new trees; ascending by name.
    Children(Vec<ChildUpdate>),
}

/// An entry of a folder, with the proof that it is unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheEntry {
    /// Name within the folder.
    pub name: Box<[u8]>,
    /// The kind of the entry.
    pub kind: EntryKind,
    /// Permission bits of the stat, in which an ACL shows its mask for the group; 0 for symlinks.
    pub mode: u16,
    /// Number of bytes read; for a folder, the sum of all below it. Equal to the size in the tree.
    pub size: u64,
    /// The stat under which the content was read. A folder's change time and inode stand for its attributes; its
    /// contents are proved by its own list.
    pub stat: FileStat,
    /// The proof that the stat gives, see [`crate::workspace::stat::RacyRule`]; for a folder, of its attributes only.
    pub proof: Proof,
    /// Id of the content, target or tree.
    pub id: Digest,
    /// Its own attributes, encoded; empty if it has none.
    pub attributes: Box<[u8]>,
    /// True if anything in this folder or below it has attributes.
    pub has_attributes_below: bool,
}

/// A child folder of a folder that is otherwise unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildUpdate {
    /// Its name.
    pub name: Box<[u8]>,
    /// Its current tree.
    pub tree: TreeId,
    /// Sum of the sizes below it, in bytes.
    pub size: u64,
    /// True if anything in it or below it has attributes.
    pub has_attributes: bool,
}

/// The result of storing an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// The cache already has all of it.
    Unchanged,
    /// The changes were appended.
    Appended,
    /// The file was rewritten.
    Rewritten,
    /// Another process is writing, or has written since `cache` was loaded.
    Skipped,
}

/// Writes the changes since `cache` was loaded. Call it only after everything named is durable in the store.
///
/// Panics if a folder's tree id differs from the one in its parent's list.
pub fn store(disk: &dyn Disk, cache: &StatCache, update: &CacheUpdate) -> Result<Stored> {
    check_that_lists_agree(cache, update);
    let folder = format!("workspaces/{}", cache.key.workspace);
    if cache.is_empty() {
        disk.create_folder(&folder)?;
    }
    let Some(_lock) = disk.lock(&format!("{folder}/stat-lock"), LockMode::TryExclusive)? else {
        return Ok(Stored::Skipped);
    };
    let Some(state) = cache.state.as_ref().filter(|state| state.end == cache.bytes.len()) else {
        return rewrite(disk, cache, update);
    };
    let Some(blocks) = changed_blocks(cache, update) else {
        return rewrite(disk, cache, update);
    };
    if blocks.is_empty() {
        return Ok(Stored::Unchanged);
    }
    let group = bytes::encode_group(state.checksum, &blocks);
    let appended = (state.end - state.table.end + group.len()) as u64;
    if appended > CACHE_OVERLAY_MIN_BYTES.max(state.table.end as u64 / OVERLAY_SHARE) {
        return rewrite(disk, cache, update);
    }
    let name = file_name(cache.key.workspace);
    if !is_as_loaded(disk, &name, &cache.bytes)? {
        return Ok(Stored::Skipped);
    }
    disk.write(&name, state.end as u64, &group)?;
    Ok(Stored::Appended)
}

/// Removes the cache of a workspace, so that the next capture reads everything.
pub fn forget(disk: &dyn Disk, workspace: WorkspaceId) -> Result<()> {
    disk.remove(&file_name(workspace))
}

/// The appended changes may have this fraction of the length of the rest: every load reads them.
const OVERLAY_SHARE: u64 = 4;

/// Number of bytes written at once when the file is rewritten.
const WRITE_LENGTH_BYTES: usize = 1 << 20;

/// Number of bytes compared at the end of the file, to check that it is the one that was loaded.
const END_LENGTH_BYTES: usize = 32;

impl CacheEntry {
    fn view(&self, folder_device: u64) -> CachedEntry<'_> {
        let is_folder = self.kind == EntryKind::Folder;
        let FileStat { ctime_ns, inode, .. } = self.stat;
        let of_folder = FileStat { device: folder_device, ctime_ns, inode, ..FileStat::default() };
        let stat = if is_folder { of_folder } else { self.stat };
        // A file whose length differs from its stat proves nothing: it was torn, or the file system is unreliable.
        let proof = if is_folder || self.size == self.stat.size { self.proof } else { Proof::Racy };
        CachedEntry {
            name: &self.name,
            kind: self.kind,
            mode: self.mode,
            proof,
            is_on_other_device: stat.device != folder_device,
            size: self.size,
            mtime_ns: stat.mtime_ns,
            ctime_ns: stat.ctime_ns,
            inode: stat.inode,
            id: self.id,
            attributes: &self.attributes,
            has_attributes_below: self.has_attributes_below,
        }
    }
}

impl FolderUpdate {
    fn find<'e>(&'e self, cached: Option<&CachedFolder<'e>>, name: &[u8]) -> Option<CachedEntry<'e>> {
        match &self.entries {
            EntriesUpdate::Whole(entries) => {
                let at = entries.binary_search_by(|entry| (*entry.name).cmp(name)).ok()?;
                Some(entries[at].view(self.facts.device))
            }
            EntriesUpdate::Children(children) => {
                let entry = cached?.find(name)?;
                match children.binary_search_by(|child| (*child.name).cmp(name)) {
                    Ok(at) => Some(children[at].on(entry)),
                    Err(_) => Some(entry),
                }
            }
        }
    }

    /// The lines that differ from the cached ones.
    fn difference<'e>(&'e self, cached: &CachedFolder<'e>) -> Vec<Line<'e>> {
        match &self.entries {
            EntriesUpdate::Whole(entries) => {
                let now = entries.iter().map(|entry| entry.view(self.facts.device));
                difference(cached.entries(), now)
            }
            EntriesUpdate::Children(children) => {
                let found =
                    |child: &ChildUpdate| cached.find(&child.name).expect("a child folder is in the cached list");
                let lines = children.iter().map(|child| (found(child), child.on(found(child))));
                lines.filter(|(before, now)| before != now).map(|(_, now)| Line::Entry(now)).collect()
            }
        }
    }
}

impl ChildUpdate {
    fn on<'a>(&self, entry: CachedEntry<'a>) -> CachedEntry<'a> {
        assert!(entry.kind == EntryKind::Folder, "only folders are child folders");
        let has_attributes_below = self.has_attributes;
        CachedEntry { id: self.tree.0, size: self.size, has_attributes_below, ..entry }
    }
}

/// Checks the invariant that an unchanged folder means an unchanged tree.
fn check_that_lists_agree(cache: &StatCache, update: &CacheUpdate) {
    for (path, folder) in &update.folders {
        let (Some(parent_path), Some(name)) = (path.parent(), path.name()) else {
            continue;
        };
        let cached = cache.folder(&parent_path);
        let in_parent = match update.folders.get(&parent_path) {
            Some(parent) => parent.find(cached.as_ref(), name),
            None => cached.as_ref().and_then(|parent| parent.find(name)),
        };
        let FolderFacts { tree, has_attributes, .. } = folder.facts;
        let agrees = in_parent.is_some_and(|entry| {
            entry.kind == EntryKind::Folder && entry.id == tree.0 && entry.has_attributes_below == has_attributes
        });
        assert!(agrees, "the list of a folder has the tree of each child folder");
    }
}

/// One block for each folder that differs from the cache. `None` if one is too large: no appended block can make its
/// old block unknown.
fn changed_blocks(cache: &StatCache, update: &CacheUpdate) -> Option<Vec<u8>> {
    let mut blocks = Vec::new();
    for (path, folder) in &update.folders {
        let cached = cache.folder(path).filter(|cached| cached.facts.device == folder.facts.device);
        if let Some(cached) = &cached {
            let lines = folder.difference(cached);
            if lines.is_empty() && cached.facts == folder.facts {
                continue;
            }
            if lines.len() * 2 <= cached.base.line_count() + 2 {
                put_difference(&mut blocks, path, &folder.facts, lines);
                continue;
            }
        }
        put_whole(&mut blocks, cache, path, update)?;
    }
    for (path, names) in &update.settled {
        let Some(cached) = cache.folder(path).filter(|_| !update.folders.contains_key(path)) else { continue };
        let improved = names.iter().filter_map(|name| cached.find(name)).filter(|entry| settled(*entry) != *entry);
        let lines: Vec<Line<'_>> = improved.map(|entry| Line::Entry(settled(entry))).collect();
        if !lines.is_empty() {
            put_difference(&mut blocks, path, &cached.facts, lines);
        }
    }
    Some(blocks)
}

/// The entry of a file that was read again: its proof may improve.
fn settled(entry: CachedEntry<'_>) -> CachedEntry<'_> {
    let proof = if entry.proof == Proof::Recent { Proof::Settled } else { entry.proof };
    CachedEntry { proof, ..entry }
}

fn put_difference(out: &mut Vec<u8>, path: &TreePath, facts: &FolderFacts, lines: Vec<Line<'_>>) {
    let put = bytes::put_block(out, PathKey::of(path.as_bytes()), Extent::Difference, facts, lines.into_iter());
    put.expect("a difference is no longer than the folder it is of");
}

/// Appends the block of a whole folder; `None` if it is too large or unknown.
fn put_whole(out: &mut Vec<u8>, cache: &StatCache, path: &TreePath, update: &CacheUpdate) -> Option<()> {
    let (changed, settled_names) = (update.folders.get(path), update.settled.get(path));
    let cached = cache.folder(path);
    let facts = changed.map(|changed| changed.facts).or_else(|| cached.as_ref().map(CachedFolder::facts))?;
    let entries: Box<dyn Iterator<Item = CachedEntry<'_>>> = match changed.map(|changed| &changed.entries) {
        Some(EntriesUpdate::Whole(entries)) => Box::new(entries.iter().map(|entry| entry.view(facts.device))),
        Some(EntriesUpdate::Children(children)) => {
            let mut children = children.iter().peekable();
            Box::new(cached.as_ref()?.entries().map(move |entry| {
                children.next_if(|child| *child.name == *entry.name).map_or(entry, |child| child.on(entry))
            }))
        }
        None => Box::new(cached.as_ref()?.entries().map(|entry| {
            let is_settled = settled_names.is_some_and(|names| names.contains(entry.name));
            if is_settled { settled(entry) } else { entry }
        })),
    };
    bytes::put_block(out, PathKey::of(path.as_bytes()), Extent::Whole, &facts, entries.map(Line::Entry)).ok()
}

/// Writes all reachable folders into a new file, which replaces the old one.
fn rewrite(disk: &dyn Disk, cache: &StatCache, update: &CacheUpdate) -> Result<Stored> {
    let name = file_name(cache.key.workspace);
    replace(disk, &name, Durability::Checked, |temporary| write_whole(disk, temporary, cache, update, disk.random()))?;
    Ok(Stored::Rewritten)
}

fn write_whole(disk: &dyn Disk, name: &str, cache: &StatCache, update: &CacheUpdate, random: [u8; 16]) -> Result<()> {
    let mut buffer = vec![0; CACHE_HEADER_LENGTH_BYTES];
    let mut written = 0_u64;
    let mut positions: Vec<BlockPosition> = Vec::new();
    let mut waiting = vec![TreePath::root()];
    while let Some(path) = waiting.pop() {
        let start = buffer.len();
        if put_whole(&mut buffer, cache, &path, update).is_none() {
            // An unknown folder, and everything below it, is read again next time.
            buffer.truncate(start);
            continue;
        }
        let block = bytes::decode_block(&buffer[start..]).expect("a block reads back as it was written");
        let first = waiting.len();
        waiting.extend(block.lines().filter_map(|line| child_folder(&path, &line)));
        waiting[first..].reverse();
        positions.push(BlockPosition {
            hash: block.key.hash(),
            offset: written + start as u64,
            length: u32::try_from(buffer.len() - start).expect("a block is at most 4 GiB long"),
        });
        if buffer.len() >= WRITE_LENGTH_BYTES {
            disk.write(name, written, &buffer)?;
            written += buffer.len() as u64;
            buffer.clear();
        }
    }
    positions.sort_unstable();
    let table = bytes::encode_table(&positions);
    let table_offset = written + buffer.len() as u64;
    buffer.extend_from_slice(&table);
    disk.write(name, written, &buffer)?;
    let CacheKey { store, workspace, generation } = cache.key;
    let header = CacheHeader {
        store,
        workspace,
        root_owner: update.root_owner,
        generation,
        nonce: u64::from_le_bytes(random.first_chunk().copied().expect("sixteen bytes are more than eight")),
        file_count: update.file_count,
        table_offset,
        folder_count: u32::try_from(positions.len()).expect("fewer than 2^32 folders"),
        table_checksum: crate::format::checksum(&[&table]),
    };
    disk.write(name, 0, &bytes::encode_header(&header))
}

fn child_folder(path: &TreePath, line: &Line<'_>) -> Option<TreePath> {
    match line {
        Line::Entry(entry) if entry.kind == EntryKind::Folder => Some(path.join(entry.name)),
        Line::Entry(_) | Line::Gone(_) => None,
    }
}

/// The lines that turn `before` into `now`; both ascend by name.
fn difference<'e>(
    before: impl Iterator<Item = CachedEntry<'e>>,
    now: impl Iterator<Item = CachedEntry<'e>>,
) -> Vec<Line<'e>> {
    let (mut before, mut now) = (before.peekable(), now.peekable());
    let mut lines = Vec::new();
    loop {
        match (before.peek(), now.peek()) {
            (None, None) => return lines,
            (Some(old), new) if new.is_none_or(|new| old.name < new.name) => {
                lines.push(Line::Gone(old.name));
                before.next();
            }
            (old, Some(new)) => {
                let is_same_name = old.is_some_and(|old| old.name == new.name);
                if old != Some(new) {
                    lines.push(Line::Entry(*new));
                }
                now.next();
                if is_same_name {
                    before.next();
                }
            }
            (Some(_), None) => unreachable!("names that are only in the old list were taken above"),
        }
    }
}

/// Returns true if the file is the one that was loaded, by the nonce in its header, its length and its last checksum.
fn is_as_loaded(disk: &dyn Disk, name: &str, loaded: &[u8]) -> Result<bool> {
    let file = disk.open(name)?;
    if file.length()? != loaded.len() as u64 {
        return Ok(false);
    }
    let mut header = [0; CACHE_HEADER_LENGTH_BYTES];
    let mut end = [0; END_LENGTH_BYTES];
    let end_start = loaded.len() - END_LENGTH_BYTES;
    file.read_at(0, &mut header)?;
    file.read_at(end_start as u64, &mut end)?;
    Ok(header == loaded[..CACHE_HEADER_LENGTH_BYTES] && end == loaded[end_start..])
}
