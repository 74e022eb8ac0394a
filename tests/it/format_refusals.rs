//! Decoders refuse malformed bytes, by the requirement of store-format.md that asks for it. Each test begins with bytes
//! that are accepted and changes the one thing that is asked about.

use retrograde::format::snapshot::{
    Attachment, Cause, ChangeCounts, Dropped, GitState, Snapshot, decode_omitted, decode_times, encode_times,
};
use retrograde::format::{Reader, snapshot, tree};
use retrograde::id::{BlobId, Digest, SnapshotId, TreeId, WorkspaceId};
use retrograde::limits::SNAPSHOT_LENGTH_MAX_BYTES;
use retrograde::path::TreePath;
use retrograde::time::Timestamp;

/// F2: an integer that would fit a shorter form, and first bytes that are never written.
#[test]
fn integers_in_longer_forms_than_they_need() {
    let shortest: [&[u8]; 4] = [&[250], &[0xfb, 251, 0], &[0xfc, 0, 0, 1, 0], &[0xfd, 0, 0, 0, 0, 1, 0, 0, 0]];
    for bytes in shortest {
        assert!(Reader::new(bytes).uint().is_ok(), "{bytes:?}");
    }
    let longer: [&[u8]; 8] = [
        &[0xfb, 250, 0],
        &[0xfb, 0, 0],
        &[0xfc, 0xff, 0xff, 0, 0],
        &[0xfc, 7, 0, 0, 0],
        &[0xfd, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
        &[0xfd, 7, 0, 0, 0, 0, 0, 0, 0],
        &[0xfe, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0xff, 0, 0, 0, 0, 0, 0, 0, 0],
    ];
    for bytes in longer {
        assert!(Reader::new(bytes).uint().is_err(), "{bytes:?}");
    }
}

/// A leaf with files of these names, in this order.
fn leaf(names: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0, u8::try_from(names.len()).unwrap()];
    for name in names {
        bytes.extend([1, 0, u8::try_from(name.len()).unwrap()]);
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(&Digest::of(b"").0);
    }
    bytes
}

/// T1: names that do not ascend strictly, or that no file can have.
#[test]
fn trees_whose_names_are_out_of_order_or_none() {
    for names in [&[&b"a"[..], b"b"][..], &[b"B", b"a"], &[b"a", b"a.b", b"aa"]] {
        assert!(tree::decode(&leaf(names)).is_ok(), "{names:?}");
    }
    let wrong: [&[&[u8]]; 8] =
        [&[b"b", b"a"], &[b"a", b"a"], &[b"a", b"B"], &[b""], &[b"a/b"], &[b"a\0"], &[b"."], &[b".."]];
    for names in wrong {
        assert!(tree::decode(&leaf(names)).is_err(), "{names:?}");
    }
}

fn with_branch(length: usize) -> Snapshot {
    let root = TreeId(Digest::of(b"root"));
    Snapshot {
        root,
        root_mode: 0o755,
        root_owner: None,
        parents: Vec::new(),
        history: Digest::of(b"history"),
        workspace: WorkspaceId([1; 16]),
        run: Some("main".to_owned()),
        step: 1,
        time: Timestamp(0),
        cause: Cause::Step,
        message: String::new(),
        changes: ChangeCounts { added: 0, modified: 0, deleted: 0 },
        event: Attachment::Empty,
        times: Attachment::Empty,
        omitted: Attachment::Empty,
        attributes: Attachment::Empty,
        excluded: Attachment::Empty,
        rules: BlobId(Digest::of(b"rules")),
        dropped: None,
        git: Some(GitState { head: None, branch: Some("b".repeat(length)) }),
    }
}

/// S7: nobody says that nothing was dropped.
#[test]
fn dropped_paths_are_at_least_one() {
    let says = |count| {
        let dropped = Some(Dropped { base: SnapshotId(Digest::of(b"base")), count, is_new: true });
        snapshot::decode(&snapshot::encode(&Snapshot { dropped, ..with_branch(1) })).is_ok()
    };
    assert!(says(1) && !says(0));
}

/// S1: a snapshot as long as the limit, and a longer one.
#[test]
fn snapshots_over_the_limit() {
    // The name of a branch is what has no limit of its own.
    let encoded = |length| snapshot::encode(&with_branch(length));
    let rest = encoded(100_000).len() - 100_000;
    let longest = encoded(SNAPSHOT_LENGTH_MAX_BYTES - rest);
    assert_eq!(longest.len(), SNAPSHOT_LENGTH_MAX_BYTES);
    assert!(snapshot::decode(&longest).is_ok());
    assert!(snapshot::decode(&encoded(SNAPSHOT_LENGTH_MAX_BYTES + 1 - rest)).is_err());
}

/// A list of paths, each as the number of bytes shared with the one before and the rest, with reason 1.
fn omitted(paths: &[(u8, &[u8])]) -> Vec<u8> {
    let path = |(shared, rest): &(u8, &[u8])| [&[*shared, u8::try_from(rest.len()).unwrap()][..], rest, &[1]].concat();
    paths.iter().flat_map(path).collect()
}

/// S2: paths out of order, bytes written again that could have been shared, more shared than there is, no such reason.
#[test]
fn lists_of_paths_that_are_not_as_short_or_not_in_order() {
    for list in [&[(0, &b"a"[..]), (0, b"b")][..], &[(0, b"a"), (1, b"/b"), (1, b"b")], &[(0, b"ab"), (1, b"c")]] {
        assert!(decode_omitted(&omitted(list)).is_ok(), "{list:?}");
    }
    let wrong: [&[(u8, &[u8])]; 6] = [
        &[(0, b"b"), (0, b"a")],
        &[(0, b"a"), (1, b"")],
        &[(0, b"ab"), (0, b"ac")],
        &[(0, b"a"), (2, b"b")],
        &[(0, b"a.b"), (1, b"/b")],
        &[(0, b"/a")],
    ];
    for list in wrong {
        assert!(decode_omitted(&omitted(list)).is_err(), "{list:?}");
    }
    for reason in [0, 9] {
        let mut bytes = omitted(&[(0, b"a")]);
        *bytes.last_mut().unwrap() = reason;
        assert!(decode_omitted(&bytes).is_err(), "reason {reason}");
    }
    let times = encode_times(&[(TreePath::new(b"a").unwrap(), Timestamp(1))]);
    assert!(decode_times(&times).is_ok());
    assert!(decode_times(&times[..times.len() - 1]).is_err() && decode_times(&[&times[..], &[0]].concat()).is_err());
}
