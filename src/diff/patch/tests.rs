//! Patches as git writes them.

use super::render;
use crate::diff::{Change, ChangeKind, Side};
use crate::format::tree::Kind;
use crate::id::Digest;
use crate::path::TreePath;

fn file(mode: u16, content: &[u8]) -> Side {
    Side { kind: Kind::File, mode, size: content.len() as u64, id: Digest::of(content) }
}

fn change(kind: ChangeKind, path: &[u8], old: Option<Side>, new: Option<Side>) -> Change {
    Change { path: TreePath::new(path).unwrap(), kind, old, new, old_path: None }
}

fn patch(change: &Change, old: Option<&[u8]>, new: Option<&[u8]>) -> String {
    String::from_utf8(render(change, old, new, 3)).unwrap()
}

#[test]
fn a_modified_file() {
    let (old, new) = (b"a\nb\nc\n", b"a\nx\nc");
    let change = change(ChangeKind::Modified, b"dir/f", Some(file(0o644, old)), Some(file(0o644, new)));
    let expected = "diff --git a/dir/f b/dir/f\n--- a/dir/f\n+++ b/dir/f\n@@ -1,3 +1,3 @@\n a\n-b\n-c\n+x\n+c\n\\ No newline at end of file\n";
    assert_eq!(patch(&change, Some(old), Some(new)), expected);
}

#[test]
fn added_and_deleted_files() {
    let added = change(ChangeKind::Added, b"f", None, Some(file(0o755, b"a\n")));
    let expected = "diff --git a/f b/f\nnew file mode 100755\n--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+a\n";
    assert_eq!(patch(&added, None, Some(b"a\n")), expected);
    let deleted = change(ChangeKind::Deleted, b"f", Some(file(0o644, b"a\nb")), None);
    let expected = "diff --git a/f b/f\ndeleted file mode 100644\n--- a/f\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-a\n-b\n\\ No newline at end of file\n";
    assert_eq!(patch(&deleted, Some(b"a\nb"), None), expected);
    let empty = change(ChangeKind::Added, b"f", None, Some(file(0o644, b"")));
    assert_eq!(patch(&empty, None, Some(b"")), "diff --git a/f b/f\nnew file mode 100644\nindex 0000000..e69de29\n");
}

#[test]
fn modes_need_no_content() {
    let change = change(ChangeKind::Mode, b"f", Some(file(0o644, b"a")), Some(file(0o4755, b"a")));
    assert_eq!(patch(&change, None, None), "diff --git a/f b/f\nold mode 100644\nnew mode 104755\n");
}

#[test]
fn renames_with_and_without_edits() {
    let (old, new) = (file(0o644, b"a\n"), file(0o755, b"b\n"));
    let renamed = |new: Side| Change {
        old_path: Some(TreePath::new(b"old name").unwrap()),
        ..change(ChangeKind::Renamed, b"new\tname", Some(old), Some(new))
    };
    let expected = "diff --git \"a/old name\" \"b/new\\tname\"\nsimilarity index 100%\nrename from \"old name\"\nrename to \"new\\tname\"\n";
    assert_eq!(patch(&renamed(old), None, None), expected);
    let expected = "diff --git \"a/old name\" \"b/new\\tname\"\nold mode 100644\nnew mode 100755\nrename from \"old name\"\nrename to \"new\\tname\"\n--- a/old name\t\n+++ \"b/new\\tname\"\n@@ -1 +1 @@\n-a\n+b\n";
    assert_eq!(patch(&renamed(new), Some(b"a\n"), Some(b"b\n")), expected);
}

#[test]
fn a_change_of_type_is_a_deletion_and_an_addition() {
    let link = Side { kind: Kind::Symlink, mode: 0, size: 1, id: Digest::of(b"t") };
    let turned = change(ChangeKind::Type, b"f", Some(file(0o644, b"a\n")), Some(link));
    let expected = "diff --git a/f b/f\ndeleted file mode 100644\n--- a/f\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\ndiff --git a/f b/f\nnew file mode 120000\n--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+t\n\\ No newline at end of file\n";
    assert_eq!(patch(&turned, Some(b"a\n"), Some(b"t")), expected);
}

#[test]
fn folders_are_comments() {
    let folder = |mode| Side { kind: Kind::Folder, mode, size: 0, id: Digest::of(b"") };
    let added = change(ChangeKind::Added, b"d", None, Some(folder(0o755)));
    assert_eq!(patch(&added, None, None), "# new folder mode 0755: d\n");
    let deleted = change(ChangeKind::Deleted, b"d\n", Some(folder(0o700)), None);
    assert_eq!(patch(&deleted, None, None), "# deleted folder mode 0700: \"d\\n\"\n");
    let mode = change(ChangeKind::Mode, b"d", Some(folder(0o755)), Some(folder(0o700)));
    assert_eq!(patch(&mode, None, None), "# folder mode 0755 to 0700: d\n");
    let turned = change(ChangeKind::Type, b"d", Some(folder(0o755)), Some(file(0o644, b"")));
    assert_eq!(
        patch(&turned, None, Some(b"")),
        "# deleted folder mode 0755: d\ndiff --git a/d b/d\nnew file mode 100644\nindex 0000000..e69de29\n"
    );
}

#[test]
fn what_is_not_text_or_not_at_hand_only_differs() {
    let modified = change(ChangeKind::Modified, b"f", Some(file(0o644, b"a\0")), Some(file(0o644, b"b")));
    let expected = "diff --git a/f b/f\nBinary files a/f and b/f differ\n";
    assert_eq!(patch(&modified, Some(b"a\0"), Some(b"b")), expected);
    assert_eq!(patch(&modified, None, Some(b"b")), expected);
    let added = change(ChangeKind::Added, b"f", None, Some(file(0o644, b"\0")));
    assert_eq!(
        patch(&added, None, Some(b"\0")),
        "diff --git a/f b/f\nnew file mode 100644\nBinary files /dev/null and b/f differ\n"
    );
}

#[test]
fn names_and_lines_that_are_not_utf8_are_kept() {
    let modified = change(ChangeKind::Modified, b"\xff", Some(file(0o644, b"\xe9\n")), Some(file(0o644, b"\xe8\n")));
    let out = render(&modified, Some(b"caf\xe9\n"), Some(b"caf\xe8\n"), 3);
    let expected: &[u8] =
        b"diff --git \"a/\\377\" \"b/\\377\"\n--- \"a/\\377\"\n+++ \"b/\\377\"\n@@ -1 +1 @@\n-caf\xe9\n+caf\xe8\n";
    assert_eq!(out, expected);
}
