//! The attributes that a restore sets, in place, elsewhere and at undo, as root and as another user.

#![expect(clippy::disallowed_methods, reason = "tests change files of their own")]

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use retrograde::ops::back::restore_into;
use retrograde::ops::share::export_tar::{ExportTarOptions, export_tar};
use retrograde::path::TreePath;
use retrograde::progress::Silent;
use retrograde::workspace::materialize::{Options, Task};

use crate::support::recorder::Recorder;
use crate::support::xattr::{ACCESS, CAPABILITY, DEFAULT, acl, get, is_root, mode_and_owner, remove, set};

/// A capability to bind low ports, as the kernel writes it.
const LOW_PORTS: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn into(recorder: &Recorder, id: retrograde::id::SnapshotId, name: &str) -> std::path::PathBuf {
    let folder = recorder.scratch.join(name);
    let filled = restore_into(&recorder.store, id, &[], &folder, &Options::default()).unwrap();
    assert_eq!(filled.kept, [], "{name}");
    folder
}

/// The owner, one user and nobody else: not the group, not on the way, not elsewhere.
#[test]
fn a_secret_shared_with_one_user_comes_back_as_that() {
    let recorder = Recorder::new();
    recorder.write("secret", b"key");
    let secret = recorder.root.join("secret");
    chmod(&secret, 0o600);
    let list = acl([6, 4, 0, 4, 0]);
    if !set(&secret, ACCESS, &list) {
        return;
    }
    let first = recorder.snap().snapshot;
    let expect = |path: &Path| {
        assert_eq!(get(path, ACCESS), Some(list.clone()));
        assert_eq!(mode_and_owner(path).0, 0o640, "what shows is the mask");
    };
    std::fs::remove_file(&secret).unwrap();
    assert_eq!(recorder.restore(first).applied.unwrap().kept, []);
    expect(&secret);
    // Opened to all, and changed.
    remove(&secret, ACCESS);
    chmod(&secret, 0o644);
    recorder.write("secret", b"other");
    recorder.restore(first);
    expect(&secret);
    recorder.undo();
    assert_eq!((get(&secret, ACCESS), mode_and_owner(&secret).0), (None, 0o644));
    expect(&into(&recorder, first, "into").join("secret"));
}

/// Files and folders of before a default ACL was set, made again in a folder that has it now.
#[test]
fn nothing_inherits_what_it_did_not_have() {
    let recorder = Recorder::new();
    for name in ["folder/private", "folder/own/inner"] {
        recorder.write(name, b"x");
        chmod(&recorder.root.join(name), 0o640);
    }
    chmod(&recorder.root.join("folder/own"), 0o750);
    let first = recorder.snap().snapshot;
    let folder = recorder.root.join("folder");
    if !set(&folder, DEFAULT, &acl([7, 7, 7, 7, 0])) {
        return;
    }
    let with_default = recorder.snap().snapshot;
    let expect = |root: &Path| {
        for (name, mode) in [("folder/private", 0o640), ("folder/own", 0o750), ("folder/own/inner", 0o640)] {
            let path = root.join(name);
            assert_eq!((get(&path, ACCESS), get(&path, DEFAULT)), (None, None), "{name}");
            assert_eq!(mode_and_owner(&path).0, mode, "{name}");
        }
    };
    for (target, has_default) in [(first, false), (with_default, true)] {
        std::fs::remove_dir_all(folder.join("own")).unwrap();
        std::fs::remove_file(folder.join("private")).unwrap();
        assert!(set(&folder, DEFAULT, &acl([7, 7, 7, 7, 0])));
        recorder.restore(target);
        expect(&recorder.root);
        assert_eq!(get(&folder, DEFAULT).is_some(), has_default);
    }
    // The target of `--into` may have one too.
    let outside = recorder.scratch.join("outside");
    std::fs::create_dir(&outside).unwrap();
    assert!(set(&outside, DEFAULT, &acl([7, 7, 7, 7, 0])));
    let there = into(&recorder, with_default, "outside/there");
    expect(&there);
    assert!(get(&there.join("folder"), DEFAULT).is_some() && get(&there, DEFAULT).is_none());
}

/// Attributes alone: set, undone and done again, without a byte being written.
#[test]
fn attributes_alone_are_restored_undone_and_redone() {
    let recorder = Recorder::new();
    for name in ["file", "folder/inner", "other"] {
        recorder.write(name, b"x");
    }
    let at = |name: &str| recorder.root.join(name);
    if !set(&at("file"), "user.note", b"one") {
        return;
    }
    assert!(set(&at("folder"), "user.note", b"f") && set(&recorder.root, "user.root", b"r"));
    let first = recorder.snap().snapshot;
    let modified = at("file").metadata().unwrap().modified().unwrap();
    assert!(set(&at("file"), "user.note", b"two") && set(&at("file"), "user.more", b""));
    assert!(set(&at("other"), ACCESS, &acl([6, 6, 4, 6, 4])));
    remove(&at("folder"), "user.note");
    remove(&recorder.root, "user.root");
    recorder.snap();
    let plan = recorder.restore_with(first, &[], true).unwrap().plan;
    let names: Vec<String> = plan.iter().map(|action| action.path.to_string()).collect();
    assert_eq!(names, [".", "file", "folder", "other"]);
    assert!(plan.iter().all(|action| action.task == Task::SetAttributes));
    let is_first = || {
        let found = ["file", "folder", "other", ""]
            .map(|name| (get(&at(name), "user.note"), get(&at(name), "user.more"), get(&at(name), ACCESS)));
        found[0] == (Some(b"one".to_vec()), None, None)
            && found[1] == (Some(b"f".to_vec()), None, None)
            && found[2] == (None, None, None)
            && get(&recorder.root, "user.root").is_some()
    };
    let applied = recorder.restore(first).applied.unwrap();
    assert_eq!((applied.attributes_changed, applied.written, applied.kept.len()), (4, 0, 0));
    assert!(is_first());
    assert_eq!(mode_and_owner(&at("other")).0 & 0o070, 0o040, "no mask shows any more");
    recorder.undo();
    assert_eq!(get(&at("file"), "user.note"), Some(b"two".to_vec()));
    assert_eq!(get(&at("file"), "user.more"), Some(Vec::new()));
    assert!(get(&at("other"), ACCESS).is_some() && get(&recorder.root, "user.root").is_none());
    recorder.redo();
    assert!(is_first());
    assert_eq!(at("file").metadata().unwrap().modified().unwrap(), modified);
    assert!(!recorder.snap().recorded || recorder.status().changes.is_empty());
}

/// A name elsewhere of the same file keeps what it has.
#[test]
fn other_names_of_a_file_keep_their_attributes() {
    let recorder = Recorder::new();
    recorder.write("file", b"x");
    let (file, elsewhere) = (recorder.root.join("file"), recorder.scratch.join("elsewhere"));
    if !set(&file, "user.note", b"one") {
        return;
    }
    let first = recorder.snap().snapshot;
    assert!(set(&file, "user.note", b"two"));
    std::fs::hard_link(&file, &elsewhere).unwrap();
    recorder.restore(first);
    assert_eq!(get(&file, "user.note"), Some(b"one".to_vec()));
    assert_eq!(get(&elsewhere, "user.note"), Some(b"two".to_vec()));
}

/// As in a container: root restores files of somebody else. They stay his, and undoing brings them back as they were.
#[test]
fn root_gives_files_back_to_their_owners() {
    if !is_root() {
        return;
    }
    let recorder = Recorder::new();
    for name in ["file", "service/run", "gone/inner"] {
        recorder.write(name, b"x");
    }
    std::os::unix::fs::symlink("file", recorder.root.join("link")).unwrap();
    let at = |name: &str| recorder.root.join(name);
    let give = |uid: u32, gid: u32, names: &[&str]| {
        names.iter().for_each(|name| std::os::unix::fs::lchown(at(name), Some(uid), Some(gid)).unwrap());
    };
    give(1_000, 1_000, &["", "file", "service", "gone", "gone/inner", "link"]);
    give(33, 44, &["service/run"]);
    let has_capability = set(&at("service/run"), CAPABILITY, &LOW_PORTS);
    chmod(&at("file"), 0o4755);
    let first = recorder.snap().snapshot;
    let expect = |root: &Path| {
        for name in ["", "file", "service", "gone", "gone/inner", "link"] {
            let (_, uid, gid) = mode_and_owner(&root.join(name));
            assert_eq!((uid, gid), (1_000, 1_000), "{name}");
        }
        assert_eq!(mode_and_owner(&root.join("service/run")), (0o644, 33, 44));
        assert_eq!(mode_and_owner(&root.join("file")).0, 0o4755, "the owner comes before the mode");
        assert_eq!(get(&root.join("service/run"), CAPABILITY).is_some(), has_capability);
    };
    recorder.write("file", b"changed by root");
    recorder.write("service/run", b"changed by root");
    std::fs::remove_dir_all(at("gone")).unwrap();
    std::fs::remove_file(at("link")).unwrap();
    chown(at("file"), Some(0), Some(0)).unwrap();
    assert_eq!(recorder.restore(first).applied.unwrap().kept, []);
    expect(&recorder.root);
    recorder.undo();
    assert_eq!(mode_and_owner(&at("file")).1, 0);
    recorder.redo();
    expect(&recorder.root);
    expect(&into(&recorder, first, "into"));
    // All of it changes hands, and back.
    give(0, 0, &["", "file", "service", "service/run", "gone", "gone/inner", "link"]);
    recorder.restore(first);
    expect(&recorder.root);
}

/// Somebody who may not give files away: what could not be set is said, and nobody gets more than before.
#[test]
fn owners_that_cannot_be_set_are_reported() {
    const SOMEBODY: u32 = 65_534;
    if !is_root() {
        return;
    }
    let recorder = Recorder::new();
    for name in ["own", "shared", "setuid"] {
        recorder.write(name, b"x");
    }
    let at = |name: &str| recorder.root.join(name);
    for (name, uid, gid, mode) in
        [("own", SOMEBODY, SOMEBODY, 0o640), ("shared", 0, 7, 0o660), ("setuid", 0, SOMEBODY, 0o4755)]
    {
        chown(at(name), Some(uid), Some(gid)).unwrap();
        chmod(&at(name), mode);
    }
    chown(&recorder.root, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    let first = recorder.snap().snapshot;
    // From here on all of it is somebody else's, the store too.
    for folder in ["", "workspace", "store", "home"] {
        let path = recorder.scratch.join(folder);
        std::fs::create_dir_all(&path).unwrap();
        let given = Command::new("chown").args(["-R", "65534:65534"]).arg(&path).status().unwrap();
        assert!(given.success());
    }
    for (name, gid) in [("shared", 7), ("setuid", SOMEBODY)] {
        chown(at(name), Some(0), Some(gid)).unwrap();
        std::fs::remove_file(at(name)).unwrap();
    }
    chmod(recorder.scratch.path(), 0o755);
    recorder.write("own", b"changed");
    let output = Command::new(env!("CARGO_BIN_EXE_retro"))
        .args(["restore", &first.to_string(), "--json"])
        .env_clear()
        .env("HOME", recorder.scratch.join("home"))
        .env("RETRO_STORE", recorder.store_root())
        .current_dir(&recorder.root)
        .uid(SOMEBODY)
        .gid(SOMEBODY)
        .output()
        .unwrap();
    let said: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let kept: Vec<&str> = said["kept"].as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap()).collect();
    assert_eq!(kept, ["setuid", "shared"]);
    assert!(said["kept"].as_array().unwrap().iter().all(|one| one["reason"] == "owner-refused"), "{said}");
    assert_eq!(mode_and_owner(&at("own")), (0o640, SOMEBODY, SOMEBODY));
    assert_eq!(mode_and_owner(&at("setuid")), (0o755, SOMEBODY, SOMEBODY), "no setuid for another user");
    assert_eq!(mode_and_owner(&at("shared")), (0o600, SOMEBODY, SOMEBODY), "no rights for another group");
    assert_eq!(at("shared").metadata().unwrap().size(), 1);
}

/// A tar file of a step, unpacked by the real tar with all that it can set, and without.
#[test]
fn tar_unpacks_what_was_exported() {
    let recorder = Recorder::new();
    recorder.write("secret", b"key");
    recorder.write("folder/inner", b"x");
    let at = |name: &str| recorder.root.join(name);
    chmod(&at("secret"), 0o600);
    let list = acl([6, 4, 0, 4, 0]);
    let has_tar = Command::new("tar").args(["--acls", "--xattrs", "--version"]).output();
    if !set(&at("secret"), ACCESS, &list) || !has_tar.is_ok_and(|output| output.status.success()) {
        return;
    }
    assert!(set(&at("secret"), "user.a=%b", &[0, 10, 255]));
    assert!(set(&at("folder"), DEFAULT, &acl([7, 5, 0, 5, 0])));
    if is_root() {
        chown(at("folder/inner"), Some(33), Some(44)).unwrap();
    }
    let id = recorder.snap().snapshot;
    let file = recorder.scratch.join("step.tar");
    let options = ExportTarOptions { prefix: TreePath::root(), progress: &Silent };
    export_tar(&recorder.store, id, &[], &mut std::fs::File::create_new(&file).unwrap(), &options).unwrap();
    let unpack = |name: &str, how: &[&str]| {
        let folder = recorder.scratch.join(name);
        std::fs::create_dir(&folder).unwrap();
        let done = Command::new("tar").args(how).arg("-xpf").arg(&file).arg("-C").arg(&folder).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        folder
    };
    let all = unpack("all", &["--acls", "--xattrs", "--xattrs-include=*"]);
    assert_eq!(get(&all.join("secret"), ACCESS), Some(list));
    assert_eq!(get(&all.join("secret"), "user.a=%b"), Some(vec![0, 10, 255]));
    assert!(get(&all.join("folder"), DEFAULT).is_some());
    if is_root() {
        let (_, uid, gid) = mode_and_owner(&all.join("folder/inner"));
        assert_eq!((uid, gid), (33, 44));
    }
    let plain = unpack("plain", &["--no-acls", "--no-xattrs"]);
    assert_eq!((get(&plain.join("secret"), ACCESS), mode_and_owner(&plain.join("secret")).0), (None, 0o600));
}
