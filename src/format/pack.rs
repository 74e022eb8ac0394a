//! Packs: transactions of records and facts, appended one after another (store-format.md, chapter 6).
//!
//! ```text
//! pack        = header  transaction*
//! transaction = record*  trailer
//! record      = magic  encoding  lengths  members (kind, raw length, id prefix)  [link to a base]  checksum  payload
//! trailer     = magic  sequence  length of the records  facts  hash of the whole transaction
//! ```
//!
//! A transaction is part of the store if its trailer is complete and the hash matches. Anything after the last intact
//! transaction is a torn tail. Each record describes its own content, so that after damage a scanner finds the next one
//! by its magic and checksum (modelled on the object format of borg 2).

use super::bytes::{check_header, file_start, put_checksum};
use super::{Malformed, Reader, checksum, put_bytes, put_uint};
use crate::id::{Digest, StoreId};
use crate::limits::{
    CHUNK_LENGTH_MAX_BYTES, CHUNK_LIST_LENGTH_MAX_BYTES, DELTA_GENERATION_MAX, FACTS_LENGTH_MAX_BYTES,
    FRAME_LENGTH_MAX_BYTES, FRAME_MEMBER_COUNT_MAX, RECORD_LENGTH_MAX_BYTES, SNAPSHOT_LENGTH_MAX_BYTES,
    TREE_LENGTH_MAX_BYTES,
};

/// First bytes of a pack file.
pub const PACK_MAGIC: [u8; 8] = *b"\xd7RETPACK";
/// First bytes of a record.
pub const RECORD_MAGIC: [u8; 4] = *b"\xd7REC";
/// First bytes of a trailer.
pub const TRAILER_MAGIC: [u8; 4] = *b"\xd7COM";

/// Length of the header of a pack, in bytes.
pub const PACK_HEADER_LENGTH_BYTES: usize = 8 + 4 + 16 + 16 + 4;

/// Offset of the nonce in the header, in bytes.
pub const PACK_NONCE_OFFSET_BYTES: u64 = 8 + 4 + 16;

/// Longest header of a record, in bytes.
pub const HEADER_LENGTH_MAX_BYTES: usize = 4 + 1 + 9 + 9 + FRAME_MEMBER_COUNT_MAX * (1 + 9 + 16) + 16 + 9 + 4;

/// The header of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackHeader {
    /// The store it belongs to.
    pub store: StoreId,
    /// Random; a pack index names its pack by it.
    pub nonce: [u8; 16],
}

/// The kind of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// A whole file of up to 1 MiB, or a chunk of a longer one.
    Content = 1,
    /// The list of a file's chunks; its id is the hash of the file.
    ChunkList,
    /// One list of a folder, whole or a part.
    Tree,
    /// A snapshot.
    Snapshot,
}

/// An object as records and pack indexes name it. Objects with equal keys count as the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Its kind.
    pub kind: ObjectKind,
    /// The first 16 bytes of its id.
    pub prefix: [u8; 16],
}

impl ObjectKey {
    /// The key of an object.
    pub fn new(kind: ObjectKind, id: &Digest) -> Self {
        Self { kind, prefix: id.prefix() }
    }
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind.word(), crate::id::to_hex(&self.prefix))
    }
}

/// The encoding of the members in the payload of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// One object, uncompressed.
    Raw,
    /// One or more objects, concatenated, in one zstd frame.
    Zstd,
    /// One object in one zstd frame, with the base's bytes as prefix.
    Delta(Link),
    /// One object that differs from its base in one place: the length of the base's start that it shares, the new
    /// bytes, and where the base's shared end begins.
    Splice(Link),
}

/// The base of an object that is stored as a delta or splice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// First 16 bytes of the base's id.
    pub base: [u8; 16],
    /// Position in its chain of versions: 1 is stored against a full copy. See `store::delta`.
    pub generation: u32,
}

/// One object in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The kind of the object.
    pub kind: ObjectKind,
    /// Its length, in bytes.
    pub raw_length_bytes: u32,
    /// First 16 bytes of its id. The whole id is computed from the bytes, and checked against the id that refers to it.
    pub prefix: [u8; 16],
}

impl Member {
    /// The key of the object.
    pub fn key(&self) -> ObjectKey {
        ObjectKey { kind: self.kind, prefix: self.prefix }
    }
}

/// A decoded record header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// The encoding of the members in the payload.
    pub encoding: Encoding,
    /// The objects, in the order of the payload.
    pub members: Vec<Member>,
    /// Length of the payload, in bytes.
    pub stored_length_bytes: usize,
    /// CRC-32 of the header before it and the payload.
    pub checksum: u32,
    /// Length of this header, in bytes: the offset of the payload.
    pub header_length_bytes: usize,
}

/// A decoded trailer, which ends a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trailer<'a> {
    /// Position in the order of all transactions of the store; 0 for a transaction without facts.
    pub sequence: u64,
    /// Length of the records before it, in bytes.
    pub records_length_bytes: u64,
    /// The encoded facts.
    pub facts: &'a [u8],
    /// Length of the trailer itself, in bytes.
    pub length_bytes: usize,
}

impl ObjectKind {
    /// All kinds, in the order of their codes.
    pub const ALL: [Self; 4] = [Self::Content, Self::ChunkList, Self::Tree, Self::Snapshot];

    /// The code of the kind in records and pack indexes.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The kind with this code.
    pub fn from_code(code: u8) -> Result<Self, Malformed> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.code() == code)
            .ok_or_else(|| Malformed::new("an object has an unknown kind"))
    }

    /// The word used in messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::ChunkList => "chunk list",
            Self::Tree => "tree",
            Self::Snapshot => "snapshot",
        }
    }

    /// Longest object of this kind, in bytes.
    pub fn length_max_bytes(self) -> usize {
        match self {
            Self::Content => CHUNK_LENGTH_MAX_BYTES,
            Self::ChunkList => CHUNK_LIST_LENGTH_MAX_BYTES,
            Self::Tree => TREE_LENGTH_MAX_BYTES,
            Self::Snapshot => SNAPSHOT_LENGTH_MAX_BYTES,
        }
    }
}

impl Encoding {
    /// The code of the encoding in records.
    pub fn code(&self) -> u8 {
        match self {
            Self::Raw => 0,
            Self::Zstd => 1,
            Self::Delta(_) => 2,
            Self::Splice(_) => 3,
        }
    }

    /// The base of the object; `None` if it is stored whole.
    pub fn link(&self) -> Option<Link> {
        match self {
            Self::Raw | Self::Zstd => None,
            Self::Delta(link) | Self::Splice(link) => Some(*link),
        }
    }
}

impl RecordHeader {
    /// Length of the whole record, in bytes.
    pub fn record_length_bytes(&self) -> usize {
        self.header_length_bytes + self.stored_length_bytes
    }

    /// Sum of the lengths of the members, in bytes.
    pub fn raw_length_bytes(&self) -> usize {
        self.members.iter().map(|member| member.raw_length_bytes as usize).sum()
    }
}

/// Encodes a pack's header.
pub fn encode_header(header: &PackHeader) -> Vec<u8> {
    let mut out = file_start(PACK_MAGIC, PACK_HEADER_LENGTH_BYTES);
    out.extend_from_slice(&header.store.0);
    out.extend_from_slice(&header.nonce);
    put_checksum(&mut out, 0);
    out
}

/// Decodes a pack's header from the first bytes of the file.
pub fn decode_header(bytes: &[u8]) -> Result<PackHeader, Malformed> {
    let mut reader = check_header(bytes, PACK_MAGIC, PACK_HEADER_LENGTH_BYTES, "a pack")?;
    Ok(PackHeader { store: StoreId(reader.array()?), nonce: reader.array()? })
}

/// Appends a record.
pub fn put_record(out: &mut Vec<u8>, encoding: &Encoding, members: &[Member], payload: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&RECORD_MAGIC);
    out.push(encoding.code());
    put_uint(out, payload.len() as u64);
    put_uint(out, members.len() as u64);
    for member in members {
        out.push(member.kind.code());
        put_uint(out, u64::from(member.raw_length_bytes));
        out.extend_from_slice(&member.prefix);
    }
    if let Some(link) = encoding.link() {
        out.extend_from_slice(&link.base);
        put_uint(out, u64::from(link.generation));
    }
    let sum = checksum(&[&out[start..], payload]);
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(payload);
}

/// Decodes the header of a record at the start of `bytes`, which may end anywhere after the header.
pub fn decode_record(bytes: &[u8]) -> Result<RecordHeader, Malformed> {
    let mut reader = Reader::new(bytes);
    if reader.array()? != RECORD_MAGIC {
        return Err(Malformed::new("no record begins here"));
    }
    let code = reader.u8()?;
    let stored_length_bytes = reader.length(RECORD_LENGTH_MAX_BYTES)?;
    let count = reader.count(FRAME_MEMBER_COUNT_MAX, 18)?;
    let mut members = Vec::with_capacity(count);
    for _ in 0..count {
        members.push(decode_member(&mut reader)?);
    }
    let encoding = match code {
        0 => Encoding::Raw,
        1 => Encoding::Zstd,
        2 => Encoding::Delta(decode_link(&mut reader)?),
        3 => Encoding::Splice(decode_link(&mut reader)?),
        _ => return Err(Malformed::new("a record has an unknown encoding")),
    };
    let sum = reader.u32()?;
    let header = RecordHeader {
        encoding,
        members,
        stored_length_bytes,
        checksum: sum,
        header_length_bytes: bytes.len() - reader.rest().len(),
    };
    check_record(&header)?;
    Ok(header)
}

/// True if a record matches its checksum; `record` begins with the header and must hold the whole payload.
pub fn record_is_intact(header: &RecordHeader, record: &[u8]) -> bool {
    record.get(..header.record_length_bytes()).is_some_and(|record| {
        let (head, payload) = record.split_at(header.header_length_bytes);
        checksum(&[&head[..head.len() - 4], payload]) == header.checksum
    })
}

/// Appends the trailer of a transaction of `store`, whose records are `out[start..]`.
pub fn put_trailer(out: &mut Vec<u8>, store: StoreId, start: usize, sequence: u64, facts: &[u8]) {
    let records_length = out.len() - start;
    out.extend_from_slice(&TRAILER_MAGIC);
    put_uint(out, sequence);
    put_uint(out, records_length as u64);
    put_bytes(out, facts);
    let hash = transaction_hash(transaction_hasher(store).update(&out[start..]));
    out.extend_from_slice(&hash);
}

/// Decodes a trailer at the start of `bytes`. It cannot check the hash, which covers the whole transaction: see
/// [`transaction_is_intact`].
pub fn decode_trailer(bytes: &[u8]) -> Result<Trailer<'_>, Malformed> {
    let mut reader = Reader::new(bytes);
    if reader.array()? != TRAILER_MAGIC {
        return Err(Malformed::new("no trailer begins here"));
    }
    let sequence = reader.uint()?;
    let records_length_bytes = reader.uint()?;
    let facts = reader.bytes(FACTS_LENGTH_MAX_BYTES)?;
    reader.take(16)?;
    Ok(Trailer { sequence, records_length_bytes, facts, length_bytes: bytes.len() - reader.rest().len() })
}

/// True if a transaction, from its first record to the end of its trailer, matches its hash and belongs to `store`.
pub fn transaction_is_intact(store: StoreId, transaction: &[u8]) -> bool {
    transaction
        .split_last_chunk::<16>()
        .is_some_and(|(hashed, hash)| transaction_hash(transaction_hasher(store).update(hashed)) == *hash)
}

/// The hasher of a transaction of `store`; feed it the whole transaction except the hash at its end.
///
/// The store is part of the hash because a file in a workspace may be a pack of another store, and a search for
/// transactions in a damaged range may find those inside it.
pub fn transaction_hasher(store: StoreId) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&store.0);
    hasher
}

/// The hash at the end of a transaction.
pub fn transaction_hash(hasher: &blake3::Hasher) -> [u8; 16] {
    Digest(*hasher.finalize().as_bytes()).prefix()
}

fn decode_member(reader: &mut Reader<'_>) -> Result<Member, Malformed> {
    let kind = ObjectKind::from_code(reader.u8()?)?;
    let length = reader.length(kind.length_max_bytes())?;
    let raw_length_bytes = u32::try_from(length).expect("every kind is limited below 4 GiB");
    Ok(Member { kind, raw_length_bytes, prefix: reader.array()? })
}

fn decode_link(reader: &mut Reader<'_>) -> Result<Link, Malformed> {
    let base = reader.array()?;
    let generation = u32::try_from(reader.uint()?).ok();
    let generation = generation.filter(|generation| (1..=DELTA_GENERATION_MAX).contains(generation));
    Ok(Link {
        base,
        generation: generation.ok_or_else(|| Malformed::new("the generation of a delta is out of range"))?,
    })
}

fn check_record(header: &RecordHeader) -> Result<(), Malformed> {
    let raw_length = header.raw_length_bytes();
    match (&header.encoding, header.members.len()) {
        (_, 0) => Err(Malformed::new("a record is empty")),
        (Encoding::Raw, 1) if raw_length == header.stored_length_bytes => Ok(()),
        (Encoding::Raw, _) => Err(Malformed::new("a raw record has several objects or a length unlike its object's")),
        (Encoding::Delta(_) | Encoding::Splice(_), 2..) => Err(Malformed::new("a delta has several objects")),
        (_, 2..) if raw_length > FRAME_LENGTH_MAX_BYTES => Err(Malformed::new("a frame is over its length limit")),
        _ => Ok(()),
    }
}
