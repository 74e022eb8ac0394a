//! From snapshots down to contents: which damaged objects each of them needs, and where.
//!
//! Each distinct tree is read once, however many snapshots share it; only trees with damage below them are remembered with
//! what it is. The walk keeps its own stack, because folders may be deeper than a thread's stack would allow.
//!
//! What may be said of paths and steps is bounded: a few kB of trees describe more than fits anywhere. When the bound is
//! reached, damage is told of whole snapshots, and of each of them once.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::RangeInclusive;
use std::rc::Rc;

use super::{Affected, Part};
use crate::error::{Error, ErrorKind, Result};
use crate::format::attributes::decode_list;
use crate::format::pack::ObjectKind;
use crate::format::snapshot::{Attachment, Snapshot, decode_left_out, decode_omitted, decode_times};
use crate::format::tree::{Entry, Tree};
use crate::format::{Malformed, chunk_list};
use crate::id::{BlobId, Digest, SnapshotId, TreeId, WorkspaceId};
use crate::limits::{
    AFFECTED_LENGTH_MAX_BYTES, AFFECTED_LOOKS_MAX, FOLDER_DEPTH_MAX, PATH_LIST_LENGTH_MAX_BYTES, WALK_LENGTH_MAX_BYTES,
    WALK_STEP_BYTES,
};
use crate::path::TreePath;
use crate::store::Reader;
use crate::store::inspect::{Checked, Inspection};

/// An object as far as its record names it.
pub(in crate::ops) type Key = (ObjectKind, [u8; 16]);

/// What is known about damaged and missing objects.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) objects: BTreeMap<Key, Trouble>,
    pub(super) snapshots: u64,
    /// There was more to tell of paths and steps than may be told.
    pub(super) is_cut_short: bool,
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
    let reader = &inspection.lenient_reader;
    let mut walk = Walk {
        reader,
        walked: Walked { objects: known_troubles(inspection, checked)?, ..Walked::default() },
        hurt: HashMap::new(),
        sound: HashSet::new(),
        long: HashMap::new(),
        lists: HashMap::new(),
        last_missing: None,
        budget: Budget { bytes: AFFECTED_LENGTH_MAX_BYTES, looks: AFFECTED_LOOKS_MAX },
        decodes_lists,
    };
    let state = reader.state();
    let mut seen = BTreeSet::new();
    // What was forgotten can be recalled.
    let aside = state.forgotten.values().map(|forgotten| &forgotten.workspace);
    let all = || state.workspaces.values().chain(aside.clone());
    for workspace in all() {
        let mut before = None;
        for (step, id) in &workspace.steps {
            let place = Place { workspace: Some(workspace.id), step: *step, before, snapshot: None };
            walk.snapshot(*id, &place)?;
            seen.insert(*id);
            before = Some(*step);
        }
    }
    let named = all().flat_map(|workspace| workspace.tags.values().copied().chain(workspace.head));
    let named: BTreeSet<SnapshotId> = named.chain(state.pins.iter().copied()).collect();
    for id in named.difference(&seen) {
        walk.snapshot(*id, &Place { workspace: None, step: 0, before: None, snapshot: Some(*id) })?;
    }
    walk.walked.is_cut_short = walk.budget.is_spent();
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
    for prefix in &inspection.reader.state().lost {
        let given_up = Trouble { detail: "a repair has given it up".to_owned(), ..Trouble::default() };
        troubles.entry((ObjectKind::Snapshot, *prefix)).or_insert(given_up);
    }
    for prefix in &inspection.lost_with_packs {
        let gone = Trouble { detail: "an index names it, and its pack is not there".to_owned(), ..Trouble::default() };
        troubles.entry((ObjectKind::Snapshot, *prefix)).or_insert(gone);
    }
    // Another copy of it may be whole.
    troubles.retain(|(kind, prefix), _| !inspection.reader.contains_prefix(*kind, *prefix));
    for bad in &checked.bad {
        // The copy that readers find may be another one.
        let is_spare = bad.is_readable || inspection.reader.is_readable(bad.kind, bad.prefix)?;
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

/// Decodes a list of paths, to see that it can be.
type DecodeList = fn(&[u8]) -> std::result::Result<(), Malformed>;

/// Damage below a tree: where, and what.
type Hurt = Rc<Vec<(Vec<u8>, Key)>>;

struct Walk<'a> {
    reader: &'a Reader,
    walked: Walked,
    hurt: HashMap<TreeId, Hurt>,
    sound: HashSet<TreeId>,
    /// Files of several chunks, and what of them is damaged.
    long: HashMap<BlobId, Vec<Key>>,
    /// Attached lists of paths that were decoded, and what is wrong with them.
    lists: HashMap<BlobId, Option<String>>,
    /// An object that is in no pack. It stands for others when the budget is spent.
    last_missing: Option<Key>,
    budget: Budget,
    decodes_lists: bool,
}

/// How much may still be said of paths and steps.
#[derive(Debug)]
struct Budget {
    bytes: u64,
    looks: u64,
}

/// What an entry takes beside its path, about.
const HURT_BYTES: usize = 64;
const NEED_BYTES: usize = 160;
const TROUBLE_BYTES: usize = 320;

impl Budget {
    /// Whether there is room for this; what is taken is gone.
    fn take(&mut self, bytes: usize) -> bool {
        self.bytes = self.bytes.saturating_sub(bytes as u64);
        !self.is_spent()
    }

    fn is_spent(&self) -> bool {
        self.bytes == 0 || self.looks == 0
    }
}

/// A folder on the way down.
struct Frame {
    id: TreeId,
    /// How many entries it had.
    count: u64,
    entries: std::vec::IntoIter<Entry>,
    hurt: Vec<(Vec<u8>, Key)>,
    /// The name that leads to the folder being walked below this one.
    name: Box<[u8]>,
}

impl Walk<'_> {
    fn snapshot(&mut self, id: SnapshotId, place: &Place) -> Result<()> {
        self.walked.snapshots += 1;
        let snapshot = match self.reader.snapshot(id) {
            Ok(snapshot) => snapshot,
            Err(error) => {
                let key = self.trouble(ObjectKind::Snapshot, id.0, error)?;
                self.need(key, place, None, Part::Snapshot);
                return Ok(());
            }
        };
        for (path, key) in self.tree(snapshot.root)?.iter() {
            if !self.need(*key, place, Some(path), Part::Snapshot) {
                return Ok(());
            }
        }
        for key in self.blob(snapshot.rules)? {
            if !self.need(key, place, None, Part::Rules) {
                return Ok(());
            }
        }
        let parts = [Part::Event, Part::Times, Part::Omitted, Part::Attributes, Part::LeftOut];
        for (attachment, part) in snapshot.attachments().into_iter().zip(parts) {
            if let Attachment::Blob(blob) = attachment {
                for key in self.blob(*blob)? {
                    if !self.need(key, place, None, part.clone()) {
                        return Ok(());
                    }
                }
            }
        }
        let noted = self.reader.state().noted.get(&id).cloned().unwrap_or_default();
        for noted in &noted.newest {
            for key in self.blob(noted.event)? {
                if !self.need(key, place, None, Part::Event) {
                    return Ok(());
                }
            }
        }
        if self.decodes_lists
            && let Some(detail) = self.decode_lists(&snapshot)?
        {
            let key = self.trouble(ObjectKind::Snapshot, id.0, Error::corrupt("read lists of", "snapshot", detail))?;
            self.need(key, place, None, Part::Snapshot);
        }
        Ok(())
    }

    /// Decodes the lists of paths that are attached to a snapshot; what is wrong with them.
    fn decode_lists(&mut self, snapshot: &Snapshot) -> Result<Option<String>> {
        let times = |bytes: &[u8]| decode_times(bytes).map(drop);
        let omitted = |bytes: &[u8]| decode_omitted(bytes).map(drop);
        let attributes = |bytes: &[u8]| decode_list(bytes).map(drop);
        let left_out = |bytes: &[u8]| decode_left_out(bytes).map(drop);
        let lists: [(&Attachment, DecodeList); 4] = [
            (&snapshot.times, times),
            (&snapshot.omitted, omitted),
            (&snapshot.attributes, attributes),
            (&snapshot.left_out, left_out),
        ];
        for (attachment, decode) in lists {
            let known = if let Attachment::Blob(id) = attachment { self.lists.get(id) } else { None };
            let trouble = match known {
                Some(known) => known.clone(),
                None => match self.attached(attachment) {
                    Ok(bytes) => decode(&bytes).err().map(|malformed| malformed.to_string()),
                    Err(error) if error.kind() == ErrorKind::Limit => Some(error.to_string()),
                    // Content that cannot be read is found as such.
                    Err(error) if error.kind() == ErrorKind::Corrupt => None,
                    Err(error) => return Err(error),
                },
            };
            if let Attachment::Blob(id) = attachment {
                self.lists.insert(*id, trouble.clone());
            }
            if trouble.is_some() {
                return Ok(trouble);
            }
        }
        Ok(None)
    }

    fn attached(&self, attachment: &Attachment) -> Result<Vec<u8>> {
        match attachment {
            Attachment::Empty => Ok(Vec::new()),
            Attachment::Inline(bytes) => Ok(bytes.clone()),
            Attachment::Blob(id) => self.reader.read_blob(*id, PATH_LIST_LENGTH_MAX_BYTES as u64),
        }
    }

    /// What is damaged at and below a tree.
    fn tree(&mut self, root: TreeId) -> Result<Hurt> {
        let mut stack: Vec<Frame> = self.enter(root, 0, 0)?.into_iter().collect();
        let mut open_entries = stack.iter().map(|frame| frame.count).sum();
        while let Some(depth) = stack.len().checked_sub(1) {
            let frame = &mut stack[depth];
            let Some(entry) = frame.entries.next() else {
                let Frame { id, hurt, count, .. } = stack.pop().expect("it is the last");
                open_entries -= count;
                self.leave(id, hurt);
                if let Some(above) = stack.last_mut() {
                    above.take_in(self.hurt.get(&id), &mut self.budget);
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
                    None => frame.take_in(self.hurt.get(&tree), &mut self.budget),
                },
                (None, Some(blob)) => {
                    let keys = self.blob(blob)?;
                    keys.into_iter().for_each(|key| frame.add(&[], key, &mut self.budget));
                }
                (None, None) => {}
            }
        }
        Ok(self.hurt.get(&root).cloned().unwrap_or_default())
    }

    /// A folder to be walked, below others with so many entries; `None` where all about it is known.
    fn enter(&mut self, id: TreeId, depth: usize, open_entries: u64) -> Result<Option<Frame>> {
        if self.sound.contains(&id) || self.hurt.contains_key(&id) {
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
                Ok(Some(Frame { id, count, entries, hurt: Vec::new(), name: Box::default() }))
            }
            Err(error) => {
                let mut keys = self.lists(id, error)?;
                if !self.budget.take(keys.len() * HURT_BYTES) {
                    keys.truncate(1);
                }
                self.hurt.insert(id, Rc::new(keys.into_iter().map(|key| (Vec::new(), key)).collect()));
                Ok(None)
            }
        }
    }

    fn leave(&mut self, id: TreeId, hurt: Vec<(Vec<u8>, Key)>) {
        if hurt.is_empty() {
            self.sound.insert(id);
        } else {
            self.hurt.insert(id, Rc::new(hurt));
        }
    }

    /// Which lists of a folder cannot be read; the folder itself where each of them can.
    fn lists(&mut self, folder: TreeId, error: Error) -> Result<Vec<Key>> {
        let mut keys = Vec::new();
        let mut left = vec![folder];
        let mut seen = HashSet::from([folder]);
        while let Some(list) = left.pop() {
            match self.reader.tree(list) {
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
        if self.reader.contains(ObjectKind::Content, &id.0) {
            return Ok(if self.knows(key, id.0) { vec![key] } else { Vec::new() });
        }
        if !self.reader.contains(ObjectKind::ChunkList, &id.0) {
            let list = (ObjectKind::ChunkList, id.0.prefix());
            let key = if self.walked.objects.contains_key(&list) { list } else { key };
            return Ok(vec![self.missing(key, id.0)]);
        }
        let mut keys = self.long_blob(id)?;
        if !self.budget.take(keys.len() * HURT_BYTES) {
            keys.truncate(1);
        }
        self.long.insert(id, keys.clone());
        Ok(keys)
    }

    fn long_blob(&mut self, id: BlobId) -> Result<Vec<Key>> {
        let list = (ObjectKind::ChunkList, id.0.prefix());
        let bytes = match self.reader.object(ObjectKind::ChunkList, &id.0) {
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
            if !self.reader.contains(ObjectKind::Content, &chunk.id.0) {
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
        if !self.walked.objects.contains_key(&key) {
            let has_room = self.budget.take(TROUBLE_BYTES);
            if let Some(last) = self.last_missing.filter(|_| !has_room) {
                return last;
            }
            self.last_missing = Some(key);
        }
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
        if !self.reader.contains(kind, &id) {
            return Ok(self.missing(key, id));
        }
        let place = self.reader.place_of(kind, &id);
        let trouble = self.walked.objects.entry(key).or_default();
        trouble.id = Some(id);
        if trouble.detail.is_empty() {
            trouble.detail = error.to_string();
            (trouble.file, trouble.offset) = place.unzip();
        }
        Ok(key)
    }

    /// Notes that a snapshot needs an object, at a path or as another part of it. `false` when there is no
    /// room to say more of this snapshot.
    fn need(&mut self, key: Key, place: &Place, path: Option<&[u8]>, part: Part) -> bool {
        self.budget.looks = self.budget.looks.saturating_sub(1);
        let has_room = self.budget.take(1);
        let part = match path.map(TreePath::new) {
            _ if !has_room => Part::Snapshot,
            Some(Ok(path)) => Part::Path(path),
            _ => part,
        };
        let trouble = self.walked.objects.entry(key).or_default();
        let ranges = trouble.needed.entry((place.workspace, place.snapshot, part)).or_insert_with(|| {
            self.budget.take(path.map_or(0, <[u8]>::len) + NEED_BYTES);
            Vec::new()
        });
        if place.workspace.is_none() {
            return has_room;
        }
        match ranges.last_mut() {
            Some(last) if *last.end() == place.step => {}
            Some(last) if Some(*last.end()) == place.before => *last = *last.start()..=place.step,
            _ => {
                self.budget.take(size_of::<RangeInclusive<u64>>());
                ranges.push(place.step..=place.step);
            }
        }
        has_room
    }
}

impl Frame {
    /// Takes in what is damaged below the entry of the current name.
    fn take_in(&mut self, below: Option<&Hurt>, budget: &mut Budget) {
        for (path, key) in below.into_iter().flat_map(|hurt| hurt.iter()) {
            self.add(path, *key, budget);
            if budget.is_spent() {
                return;
            }
        }
    }

    /// Adds what is damaged at a path below the entry of the current name, or at the entry itself. When the budget is
    /// spent, the folder as a whole is hurt, by the first.
    fn add(&mut self, path: &[u8], key: Key, budget: &mut Budget) {
        let name = &self.name[..];
        if budget.take(name.len() + path.len() + HURT_BYTES) {
            let full = if path.is_empty() { name.to_vec() } else { [name, b"/", path].concat() };
            self.hurt.push((full, key));
        } else if self.hurt.is_empty() {
            self.hurt.push((Vec::new(), key));
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
