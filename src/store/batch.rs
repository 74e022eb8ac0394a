//! New objects on their way into a pack.
//!
//! [`Batch::add`] drops what the store has, makes deltas where a base is known, gathers the rest into frames, and
//! compresses on every core; the result does not depend on the number of threads. All of it happens before any lock is
//! taken. A batch that outgrows memory is written into packs of its own, each published when full: until the
//! transaction is recorded, nothing refers to what is in them, and if the process dies the next try finds its objects
//! there already.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::pack_writer::PackWriter;
use super::reader::{Base, Reader};
use super::{LOCK, Store, codec, delta, splice};
use crate::disk::{Disk, LockMode};
use crate::error::{ErrorKind, Result};
use crate::format::pack::{Encoding, Member, ObjectKey, ObjectKind, put_record};
use crate::id::Digest;
use crate::limits::{BATCH_INLINE_MAX_BYTES, FRAME_LENGTH_TARGET_BYTES, FRAME_MEMBER_COUNT_MAX, PACK_SEAL_ABOVE_BYTES};

/// Compression level at capture: what keeps a step fast. gc may store the same objects smaller.
const CAPTURE_LEVEL: i32 = 3;

/// Compression level of what a step of an agent adds: 5 % less for some tens of microseconds.
const SMALL_STEP_LEVEL: i32 = 6;

/// Objects added together count as a small step up to this many bytes.
const SMALL_STEP_BYTES: usize = 256 << 10;

/// Up to this length, a change in one place is taken without trying zstd.
const SPLICE_SHORT_BYTES: usize = 48;

/// An object to be stored.
#[derive(Clone, Debug)]
pub struct NewObject {
    /// What it is.
    pub kind: ObjectKind,
    /// Its id, which the caller computed from `bytes` (for a chunk list: from the file).
    pub id: Digest,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The object it is probably most like: the same path, or the same place, one version before.
    pub previous: Option<Digest>,
}

/// What a batch adds up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchTotals {
    /// Objects that the store did not have.
    pub objects: u64,
    /// Their bytes.
    pub raw_bytes: u64,
    /// Bytes written into packs for them.
    pub stored_bytes: u64,
}

/// Objects that wait to be recorded in one transaction.
#[derive(Debug)]
pub struct Batch<'a> {
    pub(super) store: &'a Store,
    /// Records not written yet.
    pub(super) records: Vec<u8>,
    /// Prefixes of all objects added so far, so that none is stored twice.
    known: BTreeSet<ObjectKey>,
    /// Chunks that the store had, so that they were not even added.
    reused_chunks: BTreeSet<[u8; 16]>,
    pub(super) own_pack: Option<PackWriter<'a>>,
    pub(super) totals: BatchTotals,
    /// That of the store when the batch was begun.
    generation: u64,
    /// Only these are taken, where it is given.
    wanted: Option<BTreeSet<ObjectKey>>,
    /// Set while records are on their way into a pack of its own. Where that fails they are gone, and what was added
    /// can not be recorded any more.
    pub(super) is_broken: bool,
}

/// Objects before they are a record.
enum Plan {
    Delta { object: NewObject, encoding: Encoding, payload: Vec<u8> },
    Whole(NewObject),
}

impl Store {
    /// Begins a batch.
    pub fn batch(&self) -> Batch<'_> {
        let records = Vec::new();
        let totals = BatchTotals::default();
        Batch {
            store: self,
            records,
            known: BTreeSet::new(),
            reused_chunks: BTreeSet::new(),
            own_pack: None,
            totals,
            generation: self.state().generation,
            wanted: None,
            is_broken: false,
        }
    }

    /// Begins a batch that takes certain objects, by kind and the first half of the id, and drops all others. Those
    /// that it takes count as absent from the store until then: something may be there and not be readable.
    pub fn batch_of(&self, wanted: BTreeSet<ObjectKey>) -> Batch<'_> {
        let mut batch = self.batch();
        batch.wanted = Some(wanted);
        batch
    }
}

impl Batch<'_> {
    /// Adds objects, in an order that keeps alike ones together; those the store has are dropped.
    pub fn add(&mut self, objects: Vec<NewObject>) -> Result<()> {
        for record in self.encode(objects) {
            self.records.extend_from_slice(&record);
            if self.records.len() > BATCH_INLINE_MAX_BYTES {
                self.spill()?;
            }
        }
        Ok(())
    }

    /// Records of the new ones among `objects`.
    pub(super) fn encode(&mut self, objects: Vec<NewObject>) -> Vec<Vec<u8>> {
        let new = objects.into_iter().filter(|object| self.is_new(object)).collect::<Vec<_>>();
        let raw_bytes: usize = new.iter().map(|object| object.bytes.len()).sum();
        let level = if raw_bytes <= SMALL_STEP_BYTES { SMALL_STEP_LEVEL } else { CAPTURE_LEVEL };
        let reader = self.store.reader();
        let plans: Vec<Plan> = new.into_par_iter().map(|object| plan(&reader, object, level)).collect();
        gather(plans).into_par_iter().map(|group| encode_group(group, level)).collect()
    }

    /// Whether an object of this kind is stored, or waits in this batch.
    pub fn has(&self, kind: ObjectKind, id: &Digest) -> bool {
        self.known.contains(&ObjectKey::new(kind, id)) || self.is_stored(kind, id)
    }

    /// Returns true if the store has an object of this kind, other than one that this batch is to store again.
    pub fn is_stored(&self, kind: ObjectKind, id: &Digest) -> bool {
        let is_wanted = self.wanted.as_ref().is_some_and(|wanted| wanted.contains(&ObjectKey::new(kind, id)));
        !is_wanted && self.store.reader().contains_lasting(kind, id)
    }

    /// The same for a chunk of a long file, and notes where it is stored.
    pub fn reuse_chunk(&mut self, id: &Digest) -> bool {
        if self.known.contains(&ObjectKey::new(ObjectKind::Content, id)) {
            return true;
        }
        let is_stored = self.is_stored(ObjectKind::Content, id);
        if is_stored {
            self.reused_chunks.insert(id.prefix());
        }
        is_stored
    }

    /// First halves of the ids of chunks that the store had.
    pub fn reused_chunks(&self) -> &BTreeSet<[u8; 16]> {
        &self.reused_chunks
    }

    /// The generation of the store that the batch belongs to. What it left out because the store has it may be missing
    /// in a later one.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What was added so far.
    pub fn totals(&self) -> BatchTotals {
        self.totals
    }

    /// Of the objects that were wanted, those that were met.
    pub fn met(&self) -> impl Iterator<Item = ObjectKey> {
        self.known.iter().copied()
    }

    fn is_new(&mut self, object: &NewObject) -> bool {
        let key = ObjectKey::new(object.kind, &object.id);
        let is_asked_for = self.wanted.as_ref().is_none_or(|wanted| wanted.contains(&key));
        if !is_asked_for || self.is_stored(object.kind, &object.id) || !self.known.insert(key) {
            return false;
        }
        self.totals.objects += 1;
        self.totals.raw_bytes += object.bytes.len() as u64;
        true
    }

    /// Moves the records at hand into a pack of this batch's own.
    fn spill(&mut self) -> Result<()> {
        let disk = self.store.disk();
        self.is_broken = true;
        let own = match &mut self.own_pack {
            Some(own) => own,
            none => {
                // What a dead writer left goes before there is more: writers killed one after another leave one file.
                let _guard = disk.lock(LOCK, LockMode::Exclusive)?;
                remove_strays(disk)?;
                none.insert(PackWriter::create(disk, self.store.id())?)
            }
        };
        own.push(&std::mem::take(&mut self.records));
        self.totals.stored_bytes += own.end_transaction(0, &[])?;
        if own.length_bytes() >= PACK_SEAL_ABOVE_BYTES
            && let Some(own) = self.own_pack.take()
        {
            self.publish(own)?;
        }
        self.is_broken = false;
        Ok(())
    }

    /// Gives a full pack its number.
    fn publish(&self, own: PackWriter<'_>) -> Result<()> {
        let store = self.store;
        let disk = store.disk();
        let _guard = disk.lock(LOCK, LockMode::Exclusive)?;
        store.refresh()?;
        store.refuse_newer()?;
        // What a dead writer left at the end of the last pack is cut now: nobody looks for it in one that is not the
        // last.
        store.recover()?;
        own.publish(store.view().expect_next_number(disk)?)?;
        store.refresh()
    }

    /// Stores what was added in packs of its own, durably and without any facts. For objects that history names
    /// already.
    pub fn store_objects(mut self) -> Result<BatchTotals> {
        if !self.records.is_empty() {
            self.spill()?;
        }
        if let Some(own) = self.own_pack.take() {
            self.publish(own)?;
        }
        Ok(self.totals)
    }
}

/// Removes what dead writers left under `tmp/`. The store's lock is held, so nobody is between creating a file and
/// locking it.
pub(super) fn remove_strays(disk: &dyn Disk) -> Result<()> {
    for name in disk.list("tmp")? {
        let name = format!("tmp/{name}");
        match disk.lock(&name, LockMode::TryExclusive) {
            // It is no file, so no writer's; `verify` tells of it.
            Err(error) if error.kind() == ErrorKind::Corrupt => {}
            Err(error) => return Err(error),
            Ok(None) => {}
            Ok(Some(_)) => disk.remove(&name)?,
        }
    }
    Ok(())
}

/// Decides between a change of a base and a whole copy. A change must save a quarter of what zstd alone would leave:
/// for less, it is not worth reading its base every time.
fn plan(reader: &Reader, object: NewObject, level: i32) -> Plan {
    let previous = object.previous.filter(|previous| *previous != object.id);
    let Some(base) = previous.and_then(|previous| reader.base_after(object.kind, &previous)) else {
        return Plan::Whole(object);
    };
    let (encoding, payload) = change(&base, object.kind, &object.bytes, level);
    let is_small =
        payload.len() <= object.bytes.len() / 8 || payload.len() * 4 <= codec::compress(&object.bytes, level).len() * 3;
    if is_small { Plan::Delta { object, encoding, payload } } else { Plan::Whole(object) }
}

/// The shorter of the two ways to say what changed. A change in one place that is short cannot be said shorter.
fn change(base: &Base, kind: ObjectKind, new: &[u8], level: i32) -> (Encoding, Vec<u8>) {
    let before = delta::base_bytes(kind, &base.bytes);
    let splice = splice::encode(&before, new);
    if splice.len() > SPLICE_SHORT_BYTES {
        let delta = codec::compress_with_prefix(new, &before, level);
        if delta.len() < splice.len() {
            return (Encoding::Delta(base.link), delta);
        }
    }
    (Encoding::Splice(base.link), splice)
}

/// Puts whole copies that follow each other into frames; what they become is one record each.
fn gather(plans: Vec<Plan>) -> Vec<Vec<Plan>> {
    let mut groups: Vec<Vec<Plan>> = Vec::new();
    let mut frame: Vec<Plan> = Vec::new();
    let mut frame_bytes = 0;
    for plan in plans {
        let Plan::Whole(object) = &plan else {
            groups.push(vec![plan]);
            continue;
        };
        let length = object.bytes.len();
        let is_full = frame_bytes + length > FRAME_LENGTH_TARGET_BYTES || frame.len() == FRAME_MEMBER_COUNT_MAX;
        if is_full && !frame.is_empty() {
            groups.push(std::mem::take(&mut frame));
            frame_bytes = 0;
        }
        frame_bytes += length;
        frame.push(plan);
    }
    if !frame.is_empty() {
        groups.push(frame);
    }
    groups
}

fn encode_group(mut group: Vec<Plan>, level: i32) -> Vec<u8> {
    let mut out = Vec::new();
    if matches!(group.first(), Some(Plan::Delta { .. }))
        && let Some(Plan::Delta { object, encoding, payload }) = group.pop()
    {
        put_record(&mut out, &encoding, &[member(&object)], &payload);
        return out;
    }
    let objects: Vec<NewObject> = group.into_iter().filter_map(Plan::into_whole).collect();
    let members: Vec<Member> = objects.iter().map(member).collect();
    let frame: Vec<u8> = match &objects[..] {
        [only] => only.bytes.clone(),
        _ => objects.iter().flat_map(|object| object.bytes.iter().copied()).collect(),
    };
    let payload = codec::compress(&frame, level);
    if members.len() == 1 && payload.len() >= frame.len() {
        put_record(&mut out, &Encoding::Raw, &members, &frame);
    } else {
        put_record(&mut out, &Encoding::Zstd, &members, &payload);
    }
    out
}

impl Plan {
    fn into_whole(self) -> Option<NewObject> {
        match self {
            Self::Whole(object) => Some(object),
            Self::Delta { .. } => None,
        }
    }
}

fn member(object: &NewObject) -> Member {
    let length = object.bytes.len();
    assert!(length <= object.kind.length_max_bytes(), "the caller keeps to the limit of the kind");
    let raw_length_bytes = u32::try_from(length).expect("every kind is limited below 4 GiB");
    Member { kind: object.kind, raw_length_bytes, prefix: object.id.prefix() }
}
