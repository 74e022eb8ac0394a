//! Chunk lists: the chunks of a file above 1 MiB, in order (store-format.md, chapter 3).
//!
//! The id of the blob is the hash of the *whole content*, so its own id cannot check a list. Each chunk is checked by
//! its id, and a full read hashes the bytes it returns.

use super::{Malformed, Reader, put_uint};
use crate::id::{BlobId, Digest};
use crate::limits::CHUNK_LENGTH_MAX_BYTES;

/// One chunk of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRef {
    /// BLAKE3 of its bytes.
    pub id: BlobId,
    /// Its length, 1 to 1,048,576 bytes.
    pub length_bytes: u32,
}

/// Encodes a list.
pub fn encode(chunks: &[ChunkRef]) -> Vec<u8> {
    let mut out = Vec::with_capacity(9 + chunks.len() * 35);
    put_uint(&mut out, chunks.len() as u64);
    for chunk in chunks {
        out.extend_from_slice(&chunk.id.0.0);
        put_uint(&mut out, u64::from(chunk.length_bytes));
    }
    out
}

/// Decodes a list. Fewer than two chunks are refused, because one chunk is the blob itself.
pub fn decode(bytes: &[u8]) -> Result<Vec<ChunkRef>, Malformed> {
    let mut reader = Reader::new(bytes);
    let count = reader.count(usize::MAX, 33)?;
    if count < 2 {
        return Err(Malformed::new("a chunk list has fewer than two chunks"));
    }
    let mut chunks = Vec::with_capacity(count);
    for _ in 0..count {
        let id = BlobId(Digest(reader.array()?));
        let length = reader.length(CHUNK_LENGTH_MAX_BYTES)?;
        let length_bytes = u32::try_from(length).ok().filter(|&length| length > 0);
        let length_bytes = length_bytes.ok_or_else(|| Malformed::new("a chunk is empty"))?;
        chunks.push(ChunkRef { id, length_bytes });
    }
    reader.finish()?;
    Ok(chunks)
}

/// Length of the whole content, in bytes.
pub fn total_length_bytes(chunks: &[ChunkRef]) -> u64 {
    chunks.iter().map(|chunk| u64::from(chunk.length_bytes)).sum()
}

#[cfg(test)]
mod tests {
    use super::{ChunkRef, decode, encode, total_length_bytes};
    use crate::id::{BlobId, Digest};

    #[test]
    fn lists_go_both_ways_and_short_or_empty_ones_are_refused() {
        let chunk = |length_bytes| ChunkRef { id: BlobId(Digest::of(b"x")), length_bytes };
        let list = vec![chunk(1), chunk(1 << 20)];
        assert_eq!(decode(&encode(&list)), Ok(list.clone()));
        assert_eq!(total_length_bytes(&list), (1 << 20) + 1);
        assert!(decode(&encode(&[chunk(1)])).is_err());
        assert!(decode(&encode(&[chunk(1), chunk(0)])).is_err());
        assert!(decode(&encode(&[chunk(1), chunk((1 << 20) + 1)])).is_err());
        let mut bytes = encode(&list);
        bytes.push(0);
        assert!(decode(&bytes).is_err());
    }
}
