//! Tests of restoring states, checked by the walker of the integration tests, which shares no code with the library.
//!
//! They hold for any user: the expectation is adapted if root sees more than others (see [`model::visible`]).

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

use std::collections::BTreeSet;

use super::temporary::TemporaryNames;
use super::{pieces, remove_strays};
use crate::path::TreePath;
use crate::workspace::beneath::Root;
use crate::workspace::temporary_name::temporary_name;
use crate::workspace::testing::depth;
use scratch::Scratch;
use walker::walk;

fn path(text: &str) -> TreePath {
    TreePath::new(text.as_bytes()).unwrap()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
fn strays_go_and_everything_else_stays() {
    let scratch = Scratch::new();
    let names: Vec<String> = (0..5).map(temporary_name).collect();
    let [stray, other, link, tried, with_mine] = &names[..] else { unreachable!() };
    // Folders in which names were tried are removed too, with their empty files; nothing else is.
    std::fs::create_dir_all(scratch.join(&format!("a/{with_mine}"))).unwrap();
    std::fs::create_dir(scratch.join(&format!("a/{tried}"))).unwrap();
    for (name, text) in [(format!("a/{tried}/A"), ""), (format!("a/{with_mine}/mine"), "mine")] {
        std::fs::write(scratch.join(&name), text).unwrap();
    }
    let alike = "a/.retro-tmp-0123456789abcdef";
    for name in [stray, &format!("a/{other}"), alike, "a/file"] {
        std::fs::write(scratch.join(name), name).unwrap();
    }
    std::os::unix::fs::symlink("a", scratch.join(link)).unwrap();
    let root = Root::open(scratch.path()).unwrap();
    let folders = [TreePath::root(), path("a"), path("gone"), path(stray)];
    assert_eq!(remove_strays(&root, &folders).unwrap(), 4);
    let left: BTreeSet<_> = walk(scratch.path()).into_keys().collect();
    let expected = ["", "a", alike, &format!("a/{with_mine}"), &format!("a/{with_mine}/mine"), "a/file"];
    assert_eq!(left, expected.iter().map(|name| name.as_bytes().to_vec()).collect());
}

#[test]
fn names_that_are_taken_are_passed_over_and_files_given_up_are_removed() {
    let scratch = Scratch::new();
    let root = Root::open(scratch.path()).unwrap();
    let taken = temporary_name(u32::MAX);
    std::os::unix::fs::symlink("/etc/passwd", scratch.join(&taken)).unwrap();
    let make = |name: &str| rustix::fs::symlinkat("target", root.handle(), name);
    let names = TemporaryNames::new([0xff; 16]);
    let (given_up, ()) = names.make(root.handle(), make).unwrap();
    assert!(scratch.join(&temporary_name(0)).is_symlink());
    drop(given_up);
    assert_eq!(walk(scratch.path()).len(), 2);
    let (placed, ()) = names.make(root.handle(), make).unwrap();
    placed.rename(b"name", rustix::fs::RenameFlags::NOREPLACE).unwrap();
    let (late, ()) = names.make(root.handle(), make).unwrap();
    assert!(late.rename(b"name", rustix::fs::RenameFlags::NOREPLACE).is_err());
    let left: Vec<_> = walk(scratch.path()).into_keys().collect();
    assert_eq!(left, [&b""[..], taken.as_bytes(), b"name"]);
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
