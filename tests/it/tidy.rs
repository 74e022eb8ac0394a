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
fn unsafe_code_is_where_maps_are_opened_and_leases_taken_and_nowhere_else() {
    let mut with_unsafe: Vec<PathBuf> = sources()
        .into_iter()
        .filter(|(path, text)| {
            path.components().any(|part| part.as_os_str() == "src") && text.contains(concat!("unsafe", " {"))
        })
        .map(|(path, _)| path)
        .collect();
    with_unsafe.sort();
    let expected = ["src/disk/local.rs", "src/workspace/read/quiet.rs"];
    assert_eq!(with_unsafe.len(), expected.len(), "{with_unsafe:?}");
    assert!(with_unsafe.iter().zip(expected).all(|(path, expected)| path.ends_with(expected)), "{with_unsafe:?}");
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

/// A filter that matches nothing runs nothing, and passes.
#[test]
fn the_tests_that_the_readme_names_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let mut named = 0;
    for command in readme.split('`').filter(|quoted| quoted.contains("cargo test ")) {
        let words: Vec<&str> = command.split_whitespace().skip_while(|word| *word != "cargo").collect();
        let folder = match words.iter().position(|word| matches!(*word, "--test" | "--lib")) {
            Some(at) if words[at] == "--test" => {
                assert_eq!(words[at + 1], "it", "`{command}`: there is one test binary");
                "tests/it"
            }
            Some(_) => "src",
            None => continue,
        };
        let filter = words.last().expect("it has words");
        assert!(!filter.starts_with('-') && *filter != "it", "`{command}` names no test");
        assert!(has_tests_named(&root.join(folder), filter), "`{command}` runs nothing");
        named += 1;
    }
    assert!(named >= 10, "only {named} commands were found");
}

/// True if a filter matches a test of a file below `folder`, by the path that the test has for `cargo test`.
fn has_tests_named(folder: &Path, filter: &str) -> bool {
    sources().into_iter().any(|(path, text)| {
        let Ok(inner) = path.strip_prefix(folder) else { return false };
        let module: Vec<_> = inner.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let module = module.join("::").replace("::mod", "");
        let names = text.split("#[test]").skip(1).filter_map(|rest| rest.split_once("fn ")?.1.split_once('('));
        names.map(|(name, _)| format!("{module}::{name}")).any(|path| path.contains(filter))
    })
}
