//! Tests of the stat cache: no damage to its file leads a capture to a wrong tree.

#![expect(clippy::disallowed_methods, reason = "tests damage their own cache files")]

use std::collections::BTreeMap;

use super::{
    CacheEntry, CacheKey, CacheUpdate, EntriesUpdate, FolderFacts, FolderUpdate, Proof, StatCache, Stored, store,
};
use crate::disk::{Disk, LockMode, Source};
use crate::format::attributes::Owner;
use crate::format::tree::EntryKind;
use crate::id::{Digest, StoreId, TreeId, WorkspaceId};
use crate::path::TreePath;
use crate::workspace::stat::FileStat;
use crate::workspace::testing::depth::{AtLeast, sample};
use crate::workspace::testing::{Bench, Numbers, tree_path};

const OWNER: Owner = Owner { uid: 1_000, gid: 1_000 };

/// A workspace with a cache that has a base and some groups, all of it settled.
fn bench() -> Bench {
    let bench = Bench::new();
    for path in ["a/one", "a/two", "a/deep/er/three", "b/four", "five"] {
        bench.write(path, path.as_bytes());
    }
    std::os::unix::fs::symlink("five", bench.path.join("link")).unwrap();
    std::fs::create_dir(bench.path.join("empty")).unwrap();
    bench.settle();
    assert_eq!(bench.capture().1, Stored::Rewritten);
    for (path, content) in [("a/deep/er/three", "3"), ("b/new", "x"), ("a/deep/er/three", "33"), ("c/d", "d")] {
        bench.write(path, content.as_bytes());
        bench.settle();
        assert_eq!(bench.capture().1, Stored::Appended);
    }
    bench.remove("b/four");
    bench.settle();
    assert_eq!(bench.capture().1, Stored::Appended);
    bench
}

#[test]
fn an_unchanged_workspace_is_not_read_and_not_written() {
    let bench = bench();
    let (captured, stored) = bench.capture();
    assert_eq!(stored, Stored::Unchanged);
    assert!(captured.read.is_empty() && captured.scan.folders.is_empty(), "{:?}", captured.scan);
    assert_eq!(captured.root, bench.truth());
    assert_eq!(bench.load().root(), Some(captured.root));
}

#[test]
fn folders_are_given_as_they_are_now() {
    let bench = bench();
    let cache = bench.load();
    let (mut paths, mut waiting) = (Vec::new(), vec![TreePath::root()]);
    while let Some(path) = waiting.pop() {
        let folder = cache.folder(&path).unwrap();
        let first = waiting.len();
        waiting.extend(
            folder.entries().filter(|entry| entry.kind == EntryKind::Folder).map(|child| path.join(child.name)),
        );
        waiting[first..].reverse();
        paths.push(path.to_string());
    }
    assert_eq!(paths, [".", "a", "a/deep", "a/deep/er", "b", "c", "empty"]);
    let b = cache.folder(&tree_path("b")).unwrap();
    let names: Vec<_> = b.entries().map(|entry| entry.name).collect();
    assert_eq!(names, [b"new"]);
    assert!(b.find(b"four").is_none() && b.find(b"new").is_some_and(|entry| entry.size == 1));
    assert!(cache.folder(&tree_path("none")).is_none());
}

#[test]
fn a_cache_cut_at_any_length_is_believed_as_far_as_it_goes() {
    let bench = bench();
    let whole = std::fs::read(bench.cache_path()).unwrap();
    let truth = bench.truth();
    let mut roots = std::collections::BTreeSet::new();
    for length in sample(0..whole.len(), 3) {
        bench.replace_cache(&whole[..length]);
        let cache = bench.load();
        roots.extend(cache.root());
        assert_eq!(bench.compute(&cache).root, truth, "cut at {length}");
    }
    assert_eq!(roots.len(), 5, "after the base, and after each group but the last");
}

#[test]
fn a_flipped_bit_anywhere_costs_a_reading_and_nothing_else() {
    let bench = bench();
    let whole = std::fs::read(bench.cache_path()).unwrap();
    let truth = bench.truth();
    let mut mended = 0;
    for at in sample(0..whole.len(), 3) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        bench.replace_cache(&bytes);
        let captured = bench.compute(&bench.load());
        assert_eq!(captured.root, truth, "flipped in byte {at}");
        // Storing onto a damaged file must replace it, not append to it.
        if at % 16 < 3 {
            bench.capture();
            assert_eq!(bench.load().root(), Some(truth), "stored after a flip in byte {at}");
            assert_eq!(bench.compute(&bench.load()).root, truth, "after a flip in byte {at}");
            mended += 1;
        }
    }
    AtLeast::new(50, 150).require("caches that were mended", mended);
}

#[test]
fn caches_of_another_store_workspace_or_generation_are_not_used() {
    let bench = bench();
    let key = bench.key;
    assert!(!StatCache::load(&bench.disk, key).is_empty());
    let file = std::fs::read(bench.cache_path()).unwrap();
    for other in [
        CacheKey { store: StoreId([9; 16]), ..key },
        CacheKey { workspace: WorkspaceId([9; 16]), ..key },
        CacheKey { generation: key.generation + 1, ..key },
        CacheKey { generation: key.generation - 1, ..key },
    ] {
        let folder = bench.disk.root().join(format!("workspaces/{}", other.workspace));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("stat"), &file).unwrap();
        assert!(StatCache::load(&bench.disk, other).is_empty(), "{other:?}");
    }
}

#[test]
fn a_stale_copy_is_harmless() {
    let bench = bench();
    let stale = std::fs::read(bench.cache_path()).unwrap();
    bench.write("a/one", b"ONE__");
    bench.remove("a/two");
    std::fs::rename(bench.path.join("b"), bench.path.join("a/b")).unwrap();
    bench.settle();
    bench.capture();
    bench.replace_cache(&stale);
    let captured = bench.capture().0;
    assert_eq!(captured.root, bench.truth());
    assert!(captured.read.contains("a/one") && !captured.read.contains("five"));
}

#[test]
fn a_group_does_not_follow_one_it_was_not_written_after() {
    let bench = bench();
    let before = std::fs::read(bench.cache_path()).unwrap();
    let step = |contents: [&str; 2]| {
        bench.replace_cache(&before);
        let mut ends = Vec::new();
        for (path, content) in [("a/one", "0"), ("five", "0"), ("a/one", contents[0]), ("five", contents[1])] {
            bench.write(path, content.as_bytes());
            bench.settle();
            assert_eq!(bench.capture().1, Stored::Appended);
            ends.push(std::fs::read(bench.cache_path()).unwrap().len());
        }
        (std::fs::read(bench.cache_path()).unwrap(), ends)
    };
    step(["", ""]);
    let (first, first_ends) = step(["1", "1"]);
    let (second, second_ends) = step(["2", "2"]);
    assert_eq!(first_ends, second_ends, "the groups must be equally long for this test to mean anything");
    let end = first_ends[2];
    bench.replace_cache(&first[..end]);
    let expected = bench.load().root();
    bench.replace_cache(&[&first[..end], &second[end..]].concat());
    assert_eq!(bench.load().root(), expected);
    assert_eq!(bench.compute(&bench.load()).root, bench.truth());
}

#[test]
fn the_second_of_two_writers_leaves_the_file_alone() {
    let bench = bench();
    let cache = bench.load();
    bench.write("five", b"5");
    bench.settle();
    let captured = bench.compute(&cache);
    assert_eq!(store(&bench.disk, &cache, &captured.update).unwrap(), Stored::Appended);
    assert_eq!(store(&bench.disk, &cache, &captured.update).unwrap(), Stored::Skipped);
    assert_eq!(bench.load().root(), Some(bench.truth()));

    let (cache, lock) = (bench.load(), format!("workspaces/{}/stat-lock", bench.key.workspace));
    let held = bench.disk.lock(&lock, LockMode::Exclusive).unwrap();
    assert_eq!(store(&bench.disk, &cache, &captured.update).unwrap(), Stored::Skipped);
    drop(held);
}

#[test]
fn a_cache_that_was_replaced_is_not_appended_to() {
    let bench = bench();
    let cache = bench.load();
    let file = std::fs::read(bench.cache_path()).unwrap();
    bench.replace_cache(b"");
    bench.capture();
    let mut other = std::fs::read(bench.cache_path()).unwrap();
    other.resize(file.len(), 0);
    bench.replace_cache(&other);
    bench.write("five", b"5");
    let captured = bench.compute(&cache);
    assert_eq!(store(&bench.disk, &cache, &captured.update).unwrap(), Stored::Skipped);
}

#[test]
fn groups_are_folded_in_before_they_outgrow_the_rest() {
    let bench = bench();
    let limit = crate::limits::CACHE_OVERLAY_MIN_BYTES + 16_384;
    let mut rewritten = 0;
    for round in 0..150 {
        bench.write("a/deep/er/three", round.to_string().as_bytes());
        let (captured, stored) = bench.capture();
        rewritten += usize::from(stored == Stored::Rewritten);
        assert_eq!(bench.load().root(), Some(captured.root));
        assert!(std::fs::metadata(bench.cache_path()).unwrap().len() < limit);
    }
    assert!((1..=10).contains(&rewritten), "{rewritten}");
    assert_eq!(bench.load().root(), Some(bench.truth()));
    assert_eq!(bench.disk.list("tmp").unwrap(), Vec::<String>::new());
}

#[test]
fn one_file_of_50_000_costs_a_few_hundred_bytes() {
    let bench = Bench::new();
    let mut entries: Vec<CacheEntry> = (0..50_000_u64).map(entry).collect();
    let update = |entries: &[CacheEntry], tree: u8| CacheUpdate {
        folders: BTreeMap::from([(TreePath::root(), folder(tree, EntriesUpdate::Whole(entries.to_vec())))]),
        file_count: 50_000,
        root_owner: OWNER,
        settled: BTreeMap::new(),
    };
    let length = || std::fs::metadata(bench.cache_path()).unwrap().len();
    assert_eq!(store(&bench.disk, &bench.load(), &update(&entries, 1)).unwrap(), Stored::Rewritten);
    let before = length();
    entries[30_000].id = Digest::of(b"other");
    entries.remove(10);
    entries.insert(40_000, CacheEntry { name: (*b"file-040000a").into(), ..entry(40_000) });
    assert_eq!(store(&bench.disk, &bench.load(), &update(&entries, 2)).unwrap(), Stored::Appended);
    assert!(length() - before < 400, "{}", length() - before);

    let cache = bench.load();
    let root = cache.folder(&TreePath::root()).unwrap();
    assert!(root.entries().map(|entry| entry.name).eq(entries.iter().map(|entry| &*entry.name)));
    assert!(root.entries().map(|entry| entry.id).eq(entries.iter().map(|entry| entry.id)));
    assert_eq!(root.facts(), folder(2, EntriesUpdate::Whole(Vec::new())).facts);
}

#[test]
fn content_of_another_length_than_its_stat_proves_nothing() {
    let bench = Bench::new();
    let torn = CacheEntry { size: 7, ..entry(1) };
    let whole = EntriesUpdate::Whole(vec![torn, entry(2)]);
    let folders = BTreeMap::from([(TreePath::root(), folder(1, whole))]);
    let update = CacheUpdate { folders, file_count: 2, root_owner: OWNER, settled: BTreeMap::new() };
    store(&bench.disk, &bench.load(), &update).unwrap();
    let cache = bench.load();
    let proofs: Vec<Proof> = cache.folder(&TreePath::root()).unwrap().entries().map(|entry| entry.proof).collect();
    assert_eq!(proofs, [Proof::Racy, Proof::Settled]);
}

#[test]
#[should_panic(expected = "the list of a folder has the tree of each child folder")]
fn lists_that_disagree_are_never_written() {
    let bench = bench();
    let update = CacheUpdate {
        folders: BTreeMap::from([(tree_path("a"), folder(9, EntriesUpdate::Whole(Vec::new())))]),
        file_count: 0,
        root_owner: OWNER,
        settled: BTreeMap::new(),
    };
    drop(store(&bench.disk, &bench.load(), &update));
}

/// Every capture is right after random edits, random damage to the cache, and stale copies of it.
#[test]
fn random_edits_and_damage_never_lead_to_a_wrong_tree() {
    let bench = Bench::new();
    let mut numbers = Numbers(7);
    let mut kept: Vec<u8> = Vec::new();
    for round in 0..400 {
        for _ in 0..numbers.below(4) {
            edit(&bench, &mut numbers);
        }
        let file = std::fs::read(bench.cache_path()).unwrap_or_default();
        match numbers.below(12) {
            0 => bench.replace_cache(&file[..numbers.below(file.len() + 1)]),
            1 if !file.is_empty() => {
                let mut bytes = file;
                let at = numbers.below(bytes.len());
                bytes[at] ^= 0x10;
                bench.replace_cache(&bytes);
            }
            2 => kept = file,
            3 => bench.replace_cache(&kept),
            _ => {}
        }
        if numbers.below(3) == 0 {
            bench.settle();
        }
        let (captured, _) = bench.capture();
        assert_eq!(captured.root, bench.truth(), "round {round}");
    }
}

fn edit(bench: &Bench, numbers: &mut Numbers) {
    let mut name = || ["a", "b", "c", "d/x", "d/y", "d/e/x", "d/e/f/x", "g/x"][numbers.below(8)].to_owned();
    let (one, other) = (bench.path.join(name()), bench.path.join(name()));
    let content = [b'a' + u8::try_from(numbers.below(3)).unwrap(); 3];
    // Many of these fail; it matters only that many succeed.
    let parent = one.parent().unwrap();
    drop(std::fs::create_dir_all(parent));
    drop(match numbers.below(8) {
        0 => std::fs::remove_file(&one),
        1 => std::fs::remove_dir_all(&one),
        2 if parent != bench.path => std::fs::remove_dir_all(parent),
        3 => std::fs::rename(&one, &other),
        4 if parent != bench.path => std::fs::rename(parent, other.parent().unwrap().join("moved")),
        5 => std::os::unix::fs::symlink("a", &one),
        _ => std::fs::write(&one, content),
    });
}

fn entry(number: u64) -> CacheEntry {
    CacheEntry {
        name: format!("file-{number:06}").into_bytes().into(),
        kind: EntryKind::File,
        mode: 0o644,
        size: number,
        stat: FileStat { size: number, mtime_ns: -5, ctime_ns: 6, inode: number, device: 8, owner: OWNER },
        proof: Proof::Settled,
        id: Digest::of(&number.to_le_bytes()),
        attributes: Box::default(),
        has_attributes_below: false,
    }
}

fn folder(tree: u8, entries: EntriesUpdate) -> FolderUpdate {
    FolderUpdate {
        facts: FolderFacts { tree: TreeId(Digest([tree; 32])), size: 5, device: 8, has_attributes: false },
        entries,
    }
}
