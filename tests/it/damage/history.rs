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

/// Snapshots that verify names.
fn lost(findings: &[serde_json::Value]) -> BTreeSet<String> {
    let lost = findings.iter().filter(|finding| finding["object"] == "snapshot");
    lost.map(|finding| finding["id"].as_str().unwrap().to_owned()).collect()
}

/// The end of the last pack is overwritten, and the journal is gone: an index still knows half the ids of the snapshots
/// there. They are never called whole again, until the pack comes back.
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

    let found = lost(&json(&fixture, &["verify", "--json"]));
    assert!((2..=4).contains(&found.len()), "{found:?}");
    let line = format!("give up     {} snapshots that cannot be read", found.len());
    assert!(text(&fixture, &["repair", "--dry-run"], 0).contains(&line));
    let done = text(&fixture, &["repair"], 1);
    assert!(done.contains(&line) && done.contains("known to be incomplete or lost"), "{done}");
    for _ in 0..2 {
        let still = json(&fixture, &["verify", "--json"]);
        let (sums, findings) = still.split_last().unwrap();
        assert_eq!(lost(findings), found);
        assert!(sums["findings"] == sums["marked"] && findings.iter().all(|finding| finding["marked"] == true));
        let shown = text(&fixture, &["verify"], 1);
        assert!(shown.contains("its step is not known"), "{shown}");
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

/// A pack is lost, recording goes on, and then the pack is found again, under its own number or another one: every
/// snapshot of both histories can be had.
#[test]
fn both_histories_survive_if_a_lost_pack_returns() {
    let given = Given::record();
    for (repairs_first, back_as) in [(false, 9), (true, 9), (true, 2)] {
        let what = format!("repaired first: {repairs_first}, back as {back_as}");
        let fixture = given.copy();
        let before = snapshots(&fixture);
        for (tag, step) in [("older", "s5"), ("newer", "s6")] {
            text(&fixture, &["tag", tag, step], 0);
        }
        let kept = fixture.store.join("../kept.pack");
        std::fs::rename(fixture.store.join("packs/000002.pack"), &kept).unwrap();
        for cache in ["packs/000002.idx", "journal"] {
            std::fs::remove_file(fixture.store.join(cache)).unwrap();
        }
        if repairs_first {
            // Nothing else knows the facts lost with the second pack, except the folder's new location.
            fixture.run(&["repair"]);
        }
        fixture.run(&["workspace", "move", &given.workspace_id]);
        let mut folders = BTreeMap::new();
        for number in 1..=4_u8 {
            fixture.write("new", &[number]);
            assert_eq!(fixture.run(&["snap"]).code, 0, "{what}");
            folders.insert(snapshots(&fixture).into_values().next_back().unwrap(), fixture.folder());
        }
        text(&fixture, &["tag", "newer", "s1"], 0);
        folders.extend(before.iter().map(|(step, id)| (id.clone(), given.folder(*step))));
        copy(&kept, &fixture.store.join(format!("packs/{back_as:06}.pack")));
        assert_eq!(fixture.run(&["verify"]).code, 1, "{what}");
        let done = text(&fixture, &["repair"], 0);
        assert!(done.contains("as tag recovered-s"), "{what}: {done}");
        assert!(text(&fixture, &["repair"], 0).starts_with("nothing to repair"), "{what}");
        assert!(text(&fixture, &["verify"], 0).ends_with("no damage\n"), "{what}");
        let tags = text(&fixture, &["tag"], 0);
        let tagged = tags.lines().filter(|line| line.contains("recovered-s")).count();
        assert!((1..=4).contains(&tagged), "{what}: {tags}");
        // The history that counts keeps its tags. A tag of the other is gone; its snapshot has one of its own.
        let shown = text(&fixture, &["log", "-n", "1", "--json", "newer"], 0);
        assert!(shown.contains(&before[&1]), "{what}: {shown}");
        text(&fixture, &["log", "-n", "1", "older"], 3);
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

/// The trailer of the last transaction is gone, and every cache: that looks like a writer that died. Repair cuts the
/// tail, and keeps the bytes that it cuts.
#[test]
fn bytes_that_a_repair_cuts_off_are_quarantined() {
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

/// A delta that takes nothing of what is damaged in its base can be read, and still can when the base is given up.
#[test]
fn deltas_of_damaged_bases_are_saved() {
    let (fixture, _top) = Fixture::empty();
    let base = Rng::new(1).bytes(30_000);
    fixture.write("kept", b"kept");
    fixture.write("edited", &base);
    assert_eq!(fixture.run(&["snap"]).code, 0);
    let versions: Vec<Vec<u8>> =
        vec![base[..3_000].to_vec(), [&base[..3_000], b"and more"].concat(), b"short".to_vec()];
    for version in &versions {
        fixture.write("edited", version);
        assert_eq!(fixture.run(&["snap"]).code, 0);
    }
    std::fs::remove_file(fixture.store.join("../ws/edited")).unwrap();
    assert_eq!(fixture.run(&["snap"]).code, 0);
    let pack = fixture.store.join("packs/000001.pack");
    let mut bytes = std::fs::read(&pack).unwrap();
    let at = bytes.windows(100).position(|window| window == &base[20_000..20_100]).unwrap();
    bytes[at..at + 64].fill(0);
    std::fs::write(&pack, bytes).unwrap();
    let expect_versions = || {
        for (number, version) in versions.iter().enumerate() {
            let ran = fixture.run(&["cat", &format!("s{}:edited", number + 2)]);
            assert!(ran.code == 0 && ran.stdout == *version, "s{}: {}", number + 2, ran.stderr);
        }
        assert_eq!(fixture.run(&["cat", "s1:edited"]).code, 7);
    };
    expect_versions();
    let shown = text(&fixture, &["verify"], 1);
    assert!(shown.contains("still readable"), "{shown}");
    let planned = text(&fixture, &["repair", "--dry-run"], 0);
    let done = text(&fixture, &["repair"], 1);
    for line in ["save        ", "mark        s1 of workspace "] {
        assert!(planned.contains(line) && done.contains(line), "{planned}{done}");
    }
    expect_versions();
    assert!(text(&fixture, &["repair"], 1).starts_with("nothing more can be done"));
    let log = text(&fixture, &["log"], 0);
    assert_eq!(log.matches("[incomplete]").count(), 1, "{log}");
}

fn ids(fixture: &Fixture, folder: &str) -> Vec<String> {
    let steps = json(fixture, &["-C", folder, "log", "--json"]);
    steps.iter().map(|step| step["snapshot"].as_str().unwrap().to_owned()).collect()
}

/// Roots of all workspaces, with how many snapshots each has; of those nobody knows where they are, none.
fn workspaces(fixture: &Fixture) -> Vec<(Option<String>, u64)> {
    let listed = json(fixture, &["workspace", "list", "--json"]);
    let shown = |workspace: &serde_json::Value| {
        let root = workspace["root"].as_str().unwrap();
        let name = root.rsplit('/').next().unwrap().to_owned();
        ((!root.starts_with("/unknown/")).then_some(name), workspace["snapshots"].as_u64().unwrap())
    };
    let mut shown: Vec<_> = listed.iter().map(shown).collect();
    shown.sort();
    shown
}

fn settle(fixture: &Fixture) {
    assert_eq!(fixture.run(&["verify"]).code, 1);
    text(fixture, &["repair"], 0);
    assert!(text(fixture, &["repair"], 0).starts_with("nothing to repair"));
    assert!(text(fixture, &["verify"], 0).ends_with("no damage\n"));
}

/// The only pack is lost, both folders are recorded or not from the start, and the pack is found again.
#[test]
fn workspaces_come_back_with_all_of_their_snapshots() {
    let (fixture, _top) = Fixture::empty();
    for step in 1..=3_u8 {
        for folder in ["../ws/f", "../b/f"] {
            fixture.write(folder, &[step]);
            let folder = folder.trim_end_matches("/f");
            assert_eq!(fixture.run(&["-C", folder, "snap"]).code, 0);
        }
    }
    let (before_ws, before_b) = (ids(&fixture, "../ws"), ids(&fixture, "../b"));
    let kept = fixture.store.join("../kept.pack");
    std::fs::rename(fixture.store.join("packs/000001.pack"), &kept).unwrap();
    std::fs::remove_file(fixture.store.join("journal")).unwrap();
    for step in 1..=2_u8 {
        fixture.write("../b/f", &[100 + step]);
        assert_eq!(fixture.run(&["-C", "../b", "snap"]).code, 0);
    }
    let after_b = ids(&fixture, "../b");
    copy(&kept, &fixture.store.join("packs/000011.pack"));
    settle(&fixture);
    assert_eq!(workspaces(&fixture), [(None, 3), (Some("b".to_owned()), 2), (Some("ws".to_owned()), 3)]);
    assert_eq!((ids(&fixture, "../ws"), ids(&fixture, "../b")), (before_ws, after_b));
    for id in before_b {
        assert_eq!(fixture.run(&["show", &id]).code, 0, "{id}");
    }
    fixture.write("f", b"goes on");
    assert!(text(&fixture, &["snap"], 0).starts_with("s4 "));
}

/// The pack that says where a workspace is comes back when its folder has been registered anew: the new one counts,
/// however their ids compare.
#[test]
fn of_two_workspaces_in_one_folder_the_later_one_counts() {
    for round in 0..4_u8 {
        let (fixture, _top) = Fixture::empty();
        fixture.write("../b/f", b"b");
        fixture.write("../b/large", &Rng::new(1).bytes(4_500_000));
        assert_eq!(fixture.run(&["-C", "../b", "snap"]).code, 0);
        for step in 1..=3_u8 {
            fixture.write("f", &[round, step]);
            assert_eq!(fixture.run(&["snap"]).code, 0);
        }
        // The pack in which the workspace was added, by its current number.
        let last = json(&fixture, &["stats", "--json"])[0]["packs"].as_u64().unwrap();
        fixture.write("../b/large", &Rng::new(2).bytes(4_500_000));
        assert_eq!(fixture.run(&["-C", "../b", "snap"]).code, 0);
        let pack = fixture.store.join(format!("packs/{last:06}.pack"));
        let kept = fixture.store.join("../kept.pack");
        std::fs::rename(&pack, &kept).unwrap();
        std::fs::remove_file(pack.with_extension("idx")).ok();
        std::fs::remove_file(fixture.store.join("journal")).unwrap();
        fixture.run(&["repair"]);
        for step in 1..=2_u8 {
            fixture.write("f", &[round, 100 + step]);
            assert_eq!(fixture.run(&["snap"]).code, 0);
        }
        let newest = ids(&fixture, "../ws");
        std::fs::rename(&kept, &pack).unwrap();
        fixture.run(&["repair"]);
        assert!(text(&fixture, &["repair"], fixture.run(&["verify"]).code).starts_with("noth"), "{round}");
        assert_eq!(ids(&fixture, "../ws"), newest, "{round}");
        // The other is listed beside it, with all of its snapshots.
        let at_ws = workspaces(&fixture).into_iter().filter(|(root, _)| root.as_deref() == Some("ws"));
        assert_eq!(at_ws.map(|(_, snapshots)| snapshots).collect::<Vec<_>>(), [2, 3], "{round}");
    }
}

/// A pack is gone and its index is not, which still knows half the ids of its snapshots. Nobody takes its number.
#[test]
fn the_index_of_a_lost_pack_tells_of_its_snapshots() {
    let (fixture, _top) = Fixture::empty();
    for step in 1..=3_u8 {
        fixture.write("edited", &[step]);
        // A transaction of this length gets a pack of its own, which is indexed at once.
        fixture.write("large", &Rng::new(u64::from(step)).bytes(if step == 3 { 4_500_000 } else { 10 }));
        assert_eq!(fixture.run(&["snap"]).code, 0);
    }
    let before = snapshots(&fixture);
    let index = fixture.store.join("packs/000002.idx");
    let bytes = std::fs::read(&index).unwrap();
    for file in ["packs/000002.pack", "journal"] {
        std::fs::remove_file(fixture.store.join(file)).unwrap();
    }
    std::fs::remove_file(fixture.store.join("../ws/large")).unwrap();
    text(&fixture, &["snap"], 0);
    assert!(std::fs::read(&index).unwrap() == bytes && fixture.store.join("packs/000003.pack").exists());
    assert_eq!(fixture.run(&["verify"]).code, 1);
    let done = text(&fixture, &["repair"], 1);
    assert!(done.contains("give up     "), "{done}");
    let named = lost(&json(&fixture, &["verify", "--json"]));
    assert!(!named.is_empty() && named.iter().all(|half| before.values().any(|id| id.starts_with(half))), "{named:?}");
    assert!(text(&fixture, &["repair"], 1).starts_with("nothing more can be done"));
}

/// The record of a snapshot is whole, but its transaction and the step before it are damaged: repair lists it as lost.
#[test]
fn snapshots_that_rest_on_lost_ones_are_named() {
    let (fixture, _top) = Fixture::empty();
    for step in 1..=6_u8 {
        fixture.write("edited", &[step]);
        assert_eq!(fixture.run(&["snap"]).code, 0);
    }
    let before = snapshots(&fixture);
    let pack = fixture.store.join("packs/000001.pack");
    let mut bytes = std::fs::read(&pack).unwrap();
    let find = |bytes: &[u8], magic: &[u8; 4]| -> Vec<usize> {
        (0..bytes.len() - 4).filter(|at| bytes[*at..].starts_with(magic)).collect()
    };
    let trailers = find(&bytes, b"\xd7COM");
    // The first transaction adds the workspace. The last record before a trailer is the snapshot.
    let first = find(&bytes, b"\xd7REC").into_iter().rfind(|at| *at < trailers[1]).unwrap();
    bytes[first..trailers[1]].fill(0);
    bytes[trailers[2]..trailers[2] + 20].fill(0);
    std::fs::write(&pack, bytes).unwrap();
    std::fs::remove_file(fixture.store.join("journal")).unwrap();
    std::fs::remove_file(fixture.store.join("packs/000001.idx")).ok();
    let done = text(&fixture, &["repair"], 1);
    assert!(done.contains("give up     "), "{done}");
    let named = lost(&json(&fixture, &["verify", "--json"]));
    for (step, id) in before {
        let shown = fixture.run(&["show", &id]);
        let is_known = step == 1 || named.iter().any(|half| id.starts_with(half));
        assert!(shown.code == 0 || is_known, "s{step} {id} of {named:?}: {}", shown.stderr);
    }
}

/// A pack comes back with more transactions than were made meanwhile: history goes on where they end; its steps are not
/// the newest.
#[test]
fn the_newest_step_stays_the_head() {
    let (fixture, _top) = Fixture::empty();
    fixture.write("f", b"0");
    assert_eq!(fixture.run(&["snap"]).code, 0);
    let pack = fixture.store.join("packs/000001.pack");
    let short = std::fs::read(&pack).unwrap();
    for step in 2..=6_u8 {
        fixture.write("f", &[step]);
        assert_eq!(fixture.run(&["snap"]).code, 0);
    }
    let long = std::fs::read(&pack).unwrap();
    std::fs::write(&pack, short).unwrap();
    for cache in ["packs/000001.idx", "journal"] {
        std::fs::remove_file(fixture.store.join(cache)).ok();
    }
    for step in 2..=3_u8 {
        fixture.write("f", &[100 + step]);
        assert_eq!(fixture.run(&["snap"]).code, 0);
    }
    let newest = snapshots(&fixture)[&3].clone();
    std::fs::write(fixture.store.join("packs/000002.pack"), long).unwrap();
    settle(&fixture);
    let head = |fixture: &Fixture| json(fixture, &["status", "--json"])[0]["head"]["snapshot"].clone();
    assert_eq!(head(&fixture), newest[..]);
    fixture.write("f", b"goes on");
    let next = text(&fixture, &["snap", "--json"], 0);
    let next: serde_json::Value = serde_json::from_str(&next).unwrap();
    assert_eq!(next["parents"][0], newest[..]);
}

/// A torn tail that becomes the end of a pack that is not the last one would be damage of the repair's own making.
#[test]
fn a_repair_leaves_no_torn_tail_behind() {
    let given = Given::record();
    let fixture = given.copy();
    let pack = fixture.store.join("packs/000002.pack");
    let mut bytes = std::fs::read(&pack).unwrap();
    bytes.extend([7; 500]);
    std::fs::write(&pack, bytes).unwrap();
    let first = fixture.store.join("packs/000001.pack");
    let mut bytes = std::fs::read(&first).unwrap();
    let trailer = (0..bytes.len()).rev().find(|at| bytes[*at..].starts_with(b"\xd7COM")).unwrap();
    bytes[trailer..trailer + 20].fill(0);
    std::fs::write(&first, bytes).unwrap();
    std::fs::remove_file(fixture.store.join("journal")).unwrap();
    text(&fixture, &["repair"], 0);
    assert!(text(&fixture, &["verify"], 0).ends_with("no damage\n"));
    for step in 1..=given.steps() {
        fixture.expect_step(&given, step);
    }
}
