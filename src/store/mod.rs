//! Objects in packs, found through indexes; facts in commits. (Skeleton: signatures only, being written.)
pub mod state;

use std::sync::Arc;

use crate::disk::Disk;
use crate::error::Result;
use crate::format::pack::ObjectKind;
use crate::format::snapshot::Snapshot;
use crate::format::tree::{Entry, Tree};
use crate::id::{BlobId, Digest, SnapshotId, StoreId, TreeId};
pub use state::{State, Workspace};

/// An open store.
#[derive(Debug)]
pub struct Store {
    disk: Arc<dyn Disk>,
}

impl Store {
    /// Id.
    pub fn id(&self) -> StoreId {
        unimplemented!()
    }
    /// Disk it lives on.
    pub fn disk(&self) -> &dyn Disk {
        &*self.disk
    }
    /// State now.
    pub fn state(&self) -> Arc<State> {
        unimplemented!()
    }
    /// Whether an object is there.
    pub fn contains(&self, _id: &Digest) -> bool {
        unimplemented!()
    }
    /// One object's bytes, verified.
    pub fn object(&self, _kind: ObjectKind, _id: &Digest) -> Result<Vec<u8>> {
        unimplemented!()
    }
    /// One tree object, decoded.
    pub fn tree(&self, _id: TreeId) -> Result<Tree> {
        unimplemented!()
    }
    /// All entries of a folder, split or not, sorted.
    pub fn folder(&self, _id: TreeId) -> Result<Vec<Entry>> {
        unimplemented!()
    }
    /// A snapshot.
    pub fn snapshot(&self, _id: SnapshotId) -> Result<Arc<Snapshot>> {
        unimplemented!()
    }
    /// A blob's whole content, refused with `Limit` when longer than `length_max_bytes`.
    pub fn read_blob(&self, _id: BlobId, _length_max_bytes: u64) -> Result<Vec<u8>> {
        unimplemented!()
    }
    /// Hands a blob's content over piece by piece (at most 1 MiB each), each piece verified; the whole is verified at the end. Returns its length.
    pub fn copy_blob(&self, _id: BlobId, _take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<u64> {
        unimplemented!()
    }
}
