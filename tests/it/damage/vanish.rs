//! Acknowledged steps that are lost never go without a word: whatever still names a lost snapshot, a repair makes it
//! a finding that stays. And what a folder still holds comes back, however long it is.

use std::ops::Range;
use std::path::PathBuf;

use retrograde::format::pack::{ObjectKind, RECORD_MAGIC, decode_record};

use super::fixture::Fixture;
use crate::support::rng::Rng;
use crate::support::scratch::Scratch;

/// Three steps in packs of their own; nothing of them is in the folder any more.
struct Recorded {
    fixture: Fixture,
    _top: Scratch,
    /// Of the snapshots, the first halves of the ids.
    halves: Vec<String>,
}

impl Recorded {
    fn new() -> Self {
        let (fixture, top) = Fixture::empty();
        for step in 1..=3 {
            fixture.write("big", &Rng::new(step).bytes(if step == 1 { 1_000 } else { 4_500_000 }));
            assert_eq!(fixture.run(&["snap"]).code, 0);
        }
        let log = String::from_utf8(fixture.run(&["log", "--json"]).stdout).unwrap();
        let ids = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let mut halves: Vec<String> = ids.map(|step| step["snapshot"].as_str().unwrap()[..32].to_owned()).collect();
        halves.reverse();
        std::fs::remove_file(fixture.store.join("../ws/big")).unwrap();
        Self { fixture, _top: top, halves }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.fixture.store.join(name)
    }

    fn remove(&self, names: &[&str]) {
        names.iter().for_each(|name| std::fs::remove_file(self.at(name)).unwrap());
    }

    fn names(&self, step: usize) -> bool {
        let found = String::from_utf8(self.fixture.check(&["verify", "--json"]).stdout).unwrap();
        found.contains(&self.halves[step - 1])
    }

    /// A repair leaves the step a finding that is marked, and a second one does nothing.
    #[track_caller]
    fn expect_kept_in_mind(&self, step: usize, what: &str) {
        let done = self.fixture.check(&["repair"]);
        assert_eq!(done.code, 1, "{what}: {}", String::from_utf8_lossy(&done.stdout));
        assert!(self.names(step), "{what}: s{step} vanished");
        let again = String::from_utf8(self.fixture.check(&["repair"]).stdout).unwrap();
        assert!(again.starts_with("nothing more can be done"), "{what}: {again}");
        assert!(self.names(step), "{what}: s{step} vanished with the second repair");
    }
}

/// R6: the next snapshot names it as its parent, and as the base that it is stored against.
#[test]
fn a_lost_snapshot_that_only_the_next_one_names() {
    let recorded = Recorded::new();
    recorded.remove(&["packs/000002.pack", "packs/000001.idx", "packs/000002.idx", "packs/000003.idx", "journal"]);
    recorded.expect_kept_in_mind(2, "pack 2 and all caches are gone");
}

/// The bytes in the place of a pack; none for a folder.
type Replacement = fn(&Recorded) -> Option<Vec<u8>>;

/// R6: something else stands where the pack was, and its index knows what the pack held.
#[test]
fn a_lost_snapshot_that_only_an_index_names_whose_pack_was_replaced() {
    let replacements: [(&str, Replacement); 6] = [
        ("nothing", |_| Some(Vec::new())),
        ("noise", |_| Some(Rng::new(9).bytes(5_000))),
        ("zeros", |recorded| Some(vec![0; std::fs::read(recorded.at("packs/000003.pack")).unwrap().len()])),
        ("another pack", |recorded| Some(std::fs::read(recorded.at("packs/000001.pack")).unwrap())),
        ("a header without a pack", |recorded| {
            let mut bytes = std::fs::read(recorded.at("packs/000003.pack")).unwrap();
            bytes.truncate(60);
            bytes[20] ^= 0xff;
            Some(bytes)
        }),
        ("a folder", |_| None),
    ];
    for (what, replacement) in replacements {
        let recorded = Recorded::new();
        let bytes = replacement(&recorded);
        recorded.remove(&["packs/000003.pack", "journal"]);
        match bytes {
            Some(bytes) => std::fs::write(recorded.at("packs/000003.pack"), bytes).unwrap(),
            None => std::fs::create_dir(recorded.at("packs/000003.pack")).unwrap(),
        }
        recorded.expect_kept_in_mind(3, what);
    }
}

/// R6: only the journal knows of the last step, behind a group of it that is damaged. The part of
/// the journal that cannot be used is kept.
#[test]
fn a_lost_snapshot_that_the_journal_names_behind_damage() {
    let recorded = Recorded::new();
    recorded.remove(&["packs/000003.pack", "packs/000003.idx"]);
    let mut journal = std::fs::read(recorded.at("journal")).unwrap();
    let groups: Vec<usize> = (0..journal.len()).filter(|at| journal[*at..].starts_with(b"\xd7JRN")).collect();
    assert!(groups.len() >= 3, "{groups:?}");
    journal[groups[1] + 20] ^= 1;
    std::fs::write(recorded.at("journal"), &journal).unwrap();
    recorded.expect_kept_in_mind(3, "a bit of the journal is wrong");
    assert_eq!(std::fs::read(recorded.at("quarantine/journal")).unwrap(), journal);
}

/// The list of chunks of a long file is lost, with and without an index that knows that it was one; the file is in the
/// folder.
#[test]
fn long_files_come_back_from_the_folder() {
    for caches in [&[][..], &["packs/000001.idx", "journal"]] {
        let (fixture, _top) = Fixture::empty();
        fixture.write("deep/long", &Rng::new(4).bytes(3_000_000));
        assert_eq!(fixture.run(&["snap"]).code, 0);
        let wanted = fixture.folder();
        // Damage at the end of the last pack may be the work of a writer that died.
        fixture.write("later", b"short");
        assert_eq!(fixture.run(&["snap"]).code, 0);
        let pack = fixture.store.join("packs/000001.pack");
        let mut bytes = std::fs::read(&pack).unwrap();
        let list = chunk_list_in(&bytes);
        bytes[list].fill(0);
        std::fs::write(&pack, bytes).unwrap();
        caches.iter().for_each(|name| std::fs::remove_file(fixture.store.join(name)).unwrap());
        assert_eq!(fixture.check(&["verify"]).code, 1);
        let done = fixture.check(&["repair"]);
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert_eq!(done.code, 0, "without {caches:?}: {said}");
        assert!(said.contains("1 chunk list"), "without {caches:?}: {said}");
        std::fs::remove_dir_all(fixture.store.join("../ws/deep")).unwrap();
        assert_eq!(fixture.check(&["restore", "s1", "-q"]).code, 0);
        assert!(fixture.folder() == wanted, "without {caches:?}");
    }
}

/// The range of the record of a chunk list in a pack.
fn chunk_list_in(pack: &[u8]) -> Range<usize> {
    let starts = (0..pack.len()).filter(|at| pack[*at..].starts_with(&RECORD_MAGIC));
    let found = starts.filter_map(|at| Some((at, decode_record(&pack[at..]).ok()?)));
    let mut lists =
        found.filter(|(_, header)| header.members.iter().any(|member| member.kind == ObjectKind::ChunkList));
    let (at, header) = lists.next().expect("there is a long file");
    at..at + header.record_length_bytes()
}
