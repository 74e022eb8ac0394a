//! store-format.md is normative, so it is run: every hex example is built again by the code, byte for byte, decoded,
//! and encoded again; the table of limits is compared with `limits.rs`. (`format_ids` asks that its requirements have
//! tests.)

use retrograde::format::attributes::{Attributes, Name, Owner, decode_list, encode_list, encode_set};
use retrograde::format::facts::{Fact, Restore, RestoreCause};
use retrograde::format::index::IndexEntry;
use retrograde::format::journal::JournalGroup;
use retrograde::format::pack::{Encoding, Link, Member, ObjectKind, PackHeader};
use retrograde::format::snapshot::{
    Attachment, Cause, ChangeCounts, Dropped, GitState, Omission, Reason, Snapshot, encode_excluded, encode_omitted,
    encode_times, history_digest,
};
use retrograde::format::tree::{Entry, EntryKind, Tree};
use retrograde::format::{Reader, chunk_list, facts, header, index, journal, pack, put_uint, snapshot, tree};
use retrograde::id::{BlobId, Digest, SnapshotId, StoreId, TreeId, WorkspaceId};
use retrograde::limits;
use retrograde::path::TreePath;
use retrograde::store::payload;
use retrograde::time::Timestamp;

const DOC: &str = include_str!("../../store-format.md");

/// The bytes of the example of this name: the hex before three spaces on each line.
fn example(name: &str) -> Vec<u8> {
    let start = DOC.find(&format!("```hex {name}\n")).unwrap_or_else(|| panic!("no example {name}"));
    let block = DOC[start..].split("```").nth(1).expect("the block ends").split_once('\n').expect("a first line").1;
    let digits: String = block
        .lines()
        .map(|line| line.split("   ").next().unwrap_or_default())
        .flat_map(str::chars)
        .filter(|c| *c != ' ')
        .collect();
    assert!(digits.len().is_multiple_of(2), "example {name} has half a byte");
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex")).collect()
}

fn shown(bytes: &[u8]) -> String {
    let line = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    bytes.chunks(32).map(line).collect::<Vec<_>>().join("\n")
}

fn assert_example(name: &str, built: &[u8]) {
    assert!(example(name) == built, "example {name} should read\n{}", shown(built));
}

const STORE: StoreId = StoreId([0x11; 16]);
const WORKSPACE: WorkspaceId = WorkspaceId([0x22; 16]);
const NONCE: [u8; 16] = [0x33; 16];
const TIME: Timestamp = Timestamp(1_795_176_000_000_000_000);

fn path(text: &str) -> TreePath {
    TreePath::new(text.as_bytes()).unwrap()
}

/// F1, F3.
#[test]
fn integers() {
    let values = [0, 250, 251, 65_535, 65_536, 4_294_967_296];
    let mut built = Vec::new();
    values.iter().for_each(|value| put_uint(&mut built, *value));
    assert_example("uint", &built);
    let mut reader = Reader::new(&built);
    assert_eq!(values.map(|_| reader.uint().unwrap()), values);
    assert!(reader.finish().is_ok());
}

/// C1: a list reads the same wherever it is cut.
#[test]
fn chunk_lists() {
    let chunk = |text: &[u8], length_bytes| chunk_list::ChunkRef { id: BlobId(Digest::of(text)), length_bytes };
    let list = vec![chunk(b"hello world", 262_144), chunk(b"abc", 3)];
    assert_example("chunk-list", &chunk_list::encode(&list));
    assert_eq!(chunk_list::decode(&example("chunk-list")), Ok(list));
}

#[test]
fn trees() {
    let entry = |name: &[u8], kind, mode, size, id| Entry { name: name.into(), kind, mode, size, id };
    let empty = tree::encode(&[]).id();
    let list = vec![
        entry(b"a.txt", EntryKind::File, 0o644, 3, Digest::of(b"abc")),
        entry(b"link", EntryKind::Symlink, 0, 5, Digest::of(b"a.txt")),
        entry(b"sub", EntryKind::Folder, 0o755, 0, empty.0),
    ];
    assert_example("tree", &tree::encode(&list).objects[0].1);
    assert_eq!(tree::decode(&example("tree")), Ok(Tree::Leaf(list)));
}

/// T2: the cuts follow from the names.
#[test]
fn nodes() {
    let empty = Digest::of(b"");
    let entry = |number: usize| {
        let name = format!("{number:04}").into_bytes().into();
        Entry { name, kind: EntryKind::File, mode: 0o644, size: 0, id: empty }
    };
    let folder = tree::encode(&(0..1_600).map(entry).collect::<Vec<_>>());
    let (node, leaves) = folder.objects.split_last().unwrap();
    assert_example("node", &node.1);
    let Ok(Tree::Node { level: 1, children }) = tree::decode(&example("node")) else { panic!("it is no node") };
    assert_eq!(children.iter().map(|child| child.entry_count).sum::<u64>(), 1_600);
    let below: Vec<TreeId> = children.iter().map(|child| child.id).collect();
    assert_eq!(below, leaves.iter().map(|leaf| leaf.0).collect::<Vec<_>>());
}

/// A secret that one more user may read, a file and a program of root's.
fn sample_attributes() -> Vec<(TreePath, Box<[u8]>)> {
    let entry = |tag: u16, permissions: u16, id: u32| {
        [&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    let entries = [(1, 6, u32::MAX), (2, 4, 1_001), (4, 0, u32::MAX), (16, 4, u32::MAX), (32, 0, u32::MAX)];
    let entries = entries.map(|(tag, permissions, id)| entry(tag, permissions, id)).concat();
    let acl = [&2_u32.to_le_bytes()[..], &entries].concat();
    let root = Some(Owner { uid: 0, gid: 0 });
    let set = |owner, values| encode_set(&Attributes { owner, values }).into();
    let note = (Name::User((*b"note").into()), (*b"hi").into());
    vec![
        (path("key"), set(None, vec![(Name::AccessAcl, acl.into())])),
        (path("src"), set(root, Vec::new())),
        (path("src/a"), set(root, vec![note])),
        (path("src/b"), set(root, Vec::new())),
    ]
}

/// S8.
#[test]
fn attributes() {
    let built = encode_list(&sample_attributes());
    assert_example("attributes", &built);
    let read = decode_list(&example("attributes")).unwrap();
    let again: Vec<_> = read.iter().map(|(path, set)| (path.clone(), encode_set(set).into())).collect();
    assert_eq!(again, sample_attributes());
}

fn sample_snapshot() -> Snapshot {
    let root = TreeId(Digest::of(b"root"));
    Snapshot {
        root,
        root_mode: 0o755,
        root_owner: Some(Owner { uid: 1_000, gid: 1_000 }),
        parents: vec![SnapshotId(Digest::of(b"parent"))],
        history: history_digest(Some(Digest::of(b"before")), root),
        workspace: WORKSPACE,
        run: Some("main".to_owned()),
        step: 7,
        time: TIME,
        cause: Cause::Step,
        message: "fix it".to_owned(),
        changes: ChangeCounts { added: 1, modified: 2, deleted: 0 },
        event: Attachment::Inline(br#"{"tool":"bash"}"#.to_vec()),
        times: Attachment::Inline(encode_times(&[(path("src"), TIME), (path("src/a.rs"), TIME)])),
        omitted: Attachment::Inline(encode_omitted(&[Omission { path: path("pipe"), reason: Reason::Special }])),
        attributes: Attachment::Inline(encode_list(&sample_attributes())),
        excluded: Attachment::Inline(encode_excluded(&[path("venv")])),
        rules: BlobId(Digest::of(b"rules")),
        dropped: Some(Dropped { base: SnapshotId(Digest::of(b"base")), count: 3, is_new: true }),
        git: Some(GitState { head: None, branch: Some("main".to_owned()) }),
    }
}

/// V1.
#[test]
fn snapshots() {
    let snapshot = sample_snapshot();
    assert_example("snapshot", &snapshot::encode(&snapshot));
    assert_eq!(snapshot::decode(&example("snapshot")), Ok(snapshot));
    let mut newer = example("snapshot");
    newer[0] = 2;
    assert!(snapshot::decode(&newer).is_err_and(|error| error.is_newer()));
}

fn sample_facts() -> Vec<Fact> {
    let restore = Restore {
        workspace: WORKSPACE,
        before: None,
        target: SnapshotId(Digest::of(b"target")),
        paths: vec![b"src".to_vec()],
        cause: RestoreCause::Undo { count: 2 },
        time: TIME,
    };
    vec![
        Fact::WorkspaceAdded { workspace: WORKSPACE, root: b"/w".to_vec(), time: TIME },
        Fact::RestoreBegun(restore),
        Fact::Tagged { workspace: WORKSPACE, name: "ok".to_owned(), snapshot: None, time: TIME },
    ]
}

/// P4: a transaction counts when its hash is right.
#[test]
fn packs() {
    let mut built = pack::encode_header(&PackHeader { store: STORE, nonce: NONCE });
    let start = built.len();
    let member = Member { kind: ObjectKind::Content, raw_length_bytes: 3, prefix: Digest::of(b"abc").prefix() };
    pack::put_record(&mut built, &Encoding::Raw, &[member], b"abc");
    pack::put_trailer(&mut built, STORE, start, 1, &facts::encode(&sample_facts()));
    assert_example("pack", &built);
    let bytes = example("pack");
    assert_eq!(pack::decode_header(&bytes), Ok(PackHeader { store: STORE, nonce: NONCE }));
    let record = pack::decode_record(&bytes[start..]).unwrap();
    assert!(pack::record_is_intact(&record, &bytes[start..]));
    let trailer = pack::decode_trailer(&bytes[start + record.record_length_bytes()..]).unwrap();
    assert_eq!((trailer.sequence, facts::decode(trailer.facts)), (1, Ok(sample_facts())));
    assert!(pack::transaction_is_intact(STORE, &bytes[start..]));
}

/// The record of an example: its header, checked, and its payload.
fn record_of(name: &str) -> (pack::RecordHeader, Vec<u8>) {
    let bytes = example(name);
    let header = pack::decode_record(&bytes).unwrap();
    assert!(pack::record_is_intact(&header, &bytes) && header.record_length_bytes() == bytes.len());
    let payload = bytes[header.header_length_bytes..].to_vec();
    (header, payload)
}

fn record(encoding: &Encoding, objects: &[&[u8]], base: &[u8]) -> Vec<u8> {
    let member = |bytes: &&[u8]| Member {
        kind: ObjectKind::Content,
        raw_length_bytes: u32::try_from(bytes.len()).unwrap(),
        prefix: Digest::of(bytes).prefix(),
    };
    let members: Vec<Member> = objects.iter().map(member).collect();
    let mut built = Vec::new();
    pack::put_record(&mut built, encoding, &members, &payload::encode(encoding, &objects.concat(), base, 3));
    built
}

/// P3: the length is that of the record.
#[test]
fn frames_of_several_members() {
    let objects = [&b"hello world\n"[..], b"hello again\n"];
    assert_example("frame", &record(&Encoding::Zstd, &objects, &[]));
    let (header, stored) = record_of("frame");
    let decoded = payload::decode(&header.encoding, &stored, &[], header.raw_length_bytes()).unwrap();
    assert_eq!(decoded, objects.concat());
    assert!(payload::decode(&header.encoding, &stored, &[], decoded.len() - 1).is_err());
}

/// P10: a splice is made of its base.
#[test]
fn deltas_and_splices() {
    let block = DOC.split("with these 65 bytes:\n\n```\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let base = block.as_bytes();
    let link = Link { base: Digest::of(base).prefix(), generation: 1 };
    let newer = block.replace("0.1.0", "0.2.0");
    let newest = newer.replace("2024", "2027");
    for (name, encoding, object) in
        [("delta", Encoding::Delta(link), newest), ("splice", Encoding::Splice(link), newer)]
    {
        assert_example(name, &record(&encoding, &[object.as_bytes()], base));
        let (header, stored) = record_of(name);
        assert_eq!(header.encoding, encoding);
        assert_eq!(payload::decode(&header.encoding, &stored, base, 65).as_deref(), Ok(object.as_bytes()));
        assert!(payload::decode(&header.encoding, &stored, &base[..9], 65).is_err(), "it is not the base");
    }
}

/// J2: groups up to the first that is not intact.
#[test]
fn journals() {
    let encoded = facts::encode(&sample_facts());
    let mut built = journal::encode_header(STORE);
    journal::put_group(&mut built, &JournalGroup { sequence: 1, pack: 1, pack_end: 300, facts: &encoded });
    assert_example("journal", &built);
    let bytes = example("journal");
    let decoded = journal::decode(&bytes, STORE).unwrap();
    assert_eq!(facts::decode(decoded.groups[0].facts), Ok(sample_facts()));
    assert_eq!(journal::decode(&bytes[..bytes.len() - 1], STORE).unwrap().groups.len(), 0);
}

/// F1: what an abort leaves.
#[test]
fn facts_of_an_abort() {
    let begun = Restore {
        workspace: WORKSPACE,
        before: Some(SnapshotId(Digest::of(b"half way"))),
        target: SnapshotId(Digest::of(b"before")),
        paths: Vec::new(),
        cause: RestoreCause::Abort,
        time: TIME,
    };
    let list = vec![
        Fact::RestoreBegun(begun.clone()),
        Fact::RestoreEnded { workspace: WORKSPACE, state: Some(begun.target), time: TIME },
    ];
    assert_example("facts", &facts::encode(&list));
    assert_eq!(facts::decode(&example("facts")), Ok(list));
    let mut unknown = example("facts");
    let cause = unknown.len() - (1 + 16 + 33 + 9) - 9 - 1;
    assert_eq!(unknown[cause], 3);
    unknown[cause] = 4;
    assert!(facts::decode(&unknown).is_err(), "a cause that is not known is corrupt");
}

/// X1, X2.
#[test]
fn indexes() {
    let entry = |text: &[u8], offset| IndexEntry {
        prefix: Digest::of(text).prefix(),
        offset,
        member: 0,
        kind: ObjectKind::Content,
    };
    let mut built = index::encode(STORE, NONCE, 148, 1, &[entry(b"abc", 48)]);
    index::put_group(&mut built, 300, &[entry(b"hello world", 148)]);
    assert_example("index", &built);
    let bytes = example("index");
    let header = index::decode_header(&bytes).unwrap();
    assert!(index::entries_are_intact(&header, &bytes));
    assert_eq!(index::entry_at(&header, &bytes, 0), Some(entry(b"abc", 48)));
    let tail = index::decode_tail(&header, &bytes);
    assert_eq!((tail.entries, tail.end), (vec![entry(b"hello world", 148)], Some(300)));
}

/// V1: a newer version is not taken for damage.
#[test]
fn the_format_file() {
    let block = DOC.split("```text format\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let id = header::decode(block.as_bytes()).unwrap();
    assert_eq!(header::encode(id), block.as_bytes());
    assert!(header::decode(block.replace("version 1", "version 2").as_bytes()).is_err_and(|error| error.is_newer()));
}

/// Its terms are the field's: a store has transactions, and commits are git's.
#[test]
fn the_terms_are_those_of_the_field() {
    let prose: String = DOC.split("```").step_by(2).collect();
    let prose = prose.replace('\n', " ");
    for word in ["commit", "batch"] {
        let found = prose.match_indices(word).filter(|(at, _)| !prose[*at..].starts_with("commit (in hex)")).count();
        assert_eq!(found, 0, "store-format.md says `{word}`");
    }
}

#[test]
fn the_table_of_limits() {
    let number = |text: &str| text.replace(',', "").parse::<u64>().unwrap();
    let rows = DOC.split("## 11. Limits").nth(1).unwrap().split("\n## ").next().unwrap();
    let found: Vec<(String, u64)> = rows
        .lines()
        .filter_map(|row| row.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "))
        .filter(|(name, _)| *name != "limit")
        .map(|(name, value)| (name.to_owned(), number(value)))
        .collect();
    let wanted: Vec<(String, u64)> = [
        ("bytes in a name", limits::NAME_LENGTH_MAX_BYTES as u64),
        ("bytes in a path", limits::PATH_LENGTH_MAX_BYTES as u64),
        ("levels of folders below a root", limits::FOLDER_DEPTH_MAX as u64),
        ("bytes in an object of kind content", limits::CHUNK_LENGTH_MAX_BYTES as u64),
        ("bytes in a chunk list", limits::CHUNK_LIST_LENGTH_MAX_BYTES as u64),
        ("bytes in a tree object", limits::TREE_LENGTH_MAX_BYTES as u64),
        ("bytes in a leaf that is not split", limits::TREE_SPLIT_ABOVE_BYTES as u64),
        ("levels of nodes above leaves", u64::from(limits::TREE_LEVEL_MAX)),
        ("bytes in a snapshot", limits::SNAPSHOT_LENGTH_MAX_BYTES as u64),
        ("bytes in an attachment of variant 1", limits::ATTACHMENT_INLINE_MAX_BYTES as u64),
        ("bytes in a list of paths", limits::PATH_LIST_LENGTH_MAX_BYTES as u64),
        ("bytes in the value of an attribute", limits::ATTRIBUTE_VALUE_LENGTH_MAX_BYTES as u64),
        ("bytes in the name of a `user.` attribute, without `user.`", limits::ATTRIBUTE_NAME_LENGTH_MAX_BYTES as u64),
        ("bytes in a set of attributes", limits::ATTRIBUTES_LENGTH_MAX_BYTES as u64),
        ("bytes in a message", limits::MESSAGE_LENGTH_MAX_BYTES as u64),
        ("bytes in the name of a run or tag", limits::LABEL_LENGTH_MAX_BYTES as u64),
        ("parents of a snapshot", limits::PARENT_COUNT_MAX as u64),
        ("events noted with a snapshot", limits::NOTED_EVENTS_MAX as u64),
        ("bytes of facts in a transaction", limits::FACTS_LENGTH_MAX_BYTES as u64),
        ("members of a record", limits::FRAME_MEMBER_COUNT_MAX as u64),
        ("bytes in a frame of several members", limits::FRAME_LENGTH_MAX_BYTES as u64),
        ("bytes in a record", limits::RECORD_LENGTH_MAX_BYTES as u64),
        ("bytes in a pack", limits::PACK_LENGTH_MAX_BYTES),
        ("deltas and splices between an object and a full copy", limits::DELTA_DEPTH_MAX as u64),
        ("generation of a delta or splice", u64::from(limits::DELTA_GENERATION_MAX)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    assert_eq!(found, wanted);
}
