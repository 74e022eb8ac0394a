//! New objects before they are recorded.
//!
//! [`Batch::add`] drops the objects that the store has, makes deltas where a base is known, puts the others into
//! frames, and compresses on every core; the result does not depend on the number of threads. All of it happens before
//! any lock is taken. A batch that outgrows memory is written into packs of its own, each published when full: until
//! the transaction is recorded, nothing refers to what is in them, and if the process dies the next try finds its
//! objects there already.

use std::collections::BTreeSet;

use rayon::iter::Either;
use rayon::prelude::*;

use super::pack_writer::PackWriter;
use super::reader::{Base, Reader};
use super::{LOCK, Store, delta, payload, splice};
use crate::disk::{Disk, LockMode};
use crate::error::{ErrorKind, Result};
use crate::format::pack::{Encoding, Member, ObjectKey, ObjectKind, put_record};
use crate::id::Digest;
use crate::limits::{BATCH_INLINE_MAX_BYTES, FRAME_LENGTH_TARGET_BYTES, FRAME_MEMBER_COUNT_MAX, PACK_SEAL_ABOVE_BYTES};

/// Compression level at capture: it keeps a step fast.
const CAPTURE_LEVEL: i32 = 3;

/// Compression level of a small step of an agent: 5 % smaller, in some tens of microseconds more.
const SMALL_STEP_LEVEL: i32 = 6;

/// Objects added together count as a small step up to this many bytes.
const SMALL_STEP_BYTES: usize = 256 << 10;

/// A splice up to this length is used without trying a delta.
const SPLICE_SHORT_BYTES: usize = 48;

/// An object to be stored.
#[derive(Clone, Debug)]
pub struct NewObject {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its id, which the caller has computed from `bytes` (for a chunk list: from the file).
    pub id: Digest,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The version before, of the same path or chunk: probably the most similar object.
    pub previous: Option<Digest>,
}

/// The totals of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchTotals {
    /// Objects that the store did not have.
    pub objects: u64,
    /// The length of these objects, in bytes.
    pub raw_bytes: u64,
    /// Bytes written into packs for these objects.
    pub stored_bytes: u64,
}

/// Objects that wait to be recorded in one transaction.
#[derive(Debug)]
pub struct Batch<'a> {
    pub(super) store: &'a Store,
    /// Records not written yet.
    pub(super) records: Vec<u8>,
    /// The keys of all objects added so far, so that none is stored twice.
    known: BTreeSet<ObjectKey>,
    /// Chunks that the store had already, so that they were not added.
    reused_chunks: BTreeSet<[u8; 16]>,
    pub(super) own_pack: Option<PackWriter<'a>>,
    pub(super) totals: BatchTotals,
    /// The generation of the store when the batch was begun.
    generation: u64,
    /// The only objects that the batch takes, if it is given.
    wanted: Option<BTreeSet<ObjectKey>>,
    /// Set while records are written into a pack of its own. If that fails they are lost, and the batch can not be
    /// recorded any more.
    pub(super) is_broken: bool,
}

impl Store {
    /// Begins a batch.
    #[doc(hidden)]
    pub fn batch(&self) -> Batch<'_> {
        Batch {
            store: self,
            records: Vec::new(),
            known: BTreeSet::new(),
            reused_chunks: BTreeSet::new(),
            own_pack: None,
            totals: BatchTotals::default(),
            generation: self.state().generation,
            wanted: None,
            is_broken: false,
        }
    }

    /// Begins a batch that takes certain objects and drops all others. It takes them even if the store has them,
    /// because a stored object may be damaged.
    #[doc(hidden)]
    pub fn batch_of(&self, wanted: BTreeSet<ObjectKey>) -> Batch<'_> {
        let mut batch = self.batch();
        batch.wanted = Some(wanted);
        batch
    }
}

impl Batch<'_> {
    /// Adds objects, in an order that keeps similar ones together. Objects that the store has are dropped.
    pub fn add(&mut self, objects: Vec<NewObject>) -> Result<()> {
        for record in self.encode(objects) {
            self.records.extend_from_slice(&record);
            if self.records.len() > BATCH_INLINE_MAX_BYTES {
                self.spill()?;
            }
        }
        Ok(())
    }

    /// The records of the new objects among these.
    pub(super) fn encode(&mut self, objects: Vec<NewObject>) -> Vec<Vec<u8>> {
        let new = objects.into_iter().filter(|object| self.is_new(object)).collect::<Vec<_>>();
        let raw_bytes: usize = new.iter().map(|object| object.bytes.len()).sum();
        let level = if raw_bytes <= SMALL_STEP_BYTES { SMALL_STEP_LEVEL } else { CAPTURE_LEVEL };
        let reader = self.store.reader();
        let (mut records, whole): (Vec<_>, Vec<_>) =
            new.into_par_iter().partition_map(|object| plan(&reader, object, level));
        records.par_extend(frames(whole).par_iter().map(|frame| encode_frame(frame, level)));
        records
    }

    /// True if an object of this kind is stored, or was added to this batch.
    pub fn has(&self, kind: ObjectKind, id: &Digest) -> bool {
        self.known.contains(&ObjectKey::new(kind, id)) || self.is_stored(kind, id)
    }

    /// True if the store has an object of this kind, and this batch is not to store it again.
    pub fn is_stored(&self, kind: ObjectKind, id: &Digest) -> bool {
        let is_wanted = self.wanted.as_ref().is_some_and(|wanted| wanted.contains(&ObjectKey::new(kind, id)));
        !is_wanted && self.store.reader().contains_lasting(kind, id)
    }

    /// As [`Self::has`] for a chunk of a long file. A stored chunk is added to [`Self::reused_chunks`].
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

    /// The generation of the store when the batch was begun. Objects that it dropped because the store had them may be
    /// missing in a later generation.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The totals of the objects added so far.
    pub fn totals(&self) -> BatchTotals {
        self.totals
    }

    /// The objects that were added, of those that the batch takes.
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

    /// Writes the records so far into a pack of this batch's own.
    fn spill(&mut self) -> Result<()> {
        let disk = self.store.disk();
        self.is_broken = true;
        let own = match &mut self.own_pack {
            Some(own) => own,
            none => {
                // Files of dead writers are removed first: writers killed one after another leave one file.
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
        // The torn tail of the last pack is cut now: nobody looks for one in another pack.
        store.recover()?;
        own.publish(store.view().expect_next_number(disk)?)?;
        store.refresh()
    }

    /// Stores the added objects in packs of their own, durably and without facts, for objects that history names
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

/// Removes files of dead writers from `tmp/`. The caller holds the store's lock, so no writer is between creating a
/// file and locking it.
pub(super) fn remove_strays(disk: &dyn Disk) -> Result<()> {
    for name in disk.list("tmp")? {
        let name = format!("tmp/{name}");
        match disk.lock(&name, LockMode::TryExclusive) {
            // It is not a file, so no writer has made it; `verify` reports it.
            Err(error) if error.kind() == ErrorKind::Corrupt => {}
            Err(error) => return Err(error),
            Ok(None) => {}
            Ok(Some(_)) => disk.remove(&name)?,
        }
    }
    Ok(())
}

/// The record of an object as a change of a base, or the object where it is to be stored whole. A change must be at
/// least a quarter shorter than the object in zstd alone: for less, reading its base every time is not worth it.
fn plan(reader: &Reader, object: NewObject, level: i32) -> Either<Vec<u8>, NewObject> {
    let previous = object.previous.filter(|previous| *previous != object.id);
    let Some(base) = previous.and_then(|previous| reader.base_after(object.kind, &previous)) else {
        return Either::Right(object);
    };
    let (encoding, payload) = change(&base, object.kind, &object.bytes, level);
    let whole_length = || payload::compress(&object.bytes, &[], level).len();
    if payload.len() > object.bytes.len() / 8 && payload.len() * 4 > whole_length() * 3 {
        return Either::Right(object);
    }
    let mut record = Vec::new();
    put_record(&mut record, &encoding, &[member(&object)], &payload);
    Either::Left(record)
}

/// The shorter encoding of a change. A short change in one place is never shorter as a delta.
fn change(base: &Base, kind: ObjectKind, new: &[u8], level: i32) -> (Encoding, Vec<u8>) {
    let before = delta::base_bytes(kind, &base.bytes);
    let splice = splice::encode(&before, new);
    if splice.len() > SPLICE_SHORT_BYTES {
        let delta = payload::compress(new, &before, level);
        if delta.len() < splice.len() {
            return (Encoding::Delta(base.link), delta);
        }
    }
    (Encoding::Splice(base.link), splice)
}

/// Divides objects into frames, in order.
fn frames(objects: Vec<NewObject>) -> Vec<Vec<NewObject>> {
    let mut frames: Vec<Vec<NewObject>> = Vec::new();
    let mut frame_bytes = 0;
    for object in objects {
        frame_bytes += object.bytes.len();
        match frames.last_mut() {
            Some(frame) if frame_bytes <= FRAME_LENGTH_TARGET_BYTES && frame.len() < FRAME_MEMBER_COUNT_MAX => {
                frame.push(object);
            }
            _ => {
                frame_bytes = object.bytes.len();
                frames.push(vec![object]);
            }
        }
    }
    frames
}

/// The record of a frame.
fn encode_frame(objects: &[NewObject], level: i32) -> Vec<u8> {
    let members: Vec<Member> = objects.iter().map(member).collect();
    let frame = objects.iter().map(|object| &object.bytes[..]).collect::<Vec<_>>().concat();
    let compressed = payload::compress(&frame, &[], level);
    let is_raw = members.len() == 1 && compressed.len() >= frame.len();
    let (encoding, payload) = if is_raw { (Encoding::Raw, frame) } else { (Encoding::Zstd, compressed) };
    let mut record = Vec::new();
    put_record(&mut record, &encoding, &members, &payload);
    record
}

fn member(object: &NewObject) -> Member {
    let length = object.bytes.len();
    assert!(length <= object.kind.length_max_bytes(), "the caller keeps to the limit of the kind");
    let raw_length_bytes = u32::try_from(length).expect("every kind is limited below 4 GiB");
    Member { kind: object.kind, raw_length_bytes, prefix: object.id.prefix() }
}
