//! House rules that no lint knows.

use std::path::{Path, PathBuf};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["src", "tests", "benches", "fuzz/fuzz_targets"] {
        if root.join(folder).is_dir() {
            files(&root.join(folder), &mut found);
        }
    }
    found.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    found.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn every_module_says_what_it_is_for() {
    for (path, text) in sources() {
        assert!(text.starts_with("//!") || text.starts_with("#!["), "{} has no module doc", path.display());
    }
}

#[test]
fn files_stay_within_reach_of_a_reader() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= 600, "{} has {lines} lines: think again about its shape", path.display());
    }
}

#[test]
fn nothing_is_left_half_done() {
    let words = [concat!("todo", "!("), concat!("unimpl", "emented!("), concat!("FIX", "ME"), concat!("#[", "ignore")];
    for (path, text) in sources() {
        for word in words {
            assert!(!text.contains(word), "{} has `{word}`", path.display());
        }
    }
}

#[test]
fn unsafe_code_is_where_the_map_is_opened_and_nowhere_else() {
    let with_unsafe: Vec<PathBuf> = sources()
        .into_iter()
        .filter(|(path, text)| {
            path.components().any(|part| part.as_os_str() == "src") && text.contains(concat!("unsafe", " {"))
        })
        .map(|(path, _)| path)
        .collect();
    assert!(matches!(&with_unsafe[..], [only] if only.ends_with("src/disk/local.rs")), "{with_unsafe:?}");
}

#[test]
fn the_vocabulary_is_kept_in_messages() {
    let avoided = ["worktree", "checkpoint", "tarball", "shadow git"];
    for (path, text) in sources().into_iter().filter(|(path, _)| !path.ends_with("tests.rs")) {
        if !path.components().any(|part| part.as_os_str() == "src") {
            continue;
        }
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//") && !line.contains("gix::")) {
            for word in avoided {
                assert!(!line.to_lowercase().contains(word), "{}: `{word}` in: {}", path.display(), line.trim());
            }
        }
    }
}
