//! Headers of frames kept for a while. A frame of small objects has thousands of members, and naming them all takes
//! many times longer than decoding one of them: read one after another, they would take a time that grows with the
//! square of their number.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::format::pack::RecordHeader;

/// A record in some pack that this process has opened. The nonce tells a pack from one that a repair put in its place,
/// and the number tells those apart whose headers are damaged: they have no nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RecordKey {
    pub(super) pack: u32,
    pub(super) nonce: [u8; 16],
    pub(super) offset: u32,
}

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
    use super::{Headers, KEPT_MAX, MEMBERS_MIN, RecordKey};
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
        let key = |offset| RecordKey { pack: 1, nonce: [0; 16], offset };
        headers.put(key(0), &header(MEMBERS_MIN - 1));
        assert!(headers.get(&key(0)).is_none());
        for offset in 1..=u32::try_from(KEPT_MAX).unwrap() + 1 {
            headers.put(key(offset), &header(MEMBERS_MIN));
            assert!(headers.get(&key(1)).is_some());
        }
        assert!(headers.get(&key(2)).is_none());
        assert!(
            [RecordKey { nonce: [1; 16], ..key(1) }, RecordKey { pack: 2, ..key(1) }]
                .iter()
                .all(|key| headers.get(key).is_none())
        );
        assert_eq!(headers.kept.lock().unwrap().len(), KEPT_MAX);
    }
}
