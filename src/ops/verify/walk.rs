//! From snapshots down to contents: which damaged objects each of them needs, and where.
//!
//! Each distinct tree is read once, however many snapshots share it; only trees with damage below them are remembered with
//! what it is. The walk keeps its own stack, because folders may be deeper than a thread's stack would allow.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::RangeInclusive;
use std::rc::Rc;

use super::{Affected, Part};
use crate::error::{Error, ErrorKind, Result};
use crate::format::chunk_list;
use crate::format::pack::ObjectKind;
use crate::format::snapshot::{Attachment, Snapshot, decode_omitted, decode_times};
use crate::format::tree::{Entry, Tree};
use crate::id::{BlobId, Digest, SnapshotId, TreeId, WorkspaceId};
use crate::limits::AFFECTED_PATHS_MAX;
use crate::ops::ingest::attached;
use crate::path::TreePath;
use crate::store::Store;
use crate::store::inspect::{Checked, Inspection};

/// An object as far as its record names it.
pub(in crate::ops) type Key = (ObjectKind, [u8; 16]);

/// What is known about damaged and missing objects.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) objects: BTreeMap<Key, Trouble>,
    pub(super) snapshots: u64,
}

/// One damaged or missing object.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    pub(super) id: Option<Digest>,
    pub(super) file: Option<String>,
    pub(super) offset: Option<u64>,
    pub(super) detail: String,
    pub(super) base: Option<[u8; 16]>,
    /// There is another copy, which is whole.
    pub(super) is_spare: bool,
    needed: BTreeMap<Need, Vec<RangeInclusive<u64>>>,
}

/// Who needs an object, and where: a workspace, or a snapshot that is no step of any.
type Need = (Option<WorkspaceId>, Option<SnapshotId>, Part);

/// Walks all snapshots that have a name.
pub(super) fn walk(inspection: &Inspection, checked: &Checked, decodes_lists: bool) -> Result<Walked> {
    let store = &inspection.as_read;
    let mut walk = Walk {
        store,
        walked: Walked { objects: known_troubles(inspection, checked)?, snapshots: 0 },
        hurt: HashMap::new(),
        sound: HashSet::new(),
        long: HashMap::new(),
        decodes_lists,
    };
    let state = store.state();
    let mut seen = BTreeSet::new();
    for workspace in state.workspaces.values() {
        let mut before = None;
        for (step, id) in &workspace.steps {
            let place = Place { workspace: Some(workspace.id), step: *step, before, snapshot: None };
            walk.snapshot(*id, &place)?;
            seen.insert(*id);
            before = Some(*step);
        }
    }
    let heads = state.workspaces.values().filter_map(|workspace| workspace.head);
    let named: BTreeSet<SnapshotId> = state.tags.values().chain(&state.pins).copied().chain(heads).collect();
    for id in named.difference(&seen) {
        walk.snapshot(*id, &Place { workspace: None, step: 0, before: None, snapshot: Some(*id) })?;
    }
    Ok(walk.walked)
}

/// Damage that the packs themselves show, whoever needs it.
fn known_troubles(inspection: &Inspection, checked: &Checked) -> Result<BTreeMap<Key, Trouble>> {
    let mut troubles = BTreeMap::new();
    let trouble = |file: &str, offset: u64, detail: &str| Trouble {
        file: Some(file.to_owned()),
        offset: Some(offset),
        detail: detail.to_owned(),
        ..Trouble::default()
    };
    for pack in &inspection.packs {
        for (kind, prefix, offset) in &pack.lost {
            let detail = if *offset < pack.length_bytes { "its record is damaged" } else { "its record was cut off" };
            troubles.insert((*kind, *prefix), trouble(&pack.file, *offset, detail));
        }
        for entry in pack.damaged.iter().flat_map(|stretch| &stretch.broken) {
            let detail = "its record does not match its checksum";
            troubles.insert((entry.kind, entry.prefix), trouble(&pack.file, u64::from(entry.offset), detail));
        }
    }
    for prefix in &inspection.store.state().lost {
        let given_up = Trouble { detail: "a repair has given it up".to_owned(), ..Trouble::default() };
        troubles.entry((ObjectKind::Snapshot, *prefix)).or_insert(given_up);
    }
    // Another copy of it may be whole.
    troubles.retain(|(kind, prefix), _| !inspection.store.contains_prefix(*kind, *prefix));
    for bad in &checked.bad {
        // The copy that readers find may be another one.
        let is_spare = bad.is_readable || inspection.store.is_readable(bad.kind, bad.prefix)?;
        let found = Trouble { base: bad.base, is_spare, ..trouble(&bad.file, bad.offset, &bad.detail) };
        troubles.insert((bad.kind, bad.prefix), found);
    }
    Ok(troubles)
}

/// Where a snapshot stands.
struct Place {
    workspace: Option<WorkspaceId>,
    step: u64,
    /// The step before it in the workspace.
    before: Option<u64>,
    snapshot: Option<SnapshotId>,
}

/// Damage below a tree: where, and what.
type Hurt = Rc<Vec<(Vec<u8>, Key)>>;

struct Walk<'a> {
    store: &'a Store,
    walked: Walked,
    hurt: HashMap<TreeId, Hurt>,
    sound: HashSet<TreeId>,
    /// Files of several chunks, and what of them is damaged.
    long: HashMap<BlobId, Vec<Key>>,
    decodes_lists: bool,
}

/// A folder on the way down.
struct Frame {
    id: TreeId,
    entries: std::vec::IntoIter<Entry>,
    hurt: Vec<(Vec<u8>, Key)>,
    /// The name that leads to the folder being walked below this one.
    name: Box<[u8]>,
}

impl Walk<'_> {
    fn snapshot(&mut self, id: SnapshotId, place: &Place) -> Result<()> {
        self.walked.snapshots += 1;
        let snapshot = match self.store.snapshot(id) {
            Ok(snapshot) => snapshot,
            Err(error) => {
                let key = self.trouble(ObjectKind::Snapshot, id.0, error)?;
                self.need(key, place, Part::Snapshot);
                return Ok(());
            }
        };
        for (path, key) in self.tree(snapshot.root)?.iter() {
            let part = TreePath::new(path).map_or(Part::Snapshot, Part::Path);
            self.need(*key, place, part);
        }
        for key in self.blob(snapshot.rules)? {
            self.need(key, place, Part::Rules);
        }
        let attachments =
            [(&snapshot.event, Part::Event), (&snapshot.times, Part::Times), (&snapshot.omitted, Part::Omitted)];
        for (attachment, part) in attachments {
            if let Attachment::Blob(blob) = attachment {
                for key in self.blob(*blob)? {
                    self.need(key, place, part.clone());
                }
            }
        }
        if self.decodes_lists
            && let Err(error) = decode_lists(self.store, &snapshot)
            && error.kind() == ErrorKind::Corrupt
            && error.to_string().starts_with(LISTS)
        {
            let key = self.trouble(ObjectKind::Snapshot, id.0, error)?;
            self.need(key, place, Part::Snapshot);
        }
        Ok(())
    }

    /// What is damaged at and below a tree.
    fn tree(&mut self, root: TreeId) -> Result<Hurt> {
        let mut stack: Vec<Frame> = self.enter(root)?.into_iter().collect();
        while let Some(frame) = stack.last_mut() {
            let Some(entry) = frame.entries.next() else {
                let Frame { id, hurt, .. } = stack.pop().expect("it is the last");
                self.leave(id, hurt);
                if let Some(above) = stack.last_mut() {
                    above.take_in(self.hurt.get(&id));
                }
                continue;
            };
            frame.name = entry.name.clone();
            match (entry.tree(), entry.blob()) {
                (Some(tree), _) => match self.enter(tree)? {
                    Some(below) => stack.push(below),
                    None => frame.take_in(self.hurt.get(&tree)),
                },
                (None, Some(blob)) => {
                    let keys = self.blob(blob)?;
                    frame.hurt.extend(keys.into_iter().map(|key| (entry.name.to_vec(), key)));
                }
                (None, None) => {}
            }
        }
        Ok(self.hurt.get(&root).cloned().unwrap_or_default())
    }

    /// A folder to be walked; `None` where all about it is known.
    fn enter(&mut self, id: TreeId) -> Result<Option<Frame>> {
        if self.sound.contains(&id) || self.hurt.contains_key(&id) {
            return Ok(None);
        }
        match self.store.folder(id) {
            Ok(entries) => Ok(Some(Frame { id, entries: entries.into_iter(), hurt: Vec::new(), name: Box::default() })),
            Err(error) => {
                let keys = self.lists(id, error)?;
                self.hurt.insert(id, Rc::new(keys.into_iter().map(|key| (Vec::new(), key)).collect()));
                Ok(None)
            }
        }
    }

    fn leave(&mut self, id: TreeId, mut hurt: Vec<(Vec<u8>, Key)>) {
        if hurt.is_empty() {
            self.sound.insert(id);
            return;
        }
        hurt.truncate(AFFECTED_PATHS_MAX);
        self.hurt.insert(id, Rc::new(hurt));
    }

    /// Which lists of a folder cannot be read; the folder itself where each of them can.
    fn lists(&mut self, folder: TreeId, error: Error) -> Result<Vec<Key>> {
        let mut keys = Vec::new();
        let mut left = vec![folder];
        let mut seen = HashSet::from([folder]);
        while let Some(list) = left.pop() {
            match self.store.tree(list) {
                Ok(Tree::Node { children, .. }) => {
                    left.extend(children.iter().map(|child| child.id).filter(|id| seen.insert(*id)));
                }
                Ok(Tree::Leaf(_)) => {}
                Err(error) => keys.push(self.trouble(ObjectKind::Tree, list.0, error)?),
            }
        }
        if keys.is_empty() {
            keys.push(self.trouble(ObjectKind::Tree, folder.0, error)?);
        }
        Ok(keys)
    }

    /// What is damaged of a content.
    fn blob(&mut self, id: BlobId) -> Result<Vec<Key>> {
        if let Some(keys) = self.long.get(&id) {
            return Ok(keys.clone());
        }
        let key = (ObjectKind::Content, id.0.prefix());
        if self.store.contains(ObjectKind::Content, &id.0) {
            return Ok(if self.knows(key, id.0) { vec![key] } else { Vec::new() });
        }
        if !self.store.contains(ObjectKind::ChunkList, &id.0) {
            let list = (ObjectKind::ChunkList, id.0.prefix());
            let key = if self.walked.objects.contains_key(&list) { list } else { key };
            return Ok(vec![self.missing(key, id.0)]);
        }
        let keys = self.long_blob(id)?;
        self.long.insert(id, keys.clone());
        Ok(keys)
    }

    fn long_blob(&mut self, id: BlobId) -> Result<Vec<Key>> {
        let list = (ObjectKind::ChunkList, id.0.prefix());
        let bytes = match self.store.object(ObjectKind::ChunkList, &id.0) {
            Ok(bytes) => bytes,
            Err(error) => return Ok(vec![self.trouble(ObjectKind::ChunkList, id.0, error)?]),
        };
        let chunks = match chunk_list::decode(&bytes) {
            Ok(chunks) => chunks,
            Err(malformed) => {
                return Ok(vec![self.trouble(
                    ObjectKind::ChunkList,
                    id.0,
                    malformed.during("read chunk list of", id),
                )?]);
            }
        };
        let mut keys: Vec<Key> = if self.knows(list, id.0) { vec![list] } else { Vec::new() };
        for chunk in chunks {
            let key = (ObjectKind::Content, chunk.id.0.prefix());
            if !self.store.contains(ObjectKind::Content, &chunk.id.0) {
                keys.push(self.missing(key, chunk.id.0));
            } else if self.knows(key, chunk.id.0) {
                keys.push(key);
            }
        }
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    /// Whether an object is known to be damaged; its whole id is known from now on.
    fn knows(&mut self, key: Key, id: Digest) -> bool {
        match self.walked.objects.get_mut(&key) {
            Some(trouble) => {
                trouble.id = Some(id);
                !trouble.is_spare
            }
            None => false,
        }
    }

    fn missing(&mut self, key: Key, id: Digest) -> Key {
        let trouble = self.walked.objects.entry(key).or_default();
        trouble.id = Some(id);
        if trouble.detail.is_empty() {
            trouble.detail = "it is in no pack".to_owned();
        }
        key
    }

    /// Notes that an object cannot be read. An error of the system is none of the object.
    fn trouble(&mut self, kind: ObjectKind, id: Digest, error: Error) -> Result<Key> {
        if !matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) {
            return Err(error);
        }
        let key = (kind, id.prefix());
        if !self.store.contains(kind, &id) {
            return Ok(self.missing(key, id));
        }
        let place = self.store.place_of(kind, &id);
        let trouble = self.walked.objects.entry(key).or_default();
        trouble.id = Some(id);
        if trouble.detail.is_empty() {
            trouble.detail = error.to_string();
            (trouble.file, trouble.offset) = place.unzip();
        }
        Ok(key)
    }

    fn need(&mut self, key: Key, place: &Place, part: Part) {
        let trouble = self.walked.objects.entry(key).or_default();
        let ranges = trouble.needed.entry((place.workspace, place.snapshot, part)).or_default();
        if place.workspace.is_none() {
            return;
        }
        match ranges.last_mut() {
            Some(last) if *last.end() == place.step => {}
            Some(last) if Some(*last.end()) == place.before => *last = *last.start()..=place.step,
            _ => ranges.push(place.step..=place.step),
        }
    }
}

impl Frame {
    /// Takes in what is damaged below the entry of the current name.
    fn take_in(&mut self, below: Option<&Hurt>) {
        for (path, key) in below.into_iter().flat_map(|hurt| hurt.iter()) {
            if self.hurt.len() >= AFFECTED_PATHS_MAX {
                return;
            }
            let name = &self.name[..];
            let full = if path.is_empty() { name.to_vec() } else { [name, b"/", &path[..]].concat() };
            self.hurt.push((full, *key));
        }
    }
}

impl Trouble {
    /// The snapshots and paths that need it.
    pub(super) fn affects(&self) -> Vec<Affected> {
        let affected = |((workspace, snapshot, part), steps): (&Need, &Vec<RangeInclusive<u64>>)| Affected {
            workspace: *workspace,
            part: part.clone(),
            steps: steps.clone(),
            snapshot: *snapshot,
        };
        self.needed.iter().map(affected).collect()
    }
}

/// How messages about lists within a snapshot begin.
const LISTS: &str = "read lists of";

/// Decodes what is attached to a snapshot.
fn decode_lists(store: &Store, snapshot: &Snapshot) -> Result<()> {
    let during = |e: crate::format::Malformed| e.during(LISTS, "snapshot");
    decode_times(&attached(store, &snapshot.times, u64::MAX)?).map_err(during)?;
    decode_omitted(&attached(store, &snapshot.omitted, u64::MAX)?).map_err(during).map(drop)
}
