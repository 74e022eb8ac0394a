//! Operations on a real folder, recorded in a simulated store that dies under them.
//!
//! An operation may be several transactions, so what is asked is weaker than in the scenarios on the store alone, and
//! nearer to what a user cares for: the state is one that the operation went through, every snapshot in it reads back
//! byte by byte, what was acknowledged is there, and the next snapshot holds the folder as it is, whatever the stat
//! cache believes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use retrograde::disk::Disk;
use retrograde::disk::memory::{Fault, FaultKind, MemoryDisk};
use retrograde::error::{ErrorKind, Result};
use retrograde::format::facts::{Fact, Restore, RestoreCause};
use retrograde::id::{Digest, SnapshotId, TreeId, WorkspaceId};
use retrograde::ops::back::{RestoreOptions, abort, redo, restore, resume, undo};
use retrograde::ops::check::verify::{Level, VerifyOptions, verify};
use retrograde::ops::keep::tag::{delete_tag, pin, tag};
use retrograde::ops::record::register::{
    Guard, forget_workspace, move_workspace, recall_workspace, register, resolve_folder,
};
use retrograde::ops::record::snap::{SnapOptions, snap};
use retrograde::progress::Silent;
use retrograde::store::{State, Store};
use retrograde::time::Timestamp;
use retrograde::workspace::config::Config;

use super::harness::FAULT_EVERY;
use super::moments::Moments;
use super::shape::shape;
use crate::support::depth::{AtLeast, pick, turns};
use crate::support::rng::noise;
use crate::support::scratch::Scratch;
use crate::support::walker::{What, walk};

/// A folder and a store on which an operation is tried.
pub(super) struct Bench {
    _scratch: Scratch,
    root: PathBuf,
    pub(super) workspace: WorkspaceId,
    pub(super) first: SnapshotId,
    /// With two snapshots, the second of them of the folder before it is changed; all durable.
    pub(super) prepared: MemoryDisk,
    config: Config,
    state_count: usize,
    moments: Moments,
}

/// An operation under way, which notes each act that has returned.
struct Run<'a> {
    bench: &'a Bench,
    store: Store,
    disk: MemoryDisk,
    acts: RefCell<Vec<Act>>,
}

/// Something that returned: how many changes to the disk and how many transactions there were by then.
#[derive(Clone, Copy)]
struct Act {
    changes: usize,
    sequence: u64,
}

/// The course of an operation without faults: the shape of the state after each change to the disk, and its acts.
struct Course {
    states: Vec<State>,
    acts: Vec<Act>,
}

type Operation = fn(&Run) -> Result<()>;

/// Files of a snapshot or folder, by path, with the hash of their content.
type Files = BTreeMap<Vec<u8>, [u8; 32]>;

#[test]
fn taking_a_snapshot() {
    try_operation("snap", AtLeast::new(160, 1_400), |run| run.act(|bench, store| bench.snap(store)));
}

#[test]
fn registering_a_workspace() {
    try_operation("register", AtLeast::new(70, 480), |run| {
        run.act(|bench, store| {
            register(store, bench.root.parent().expect("it is in a folder"), &Guard::default(), Timestamp(5))
        })
    });
}

#[test]
fn restoring_and_undoing() {
    try_operation("restore and undo", AtLeast::new(890, 9_200), |run| {
        run.act(|bench, store| restore(store, bench.workspace, bench.first, &bench.restore_options()))?;
        run.act(|bench, store| undo(store, bench.workspace, NonZeroU64::MIN, &bench.restore_options()))
    });
}

#[test]
fn doing_a_restore_again() {
    let bench = Bench::new();
    bench.change_folder();
    let store = open(&bench.prepared);
    restore(&store, bench.workspace, bench.first, &bench.restore_options()).expect("nothing fails");
    undo(&store, bench.workspace, NonZeroU64::MIN, &bench.restore_options()).expect("nothing fails");
    bench.prepared.settle();
    try_on(bench, "redo", AtLeast::new(440, 4_000), |run| {
        run.act(|bench, store| redo(store, bench.workspace, NonZeroU64::MIN, &bench.restore_options()))
    });
}

#[test]
fn finishing_a_restore_that_was_cut_off() {
    try_operation("restore --continue", AtLeast::new(520, 5_600), |run| {
        run.act(Bench::cut_off)?;
        run.act(|bench, store| resume(store, bench.workspace, &bench.restore_options()))
    });
}

#[test]
fn going_back_from_a_restore_that_was_cut_off() {
    try_operation("restore --abort", AtLeast::new(430, 4_500), |run| {
        run.act(Bench::cut_off)?;
        run.act(|bench, store| abort(store, bench.workspace, &bench.restore_options()))
    });
}

#[test]
fn naming_and_keeping_a_snapshot() {
    try_operation("tag, tag --force, pin, pin off", AtLeast::new(340, 3_400), |run| {
        run.act(|bench, store| tag(store, bench.workspace, "good", bench.first, false, Timestamp(6)))?;
        run.act(|bench, store| pin(store, bench.first, true, Timestamp(7)))?;
        run.act(|bench, store| {
            let head = store.state().workspaces[&bench.workspace].head.expect("there are snapshots");
            tag(store, bench.workspace, "good", head, true, Timestamp(8))
        })?;
        run.act(|bench, store| pin(store, bench.first, false, Timestamp(9)))
    });
}

#[test]
fn moving_and_forgetting_a_workspace() {
    let bench = Bench::new();
    let other = Bench::on(bench.prepared.clone());
    tag(&open(&bench.prepared), bench.workspace, "bad", other.first, false, Timestamp(5)).expect("nothing fails");
    bench.prepared.settle();
    try_on(bench, "workspace move, workspace forget and back, tag -d", AtLeast::new(240, 2_300), |run| {
        let state = run.store.state();
        let other = state.workspaces.keys().copied().find(|id| *id != run.bench.workspace).expect("there are two");
        run.act(|bench, store| {
            let elsewhere = bench.root.with_file_name("elsewhere");
            std::fs::create_dir_all(&elsewhere).expect("nothing is in the way");
            move_workspace(store, other, &elsewhere, &Guard::default(), Timestamp(6))
        })?;
        run.act(|_, store| forget_workspace(store, other, Timestamp(7)))?;
        run.act(|_, store| recall_workspace(store, other, Timestamp(7)))?;
        run.act(|bench, store| delete_tag(store, bench.workspace, "bad", Timestamp(8)))
    });
}

fn try_operation(name: &str, states_min: AtLeast, operation: Operation) {
    try_on(Bench::new(), name, states_min, operation);
}

fn try_on(mut bench: Bench, name: &str, states_min: AtLeast, operation: Operation) {
    let course = bench.crash(name, operation);
    bench.fail_calls(name, operation, &course);
    states_min.require(&format!("{name}: {}", bench.moments), bench.state_count);
}

impl<'a> Run<'a> {
    fn new(bench: &'a Bench, disk: &MemoryDisk) -> Self {
        Self { bench, store: open(disk), disk: disk.clone(), acts: RefCell::default() }
    }

    /// Does one act, which has been acknowledged once this returns `Ok`.
    fn act<T>(&self, act: impl FnOnce(&Bench, &Store) -> Result<T>) -> Result<()> {
        act(self.bench, &self.store)?;
        let act = Act { changes: self.disk.change_count(), sequence: self.store.state().sequence };
        self.acts.borrow_mut().push(act);
        Ok(())
    }
}

impl Course {
    /// The number of transactions that there must be once so many acts have returned.
    fn owed_after(&self, act_count: usize) -> u64 {
        act_count.checked_sub(1).map_or(self.states[0].sequence, |last| self.acts[last].sequence)
    }

    /// The moments at which an operation may be of which so many acts returned and no more: at the end of the last one,
    /// or somewhere in the next.
    fn within(&self, act_count: usize) -> Vec<State> {
        let owed = self.owed_after(act_count);
        let most = self.acts.get(act_count).map_or(owed, |next| next.sequence);
        let mut within = self.states.clone();
        within.retain(|state| (owed..=most).contains(&state.sequence));
        within.dedup();
        within
    }
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::on(MemoryDisk::new(1))
    }

    /// The same in a store that may be there already.
    pub(super) fn on(prepared: MemoryDisk) -> Self {
        let scratch = Scratch::new();
        let root = scratch.join("workspace");
        std::fs::create_dir(&root).expect("the folder is new");
        let root = resolve_folder(&root).expect("it was created");
        let store = open(&prepared);
        let (workspace, _) = register(&store, &root, &Guard::default(), Timestamp(1)).expect("nothing fails");
        let first = SnapshotId(Digest::default());
        let mut bench = Self {
            _scratch: scratch,
            root,
            workspace,
            first,
            prepared,
            config: Config::default(),
            state_count: 0,
            moments: Moments::default(),
        };
        bench.write(&[("edited", b"version 1"), ("deep/er/kept", b"kept"), ("deep/gone", b"gone")]);
        bench.first = bench.snap(&store).expect("nothing fails");
        bench.write(&[("edited", b"version 2"), ("long", &noise(1, 1_200_000))]);
        bench.snap(&store).expect("nothing fails");
        bench.prepared.settle();
        bench
    }

    /// Interrupts an operation after every change that it makes to the store.
    fn crash(&mut self, name: &str, operation: Operation) -> Course {
        self.change_folder();
        let finished = self.prepared.killed_after(0);
        let run = Run::new(self, &finished);
        operation(&run).expect("nothing fails in the first run");
        let acts = run.acts.into_inner();
        let last = finished.change_count();
        let states = (0..=last).map(|changes| shape(&open(&finished.killed_after(changes)))).collect();
        let course = Course { states, acts };
        for changes in 0..=last {
            let owed = course.owed_after(course.acts.partition_point(|act| act.changes <= changes));
            for loss in self.moments.power_losses(&finished, changes, pick(10, 40)) {
                let what = format!("{name}: power loss before {}: {}", finished.describe_change(changes), loss.lost);
                self.go_on(&loss.disk, &course.states, owed, &what);
            }
            for disk in [Some(finished.killed_after(changes)), finished.killed_during(changes)].into_iter().flatten() {
                let what = format!("{name}: kill before {}", finished.describe_change(changes));
                self.go_on(&disk, &course.states, owed, &what);
            }
        }
        course
    }

    /// Lets every call on the store fail.
    fn fail_calls(&mut self, name: &str, operation: Operation, course: &Course) {
        let faults = [
            (FaultKind::Io, false),
            (FaultKind::NoSpace, true),
            (FaultKind::OverQuota, true),
            (FaultKind::Interrupted, false),
            (FaultKind::ShortWrite, false),
        ];
        for (turn, (kind, is_lasting)) in faults.into_iter().enumerate() {
            for at_call in turns(turn, FAULT_EVERY) {
                let disk = self.prepared.killed_after(0);
                self.put_folder_back();
                let run = Run::new(self, &disk);
                let fault = Fault { at_call, kind, is_lasting };
                let first_call = disk.call_count();
                disk.set_fault(Some(fault));
                let done = operation(&run);
                let act_count = run.acts.into_inner().len();
                if disk.call_count() - first_call <= at_call {
                    break;
                }
                let struck = disk.strike_count() > 0;
                disk.set_fault(None);
                let what = format!("{name}: {fault:?}");
                if let Err(error) = &done {
                    let text = error.to_string();
                    assert!(error.kind() == ErrorKind::Io && text.contains("/memory"), "{what}: {error:?}");
                }
                assert_eq!(done.is_ok(), act_count == course.acts.len(), "{what}");
                if struck {
                    self.go_on_after_failure(&disk, course, act_count, &what);
                }
            }
        }
    }

    /// After a failing call: what was acknowledged is there, and of the act that failed what it had come to; whether
    /// the power goes right then or not.
    fn go_on_after_failure(&mut self, disk: &MemoryDisk, course: &Course, act_count: usize, what: &str) {
        let (within, owed) = (course.within(act_count), course.owed_after(act_count));
        for loss in disk.power_losses(disk.change_count(), self.state_count as u64, pick(1, 4)) {
            expect_one_of(&loss.disk, &within, owed, &format!("{what}, then power loss: {}", loss.lost));
            self.state_count += 1;
        }
        self.go_on(disk, &within, owed, what);
    }

    /// After a crash: the state is one of `states` and has `owed` transactions at least, everything in it reads back,
    /// and the next snapshot is whole even after one more power loss.
    fn go_on(&mut self, disk: &MemoryDisk, states: &[State], owed: u64, what: &str) {
        let store = expect_one_of(disk, states, owed, what);
        self.verify(disk, what);
        let head = self.snap(&store).unwrap_or_else(|error| panic!("{what}: the next snapshot: {error}"));
        assert!(
            files_of(&store, head, what) == folder_files(&self.root),
            "{what}: the next snapshot is not the folder"
        );
        let seed = self.state_count as u64;
        for loss in disk.power_losses(disk.change_count(), seed, pick(1, 4)) {
            let what = format!("{what}, then a snapshot, then power loss: {}", loss.lost);
            let store = open(&loss.disk);
            assert_eq!(store.state().workspaces[&self.workspace].head, Some(head), "{what}");
            check_all(&store, &what);
            let again = self.snap(&store).unwrap_or_else(|error| panic!("{what}: the snapshot after it: {error}"));
            assert!(files_of(&store, again, &what) == folder_files(&self.root), "{what}");
            self.state_count += 1;
        }
        self.state_count += 1;
    }

    /// A check finds no damage: in the structure of every state, and in every object of one state in sixteen.
    fn verify(&self, disk: &MemoryDisk, what: &str) {
        let level = if self.state_count.is_multiple_of(16) { Level::Full } else { Level::Quick };
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let outcome = verify(&disk, &VerifyOptions { level, progress: &Silent });
        let findings = outcome.unwrap_or_else(|error| panic!("{what}: verify: {error}")).findings;
        assert_eq!(findings, [], "{what}");
    }

    /// Takes a snapshot, if anything changed; returns the head.
    pub(super) fn snap(&self, store: &Store) -> Result<SnapshotId> {
        let options = SnapOptions::new(&self.config, Timestamp(2));
        snap(store, self.workspace, &options).map(|outcome| outcome.snapshot)
    }

    /// Leaves a restore of the first snapshot that was killed before it changed anything.
    fn cut_off(&self, store: &Store) -> Result<()> {
        let begun = Restore {
            workspace: self.workspace,
            before: store.state().workspaces[&self.workspace].head,
            target: self.first,
            paths: Vec::new(),
            cause: RestoreCause::Restore,
            time: Timestamp(3),
        };
        store.record(|_| Ok(vec![Fact::RestoreBegun(begun.clone())])).map(drop)
    }

    fn restore_options(&self) -> RestoreOptions<'_> {
        RestoreOptions::new(&self.config, Timestamp(4))
    }

    /// The agent's changes before the operation; files that only `crossing` adds go again.
    #[expect(clippy::disallowed_methods, reason = "tests change files of their own")]
    pub(super) fn change_folder(&self) {
        self.write(&[("edited", b"version 3"), ("new/file", b"new")]);
        for gone in ["deep/gone", "vast", "large"] {
            match std::fs::remove_file(self.root.join(gone)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("remove a file: {error}"),
                _ => {}
            }
        }
    }

    /// The folder as it was when the operation was tried first, so that this time it goes through the same states.
    fn put_folder_back(&self) {
        if !self.root.join("long").exists() {
            self.write(&[("long", &noise(1, 1_200_000))]);
        }
        self.change_folder();
    }

    #[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
    pub(super) fn write(&self, files: &[(&str, &[u8])]) {
        for (path, content) in files {
            let path = self.root.join(path);
            std::fs::create_dir_all(path.parent().expect("it is below the root")).expect("the folder can be made");
            std::fs::write(path, content).expect("the file can be written");
        }
    }
}

pub(super) fn open(disk: &MemoryDisk) -> Store {
    Store::open_or_create(Arc::new(disk.clone())).unwrap_or_else(|error| panic!("{error}"))
}

pub(super) fn state(disk: &MemoryDisk) -> State {
    (*open(disk).state()).clone()
}

/// Opens a store that must be whole, at one of these states, and have that many transactions at least.
fn expect_one_of(disk: &MemoryDisk, states: &[State], owed: u64, what: &str) -> Store {
    let store = open(disk);
    assert_eq!(store.damage(), Vec::<String>::new(), "{what}");
    let found = shape(&store);
    let places: Vec<u64> = states.iter().map(|state| state.sequence).collect();
    let is_known = states.contains(&found) && found.sequence >= owed;
    assert!(is_known, "{what}: at {}, not one of {places:?} from {owed} on: {found:#?}", found.sequence);
    check_all(&store, what);
    store
}

/// Reads back every snapshot that has a name.
pub(super) fn check_all(store: &Store, what: &str) {
    let state = store.state();
    let mut names: BTreeSet<SnapshotId> = state.snapshots().map(|(_, _, id)| id).collect();
    names.extend(state.tags().map(|(_, _, id)| id).chain(state.pins.iter().copied()));
    names.extend(state.workspaces.values().filter_map(|workspace| workspace.head));
    for id in names {
        files_of(store, id, what);
    }
}

/// The files of a snapshot, every byte of them read.
fn files_of(store: &Store, id: SnapshotId, what: &str) -> Files {
    let read = || -> Result<Files> {
        let mut files = Files::new();
        let mut left: Vec<(Vec<u8>, TreeId)> = vec![(Vec::new(), store.snapshot(id)?.root)];
        while let Some((folder, tree)) = left.pop() {
            for entry in store.folder(tree)? {
                let path =
                    if folder.is_empty() { entry.name.to_vec() } else { [&folder, &b"/"[..], &entry.name].concat() };
                if let Some(tree) = entry.tree() {
                    left.push((path, tree));
                } else if let Some(blob) = entry.blob() {
                    let mut hasher = blake3::Hasher::new();
                    store.copy_blob(blob, &mut |piece| {
                        hasher.update(piece);
                        Ok(())
                    })?;
                    files.insert(path, *hasher.finalize().as_bytes());
                }
            }
        }
        Ok(files)
    };
    read().unwrap_or_else(|error| panic!("{what}: {error}"))
}

fn folder_files(root: &Path) -> Files {
    let nodes = walk(root).into_iter();
    nodes
        .filter_map(|(path, node)| if let What::File(_, hash) = node.what { Some((path, hash?)) } else { None })
        .collect()
}
