//! Crafted places: facts that say that a workspace is somewhere else. Verbs change the folder that the
//! user is in or has named, and no other.

#![expect(clippy::disallowed_methods, reason = "tests write files of their own")]

use retrograde::format::facts::Fact;
use retrograde::id::WorkspaceId;

use super::forge::{FILE, Forge, NOON, text};
use super::run::{run, run_in};
use crate::support::walker::{differences, walk};

/// A store that says that its workspace was recorded at this place.
fn at(root: Vec<u8>) -> Forge {
    let mut forge = Forge::new();
    let file = forge.content(b"overwritten\n");
    let tree = forge.leaf(&[(FILE, 0o644, b"live", 12, file)]);
    let id = forge.head(tree);
    forge.tag("bad", id);
    let workspace = forge.workspace;
    forge.fact(Fact::WorkspaceMoved { workspace, root, time: NOON });
    forge.write();
    forge
}

fn bytes(forge: &Forge, name: &str) -> Vec<u8> {
    forge.at(name).into_os_string().into_encoded_bytes()
}

/// Verbs that change a workspace, or say how.
const CHANGES: [&[&str]; 6] =
    [&["restore", "bad"], &["restore", "--no-safety-snapshot", "bad"], &["undo"], &["redo"], &["status"], &["diff"]];

#[test]
fn a_workspace_that_was_moved_by_a_fact_is_not_touched_from_elsewhere() {
    for place in ["canary", "canary/folder", "out"] {
        let mut forge = Forge::new();
        let (workspace, root) = (forge.workspace, bytes(&forge, place));
        forge.fact(Fact::WorkspaceMoved { workspace, root, time: NOON });
        forge.write();
        let before = walk(&forge.at("canary"));
        for verb in CHANGES {
            let words: Vec<&str> = verb.iter().map(|word| if *word == "bad" { "honest" } else { word }).collect();
            let (code, _, stderr) = run(&forge, &words);
            assert!(code == 2 || code == 3, "{verb:?}: {stderr}");
        }
        let after = walk(&forge.at("canary"));
        assert!(before == after, "{:?}", differences(&before, &after));
    }
}

#[test]
fn roots_that_are_no_folder_path_match_no_workspace() {
    for suffix in ["/", "/.", "/../ws", "//", "/folder/.."] {
        let mut forge = Forge::new();
        let root = [&bytes(&forge, "ws")[..], suffix.as_bytes()].concat();
        let workspace = forge.workspace;
        forge.fact(Fact::WorkspaceMoved { workspace, root, time: NOON });
        forge.write();
        let before = walk(&forge.home.join("ws"));
        let (code, _, stderr) = run(&forge, &["restore", "honest"]);
        assert_eq!(code, 3, "{suffix}: {stderr}");
        assert!(walk(&forge.home.join("ws")) == before);
        assert_eq!(run(&forge, &["workspace", "list"]).0, 0);
    }
    // Relative ones, and ones with a NUL, are no facts at all.
    for root in [&b"ws"[..], b"", b"../ws", b"/a\0b"] {
        let forge = at(root.to_vec());
        let (code, _, stderr) = run(&forge, &["status"]);
        assert_eq!(code, 3, "{stderr}");
        assert!(stderr.contains("outside its limits"), "{stderr}");
    }
    let forge = at(b"/not \xff\xfe text/\x1b[2J".to_vec());
    let (code, stdout, _) = run(&forge, &["workspace", "list"]);
    assert_eq!((code, stdout.contains(&0x1b)), (0, false));
}

/// The home folder, and what is above it, are workspaces for whoever is right there, and not for whoever is below.
#[test]
fn a_project_in_the_home_folder_is_not_the_home_folder() {
    let mut forge = Forge::new();
    for folder in ["home/project", "home/other"] {
        std::fs::create_dir_all(forge.at(folder)).unwrap();
        std::fs::write(forge.at(folder).join("mine"), b"mine").unwrap();
    }
    for (number, place) in [(8, "home"), (9, "")] {
        let root = bytes(&forge, place);
        let root = root.strip_suffix(b"/").unwrap_or(&root).to_vec();
        forge.fact(Fact::WorkspaceAdded { workspace: WorkspaceId([number; 16]), root, time: NOON });
    }
    forge.write();
    let before = walk(&forge.at("home"));
    let project = forge.at("home/project");
    for verb in CHANGES {
        let words: Vec<&str> = verb.iter().map(|word| if *word == "bad" { "honest" } else { word }).collect();
        assert!([2, 3].contains(&run_in(&project, &forge, &words).0), "{verb:?}");
    }
    assert!(walk(&forge.at("home")) == before);
    // A step of another folder is restored only where that is insisted on. A step in the project is a step of the
    // project, and restoring it changes nothing beside it.
    assert_eq!(run_in(&project, &forge, &["snap"]).0, 0);
    let of_forge = format!("{}/honest", forge.workspace);
    assert_eq!(run_in(&project, &forge, &["restore", &of_forge, "--force"]).0, 0);
    assert!(!project.join("mine").exists() && forge.at("home/other/mine").exists());
    assert_eq!(run_in(&project, &forge, &["undo"]).0, 0);
    assert!(walk(&forge.at("home")) == before);
    // Named, it is meant.
    let home = text(&forge.at("home"));
    assert_eq!(run_in(&project, &forge, &["-C", &home, "status"]).0, 0);
}
