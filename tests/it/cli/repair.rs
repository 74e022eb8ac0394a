//! `retro repair`.

use super::Cli;
use super::verify::{damage_content, recorded};
use crate::support::rng::noise;

fn stdout(cli: &Cli, line: &str, code: i32) -> String {
    String::from_utf8(cli.run(&line.split(' ').collect::<Vec<_>>()).expect(code).stdout.clone()).unwrap()
}

#[test]
fn a_whole_store_is_not_changed() {
    let cli = recorded();
    let before = std::fs::read(cli.store.join("packs/000001.pack")).unwrap();
    cli.check("repair", "nothing to repair");
    cli.check("repair --dry-run", "nothing to repair");
    assert!(std::fs::read(cli.store.join("packs/000001.pack")).unwrap() == before);
    assert!(!cli.store.join("quarantine").exists());
}

#[test]
fn lost_content_comes_back_from_the_live_folder() {
    let cli = recorded();
    damage_content(&cli, &noise(1, 3_000));
    cli.run(&["cat", "s3:dir/kept"]).expect(7);
    // Another path, and other files beside it: what counts is the content.
    cli.rename("dir/kept", "elsewhere");
    let planned = stdout(&cli, "repair --dry-run", 0);
    assert!(planned.contains("bring back  ") && planned.ends_with("nothing was changed\n"), "{planned}");
    cli.run(&["cat", "s3:dir/kept"]).expect(7);
    let done = stdout(&cli, "repair", 0);
    assert!(done.contains("rewrite     packs/000001.pack") && done.contains("no damage left"), "{done}");
    assert!(cli.run(&["cat", "s3:dir/kept"]).expect(0).stdout == noise(1, 3_000));
    assert!(stdout(&cli, "verify", 0).ends_with("no damage\n"));
    cli.check("repair", "nothing to repair");
    assert!(cli.store.join("quarantine/000001.pack").exists());
}

#[test]
fn a_flipped_bit_is_corrected() {
    let cli = recorded();
    let pack = cli.store.join("packs/000001.pack");
    let good = std::fs::read(&pack).unwrap();
    cli.remove("dir/kept");
    cli.remove("edited");
    // The header first: the magic, the id of the store, the checksum.
    for (count, at) in [2, 20, 46, 60, good.len() / 4, good.len() / 2, good.len() - 5].into_iter().enumerate() {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        cli.write(&pack, &bytes);
        let done = stdout(&cli, "repair", 0);
        assert!(done.starts_with("turn back   1 flipped bit of packs/000001.pack\n"), "{at}: {done}");
        assert!(std::fs::read(&pack).unwrap() == good);
        assert_eq!(std::fs::read_dir(cli.store.join("quarantine")).unwrap().count(), count + 1);
    }
}

#[test]
fn lost_content_is_marked_and_affects_nothing_else() {
    let cli = recorded();
    damage_content(&cli, &noise(1, 3_000));
    cli.write("dir/kept", b"something else");
    cli.write("edited", b"gone on");
    let done = stdout(&cli, "repair", 1);
    assert!(done.contains("mark        s1-s6 of workspace ") && done.contains(" incomplete\n"), "{done}");
    assert!(done.contains("all of steps known to be incomplete or lost"), "{done}");
    let log = stdout(&cli, "log", 0);
    assert!(log.lines().count() == 6 && log.lines().all(|line| line.ends_with("[incomplete]")), "{log}");
    assert!(stdout(&cli, "show s2", 0).contains("damage    parts are lost; `retro verify` lists them\n"));
    assert!(stdout(&cli, "status", 0).contains("(incomplete; `retro verify` lists the lost paths)"));
    assert_eq!(cli.json("log --json")[0]["incomplete"], true);
    // A restore is refused before it changes the first path, and one of what is whole is not.
    let refused = cli.run(&["restore", "s2"]);
    let text = String::from_utf8_lossy(&refused.expect(7).stderr).into_owned();
    assert!(text.contains("dir/kept") && text.contains("hint: `retro restore "), "{text}");
    assert_eq!(cli.read("edited"), b"gone on");
    assert_eq!(cli.read("dir/kept"), b"something else");
    cli.run(&["restore", "s2", "--into", "../out"]).expect(7);
    assert!(!cli.home().join("out").exists());
    cli.run(&["restore", "s2", "--", "edited"]).expect(0);
    assert!(cli.read("edited").starts_with(b"line 0 0\n"));
    // Recording goes on, and the new steps are whole.
    cli.run(&["snap"]).expect(0);
    cli.run(&["restore", "@", "--into", "../whole"]).expect(0);
    let again = stdout(&cli, "repair", 1);
    assert!(again.starts_with("nothing more can be done\n"), "{again}");
    // Once the content is recorded again, the marks go.
    cli.write("found", &noise(1, 3_000));
    let found = stdout(&cli, "repair", 0);
    assert!(found.contains("unmark      s1-s6 of workspace "), "{found}");
    cli.run(&["restore", "s2"]).expect(0);
    assert!(cli.read("dir/kept") == noise(1, 3_000));
}

#[test]
fn history_is_put_together_from_the_snapshots_themselves() {
    let cli = recorded();
    let pack = cli.store.join("packs/000001.pack");
    let mut bytes = std::fs::read(&pack).unwrap();
    // Everything that says where the folder is, and what the first step was.
    let header = 48;
    let first = bytes[header..].windows(4).position(|four| four == b"\xd7REC").unwrap() + header;
    bytes[header..first].fill(0);
    let trailers: Vec<usize> = (0..bytes.len() - 4).filter(|at| bytes[*at..].starts_with(b"\xd7COM")).collect();
    bytes[trailers[0]..trailers[0] + 20].fill(0);
    cli.write(&pack, &bytes);
    for cache in ["journal", "packs/000001.idx"] {
        cli.remove(cli.store.join(cache));
    }
    let done = stdout(&cli, "repair", 0);
    assert!(
        done.contains("recover     s1-s6 of workspace ") && done.contains("from the snapshots themselves"),
        "{done}"
    );
    assert!(done.contains("but not its path: `retro workspace move "), "{done}");
    cli.run(&["log"]).expect(3);
    let id = cli.json("workspace list --json")[0]["workspace"].as_str().unwrap().to_owned();
    cli.run(&["workspace", "move", &id]).expect(0);
    let steps: Vec<u64> = cli.json("log --json").iter().map(|step| step["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [6, 5, 4, 3, 2, 1]);
    assert!(
        cli.json("log --json")[0]["snapshot"].as_str() == cli.json("status --json")[0]["head"]["snapshot"].as_str()
    );
    cli.run(&["restore", "s1"]).expect(0);
}

#[test]
fn the_file_that_names_the_store_follows_from_the_packs() {
    let cli = recorded();
    let format = cli.store.join("FORMAT");
    let good = std::fs::read(&format).unwrap();
    cli.remove(&format);
    cli.check(
        "snap",
        "
        | ! error: open store $STORE/FORMAT: the file is missing, and there are packs
        | ! hint: `retro repair` repairs it from its packs; `--dry-run` shows the changes that it would make
        | exit 7
    ",
    );
    assert!(stdout(&cli, "verify", 1).starts_with("damaged  FORMAT\n         it is missing\n"));
    assert!(stdout(&cli, "repair", 0).starts_with("write       FORMAT  (it is missing)\n"));
    assert!(std::fs::read(&format).unwrap() == good);
    cli.write(&format, &good.iter().map(|byte| if *byte == b'1' { b'2' } else { *byte }).collect::<Vec<u8>>());
    cli.run(&["verify"]).expect(8);
    cli.run(&["repair"]).expect(8);
}

#[test]
fn a_pack_of_another_store_is_quarantined() {
    let cli = recorded();
    let other = recorded();
    let theirs = std::fs::read(other.store.join("packs/000001.pack")).unwrap();
    cli.write(cli.store.join("packs/000002.pack"), &theirs);
    assert!(stdout(&cli, "verify", 1).contains("it belongs to store "));
    let done = stdout(&cli, "repair", 0);
    assert!(done.starts_with("put aside   packs/000002.pack  ("), "{done}");
    assert!(std::fs::read(cli.store.join("quarantine/000002.pack")).unwrap() == theirs);
    assert!(stdout(&cli, "verify", 0).ends_with("no damage\n"));
}
