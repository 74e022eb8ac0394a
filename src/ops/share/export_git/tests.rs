//! Exports are read back with git's library. The tests of `import_git` cover the way back.

use std::collections::BTreeMap;
use std::path::Path;

use gix::bstr::ByteSlice;

use super::{ExportGitOptions, ExportedGit, export_git};
use crate::error::ErrorKind;
use crate::id::SnapshotId;
use crate::ops::fixture::{About, Bench, Files, Thing, file, noise, path};
use crate::ops::share::git::META_REF;
use crate::progress::Silent;
use crate::store::Store;
use crate::time::Timestamp;

const OPTIONS: ExportGitOptions<'static> =
    ExportGitOptions { bare: true, keep_facts: true, subject: &|_| None, progress: &Silent };

fn export(store: &Store, snapshots: &[SnapshotId]) -> (tempfile::TempDir, ExportedGit, gix::Repository) {
    let folder = tempfile::tempdir().unwrap();
    let exported = export_git(store, snapshots, folder.path(), &OPTIONS).unwrap();
    let repository = open(folder.path());
    (folder, exported, repository)
}

fn open(folder: &Path) -> gix::Repository {
    gix::open_opts(folder, gix::open::Options::isolated()).unwrap()
}

/// Mode, and content of a blob, of everything in a commit's tree.
fn files_of(commit: &gix::Commit<'_>) -> BTreeMap<Vec<u8>, (u16, Vec<u8>)> {
    fn walk(tree: &gix::Tree<'_>, above: &[u8], found: &mut BTreeMap<Vec<u8>, (u16, Vec<u8>)>) {
        for entry in tree.iter() {
            let entry = entry.unwrap();
            let path = [above, entry.filename().as_bytes()].concat();
            let object = entry.object().unwrap();
            if entry.mode().is_tree() {
                walk(&object.into_tree(), &[&path[..], b"/"].concat(), found);
            } else {
                found.insert(path, (entry.mode().value(), object.data.clone()));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&commit.tree().unwrap(), b"", &mut found);
    found
}

#[test]
fn a_commit_holds_what_git_can_hold_of_its_snapshot() {
    let bench = Bench::new();
    let large = noise(1, 3 << 20);
    let files = Files::from([
        (path("a/b/c.txt"), file(0o600, "c")),
        (path("a.b"), file(0o644, "between a and its slash")),
        (path("empty"), Thing::Folder(0o755)),
        (path("large"), file(0o644, &large)),
        (path("link"), Thing::Symlink(b"a//b".to_vec())),
        (path("none"), file(0o644, "")),
        (path("run"), file(0o4711, "#!")),
        (path("all"), file(0o655, "for others only")),
        (path(b"\xff\n"), file(0o644, "\0")),
    ]);
    let id = bench.take(&files, &About { message: "first\n", ..About::default() });
    let (_folder, exported, repository) = export(&bench.store, &[id]);
    let commit = repository.head_commit().unwrap();
    let expected: BTreeMap<Vec<u8>, (u16, Vec<u8>)> = BTreeMap::from([
        (b"a/b/c.txt".to_vec(), (0o100_644, b"c".to_vec())),
        (b"a.b".to_vec(), (0o100_644, b"between a and its slash".to_vec())),
        (b"large".to_vec(), (0o100_644, large)),
        (b"link".to_vec(), (0o120_000, b"a//b".to_vec())),
        (b"none".to_vec(), (0o100_644, Vec::new())),
        (b"run".to_vec(), (0o100_755, b"#!".to_vec())),
        (b"all".to_vec(), (0o100_644, b"for others only".to_vec())),
        (b"\xff\n".to_vec(), (0o100_644, b"\0".to_vec())),
    ]);
    assert_eq!(files_of(&commit), expected);
    let message = format!("first\n\nRetro-Snapshot: {id}\nRetro-Step: 1\nRetro-Run: main\n");
    assert_eq!(commit.message_raw().unwrap(), message.as_str());
    assert_eq!(exported.head, Some(commit.id.to_string()));
    assert_eq!((exported.commits, exported.skipped.len()), (1, 0));
}

#[test]
fn runs_are_branches_and_parents_are_kept() {
    let bench = Bench::new();
    let files = |text: &str| Files::from([(path("f"), file(0o644, text))]);
    let about = |parent, run, seconds| About {
        parent,
        run,
        event: br#"{"agent":" <Cla\nude>. ","tool":"bash"}"#,
        time: Timestamp::from_seconds(seconds),
        ..About::default()
    };
    let first = bench.take(&files("1"), &about(None, "one", 10));
    let second = bench.take(&files("2"), &about(Some(first), "one", -20));
    let other = bench.take(&files("3"), &about(Some(first), "feature/x: y", 30));
    crate::ops::keep::tag::tag(&bench.store, bench.workspace, "v1.0", second, false, Timestamp(0)).unwrap();
    let (_folder, exported, repository) = export(&bench.store, &[first, second, other]);
    let branches = [("feature/x: y", "feature/x--y"), ("one", "one")].map(|(a, b)| (Some(a.to_owned()), b.to_owned()));
    assert_eq!(exported.branches, branches);
    assert_eq!(exported.tags, [("v1.0".to_owned(), "v1.0".to_owned())]);
    assert_eq!(repository.head_name().unwrap().unwrap().as_bstr(), "refs/heads/feature/x--y");
    let newest = repository.head_commit().unwrap();
    let one = repository.find_reference("refs/heads/one").unwrap().peel_to_commit().unwrap();
    let tagged = repository.find_reference("refs/tags/v1.0").unwrap().peel_to_commit().unwrap();
    assert_eq!((one.id, one.parent_ids().collect::<Vec<_>>()), (tagged.id, newest.parent_ids().collect()));
    let author = newest.author().unwrap();
    assert_eq!((author.name.to_str().unwrap(), author.email.to_str().unwrap()), ("Claude", "retro@localhost"));
    assert_eq!((newest.time().unwrap().seconds, one.time().unwrap().seconds), (30, 0));
    assert_eq!(newest.message_raw().unwrap().lines().next().unwrap(), b"step 3");
    // Git has no time before 1970, so the message holds it.
    let message = one.message_raw().unwrap().to_string();
    assert!(
        message.contains("\nRetro-Time: -20\n") && !newest.message_raw().unwrap().to_string().contains("Retro-Time")
    );
}

#[test]
fn the_author_of_an_imported_commit_stays() {
    let bench = Bench::new();
    let event = br#"{"git":{"author":"J\u00f6rg <B> <j@x.org>"},"agent":"a"}"#;
    let id = bench.take(&Files::new(), &About { event, ..About::default() });
    let (_folder, _, repository) = export(&bench.store, &[id]);
    let commit = repository.head_commit().unwrap();
    let author = commit.author().unwrap();
    assert_eq!((author.name.to_str().unwrap(), author.email.to_str().unwrap()), ("J\u{f6}rg B", "j@x.org"));
}

#[test]
fn every_step_is_reached_and_called_as_the_log_calls_it() {
    let bench = Bench::new();
    let files = |text: &str| Files::from([(path("f"), file(0o644, text))]);
    let about = |parent| About { parent, event: br#"{"tool":"bash","input":"make\n all"}"#, ..About::default() };
    let first = bench.take(&files("1"), &about(None));
    let lost = bench.take(&files("2"), &about(Some(first)));
    let also = bench.take(&files("3"), &about(Some(first)));
    let newest = bench.take(&files("4"), &About { message: "said", ..about(Some(first)) });
    crate::ops::keep::tag::tag(&bench.store, bench.workspace, "release/1", also, false, Timestamp(0)).unwrap();
    crate::ops::keep::tag::tag(&bench.store, bench.workspace, "release", first, false, Timestamp(0)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let subject = |event: &[u8]| Some(format!("log: {}", event.len()));
    let options = ExportGitOptions { subject: &subject, ..OPTIONS };
    let exported = export_git(&bench.store, &[first, lost, also, newest], folder.path(), &options).unwrap();
    let named = |name: &str, reference: &str| (name.to_owned(), reference.to_owned());
    assert_eq!(exported.tags, [named("release", "release"), named("release/1", "release-1")]);
    assert_eq!(exported.steps, [(2, "s2".to_owned())]);
    let repository = open(folder.path());
    let commit = |name: &str| repository.find_reference(name).unwrap().peel_to_commit().unwrap();
    let off_the_line = commit("refs/retro/steps/s2");
    let message = off_the_line.message_raw().unwrap().to_string();
    assert!(
        message.starts_with("log: 36\n\nRetro-Snapshot: ") && message.ends_with("\nRetro-Subject: log: 36\n"),
        "{message}"
    );
    assert!(commit("refs/heads/main").message_raw().unwrap().starts_with(b"said\n\nRetro"));
    assert_eq!(
        commit("refs/tags/release-1").parent_ids().collect::<Vec<_>>(),
        off_the_line.parent_ids().collect::<Vec<_>>()
    );
}

#[test]
fn a_range_with_gaps_stays_one_line() {
    let bench = Bench::new();
    let steps: Vec<Files> = (0..6).map(|step| Files::from([(path("f"), file(0o644, format!("{step}")))])).collect();
    let ids = bench.line(&steps);
    let (_folder, exported, repository) = export(&bench.store, &[ids[1], ids[3], ids[3], ids[5]]);
    let walk = repository.rev_walk([repository.head_id().unwrap()]).all().unwrap();
    assert_eq!((walk.count(), exported.commits), (3, 3));
}

#[test]
fn paths_that_git_refuses_are_skipped_and_reported() {
    let bench = Bench::new();
    let files = Files::from([
        (path("sub/.git/HEAD"), file(0o644, "ref")),
        (path("sub/GIT~1"), file(0o644, "")),
        (path("sub/.gitmodules"), Thing::Symlink(b"x".to_vec())),
        (path("mod/.gitmodules"), file(0o644, "[submodule \"a\"]\n\tpath = a\n\turl = -oops\n")),
        (path("ok/.gitmodules"), file(0o644, "[submodule \"a/b\"]\n\tpath = a/b\n\turl = https://example.com/a.git\n")),
        (path(".gitattributes"), file(0o644, "x".repeat(3_000))),
        (path("only/.git"), file(0o644, "gitdir: x")),
    ]);
    let ids = [bench.take(&files, &About::default()), bench.take(&Files::new(), &About::default())];
    let (_folder, exported, repository) = export(&bench.store, &ids[..1]);
    let names: Vec<String> = exported.skipped.iter().map(|skipped| skipped.path.to_string()).collect();
    let expected = [".gitattributes", "mod/.gitmodules", "only/.git", "sub/.git", "sub/.gitmodules", "sub/GIT~1"]
        .map(str::to_owned);
    assert_eq!(names, expected);
    let held: Vec<Vec<u8>> = files_of(&repository.head_commit().unwrap()).into_keys().collect();
    assert_eq!(held, [b"ok/.gitmodules".to_vec()]);
    let (_folder, _, empty) = export(&bench.store, &ids[1..]);
    assert_eq!(empty.head_tree_id().unwrap().to_string(), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
}

#[test]
fn equal_histories_give_equal_commits_and_shared_trees_are_written_once() {
    let bench = Bench::new();
    let steps: Vec<Files> = (0..50_u32)
        .map(|step| {
            let fixed = (0..40_u32).map(|number| (path(format!("d/{number}/f")), file(0o644, number.to_string())));
            fixed.chain([(path("log"), file(0o644, step.to_string()))]).collect()
        })
        .collect();
    let ids = bench.line(&steps);
    let (_a, one, _) = export(&bench.store, &ids);
    let (_b, two, _) = export(&bench.store, &ids);
    assert_eq!(one, two);
    // 50 commits, root trees, logs and kept snapshots; 40 folders and files and their parent folder; the rest is the
    // commit at refs/retro/meta and its tree.
    assert!(one.objects < 50 * 4 + 81 + 2 * 60, "{}", one.objects);
}

#[test]
fn facts_are_kept_only_when_wanted() {
    let bench = Bench::new();
    let id = bench.take(&Files::from([(path("f"), file(0o600, "secret"))]), &About::default());
    let folder = tempfile::tempdir().unwrap();
    export_git(&bench.store, &[id], folder.path(), &ExportGitOptions { keep_facts: false, ..OPTIONS }).unwrap();
    assert!(open(folder.path()).try_find_reference(META_REF).unwrap().is_none());
    let (_folder, _, repository) = export(&bench.store, &[id]);
    assert!(repository.try_find_reference(META_REF).unwrap().is_some());
}

#[test]
fn only_an_empty_folder_becomes_a_repository() {
    let bench = Bench::new();
    let id = bench.take(&Files::new(), &About::default());
    let (folder, _, _) = export(&bench.store, &[id]);
    let error = export_git(&bench.store, &[id], folder.path(), &OPTIONS).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists);
    let new = folder.path().join("x/y");
    export_git(&bench.store, &[id], &new, &ExportGitOptions { bare: false, ..OPTIONS }).unwrap();
    assert!(new.join(".git/HEAD").exists());
    let none = export_git(&bench.store, &[], &folder.path().join("z"), &OPTIONS).unwrap();
    assert_eq!((none.commits, none.head), (0, None));
}

#[test]
fn folders_too_deep_for_git_are_skipped() {
    let bench = Bench::new();
    let deep = vec!["d"; 2_005].join("/");
    let id = bench.take_deep(&deep, b"at the bottom");
    let (_folder, exported, _) = export(&bench.store, &[id]);
    assert_eq!(exported.skipped.len(), 1);
    assert_eq!(exported.skipped[0].path.depth(), 5);
}
