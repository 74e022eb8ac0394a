//! The bodies of the fuzz targets, on valid encodings and everything near them: every cut, every flipped bit, bytes
//! repeated, removed and put in, and plain noise. Each fault that fuzzing
//! has found is kept here as a named test.

#[path = "../../fuzz/bodies.rs"]
pub(crate) mod bodies;

use std::path::Path;

use bodies::BODIES;
use retrograde::format::attributes::Owner;
use retrograde::format::cache::{self, CacheHeader, Extent, FolderFacts};
use retrograde::format::{index, journal, tree};
use retrograde::id::{Digest, StoreId, TreeId, WorkspaceId};
use retrograde::store::payload;

/// Valid encodings to start from: the examples of store-format.md, and what it has no example of.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let doc = include_str!("../../store-format.md");
    let mut seeds: Vec<Vec<u8>> = doc
        .split("```hex ")
        .skip(1)
        .map(|block| {
            let lines = block.split("```").next().expect("the block ends").lines().skip(1);
            let digits: String =
                lines.map(|line| line.split("   ").next().unwrap_or_default().replace(' ', "")).collect();
            (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex")).collect()
        })
        .collect();
    let pack = seeds.iter().find(|seed| seed.starts_with(b"\xd7RETPACK")).expect("an example").clone();
    seeds.push(pack[48..].to_vec());
    seeds.push(pack[100..].to_vec());
    seeds.push(tree::encode(&[]).objects[0].1.clone());
    seeds.push(b"retrograde store\nversion 1\nid 00112233445566778899aabbccddeeff\n".to_vec());
    seeds.push(b"- .git\n- *.swp\n+ keep/me\n= a/b\n".to_vec());
    seeds.push(b"[capture]\nexclude = [\"a/**\", \"*.log\"]\nmax_file_bytes = \"2 GiB\"\n".to_vec());
    seeds.push(b"2 hours 30 minutes ago".to_vec());
    seeds.push(b"\x00\x03src\x01\x03\x05/main\x04".to_vec());
    seeds.push(b"\x01\x00\x00\x02\x03\x02\x01\x00\x04\x01a\x01b".to_vec());
    let mut block = Vec::new();
    let facts = FolderFacts { tree: TreeId(Digest::of(b"t")), size: 7, device: 1, has_attributes: true };
    cache::put_block(&mut block, cache::PathKey::of(b"src"), Extent::Whole, &facts, std::iter::empty())
        .expect("it is short");
    let header = CacheHeader {
        store: StoreId([1; 16]),
        workspace: WorkspaceId([2; 16]),
        root_owner: Owner { uid: 1_000, gid: 1_000 },
        generation: 0,
        nonce: 3,
        file_count: 0,
        table_offset: 100,
        folder_count: 0,
        table_checksum: 0,
    };
    seeds.push([cache::encode_header(&header), cache::encode_group(0, &block)].concat());
    seeds.push(block);
    seeds.push(journal::encode_header(StoreId([1; 16])));
    seeds.push(index::encode(StoreId([1; 16]), [2; 16], 48, 0, &[]));
    seeds.extend(frames());
    seeds
}

/// Inputs of the body `frame`: an object said as a splice of another, and the same in every other way.
pub(crate) fn frames() -> [Vec<u8>; 4] {
    let splice = include_bytes!("../../fuzz/seeds/frame/example");
    let found = bodies::parts(splice).expect("the seed is whole");
    let object = payload::decode(&found.encoding, found.payload, found.base, found.length_bytes).expect("it is right");
    let front = splice.len() - found.payload.len();
    [0, 1, 2, 3].map(|encoding| {
        let front = [&[encoding], &splice[1..front]].concat();
        let encoding = bodies::parts(&front).expect("the front is whole").encoding;
        [front, payload::encode(&encoding, &object, found.base, 3)].concat()
    })
}

/// Inputs near `seed`: some hundreds, the same ones every time.
pub(crate) fn near(seed: &[u8]) -> Vec<Vec<u8>> {
    let mut inputs = vec![seed.to_vec()];
    inputs.extend((0..seed.len()).map(|cut| seed[..cut].to_vec()));
    for at in 0..seed.len() {
        for change in [1_u8, 0x80, 0xff] {
            let mut damaged = seed.to_vec();
            damaged[at] ^= change;
            inputs.push(damaged);
        }
        for length in [251_u8, 252, 253, 254, 255] {
            let mut damaged = seed.to_vec();
            damaged[at] = length;
            inputs.push(damaged);
        }
        let mut longer = seed.to_vec();
        longer.insert(at, seed[at]);
        inputs.push(longer);
        let mut shorter = seed.to_vec();
        shorter.remove(at);
        inputs.push(shorter);
    }
    let mut noise = vec![0; 4_096];
    blake3::Hasher::new().update(seed).finalize_xof().fill(&mut noise);
    inputs.extend(noise.chunks(64).map(<[u8]>::to_vec));
    inputs.extend(noise.chunks(64).map(|chunk| [&seed[..seed.len() / 2], chunk].concat()));
    inputs
}

#[test]
fn no_body_panics_near_a_valid_encoding() {
    let inputs: Vec<Vec<u8>> = seeds().iter().flat_map(|seed| near(seed)).collect();
    assert!(inputs.len() > 10_000, "{}", inputs.len());
    for (_, body) in BODIES {
        inputs.iter().for_each(|input| body(input));
    }
}

#[test]
fn every_body_is_a_target_and_every_target_a_body() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let mut targets: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    targets.sort();
    let mut bodies: Vec<String> = BODIES.iter().map(|(name, _)| (*name).to_owned()).collect();
    // The model is run by `model.rs`.
    bodies.push("model".to_owned());
    bodies.sort();
    assert_eq!(targets, bodies);
}

#[test]
fn the_seeds_of_frames_all_decode_to_the_same() {
    let decoded = frames().map(|frame| {
        let found = bodies::parts(&frame).unwrap();
        payload::decode(&found.encoding, found.payload, found.base, found.length_bytes).unwrap()
    });
    assert_eq!(
        decoded.map(|bytes| String::from_utf8(bytes).unwrap()),
        ["the quick red fox jumps over the lazy dog"; 4]
    );
}

/// Found by hand: a lower bound on hostile entries must stay logarithmic and inside.
#[test]
fn an_index_with_entries_out_of_order_is_searched_without_harm() {
    let mut bytes = index::encode(StoreId([1; 16]), [2; 16], 48, 0, &[]);
    bytes.extend_from_slice(&[0xff; 240]);
    bodies::index_file(&bytes);
}
