//! One process at work while another records a transaction: all of the second, between any two calls of the first.
//!
//! If the first holds a lock that the second would wait for, nothing is put in between; everywhere else readers must
//! see what was there before or what is there now, and a check must find a store without damage.

use std::fmt::{Debug, Formatter};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use retrograde::disk::memory::MemoryDisk;
use retrograde::disk::{Bytes, Disk, FileClock, FolderId, LockGuard, LockMode, Source, StoredFile};
use retrograde::error::Result;
use retrograde::ops::check::verify::{Level, VerifyOptions, verify};
use retrograde::ops::keep::tag::tag;
use retrograde::progress::Silent;
use retrograde::store::Store;
use retrograde::store::inspect::Note;
use retrograde::time::Timestamp;

use super::operations::{Bench, check_all, open, state};
use crate::support::depth::{AtLeast, turns};
use crate::support::rng::noise;

/// Two workspaces in one store.
struct Pair {
    one: Bench,
    other: Bench,
    /// With two snapshots of each.
    prepared: MemoryDisk,
}

type Act = fn(&Pair, &MemoryDisk);

/// The acts that the other process may do, each from start to end.
const ACTS: [(&str, Act); 5] = [
    ("a snapshot", |pair, disk| pair.snap_other(disk)),
    ("a snapshot in a pack of its own", |pair, disk| {
        pair.other.write(&[("vast", &noise(7, 4_500_000))]);
        pair.snap_other(disk);
    }),
    ("snapshots until indexes are written", |pair, disk| {
        for number in 0..3 {
            pair.other.write(&[("large", &noise(number, 30_000))]);
            pair.snap_other(disk);
        }
    }),
    ("a name", |pair, disk| {
        tag(&open(disk), pair.other.workspace, "good", pair.other.first, false, Timestamp(6)).expect("it is new")
    }),
    ("a store opened, and what is left of a dead writer tidied up", |_, disk| open(disk).settle().expect("it can")),
];

#[test]
fn readers_see_what_was_before_or_what_is_now() {
    try_crossing("reading", AtLeast::new(420, 1_700), |pair, crossed, what| {
        let before = state(&pair.prepared);
        let store = Store::open(Arc::new(crossed.clone())).unwrap_or_else(|error| panic!("{what}: {error}"));
        let seen = store.state();
        check_all(&store, what);
        store.refresh().unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(store.damage(), Vec::<String>::new(), "{what}");
        let after = state(&crossed.0.disk);
        let allowed = before.sequence..=after.sequence;
        assert!(allowed.contains(&seen.sequence) && allowed.contains(&store.state().sequence), "{what}");
        check_all(&store, what);
    });
}

#[test]
fn checks_find_no_damage_where_somebody_writes() {
    try_crossing("verify", AtLeast::new(310, 1_200), |_, crossed, what| {
        let options = VerifyOptions { level: Level::Full, progress: &Silent };
        let disk: Arc<dyn Disk> = Arc::new(crossed.clone());
        let outcome = verify(&disk, &options).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(outcome.findings, [], "{what}");
        assert!(outcome.notes.iter().all(|note| matches!(note, Note::TornTail(..))), "{what}: {:?}", outcome.notes);
    });
}

#[test]
fn writers_record_on_top_of_each_other() {
    try_crossing("snap", AtLeast::new(150, 630), |pair, crossed, what| {
        let store = Store::open(Arc::new(crossed.clone())).unwrap_or_else(|error| panic!("{what}: {error}"));
        pair.one.change_folder();
        let head = pair.one.snap(&store).unwrap_or_else(|error| panic!("{what}: {error}"));
        let fresh = open(&crossed.0.disk);
        assert_eq!(fresh.damage(), Vec::<String>::new(), "{what}");
        let state = fresh.state();
        assert_eq!(state.workspaces[&pair.one.workspace].head, Some(head), "{what}");
        assert_eq!(store.state().workspaces[&pair.one.workspace], state.workspaces[&pair.one.workspace], "{what}");
        check_all(&fresh, what);
    });
}

/// Lets every act happen before every call of `work`, in a store as writers leave it and in one that a writer died in.
fn try_crossing(name: &str, crossings_min: AtLeast, work: fn(&Pair, &Crossed, &str)) {
    let pair = Arc::new(Pair::new());
    let mut crossing_count = 0;
    for (turn, (act_name, act)) in ACTS.into_iter().enumerate() {
        for is_torn in [false, true] {
            // At quick depth every call is crossed by some of the acts, some of them in a torn store.
            for at_call in turns(turn + 2 * usize::from(is_torn), 4) {
                let disk = pair.prepared.killed_after(0);
                if is_torn {
                    tear(&disk);
                }
                pair.other.change_folder();
                let what = format!("{name}: {act_name} before call {at_call}, torn: {is_torn}");
                let crossed = Crossed::new(disk, at_call, Arc::clone(&pair), act);
                work(&pair, &crossed, &what);
                if !crossed.has_acted() {
                    break;
                }
                crossing_count += 1;
            }
        }
    }
    crossings_min.require(name, crossing_count);
}

/// Leaves the beginning of a transaction at the end of the last pack.
fn tear(disk: &MemoryDisk) {
    let last = disk.list("packs").expect("nothing fails").into_iter().rfind(|name| name.ends_with(".pack"));
    let name = format!("packs/{}", last.expect("there is a pack"));
    let length = disk.open(&name).and_then(|file| file.length()).expect("nothing fails");
    disk.write(&name, length, b"\xd7REC\x00\x20\x01\x01\x20 what a writer had to say when it was killed")
        .expect("it can");
}

impl Pair {
    fn new() -> Self {
        let one = Bench::new();
        let other = Bench::on(one.prepared.clone());
        let prepared = one.prepared.clone();
        Self { one, other, prepared }
    }

    fn snap_other(&self, disk: &MemoryDisk) {
        self.other.snap(&open(disk)).expect("nothing fails");
    }
}

/// A disk on which, before one call, somebody else acts.
#[derive(Clone)]
struct Crossed(Arc<Crossing>);

struct Crossing {
    disk: MemoryDisk,
    at_call: u64,
    call_count: AtomicU64,
    /// Taken when it is done.
    act: Mutex<Option<(Arc<Pair>, Act)>>,
}

/// An open file on it.
struct CrossedFile(Arc<dyn StoredFile>, Crossed);

impl Crossed {
    fn new(disk: MemoryDisk, at_call: u64, pair: Arc<Pair>, act: Act) -> Self {
        Self(Arc::new(Crossing { disk, at_call, call_count: AtomicU64::new(0), act: Mutex::new(Some((pair, act))) }))
    }

    fn has_acted(&self) -> bool {
        self.0.act.lock().expect("no act panics").is_none()
    }

    /// The disk, for one call: the act comes before it if it is its turn, or was and had to wait for a lock.
    fn disk(&self) -> &MemoryDisk {
        let Crossing { disk, at_call, call_count, act } = &*self.0;
        if call_count.fetch_add(1, Ordering::Relaxed) >= *at_call
            && let mut act = act.lock().expect("no act panics")
            && act.is_some()
            && let Some(free) = disk.lock("lock", LockMode::TryExclusive).expect("nothing fails")
            && let Some((pair, act)) = act.take()
        {
            drop(free);
            act(&pair, disk);
        }
        disk
    }
}

impl Debug for Crossed {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Crossed")
    }
}

impl Debug for CrossedFile {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("CrossedFile")
    }
}

impl StoredFile for CrossedFile {
    fn length(&self) -> Result<u64> {
        self.1.disk();
        self.0.length()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        self.1.disk();
        self.0.read_at(offset, buffer)
    }
}

impl Source for Crossed {
    fn open(&self, name: &str) -> Result<Arc<dyn StoredFile>> {
        Ok(Arc::new(CrossedFile(self.disk().open(name)?, self.clone())))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>> {
        self.disk().list(folder)
    }

    fn display(&self, name: &str) -> String {
        self.0.disk.display(name)
    }
}

impl Disk for Crossed {
    fn map(&self, name: &str) -> Result<Bytes> {
        self.disk().map(name)
    }

    fn create_folder(&self, folder: &str) -> Result<()> {
        self.disk().create_folder(folder)
    }

    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> Result<()> {
        self.disk().write(name, offset, bytes)
    }

    fn truncate(&self, name: &str, length_bytes: u64) -> Result<()> {
        self.disk().truncate(name, length_bytes)
    }

    fn sync(&self, name: &str) -> Result<()> {
        self.disk().sync(name)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.disk().rename(from, to)
    }

    fn sync_folder(&self, folder: &str) -> Result<()> {
        self.disk().sync_folder(folder)
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.disk().remove(name)
    }

    fn lock(&self, name: &str, mode: LockMode) -> Result<Option<LockGuard>> {
        self.disk().lock(name, mode)
    }

    fn file_clock(&self) -> Result<FileClock> {
        self.disk().file_clock()
    }

    fn random(&self) -> [u8; 16] {
        self.disk().random()
    }

    fn places(&self) -> Result<Vec<FolderId>> {
        self.0.disk.places()
    }
}
