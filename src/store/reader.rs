//! Reading objects: find the record, decode it, check the id.
//!
//! A [`Reader`] reads from one view of a store, which never changes: what is not in it is missing, whatever others
//! write. A live [`Store`](super::Store) owns one and takes a newer one when others have written; an
//! [`Inspection`](super::inspect::Inspection) owns one over what it found in the packs.
//!
//! A delta is decoded from the full copy at the end of its chain forward, at most [`DELTA_DEPTH_MAX`] times; a chain
//! that is longer, or comes back to itself, is corrupt. No decoder writes more than the length its record states, which
//! is limited by kind, so a bomb costs what an honest object of that kind may cost.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::cache::ByteCache;
use super::delta::{self, base_generation};
use super::headers::{Headers, RecordKey};
use super::pack::{Pack, Record, pack_name};
use super::payload;
use super::state::State;
use super::view::View;
use crate::disk::Disk;
use crate::error::{Error, ErrorKind, Result};
use crate::format::chunk_list::{self, ChunkRef};
use crate::format::index::IndexEntry;
use crate::format::pack::{Link, Member, ObjectKey, ObjectKind, record_is_intact};
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
    kept: Arc<Kept>,
}

/// The caches in memory that the readers of one store share.
#[derive(Debug)]
struct Kept {
    /// The read cache: decoded frames, and versions that others are deltas of.
    decoded: ByteCache<CacheKey>,
    headers: Headers,
}

/// What a new version may be stored against.
#[derive(Debug)]
pub(super) struct Base {
    /// How the new version names it.
    pub(super) link: Link,
    pub(super) bytes: Arc<Vec<u8>>,
}

/// The kind under which an object was found, and its bytes.
type Found = (ObjectKind, Arc<Vec<u8>>);

/// Key of the decoded bytes kept for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum CacheKey {
    /// A frame, by its record.
    Frame(RecordKey),
    /// An object, by kind and id prefix.
    Object(ObjectKind, [u8; 16]),
}

/// An object where it is stored. Of its record, only the header has been read for sure.
struct Located {
    record: Record,
    member: Member,
    pack: Arc<Pack>,
    offset: u32,
}

impl Reader {
    /// Reads from `view`, with nothing in memory yet.
    pub(super) fn new(disk: Arc<dyn Disk>, id: StoreId, view: View) -> Self {
        let kept = Kept { decoded: ByteCache::new(READ_CACHE_BYTES), headers: Headers::default() };
        Self { disk, id, view: Arc::new(view), kept: Arc::new(kept) }
    }

    /// Reads from another view of the same store, and shares what is in memory.
    pub(super) fn with_view(&self, view: View) -> Self {
        Self { view: Arc::new(view), ..self.clone() }
    }

    /// A reader that lacks these objects. It shares nothing in memory: their bytes may be there.
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

    /// The state of the store at the moment that is read from.
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.view.state)
    }

    pub(super) fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Whether an object of this kind is there.
    pub fn contains(&self, kind: ObjectKind, id: &Digest) -> bool {
        self.contains_key(ObjectKey::new(kind, id))
    }

    /// Returns true if an object is there, by all that its record says of its id.
    pub fn contains_key(&self, key: ObjectKey) -> bool {
        self.view.find(&key.prefix, &[key.kind]).is_some()
    }

    /// Returns true if an object of this kind is in a pack that stays, so that a writer may rely on it (G2).
    pub(super) fn contains_lasting(&self, kind: ObjectKind, id: &Digest) -> bool {
        let mut lasting = self.view.packs.iter().rev().filter(|pack| !self.view.is_condemned(pack));
        lasting.any(|pack| pack.index.find(&id.prefix(), &[kind]).is_some())
    }

    /// Whether the content of a file, short or long, is there.
    pub fn contains_blob(&self, id: BlobId) -> bool {
        self.view.find(&id.0.prefix(), &BLOB_KINDS).is_some()
    }

    /// Returns true if an object is there and its bytes match its id. An I/O error is returned as an error.
    pub fn is_readable(&self, key: ObjectKey) -> Result<bool> {
        match self.object_with(key.kind, key.prefix) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The number of the pack that holds an object, and the offset of its record there.
    pub fn place_of(&self, key: ObjectKey) -> Option<(u32, u64)> {
        let (pack, entry) = self.view.find(&key.prefix, &[key.kind])?;
        Some((pack.number, u64::from(entry.offset)))
    }

    /// One object's bytes, checked against its id. (A chunk list has the id of what it lists: it is checked by its
    /// record's checksum.)
    pub fn object(&self, kind: ObjectKind, id: &Digest) -> Result<Arc<Vec<u8>>> {
        self.object_of(&[kind], id).map(|(_, bytes)| bytes)
    }

    /// An object of which only the first 16 bytes of the id are known, as records have it, and its whole id. The id of
    /// a chunk list is computed from the chunks it lists.
    pub fn object_with(&self, kind: ObjectKind, prefix: [u8; 16]) -> Result<(Digest, Arc<Vec<u8>>)> {
        let bytes = self.decode(kind, prefix)?;
        let id = match id_of(kind, &bytes) {
            Some(id) => id,
            None => {
                let chunks = chunk_list::decode(&bytes).map_err(|e| e.during("read", shown(kind, &prefix)))?;
                let mut whole = blake3::Hasher::new();
                for chunk in chunks {
                    whole.update(&self.object(ObjectKind::Content, &chunk.id.0)?);
                }
                Digest(*whole.finalize().as_bytes())
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

    /// The chunks of a file above 1 MiB; `None` when it is one chunk itself.
    pub fn chunks(&self, id: BlobId) -> Result<Option<Vec<ChunkRef>>> {
        match self.object_of(&BLOB_KINDS, &id.0)? {
            (ObjectKind::ChunkList, bytes) => {
                chunk_list::decode(&bytes).map(Some).map_err(|e| e.during("read chunk list of", id))
            }
            _ => Ok(None),
        }
    }

    /// A blob's whole content; over `length_max_bytes` it is refused with [`ErrorKind::Limit`].
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

    /// What a new version may be stored against, when the version before is `previous`; none where a chain starts anew.
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
        // What rests on damage is lost with it.
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

    /// The bytes of an object, not yet checked against its full id: read along its bases until one that rests on
    /// nothing or is kept from before, then decoded forward.
    pub(super) fn decode(&self, kind: ObjectKind, prefix: [u8; 16]) -> Result<Arc<Vec<u8>>> {
        self.decode_from(kind, prefix, None)
    }

    /// The same, where the object's record may have been read already.
    fn decode_from(&self, kind: ObjectKind, prefix: [u8; 16], mut first: Option<Located>) -> Result<Arc<Vec<u8>>> {
        let mut links: Vec<Located> = Vec::new();
        let mut next = prefix;
        let mut bytes = loop {
            if let Some(bytes) = self.kept.decoded.get(&CacheKey::Object(kind, next)) {
                break bytes;
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
            self.kept.decoded.put(CacheKey::Object(kind, found.member.prefix), Arc::clone(&bytes));
        }
        Ok(bytes)
    }

    /// The record that holds an object, and the object's place in it.
    fn record_of(&self, kind: ObjectKind, prefix: [u8; 16]) -> Result<Located> {
        let missing = || Error::corrupt("find", shown(kind, &prefix), "it is not in the store");
        let (pack, entry) = self.view.find_to_read(&prefix, &[kind]).ok_or_else(missing)?;
        let key = pack.record_key(entry.offset);
        let record = match self.kept.headers.get(&key) {
            Some(header) => Record { header, bytes: Vec::new() },
            None => pack.read_header(self.disk(), u64::from(entry.offset))?,
        };
        if !record.bytes.is_empty() {
            self.kept.headers.put(key, &record.header);
        }
        let member = record.header.members.get(usize::from(entry.member)).copied();
        let nobody = Member { kind, raw_length_bytes: 0, prefix: [0; 16] };
        let pack = Arc::clone(pack);
        let found = Located { record, member: member.unwrap_or(nobody), pack, offset: entry.offset };
        if found.member.kind != kind || found.member.prefix != prefix {
            return Err(Error::corrupt("read", self.place(&found), "the index leads to something else"));
        }
        Ok(found)
    }

    /// Reads the payload. A chunk list is checked by its record's checksum here, because its id cannot tell.
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
        let key = CacheKey::Frame(found.pack.record_key(found.offset));
        let count = found.record.header.members.len();
        let frame = match self.kept.decoded.get(&key).filter(|_| count > 1) {
            Some(frame) => frame,
            None => {
                self.complete(found)?;
                let header = &found.record.header;
                let decoded = payload::decode(&header.encoding, found.record.payload(), &[], header.raw_length_bytes());
                let frame = Arc::new(decoded.map_err(|e| e.during("decode", self.place(found)))?);
                if count > 1 {
                    self.kept.decoded.put(key, Arc::clone(&frame));
                }
                frame
            }
        };
        if count == 1 {
            return Ok(frame);
        }
        let before = found.record.header.members.iter().take_while(|other| **other != found.member);
        let start = before.map(|other| other.raw_length_bytes as usize).sum::<usize>();
        Ok(Arc::new(frame[start..start + found.member.raw_length_bytes as usize].to_vec()))
    }

    fn place(&self, found: &Located) -> String {
        format!("{} at offset {}", self.disk().display(&pack_name(found.pack.number)), found.offset)
    }
}

/// Hands a blob's content over in pieces of at most 1 MiB, each checked against its id, and checks the whole at the
/// end: on an error the caller has seen only bytes of the file, but perhaps not all. Returns the length in bytes.
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
    let mut whole = blake3::Hasher::new();
    for chunk in &chunks {
        let (_, piece) = object_of(&[ObjectKind::Content], &chunk.id.0)?;
        if piece.len() as u64 != u64::from(chunk.length_bytes) {
            return Err(Error::corrupt("read content", id, "a chunk has another length than its list says"));
        }
        whole.update(&piece);
        take(&piece)?;
    }
    if Digest(*whole.finalize().as_bytes()) != id.0 {
        return Err(Error::corrupt("read content", id, "its chunks do not add up to it"));
    }
    Ok(chunk_list::total_length_bytes(&chunks))
}

impl Located {
    /// Place in its chain of versions; 0 for a full copy.
    fn generation(&self) -> u32 {
        self.record.header.encoding.link().map_or(0, |link| link.generation)
    }
}

/// The id of an object by its bytes; `None` for a chunk list, whose bytes do not tell.
fn id_of(kind: ObjectKind, bytes: &[u8]) -> Option<Digest> {
    match kind {
        ObjectKind::Content => Some(Digest::of(bytes)),
        ObjectKind::Tree => Some(tree::tree_id(bytes).0),
        ObjectKind::Snapshot => Some(snapshot::snapshot_id(bytes).0),
        ObjectKind::ChunkList => None,
    }
}

/// What to do about an object that cannot be read.
const VERIFY_HINT: &str = "`retro verify` lists what is affected, `retro repair` brings back what it can";

/// What a blob may be stored as.
const BLOB_KINDS: [ObjectKind; 2] = [ObjectKind::Content, ObjectKind::ChunkList];

fn shown(kind: ObjectKind, prefix: &[u8; 16]) -> String {
    let digits: String = prefix.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} {digits}", kind.word())
}
