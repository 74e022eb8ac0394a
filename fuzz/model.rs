//! Drives a store and a workspace by bytes, and compares them with a plain model.
//!
//! After every operation everything observable is compared: the folder, every step with its contents, parents, tags,
//! pins, the states that undo and redo lead to, and that a full verify finds no damage. The store is on the simulated
//! disk, so that power losses and killed processes can be simulated, between operations and during one. The state found
//! afterwards must be the model before the operation or after it, or for a restore also the one in which it has begun.
//! The model then becomes the state found.
//!
//! ```text
//! expected   the model: the expected state
//! folder     the live folder
//! operations operations on the store, each with its effect on the model
//! crash      power losses, killed processes, lost caches
//! ```
//!
//! `tests/it/model.rs` runs it with random bytes, the fuzz target `model` with generated ones.

#[path = "model/crash.rs"]
mod crash;
#[path = "model/expected.rs"]
mod expected;
#[path = "model/folder.rs"]
mod folder;
#[path = "model/operations.rs"]
mod operations;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use retrograde::disk::Disk;
use retrograde::disk::memory::MemoryDisk;
use retrograde::format::facts::Restore;
use retrograde::id::SnapshotId;
use retrograde::ops::check::verify::{Level, VerifyOptions, verify};
use retrograde::progress::Silent;
use retrograde::store::{State, Store, Workspace};
use retrograde::time::Timestamp;
use retrograde::workspace::config::Config;

use expected::{Model, Past, Step};
use folder::{Tree, list, read};

/// The real store and folder, and the model.
struct World {
    disk: MemoryDisk,
    store: Store,
    folder: PathBuf,
    model: Model,
    /// The older state to which the store may still fall back, because the last operation was killed before it was
    /// acknowledged.
    doubt: Option<Model>,
    /// The model at the beginning of the last restore, with the folder before it.
    begun: Option<Model>,
    /// Temporary files of killed restores.
    strays: Vec<PathBuf>,
    clock: i64,
    config: Config,
}

/// The bytes that choose the operations.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn next(&mut self) -> Option<usize> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(usize::from(*first))
    }

    /// The next choice below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        self.next().unwrap_or(0) % bound
    }
}

/// Runs the operations that the bytes choose in a new store and a new folder below `scratch`, and returns their number.
pub(crate) fn run(bytes: &[u8], scratch: &Path) -> usize {
    let mut choices = Choices(bytes);
    let mut world = World::new(scratch);
    let mut count = 0;
    while let Some(choice) = choices.next() {
        world.act(choice, &mut choices);
        world.compare();
        count += 1;
    }
    world.reopen();
    world.compare_all();
    count
}

impl World {
    fn new(scratch: &Path) -> Self {
        let folder = scratch.join("ws");
        std::fs::create_dir(&folder).expect("the scratch folder is empty");
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).expect("it is ours");
        let folder = std::fs::canonicalize(folder).expect("it was just made");
        let disk = MemoryDisk::new(1);
        let store = Store::open_or_create(Arc::new(disk.clone())).expect("an empty disk takes a store");
        let (model, config) = (Model::default(), Config::default());
        let (doubt, begun, strays) = (None, None, Vec::new());
        let mut world = Self { disk, store, folder, model, doubt, begun, strays, clock: 0, config };
        world.register();
        world.disk.settle();
        world
    }

    fn act(&mut self, choice: usize, choices: &mut Choices<'_>) {
        match choice % 28 {
            0..=5 => self.write(choices),
            6 => self.remove(choices),
            7 => self.change_mode(choices),
            8..=11 => self.snap(),
            12..=13 => self.restore(choices),
            14 => self.undo(1),
            15 => self.redo(1),
            16 => self.tag(choices),
            17 => self.lose_power(choices),
            18 => self.lose_caches(choices),
            19 if choices.below(8) == 0 => self.forget(),
            19 if choices.below(4) == 0 => self.forget_and_recall(),
            19 => self.reopen(),
            20 => self.pin(choices),
            21 => self.delete_tag(choices),
            22 => self.resume(),
            23 => self.abort(),
            24 => self.go_far(choices),
            _ => self.crash(choices),
        }
        if self.model.workspace.is_none() {
            self.register();
        }
    }

    fn tick(&mut self) -> Timestamp {
        self.clock += 1;
        Timestamp(self.clock)
    }

    fn reopen(&mut self) {
        self.store = Store::open(Arc::new(self.disk.clone())).expect("the store is sound");
    }

    /// Checks that must hold after every operation.
    fn compare(&self) {
        let mut found = Tree::new();
        list(&self.folder, "", &mut found);
        assert_eq!(found, self.model.now, "the folder");
        assert_eq!(difference(&self.store.state(), &self.model), None);
        if let Some(step) = self.model.steps.last() {
            self.compare_step(step);
        }
    }

    fn compare_step(&self, step: &Step) {
        let snapshot = self.store.snapshot(step.id).expect("it was acknowledged");
        let parents: Vec<SnapshotId> = step.parent.iter().map(|parent| self.model.steps[*parent].id).collect();
        assert_eq!(snapshot.parents, parents);
        self.compare_tree(step.id, &step.tree);
    }

    fn compare_tree(&self, snapshot: SnapshotId, tree: &Tree) {
        let root = self.store.snapshot(snapshot).expect("it was acknowledged").root;
        let mut found = Tree::new();
        read(&self.store, root, "", &mut found);
        assert_eq!(found, *tree, "a step");
    }

    /// Checks all steps and pinned snapshots, and that nothing is damaged.
    fn compare_all(&self) {
        self.model.steps.iter().for_each(|step| self.compare_step(step));
        let kept = self.model.pins.iter().filter_map(|id| self.model.kept.get_key_value(id));
        kept.for_each(|(id, tree)| self.compare_tree(*id, tree));
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let options = VerifyOptions { level: Level::Full, progress: &Silent };
        let verified = verify(&disk, &options).expect("there is a store");
        assert!(verified.findings.is_empty(), "{:#?}", verified.findings);
    }
}

/// The first difference between a store's state and the model.
fn difference(state: &State, model: &Model) -> Option<String> {
    let unlike = |what: &str| Some(what.to_owned());
    if state.pins != model.pins {
        return unlike("the pins");
    }
    if !state.incomplete.is_empty() || !state.lost.is_empty() {
        return unlike("what is lost");
    }
    if state.workspaces.keys().copied().collect::<Vec<_>>() != Vec::from_iter(model.workspace) {
        return unlike("the workspaces");
    }
    state.workspaces.values().next().and_then(|workspace| difference_of_workspace(workspace, model))
}

fn difference_of_workspace(workspace: &Workspace, model: &Model) -> Option<String> {
    let steps: Vec<(u64, SnapshotId)> = (1..).zip(model.steps.iter().map(|step| step.id)).collect();
    let found: Vec<(u64, SnapshotId)> = workspace.steps.iter().map(|(number, id)| (*number, *id)).collect();
    if found != steps {
        return Some(format!("the steps are {found:?}, not {steps:?}"));
    }
    if workspace.head != model.head.map(|head| model.steps[head].id) {
        return Some("the head".to_owned());
    }
    let is_same = |found: &Restore, past: &Past| {
        let path = past.path.iter().map(|path| path.as_bytes().to_vec()).collect::<Vec<_>>();
        (found.before, found.target) == (Some(model.steps[past.before].id), model.steps[past.target].id)
            && found.paths == path
    };
    if workspace.tags != model.tags {
        return Some("the tags".to_owned());
    }
    let id = |step: &usize| model.steps[*step].id;
    let (past, undone) = (&model.past, &model.undone);
    let wanted: Vec<Option<SnapshotId>> =
        model.stands.iter().chain(past.iter().rev()).map(|step| Some(id(step))).collect();
    let found: Vec<Option<SnapshotId>> = workspace.timeline.backwards().collect();
    if found != wanted {
        return Some(format!("undo leads back over {found:?}, not {wanted:?}"));
    }
    let wanted: Vec<SnapshotId> = undone.iter().rev().map(|undone| id(&undone.left)).collect();
    let found: Vec<SnapshotId> = workspace.timeline.undone().collect();
    if found != wanted {
        return Some(format!("redo leads to {found:?}, not {wanted:?}"));
    }
    match (&workspace.unfinished, &model.unfinished) {
        (None, None) => None,
        (Some(found), Some(begun)) if found.cause == begun.cause && is_same(found, &begun.past) => None,
        (found, wanted) => Some(format!("unfinished is {found:?}, not {wanted:?}")),
    }
}
