//! Events of calls that changed nothing are kept beside the step they followed. Damage to one costs no step, and a step
//! that is lost takes no more with it than its own events.

use std::collections::BTreeMap;

use super::fixture::{Contents, Fixture};
use crate::support::depth::{AtLeast, sample};
use crate::support::rng::Rng;

const STEPS: u64 = 3;

/// Calls noted after each step.
const CALLS: u64 = 4;

const CASES: AtLeast = AtLeast::new(10, 30);

/// A transaction of the only pack: its range, and the step it belongs to.
struct Batch {
    start: usize,
    end: usize,
    step: u64,
    is_step: bool,
}

struct Noted {
    fixture: Fixture,
    _top: crate::support::scratch::Scratch,
    transactions: Vec<Batch>,
    folders: BTreeMap<u64, Contents>,
    ids: BTreeMap<u64, String>,
}

fn record() -> Noted {
    let (fixture, top) = Fixture::empty();
    let event_file = fixture.store.join("../event.json");
    let event = |number: u64| {
        let noise: String = Rng::new(number).bytes(400).iter().map(|byte| format!("{byte:02x}")).collect();
        std::fs::write(&event_file, format!("{{\"tool\":\"Read\",\"input\":\"{noise}\"}}")).unwrap();
    };
    assert_eq!(fixture.run(&["init"]).code, 0);
    let (mut transactions, mut folders) = (Vec::new(), BTreeMap::new());
    let pack = fixture.store.join("packs/000001.pack");
    let end = || usize::try_from(pack.metadata().unwrap().len()).unwrap();
    for step in 1..=STEPS {
        fixture.write("edited", &Rng::new(step).bytes(3_000));
        for call in 0..=CALLS {
            event(step * 100 + call);
            let start = end();
            let ran = fixture.run(&["snap", "--event", &event_file.to_string_lossy()]);
            assert_eq!(ran.code, 0, "{}", ran.stderr);
            transactions.push(Batch { start, end: end(), step, is_step: call == 0 });
        }
        folders.insert(step, fixture.folder());
    }
    let shown = String::from_utf8(fixture.run(&["log", "--json"]).stdout).unwrap();
    let ids = shown.lines().map(|line| {
        let step: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(step["call_count"], CALLS);
        (step["step"].as_u64().unwrap(), step["snapshot"].as_str().unwrap().to_owned())
    });
    let ids = ids.collect();
    Noted { fixture, _top: top, transactions, folders, ids }
}

/// The rest of a step after a repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Left {
    calls: u64,
    is_whole: bool,
}

/// Repairs the store, and says what it leaves of each step that is still known.
fn repaired(noted: &Noted, what: &str) -> BTreeMap<u64, Left> {
    let fixture = &noted.fixture;
    let run = |arguments: &[&str], codes: &[i32]| {
        let ran = fixture.run(arguments);
        assert!(codes.contains(&ran.code), "{what}: {arguments:?}: {}: {}", ran.code, ran.stderr);
        (ran.code, String::from_utf8(ran.stdout).unwrap())
    };
    run(&["repair"], &[0, 1]);
    let again = run(&["repair"], &[0, 1]).1;
    assert!(again.starts_with("nothing"), "{what}: {again}");
    let (_, findings) = run(&["verify", "--json"], &[0, 1]);
    let is_marked = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["marked"] == true;
    assert!(findings.lines().rev().skip(1).all(is_marked), "{what}: {findings}");
    fixture.write("new", b"recording goes on");
    run(&["snap"], &[0]);
    let (_, log) = run(&["log", "--json"], &[0]);
    let found = log.lines().filter_map(|line| {
        let step: serde_json::Value = serde_json::from_str(line).unwrap();
        let (number, id) = (step["step"].as_u64()?, step["snapshot"].as_str()?);
        let calls = step["call_count"].as_u64()?;
        // The changes of a step need the one before, which may be lost.
        run(&["show", "--json", id], &[0, 7]);
        let into = fixture.store.join(format!("../into-{number}"));
        let is_known = noted.ids.get(&number).is_some_and(|own| own == id);
        let (code, _) = run(&["restore", id, "--into", &into.to_string_lossy()], &[0, 1, 7]);
        let is_whole = is_known && code == 0 && super::fixture::contents(&into) == noted.folders[&number];
        is_known.then_some((number, Left { calls, is_whole }))
    });
    found.collect()
}

#[test]
fn damage_to_an_event_costs_no_step_and_a_lost_step_costs_no_other() {
    let mut tried = 0;
    let transactions = usize::try_from(STEPS * (CALLS + 1)).unwrap();
    for (number, has_journal) in sample((0..transactions).flat_map(|number| [(number, true), (number, false)]), 3) {
        let noted = record();
        let Batch { start, end, step, is_step } = noted.transactions[number];
        let pack = noted.fixture.store.join("packs/000001.pack");
        let mut bytes = std::fs::read(&pack).unwrap();
        let noise = Rng::new(7).bytes(end - start);
        bytes[start..end].copy_from_slice(&noise);
        std::fs::write(&pack, bytes).unwrap();
        if !has_journal {
            std::fs::remove_file(noted.fixture.store.join("journal")).unwrap();
        }
        // Otherwise the content would be taken again from the folder.
        noted.fixture.write("edited", b"gone from here");
        let what = format!("transaction {number}, of s{step}, with journal: {has_journal}");
        let left = repaired(&noted, &what);
        for other in (1..=STEPS).filter(|other| *other != step || !is_step) {
            let found = left.get(&other).copied();
            let lost = u64::from(other == step);
            assert!(found.is_some_and(|found| found.calls >= CALLS - lost), "{what}: s{other}: {left:?}");
            // Later steps may be stored as deltas against a lost one.
            let must_be_whole = !is_step || other < step;
            assert!(found.is_some_and(|found| found.is_whole || !must_be_whole), "{what}: s{other}: {left:?}");
        }
        tried += 1;
    }
    CASES.require("damaged transactions", tried);
}
