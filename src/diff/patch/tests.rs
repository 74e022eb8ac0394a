//! Tests that patches are as git writes them.

use super::{Content, PatchOptions, Put, render};
use crate::diff::{Change, ChangeKind, Side};
use crate::format::tree::EntryKind;
use crate::id::Digest;
use crate::path::TreePath;

fn file(mode: u16, content: &[u8]) -> Side {
    Side { kind: EntryKind::File, mode, size: content.len() as u64, id: Digest::of(content) }
}

fn change(kind: ChangeKind, path: &[u8], old: Option<Side>, new: Option<Side>) -> Change {
    Change { path: TreePath::new(path).unwrap(), kind, old, new, old_path: None, attributes_changed: false }
}

fn patch(change: &Change, old: Option<&[u8]>, new: Option<&[u8]>) -> String {
    String::from_utf8(bytes(change, old, new, PatchOptions::default())).unwrap()
}

fn bytes(change: &Change, old: Option<&[u8]>, new: Option<&[u8]>, options: PatchOptions) -> Vec<u8> {
    let content = |bytes: Option<&[u8]>| bytes.map(|bytes| Content::Whole(bytes.to_vec()));
    rendered(change, content(old), content(new), options)
}

fn rendered(change: &Change, old: Option<Content<'_>>, new: Option<Content<'_>>, options: PatchOptions) -> Vec<u8> {
    let mut out = Vec::new();
    let put = &mut |bytes: &[u8]| {
        out.extend_from_slice(bytes);
        Ok(())
    };
    render(change, old.as_ref(), new.as_ref(), &options, put).unwrap();
    out
}

#[test]
fn a_modified_file() {
    let (old, new) = (b"a\nb\nc\n", b"a\nx\nc");
    let change = change(ChangeKind::Modified, b"dir/f", Some(file(0o644, old)), Some(file(0o644, new)));
    let expected = "diff --git a/dir/f b/dir/f\nindex de980441c3..98d508357f 100644\n--- a/dir/f\n+++ b/dir/f\n\
        @@ -1,3 +1,3 @@\n a\n-b\n-c\n+x\n+c\n\\ No newline at end of file\n";
    assert_eq!(patch(&change, Some(old), Some(new)), expected);
}

#[test]
fn added_and_deleted_files() {
    let added = change(ChangeKind::Added, b"f", None, Some(file(0o755, b"a\n")));
    let expected = "diff --git a/f b/f\nnew file mode 100755\nindex 0000000000..7898192261\n--- /dev/null\n+++ b/f\n\
        @@ -0,0 +1 @@\n+a\n";
    assert_eq!(patch(&added, None, Some(b"a\n")), expected);
    let deleted = change(ChangeKind::Deleted, b"f", Some(file(0o644, b"a\nb")), None);
    let expected = "diff --git a/f b/f\ndeleted file mode 100644\nindex 0a207c060e..0000000000\n--- a/f\n\
        +++ /dev/null\n@@ -1,2 +0,0 @@\n-a\n-b\n\\ No newline at end of file\n";
    assert_eq!(patch(&deleted, Some(b"a\nb"), None), expected);
    let empty = change(ChangeKind::Added, b"f", None, Some(file(0o644, b"")));
    assert_eq!(
        patch(&empty, None, Some(b"")),
        "diff --git a/f b/f\nnew file mode 100644\nindex 0000000000..e69de29bb2\n"
    );
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
    let expected = "diff --git \"a/old name\" \"b/new\\tname\"\nsimilarity index 100%\nrename from \"old name\"\n\
        rename to \"new\\tname\"\n";
    assert_eq!(patch(&renamed(old), None, None), expected);
    let expected = "diff --git \"a/old name\" \"b/new\\tname\"\nold mode 100644\nnew mode 100755\n\
        rename from \"old name\"\nrename to \"new\\tname\"\nindex 7898192261..6178079822\n--- a/old name\t\n\
        +++ \"b/new\\tname\"\n@@ -1 +1 @@\n-a\n+b\n";
    assert_eq!(patch(&renamed(new), Some(b"a\n"), Some(b"b\n")), expected);
}

#[test]
fn a_change_of_type_is_a_deletion_and_an_addition() {
    let link = Side { kind: EntryKind::Symlink, mode: 0, size: 1, id: Digest::of(b"t") };
    let turned = change(ChangeKind::Type, b"f", Some(file(0o644, b"a\n")), Some(link));
    let expected = "diff --git a/f b/f\ndeleted file mode 100644\nindex 7898192261..0000000000\n--- a/f\n\
        +++ /dev/null\n@@ -1 +0,0 @@\n-a\ndiff --git a/f b/f\nnew file mode 120000\nindex 0000000000..32f64f4d83\n\
        --- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+t\n\\ No newline at end of file\n";
    assert_eq!(patch(&turned, Some(b"a\n"), Some(b"t")), expected);
}

#[test]
fn folders_are_comments() {
    let folder = |mode| Side { kind: EntryKind::Folder, mode, size: 0, id: Digest::of(b"") };
    let added = change(ChangeKind::Added, b"d", None, Some(folder(0o755)));
    assert_eq!(patch(&added, None, None), "# new folder mode 0755: d\n");
    let deleted = change(ChangeKind::Deleted, b"d\n", Some(folder(0o700)), None);
    assert_eq!(patch(&deleted, None, None), "# deleted folder mode 0700: \"d\\n\"\n");
    let mode = change(ChangeKind::Mode, b"d", Some(folder(0o755)), Some(folder(0o700)));
    assert_eq!(patch(&mode, None, None), "# folder mode 0755 to 0700: d\n");
    let turned = change(ChangeKind::Type, b"d", Some(folder(0o755)), Some(file(0o644, b"")));
    assert_eq!(
        patch(&turned, None, Some(b"")),
        "# deleted folder mode 0755: d\ndiff --git a/d b/d\nnew file mode 100644\nindex 0000000000..e69de29bb2\n"
    );
}

#[test]
fn contents_that_are_not_text_get_a_note_or_a_binary_patch() {
    let modified = change(ChangeKind::Modified, b"f", Some(file(0o664, b"a\0")), Some(file(0o664, b"b")));
    let expected = "diff --git a/f b/f\nindex 90802fedc2..63d8dbd40c 100644\nBinary files a/f and b/f differ\n";
    assert_eq!(patch(&modified, Some(b"a\0"), Some(b"b")), expected);
    let options = PatchOptions { binary: true, ..PatchOptions::default() };
    let expected = "diff --git a/f b/f\n\
        index 90802fedc2462f10bf2114d086cacb9e3af99ffb..63d8dbd40c23542e740659a7168a0ce3138ea748 100644\n\
        GIT binary patch\nliteral 1\nIc$`ZD003hEV*mgE\n\nliteral 2\nJc$`aQ0002Q0Ac_D\n\n";
    assert_eq!(bytes(&modified, Some(b"a\0"), Some(b"b"), options), expected.as_bytes());
    let added = change(ChangeKind::Added, b"f", None, Some(file(0o644, b"\0")));
    assert_eq!(
        patch(&added, None, Some(b"\0")),
        "diff --git a/f b/f\nnew file mode 100644\nindex 0000000000..f76dd238ad\n\
            Binary files /dev/null and b/f differ\n"
    );
}

#[test]
fn long_contents_are_handed_through() {
    let content: Vec<u8> = (0..500_000_u32).flat_map(|number| (number / 7).to_le_bytes()).collect();
    let old = &content[..1_999_000];
    let modified = change(ChangeKind::Modified, b"f", Some(file(0o644, old)), Some(file(0o644, &content)));
    let long = |content: &'static [u8]| {
        let copy = |put: &mut Put<'_>| content.chunks(70_001).try_for_each(&mut *put);
        Some(Content::Long { length_bytes: content.len() as u64, copy: Box::new(copy) })
    };
    let content: &'static [u8] = content.clone().leak();
    let (old, new) = (&content[..1_999_000], content);
    let plain = PatchOptions::default();
    let binary = PatchOptions { binary: true, ..plain };
    let whole = |content: &[u8]| Some(Content::Whole(content.to_vec()));
    let expected = rendered(&modified, whole(old), whole(new), plain);
    assert_eq!(rendered(&modified, long(old), long(new), plain), expected);
    let handed_through = String::from_utf8(rendered(&modified, long(old), long(new), binary)).unwrap();
    assert!(handed_through.contains("\nliteral 2000000\n") && handed_through.contains("\n\nliteral 1999000\n"));
    let with_deltas = String::from_utf8(rendered(&modified, whole(old), whole(new), binary)).unwrap();
    assert!(with_deltas.contains("\ndelta ") && with_deltas.len() * 20 < handed_through.len());
}

#[test]
fn names_and_lines_that_are_not_utf8_are_kept() {
    let modified = change(ChangeKind::Modified, b"\xff", Some(file(0o644, b"\xe9\n")), Some(file(0o644, b"\xe8\n")));
    let out = bytes(&modified, Some(b"caf\xe9\n"), Some(b"caf\xe8\n"), PatchOptions::default());
    let expected: &[u8] =
        b"diff --git \"a/\\377\" \"b/\\377\"\nindex 6f83395d97..030ede5c3a 100644\n--- \"a/\\377\"\n+++ \"b/\\377\"\n\
            @@ -1 +1 @@\n-caf\xe9\n+caf\xe8\n";
    assert_eq!(out, expected);
}
