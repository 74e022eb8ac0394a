//! Crafted snapshots and facts: long chains, missing parents, huge attachments, extreme numbers, names for a terminal.

use retrograde::format::facts::{Fact, Restore, RestoreCause};
use retrograde::format::pack::ObjectKind;
use retrograde::format::put_uint;
use retrograde::format::snapshot::{self, Attachment, Snapshot, snapshot_id};
use retrograde::id::{BlobId, Digest, SnapshotId, WorkspaceId};
use retrograde::time::Timestamp;

use super::forge::{FILE, Forge, NOON};
use super::run::{LIMIT, run, survey};
use crate::support::depth::pick;
use crate::support::rng::noise;
use crate::support::walker::walk;

const CORRUPT: i32 = 7;

/// A store whose last snapshot differs from an honest one by `change`.
fn with_snapshot(change: impl FnOnce(&mut Forge, &mut Snapshot)) -> Forge {
    let mut forge = Forge::new();
    let file = forge.content(b"good\n");
    let root = forge.leaf(&[(FILE, 0o644, b"good", 5, file)]);
    let mut snapshot = forge.of(root);
    change(&mut forge, &mut snapshot);
    let id = forge.head_with(snapshot);
    forge.tag("bad", id);
    forge.write();
    forge
}

/// A content of this many zeros, a few kB however long, as an attachment.
fn zeros(forge: &mut Forge, chunk_count: usize) -> BlobId {
    let chunk = vec![0; 1 << 20];
    let id = Digest::of(&chunk);
    forge.squeezed(ObjectKind::Content, id, &chunk);
    let whole = Digest::of(&chunk_count.to_le_bytes());
    forge.chunk_list(whole, &vec![(id, 1 << 20); chunk_count]);
    BlobId(whole)
}

#[test]
fn a_long_chain_of_parents_is_walked() {
    let mut forge = Forge::new();
    let file = forge.content(b"good\n");
    let root = forge.leaf(&[(FILE, 0o644, b"good", 5, file)]);
    let mut parent = None;
    let length = pick(20_000, 100_000);
    for _ in 0..length {
        let mut snapshot = forge.of(root);
        snapshot.parents = parent.into_iter().collect();
        parent = Some(forge.snapshot(&snapshot));
    }
    let mut last = forge.of(root);
    last.parents = parent.into_iter().collect();
    let last = forge.head_with(last);
    forge.tag("bad", last);
    forge.write();
    survey(&forge, "bad", "good").expect(&[("show {rev}", 0), ("cat {rev}:{path}", 0), ("restore {rev}", 0)]);
    assert_eq!(run(&forge, &["show", &format!("bad-{}", length + 1)]).0, 3);
}

/// Sixteen parents each, none of them there: a history of which nothing can be drawn but the steps.
#[test]
fn parents_that_are_missing_are_the_beginning_of_history() {
    let mut forge = Forge::new();
    let file = forge.content(b"good\n");
    let root = forge.leaf(&[(FILE, 0o644, b"good", 5, file)]);
    let mut earlier: Vec<SnapshotId> = Vec::new();
    for step in 0..2_000_u64 {
        let mut snapshot = forge.of(root);
        snapshot.parents =
            (0..16).map(|number| SnapshotId(Digest::of(&[step, number].map(u64::to_le_bytes).concat()))).collect();
        if let Some(known) = earlier.len().checked_sub(8) {
            snapshot.parents[8..].copy_from_slice(&earlier[known..]);
        }
        earlier.push(forge.head_with(snapshot));
    }
    forge.tag("bad", earlier[1_999]);
    forge.write();
    survey(&forge, "bad", "good").expect(&[("log", 0), ("log --graph", 0), ("export --git {out}/all.git", 0)]);
}

/// Every row of a graph is as wide as there are lines side by side, so their number has to have an end.
#[test]
fn a_graph_has_an_end_to_the_right() {
    let mut forge = Forge::new();
    let file = forge.content(b"good\n");
    let root = forge.leaf(&[(FILE, 0o644, b"good", 5, file)]);
    // The last thousand steps each follow sixteen of the others.
    let first: Vec<SnapshotId> = (0..16_000_u64)
        .map(|number| {
            let mut snapshot = forge.of(root);
            snapshot.message = number.to_string();
            forge.head_with(snapshot)
        })
        .collect();
    for parents in first.chunks(16) {
        let mut snapshot = forge.of(root);
        snapshot.parents = parents.to_vec();
        forge.head_with(snapshot);
    }
    forge.tag("bad", first[0]);
    forge.write();
    let (code, stdout, _) = run(&forge, &["log", "--graph"]);
    assert_eq!(code, 0);
    let text = String::from_utf8_lossy(&stdout);
    let widest = text.lines().map(|line| line.chars().take_while(|c| !c.is_ascii_alphanumeric()).count()).max();
    assert!(widest.is_some_and(|width| (50..200).contains(&width)), "{widest:?}");
}

type Make = fn(&mut Forge) -> BlobId;

#[test]
fn attachments_that_are_missing_or_huge_are_refused() {
    let missing: Make = |_| BlobId(Digest::of(b"nowhere"));
    let huge: Make = |forge| zeros(forge, pick(100_000, 1_000_000));
    let makes: [(Make, i32); 2] = [(missing, CORRUPT), (huge, LIMIT)];
    for (make, code) in makes {
        let with = |change: &dyn Fn(&mut Snapshot, BlobId)| {
            with_snapshot(|forge, snapshot| {
                let blob = make(forge);
                change(snapshot, blob);
            })
        };
        let forge = with(&|snapshot, blob| snapshot.event = Attachment::Blob(blob));
        survey(&forge, "bad", "good").expect(&[("show {rev}", code), ("log", code), ("restore {rev}", 0)]);
        let forge = with(&|snapshot, blob| snapshot.times = Attachment::Blob(blob));
        survey(&forge, "bad", "good").expect(&[("export {rev} --tar {out}/step.tar", code), ("restore {rev}", 0)]);
        let forge = with(&|snapshot, blob| snapshot.omitted = Attachment::Blob(blob));
        survey(&forge, "bad", "good").expect(&[("show {rev}", code), ("restore {rev}", code)]);
        let forge = with(&|snapshot, blob| snapshot.rules = blob);
        survey(&forge, "bad", "good").expect(&[("show {rev}", code), ("restore {rev}", code)]);
    }
}

/// S3: one deep path, and then a million more that share all of it but the last letter.
#[test]
fn lists_of_paths_that_expand_are_refused() {
    let list = |with_time: bool, depth: usize, count: u32| {
        let path = vec!["n".repeat(200); depth].join("/");
        let mut bytes = Vec::new();
        let rest = |bytes: &mut Vec<u8>| if with_time { bytes.extend_from_slice(&[0; 8]) } else { bytes.push(1) };
        put_uint(&mut bytes, 0);
        put_uint(&mut bytes, path.len() as u64);
        bytes.extend_from_slice(path.as_bytes());
        rest(&mut bytes);
        let mut before = String::new();
        for number in 0..count {
            let name = format!("/{number:07}");
            let shared = before.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
            put_uint(&mut bytes, (path.len() + shared) as u64);
            put_uint(&mut bytes, (name.len() - shared) as u64);
            bytes.extend_from_slice(&name.as_bytes()[shared..]);
            rest(&mut bytes);
            before = name;
        }
        bytes
    };
    for (depth, count) in [(500, pick(30_000, 1_000_000)), (4_000, 20_000)] {
        let blob = |forge: &mut Forge, bytes: &[u8]| {
            let pieces: Vec<&[u8]> = bytes.chunks(1 << 20).collect();
            if let [only] = pieces[..] {
                return Attachment::Blob(BlobId(forge.content(only)));
            }
            let chunks: Vec<_> = pieces.iter().map(|piece| (forge.content(piece), piece.len() as u64)).collect();
            forge.chunk_list(Digest::of(bytes), &chunks);
            Attachment::Blob(BlobId(Digest::of(bytes)))
        };
        let forge = with_snapshot(|forge, snapshot| {
            snapshot.times = blob(forge, &list(true, depth, count));
            snapshot.omitted = blob(forge, &list(false, depth, count));
        });
        survey(&forge, "bad", "good").expect(&[
            ("show {rev}", CORRUPT),
            ("restore {rev}", CORRUPT),
            ("export {rev} --tar {out}/step.tar", CORRUPT),
            ("restore {rev} --into {out}/into", 0),
        ]);
    }
}

/// An event of 8 MiB whose every byte is a fact, named by many steps.
#[test]
fn events_are_read_one_at_a_time_and_shown_in_part() {
    let mut forge = Forge::new();
    let file = forge.content(b"good\n");
    let root = forge.leaf(&[(FILE, 0o644, b"good", 5, file)]);
    let mut event = b"{\"tool\":\"make\",\"a\":[1".to_vec();
    event.extend_from_slice(&b",1".repeat(4_194_000 - 20));
    event.extend_from_slice(b"]}");
    let chunks: Vec<_> = event
        .chunks(1 << 20)
        .map(|piece| {
            let id = Digest::of(piece);
            forge.squeezed(ObjectKind::Content, id, piece);
            (id, piece.len() as u64)
        })
        .collect();
    let whole = Digest::of(&event);
    forge.chunk_list(whole, &chunks);
    let mut last = None;
    for _ in 0..pick(40, 200) {
        let snapshot = Snapshot { event: Attachment::Blob(BlobId(whole)), ..forge.of(root) };
        last = Some(forge.head_with(snapshot));
    }
    forge.tag("bad", last.unwrap());
    forge.write();
    let (code, stdout, stderr) = run(&forge, &["log"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(String::from_utf8_lossy(&stdout).contains("make"));
    let (code, stdout, _) = run(&forge, &["show", "bad"]);
    assert_eq!(code, 0);
    assert!(stdout.len() < 1 << 20);
}

#[test]
fn nothing_can_follow_the_last_step_number() {
    let mut forge = Forge::new();
    let file = forge.content(b"good\n");
    let root = forge.leaf(&[(FILE, 0o644, b"good", 5, file)]);
    let snapshot = Snapshot { step: u64::MAX, time: Timestamp(i64::MAX), ..forge.of(root) };
    let id = forge.snapshot(&snapshot);
    forge.taken(id, u64::MAX, "main");
    forge.tag("bad", id);
    forge.write();
    survey(&forge, "bad", "good").expect(&[
        ("log", 0),
        ("show {rev}", 0),
        ("snap -m before", LIMIT),
        ("restore {rev}", LIMIT),
    ]);
}

#[test]
fn nothing_can_follow_the_last_transaction_number() {
    let mut forge = with_snapshot(|_, snapshot| snapshot.time = Timestamp(i64::MIN));
    forge.tag("late", SnapshotId(Digest::of(b"nothing")));
    forge.end_transaction_as(u64::MAX);
    forge.write();
    survey(&forge, "bad", "good").expect(&[
        ("log", 0),
        ("show {rev}", 0),
        ("snap -m before", LIMIT),
        ("tag another {rev}", LIMIT),
    ]);
}

/// Step 0 and times beyond any calendar.
#[test]
fn numbers_out_of_range_are_refused() {
    let mut forge = Forge::new();
    let file = forge.content(b"good\n");
    let root = forge.leaf(&[(FILE, 0o644, b"good", 5, file)]);
    let bytes = snapshot::encode(&Snapshot { step: 0, ..forge.of(root) });
    let zero = snapshot_id(&bytes);
    forge.object(ObjectKind::Snapshot, zero.0, &bytes);
    forge.tag("bad", zero);
    forge.write();
    survey(&forge, "bad", "good").expect(&[("show {rev}", CORRUPT), ("restore {rev}", CORRUPT)]);
}

/// Names that would be options, paths or references elsewhere.
#[test]
fn names_of_tags_and_runs_lead_nowhere() {
    let long = "l".repeat(255);
    let names = [
        "../../canary/live",
        "/etc/passwd",
        "-rf",
        "--upload-pack=touch x",
        "refs/heads/x",
        "HEAD",
        "a..b",
        "a.lock",
        ".hidden",
        "a b",
        "a:b",
        "a\\b",
        "a~1^{}",
        "@{-1}",
        "\u{1b}[31m",
        "line\nbreak",
        "config",
        &long,
    ];
    let mut forge = Forge::new();
    let file = forge.content(b"good\n");
    let root = forge.leaf(&[(FILE, 0o644, b"good", 5, file)]);
    let mut last = None;
    for name in names {
        let snapshot = Snapshot { run: Some(name.to_owned()), message: name.to_owned(), ..forge.of(root) };
        let id = forge.head_with(snapshot);
        forge.tag(name, id);
        last = Some(id);
    }
    forge.tag("bad", last.unwrap());
    forge.write();
    survey(&forge, "bad", "good").expect(&[("export --git {out}/all.git", 0), ("restore {rev}", 0)]);
    let git = walk(&forge.at("out/all.git"));
    let top = |path: &[u8]| path.split(|byte| *byte == b'/').next().unwrap().to_vec();
    let tops: std::collections::BTreeSet<Vec<u8>> = git.keys().map(|path| top(path)).collect();
    for path in &tops {
        let known: [&[u8]; 12] = [
            b"",
            b"HEAD",
            b"config",
            b"description",
            b"hooks",
            b"info",
            b"logs",
            b"objects",
            b"refs",
            b"packed-refs",
            b"branches",
            b"worktrees",
        ];
        assert!(known.contains(&&path[..]), "{}", path.escape_ascii());
    }
    let mut references = git.keys().filter(|path| path.starts_with(b"refs/"));
    assert!(references.all(|path| path.split(|byte| *byte == b'/').all(|part| !part.starts_with(b"."))));
    let config = std::fs::read_to_string(forge.at("out/all.git/config")).unwrap();
    assert!(config.contains("[core]"), "{config}");
}

/// Hundreds of thousands of facts, among them as many that take others back.
#[test]
fn facts_without_number_are_folded_in_time() {
    let mut forge = Forge::new();
    let file = forge.content(b"good\n");
    let root = forge.leaf(&[(FILE, 0o644, b"good", 5, file)]);
    let id = forge.head(root);
    forge.tag("bad", id);
    let nobody = |number: u64| SnapshotId(Digest::of(&number.to_le_bytes()));
    // So many transactions, of which half is forgotten again, of so many facts each.
    let (transactions, length) = (40_u64, pick(500, 5_000));
    for transaction in 0..transactions {
        for number in transaction * length..(transaction + 1) * length {
            forge.taken(nobody(number), number + 10, "main");
            forge.tag(&format!("t{number}"), nobody(number));
        }
        forge.end_transaction();
    }
    for transaction in 0..transactions / 2 {
        for number in transaction * length..(transaction + 1) * length {
            forge.fact(Fact::SnapshotForgotten { snapshot: nobody(number), time: NOON });
        }
        forge.end_transaction();
    }
    forge.taken(id, 1_000_000, "main");
    forge.write();
    survey(&forge, "bad", "good").expect(&[("tag", 0), ("show {rev}", 0), ("log", CORRUPT), ("restore {rev}", 0)]);
    assert_eq!(run(&forge, &["show", &format!("t{}", transactions * length / 4 * 3)]).0, CORRUPT);
    assert_eq!(run(&forge, &["show", "t7"]).0, 3, "it was forgotten");
}

/// Restores that never were, of snapshots that are not there, in workspaces that are not there.
#[test]
fn invented_restores_cannot_be_undone() {
    let mut forge = Forge::new();
    let file = forge.content(b"good\n");
    let root = forge.leaf(&[(FILE, 0o644, b"good", 5, file)]);
    let id = forge.head(root);
    forge.tag("bad", id);
    let gone = SnapshotId(Digest::of(b"gone"));
    for (number, workspace) in [forge.workspace, WorkspaceId([9; 16]), forge.workspace].into_iter().enumerate() {
        let before = (number == 0).then_some(gone);
        let paths = vec![b"canary".to_vec(); 10_000];
        for cause in [
            RestoreCause::Restore,
            RestoreCause::Undo { count: u64::MAX },
            RestoreCause::Redo { count: u64::MAX },
            RestoreCause::Restore,
        ] {
            let restore = Restore { workspace, before, target: gone, paths: paths.clone(), cause, time: NOON };
            forge.fact(Fact::RestoreBegun(restore));
            forge.fact(Fact::RestoreEnded { workspace, state: None, time: NOON });
            forge.end_transaction();
        }
    }
    forge.write();
    let (code, _, _) = run(&forge, &["undo", "1000000"]);
    assert!(code == 3 || code == CORRUPT, "{code}");
    survey(&forge, "bad", "good").expect(&[("restore {rev}", 0)]);
}

/// Restores for which nothing had to change are no changes that could be undone, and a folder goes millions of states
/// back and forth in no time.
#[test]
fn undo_skips_restores_without_changes() {
    let mut forge = Forge::new();
    let file = forge.content(b"good\n");
    let root = forge.leaf(&[(FILE, 0o644, b"good", 5, file)]);
    let id = forge.head(root);
    forge.tag("bad", id);
    let gone = SnapshotId(Digest::of(b"gone"));
    let (workspace, paths) = (forge.workspace, Vec::new());
    for (number, target) in (0..20_000).zip([gone, id].into_iter().cycle()) {
        let causes = [RestoreCause::Restore, RestoreCause::Undo { count: 1 << 40 }, RestoreCause::Redo { count: 1 }];
        let cause = causes[if number < 10_000 { 0 } else { number % 2 + 1 }];
        let restore = Restore { workspace, before: Some(id), target, paths: paths.clone(), cause, time: NOON };
        forge.fact(Fact::RestoreBegun(restore));
        forge.fact(Fact::RestoreEnded { workspace, state: Some(id), time: NOON });
    }
    forge.write();
    let (code, _, stderr) = run(&forge, &["undo", "1000000"]);
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("only 1 change can be taken back"), "there are edits, and nothing else: {stderr}");
}

/// Snapshots as long as they may be, none like another.
#[test]
fn messages_up_to_their_limit_are_listed() {
    let mut forge = Forge::new();
    let file = forge.content(b"good\n");
    let root = forge.leaf(&[(FILE, 0o644, b"good", 5, file)]);
    let mut last = None;
    for seed in 0..200 {
        let message: String = noise(seed, 65_536).iter().map(|byte| char::from(byte & 0x7f)).collect();
        last = Some(forge.head_with(Snapshot { message, ..forge.of(root) }));
    }
    forge.tag("bad", last.unwrap());
    forge.write();
    survey(&forge, "bad", "good").expect(&[("log", 0), ("show {rev}", 0), ("export --git {out}/all.git", 0)]);
}

/// A transaction with a right hash, and facts that no reader accepts. A rebuilt journal has nothing of them, so that a
/// repair does not rebuild it without end.
#[test]
fn facts_that_no_reader_accepts_are_reported_and_end_a_repair() {
    let mut forge = with_snapshot(|_, _| {});
    let (workspace, root) = (forge.workspace, b"relative".to_vec());
    forge.fact(Fact::WorkspaceMoved { workspace, root, time: NOON });
    forge.end_transaction();
    let honest = snapshot_id(&snapshot::encode(&forge.honest));
    forge.tag("later", honest);
    forge.write();
    survey(&forge, "bad", "good").expect(&[("show {rev}", 0), ("cat {rev}:{path}", 0), ("verify", 1)]);
    let (code, listed, _) = run(&forge, &["tag"]);
    assert_eq!(code, 0);
    assert!(String::from_utf8_lossy(&listed).contains("later"));
}
