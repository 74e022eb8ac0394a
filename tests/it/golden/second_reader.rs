//! `tests/format_reader.py`, a reader written from store-format.md alone, finds in a store what the library finds.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::{copy, expected, expected_reading};
use crate::support::depth::{AtLeast, Depth, depth, pick};
use crate::support::naughty::{Extras, naughty};
use crate::support::recorder::Recorder;
use crate::support::rng::Rng;
use crate::support::scratch::Scratch;
use crate::support::walker::walk;

/// A Python with the packages that the reader needs: the one that `.ci/run` made beside the build, or the system's. At
/// full depth there must be one.
fn python() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let beside_the_build = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../format-reader/bin/python3");
        let can = |python: &PathBuf| {
            let tried = Command::new(python).args(["-c", "import blake3, zstandard"]).output();
            tried.is_ok_and(|output| output.status.success())
        };
        [beside_the_build, PathBuf::from("python3")].into_iter().find(can)
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

/// What `list` prints, as the library would say it.
#[track_caller]
fn assert_lists_the_same(python: &Path, store: &Path, reading: &Value) {
    let listed = lines(&run(python, &["list".as_ref(), store.as_os_str()]));
    let (workspaces, snapshots): (Vec<Value>, Vec<Value>) =
        listed.into_iter().partition(|line| line.get("snapshot").is_none());
    let mut wanted = reading.clone();
    for snapshot in wanted["snapshots"].as_array_mut().unwrap() {
        let fields = snapshot.as_object_mut().unwrap();
        ["paths", "manifest", "new_entries"].iter().for_each(|field| drop(fields.remove(*field)));
    }
    let found = json!({ "workspaces": workspaces, "snapshots": snapshots });
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

/// The packs alone, and a store with its caches, are one and the same to it.
#[test]
fn it_reads_the_golden_store() {
    let reading = expected_reading();
    let Some(python) = python() else { return };
    let scratch = Scratch::new();
    for has_caches in [true, false] {
        let store = copy(&scratch, has_caches);
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
        ("left out paths", 1),
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
fn it_reads_a_random_store() {
    let Some(python) = python() else { return };
    let recorder = Recorder::new();
    naughty(&recorder.root, Extras::default());
    recorder.snap();
    let (mut rng, steps) = (Rng::new(0x601d), pick(12, 24));
    for _ in 0..steps {
        for _ in 0..=rng.below(3) {
            edit(&recorder, &mut rng);
        }
        recorder.snap();
    }
    recorder.undo();
    let (store, reading) = (recorder.store_root(), expected::reading(&recorder.store));
    assert_lists_the_same(python, &store, &reading);
    let checked = lines(&run(python, &["check".as_ref(), store.as_os_str()])).remove(0);
    assert_eq!(checked["problems"], json!([]));
    let all = snapshots(&reading);
    for place in [0, all.len() / 2, all.len() - 1] {
        assert_extracts(python, &store, &all[place]);
    }
    AtLeast::new(10, 20).require("snapshots of a random store that a second reader lists", all.len());
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

/// A reader that finds nothing wrong with anything would pass all the other tests.
#[test]
fn it_notices_every_flipped_byte_of_a_batch() {
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

#[expect(clippy::disallowed_methods, reason = "tests damage files of their own")]
fn overwrite(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}
