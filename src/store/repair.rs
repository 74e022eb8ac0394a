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

use super::file::StoreFile;
use super::heal::{Flips, Healed};
use super::inspect::{Checked, InspectedPack, Inspection};
use super::journal::JOURNAL;
use super::pack::{index_name, pack_name};
use super::pack_writer::PackWriter;
use super::quarantine::{FOLDER as QUARANTINE, copy_bytes, keep_tail, make_way, put_aside, put_copy_aside};
use super::recover::{Window, record_at};
use super::transaction::settle_pack;
use super::{FORMAT, LOCK, Reader, Store};
use crate::disk::{Disk, Durability, LockGuard, LockMode, StoredFile, replace};
use crate::error::{ErrorKind, Result};
use crate::format::facts::{self, Fact};
use crate::format::pack::{Encoding, Member, ObjectKey, put_record};
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

/// Takes the store's lock, which writers hold while they append. What stands in the place of its file is put aside
/// first: nobody can have locked it.
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

/// Makes indexes and journal again, where they are missing or behind, as the next writer would. It cuts a torn tail,
/// too, and as a repair does it, the tail is kept.
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
    make_way(disk, FORMAT)?;
    super::write_format(disk, id)
}

/// Turns single bits of packs back, and puts copies of the packs as they were into quarantine. All else of a pack stays
/// as it is, so its caches stay right.
pub fn turn_back(disk: &dyn Disk, flips: &Flips, _lock: &LockGuard) -> Result<()> {
    for (number, flips) in flips {
        let name = pack_name(*number);
        put_copy_aside(disk, &name)?;
        let file = Healed { file: disk.open(&name)?, flips: flips.clone() };
        let length = file.length()?;
        replace(disk, &name, Durability::Durable, |temporary| copy_bytes(disk, &file, 0..length, temporary))?;
    }
    Ok(())
}

/// Writes a pack of facts, each transaction under its own number, and of objects that would be lost with what is
/// damaged. Then it cuts the torn tail of the pack that was the last one: in any other, a tail is damage. Where that
/// has a whole transaction in it, its objects are saved first.
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
        let mut pack = PackWriter::create(reader.disk(), reader.id())?;
        add_objects(&mut pack, &inspection.lenient_reader, &objects)?;
        for (sequence, facts) in transactions {
            pack.end_transaction(*sequence, &facts::encode(facts))?;
        }
        pack.publish(number)?;
        // It covers packs from some place on, and does not look for facts before that.
        remove_cache(inspection, &StoreFile::Journal, _lock)?;
    }
    if has_tail { settle(inspection) } else { Ok(()) }
}

/// Cuts the torn tail of the last pack and makes it durable, as whoever makes a new pack must. A tail is most likely
/// what a dead writer left; as a repair cuts it, it is kept in quarantine.
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

/// Decides which packs are written anew. Deltas of lost objects are kept, because the objects may come back, unless all
/// hope is `given_up`: what is there and cannot be read must not be taken for stored.
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
    let mut pack = PackWriter::create(reader.disk(), reader.id())?;
    for Part { places, closed_by } in &rewrite.parts {
        match closed_by {
            None => places.iter().try_for_each(|place| pack.copy_transactions(&*old, place))?,
            Some((sequence, facts)) => {
                for place in places {
                    pack.push_from(&*old, place)?;
                    end_if_long(&mut pack)?;
                }
                pack.end_transaction(*sequence, facts)?;
            }
        }
    }
    pack.publish_over(number).map(drop)
}

/// Stores objects again, whole, in transactions of a bounded length.
fn add_objects<'o>(
    pack: &mut PackWriter<'_>,
    from: &Reader,
    objects: impl IntoIterator<Item = &'o ObjectKey>,
) -> Result<()> {
    for key in objects {
        let (id, bytes) = from.object_with(key.kind, key.prefix)?;
        let raw_length_bytes = u32::try_from(bytes.len()).expect("every kind is limited below 4 GiB");
        let member = Member { kind: key.kind, raw_length_bytes, prefix: id.prefix() };
        let mut record = Vec::new();
        put_record(&mut record, &Encoding::Raw, &[member], &bytes);
        pack.push(&record);
        end_if_long(pack)?;
    }
    pack.end_transaction(0, &[]).map(drop)
}

fn end_if_long(pack: &mut PackWriter<'_>) -> Result<()> {
    if pack.waiting_bytes() > BATCH_INLINE_MAX_BYTES { pack.end_transaction(0, &[]).map(drop) } else { Ok(()) }
}
