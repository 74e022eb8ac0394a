//! A store that an earlier build made, in `tests/golden/v1/`, reads the same for ever: by the library, and by a second
//! reader, `tests/format_reader.py`, which was written from store-format.md alone.
//!
//! Until a release is tagged the format may change, and the store is then made again, on Linux and as root, because
//! files of another owner are in it:
//!
//! ```text
//! RETRO_GOLDEN=make cargo test --test it golden::
//! ```
//!
//! The second reader needs Python 3.9 and the packages `blake3` and `zstandard`. `.ci/run` installs them. Without them
//! the tests of the second reader fail at full depth, and say at quick depth that they were skipped.

mod expected;
mod make;
mod refused;
mod second_reader;

use std::path::{Path, PathBuf};

use retrograde::store::Store;
use serde_json::Value;

use crate::support::recorder::open_store;
use crate::support::scratch::Scratch;

/// The folder with the store and what is expected of it.
fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

/// The expected reading, which another test of the same run may be making.
fn expected_reading() -> Value {
    static EXPECTED: std::sync::OnceLock<Value> = std::sync::OnceLock::new();
    let read = || {
        if is_to_be_made() {
            make::golden_store(&golden());
        }
        let text = std::fs::read_to_string(golden().join("expected.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    EXPECTED.get_or_init(read).clone()
}

#[expect(clippy::disallowed_methods, reason = "whoever changes the format asks for a new store this way")]
fn is_to_be_made() -> bool {
    std::env::var("RETRO_GOLDEN").is_ok_and(|wish| wish == "make")
}

/// A copy of the golden store, with or without its caches.
fn copy(scratch: &Scratch, has_caches: bool) -> PathBuf {
    let store = scratch.join(if has_caches { "whole" } else { "packs-only" });
    std::fs::create_dir_all(store.join("packs")).unwrap();
    let (mut files, from) = (vec!["FORMAT".to_owned()], golden().join("store"));
    for entry in std::fs::read_dir(from.join("packs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if has_caches || name.ends_with(".pack") {
            files.push(format!("packs/{name}"));
        }
    }
    files.extend(has_caches.then(|| "journal".to_owned()));
    for file in files {
        std::fs::copy(from.join(&file), store.join(&file)).unwrap();
    }
    store
}

fn opened(folder: &Path) -> Store {
    open_store(folder)
}

/// The golden store has everything that a stranger's reader can stumble over: the counts say so.
#[test]
fn the_golden_store_reads_as_expected() {
    let expected = expected_reading();
    let scratch = Scratch::new();
    for has_caches in [true, false] {
        let store = opened(&copy(&scratch, has_caches));
        assert!(store.damage().is_empty(), "{:?}", store.damage());
        let found = expected::reading(&store);
        assert!(found == expected, "with caches: {has_caches}: {}", expected::first_difference(&found, &expected));
    }
}
