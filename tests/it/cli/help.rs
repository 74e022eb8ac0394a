//! `retro help`, and the promise of `retro help json`: the examples there have the keys of what is really printed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Cli;

#[test]
fn help_lists_the_verbs_by_purpose() {
    let cli = Cli::new();
    cli.check("--help", "?");
    cli.check("undo --help", "?");
    for [one, other] in [["help", "--help"], ["help undo", "undo --help"]] {
        let stdout = |line: &str| cli.run(&line.split(' ').collect::<Vec<_>>()).stdout;
        assert!(stdout(one) == stdout(other), "{one} and {other} differ");
    }
    cli.check("help nothing", "?");
}

#[test]
fn examples_of_json_have_the_keys_of_real_output() {
    let cli = Cli::with_two_steps();
    let examples = examples(&cli);
    rustix::fs::mkfifoat(rustix::fs::CWD, cli.workspace.join("pipe"), rustix::fs::Mode::RWXU).unwrap();
    let content: Vec<u8> = (0..200_u32).flat_map(|line| format!("line {line}\n").into_bytes()).collect();
    cli.write("old.rs", &content);
    cli.write("target/x", b"x");
    cli.run_with(&["snap", "--tag", "v1", "--event", "-"], b"{\"tool\":\"x\"}").expect(0);
    cli.remove("old.rs");
    cli.write("new.rs", &content);
    let mut checked = Vec::new();
    let mut compare = |heading: &str, line: &str| {
        let found = cli.json(line);
        assert!(!found.is_empty(), "{line} prints nothing");
        found.iter().for_each(|object| same_shape(&examples[heading][0], object, line));
        checked.push(heading.to_owned());
    };
    compare("status", "status --json");
    compare("diff", "diff --json");
    compare("snap", "snap --json");
    compare("log", "log --json");
    compare("show", "show @- --json");
    compare("ls", "ls --json");
    compare("restore, undo, redo", "restore s1 --json");
    compare("restore, undo, redo", "undo --json");
    compare("restore --into", "restore s1 --into ../out --json");
    compare("tag", "tag --json");
    compare("tag NAME, tag -d NAME", "tag v2 --json");
    compare("tag NAME, tag -d NAME", "tag -d v2 --json");
    compare("pin", "pin @ --json");
    compare("stats", "stats --json");
    compare("workspace list", "workspace list --json");
    compare("workspace move", "workspace move . . --json");
    compare("export --tar", "export --tar ../x.tar --json");
    compare("init", "init --json");
    compare("workspace forget", "workspace forget . --json");
    let error = cli.run(&["status", "--json"]).expect(3).stderr.clone();
    same_shape(&examples["errors"][0], &serde_json::from_slice(&error).unwrap(), "an error");
    checked.push("errors".to_owned());
    checked.sort();
    checked.dedup();
    assert_eq!(checked, examples.keys().cloned().collect::<Vec<_>>(), "every shape is compared");
}

/// The examples below each heading.
fn examples(cli: &Cli) -> BTreeMap<String, Vec<Value>> {
    let text = String::from_utf8(cli.run(&["help", "json"]).stdout).expect("help is text");
    let mut examples: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut heading = String::new();
    for line in text.lines() {
        if let Some(example) = line.strip_prefix("  {") {
            let example = serde_json::from_str(&format!("{{{example}")).unwrap_or_else(|e| panic!("{heading}: {e}"));
            examples.entry(heading.clone()).or_default().push(example);
        } else if let Some((before, _)) = line.split_once(": ").filter(|_| !line.starts_with(' ')) {
            heading = before.to_owned();
        }
    }
    examples
}

/// Compares keys, in any order, and the types of values; null stands for any, and lists agree where one is empty.
fn same_shape(example: &Value, found: &Value, place: &str) {
    match (example, found) {
        (Value::Object(example), Value::Object(found)) => {
            // Only a rename has two paths.
            let is_side = place.ends_with(".old") || place.ends_with(".new");
            let keys = |object: &serde_json::Map<String, Value>| {
                object.keys().filter(|key| !is_side || *key != "path").cloned().collect::<Vec<_>>()
            };
            assert_eq!(keys(example), keys(found), "{place}");
            for (key, value) in example.iter().filter(|(key, _)| *key != "event") {
                if let Some(other) = found.get(key) {
                    same_shape(value, other, &format!("{place}.{key}"));
                }
            }
        }
        (Value::Array(example), Value::Array(found)) => {
            if let (Some(example), Some(found)) = (example.first(), found.first()) {
                same_shape(example, found, place);
            }
        }
        (Value::Null, _) | (_, Value::Null) => {}
        (example, found) => {
            assert_eq!(std::mem::discriminant(example), std::mem::discriminant(found), "{place}: {example} {found}");
        }
    }
}
