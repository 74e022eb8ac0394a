//! The floors of the house: a module imports only from floors below its own, siblings are blind to each other, and no
//! files import each other in a circle.
//!
//! Changing the table is the design review of a change that needs it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Modules by floor, from the lowest. The library's modules are those of `src/lib.rs`; the binary may use the public
/// library only.
const FLOORS: [&[&str]; 12] = [
    &["limits", "time"],
    &["id", "path"],
    &["error", "progress"],
    &["format", "chunker", "disk"],
    &["store"],
    &["history", "diff", "workspace", "patterns"],
    &["ops"],
    &["agent", "signals"],
    &["incident"],
    &["respond"],
    &["wire"],
    &["serve", "mcp"],
];

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

fn source_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Names that follow `crate::` outside comments, also in `use crate::{a, b}`.
fn imports(text: &str) -> BTreeSet<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let name = |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            None => {
                found.insert(name(rest));
            }
            Some(group) => {
                let mut depth = 0;
                let mut start = 0;
                for (at, character) in group.char_indices() {
                    match character {
                        '{' => depth += 1,
                        ',' | '}' if depth == 0 => {
                            found.insert(name(&group[start..at]));
                            start = at + 1;
                            if character == '}' {
                                break;
                            }
                        }
                        '}' => depth -= 1,
                        _ => {}
                    }
                }
            }
        }
    }
    found.remove("");
    found
}

#[test]
fn no_import_points_up_or_sideways() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    source_files(&src, &mut files);
    let mut wrong = Vec::new();
    for file in &files {
        let relative = file.strip_prefix(&src).unwrap();
        let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let module = first.strip_suffix(".rs").unwrap_or(first);
        if module == "lib" || module == "bin" {
            continue;
        }
        let Some(own) = floor_of(module) else {
            wrong.push(format!("module `{module}` is on no floor"));
            continue;
        };
        for import in imports(&std::fs::read_to_string(file).unwrap()) {
            let is_fine = import == module || floor_of(&import).is_some_and(|floor| floor < own);
            if !is_fine {
                wrong.push(format!("{} (floor {own}) imports `{import}`", relative.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(files.len() > 30, "only {} files were looked at", files.len());
}

#[test]
fn the_binary_uses_the_public_library_only() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/retro");
    let mut files = Vec::new();
    source_files(&folder, &mut files);
    assert!(files.len() > 10, "only {} files were looked at", files.len());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for import in imports(&text) {
            assert!(
                floor_of(&import).is_none(),
                "{} imports `crate::{import}`, not `retrograde::{import}`",
                file.display()
            );
        }
    }
}

/// All paths that a file imports or names from `crate`, `super` or `self`, each as its parts.
fn paths_named(text: &str) -> Vec<Vec<String>> {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
    let code = code.split("#[cfg(test)] mod tests").next().unwrap_or_default();
    let mut found = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(start) {
            let is_start = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            if is_start {
                expand(&code[at..], &mut Vec::new(), &mut found);
            }
        }
    }
    found
}

/// Adds the paths that `text` begins with, a group in braces as one each; returns what follows.
fn expand<'a>(text: &'a str, before: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = expand(rest, before, found).trim_start();
            rest = match rest.find([',', '}']) {
                Some(at) if rest[at..].starts_with(',') => rest[at + 1..].trim_start(),
                Some(at) => return &rest[at + 1..],
                None => return "",
            };
            if let Some(after) = rest.strip_prefix('}') {
                return after;
            }
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (part, rest) = text.split_at(end);
    before.push(part.to_owned());
    let rest = match rest.strip_prefix("::") {
        Some(rest) => expand(rest, before, found),
        None => {
            found.push(before.clone());
            rest
        }
    };
    before.pop();
    rest
}

/// Files that import each other in a circle, as module paths. A folder's front (`mod.rs`, or `x.rs` beside `x/`) may
/// import the files of its folder: that is no circle.
fn circles(files: &BTreeMap<String, String>) -> Vec<Vec<String>> {
    let mut imports: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (module, text) in files {
        let mut targets = BTreeSet::new();
        for path in paths_named(text) {
            let mut at: Vec<&str> = if path[0] == "crate" { Vec::new() } else { module.split("::").collect() };
            for part in &path {
                match part.as_str() {
                    "crate" | "self" => {}
                    "super" => drop(at.pop()),
                    part => at.push(part),
                }
            }
            let known = (1..=at.len()).rev().map(|length| at[..length].join("::"));
            let target = known.filter_map(|path| files.get_key_value(&path)).next();
            if let Some((target, _)) = target
                && target != module
                && !target.starts_with(&format!("{module}::"))
            {
                targets.insert(target.as_str());
            }
        }
        imports.insert(module, targets);
    }
    let reached = |from: &str| {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut waiting: Vec<&str> = imports[from].iter().copied().collect();
        while let Some(next) = waiting.pop() {
            if seen.insert(next) {
                waiting.extend(&imports[next]);
            }
        }
        seen
    };
    let all: BTreeMap<&str, BTreeSet<&str>> = imports.keys().map(|module| (*module, reached(module))).collect();
    let circle = |module: &str| -> Vec<String> {
        let others = all[module].iter().filter(|other| all[**other].contains(module));
        others.map(|other| (*other).to_owned()).collect()
    };
    let found: BTreeSet<Vec<String>> =
        all.keys().map(|module| circle(module)).filter(|found| !found.is_empty()).collect();
    found.into_iter().collect()
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    source_files(&src, &mut paths);
    let mut files = BTreeMap::new();
    for path in paths {
        let relative = path.strip_prefix(&src).unwrap().with_extension("");
        let mut parts: Vec<&str> = relative.iter().map(|part| part.to_str().unwrap()).collect();
        parts.pop_if(|last| *last == "mod");
        let is_of_tests = matches!(parts.last(), Some(&"tests" | &"fixture" | &"testing"));
        if parts[0] != "bin" && parts[0] != "lib" && !is_of_tests {
            files.insert(parts.join("::"), std::fs::read_to_string(&path).unwrap());
        }
    }
    assert!(files.len() > 150, "only {} files were looked at", files.len());
    let found = circles(&files);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_circle_would_be_seen() {
    let files = |files: &[(&str, &str)]| {
        files.iter().map(|(module, text)| ((*module).to_owned(), (*text).to_owned())).collect::<BTreeMap<_, _>>()
    };
    let three = files(&[
        ("a", "mod b; use b::X; pub use c::{Y, d::Z};"),
        ("a::b", "use super::c::{self, d};"),
        ("a::c", "use crate::{x, a::d::{T}};"),
        ("a::d", "fn f() -> super::b::X { todo() }"),
    ]);
    assert_eq!(circles(&three), [["a::b", "a::c", "a::d"].map(str::to_owned).to_vec()]);
    let none = files(&[("a", "use b::X;"), ("a::b", "use super::Y; // super::c::Z"), ("a::c", "use super::b::X;")]);
    assert!(circles(&none).is_empty());
}

#[test]
fn a_wrong_import_would_be_seen() {
    assert_eq!(
        imports("use crate::{id, store::{Store, State}, ops};\n// crate::no\nlet x = crate::disk::f();"),
        ["disk", "id", "ops", "store"].map(str::to_owned).into()
    );
    assert!(floor_of("store") < floor_of("diff"));
    assert_eq!(floor_of("nothing"), None);
}
