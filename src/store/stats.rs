//! Facts about every object of a store.

use std::collections::BTreeSet;

use super::Reader;
use crate::error::Result;
use crate::format::pack::{Encoding, ObjectKind};

/// One stored object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectFacts {
    /// Its kind.
    pub kind: ObjectKind,
    /// First 16 bytes of its id.
    pub prefix: [u8; 16],
    /// Its length, in bytes.
    pub raw_bytes: u64,
    /// Its share of its record, in bytes.
    pub stored_bytes: u64,
    /// The encoding of its record.
    pub encoding: Encoding,
}

/// Calls `see` with every object, and reads only the headers of records. Returns the number of packs and their bytes.
pub fn for_each_object(reader: &Reader, mut see: impl FnMut(ObjectFacts)) -> Result<(u64, u64)> {
    let view = reader.view();
    let mut pack_bytes = 0;
    for pack in &view.packs {
        pack_bytes += pack.file.length()?;
        let offsets: BTreeSet<u32> = pack.index.entries().iter().map(|entry| entry.offset).collect();
        for offset in offsets {
            let header = pack.read_header(reader.disk(), u64::from(offset))?.header;
            let raw_total = header.raw_length_bytes().max(1) as u64;
            let stored = header.record_length_bytes() as u64;
            for member in &header.members {
                let raw_bytes = u64::from(member.raw_length_bytes);
                let encoding = header.encoding;
                let share = if header.members.len() == 1 { stored } else { stored * raw_bytes / raw_total };
                see(ObjectFacts { kind: member.kind, prefix: member.prefix, raw_bytes, stored_bytes: share, encoding });
            }
        }
    }
    Ok((view.packs.len() as u64, pack_bytes))
}
