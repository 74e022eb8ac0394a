//! The parts of a snapshot that may be stored beside it, read and decoded.

use crate::error::{Error, Result};
use crate::format::snapshot::{Attachment, Omission, Snapshot, decode_excluded, decode_omitted};
use crate::limits::{PATH_LIST_LENGTH_MAX_BYTES, RULES_LENGTH_MAX_BYTES};
use crate::path::TreePath;
use crate::store::Store;

/// The bytes of an attachment. More than `length_max_bytes` are refused with `Limit`.
pub(in crate::ops) fn attached(store: &Store, attachment: &Attachment, length_max_bytes: u64) -> Result<Vec<u8>> {
    match attachment {
        Attachment::Empty => Ok(Vec::new()),
        Attachment::Inline(bytes) => Ok(bytes.clone()),
        Attachment::Blob(id) => store.read_blob(*id, length_max_bytes),
    }
}

/// The paths that a snapshot does not hold, or not exactly.
pub(in crate::ops) fn omitted_of(store: &Store, snapshot: &Snapshot) -> Result<Vec<Omission>> {
    let list = attached(store, &snapshot.omitted, PATH_LIST_LENGTH_MAX_BYTES as u64)?;
    decode_omitted(&list).map_err(|e| e.during("read omitted paths of step", snapshot.step))
}

/// The excluded paths that a snapshot lists.
pub(in crate::ops) fn excluded_of(store: &Store, snapshot: &Snapshot) -> Result<Vec<TreePath>> {
    let list = attached(store, &snapshot.excluded, PATH_LIST_LENGTH_MAX_BYTES as u64)?;
    decode_excluded(&list).map_err(|e| e.during("read excluded paths of step", snapshot.step))
}

/// The rules that a snapshot was taken with.
pub(in crate::ops) fn rules_of(store: &Store, snapshot: &Snapshot) -> Result<String> {
    let text = store.read_blob(snapshot.rules, RULES_LENGTH_MAX_BYTES)?;
    String::from_utf8(text).map_err(|_| Error::corrupt("read", snapshot.rules, "it is not text"))
}
