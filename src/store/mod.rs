//! Objects in packs, found through indexes; facts in transactions.
//!
//! ```text
//! packs/000001.pack   append-only transactions: records of objects, and a trailer that carries facts
//! packs/000001.idx    the offset of each object of the pack: a cache
//! journal             the facts of all transactions in order: a cache
//! lock                held while a transaction is appended, and while packs are repaired
//! quarantine/         files that a repair or a writer has moved there: no part of the store
//! tmp/                at most one file of each living writer
//! ```
//!
//! Invariants:
//! - The packs are the store. Everything else can be made again from them, and is if it is missing or damaged.
//! - The pack with the highest number is appended to until it is 64 MiB long; all others never change.
//! - A transaction is acknowledged after its pack is synced, and never lost after that.
//! - Transactions are numbered one after another. Together their facts make the [`State`].
//!
//! A store knows objects and facts. The modules above it know workspaces and restores.

mod batch;
mod cache;
mod cursor;
mod delta;
pub mod file;
mod folder;
pub mod heal;
mod index;
pub mod inspect;
mod journal;
mod pack;
mod pack_writer;
pub mod payload;
mod quarantine;
mod reader;
mod recover;
pub mod repair;
mod splice;
pub mod state;
mod stats;
pub mod timeline;
mod transaction;
mod view;

#[cfg(test)]
mod tests;

pub use batch::{Batch, BatchTotals, NewObject};
pub use cursor::{FolderCursor, ListRef, LoadTree};
pub use reader::Reader;
pub use recover::{DamagedRange, RecoveredTransaction};
pub use state::{Noted, NotedEvent, State, Workspace};
pub use stats::{ObjectFacts, for_each_object};
pub use timeline::Timeline;
pub use transaction::{Final, Recorded};

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use crate::disk::local::LocalDisk;
use crate::disk::{Disk, Durability, LockMode, read_start, replace};
use crate::error::{Error, ErrorKind, Result};
use crate::format::chunk_list::ChunkRef;
use crate::format::header;
use crate::format::pack::ObjectKind;
use crate::format::snapshot::Snapshot;
use crate::format::tree::{Entry, Tree};
use crate::id::{BlobId, Digest, SnapshotId, StoreId, TreeId};
use crate::path::escaped;
use view::View;

/// Name of the file that names the store.
const FORMAT: &str = "FORMAT";

/// Most bytes read of this file; it has 76.
const FORMAT_LENGTH_MAX_BYTES: u64 = 4 << 10;

/// Name of the file that is locked while a transaction is appended.
const LOCK: &str = "lock";

/// The names in a store's folder. `lost+found` is there if the store has a file system of its own.
const OWN_NAMES: [&str; 9] =
    [FORMAT, LOCK, "config.toml", "journal", "lost+found", "packs", "quarantine", "tmp", "workspaces"];

/// An open store. Threads may share it.
///
/// It sees what other processes wrote after [`Store::refresh`], and in every operation that writes.
#[derive(Debug)]
pub struct Store {
    disk: Arc<dyn Disk>,
    id: StoreId,
    reader: RwLock<Arc<Reader>>,
    /// The last reader whose indexes were checked, because something was missing.
    checked: Mutex<Weak<Reader>>,
}

impl Store {
    /// Opens the store in a folder. `NotFound` where there is none.
    pub fn open_at(folder: &Path) -> Result<Self> {
        Self::open(Arc::new(LocalDisk::open(folder)?))
    }

    /// Opens the store in a folder, and creates folder and store where they are missing. Any number of processes may do
    /// so at once. `Conflict` if the folder has other files.
    pub fn open_or_create_at(folder: &Path) -> Result<Self> {
        Self::open_or_create(Arc::new(LocalDisk::create(folder)?))
    }

    /// Opens the store on `disk`; `NotFound` when there is none.
    pub fn open(disk: Arc<dyn Disk>) -> Result<Self> {
        let id = read_format(&*disk)?;
        let view = View::load(&*disk, id)?;
        if let Some(error) = view.damaged.first().filter(|_| view.packs.is_empty()) {
            let detail = format!("FORMAT names store {id}, of which there is no pack: {error}");
            return Err(Error::new(error.kind(), "open store", disk.display(""), detail).with_hint(REPAIR_HINT));
        }
        let reader = RwLock::new(Arc::new(Reader::new(Arc::clone(&disk), id, view)));
        Ok(Self { disk, id, reader, checked: Mutex::default() })
    }

    /// Opens the store on `disk`, and creates it where there is none. Any number of processes may do so at once.
    pub fn open_or_create(disk: Arc<dyn Disk>) -> Result<Self> {
        match Self::open(Arc::clone(&disk)) {
            Err(error) if error.kind() == ErrorKind::NotFound => expect_no_other_files(&*disk)?,
            opened => return opened,
        }
        let _guard = disk.lock(LOCK, LockMode::Exclusive)?;
        match read_format(&*disk) {
            Err(error) if error.kind() == ErrorKind::NotFound => create(&*disk)?,
            read => drop(read?),
        }
        Self::open(disk)
    }

    /// The id of the store.
    pub fn id(&self) -> StoreId {
        self.id
    }

    /// The disk that the store is on.
    pub fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// A reader of the store as of the last look.
    #[doc(hidden)]
    pub fn reader(&self) -> Arc<Reader> {
        Arc::clone(&self.reader.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The state that all facts add up to, as of the last look.
    pub fn state(&self) -> Arc<State> {
        self.reader().state()
    }

    /// True if a workspace has this snapshot as a step.
    pub fn is_step(&self, snapshot: SnapshotId) -> bool {
        let view = self.view();
        view.steps.get_or_init(|| view.state.snapshots().map(|(_, _, id)| id).collect()).contains(&snapshot)
    }

    /// Reads the transactions that other processes have added.
    pub fn refresh(&self) -> Result<()> {
        if self.view().is_current(&*self.disk) { Ok(()) } else { self.reload() }
    }

    /// Reads the whole store again, with its caches.
    fn reload(&self) -> Result<()> {
        let view = View::load(&*self.disk, self.id)?;
        self.set_view(view);
        Ok(())
    }

    /// Length of all packs, in bytes.
    pub fn pack_bytes(&self) -> Result<u64> {
        self.view().packs.iter().map(|pack| pack.file.length()).sum()
    }

    /// Packs and transactions that could not be read. Their objects and facts are missing; all others are there.
    pub fn damage(&self) -> Vec<String> {
        self.view().damaged.iter().map(ToString::to_string).collect()
    }

    fn view(&self) -> Arc<View> {
        Arc::clone(self.reader().view())
    }

    fn set_view(&self, view: View) {
        let mut reader = self.reader.write().unwrap_or_else(PoisonError::into_inner);
        *reader = Arc::new(reader.with_view(view));
    }

    /// Reads something. If it is missing or corrupt, the store is read again: others may have written since, or an
    /// index may be damaged.
    fn read<T>(&self, read: impl Fn(&Reader) -> Result<T>) -> Result<T> {
        let is_corrupt = |found: &Result<T>| matches!(found, Err(error) if error.kind() == ErrorKind::Corrupt);
        let mut found = read(&self.reader());
        if is_corrupt(&found) && !self.was_searched() {
            self.refresh()?;
            found = read(&self.reader());
            if is_corrupt(&found) && self.distrust_indexes()? {
                found = read(&self.reader());
            }
        }
        found
    }

    /// Drops indexes that do not match their checksum, and reads their packs instead. Returns true if there were any.
    /// It happens once for each view: a history may name any number of snapshots that are missing.
    fn distrust_indexes(&self) -> Result<bool> {
        let reader = self.reader();
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if std::ptr::eq(checked.as_ptr(), Arc::as_ptr(&reader)) {
            return Ok(false);
        }
        *checked = Arc::downgrade(&reader);
        let view = reader.view();
        if view.packs.iter().all(|pack| pack.index.is_intact()) {
            return Ok(false);
        }
        let packs = view
            .packs
            .iter()
            .map(|pack| if pack.index.is_intact() { Ok(Arc::clone(pack)) } else { pack.reread().map(Arc::new) });
        let packs = packs.collect::<Result<_>>()?;
        self.set_view(View { packs, ..View::clone(view) });
        *checked = Arc::downgrade(&self.reader());
        Ok(true)
    }

    /// True if the indexes of this view were checked already, and nobody has written since.
    fn was_searched(&self) -> bool {
        let reader = self.reader();
        let checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_as_seen = |pack: &Arc<pack::Pack>| pack.file.length().is_ok_and(|length| length == pack.index.end());
        std::ptr::eq(checked.as_ptr(), Arc::as_ptr(&reader)) && reader.view().packs.last().is_none_or(is_as_seen)
    }

    /// `Unsupported` if a newer version has written to the store.
    fn refuse_newer(&self) -> Result<()> {
        let view = self.view();
        match view.damaged.iter().find(|error| error.kind() == ErrorKind::Unsupported) {
            Some(newer) => Err(Error::new(ErrorKind::Unsupported, "write to", self.disk.display(""), newer)),
            None => Ok(()),
        }
    }
}

/// Reading. If an object is missing or corrupt, the store is read again before that is an error.
impl Store {
    /// See [`Reader::contains`]. Objects that others have written since the last look are not included.
    #[doc(hidden)]
    pub fn contains(&self, kind: ObjectKind, id: &Digest) -> bool {
        self.reader().contains(kind, id)
    }

    /// See [`Reader::contains_blob`]. Objects that others have written since the last look are not included.
    #[doc(hidden)]
    pub fn contains_blob(&self, id: BlobId) -> bool {
        self.reader().contains_blob(id)
    }

    /// See [`Reader::object`].
    #[doc(hidden)]
    pub fn object(&self, kind: ObjectKind, id: &Digest) -> Result<Arc<Vec<u8>>> {
        self.read(|reader| reader.object(kind, id))
    }

    /// See [`Reader::object_with`].
    #[doc(hidden)]
    pub fn object_with(&self, kind: ObjectKind, prefix: [u8; 16]) -> Result<(Digest, Arc<Vec<u8>>)> {
        self.read(|reader| reader.object_with(kind, prefix))
    }

    /// See [`Reader::tree`].
    #[doc(hidden)]
    pub fn tree(&self, id: TreeId) -> Result<Tree> {
        self.read(|reader| reader.tree(id))
    }

    /// The entries of a folder, sorted by name.
    pub fn folder(&self, id: TreeId) -> Result<Vec<Entry>> {
        self.read(|reader| reader.folder(id))
    }

    /// See [`Reader::check_extent`].
    #[doc(hidden)]
    pub fn check_extent(&self, operation: &str, root: TreeId) -> Result<()> {
        self.read(|reader| reader.check_extent(operation, root))
    }

    /// A snapshot. `NotFound` if the store has no such snapshot; `Corrupt` if it lost one that a workspace lists.
    pub fn snapshot(&self, id: SnapshotId) -> Result<Arc<Snapshot>> {
        self.read(|reader| reader.snapshot(id)).map_err(|error| {
            if self.contains(ObjectKind::Snapshot, &id.0) || self.is_step(id) {
                return error;
            }
            Error::new(ErrorKind::NotFound, "find snapshot", id, "the store has no such snapshot")
        })
    }

    /// See [`Reader::chunks`].
    #[doc(hidden)]
    pub fn chunks(&self, id: BlobId) -> Result<Option<Vec<ChunkRef>>> {
        self.read(|reader| reader.chunks(id))
    }

    /// The content of a blob. `Limit` if it is longer than `length_max_bytes`.
    pub fn read_blob(&self, id: BlobId, length_max_bytes: u64) -> Result<Vec<u8>> {
        self.read(|reader| reader.read_blob(id, length_max_bytes))
    }

    /// Calls `take` with the content of a blob in pieces of at most 1 MiB, each checked against its id, and checks the
    /// whole at the end. On an error, `take` has seen only bytes of the file, perhaps not all. Returns the length in
    /// bytes.
    pub fn copy_blob(&self, id: BlobId, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<u64> {
        let object_of = |kinds: &[ObjectKind], id: &Digest| self.read(|reader| reader.object_of(kinds, id));
        reader::copy_blob(&object_of, id, take)
    }
}

/// The hint of errors about a store that cannot be opened.
const REPAIR_HINT: &str = "`retro repair` repairs it from its packs; `--dry-run` shows the changes that it would make";

/// The id in the file that names the store. `Corrupt` if the file is missing and there are packs: another store must
/// not be created here.
fn read_format(disk: &dyn Disk) -> Result<StoreId> {
    let bytes = match read_start(disk, FORMAT, FORMAT_LENGTH_MAX_BYTES) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let has_packs = disk.list("packs")?.iter().any(|name| pack::pack_number(name).is_some());
            if has_packs {
                let detail = "the file is missing, and there are packs";
                return Err(Error::corrupt("open store", disk.display(FORMAT), detail).with_hint(REPAIR_HINT));
            }
            return Err(Error::new(ErrorKind::NotFound, "open store", disk.display(""), "there is no store here"));
        }
        bytes => bytes?,
    };
    header::decode(&bytes).map_err(|malformed| {
        let is_newer = malformed.is_newer();
        let error = malformed.during("open store", disk.display(FORMAT));
        if is_newer { error } else { error.with_hint(REPAIR_HINT) }
    })
}

/// `Conflict` for a folder with other files: it is not meant to be a store.
fn expect_no_other_files(disk: &dyn Disk) -> Result<()> {
    match disk.list("")?.into_iter().find(|name| !OWN_NAMES.contains(&name.as_str())) {
        None => Ok(()),
        Some(other) => {
            let detail = format!("the folder has other files, such as {}", escaped(other.as_bytes()));
            Err(Error::new(ErrorKind::Conflict, "create store", disk.display(""), detail)
                .with_hint("name an empty or a new folder"))
        }
    }
}

/// Makes a folder a store. The file that names the store comes last and is durable.
fn create(disk: &dyn Disk) -> Result<()> {
    for folder in ["packs", "tmp", "workspaces"] {
        disk.create_folder(folder)?;
    }
    write_format(disk, StoreId(disk.random()))
}

/// Writes the file that names the store, durably.
fn write_format(disk: &dyn Disk, id: StoreId) -> Result<()> {
    replace(disk, FORMAT, Durability::Durable, |temporary| disk.write(temporary, 0, &header::encode(id)))
}
