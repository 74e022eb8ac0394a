//! Hot paths of the library, one by one: `cargo bench --bench hot`.
//!
//! These show where a step's time goes, and the effect of a change of the code; `compare` measures `retro` against
//! other tools. Nothing here syncs a disk, whose variation would hide the result: deltas are made up to the
//! transaction, without it.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use retrograde::chunker;
use retrograde::disk::local::LocalDisk;
use retrograde::format::facts::Fact;
use retrograde::format::pack::{Encoding, Link, Member, ObjectKind, decode_record, put_record};
use retrograde::format::tree::{self, Entry, EntryKind};
use retrograde::id::{Digest, SnapshotId, WorkspaceId};
use retrograde::ops::record::{register, snap};
use retrograde::progress::Silent;
use retrograde::store::{Final, NewObject, Store};
use retrograde::time;
use retrograde::workspace::beneath::Root;
use retrograde::workspace::cache::{CacheKey, StatCache};
use retrograde::workspace::config::Config;
use retrograde::workspace::rules::Rules;
use retrograde::workspace::scan::{ScanOptions, scan};

use rng::Rng;

#[path = "compare/rng.rs"]
mod rng;
#[path = "compare/tree.rs"]
mod synthetic;
#[path = "compare/text.rs"]
#[expect(dead_code, reason = "the other bench writes logs with it")]
mod text;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

criterion_group!(benches, contents, trees, records, deltas, lookups, steps);
criterion_main!(benches);

/// Hashing and cutting, by length.
fn contents(criterion: &mut Criterion) {
    let mut rng = Rng::new(1);
    let mut group = criterion.benchmark_group("hash");
    for length in [1 << 10, 30 << 10, 1 << 20] {
        let bytes = text::text(&mut rng, length);
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function(BenchmarkId::from_parameter(length), |bench| bench.iter(|| Digest::of(black_box(&bytes))));
    }
    group.finish();
    let mut bytes = vec![0; 16 << 20];
    rng.fill(&mut bytes);
    let sizes = chunker::sizes_for(bytes.len() as u64);
    let mut group = criterion.benchmark_group("chunk");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("16 MiB", |bench| bench.iter(|| chunker::cuts(black_box(&bytes), sizes, true)));
    group.finish();
}

/// Encoding and decoding folders; the large one is split.
fn trees(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tree");
    for count in [10, 500, 50_000] {
        let entries = entries(count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::new("encode", count), |bench| {
            bench.iter(|| tree::encode(black_box(&entries)))
        });
        let encoded = tree::encode(&entries);
        group.bench_function(BenchmarkId::new("decode", count), |bench| {
            bench.iter(|| {
                for (_, bytes) in &encoded.objects {
                    black_box(tree::decode(bytes)).expect("what was encoded is well-formed");
                }
            });
        });
    }
    group.finish();
}

/// Decoding the headers of a delta and of a full frame.
fn records(criterion: &mut Criterion) {
    let member = |number: u32| Member {
        kind: ObjectKind::Content,
        raw_length_bytes: 5_000 + number,
        prefix: Digest::of(&number.to_le_bytes()).prefix(),
    };
    let delta = Encoding::Delta(Link { base: [7; 16], generation: 3 });
    let records = [
        ("delta", delta, vec![member(0)], 120),
        ("frame of 50", Encoding::Zstd, (0..50).map(member).collect(), 60_000),
    ];
    let mut group = criterion.benchmark_group("decode record");
    for (name, encoding, members, payload) in records {
        let mut bytes = Vec::new();
        put_record(&mut bytes, &encoding, &members, &vec![0x55; payload]);
        group.bench_function(name, |bench| bench.iter(|| decode_record(black_box(&bytes))));
    }
    group.finish();
}

/// Making the delta of an edited file, and reading one at the end of a long chain.
fn deltas(criterion: &mut Criterion) {
    const VERSIONS: usize = 200;
    const LENGTH: usize = 30_000;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = open(folder.path());
    let mut rng = Rng::new(2);
    let mut bytes = text::text(&mut rng, LENGTH);
    let mut previous = None;
    for _ in 0..VERSIONS {
        let object = content(&bytes, previous);
        previous = Some(object.id);
        transact(&store, vec![object]);
        text::edit(&mut rng, &mut bytes);
    }
    let last = previous.expect("there was at least one version");
    let mut group = criterion.benchmark_group("delta");
    group.throughput(Throughput::Bytes(LENGTH as u64));
    group.bench_function("encode", |bench| {
        let edited = content(&bytes, Some(last));
        bench.iter_batched(
            || vec![edited.clone()],
            |objects| store.batch().add(objects).expect("the base can be read"),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("decode", |bench| {
        // A store that was just opened has an empty read cache.
        let read = |store: Store| store.object(ObjectKind::Content, &last).expect("it was stored");
        bench.iter_batched(|| open(folder.path()), read, BatchSize::SmallInput);
    });
    group.finish();
}

/// Opening a store of 20,000 objects and reading one.
fn lookups(criterion: &mut Criterion) {
    const OBJECTS: u64 = 20_000;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = open(folder.path());
    let objects: Vec<NewObject> = (0..OBJECTS).map(|number| content(&number.to_le_bytes(), None)).collect();
    let ids: Vec<Digest> = objects.iter().map(|object| object.id).collect();
    transact(&store, objects);
    let mut group = criterion.benchmark_group("store of 20,000 objects");
    group.bench_function("open", |bench| bench.iter(|| open(folder.path())));
    let mut next = ids.iter().cycle();
    group.bench_function("find", |bench| {
        bench.iter(|| store.contains(ObjectKind::Content, next.next().expect("a cycle has no end")));
    });
    let absent = Digest::of(b"never stored");
    group
        .bench_function("find nothing", |bench| bench.iter(|| store.contains(ObjectKind::Content, black_box(&absent))));
    group.finish();
}

/// A step without changes: the scan alone, and everything but the process.
fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("unchanged workspace");
    group.sample_size(20);
    for count in [3_000, 20_000] {
        let workspace = tempfile::tempdir().expect("a temporary folder can be made");
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        synthetic::build(workspace.path(), count, 3).expect("the workspace can be written");
        let store = open(folder.path());
        let id = register_and_snap(&store, workspace.path()).expect("the workspace can be recorded");
        group.throughput(Throughput::Elements(count as u64));
        let root = Root::open(workspace.path()).expect("the workspace is there");
        let cache = StatCache::load(store.disk(), CacheKey { store: store.id(), workspace: id, generation: 0 });
        assert!(!cache.is_empty(), "the snapshot before has written a stat cache");
        let config = Config::default();
        let rules = Rules::new(&config.capture.rule_options(Vec::new())).expect("the default patterns are well-formed");
        group.bench_function(BenchmarkId::new("scan", count), |bench| {
            bench.iter(|| {
                let clock = store.disk().file_clock().expect("the store's disk has a clock");
                let limits = config.capture.limits();
                let options = ScanOptions { limits, ..ScanOptions::new(&rules, clock, &Silent) };
                scan(&root, &cache, &options).expect("the workspace can be read")
            });
        });
        group.bench_function(BenchmarkId::new("snap", count), |bench| {
            bench.iter(|| snap_once(&store, id, &config).expect("the workspace can be recorded"));
        });
    }
    group.finish();
}

fn open(folder: &Path) -> Store {
    let disk = LocalDisk::create(folder).expect("the folder can be written");
    Store::open_or_create(Arc::new(disk)).expect("the store can be opened")
}

fn content(bytes: &[u8], previous: Option<Digest>) -> NewObject {
    NewObject { kind: ObjectKind::Content, id: Digest::of(bytes), bytes: bytes.to_vec(), previous }
}

fn transact(store: &Store, objects: Vec<NewObject>) {
    let mut batch = store.batch();
    batch.add(objects).expect("the objects can be encoded");
    let fact = Fact::Pinned { snapshot: SnapshotId(Digest::of(b"any")), pinned: true, time: time::Timestamp(0) };
    let facts = vec![fact];
    batch.record(|_| Ok(Final { objects: Vec::new(), facts })).expect("the batch can be written");
}

fn entries(count: usize) -> Vec<Entry> {
    let entry = |number: usize| Entry {
        name: format!("file_{number:06}.rs").into_bytes().into(),
        kind: EntryKind::File,
        mode: 0o644,
        size: number as u64,
        id: Digest::of(&number.to_le_bytes()),
    };
    (0..count).map(entry).collect()
}

fn register_and_snap(store: &Store, folder: &Path) -> Result<WorkspaceId> {
    let folder = register::resolve_folder(folder)?;
    let (id, _) = register::register(store, &folder, &register::Guard::default(), time::Timestamp::now())?;
    snap_once(store, id, &Config::default())?;
    Ok(id)
}

fn snap_once(store: &Store, workspace: WorkspaceId, config: &Config) -> Result<snap::SnapOutcome> {
    let options = snap::SnapOptions::new(config, time::Timestamp::now());
    Ok(snap::snap(store, workspace, &options)?)
}
