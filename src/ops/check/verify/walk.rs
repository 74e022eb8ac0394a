//! The walk from snapshots down to contents, which finds the damaged objects that each snapshot needs, and their paths.
//!
//! Each distinct tree is read once, however many snapshots share it. Only for trees with damage below them is the
//! damage kept. The walk has its own stack, because folders may be deeper than the stack of a thread.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::Part;
use super::damage::{Budget, Damages, StepPosition};
use super::lists::Lists;
use crate::error::{Error, Result};
use crate::format::chunk_list;
use crate::format::pack::{ObjectKey, ObjectKind};
use crate::format::snapshot::Attachment;
use crate::format::tree::{Entry, Tree};
use crate::id::{BlobId, Digest, SnapshotId, TreeId};
use crate::limits::{FOLDER_DEPTH_MAX, WALK_LENGTH_MAX_BYTES, WALK_STEP_BYTES};
use crate::store::Reader;

/// Walks all snapshots that have a name, and adds their needs to the damaged objects. Returns the number of snapshots.
pub(super) fn walk(reader: &Reader, damages: &mut Damages, decodes_lists: bool) -> Result<u64> {
    let (below, sound, long) = (HashMap::new(), HashSet::new(), HashMap::new());
    let mut walk = Walk { reader, damages, below, sound, long, lists: decodes_lists.then(Lists::default) };
    let state = reader.state();
    let mut seen = BTreeSet::new();
    let mut count = 0;
    // Forgotten workspaces can be recalled.
    for workspace in state.all_workspaces() {
        let mut before = None;
        for (step, id) in &workspace.steps {
            walk.snapshot(*id, &StepPosition { workspace: Some(workspace.id), step: *step, before, snapshot: None })?;
            seen.insert(*id);
            before = Some(*step);
            count += 1;
        }
    }
    let named = state.all_workspaces().flat_map(|workspace| workspace.tags.values().copied().chain(workspace.head));
    let named: BTreeSet<SnapshotId> = named.chain(state.pins.iter().copied()).collect();
    for id in named.difference(&seen) {
        walk.snapshot(*id, &StepPosition { workspace: None, step: 0, before: None, snapshot: Some(*id) })?;
        count += 1;
    }
    Ok(count)
}

/// Damaged objects below a folder, by path.
type Below = Rc<Vec<(Vec<u8>, ObjectKey)>>;

struct Walk<'a> {
    reader: &'a Reader,
    damages: &'a mut Damages,
    /// Folders with damage below them.
    below: HashMap<TreeId, Below>,
    /// Folders without damage.
    sound: HashSet<TreeId>,
    /// Files of several chunks, and their damaged objects.
    long: HashMap<BlobId, Vec<ObjectKey>>,
    /// The lists of paths that are attached to snapshots, where they are to be decoded.
    lists: Option<Lists>,
}

/// A folder on the way down.
struct Frame {
    id: TreeId,
    /// The number of its entries.
    count: u64,
    entries: std::vec::IntoIter<Entry>,
    below: Vec<(Vec<u8>, ObjectKey)>,
    /// The name that leads to the folder being walked below this one.
    name: Box<[u8]>,
}

/// The approximate size of an entry beside its path, in bytes.
const ENTRY_BYTES: usize = 64;

impl Walk<'_> {
    fn snapshot(&mut self, id: SnapshotId, step: &StepPosition) -> Result<()> {
        let snapshot = match self.reader.snapshot(id) {
            Ok(snapshot) => snapshot,
            Err(error) => {
                let key = self.unreadable(ObjectKind::Snapshot, id.0, error)?;
                self.damages.need(key, step, None, Part::Snapshot);
                return Ok(());
            }
        };
        for (path, key) in self.tree(snapshot.root)?.iter() {
            if !self.damages.need(*key, step, Some(path), Part::Snapshot) {
                return Ok(());
            }
        }
        let parts = [Part::Event, Part::Times, Part::Omitted, Part::Attributes, Part::Excluded];
        let attached = snapshot.attachments().into_iter().zip(parts);
        let attached = attached.filter_map(|(attachment, part)| match attachment {
            Attachment::Blob(blob) => Some((*blob, part)),
            _ => None,
        });
        let noted = self.reader.state().noted.get(&id).cloned().unwrap_or_default();
        let noted = noted.newest.iter().map(|noted| (noted.event, Part::Event));
        for (blob, part) in [(snapshot.rules, Part::Rules)].into_iter().chain(attached).chain(noted) {
            for key in self.blob(blob)? {
                if !self.damages.need(key, step, None, part.clone()) {
                    return Ok(());
                }
            }
        }
        if let Some(lists) = &mut self.lists
            && let Some(reason) = lists.decode(self.reader, &snapshot)?
        {
            let error = Error::corrupt("read lists of", "snapshot", reason);
            let key = self.unreadable(ObjectKind::Snapshot, id.0, error)?;
            self.damages.need(key, step, None, Part::Snapshot);
        }
        Ok(())
    }

    /// The damaged objects at and below a tree.
    fn tree(&mut self, root: TreeId) -> Result<Below> {
        let mut stack: Vec<Frame> = self.enter(root, 0, 0)?.into_iter().collect();
        let mut open_entries = stack.iter().map(|frame| frame.count).sum();
        while let Some(depth) = stack.len().checked_sub(1) {
            let frame = &mut stack[depth];
            let Some(entry) = frame.entries.next() else {
                let Frame { id, below, count, .. } = stack.pop().expect("it is the last");
                open_entries -= count;
                if below.is_empty() {
                    self.sound.insert(id);
                } else {
                    self.below.insert(id, Rc::new(below));
                }
                if let Some(above) = stack.last_mut() {
                    above.take_in(self.below.get(&id), &mut self.damages.budget);
                }
                continue;
            };
            frame.name = entry.name.clone();
            match (entry.tree(), entry.blob()) {
                (Some(tree), _) => match self.enter(tree, depth + 1, open_entries)? {
                    Some(below) => {
                        open_entries += below.count;
                        stack.push(below);
                    }
                    None => frame.take_in(self.below.get(&tree), &mut self.damages.budget),
                },
                (None, Some(blob)) => {
                    for key in self.blob(blob)? {
                        frame.add(&[], key, &mut self.damages.budget);
                    }
                }
                (None, None) => {}
            }
        }
        Ok(self.below.get(&root).cloned().unwrap_or_default())
    }

    /// Opens a folder, below others with so many entries; `None` if its damage is known already.
    fn enter(&mut self, id: TreeId, depth: usize, open_entries: u64) -> Result<Option<Frame>> {
        if self.sound.contains(&id) || self.below.contains_key(&id) {
            return Ok(None);
        }
        let is_too_deep = depth > FOLDER_DEPTH_MAX || open_entries > WALK_LENGTH_MAX_BYTES / WALK_STEP_BYTES;
        let folder = if is_too_deep {
            Err(Error::corrupt("walk folder", id, "it and what it is in are deeper or longer than anything recorded"))
        } else {
            self.reader.folder(id)
        };
        match folder {
            Ok(entries) => {
                let (count, entries) = (entries.len() as u64, entries.into_iter());
                Ok(Some(Frame { id, count, entries, below: Vec::new(), name: Box::default() }))
            }
            Err(error) => {
                let keys = self.lists_of(id, error)?;
                let keys = self.within_budget(keys);
                self.below.insert(id, Rc::new(keys.into_iter().map(|key| (Vec::new(), key)).collect()));
                Ok(None)
            }
        }
    }

    /// The unreadable lists of a folder; the folder itself if all of them are readable.
    fn lists_of(&mut self, folder: TreeId, error: Error) -> Result<Vec<ObjectKey>> {
        let mut keys = Vec::new();
        let mut left = vec![folder];
        let mut seen = HashSet::from([folder]);
        while let Some(list) = left.pop() {
            match self.reader.tree(list) {
                Ok(Tree::Node { children, .. }) => {
                    left.extend(children.iter().map(|child| child.id).filter(|id| seen.insert(*id)));
                }
                Ok(Tree::Leaf(_)) => {}
                Err(error) => keys.push(self.unreadable(ObjectKind::Tree, list.0, error)?),
            }
        }
        if keys.is_empty() {
            keys.push(self.unreadable(ObjectKind::Tree, folder.0, error)?);
        }
        Ok(keys)
    }

    /// The damaged objects of a content.
    fn blob(&mut self, id: BlobId) -> Result<Vec<ObjectKey>> {
        if let Some(keys) = self.long.get(&id) {
            return Ok(keys.clone());
        }
        if self.reader.contains(ObjectKind::Content, &id.0) {
            return Ok(self.damages.includes(ObjectKind::Content, id.0).into_iter().collect());
        }
        if !self.reader.contains(ObjectKind::ChunkList, &id.0) {
            let was_list = self.damages.contains(ObjectKey::new(ObjectKind::ChunkList, &id.0));
            let kind = if was_list { ObjectKind::ChunkList } else { ObjectKind::Content };
            return Ok(vec![self.damages.add_missing(kind, id.0)]);
        }
        let keys = self.long_blob(id)?;
        let keys = self.within_budget(keys);
        self.long.insert(id, keys.clone());
        Ok(keys)
    }

    fn long_blob(&mut self, id: BlobId) -> Result<Vec<ObjectKey>> {
        let list = self.reader.object(ObjectKind::ChunkList, &id.0);
        let chunks = list.and_then(|bytes| {
            chunk_list::decode(&bytes).map_err(|malformed| malformed.during("read chunk list of", id))
        });
        let chunks = match chunks {
            Ok(chunks) => chunks,
            Err(error) => return Ok(vec![self.unreadable(ObjectKind::ChunkList, id.0, error)?]),
        };
        let mut keys: Vec<ObjectKey> = self.damages.includes(ObjectKind::ChunkList, id.0).into_iter().collect();
        for chunk in chunks {
            if self.reader.contains(ObjectKind::Content, &chunk.id.0) {
                keys.extend(self.damages.includes(ObjectKind::Content, chunk.id.0));
            } else {
                keys.push(self.damages.add_missing(ObjectKind::Content, chunk.id.0));
            }
        }
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    fn unreadable(&mut self, kind: ObjectKind, id: Digest, error: Error) -> Result<ObjectKey> {
        let place = self.reader.place_of(ObjectKey::new(kind, &id));
        self.damages.add(kind, id, place, error)
    }

    /// These objects, or one of them if there is no room for more.
    fn within_budget(&mut self, mut keys: Vec<ObjectKey>) -> Vec<ObjectKey> {
        if !self.damages.budget.take(keys.len() * ENTRY_BYTES) {
            keys.truncate(1);
        }
        keys
    }
}

impl Frame {
    /// Adds the damaged objects below the entry of the current name.
    fn take_in(&mut self, below: Option<&Below>, budget: &mut Budget) {
        for (path, key) in below.into_iter().flat_map(|below| below.iter()) {
            self.add(path, *key, budget);
            if budget.is_spent() {
                return;
            }
        }
    }

    /// Adds a damaged object at a path below the entry of the current name, or at the entry itself. When the budget is
    /// spent, the first one stands for the whole folder.
    fn add(&mut self, path: &[u8], key: ObjectKey, budget: &mut Budget) {
        let name = &self.name[..];
        if budget.take(name.len() + path.len() + ENTRY_BYTES) {
            let full = if path.is_empty() { name.to_vec() } else { [name, b"/", path].concat() };
            self.below.push((full, key));
        } else if self.below.is_empty() {
            self.below.push((Vec::new(), key));
        }
    }
}
