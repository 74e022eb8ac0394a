//! Tests of pairs that are renames, and of pairs that only look like it.

use std::collections::BTreeMap;

use super::{RenameOptions, detect};
use crate::diff::{Change, ChangeKind, Side};
use crate::error::{Error, ErrorKind};
use crate::format::tree::EntryKind;
use crate::id::Digest;
use crate::path::TreePath;

/// Contents by id, and changes that refer to them.
#[derive(Default)]
struct World {
    contents: BTreeMap<Digest, Vec<u8>>,
    changes: Vec<Change>,
    reads: usize,
}

impl World {
    fn side(&mut self, kind: EntryKind, content: &[u8]) -> Side {
        let id = Digest::of(content);
        self.contents.insert(id, content.to_vec());
        Side { kind, mode: 0o644, size: content.len() as u64, id }
    }

    fn change(&mut self, kind: ChangeKind, path: &str, side: Side) {
        let path = TreePath::new(path.as_bytes()).unwrap();
        let (old, new) = if kind == ChangeKind::Deleted { (Some(side), None) } else { (None, Some(side)) };
        self.changes.push(Change { path, kind, old, new, old_path: None, attributes_changed: false });
        self.changes.sort_by(|a, b| a.path.cmp(&b.path));
    }

    fn deleted(&mut self, path: &str, content: &[u8]) {
        let side = self.side(EntryKind::File, content);
        self.change(ChangeKind::Deleted, path, side);
    }

    fn added(&mut self, path: &str, content: &[u8]) {
        let side = self.side(EntryKind::File, content);
        self.change(ChangeKind::Added, path, side);
    }

    fn detect(&mut self, options: &RenameOptions) -> Vec<String> {
        let changes = self.changes.clone();
        let mut reads = 0;
        let found = detect(changes, options, &mut |side| {
            reads += 1;
            Ok(self.contents.get(&side.id).cloned())
        });
        self.reads = reads;
        let found = found.unwrap();
        assert!(found.is_sorted_by(|a, b| a.path < b.path));
        let from = |change: &Change| change.old_path.as_ref().map_or(String::new(), |path| format!(" from {path}"));
        found
            .iter()
            .map(|change| format!("{} {}{}", format!("{:?}", change.kind).to_lowercase(), change.path, from(change)))
            .collect()
    }

    fn found(&mut self) -> Vec<String> {
        self.detect(&RenameOptions::default())
    }
}

/// Lines that no other text contains.
fn text(seed: &str, lines: usize) -> Vec<u8> {
    (0..lines).map(|line| format!("{seed} {line:04}\n")).collect::<String>().into_bytes()
}

/// A text with some of its lines replaced.
fn edited(text: &[u8], lines: usize) -> Vec<u8> {
    let edited = text.split_inclusive(|&byte| byte == b'\n').enumerate();
    edited
        .flat_map(|(at, line)| if at < lines { format!("new: {at:04}\n").into_bytes() } else { line.to_vec() })
        .collect()
}

#[test]
fn equal_content_is_joined_without_reading_it() {
    let mut world = World::default();
    world.deleted("old.rs", &text("a", 3));
    world.added("src/new.rs", &text("a", 3));
    assert_eq!(world.found(), ["renamed src/new.rs from old.rs"]);
    assert_eq!(world.reads, 0);
}

#[test]
fn equal_content_prefers_the_same_name() {
    let mut world = World::default();
    for path in ["a/one", "a/two", "a/three"] {
        world.deleted(path, b"same");
    }
    for path in ["b/four", "b/two", "b/one", "b/five"] {
        world.added(path, b"same");
    }
    let expected =
        ["added b/four", "renamed b/five from a/three", "renamed b/one from a/one", "renamed b/two from a/two"];
    let mut found = world.found();
    found.sort();
    let mut expected = expected.map(str::to_owned);
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn empty_files_are_joined_under_the_same_name_only() {
    let mut world = World::default();
    world.deleted("a/__init__.py", b"");
    world.deleted("empty", b"");
    world.added("b/__init__.py", b"");
    world.added("other", b"");
    assert_eq!(world.found(), ["renamed b/__init__.py from a/__init__.py", "deleted empty", "added other"]);
}

#[test]
fn folders_and_other_kinds_are_not_joined() {
    let mut world = World::default();
    let (folder, link) = (world.side(EntryKind::Folder, b"same"), world.side(EntryKind::Symlink, b"same"));
    world.change(ChangeKind::Deleted, "a", folder);
    world.change(ChangeKind::Added, "b", folder);
    world.deleted("c", b"same");
    world.change(ChangeKind::Added, "d", link);
    assert_eq!(world.found(), ["deleted a", "added b", "deleted c", "added d"]);
    world.change(ChangeKind::Deleted, "e", link);
    assert!(world.found().contains(&"renamed d from e".to_owned()));
}

#[test]
fn half_of_the_lines_is_enough_and_less_is_not() {
    let old = text("line", 100);
    for (lines, is_found) in [(50, true), (51, false)] {
        let mut world = World::default();
        world.deleted("old", &old);
        world.added("new", &edited(&old, lines));
        assert_eq!(world.found().contains(&"renamed new from old".to_owned()), is_found, "{lines}");
        assert_eq!(world.reads, 2);
    }
}

#[test]
fn only_equal_content_counts_at_100_percent() {
    let old = text("line", 100);
    let mut world = World::default();
    world.deleted("old", &old);
    world.added("new", &edited(&old, 1));
    assert_eq!(
        world.detect(&RenameOptions { similarity_min_percent: 100, ..RenameOptions::default() }),
        ["added new", "deleted old"]
    );
    assert_eq!(world.reads, 0);
}

#[test]
fn the_most_similar_wins_and_the_same_name_before_it() {
    let old = text("line", 100);
    let mut world = World::default();
    world.deleted("a/file", &old);
    world.added("b/near", &edited(&old, 5));
    world.added("b/nearer", &edited(&old, 2));
    assert_eq!(world.found(), ["added b/near", "renamed b/nearer from a/file"]);
    world.added("c/file", &edited(&old, 20));
    assert_eq!(world.found(), ["added b/near", "added b/nearer", "renamed c/file from a/file"]);
}

#[test]
fn sizes_alone_rule_a_pair_out() {
    let mut world = World::default();
    world.deleted("old", &text("a", 10));
    world.added("new", &text("a", 30));
    assert_eq!(world.found(), ["added new", "deleted old"]);
    assert_eq!(world.reads, 0);
}

#[test]
fn a_moved_and_edited_folder_is_followed_file_by_file() {
    let mut world = World::default();
    for number in 0..150 {
        let old = text(&format!("file {number}"), 20 + number % 7);
        world.deleted(&format!("old/{number:03}.rs"), &old);
        world.added(&format!("new/{number:03}.rs"), &edited(&old, 3));
    }
    let found = world.found();
    assert_eq!(found.len(), 150);
    assert!(found.iter().all(|line| line.starts_with("renamed new/")));
    assert_eq!(world.reads, 300);
}

#[test]
fn files_beyond_the_bounds_stay_deleted_and_added() {
    let mut world = World::default();
    for number in 0..60 {
        let old = text(&format!("file {number}"), 20);
        world.deleted(&format!("old-{number:03}"), &old);
        world.added(&format!("new-{number:03}"), &edited(&old, 3));
    }
    assert_eq!(world.found().len(), 60);
    let none = world.detect(&RenameOptions { pairs_max: 0, ..RenameOptions::default() });
    assert_eq!((none.len(), world.reads), (120, 0));
    let few = world.detect(&RenameOptions { pairs_max: 30, ..RenameOptions::default() });
    assert!(few.len() >= 90 && world.reads <= 60, "{} {}", few.len(), world.reads);
    let little = world.detect(&RenameOptions { read_max_bytes: 1_000, ..RenameOptions::default() });
    assert!(little.len() >= 118 && world.reads <= 4);
    let short = world.detect(&RenameOptions { file_length_max_bytes: 100, ..RenameOptions::default() });
    assert_eq!((short.len(), world.reads), (120, 0));
}

#[test]
fn contents_without_lines_are_compared_in_pieces() {
    let noise: Vec<u8> =
        (0..200_u32).flat_map(|number| Digest::of(&number.to_le_bytes()).0).map(|byte| byte | 0x80).collect();
    let mut changed = noise.clone();
    changed[1_000..1_200].fill(0x81);
    let mut world = World::default();
    world.deleted("old.bin", &noise);
    world.added("new.bin", &changed);
    assert_eq!(world.found(), ["renamed new.bin from old.bin"]);
}

#[test]
fn unreadable_content_is_passed_over_and_an_error_is_passed_on() {
    let old = text("line", 10);
    let mut world = World::default();
    world.deleted("old", &old);
    world.added("new", &edited(&old, 1));
    world.contents.clear();
    assert_eq!(world.found(), ["added new", "deleted old"]);
    let failing = &mut |side: &Side| Err(Error::corrupt("read content", side.id, "damaged"));
    let error = detect(world.changes.clone(), &RenameOptions::default(), failing).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}
