//! Crafted journals, indexes and stat caches: whatever they say, they are caches, and nothing more.

#![expect(clippy::disallowed_methods, reason = "tests forge files of their own")]

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use retrograde::format::attributes::Owner;
use retrograde::format::cache::{
    BlockPosition, CACHE_HEADER_LENGTH_BYTES, CacheHeader, CachedEntry, Extent, FolderFacts, Line, PathKey, Proof,
    decode_header, encode_group, encode_header, encode_table, put_block,
};
use retrograde::format::checksum;
use retrograde::format::facts::{self, Fact};
use retrograde::format::index::{self, IndexEntry, put_group};
use retrograde::format::journal::{self, JournalGroup};
use retrograde::format::pack::{ObjectKind, PACK_HEADER_LENGTH_BYTES};
use retrograde::format::tree::EntryKind;
use retrograde::id::{Digest, SnapshotId, TreeId};

use super::forge::{FILE, Forge, HONEST, NONCE, NOON, node};
use super::run::{run, run_few, run_line_and_compare, survey};

fn honest() -> Forge {
    let mut forge = Forge::new();
    forge.write();
    forge
}

fn journal_of(forge: &Forge, groups: &[JournalGroup<'_>]) {
    let mut bytes = journal::encode_header(forge.store_id);
    groups.iter().for_each(|group| journal::put_group(&mut bytes, group));
    forge.put("journal", &bytes);
}

/// Groups that claim more than there is: packs that do not exist, ends far past a pack, sequences far ahead.
#[test]
fn journals_that_run_ahead_neither_panic_nor_take_anything_outside() {
    let tagged = facts::encode(&[Fact::Tagged {
        workspace: Forge::new().workspace,
        name: "from the journal".to_owned(),
        snapshot: Some(SnapshotId(Digest::of(b"nothing"))),
        time: NOON,
    }]);
    let group = |sequence, pack, pack_end, facts| JournalGroup { sequence, pack, pack_end, facts };
    let cases = [
        vec![group(1, 1, u64::MAX, &tagged[..])],
        vec![group(u64::MAX, 1, 0, &tagged)],
        vec![group(u64::MAX - 1, u32::MAX, u64::MAX, &tagged), group(u64::MAX, 0, 0, &tagged)],
        vec![group(5, 7, 7, &tagged), group(4, 1, 48, &tagged)],
        vec![group(1, 1, 48, b"these are no facts")],
    ];
    for (number, groups) in cases.iter().enumerate() {
        let forge = honest();
        journal_of(&forge, groups);
        run_few(&forge);
        // Without the lie everything is there again: the packs are the store.
        std::fs::remove_file(forge.store("journal")).unwrap();
        if number != 1 && number != 2 {
            // Recording meanwhile may have registered the folder anew.
            let target = format!("{}/honest:{}", forge.workspace, HONEST.1);
            let (code, stdout, stderr) = run(&forge, &["cat", &target]);
            assert_eq!((code, &stdout[..]), (0, HONEST.2), "{number}: {stderr}");
        }
    }
}

fn entry(prefix: [u8; 16], offset: u32, member: u16, kind: ObjectKind) -> IndexEntry {
    IndexEntry { prefix, offset, member, kind }
}

/// Entries past the pack, in the middle of records, of wrong kinds and members, all equal, out of order, without
/// number.
#[test]
fn indexes_that_lie_hide_nothing_for_good() {
    let honest_id = Digest::of(HONEST.2).prefix();
    let start = u32::try_from(PACK_HEADER_LENGTH_BYTES).unwrap();
    let lies = [
        vec![entry(honest_id, u32::MAX, 0, ObjectKind::Content)],
        vec![entry(honest_id, start + 5, 0, ObjectKind::Content)],
        vec![entry(honest_id, start, 4_000, ObjectKind::Content)],
        vec![entry(honest_id, start, 0, ObjectKind::Tree)],
        vec![entry(honest_id, 0, 0, ObjectKind::Content)],
        vec![entry([0; 16], start, 0, ObjectKind::Content); 100_000],
        vec![entry(honest_id, u32::MAX, u16::MAX, ObjectKind::Snapshot); 100_000],
    ];
    for entries in lies {
        let forge = honest();
        let length = std::fs::metadata(forge.store("packs/000001.pack")).unwrap().len();
        for end in [length, PACK_HEADER_LENGTH_BYTES as u64, u64::MAX] {
            forge.put("packs/000001.idx", &index::encode(forge.store_id, NONCE, end, 1, &entries));
            run_few(&forge);
            let mut bytes = index::encode(forge.store_id, NONCE, PACK_HEADER_LENGTH_BYTES as u64, 0, &[]);
            put_group(&mut bytes, end, &entries);
            forge.put("packs/000001.idx", &bytes);
            run_few(&forge);
        }
        std::fs::remove_file(forge.store("packs/000001.idx")).unwrap();
        survey(&forge, "honest", HONEST.1).expect(&[("cat {rev}:{path}", 0), ("restore {rev}", 0)]);
    }
}

/// Out of order, and counts of 2^32-1, under checksums that are right.
#[test]
fn unsearchable_indexes_are_ignored_for_the_pack() {
    let forge = honest();
    let length = std::fs::metadata(forge.store("packs/000001.pack")).unwrap().len();
    let entries = [entry([0; 16], 48, 0, ObjectKind::Content), entry([0xff; 16], 48, 0, ObjectKind::Tree)];
    let mut bytes = index::encode(forge.store_id, NONCE, length, 1, &entries);
    let (head, body) = bytes.split_at_mut(index::INDEX_HEADER_LENGTH_BYTES);
    body.rotate_left(index::INDEX_ENTRY_LENGTH_BYTES);
    let sum = checksum(&[body]).to_le_bytes();
    let at = head.len() - 8;
    head[at..at + 4].copy_from_slice(&sum);
    let sum = checksum(&[&head[..at + 4]]).to_le_bytes();
    head[at + 4..].copy_from_slice(&sum);
    forge.put("packs/000001.idx", &bytes);
    survey(&forge, "honest", HONEST.1).expect(&[("cat {rev}:{path}", 0), ("restore {rev}", 0)]);

    let forge = honest();
    let mut bytes = index::encode(forge.store_id, NONCE, length, 1, &[]);
    bytes[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    let end = index::INDEX_HEADER_LENGTH_BYTES;
    let sum = checksum(&[&bytes[..end - 4]]).to_le_bytes();
    bytes[end - 4..end].copy_from_slice(&sum);
    bytes.extend_from_slice(b"\xd7GRP\xff\xff\xff\xff");
    bytes.resize(4_096, 0);
    forge.put("packs/000001.idx", &bytes);
    survey(&forge, "honest", HONEST.1).expect(&[("cat {rev}:{path}", 0), ("restore {rev}", 0)]);
}

/// A line of a stat cache.
fn line(name: &[u8], kind: EntryKind, mode: u16, id: Digest) -> Line<'_> {
    Line::Entry(CachedEntry {
        name,
        kind,
        mode,
        size: u64::MAX,
        mtime_ns: i64::MIN,
        ctime_ns: i64::MAX,
        inode: 1,
        id,
        proof: Proof::Settled,
        is_on_other_device: false,
        attributes: b"",
        has_attributes_below: false,
    })
}

/// A line that the file system agrees with, but for the content.
fn true_line<'a>(folder: &Path, name: &'a str, id: Digest) -> Line<'a> {
    let stat = std::fs::symlink_metadata(folder.join(name)).unwrap();
    let time = |seconds: i64, rest: i64| seconds * 1_000_000_000 + rest;
    let kind = if stat.is_dir() { EntryKind::Folder } else { EntryKind::File };
    Line::Entry(CachedEntry {
        name: name.as_bytes(),
        kind,
        mode: u16::try_from(stat.mode() & 0o7777).unwrap(),
        size: stat.size(),
        mtime_ns: time(stat.mtime(), stat.mtime_nsec()),
        ctime_ns: time(stat.ctime(), stat.ctime_nsec()),
        inode: stat.ino(),
        id,
        proof: Proof::Settled,
        is_on_other_device: false,
        attributes: b"",
        has_attributes_below: false,
    })
}

/// A folder of a stat cache: path, tree, lines.
type Folder<'a> = (&'a [u8], TreeId, Vec<Line<'a>>);

/// A stat cache with these folders, and what differs of them since.
fn stat_of(forge: &Forge, folders: &[Folder<'_>], differences: &[Folder<'_>]) {
    let root = std::fs::metadata(forge.at("ws")).unwrap();
    let device = root.dev();
    let mut blocks = Vec::new();
    let mut places = Vec::new();
    for (path, tree, lines) in folders {
        let start = blocks.len();
        let facts = FolderFacts { tree: *tree, size: u64::MAX, device, has_attributes: false };
        put_block(&mut blocks, PathKey::of(path), Extent::Whole, &facts, lines.iter().copied()).unwrap();
        let length = u32::try_from(blocks.len() - start).unwrap();
        places.push(BlockPosition {
            hash: PathKey::of(path).hash(),
            offset: (CACHE_HEADER_LENGTH_BYTES + start) as u64,
            length,
        });
    }
    places.sort();
    let table = encode_table(&places);
    let header = CacheHeader {
        store: forge.store_id,
        workspace: forge.workspace,
        root_owner: Owner { uid: root.uid(), gid: root.gid() },
        generation: 0,
        nonce: 1,
        file_count: u64::MAX,
        table_offset: (CACHE_HEADER_LENGTH_BYTES + blocks.len()) as u64,
        folder_count: u32::try_from(places.len()).unwrap(),
        table_checksum: checksum(&[&table]),
    };
    let folder = forge.store(&format!("workspaces/{}", forge.workspace));
    std::fs::create_dir_all(folder).unwrap();
    let header = encode_header(&header);
    let (_, sum) = decode_header(&header).unwrap();
    let mut later = Vec::new();
    for (path, tree, lines) in differences {
        let facts = FolderFacts { tree: *tree, size: u64::MAX, device, has_attributes: false };
        put_block(&mut later, PathKey::of(path), Extent::Difference, &facts, lines.iter().copied()).unwrap();
    }
    let group = if later.is_empty() { Vec::new() } else { encode_group(sum, &later) };
    forge.put(&format!("workspaces/{}/stat", forge.workspace), &[header, blocks, table, group].concat());
}

/// Lists that no folder has, trees that are not there or that never end, names that lead out.
#[test]
fn stat_caches_that_lie_neither_panic_nor_lead_out() {
    let mut forge = Forge::new();
    let file = forge.content(b"12345");
    let names: Vec<String> = (0..1_024).map(|number| format!("{number:04}")).collect();
    let mut endless = forge.leaf(&[]);
    for level in 1..=6 {
        let children: Vec<_> = names.iter().map(|name| (name.as_bytes(), 1, 0, endless)).collect();
        endless = forge.tree(&node(level, &children));
    }
    let plain = forge.leaf(&[(FILE, 0o644, b"live", 5, file)]);
    forge.write();
    let nowhere = TreeId(Digest::of(b"nowhere"));
    let folder = |name| line(name, EntryKind::Folder, 0o755, plain.0);
    let regular = |name| line(name, EntryKind::File, 0o644, file);
    let cases: [Vec<Folder<'_>>; 8] = [
        vec![(b"", nowhere, vec![folder(b"folder"), regular(b"live")])],
        vec![(b"", plain, vec![folder(b"folder"), regular(b"live")]), (b"folder", nowhere, vec![])],
        vec![(b"", endless, vec![folder(b"folder")]), (b"folder", endless, vec![regular(b"x")])],
        vec![(b"", plain, vec![folder(b".."), folder(b"folder"), folder(b"../canary")])],
        vec![(b"", plain, vec![regular(b"live"), folder(b"folder"), folder(b"folder")])],
        vec![(b"", plain, vec![regular(b""), line(b"a/b", EntryKind::Symlink, 0o777, file)])],
        vec![
            (
                b"",
                plain,
                vec![line(b"folder", EntryKind::Folder, 0xffff, plain.0), line(b"live", EntryKind::File, 0xffff, file)],
            ),
            (b"folder", plain, vec![line(b"x", EntryKind::Folder, 0xffff, nowhere.0)]),
        ],
        vec![(b"../canary", plain, vec![folder(b"folder")]), (b"", plain, vec![folder(b"..")])],
    ];
    for folders in &cases {
        for verb in ["status", "diff honest", "diff", "snap -m lie", "restore honest", "undo"] {
            stat_of(&forge, folders, &[]);
            run_line_and_compare(&forge, verb, "honest", HONEST.1);
            // Something below is new, so that the lists above are made from what the cache has of them.
            std::fs::write(forge.at("ws/folder").join("new"), verb).ok();
        }
    }
    // And where the file system agrees with every line, so that lists are taken for unchanged.
    let (ws, below) = (forge.at("ws"), forge.at("ws/folder"));
    let names = |folder: &Path| {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = entries.collect();
        names.sort();
        names
    };
    for tree in [nowhere, endless, plain] {
        for verb in ["status", "diff honest", "snap -m lie", "restore honest", "undo"] {
            std::fs::create_dir_all(&below).unwrap();
            std::fs::write(below.join("new"), verb).unwrap();
            let (top_names, below_names) = (names(&ws), names(&below));
            let top: Vec<_> = top_names.iter().map(|name| true_line(&ws, name, tree.0)).collect();
            let mut inner: Vec<_> = below_names.iter().map(|name| true_line(&below, name, tree.0)).collect();
            inner.pop();
            // The folder is a file in the list, and a folder in what differs, where halving does not find it.
            let is_folder = |line: &&Line<'_>| line.name() == b"folder";
            let other: Vec<_> = top.iter().filter(|line| !is_folder(line)).copied().collect();
            let first = [regular(b"folder")].into_iter().chain(other);
            let unsorted = top.iter().filter(is_folder).copied().chain([Line::Gone(b"b")]).collect();
            let cases = [
                (top.clone(), vec![]),
                (first.collect(), vec![(&b""[..], tree, unsorted)]),
                (top.clone(), vec![(&b"folder"[..], nowhere, vec![])]),
            ];
            for (top, differences) in cases {
                stat_of(&forge, &[(b"", tree, top), (b"folder", tree, inner.clone())], &differences);
                run_line_and_compare(&forge, verb, "honest", HONEST.1);
            }
        }
    }
    std::fs::remove_dir_all(forge.store("workspaces")).unwrap();
    assert_eq!(run(&forge, &["snap"]).0, 0);
    survey(&forge, "honest", HONEST.1).expect(&[("cat {rev}:{path}", 0), ("restore {rev}", 0)]);
}
