//! Tests of putting states back, judged by the walker of the integration tests, which shares no code with the library.
//!
//! They hold for any user: where root sees more than others, what is expected is adapted (see [`model::visible`]).

mod apply;
mod fill;
mod model;

#[path = "../../../../tests/it/support/naughty.rs"]
#[allow(dead_code, reason = "the integration tests need more of it")]
mod naughty;
#[path = "../../../../tests/it/support/scratch.rs"]
mod scratch;
#[path = "../../../../tests/it/support/walker.rs"]
mod walker;

use super::temporary::TemporaryNames;
use super::{is_temporary_name, pieces, remove_strays};
use crate::path::TreePath;
use crate::workspace::beneath::Root;
use crate::workspace::testing::depth;
use scratch::Scratch;
use walker::walk;

fn path(text: &str) -> TreePath {
    TreePath::new(text.as_bytes()).unwrap()
}

#[test]
fn only_the_exact_pattern_is_a_temporary_name() {
    assert!(is_temporary_name(b".retro-tmp-0123456789abcdef"));
    for name in [
        &b".retro-tmp-"[..],
        b".retro-tmp-0123456789abcde",
        b".retro-tmp-0123456789abcdef0",
        b".retro-tmp-0123456789ABCDEF",
        b".retro-tmp-0123456789abcdeg",
        b"retro-tmp-0123456789abcdef",
        b"x.retro-tmp-0123456789abcdef",
    ] {
        assert!(!is_temporary_name(name), "{}", name.escape_ascii());
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
fn strays_go_and_everything_else_stays() {
    let scratch = Scratch::new();
    let stray = ".retro-tmp-0123456789abcdef";
    std::fs::create_dir_all(scratch.join("a/.retro-tmp-00000000000000ff")).unwrap();
    // Folders in which names were tried go too, with the empty files in them; anything else does not.
    std::fs::create_dir(scratch.join("a/.retro-tmp-00000000000000aa")).unwrap();
    for (name, text) in [("a/.retro-tmp-00000000000000aa/A", ""), ("a/.retro-tmp-00000000000000ff/mine", "mine")] {
        std::fs::write(scratch.join(name), text).unwrap();
    }
    for name in [stray, "a/.retro-tmp-ffffffffffffffff", "a/.retro-tmp-short", "a/file"] {
        std::fs::write(scratch.join(name), name).unwrap();
    }
    std::os::unix::fs::symlink("a", scratch.join(".retro-tmp-1111111111111111")).unwrap();
    let root = Root::open(scratch.path()).unwrap();
    let folders = [TreePath::root(), path("a"), path("gone"), path(stray)];
    assert_eq!(remove_strays(&root, &folders).unwrap(), 4);
    let left: Vec<_> = walk(scratch.path()).into_keys().collect();
    let foreign = b"a/.retro-tmp-00000000000000ff/mine";
    let expected = [&b""[..], b"a", b"a/.retro-tmp-00000000000000ff", foreign, b"a/.retro-tmp-short", b"a/file"];
    assert_eq!(left, expected);
}

#[test]
fn names_that_are_taken_are_passed_over_and_files_given_up_are_removed() {
    let scratch = Scratch::new();
    let root = Root::open(scratch.path()).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", scratch.join(".retro-tmp-ffffffffffffffff")).unwrap();
    let make = |name: &str| rustix::fs::symlinkat("target", root.handle(), name);
    let names = TemporaryNames::new([0xff; 16]);
    let (given_up, ()) = names.make(root.handle(), make).unwrap();
    assert!(scratch.join(".retro-tmp-0000000000000000").is_symlink());
    drop(given_up);
    assert_eq!(walk(scratch.path()).len(), 2);
    let (placed, ()) = names.make(root.handle(), make).unwrap();
    placed.rename(b"name", rustix::fs::RenameFlags::NOREPLACE).unwrap();
    let (late, ()) = names.make(root.handle(), make).unwrap();
    assert!(late.rename(b"name", rustix::fs::RenameFlags::NOREPLACE).is_err());
    let left: Vec<_> = walk(scratch.path()).into_keys().collect();
    assert_eq!(left, [&b""[..], b".retro-tmp-ffffffffffffffff", b"name"]);
}

#[test]
fn pieces_cover_everything_once_in_order() {
    for count in [0, 1, 127, 128, 129, 1_000] {
        for size in [0, 10_000, 1 << 20, u64::MAX] {
            let items = vec![size; count];
            let covered: Vec<_> = pieces(&items, |size| *size).into_iter().flatten().collect();
            assert_eq!(covered, (0..count).collect::<Vec<_>>());
            assert!(pieces(&items, |size| *size).iter().all(|piece| (1..=128).contains(&piece.len())));
        }
    }
}
