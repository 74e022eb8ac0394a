//! The id of a store, also where the file with the id is missing or wrong.
//!
//! Every pack, every index, the journal and every stat cache name their store under a checksum; `FORMAT` has none. The
//! file is right if a pack agrees with it, or if there is no pack. Otherwise the files vote, and most votes win.

use std::collections::BTreeMap;

use super::{ProblemKind, pack_files};
use crate::disk::{Disk, read_start};
use crate::error::{Error, ErrorKind, Result, unless_corrupt};
use crate::format::pack::PACK_HEADER_LENGTH_BYTES;
use crate::format::{header, index, journal, pack};
use crate::id::StoreId;
use crate::store::journal::JOURNAL;
use crate::store::pack::pack_number;
use crate::store::{FORMAT, FORMAT_LENGTH_MAX_BYTES};

/// The id of the store in a folder, and the problem of `FORMAT`. `NotFound` if no file names a store, `Unsupported` if
/// a newer version has written `FORMAT`.
pub(super) fn identify(disk: &dyn Disk) -> Result<(StoreId, Option<ProblemKind>)> {
    let named = match read_start(disk, FORMAT, FORMAT_LENGTH_MAX_BYTES) {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(ProblemKind::NoFormat),
        Err(error) if error.kind() == ErrorKind::Corrupt => Err(ProblemKind::BadFormat(error.to_string())),
        bytes => match header::decode(&bytes?) {
            Err(malformed) if malformed.is_newer() => {
                return Err(malformed.during("open store", disk.display(FORMAT)).with_hint(
                    "if no newer version ever wrote here, the file is damaged: remove it and run `retro repair`",
                ));
            }
            decoded => decoded.map_err(|malformed| ProblemKind::BadFormat(malformed.to_string())),
        },
    };
    let votes = votes(disk)?;
    let has_vote = |id: &StoreId| votes.is_empty() || votes.get(id).is_some_and(|votes| votes.packs > 0);
    if let Ok(id) = named
        && has_vote(&id)
    {
        return Ok((id, None));
    }
    let weight =
        |id: &StoreId, votes: &Votes| (votes.packs + votes.caches + u64::from(named == Ok(*id)), named == Ok(*id));
    let most = votes.iter().max_by_key(|(id, votes)| weight(id, votes)).map(|(id, _)| *id);
    match (most, named) {
        (Some(id), Err(problem)) => Ok((id, Some(problem))),
        (Some(id), Ok(named)) if id != named => Ok((id, Some(ProblemKind::OtherStore(named, id)))),
        (_, Ok(id)) => Ok((id, None)),
        (None, Err(problem)) => {
            let reason = match problem {
                ProblemKind::BadFormat(reason) => reason,
                _ => "it is missing".to_owned(),
            };
            Err(Error::new(ErrorKind::NotFound, "open store", disk.display(FORMAT), reason)
                .with_hint("no other file here names a store either: there is nothing to repair"))
        }
    }
}

/// Files that name a store.
#[derive(Default)]
struct Votes {
    packs: u64,
    caches: u64,
}

fn votes(disk: &dyn Disk) -> Result<BTreeMap<StoreId, Votes>> {
    let mut votes: BTreeMap<StoreId, Votes> = BTreeMap::new();
    for name in pack_files(disk)? {
        let path = format!("packs/{name}");
        if pack_number(&name).is_some() {
            let bytes = unless_corrupt(read_start(disk, &path, PACK_HEADER_LENGTH_BYTES as u64))?;
            if let Some(Ok(header)) = bytes.map(|bytes| pack::decode_header(&bytes)) {
                votes.entry(header.store).or_default().packs += 1;
            }
        } else if name.ends_with(".idx")
            && let Ok(bytes) = disk.map(&path)
            && let Ok(header) = index::decode_header(&bytes)
        {
            votes.entry(header.store).or_default().caches += 1;
        }
    }
    if let Ok(bytes) = read_start(disk, JOURNAL, journal::JOURNAL_HEADER_LENGTH_BYTES as u64)
        && let Ok(store) = journal::decode_header(&bytes)
    {
        votes.entry(store).or_default().caches += 1;
    }
    Ok(votes)
}
