//! The changes that a repair makes to packs and caches, each safe to kill at any moment.
//!
//! ```text
//! write_pack     facts and objects that only damaged places have -> a new pack -> the torn tail of the last one is cut
//! rewrite_pack   copy into quarantine -> new pack beside it -> journal away -> new pack over the old one
//! ```
//!
//! Invariants: a fact is durable in a pack before the place it was found in goes away; the old bytes are in quarantine
//! before the new ones take their name; until then readers see the old pack, and after it the new one, whose other
//! nonce tells them that its index is another pack's.
//!
//! Whoever calls holds the store's lock, and shows it by the guard.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::commit::settle_pack;
use super::file::StoreFile;
use super::heal::{Flips, Healed};
use super::inspect::{Checked, InspectedPack, Inspection};
use super::pack::{index_name, pack_name};
use super::quarantine::{FOLDER as QUARANTINE, keep_tail, make_way, put_aside, put_copy_aside, read_piece};
use super::recover::{Window, record_at};
use super::view::JOURNAL;
use super::{FORMAT, LOCK, Reader, Store};
use crate::disk::{Disk, LockGuard, LockMode, StoredFile};
use crate::error::{ErrorKind, Result};
use crate::format::facts::{self, Fact};
use crate::format::header;
use crate::format::pack::{Encoding, Member, ObjectKey, PackHeader, encode_header, put_commit, put_record};
use crate::id::StoreId;
use crate::limits::{BATCH_INLINE_MAX_BYTES, PACK_LENGTH_MAX_BYTES};

/// A pack as it is to become: without what is damaged.
#[derive(Clone, Debug)]
pub struct Rewrite {
    /// Its number, which it keeps.
    pub number: u32,
    /// Objects given up.
    pub lost: u64,
    /// Bytes outside of intact transactions.
    pub damaged_bytes: u64,
    /// It is longer than a pack may be. Its contents go into a pack of another number, and it is put aside as it is: no
    /// byte beyond the limit is ever read.
    pub is_too_long: bool,
    parts: Vec<Part>,
}

/// Bytes to be copied: an intact transaction, or records that become one.
#[derive(Clone, Debug)]
struct Part {
    places: Vec<Range<u64>>,
    /// The number and the facts of the transaction that the records become.
    closed_by: Option<(u64, Vec<u8>)>,
}

/// Takes the store's lock, which writers hold while they append. What stands in the place of its file is put aside first:
/// nobody can have locked it.
pub fn lock(disk: &dyn Disk) -> Result<LockGuard> {
    if disk.list(QUARANTINE).is_err_and(|error| error.kind() == ErrorKind::Corrupt) {
        put_aside(disk, QUARANTINE)?;
    }
    make_way(disk, LOCK)?;
    let guard = disk.lock(LOCK, LockMode::Exclusive)?;
    Ok(guard.expect("only a try comes back without a lock"))
}

/// Keeps writers out while a dry run reads. Where there is no lock to be had, nobody can write.
pub fn keep_still(disk: &dyn Disk) -> Option<LockGuard> {
    // Asking for the lock would make its file.
    disk.open(LOCK).and_then(|_| disk.lock(LOCK, LockMode::Shared)).ok().flatten()
}

/// Makes indexes and journal again, where they are missing or behind, as the next writer would. It cuts a torn tail, too,
/// and as a repair does it, the tail is kept.
pub fn complete_caches(store: &Store, _lock: &LockGuard) -> Result<()> {
    super::batch::remove_strays(store.disk())?;
    store.refresh()?;
    if let Some(active) = store.view().active()
        && !active.has_doubtful_tail
        && active.file.length()? > active.index.end()
    {
        keep_tail(store.disk(), active, active.index.end())?;
    }
    store.recover()
}

/// Puts aside what stands in the place of a file or folder, unless taking the lock has done that.
pub fn clear_place(disk: &dyn Disk, file: &StoreFile, _lock: &LockGuard) -> Result<()> {
    let name = file.to_string();
    if name == LOCK || name == QUARANTINE { Ok(()) } else { put_aside(disk, &name).map(drop) }
}

/// Moves a file that is no part of the store into quarantine.
pub fn put_file_aside(disk: &dyn Disk, file: &StoreFile, _lock: &LockGuard) -> Result<()> {
    put_aside(disk, &file.to_string()).map(drop)
}

/// Writes the file that names the store.
pub fn write_format(disk: &dyn Disk, id: StoreId, _lock: &LockGuard) -> Result<()> {
    let temporary = "tmp/FORMAT";
    disk.create_folder("tmp")?;
    disk.remove(temporary)?;
    disk.write(temporary, 0, &header::encode(id))?;
    disk.sync(temporary)?;
    make_way(disk, FORMAT)?;
    disk.rename(temporary, FORMAT)?;
    disk.sync_folder("")
}

/// Turns single bits of packs back, and puts copies of the packs as they were into quarantine. All else of a pack stays
/// as it is, so its caches stay right.
pub fn turn_back(disk: &dyn Disk, flips: &Flips, _lock: &LockGuard) -> Result<()> {
    for (number, flips) in flips {
        let name = pack_name(*number);
        put_copy_aside(disk, &name)?;
        let file = Healed { file: disk.open(&name)?, flips: flips.clone() };
        let temporary = "tmp/healed.pack";
        disk.create_folder("tmp")?;
        disk.remove(temporary)?;
        let length = file.length()?;
        let mut at = 0;
        while at < length {
            let piece = read_piece(&file, at, length)?;
            assert!(!piece.is_empty(), "the lock is held, and nobody cuts a pack");
            disk.write(temporary, at, &piece)?;
            at += piece.len() as u64;
        }
        disk.sync(temporary)?;
        disk.rename(temporary, &name)?;
        disk.sync_folder("packs")?;
    }
    Ok(())
}

/// Writes a pack of facts, each transaction under its own number, and of objects that would be lost with what is damaged.
/// Then it cuts the torn tail of the pack that was the last one: in any other, a tail is damage. Where that has a whole
/// transaction in it, its objects are saved first.
pub fn write_pack(
    inspection: &Inspection,
    transactions: &BTreeMap<u64, Vec<Fact>>,
    objects: &BTreeSet<ObjectKey>,
    _lock: &LockGuard,
) -> Result<()> {
    let reader = &inspection.reader;
    let in_tail = inspection.packs.iter().flat_map(|pack| &pack.tail).flat_map(|tail| &tail.salvaged);
    let objects: BTreeSet<ObjectKey> = in_tail.map(|entry| entry.key()).chain(objects.iter().copied()).collect();
    let has_tail = inspection.packs.iter().any(|pack| pack.tail.is_some());
    if !has_tail {
        settle(inspection)?;
    }
    if !transactions.is_empty() || !objects.is_empty() {
        let number = reader.view().expect_next_number(reader.disk())?;
        let mut pack = Growing::create(reader.disk(), reader.id())?;
        pack.add_objects(&inspection.lenient_reader, &objects)?;
        for (sequence, facts) in transactions {
            pack.commit(*sequence, &facts::encode(facts))?;
        }
        pack.publish(number)?;
        // It covers packs from some place on, and does not look for facts before that.
        remove_cache(inspection, &StoreFile::Journal, _lock)?;
    }
    if has_tail { settle(inspection) } else { Ok(()) }
}

/// Cuts the torn tail of the last pack and makes it durable, as whoever makes a new pack must. A tail is most likely what
/// a dead writer left; as a repair cuts it, it is kept in quarantine.
fn settle(inspection: &Inspection) -> Result<()> {
    let (disk, view) = (inspection.reader.disk(), inspection.reader.view());
    let (Some(last), Some(found)) = (inspection.packs.last(), view.packs.last()) else { return Ok(()) };
    if let Some(torn) = &last.torn {
        keep_tail(disk, found, torn.start)?;
    }
    settle_pack(disk, found).map(drop)
}

/// Removes a cache, or puts it aside where it has bytes that say nothing to readers and may to people.
pub fn remove_cache(inspection: &Inspection, file: &StoreFile, _lock: &LockGuard) -> Result<()> {
    let disk = inspection.reader.disk();
    if *file != StoreFile::Journal {
        return disk.remove(&file.to_string());
    }
    if inspection.journal_has_rest && disk.open(JOURNAL).is_ok() {
        put_aside(disk, JOURNAL)?;
    } else {
        disk.remove(JOURNAL)?;
    }
    disk.sync_folder("")
}

/// Objects that are readable and have no other copy than in records that [`plan_rewrites`] leaves out.
pub fn to_save(inspection: &Inspection, checked: &Checked, given_up: bool) -> Result<BTreeSet<ObjectKey>> {
    let rescued: BTreeSet<(u32, u64)> = inspection
        .packs
        .iter()
        .flat_map(|pack| pack.rescued.iter().map(|entry| (pack.number, u64::from(entry.offset))))
        .collect();
    let (left_out, bad) = (left_out(checked, given_up), &checked.bad);
    let unreadable = bad.iter().filter(|bad| !bad.is_readable);
    let unreadable: BTreeSet<((u32, u64), ObjectKey)> =
        unreadable.map(|bad| ((bad.pack, bad.offset), bad.key)).collect();
    let damaged: BTreeSet<(u32, u64)> = bad.iter().map(|bad| (bad.pack, bad.offset)).collect();
    let view = inspection.reader.view();
    let copies = || {
        view.packs.iter().flat_map(|pack| {
            let place = |offset: u32| (pack.number, u64::from(offset));
            pack.index.entries().into_iter().map(move |entry| (place(entry.offset), entry.key()))
        })
    };
    let is_left_out = |place: &(u32, u64)| left_out.contains(place) || rescued.contains(place);
    let in_danger = copies().filter(|copy| is_left_out(&copy.0) && !unreadable.contains(copy));
    let mut objects: BTreeSet<ObjectKey> = in_danger.map(|(_, key)| key).collect();
    if !objects.is_empty() {
        for (_, key) in copies().filter(|(place, _)| !damaged.contains(place) && !rescued.contains(place)) {
            objects.remove(&key);
        }
    }
    let mut readable = BTreeSet::new();
    for key in objects {
        if inspection.lenient_reader.is_readable(key)? {
            readable.insert(key);
        }
    }
    Ok(readable)
}

/// Decides which packs are written anew. Deltas of lost objects are kept, because the objects may come back, unless all hope
/// is `given_up`: what is there and cannot be read must not be taken for stored.
pub fn plan_rewrites(inspection: &Inspection, checked: &Checked, given_up: bool) -> Result<Vec<Rewrite>> {
    let left_out = left_out(checked, given_up);
    let mut rewrites = Vec::new();
    for pack in &inspection.packs {
        let left_out: BTreeSet<u64> = left_out.iter().filter(|(of, _)| *of == pack.number).map(|(_, at)| *at).collect();
        let is_whole = !pack.has_bad_header && pack.damaged.is_empty() && left_out.is_empty();
        if !is_whole || pack.length_bytes > PACK_LENGTH_MAX_BYTES {
            let lost = checked.bad.iter().filter(|bad| bad.pack == pack.number && left_out.contains(&bad.offset));
            let lost = lost.filter(|bad| !bad.is_readable).count() as u64;
            rewrites.push(plan_rewrite(inspection, pack, lost, &left_out)?);
        }
    }
    Ok(rewrites)
}

/// Records that give nothing any more, by pack and offset.
fn left_out(checked: &Checked, given_up: bool) -> BTreeSet<(u32, u64)> {
    let bad = checked.bad.iter().filter(|bad| given_up || bad.base.is_none() || bad.is_readable);
    bad.map(|bad| (bad.pack, bad.offset)).collect()
}

fn plan_rewrite(inspection: &Inspection, pack: &InspectedPack, lost: u64, left_out: &BTreeSet<u64>) -> Result<Rewrite> {
    let mut rewrite = Rewrite {
        number: pack.number,
        lost,
        damaged_bytes: 0,
        is_too_long: pack.length_bytes > PACK_LENGTH_MAX_BYTES,
        parts: Vec::new(),
    };
    let mut parts: BTreeMap<u64, Part> = BTreeMap::new();
    for (place, sequence) in &pack.batches {
        let part = if left_out.range(place.clone()).next().is_none() {
            Part { places: vec![place.clone()], closed_by: None }
        } else {
            let mut places = records(inspection, pack.number, place)?;
            places.retain(|record| !left_out.contains(&record.start));
            Part { places, closed_by: Some((*sequence, inspection.encoded_facts(pack.number, *sequence))) }
        };
        parts.insert(place.start, part);
    }
    for range in &pack.damaged {
        rewrite.lost += range.broken.len() as u64;
        rewrite.damaged_bytes += range.place.end - range.place.start;
        parts.insert(range.place.start, Part { places: range.records.clone(), closed_by: Some((0, Vec::new())) });
    }
    rewrite.parts = parts.into_values().collect();
    Ok(rewrite)
}

/// The places of the records of an intact transaction.
fn records(inspection: &Inspection, pack: u32, place: &Range<u64>) -> Result<Vec<Range<u64>>> {
    let file = inspection.reader.disk().open(&pack_name(pack))?;
    let mut window = Window::new(&*file, inspection.reader.id(), place.end);
    let (mut records, mut at) = (Vec::new(), place.start);
    while let Some(header) = record_at(&mut window, at)? {
        let end = at + header.record_length_bytes() as u64;
        records.push(at..end);
        at = end;
    }
    Ok(records)
}

/// Writes a pack anew beside the old one, and puts it in its place.
pub fn rewrite_pack(inspection: &Inspection, rewrite: &Rewrite, lock: &LockGuard) -> Result<()> {
    let reader = &inspection.reader;
    let (disk, name, index) = (reader.disk(), pack_name(rewrite.number), index_name(rewrite.number));
    remove_cache(inspection, &StoreFile::Journal, lock)?;
    if rewrite.is_too_long {
        if inspection.packs.last().is_some_and(|last| last.number != rewrite.number) {
            settle(inspection)?;
        }
        copy_parts(reader, rewrite, reader.view().expect_next_number(disk)?)?;
        put_aside(disk, &name)?;
        return disk.remove(&index);
    }
    put_copy_aside(disk, &name)?;
    disk.remove(&index)?;
    copy_parts(reader, rewrite, rewrite.number)
}

/// Writes what is kept of a pack as the pack with this number.
fn copy_parts(reader: &Reader, rewrite: &Rewrite, number: u32) -> Result<()> {
    let old = reader.disk().open(&pack_name(rewrite.number))?;
    let mut pack = Growing::create(reader.disk(), reader.id())?;
    for Part { places, closed_by } in &rewrite.parts {
        match closed_by {
            None => places.iter().try_for_each(|place| pack.copy(&old, place))?,
            Some((sequence, facts)) => {
                places.iter().try_for_each(|place| pack.add_record(&old, place))?;
                pack.commit(*sequence, facts)?;
            }
        }
    }
    pack.publish(number)
}

/// A pack that is being written under `tmp/`.
struct Growing<'a> {
    disk: &'a dyn Disk,
    store: StoreId,
    name: String,
    length_bytes: u64,
    /// Records that are not committed yet.
    batch: Vec<u8>,
}

impl<'a> Growing<'a> {
    fn create(disk: &'a dyn Disk, store: StoreId) -> Result<Self> {
        disk.create_folder("tmp")?;
        disk.create_folder("packs")?;
        let nonce = disk.random();
        let name = format!("tmp/{}.pack", StoreId(nonce));
        let header = encode_header(&PackHeader { store, nonce });
        disk.write(&name, 0, &header)?;
        Ok(Self { disk, store, name, length_bytes: header.len() as u64, batch: Vec::new() })
    }

    fn copy(&mut self, from: &Arc<dyn StoredFile>, place: &Range<u64>) -> Result<()> {
        let mut at = place.start;
        while at < place.end {
            let piece = read_piece(&**from, at, place.end)?;
            assert!(!piece.is_empty(), "the lock is held, and nobody cuts a pack");
            self.disk.write(&self.name, self.length_bytes, &piece)?;
            self.length_bytes += piece.len() as u64;
            at += piece.len() as u64;
        }
        Ok(())
    }

    fn add_record(&mut self, from: &Arc<dyn StoredFile>, place: &Range<u64>) -> Result<()> {
        let mut at = place.start;
        while at < place.end {
            let piece = read_piece(&**from, at, place.end)?;
            assert!(!piece.is_empty(), "the lock is held, and nobody cuts a pack");
            at += piece.len() as u64;
            self.batch.extend_from_slice(&piece);
        }
        self.commit_if_long()
    }

    /// Stores objects again, and commits them.
    fn add_objects<'o>(&mut self, from: &Reader, objects: impl IntoIterator<Item = &'o ObjectKey>) -> Result<()> {
        for key in objects {
            let (id, bytes) = from.object_with(key.kind, key.prefix)?;
            let raw_length_bytes = u32::try_from(bytes.len()).expect("every kind is limited below 4 GiB");
            let member = Member { kind: key.kind, raw_length_bytes, prefix: id.prefix() };
            put_record(&mut self.batch, &Encoding::Raw, &[member], &bytes);
            self.commit_if_long()?;
        }
        self.commit(0, &[])
    }

    fn commit_if_long(&mut self) -> Result<()> {
        if self.batch.len() > BATCH_INLINE_MAX_BYTES { self.commit(0, &[]) } else { Ok(()) }
    }

    /// Commits the records at hand; nothing where there are neither records nor facts.
    fn commit(&mut self, sequence: u64, facts: &[u8]) -> Result<()> {
        if self.batch.is_empty() && sequence == 0 {
            return Ok(());
        }
        let mut batch = std::mem::take(&mut self.batch);
        put_commit(&mut batch, self.store, 0, sequence, facts);
        self.disk.write(&self.name, self.length_bytes, &batch)?;
        self.length_bytes += batch.len() as u64;
        Ok(())
    }

    /// Makes it the pack with this number, durably, in place of what had the name.
    fn publish(self, number: u32) -> Result<()> {
        self.disk.sync(&self.name)?;
        self.disk.sync_folder("")?;
        self.disk.rename(&self.name, &pack_name(number))?;
        self.disk.sync_folder("packs")
    }
}
