//! Tests with indexes made byte by byte. `tests/it/gitignore/indexes.rs` reads those of the real git.

use std::path::Path;

use gix_glob::pattern::Case;

use super::{GitIndex, GitProblem, bitmap, parse};

const FILE: u32 = 0o100_644;
const REPOSITORY: u32 = 0o160_000;
const FOLDER: u32 = 0o040_000;

const PATHS: [(&str, u32); 5] =
    [("a", FILE), ("folder/b.txt", FILE), ("folder/c", 0o120_000), ("inner", REPOSITORY), ("sparse/", FOLDER)];

/// An index as git writes it, except its stats and ids.
fn made(version: u32, id_length: usize, paths: &[(&str, u32)], extensions: &[u8]) -> Vec<u8> {
    let mut bytes = b"DIRC".to_vec();
    bytes.extend(version.to_be_bytes());
    bytes.extend(u32::try_from(paths.len()).unwrap().to_be_bytes());
    let mut before = "";
    for (path, mode) in paths {
        let start = bytes.len();
        bytes.extend([1; 24]);
        bytes.extend(mode.to_be_bytes());
        bytes.resize(bytes.len() + 12 + id_length, 2);
        let is_extended = version > 2;
        let flags = u16::try_from(path.len()).unwrap() | if is_extended { 0x4000 } else { 0 };
        bytes.extend(flags.to_be_bytes());
        if is_extended {
            bytes.extend([0x40, 0]);
        }
        if version == 4 {
            let kept = path.bytes().zip(before.bytes()).take_while(|(one, other)| one == other).count();
            bytes.push(u8::try_from(before.len() - kept).unwrap());
            bytes.extend(path[kept..].bytes());
            bytes.push(0);
            before = path;
        } else {
            bytes.extend(path.bytes());
            let padding = 8 - (bytes.len() - start) % 8;
            bytes.resize(bytes.len() + padding, 0);
        }
    }
    bytes.extend(extensions);
    bytes.resize(bytes.len() + id_length, 9);
    bytes
}

fn extension(signature: &str, bytes: &[u8]) -> Vec<u8> {
    [signature.as_bytes(), &u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// A bitmap of numbers below 64, as one literal word.
fn numbers(numbers: &[u32]) -> Vec<u8> {
    let word = numbers.iter().fold(0_u64, |word, number| word | 1 << number);
    [&64_u32.to_be_bytes()[..], &2_u32.to_be_bytes(), &(1_u64 << 33).to_be_bytes(), &word.to_be_bytes(), &[0; 4]]
        .concat()
}

#[expect(clippy::disallowed_methods, reason = "a fixture is neither store nor workspace")]
fn put(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

fn read(folder: &Path, id_length: Option<usize>) -> Result<GitIndex, GitProblem> {
    GitIndex::read(&folder.join("index"), Case::Sensitive, id_length).map(|index| index.expect("it is there"))
}

#[test]
fn every_version_and_length_of_ids_has_the_same_paths() {
    let folder = tempfile::tempdir().unwrap();
    for version in 2..=4 {
        for id_length in [20, 32] {
            let more = [extension("TREE", b"xyz"), extension("sdir", b""), extension("EOIE", &[0; 24])].concat();
            put(&folder.path().join("index"), &made(version, id_length, &PATHS, &more));
            for known in [Some(id_length), None] {
                let index = read(folder.path(), known).unwrap();
                let has = |path: &str, is_folder| index.has(path.as_bytes(), is_folder);
                assert!(["a", "folder/b.txt", "folder/c"].into_iter().all(|path| has(path, false) == Some(true)));
                assert!(["folder", "inner", "sparse"].into_iter().all(|path| has(path, true) == Some(true)));
                assert!(
                    ["a/b", "folder/b", "b", "inner/x", "spars"]
                        .into_iter()
                        .all(|path| has(path, false) == Some(false))
                );
                assert_eq!(
                    (has("a", true), has("sparse/x", false), has("sparse/x/y", true)),
                    (Some(false), None, None)
                );
            }
            let wrong = if id_length == 20 { 32 } else { 20 };
            assert!(read(folder.path(), Some(wrong)).is_err(), "version {version}");
        }
    }
    assert!(matches!(GitIndex::read(&folder.path().join("none"), Case::Sensitive, None), Ok(None)));
}

#[test]
fn a_split_index_is_joined_with_the_one_it_rests_on() {
    let folder = tempfile::tempdir().unwrap();
    let id = [0xab; 20];
    let link = [&id[..], &numbers(&[0, 4]), &numbers(&[1])].concat();
    let own = made(2, 20, &[("", REPOSITORY), ("new", FILE)], &extension("link", &link));
    put(&folder.path().join("index"), &own);
    let shared = folder.path().join(format!("sharedindex.{}", "ab".repeat(20)));
    assert_eq!(read(folder.path(), Some(20)).unwrap_err(), GitProblem::Dangling(shared.clone()));
    put(&shared, &made(4, 20, &PATHS, b""));
    let index = read(folder.path(), Some(20)).unwrap();
    let found =
        ["a", "folder/b.txt", "folder/c", "inner", "sparse", "new"].map(|path| index.has(path.as_bytes(), false));
    assert_eq!(found, [Some(false), Some(true), Some(true), Some(true), Some(false), Some(true)]);
    assert_eq!(index.has(b"folder/b.txt", true), Some(true), "it was replaced by a repository");
    // Out of range, in both bitmaps.
    put(&shared, &made(4, 20, &PATHS[..2], b""));
    assert!(matches!(read(folder.path(), Some(20)), Err(GitProblem::Malformed(_))));
    put(&folder.path().join("index"), &made(2, 20, &[("new", FILE)], &extension("link", &link)));
    put(&shared, &made(4, 20, &PATHS, b""));
    assert!(matches!(read(folder.path(), Some(20)), Err(GitProblem::Malformed(_))));
    // An index that builds on itself.
    put(&shared, &own);
    assert!(matches!(read(folder.path(), Some(20)), Err(GitProblem::Malformed(_))));
    // A null id means no shared index.
    put(&folder.path().join("index"), &made(2, 20, &[("new", FILE)], &extension("link", &[0; 20])));
    assert_eq!(read(folder.path(), Some(20)).unwrap().has(b"new", false), Some(true));
}

#[test]
fn case_is_folded_where_it_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    put(&folder.path().join("index"), &made(2, 20, &[("B/x", FILE), ("a", FILE)], b""));
    let index = GitIndex::read(&folder.path().join("index"), Case::Fold, Some(20)).unwrap().unwrap();
    assert!([&b"A"[..], b"b/X", b"B/x"].into_iter().all(|path| index.has(path, false) == Some(true)));
}

/// Random bytes are refused; nothing panics, and nothing takes long.
#[test]
fn damage_is_an_error() {
    let link = extension("link", &[&[7; 20][..], &numbers(&[1]), &numbers(&[])].concat());
    for (version, paths, more) in [(2, &PATHS[..], &link[..]), (3, &PATHS[..], b""), (4, &PATHS[..], &link[..])] {
        let whole = made(version, 20, paths, more);
        assert!(parse(&whole, 20).is_ok());
        for length in 0..whole.len() - 1 {
            // Cut at the end of an extension, it is a valid index without the rest.
            let is_whole_again =
                parse(&whole[..length], 20).is_ok_and(|parsed| parsed.index.entries.len() == paths.len());
            assert!(is_whole_again || parse(&whole[..length], 20).is_err(), "version {version}, cut to {length}");
        }
        for at in 0..whole.len() {
            for byte in [0, 1, 0x40, 0x7f, 0x80, 0xff] {
                let mut other = whole.clone();
                other[at] = byte;
                drop(parse(&other, 20));
                drop(parse(&other, 32));
            }
        }
    }
    let unknown = made(2, 20, &PATHS, &extension("abcd", b""));
    assert_eq!(parse(&unknown, 20).unwrap_err(), GitProblem::Unsupported("extension `abcd`".to_owned()));
    assert_eq!(parse(&made(5, 20, &[], b""), 20).unwrap_err(), GitProblem::Unsupported("version 5".to_owned()));
    assert!(matches!(parse(&made(2, 20, &[("", FILE)], b""), 20), Err(GitProblem::Malformed(_))));
    assert!(matches!(parse(&made(2, 20, &[("x", 0o010_000)], b""), 20), Err(GitProblem::Malformed(_))));
}

#[test]
fn a_bitmap_is_no_longer_than_an_index() {
    let run = |bit_count: u32, word: u64| {
        let bytes = [&bit_count.to_be_bytes()[..], &1_u32.to_be_bytes(), &word.to_be_bytes(), &[0; 4]].concat();
        bitmap(&mut super::Reader::new(&bytes))
    };
    assert_eq!(run(64, 0b11).unwrap(), (0..64).collect::<Vec<_>>());
    assert!(run(64, 0b101).is_err() && run(u32::MAX, 0x1_ffff_ffff).is_err());
    assert!(run(0, 0).unwrap().is_empty());
}
