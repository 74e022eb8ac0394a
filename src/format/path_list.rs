//! Lists of paths in snapshots, sorted; each path omits the start that it shares with the one before (store-format.md,
//! chapter 5).
//!
//! ```text
//! uint number of bytes shared with the path before   bytes the rest of the path   value of the path
//! ```
//!
//! Each path takes a few bytes, because neighbours share their folders. Sharing also lets a short list describe very
//! long paths, so their total length is bounded too.

use super::{Malformed, Reader, put_bytes, put_uint};
use crate::limits::{
    PATH_LENGTH_MAX_BYTES, PATH_LIST_EXPANDED_MIN_BYTES, PATH_LIST_EXPANSION_MAX, PATH_LIST_LENGTH_MAX_BYTES,
};
use crate::path::TreePath;

/// True if a list of these paths with this encoding is within the limits of a decoder.
pub fn paths_fit<'a>(paths: impl IntoIterator<Item = &'a TreePath>, encoding: &[u8]) -> bool {
    let length = paths.into_iter().fold(0_usize, |sum, path| sum.saturating_add(path.as_bytes().len()));
    encoding.len() <= PATH_LIST_LENGTH_MAX_BYTES && length <= paths_length_max_bytes(encoding.len())
}

/// Encodes a list, sorted by path and each path once; `rest` writes the value after each path.
pub(super) fn encode_paths<T>(list: &[T], path: impl Fn(&T) -> &TreePath, rest: impl Fn(&mut Vec<u8>, &T)) -> Vec<u8> {
    assert!(list.is_sorted_by(|a, b| path(a) < path(b)), "paths are sorted and unique");
    let mut out = Vec::new();
    let mut last: &[u8] = &[];
    for item in list {
        let bytes = path(item).as_bytes();
        let shared = last.iter().zip(bytes).take_while(|(a, b)| a == b).count();
        put_uint(&mut out, shared as u64);
        put_bytes(&mut out, &bytes[shared..]);
        rest(&mut out, item);
        last = bytes;
    }
    out
}

/// Decodes a list; `item` reads the value after each path.
pub(super) fn decode_paths<T>(
    bytes: &[u8],
    mut item: impl FnMut(TreePath, &mut Reader<'_>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let mut reader = Reader::new(bytes);
    let mut list = Vec::new();
    let mut last: Option<TreePath> = None;
    if bytes.len() > PATH_LIST_LENGTH_MAX_BYTES {
        return Err(Malformed::new("a list of paths is over its length limit"));
    }
    let mut budget = paths_length_max_bytes(bytes.len());
    while !reader.rest().is_empty() {
        let before = last.as_ref().map_or(&[][..], TreePath::as_bytes);
        let shared = reader.length(PATH_LENGTH_MAX_BYTES)?;
        let rest = reader.bytes(PATH_LENGTH_MAX_BYTES)?;
        let start = before
            .get(..shared)
            .ok_or_else(|| Malformed::new("a path shares more bytes than the path before it has"))?;
        if before.get(shared).is_some_and(|byte| rest.first() == Some(byte)) {
            return Err(Malformed::new("a path repeats bytes that it could share"));
        }
        budget = budget
            .checked_sub(start.len() + rest.len())
            .ok_or_else(|| Malformed::new("a list of paths expands beyond its bound"))?;
        let path = TreePath::new(&[start, rest].concat()).map_err(|problem| Malformed::new(problem.to_string()))?;
        if last.as_ref().is_some_and(|last| *last >= path) {
            return Err(Malformed::new("paths are out of order or repeated"));
        }
        list.push(item(path.clone(), &mut reader)?);
        last = Some(path);
    }
    Ok(list)
}

/// Most bytes that the paths of a list of this length may have in total.
fn paths_length_max_bytes(length_bytes: usize) -> usize {
    length_bytes.saturating_mul(PATH_LIST_EXPANSION_MAX).saturating_add(PATH_LIST_EXPANDED_MIN_BYTES)
}
