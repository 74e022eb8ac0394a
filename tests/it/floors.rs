//! The floors of the house: a module imports only from floors below its own, and siblings are blind to each other.
//!
//! Changing the table is the design review of a change that needs it.

use std::collections::BTreeSet;
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

#[test]
fn a_wrong_import_would_be_seen() {
    assert_eq!(
        imports("use crate::{id, store::{Store, State}, ops};\n// crate::no\nlet x = crate::disk::f();"),
        ["disk", "id", "ops", "store"].map(str::to_owned).into()
    );
    assert!(floor_of("store") < floor_of("diff"));
    assert_eq!(floor_of("nothing"), None);
}
