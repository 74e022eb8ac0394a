//! The attributes that a snapshot holds, and the differences that count as changes.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use retrograde::diff::ChangeKind;
use retrograde::diff::selection::Selection;
use retrograde::format::attributes::{Name, Owner};
use retrograde::format::snapshot::Attachment;
use retrograde::id::SnapshotId;
use retrograde::ops::look::attributed::Attributed;
use retrograde::ops::look::ls::find;
use retrograde::ops::look::show::changes;
use retrograde::path::TreePath;

use crate::support::depth::AtLeast;
use crate::support::mounts::{bench, can_mount, has, run};
use crate::support::recorder::Recorder;
use crate::support::xattr::{ACCESS, CAPABILITY, DEFAULT, acl, is_root, remove, set};

fn path(text: &str) -> TreePath {
    TreePath::new(text.as_bytes()).unwrap()
}

fn chmod(recorder: &Recorder, name: &str, mode: u32) {
    std::fs::set_permissions(recorder.root.join(name), Permissions::from_mode(mode)).unwrap();
}

fn attributed(recorder: &Recorder, id: SnapshotId) -> Attributed {
    Attributed::of(&recorder.store, &recorder.store.snapshot(id).unwrap()).unwrap()
}

/// Paths of a step that differ in attributes, and the kind of each change.
fn listed_changes(recorder: &Recorder, id: SnapshotId) -> Vec<(String, ChangeKind)> {
    let found = changes(&recorder.store, id, &Selection::default()).unwrap().changes;
    let changed = found.iter().filter(|change| change.attributes_changed);
    changed.map(|change| (change.path.to_string(), change.kind)).collect()
}

/// S5: a file of 0600 that one user may read shows 0640; its group must not get that.
#[test]
fn s5_the_tree_has_the_bits_of_the_group_not_of_the_mask() {
    let recorder = Recorder::new();
    recorder.write("secret", b"key");
    recorder.write("open/file", b"x");
    chmod(&recorder, "secret", 0o600);
    let list = acl([6, 4, 0, 4, 0]);
    if !set(&recorder.root.join("secret"), ACCESS, &list) {
        return;
    }
    assert!(set(&recorder.root.join("open"), DEFAULT, &acl([7, 5, 0, 5, 0])));
    // A file made in a folder with a default ACL has an ACL too.
    recorder.write("open/new", b"x");
    chmod(&recorder, "open/new", 0o640);
    let id = recorder.snap().snapshot;
    let root = recorder.store.snapshot(id).unwrap().root;
    let mode = |name: &str| find(&recorder.store, root, &path(name)).unwrap().unwrap().mode;
    assert_eq!((mode("secret"), mode("open/new")), (0o600, 0o600));
    let found = attributed(&recorder, id);
    assert_eq!(found.get(&path("secret")).unwrap().access_acl(), Some(&list[..]));
    assert!(found.get(&path("open")).unwrap().value(&Name::DefaultAcl).is_some());
    assert!(found.get(&path("open/new")).is_some() && found.get(&path("open/file")).is_none());
    assert!(!recorder.snap().recorded, "nothing changed");
    assert!(recorder.status().changes.is_empty());
}

#[test]
fn a_folder_without_attributes_records_none() {
    let recorder = Recorder::new();
    recorder.write("a/b", b"x");
    let snapshot = recorder.store.snapshot(recorder.snap().snapshot).unwrap();
    assert_eq!(snapshot.attributes, Attachment::Empty);
    assert!(snapshot.root_owner.is_some());
}

/// Each alone is a step: none changes content, mode or modification time.
#[test]
fn a_change_of_attributes_alone_is_a_change() {
    let recorder = Recorder::new();
    for name in ["file", "folder/deep/inner", "other"] {
        recorder.write(name, b"x");
    }
    std::os::unix::fs::symlink("file", recorder.root.join("link")).unwrap();
    let first = recorder.snap();
    let at = |name: &str| recorder.root.join(name);
    let expect = |names: &[&str]| {
        let live: Vec<_> = recorder.status().changes.iter().map(|change| change.path.to_string()).collect();
        assert_eq!(live, names);
        let taken = recorder.snap();
        assert!(taken.recorded, "{names:?}");
        assert_eq!(taken.changes.modified, names.len() as u64);
        assert_eq!(taken.tree, first.tree);
        let wanted: Vec<_> = names.iter().map(|name| ((*name).to_owned(), ChangeKind::Attributes)).collect();
        assert_eq!(listed_changes(&recorder, taken.snapshot), wanted);
        assert!(!recorder.snap().recorded, "it is recorded");
        taken.snapshot
    };
    if !set(&at("file"), "user.note", b"1") {
        return;
    }
    expect(&["file"]);
    assert!(set(&at("file"), "user.note", b"2") && set(&at("folder/deep"), "user.note", b"f"));
    let both = expect(&["file", "folder/deep"]);
    assert_eq!(attributed(&recorder, both).list.len(), 2);
    remove(&at("file"), "user.note");
    expect(&["file"]);
    assert!(set(&at("folder"), DEFAULT, &acl([7, 5, 0, 5, 0])));
    expect(&["folder"]);
    assert!(set(&recorder.root, "user.note", b"root"));
    expect(&["."]);
    if !is_root() {
        return;
    }
    std::os::unix::fs::lchown(at("link"), Some(1_234), Some(1_234)).unwrap();
    std::os::unix::fs::chown(at("other"), None, Some(4_321)).unwrap();
    let owned = expect(&["link", "other"]);
    let found = attributed(&recorder, owned);
    assert_eq!(found.get(&path("link")).unwrap().owner, Some(Owner { uid: 1_234, gid: 1_234 }));
    assert_eq!(found.get(&path("other")).unwrap().owner, Some(Owner { uid: 0, gid: 4_321 }));
    assert!(set(&at("file"), CAPABILITY, &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    expect(&["file"]);
    // All of it changes hands, the root folder too: one change.
    for name in ["", "file", "folder", "folder/deep", "folder/deep/inner", "other", "link"] {
        std::os::unix::fs::lchown(at(name), Some(77), Some(77)).unwrap();
    }
    let taken = recorder.snap();
    let mut names: Vec<String> = listed_changes(&recorder, taken.snapshot).into_iter().map(|(name, _)| name).collect();
    names.retain(|name| name != "file");
    assert_eq!(names, [".", "link", "other"], "the others still belong to whom the root folder belongs to");
    assert!(attributed(&recorder, taken.snapshot).list.iter().all(|(_, set)| set.owner.is_none()));
}

/// The recorded attributes of files that are not read again stay recorded.
#[test]
#[expect(clippy::disallowed_methods, reason = "tests move folders of their own")]
fn attributes_of_what_did_not_change_are_carried_over() {
    let recorder = Recorder::new();
    for folder in 0..20 {
        for file in 0..5 {
            recorder.write(&format!("d{folder}/e/f{file}"), b"x");
        }
    }
    let at = |name: &str| recorder.root.join(name);
    if !set(&at("d3/e/f1"), "user.note", b"3") {
        return;
    }
    assert!(set(&at("d7"), "user.note", b"7") && set(&at("d9/e/f0"), "user.note", b"9"));
    recorder.snap();
    recorder.write("d3/e/f2", b"other");
    recorder.write("d1/new", b"new");
    std::fs::rename(at("d9"), at("d9-moved")).unwrap();
    let taken = recorder.snap();
    let list = attributed(&recorder, taken.snapshot).list;
    let names: Vec<String> = list.iter().map(|(path, _)| path.to_string()).collect();
    assert_eq!(names, ["d3/e/f1", "d7", "d9-moved/e/f0"]);
    // The same without a stat cache.
    recorder.store.disk().remove(&format!("workspaces/{}/stat", recorder.workspace)).unwrap();
    assert!(!recorder.snap().recorded);
}

/// Attributes over a limit are omitted and listed, at every step; the file itself is recorded.
#[test]
fn attributes_over_a_limit_are_listed() {
    // A file system with room for more than is recorded; ext4 has none.
    let is_tried = can_mount() && has("mkfs.xfs") && has("setfattr");
    if is_tried {
        let steps =
            "truncate -s 320M disk; mkfs.xfs -q disk; mkdir mnt; mount -o loop disk mnt; mkdir mnt/ws; cd mnt/ws
             echo content >f; large=$(head -c 60000 /dev/zero | tr '\\0' 7)
             for number in 0 1 2 3 4; do setfattr -n user.$number -v $large f; done
             for round in 1 2; do
               $RETRO snap --json --allow-empty >../said; cat ../said
               grep -F '\"omitted\":[{\"path\":\"f\",\"reason\":\"attributes\"}]' ../said
             done
             $RETRO restore @ --into ../out; getfattr ../out/f
             test $(getfattr ../out/f | grep -c '^user.[0-9]') = 4; diff f ../out/f";
        run(&bench(), steps);
    }
    AtLeast::always(usize::from(can_mount() && has("mkfs.xfs"))).require("file systems with room", is_tried.into());
}
