//! Headers of frames kept for a while. A frame of small objects has thousands of members, and naming them all takes many
//! times longer than decoding one of them: read one after another, they would take a time that grows with the square of
//! their number.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::format::pack::RecordHeader;

/// A record: the nonce of its pack, and its offset.
pub(super) type RecordKey = ([u8; 16], u64);

/// The headers read last, at most [`KEPT_MAX`].
#[derive(Debug, Default)]
pub(super) struct Headers {
    kept: Mutex<VecDeque<(RecordKey, Arc<RecordHeader>)>>,
}

/// Headers kept: some for each core. The largest takes 100 kB.
const KEPT_MAX: usize = 16;

/// Headers with fewer members are not kept: decoding them takes no longer than finding them here.
const MEMBERS_MIN: usize = 32;

impl Headers {
    /// The header of a record, if it was read not long ago.
    pub(super) fn get(&self, key: &RecordKey) -> Option<Arc<RecordHeader>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(known, _)| known == key)?;
        let found = kept.remove(at).expect("it was found there");
        let header = Arc::clone(&found.1);
        kept.push_front(found);
        Some(header)
    }

    /// Keeps a header, if it is worth it.
    pub(super) fn put(&self, key: RecordKey, header: &Arc<RecordHeader>) {
        if header.members.len() < MEMBERS_MIN {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.truncate(KEPT_MAX - 1);
        kept.push_front((key, Arc::clone(header)));
    }
}

#[cfg(test)]
mod tests {
    use super::{Headers, KEPT_MAX, MEMBERS_MIN};
    use crate::format::pack::{Encoding, Member, ObjectKind, RecordHeader};
    use std::sync::Arc;

    fn header(count: usize) -> Arc<RecordHeader> {
        let member = Member { kind: ObjectKind::Tree, raw_length_bytes: 1, prefix: [0; 16] };
        Arc::new(RecordHeader {
            encoding: Encoding::Raw,
            members: vec![member; count],
            stored_length_bytes: 0,
            checksum: 0,
            header_length_bytes: 0,
        })
    }

    #[test]
    fn long_headers_are_kept_and_the_one_used_longest_ago_goes_first() {
        let headers = Headers::default();
        headers.put(([0; 16], 0), &header(MEMBERS_MIN - 1));
        assert!(headers.get(&([0; 16], 0)).is_none());
        for offset in 1..=KEPT_MAX as u64 + 1 {
            headers.put(([0; 16], offset), &header(MEMBERS_MIN));
            assert!(headers.get(&([0; 16], 1)).is_some());
        }
        assert!(headers.get(&([0; 16], 2)).is_none() && headers.get(&([1; 16], 1)).is_none());
        assert_eq!(headers.kept.lock().unwrap().len(), KEPT_MAX);
    }
}
