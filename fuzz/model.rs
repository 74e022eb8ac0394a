//! A store and a workspace, driven by bytes, beside a plain model of what they must be.
//!
//! The model is a list of trees, and knows nothing of objects, deltas, caches or packs. After every operation everything
//! that can be observed is compared: the folder, every step and what it holds, parents, tags, what can be undone and
//! redone, and that nothing is found by a full verify. The store lives on the simulated disk, so that the power can go.
//!
//! `tests/it/model.rs` runs this with random bytes, the fuzz target `model` with bytes that it breeds.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use retrograde::disk::Disk;
use retrograde::disk::memory::MemoryDisk;
use retrograde::format::tree::Kind;
use retrograde::id::{BlobId, SnapshotId, TreeId, WorkspaceId};
use retrograde::ops::register::{Guard, forget_workspace, register};
use retrograde::ops::restore::{RestoreOptions, redo, restore, undo};
use retrograde::ops::snap::{SnapOptions, snap};
use retrograde::ops::tag::tag;
use retrograde::ops::verify::{Level, VerifyOptions, verify};
use retrograde::path::TreePath;
use retrograde::progress::Silent;
use retrograde::store::Store;
use retrograde::time::Timestamp;
use retrograde::workspace::config::Config;

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    File(Vec<u8>, u32),
    Folder(u32),
    Symlink(String),
}

/// All paths of a folder.
type Tree = BTreeMap<String, Node>;

/// What must be true.
#[derive(Clone, Debug, Default)]
struct Model {
    now: Tree,
    /// Snapshots in order, with what each holds and the number of the one before it.
    steps: Vec<Step>,
    head: Option<usize>,
    undo: Vec<Past>,
    redo: Vec<Past>,
    tags: BTreeMap<String, SnapshotId>,
}

#[derive(Clone, Debug)]
struct Step {
    id: SnapshotId,
    tree: Tree,
    parent: Option<usize>,
}

/// A restore.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Past {
    before: usize,
    target: usize,
    path: Option<String>,
}

/// The real thing, and the model beside it.
struct World {
    disk: MemoryDisk,
    store: Store,
    folder: PathBuf,
    workspace: WorkspaceId,
    model: Model,
    clock: i64,
    config: Config,
}

/// The bytes that decide what happens.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn next(&mut self) -> Option<usize> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(usize::from(*first))
    }

    /// Below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        self.next().unwrap_or(0) % bound
    }
}

const TOP: [&str; 4] = ["a", "b", "dir", "z"];
const BELOW: [&str; 3] = ["x", "y", "deep"];

/// Runs what the bytes say in a new store and a new folder below `scratch`, and returns the number of operations.
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
        let (workspace, _) = register(&store, &folder, &Guard::default(), Timestamp(1)).expect("it is a folder");
        disk.settle();
        Self { disk, store, folder, workspace, model: Model::default(), clock: 1, config: Config::default() }
    }

    fn act(&mut self, choice: usize, choices: &mut Choices<'_>) {
        match choice % 20 {
            0..=5 => self.write(choices),
            6 => self.remove(choices),
            7 => self.change_mode(choices),
            8..=11 => self.snap(),
            12..=13 => self.restore(choices),
            14 => self.go_back(true),
            15 => self.go_back(false),
            16 => self.tag(choices),
            17 => self.lose_power(choices),
            18 => self.lose_caches(choices),
            _ if choices.below(8) == 0 => self.forget(),
            _ => self.reopen(),
        }
    }

    fn path(choices: &mut Choices<'_>) -> String {
        let top = TOP[choices.below(TOP.len())];
        match choices.below(BELOW.len() + 2) {
            at if at < BELOW.len() => format!("{top}/{}", BELOW[at]),
            at if at == BELOW.len() => format!("{top}/deep/er"),
            _ => top.to_owned(),
        }
    }

    /// Puts something at a path, whatever was there.
    fn write(&mut self, choices: &mut Choices<'_>) {
        let path = Self::path(choices);
        let node = match choices.below(8) {
            0 => Node::Folder(0o755),
            1 => Node::Symlink(["x", "../z", "/nowhere"][choices.below(3)].to_owned()),
            2 => Node::File(content(choices.below(256), 5_000), 0o600),
            3 => Node::File(content(choices.below(3), 70_000), 0o644),
            _ => {
                // A version that is much like the one before, as an edit makes it.
                let mut text = match self.model.now.get(&path) {
                    Some(Node::File(content, _)) => content.clone(),
                    _ => content(7, 3_000),
                };
                let at = choices.below(256).min(text.len());
                text.splice(at..at, format!("edit {}", choices.below(256)).into_bytes());
                Node::File(text, 0o644)
            }
        };
        self.clear(&path);
        for (at, _) in path.match_indices('/') {
            let above = &path[..at];
            if !matches!(self.model.now.get(above), Some(Node::Folder(_))) {
                self.clear(above);
                self.put(above, Node::Folder(0o755));
            }
        }
        self.put(&path, node);
    }

    fn remove(&mut self, choices: &mut Choices<'_>) {
        let path = Self::path(choices);
        self.clear(&path);
    }

    fn change_mode(&mut self, choices: &mut Choices<'_>) {
        let path = Self::path(choices);
        let mode = [0o755, 0o700, 0o644, 0o600][choices.below(4)];
        match self.model.now.get_mut(&path) {
            Some(Node::File(_, old)) => *old = mode,
            Some(Node::Folder(old)) => *old = mode | 0o700,
            Some(Node::Symlink(_)) | None => return,
        }
        let mode = if matches!(self.model.now[&path], Node::Folder(_)) { mode | 0o700 } else { mode };
        std::fs::set_permissions(self.folder.join(path), PermissionsExt::from_mode(mode)).expect("it is ours");
    }

    /// Removes a path and all below it, in the folder and in the model.
    #[allow(clippy::disallowed_methods, reason = "the folder is the test's own")]
    fn clear(&mut self, path: &str) {
        match self.model.now.get(path) {
            None => return,
            Some(Node::Folder(_)) => std::fs::remove_dir_all(self.folder.join(path)).expect("it is ours"),
            Some(_) => std::fs::remove_file(self.folder.join(path)).expect("it is ours"),
        }
        self.model.now.retain(|other, _| !is_within(other, path));
    }

    #[allow(clippy::disallowed_methods, reason = "the folder is the test's own")]
    fn put(&mut self, path: &str, node: Node) {
        let place = self.folder.join(path);
        match &node {
            Node::File(content, _) => std::fs::write(&place, content).expect("it is ours"),
            Node::Folder(_) => std::fs::create_dir(&place).expect("it is ours"),
            Node::Symlink(target) => symlink(target, &place).expect("it is ours"),
        }
        if let Node::File(_, mode) | Node::Folder(mode) = node {
            std::fs::set_permissions(&place, PermissionsExt::from_mode(mode)).expect("it is ours");
        }
        self.model.now.insert(path.to_owned(), node);
    }

    fn tick(&mut self) -> Timestamp {
        self.clock += 1;
        Timestamp(self.clock)
    }

    fn differs(&self) -> bool {
        self.model.head.is_none_or(|head| self.model.steps[head].tree != self.model.now)
    }

    fn snap(&mut self) {
        let now = self.tick();
        let options = SnapOptions {
            message: String::new(),
            run: "main".to_owned(),
            event: None,
            tag: None,
            allow_empty: false,
            config: &self.config,
            store_root: None,
            git: None,
            now,
            progress: &Silent,
        };
        let outcome = snap(&self.store, self.workspace, &options).expect("nothing is in the way");
        assert_eq!(outcome.recorded, self.differs());
        if outcome.recorded {
            self.record(outcome.snapshot);
        } else {
            assert_eq!(Some(outcome.snapshot), self.model.head.map(|head| self.model.steps[head].id));
        }
    }

    /// Notes that the folder as it is has become a step.
    fn record(&mut self, id: SnapshotId) {
        let parent = self.model.head;
        self.model.steps.push(Step { id, tree: self.model.now.clone(), parent });
        self.model.head = Some(self.model.steps.len() - 1);
    }

    fn restore(&mut self, choices: &mut Choices<'_>) {
        if self.model.steps.is_empty() {
            return;
        }
        let target = choices.below(self.model.steps.len());
        let path = (choices.below(3) == 0).then(|| TOP[choices.below(TOP.len())].to_owned());
        let now = self.tick();
        let config = self.config.clone();
        let paths = path.iter().map(|path| TreePath::new(path.as_bytes()).expect("a name")).collect();
        let options = RestoreOptions { paths, ..options(&config, now) };
        let id = self.model.steps[target].id;
        restore(&self.store, self.workspace, id, &options).expect("nothing is in the way");
        let wanted = self.after(target, path.as_deref());
        if wanted == self.model.now && (path.is_some() || self.model.head == Some(target)) {
            return;
        }
        let before = self.before();
        self.model.redo.clear();
        self.model.undo.push(Past { before, target, path: path.clone() });
        self.arrive(target, path.is_none(), wanted);
    }

    /// Undoes or redoes one restore.
    fn go_back(&mut self, is_undo: bool) {
        let now = self.tick();
        let config = self.config.clone();
        let walk = if is_undo { undo } else { redo };
        let outcome = walk(&self.store, self.workspace, 1, &options(&config, now));
        let past = if is_undo { self.model.undo.pop() } else { self.model.redo.pop() };
        let Some(past) = past else {
            assert!(outcome.is_err(), "there is nothing to go back to");
            return;
        };
        drop(outcome.expect("nothing is in the way"));
        let target = if is_undo { past.before } else { past.target };
        let wanted = self.after(target, past.path.as_deref());
        let before = self.before();
        let is_whole = past.path.is_none();
        if is_undo {
            self.model.redo.push(past);
        } else {
            self.model.undo.push(Past { before, ..past });
        }
        self.arrive(target, is_whole, wanted);
    }

    /// The folder after a restore of all, or of one path.
    fn after(&self, target: usize, path: Option<&str>) -> Tree {
        let target = &self.model.steps[target].tree;
        let Some(path) = path else { return target.clone() };
        let others = self.model.now.iter().filter(|(other, _)| !is_within(other, path));
        others
            .chain(target.iter().filter(|(other, _)| is_within(other, path)))
            .map(|(p, n)| (p.clone(), n.clone()))
            .collect()
    }

    /// The state before a restore, which becomes a step if it is none yet.
    fn before(&mut self) -> usize {
        if self.differs() {
            let state = self.store.state();
            let found = &state.workspaces[&self.workspace];
            let step = self.model.steps.len() as u64 + 1;
            self.record(found.steps[&step]);
        }
        self.model.head.expect("it was recorded")
    }

    fn arrive(&mut self, target: usize, is_whole: bool, tree: Tree) {
        self.model.now = tree;
        if is_whole {
            self.model.head = Some(target);
        }
    }

    fn tag(&mut self, choices: &mut Choices<'_>) {
        if self.model.steps.is_empty() {
            return;
        }
        let step = &self.model.steps[choices.below(self.model.steps.len())];
        let name = format!("tag{}", choices.below(3));
        let now = Timestamp(self.clock);
        let given = tag(&self.store, &name, step.id, false, now);
        let is_same = self.model.tags.get(&name).is_none_or(|tagged| *tagged == step.id);
        assert_eq!(given.is_ok(), is_same, "a tag is not moved without being told to");
        self.model.tags.entry(name).or_insert(step.id);
    }

    fn forget(&mut self) {
        let now = self.tick();
        forget_workspace(&self.store, self.workspace, now).expect("it is recorded");
        let (workspace, is_new) = register(&self.store, &self.folder, &Guard::default(), now).expect("it is a folder");
        assert!(is_new);
        self.workspace = workspace;
        let Model { now, tags, .. } = std::mem::take(&mut self.model);
        self.model = Model { now, tags, ..Model::default() };
    }

    fn reopen(&mut self) {
        self.store = Store::open(Arc::new(self.disk.clone())).expect("the store is sound");
    }

    /// Whatever was not synced may be gone, in any way that a disk may lose it.
    fn lose_power(&mut self, choices: &mut Choices<'_>) {
        let seed = choices.below(256) as u64;
        let mut losses = self.disk.power_losses(self.disk.change_count(), seed, 6);
        let loss = losses.swap_remove(choices.below(losses.len()));
        self.disk = loss.disk;
        self.disk.settle();
        self.reopen();
        self.compare_all();
    }

    fn lose_caches(&mut self, choices: &mut Choices<'_>) {
        let which = choices.below(4);
        let workspace = format!("workspaces/{}/stat", self.workspace);
        let names = ["journal", "packs/000001.idx", &workspace];
        let chosen = names.iter().enumerate().filter(|(at, _)| which == 3 || which == *at);
        chosen.for_each(|(_, name)| self.disk.remove(name).expect("a cache may be removed"));
        self.disk.settle();
        self.reopen();
        self.compare_all();
    }

    /// What must hold after every operation.
    fn compare(&self) {
        let mut found = Tree::new();
        list(&self.folder, "", &mut found);
        assert_eq!(found, self.model.now, "the folder");
        let state = self.store.state();
        let workspace = &state.workspaces[&self.workspace];
        let ids = |steps: &[Step]| steps.iter().map(|step| step.id).collect::<Vec<_>>();
        assert_eq!(workspace.steps.values().copied().collect::<Vec<_>>(), ids(&self.model.steps), "the steps");
        let numbers: Vec<u64> = (1..=self.model.steps.len() as u64).collect();
        assert_eq!(workspace.steps.keys().copied().collect::<Vec<_>>(), numbers, "the numbers of steps");
        assert_eq!(workspace.head, self.model.head.map(|head| self.model.steps[head].id), "the head");
        assert_eq!(state.tags, self.model.tags, "the tags");
        for (found, wanted) in [(&workspace.undo, &self.model.undo), (&workspace.redo, &self.model.redo)] {
            let shown = |past: &Past| (Some(self.model.steps[past.before].id), self.model.steps[past.target].id);
            let found: Vec<_> = found.iter().map(|restore| (restore.before, restore.target)).collect();
            assert_eq!(found, wanted.iter().map(shown).collect::<Vec<_>>(), "what can be undone and redone");
        }
        assert!(workspace.unfinished.is_none());
        if let Some(step) = self.model.steps.last() {
            self.compare_step(step);
        }
    }

    fn compare_step(&self, step: &Step) {
        let snapshot = self.store.snapshot(step.id).expect("it was acknowledged");
        let parents: Vec<SnapshotId> = step.parent.iter().map(|parent| self.model.steps[*parent].id).collect();
        assert_eq!(snapshot.parents, parents);
        let mut found = Tree::new();
        read(&self.store, snapshot.root, "", &mut found);
        assert_eq!(found, step.tree, "a step");
    }

    /// All steps, and that nothing is damaged.
    fn compare_all(&self) {
        self.model.steps.iter().for_each(|step| self.compare_step(step));
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let options = VerifyOptions { level: Level::Full, progress: &Silent };
        let verified = verify(&disk, &options).expect("there is a store");
        assert!(verified.findings.is_empty(), "{:#?}", verified.findings);
    }
}

fn options(config: &Config, now: Timestamp) -> RestoreOptions<'_> {
    RestoreOptions { paths: Vec::new(), safety: true, dry_run: false, config, store_root: None, now, progress: &Silent }
}

/// Bytes that compress a little, different for each seed.
fn content(seed: usize, length: usize) -> Vec<u8> {
    let word = |number: usize| (seed * 31 + number * number % 97) % 26;
    (0..length).map(|number| b"abcdefghijklmnopqrstuvwxyz"[word(number / 3)]).collect()
}

fn is_within(path: &str, top: &str) -> bool {
    path == top || path.strip_prefix(top).is_some_and(|rest| rest.starts_with('/'))
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// What is in a folder, found without the library.
fn list(root: &Path, folder: &str, found: &mut Tree) {
    for entry in std::fs::read_dir(root.join(folder)).expect("it can be listed") {
        let entry = entry.expect("it can be listed");
        let path = join(folder, entry.file_name().to_str().expect("names are text"));
        let facts = std::fs::symlink_metadata(entry.path()).expect("it is there");
        let mode = facts.permissions().mode() & 0o7777;
        if facts.is_dir() {
            found.insert(path.clone(), Node::Folder(mode));
            list(root, &path, found);
        } else if facts.is_symlink() {
            let target = std::fs::read_link(entry.path()).expect("it is a symlink");
            found.insert(path, Node::Symlink(target.to_str().expect("targets are text").to_owned()));
        } else {
            found.insert(path, Node::File(std::fs::read(entry.path()).expect("it can be read"), mode));
        }
    }
}

/// What a tree of the store holds.
fn read(store: &Store, tree: TreeId, folder: &str, found: &mut Tree) {
    for entry in store.folder(tree).expect("it was acknowledged") {
        let path = join(folder, std::str::from_utf8(&entry.name).expect("names are text"));
        let content = || store.read_blob(BlobId(entry.id), 1 << 20).expect("it was acknowledged");
        let mode = u32::from(entry.mode);
        match entry.kind {
            Kind::Folder => {
                found.insert(path.clone(), Node::Folder(mode));
                read(store, TreeId(entry.id), &path, found);
            }
            Kind::File => drop(found.insert(path, Node::File(content(), mode))),
            Kind::Symlink => {
                drop(found.insert(path, Node::Symlink(String::from_utf8(content()).expect("targets are text"))))
            }
        }
    }
}
