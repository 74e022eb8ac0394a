//! Adding content to a batch: hashing it, cutting it into chunks, and naming for each piece the content that it is
//! probably like.
//!
//! Short content is one object, stored against the content that the path had before. Long content is cut into chunks as
//! it is read, a window at a time, so that memory does not depend on its length. A new chunk is stored against the
//! chunk that stood in its place before, and the list of chunks against the list before.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::chunker::{Sizes, cuts, sizes_for};
use crate::error::Result;
use crate::format::chunk_list::{self, ChunkRef};
use crate::format::pack::ObjectKind;
use crate::format::snapshot::Attachment;
use crate::id::{BlobId, Digest};
use crate::limits::{ATTACHMENT_INLINE_MAX_BYTES, CAPTURE_WINDOW_BYTES, CAPTURE_WINDOW_FILES, CHUNK_LENGTH_MAX_BYTES};
use crate::store::{Batch, NewObject};

/// Bytes of a long content held at once.
const WINDOW_BYTES: usize = 8 << 20;

/// Content of up to 1 MiB, and the content before it at the same place.
#[derive(Debug)]
pub struct Short {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The content that it is probably like.
    pub previous: Option<BlobId>,
}

/// The source of long content: appends up to the given number of bytes to the buffer, and returns how many; 0 at the
/// end.
pub type ReadPiece<'a> = dyn FnMut(&mut Vec<u8>, usize) -> Result<usize> + 'a;

/// Adds short contents, in order.
pub fn short(batch: &mut Batch<'_>, contents: Vec<Short>) -> Result<Vec<BlobId>> {
    let objects: Vec<NewObject> = contents
        .into_par_iter()
        .map(|content| {
            assert!(content.bytes.len() <= CHUNK_LENGTH_MAX_BYTES, "longer content is chunked");
            let id = Digest::of(&content.bytes);
            let previous = content.previous.map(|blob| blob.0);
            NewObject { kind: ObjectKind::Content, id, bytes: content.bytes, previous }
        })
        .collect();
    let ids = objects.iter().map(|object| BlobId(object.id)).collect();
    batch.add(objects)?;
    Ok(ids)
}

/// Adds long content of about `length_bytes` bytes, and returns its id and its length.
pub fn long(
    batch: &mut Batch<'_>,
    length_bytes: u64,
    previous: Option<Vec<ChunkRef>>,
    previous_id: Option<BlobId>,
    read: &mut ReadPiece<'_>,
) -> Result<(BlobId, u64)> {
    let sizes = sizes_for(length_bytes);
    let mut before = Predecessors::new(previous.unwrap_or_default());
    let mut whole = blake3::Hasher::new();
    let mut list = Vec::new();
    let mut window = Vec::with_capacity(WINDOW_BYTES);
    let mut zeros = None;
    loop {
        let kept = window.len();
        let is_last = fill(&mut window, read)?;
        whole.update_rayon(&window[kept..]);
        let taken = add_chunks(batch, &window, sizes, is_last, &mut zeros, &mut before, &mut list)?;
        window.drain(..taken);
        if is_last {
            break;
        }
    }
    let id = BlobId(Digest(*whole.finalize().as_bytes()));
    let total = chunk_list::total_length_bytes(&list);
    match list.len() {
        0 => drop(short(batch, vec![Short { bytes: Vec::new(), previous: None }])?),
        1 => {}
        _ => {
            let previous = previous_id.map(|blob| blob.0);
            let bytes = chunk_list::encode(&list);
            batch.add(vec![NewObject { kind: ObjectKind::ChunkList, id: id.0, bytes, previous }])?;
        }
    }
    Ok((id, total))
}

/// The id of long content, without storing it.
pub fn hash(read: &mut ReadPiece<'_>) -> Result<BlobId> {
    let mut whole = blake3::Hasher::new();
    let mut window = Vec::with_capacity(WINDOW_BYTES);
    loop {
        window.clear();
        let is_last = fill(&mut window, read)?;
        whole.update_rayon(&window);
        if is_last {
            return Ok(BlobId(Digest(*whole.finalize().as_bytes())));
        }
    }
}

/// Adds bytes that belong to a snapshot; short ones are kept inside it. `previous` is a content that they are probably
/// like.
pub fn attachment(batch: &mut Batch<'_>, bytes: Vec<u8>, previous: Option<BlobId>) -> Result<Attachment> {
    match bytes.len() {
        0 => Ok(Attachment::Empty),
        1..=ATTACHMENT_INLINE_MAX_BYTES => Ok(Attachment::Inline(bytes)),
        _ => any(batch, bytes, previous).map(Attachment::Blob),
    }
}

/// Adds content in memory, of any length. `previous` is a content that it is probably like.
pub fn any(batch: &mut Batch<'_>, bytes: Vec<u8>, previous: Option<BlobId>) -> Result<BlobId> {
    if bytes.len() <= CHUNK_LENGTH_MAX_BYTES {
        let ids = short(batch, vec![Short { bytes, previous }])?;
        return Ok(ids[0]);
    }
    long(batch, bytes.len() as u64, None, None, &mut pieces(&bytes)).map(|(id, _)| id)
}

/// Reads content in memory as long content is read.
pub fn pieces(bytes: &[u8]) -> impl FnMut(&mut Vec<u8>, usize) -> Result<usize> {
    let mut rest = bytes;
    move |window, most| {
        let (piece, after) = rest.split_at(most.min(rest.len()));
        window.extend_from_slice(piece);
        rest = after;
        Ok(piece.len())
    }
}

/// Splits items into windows whose contents fit in memory together. Long contents, read in pieces, count as one chunk.
pub fn windows<T>(items: &[T], length_bytes: impl Fn(&T) -> u64) -> impl Iterator<Item = &[T]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |item: &&T| {
            bytes += length_bytes(item).min(CHUNK_LENGTH_MAX_BYTES as u64);
            bytes <= CAPTURE_WINDOW_BYTES
        };
        let count = rest.iter().take(CAPTURE_WINDOW_FILES).take_while(fits).count().max(1);
        let (window, after) = rest.split_at_checked(count)?;
        rest = after;
        Some(window)
    })
}

/// Fills the window. Returns true if the end was reached.
fn fill(window: &mut Vec<u8>, read: &mut ReadPiece<'_>) -> Result<bool> {
    while window.len() < WINDOW_BYTES {
        if read(window, WINDOW_BYTES - window.len())? == 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Cuts chunks off the window, adds the new ones, and returns the number of bytes cut off.
fn add_chunks(
    batch: &mut Batch<'_>,
    window: &[u8],
    sizes: Sizes,
    is_last: bool,
    zeros: &mut Option<Cut>,
    before: &mut Predecessors,
    list: &mut Vec<ChunkRef>,
) -> Result<usize> {
    // A window that is full of zeros is cut like the one before it: a hole of many gigabytes is cut and hashed once.
    let Cut { lengths, ids } = match zeros {
        Some(zeros) if !is_last && window.len() == WINDOW_BYTES && is_zero(window) => zeros.clone(),
        _ => {
            let cut = Cut::of(window, sizes, is_last);
            if !is_last && window.len() == WINDOW_BYTES && is_zero(window) {
                *zeros = Some(cut.clone());
            }
            cut
        }
    };
    let taken = lengths.iter().sum();
    let mut rest = window;
    let mut objects = Vec::new();
    for (length, id) in lengths.into_iter().zip(ids) {
        let (piece, after) = rest.split_at(length);
        rest = after;
        let previous = before.of(BlobId(id));
        let length_bytes = u32::try_from(piece.len()).expect("a chunk is at most 1 MiB long");
        list.push(ChunkRef { id: BlobId(id), length_bytes });
        if !batch.reuse_chunk(&id) {
            let previous = previous.map(|blob| blob.0);
            objects.push(NewObject { kind: ObjectKind::Content, id, bytes: piece.to_vec(), previous });
        }
    }
    batch.add(objects)?;
    Ok(taken)
}

/// The lengths of the chunks of a window, and their ids.
#[derive(Clone, Debug)]
struct Cut {
    lengths: Vec<usize>,
    ids: Vec<Digest>,
}

impl Cut {
    fn of(window: &[u8], sizes: Sizes, is_last: bool) -> Self {
        let lengths = cuts(window, sizes, is_last);
        let mut rest = window;
        let mut pieces = Vec::with_capacity(lengths.len());
        for length in &lengths {
            let (piece, after) = rest.split_at(*length);
            pieces.push(piece);
            rest = after;
        }
        let ids = pieces.par_iter().map(|piece| Digest::of(piece)).collect();
        Self { lengths, ids }
    }
}

/// Tests whether all bytes are 0. Most content fails at once, and zeros are compared at the speed of memory.
fn is_zero(bytes: &[u8]) -> bool {
    let mut strides = bytes.chunks_exact(64);
    let all_zero = |stride: &[u8]| stride.iter().fold(0, |bits, byte| bits | byte) == 0;
    strides.all(all_zero) && all_zero(strides.remainder())
}

/// Pairs the chunks of the new content with those before it: equal ones keep the two in step, and what lies between
/// two equal ones is paired in order.
struct Predecessors {
    before: Vec<ChunkRef>,
    at: HashMap<BlobId, usize>,
    next: usize,
}

impl Predecessors {
    fn new(before: Vec<ChunkRef>) -> Self {
        let at = before.iter().enumerate().map(|(place, chunk)| (chunk.id, place)).collect();
        Self { before, at, next: 0 }
    }

    /// The chunk that stood in the place of the next chunk of the new content.
    fn of(&mut self, chunk: BlobId) -> Option<BlobId> {
        if let Some(&place) = self.at.get(&chunk) {
            // A chunk that stands in many places (zeros) must not throw the pairing back.
            self.next = self.next.max(place + 1);
            return Some(chunk);
        }
        let before = self.before.get(self.next).map(|chunk| chunk.id);
        self.next += 1;
        before
    }
}
