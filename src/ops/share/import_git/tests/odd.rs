//! Hostile, damaged, incomplete and odd repositories, and repeated imports.

use gix::ObjectId;
use gix::objs::tree::EntryKind;

use super::{Repository, all_ids, import, import_all, read_all, roots, snapshots};
use crate::format::snapshot::{Omission, Reason, Snapshot};
use crate::ops::fixture::{About, Bench, Files, path};

#[test]
fn hostile_trees_are_taken_as_far_as_they_go() {
    let taken = |make: &dyn Fn(&Repository) -> ObjectId| {
        let git = Repository::new();
        let good = git.tree(&[(b"good", EntryKind::Blob, git.blob("good"))]);
        let first = git.commit("main", good, &[], "before");
        let tree = make(&git);
        git.commit("main", tree, &[first], "m");
        let bench = Bench::new();
        let imported = import(&bench, &git, Some("main"));
        let tree = snapshots(&bench).last().unwrap().root;
        let entries = bench.store.folder(tree).unwrap();
        let names: Vec<String> = entries.iter().map(|entry| entry.name.escape_ascii().to_string()).collect();
        read_all(&bench, tree);
        (imported, names.join(" "))
    };
    let one = |git: &Repository| git.blob("1");
    for name in [&b".git"[..], b".GIT", b"git~1", b".git\xe2\x80\x8c"] {
        let (imported, names) = taken(&|git| git.raw_tree(&[(b"100644", name, one(git)), (b"100644", b"x", one(git))]));
        assert_eq!((imported.snapshots, &*names), (2, "x"));
        assert_eq!(imported.omitted, [Omission { path: path(name), reason: Reason::Special }]);
        assert_eq!((imported.omitting, imported.refused.len()), (1, 0));
    }
    for name in [&b".."[..], b".", b"a/b", b""] {
        let (imported, names) = taken(&|git| {
            let below = git.raw_tree(&[(b"100644", name, one(git)), (b"100644", b"x", one(git))]);
            git.raw_tree(&[(b"40000", b"d", below)])
        });
        assert_eq!((imported.snapshots, &*names, imported.omitted.len()), (2, "d", 0));
        assert_eq!(imported.refused[0].path, [b"d/", name].concat());
    }
    // Repeated, out of order, with modes that git does not write.
    let (imported, names) = taken(&|git| {
        git.raw_tree(&[
            (b"100664", b"z", one(git)),
            (b"120000", b"a", one(git)),
            (b"100644", b"a", one(git)),
            (b"100744", b"b", one(git)),
            (b"140000", b"c", one(git)),
            (b"x", b"d", one(git)),
            (b"040000", b"e", git.tree(&[])),
        ])
    });
    assert_eq!((&*names, imported.refused.len(), &*imported.refused[0].path), ("a b e z", 1, &b"a"[..]));
    assert_eq!(imported.omitted, ["c", "d"].map(|name| Omission { path: path(name), reason: Reason::Special }));
    // A file listed as a folder, a folder listed as a file, and a tree that ends too early.
    let (imported, names) = taken(&|git| {
        let cut = git.raw(gix::objs::Kind::Tree, b"100644 x\0too short");
        git.raw_tree(&[(b"40000", b"a", one(git)), (b"100644", b"b", git.tree(&[])), (b"40000", b"c", cut)])
    });
    assert_eq!((imported.snapshots, &*names), (2, ""));
    assert_eq!(imported.omitted, ["a", "b", "c"].map(|name| Omission { path: path(name), reason: Reason::ReadError }));
    // A bomb: each of 20 trees holds the next one ten times. Mapping it is quick, but it is too large to list.
    let (imported, names) = taken(&|git: &Repository| {
        (0..20).fold(git.tree(&[(b"f", EntryKind::Blob, one(git))]), |below, _| {
            let names: Vec<[u8; 1]> = (b'a'..b'k').map(|letter| [letter]).collect();
            git.tree(&names.iter().map(|name| (&name[..], EntryKind::Tree, below)).collect::<Vec<_>>())
        })
    });
    assert_eq!((imported.snapshots, imported.skipped.len(), &*names), (1, 1, "good"));
    assert!(imported.skipped[0].reason.contains("paths"), "{:?}", imported.skipped);
}

#[test]
fn objects_that_the_repository_lost_are_listed_and_the_rest_is_imported() {
    let git = Repository::new();
    let (lost, kept) = (git.blob("lost"), git.blob("kept"));
    let below = git.tree(&[(b"x", EntryKind::Blob, kept)]);
    let root = git.tree(&[(b"kept", EntryKind::Blob, kept), (b"z", EntryKind::Blob, git.blob("z"))]);
    let mut commits = Vec::new();
    let mut commit = |tree: ObjectId| {
        let made = git.commit("main", tree, commits.last().map_or(&[][..], std::slice::from_ref), "m");
        commits.push(made);
        made
    };
    let before = commit(git.tree(&[]));
    let cut = commit(git.tree(&[(b"a", EntryKind::Blob, kept)]));
    commit(git.tree(&[(b"kept", EntryKind::Blob, kept)]));
    commit(git.tree(&[(b"kept", EntryKind::Blob, kept), (b"lost", EntryKind::Blob, lost)]));
    let third = commit(root);
    commit(git.tree(&[(b"d", EntryKind::Tree, below), (b"kept", EntryKind::Blob, kept)]));
    [lost, root, below, cut].into_iter().for_each(|id| git.lose(id));
    let bench = Bench::new();
    let imported = import(&bench, &git, None);
    assert_eq!((imported.snapshots, imported.omitting), (3, 2));
    let skipped: Vec<&str> = imported.skipped.iter().map(|one| &*one.name).collect();
    assert_eq!(skipped, [cut.to_string(), third.to_string()]);
    assert!(imported.skipped[0].reason.contains("cannot be found"), "{:?}", imported.skipped);
    let all = snapshots(&bench);
    let names = |snapshot: &Snapshot| bench.store.folder(snapshot.root).unwrap().len();
    assert_eq!((names(&all[0]), names(&all[1]), names(&all[2])), (1, 1, 1));
    assert_eq!(all[2].parents, [all_ids(&bench)[1]]);
    assert_eq!(imported.omitted, [Omission { path: path("d"), reason: Reason::Vanished }]);
    // A commit that comes back later is imported then; none is imported twice.
    git.tree(&[(b"kept", EntryKind::Blob, kept), (b"z", EntryKind::Blob, git.blob("z"))]);
    let again = import(&bench, &git, None);
    assert_eq!((again.snapshots, again.known, again.skipped.len()), (1, 3, 1));
    assert_eq!(snapshots(&bench)[3].git.as_ref().unwrap().head, Some(third.to_string()));
    assert!(import(&bench, &git, Some(&before.to_string())).snapshots == 1);
}

#[test]
fn commits_that_git_would_not_write_become_steps() {
    let git = Repository::new();
    let tree = git.tree(&[(b"f", EntryKind::Blob, git.blob("1"))]);
    let lines: [&[u8]; 7] = [
        b"author a <a@b> 1000 +0000\ncommitter a <a@b> 1000 +0000\n\n",
        b"author a <a@b> -5000 +0000\ncommitter a <a@b> -5000 -9999\n\nbefore 1970",
        b"committer nobody\n\nno author, no date",
        b"author J\xf6rg <j> 7 +0000\ncommitter x <x> 7 +0000\nencoding latin-1\n\ncaf\xe9",
        b"author x <x> 8 +0000\ncommitter x <x> 8 +0000\nencoding no-such\n\ncaf\xe9",
        b"",
        b"author x <x> 99999999999999 +0000\ncommitter x <x> 99999999999999 +0000\n\nlate",
    ];
    let mut commits: Vec<ObjectId> = Vec::new();
    for rest in lines {
        commits.push(git.raw_commit("main", tree, commits.last().map_or(&[][..], std::slice::from_ref), rest));
    }
    let bench = Bench::new();
    let imported = import(&bench, &git, None);
    assert_eq!((imported.snapshots, imported.skipped.len()), (7, 0));
    let messages: Vec<(String, i64)> =
        snapshots(&bench).into_iter().map(|snapshot| (snapshot.message, snapshot.time.seconds())).collect();
    let expected = [
        ("", 1_000),
        ("before 1970", -5_000),
        ("no author, no date", -5_000),
        ("caf\u{e9}", 7),
        ("caf\u{fffd}", 8),
        ("", 8),
        ("late", i64::MAX / 1_000_000_000),
    ];
    assert_eq!(messages, expected.map(|(message, seconds)| (message.to_owned(), seconds)));
    let of = |commit: ObjectId| {
        let hex = commit.to_string();
        imported.guessed.iter().filter(|(id, _)| *id == hex).count()
    };
    assert_eq!([0, 1, 2, 3, 4, 5, 6].map(|at| of(commits[at])), [0, 0, 2, 0, 2, 2, 1]);
}

#[test]
fn an_import_goes_on_where_it_was_and_duplicates_nothing() {
    let git = Repository::new();
    let mut commits: Vec<ObjectId> = Vec::new();
    let tree = |text: &str| git.tree(&[(b"f", EntryKind::Blob, git.blob(text))]);
    for number in 0..5 {
        let parents = commits.last().map_or(&[][..], std::slice::from_ref);
        commits.push(git.commit("main", tree(&number.to_string()), parents, "m"));
    }
    let bench = Bench::new();
    assert_eq!(import(&bench, &git, Some("main~3")).snapshots, 2);
    let whole = import(&bench, &git, None);
    assert_eq!((whole.snapshots, whole.known), (3, 2));
    let again = import(&bench, &git, None);
    assert_eq!((again.snapshots, again.known, again.stored_bytes, again.last), (0, 5, 0, None));
    let other = Bench::new();
    import(&other, &git, None);
    assert_eq!(roots(&bench), roots(&other));
    let histories = |bench: &Bench| snapshots(bench).iter().map(|snapshot| snapshot.history).collect::<Vec<_>>();
    assert_eq!(histories(&bench), histories(&other));
    // Steps are recorded meanwhile; new commits still follow the same commits as in git.
    let head = bench.store.state().workspaces[&bench.workspace].head;
    bench.take(&Files::new(), &About { parent: head, ..About::default() });
    git.commit("main", tree("new"), &[commits[4]], "new");
    git.commit("side", tree("side"), &[commits[1]], "side");
    let (new, side) = (import(&bench, &git, None), import(&bench, &git, Some("side")));
    assert_eq!((new.snapshots, new.known, side.snapshots, side.known), (1, 5, 1, 2));
    let (all, ids) = (snapshots(&bench), all_ids(&bench));
    assert_eq!((&all[6].parents[..], &all[7].parents[..]), (&ids[4..5], &ids[1..2]));
}

#[test]
fn all_branches_and_tags_are_imported_as_runs() {
    let git = Repository::new();
    let tree = |text: &str| git.tree(&[(b"f", EntryKind::Blob, git.blob(text))]);
    let first = git.commit("main", tree("1"), &[], "first");
    let second = git.commit("main", tree("2"), &[first], "second");
    git.commit("a/feature", tree("3"), &[first], "feature");
    let old = git.commit("gone", tree("4"), &[first], "old");
    git.point("refs/remotes/origin/theirs", git.commit("gone", tree("5"), &[old], "theirs"));
    git.lose_branch("gone");
    git.point("refs/tags/v0", old);
    git.point("refs/tags/v2", second);
    git.point("refs/tags/s3", first);
    git.point("refs/tags/blob", git.blob("b"));
    git.point("refs/tags/lost", ObjectId::from_hex(b"0123456789abcdef0123456789abcdef01234567").unwrap());
    let bench = Bench::new();
    let imported = import_all(&bench, &git);
    let messages: Vec<(String, String)> =
        snapshots(&bench).into_iter().map(|snapshot| (snapshot.run.unwrap(), snapshot.message)).collect();
    let expected = [
        ("main", "first"),
        ("main", "second"),
        ("a/feature", "feature"),
        ("origin/theirs", "old"),
        ("origin/theirs", "theirs"),
    ];
    assert_eq!(messages, expected.map(|(run, message)| (run.to_owned(), message.to_owned())));
    assert_eq!(bench.store.state().workspaces[&bench.workspace].head, Some(all_ids(&bench)[1]));
    assert_eq!(imported.tags, ["v0", "v2"]);
    let skipped: Vec<&str> = imported.skipped_tags.iter().map(|one| &*one.name).collect();
    assert_eq!(skipped, ["blob", "lost", "s3"]);
    let again = import_all(&bench, &git);
    assert_eq!((again.snapshots, again.known, again.tags.len()), (0, 5, 0));
    assert_eq!(bench.store.state().workspaces[&bench.workspace].head, Some(all_ids(&bench)[1]));
    // A tag that another snapshot has stays there.
    git.point("refs/tags/v2", first);
    let moved = import_all(&bench, &git);
    assert_eq!(moved.skipped_tags.iter().filter(|one| one.name == "v2").count(), 1);
    assert_eq!(bench.store.state().workspaces[&bench.workspace].tags["v2"], all_ids(&bench)[1]);
}
