//! Objects in packs, found through indexes; facts in commits.
//!
//! ```text
//! packs/000001.pack   append-only batches of records, each closed by a commit that carries facts
//! packs/000001.idx    where each object of the pack is: a cache
//! journal             the facts of all commits in order: a cache
//! lock                held while a commit is appended, and while packs are repaired
//! quarantine/         what was put aside: no part of the store
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
mod folder;
mod headers;
pub mod heal;
mod index;
pub mod inspect;
mod journal_start;
mod pack;
pub mod payload;
mod quarantine;
mod read;
mod recover;
pub mod repair;
mod splice;
pub mod state;
mod stats;
pub mod timeline;
mod view;

#[cfg(test)]
mod tests;

pub use batch::{Batch, BatchTotals, NewObject};
pub use commit::{Committed, Final};
pub use folder::FolderRoom;
pub use recover::{DoubtfulCommit, Stretch};
pub use state::{Noted, NotedEvent, State, Workspace};
pub use stats::{ObjectFacts, for_each_object};
pub use timeline::Timeline;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use crate::disk::local::LocalDisk;
use crate::disk::{Disk, LockMode, read_start};
use crate::error::{Error, ErrorKind, Result};
use crate::format::header;
use crate::id::{SnapshotId, StoreId};
use crate::limits::READ_CACHE_BYTES;
use cache::ByteCache;
use headers::Headers;
use read::CacheKey;
use view::View;

/// Name of the file that says what the folder is.
const FORMAT: &str = "FORMAT";

/// Longest such file read, in bytes; ours has 76.
const FORMAT_LENGTH_MAX_BYTES: u64 = 4 << 10;

/// Name of the file that is locked while a commit is appended.
const LOCK: &str = "lock";

/// An open store.
#[derive(Debug)]
pub struct Store {
    disk: Arc<dyn Disk>,
    id: StoreId,
    view: RwLock<Arc<View>>,
    cache: ByteCache<CacheKey>,
    headers: Headers,
    /// Never looks again: what it shows was put together once, see `inspect`.
    is_frozen: bool,
    /// The view whose indexes were checked last, because something was missing.
    checked: Mutex<Weak<View>>,
}

impl Store {
    /// Opens the store in a folder. `NotFound` where there is none.
    pub fn open_at(folder: &Path) -> Result<Self> {
        Self::open(Arc::new(LocalDisk::open(folder)?))
    }

    /// Opens the store in a folder, creating folder and store where they are missing. Any number of processes may do so
    /// at once.
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
        Ok(Self::with_view(disk, id, view))
    }

    /// Opens the store on `disk`, creating it where there is none. Any number of processes may do so at once.
    pub fn open_or_create(disk: Arc<dyn Disk>) -> Result<Self> {
        match Self::open(Arc::clone(&disk)) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            opened => return opened,
        }
        let _guard = disk.lock(LOCK, LockMode::Exclusive)?;
        match read_format(&*disk) {
            Err(error) if error.kind() == ErrorKind::NotFound => create(&*disk)?,
            read => drop(read?),
        }
        Self::open(disk)
    }

    fn with_view(disk: Arc<dyn Disk>, id: StoreId, view: View) -> Self {
        let (view, cache) = (RwLock::new(Arc::new(view)), ByteCache::new(READ_CACHE_BYTES));
        let headers = Headers::default();
        Self { disk, id, view, cache, headers, is_frozen: false, checked: Mutex::default() }
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

    /// Whether a workspace has this snapshot as a step.
    pub fn is_step(&self, snapshot: SnapshotId) -> bool {
        let view = self.view();
        view.steps.get_or_init(|| view.state.snapshots().map(|(_, _, id)| id).collect()).contains(&snapshot)
    }

    /// Looks again at what other processes have written.
    pub fn refresh(&self) -> Result<()> {
        if self.view().is_current(&*self.disk) { Ok(()) } else { self.reload() }
    }

    /// Reads everything anew, the caches too.
    fn reload(&self) -> Result<()> {
        if self.is_frozen {
            return Ok(());
        }
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

    /// Drops indexes that do not match their checksum, and reads their packs instead; whether there were any. Once for each
    /// view: a history may name any number of snapshots that are not there.
    fn distrust_indexes(&self) -> Result<bool> {
        let view = self.view();
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_frozen || std::ptr::eq(checked.as_ptr(), Arc::as_ptr(&view)) {
            return Ok(false);
        }
        *checked = Arc::downgrade(&view);
        if view.packs.iter().all(|pack| pack.index.is_intact()) {
            return Ok(false);
        }
        let packs = view
            .packs
            .iter()
            .map(|pack| if pack.index.is_intact() { Ok(Arc::clone(pack)) } else { pack.reread().map(Arc::new) });
        let packs = packs.collect::<Result<_>>()?;
        self.set_view(View { packs, ..View::clone(&view) });
        *checked = Arc::downgrade(&self.view());
        Ok(true)
    }

    /// Whether something was looked for in this view already, and nobody has written since: what was missing then is
    /// missing still.
    fn was_searched(&self) -> bool {
        let view = self.view();
        let checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_as_seen = |pack: &Arc<pack::Pack>| pack.file.length().is_ok_and(|length| length == pack.index.end());
        std::ptr::eq(checked.as_ptr(), Arc::as_ptr(&view)) && view.packs.last().is_none_or(is_as_seen)
    }

    /// Nothing is written into a store that a newer version has written to.
    fn refuse_newer(&self) -> Result<()> {
        let view = self.view();
        match view.damaged.iter().find(|error| error.kind() == ErrorKind::Unsupported) {
            Some(newer) => Err(Error::new(ErrorKind::Unsupported, "write to", self.disk.display(""), newer)),
            None => Ok(()),
        }
    }
}

/// What to do where the store itself cannot be opened.
const REPAIR_HINT: &str = "`retro repair` puts it right from what the packs say; `--dry-run` shows what it would do";

/// The id in the file that says what the folder is. Where that file is gone and there are packs, this is no place for
/// another store.
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
