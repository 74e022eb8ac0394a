//! Crafted packs, and files of a store that are not what they should be: bombs, chains, lies about lengths, links out.

#![expect(clippy::disallowed_methods, reason = "tests forge files of their own")]

use retrograde::format::chunk_list::{self, ChunkRef};
use retrograde::format::pack::{
    Encoding, Link, Member, ObjectKind, PACK_HEADER_LENGTH_BYTES, PackHeader, encode_header, put_record, put_trailer,
};
use retrograde::format::put_uint;
use retrograde::id::{BlobId, Digest, StoreId};

use super::forge::{FILE, Forge, HONEST, NONCE, frame, frame_with, member};
use super::run::{FEW, expect_honest, run, run_few, run_under, survey, survey_of};
use crate::support::depth::pick;
use crate::support::rng::noise;

const CORRUPT: i32 = 7;
const IO: i32 = 9;
const NO: i32 = 1;

/// Verbs that read the content of the one file of the last snapshot.
const READERS: [&str; 4] =
    ["cat {rev}:{path}", "restore {rev} --into {out}/into", "export {rev} --tar {out}/step.tar", "restore {rev}"];

fn readers(code: i32) -> Vec<(&'static str, i32)> {
    READERS.iter().map(|line| (*line, code)).collect()
}

/// A store whose last snapshot has one file `f` with the content that `make` stores.
fn with_content(size: u64, make: impl FnOnce(&mut Forge) -> Digest) -> Forge {
    let mut forge = Forge::new();
    forge.end_transaction();
    let id = make(&mut forge);
    let root = forge.leaf(&[(FILE, 0o644, b"f", size, id)]);
    let snapshot = forge.head(root);
    forge.tag("bad", snapshot);
    forge.write();
    forge
}

/// P2: cycles of one, two and sixteen deltas, a chain of seventeen, and one that ends in nothing.
#[test]
fn chains_of_deltas_have_an_end() {
    for length in [1_usize, 2, 16] {
        let forge = with_content(5, |forge| {
            let ids: Vec<Digest> = (0..length).map(|number| Digest::of(&number.to_le_bytes())).collect();
            for (at, id) in ids.iter().enumerate() {
                let link = Link { base: ids[(at + 1) % length].prefix(), generation: 1 };
                forge.record(&Encoding::Delta(link), &[member(ObjectKind::Content, 5, *id)], b"delta");
            }
            ids[0]
        });
        survey(&forge, "bad", "f").expect(&readers(CORRUPT));
    }
    for (length, code) in [(16_u8, 0), (17, CORRUPT)] {
        let forge = with_content(length.into(), |forge| {
            let mut text = Vec::new();
            let mut last = forge.content(b"");
            for number in 0..length {
                text.push(b'a' + number);
                let id = Digest::of(&text);
                let mut payload = vec![number];
                payload.push(*text.last().unwrap());
                forge.splice(ObjectKind::Content, id, text.len(), last, &payload);
                last = id;
            }
            last
        });
        survey(&forge, "bad", "f").expect(&readers(code));
    }
    let forge = with_content(5, |forge| {
        let id = Digest::of(b"12345");
        forge.splice(ObjectKind::Content, id, 5, Digest::of(b"nowhere"), &[2, b'x']);
        id
    });
    survey(&forge, "bad", "f").expect(&readers(CORRUPT));
}

/// Every link of the chain is as long as there may be any, and no one of them is what it says.
#[test]
fn deltas_as_long_as_they_may_be_cost_what_honest_ones_cost() {
    for kind in [ObjectKind::Content, ObjectKind::ChunkList] {
        let length = kind.length_max_bytes();
        let forge = with_content(5, |forge| {
            let mut last = Digest::of(b"first");
            forge.squeezed(kind, last, &vec![0; length]);
            for number in 0..16_u64 {
                let id = Digest::of(&number.to_le_bytes());
                let mut payload = Vec::new();
                put_uint(&mut payload, length as u64 / 2);
                forge.splice(kind, id, length, last, &payload);
                last = id;
            }
            last
        });
        // Each verb takes its time here.
        let count = pick(1, READERS.len());
        survey_of(&READERS[..count], &forge, "bad", "f").expect(&readers(CORRUPT)[..count]);
    }
}

/// P3: a frame that grows to far more than its record says; and windows that a decoder would have to set aside.
#[test]
fn frames_grow_no_further_than_their_records_say() {
    let bomb = frame(&vec![0; 256 << 20]);
    for claimed in [5, 1 << 20] {
        let forge = with_content(claimed as u64, |forge| {
            let id = Digest::of(b"bomb");
            forge.record(&Encoding::Zstd, &[member(ObjectKind::Content, claimed, id)], &bomb);
            id
        });
        survey(&forge, "bad", "f").expect(&readers(CORRUPT));
    }
    for log in [10, 20, 27, 31] {
        let text = noise(1, 300_000);
        let forge = with_content(300_000, |forge| {
            let id = Digest::of(&text);
            let payload = frame_with(&text, Some(log), b"");
            forge.record(&Encoding::Zstd, &[member(ObjectKind::Content, text.len(), id)], &payload);
            id
        });
        survey(&forge, "bad", "f").expect(&readers(0));
    }
    // A header alone: a window of 2^41 bytes, the largest that can be said, then a block that repeats one byte.
    let forge = with_content(4, |forge| {
        let id = Digest::of(b"aaaa");
        let (window, block) = (0xf8, (4_u32 << 3) | 0b011);
        let payload = [&[0, window][..], &block.to_le_bytes()[..3], b"a"].concat();
        forge.record(&Encoding::Zstd, &[member(ObjectKind::Content, 4, id)], &payload);
        id
    });
    let code = run(&forge, &["cat", "bad:f"]).0;
    assert!([0, CORRUPT].contains(&code), "{code}");
    survey(&forge, "bad", "f").expect(&[]);
}

/// Records with as many members as there may be, and lengths that add up to more than a frame may have.
#[test]
fn members_beyond_a_frame_are_refused() {
    for (count, length) in [(4_096, 1 << 20), (4_096, 0), (2, 1 << 20), (4_097, 1)] {
        let forge = with_content(5, |forge| {
            let id = Digest::of(b"12345");
            let mut members: Vec<Member> = vec![member(ObjectKind::Content, length, Digest::of(b"other")); count];
            members[count - 1] = member(ObjectKind::Content, 5, id);
            forge.record(&Encoding::Zstd, &members, &frame(b"12345"));
            id
        });
        let code = if length == 0 { 0 } else { CORRUPT };
        survey(&forge, "bad", "f").expect(&readers(code));
    }
}

/// P10: splices that take more of the base than there is.
#[test]
fn splices_take_no_more_than_the_base_has() {
    let payloads: [&[u8]; 5] = [&[6], &[5, b'x'], &[0], &[0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], b""];
    for payload in payloads {
        let forge = with_content(20, |forge| {
            let base = forge.content(b"12345");
            let id = Digest::of(b"spliced");
            forge.splice(ObjectKind::Content, id, 20, base, payload);
            id
        });
        survey(&forge, "bad", "f").expect(&readers(CORRUPT));
    }
}

/// Lists that name themselves, each other, or nothing.
#[test]
fn chunk_lists_name_chunks_only() {
    let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
    let lists: [&dyn Fn(&mut Forge); 5] = [
        &|forge| forge.chunk_list(one, &[(one, 5), (one, 5)]),
        &|forge| {
            forge.chunk_list(one, &[(two, 5), (two, 5)]);
            forge.chunk_list(two, &[(one, 5), (one, 5)]);
        },
        &|forge| forge.chunk_list(one, &[]),
        &|forge| forge.chunk_list(one, &[(two, 5)]),
        &|forge| forge.chunk_list(one, &[(Digest::of(b"nowhere"), 5), (two, 0)]),
    ];
    for make in lists {
        let forge = with_content(10, |forge| {
            make(forge);
            one
        });
        survey(&forge, "bad", "f").expect(&readers(CORRUPT));
    }
}

/// Two million times the same mebibyte: a file of two tebibytes in a few kB. It is written and printed as it comes, and
/// ends where the disk does.
#[test]
fn files_larger_than_any_disk_are_streamed_until_the_disk_is_full() {
    let chunk = noise(3, 1 << 20);
    let count = 1_800_000_usize;
    let mut forge = Forge::new();
    let chunk_id = forge.content(&chunk);
    let whole = Digest::of(b"whole");
    let one = ChunkRef { id: BlobId(chunk_id), length_bytes: 1 << 20 };
    let list = chunk_list::encode(&vec![one; count]);
    forge.squeezed(ObjectKind::ChunkList, whole, &list);
    let root = forge.leaf(&[(FILE, 0o644, b"f", (count as u64) << 20, whole)]);
    let snapshot = forge.head(root);
    forge.tag("bad", snapshot);
    forge.write();
    // A limit on the length of files is an error to the program, like a full disk.
    let full = "trap '' XFSZ; ulimit -f 65536;";
    let ws = forge.at("ws");
    let out = |name: &str| forge.at("out").join(name).to_str().unwrap().to_owned();
    let verbs: [&[&str]; 4] = [
        &["restore", "bad", "--into", &out("into")],
        &["restore", "bad"],
        &["export", "bad", "--tar", &out("step.tar")],
        &["export", "--git", &out("all.git")],
    ];
    for verb in verbs {
        let (code, _, stderr) = run_under(full, &ws, &forge, verb);
        // A name that the file system refuses keeps its path as it is, which is no success either.
        assert!([IO, NO].contains(&code), "{verb:?}: {code} {stderr}");
    }
    assert!(!forge.at("out/step.tar").exists(), "half a tar file is of no use");
    assert!(std::fs::metadata(forge.at("out/into/f")).is_ok_and(|found| found.len() <= 64 << 20));
    let (code, _, _) = run_under("exec 3>&1; ", &ws, &forge, &["ls", "-r", "bad"]);
    assert_eq!(code, 0);
    for verb in [&["show", "-p", "bad"][..], &["diff", "--stat", "honest", "bad"], &["stats"], &["log", "--stat"]] {
        assert_eq!(run(&forge, verb).0, 0, "{verb:?}");
    }
    expect_honest(&forge);
}

/// P9: and it keeps its number and its bytes.
#[test]
fn a_pack_of_another_store_is_damage_and_hides_nothing_else() {
    let mut forge = Forge::new();
    forge.write();
    let foreign = encode_header(&PackHeader { store: StoreId([9; 16]), nonce: NONCE });
    forge.put("packs/000002.pack", &foreign);
    forge.put("packs/000003.pack", b"");
    forge.put("packs/000000.pack", &foreign);
    forge.put("packs/4294967295.pack", &foreign);
    let before = [std::fs::read(forge.store("packs/000002.pack")).unwrap(), Vec::new()];
    survey(&forge, "honest", HONEST.1).expect(&[("status", 0), ("snap -m before", 0), ("restore {rev}", 0)]);
    let after = ["000002", "000003"].map(|name| std::fs::read(forge.store(&format!("packs/{name}.pack"))).unwrap());
    assert_eq!(after, before, "what is damaged may still be repaired");
    assert!(forge.store("packs/000004.pack").exists());
}

/// The pack with the highest number there is: nothing can come after it.
#[test]
fn nothing_can_follow_the_last_pack_number() {
    let mut forge = Forge::new();
    forge.write();
    let transactions = forge.take_transactions();
    let whole = forge.pack_of(&transactions);
    forge.put("packs/999999999.pack", &whole);
    std::fs::remove_file(forge.store("packs/000001.pack")).unwrap();
    survey(&forge, "honest", HONEST.1).expect(&[("snap -m before", 0), ("restore {rev}", 0)]);
    std::fs::write(forge.at("ws/large"), noise(5, 6 << 20)).unwrap();
    assert_eq!(run(&forge, &["snap"]).0, 6);
}

/// Two packs with the same object, one of them a lie: never wrong bytes.
#[test]
fn a_false_second_copy_of_an_object_never_gives_wrong_bytes() {
    for liar in [1, 2] {
        let mut forge = Forge::new();
        let id = Digest::of(b"right");
        let root = forge.leaf(&[(FILE, 0o644, b"f", 5, id)]);
        let snapshot = forge.head(root);
        forge.tag("bad", snapshot);
        for number in [1, 2] {
            let bytes: &[u8] = if number == liar { b"wrong" } else { b"right" };
            forge.object(ObjectKind::Content, id, bytes);
            let transactions = forge.take_transactions();
            let whole = forge.pack_of(&transactions);
            forge.put(&format!("packs/00000{number}.pack"), &whole);
        }
        survey(&forge, "bad", "f").expect(&[]);
        let (code, stdout, stderr) = run(&forge, &["cat", "bad:f"]);
        assert!((code, &stdout[..]) == (0, b"right") || code == CORRUPT, "{code}: {stderr}");
        assert!(code == 0 || liar == 2, "the newer one is asked first");
    }
}

/// A pack without its index, of as many small transactions as fit into some megabytes.
#[test]
fn packs_of_very_small_transactions_are_read_in_time() {
    let mut forge = Forge::new();
    let mut transactions = forge.take_transactions();
    for number in 0..50_000_u64 {
        let start = transactions.len();
        let bytes = number.to_le_bytes();
        put_record(&mut transactions, &Encoding::Raw, &[member(ObjectKind::Content, 8, Digest::of(&bytes))], &bytes);
        put_trailer(&mut transactions, forge.store_id, start, 0, b"");
    }
    let whole = forge.pack_of(&transactions);
    forge.put("packs/000001.pack", &whole);
    survey(&forge, "honest", HONEST.1).expect(&[("status", 0), ("snap -m before", 0), ("restore {rev}", 0)]);
}

/// Bytes that begin a transaction at every offset, each checked to its end: the search for intact ones must end.
#[test]
fn packs_full_of_false_transactions_are_kept() {
    let mut forge = Forge::new();
    forge.write();
    let mut bytes = vec![0; 1 << 20];
    while bytes.len() < pick(5 << 18, 3 << 20) {
        put_trailer(&mut bytes, forge.store_id, 0, 1, b"");
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
    }
    let whole = forge.pack_of(&bytes);
    forge.put("packs/000002.pack", &whole);
    survey_of(&FEW, &forge, "honest", HONEST.1).expect(&[("status", 0), ("snap -m before", 0), ("restore {rev}", 0)]);
    // No transaction in it is intact, so all of it looks like a torn tail; but trailers are in it.
    let kept = std::fs::read(forge.store("quarantine/000002.pack.tail")).unwrap();
    assert!(kept == whole[PACK_HEADER_LENGTH_BYTES..], "what was cut is in quarantine");
}

/// Files that say they are terabytes long.
#[test]
fn files_full_of_holes_are_not_read() {
    let long = |forge: &Forge, name: &str| {
        let file =
            std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(forge.store(name)).unwrap();
        file.set_len(1 << 40).unwrap();
    };
    let names = ["packs/000001.idx", "journal", "packs/000002.pack", "packs/000002.idx"];
    for name in &names[..pick(1, 4)] {
        let mut forge = Forge::new();
        forge.write();
        long(&forge, name);
        survey(&forge, "honest", HONEST.1).expect(&[("cat {rev}:{path}", 0), ("restore {rev}", 0)]);
    }
    let mut forge = Forge::new();
    forge.write();
    assert_eq!(run(&forge, &["snap"]).0, 0);
    long(&forge, &format!("workspaces/{}/stat", forge.workspace));
    survey(&forge, "honest", HONEST.1).expect(&[("cat {rev}:{path}", 0), ("restore {rev}", 0)]);
    long(&forge, "FORMAT");
    assert_eq!(run(&forge, &["status"]).0, CORRUPT);
}

/// A pack that goes on after what it holds, further than any may, is put aside as it is by a repair, which reads no
/// more of it than others do.
#[test]
fn an_overlong_pack_is_quarantined_unread() {
    let mut forge = Forge::new();
    forge.write();
    let pack = forge.store("packs/000001.pack");
    std::fs::OpenOptions::new().write(true).open(&pack).unwrap().set_len(1 << 40).unwrap();
    let planned = run(&forge, &["repair", "--dry-run", "--json"]);
    let done = run(&forge, &["repair", "--json"]);
    let actions =
        |out: &[u8]| String::from_utf8_lossy(out).lines().rev().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(actions(&planned.1), actions(&done.1));
    assert_eq!(done.0, 0, "{}", String::from_utf8_lossy(&done.1));
    assert!(!pack.exists());
    assert_eq!(std::fs::metadata(forge.store("quarantine/000001.pack")).unwrap().len(), 1 << 40);
    assert_eq!(run(&forge, &["verify"]).0, 0);
    expect_honest(&forge);
}

/// Symlinks in the place of the folders and files of a store, and pipes in the place of files.
#[test]
fn nothing_of_a_store_leads_out_of_it() {
    for name in ["packs", "tmp", "workspaces", "journal", "lock", "packs/000001.idx", "packs/000002.pack", "tmp/x"] {
        let mut forge = Forge::new();
        forge.write();
        let canary = forge.at("canary");
        for file in ["000001.idx", "000001.pack", "000002.pack", "FORMAT"] {
            std::fs::write(canary.join(file), b"untouched").unwrap();
        }
        let place = forge.store(name);
        let is_folder = place.is_dir();
        if is_folder {
            std::fs::rename(&place, forge.at("ws").join("was")).unwrap();
        } else {
            std::fs::remove_file(&place).ok();
        }
        let target = if is_folder { canary.clone() } else { canary.join("FORMAT") };
        std::os::unix::fs::symlink(&target, &place).unwrap();
        run_few(&forge);
    }
}

#[test]
fn pipes_in_place_of_store_files_never_block() {
    for name in ["journal", "lock", "packs/000001.idx", "packs/000002.pack", "packs/000002.idx", "tmp/x", "FORMAT"] {
        let mut forge = Forge::new();
        forge.write();
        std::fs::remove_file(forge.store(name)).ok();
        let made = std::process::Command::new("mkfifo").arg(forge.store(name)).status().unwrap();
        assert!(made.success());
        run_few(&forge);
    }
}
