//! Steps that damage makes doubtful: lost ones of which little is known, and ones that two packs tell differently.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::fixture::{Contents, Fixture, Given};
use crate::support::rng::Rng;

fn json(fixture: &Fixture, arguments: &[&str]) -> Vec<serde_json::Value> {
    let ran = fixture.run(arguments);
    String::from_utf8(ran.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn snapshots(fixture: &Fixture) -> BTreeMap<u64, String> {
    let steps = json(fixture, &["log", "--json"]);
    steps.iter().map(|step| (step["step"].as_u64().unwrap(), step["snapshot"].as_str().unwrap().to_owned())).collect()
}

fn text(fixture: &Fixture, arguments: &[&str], code: i32) -> String {
    let ran = fixture.run(arguments);
    let text = String::from_utf8(ran.stdout).unwrap();
    assert_eq!(ran.code, code, "{arguments:?}: {text}{}", ran.stderr);
    text
}

fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
}

/// The end of the last pack is overwritten, and the journal is gone: an index still knows half the ids of the snapshots there.
/// They are never called whole again, until the pack comes back.
#[test]
fn lost_snapshots_of_which_only_an_index_knows_stay_findings() {
    let (fixture, _top) = Fixture::empty();
    let mut folders: BTreeMap<u64, Contents> = BTreeMap::new();
    for step in 1..=6 {
        fixture.write("edited", &Rng::new(step).bytes(40_000));
        assert_eq!(fixture.run(&["snap"]).code, 0);
        folders.insert(step, fixture.folder());
    }
    let before = snapshots(&fixture);
    let pack = fixture.store.join("packs/000001.pack");
    let kept = fixture.store.join("../kept.pack");
    copy(&pack, &kept);
    let mut bytes = std::fs::read(&pack).unwrap();
    let from = bytes.len() / 2;
    let noise = Rng::new(7).bytes(bytes.len() - from);
    bytes[from..].copy_from_slice(&noise);
    std::fs::write(&pack, bytes).unwrap();
    std::fs::remove_file(fixture.store.join("journal")).unwrap();
    std::fs::remove_file(fixture.store.join("../ws/edited")).unwrap();

    let lost = |findings: &[serde_json::Value]| {
        let lost = findings.iter().filter(|finding| finding["object"] == "snapshot");
        lost.map(|finding| finding["id"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    let found = lost(&json(&fixture, &["verify", "--json"]));
    assert!((2..=4).contains(&found.len()), "{found:?}");
    let line = format!("give up     {} snapshots of which nobody knows the step any more", found.len());
    assert!(text(&fixture, &["repair", "--dry-run"], 0).contains(&line));
    let done = text(&fixture, &["repair"], 1);
    assert!(done.contains(&line) && done.contains("known to be incomplete or lost"), "{done}");
    for _ in 0..2 {
        let still = json(&fixture, &["verify", "--json"]);
        let (sums, findings) = still.split_last().unwrap();
        assert_eq!(lost(findings), found);
        assert!(sums["findings"] == sums["marked"] && findings.iter().all(|finding| finding["marked"] == true));
        let shown = text(&fixture, &["verify"], 1);
        assert!(shown.contains("which step of which workspace it was is not known"), "{shown}");
        assert!(text(&fixture, &["repair"], 1).starts_with("nothing more can be done\n"));
        fixture.write("more", b"recording goes on");
        assert_eq!(fixture.run(&["snap"]).code, 0);
    }

    copy(&kept, &fixture.store.join("packs/000009.pack"));
    let done = text(&fixture, &["repair"], 0);
    assert!(done.contains("which was given up earlier") && done.contains("no damage left"), "{done}");
    assert!(text(&fixture, &["verify"], 0).ends_with("no damage\n"));
    for (step, id) in before {
        let into = fixture.store.join(format!("../into-{step}"));
        assert_eq!(fixture.run(&["restore", &id, "--into", &into.to_string_lossy()]).code, 0, "s{step}");
        assert!(std::fs::read(into.join("edited")).unwrap() == folders[&step]["edited"], "s{step}");
    }
}

/// A pack is lost, recording goes on, and then the pack is found again, under its own number or another one: every snapshot
/// of both histories can be had.
#[test]
fn steps_that_were_taken_twice_can_both_be_had() {
    let given = Given::record();
    for (repairs_first, back_as) in [(false, 9), (true, 9), (true, 2)] {
        let what = format!("repaired first: {repairs_first}, back as {back_as}");
        let fixture = given.copy();
        let before = snapshots(&fixture);
        let kept = fixture.store.join("../kept.pack");
        std::fs::rename(fixture.store.join("packs/000002.pack"), &kept).unwrap();
        for cache in ["packs/000002.idx", "journal"] {
            std::fs::remove_file(fixture.store.join(cache)).unwrap();
        }
        if repairs_first {
            // What is lost with the second pack is not known to anybody, but for where the folder was moved to.
            fixture.run(&["repair"]);
        }
        fixture.run(&["workspace", "move", &given.workspace_id]);
        let mut folders = BTreeMap::new();
        for number in 1..=4_u8 {
            fixture.write("new", &[number]);
            assert_eq!(fixture.run(&["snap"]).code, 0, "{what}");
            folders.insert(snapshots(&fixture).into_values().next_back().unwrap(), fixture.folder());
        }
        folders.extend(before.iter().map(|(step, id)| (id.clone(), given.folder(*step))));
        copy(&kept, &fixture.store.join(format!("packs/{back_as:06}.pack")));
        assert_eq!(fixture.run(&["verify"]).code, 1, "{what}");
        let done = text(&fixture, &["repair"], 0);
        assert!(done.contains("whose place another snapshot has: it is tagged recovered-s"), "{what}: {done}");
        assert!(text(&fixture, &["repair"], 0).starts_with("nothing to repair"), "{what}");
        assert!(text(&fixture, &["verify"], 0).ends_with("no damage\n"), "{what}");
        let tags = text(&fixture, &["tag"], 0);
        let tagged = tags.lines().filter(|line| line.contains("recovered-s")).count();
        assert!((3..=4).contains(&tagged), "{what}: {tags}");
        assert_eq!(folders.len(), 10);
        for (id, folder) in folders {
            let into = fixture.store.join(format!("../into-{id}"));
            let ran = fixture.run(&["restore", &id, "--into", &into.to_string_lossy()]);
            assert_eq!(ran.code, 0, "{what}: {id}: {}", ran.stderr);
            assert!(super::fixture::contents(&into) == folder, "{what}: {id}");
        }
        fixture.write("new", b"goes on");
        assert_eq!(fixture.run(&["snap"]).code, 0, "{what}");
    }
}

/// The end of the last commit is gone, and every cache: that looks like a writer that died, and is cut. What is cut is kept.
#[test]
fn what_a_repair_cuts_off_is_put_aside() {
    let given = Given::record();
    let fixture = given.copy();
    let pack = fixture.store.join("packs/000002.pack");
    let bytes = std::fs::read(&pack).unwrap();
    let cut = &bytes[..bytes.len() - 30];
    std::fs::write(&pack, cut).unwrap();
    for cache in ["packs/000001.idx", "packs/000002.idx", "journal"] {
        std::fs::remove_file(fixture.store.join(cache)).unwrap();
    }
    text(&fixture, &["repair"], 0);
    let kept = std::fs::read(&pack).unwrap();
    let tail = std::fs::read(fixture.store.join("quarantine/000002.pack.tail")).unwrap();
    assert!([kept, tail].concat() == cut);
}
