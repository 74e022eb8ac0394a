//! Damage of every kind, to every kind of file in a store, met by every verb of the real program.
//!
//! ```text
//! one store, six steps, two packs; for each damage three copies of it:
//!   looks    every verb that only reads
//!   writes   snap, tag, pin, restore, undo, redo, restore --abort
//!   repairs  every path read, verify, repair --dry-run, repair, repair, verify, every path read
//! ```
//!
//! Never a crash, a hang, unbounded memory, or wrong bytes: what is printed or written is what was recorded, or the
//! program says that it is not, names file or object, and ends with a documented code. Damage to a cache changes no
//! answer. Damage to a pack is found, with every step and path that cannot be read for it. A repair takes nothing away
//! that could be read, turns single bits back, and after it every step is whole, or known to be incomplete, and
//! recording goes on.

#![expect(clippy::disallowed_methods, reason = "tests damage files of their own")]

mod fixture;
mod history;
mod live;
mod noted;
mod places;
mod reads;
mod vanish;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use fixture::{Fixture, Given, Names, Part};
use reads::{Reads, expect_exported, findings, framing};

use crate::support::depth::{AtLeast, is_turn, pick};
use crate::support::verbs;

/// The damage done to one file.
#[derive(Clone, Debug)]
enum Damage {
    Deleted,
    CutTo(usize),
    BitFlipped(usize, u8),
    Zeroed(usize, usize),
    OfAnotherStore,
    Stale,
    Garbage(usize),
}

/// Files that are damaged, and what kind they are.
const FILES: [(&str, Sort); 8] = [
    ("FORMAT", Sort::Format),
    ("packs/000001.pack", Sort::Pack),
    ("packs/000002.pack", Sort::Pack),
    ("packs/000001.idx", Sort::Cache),
    ("packs/000002.idx", Sort::Cache),
    ("journal", Sort::Cache),
    ("workspaces/WS/stat", Sort::Cache),
    ("lock", Sort::Cache),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Format,
    Pack,
    Cache,
}

/// One file damaged in one way.
#[derive(Clone, Debug)]
struct Case {
    file: String,
    sort: Sort,
    damage: Damage,
    /// Caches that are gone as well.
    without: &'static [&'static str],
}

/// Codes that `retro --help` lists.
const CODES: [i32; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 130];

#[test]
fn every_damage_to_every_file_met_by_every_verb() {
    // `look`, `write` and `repair` run these; the others read no store, or fill a new one.
    let more = ["cat", "restore", "export", "verify", "snap", "tag", "pin", "undo", "redo", "repair"];
    verbs::expect_all(LOOKS.iter().chain(&more).copied(), &["init", "import", "completions", "help"]);
    let given = Given::record();
    let cases = cases(&given);
    let next = AtomicUsize::new(0);
    let runs = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(number) else { break };
                    let tried = std::panic::catch_unwind(|| try_case(&given, case, number));
                    match tried {
                        Ok(count) => drop(runs.fetch_add(count, Ordering::Relaxed)),
                        Err(problem) => {
                            let text = problem.downcast_ref::<String>().cloned().unwrap_or_default();
                            failures.lock().unwrap().push(format!("{case:?}: {text}"));
                        }
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n\n"));
    AtLeast::new(110, 210).require("damages", cases.len());
    AtLeast::new(4_000, 11_000).require("runs of the program on damaged stores", runs.into_inner());
}

/// Everything but the packs may be deleted at once.
#[test]
fn packs_alone_are_enough() {
    let given = Given::record();
    let fixture = given.copy();
    for name in ["journal", "packs/000001.idx", "packs/000002.idx", "FORMAT"] {
        std::fs::remove_file(fixture.store.join(name)).unwrap();
    }
    for folder in ["workspaces", "tmp"] {
        std::fs::remove_dir_all(fixture.store.join(folder)).unwrap();
    }
    let refused = fixture.run(&["snap"]);
    assert_eq!(refused.code, 7, "{}", refused.stderr);
    assert!(refused.stderr.contains("FORMAT") && refused.stderr.contains("retro repair"), "{}", refused.stderr);
    assert_eq!(fixture.run(&["repair"]).code, 0);
    assert_eq!(fixture.run(&["verify"]).code, 0);
    for step in 1..=given.steps() {
        fixture.expect_step(&given, step);
    }
    fixture.write("after", b"goes on");
    assert_eq!(fixture.run(&["snap"]).code, 0);
    assert_eq!(fixture.run(&["verify"]).code, 0);
}

fn cases(given: &Given) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut random = 7_u64;
    for (file, sort) in FILES {
        let file = file.replace("WS", &given.workspace_id);
        let bytes = std::fs::read(given.store.join(&file)).unwrap();
        let mut add = |damage, without| cases.push(Case { file: file.clone(), sort, damage, without });
        add(Damage::Deleted, &[]);
        add(Damage::OfAnotherStore, &[]);
        add(Damage::Stale, &[]);
        add(Damage::Garbage(100), &[]);
        add(Damage::Garbage(70_000), &[]);
        // The sweep over all parts is for full depth: the damages below hit a few of them in any case.
        let parts = pick(Vec::new(), given.parts(&file, &bytes));
        for (number, Part { start, end }) in parts.iter().enumerate() {
            if number % 2 == 0 {
                add(Damage::CutTo(*start), &[]);
            }
            let at = if number % 3 == 0 { *start } else { (start + end) / 2 };
            add(Damage::BitFlipped(at, u8::try_from(number % 8).unwrap()), &[]);
        }
        if bytes.is_empty() {
            continue;
        }
        for length in [16, 4_096] {
            add(Damage::Zeroed(bytes.len() / 3, length), &[]);
        }
        add(Damage::CutTo(bytes.len() - 1), &[]);
        add(Damage::BitFlipped(bytes.len() - 1, 7), &[]);
        for _ in 0..if sort == Sort::Pack { 6 } else { 2 } {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = usize::try_from(random >> 33).unwrap() % bytes.len();
            let bit = u8::try_from(random >> 20 & 7).unwrap();
            add(Damage::BitFlipped(at, bit), &[]);
            if sort == Sort::Pack {
                add(Damage::BitFlipped(at, bit), &["journal", "packs/000001.idx", "packs/000002.idx"]);
                add(Damage::Zeroed(at, 700), &["packs/000001.idx", "packs/000002.idx"]);
            }
        }
    }
    cases
}

/// Tries one damage, and returns how often the program ran. At quick depth every second damage is met by the verbs that
/// write, and the others are repaired.
fn try_case(given: &Given, case: &Case, number: usize) -> usize {
    let copy = || {
        let mut fixture = given.copy();
        let is_changed = apply(given, case, &fixture.store);
        fixture.expect_named(&case.file, if case.sort == Sort::Pack { Names::FileOrContent } else { Names::File });
        (fixture, is_changed)
    };
    let (looks, is_changed) = copy();
    look(given, case, &looks, is_changed);
    let mut runs = looks.runs();
    if is_turn(number, 2) {
        let (writes, _) = copy();
        write(given, &writes);
        runs += writes.runs();
    }
    if is_turn(number + 1, 2) {
        let (repairs, _) = copy();
        repair(given, case, &repairs);
        runs += repairs.runs();
    }
    runs
}

/// Damages the file; whether it is another one now.
fn apply(given: &Given, case: &Case, store: &Path) -> bool {
    for cache in case.without {
        std::fs::remove_file(store.join(cache)).unwrap();
    }
    let path = store.join(&case.file);
    let before = std::fs::read(&path).unwrap();
    let mut bytes = before.clone();
    match case.damage {
        Damage::Deleted => {
            std::fs::remove_file(&path).unwrap();
            return true;
        }
        Damage::CutTo(length) => bytes.truncate(length),
        Damage::BitFlipped(at, bit) => bytes[at] ^= 1 << bit,
        Damage::Zeroed(at, length) => {
            let end = (at + length).min(bytes.len());
            bytes[at..end].fill(0);
        }
        Damage::OfAnotherStore => bytes = given.foreign(&case.file),
        Damage::Stale => bytes = given.stale(&case.file),
        Damage::Garbage(length) => bytes.extend((0..length).map(|at| u8::try_from(at * 7 % 251).unwrap())),
    }
    std::fs::write(&path, &bytes).unwrap();
    bytes != before
}

/// Verbs that only read, as they are typed; `cat`, `restore --into`, `export --git` and `verify` are tried with more.
const LOOKS: &[&str] = &[
    "status",
    "log --stat",
    "show s3",
    "runs",
    "ls -r s4",
    "diff s1 s5",
    "stats",
    "export --tar ../out.tar s5",
    "verify --quick",
    "cat s2:link",
    "workspace list",
];

/// Every verb that only reads.
fn look(given: &Given, case: &Case, fixture: &Fixture, is_changed: bool) {
    let mut codes = Vec::new();
    for &line in LOOKS {
        let ran = fixture.check(&line.split(' ').collect::<Vec<_>>());
        codes.push((line, ran.code));
    }
    for (path, content) in given.files(3) {
        let ran = fixture.check(&["cat", &format!("s3:{path}")]);
        codes.push(("cat", ran.code));
        assert!(ran.code != 0 || ran.stdout == *content, "cat s3:{path} printed something else");
        assert!(content.starts_with(&ran.stdout), "cat s3:{path} printed other bytes before it failed");
    }
    codes.push(("restore --into", fixture.try_step(given, 5)));
    let exported = fixture.check(&["export", "--git", "../out.git", "s1..s5"]).code;
    codes.push(("export --git", exported));
    if exported == 0 {
        expect_exported(&fixture.store.with_file_name("out.git"), given, 5);
    }
    let verified = fixture.check(&["verify", "--json"]);
    if case.sort == Sort::Cache {
        fixture.check(&["verify", "--sample", "20%", "--seed", "1"]);
    } else {
        let sampled = fixture.check(&["verify", "--sample", "100%", "--json"]);
        assert_eq!(sampled.code, verified.code);
        assert_eq!(findings(&sampled.stdout), findings(&verified.stdout), "a sample of all finds something else");
    }
    if case.sort == Sort::Cache {
        let failed: Vec<_> = codes.iter().filter(|(line, code)| *code != 0 && !line.starts_with("verify")).collect();
        assert!(failed.is_empty(), "damage to a cache changes an answer: {failed:?}");
    }
    // Bytes appended to the last pack, or one changed bit there, look like the work of a writer that died.
    let looks_torn = matches!(case.damage, Damage::Garbage(_)) && case.file.ends_with("2.pack");
    let is_hidden = !case.without.is_empty() && case.file.ends_with("2.pack");
    if case.sort != Sort::Cache && is_changed && !looks_torn && !is_hidden {
        assert_eq!(verified.code, 1, "verify found nothing\n{}", String::from_utf8_lossy(&verified.stdout));
        if is_structural(given, case) {
            let quick = codes.iter().find(|(line, _)| *line == "verify --quick");
            assert_eq!(quick.map(|(_, code)| *code), Some(1), "verify --quick does not see damage to structure");
        }
    }
}

/// True if the damage shows without decoding or hashing anything: it hits the framing of a pack, or all of a file.
fn is_structural(given: &Given, case: &Case) -> bool {
    let hits_framing = |start: usize, end: usize| {
        let pack = std::fs::read(given.store.join(&case.file)).unwrap();
        framing(&pack).iter().any(|frame| frame.0 < end && start < frame.1)
    };
    match case.damage {
        _ if case.sort != Sort::Pack => false,
        Damage::BitFlipped(at, _) => hits_framing(at, at + 1),
        Damage::Zeroed(at, length) => hits_framing(at, at + length),
        Damage::Deleted | Damage::CutTo(_) | Damage::OfAnotherStore | Damage::Stale | Damage::Garbage(_) => true,
    }
}

/// Runs verbs that write. Even if they fail, the folder only ever holds contents that were recorded or that the test
/// wrote.
fn write(given: &Given, fixture: &Fixture) {
    fixture.write("new", b"written after the damage");
    let before = fixture.folder();
    fixture.check(&["snap", "-m", "after the damage"]);
    assert!(fixture.folder() == before, "snap changed the folder");
    if fixture.check(&["tag", "kept", "s2"]).code == 0 {
        let listed = fixture.check(&["tag"]);
        assert!(listed.code == 0 && listed.stdout.starts_with(b"kept"), "the tag is lost: {}", listed.stderr);
    }
    fixture.check(&["pin", "s2"]);
    let restored = fixture.check(&["restore", "s2"]);
    if restored.code == 0 {
        assert!(fixture.folder() == given.folder(2), "restore wrote something else");
        if fixture.check(&["undo"]).code == 0 {
            assert!(fixture.folder() == before, "undo wrote something else");
            if fixture.check(&["redo"]).code == 0 {
                assert!(fixture.folder() == given.folder(2), "redo wrote something else");
            }
        }
    } else {
        let known: Vec<&Vec<u8>> =
            before.values().chain((1..=given.steps()).flat_map(|step| given.all(step))).collect();
        assert!(fixture.folder().values().all(|content| known.contains(&content)), "restore left half a file");
        // If none was begun there is nothing to go back from, and nothing damaged to name.
        fixture.check_end(&["restore", "--abort"]);
        assert!(fixture.folder() == before, "a restore that failed took something away for good");
    }
}

/// The lines that a repair prints, without the last one, which holds the totals.
fn actions(stdout: &[u8]) -> Vec<String> {
    let mut lines: Vec<String> = String::from_utf8_lossy(stdout).lines().map(str::to_owned).collect();
    lines.pop();
    lines
}

fn repair(given: &Given, case: &Case, fixture: &Fixture) {
    let before = fixture.store_files();
    // Damage to a cache keeps nothing from being read, neither before the repair nor after it.
    let reads = (case.sort == Sort::Pack).then(|| Reads::of(given, fixture));
    if let Some(reads) = &reads {
        let verified = fixture.check(&["verify", "--json"]);
        reads.expect_listed(&fixture.steps(&verified.stdout), &verified.stdout);
    }
    let planned = fixture.check(&["repair", "--dry-run", "--json"]);
    assert!(fixture.store_files() == before, "reading or a dry run wrote something");
    let repaired = fixture.check(&["repair", "--json"]);
    assert_eq!(actions(&planned.stdout), actions(&repaired.stdout), "the dry run announced something else");
    if repaired.code > 1 {
        // Only a version that nobody knows keeps a repair from being made, and a folder that nothing calls a store.
        assert!(matches!(repaired.code, 3 | 8) && case.sort == Sort::Format, "{}", repaired.stderr);
        assert_eq!(planned.code, repaired.code);
        return;
    }
    let is_little = case.sort != Sort::Pack || matches!(case.damage, Damage::BitFlipped(..));
    assert!(repaired.code == 0 || !is_little, "{}", String::from_utf8_lossy(&repaired.stdout));
    let again = fixture.check(&["repair"]);
    let text = String::from_utf8_lossy(&again.stdout).into_owned();
    let is_settled = text.contains("nothing to repair") || text.contains("nothing more can be done");
    assert!(is_settled, "the second repair did something:\n{}\n{text}", String::from_utf8_lossy(&repaired.stdout));
    // The record of the folder's move may be lost; then the user repeats it.
    fixture.check(&["workspace", "move", &given.workspace_id]);
    expect_repaired(given, case, fixture, reads.as_ref(), repaired.code);
    fixture.write("new", b"written after the repair");
    let snapped = fixture.check(&["snap"]);
    assert_eq!(snapped.code, 0, "recording does not go on: {}", snapped.stderr);
    let now = fixture.folder();
    fixture.expect_last(&now);
}

/// Every step is whole or known not to be, and whatever could be read before still can.
fn expect_repaired(given: &Given, case: &Case, fixture: &Fixture, reads: Option<&Reads>, code: i32) {
    let verified = fixture.check(&["verify", "--json"]);
    assert_eq!(verified.code, code, "{}", String::from_utf8_lossy(&verified.stdout));
    let affected = fixture::affected_steps(&verified.stdout);
    let known = fixture.steps(&verified.stdout);
    for step in 1..=given.steps() {
        if !known.contains(&step) {
            let is_gone =
                matches!(case.damage, Damage::Deleted | Damage::CutTo(_) | Damage::OfAnotherStore | Damage::Stale);
            assert!(case.sort == Sort::Pack && is_gone, "s{step} is not in history any more");
            assert!(reads.is_none_or(|reads| !reads.has_some_of(step)), "s{step} could be read before the repair");
        } else if affected.contains(&step) {
            assert!(fixture.try_step(given, step) != 0, "s{step} is whole, and marked incomplete");
            let reads = reads.expect("only damage to a pack affects a step");
            reads.expect_kept(given, fixture, step);
        } else {
            fixture.expect_step(given, step);
        }
    }
}
