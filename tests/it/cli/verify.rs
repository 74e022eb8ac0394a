//! `retro verify`.

use retrograde::format::index::{self, IndexEntry};
use retrograde::format::pack::ObjectKind;

use super::Cli;
use crate::support::damage::overwrite_noise;
use crate::support::rng::noise;

/// A store with six steps; `kept` never changes, `edited` at every step, so that its versions rest on each other.
pub(super) fn recorded() -> Cli {
    let cli = Cli::new();
    cli.write("dir/kept", &noise(1, 3_000));
    for step in 1..=6 {
        let text: String =
            (0..300).map(|line| format!("line {line} {}\n", if line == step { step } else { 0 })).collect();
        cli.write("edited", text.as_bytes());
        cli.run(&["snap"]).expect(0);
    }
    cli
}

/// Overwrites bytes of the pack that are part of some noise.
pub(super) fn damage_content(cli: &Cli, noise: &[u8]) {
    overwrite_noise(&cli.store, noise);
}

#[test]
fn a_whole_store_is_reported_as_whole() {
    let cli = recorded();
    for line in ["verify", "verify --quick", "verify --sample 20% --seed 5"] {
        let text = String::from_utf8(cli.run(&line.split(' ').collect::<Vec<_>>()).expect(0).stdout.clone()).unwrap();
        assert!(text.starts_with("checked 1 pack ("), "{text}");
        assert!(text.contains(", 6 snapshots  ") && text.ends_with("no damage\n"), "{text}");
    }
    cli.check("verify -q", "");
    let sums = &cli.json("verify --json")[0];
    assert_eq!((&sums["findings"], &sums["snapshots"]), (&0.into(), &6.into()));
    assert_eq!(sums["decoded_objects"], sums["objects"]);
    let quick = &cli.json("verify --quick --json")[0];
    assert_eq!((&quick["decoded_objects"], &quick["objects"]), (&0.into(), &sums["objects"]));
}

#[test]
fn damage_is_listed_with_every_step_and_path_that_needs_it() {
    let cli = recorded();
    damage_content(&cli, &noise(1, 3_000));
    let ran = cli.run(&["verify"]);
    let text = String::from_utf8(ran.expect(1).stdout.clone()).unwrap();
    let id = blake3::hash(&noise(1, 3_000)).to_hex();
    let block = text.split("damaged  ").find(|block| block.contains(&format!("content {id}"))).expect("it is listed");
    assert!(block.starts_with("dir/kept  in s1-s6\n"), "{block}");
    assert!(block.contains("packs/000001.pack at offset "), "{block}");
    assert!(text.contains("`retro repair --dry-run` shows what can be repaired"), "{text}");
    let printed = |arguments: &[&str]| -> Vec<serde_json::Value> {
        let text = String::from_utf8(cli.run(arguments).expect(1).stdout.clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let lines = printed(&["verify", "--json"]);
    let all_of_a_sample = printed(&["verify", "--json", "--sample", "100%"]);
    assert_eq!(all_of_a_sample[..lines.len() - 1], lines[..lines.len() - 1]);
    let finding = lines.iter().find(|line| line["id"] == id.as_str()).expect("it is listed");
    assert_eq!((&finding["finding"], &finding["object"]), (&"object".into(), &"content".into()));
    let affects = finding["affects"].as_array().unwrap();
    assert_eq!(affects.len(), 6);
    assert!(
        affects.iter().all(|one| one["path"] == "dir/kept" && one["part"] == "path" && one["snapshot"].is_string())
    );
    assert_eq!(lines.last().unwrap()["findings"], lines.len() - 1);
}

#[test]
fn remains_of_a_killed_writer_and_missing_caches_are_notes() {
    let cli = recorded();
    for cache in ["journal", "packs/000001.idx"] {
        cli.remove(cli.store.join(cache));
    }
    let pack = cli.store.join("packs/000001.pack");
    cli.write(&pack, &[std::fs::read(&pack).unwrap(), b"half a record".to_vec()].concat());
    let text = String::from_utf8(cli.run(&["verify"]).expect(0).stdout.clone()).unwrap();
    let notes: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("note     ")).collect();
    assert_eq!(notes.len(), 3, "{text}");
    assert!(notes.iter().any(|note| note.starts_with("journal: it is missing")), "{text}");
    assert!(
        notes.iter().any(|note| note.contains("13 bytes from offset") && note.contains("interrupted write")),
        "{text}"
    );
}

#[test]
fn an_index_that_would_be_believed_is_a_finding() {
    let cli = recorded();
    let index = cli.store.join("packs/000001.idx");
    // One that is written whole is sorted: it is looked up in place, not read.
    cli.remove(&index);
    cli.write("more", b"");
    cli.run(&["snap"]).expect(0);
    let mut bytes = std::fs::read(&index).unwrap();
    bytes[90] ^= 1;
    cli.write(&index, &bytes);
    let text = String::from_utf8(cli.run(&["verify"]).expect(1).stdout.clone()).unwrap();
    assert!(
        text.starts_with("wrong    packs/000001.idx\n         its entries do not match their checksum\n"),
        "{text}"
    );
    cli.run(&["repair"]).expect(0);
    cli.run(&["verify"]).expect(0);
}

/// An index still names what damage has taken from its pack, and is right to; one that names what never was is wrong.
#[test]
fn an_index_is_wrong_only_if_it_names_objects_that_never_existed() {
    let cli = recorded();
    let place = cli.store.join("packs/000001.idx");
    cli.remove(&place);
    cli.write("more", b"");
    cli.run(&["snap"]).expect(0);
    let whole = std::fs::read(&place).unwrap();
    let pack = std::fs::read(cli.store.join("packs/000001.pack")).unwrap();
    damage_content(&cli, &noise(1, 3_000));
    let text = String::from_utf8(cli.run(&["verify"]).expect(1).stdout.clone()).unwrap();
    assert!(!text.contains("packs/000001.idx"), "{text}");
    cli.write(cli.store.join("packs/000001.pack"), &pack);

    let header = index::decode_header(&whole).unwrap();
    let mut entries: Vec<IndexEntry> =
        (0..header.count as usize).map(|at| index::entry_at(&header, &whole, at).unwrap()).collect();
    assert!(entries.len() > 6, "{entries:?}");
    // A snapshot that an index names is more than a wrong entry: somebody may miss it.
    let other = *entries.iter().find(|entry| entry.kind != ObjectKind::Snapshot).unwrap();
    entries.push(IndexEntry { prefix: [0xff; 16], ..other });
    entries.sort();
    let lie = index::encode(header.store, header.pack_nonce, header.sorted_end, header.last_sequence, &entries);
    cli.write(&place, &lie);
    let text = String::from_utf8(cli.run(&["verify"]).expect(1).stdout.clone()).unwrap();
    assert!(text.starts_with("wrong    packs/000001.idx\n         it differs from the packs in 1 place\n"), "{text}");
    cli.run(&["repair"]).expect(0);
    cli.run(&["verify"]).expect(0);
}

#[test]
fn verify_refuses_samples_that_are_no_percentage() {
    let cli = Cli::new();
    let text = String::from_utf8(cli.run(&["verify", "--sample", "101%"]).expect(2).stderr.clone()).unwrap();
    assert!(text.contains("a share is written like 5% or 0.25%, up to 100%"), "{text}");
    cli.run(&["verify", "--quick", "--sample", "5%"]).expect(2);
    cli.check(
        "verify",
        "
        | ! error: open store $STORE: there is no store here
        | ! hint: `retro snap` in a folder creates it; --store or RETRO_STORE name another
        | exit 3
    ",
    );
}
