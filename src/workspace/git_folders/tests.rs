//! Tests with repositories made of the few files that git needs.

use std::path::Path;

use super::named_in;

#[test]
fn only_repositories_count_and_none_around_the_folder() {
    let scratch = tempfile::tempdir().unwrap();
    let at = |path: &str| scratch.path().join(path);
    let write = |path: &str, text: &str| std::fs::write(at(path), text).unwrap();
    let make = |path: &str| {
        ["objects", "refs"].iter().for_each(|part| std::fs::create_dir_all(at(path).join(part)).unwrap());
        write(&format!("{path}/HEAD"), "ref: refs/heads/main\n");
    };
    make("work/meta");
    std::fs::create_dir_all(at("work/meta/worktrees/x")).unwrap();
    write("work/meta/worktrees/x/HEAD", "ref: refs/heads/x\n");
    write("work/meta/worktrees/x/commondir", "../..\n");
    std::fs::create_dir_all(at("work/src")).unwrap();
    let named = |folder: &str, text: &str| -> Vec<String> {
        write(&format!("{folder}/.git"), text);
        let top = std::fs::canonicalize(scratch.path()).unwrap();
        let below = |path: &Path| path.strip_prefix(&top).unwrap().to_string_lossy().into_owned();
        named_in(&at(folder)).iter().map(|folder| below(&folder.path)).collect()
    };
    assert_eq!(named("work", "gitdir: meta\n"), ["work/meta"]);
    assert_eq!(named("work/src", "gitdir: ../meta/worktrees/x"), ["work/meta/worktrees/x", "work/meta"]);
    for other in ["", "gitdir: none", "gitdir: ../src", "gitdir: .", "meta"] {
        assert!(named("work/src", other).is_empty(), "{other:?}");
    }
    // A repository that contains the folder.
    make("work");
    assert!(named("work/src", "gitdir: ..").is_empty() && named("work", "gitdir: .").is_empty());
    std::fs::remove_file(at("work/src/.git")).unwrap();
    std::os::unix::fs::symlink("../meta", at("work/src/.git")).unwrap();
    assert_eq!(named_in(&at("work/src")).len(), 1, "a symlink");
}
