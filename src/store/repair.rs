//! Making the packs whole again: damaged ones are written anew without what cannot be used, caches are made again.
//!
//! [`plan`] decides, [`perform`] does it, in an order in which each step may be the last one before a crash:
//!
//! ```text
//! FORMAT -> facts and objects that only damaged places have, in a pack of their own -> per damaged pack: copy into quarantine,
//! new pack beside it, journal away, new pack over the old one -> files of others into quarantine -> caches
//! ```
//!
//! Invariants: a fact is durable in a pack before the place it was found in goes away; the old bytes are in quarantine
//! before the new ones take their name; until then readers see the old pack, and after it the new one, whose other
//! nonce tells them that its index is another pack's. A repair that was killed is finished by the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::commit::settle_pack;
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
use crate::format::pack::{Encoding, Member, ObjectKind, PackHeader, encode_header, put_commit, put_record};
use crate::id::StoreId;
use crate::limits::{BATCH_INLINE_MAX_BYTES, PACK_LENGTH_MAX_BYTES};

/// What there is to do about the packs.
#[derive(Clone, Debug, Default)]
pub struct PackPlan {
    /// The file that names the store is written again, and why.
    pub format: Option<String>,
    /// Facts that are in no intact commit, by the sequence they get.
    pub facts: BTreeMap<u64, Vec<Fact>>,
    /// Objects that can be read only because something damaged is there, and that are stored again, whole.
    pub objects: BTreeSet<(ObjectKind, [u8; 16])>,
    /// Packs that are written anew.
    pub rewrites: Vec<Rewrite>,
    /// Files that are no part of the store, and why.
    pub strays: Vec<(String, String)>,
    /// Caches that are wrong, and why. They are removed and made again.
    pub caches: Vec<(String, String)>,
}

/// A pack without what cannot be used of it.
#[derive(Clone, Debug)]
pub struct Rewrite {
    /// Its number, which it keeps.
    pub number: u32,
    /// Objects kept of damaged places.
    pub kept: u64,
    /// Objects given up.
    pub lost: u64,
    /// Bytes that are in no intact batch.
    pub damaged_bytes: u64,
    /// Commits whose facts are taken out, because another of the same sequence counts.
    pub overruled: u64,
    /// It is longer than a pack may be. What it holds goes into a pack of another number, and it is put aside as it is:
    /// what lies beyond is never read, however much that is.
    pub is_too_long: bool,
    parts: Vec<PackPart>,
}

#[derive(Clone, Debug)]
enum PackPart {
    /// An intact batch, as it is.
    Batch(Range<u64>),
    /// Some records, committed again with the facts they came with, if there are any.
    Records { places: Vec<Range<u64>>, sequence: u64, facts: Vec<u8> },
    /// Objects out of damaged records, stored again.
    Objects(Vec<(ObjectKind, [u8; 16])>),
}

/// Decides what to do. `recovered` are facts that no intact commit has. Deltas of lost objects are kept, because the
/// objects may come back, unless all hope is `given_up`: what is there and cannot be read must not be taken for stored.
pub fn plan(
    inspection: &Inspection,
    checked: &Checked,
    recovered: BTreeMap<u64, Vec<Fact>>,
    given_up: bool,
) -> Result<PackPlan> {
    let mut plan = PackPlan { format: inspection.format_trouble.clone(), facts: recovered, ..PackPlan::default() };
    for pack in &inspection.packs {
        let bad = checked.bad.iter().filter(|bad| bad.file == pack.file);
        let bad = bad.filter(|bad| given_up || bad.base.is_none() || bad.is_readable);
        plan.objects.extend(bad.clone().filter(|bad| bad.is_readable).map(|bad| (bad.kind, bad.prefix)));
        for entry in &pack.rescued {
            if !inspection.reader.is_readable(entry.kind, entry.prefix)? {
                plan.objects.insert((entry.kind, entry.prefix));
            }
        }
        let bad: BTreeSet<(u64, ObjectKind, [u8; 16])> = bad.map(|bad| (bad.offset, bad.kind, bad.prefix)).collect();
        let is_sound = !pack.is_headless && pack.damaged.is_empty() && pack.tail.is_none();
        let is_whole = is_sound && bad.is_empty() && pack.overruled.is_empty();
        if !is_whole || is_too_long(pack) {
            plan.rewrites.push(plan_rewrite(inspection, pack, &bad, &plan.objects)?);
        }
    }
    plan.strays.clone_from(&inspection.unusable);
    for (file, _) in &inspection.unusable {
        let index = file.replace(".pack", ".idx");
        if inspection.reader.disk().open(&index).is_ok() {
            plan.strays.push((index, "its pack is none of this store".to_owned()));
        }
    }
    for (file, why) in &inspection.wrong_caches {
        if file != JOURNAL && inspection.packs.iter().all(|pack| index_name(pack.number) != *file) {
            plan.strays.push((file.clone(), why.clone()));
        } else {
            plan.caches.push((file.clone(), why.clone()));
        }
    }
    for stale in &inspection.stale_caches {
        if !plan.caches.iter().any(|(file, _)| *file == stale.0) {
            plan.caches.push(stale.clone());
        }
    }
    let is_cut = |pack: &InspectedPack| pack.known_length_bytes.is_some() || !pack.lost.is_empty();
    let names_wrong_places = !plan.facts.is_empty() || inspection.packs.iter().any(is_cut);
    if names_wrong_places && !plan.caches.iter().any(|(file, _)| file == JOURNAL) {
        plan.caches.push((JOURNAL.to_owned(), "it names places in packs that are others now".to_owned()));
    }
    Ok(plan)
}

/// Does it. The guard shows that the store's lock is held. Returns the names in quarantine of what was put there.
pub fn perform(inspection: &Inspection, plan: &PackPlan, _lock: &LockGuard) -> Result<Vec<String>> {
    let reader = &inspection.reader;
    let disk = reader.disk();
    super::batch::remove_strays(disk)?;
    if plan.format.is_some() {
        write_format(disk, reader.id())?;
    }
    settle(inspection, plan)?;
    let mut given_out = 0;
    if !plan.facts.is_empty() || !plan.objects.is_empty() {
        write_saved(inspection, new_number(reader, &mut given_out)?, plan)?;
    }
    let mut aside = Vec::new();
    if !plan.rewrites.is_empty() || plan.caches.iter().any(|(file, _)| file == JOURNAL) {
        // It names places in packs that are about to be others.
        if inspection.journal_has_rest {
            aside.push(put_aside(disk, JOURNAL)?);
        } else {
            disk.remove(JOURNAL)?;
        }
        disk.sync_folder("")?;
    }
    for rewrite in &plan.rewrites {
        let name = pack_name(rewrite.number);
        if rewrite.is_too_long {
            rewrite_pack(reader, rewrite, new_number(reader, &mut given_out)?)?;
            aside.push(put_aside(disk, &name)?);
            disk.remove(&index_name(rewrite.number))?;
        } else {
            aside.push(put_copy_aside(disk, &name)?);
            rewrite_pack(reader, rewrite, rewrite.number)?;
        }
    }
    for (file, _) in &plan.strays {
        aside.push(put_aside(disk, file)?);
    }
    for (file, _) in plan.caches.iter().filter(|(file, _)| file != JOURNAL) {
        disk.remove(file)?;
    }
    Ok(aside)
}

/// Cuts torn tails of packs that stay and makes the last one durable, as whoever makes a new pack must: in a pack that is not
/// the last one, a tail is damage. Tails are a dead writer's remains, most likely; what cuts them is a repair, so they are
/// kept.
fn settle(inspection: &Inspection, plan: &PackPlan) -> Result<()> {
    let disk = inspection.reader.disk();
    let view = inspection.reader.view();
    let last = inspection.packs.last().map(|pack| pack.number);
    let stays = |pack: &&InspectedPack| plan.rewrites.iter().all(|rewrite| rewrite.number != pack.number);
    for pack in inspection.packs.iter().filter(stays) {
        let found = view.packs.iter().find(|found| found.number == pack.number).expect("it was inspected");
        if let Some(torn) = &pack.torn {
            keep_tail(disk, found, torn.start)?;
        }
        if pack.torn.is_some() || Some(pack.number) == last {
            settle_pack(disk, found)?;
        }
    }
    Ok(())
}

/// Turns single bits of packs back, and puts copies of the packs as they were into quarantine. All else of a pack stays
/// as it is, so its caches stay right. The guard shows that the store's lock is held.
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

/// Makes indexes and journal again, where they are missing or behind. The guard shows that the store's lock is held.
pub fn complete_caches(store: &Store, _lock: &LockGuard) -> Result<()> {
    store.refresh()?;
    store.recover()
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

/// Puts aside what [`obstacles`](super::inspect::obstacles) has found. The guard shows that the store's lock is held.
pub fn clear(disk: &dyn Disk, obstacles: &[(String, String)], _lock: &LockGuard) -> Result<()> {
    for (name, _) in obstacles.iter().filter(|(name, _)| name != LOCK && name != QUARANTINE) {
        put_aside(disk, name)?;
    }
    Ok(())
}

fn plan_rewrite(
    inspection: &Inspection,
    pack: &InspectedPack,
    bad: &BTreeSet<(u64, ObjectKind, [u8; 16])>,
    saved_apart: &BTreeSet<(ObjectKind, [u8; 16])>,
) -> Result<Rewrite> {
    let mut parts: BTreeMap<u64, PackPart> = BTreeMap::new();
    let mut kept = 0;
    let mut saved: Vec<(ObjectKind, [u8; 16])> = pack.rescued.iter().map(|entry| (entry.kind, entry.prefix)).collect();
    for (place, sequence) in &pack.batches {
        let hit: BTreeSet<u64> = bad.iter().map(|(offset, ..)| *offset).filter(|at| place.contains(at)).collect();
        let is_overruled = pack.overruled.contains(&place.end);
        if hit.is_empty() && !is_overruled {
            parts.insert(place.start, PackPart::Batch(place.clone()));
            continue;
        }
        let file = inspection.reader.disk().open(&pack.file)?;
        let mut window = Window::new(&*file, inspection.reader.id(), place.end);
        let mut places = Vec::new();
        let mut at = place.start;
        while let Some(header) = record_at(&mut window, at)? {
            let end = at + header.record_length_bytes() as u64;
            if hit.contains(&at) {
                let members = header.members.iter().map(|member| (member.kind, member.prefix));
                saved.extend(members.filter(|(kind, prefix)| !bad.contains(&(at, *kind, *prefix))));
            } else {
                places.push(at..end);
            }
            at = end;
        }
        let (sequence, facts) = match is_overruled {
            true => (0, Vec::new()),
            false => (*sequence, inspection.encoded_facts(&pack.file, *sequence)),
        };
        parts.insert(place.start, PackPart::Records { places, sequence, facts });
    }
    let mut damaged_bytes = 0;
    let is_apart = |kind: ObjectKind, prefix: [u8; 16]| saved_apart.contains(&(kind, prefix));
    let mut lost = bad.iter().filter(|(_, kind, prefix)| !is_apart(*kind, *prefix)).count() as u64;
    for stretch in pack.damaged.iter().chain(&pack.tail) {
        kept += stretch.salvaged.len() as u64;
        lost += stretch.broken.len() as u64;
        damaged_bytes += stretch.place.end - stretch.place.start;
        let places = stretch.records.clone();
        parts.insert(stretch.place.start, PackPart::Records { places, sequence: 0, facts: Vec::new() });
    }
    saved.retain(|(kind, prefix)| !is_apart(*kind, *prefix));
    kept += saved.len() as u64;
    let mut parts: Vec<PackPart> = parts.into_values().collect();
    parts.push(PackPart::Objects(saved));
    let overruled = pack.overruled.len() as u64;
    Ok(Rewrite { number: pack.number, kept, lost, damaged_bytes, overruled, is_too_long: is_too_long(pack), parts })
}

/// The next number for a new pack, after so many that were given out since the store was inspected.
fn new_number(reader: &Reader, given_out: &mut u32) -> Result<u32> {
    let number = reader.view().expect_number(reader.disk(), *given_out)?;
    *given_out += 1;
    Ok(number)
}

fn is_too_long(pack: &InspectedPack) -> bool {
    pack.length_bytes > PACK_LENGTH_MAX_BYTES
}

fn write_format(disk: &dyn Disk, id: StoreId) -> Result<()> {
    let temporary = "tmp/FORMAT";
    disk.create_folder("tmp")?;
    disk.remove(temporary)?;
    disk.write(temporary, 0, &header::encode(id))?;
    disk.sync(temporary)?;
    make_way(disk, FORMAT)?;
    disk.rename(temporary, FORMAT)?;
    disk.sync_folder("")
}

/// Writes a pack of the facts and objects that would be lost with what is damaged.
fn write_saved(inspection: &Inspection, number: u32, plan: &PackPlan) -> Result<()> {
    let mut pack = Growing::create(inspection.reader.disk(), inspection.reader.id())?;
    pack.add_objects(&inspection.lenient_reader, &plan.objects)?;
    for (sequence, facts) in &plan.facts {
        pack.commit(*sequence, &facts::encode(facts))?;
    }
    pack.publish(number)
}

/// Writes a pack anew beside the old one, as the pack with this number: in its place, where that is its own.
fn rewrite_pack(reader: &Reader, rewrite: &Rewrite, number: u32) -> Result<()> {
    let disk = reader.disk();
    let old = disk.open(&pack_name(rewrite.number))?;
    let mut pack = Growing::create(disk, reader.id())?;
    for part in &rewrite.parts {
        match part {
            PackPart::Batch(place) => pack.copy(&old, place)?,
            PackPart::Records { places, sequence, facts } => {
                for place in places {
                    pack.add_record(&old, place)?;
                }
                pack.commit(*sequence, facts)?;
            }
            PackPart::Objects(objects) => pack.add_objects(reader, objects)?,
        }
    }
    disk.remove(&index_name(number))?;
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
    fn add_objects<'o>(
        &mut self,
        from: &Reader,
        objects: impl IntoIterator<Item = &'o (ObjectKind, [u8; 16])>,
    ) -> Result<()> {
        for (kind, prefix) in objects {
            let (id, bytes) = from.object_with(*kind, *prefix)?;
            let raw_length_bytes = u32::try_from(bytes.len()).expect("every kind is limited below 4 GiB");
            let member = Member { kind: *kind, raw_length_bytes, prefix: id.prefix() };
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
