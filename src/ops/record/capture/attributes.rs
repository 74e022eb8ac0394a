//! The attributes of all paths of a capture: those read just now, and the rest from the stat cache.
//!
//! Only folders with attributes in them or below them are visited; most workspaces have none.

use std::collections::BTreeSet;

use crate::format::attributes::{Attributes, Name, decode_set, encode_list, encode_set};
use crate::format::snapshot::{Omission, Reason};
use crate::format::tree::EntryKind;
use crate::limits::USER_ATTRIBUTES_LENGTH_MAX_BYTES;
use crate::path::TreePath;
use crate::workspace::cache::{CacheUpdate, EntriesUpdate, StatCache};

/// Paths and their encoded sets.
type Sets = Vec<(TreePath, Box<[u8]>)>;

/// The list of a capture, encoded. Paths of which it does not hold all attributes are added to `omitted`. `root` is the
/// set of the root folder. `None` if the stat cache has a set that no capture wrote.
pub(super) fn collect(
    root: Box<[u8]>,
    cache: &StatCache,
    update: &CacheUpdate,
    omitted: &mut Vec<Omission>,
) -> Option<Vec<u8>> {
    let mut sets = Sets::new();
    if !root.is_empty() {
        sets.push((TreePath::root(), root));
    }
    let mut waiting = vec![TreePath::root()];
    while let Some(path) = waiting.pop() {
        let updated = update.folders.get(&path);
        let cached = cache.folder(&path);
        let facts = updated.map(|updated| updated.facts).or_else(|| cached.as_ref().map(|cached| cached.facts()));
        if !facts.is_some_and(|facts| facts.has_attributes) {
            continue;
        }
        let mut add = |name: &[u8], attributes: &[u8], is_below: bool| {
            if !attributes.is_empty() {
                sets.push((path.join(name), attributes.into()));
            }
            if is_below {
                waiting.push(path.join(name));
            }
        };
        if let Some(EntriesUpdate::Whole(entries)) = updated.map(|updated| &updated.entries) {
            entries.iter().for_each(|entry| add(&entry.name, &entry.attributes, entry.has_attributes_below));
            continue;
        }
        for entry in cached.iter().flat_map(|cached| cached.entries()) {
            // A folder that was built anew knows itself if it has any.
            let is_new = || update.folders.contains_key(&path.join(entry.name));
            let is_below = entry.has_attributes_below || (entry.kind == EntryKind::Folder && is_new());
            add(entry.name, entry.attributes, is_below);
        }
    }
    let distinct: BTreeSet<&[u8]> = sets.iter().map(|(_, set)| &**set).collect();
    if distinct.iter().any(|set| decode_set(set).is_err()) {
        return None;
    }
    sets.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    bound(&mut sets, USER_ATTRIBUTES_LENGTH_MAX_BYTES, omitted);
    Some(encode_list(&sets))
}

/// Omits `user.*` attributes beyond the limit of one snapshot, path by path from the first.
fn bound(sets: &mut Sets, length_max_bytes: usize, omitted: &mut Vec<Omission>) {
    if sets.iter().map(|(_, set)| set.len()).sum::<usize>() <= length_max_bytes {
        return;
    }
    let mut left = length_max_bytes;
    for (path, set) in sets.iter_mut() {
        let all = decode_set(set).expect("every set was decoded before");
        let (user, other): (Vec<_>, Vec<_>) =
            all.values.into_iter().partition(|(name, _)| matches!(name, Name::User(_)));
        let length: usize = user.iter().map(|(_, value)| value.len()).sum();
        if length <= left {
            left -= length;
            continue;
        }
        *set = encode_set(&Attributes { owner: all.owner, values: other }).into();
        omitted.push(Omission { path: path.clone(), reason: Reason::Attributes });
    }
    sets.retain(|(_, set)| !set.is_empty());
}

#[cfg(test)]
mod tests {
    use super::{Attributes, Name, Sets, TreePath, bound, encode_set};

    /// At the limit all are kept; one byte past it, the path that does not fit any more is listed without them.
    #[test]
    fn user_attributes_of_a_snapshot_are_bounded() {
        let set = |length: usize| {
            let values =
                vec![(Name::Capability, [1].as_slice().into()), (Name::User((*b"a").into()), vec![0; length].into())];
            encode_set(&Attributes { owner: None, values }).into()
        };
        let path = |name: &str| TreePath::new(name.as_bytes()).unwrap();
        let sets = || -> Sets { vec![(path("a"), set(600)), (path("b"), set(400)), (path("c"), set(1))] };
        let (mut kept, mut omitted) = (sets(), Vec::new());
        bound(&mut kept, 1_001, &mut omitted);
        assert_eq!((&kept, omitted.len()), (&sets(), 0));
        bound(&mut kept, 999, &mut omitted);
        assert_eq!(omitted.iter().map(|one| one.path.to_string()).collect::<Vec<_>>(), ["b"]);
        assert_eq!((&kept[0], &kept[2], kept[1].1.len()), (&sets()[0], &sets()[2], 5));
    }
}
