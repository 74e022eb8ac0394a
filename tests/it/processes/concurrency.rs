//! Many processes at once, in one workspace and in many, beside readers and one that restores: nothing is lost, nobody
//! is refused, and what came of it is what some order of the same steps, one after another, would have made.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use retrograde::id::BlobId;
use retrograde::store::{Store, Workspace};
use retrograde::time::Stopwatch;

use super::{Program, replace};
use crate::support::depth::rounds;
use crate::support::recorder::open_store;
use crate::support::scratch::Scratch;
use crate::support::walker::walk;

/// Reads beside writers until they are done; every reading must succeed, and see a store without damage.
fn read_until(done: &AtomicBool, program: &Program, workspaces: &[PathBuf]) -> usize {
    let mut count = 0;
    for turn in 0.. {
        if done.load(Ordering::Relaxed) {
            break;
        }
        let folder = &workspaces[turn % workspaces.len()];
        let scratch = Scratch::new();
        let into = scratch.join("into");
        // A workspace that has no step yet has nothing to show.
        if program.run(folder, &["show", "@"]).code == Some(0) {
            program.expect(folder, &["log", "--stat", "-n", "3"]);
            program.expect(folder, &["restore", "@", "--into", into.to_str().unwrap()]);
            program.expect(folder, &["diff", "s1", "@"]);
            program.expect(folder, &["stats"]);
            program.expect(folder, &["verify"]);
            count += 1;
        }
    }
    count
}

/// Runs `writer` once for each folder, all at once and beside a reader, and says how long their steps took.
fn race(
    program: &Program,
    folders: &[PathBuf],
    workspaces: &[PathBuf],
    writer: impl Fn(usize, &Path, &Program) + Sync,
) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read_until(&done, program, workspaces));
        let writer = &writer;
        let writers: Vec<_> = folders
            .iter()
            .enumerate()
            .map(|(number, folder)| scope.spawn(move || writer(number, folder, program)))
            .collect();
        let all = writers.into_iter().map(|writer| writer.join().is_ok()).collect::<Vec<_>>();
        done.store(true, Ordering::Relaxed);
        assert!(all.iter().all(|is_ok| *is_ok), "a writer failed");
        assert!(reader.join().unwrap() > 0, "the reader never met a workspace with a step");
    });
    program.expect(&folders[0], &["verify"]);
}

#[expect(clippy::print_stderr, reason = "how long one waits for others is what a reader of the test's output wants")]
fn report(what: &str, waits: Mutex<Vec<u128>>) {
    let mut waits = waits.into_inner().unwrap();
    waits.sort_unstable();
    let at = |share: usize| waits[(waits.len() - 1) * share / 100];
    eprintln!("{what}: {} steps; p50 {} ms, p99 {} ms, longest {} ms", waits.len(), at(50), at(99), at(100));
}

fn content(store: &Store, workspace: &Workspace, step: u64, name: &[u8]) -> Option<String> {
    let root = store.snapshot(workspace.steps[&step]).unwrap().root;
    let entry = store.folder(root).unwrap().into_iter().find(|entry| *entry.name == *name)?;
    Some(String::from_utf8(store.read_blob(BlobId(entry.id), 1 << 20).unwrap()).unwrap())
}

/// The file that only the process which restores ever writes, and the tag that only it moves.
const MINE: &str = "mine";
const TAG: &str = "mine-too";

/// Counts in a file, and between two counts restores the first of them, takes that back, and now and then does it
/// again. Each step is tagged. In a folder of the process's own this is undone and redone; in one that others change
/// too, the last change may be anybody's, and only the file itself is restored.
fn go_back_and_forth(folder: &Path, program: &Program, count: usize, is_shared: bool) {
    let mut first = None;
    for number in 1..=count {
        replace(&folder.join(MINE), number.to_string().as_bytes());
        let step = program.expect(folder, &["snap", "--json"]).json()["step"].as_u64().unwrap();
        let step = format!("s{step}");
        program.expect(folder, &["tag", "--force", TAG, &step]);
        let Some(first) = &first else {
            first = Some(step);
            continue;
        };
        let before = (!is_shared).then(|| walk(folder));
        let expect_mine = |wanted: usize, verb: &[&str]| {
            program.expect(folder, verb);
            let found = std::fs::read_to_string(folder.join(MINE)).unwrap();
            assert_eq!(found, wanted.to_string(), "{verb:?} at {number}");
        };
        if is_shared {
            expect_mine(1, &["restore", first, "--", MINE]);
            expect_mine(number, &["restore", &step, "--", MINE]);
            continue;
        }
        expect_mine(1, &["restore", first]);
        expect_mine(number, &["undo"]);
        if number % 3 == 0 {
            expect_mine(1, &["redo"]);
            expect_mine(number, &["undo"]);
        }
        assert!(before.is_none_or(|before| walk(folder) == before), "undone at {number}, it is another folder");
    }
}

/// The state that the restoring process leaves: its last count, tagged, no restore unfinished, and what it undid to be
/// redone.
fn expect_went_back_and_forth(store: &Store, workspace: &Workspace, count: usize, is_shared: bool) {
    assert!(workspace.unfinished.is_none());
    assert_eq!(workspace.timeline.undone().len(), usize::from(count > 1 && !is_shared), "the last could be redone");
    let tagged = workspace.steps.iter().find(|(_, id)| **id == workspace.tags[TAG]);
    let (step, _) = tagged.expect("the tag names a step of the workspace");
    assert_eq!(content(store, workspace, *step, MINE.as_bytes()), Some(count.to_string()));
}

#[test]
fn sixteen_processes_in_sixteen_workspaces() {
    let program = Program::new();
    let steps = rounds(20, 50) as u64;
    let folders: Vec<PathBuf> = (0..16).map(|number| program.folder(&format!("ws{number:02}"))).collect();
    let waits = Mutex::new(Vec::new());
    let restored = program.folder("restored");
    let back = rounds(8, 15);
    let all = [&folders[..], std::slice::from_ref(&restored)].concat();
    race(&program, &all, &folders, |number, folder, program| {
        if *folder == restored {
            replace(&folder.join("large"), &b"as large as what others write meanwhile\n".repeat(9_000));
            return go_back_and_forth(folder, program, back, false);
        }
        for step in 1..=steps {
            replace(&folder.join("own"), format!("{number} {step}").as_bytes());
            // Equal in all workspaces: whoever is first stores it, and the others must not be wrong about that.
            replace(&folder.join("shared"), format!("shared {step}\n").repeat(200).as_bytes());
            let watch = Stopwatch::start();
            let snapped = program.expect(folder, &["snap", "--json"]).json();
            waits.lock().unwrap().push(watch.elapsed().as_millis());
            assert_eq!(snapped["step"], step);
        }
    });
    report("16 workspaces", waits);
    let store = open_store(&program.store);
    let state = store.state();
    assert_eq!(state.workspaces.len(), all.len());
    expect_went_back_and_forth(&store, state.workspace_at(restored.to_str().unwrap().as_bytes()).unwrap(), back, false);
    for (number, folder) in folders.iter().enumerate() {
        let workspace = state.workspace_at(folder.to_str().unwrap().as_bytes()).unwrap();
        assert_eq!(workspace.steps.keys().copied().collect::<Vec<_>>(), (1..=steps).collect::<Vec<_>>());
        for step in 1..=steps {
            assert_eq!(content(&store, workspace, step, b"own").unwrap(), format!("{number} {step}"));
            let shared = content(&store, workspace, step, b"shared").unwrap();
            assert_eq!(shared, format!("shared {step}\n").repeat(200));
            let snapshot = store.snapshot(workspace.steps[&step]).unwrap();
            let before = (step > 1).then(|| workspace.steps[&(step - 1)]);
            assert_eq!(snapshot.parents, before.into_iter().collect::<Vec<_>>());
        }
    }
}

/// Each process counts in a file of its own. A serial order of the edits exists exactly if, along the steps, no count
/// ever falls; and a step that was acknowledged to a process must have the count that it had written before. A fifth
/// process restores a file of its own back and forth, which must not touch those of the others.
#[test]
fn four_processes_in_one_workspace_take_turns() {
    const WRITERS: usize = 4;
    let program = Program::new();
    let rounds = rounds(12, 25);
    let workspace = program.folder("ws");
    let (waits, acknowledged) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    race(
        &program,
        &vec![workspace.clone(); WRITERS + 1],
        std::slice::from_ref(&workspace),
        |number, folder, program| {
            if number == WRITERS {
                return go_back_and_forth(folder, program, rounds, true);
            }
            for count in 1..=rounds {
                replace(&folder.join(format!("count{number}")), count.to_string().as_bytes());
                let watch = Stopwatch::start();
                let snapped = program.expect(folder, &["snap", "--json"]).json();
                waits.lock().unwrap().push(watch.elapsed().as_millis());
                acknowledged.lock().unwrap().push((number, count, snapped["step"].as_u64().unwrap()));
            }
        },
    );
    report("one workspace", waits);
    let store = open_store(&program.store);
    let state = store.state();
    let found = state.workspace_at(workspace.to_str().unwrap().as_bytes()).unwrap();
    let last = found.last_step;
    assert_eq!(found.steps.keys().copied().collect::<Vec<_>>(), (1..=last).collect::<Vec<_>>());
    let counts = |step: u64| -> Vec<usize> {
        let of = |number: usize| content(&store, found, step, format!("count{number}").as_bytes());
        (0..WRITERS).map(|number| of(number).map_or(0, |text| text.parse().unwrap())).collect()
    };
    let mut before = vec![0; WRITERS];
    let mut mine_before = None;
    for step in 1..=last {
        let (now, mine) = (counts(step), content(&store, found, step, MINE.as_bytes()));
        assert!(now != before || mine != mine_before, "s{step} is what was before it");
        assert!(now.iter().zip(&before).all(|(now, before)| now >= before), "{before:?} {now:?}");
        (before, mine_before) = (now, mine);
    }
    expect_went_back_and_forth(&store, found, rounds, true);
    assert_eq!(before, vec![rounds; WRITERS]);
    for (number, count, step) in acknowledged.into_inner().unwrap() {
        assert_eq!(counts(step)[number], count, "process {number} at step {step}");
    }
}
