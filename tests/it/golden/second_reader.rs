//! `tests/format_reader.py`, a reader written from store-format.md alone, finds in a store what the library finds.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use retrograde::format::facts::{Fact, Restore, RestoreCause};
use retrograde::format::snapshot::Cause;
use retrograde::id::{Digest, SnapshotId, WorkspaceId};
use retrograde::time::Timestamp;
use serde_json::{Value, json};

use super::{copy, expected, expected_reading, opened};
use crate::support::depth::{AtLeast, Depth, depth, pick};
use crate::support::naughty::{Extras, naughty};
use crate::support::recorder::Recorder;
use crate::support::rng::Rng;
use crate::support::scratch::Scratch;
use crate::support::walker::walk;

/// A Python with the packages that the reader needs: the one that `.ci/run` made beside the build, or the system's. At
/// full depth there must be one.
pub(super) fn python() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let below = |folder: &str, path| Path::new(folder).join(path).join("format-reader/bin/python3");
        let beside_the_build = below(env!("CARGO_TARGET_TMPDIR"), "..");
        // Builds of other features may have a target folder of their own.
        let in_the_checkout = below(env!("CARGO_MANIFEST_DIR"), "target");
        let can = |python: &PathBuf| {
            let tried = Command::new(python).args(["-c", "import blake3, zstandard"]).output();
            tried.is_ok_and(|output| output.status.success())
        };
        [beside_the_build, in_the_checkout, PathBuf::from("python3")].into_iter().find(can)
    };
    let found = FOUND.get_or_init(find).as_deref();
    if found.is_none() {
        let missing = "no Python with the packages blake3 and zstandard is here (`.ci/run` says how to get one)";
        assert!(depth() == Depth::Quick, "{missing}: the second reader cannot run");
        // Not `eprintln!`, of which a test that passes shows nothing.
        drop(writeln!(std::io::stderr(), "skipped: {missing}"));
    }
    found
}

fn run(python: &Path, arguments: &[&std::ffi::OsStr]) -> Output {
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format_reader.py");
    Command::new(python).arg("-B").arg(reader).args(arguments).output().unwrap()
}

#[track_caller]
fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The output of `list`, in the form of a reading by the library.
#[track_caller]
pub(super) fn listing(python: &Path, store: &Path) -> Value {
    let listed = lines(&run(python, &["list".as_ref(), store.as_os_str()]));
    let (workspaces, mut snapshots): (Vec<Value>, Vec<Value>) =
        listed.into_iter().partition(|line| line.get("snapshot").is_none());
    for snapshot in &mut snapshots {
        if snapshot.get("problem").is_some() {
            snapshot["problem"] = true.into();
        }
    }
    json!({ "workspaces": workspaces, "snapshots": snapshots })
}

/// The problems that `check` finds.
#[track_caller]
pub(super) fn problems(python: &Path, store: &Path) -> Vec<String> {
    let output = run(python, &["check".as_ref(), store.as_os_str()]);
    let text = String::from_utf8_lossy(&output.stdout);
    let checked: Value =
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_value(checked["problems"].clone()).unwrap()
}

#[track_caller]
fn assert_lists_the_same(python: &Path, store: &Path, reading: &Value) {
    let mut wanted = reading.clone();
    for snapshot in wanted["snapshots"].as_array_mut().unwrap() {
        let fields = snapshot.as_object_mut().unwrap();
        ["paths", "manifest", "new_entries"].iter().for_each(|field| drop(fields.remove(*field)));
    }
    let found = listing(python, store);
    assert!(found == wanted, "{}", expected::first_difference(&found, &wanted));
}

/// Extracts a snapshot, and compares all of it with the manifest.
#[track_caller]
fn assert_extracts(python: &Path, store: &Path, snapshot: &Value) {
    let scratch = Scratch::new();
    let (id, target) = (snapshot["snapshot"].as_str().unwrap(), scratch.join("extracted"));
    lines(&run(python, &["extract".as_ref(), store.as_os_str(), id.as_ref(), target.as_os_str()]));
    let entries = expected::entries_of(&walk(&target));
    let found = (entries.len() - 1, expected::manifest(&entries));
    let wanted = (snapshot["paths"].as_u64().unwrap(), snapshot["manifest"].as_str().unwrap());
    assert_eq!((found.0 as u64, &found.1[..]), wanted, "{snapshot:#} {entries:#?}");
}

fn snapshots(reading: &Value) -> &Vec<Value> {
    reading["snapshots"].as_array().unwrap()
}

/// It reads the same from a whole store and from the packs alone, without `FORMAT`.
#[test]
fn the_second_reader_reads_the_golden_store() {
    let reading = expected_reading();
    let Some(python) = python() else { return };
    let scratch = Scratch::new();
    for has_caches in [true, false] {
        let store = copy(&scratch, has_caches);
        if !has_caches {
            remove(&store.join("FORMAT"));
        }
        assert_lists_the_same(python, &store, &reading);
        let checked = lines(&run(python, &["check".as_ref(), store.as_os_str()])).remove(0);
        assert_eq!(checked["problems"], json!([]));
        if has_caches {
            assert_has_everything(&checked["counts"]);
            snapshots(&reading).iter().for_each(|snapshot| assert_extracts(python, &store, snapshot));
        }
    }
    AtLeast::always(20)
        .require("snapshots of the golden store that a second reader extracts", snapshots(&reading).len());
}

/// Nothing that the document describes is missing from the golden store.
fn assert_has_everything(counts: &Value) {
    let wanted = [
        ("packs", 2),
        ("raw records", 1),
        ("zstd records", 5),
        ("delta records", 5),
        ("splice records", 5),
        ("records of several members", 3),
        ("deepest delta", 4),
        ("chunk lists", 2),
        ("nodes of split folders", 2),
        ("omitted paths", 1),
        ("excluded paths", 1),
        ("paths with attributes", 3),
        ("folders", 3),
        ("symlinks", 2),
    ];
    for (name, least) in wanted {
        assert!(counts[name].as_u64().unwrap_or(0) >= least, "{name}: at least {least} are wanted in {counts:#}");
    }
}

/// A workspace as hostile as a file system allows, and then random edits, step by step.
#[test]
fn the_second_reader_reads_a_random_store() {
    let Some(python) = python() else { return };
    let recorder = Recorder::new();
    naughty(&recorder.root, Extras::default());
    recorder.snap();
    let (mut rng, steps) = (Rng::new(0x601d), pick(8, 24));
    for _ in 0..steps {
        for _ in 0..=rng.below(3) {
            edit(&recorder, &mut rng);
        }
        recorder.snap();
        go_somewhere(&recorder, &mut rng);
    }
    let (store, wanted) = (recorder.store_root(), expected::listing(&recorder.store));
    assert_lists_the_same(python, &store, &wanted);
    let checked = lines(&run(python, &["check".as_ref(), store.as_os_str()])).remove(0);
    assert_eq!(checked["problems"], json!([]));
    let all = snapshots(&wanted);
    for place in [0, all.len() / 2, all.len() - 1] {
        let mut snapshot = all[place].clone();
        expected::add_entries(&recorder.store, &mut snapshot, &expected::Entries::new());
        assert_extracts(python, &store, &snapshot);
    }
    AtLeast::new(8, 24).require("snapshots of a random store that a second reader lists", all.len());
}

/// Goes back, forward or to some step, or stays.
fn go_somewhere(recorder: &Recorder, rng: &mut Rng) {
    let state = recorder.store.state();
    let workspace = &state.workspaces[&recorder.workspace];
    let steps: Vec<_> = workspace.steps.values().copied().collect();
    let step = steps[rng.below(steps.len())];
    match rng.below(6) {
        0 if workspace.timeline.backwards().count() > 1 => drop(recorder.undo()),
        1 if workspace.timeline.undone().len() > 0 => drop(recorder.redo()),
        2 => drop(recorder.restore(step)),
        3 => drop(recorder.restore_with(step, &["edited"], false)),
        _ => {}
    }
}

/// Writes, appends to, changes in a few places or removes one of a few files.
fn edit(recorder: &Recorder, rng: &mut Rng) {
    let name = format!("edited/{}", rng.below(6));
    let path = recorder.root.join(&name);
    let mut content = std::fs::read(&path).unwrap_or_default();
    match rng.below(5) {
        0 => content = rng.bytes(1_000),
        1 => content.extend_from_slice(&vec![b'a' + (rng.next() % 26) as u8; 400_000]),
        _ => {
            for _ in 0..=rng.below(3) {
                let at = rng.below(content.len() + 1);
                content.splice(at..at, rng.bytes(20));
            }
        }
    }
    recorder.write(&name, &content);
}

/// Random facts about a few workspaces and snapshots come to the same state, for undo and redo too (J1, J5, J7, J9).
#[test]
fn the_second_reader_applies_random_facts_as_the_library_does() {
    let Some(python) = python() else { return };
    let (mut rng, mut tried) = (Rng::new(0xfac7), 0);
    for round in 0..pick(3, 80) {
        let scratch = Scratch::new();
        let store = opened(&scratch.join("store"));
        for _ in 0..60 {
            let facts = (0..=rng.below(4)).map(|_| random_fact(&mut rng)).collect();
            store.record(|_| Ok(facts)).unwrap();
        }
        let (found, wanted) = (listing(python, &scratch.join("store")), expected::listing(&store));
        assert!(found == wanted, "round {round}: {}", expected::first_difference(&found, &wanted));
        tried += 1;
    }
    AtLeast::new(3, 80).require("stores of random facts that a second reader lists", tried);
}

pub(super) fn random_fact(rng: &mut Rng) -> Fact {
    let workspace = WorkspaceId([u8::try_from(rng.below(3)).unwrap(); 16]);
    let id = |rng: &mut Rng| SnapshotId(Digest([u8::try_from(rng.below(7)).unwrap(); 32]));
    let snapshot = id(rng);
    let maybe = Some(snapshot).filter(|_| rng.below(4) > 0);
    let (time, count) = (Timestamp(i64::try_from(rng.below(1_000)).unwrap() - 500), rng.below(4) as u64);
    match rng.below(16) {
        0 | 1 => Fact::WorkspaceAdded { workspace, root: b"/added".to_vec(), time },
        2 => Fact::WorkspaceMoved { workspace, root: b"/moved \xff".to_vec(), time },
        3 if rng.below(4) == 0 => Fact::WorkspaceForgotten { workspace, time },
        4 => Fact::WorkspaceRecalled { workspace, time },
        5 => Fact::SnapshotForgotten { snapshot, time },
        6 => Fact::Tagged { workspace, name: format!("tag{count}"), snapshot: maybe, time },
        7 => Fact::Pinned { snapshot, pinned: count == 0, time },
        8..=10 => {
            let causes = [RestoreCause::Restore, RestoreCause::Undo { count }, RestoreCause::Redo { count }];
            let cause = causes.get(rng.below(4)).copied().unwrap_or(RestoreCause::Abort);
            let paths = (0..rng.below(2)).map(|_| b"a/b".to_vec()).collect();
            Fact::RestoreBegun(Restore { workspace, before: maybe, target: id(rng), paths, cause, time })
        }
        11 => Fact::GenerationBegun { generation: count, condemned: vec![[1; 16]; rng.below(3)], time },
        12 => Fact::RestoreEnded { workspace, state: maybe, time },
        _ => {
            let causes = [Cause::Step, Cause::BeforeRestore, Cause::Import, Cause::AfterRestore];
            let run = Some("run".to_owned()).filter(|_| count > 0);
            let (step, cause) = (1 + rng.below(9) as u64, causes[rng.below(4)]);
            Fact::SnapshotTaken { workspace, snapshot, step, run, cause }
        }
    }
}

/// A reader that finds nothing wrong with anything would pass all the other tests.
#[test]
fn the_second_reader_notices_flipped_bytes() {
    let Some(python) = python() else { return };
    let scratch = Scratch::new();
    let (store, mut tried) = (copy(&scratch, false), 0);
    let pack = store.join("packs/000001.pack");
    let whole = std::fs::read(&pack).unwrap();
    for place in (0..whole.len()).step_by(whole.len() / pick(6, 60)) {
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        overwrite(&pack, &damaged);
        let output = run(python, &["check".as_ref(), store.as_os_str()]);
        assert_eq!(output.status.code(), Some(1), "byte {place}: {}", String::from_utf8_lossy(&output.stdout));
        assert!(!String::from_utf8_lossy(&output.stderr).contains("Traceback"), "byte {place}");
        tried += 1;
    }
    AtLeast::new(5, 50).require("flipped bytes that a second reader notices", tried);
}

/// Both readers make the same of damage: which facts count, and which objects can still be read.
#[test]
fn the_second_reader_agrees_with_the_library_about_damage() {
    let Some(python) = python() else { return };
    let (scratch, mut rng) = (Scratch::new(), Rng::new(0xdead));
    let (store, mut tried, mut lost) = (copy(&scratch, false), 0, 0);
    let packs = ["packs/000001.pack", "packs/000002.pack"].map(|pack| store.join(pack));
    let whole = packs.each_ref().map(|pack| std::fs::read(pack).unwrap());
    for round in 0..pick(12, 200) {
        let which = rng.below(2);
        packs.iter().zip(&whole).for_each(|(pack, bytes)| overwrite(pack, bytes));
        overwrite(&packs[which], &damaged(&whole[which], &mut rng));
        let found = listing(python, &store);
        let wanted = expected::listing(&opened(&store));
        assert!(found == wanted, "round {round}: {}", expected::first_difference(&found, &wanted));
        if round % pick(2, 4) == 0 {
            let found = steps_with_problems(&problems(python, &store));
            let store = opened(&store);
            let state = store.state();
            let aside = state.forgotten.values().map(|forgotten| &forgotten.workspace);
            let steps = state.workspaces.values().chain(aside).flat_map(|workspace| &workspace.steps);
            let wanted: BTreeSet<String> = steps
                .filter(|(_, id)| expected::read_all(&store, **id).is_err())
                .map(|(step, id)| format!("s{step} {id}"))
                .collect();
            assert_eq!(found, wanted, "round {round}");
            lost += wanted.len();
        }
        tried += 1;
    }
    AtLeast::new(12, 200).require("damaged stores that both readers read", tried);
    AtLeast::new(1, 50).require("damaged snapshots that neither reads as a whole", lost);
}

/// The steps that `check` finds something wrong with, as `s12 ID`.
pub(super) fn steps_with_problems(problems: &[String]) -> BTreeSet<String> {
    let named = problems.iter().filter_map(|problem| problem.split_once(':'));
    let is_step = |what: &&str| what.starts_with('s') && what[1..].starts_with(|first: char| first.is_ascii_digit());
    named.map(|(what, _)| what).filter(is_step).map(str::to_owned).collect()
}

/// A pack with some bytes flipped, zeroed, cut off, removed or repeated.
fn damaged(pack: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = pack.to_vec();
    for _ in 0..=rng.below(2) {
        // Now and then in the header, which is short.
        let is_in_header = rng.below(5) == 0;
        let start = rng.below(if is_in_header { 60.min(bytes.len()) } else { bytes.len() });
        let end = (start + 1 + rng.below(2_000)).min(bytes.len());
        match rng.below(6) {
            0 | 1 => bytes[start] ^= 1 << rng.below(8),
            2 => bytes[start..end].fill(0),
            3 => bytes.truncate(end),
            4 => drop(bytes.drain(start..end)),
            _ => {
                let again = bytes[start..end].to_vec();
                bytes.splice(start..start, again);
            }
        }
    }
    bytes
}

#[expect(clippy::disallowed_methods, reason = "tests remove files of their own")]
fn remove(path: &Path) {
    std::fs::remove_file(path).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "tests damage files of their own")]
pub(super) fn overwrite(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}
