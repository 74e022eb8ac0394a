//! Folders, pipes and symlinks in the places of a store's files, and files in the places of its folders.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use super::fixture::{Given, Names};
use crate::support::depth::{AtLeast, is_turn};

/// The kind of thing found at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thing {
    File,
    Folder,
    Pipe,
    Symlink,
    DanglingSymlink,
}

/// The purpose of the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Named by verify, and put aside by repair.
    Needed,
    /// Lost where it is not what it should be.
    Pack,
    Folder,
}

const PLACES: [(&str, Role); 13] = [
    ("lock", Role::Needed),
    ("workspaces/WS/lock", Role::Needed),
    ("workspaces/WS/stat", Role::Needed),
    ("tmp/left", Role::Needed),
    ("FORMAT", Role::Needed),
    ("journal", Role::Needed),
    ("packs/000002.idx", Role::Needed),
    ("packs/000002.pack", Role::Pack),
    ("tmp", Role::Folder),
    ("workspaces", Role::Folder),
    ("workspaces/WS", Role::Folder),
    ("packs", Role::Folder),
    ("quarantine", Role::Folder),
];

#[test]
fn repair_quarantines_foreign_things_at_every_place() {
    let given = Given::record();
    let mut tried = 0;
    for (turn, (name, role)) in PLACES.into_iter().enumerate() {
        let things = match role {
            Role::Folder => [Thing::File, Thing::Pipe, Thing::Symlink, Thing::DanglingSymlink],
            _ => [Thing::Folder, Thing::Pipe, Thing::Symlink, Thing::DanglingSymlink],
        };
        // At quick depth one thing for each place, and each thing in some places.
        for (_, thing) in things.into_iter().enumerate().filter(|(number, _)| is_turn(turn + number, things.len())) {
            try_place(&given, &name.replace("WS", &given.workspace_id), role, thing);
            tried += 1;
        }
    }
    AtLeast::new(PLACES.len(), 4 * PLACES.len()).require("things in places of a store's files and folders", tried);
}

fn try_place(given: &Given, name: &str, role: Role, thing: Thing) {
    let what = format!("{thing:?} as {name}");
    let mut fixture = given.copy();
    fixture.expect_named(name, if name.starts_with("packs") { Names::FileOrContent } else { Names::File });
    let place = fixture.store.join(name);
    let away = fixture.store.join("../away");
    if place.symlink_metadata().is_ok() {
        std::fs::rename(&place, &away).unwrap();
    } else {
        std::fs::write(&away, b"").unwrap();
    }
    put(thing, &place, &away);
    for line in ["status", "log", "stats", "diff", "cat s6:src/edited.txt"] {
        fixture.check(&line.split(' ').collect::<Vec<_>>());
    }
    let verified = fixture.check(&["verify"]);
    let text = String::from_utf8(verified.stdout).unwrap();
    assert!(verified.code == 1 && text.contains(&format!("  {name}\n")), "{what}: {text}");
    let planned = fixture.check(&["repair", "--dry-run"]);
    assert!(planned.code < 2, "{what}: {}", planned.stderr);
    assert!(is(thing, &place), "{what}: a dry run changed it");
    let repaired = fixture.check(&["repair"]);
    let is_whole = role != Role::Pack && name != "packs";
    assert!(repaired.code < 2 && (!is_whole || repaired.code == 0), "{what}: {}", repaired.stderr);
    let again = fixture.check(&["repair"]);
    let text = String::from_utf8(again.stdout).unwrap();
    assert!(text.starts_with("noth") && again.code == repaired.code, "{what}: {text}{}", again.stderr);
    assert_eq!(fixture.check(&["verify"]).code, repaired.code, "{what}");
    let last = Path::new(name).file_name().unwrap().to_str().unwrap();
    let mut aside = std::fs::read_dir(fixture.store.join("quarantine")).unwrap().map(|entry| entry.unwrap().path());
    let is_it = |path: &Path| path.file_name().unwrap().to_str().unwrap().starts_with(last) && is(thing, path);
    assert!(aside.any(|path| is_it(&path)), "{what}: it is not put aside");
    if is_whole {
        for step in 1..=given.steps() {
            fixture.expect_step(given, step);
        }
    }
    fixture.write("new", b"recording goes on");
    let snapped = fixture.check(&["snap"]);
    assert_eq!(snapped.code, 0, "{what}: {}", snapped.stderr);
    fixture.expect_last(&fixture.folder());
}

fn put(thing: Thing, place: &Path, away: &Path) {
    match thing {
        Thing::File => std::fs::write(place, b"no folder").unwrap(),
        Thing::Folder => {
            std::fs::create_dir(place).unwrap();
            std::fs::write(place.join("something"), b"in it").unwrap();
        }
        Thing::Pipe => assert!(Command::new("mkfifo").arg(place).status().unwrap().success()),
        Thing::Symlink => symlink(away, place).unwrap(),
        Thing::DanglingSymlink => symlink("nowhere", place).unwrap(),
    }
}

fn is(thing: Thing, place: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    let Ok(found) = place.symlink_metadata() else { return false };
    match thing {
        Thing::File => found.is_file(),
        Thing::Folder => found.is_dir(),
        Thing::Pipe => found.file_type().is_fifo(),
        Thing::Symlink | Thing::DanglingSymlink => found.is_symlink(),
    }
}
