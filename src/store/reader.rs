//! Reading objects: find the record, decode it, check the id.
//!
//! A [`Reader`] reads from one view of a store, which never changes: objects that others write later are missing. A
//! live [`Store`](super::Store) has a reader, and takes a newer one when others have written. An
//! [`Inspection`](super::inspect::Inspection) has a reader of the objects that it found in the packs.
//!
//! A delta is decoded from the full copy at the end of its chain forward, through at most [`DELTA_DEPTH_MAX`] deltas; a
//! longer chain, or one that comes back to itself, is corrupt. No decoder writes more than the length in the record,
//! and the kind limits that, so decoding a bomb costs no more than decoding an honest object of its kind.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::cache::Cache;
use super::delta::{self, base_generation};
use super::pack::{Pack, Record, RecordKey, pack_name};
use super::payload;
use super::state::State;
use super::view::View;
use crate::disk::Disk;
use crate::error::{Error, ErrorKind, Result, unless_corrupt};
use crate::format::chunk_list::{self, ChunkRef};
use crate::format::index::IndexEntry;
use crate::format::pack::{Link, Member, ObjectKey, ObjectKind, RecordHeader, record_is_intact};
use crate::format::snapshot::{self, Snapshot};
use crate::format::tree::{self, Tree};
use crate::id::{BlobId, Digest, SnapshotId, StoreId, TreeId};
use crate::limits::{DELTA_DEPTH_MAX, READ_CACHE_BYTES};

/// Reads objects by id from a store as it was at one moment.
#[derive(Clone, Debug)]
pub struct Reader {
    disk: Arc<dyn Disk>,
    id: StoreId,
    view: Arc<View>,
    /// The read cache, which the readers of one store share.
    cache: Arc<Cache<CacheKey, Decoded>>,
}

/// An object that a new version may be stored against.
#[derive(Debug)]
pub(super) struct Base {
    /// The link from the new version to it.
    pub(super) link: Link,
    pub(super) bytes: Arc<Vec<u8>>,
}

/// The kind under which an object was found, and its bytes.
type Found = (ObjectKind, Arc<Vec<u8>>);

/// The key of decoded bytes in the read cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum CacheKey {
    /// A frame of several objects.
    Frame(RecordKey),
    /// A version that was stored as a delta.
    Object(ObjectKey),
}

/// A decoded record. A frame of small objects has thousands of members, and decoding its header takes many times longer
/// than copying one of them, so the header is kept as well.
#[derive(Clone, Debug)]
struct Decoded {
    header: Arc<RecordHeader>,
    bytes: Arc<Vec<u8>>,
}

/// An object in its record, of which at least the header has been read.
struct Located {
    record: Record,
    /// The decoded record, if it is in the read cache.
    frame: Option<Arc<Vec<u8>>>,
    member: Member,
    pack: Arc<Pack>,
    offset: u32,
}

impl Reader {
    /// A reader of `view` with an empty read cache.
    pub(super) fn new(disk: Arc<dyn Disk>, id: StoreId, view: View) -> Self {
        Self { disk, id, view: Arc::new(view), cache: Arc::new(Cache::new(READ_CACHE_BYTES)) }
    }

    /// A reader of another view of the same store, with the same read cache.
    pub(super) fn with_view(&self, view: View) -> Self {
        Self { view: Arc::new(view), ..self.clone() }
    }

    /// A reader that lacks these objects. It has a read cache of its own: theirs may have them.
    pub(super) fn without(&self, objects: &BTreeSet<ObjectKey>) -> Self {
        let packs = self.view.packs.iter().map(|pack| Arc::new(pack.without(objects)));
        let view = View { packs: packs.collect(), ..View::clone(&self.view) };
        Self::new(Arc::clone(&self.disk), self.id, view)
    }

    /// The id of the store.
    pub fn id(&self) -> StoreId {
        self.id
    }

    /// The disk that the store is on.
    pub fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// The state of the store in the view.
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.view.state)
    }

    pub(super) fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// True if an object of this kind is there.
    pub fn contains(&self, kind: ObjectKind, id: &Digest) -> bool {
        self.contains_key(ObjectKey::new(kind, id))
    }

    /// True if an object is there, by its kind and the first half of its id.
    pub fn contains_key(&self, key: ObjectKey) -> bool {
        self.view.find(&key.prefix, &[key.kind]).is_some()
    }

    /// True if an object of this kind is in a pack that is not about to be removed: a writer may rely on it (G2).
    pub(super) fn contains_lasting(&self, kind: ObjectKind, id: &Digest) -> bool {
        let mut lasting = self.view.packs.iter().rev().filter(|pack| !self.view.is_condemned(pack));
        lasting.any(|pack| pack.index.find(&id.prefix(), &[kind]).is_some())
    }

    /// True if the content of a file, short or long, is there.
    pub fn contains_blob(&self, id: BlobId) -> bool {
        self.view.find(&id.0.prefix(), &BLOB_KINDS).is_some()
    }

    /// True if an object is there and its bytes match its id.
    pub fn is_readable(&self, key: ObjectKey) -> Result<bool> {
        Ok(unless_corrupt(self.object_with(key.kind, key.prefix))?.is_some())
    }

    /// The keys of all objects of a kind that the pack indexes list.
    pub fn keys(&self, kind: ObjectKind) -> BTreeSet<ObjectKey> {
        let entries = self.view.packs.iter().flat_map(|pack| pack.index.entries());
        entries.filter(|entry| entry.kind == kind).map(|entry| entry.key()).collect()
    }

    /// The number of the pack that holds an object, and the offset of its record there.
    pub fn place_of(&self, key: ObjectKey) -> Option<(u32, u64)> {
        let (pack, entry) = self.view.find(&key.prefix, &[key.kind])?;
        Some((pack.number, u64::from(entry.offset)))
    }

    /// The bytes of an object, checked against its id. A chunk list has the id of the file, so its record is checked by
    /// its checksum instead.
    pub fn object(&self, kind: ObjectKind, id: &Digest) -> Result<Arc<Vec<u8>>> {
        self.object_of(&[kind], id).map(|(_, bytes)| bytes)
    }

    /// The whole id and the bytes of an object, by the first half of its id. The id of a chunk list is the hash of its
    /// chunks.
    pub fn object_with(&self, kind: ObjectKind, prefix: [u8; 16]) -> Result<(Digest, Arc<Vec<u8>>)> {
        let bytes = self.decode(kind, prefix)?;
        let id = match id_of(kind, &bytes) {
            Some(id) => id,
            None => {
                let chunks = chunk_list::decode(&bytes).map_err(|e| e.during("read", shown(kind, &prefix)))?;
                copy_chunks(&|id| self.object(ObjectKind::Content, id), &chunks, &mut |_| Ok(()))?
            }
        };
        if id.prefix() == prefix {
            Ok((id, bytes))
        } else {
            Err(Error::corrupt("read", shown(kind, &prefix), format!("its bytes have the id {id}")))
        }
    }

    /// One list of a folder.
    pub fn tree(&self, id: TreeId) -> Result<Tree> {
        let bytes = self.object(ObjectKind::Tree, &id.0)?;
        tree::decode(&bytes).map_err(|e| e.during("read tree", id))
    }

    /// A snapshot.
    pub fn snapshot(&self, id: SnapshotId) -> Result<Arc<Snapshot>> {
        let bytes = self.object(ObjectKind::Snapshot, &id.0)?;
        let decoded = snapshot::decode(&bytes).map_err(|e| e.during("read snapshot", id))?;
        Ok(Arc::new(decoded))
    }

    /// The chunks of a file; `None` if it has up to 1 MiB and is one chunk.
    pub fn chunks(&self, id: BlobId) -> Result<Option<Vec<ChunkRef>>> {
        match self.object_of(&BLOB_KINDS, &id.0)? {
            (ObjectKind::ChunkList, bytes) => {
                chunk_list::decode(&bytes).map(Some).map_err(|e| e.during("read chunk list of", id))
            }
            _ => Ok(None),
        }
    }

    /// The whole content of a blob; [`ErrorKind::Limit`] if it is longer than `length_max_bytes`.
    pub fn read_blob(&self, id: BlobId, length_max_bytes: u64) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        copy_blob(&|kinds, id| self.object_of(kinds, id), id, &mut |piece| {
            if (content.len() + piece.len()) as u64 > length_max_bytes {
                let detail = format!("it is longer than {length_max_bytes} bytes");
                return Err(Error::new(ErrorKind::Limit, "read content", id, detail));
            }
            content.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(content)
    }

    /// The base for a version after `previous`; none where a new chain starts.
    pub(super) fn base_after(&self, kind: ObjectKind, previous: &Digest) -> Option<Base> {
        let before = self.record_of(kind, previous.prefix()).ok()?;
        let generation = before.generation() + 1;
        let wanted = base_generation(generation)?;
        let mut at = before;
        while at.generation() > wanted {
            at = self.record_of(kind, at.record.header.encoding.link()?.base).ok()?;
        }
        if at.generation() != wanted || self.view.is_condemned(&at.pack) {
            return None;
        }
        let prefix = at.member.prefix;
        let bytes = self.decode_from(kind, prefix, Some(at)).ok()?;
        // A delta of a damaged object could not be read.
        if id_of(kind, &bytes).is_some_and(|id| id.prefix() != prefix) {
            return None;
        }
        Some(Base { link: Link { base: prefix, generation }, bytes })
    }

    /// The object with this id and one of these kinds, checked as [`object`](Self::object) says.
    pub(super) fn object_of(&self, kinds: &[ObjectKind], id: &Digest) -> Result<Found> {
        self.try_object_of(kinds, id).map_err(|error| match error.kind() {
            ErrorKind::Corrupt if error.hint().is_none() => error.with_hint(VERIFY_HINT),
            _ => error,
        })
    }

    fn try_object_of(&self, kinds: &[ObjectKind], id: &Digest) -> Result<(ObjectKind, Arc<Vec<u8>>)> {
        let Some((_, IndexEntry { kind, .. })) = self.view.find_to_read(&id.prefix(), kinds) else {
            let object = format!("{} {id}", kinds.first().map_or("object", |kind| kind.word()));
            return Err(Error::corrupt("read", object, "it is not in the store"));
        };
        let bytes = self.decode(kind, id.prefix()).map_err(|e| e.during("read", format!("{} {id}", kind.word())))?;
        if id_of(kind, &bytes).is_none_or(|found| found == *id) {
            Ok((kind, bytes))
        } else {
            let place = self.record_of(kind, id.prefix()).map(|found| self.place(&found)).unwrap_or_default();
            let detail = format!("the bytes in {place} do not match the id");
            Err(Error::corrupt("read", format!("{} {id}", kind.word()), detail))
        }
    }

    /// The bytes of an object, not checked against its whole id. Its bases are read up to a full copy or one in the
    /// read cache, and then decoded forward.
    pub(super) fn decode(&self, kind: ObjectKind, prefix: [u8; 16]) -> Result<Arc<Vec<u8>>> {
        self.decode_from(kind, prefix, None)
    }

    /// As [`Self::decode`], with the record of the object if it has been read already.
    fn decode_from(&self, kind: ObjectKind, prefix: [u8; 16], mut first: Option<Located>) -> Result<Arc<Vec<u8>>> {
        let mut links: Vec<Located> = Vec::new();
        let mut next = prefix;
        let mut bytes = loop {
            if let Some(bytes) = self.cache.get(&CacheKey::Object(ObjectKey { kind, prefix: next })) {
                break bytes.bytes;
            }
            let mut found = first.take().map_or_else(|| self.record_of(kind, next), Ok)?;
            let Some(link) = found.record.header.encoding.link() else { break self.full_copy(&mut found)? };
            self.complete(&mut found)?;
            links.push(found);
            if links.len() > DELTA_DEPTH_MAX {
                return Err(Error::corrupt("follow", shown(kind, &prefix), "its chain of deltas is too long"));
            }
            next = link.base;
        };
        for found in links.iter().rev() {
            let length = found.member.raw_length_bytes as usize;
            let payload = found.record.payload();
            let base = delta::base_bytes(kind, &bytes);
            let decoded = payload::decode(&found.record.header.encoding, payload, &base, length);
            bytes = Arc::new(decoded.map_err(|e| e.during("decode", self.place(found)))?);
            self.keep(CacheKey::Object(found.member.key()), &found.record.header, &bytes);
        }
        Ok(bytes)
    }

    /// The record that holds an object, with at least its header read.
    fn record_of(&self, kind: ObjectKind, prefix: [u8; 16]) -> Result<Located> {
        let missing = || Error::corrupt("find", shown(kind, &prefix), "it is not in the store");
        let (pack, entry) = self.view.find_to_read(&prefix, &[kind]).ok_or_else(missing)?;
        let (record, frame) = match self.cache.get(&CacheKey::Frame(pack.record_key(entry.offset))) {
            Some(Decoded { header, bytes }) => (Record { header, bytes: Vec::new() }, Some(bytes)),
            None => (pack.read_header(self.disk(), u64::from(entry.offset))?, None),
        };
        let member = record.header.members.get(usize::from(entry.member)).copied();
        let nobody = Member { kind, raw_length_bytes: 0, prefix: [0; 16] };
        let pack = Arc::clone(pack);
        let found = Located { record, frame, member: member.unwrap_or(nobody), pack, offset: entry.offset };
        if found.member.kind != kind || found.member.prefix != prefix {
            return Err(Error::corrupt("read", self.place(&found), "the index leads to something else"));
        }
        Ok(found)
    }

    /// Reads the payload. The record of a chunk list is checked by its checksum, because its id does not tell.
    fn complete(&self, found: &mut Located) -> Result<()> {
        found.pack.read_payload(self.disk(), u64::from(found.offset), &mut found.record)?;
        let is_list = found.member.kind == ObjectKind::ChunkList;
        if is_list && !record_is_intact(&found.record.header, &found.record.bytes) {
            return Err(Error::corrupt("read", self.place(found), "the record does not match its checksum"));
        }
        Ok(())
    }

    /// An object that is stored whole, alone or in a frame.
    fn full_copy(&self, found: &mut Located) -> Result<Arc<Vec<u8>>> {
        let header = Arc::clone(&found.record.header);
        let frame = match found.frame.take() {
            Some(frame) => frame,
            None => {
                self.complete(found)?;
                let decoded = payload::decode(&header.encoding, found.record.payload(), &[], header.raw_length_bytes());
                let frame = Arc::new(decoded.map_err(|e| e.during("decode", self.place(found)))?);
                if header.members.len() == 1 {
                    return Ok(frame);
                }
                self.keep(CacheKey::Frame(found.pack.record_key(found.offset)), &header, &frame);
                frame
            }
        };
        let before = header.members.iter().take_while(|other| **other != found.member);
        let start = before.map(|other| other.raw_length_bytes as usize).sum::<usize>();
        Ok(Arc::new(frame[start..start + found.member.raw_length_bytes as usize].to_vec()))
    }

    /// Puts decoded bytes into the read cache.
    fn keep(&self, key: CacheKey, header: &Arc<RecordHeader>, bytes: &Arc<Vec<u8>>) {
        let cost = bytes.len() + size_of_val(&header.members[..]);
        self.cache.put(key, Decoded { header: Arc::clone(header), bytes: Arc::clone(bytes) }, cost);
    }

    /// The pack and the offset of an object, for messages.
    fn place(&self, found: &Located) -> String {
        format!("{} at offset {}", self.disk().display(&pack_name(found.pack.number)), found.offset)
    }
}

/// Calls `take` with the content of a blob in pieces of at most 1 MiB, each checked against its id, and checks the
/// whole at the end. On an error, `take` has seen only bytes of the file, perhaps not all. Returns the length in bytes.
pub(super) fn copy_blob(
    object_of: &dyn Fn(&[ObjectKind], &Digest) -> Result<Found>,
    id: BlobId,
    take: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<u64> {
    let (kind, bytes) = object_of(&BLOB_KINDS, &id.0)?;
    if kind == ObjectKind::Content {
        take(&bytes)?;
        return Ok(bytes.len() as u64);
    }
    let chunks = chunk_list::decode(&bytes).map_err(|e| e.during("read chunk list of", id))?;
    let chunk = |chunk: &Digest| object_of(&[ObjectKind::Content], chunk).map(|(_, bytes)| bytes);
    if copy_chunks(&chunk, &chunks, take)? != id.0 {
        return Err(Error::corrupt("read content", id, "its chunks do not add up to it"));
    }
    Ok(chunk_list::total_length_bytes(&chunks))
}

/// Calls `take` with each chunk of a list. Returns the hash of them all.
pub(super) fn copy_chunks(
    content: &dyn Fn(&Digest) -> Result<Arc<Vec<u8>>>,
    chunks: &[ChunkRef],
    take: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<Digest> {
    let mut whole = blake3::Hasher::new();
    for chunk in chunks {
        let piece = content(&chunk.id.0)?;
        if piece.len() as u64 != u64::from(chunk.length_bytes) {
            return Err(Error::corrupt("read chunk", chunk.id, "it has another length than its list says"));
        }
        whole.update(&piece);
        take(&piece)?;
    }
    Ok(Digest(*whole.finalize().as_bytes()))
}

impl Located {
    /// Its generation in the chain of versions; 0 for a full copy.
    fn generation(&self) -> u32 {
        self.record.header.encoding.link().map_or(0, |link| link.generation)
    }
}

/// The id of an object by its bytes; `None` for a chunk list, whose bytes do not tell.
pub(super) fn id_of(kind: ObjectKind, bytes: &[u8]) -> Option<Digest> {
    match kind {
        ObjectKind::Content => Some(Digest::of(bytes)),
        ObjectKind::Tree => Some(tree::tree_id(bytes).0),
        ObjectKind::Snapshot => Some(snapshot::snapshot_id(bytes).0),
        ObjectKind::ChunkList => None,
    }
}

/// The hint of an error about an object that cannot be read.
const VERIFY_HINT: &str = "`retro verify` lists what is affected, `retro repair` brings back what it can";

/// The kinds that a blob may be stored as.
const BLOB_KINDS: [ObjectKind; 2] = [ObjectKind::Content, ObjectKind::ChunkList];

fn shown(kind: ObjectKind, prefix: &[u8; 16]) -> String {
    ObjectKey { kind, prefix: *prefix }.to_string()
}
