//! The bytes of one simulated file.
//!
//! Tests copy a disk at every change and at every loss, so a copy must be cheap: copies share pages of bytes until one
//! of them writes. Invariant: every page is whole, and zero past the end of the file, so that a file can grow.

use std::sync::Arc;

/// A file's bytes, copied on write.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pages: Vec<Arc<[u8]>>,
    length_bytes: usize,
}

const PAGE_LENGTH_BYTES: usize = 16 << 10;

impl Content {
    /// The length of the file.
    pub(super) fn length_bytes(&self) -> usize {
        self.length_bytes
    }

    /// All bytes of the file.
    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.length_bytes];
        self.read_at(0, &mut bytes);
        bytes
    }

    /// Fills `buffer` from `offset` on. Returns the number of bytes read.
    pub(super) fn read_at(&self, offset: usize, buffer: &mut [u8]) -> usize {
        let wanted = self.length_bytes.saturating_sub(offset).min(buffer.len());
        let mut done = 0;
        while done < wanted {
            let (page, within) = ((offset + done) / PAGE_LENGTH_BYTES, (offset + done) % PAGE_LENGTH_BYTES);
            let count = (PAGE_LENGTH_BYTES - within).min(wanted - done);
            buffer[done..done + count].copy_from_slice(&self.pages[page][within..within + count]);
            done += count;
        }
        done
    }

    /// Writes at `offset`; a gap before it becomes zeros.
    pub(super) fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        self.set_length(self.length_bytes.max(offset + bytes.len()));
        let mut done = 0;
        while done < bytes.len() {
            let (page, within) = ((offset + done) / PAGE_LENGTH_BYTES, (offset + done) % PAGE_LENGTH_BYTES);
            let count = (PAGE_LENGTH_BYTES - within).min(bytes.len() - done);
            Arc::make_mut(&mut self.pages[page])[within..within + count].copy_from_slice(&bytes[done..done + count]);
            done += count;
        }
    }

    /// Cuts the file, or extends it with zeros.
    pub(super) fn set_length(&mut self, length_bytes: usize) {
        let page_count = length_bytes.div_ceil(PAGE_LENGTH_BYTES);
        if page_count > self.pages.len() {
            let zeros: Arc<[u8]> = vec![0; PAGE_LENGTH_BYTES].into();
            self.pages.resize(page_count, zeros);
        }
        self.pages.truncate(page_count);
        let within = length_bytes % PAGE_LENGTH_BYTES;
        if length_bytes < self.length_bytes && within > 0 {
            let last = self.pages.last_mut().expect("a file with bytes has a page");
            Arc::make_mut(last)[within..].fill(0);
        }
        self.length_bytes = length_bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::{Content, PAGE_LENGTH_BYTES};

    #[test]
    fn it_behaves_like_a_vector_of_bytes() {
        let mut content = Content::default();
        let mut model: Vec<u8> = Vec::new();
        let mut state = 1_usize;
        for step in 0..400_usize {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (state >> 33) % (3 * PAGE_LENGTH_BYTES);
            if step % 5 == 0 {
                content.set_length(at);
                model.resize(at, 0);
            } else {
                let bytes = vec![u8::try_from(step % 251).unwrap() + 1; (state >> 20) % 20_000];
                content.write_at(at, &bytes);
                model.resize(model.len().max(at + bytes.len()), 0);
                model[at..at + bytes.len()].copy_from_slice(&bytes);
            }
            assert!(content.to_vec() == model, "{step}");
        }
        let copy = content.clone();
        content.write_at(0, b"other");
        assert!(copy.to_vec() == model);
        let mut buffer = [0; 8];
        assert_eq!((copy.read_at(model.len(), &mut buffer), copy.read_at(model.len() - 3, &mut buffer)), (0, 3));
    }
}
