//! Objects in packs, found through indexes; facts in commits.
//!
//! ```text
//! packs/000001.pack   append-only batches of records, each closed by a commit that carries facts
//! packs/000001.idx    where each object of the pack is: a cache
//! journal             the facts of all commits in order: a cache
//! lock                held while a commit is appended, and only then
//! tmp/                at most one file of each living writer
//! ```
//!
//! Invariants:
//! - The packs are the store. Everything else can be made again from them, and is when it is missing or damaged.
//! - The pack with the highest number is appended to until it is 64 MiB long; all others never change.
//! - A commit is true once its pack is synced. Nothing is acknowledged before, nothing is lost after.
//! - Facts are numbered by commits, one after another; the fold of them all is the [`State`].
//!
//! A store knows objects and facts; what a workspace is, or a restore, is decided above it.

mod batch;
mod cache;
mod codec;
mod commit;
mod delta;
mod index;
mod pack;
mod read;
mod recover;
mod splice;
pub mod state;
mod stats;
mod view;

#[cfg(test)]
mod tests;

pub use batch::{Batch, BatchTotals, NewObject};
pub use commit::{Committed, Final};
pub use state::{State, Workspace};
pub use stats::{ObjectFacts, for_each_object};

use std::sync::{Arc, PoisonError, RwLock};

use crate::disk::{Disk, LockMode, read_all};
use crate::error::{Error, ErrorKind, Result};
use crate::format::header;
use crate::id::StoreId;
use crate::limits::READ_CACHE_BYTES;
use cache::ByteCache;
use read::CacheKey;
use view::View;

/// Name of the file that says what the folder is.
const FORMAT: &str = "FORMAT";

/// Name of the file that is locked while a commit is appended.
const LOCK: &str = "lock";

/// An open store.
#[derive(Debug)]
pub struct Store {
    disk: Arc<dyn Disk>,
    id: StoreId,
    view: RwLock<Arc<View>>,
    cache: ByteCache<CacheKey>,
}

impl Store {
    /// Opens the store on `disk`; `NotFound` when there is none.
    pub fn open(disk: Arc<dyn Disk>) -> Result<Self> {
        let bytes = read_all(&*disk, FORMAT).map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                Error::new(ErrorKind::NotFound, "open store", disk.display(""), "there is no store here")
            }
            _ => error,
        })?;
        let id = header::decode(&bytes).map_err(|e| e.during("open store", disk.display(FORMAT)))?;
        let view = RwLock::new(Arc::new(View::load(&*disk, id)?));
        Ok(Self { disk, id, view, cache: ByteCache::new(READ_CACHE_BYTES) })
    }

    /// Opens the store on `disk`, creating it where there is none. Any number of processes may do so at once.
    pub fn open_or_create(disk: Arc<dyn Disk>) -> Result<Self> {
        match Self::open(Arc::clone(&disk)) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            opened => return opened,
        }
        let _guard = disk.lock(LOCK, LockMode::Exclusive)?;
        match read_all(&*disk, FORMAT) {
            Err(error) if error.kind() == ErrorKind::NotFound => create(&*disk)?,
            read => drop(read?),
        }
        Self::open(disk)
    }

    /// Its id.
    pub fn id(&self) -> StoreId {
        self.id
    }

    /// What it lives on.
    pub fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// What its facts add up to, as of the last look.
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.view().state)
    }

    /// Looks again at what other processes have written.
    pub fn refresh(&self) -> Result<()> {
        if self.view().is_current(&*self.disk) { Ok(()) } else { self.reload() }
    }

    /// Reads everything anew, the caches too.
    fn reload(&self) -> Result<()> {
        let view = View::load(&*self.disk, self.id)?;
        self.set_view(view);
        Ok(())
    }

    /// Length of all packs, in bytes.
    pub fn pack_bytes(&self) -> Result<u64> {
        self.view().packs.iter().map(|pack| pack.file.length()).sum()
    }

    /// Packs and commits that could not be read. What they hold is missing; the rest is not affected.
    pub fn damage(&self) -> Vec<String> {
        self.view().damaged.iter().map(ToString::to_string).collect()
    }

    fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_view(&self, view: View) {
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
    }

    /// Drops indexes that do not match their checksum, and reads their packs instead.
    fn distrust_indexes(&self) -> Result<()> {
        let view = self.view();
        if view.packs.iter().all(|pack| pack.index.is_intact()) {
            return Ok(());
        }
        let packs = view.packs.iter().map(|pack| {
            if pack.index.is_intact() { Ok(Arc::clone(pack)) } else { pack.reread(&*self.disk).map(Arc::new) }
        });
        let packs = packs.collect::<Result<_>>()?;
        self.set_view(View { packs, ..View::clone(&view) });
        Ok(())
    }
}

/// Makes a folder a store: the file that says so comes last and is durable.
fn create(disk: &dyn Disk) -> Result<()> {
    for folder in ["packs", "tmp", "workspaces"] {
        disk.create_folder(folder)?;
    }
    let id = StoreId(disk.random());
    let temporary = "tmp/FORMAT";
    disk.remove(temporary)?;
    disk.write(temporary, 0, &header::encode(id))?;
    disk.sync(temporary)?;
    disk.rename(temporary, FORMAT)?;
    disk.sync_folder("")
}
