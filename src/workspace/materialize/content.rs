//! Copies the content of files and symlinks from the store into a new file.
//!
//! Ranges of zeros become holes: they are not written, and the length is set at the end. So a 5 GB disk image that is
//! mostly empty takes as little space as before. The store returns content in pieces of at most 1 MiB, so memory does
//! not depend on the size of files, and writing stops if a blob is longer than its tree records, before it fills a
//! disk.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::id::BlobId;
use crate::store::Store;

/// A content as its tree records it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Content {
    /// Its id.
    pub(super) id: BlobId,
    /// Its length, in bytes.
    pub(super) size: u64,
}

/// Longest target of a symlink, in bytes. Linux limits it to 4,095, others to less.
const TARGET_LENGTH_MAX_BYTES: u64 = 64 << 10;

/// Length and alignment of the ranges of zeros that become holes, in bytes. Shorter holes would fragment the file.
const HOLE_BYTES: usize = 64 << 10;

/// Number of bytes that are tested for zeros at a time.
const ZERO_STRIDE_BYTES: usize = 64;

/// Writes `content` into the new and empty `file`. `display` names it in errors.
pub(super) fn write(store: &Store, content: Content, file: &File, display: &dyn Fn() -> PathBuf) -> Result<()> {
    let mut writer = SparseWriter { file, length_bytes: 0, written_end: 0 };
    let mut put = |piece: &[u8]| {
        if writer.length_bytes + piece.len() as u64 > content.size {
            return Err(wrong_length(content, "longer"));
        }
        writer.put(piece).map_err(|e| Error::io("write", display(), e))
    };
    store.copy_blob(content.id, &mut put)?;
    if writer.length_bytes != content.size {
        return Err(wrong_length(content, "shorter"));
    }
    writer.finish().map_err(|e| Error::io("write", display(), e))
}

/// The target of a symlink.
pub(super) fn target(store: &Store, id: BlobId) -> Result<Vec<u8>> {
    let bytes = store.read_blob(id, TARGET_LENGTH_MAX_BYTES)?;
    if bytes.is_empty() || bytes.contains(&0) {
        return Err(Error::corrupt("read target of symlink", id, "it is empty or contains a NUL"));
    }
    Ok(bytes)
}

fn wrong_length(content: Content, how: &str) -> Error {
    Error::corrupt("read blob", content.id, format!("it is {how} than the {} bytes in its tree", content.size))
}

/// Appends to a new file, leaving holes for zeros.
struct SparseWriter<'a> {
    file: &'a File,
    /// Number of content bytes received so far.
    length_bytes: u64,
    /// End of the bytes that were written.
    written_end: u64,
}

impl SparseWriter<'_> {
    fn put(&mut self, piece: &[u8]) -> std::io::Result<()> {
        // `piece[start..end]` is still to be written; adjacent ranges of data are written at once.
        let at = self.length_bytes;
        let (mut start, mut end) = (0, 0);
        while end < piece.len() {
            let range = &piece[end..piece.len().min(end + to_boundary(at + end as u64))];
            if is_zero(range) {
                self.write(at + start as u64, &piece[start..end])?;
                start = end + range.len();
            }
            end += range.len();
        }
        self.write(at + start as u64, &piece[start..end])?;
        self.length_bytes += piece.len() as u64;
        Ok(())
    }

    /// Sets the length of the file if it ends in a hole.
    fn finish(self) -> std::io::Result<()> {
        if self.written_end < self.length_bytes { self.file.set_len(self.length_bytes) } else { Ok(()) }
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.file.write_all_at(bytes, offset)?;
        self.written_end = offset + bytes.len() as u64;
        Ok(())
    }
}

/// Bytes from `offset` to the next multiple of the hole size.
fn to_boundary(offset: u64) -> usize {
    let hole = HOLE_BYTES as u64;
    usize::try_from(hole - offset % hole).expect("at most the hole size")
}

/// Returns true if all bytes are zero. Most content fails at its first stride; zeros are compared at the speed of
/// memory.
fn is_zero(bytes: &[u8]) -> bool {
    let mut strides = bytes.chunks_exact(ZERO_STRIDE_BYTES);
    let all_zero = |stride: &[u8]| stride.iter().fold(0, |bits, byte| bits | byte) == 0;
    strides.all(all_zero) && all_zero(strides.remainder())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::{HOLE_BYTES, SparseWriter, is_zero};

    fn written(content: &[u8], piece_length: usize) -> (Vec<u8>, u64) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path).unwrap();
        let mut writer = SparseWriter { file: &file, length_bytes: 0, written_end: 0 };
        content.chunks(piece_length.max(1)).for_each(|piece| writer.put(piece).unwrap());
        writer.finish().unwrap();
        (std::fs::read(&path).unwrap(), file.metadata().unwrap().blocks() * 512)
    }

    #[test]
    fn content_with_zeros_anywhere_comes_back_whole() {
        let mut content = vec![0; 5 * HOLE_BYTES + 17];
        for marked in [&[][..], &[0], &[5 * HOLE_BYTES + 16], &[HOLE_BYTES - 1, HOLE_BYTES], &[3 * HOLE_BYTES, 77]] {
            marked.iter().for_each(|&at| content[at] = 1);
            for piece_length in [content.len(), 1_000, HOLE_BYTES, HOLE_BYTES + 1, 2 * HOLE_BYTES - 1] {
                let (read, _) = written(&content, piece_length);
                assert!(read == content, "{marked:?} in pieces of {piece_length}");
            }
            marked.iter().for_each(|&at| content[at] = 0);
        }
        assert_eq!(written(&[], 1).0, b"");
        assert_eq!(written(&[0], 1).0, [0]);
    }

    #[test]
    fn zeros_take_no_space_however_they_are_cut() {
        let mut content = vec![0; 64 * HOLE_BYTES];
        content[10 * HOLE_BYTES] = 1;
        let last = content.len() - 1;
        content[last] = 1;
        for piece_length in [content.len(), 200_001, 1 << 20] {
            let (read, on_disk) = written(&content, piece_length);
            assert!(read == content);
            assert!(on_disk <= 4 * HOLE_BYTES as u64, "{on_disk} bytes on disk");
        }
    }

    #[test]
    fn zeros_are_distinguished_from_almost_zeros() {
        for length in [0, 1, 63, 64, 65, 1_000] {
            let mut bytes = vec![0; length];
            assert!(is_zero(&bytes));
            for at in 0..length {
                bytes[at] = 0x80;
                assert!(!is_zero(&bytes));
                bytes[at] = 0;
            }
        }
    }
}
