//! Commits of git, read as far as they go.

use gix::hash::Kind;

use super::{ReadCommit, parse};

const TREE: &str = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n";

fn read(rest: &[u8]) -> ReadCommit {
    parse(&[TREE.as_bytes(), rest].concat(), Kind::Sha1).unwrap()
}

#[test]
fn ordinary_commits_are_read_without_a_guess() {
    let found = read(
        b"parent 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor A U Thor <a@b> 5 +0100\ncommitter C <c> 7 -0000\n\
          gpgsig -----BEGIN\n more\n\nsubject\n\nbody\n",
    );
    assert_eq!((&*found.author, found.seconds, &*found.message), ("A U Thor <a@b>", Some(7), "subject\n\nbody\n"));
    assert_eq!((found.parents.len(), found.guessed.len()), (1, 0));
}

#[test]
fn odd_ones_are_read_as_far_as_they_go() {
    let found = read(b"author  <> -1000000 +0000\ncommitter x <y> -86400 +9999\n\n");
    assert_eq!((&*found.author, found.seconds, &*found.message), ("<>", Some(-86_400), ""));
    let found = read(b"author a <b> 9 +0000\ncommitter a <b> soon +0000\n\nm");
    assert_eq!((found.seconds, found.guessed.len()), (Some(9), 1));
    let found = read(b"author a <b<c> 12 garbage zone\n");
    assert_eq!((&*found.author, found.seconds, &*found.message), ("a <b<c>", Some(12), ""));
    let found = read(b"committer 99999999999999999999 +0000\n\nno author");
    assert_eq!((&*found.author, found.seconds, found.guessed.len()), ("", None, 2));
    assert_eq!(read(b"").message, "");
    for bytes in [&b""[..], b"tree x\n", b"parent 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\nm"] {
        assert!(parse(bytes, Kind::Sha1).is_err());
    }
    assert!(parse(format!("{TREE}parent x\n\nm").as_bytes(), Kind::Sha1).is_err());
}

#[test]
fn encodings_are_followed() {
    let who = b"author \xe9t\xe9 <e> 1 +0000\ncommitter c <c> 1 +0000\n";
    let found = read(&[&who[..], b"encoding ISO-8859-1\n\ncaf\xe9\n"].concat());
    assert_eq!((&*found.message, &*found.author, found.guessed.len()), ("caf\u{e9}\n", "\u{e9}t\u{e9} <e>", 0));
    let found = read(b"author c <c> 1 +0000\ncommitter c <c> 1 +0000\nencoding SHIFT_JIS\n\n\x93\xfa\x96{");
    assert_eq!((&*found.message, found.guessed.len()), ("\u{65e5}\u{672c}", 0));
    let found = read(b"author c <c> 1 +0000\ncommitter c <c> 1 +0000\nencoding klingon\n\ncaf\xe9");
    assert_eq!((&*found.message, found.guessed.len()), ("caf\u{fffd}", 2));
    let found = read(b"author c <c> 1 +0000\ncommitter c <c> 1 +0000\n\ncaf\xe9");
    assert_eq!((&*found.message, found.guessed.len()), ("caf\u{fffd}", 1));
}
