//! Checking that the lists of paths that are attached to snapshots can be decoded.

use std::collections::HashMap;

use crate::error::{ErrorKind, Result};
use crate::format::Malformed;
use crate::format::attributes::decode_list;
use crate::format::snapshot::{Attachment, Snapshot, decode_excluded, decode_omitted, decode_times};
use crate::id::BlobId;
use crate::limits::PATH_LIST_LENGTH_MAX_BYTES;
use crate::store::Reader;

/// The decoded lists, each with the reason if it cannot be decoded.
#[derive(Default)]
pub(super) struct Lists(HashMap<BlobId, Option<String>>);

/// Decodes a list and drops it.
type Decode = fn(&[u8]) -> std::result::Result<(), Malformed>;

impl Lists {
    /// Decodes the lists of a snapshot. Returns the reason if one cannot be decoded.
    pub(super) fn decode(&mut self, reader: &Reader, snapshot: &Snapshot) -> Result<Option<String>> {
        let lists: [(&Attachment, Decode); 4] = [
            (&snapshot.times, |bytes| decode_times(bytes).map(drop)),
            (&snapshot.omitted, |bytes| decode_omitted(bytes).map(drop)),
            (&snapshot.attributes, |bytes| decode_list(bytes).map(drop)),
            (&snapshot.excluded, |bytes| decode_excluded(bytes).map(drop)),
        ];
        let malformed = |decode: Decode, bytes: &[u8]| decode(bytes).err().map(|malformed| malformed.to_string());
        for (attachment, decode) in lists {
            let reason = match attachment {
                Attachment::Empty => None,
                Attachment::Inline(bytes) => malformed(decode, bytes),
                Attachment::Blob(id) if self.0.contains_key(id) => self.0[id].clone(),
                Attachment::Blob(id) => {
                    let reason = match reader.read_blob(*id, PATH_LIST_LENGTH_MAX_BYTES as u64) {
                        Ok(bytes) => malformed(decode, &bytes),
                        Err(error) if error.kind() == ErrorKind::Limit => Some(error.to_string()),
                        // Content that cannot be read is found as such.
                        Err(error) if error.kind() == ErrorKind::Corrupt => None,
                        Err(error) => return Err(error),
                    };
                    self.0.insert(*id, reason.clone());
                    reason
                }
            };
            if reason.is_some() {
                return Ok(reason);
            }
        }
        Ok(None)
    }
}
