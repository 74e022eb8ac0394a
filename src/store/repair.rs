//! The changes that a repair makes to packs and caches, each safe to kill at any moment.
//!
//! ```text
//! write_pack     facts and objects that only damaged ranges have -> new pack -> cut the torn tail of the last pack
//! rewrite_pack   remove the journal -> copy into quarantine -> new pack beside it -> new pack over the old one
//! ```
//!
//! Invariants: a fact is durable in a new pack before its old bytes are removed. The old bytes are in quarantine before
//! the new ones take their name. Until then readers see the old pack, and after it the new one; its nonce is another,
//! so they do not use the index of the old one.
//!
//! The callers hold the store's lock, and pass its guard.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::file::StoreFile;
use super::heal::Flips;
use super::inspect::{BadObject, Checked, InspectedPack, Inspection};
use super::journal::JOURNAL;
use super::pack::{index_name, pack_name};
use super::pack_writer::PackWriter;
use super::quarantine::{FOLDER as QUARANTINE, copy_bytes, keep_tail, make_way, put_aside, put_copy_aside};
use super::recover::{DamagedRange, RecoveredTransaction, Window, record_at};
use super::transaction::settle_pack;
use super::{FORMAT, LOCK, Reader, Store};
use crate::disk::{Disk, Durability, LockGuard, LockMode, StoredFile, replace};
use crate::error::{ErrorKind, Result};
use crate::format::facts::{self, Fact};
use crate::format::pack::{Encoding, Member, ObjectKey, put_record};
use crate::id::StoreId;
use crate::limits::{BATCH_INLINE_MAX_BYTES, PACK_LENGTH_MAX_BYTES};

/// The change to a pack that was written anew.
#[derive(Clone, Copy, Debug)]
pub struct Rewrite {
    /// The number of objects given up.
    pub lost: u64,
    /// Bytes outside of intact transactions.
    pub damaged_bytes: u64,
    /// The pack was longer than a pack may be. Its contents are in a pack of another number, and it is in quarantine as
    /// it was: no byte beyond the limit is ever read.
    pub is_too_long: bool,
}

/// A part of a pack.
enum Part<'a> {
    Transaction(&'a RecoveredTransaction),
    Damaged(&'a DamagedRange),
}

/// Takes the store's lock, which writers hold while they append. Things that are not a file in its place are moved to
/// quarantine first: nobody can have locked them.
pub fn lock(disk: &dyn Disk) -> Result<LockGuard> {
    if disk.list(QUARANTINE).is_err_and(|error| error.kind() == ErrorKind::Corrupt) {
        put_aside(disk, QUARANTINE)?;
    }
    make_way(disk, LOCK)?;
    let guard = disk.lock(LOCK, LockMode::Exclusive)?;
    Ok(guard.expect("only a try comes back without a lock"))
}

/// Excludes writers while a dry run reads. Where the lock cannot be taken, nobody can write.
pub fn keep_still(disk: &dyn Disk) -> Option<LockGuard> {
    // Taking the lock would create its file.
    disk.open(LOCK).and_then(|_| disk.lock(LOCK, LockMode::Shared)).ok().flatten()
}

/// Writes indexes and journal where they are missing or behind, as the next writer would. It also cuts a torn tail, and
/// unlike a writer always keeps a copy.
pub fn complete_caches(store: &Store, _lock: &LockGuard) -> Result<()> {
    super::batch::remove_strays(store.disk())?;
    store.refresh()?;
    if let Some(active) = store.view().active()
        && !active.has_unproven_tail
        && active.file.length()? > active.index.end()
    {
        keep_tail(store.disk(), active, active.index.end())?;
    }
    store.recover()
}

/// Moves a file into quarantine, unless taking the lock has done that.
pub fn put_file_aside(disk: &dyn Disk, file: &StoreFile, _lock: &LockGuard) -> Result<()> {
    let name = file.to_string();
    if name == LOCK || name == QUARANTINE { Ok(()) } else { put_aside(disk, &name).map(drop) }
}

/// Writes the file that names the store.
pub fn write_format(disk: &dyn Disk, id: StoreId, _lock: &LockGuard) -> Result<()> {
    make_way(disk, FORMAT)?;
    super::write_format(disk, id)
}

/// Turns single bits of packs back, and puts copies of the old packs into quarantine. Everything else in a pack stays
/// the same, so its caches stay right.
pub fn turn_back(disk: &dyn Disk, flips: &Flips, _lock: &LockGuard) -> Result<()> {
    for (number, flips) in flips {
        let name = pack_name(*number);
        put_copy_aside(disk, &name)?;
        let file = disk.open(&name)?;
        let length = file.length()?;
        replace(disk, &name, Durability::Durable, |temporary| {
            copy_bytes(disk, &*file, 0..length, temporary)?;
            flips.iter().try_for_each(|(at, bit)| {
                let mut byte = [0];
                disk.open(temporary)?.read_at(*at, &mut byte)?;
                disk.write(temporary, *at, &[byte[0] ^ 1 << bit])
            })
        })?;
    }
    Ok(())
}

/// Writes a pack of transactions, each under its own number, and of objects that would be lost with damaged records.
/// Then cuts the torn tail of the pack that was the last one: in any other, a tail is damage. Objects of a tail with a
/// trailer in it are saved first.
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
        // Readers with a journal would not look for these transactions in a later pack.
        remove_cache(inspection, &StoreFile::Journal, _lock)?;
    }
    if has_tail { settle(inspection) } else { Ok(()) }
}

/// Cuts the torn tail of the last pack and makes it durable, as before every new pack. A copy of the tail goes to
/// quarantine.
fn settle(inspection: &Inspection) -> Result<()> {
    let (disk, view) = (inspection.reader.disk(), inspection.reader.view());
    let (Some(last), Some(found)) = (inspection.packs.last(), view.packs.last()) else { return Ok(()) };
    if let Some(torn) = &last.torn {
        keep_tail(disk, found, torn.start)?;
    }
    settle_pack(disk, found).map(drop)
}

/// Removes a cache. A journal with bytes that readers do not use is moved to quarantine instead, for people to read.
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

/// Objects that are readable and have no other copy than in records that [`rewrite_pack`] leaves out.
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

/// Records that are left out of packs that are written anew. Deltas of lost objects are kept, because the objects may
/// come back, unless all hope is `given_up`: a writer must not take an unreadable object for stored.
fn left_out(checked: &Checked, given_up: bool) -> BTreeSet<(u32, u64)> {
    let bad = checked.bad.iter().filter(|bad| given_up || bad.base.is_none() || bad.is_readable);
    bad.map(|bad| (bad.pack, bad.offset)).collect()
}

/// Writes a damaged pack anew beside the old one, without its damaged records, and puts it in its place. Returns `None`
/// and changes nothing if the pack is intact.
pub fn rewrite_pack(
    inspection: &Inspection,
    checked: &Checked,
    pack: &InspectedPack,
    given_up: bool,
    lock: &LockGuard,
) -> Result<Option<Rewrite>> {
    let left_out = left_out(checked, given_up);
    let left_out: BTreeSet<u64> = left_out.into_iter().filter(|(of, _)| *of == pack.number).map(|(_, at)| at).collect();
    let is_too_long = pack.length_bytes > PACK_LENGTH_MAX_BYTES;
    if !pack.has_bad_header && !is_too_long && pack.damaged.is_empty() && left_out.is_empty() {
        return Ok(None);
    }
    let is_lost = |bad: &&BadObject| bad.pack == pack.number && left_out.contains(&bad.offset) && !bad.is_readable;
    let broken: usize = pack.damaged.iter().map(|range| range.broken.len()).sum();
    let lost = (checked.bad.iter().filter(is_lost).count() + broken) as u64;
    let damaged_bytes = pack.damaged.iter().map(|range| range.place.end - range.place.start).sum();
    let reader = &inspection.reader;
    let (disk, name, index) = (reader.disk(), pack_name(pack.number), index_name(pack.number));
    remove_cache(inspection, &StoreFile::Journal, lock)?;
    if is_too_long {
        if inspection.packs.last().is_some_and(|last| last.number != pack.number) {
            settle(inspection)?;
        }
        copy_intact(reader, pack, &left_out, reader.view().expect_next_number(disk)?)?;
        put_aside(disk, &name)?;
        disk.remove(&index)?;
    } else {
        put_copy_aside(disk, &name)?;
        disk.remove(&index)?;
        copy_intact(reader, pack, &left_out, pack.number)?;
    }
    Ok(Some(Rewrite { lost, damaged_bytes, is_too_long }))
}

/// Writes the intact records of a pack as the pack with this number.
fn copy_intact(reader: &Reader, pack: &InspectedPack, left_out: &BTreeSet<u64>, number: u32) -> Result<()> {
    let old = reader.disk().open(&pack_name(pack.number))?;
    let mut new = PackWriter::create(reader.disk(), reader.id())?;
    let transactions = pack.transactions.iter().map(|one| (one.start, Part::Transaction(one)));
    let damaged = pack.damaged.iter().map(|range| (range.place.start, Part::Damaged(range)));
    let parts: BTreeMap<u64, Part<'_>> = transactions.chain(damaged).collect();
    for part in parts.into_values() {
        let (records, sequence, facts) = match part {
            Part::Transaction(one) if left_out.range(one.start..one.end).next().is_none() => {
                new.copy_transactions(&*old, &(one.start..one.end))?;
                continue;
            }
            Part::Transaction(one) => (records(&*old, reader.id(), one)?, one.sequence, &one.facts[..]),
            Part::Damaged(range) => (range.records.clone(), 0, &[][..]),
        };
        for record in records.iter().filter(|record| !left_out.contains(&record.start)) {
            new.push_from(&*old, record)?;
            end_if_long(&mut new)?;
        }
        new.end_transaction(sequence, facts)?;
    }
    new.publish_over(number).map(drop)
}

/// The ranges of the records of an intact transaction.
fn records(pack: &dyn StoredFile, store: StoreId, transaction: &RecoveredTransaction) -> Result<Vec<Range<u64>>> {
    let mut window = Window::new(pack, store, transaction.end);
    let (mut records, mut at) = (Vec::new(), transaction.start);
    while let Some(header) = record_at(&mut window, at)? {
        let end = at + header.record_length_bytes() as u64;
        records.push(at..end);
        at = end;
    }
    Ok(records)
}

/// Stores objects again, whole, in transactions of a bounded length.
fn add_objects(pack: &mut PackWriter<'_>, from: &Reader, objects: &BTreeSet<ObjectKey>) -> Result<()> {
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
