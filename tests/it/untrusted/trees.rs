//! Crafted trees: names, order, sizes, modes, depth, and trees that describe more than fits anywhere.

use std::os::unix::fs::PermissionsExt;

use retrograde::format::pack::{Encoding, Link, ObjectKind};
use retrograde::format::tree::tree_id;
use retrograde::id::{Digest, TreeId};

use super::forge::{FILE, FOLDER, Forge, Line, SYMLINK, frame_with, leaf, member, node};
use super::run::{LIMIT, MEMORY_MAX_BYTES, run, survey, survey_of};
use crate::support::depth::pick;
use crate::support::walker::{What, walk};

const CORRUPT: i32 = 7;
const NO: i32 = 1;

/// Verbs that go through all of a snapshot.
const WHOLE: [&str; 5] = [
    "ls -r {rev}",
    "export {rev} --tar {out}/step.tar",
    "export --git {out}/rev.git {rev}",
    "restore {rev} --into {out}/into",
    "restore {rev}",
];

fn all(code: i32) -> Vec<(&'static str, i32)> {
    WHOLE.iter().map(|line| (*line, code)).collect()
}

/// A store whose last snapshot has, beside a file, a folder `bad` with these bytes as its tree.
fn with_tree(make: impl FnOnce(&mut Forge) -> TreeId) -> Forge {
    let mut forge = Forge::new();
    let bad = make(&mut forge);
    let file = forge.content(b"good\n");
    let root = forge.leaf(&[(FOLDER, 0o755, b"bad", 0, bad.0), (FILE, 0o644, b"good", 5, file)]);
    let id = forge.head(root);
    forge.tag("bad", id);
    forge.write();
    forge
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let long = [b'n'; 1_021];
    let names: [&[u8]; 8] = [b"..", b".", b"", b"a/b", b"../canary/live", b"/etc/passwd", b"a\0b", &long];
    for name in names {
        let forge = with_tree(|forge| {
            let file = forge.content(b"bad\n");
            forge.leaf(&[(FILE, 0o644, name, 4, file)])
        });
        survey(&forge, "bad", "good").expect(&all(CORRUPT));
    }
}

#[test]
fn names_out_of_order_or_twice_are_refused() {
    let orders: [[(u8, &[u8]); 2]; 3] =
        [[(FILE, b"b"), (FILE, b"a")], [(FILE, b"a"), (FILE, b"a")], [(SYMLINK, b"a"), (FOLDER, b"a")]];
    for lines in orders {
        let forge = with_tree(|forge| {
            let target = forge.content(b"../canary");
            let inner = forge.content(b"inner");
            let folder = forge.leaf(&[(FILE, 0o644, b"live", 5, inner)]);
            let id = |kind| if kind == FOLDER { folder.0 } else { target };
            let mode = |kind| if kind == SYMLINK { 0 } else { 0o755 };
            let lines: Vec<Line<'_>> =
                lines.iter().map(|(kind, name)| (*kind, mode(*kind), *name, 9, id(*kind))).collect();
            forge.leaf(&lines)
        });
        survey(&forge, "bad", "good").expect(&all(CORRUPT));
    }
}

#[test]
fn names_longer_than_the_file_system_allows_are_reported() {
    let forge = with_tree(|forge| {
        let file = forge.content(b"bad\n");
        forge.leaf(&[(FILE, 0o644, &[b'n'; 1_020], 4, file)])
    });
    survey(&forge, "bad", "good").expect(&[
        ("restore {rev} --into {out}/into", NO),
        ("ls -r {rev}", 0),
        ("export {rev} --tar {out}/step.tar", 0),
    ]);
}

#[test]
fn folders_deeper_than_the_limit_are_refused() {
    let forge = with_tree(|forge| {
        let mut tree = forge.leaf(&[]);
        for _ in 0..10_000 {
            tree = forge.folder_around(b"d", tree);
        }
        tree
    });
    survey(&forge, "bad", "good").expect(&[
        ("ls -r {rev}", LIMIT),
        ("export {rev} --tar {out}/step.tar", LIMIT),
        ("restore {rev} --into {out}/into", LIMIT),
        ("restore {rev}", LIMIT),
    ]);
}

/// T4: each folder has a thousand names for the one below it, and a few kB describe 10^15 paths.
#[test]
fn trees_that_describe_too_many_paths_are_refused_before_anything_is_written() {
    let names: Vec<String> = (0..1_000).map(|number| format!("name-{number:04}")).collect();
    let bound = ["ls {rev}", "cat {rev}:{path}", "restore {rev} --into {out}/one -- {path}", "status", "show {rev}"];
    let deeper = pick(&WHOLE[3..4], &WHOLE);
    for (depth, lines) in [(3, &[&bound[..], &WHOLE].concat()[..]), (5, deeper)] {
        let forge = with_tree(|forge| {
            let file = forge.content(b"x");
            let mut tree = forge.leaf(&[(FILE, 0o644, b"file", 1, file)]);
            for _ in 0..depth {
                let lines: Vec<Line<'_>> =
                    names.iter().map(|name| (FOLDER, 0o755, name.as_bytes(), 0, tree.0)).collect();
                tree = forge.leaf(&lines);
            }
            tree
        });
        let mut codes = vec![
            ("ls -r {rev}", LIMIT),
            ("export {rev} --tar {out}/step.tar", LIMIT),
            ("restore {rev} --into {out}/into", LIMIT),
            ("restore {rev}", LIMIT),
        ];
        codes.retain(|(line, _)| lines.contains(line));
        if depth == 3 {
            codes.extend(bound.map(|line| (line, if ["status", "show {rev}"].contains(&line) { LIMIT } else { 0 })));
        }
        let done = survey_of(lines, &forge, "bad", "good").expect(&codes);
        let why = &done.of("restore {rev} --into {out}/into").stderr;
        assert!(why.contains("paths"), "{why}");
        assert_eq!(walk(&forge.at("out")).keys().filter(|path| path.starts_with(b"into/")).count(), 0);
    }
}

/// Something that git refuses, at the bottom of such a tree: the list of what was left out must not grow either.
#[test]
fn the_list_of_paths_that_git_refuses_is_limited() {
    let names: Vec<String> = (0..1_000).map(|number| format!("name-{number:04}")).collect();
    let forge = with_tree(|forge| {
        let file = forge.content(b"x");
        let mut tree = forge.leaf(&[(FILE, 0o644, b".git", 1, file)]);
        for _ in 0..3 {
            let lines: Vec<Line<'_>> = names.iter().map(|name| (FOLDER, 0o755, name.as_bytes(), 0, tree.0)).collect();
            tree = forge.leaf(&lines);
        }
        tree
    });
    let line = "export --git {out}/rev.git {rev}";
    survey_of(&[line], &forge, "bad", "good").expect(&[(line, LIMIT)]);
}

/// T3: a list that holds nothing could stand under any first name, so 1,024^6 of them fit into six nodes.
#[test]
fn lists_that_hold_nothing_are_not_walked() {
    let names: Vec<String> = (0..1_024).map(|number| format!("{number:04}")).collect();
    for top in [1, 6] {
        let forge = with_tree(|forge| {
            let mut tree = forge.leaf(&[]);
            for level in 1..=top {
                let children: Vec<_> = names.iter().map(|name| (name.as_bytes(), 1, 0, tree)).collect();
                tree = forge.tree(&node(level, &children));
            }
            tree
        });
        survey(&forge, "bad", "good").expect(&all(CORRUPT));
    }
}

#[test]
fn nodes_that_lie_about_their_level_are_refused() {
    for (outer, inner) in [(2, 0), (1, 1), (6, 3), (7, 0), (1, 6)] {
        let forge = with_tree(|forge| {
            let file = forge.content(b"x");
            let list = forge.leaf(&[(FILE, 0o644, b"a", 1, file)]);
            let list = if inner == 0 { list } else { forge.tree(&node(inner, &[(b"a", 1, 1, list)])) };
            forge.tree(&node(outer, &[(b"a", 1, 1, list)]))
        });
        survey(&forge, "bad", "good").expect(&all(CORRUPT));
    }
}

/// The lists of one folder, each a small delta of another, that would fill the memory together.
#[test]
fn folders_that_do_not_fit_in_memory_are_refused() {
    let list = |number: usize| {
        let tail = [b'n'; 1_000];
        let names: Vec<Vec<u8>> =
            (0..1_900).map(|entry| [format!("{number:04}-{entry:04}").as_bytes(), &tail].concat()).collect();
        let lines: Vec<Line<'_>> = names.iter().map(|name| (FILE, 0, &name[..], 0, Digest([0; 32]))).collect();
        leaf(&lines)
    };
    let forge = with_tree(|forge| {
        let first = list(0);
        let base = forge.tree(&first);
        let mut children = vec![(b"0000-0000".to_vec(), base)];
        for number in 1..600 {
            let bytes = list(number);
            let id = tree_id(&bytes);
            let link = Link { base: base.0.prefix(), generation: 1 };
            let payload = frame_with(&bytes, None, &first);
            forge.record(&Encoding::Delta(link), &[member(ObjectKind::Tree, bytes.len(), id.0)], &payload);
            children.push((format!("{number:04}-0000").into_bytes(), id));
        }
        let names: Vec<(Vec<u8>, TreeId)> =
            children.into_iter().map(|(name, id)| ([&name[..], &[b'n'; 1_000]].concat(), id)).collect();
        let children: Vec<_> = names.iter().map(|(name, id)| (&name[..], 1_900, 0, *id)).collect();
        forge.tree(&node(1, &children))
    });
    assert!(std::fs::metadata(forge.store("packs/000001.pack")).unwrap().len() < MEMORY_MAX_BYTES / 8);
    let lines = pick(&WHOLE[3..], &WHOLE);
    survey_of(lines, &forge, "bad", "good").expect(&all(LIMIT)[WHOLE.len() - lines.len()..]);
}

/// Sizes add up past any number, and say nothing true.
#[test]
fn sizes_that_lie_neither_overflow_nor_reserve() {
    for size in [0, 1, u64::MAX, u64::MAX - 1, 1 << 40] {
        let forge = with_tree(|forge| {
            let file = forge.content(b"12345");
            let other = forge.content(b"abcde");
            let attributes = forge.content(b"* text\n");
            let lines: [Line<'_>; 4] = [
                (FILE, 0o644, b".gitattributes", size, attributes),
                (FILE, 0o644, b"a", size, file),
                (FILE, 0o644, b"b", size, other),
                (FILE, 0o644, b"c", size, file),
            ];
            forge.leaf(&lines)
        });
        std::fs::create_dir_all(forge.at("ws/bad")).unwrap();
        // Something is in the way, so that nothing is known of the content when the sizes are added up.
        std::fs::create_dir_all(forge.at("ws/bad/b/in the way")).unwrap();
        std::fs::create_dir_all(forge.at("ws/bad/c/in the way")).unwrap();
        survey(&forge, "bad", "good").expect(&[
            ("restore {rev} --into {out}/into", CORRUPT),
            ("export {rev} --tar {out}/step.tar", CORRUPT),
            ("restore {rev}", CORRUPT),
            ("ls -r {rev}", 0),
        ]);
    }
}

#[test]
fn symlinks_that_no_system_makes_are_refused() {
    let targets: [(&[u8], i32); 4] =
        [(&[b't'; 1 << 20], LIMIT), (b"a\0b", CORRUPT), (b"", CORRUPT), (&[b't'; 60_000], NO)];
    for (target, code) in targets {
        let forge = with_tree(|forge| {
            let target_id = forge.content(target);
            forge.leaf(&[(SYMLINK, 0, b"link", target.len() as u64, target_id)])
        });
        survey(&forge, "bad", "good").expect(&[("restore {rev} --into {out}/into", code), ("restore {rev}", code)]);
    }
}

/// A symlink to a folder outside, then a folder of that name with something in it; and the same with the symlink in the
/// live folder only.
#[test]
fn nothing_is_written_through_a_symlink() {
    let mut forge = Forge::new();
    let target = forge.content(b"../canary");
    let inner = forge.content(b"overwritten");
    let linked = forge.leaf(&[(SYMLINK, 0, b"x", 9, target)]);
    let linked = forge.head(linked);
    forge.tag("linked", linked);
    // The files inside have the same names as files outside.
    let deeper = forge.leaf(&[(FILE, 0o644, b"x", 11, inner)]);
    let below = forge.leaf(&[(FOLDER, 0o755, b"folder", 0, deeper.0), (FILE, 0o644, b"live", 11, inner)]);
    let root = forge.folder_around(b"x", below);
    let folder = forge.head(root);
    forge.tag("folder", folder);
    forge.write();
    let canary = walk(&forge.at("canary"));
    for rev in ["linked", "folder", "linked"] {
        let done = run(&forge, &["restore", rev]);
        assert_eq!(done.0, 0, "{}", done.2);
        assert!(walk(&forge.at("canary")) == canary, "{rev}");
    }
    // A symlink stands where the folder has to be.
    assert_eq!(run(&forge, &["restore", "folder", "--", "x/live"]).0, 5);
    assert!(walk(&forge.at("canary")) == canary);
    survey(&forge, "folder", "x/live").expect(&[("restore {rev}", 0), ("restore {rev} --into {out}/into", 0)]);
    assert_eq!(std::fs::read(forge.at("ws/x/live")).unwrap(), b"overwritten");
}

/// Modes are restored as recorded, the three special bits too; more bits than twelve are no mode.
#[test]
fn modes_are_twelve_bits() {
    let mut forge = Forge::new();
    let file = forge.content(b"#!/bin/sh\n");
    let beyond = forge.leaf(&[(FILE, 0o10755, b"beyond", 10, file)]);
    let id = forge.head(beyond);
    forge.tag("beyond", id);
    let root = forge.leaf(&[(FILE, 0o4755, b"setuid", 10, file)]);
    let id = forge.head(root);
    forge.tag("setuid", id);
    forge.write();
    survey(&forge, "setuid", "setuid").expect(&[("restore {rev} --into {out}/into", 0), ("restore {rev}", 0)]);
    let mode = std::fs::metadata(forge.at("ws/setuid")).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode, 0o4755);
    assert_eq!(run(&forge, &["restore", "beyond"]).0, CORRUPT);
    assert!(matches!(walk(&forge.at("out/into"))[&b"setuid"[..].to_vec()].what, What::File(10, _)));
}
