//! Repositories are made with git's library. Exports must come back as they were.

mod odd;

use std::path::Path;

use gix::ObjectId;
use gix::objs::Write as _;
use gix::objs::tree::{Entry, EntryKind as GitEntryKind};

use super::about::{Said, without_trailers};
use super::{Commits, ImportGitOptions, Imported, Source, import_git};
use crate::error::{ErrorKind, Result};
use crate::format::facts::Fact;
use crate::format::snapshot::{Cause, Reason, Snapshot};
use crate::format::tree::EntryKind;
use crate::id::{BlobId, Digest, SnapshotId, TreeId};
use crate::ops::fixture::{About, Bench, Files, Thing, file, noise, path};
use crate::ops::record::attached::attached;
use crate::ops::record::ingest;
use crate::ops::share::export_git::{ExportGitOptions, export_git};
use crate::ops::share::git::{META_REF, signature};
use crate::path::TreePath;
use crate::progress::Silent;
use crate::store::Final;
use crate::time::Timestamp;

const EXPORT: ExportGitOptions<'static> =
    ExportGitOptions { bare: true, keep_facts: true, subject: &|_| None, progress: &Silent };

fn options() -> ImportGitOptions<'static> {
    ImportGitOptions { run: "imported".to_owned(), now: Timestamp(5), progress: &Silent }
}

fn import(bench: &Bench, repository: &Repository, range: Option<&str>) -> Imported {
    try_import(bench, repository.folder.path(), range.map_or(Commits::Head, Commits::Range)).unwrap()
}

fn import_all(bench: &Bench, repository: &Repository) -> Imported {
    try_import(bench, repository.folder.path(), Commits::All).unwrap()
}

fn try_import(bench: &Bench, folder: &Path, commits: Commits<'_>) -> Result<Imported> {
    import_git(&bench.store, bench.workspace, Source::open(folder, commits)?, &options())
}

/// The workspace's snapshots, oldest first.
fn snapshots(bench: &Bench) -> Vec<Snapshot> {
    let state = bench.store.state();
    state.workspaces[&bench.workspace].steps.values().map(|id| (*bench.store.snapshot(*id).unwrap()).clone()).collect()
}

fn all_ids(bench: &Bench) -> Vec<SnapshotId> {
    bench.store.state().workspaces[&bench.workspace].steps.values().copied().collect()
}

fn roots(bench: &Bench) -> Vec<TreeId> {
    snapshots(bench).iter().map(|snapshot| snapshot.root).collect()
}

/// Reads everything below a tree, so that a missing object fails, and counts its files and symlinks.
fn read_all(bench: &Bench, tree: TreeId) -> u64 {
    bench.store.folder(tree).unwrap().iter().fold(0, |count, entry| {
        count
            + match entry.kind {
                EntryKind::Folder => read_all(bench, TreeId(entry.id)),
                _ => u64::from(bench.store.read_blob(BlobId(entry.id), u64::MAX).unwrap().len() as u64 == entry.size),
            }
    })
}

/// A git repository in a folder of its own.
struct Repository {
    folder: tempfile::TempDir,
    git: gix::Repository,
}

impl Repository {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = gix::create::Options::default();
        let isolated = gix::open::Options::isolated();
        let git = gix::ThreadSafeRepository::init_opts(folder.path(), gix::create::Kind::Bare, options, isolated);
        Self { folder, git: git.unwrap().into() }
    }

    fn exported(bench: &Bench, snapshots: &[SnapshotId]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        export_git(&bench.store, snapshots, folder.path(), &EXPORT).unwrap();
        let git = gix::open_opts(folder.path(), gix::open::Options::isolated()).unwrap();
        Self { folder, git }
    }

    fn blob(&self, bytes: impl AsRef<[u8]>) -> ObjectId {
        self.git.write_blob(bytes).unwrap().detach()
    }

    fn tree(&self, entries: &[(&[u8], GitEntryKind, ObjectId)]) -> ObjectId {
        let entry = |(name, kind, oid): &(&[u8], GitEntryKind, ObjectId)| Entry {
            mode: (*kind).into(),
            filename: (*name).into(),
            oid: *oid,
        };
        let mut entries: Vec<Entry> = entries.iter().map(entry).collect();
        entries.sort();
        self.git.write_object(gix::objs::Tree { entries }).unwrap().detach()
    }

    /// An object of any bytes.
    fn raw(&self, kind: gix::objs::Kind, bytes: &[u8]) -> ObjectId {
        self.git.objects.write_buf(kind, bytes).unwrap()
    }

    /// A tree of any entries, in this order.
    fn raw_tree(&self, entries: &[(&[u8], &[u8], ObjectId)]) -> ObjectId {
        let entry =
            |(mode, name, id): &(&[u8], &[u8], ObjectId)| [mode, &b" "[..], name, b"\0", id.as_slice()].concat();
        self.raw(gix::objs::Kind::Tree, &entries.iter().flat_map(entry).collect::<Vec<u8>>())
    }

    /// A commit with any lines after its tree and parents, on a branch.
    fn raw_commit(&self, branch: &str, tree: ObjectId, parents: &[ObjectId], rest: &[u8]) -> ObjectId {
        let parents: String = parents.iter().map(|parent| format!("parent {parent}\n")).collect();
        let bytes = [format!("tree {tree}\n{parents}").as_bytes(), rest].concat();
        let commit = self.raw(gix::objs::Kind::Commit, &bytes);
        self.point(&format!("refs/heads/{branch}"), commit);
        commit
    }

    fn point(&self, reference: &str, id: ObjectId) {
        let path = self.folder.path().join(reference);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a fixture is neither store nor workspace")]
        std::fs::write(path, format!("{id}\n")).unwrap();
    }

    fn lose_branch(&self, name: &str) {
        #[expect(clippy::disallowed_methods, reason = "a fixture is neither store nor workspace")]
        std::fs::remove_file(self.folder.path().join("refs/heads").join(name)).unwrap();
    }

    /// Removes an object, as if this were a partial clone.
    fn lose(&self, id: ObjectId) {
        let hex = id.to_string();
        let path = self.folder.path().join("objects").join(&hex[..2]).join(&hex[2..]);
        #[expect(clippy::disallowed_methods, reason = "a fixture is neither store nor workspace")]
        std::fs::remove_file(path).unwrap();
    }

    fn commit(&self, branch: &str, tree: ObjectId, parents: &[ObjectId], message: &str) -> ObjectId {
        let signature = signature("A U Thor", 1_000_000 + i64::try_from(parents.len()).unwrap());
        let mut buffer = gix::date::parse::TimeBuf::default();
        let signature = signature.to_ref(&mut buffer);
        let commit = self.git.new_commit_as(signature, signature, message, tree, parents.iter().copied()).unwrap().id;
        self.point(&format!("refs/heads/{branch}"), commit);
        commit
    }
}

/// Steps with everything that git can hold, and much that it cannot.
fn strange_steps() -> Vec<Files> {
    let base = Files::from([
        (path("a/b/c.txt"), file(0o644, "c")),
        (path("a/private"), file(0o600, "p")),
        (path("deep/empty/er"), Thing::Folder(0o700)),
        (path("empty"), Thing::Folder(0o1777)),
        (path("large"), file(0o644, noise(1, 3 << 20))),
        (path("link"), Thing::Symlink(b"a//b/".to_vec())),
        (path("plain/x/y"), file(0o755, "y")),
        (path("setuid"), file(0o6755, "s")),
        (path("sub/.git/objects/aa"), file(0o444, noise(2, 2 << 20))),
        (path("sub/.git/empty"), Thing::Folder(0o755)),
        (path("sub/file"), file(0o644, "f")),
        (path("readonly"), Thing::Folder(0o555)),
        (path("readonly/f"), file(0o111, "x")),
        (path(b"\xff\xfe/\x01"), file(0o644, "strange")),
    ]);
    let mut steps = vec![base];
    let mut step = |change: &dyn Fn(&mut Files)| {
        let mut next = steps.last().unwrap().clone();
        change(&mut next);
        steps.push(next);
    };
    step(&|files| drop(files.insert(path("a/b/c.txt"), file(0o640, "c"))));
    step(&|files| drop(files.remove(&path("empty"))));
    step(&|files| drop(files.insert(path("large"), file(0o644, [noise(1, 3 << 20), vec![1; 10]].concat()))));
    step(&|files| files.retain(|path, _| !path.as_bytes().starts_with(b"sub")));
    step(&Files::clear);
    step(&|files| drop(files.insert(path(".git"), Thing::Symlink(b"elsewhere".to_vec()))));
    steps
}

#[test]
fn exported_steps_come_back_exactly() {
    let from = Bench::new();
    let ids = from.line(&strange_steps());
    let to = Bench::new();
    let imported = import(&to, &Repository::exported(&from, &ids), None);
    assert_eq!((imported.snapshots, imported.exact), (7, 7));
    assert_eq!(roots(&to), roots(&from));
    for (new, old) in snapshots(&to).iter().zip(snapshots(&from)) {
        assert_eq!(
            (new.history, new.time, new.root_mode, new.rules),
            (old.history, old.time, old.root_mode, old.rules)
        );
        assert_eq!((new.cause, &new.message, &new.run), (Cause::Import, &old.message, &old.run));
        assert_eq!(read_all(&to, new.root), read_all(&from, old.root));
    }
}

#[test]
fn every_oddity_comes_back_on_its_own() {
    let all = strange_steps().swap_remove(0);
    let deep = Files::from([(path("a/b/c"), Thing::Folder(0o755))]);
    let alone = all.iter().map(|(path, thing)| Files::from([(path.clone(), thing.clone())]));
    for files in alone.chain([deep, Files::from([(path("e"), Thing::Folder(0o755))]), Files::new()]) {
        let from = Bench::new();
        let ids = from.line(std::slice::from_ref(&files));
        let to = Bench::new();
        let imported = import(&to, &Repository::exported(&from, &ids), None);
        assert_eq!((imported.exact, roots(&to)), (1, roots(&from)), "{:?}", files.keys());
        assert_eq!(read_all(&to, roots(&to)[0]), read_all(&from, roots(&from)[0]));
    }
}

#[test]
fn states_that_git_can_hold_come_back_exactly_without_kept_facts() {
    let from = Bench::new();
    let files = Files::from([
        (path("a/b"), file(0o644, "b")),
        (path("a.b"), file(0o755, "ab")),
        (path("a-b/link"), Thing::Symlink(b"../a".to_vec())),
        (path(b"\xff"), file(0o644, noise(3, 1_500_000))),
    ]);
    let mut more = files.clone();
    more.insert(path("a/c"), file(0o755, "new"));
    let ids = from.line(&[files, more, Files::new()]);
    let folder = tempfile::tempdir().unwrap();
    export_git(&from.store, &ids, folder.path(), &ExportGitOptions { keep_facts: false, ..EXPORT }).unwrap();
    let to = Bench::new();
    let imported = try_import(&to, folder.path(), Commits::Head).unwrap();
    assert_eq!((imported.snapshots, imported.exact), (3, 0));
    assert_eq!(roots(&to), roots(&from));
    let said = |snapshot: Snapshot| snapshot.run.unwrap() + &snapshot.message;
    let runs: Vec<String> = snapshots(&to).into_iter().map(said).collect();
    assert_eq!(runs, ["main"; 3]);
}

#[test]
fn facts_of_steps_come_back_with_where_git_has_them() {
    let from = Bench::new();
    let long = Box::leak(format!("{{\"agent\":\"x\",\"input\":\"{}\"}}", "y".repeat(5_000)).into_boxed_str());
    let times: Vec<(TreePath, Timestamp)> =
        (0..400).map(|number| (path(format!("f{number:03}")), Timestamp(number))).collect();
    let about =
        About { message: "with\n\nparagraphs", event: long.as_bytes(), times, root_mode: 0o700, ..About::default() };
    let first = from.take(&Files::from([(path("f"), file(0o644, "1"))]), &about);
    let about = About { parent: Some(first), run: "other", event: br#"{"tool":"bash"}"#, ..About::default() };
    let second = from.take(&Files::new(), &about);
    crate::ops::keep::tag::tag(&from.store, from.workspace, "good", first, false, Timestamp(0)).unwrap();
    let to = Bench::new();
    let imported = import(&to, &Repository::exported(&from, &[first, second]), None);
    assert_eq!(imported.tags, ["good"]);
    assert_eq!(to.store.state().workspaces[&to.workspace].tags["good"], imported.first.unwrap().0);
    let [one, two] = &snapshots(&to)[..] else { panic!("two snapshots") };
    assert_eq!((&*one.message, one.root_mode, two.run.as_deref()), ("with\n\nparagraphs", 0o700, Some("other")));
    assert_eq!(
        attached(&to.store, &one.times, u64::MAX).unwrap(),
        attached(&from.store, &from.store.snapshot(first).unwrap().times, u64::MAX).unwrap()
    );
    let event = |snapshot: &Snapshot| -> serde_json::Value {
        serde_json::from_slice(&attached(&to.store, &snapshot.event, u64::MAX).unwrap()).unwrap()
    };
    assert_eq!((event(one)["agent"].as_str(), event(one)["input"].as_str().map(str::len)), (Some("x"), Some(5_000)));
    assert_eq!(event(two)["tool"], "bash");
    assert_eq!(event(one)["git"]["author"], "x <retro@localhost>");
    // Exported and imported once more, the steps keep git's author.
    let third = Bench::new();
    import(&third, &Repository::exported(&to, &all_ids(&to)), None);
    let [again, _] = &snapshots(&third)[..] else { panic!("two snapshots") };
    let facts = attached(&third.store, &again.event, u64::MAX).unwrap();
    let facts: serde_json::Value = serde_json::from_slice(&facts).unwrap();
    assert_eq!((&facts["git"]["author"], &facts["agent"]), (&"x <retro@localhost>".into(), &"x".into()));
    assert_eq!(event(two)["git"]["commit"].as_str(), two.git.as_ref().unwrap().head.as_deref());
    assert_eq!(two.git.as_ref().unwrap().branch.as_deref(), Some("other"));
}

#[test]
fn calls_that_changed_nothing_come_back_with_the_step_they_followed() {
    let from = Bench::new();
    let first = from.take(&Files::from([(path("f"), file(0o644, "1"))]), &About::default());
    let second = from.take(&Files::new(), &About { parent: Some(first), ..About::default() });
    let mut batch = from.store.batch();
    let note = |snapshot, event, time| {
        let (workspace, run) = (from.workspace, "agent".to_owned());
        Fact::EventNoted { workspace, snapshot, event, run, time: Timestamp(time) }
    };
    let events: Vec<String> = (0..3).map(|number| format!("{{\"tool\":\"Read\",\"input\":{number}}}")).collect();
    let mut facts: Vec<Fact> = Vec::new();
    for (event, time) in events.iter().zip(7..) {
        facts.push(note(first, ingest::any(&mut batch, event.clone().into_bytes(), None).unwrap(), time));
    }
    // A call whose event is lost does not come back, and the others do.
    facts.insert(1, note(first, BlobId(Digest([9; 32])), 8));
    batch.record(|_| Ok(Final { objects: Vec::new(), facts: facts.clone() })).unwrap();
    let repository = Repository::exported(&from, &[first, second]);
    let to = Bench::new();
    let imported = import(&to, &repository, None);
    assert_eq!((imported.snapshots, imported.exact), (2, 2));
    type Called = (String, i64, Vec<u8>);
    let calls = |bench: &Bench| -> Vec<(u64, Vec<Called>)> {
        let shown = all_ids(bench).into_iter().map(|id| crate::ops::look::show::show(&bench.store, id).unwrap());
        let calls = shown.map(|shown| {
            let calls = shown.calls.into_iter().map(|call| (call.run, call.time.0, call.event));
            (shown.call_count, calls.collect())
        });
        calls.collect()
    };
    let expected = events.iter().zip(7..).map(|(event, time)| ("agent".to_owned(), time, event.clone().into_bytes()));
    assert_eq!(calls(&to), [(3, expected.collect()), (0, Vec::new())]);
    // A repeated import notes nothing twice, and an export of the import gives the same.
    import(&to, &repository, None);
    assert_eq!(calls(&to)[0].0, 3);
    let third = Bench::new();
    import(&third, &Repository::exported(&to, &all_ids(&to)), None);
    assert_eq!(calls(&third), calls(&to));
}

#[test]
fn large_folders_with_odd_modes_come_back() {
    let from = Bench::new();
    let files = |count: usize| -> Files {
        (0..count).map(|number| (path(format!("d/file-{number:05}")), file(0o664, number.to_le_bytes()))).collect()
    };
    let ids = from.line(&[files(3_000), files(3_001)]);
    let to = Bench::new();
    let imported = import(&to, &Repository::exported(&from, &ids), None);
    assert_eq!((imported.exact, roots(&to)), (2, roots(&from)));
    assert_eq!(read_all(&to, roots(&to)[1]), 3_001);
    assert_eq!(snapshots(&to)[1].changes.added, 1);
}

#[test]
fn any_history_is_imported_along_first_parents() {
    let git = Repository::new();
    let one = git.blob("1");
    let folder = git.tree(&[(b"x", GitEntryKind::BlobExecutable, one), (b"y", GitEntryKind::Link, git.blob("x"))]);
    let first = git.commit("main", git.tree(&[(b"f", GitEntryKind::Blob, one)]), &[], "first\n\nbody\n");
    let side = git.commit("side", git.tree(&[(b"side", GitEntryKind::Blob, one)]), &[first], "side");
    let submodule = ObjectId::from_hex(b"0123456789abcdef0123456789abcdef01234567").unwrap();
    let tree = git.tree(&[
        (b"d", GitEntryKind::Tree, folder),
        (b"d.x", GitEntryKind::Blob, git.blob("2")),
        (b"e", GitEntryKind::Tree, git.tree(&[(b"s", GitEntryKind::Commit, submodule)])),
        (b"l", GitEntryKind::Link, git.blob("a\0b")),
        (b"z", GitEntryKind::Link, git.blob("a".repeat(5_000))),
    ]);
    let merge = git.commit("main", tree, &[first, side], "merge");
    git.commit("alone", tree, &[], "alone");
    git.git.tag_reference("v1", first, gix::refs::transaction::PreviousValue::Any).unwrap();
    let bench = Bench::new();
    let before =
        bench.take(&Files::from([(path("f"), file(0o644, "1"))]), &About { root_mode: 0o775, ..About::default() });
    let imported = import(&bench, &git, None);
    let all = snapshots(&bench);
    assert_eq!((imported.snapshots, all.len()), (2, 3));
    assert_eq!((imported.first.unwrap().1, imported.last.unwrap().1), (2, 3));
    assert_eq!((all[1].parents[0], all[1].root), (before, all[0].root));
    assert_eq!(
        (&*all[1].message, all[1].run.as_deref(), all[1].time),
        ("first\n\nbody", Some("imported"), Timestamp::from_seconds(1_000_000))
    );
    assert_eq!((all[1].root_mode, all[2].cause), (0o775, Cause::Import));
    assert_eq!(all[2].git.as_ref().unwrap().head, Some(merge.to_string()));
    assert_eq!(all[2].git.as_ref().unwrap().branch.as_deref(), Some("main"));
    let changes = all[2].changes;
    assert_eq!((changes.added, changes.modified, changes.deleted), (4, 0, 1));
    let other = Bench::new();
    import(&other, &git, Some("alone"));
    let listed = crate::diff::trees(
        &|id| other.store.tree(id),
        None,
        Some(roots(&other)[0]),
        &crate::diff::TreeDiffOptions::default(),
    );
    assert_eq!((snapshots(&other)[0].changes.added, listed.unwrap().len()), (4, 4));
    let omitted: Vec<(String, Reason)> = imported.omitted.iter().map(|o| (o.path.to_string(), o.reason)).collect();
    let expected = [("e/s", Reason::Special), ("l", Reason::Special), ("z", Reason::TooLong)];
    assert_eq!(omitted, expected.map(|(path, reason)| (path.to_owned(), reason)));
    assert_eq!(bench.store.state().workspaces[&bench.workspace].tags["v1"], imported.first.unwrap().0);
    assert_eq!(bench.store.state().workspaces[&bench.workspace].head, imported.last.map(|last| last.0));
}

#[test]
fn ranges_and_revisions_are_those_of_git() {
    let git = Repository::new();
    let mut commits = Vec::new();
    for number in 0..5 {
        let tree = git.tree(&[(b"f", GitEntryKind::Blob, git.blob(number.to_string()))]);
        commits.push(git.commit("main", tree, commits.last().map_or(&[][..], std::slice::from_ref), "m"));
    }
    let count = |range: &str| import(&Bench::new(), &git, Some(range)).snapshots;
    assert_eq!(count("main"), 5);
    assert_eq!(count("main~2"), 3);
    assert_eq!(count("main~3..main"), 3);
    assert_eq!(count(&format!("{}..", commits[0])), 4);
    assert_eq!(count("main..main"), 0);
    let bench = Bench::new();
    for (range, kind) in
        [("nowhere", ErrorKind::NotFound), ("^main", ErrorKind::Invalid), ("main...main~1", ErrorKind::Invalid)]
    {
        let error = try_import(&bench, git.folder.path(), Commits::Range(range)).unwrap_err();
        assert_eq!(error.kind(), kind, "{range}: {error}");
    }
    let error = try_import(&bench, &git.folder.path().join("refs"), Commits::Head).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let empty = Repository::new();
    assert!(try_import(&bench, empty.folder.path(), Commits::Head).is_err());
    assert_eq!(try_import(&bench, empty.folder.path(), Commits::All).unwrap(), Imported::default());
}

#[test]
fn a_rewritten_commit_comes_back_as_git_has_it() {
    let from = Bench::new();
    let files = Files::from([(path("f"), file(0o600, "1")), (path("e"), Thing::Folder(0o755))]);
    let ids = from.line(&[files]);
    let git = Repository::exported(&from, &ids);
    let old = git.git.head_commit().unwrap();
    let message = old.message_raw().unwrap().to_string();
    let tree = old.tree_id().unwrap().detach();
    git.commit("amended", tree, &[], &message.replacen("step 1", "said later", 1));
    let to = Bench::new();
    let imported = import(&to, &git, Some("amended"));
    assert_eq!((imported.snapshots, imported.exact), (1, 0));
    assert_eq!((&*snapshots(&to)[0].message, snapshots(&to)[0].run.as_deref()), ("said later", Some("main")));
    assert_ne!(roots(&to), roots(&from));
}

#[test]
fn kept_facts_are_not_trusted() {
    let from = Bench::new();
    let ids = from.line(&[Files::from([(path("f"), file(0o600, "1"))])]);
    let git = Repository::exported(&from, &ids);
    // The kept snapshot has mode 0600 and is filed under a commit with other content.
    let kept = git.git.find_reference(META_REF).unwrap().peel_to_commit().unwrap().tree().unwrap();
    let snapshot = kept.lookup_entry(["snapshots"]).unwrap().unwrap().object().unwrap().into_tree();
    let folder = snapshot.iter().next().unwrap().unwrap().object().unwrap().into_tree();
    let blob = folder.iter().next().unwrap().unwrap().object_id();
    let tree = git.tree(&[(b"f", GitEntryKind::Blob, git.blob("2"))]);
    let other = git.commit("other", tree, &[], "m").to_string();
    let filed = git.tree(&[(
        &other.as_bytes()[..2],
        GitEntryKind::Tree,
        git.tree(&[(&other.as_bytes()[2..], GitEntryKind::Blob, blob)]),
    )]);
    let trees = kept.lookup_entry(["trees"]).unwrap().unwrap().object_id();
    let contents = kept.lookup_entry(["contents"]).unwrap().unwrap().object_id();
    let refile = |trees: ObjectId| {
        let kept = git.tree(&[
            (b"contents", GitEntryKind::Tree, contents),
            (b"snapshots", GitEntryKind::Tree, filed),
            (b"trees", GitEntryKind::Tree, trees),
        ]);
        let commit = git.commit("meta", kept, &[], "kept").to_string();
        #[expect(clippy::disallowed_methods, reason = "a fixture is neither store nor workspace")]
        std::fs::write(git.folder.path().join(META_REF), commit).unwrap();
        let to = Bench::new();
        let imported = import(&to, &git, Some("other"));
        assert_eq!((imported.snapshots, imported.exact, imported.guessed.len()), (1, 0, 1));
        // Only git's own tree of the commit is imported.
        let entries = to.store.folder(roots(&to)[0]).unwrap();
        assert_eq!(
            (entries[0].mode, to.store.read_blob(entries[0].blob().unwrap(), 9).unwrap()),
            (0o644, b"2".to_vec())
        );
        imported.guessed[0].1.clone()
    };
    let reason = refile(trees);
    assert!(reason.contains("has something else in its place"), "{reason}");
    // Without the kept tree, the tree of the commit itself does not have the right id.
    let reason = refile(git.tree(&[]));
    assert!(reason.contains("has something else in its place"), "{reason}");
}

#[test]
fn trailers_are_taken_off_messages() {
    let ours = "Retro-Snapshot: ab\nRetro-Step: 3\nRetro-Run: r";
    let of = |message: &str, run: Option<&str>| Said {
        message: message.to_owned(),
        run: run.map(str::to_owned),
        seconds: None,
    };
    assert_eq!(without_trailers(&format!("step 3\n\n{ours}\nRetro-Subject: step 3\n")), of("", Some("r")));
    assert_eq!(without_trailers(&format!("step 3\n\n{ours}\n")), of("step 3", Some("r")));
    assert_eq!(without_trailers(&format!("better\n\n{ours}\nRetro-Subject: step 3\n")), of("better", Some("r")));
    assert_eq!(
        without_trailers(&format!("a\n\nb\n\n{ours}\nSigned-off-by: x")),
        of("a\n\nb\n\nSigned-off-by: x", Some("r"))
    );
    assert_eq!(
        without_trailers(&format!("a\n\n{ours}\nRetro-Time: -20")),
        Said { seconds: Some(-20), ..of("a", Some("r")) }
    );
    assert_eq!(without_trailers("a\n\nRetro-Step: 3\n"), of("a\n\nRetro-Step: 3", None));
    let cut = without_trailers(&"é".repeat(60_000)).message;
    assert!((65_000..=65_536).contains(&cut.len()) && cut.ends_with("[cut by retro: 120000 bytes]"), "{}", cut.len());
}
