//! House rules that no lint knows: the shape of files, and plain language in all that a person reads.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The longest line, in characters.
const LINE_CHARACTERS_MAX: usize = 120;

/// The longest subject of a commit, in characters.
const SUBJECT_CHARACTERS_MAX: usize = 72;

/// Words that only the authors of this project would use, where the field has a word of its own.
const DIALECT: [&str; 12] = [
    "overruled",
    "shadowed",
    "displaced",
    "doomed",
    "spared",
    "hurt",
    "trouble",
    "stretch",
    "told",
    "put right",
    "homeless",
    "headless",
];

/// Openings that hide the subject of a sentence.
const SUBJECTLESS: [&str; 7] = ["What", "Whether", "Which", "Who", "How", "Where", "When"];

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

/// The sources, this file excepted, and the pages for users.
fn texts() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = ["README.md", "CHANGELOG.md", "store-format.md", "tests/format_reader.py"].map(|page| root.join(page));
    let pages = pages.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()));
    sources().into_iter().filter(|(path, _)| !path.ends_with("it/tidy.rs")).chain(pages).collect()
}

#[test]
fn lines_fit_beside_each_other() {
    for (path, text) in texts() {
        for (number, line) in (1..).zip(text.lines()) {
            let characters = line.chars().count();
            assert!(characters <= LINE_CHARACTERS_MAX, "{}:{number} has {characters} characters", path.display());
        }
    }
}

/// The words of the dialect that a text uses, with their lines. Joined names such as `is_spared` count as words.
fn dialect(text: &str) -> Vec<(usize, &'static str)> {
    let is_word = |character: char| character.is_alphabetic();
    let uses = |line: &str, word: &str| {
        line.match_indices(word)
            .any(|(at, _)| !line[..at].ends_with(is_word) && !line[at + word.len()..].starts_with(is_word))
    };
    let lines = text.lines().map(str::to_lowercase).zip(1..);
    lines
        .flat_map(|(line, number)| {
            DIALECT.into_iter().filter(move |word| uses(&line, word)).map(move |word| (number, word))
        })
        .collect()
}

#[test]
fn the_words_are_those_of_the_field() {
    assert_eq!(dialect("/// The Doomed pack.\nfn is_spared() {}\n// It toldered."), [(1, "doomed"), (2, "spared")]);
    for (path, text) in texts() {
        let found = dialect(&text);
        assert!(found.is_empty(), "{}: {found:?}", path.display());
    }
}

/// A commit is git's; a store has transactions. A line about git names it.
#[test]
fn a_store_has_transactions_and_no_commits() {
    let below = |path: &Path| {
        ["src/store", "src/disk", "src/format", "src/ops/check"]
            .iter()
            .any(|folder| path.starts_with(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)))
    };
    for (path, text) in sources().into_iter().filter(|(path, _)| below(path)) {
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.to_lowercase();
            assert!(!line.contains("commit") || line.contains("git"), "{}:{number}: {line}", path.display());
        }
    }
}

/// The lines of doc comments and of other comments where a paragraph opens without its subject.
fn subjectless(text: &str) -> Vec<usize> {
    let comment = |line: &'_ str| -> Option<String> {
        let line = line.trim_start();
        ["///", "//!", "//"].iter().find_map(|mark| line.strip_prefix(mark)).map(|rest| rest.trim().to_owned())
    };
    let mut before = None;
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = comment(line);
        let opens = before.as_ref().is_none_or(String::is_empty);
        if let Some(words) = &line
            && opens
            && SUBJECTLESS.iter().any(|word| words.strip_prefix(word).is_some_and(|rest| rest.starts_with(' ')))
            && !words.ends_with('?')
        {
            found.push(number);
        }
        before = line;
    }
    found
}

#[test]
fn docs_open_with_their_subject() {
    let wrong =
        "//! The doc.\n//!\n//! Whether it is.\nfn one() {}\n/// Which file.\n/// What is wrapped.\n// How so?\n";
    assert_eq!(subjectless(wrong), [3, 5]);
    for (path, text) in sources() {
        let found = subjectless(&text);
        assert!(found.is_empty(), "{}: lines {found:?} open a comment without its subject", path.display());
    }
}

#[test]
fn pages_have_sentences_with_subjects() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for page in ["README.md", "CHANGELOG.md", "store-format.md"] {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        let prose = text.split("```").step_by(2).flat_map(str::lines).filter(|line| !line.starts_with(['#', '|']));
        let prose = prose.collect::<Vec<_>>().join(" ");
        for sentence in prose.split(". ").map(|sentence| sentence.trim_start_matches([' ', '-', '*'])) {
            let opening = sentence.split(' ').next().expect("split gives one part at least");
            let relative = ["What", "Whatever", "Whether", "Who", "Whoever", "Which"];
            assert!(!relative.contains(&opening) || sentence.ends_with('?'), "{page}: no subject: {sentence}");
        }
    }
}

/// A source package has no history, and a shallow clone has a part of it.
#[test]
fn subjects_of_commits_fit_a_line() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !root.join(".git").exists() {
        return;
    }
    let listed = Command::new("git").arg("-C").arg(root).args(["log", "-50", "--format=%s"]).output();
    let Ok(listed) = listed else { return };
    for subject in String::from_utf8_lossy(&listed.stdout).lines() {
        assert!(subject.chars().count() <= SUBJECT_CHARACTERS_MAX, "the subject of a commit is too long: {subject}");
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
