//! The cases are those of git's own tests: t1450 (fsck), t7415 and t7416 (submodules), t1014 and t9902 (dot-git).

use super::{Taken, content_refused, is_dot_git, reference_name, refused};
use crate::format::tree::EntryKind;

#[test]
fn names_that_a_file_system_takes_for_dot_git_are_refused() {
    for name in [
        &b".git"[..],
        b".GIT",
        b".Git",
        b".git ",
        b".git.",
        b".git...",
        b".git . ",
        b".git::$INDEX_ALLOCATION",
        b"git~1",
        b"GIT~1",
        b".gi\xe2\x80\x8ct",
        b"\xef\xbb\xbf.git",
        b"a\\.git",
        b".git\\x",
        b"a\\git~1\\b",
    ] {
        assert!(refused(name, EntryKind::Folder).is_some(), "{}", crate::path::escaped(name));
        assert!(refused(name, EntryKind::File).is_some(), "{}", crate::path::escaped(name));
    }
    for name in [&b"git"[..], b".gitx", b".github", b".gitignore", b"git~2", b"x.git", b"..git", b"\xff", b"-", b"a\\b"]
    {
        assert!(refused(name, EntryKind::File).is_none(), "{}", crate::path::escaped(name));
    }
    assert!(is_dot_git(b".git") && !is_dot_git(b".gitmodules"));
}

#[test]
fn files_that_git_reads_must_be_files_and_harmless() {
    for name in [&b".gitmodules"[..], b".GITMODULES ", b"gitmod~1", b"gi7eba~1"] {
        assert!(refused(name, EntryKind::Symlink).is_some() && refused(name, EntryKind::Folder).is_some());
        assert!(refused(name, EntryKind::File).is_none());
    }
    assert!(
        refused(b".gitattributes", EntryKind::Folder).is_some()
            && refused(b".gitattributes", EntryKind::File).is_none()
    );
    let attributes = |length| content_refused(b".gitattributes", &vec![b'x'; length]).is_some();
    assert!(!attributes(2_047) && attributes(2_048));
    assert!(content_refused(b"other", &[b'x'; 5_000]).is_none());
}

#[test]
fn submodules_are_read_like_git_reads_them_or_more_strictly() {
    let modules = |name: &str, key: &str, value: &str| {
        let text = format!("# c\n[submodule \"{name}\"]\n\tpath = x\n\t{key} = {value}\n");
        content_refused(b".gitmodules", text.as_bytes()).is_none()
    };
    for url in [
        "https://example.com/a/b.git",
        "http://example.com:80/a",
        "git@example.com:a/b.git",
        "ssh://git@example.com/a",
        "../a.git",
        "../../x/y",
        "./z",
        "git://example.com/a",
    ] {
        assert!(modules("a", "url", url), "{url}");
    }
    for url in [
        "-u./payload",
        "https://example.com/%0a",
        "http:///x",
        "../../:x",
        "../..//x",
        "https://host:port/x",
        "ext::sh -c x",
        "https://-x/y",
        "\"quoted\"",
        "x\\",
        "",
        "https:///example.com/a",
        "https://example.com",
    ] {
        assert!(!modules("a", "url", url), "{url}");
    }
    assert!(!modules("../../x", "url", "../a") && !modules("a/../b", "url", "../a") && !modules("", "url", "../a"));
    assert!(!modules("a", "update", "!sh") && modules("a", "update", "rebase") && !modules("a", "path", "-x"));
    assert!(!modules("a", "unknown", "1"));
}

#[test]
fn any_run_has_a_valid_branch() {
    for (name, expected) in [
        ("main", "main"),
        ("a/b", "a/b"),
        ("/a//b/", "a/b"),
        ("a b/-c", "a-b/c"),
        ("HEAD", "HEAD-retro"),
        ("-x", "x"),
        ("---", "retro"),
        ("über", "über"),
    ] {
        assert_eq!(reference_name(name), expected, "{name}");
    }
    let strange =
        ["", ".", "..", "a..b", "a.lock", ".x", "x.", "a b", "a~^:?*[\\b", "@{1}", "@", "\u{7f}", &"é".repeat(127)];
    let strange =
        strange.into_iter().chain(["../../x", "-.-.", "-rf", ".lock", "-.lock", "..-", "\u{1b}[m", "/", "-@"]);
    for name in strange {
        let reference = format!("refs/heads/{}", reference_name(name));
        assert!(gix::validate::reference::name(reference.as_str().into()).is_ok(), "{name}: {reference}");
        assert!(!reference[11..].starts_with('-'), "{reference} reads as an option");
        assert!(reference.len() < 240, "{reference}");
    }
}

#[test]
fn no_name_is_taken_twice_or_is_the_folder_of_another() {
    let mut taken = Taken::default();
    let mut unique = |name: &str| taken.unique(name.to_owned());
    assert_eq!(
        ["a/b", "a", "a/b/c", "A/B", "a-b", "x", "x/y", "X/y"].map(&mut unique),
        ["a/b", "a-2", "a-b-c", "A-B", "a-b-2", "x", "x-y", "X-y-2"]
    );
}
