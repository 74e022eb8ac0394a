//! Every object decoded and compared with its id.
//!
//! Records are read in the order of the pack, many at once on every core; a frame is decoded once for all of its members.
//! Nothing decoded outlives its record, but for the few megabytes that the store keeps for the next version of a path.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::Inspection;
use crate::error::Result;
use crate::format::pack::{Encoding, Member, ObjectKind};
use crate::format::{chunk_list, snapshot, tree};
use crate::id::Digest;
use crate::progress::{Event, Progress};
use crate::store::pack::{Pack, pack_name};
use crate::store::{Store, codec};

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Objects that were decoded.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those that are not what their ids say, in order of pack and offset.
    pub bad: Vec<BadObject>,
}

/// An object that cannot be had from its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadObject {
    /// What it is.
    pub kind: ObjectKind,
    /// First 16 bytes of its id.
    pub prefix: [u8; 16],
    /// The pack it is in.
    pub file: String,
    /// Where its record begins.
    pub offset: u64,
    /// What is wrong.
    pub detail: String,
    /// The object that it is a delta of, where that is what cannot be read.
    pub base: Option<[u8; 16]>,
}

/// Objects between two reports of progress.
const REPORT_OBJECTS: u64 = 1_000;

/// Decodes the objects that `chosen` picks, of all packs.
pub fn check_objects(
    inspection: &Inspection,
    chosen: &(dyn Fn(ObjectKind, &[u8; 16]) -> bool + Sync),
    progress: &dyn Progress,
) -> Result<Checked> {
    let store = &inspection.store;
    let view = store.view();
    let total = view.packs.iter().map(|pack| pack.index.tail_count() as u64).sum();
    let seen = AtomicU64::new(0);
    let mut checked = Checked::default();
    for pack in &view.packs {
        let offsets: BTreeSet<u32> = pack.index.entries().iter().map(|entry| entry.offset).collect();
        let offsets: Vec<u32> = offsets.into_iter().collect();
        let parts: Vec<Result<Checked>> = offsets
            .par_iter()
            .map(|offset| {
                let part = check_record(store, pack, u64::from(*offset), chosen)?;
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
        }
    }
    Ok(checked)
}

fn check_record(
    store: &Store,
    pack: &Pack,
    offset: u64,
    chosen: &(dyn Fn(ObjectKind, &[u8; 16]) -> bool + Sync),
) -> Result<Checked> {
    let mut record = pack.read_header(store.disk(), offset)?;
    let members = record.header.members.clone();
    let wanted = |member: &Member| chosen(member.kind, &member.prefix);
    let mut checked = Checked::default();
    if !members.iter().any(wanted) {
        return Ok(checked);
    }
    pack.read_payload(store.disk(), offset, &mut record)?;
    let mut bad = |member: &Member, detail: String, base: Option<[u8; 16]>| {
        let file = pack_name(pack.number);
        checked.bad.push(BadObject { kind: member.kind, prefix: member.prefix, file, offset, detail, base });
    };
    let raw_length = record.header.raw_length_bytes();
    let frame = match record.header.encoding {
        Encoding::Raw => Ok(record.payload().to_vec()),
        Encoding::Zstd => codec::decompress(record.payload(), raw_length).map_err(|e| (e.to_string(), None)),
        Encoding::Delta(link) | Encoding::Splice(link) => check_delta(store, &members[0], link.base),
    };
    match frame {
        Err((detail, base)) => members.iter().for_each(|member| bad(member, detail.clone(), base)),
        Ok(frame) => {
            let mut rest = &frame[..];
            for member in &members {
                let (bytes, after) = rest.split_at(rest.len().min(member.raw_length_bytes as usize));
                rest = after;
                if wanted(member)
                    && let Err(detail) = check_bytes(store, member, bytes)
                {
                    bad(member, detail, None);
                }
            }
        }
    }
    checked.objects = members.iter().filter(|member| wanted(member)).count() as u64;
    checked.bytes = raw_length as u64;
    Ok(checked)
}

/// The bytes of a delta, or what is wrong with it, and the base if it is that.
fn check_delta(
    store: &Store,
    member: &Member,
    base: [u8; 16],
) -> std::result::Result<Vec<u8>, (String, Option<[u8; 16]>)> {
    store.decode(member.kind, member.prefix).map(|bytes| bytes.to_vec()).map_err(|error| {
        let is_base = store.decode(member.kind, base).is_err();
        if is_base { ("its base cannot be read".to_owned(), Some(base)) } else { (error.to_string(), None) }
    })
}

/// Compares decoded bytes with the id, and decodes what they say.
fn check_bytes(store: &Store, member: &Member, bytes: &[u8]) -> std::result::Result<(), String> {
    let problem = |e: crate::format::Malformed| e.to_string();
    let id = match member.kind {
        ObjectKind::Content => Digest::of(bytes),
        ObjectKind::Tree => {
            tree::decode(bytes).map_err(problem)?;
            tree::tree_id(bytes).0
        }
        ObjectKind::Snapshot => {
            snapshot::decode(bytes).map_err(problem)?;
            snapshot::snapshot_id(bytes).0
        }
        ObjectKind::ChunkList => {
            let mut whole = blake3::Hasher::new();
            for chunk in chunk_list::decode(bytes).map_err(problem)? {
                // A chunk that cannot be read is found as such; here it says nothing about the list.
                let Ok(piece) = store.object(ObjectKind::Content, &chunk.id.0) else { return Ok(()) };
                if piece.len() as u64 != u64::from(chunk.length_bytes) {
                    return Err("a chunk has another length than the list says".to_owned());
                }
                whole.update(&piece);
            }
            Digest(*whole.finalize().as_bytes())
        }
    };
    if id.prefix() == member.prefix { Ok(()) } else { Err(format!("its bytes have the id {id}")) }
}
