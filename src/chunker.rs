//! Cuts large files into chunks at positions that their content determines (store-format.md, chapter 3).
//!
//! FastCDC, the variant of 2020 with normalisation level 1 (Xia et al., "The Design of Fast Content-Defined Chunking
//! for Data Deduplication Based Storage Systems", IEEE TPDS 31(9), 2020). Files up to 1 MiB are one chunk: at that
//! size, deltas against the previous version cost 5 to 12 times less than chunks. Boundaries never enter an object's
//! id, so the parameters may change without changing any id.

use fastcdc::v2020::FastCDC;

use crate::limits::CHUNK_LENGTH_MAX_BYTES;

/// Chunk sizes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Shortest chunk, except the last of a file.
    pub min: usize,
    /// Average chunk.
    pub average: usize,
    /// Longest chunk.
    pub max: usize,
}

/// Files longer than this are cut into larger chunks, so that the list of a 5 GB file stays below 1 MB.
pub const LARGE_CHUNKS_ABOVE_BYTES: u64 = 256 << 20;

/// The chunk sizes for a file of this length, in bytes.
pub fn sizes_for(length_bytes: u64) -> Sizes {
    if length_bytes > LARGE_CHUNKS_ABOVE_BYTES {
        Sizes { min: 64 << 10, average: 256 << 10, max: CHUNK_LENGTH_MAX_BYTES }
    } else {
        Sizes { min: 16 << 10, average: 64 << 10, max: 256 << 10 }
    }
}

/// Lengths of the chunks at the start of `bytes`, whose first byte begins a chunk.
///
/// Unless `is_last`, bytes may follow: cutting stops when fewer than `sizes.max` bytes are left, because a boundary is
/// known only after that many. The caller passes the rest again with the bytes that follow it.
pub fn cuts(bytes: &[u8], sizes: Sizes, is_last: bool) -> Vec<usize> {
    let mut lengths = Vec::with_capacity(bytes.len() / sizes.average + 1);
    let chunker = FastCDC::new(bytes, sizes.min, sizes.average, sizes.max);
    let mut start = 0;
    while start < bytes.len() && (is_last || bytes.len() - start >= sizes.max) {
        let (_, end) = chunker.cut(start, bytes.len() - start);
        lengths.push(end - start);
        start = end;
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::{cuts, sizes_for};

    fn noise(length: usize) -> Vec<u8> {
        let mut out = vec![0; length];
        blake3::Hasher::new().update(b"noise").finalize_xof().fill(&mut out);
        out
    }

    #[test]
    fn cuts_do_not_depend_on_how_the_bytes_arrive() {
        let bytes = noise(3 << 20);
        let sizes = sizes_for(bytes.len() as u64);
        let whole = cuts(&bytes, sizes, true);
        assert_eq!(whole.iter().sum::<usize>(), bytes.len());
        assert!(whole.iter().all(|&length| length <= sizes.max) && whole.len() > 20);
        let mut pieces = Vec::new();
        let (mut start, mut seen) = (0, 0);
        while start < bytes.len() {
            seen = (seen + 700_000).min(bytes.len());
            let found = cuts(&bytes[start..seen], sizes, seen == bytes.len());
            start += found.iter().sum::<usize>();
            pieces.extend(found);
        }
        assert_eq!(pieces, whole);
    }

    #[test]
    fn an_insertion_moves_few_boundaries() {
        let bytes = noise(4 << 20);
        let sizes = sizes_for(bytes.len() as u64);
        let mut edited = bytes.clone();
        edited.splice(1 << 20..1 << 20, *b"inserted");
        let ends = |lengths: Vec<usize>, total: usize| -> std::collections::BTreeSet<usize> {
            lengths
                .iter()
                .scan(0, |sum, length| {
                    *sum += length;
                    Some(total - *sum)
                })
                .collect()
        };
        let before = ends(cuts(&bytes, sizes, true), bytes.len());
        let after = ends(cuts(&edited, sizes, true), edited.len());
        assert!(after.difference(&before).count() < after.len() / 2);
    }
}
