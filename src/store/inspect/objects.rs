//! Every object decoded and compared with its id.
//!
//! Records are read in the order of the pack, many at once on every core. A frame is decoded once for all of its
//! members. Decoded bytes are dropped with their record, except those in the read cache.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::{Damage, Inspection};
use crate::error::{ErrorKind, Result, unless_corrupt};
use crate::format::pack::{Encoding, Member, ObjectKey, ObjectKind};
use crate::format::{chunk_list, snapshot, tree};
use crate::id::Digest;
use crate::limits::{LISTS_HASHED_FACTOR, LISTS_HASHED_MIN_BYTES, PACK_LENGTH_MAX_BYTES};
use crate::progress::{Event, Progress};
use crate::store::pack::Pack;
use crate::store::reader::{copy_chunks, id_of};
use crate::store::{Reader, payload};

/// The result of a check.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Objects that were decoded.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The objects that do not match their ids, in the order of packs and offsets.
    pub bad: Vec<BadObject>,
    /// Chunk lists whose content was not hashed as a whole, because it would have been far too long.
    pub unhashed_lists: u64,
}

/// An object that its record does not decode to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadObject {
    /// The object.
    pub key: ObjectKey,
    /// The number of the pack it is in.
    pub pack: u32,
    /// The offset of its record.
    pub offset: u64,
    /// The damage.
    pub damage: Damage,
    /// The object that it is a delta of, where that is what cannot be read.
    pub base: Option<ObjectKey>,
    /// It is still readable: the part of the base that it uses is intact.
    pub is_readable: bool,
}

/// Objects between two reports of progress.
const REPORT_OBJECTS: u64 = 1_000;

/// Decodes the chosen objects of all packs.
pub fn check_objects(
    inspection: &Inspection,
    chosen: &(dyn Fn(ObjectKey) -> bool + Sync),
    progress: &dyn Progress,
) -> Result<Checked> {
    let reader = &inspection.reader;
    let view = reader.view();
    let total = view.packs.iter().map(|pack| pack.index.tail_count() as u64).sum();
    let seen = AtomicU64::new(0);
    let pack_bytes: u64 = inspection.packs.iter().map(|pack| pack.length_bytes.min(PACK_LENGTH_MAX_BYTES)).sum();
    let room = AtomicU64::new(pack_bytes.saturating_mul(LISTS_HASHED_FACTOR).saturating_add(LISTS_HASHED_MIN_BYTES));
    let mut checked = Checked::default();
    for pack in &view.packs {
        let offsets: BTreeSet<u32> = pack.index.entries().iter().map(|entry| entry.offset).collect();
        let offsets: Vec<u32> = offsets.into_iter().collect();
        let parts: Vec<Result<Checked>> = offsets
            .par_iter()
            .map(|offset| {
                let part = check_record(inspection, pack, u64::from(*offset), chosen, &room)?;
                let count = seen.fetch_add(part.objects, Ordering::Relaxed) + part.objects;
                if count / REPORT_OBJECTS > (count - part.objects) / REPORT_OBJECTS {
                    progress.event(Event::Checked { objects: count, of: total });
                }
                Ok(part)
            })
            .collect();
        for part in parts {
            let part = part?;
            checked.objects += part.objects;
            checked.bytes += part.bytes;
            checked.bad.extend(part.bad);
            checked.unhashed_lists += part.unhashed_lists;
        }
    }
    Ok(checked)
}

fn check_record(
    inspection: &Inspection,
    pack: &Pack,
    offset: u64,
    chosen: &(dyn Fn(ObjectKey) -> bool + Sync),
    room: &AtomicU64,
) -> Result<Checked> {
    let reader = &inspection.reader;
    let mut record = pack.read_header(reader.disk(), offset)?;
    let members = record.header.members.clone();
    // Of a damaged record, some members may be readable and others not, which the reader does not have.
    let wanted = |member: &Member| chosen(member.key()) && reader.contains_key(member.key());
    let mut checked = Checked::default();
    if !members.iter().any(wanted) {
        return Ok(checked);
    }
    pack.read_payload(reader.disk(), offset, &mut record)?;
    let mut bad = |member: &Member, damage: Damage, base: Option<ObjectKey>| {
        let (key, pack) = (member.key(), pack.number);
        let is_readable = base.is_some() && inspection.lenient_reader.is_readable(key)?;
        checked.bad.push(BadObject { key, pack, offset, damage, base, is_readable });
        Ok(())
    };
    let raw_length = record.header.raw_length_bytes();
    let mut unhashed_lists = 0;
    let frame = match record.header.encoding {
        Encoding::Delta(link) | Encoding::Splice(link) => check_delta(reader, &members[0], link.base)?,
        ref whole => {
            payload::decode(whole, record.payload(), &[], raw_length).map_err(|e| (Damage::Wrong(e.to_string()), None))
        }
    };
    match frame {
        Err((damage, base)) => {
            members.iter().filter(|member| wanted(member)).try_for_each(|member| bad(member, damage.clone(), base))?;
        }
        Ok(frame) => {
            let mut rest = &frame[..];
            for member in &members {
                let (bytes, after) = rest.split_at(rest.len().min(member.raw_length_bytes as usize));
                rest = after;
                if !wanted(member) {
                    continue;
                }
                if member.kind == ObjectKind::ChunkList && !has_room_for(bytes, room) {
                    unhashed_lists += 1;
                } else if let Some(reason) = check_bytes(reader, member, bytes)? {
                    bad(member, Damage::Wrong(reason), None)?;
                }
            }
        }
    }
    checked.unhashed_lists = unhashed_lists;
    checked.objects = members.iter().filter(|member| wanted(member)).count() as u64;
    checked.bytes = raw_length as u64;
    Ok(checked)
}

/// True if the content of a chunk list may be hashed as a whole: a few kB of list may describe terabytes of one chunk.
/// Each chunk is checked by itself in any case.
fn has_room_for(list: &[u8], room: &AtomicU64) -> bool {
    let Ok(chunks) = chunk_list::decode(list) else { return true };
    let length: u64 = chunks.iter().map(|chunk| u64::from(chunk.length_bytes)).sum();
    room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(length)).is_ok()
}

/// Bytes, or the damage, and the base if that is the cause.
type Decoded = std::result::Result<Vec<u8>, (Damage, Option<ObjectKey>)>;

fn check_delta(reader: &Reader, member: &Member, base: [u8; 16]) -> Result<Decoded> {
    let decoded = reader.decode(member.kind, member.prefix);
    let reason = decoded.as_ref().err().map(ToString::to_string).unwrap_or_default();
    if let Some(bytes) = unless_corrupt(decoded)? {
        return Ok(Ok(bytes.to_vec()));
    }
    let is_base_intact = unless_corrupt(reader.decode(member.kind, base))?.is_some();
    let base = ObjectKey { kind: member.kind, prefix: base };
    Ok(Err(if is_base_intact { (Damage::Wrong(reason), None) } else { (Damage::Base, Some(base)) }))
}

/// Compares decoded bytes with the id, and decodes them. Returns the reason if they are wrong.
fn check_bytes(reader: &Reader, member: &Member, bytes: &[u8]) -> Result<Option<String>> {
    let chunks = match member.kind {
        ObjectKind::Content => Ok(Vec::new()),
        ObjectKind::ChunkList => chunk_list::decode(bytes),
        ObjectKind::Tree => tree::decode(bytes).map(|_| Vec::new()),
        ObjectKind::Snapshot => snapshot::decode(bytes).map(|_| Vec::new()),
    };
    let chunks = match chunks {
        Err(malformed) => return Ok(Some(malformed.to_string())),
        Ok(chunks) => chunks,
    };
    let id = match id_of(member.kind, bytes) {
        Some(id) => id,
        None => {
            let is_unreadable = Cell::new(false);
            let content = |id: &Digest| reader.object(ObjectKind::Content, id).inspect_err(|_| is_unreadable.set(true));
            match copy_chunks(&content, &chunks, &mut |_| Ok(())) {
                // An unreadable chunk is a finding of its own.
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    return Ok((!is_unreadable.get()).then(|| error.to_string()));
                }
                id => id?,
            }
        }
    };
    Ok((id.prefix() != member.prefix).then(|| format!("its bytes have the id {id}")))
}
