//! The problems that a store may have, as data. The binary makes sentences of them.

use std::ops::{Range, RangeInclusive};

use crate::format::pack::ObjectKey;
use crate::id::{Digest, SnapshotId, StoreId, WorkspaceId};
use crate::store::file::StoreFile;

/// One problem, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file; none where it is about history.
    pub file: Option<StoreFile>,
    /// The place in the file, in bytes.
    pub offset: Option<u64>,
    /// The problem itself.
    pub kind: ProblemKind,
}

/// The problem with a file, or with history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// It stands in the place of a folder, and is none.
    NotAFolder,
    /// It stands in the place of a file, and is none.
    NotAFile,
    /// It should name the store, and is missing.
    NoFormat,
    /// It should name the store, and cannot be read, as this error says.
    BadFormat(String),
    /// It names the first store, and the other files name the second.
    OtherStore(StoreId, StoreId),
    /// It has the name of a pack and is no pack of this store, as this error says.
    NotAPack(String),
    /// The header of the pack is damaged. Its contents are still read.
    Header,
    /// The pack is this many bytes long, and was longer.
    Cut(u64),
    /// Bytes of the pack belong to no intact transaction.
    DamagedRange {
        /// The number of them.
        length_bytes: u64,
        /// Objects in them that are still readable.
        readable: u64,
        /// Objects in them that are not.
        unreadable: u64,
    },
    /// A transaction that ends here is intact, and its facts cannot be decoded, as this error says.
    BadFacts(String),
    /// No file has these transactions.
    LostTransactions(RangeInclusive<u64>),
    /// A transaction is in no pack, and its facts survive in the journal. The steps are those it took.
    OnlyInJournal(u64, Vec<(WorkspaceId, u64)>),
    /// A snapshot was taken as this step, and no step and no tag leads to it any more.
    Unnamed(WorkspaceId, u64, SnapshotId),
    /// The cache differs from the packs.
    Cache(CacheProblem),
    /// An object cannot be read, or one copy of it.
    Object(DamagedObject),
}

/// A difference between a cache and the packs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheProblem {
    /// There is none.
    Missing,
    /// It, or its end, is damaged or of another store. Readers see that and do not use it. The reason, if there is more
    /// to say.
    Unusable(Option<String>),
    /// It lacks the last transactions.
    Behind,
    /// Its entries do not match their checksum.
    Checksum,
    /// It differs from the packs in so many entries.
    Differs(u64),
    /// The pack is missing or is no pack of this store.
    NoPack,
}

impl CacheProblem {
    /// True if readers would use the cache. Otherwise it costs time and nothing else.
    pub fn is_used(&self) -> bool {
        !matches!(self, Self::Missing | Self::Unusable(_) | Self::Behind)
    }
}

/// An object that cannot be read, or of which one copy cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedObject {
    /// The object.
    pub key: ObjectKey,
    /// Its whole id, if it is known.
    pub id: Option<Digest>,
    /// The damage.
    pub damage: Damage,
    /// The object whose damage is the cause, where that is another: the end of a chain of deltas.
    pub cause: Option<ObjectKey>,
    /// It is still readable: another copy is intact, or it uses nothing of the damaged bytes.
    pub is_readable: bool,
}

/// The damage to an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Damage {
    /// No pack has it.
    #[default]
    Missing,
    /// The bytes of its record are damaged.
    Record,
    /// Its record was beyond the present end of the pack.
    CutOff,
    /// The object that it is stored against cannot be read.
    Base,
    /// A repair has recorded that it is lost.
    GivenUp,
    /// It cannot be decoded or is another object, as this error says.
    Wrong(String),
}

/// A remark of a check that is no damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A cache is missing, behind or unusable. The next writer makes it again.
    Cache(Problem),
    /// Bytes at the end of the pack of this number were never acknowledged. A whole transaction may be in them that
    /// does not match its hash: then they may be damage.
    TornTail(u32, Range<u64>, bool),
    /// There are no packs of these numbers. What they held is listed where it is missed.
    NoPacks(RangeInclusive<u64>),
    /// In the pack of this number, so many transactions have the number of an earlier one, which counts.
    Conflicting(u32, u64),
    /// Damage affects more paths and steps than may be listed.
    CutShort,
    /// The contents of so many very long files were checked chunk by chunk only, not as a whole.
    NotHashedAsAWhole(u64),
}

impl Problem {
    /// The lost transactions that it is about: the first and the last.
    pub fn transactions(&self) -> Option<[u64; 2]> {
        match &self.kind {
            ProblemKind::LostTransactions(range) => Some([*range.start(), *range.end()]),
            ProblemKind::OnlyInJournal(transaction, _) => Some([*transaction; 2]),
            _ => None,
        }
    }

    /// A problem of a whole file.
    pub fn of(file: StoreFile, kind: ProblemKind) -> Self {
        Self { file: Some(file), offset: None, kind }
    }

    /// A problem at a place in a pack.
    pub fn at(pack: u32, offset: u64, kind: ProblemKind) -> Self {
        Self { offset: Some(offset), ..Self::of(StoreFile::Pack(pack), kind) }
    }

    /// A problem of history.
    pub fn of_history(kind: ProblemKind) -> Self {
        Self { file: None, offset: None, kind }
    }
}
