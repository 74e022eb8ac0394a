//! Reading the journal only as far as it makes sense: it may be of any length behind the last group that is intact, a
//! sparse file of terabytes too, and every verb reads it.

use crate::disk::StoredFile;
use crate::error::Result;
use crate::format::journal::{self, GROUP_LENGTH_MAX_BYTES};
use crate::id::StoreId;
use crate::limits::JOURNAL_LENGTH_MAX_BYTES;

/// Bytes read at first, and so many times as many each time that all of them made sense.
const FIRST_READ_BYTES: u64 = 4 << 20;
const GROWTH: u64 = 4;

/// The bytes of the journal from its start to the last intact group that follows its header, and some more.
pub(super) fn read_journal_start(file: &dyn StoredFile, store: StoreId) -> Result<Vec<u8>> {
    let all = file.length()?.min(JOURNAL_LENGTH_MAX_BYTES);
    let mut wanted = all.min(FIRST_READ_BYTES);
    let mut bytes = Vec::new();
    loop {
        let have = bytes.len();
        bytes.resize(usize::try_from(wanted).expect("a 64-bit platform"), 0);
        let read = file.read_at(have as u64, &mut bytes[have..])?;
        bytes.truncate(have + read);
        if wanted == all || (bytes.len() as u64) < wanted {
            return Ok(bytes);
        }
        let intact = journal::decode(&bytes, store).map_or(0, |journal| journal.length_bytes);
        if bytes.len() - intact >= GROUP_LENGTH_MAX_BYTES {
            return Ok(bytes);
        }
        wanted = all.min(wanted * GROWTH);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{FIRST_READ_BYTES, GROWTH, read_journal_start};
    use crate::disk::StoredFile;
    use crate::error::Result;
    use crate::format::journal::{self, JournalGroup};
    use crate::id::StoreId;

    /// A file that begins with some bytes, has zeros behind them, and counts what is read of it.
    #[derive(Debug)]
    struct Sparse {
        start: Vec<u8>,
        length: u64,
        read: AtomicU64,
    }

    impl StoredFile for Sparse {
        fn length(&self) -> Result<u64> {
            Ok(self.length)
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
            let count = usize::try_from(self.length - offset).unwrap().min(buffer.len());
            self.read.fetch_add(count as u64, Ordering::Relaxed);
            buffer[..count].fill(0);
            let rest = self.start.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
            let there = rest.len().min(count);
            buffer[..there].copy_from_slice(&rest[..there]);
            Ok(count)
        }
    }

    #[test]
    fn no_more_of_a_journal_is_read_than_makes_sense() {
        let store = StoreId([1; 16]);
        let mut start = journal::encode_header(store);
        let facts = vec![0; 1 << 20];
        for sequence in 1..=10 {
            journal::put_group(&mut start, &JournalGroup { sequence, pack: 1, pack_end: sequence, facts: &facts });
        }
        let length = start.len() as u64;
        for (length, most) in [(length, length), (1 << 40, GROWTH * FIRST_READ_BYTES), (length + 7, length + 7)] {
            let file = Sparse { start: start.clone(), length, read: AtomicU64::new(0) };
            let bytes = read_journal_start(&file, store).unwrap();
            assert_eq!(journal::decode(&bytes, store).unwrap().groups.len(), 10);
            assert!(file.read.into_inner() <= most, "{length}");
        }
        let file = Sparse { start: Vec::new(), length: 1 << 40, read: AtomicU64::new(0) };
        read_journal_start(&file, store).unwrap();
        assert_eq!(file.read.into_inner(), FIRST_READ_BYTES);
    }
}
