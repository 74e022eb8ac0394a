//! Many processes at once, in one workspace and in many, beside readers: nothing is lost, nobody is refused, and what
//! came of it is what some order of the same steps, one after another, would have made.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use retrograde::id::BlobId;
use retrograde::store::{Store, Workspace};
use retrograde::time::Stopwatch;

use super::{Program, replace, rounds};
use crate::support::recorder::open_store;
use crate::support::scratch::Scratch;

/// Reads beside writers until they are done; every reading must succeed, and see a store without damage.
fn read_until(done: &AtomicBool, program: &Program, workspaces: &[PathBuf]) -> usize {
    let mut count = 0;
    while !done.load(Ordering::Relaxed) {
        let folder = &workspaces[count % workspaces.len()];
        let scratch = Scratch::new();
        let into = scratch.join("into");
        // A workspace that has no step yet has nothing to show.
        if program.run(folder, &["show", "@"]).code == Some(0) {
            program.expect(folder, &["log", "--stat", "-n", "3"]);
            program.expect(folder, &["restore", "@", "--into", into.to_str().unwrap()]);
            program.expect(folder, &["diff", "s1", "@"]);
            program.expect(folder, &["stats"]);
            program.expect(folder, &["verify"]);
        }
        count += 1;
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
        assert!(reader.join().unwrap() > 0);
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

#[test]
fn sixteen_processes_in_sixteen_workspaces() {
    let program = Program::new();
    let steps = rounds(50) as u64;
    let folders: Vec<PathBuf> = (0..16).map(|number| program.folder(&format!("ws{number:02}"))).collect();
    let waits = Mutex::new(Vec::new());
    race(&program, &folders, &folders, |number, folder, program| {
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
    assert_eq!(state.workspaces.len(), folders.len());
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
/// ever falls; and a step that a process was told of must have the count that it had written before.
#[test]
fn four_processes_in_one_workspace_take_turns() {
    const WRITERS: usize = 4;
    let program = Program::new();
    let rounds = rounds(25);
    let workspace = program.folder("ws");
    let (waits, told) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    race(&program, &vec![workspace.clone(); WRITERS], std::slice::from_ref(&workspace), |number, folder, program| {
        for count in 1..=rounds {
            replace(&folder.join(format!("count{number}")), count.to_string().as_bytes());
            let watch = Stopwatch::start();
            let snapped = program.expect(folder, &["snap", "--json"]).json();
            waits.lock().unwrap().push(watch.elapsed().as_millis());
            told.lock().unwrap().push((number, count, snapped["step"].as_u64().unwrap()));
        }
    });
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
    for step in 1..=last {
        let now = counts(step);
        assert!(now != before && now.iter().zip(&before).all(|(now, before)| now >= before), "{before:?} {now:?}");
        before = now;
    }
    assert_eq!(before, vec![rounds; WRITERS]);
    for (number, count, step) in told.into_inner().unwrap() {
        assert_eq!(counts(step)[number], count, "process {number} at step {step}");
    }
}
