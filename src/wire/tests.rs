//! Shapes hold the values they are made from, and the description names every key.

use super::{Event, Path, VERSION, Version, help, schema};
use crate::path::TreePath;

#[test]
fn paths_that_are_not_text_are_given_exactly_too() {
    let shown = |bytes: &[u8]| super::line(&Path::from(&TreePath::new(bytes).unwrap()));
    assert_eq!(shown(b"a/\"b\""), r#"{"path":"a/\"b\""}"#);
    assert_eq!(shown(b"a\xff"), "{\"path\":\"a\u{fffd}\",\"path_base64\":\"Yf8=\"}");
    assert_eq!(shown(b""), r#"{"path":"."}"#);
}

#[test]
fn events_are_given_as_they_were() {
    let shown = |bytes: &[u8]| Event::of(bytes).map(|event| super::line(&event));
    assert_eq!(shown(b""), None);
    assert_eq!(shown(br#"{"b": 1.0, "a": 1e999}"#).as_deref(), Some(r#"{"b":1.0,"a":1e999}"#));
    assert_eq!(shown(b"no \xff json").as_deref(), Some("\"no \u{fffd} json\""));
}

#[test]
fn another_version_is_refused() {
    assert!(serde_json::from_str::<Version>(&VERSION.to_string()).is_ok());
    assert!(serde_json::from_str::<Version>(&(VERSION + 1).to_string()).is_err());
}

#[test]
fn every_shape_and_every_key_is_described() {
    let (schema, help) = (schema(), help());
    let mut keys = 0;
    for (name, shape) in schema["$defs"].as_object().unwrap() {
        assert!(shape["description"].is_string(), "{name} has no description");
        for (key, value) in shape["properties"].as_object().into_iter().flatten() {
            keys += 1;
            if key != "version" {
                assert!(value["description"].is_string(), "{name}.{key} has no description");
            }
            assert!(
                key.ends_with("_base64") || help.contains(&format!("    {key} ")),
                "{name}.{key} is not in the help"
            );
        }
    }
    assert!(keys > 150, "only {keys} keys were looked at");
    assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
}

#[test]
fn no_section_of_the_help_is_empty() {
    let (schema, help) = (schema(), help());
    let sections: Vec<&str> = help.split("\n\n").collect();
    let types = sections.iter().position(|section| section.starts_with("The types named above")).unwrap();
    // Texts and the event have no keys and no words, and `diff` prints changes.
    let plain = ["id", "time", "event", "mode", "change"];
    for section in sections.iter().skip(2).filter(|section| **section != sections[types]) {
        let name = section.lines().next().unwrap();
        assert!(section.contains("\n    ") != plain.contains(&name), "{section}");
    }
    for named in help.lines().filter_map(|line| line.split("  list of ").nth(1)) {
        let name = named.split("  ").next().unwrap().trim_end_matches(" or null");
        let is_described = sections.iter().any(|section| section.starts_with(&format!("{name}\n")));
        assert!(is_described || ["text", "number"].contains(&name), "no section describes {name}");
    }
    let kinds = sections.iter().find(|section| section.starts_with("problem kind\n")).unwrap();
    let words = ["Failure", "Signal"].map(|name| schema["$defs"][name]["oneOf"].as_array().unwrap());
    for word in words.into_iter().flatten() {
        let (word, meaning) = (word["const"].as_str().unwrap(), word["description"].as_str().unwrap());
        let row = kinds.lines().find(|line| line.trim_start().starts_with(&format!("{word} ")));
        assert!(row.is_some_and(|row| row.ends_with(meaning)), "{word} is not in {kinds}");
    }
}
