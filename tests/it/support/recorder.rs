//! A store and a workspace to record, through the library.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use retrograde::disk::local::LocalDisk;
use retrograde::error::Result;
use retrograde::id::{SnapshotId, WorkspaceId};
use retrograde::ops::back::{RestoreOptions, RestoreOutcome, redo, restore, undo};
use retrograde::ops::record::capture::CaptureOptions;
use retrograde::ops::record::register::{Guard, register, resolve_folder};
use retrograde::ops::record::snap::{SnapOptions, SnapOutcome, snap};
use retrograde::ops::record::status::{Status, status};
use retrograde::path::TreePath;
use retrograde::progress::Silent;
use retrograde::store::Store;
use retrograde::time::Timestamp;
use retrograde::workspace::config::Config;

use super::scratch::Scratch;

/// A workspace that is recorded in a store of its own.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) scratch: Scratch,
    pub(crate) root: PathBuf,
    pub(crate) store: Store,
    pub(crate) workspace: WorkspaceId,
    pub(crate) config: Config,
}

impl Recorder {
    /// An empty folder, registered in a new store beside it.
    pub(crate) fn new() -> Self {
        let scratch = Scratch::new();
        let root = scratch.join("workspace");
        std::fs::create_dir(&root).unwrap();
        Self::of(scratch, &root)
    }

    /// A folder in `scratch`, registered in the store `store` beside it.
    pub(crate) fn of(scratch: Scratch, root: &Path) -> Self {
        let store = open_store(&scratch.join("store"));
        let root = resolve_folder(root).unwrap();
        let (workspace, _) = register(&store, &root, &Guard::default(), Timestamp::now()).unwrap();
        Self { scratch, root, store, workspace, config: Config::default() }
    }

    /// Forgets what was read of the store.
    pub(crate) fn reopen(&mut self) {
        self.store = open_store(&self.store_root());
    }

    /// The folder of the store.
    pub(crate) fn store_root(&self) -> PathBuf {
        self.scratch.join("store")
    }

    pub(crate) fn try_snap(&self) -> Result<SnapOutcome> {
        snap(&self.store, self.workspace, &SnapOptions::new(&self.config, Timestamp::now()))
    }

    pub(crate) fn snap(&self) -> SnapOutcome {
        self.try_snap().unwrap()
    }

    pub(crate) fn restore_with(&self, target: SnapshotId, paths: &[&str], dry_run: bool) -> Result<RestoreOutcome> {
        let paths = paths.iter().map(|path| TreePath::new(path.as_bytes()).unwrap()).collect();
        let mut options = self.restore_options();
        (options.paths, options.dry_run) = (paths, dry_run);
        restore(&self.store, self.workspace, target, &options)
    }

    pub(crate) fn restore(&self, target: SnapshotId) -> RestoreOutcome {
        self.restore_with(target, &[], false).unwrap()
    }

    pub(crate) fn undo(&self) -> RestoreOutcome {
        undo(&self.store, self.workspace, NonZeroU64::MIN, &self.restore_options()).unwrap()
    }

    pub(crate) fn redo(&self) -> RestoreOutcome {
        redo(&self.store, self.workspace, NonZeroU64::MIN, &self.restore_options()).unwrap()
    }

    pub(crate) fn status(&self) -> Status {
        let options = CaptureOptions::new(&self.config, None, &Silent);
        status(&self.store, self.workspace, &options).unwrap()
    }

    fn restore_options(&self) -> RestoreOptions<'_> {
        RestoreOptions::new(&self.config, Timestamp::now())
    }

    /// Writes a file of the workspace, and the folders above it.
    #[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
    pub(crate) fn write(&self, path: &str, content: &[u8]) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.root.join(path)).unwrap()
    }
}

/// Opens or creates a store.
pub(crate) fn open_store(folder: &Path) -> Store {
    Store::open_or_create(Arc::new(LocalDisk::create(folder).unwrap())).unwrap()
}
