//! Tests of comparing trees of every shape, and of the trees opened for it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{TreeDiffOptions, trees};
use crate::diff::{Change, ChangeKind, counts};
use crate::error::{Error, ErrorKind, Result};
use crate::format::snapshot::ChangeCounts;
use crate::format::tree::{self, Child, Entry, EntryKind, Tree};
use crate::id::{Digest, TreeId};
use crate::limits::FOLDER_DEPTH_MAX;
use crate::path::TreePath;

/// The names of a path, and the entry there.
type Line<'a> = (Vec<&'a str>, &'a str);

/// Trees in memory, with a record of those opened.
#[derive(Default)]
struct Trees {
    objects: BTreeMap<TreeId, Tree>,
    opened: RefCell<Vec<TreeId>>,
}

impl Trees {
    fn put(&mut self, entries: &[Entry]) -> TreeId {
        let encoded = tree::encode(entries);
        for (id, bytes) in &encoded.objects {
            self.objects.insert(*id, tree::decode(bytes).unwrap());
        }
        encoded.id()
    }

    /// Adds a tree that no encoder writes, under an invented id.
    fn forge(&mut self, name: &str, tree: Tree) -> TreeId {
        let id = TreeId(Digest::of(name.as_bytes()));
        self.objects.insert(id, tree);
        id
    }

    /// Builds a tree from paths: `a/b=content`, `a/b@target`, `a/b/`, each with an optional `!mode`.
    fn build(&mut self, lines: &[&str]) -> TreeId {
        let mut list: Vec<Line<'_>> = Vec::new();
        for line in lines {
            let end = line.find(['=', '@', '!']).unwrap_or(line.len());
            list.push((line[..end].split('/').collect(), &line[end..]));
        }
        self.folder(&list)
    }

    fn folder(&mut self, list: &[Line<'_>]) -> TreeId {
        let mut folders: BTreeMap<&str, (u16, Vec<Line<'_>>)> = BTreeMap::new();
        let mut entries: Vec<Entry> = Vec::new();
        for (names, what) in list {
            let (value, mode) = what.split_once('!').unwrap_or((what, ""));
            let mode = u16::from_str_radix(mode, 8).ok();
            match &names[..] {
                [""] => {}
                [name, ""] => folders.entry(name).or_insert((0o755, Vec::new())).0 = mode.unwrap_or(0o755),
                [name] => entries.push(Entry {
                    name: name.as_bytes().into(),
                    kind: if value.starts_with('@') { EntryKind::Symlink } else { EntryKind::File },
                    mode: if value.starts_with('@') { 0 } else { mode.unwrap_or(0o644) },
                    size: value.len() as u64 - 1,
                    id: Digest::of(&value.as_bytes()[1..]),
                }),
                [name, rest @ ..] => {
                    folders.entry(name).or_insert((0o755, Vec::new())).1.push((rest.to_vec(), what));
                }
                [] => unreachable!("a path has at least one name"),
            }
        }
        for (name, (mode, list)) in folders {
            let id = self.folder(&list);
            entries.push(Entry { name: name.as_bytes().into(), kind: EntryKind::Folder, mode, size: 0, id: id.0 });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        self.put(&entries)
    }

    fn load(&self, id: TreeId) -> Result<Tree> {
        self.opened.borrow_mut().push(id);
        let found = self.objects.get(&id).cloned();
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, "read tree", id, "it is not there"))
    }

    fn diff(&self, old: Option<TreeId>, new: Option<TreeId>, options: &TreeDiffOptions) -> Result<Vec<Change>> {
        self.opened.borrow_mut().clear();
        let changes = trees(&|id| self.load(id), old, new, options)?;
        assert!(changes.is_sorted_by(|a, b| a.path < b.path), "paths ascend");
        Ok(changes)
    }
}

fn options(folders: bool, paths: &[&str]) -> TreeDiffOptions {
    TreeDiffOptions { folders, paths: paths.iter().map(|path| TreePath::new(path.as_bytes()).unwrap()).collect() }
}

/// Changes as lines: `added a/b`.
fn shown(changes: &[Change]) -> Vec<String> {
    changes.iter().map(|change| format!("{} {}", format!("{:?}", change.kind).to_lowercase(), change.path)).collect()
}

/// Compares two trees given as lines.
fn compared(old: &[&str], new: &[&str], options: &TreeDiffOptions) -> Vec<String> {
    let mut trees = Trees::default();
    let (old, new) = (trees.build(old), trees.build(new));
    shown(&trees.diff(Some(old), Some(new), options).unwrap())
}

#[test]
fn equal_trees_are_not_opened() {
    let mut trees = Trees::default();
    let root = trees.build(&["a=1", "b/c=2"]);
    assert_eq!(trees.diff(Some(root), Some(root), &options(true, &[])).unwrap(), []);
    assert_eq!(trees.diff(None, None, &options(true, &[])).unwrap(), []);
    assert!(trees.opened.borrow().is_empty());
}

#[test]
fn every_kind_of_change_is_listed() {
    let old = ["gone=1", "kept=1", "mode=1!644", "more=1", "link@x", "turns=1", "sub/deep/x=1", "sub/same/y=1"];
    let new = ["kept=1", "mode=1!755", "more=2", "link@y", "turns@1", "sub/deep/x=2", "sub/same/y=1", "new=1"];
    assert_eq!(
        compared(&old, &new, &options(false, &[])),
        [
            "deleted gone",
            "modified link",
            "mode mode",
            "modified more",
            "added new",
            "modified sub/deep/x",
            "type turns"
        ]
    );
    let mut trees = Trees::default();
    let (old, new) = (trees.build(&old), trees.build(&new));
    let changes = trees.diff(Some(old), Some(new), &options(false, &[])).unwrap();
    assert_eq!(counts(&changes), ChangeCounts { added: 1, modified: 5, deleted: 1 });
    let turned = changes.last().unwrap();
    assert_eq!(turned.old.unwrap().kind, EntryKind::File);
    assert_eq!(turned.new.unwrap().kind, EntryKind::Symlink);
    assert!(turned.old_path.is_none());
}

#[test]
fn folders_are_listed_when_empty_or_asked_for() {
    let new = ["a/b/c=1", "a/empty/", "a/x=1"];
    let without = ["added a/b/c", "added a/empty", "added a/x"];
    let with = ["added a", "added a/b", "added a/b/c", "added a/empty", "added a/x"];
    assert_eq!(compared(&[""], &new, &options(false, &[])), without);
    assert_eq!(compared(&[""], &new, &options(true, &[])), with);
    let deleted = |list: &[&str]| list.iter().map(|line| line.replace("added", "deleted")).collect::<Vec<_>>();
    assert_eq!(compared(&new, &[""], &options(false, &[])), deleted(&without));
    assert_eq!(compared(&new, &[""], &options(true, &[])), deleted(&with));
    let mut trees = Trees::default();
    let root = trees.build(&new);
    assert_eq!(shown(&trees.diff(None, Some(root), &options(true, &[])).unwrap()), with);
}

#[test]
fn a_folder_emptied_or_filled_is_no_change_of_itself() {
    assert_eq!(compared(&["a/x=1"], &["a/"], &options(true, &[])), ["deleted a/x"]);
    assert_eq!(compared(&["a/"], &["a/x=1"], &options(true, &[])), ["added a/x"]);
}

#[test]
fn a_mode_of_a_folder_is_listed_with_what_is_below() {
    assert_eq!(compared(&["a/!755"], &["a/!700"], &options(false, &[])), ["mode a"]);
    assert_eq!(compared(&["a/!755", "a/x=1"], &["a/!700", "a/x=2"], &options(false, &[])), ["mode a", "modified a/x"]);
}

#[test]
fn a_file_that_becomes_a_folder_is_followed_by_what_is_in_it() {
    assert_eq!(compared(&["a=1"], &["a/b/c=1"], &options(false, &[])), ["type a", "added a/b/c"]);
    assert_eq!(compared(&["a=1"], &["a/b/c=1"], &options(true, &[])), ["type a", "added a/b", "added a/b/c"]);
    assert_eq!(
        compared(&["a/b=1", "a-=1"], &["a@x", "a-=2"], &options(false, &[])),
        ["type a", "deleted a/b", "modified a-"]
    );
    assert_eq!(compared(&["a/"], &["a=1"], &options(false, &[])), ["type a"]);
}

#[test]
fn paths_limit_what_is_listed_and_what_is_opened() {
    let old = ["a/x=1", "a/y=1", "b/c/d=1", "b/c/e=1", "b/f=1", "g=1"];
    let new = ["a/x=2", "a/y=2", "b/c/d=2", "b/c/e=2", "b/f=2", "g=2"];
    let limited = |paths: &[&str]| compared(&old, &new, &options(true, paths));
    assert_eq!(limited(&["b/c"]), ["modified b/c/d", "modified b/c/e"]);
    assert_eq!(
        limited(&["g", "a/y", "b/c/d", "b/c"]),
        ["modified a/y", "modified b/c/d", "modified b/c/e", "modified g"]
    );
    assert_eq!(limited(&["", "g"]).len(), 6);
    assert!(limited(&["nothing", "a/x/below", "b/cc"]).is_empty());
    // Folders on the way to a path are entered, not listed.
    assert_eq!(
        compared(&["a=1"], &["a/!700", "a/b/c=1", "a/d=1"], &options(true, &["a/b"])),
        ["added a/b", "added a/b/c"]
    );

    let mut trees = Trees::default();
    let (old, new) = (trees.build(&old), trees.build(&new));
    trees.diff(Some(old), Some(new), &options(false, &["g"])).unwrap();
    assert_eq!(trees.opened.borrow().len(), 2);
}

fn many(count: usize, changed: &[usize]) -> Vec<Entry> {
    let entry = |number: usize| Entry {
        name: format!("file-{number:06}").into_bytes().into(),
        kind: EntryKind::File,
        mode: 0o644,
        size: 1,
        id: Digest::of(&[number.to_le_bytes(), [u8::from(changed.contains(&number)); 8]].concat()),
    };
    (0..count).map(entry).collect()
}

#[test]
fn in_a_large_folder_only_what_differs_is_opened() {
    let mut trees = Trees::default();
    let old = trees.put(&many(50_000, &[]));
    let new = trees.put(&many(50_000, &[31_000]));
    let mut list = many(50_000, &[]);
    list.remove(7);
    let shorter = trees.put(&list);

    assert_eq!(shown(&trees.diff(Some(old), Some(new), &options(false, &[])).unwrap()), ["modified file-031000"]);
    assert_eq!(trees.opened.borrow().len(), 4);
    assert_eq!(shown(&trees.diff(Some(old), Some(shorter), &options(false, &[])).unwrap()), ["deleted file-000007"]);
    assert!(trees.opened.borrow().len() <= 6);
    // A comparison of one file opens only the leaf that could hold it, even if everything else is new.
    let found = trees.diff(None, Some(new), &options(false, &["file-031000"])).unwrap();
    assert_eq!(shown(&found), ["added file-031000"]);
    assert_eq!(trees.opened.borrow().len(), 2);
}

#[test]
fn folders_of_different_levels_are_compared() {
    let mut trees = Trees::default();
    let small = trees.put(&many(10, &[]));
    let middle = trees.put(&many(5_000, &[3]));
    // At 1,024 leaves a second level of nodes begins.
    let large = trees.put(&many(400_000, &[5]));
    assert!(matches!(trees.objects[&large], Tree::Node { level: 2, .. }));
    for (old, new) in [(small, middle), (middle, large), (small, large)] {
        let added = trees.diff(Some(old), Some(new), &options(false, &[])).unwrap();
        let deleted = trees.diff(Some(new), Some(old), &options(false, &[])).unwrap();
        let swapped = |change: &Change| {
            let kind = match change.kind {
                ChangeKind::Added => ChangeKind::Deleted,
                kind => kind,
            };
            Change { kind, old: change.new, new: change.old, ..change.clone() }
        };
        assert_eq!(added.iter().map(swapped).collect::<Vec<_>>(), deleted);
    }
    let changes = trees.diff(Some(middle), Some(large), &options(false, &[])).unwrap();
    assert_eq!(counts(&changes), ChangeCounts { added: 395_000, modified: 2, deleted: 0 });
}

#[test]
fn trees_may_be_as_deep_as_the_limit_and_no_deeper() {
    let mut trees = Trees::default();
    let chain = |trees: &mut Trees, content: &[u8], depth: usize| {
        let leaf = Entry { name: (*b"f").into(), kind: EntryKind::File, mode: 0o644, size: 1, id: Digest::of(content) };
        let mut id = trees.put(&[leaf]);
        for _ in 0..depth {
            let folder = Entry { name: (*b"d").into(), kind: EntryKind::Folder, mode: 0o755, size: 1, id: id.0 };
            id = trees.put(&[folder]);
        }
        id
    };
    let (old, new) = (chain(&mut trees, b"1", FOLDER_DEPTH_MAX), chain(&mut trees, b"2", FOLDER_DEPTH_MAX));
    let changes = trees.diff(Some(old), Some(new), &options(true, &[])).unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].path.depth(), FOLDER_DEPTH_MAX + 1);
    let deeper = chain(&mut trees, b"1", FOLDER_DEPTH_MAX + 1);
    let error = trees.diff(None, Some(deeper), &options(false, &[])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
}

#[test]
fn folders_that_hold_each_other_a_thousand_times_end_at_the_limit() {
    let mut trees = Trees::default();
    let (mut old, mut new) = (trees.put(&many(1, &[])), trees.put(&many(2, &[])));
    for _ in 0..12 {
        let list = |id: TreeId| -> Vec<Entry> {
            many(500, &[]).into_iter().map(|entry| Entry { kind: EntryKind::Folder, id: id.0, ..entry }).collect()
        };
        (old, new) = (trees.put(&list(old)), trees.put(&list(new)));
    }
    // Changes below one path are found all the same.
    let path = ["file-000001"; 12].join("/");
    assert_eq!(trees.diff(Some(old), Some(new), &options(false, &[&path])).unwrap().len(), 1);
    let load = |id| trees.objects.get(&id).cloned().ok_or_else(|| Error::new(ErrorKind::NotFound, "read tree", id, ""));
    let changes =
        super::Walk { work_left: 1 << 20, ..super::Walk::new(&load, &options(false, &[])) }.run(Some(old), Some(new));
    assert!(changes.is_err_and(|error| error.kind() == ErrorKind::Limit));
}

#[test]
fn forged_nodes_are_refused() {
    let mut trees = Trees::default();
    let entries = many(2_000, &[]);
    let parts: Vec<TreeId> = entries.chunks(400).map(|part| trees.put(part)).collect();
    let child =
        |first: usize, id: TreeId| Child { first_name: entries[first].name.clone(), entry_count: 400, size: 1, id };
    let node = |level, children| Tree::Node { level, children };
    let inner = trees.forge("inner", node(1, vec![child(0, parts[0]), child(400, parts[1])]));
    let forged = [
        ("another first name", node(1, vec![child(1, parts[0])])),
        ("a list twice", node(1, vec![child(0, parts[0]), child(1, parts[0])])),
        ("a leaf where a node should be", node(2, vec![child(0, parts[0])])),
        ("a node where a leaf should be", node(1, vec![child(0, inner)])),
        ("lists that overlap", node(2, vec![child(0, inner), child(400, parts[1])])),
        ("a missing list", node(1, vec![child(0, TreeId(Digest::of(b"nowhere")))])),
    ];
    let honest = trees.put(&entries);
    for (what, tree) in forged {
        let id = trees.forge(what, tree);
        assert!(trees.diff(Some(honest), Some(id), &options(false, &[])).is_err(), "{what}");
        assert!(trees.diff(Some(id), None, &options(false, &[])).is_err(), "{what}");
    }
    let overlap = {
        let late = trees.put(&entries[399..500]);
        let early = trees.put(&entries[..401]);
        node(1, vec![child(0, early), child(399, late)])
    };
    let id = trees.forge("leaves that overlap", overlap);
    assert!(trees.diff(None, Some(id), &options(false, &[])).is_err_and(|error| error.kind() == ErrorKind::Corrupt));
}

#[test]
fn a_tree_that_cannot_be_read_is_an_error() {
    let mut trees = Trees::default();
    let (old, new) = (trees.build(&["a/x=1"]), trees.build(&["a/x=2"]));
    trees.objects.retain(|id, _| *id == old || *id == new);
    let error = trees.diff(Some(old), Some(new), &options(false, &[])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// A small tree as a map from path to content; folders follow from the paths.
fn models() -> impl Strategy<Value = BTreeMap<String, u8>> {
    prop::collection::btree_map("[abc](/[abc]){0,3}", 0..4_u8, 0..12)
}

/// Drops paths below a path that is a file, and lists the remaining folders.
fn lines(model: &BTreeMap<String, u8>) -> Vec<String> {
    let is_below_file = |path: &str| {
        model.keys().any(|other| path.strip_prefix(other.as_str()).is_some_and(|rest| rest.starts_with('/')))
    };
    let line = |(path, value): (&String, &u8)| format!("{path}={value}");
    model.iter().filter(|(path, _)| !is_below_file(path)).map(line).collect()
}

proptest! {
    #[test]
    fn applying_the_changes_to_the_old_tree_gives_the_new_one(
        old in models(),
        new in models(),
        limit in "[abc](/[abc]){0,2}",
    ) {
        let mut trees = Trees::default();
        let (old_lines, new_lines) = (lines(&old), lines(&new));
        let build = |trees: &mut Trees, lines: &[String]| {
            trees.build(&lines.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let (old_root, new_root) = (build(&mut trees, &old_lines), build(&mut trees, &new_lines));
        let files = |lines: &[String]| -> BTreeMap<String, Digest> {
            let pairs = lines.iter().map(|line| line.split_once('=').unwrap());
            pairs.map(|(path, value)| (path.to_owned(), Digest::of(value.as_bytes()))).collect()
        };
        let (mut files_now, wanted) = (files(&old_lines), files(&new_lines));
        let changes = trees.diff(Some(old_root), Some(new_root), &options(false, &[])).unwrap();
        for change in &changes {
            if let Some(side) = change.old.filter(|side| side.kind == EntryKind::File) {
                prop_assert_eq!(files_now.remove(&change.path.to_string()), Some(side.id));
            }
            if let Some(side) = change.new.filter(|side| side.kind == EntryKind::File) {
                prop_assert_eq!(files_now.insert(change.path.to_string(), side.id), None);
            }
        }
        prop_assert_eq!(files_now, wanted);
        let limits = options(false, &[&limit]);
        let is_within = |change: &Change| change.path.is_within(&limits.paths[0]);
        let within: Vec<Change> = changes.into_iter().filter(is_within).collect();
        prop_assert_eq!(trees.diff(Some(old_root), Some(new_root), &limits).unwrap(), within);
    }
}
