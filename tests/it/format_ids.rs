//! Requirements of store-format.md have ids, and ids have tests: each *must* stands beside an id, each id is cited by
//! some test, and what tests cite is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const DOC: &str = include_str!("../../store-format.md");

/// Tells if a word is an id: a letter and a number of one or two digits.
fn is_id(word: &str) -> bool {
    let mut characters = word.chars();
    characters.next().is_some_and(|c| c.is_ascii_uppercase())
        && (2..=3).contains(&word.len())
        && characters.all(|c| c.is_ascii_digit())
}

/// The ids that stand in parentheses in a text.
fn ids_in(text: &str) -> BTreeSet<&str> {
    text.split('(').skip(1).filter_map(|rest| rest.split_once(')')).map(|(id, _)| id).filter(|id| is_id(id)).collect()
}

/// The document without its examples and layouts, paragraph by paragraph; a numbered point is one of its own.
fn paragraphs() -> Vec<String> {
    let prose: String = DOC.split("```").step_by(2).collect::<Vec<_>>().join("\n\n");
    let mut paragraphs = vec![String::new()];
    for line in prose.lines() {
        let is_point = line.split_once(". ").is_some_and(|(number, _)| number.parse::<u32>().is_ok());
        if line.is_empty() || is_point {
            paragraphs.push(String::new());
        }
        let last = paragraphs.last_mut().expect("there is one from the start");
        last.push_str(line);
        last.push(' ');
    }
    paragraphs
}

#[test]
fn every_must_has_an_id() {
    let is_must = |text: &str| text.split(|c: char| !c.is_alphanumeric()).any(|word| word == "must");
    let musts: Vec<String> = paragraphs().into_iter().filter(|text| is_must(text)).collect();
    assert!(musts.len() > 15, "only {} paragraphs require anything", musts.len());
    let without: Vec<_> = musts.iter().filter(|text| ids_in(text).is_empty()).collect();
    assert!(without.is_empty(), "no id: {without:#?}");
}

/// Every requirement has a test that says so by its id.
#[test]
fn no_requirement_is_left_uncited() {
    let ids = ids_in(DOC);
    assert!(ids.len() > 20, "{ids:?}");
    let cited = citations();
    let uncited: Vec<_> = ids.iter().filter(|id| !cited.iter().any(|(cited, _)| cited == *id)).collect();
    assert!(uncited.is_empty(), "no test cites {uncited:?}");
}

/// An id that is cited and does not exist is a slip, or a requirement that went away under its test.
#[test]
fn nothing_is_cited_that_is_not_required() {
    let ids = ids_in(DOC);
    let chapters: BTreeSet<char> = ids.iter().filter_map(|id| id.chars().next()).collect();
    let mut unknown = citations();
    unknown
        .retain(|(id, _)| chapters.contains(&id.chars().next().expect("an id has a letter")) && !ids.contains(&id[..]));
    assert!(unknown.is_empty(), "store-format.md has no {unknown:?}");
}

/// Ids in the comments of tests, and the files they stand in.
fn citations() -> BTreeSet<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeSet::new();
    for folder in ["tests", "src"] {
        collect(&root.join(folder), &mut |path, tests| {
            let comments = tests.lines().filter_map(|line| line.trim_start().strip_prefix("//"));
            let words = comments.flat_map(|comment| comment.split(|c: char| !c.is_ascii_alphanumeric()));
            found.extend(words.filter(|word| is_id(word)).map(|id| (id.to_owned(), path.to_owned())));
        });
    }
    found
}

/// Goes through the text of all files with tests in them.
fn collect(folder: &Path, each: &mut impl FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, each);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let content = std::fs::read_to_string(&path).unwrap();
            let is_all_tests = path.ends_with("tests.rs")
                || path.parent().is_some_and(|folder| folder.iter().any(|name| name == "tests"));
            let tests = if is_all_tests {
                Some(&content[..])
            } else {
                content.split_once("#[cfg(test)]").map(|(_, tests)| tests)
            };
            each(&path, tests.unwrap_or_default());
        }
    }
}
